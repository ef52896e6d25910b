"""What drift is held against: what the registered baseline remembers, or a file that is pinned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StrictStr, StringConstraints

from gates.builtin.apart import apart, require_comparable, strangers
from gates.builtin.checks import Numbers
from gates.builtin.samples import (
    Output,
    Sample,
    column_sample,
    design_of,
    file_sample,
    output_sample,
)
from gates.errors import InputError
from gates.evidence import Columns, other_data
from gates.fields import Model, bounded
from gates.record import Distribution

if TYPE_CHECKING:
    from gates.evidence import Evidence
    from gates.tables import Table

_NOT_COMPARED = "No baseline is registered: nothing was compared."


class ReferenceFile(Model):
    """A table to hold the data against, in place of what the baseline remembers."""

    file: StrictStr = Field(description="The table, from the configuration's folder.")
    sha256: Annotated[StrictStr, StringConstraints(pattern="^(sha256:)?[0-9a-f]{64}$")] = Field(
        description="The sha256 of the file: whoever changes the file has to change this rule."
    )
    columns: Columns = Field(default=Columns(), description="What outputs are called there.")

    def open(self, evidence: Evidence) -> Table:
        """Return the table. Raises InputError for one that is not the file that was named."""
        table = evidence.engine.open(evidence.root / self.file)
        if table.sha256 is None or table.sha256.removeprefix("sha256:") != self.sha256[-64:]:
            raise InputError(
                "the reference is not the file that the configuration names",
                where=bounded(self.file),
                hint=f"Its digest is {table.sha256}. If it is to be the reference, say so in "
                "`gates.drift.reference.sha256`, by a reviewed change.",
            )
        return table


@dataclass(frozen=True, kw_only=True, eq=False)
class Against:
    """The reference of one run. `same` says that the data are the very rows it was made of."""

    evidence: Evidence
    file: ReferenceFile | None = None
    table: Table | None = None
    same: bool = False
    design: float = 1.0

    @classmethod
    def of(cls, file: ReferenceFile | None, evidence: Evidence) -> Against:
        """Return what this evidence is held against. Raises as `ReferenceFile.open`."""
        cluster = evidence.data.cluster
        design = design_of(evidence.joined, cluster)
        if file is not None:
            return cls(evidence=evidence, file=file, table=file.open(evidence), design=design)
        record = evidence.record
        same = record is not None and not other_data(record.content, evidence.evaluation)
        return cls(evidence=evidence, same=same, design=design)

    @property
    def name(self) -> str:
        """Return what it is called in a report."""
        if self.table is not None and self.file is not None:
            return f"{bounded(self.file.file)} ({self.table.rows:,} rows)"
        if self.evidence.record is None:
            return "nothing: no baseline is registered"
        record = self.evidence.record
        return f"baseline v{record.version} ({record.content.evaluation.rows:,} rows)"

    def measured(self, name: str, output: Output | None) -> Measured:
        """Return a column or an output and its reference, or why they can not be compared."""
        if self.table is None and self.evidence.record is None:
            return Measured(name=name, problem=_NOT_COMPARED, skip=True)
        try:
            reference = self._reference(name, output)
            now = self._now(name, output)
        except InputError as error:
            return Measured(name=name, problem=f"{error.message}.")
        # The same outputs on the same rows are no drift, however few rows there are.
        same = self.same and (output is None or self.evidence.identical)
        return Measured(name=name, reference=reference, now=now, same=same)

    def _now(self, name: str, output: Output | None) -> Sample:
        if output is not None:
            return output_sample(self.evidence, output, self.design)
        return column_sample(self.evidence.evaluation, name, self.design)

    def _reference(self, name: str, output: Output | None) -> Distribution:
        evidence = self.evidence
        if self.table is not None and self.file is not None:
            design = design_of(self.table, evidence.data.cluster)
            if output is None:
                return column_sample(self.table, name, design).distribution(1)
            columns = self.file.columns
            return file_sample(self.table, output, evidence.task, columns, design).distribution(1)
        assert evidence.record is not None  # noqa: S101  (`measured` looks first)
        held = evidence.record.content.remembered
        found = held.columns.get(name) if output is None else held.outputs.get(output)
        if found is None:
            raise InputError(
                f"baseline v{evidence.record.version} does not remember `{bounded(name)}`: register"
                " it again with this configuration, or name a file under `gates.drift.reference`"
            )
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One column or output beside its reference; else the `problem`, which policy may `skip`."""

    name: str
    reference: Distribution | None = None
    now: Sample | None = None
    same: bool = False
    problem: str | None = None
    skip: bool = False

    def numbers(self, metric: str, evidence: Evidence) -> Numbers:
        """Return what a limit on a distance is held against."""
        from gates.stats.intervals import Interval
        from gates.stats.measured import Undefined

        if self.reference is None or self.now is None:
            return Numbers(n=0, problem=self.problem, skip=self.skip)
        rows = self.now.counted(metric)
        try:
            if self.same:
                require_comparable(metric, self.reference, self.now)
                nothing = Interval(low=0.0, high=0.0, method="identical")
                return Numbers(n=rows, candidate=0.0, interval=nothing)
            found = apart(metric, self.reference, self.now, evidence.policy)
        except Undefined as undefined:
            return Numbers(n=rows, problem=f"{metric} is undefined here: {undefined.reason}.")
        return Numbers(n=rows, candidate=found.value, interval=found.interval)

    def notes(self, least: int) -> tuple[str, ...]:
        """Return what a reader should know: rows of categories that the reference names not."""
        count = 0
        if self.reference is not None and self.now is not None and not self.same:
            count = strangers(self.reference, self.now)
        if not count:
            return ()
        rows = f"{count:,} rows have" if count >= least else f"fewer than {least} rows have"
        new = "a category that the reference has not, or too rarely to be named"
        return (f"{bounded(self.name)}: {rows} {new}.",)
