"""The `performance` gate: the candidate is good enough, and no worse than the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field, StrictStr

from gates.builtin.checks import Pair, Rule, check, measure_part, part_numbers
from gates.builtin.declared import Declared, Spot, declared, place_of
from gates.builtin.parts import Part, few_clusters, in_threads, prepare
from gates.builtin.samples import Asked
from gates.builtin.stored import Compared
from gates.errors import ConfigError, GatesError
from gates.fields import Model, bounded
from gates.limits import (
    Bounds,
    Limit,
    Policies,
    Positive,
    Problem,
    bound_problems,
    column_problems,
    limits_at,
    unknown_metric,
)
from gates.report import Check, Family, GateResult, Task, Verb
from gates.stats.catalogue import METRICS, metrics_for, span, verbs
from gates.where import parse

if TYPE_CHECKING:
    from pathlib import Path

    from gates.evidence import Evidence, Policy, Slice

_AGREEMENT = 1e-9


def _condition(text: str) -> str:
    try:
        parse(text)
    except ConfigError as error:
        # Only a ValueError is given its place in the file.
        raise ValueError(str(error)) from error
    return text


class Condition(Model):
    """A slice given by a condition on columns, such as `age < 25 and region == "north"`."""

    name: StrictStr = Field(min_length=1, max_length=100)
    where: Annotated[StrictStr, AfterValidator(_condition)]


class MetricLimits(Bounds, Policies):
    """Limits on one metric; `slices` replaces, in slices, the limits on change."""

    beta: Positive | None = Field(default=None, description="The β of `fbeta`.")
    slices: Bounds | None = Field(
        default=None, description="Limits in slices, instead of the change limits given here."
    )

    def in_slices(self) -> dict[Verb, float]:
        """Return the limits that hold in every slice.

        Without `slices` these are the limits on change: what is fair to ask of the whole set
        as a floor is seldom fair to ask of each part.
        """
        if self.slices is not None:
            return self.slices.given()
        return {verb: bound for verb, bound in self.given().items() if verb.needs_baseline}


class Performance(Policies):
    """Hold scikit-learn's metrics against absolute limits and against the registered baseline.

    What it measures: each metric on the whole evaluation set and in each declared slice, for both
    models on the same rows. A limit on change is decided by the interval of the paired
    difference, an absolute one by the candidate's own interval.

    When it lies: an evaluation set that the candidate was trained on flatters it; rows that
    belong together (`data.cluster`) and are not declared make intervals too narrow; a metric of
    predictions (recall, F1) moves with the threshold although the scores are as good as before.

    How to fix a fail: look at which slice or metric moved; retrain, move the threshold, or, where
    the loss is meant, widen the limit in the configuration by a reviewed change.
    """

    gate: ClassVar[str] = "performance"

    metrics: dict[StrictStr, MetricLimits] = Field(min_length=1)
    slices: tuple[StrictStr | tuple[StrictStr, ...] | Condition, ...] = Field(
        default=(), description="Columns, [column, column] for intersections, or conditions."
    )

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
        """Return the columns of the evaluation set that slices are made of."""
        named: list[str] = []
        for spec in self.slices:
            if isinstance(spec, Condition):
                named += parse(spec.where).columns
            else:
                named += (spec,) if isinstance(spec, str) else spec
        return tuple(named)

    def problems(self, task: Task) -> Iterator[Problem]:
        """Yield what is wrong with these options for a model of this task."""
        known = metrics_for(task)
        for name, limits in self.metrics.items():
            path = ("metrics", name)
            if name not in known:
                yield Problem(path=path, message=unknown_metric(name, known))
                continue
            yield from _limit_problems(path, name, limits)
        yield from column_problems("slices", map(_columns, self.slices))
        if self.slices and not any(m.in_slices() for m in self.metrics.values()):
            yield Problem(
                path=("slices",),
                message="slices are declared, but no metric has a limit that holds in slices; "
                "give one a limit on change, or a `slices:` block",
            )

    def limits(self) -> Iterator[Limit]:
        """Yield every limit, and the key that it is at."""
        for name, limits in self.metrics.items():
            reach = span(METRICS[name]) if name in METRICS else (None, None)
            yield from limits_at(("metrics", name), limits.given(), reach)
            if limits.slices is not None:
                yield from limits_at(("metrics", name, "slices"), limits.slices.given(), reach)

    def declared(self, policy: Policy, root: Path) -> Iterator[Declared]:  # noqa: ARG002  asked alike
        """Yield every question that these options alone tell of."""
        for name, limits in self.metrics.items():
            asked = (self.gate, name), limits.given(), (limits, self), policy
            yield from declared(*asked, Spot(family=Family.OVERALL, whole=True))
        for name, limits in self.metrics.items():
            for spec in self.slices:
                asked = (self.gate, name), limits.in_slices(), (limits, self), policy
                yield from declared(*asked, _spot(spec))

    def compared(self, evidence: Evidence) -> Iterator[Compared]:
        """Yield what is measured of the baseline: every metric overall and, with limits, sliced."""
        for name, limits in self.metrics.items():
            yield Compared(metric=name, beta=limits.beta or 1.0)
        sliced = {name: m.beta or 1.0 for name, m in self.metrics.items() if m.in_slices()}
        for _, parts in self._slices(evidence):
            for part in parts:
                for name, beta in sliced.items():
                    yield Compared(
                        metric=name,
                        beta=beta,
                        place=part.name,
                        values=part.values,
                        index=part.index,
                    )

    def judge(self, evidence: Evidence) -> GateResult:
        """Measure every metric overall and in every slice. InputError for unknown columns."""
        whole = Part(evidence=evidence)
        checks = [c for name in self.metrics for c in self._overall(whole, name)]
        for held in (evidence, evidence.anchor):
            if held is not None:
                prepare(held)
        for family, found in self._slices(evidence):
            for listed in in_threads(partial(self._in_slice, evidence, family), found):
                checks += listed
        parts = len({c.id.partition("@")[2] for c in checks if c.slice is not None})
        return GateResult(
            gate=self.gate,
            summary=f"{len(self.metrics)} metrics on {evidence.rows:,} rows"
            + (f" and in {parts} slices" if parts else ""),
            hint="A red check names the metric and the slice that moved: compare the flipped rows "
            "there, or move the threshold.",
            checks=tuple(checks),
            notes=few_clusters(evidence),
        )

    def _overall(self, whole: Part, name: str) -> Iterator[Check]:
        evidence, limits = whole.evidence, self.metrics[name]
        pair = measure_part(whole, name, beta=limits.beta or 1.0)
        _agree(whole, pair, limits.beta or 1.0)
        rule = Rule(gate=self.gate, metric=name, family=Family.OVERALL, policies=(limits, self))
        for verb, bound in limits.given().items():
            numbers = part_numbers(whole, pair, verb, limits.beta or 1.0)
            yield check(evidence, rule, verb, bound, numbers)

    def _in_slice(self, evidence: Evidence, family: Family, found: Slice) -> list[Check]:
        # What was made of its rows is shared by all metrics, and gone before the next slice.
        part = Part(evidence=evidence, index=found.index)
        return [c for name in self.metrics for c in self._checks(part, name, family, found)]

    def _checks(self, part: Part, name: str, family: Family, found: Slice) -> Iterator[Check]:
        evidence, limits = part.evidence, self.metrics[name]
        given = limits.in_slices()
        if not given:
            return
        pair = measure_part(part, name, beta=limits.beta or 1.0)
        rule = Rule(
            gate=self.gate,
            metric=name,
            family=family,
            place=found.name,
            slice={bounded(k): bounded(v) for k, v in found.values.items()},
            policies=(limits, self),
        )
        for verb, bound in given.items():
            numbers = part_numbers(part, pair, verb, limits.beta or 1.0)
            yield check(evidence, rule, verb, bound, numbers)

    def _slices(self, evidence: Evidence) -> Iterator[tuple[Family, tuple[Slice, ...]]]:
        """Yield the slices of one entry of `slices` at a time; those before may be forgotten."""
        for spec in self.slices:
            if isinstance(spec, Condition):
                yield Family.SLICES, (evidence.where(spec.name, parse(spec.where)),)
                continue
            columns = (spec,) if isinstance(spec, str) else spec
            family = Family.SLICES if len(columns) == 1 else Family.INTERSECTIONS
            yield family, evidence.groups(columns)


def _spot(spec: str | tuple[str, ...] | Condition) -> Spot:
    """Return where one entry of `slices` asks."""
    if isinstance(spec, Condition):
        values = {bounded(spec.name): bounded(parse(spec.where).text)}
        return Spot(family=Family.SLICES, place=place_of(values), slice=values)
    columns = tuple(bounded(column) for column in ((spec,) if isinstance(spec, str) else spec))
    family = Family.SLICES if len(columns) == 1 else Family.INTERSECTIONS
    return Spot(family=family, each=columns)


def _columns(spec: str | tuple[str, ...] | Condition) -> tuple[str, ...]:
    """Return the columns of a slice; a condition stands for itself, by its name."""
    if isinstance(spec, Condition):
        return (f"{spec.name} (condition)",)
    return (spec,) if isinstance(spec, str) else spec


def _limit_problems(path: tuple[str, ...], name: str, limits: MetricLimits) -> Iterator[Problem]:
    metric = METRICS[name]
    allowed = verbs(metric.better)
    blocks: list[tuple[tuple[str, ...], Bounds]] = [((), limits)]
    if limits.slices is not None:
        blocks.append((("slices",), limits.slices))
    if not any(block.given() for _, block in blocks):
        yield Problem(path=path, message=f"`{name}` has no limit; give it one, such as `max_drop`")
    for below, block in blocks:
        wrong = bound_problems(name, block.given(), metric.better, allowed, span(metric))
        for problem in wrong:
            yield Problem(path=(*path, *below, *problem.path), message=problem.message)
    if limits.beta is not None and name != "fbeta":
        yield Problem(path=(*path, "beta"), message="`beta` belongs to `fbeta` alone")


def _agree(whole: Part, pair: Pair, beta: float) -> None:
    """Hold our number against scikit-learn's own: a difference is a bug, never a verdict."""
    from gates.stats.definitions import compared
    from gates.stats.metrics import goes_by_cell

    models = whole.cells if goes_by_cell(pair.metric) else whole.models
    for found, rows in zip((pair.candidate, pair.baseline), models, strict=False):
        if found is None:
            continue
        ours, theirs = compared(pair.metric, rows, found.value, beta=beta)
        if not math.isclose(ours, theirs, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
            raise GatesError(
                f"{pair.metric} came out as {ours!r}, scikit-learn says {theirs!r}",
                hint="Please report this: it is a bug in Model Gates.",
            )
