"""Everything a gate may look at, frozen, and the one order in which it is refused.

Does it open → are the columns there → are the values usable → is it comparable with the baseline.
A gate gets an `Evidence` only when all four hold; so no gate asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from gates.fields import Model, bounded
from gates.report import Correction, Decide, Mode, OnInconclusive, Task
from gates.stats.catalogue import METRICS_VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.artifacts.manifest import Manifest
    from gates.record import Content, Record
    from gates.report import Verb
    from gates.stats.cells import Cells
    from gates.stats.metrics import Rows
    from gates.stats.sketch import Sketch
    from gates.tables import Engine, Table
    from gates.where import Where

CANDIDATE = "candidate"
BASELINE = "baseline"
MAX_GROUPS = 200


class Columns(Model):
    """What the columns of a predictions file are called; `score` may be one name or a prefix."""

    prediction: StrictStr = "prediction"
    score: StrictStr = "score"


DEFAULT_COLUMNS = Columns()


def _within(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    if not path.strip() or path[0] in "/\\" or ".." in parts or ":" in parts[0] or "\0" in path:
        raise ValueError("expected a path below the configuration's folder, without `..`")
    return path


# What every predictor has beside its own options: the model that made the predictions.
ArtifactPath = Annotated[
    StrictStr,
    AfterValidator(_within),
    Field(description="The model's file or folder, which the artifact gate judges."),
]


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
    SKETCH = "sketch"
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
    correction: Correction = Correction.HOLM
    min_count: int = 10
    public: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One predictions file and what its columns are called; `id` where it is not `data.id`.

    `notes` is what the report has to say about how the file was made.
    """

    path: Path
    columns: Columns = DEFAULT_COLUMNS
    threshold: float = 0.5
    id: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Rows that are looked at together: by values of columns, or by a condition."""

    values: Mapping[str, str]
    index: NDArray[np.intp]

    @property
    def name(self) -> str:
        """Return the part of a rule id behind the `@`."""
        name = ",".join(f"{bounded(k)}={bounded(v)}" for k, v in self.values.items())
        return bounded(name, 400)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a gate may look at; arrays have one entry per row, in the order of the joined table.

    `anchor` is the same evidence once more, as it is held against the anchor. `artifact` are the
    candidate's own files, where the configuration names them. What belongs to the rules, such as a
    suite, stands below `policy_root`, where that is not `root`, the data's. Rows that are not
    `labelled` have no truth: only gates that need none are given them.
    """

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
    sketch: Sketch | None = None
    comparison: Comparison = Comparison.NONE
    anchor: Evidence | None = None
    artifact: Manifest | None = None
    policy_root: Path | None = None
    labelled: bool = True

    @property
    def rows(self) -> int:
        """Return how many rows are judged."""
        return self.joined.rows

    def against(self, verb: Verb) -> Evidence:
        """Return this evidence as it is held against what a limit is on a change from."""
        if not verb.needs_anchor:
            return self
        if self.anchor is not None:
            return self.anchor
        return replace(self, baseline=None, record=None, sketch=None, comparison=Comparison.NONE)

    @cached_property
    def identical(self) -> bool:
        """Return whether both models gave the same outputs on every row: it is the same model."""
        return self.baseline is not None and self.candidate.agree(self.baseline)

    @cached_property
    def models(self) -> tuple[Rows, ...]:
        """Return the candidate's rows and, where it has any, the baseline's, with their order."""
        both = (self.candidate, self.baseline)
        return tuple(rows.ranked() for rows in both if rows is not None)

    @cached_property
    def cells(self) -> Cells:
        """Return the same for metrics of predicted classes (no regression): what rows come to."""
        from gates.stats.cells import cells

        return cells([rows for rows in (self.candidate, self.baseline) if rows is not None])

    @cached_property
    def clusters(self) -> NDArray[np.int32] | None:
        """Return each row's cluster as a code, or None where rows are independent."""
        column = self.data.cluster
        if column is None:
            return None
        self.joined.require_present(column, "clusters")
        codes, _ = self.joined.codes(column)
        return codes

    @cached_property
    def hashes(self) -> NDArray[np.int64]:
        """Return a hash of each row's cluster or id, from which the blocks of a sketch are made."""
        from gates.stats.sketch import HASHES

        return self.joined.blocks(self.data.cluster or self.data.id, HASHES)

    def groups(self, columns: tuple[str, ...]) -> tuple[Slice, ...]:
        """Return the rows of each combination of values, by name; rows with a null are in none.

        Raises InputError for a column that has too many different values.
        """
        from gates.stats.cells import grouped

        coded = {column: self._codes(column) for column in columns}
        groups = grouped([codes for codes, _ in coded.values()])
        return tuple(
            Slice(
                values={name: names[codes[index[0]]] for name, (codes, names) in coded.items()},
                index=index,
            )
            for index in groups
        )

    def _codes(self, column: str) -> tuple[NDArray[np.int16], tuple[str, ...]]:
        """Return a grouping column's codes; they are kept, for another gate asks for them, too."""
        import numpy as np

        if column not in self._coded:
            codes, names = self.joined.codes(column, limit=MAX_GROUPS)
            self._coded[column] = (codes.astype(np.int16), names)
        return self._coded[column]

    @cached_property
    def _coded(self) -> dict[str, tuple[NDArray[np.int16], tuple[str, ...]]]:
        return {}

    @cached_property
    def _masked(self) -> dict[str, NDArray[np.bool_]]:
        return {}

    def where(self, name: str, condition: Where) -> Slice:
        """Return the rows for which a condition holds; a null never does."""
        import numpy as np

        # Kept, for whoever counts flips asks again; a truth value is a byte a row.
        if condition.text not in self._masked:
            self._masked[condition.text] = self.joined.mask(condition)
        index = np.flatnonzero(self._masked[condition.text])
        return Slice(values={name: condition.text}, index=index)


def other_question(content: Content, data: Data, task: Task) -> str | None:
    """Return why a registered baseline's numbers mean something else, or None if they do not."""
    positive = label_text(data.positive) if task is Task.BINARY else None
    if content.task is not task:
        return f"it was registered for task {content.task.value!r}, this is {task.value!r}"
    if content.label != data.label:
        return f"its label is {bounded(content.label)!r}, this one is {bounded(data.label)!r}"
    if content.positive != positive:
        return f"its positive label is {content.positive!r}, this one is {positive!r}"
    if content.metrics_version != METRICS_VERSION:
        return f"its metrics are of version {content.metrics_version}, ours {METRICS_VERSION}"
    return None


def other_data(content: Content, evaluation: Table) -> str | None:
    """Return why a registered baseline was judged on other rows, or None if they are these."""
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
