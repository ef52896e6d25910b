"""Everything a gate may look at, frozen, and the one order in which it is refused.

Does it open → are the columns there → are the values usable → is it comparable with the baseline.
A gate gets an `Evidence` only when all four hold; so no gate asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, StrictBool, StrictInt, StrictStr

from gates.report import Decide, Mode, Model, OnInconclusive, Task, bounded
from gates.stats.catalogue import METRICS_VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.record import Content, Record
    from gates.stats.metrics import Rows
    from gates.tables import Engine, Table
    from gates.where import Where

CANDIDATE = "candidate"
BASELINE = "baseline"
MAX_GROUPS = 200
BLOCKS = 2048


class Columns(Model):
    """What the columns of a predictions file are called; `score` may be one name or a prefix."""

    prediction: StrictStr = "prediction"
    score: StrictStr = "score"


DEFAULT_COLUMNS = Columns()


class Data(Model):
    """The rows to judge on, and what their columns mean."""

    evaluation: StrictStr | None = Field(
        default=None, description="Table with id, label, slices; else the predictions have them."
    )
    id: StrictStr = Field(description="Column that pairs rows; never by position.")
    label: StrictStr = Field(description="Column with the truth.")
    positive: StrictInt | StrictStr | StrictBool = Field(
        default=1, description="The label's positive value (binary)."
    )
    cluster: StrictStr | None = Field(
        default=None, description="Column whose equal values are not independent rows."
    )


class Comparison(StrEnum):
    """How the candidate is held against the baseline."""

    PAIRED = "paired"
    UNPAIRED = "unpaired"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds for every check that does not say otherwise."""

    confidence: float = 0.95
    seed: int = 7
    mode: Mode = Mode.ENFORCE
    on_inconclusive: OnInconclusive = OnInconclusive.WARN
    decide: Decide = Decide.INTERVAL
    min_count: int = 10


@dataclass(frozen=True, kw_only=True)
class Source:
    """One predictions file and what its columns are called; `id` where it is not `data.id`."""

    path: Path
    columns: Columns = DEFAULT_COLUMNS
    threshold: float = 0.5
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Rows that are looked at together: by values of columns, or by a condition."""

    values: Mapping[str, str]
    index: NDArray[np.intp]

    @property
    def name(self) -> str:
        """Return the part of a rule id behind the `@`."""
        return ",".join(f"{bounded(k)}={bounded(v)}" for k, v in self.values.items())


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a gate may look at; arrays have one entry per row, in the order of the joined table."""

    root: Path
    task: Task
    policy: Policy
    data: Data
    engine: Engine
    evaluation: Table
    joined: Table
    classes: tuple[str, ...]
    candidate: Rows
    candidate_digest: str
    data_columns: tuple[str, ...]
    notes: tuple[str, ...] = ()
    baseline: Rows | None = None
    record: Record | None = None
    comparison: Comparison = Comparison.NONE

    @property
    def rows(self) -> int:
        """Return how many rows are judged."""
        return self.joined.rows

    @cached_property
    def identical(self) -> bool:
        """Return whether both models gave the same outputs on every row: it is the same model."""
        import numpy as np

        one, other = self.candidate, self.baseline
        if other is None or (one.score is None) is not (other.score is None):
            return False
        scores = one.score is None or np.array_equal(one.score, other.score)  # type: ignore[arg-type]
        return scores and np.array_equal(one.prediction, other.prediction)

    @cached_property
    def clusters(self) -> NDArray[np.int32] | None:
        """Return each row's cluster as a code, or None where rows are independent."""
        column = self.data.cluster
        if column is None:
            return None
        codes, _ = self.joined.codes(column)
        return codes

    @cached_property
    def blocks(self) -> NDArray[np.int32]:
        """Return each row's block for the bootstrap: a hash of cluster or id, or the row itself."""
        import numpy as np

        if self.clusters is None and self.rows <= BLOCKS:
            return np.arange(self.rows, dtype=np.int32)
        blocks = self.joined.blocks(self.data.cluster or self.data.id, BLOCKS)
        return blocks.astype(np.int32)

    def groups(self, columns: tuple[str, ...]) -> tuple[Slice, ...]:
        """Return the rows of each combination of values, by name; rows with a null are in none.

        Raises InputError for a column that has too many different values.
        """
        import numpy as np

        coded = [self.joined.codes(column, limit=MAX_GROUPS) for column in columns]
        sizes = [max(1, len(names)) for _, names in coded]
        known = np.all([codes >= 0 for codes, _ in coded], axis=0)
        cell = np.ravel_multi_index([np.maximum(codes, 0) for codes, _ in coded], sizes)
        present = np.unique(cell[known])
        return tuple(
            Slice(
                values={
                    column: coded[i][1][position]
                    for i, (column, position) in enumerate(
                        zip(columns, np.unravel_index(code, sizes), strict=True)
                    )
                },
                index=np.flatnonzero(known & (cell == code)),
            )
            for code in present
        )

    def where(self, name: str, condition: Where) -> Slice:
        """Return the rows for which a condition holds; a null never does."""
        import numpy as np

        index = np.flatnonzero(self.joined.mask(condition))
        return Slice(values={name: condition.text}, index=index)


def comparability(content: Content, data: Data, task: Task, evaluation: Table) -> str | None:
    """Return why a registered baseline can not be compared row by row, or None when it can."""
    positive = label_text(data.positive) if task is Task.BINARY else None
    if content.task is not task:
        return f"it was registered for task {content.task.value!r}, this is {task.value!r}"
    if content.label != data.label:
        return f"its label is {bounded(content.label)!r}, this one is {bounded(data.label)!r}"
    if content.positive != positive:
        return f"its positive label is {content.positive!r}, this one is {positive!r}"
    if content.metrics_version != METRICS_VERSION:
        return f"its metrics are of version {content.metrics_version}, ours {METRICS_VERSION}"
    missing = [name for name in content.evaluation.columns if name not in evaluation.columns]
    if missing:
        return f"its evaluation set had a column {bounded(missing[0])!r}, this one has not"
    if content.evaluation.rows != evaluation.rows:
        return (
            f"it was judged on {content.evaluation.rows:,} rows, this evaluation set has "
            f"{evaluation.rows:,}"
        )
    if evaluation.digest(content.evaluation.columns) != content.evaluation.digest:
        return "it was judged on other data: the same columns hold other values"
    return None


def label_text(value: object) -> str:
    """Return a label's canonical text, as `Table.codes` gives it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
