"""The `performance` gate: the candidate is good enough, and no worse than the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field, StrictStr

from gates.builtin.checks import Pair, Rule, check, measure_pair, pair_numbers
from gates.errors import ConfigError, GatesError
from gates.limits import (
    Bounds,
    Policies,
    Positive,
    Problem,
    bound_problems,
    span,
    unknown_metric,
)
from gates.report import Check, Family, GateResult, Model, Task, Verb, bounded
from gates.stats.catalogue import METRICS, metrics_for, verbs
from gates.where import parse

if TYPE_CHECKING:
    from gates.evidence import Evidence, Slice

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
        asked = [limits.given() | limits.in_slices() for limits in self.metrics.values()]
        return any(verb.needs_baseline for given in asked for verb in given)

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
        if self.slices and not any(m.in_slices() for m in self.metrics.values()):
            yield Problem(
                path=("slices",),
                message="slices are declared, but no metric has a limit that holds in slices; "
                "give one a limit on change, or a `slices:` block",
            )

    def judge(self, evidence: Evidence) -> GateResult:
        """Measure every metric overall and in every slice. InputError for unknown columns."""
        checks = [c for name in self.metrics for c in self._overall(evidence, name)]
        for family, part in self._slices(evidence):
            checks += [
                c for name in self.metrics for c in self._slice(evidence, name, family, part)
            ]
        parts = len({c.id.partition("@")[2] for c in checks if c.slice is not None})
        return GateResult(
            gate=self.gate,
            summary=f"{len(self.metrics)} metrics on {evidence.rows:,} rows"
            + (f" and in {parts} slices" if parts else ""),
            hint="A red check names the metric and the slice that moved: compare the flipped rows "
            "there, or move the threshold.",
            checks=tuple(checks),
        )

    def _overall(self, evidence: Evidence, name: str) -> Iterator[Check]:
        limits = self.metrics[name]
        pair = measure_pair(evidence, name, None, beta=limits.beta or 1.0)
        _agree(evidence, pair, limits.beta or 1.0)
        rule = Rule(gate=self.gate, metric=name, family=Family.OVERALL, policies=(limits, self))
        for verb, bound in limits.given().items():
            yield check(evidence, rule, verb, bound, pair_numbers(evidence, pair, verb))

    def _slice(self, evidence: Evidence, name: str, family: Family, part: Slice) -> Iterator[Check]:
        limits = self.metrics[name]
        given = limits.in_slices()
        if not given:
            return
        pair = measure_pair(evidence, name, part.index, beta=limits.beta or 1.0)
        rule = Rule(
            gate=self.gate,
            metric=name,
            family=family,
            place=part.name,
            slice={bounded(k): bounded(v) for k, v in part.values.items()},
            policies=(limits, self),
        )
        for verb, bound in given.items():
            yield check(evidence, rule, verb, bound, pair_numbers(evidence, pair, verb))

    def _slices(self, evidence: Evidence) -> Iterator[tuple[Family, Slice]]:
        for spec in self.slices:
            if isinstance(spec, Condition):
                yield Family.SLICES, evidence.where(spec.name, parse(spec.where))
                continue
            columns = (spec,) if isinstance(spec, str) else spec
            family = Family.SLICES if len(columns) == 1 else Family.INTERSECTIONS
            for part in evidence.groups(columns):
                yield family, part


def _limit_problems(path: tuple[str, ...], name: str, limits: MetricLimits) -> Iterator[Problem]:
    metric = METRICS[name]
    allowed = verbs(metric.better)
    blocks: list[tuple[tuple[str, ...], dict[Verb, float]]] = [((), limits.given())]
    if limits.slices is not None:
        blocks.append((("slices",), limits.slices.given()))
    if not any(given for _, given in blocks):
        yield Problem(path=path, message=f"`{name}` has no limit; give it one, such as `max_drop`")
    for below, given in blocks:
        for problem in bound_problems(name, given, metric.better, allowed, span(metric)):
            yield Problem(path=(*path, *below, *problem.path), message=problem.message)
    if limits.beta is not None and name != "fbeta":
        yield Problem(path=(*path, "beta"), message="`beta` belongs to `fbeta` alone")


def _agree(evidence: Evidence, pair: Pair, beta: float) -> None:
    """Hold our number against scikit-learn's own: a difference is a bug, never a verdict."""
    from gates.stats.definitions import sklearn_value

    for ours, rows in ((pair.candidate, evidence.candidate), (pair.baseline, evidence.baseline)):
        if ours is None or rows is None:
            continue
        theirs = sklearn_value(pair.metric, rows, beta=beta)
        if not math.isclose(ours.value, theirs, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
            raise GatesError(
                f"{pair.metric} came out as {ours.value!r}, scikit-learn says {theirs!r}",
                hint="Please report this: it is a bug in Model Gates.",
            )
