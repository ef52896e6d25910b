"""The `drift` gate: the data, and what the model says of them, are still what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, StrictStr

from gates.builtin.against import Against, Measured, ReferenceFile
from gates.builtin.apart import NULLS
from gates.builtin.checks import Rule, check
from gates.builtin.declared import MAX_PLACE, Declared, Spot, declared
from gates.builtin.samples import Asked, Output
from gates.fields import Model, bounded
from gates.limits import Limit, Policies, Positive, Problem, limits_at
from gates.report import Check, Family, GateResult, Task, Verb
from gates.stats.catalogue import DISTANCES

if TYPE_CHECKING:
    from pathlib import Path

    from gates.builtin.stored import Compared
    from gates.evidence import Evidence, Policy

_PSI, _NULLS = 0.1, 0.05


class Most(Policies):
    """A limit on one distance."""

    max: Positive = Field(description="The distance is at most this.")


class Distances(Model):
    """Limits on how far one column, or one output, is from its reference; none: psi 0.1."""

    psi: Most | None = Field(default=None, description="Population stability index.")
    ks: Most | None = Field(default=None, description="Kolmogorov-Smirnov distance, of numbers.")
    wasserstein: Most | None = Field(
        default=None, description="Wasserstein-1 in the reference's standard deviations."
    )
    js_distance: Most | None = Field(default=None, description="Jensen-Shannon, base 2.")
    total_variation: Most | None = Field(default=None, description="Share that moved.")
    cramers_v: Most | None = Field(default=None, description="Cramér's V.")
    null_change: Most | None = Field(
        default=None, description="Move of the share of nulls; of a column 0.05 if not given."
    )

    def given(self) -> dict[str, Most]:
        """Return the limits that were set, by distance."""
        found = {name: getattr(self, name) for name in DISTANCES}
        return {name: limit for name, limit in found.items() if limit is not None}

    def asked(self, *, nulls: bool) -> dict[str, Most]:
        """Return the limits that hold; with `nulls`, one on these as well."""
        found = self.given()
        if not found.keys() - {NULLS}:
            found = {"psi": Most(max=_PSI), **found}
        return {**found, NULLS: found.get(NULLS, Most(max=_NULLS))} if nulls else found


@dataclass(frozen=True, kw_only=True)
class _Place:
    """One thing that is compared: a column, or an output of the model."""

    name: str
    limits: Distances
    output: Output | None = None

    @property
    def asked(self) -> dict[str, Most]:
        """Return the limits that hold; an output has no nulls."""
        return self.limits.asked(nulls=self.output is None)

    @property
    def path(self) -> tuple[str, ...]:
        """Return the key it stands at."""
        return (self.output,) if self.output else ("columns", self.name)

    @property
    def family(self) -> Family:
        """Return with which questions it is corrected: columns are many."""
        return Family.OVERALL if self.output else Family.SLICES

    @property
    def about(self) -> tuple[str, ...]:
        """Return the column or the output as it stands in a report."""
        return (bounded(self.name),)


class Drift(Policies):
    """Hold the distribution of columns, scores and predictions against that of a reference.

    What it measures: how far each named column of the evaluation data, and the model's own output,
    is from what the registered baseline was judged on (or from a file), in bins that were made of
    the reference. A distance fails when its whole interval is beyond the limit, so that very many
    rows do not make a small drift a fail, nor few rows make a large one a pass. Columns are one
    family of questions; the score and the prediction are another. Rows are not paired, so the
    evaluation data need not be those of the baseline.

    When it lies: it sees one column at a time, so a relation between two may break unseen. What
    drifted need not matter to the model, and a model can go bad without any drift. A season is a
    drift. PSI is of ten bins: what moves within a bin is not in it. Rows that belong together
    (`data.cluster`) count as one for as far as they could be alike, which is cautious.

    How to fix a fail: look at which column moved, and whether where it comes from has changed. Mend
    the data, or retrain on what is true now and register the new baseline, which is then what
    is remembered.
    """

    gate: ClassVar[str] = "drift"

    columns: dict[StrictStr, Distances] = Field(
        default_factory=dict, description="Columns of the evaluation data, each with its limits."
    )
    score: Distances | None = Field(default=None, description="Limits on the score (binary).")
    prediction: Distances | None = Field(default=None, description="Limits on the prediction.")
    reference: ReferenceFile | None = Field(
        default=None, description="A file to compare with, in place of the registered baseline."
    )

    @property
    def needs_baseline(self) -> bool:
        """Return whether the baseline is what tells of the reference."""
        return self.reference is None

    @property
    def pairs(self) -> bool:
        """Return whether rows of the baseline's model are looked at: never."""
        return False

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns read of the joined rows: none, it looks at the table itself."""
        return ()

    @property
    def needs_truth(self) -> bool:
        """Return whether rows must have a label."""
        return False

    @property
    def remembers(self) -> Asked:
        """Return of what a baseline is to remember how it was distributed."""
        if self.reference is not None:
            return Asked()
        places = tuple(self._places())
        return Asked(
            columns=tuple(place.name for place in places if place.output is None),
            outputs=tuple(place.output for place in places if place.output is not None),
        )

    def _places(self) -> Iterator[_Place]:
        if self.score is not None:
            yield _Place(name="score", limits=self.score, output="score")
        if self.prediction is not None:
            yield _Place(name="prediction", limits=self.prediction, output="prediction")
        for name, limits in self.columns.items():
            yield _Place(name=name, limits=limits)

    def problems(self, task: Task) -> Iterator[Problem]:
        """Yield what is wrong with these options for a model of this task."""
        places = tuple(self._places())
        if not places:
            yield Problem(path=(), message="nothing is compared; give it `columns` or `score`")
        if self.score is not None and task is not Task.BINARY:
            message = "only a binary task has one score; ask of `prediction`"
            yield Problem(path=("score",), message=message)
        outputs = {place.output for place in places}
        for place in places:
            if place.output is None and (not place.name.strip() or place.name in outputs):
                message = "this is no column's name, or is that of an output which is asked of"
                yield Problem(path=place.path, message=message)
            for name, limit in place.limits.given().items():
                wrong = _wrong(place, name, limit.max, task)
                if wrong is not None:
                    yield Problem(path=(*place.path, name), message=wrong)

    def limits(self) -> Iterator[Limit]:
        """Yield every limit, and the key that it is at."""
        for place in self._places():
            for name, limit in place.limits.given().items():
                reach = 0.0, DISTANCES[name].high
                yield from limits_at((*place.path, name), {Verb.MAX: limit.max}, reach)

    def declared(self, policy: Policy, root: Path) -> Iterator[Declared]:  # noqa: ARG002  asked alike
        """Yield every question that these options alone tell of."""
        for place in self._places():
            for name, limit in place.asked.items():
                spot = Spot(family=place.family, place=bounded(place.name, MAX_PLACE))
                asked = (self.gate, name), {Verb.MAX: limit.max}, (limit, self), policy
                for one in declared(*asked, spot):
                    yield replace(
                        one, columns=place.about, strict=True, remembered=self.needs_baseline
                    )

    def compared(self, evidence: Evidence) -> Iterator[Compared]:  # noqa: ARG002  every gate is asked alike
        """Yield nothing: no metric of the baseline's model is looked at."""
        return iter(())

    def judge(self, evidence: Evidence) -> GateResult:
        """Measure every distance.

        Raises InputError for a reference file that cannot be used, or is another than was named.
        """
        against = Against.of(self.reference, evidence)
        checks: list[Check] = []
        notes: list[str] = []
        for place in self._places():
            measured = against.measured(place.name, place.output)
            checks += [self._check(evidence, place, measured, name) for name in place.asked]
            notes += measured.notes(evidence.policy.min_count)
        return GateResult(
            gate=self.gate,
            summary=f"{len(checks):,} distances from {against.name}",
            hint="Look at what each column that moved is made of; where the new data are right, "
            "retrain, and register the new baseline.",
            checks=tuple(checks),
            notes=tuple(notes),
        )

    def _check(self, evidence: Evidence, place: _Place, measured: Measured, name: str) -> Check:
        limit = place.asked[name]
        numbers = measured.numbers(name, evidence)
        rule = Rule(
            gate=self.gate,
            metric=name,
            # Where there is no number that is an error: of a slice it would be mere doubt.
            family=Family.OVERALL if numbers.problem else place.family,
            place=bounded(place.name, MAX_PLACE),
            policies=(limit, self),
        )
        found = check(evidence, rule, Verb.MAX, limit.max, numbers)
        return found.model_copy(update={"columns": place.about})


def _wrong(place: _Place, name: str, most: float, task: Task) -> str | None:
    """Return why a limit makes no sense at a place."""
    metric = DISTANCES[name]
    if place.output is not None and name == NULLS:
        return "an output always has a value"
    if place.output == "prediction" and metric.ordered and task is not Task.REGRESSION:
        return f"`{name}` is of numbers, and a predicted class is none"
    if metric.high is not None and most >= metric.high:
        return f"{most:g} can never be reached: `{name}` is at most {metric.high:g}"
    return None
