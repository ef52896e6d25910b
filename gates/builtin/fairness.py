"""The `fairness` gate: groups fare alike, and no worse than under the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, StrictInt, StrictStr

from gates.builtin.checks import Numbers, Rule, check, measure_part, pair_numbers
from gates.builtin.declared import Declared, Spot, declared
from gates.builtin.parted import Parted, group_rates
from gates.builtin.parts import few_clusters
from gates.builtin.samples import Asked
from gates.builtin.stored import Compared
from gates.fields import MAX_TEXT, bounded
from gates.limits import (
    Bounds,
    Limit,
    Policies,
    Positive,
    Problem,
    Tolerance,
    bound_problems,
    column_problems,
    limits_at,
    unknown_metric,
)
from gates.picture import GroupRate
from gates.report import Check, Family, GateResult, Task, Verb
from gates.stats.catalogue import (
    METRICS,
    NAMED_DISPARITIES,
    Spread,
    disparity,
    group_verbs,
    metrics_for,
    span,
    verbs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gates.evidence import Evidence, Policy


_GROUP_SIZE = "group_size"
_NAMED = 10  # of the groups that were not judged; the table has all


class FairnessLimits(Bounds, Policies):
    """Limits on a disparity between groups, or on a rate in every group."""

    max_rise_any_group: Tolerance | None = Field(
        default=None, description="In no group does the rate rise by more than this."
    )
    max_drop_any_group: Tolerance | None = Field(
        default=None, description="In no group does the rate fall by more than this."
    )
    beta: Positive | None = Field(default=None, description="The β of `fbeta`.")


class Fairness(Policies):
    """Hold Fairlearn's disparities between groups against limits and against the baseline.

    What it measures: a rate in each group of each sensitive column (or of an intersection, written
    `[sex, race]`), and the disparity between groups as Fairlearn defines it. Limits are on the
    disparity itself, on its change from the baseline, or on each group's own change.

    When it lies: groups below `min_group` rows are not judged, and a check for each sensitive set
    (`fairness/group_size:min@…`) says which and stays undecided; with many small groups the
    largest difference is large by chance alone, so an absolute limit needs rows; equal rates are
    not the same as fair treatment where the groups' circumstances differ.

    How to fix a fail: the group table shows who lost. Look at that group's rows in training data,
    at a feature that stands in for the group, and at the threshold.
    """

    gate: ClassVar[str] = "fairness"

    sensitive: tuple[StrictStr | tuple[StrictStr, ...], ...] = Field(
        min_length=1, description="Sensitive columns; [column, column] for an intersection."
    )
    min_group: StrictInt = Field(
        default=50, ge=2, description="Groups with fewer rows are undecided, and named."
    )
    metrics: dict[StrictStr, FairnessLimits] = Field(min_length=1)

    @property
    def needs_baseline(self) -> bool:
        """Return whether any limit is on a change."""
        verbs = [limit.verb for limit in self.limits()]
        return any(verb.needs_baseline and not verb.needs_anchor for verb in verbs)

    @property
    def pairs(self) -> bool:
        """Return whether rows of the baseline's model are looked at."""
        return self.needs_baseline

    @property
    def needs_truth(self) -> bool:
        """Return whether rows must have a label."""
        return True

    @property
    def remembers(self) -> Asked:
        """Return of what a baseline is to remember how it was distributed: of nothing."""
        return Asked()

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the sensitive columns."""
        listed = ((spec,) if isinstance(spec, str) else spec for spec in self.sensitive)
        return tuple(column for columns in listed for column in columns)

    def problems(self, task: Task) -> Iterator[Problem]:
        """Yield what is wrong with these options for a model of this task."""
        listed = ((spec,) if isinstance(spec, str) else spec for spec in self.sensitive)
        yield from column_problems("sensitive", listed)
        for name, limits in self.metrics.items():
            for problem in _metric_problems(task, name, limits):
                yield Problem(path=("metrics", name, *problem.path), message=problem.message)

    def limits(self) -> Iterator[Limit]:
        """Yield every limit, and the key that it is at."""
        for name, limits in self.metrics.items():
            found = disparity(name)
            rate = METRICS.get(found.rates[0] if found else name)
            reach = span(rate, found.spread if found else None) if rate else (None, None)
            yield from limits_at(("metrics", name), limits.given(), reach)

    def declared(self, policy: Policy, root: Path) -> Iterator[Declared]:  # noqa: ARG002  asked alike
        """Yield every question that these options alone tell of."""
        for spec in self.sensitive:
            columns = tuple(map(bounded, (spec,) if isinstance(spec, str) else spec))
            for name, limits in self.metrics.items():
                spot = _spot(columns, by_group=disparity(name) is None)
                asked = (self.gate, name), limits.given(), (limits, self), policy
                yield from declared(*asked, spot)
            size = (self.gate, _GROUP_SIZE), {Verb.MIN: float(self.min_group)}, (self,), policy
            at = replace(_spot(columns, by_group=True), each=(), place=",".join(columns))
            yield from (replace(one, rare=True) for one in declared(*size, at))

    def compared(self, evidence: Evidence) -> Iterator[Compared]:
        """Yield what is measured of the baseline: every rate in every group."""
        for spec in self.sensitive:
            columns = (spec,) if isinstance(spec, str) else spec
            for part in evidence.groups(columns):
                for rate, beta in self._betas():
                    yield Compared(
                        metric=rate,
                        beta=beta,
                        place=part.name,
                        values=part.values,
                        index=part.index,
                    )

    def judge(self, evidence: Evidence) -> GateResult:
        """Measure every group and disparity. Raises InputError for unknown columns."""
        checks: list[Check] = []
        groups: list[GroupRate] = []
        notes = list(few_clusters(evidence))
        for spec in self.sensitive:
            columns = (spec,) if isinstance(spec, str) else spec
            parted = Parted(evidence=evidence, columns=columns, parts=evidence.groups(columns))
            judged = parted.of_size(self.min_group)
            if parted.rows < evidence.rows:
                notes.append(
                    f"{', '.join(map(bounded, columns))}: {evidence.rows - parted.rows:,} of "
                    f"{evidence.rows:,} rows have no value here and are in no group."
                )
            if len(judged.parts) < len(parted.parts):
                checks.append(self._unjudged(parted))
            for name, limits in self.metrics.items():
                checks += self._checks(judged, name, limits)
            groups += group_rates(parted, self._rates(), self.min_group)
        return GateResult(
            gate=self.gate,
            summary=f"{len(self.metrics)} metrics over {len(self.sensitive)} sensitive sets",
            hint="The rates by group say whose moved: look at that group's rows first.",
            checks=tuple(checks),
            groups=tuple(groups),
            notes=tuple(notes),
        )

    def _unjudged(self, parted: Parted) -> Check:
        """Return the question that groups with too few rows leave open, as one check a set."""
        left = [part for part in parted.parts if len(part.index) < self.min_group]
        names = ", ".join(f"`{part.name}`" for part in left[:_NAMED])
        more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
        one = len(left) == 1
        numbers = Numbers(
            n=parted.rows,
            problem=bounded(
                f"{len(left):,} of {len(parted.parts):,} groups {'has' if one else 'have'} fewer "
                f"than {self.min_group} rows and {'was' if one else 'were'} not judged: "
                f"{names}{more}.",
                MAX_TEXT,
            ),
        )
        rule = Rule(
            gate=self.gate,
            metric=_GROUP_SIZE,
            # Never of all rows: what cannot be told of a group is undecided, and no error.
            family=Family.SLICES if len(parted.columns) == 1 else Family.INTERSECTIONS,
            place=parted.place,
            sensitive=parted.names,
            policies=(self,),
        )
        return check(parted.evidence, rule, Verb.MIN, float(self.min_group), numbers)

    def _betas(self) -> tuple[tuple[str, float], ...]:
        """Return each rate with each β that it is measured at."""
        listed = [(rate, 1.0) for rate in self._rates()]
        for name, limits in self.metrics.items():
            found = disparity(name)
            listed += [(rate, limits.beta or 1.0) for rate in (found.rates if found else (name,))]
        return tuple(dict.fromkeys(listed))

    def _rates(self) -> tuple[str, ...]:
        """Return the catalogue metrics that the configured disparities and rates are made of."""
        named = [disparity(name) for name in self.metrics]
        rates = [d.rates if d else (n,) for n, d in zip(self.metrics, named, strict=True)]
        return tuple(dict.fromkeys(rate for group in rates for rate in group))

    def _checks(self, parted: Parted, name: str, limits: FairnessLimits) -> Iterator[Check]:
        found = disparity(name)
        if found is None:
            yield from self._each_group(parted, name, limits)
            return
        rule = Rule(
            gate=self.gate,
            metric=name,
            family=parted.family,
            place=parted.place,
            sensitive=parted.names,
            policies=(limits, self),
        )
        numbers: dict[bool, dict[bool, Numbers]] = {}
        for verb, bound in limits.given().items():
            if verb.needs_anchor not in numbers:
                held = parted.against(verb)
                numbers[verb.needs_anchor] = held.disparity(found, limits.beta or 1.0)
            measured = numbers[verb.needs_anchor][verb.needs_baseline]
            yield check(parted.evidence, rule, verb, bound, measured)

    def _each_group(self, parted: Parted, name: str, limits: FairnessLimits) -> Iterator[Check]:
        evidence = parted.evidence
        family = Family.SLICES if len(parted.columns) == 1 else Family.INTERSECTIONS
        for part, group in zip(parted.parts, parted.groups, strict=True):
            rule = Rule(
                gate=self.gate,
                metric=name,
                family=family,
                place=part.name,
                slice={bounded(k): bounded(v) for k, v in part.values.items()},
                sensitive=parted.names,
                policies=(limits, self),
            )
            pair = measure_part(group, name, beta=limits.beta or 1.0)
            for verb, bound in limits.given().items():
                yield check(evidence, rule, verb, bound, pair_numbers(evidence, pair, verb))


def _spot(columns: tuple[str, ...], *, by_group: bool) -> Spot:
    """Return where a sensitive set is asked about: in each group, or between them."""
    single = len(columns) == 1
    if by_group:
        family = Family.SLICES if single else Family.INTERSECTIONS
        return Spot(family=family, each=columns, sensitive=columns)
    family = Family.OVERALL if single else Family.INTERSECTIONS
    return Spot(family=family, place=",".join(columns), sensitive=columns)


def _metric_problems(task: Task, name: str, limits: FairnessLimits) -> Iterator[Problem]:
    known = metrics_for(task)
    found = disparity(name)
    given = limits.given()
    if (found is None and name not in known) or (found and not set(found.rates) <= set(known)):
        named = [f"{stem}_{s.value}" for stem in (*NAMED_DISPARITIES, *known) for s in Spread]
        spreads = [one for one in named if disparity(one)]
        yield Problem(path=(), message=unknown_metric(name, [*known, *spreads]))
        return
    rates = found.rates if found else (name,)
    if limits.beta is not None and "fbeta" not in rates:
        yield Problem(path=("beta",), message="`beta` belongs to `fbeta` alone")
    if not given:
        yield Problem(path=(), message=f"`{name}` has no limit; give it one, such as `max_rise`")
    if found is None:
        better = METRICS[name].better
        yield from bound_problems(name, given, better, group_verbs(better), span(METRICS[name]))
    else:
        reach = span(METRICS[found.rates[0]], found.spread)
        yield from bound_problems(name, given, found.better, verbs(found.better), reach)
