"""What drift is asked of: the values of a column of the data, or of an output of the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gates.errors import InputError
from gates.fields import bounded
from gates.record import Distribution, Remembered
from gates.report import Task

if TYPE_CHECKING:
    from gates.evidence import Columns, Evidence
    from gates.stats.arrays import Floats, Numbers
    from gates.tables import Table

Output = Literal["score", "prediction"]
_FINITE = 1.7976931348623157e308


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody wants to be told of: columns, and outputs of the model."""

    columns: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The values that are there: finite `numbers` (n,), or places (n,) in `names`.

    `nulls` rows have none. `design` is how many rows are worth one independent row.
    """

    name: str
    nulls: int
    design: float
    numbers: Floats | None = None
    codes: Numbers | None = None
    names: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Return how many rows have a value."""
        values = self.codes if self.numbers is None else self.numbers
        return 0 if values is None else len(values)

    def counted(self, metric: str) -> int:
        """Return how many rows a distance is of."""
        return self.rows + (self.nulls if metric == "null_change" else 0)

    @property
    def kind(self) -> str:
        """Return what the values are."""
        return "categories" if self.numbers is None else "numbers"

    def distribution(self, least: int) -> Distribution:
        """Return how it is distributed, with `least` rows in a bin or a named category."""
        import numpy as np

        from gates.stats.distributions import of_categories, of_numbers

        nulls, design = self.nulls, self.design
        if self.numbers is not None:
            return of_numbers(self.numbers, nulls=nulls, least=least, design=design)
        codes = np.zeros(0, dtype=np.int64) if self.codes is None else self.codes
        return of_categories(codes, self.names, nulls=nulls, least=least, design=design)


def column_sample(table: Table, column: str, design: float) -> Sample:
    """Return a column of a table.

    Raises InputError for one that is not there, or holds what has no bins: dates, lists, infinity.
    """
    import numpy as np

    from gates.tables import Kind

    table.require_columns([column], "drift is asked of it")
    kind = table.kinds[column]
    if kind in (Kind.INTEGER, Kind.NUMBER):
        table.require_between(column, -_FINITE, _FINITE, "drift is asked of it")
        values = table.numbers(column)
        there = values[~np.isnan(values)]
        nulls = len(values) - len(there)
        return Sample(name=column, nulls=nulls, design=design, numbers=there)
    if kind not in (Kind.TEXT, Kind.BOOLEAN):
        raise InputError(
            f"`{bounded(column)}` holds {kind.value}, which has no bins to compare",
            where=bounded(table.name),
            hint="Ask of a column of numbers, texts or truth values; make one of it.",
        )
    return _texts(table, column, column, design)


def output_sample(evidence: Evidence, output: Output, design: float) -> Sample:
    """Return an output of the candidate. InputError where it gives no score."""
    rows = evidence.candidate
    if output == "prediction" and evidence.task is not Task.REGRESSION:
        codes, names = rows.prediction, evidence.classes
        return Sample(name=output, nulls=0, design=design, codes=codes, names=names)
    if output == "prediction":
        return Sample(name=output, nulls=0, design=design, numbers=rows.prediction)
    if rows.score is None:
        raise InputError(
            "drift of `score` is asked, and the candidate's predictions have none",
            hint="Add a `score` column, or ask of `prediction`.",
        )
    return Sample(name=output, nulls=0, design=design, numbers=rows.score)


def file_sample(
    table: Table, output: Output, task: Task, columns: Columns, design: float
) -> Sample:
    """Return an output as a column of a reference file, of the kind that the model's has."""
    column = columns.score if output == "score" else columns.prediction
    table.require_columns([column], "drift is asked of it")
    if output == "score" or task is Task.REGRESSION:
        return column_sample(table, column, design)
    return _texts(table, column, output, design)


def _texts(table: Table, column: str, name: str, design: float) -> Sample:
    codes, names = table.codes(column)
    there = codes[codes >= 0]
    nulls = len(codes) - len(there)
    return Sample(name=name, nulls=nulls, design=design, codes=there, names=names)


def design_of(table: Table, cluster: str | None) -> float:
    """Return how many rows are worth one, where rows of a cluster may be alike (Kish 1965)."""
    import numpy as np

    from gates.stats.units import effective

    if cluster is None:
        return 1.0
    table.require_present(cluster, "what rows belong together by")
    codes, _ = table.codes(cluster)
    return max(1.0, len(codes) / effective(np.bincount(codes)))


def remembered(asked: Iterable[Asked], evidence: Evidence) -> Remembered:
    """Return what a baseline is to remember of the data it was judged on. Raises as the samples."""
    columns: dict[str, Distribution] = {}
    outputs: dict[Output, Distribution] = {}
    wanted = list(asked)
    if not any(one.columns or one.outputs for one in wanted):
        return Remembered()
    design, least = design_of(evidence.joined, evidence.data.cluster), evidence.policy.min_count
    for one in wanted:
        for name in one.columns:
            columns[name] = column_sample(evidence.evaluation, name, design).distribution(least)
        for output in one.outputs:
            outputs[output] = output_sample(evidence, output, design).distribution(least)
    return Remembered(columns=columns, outputs=outputs)
