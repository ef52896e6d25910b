"""Measure one metric on one set of rows for both models, and hold it against limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gates.builtin.parts import Part
from gates.builtin.stored import Stored
from gates.builtin.stored import stored as stored_baseline
from gates.decide import threshold
from gates.errors import InputError
from gates.fields import significant
from gates.limits import Policies
from gates.report import Check, Family, Verb
from gates.stats.catalogue import METRICS, Needs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.evidence import Evidence
    from gates.stats.intervals import Interval
    from gates.stats.metrics import Measured, Rows


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One metric on one set of rows for both models, or why there is none.

    `unpaired` is what there is of the change where the baseline's rows are not here. `sampled` says
    that the influence is that of some rows, which stand for all; `same` that both models gave the
    same outputs here.
    """

    metric: str
    n: int
    candidate: Measured | None = None
    baseline: Measured | None = None
    stored: float | None = None
    unpaired: Stored | None = None
    clusters: NDArray[np.int32] | None = None
    sampled: bool = False
    same: bool = False
    candidate_problem: str | None = None
    baseline_problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which question a check asks: the metric as written, where, and who acts on the answer."""

    gate: str
    metric: str
    family: Family
    place: str = ""
    slice: Mapping[str, str] | None = None
    sensitive: tuple[str, ...] | None = None
    policies: tuple[Policies, ...] = ()

    def id(self, verb: Verb) -> str:
        """Return the stable rule id."""
        at = f"@{self.place}" if self.place else ""
        return f"{self.gate}/{self.metric}:{verb.value}{at}"


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What was measured for one check; `problem` when it could not be."""

    n: int
    baseline: float | None = None
    candidate: float | None = None
    interval: Interval | None = None
    problem: str | None = None
    skip: bool = False


def measure_pair(
    evidence: Evidence, metric: str, index: NDArray[np.intp] | None, *, beta: float = 1.0
) -> Pair:
    """Measure a catalogue metric on the rows of `index` (all: None), with an influence per row."""
    part = Part(evidence=evidence, index=index)
    return _measured_pair(part, metric, beta)


def measure_part(part: Part, metric: str, *, beta: float = 1.0, some: bool = True) -> Pair:
    """Measure a catalogue metric on a part for both models, by cells where they say it all.

    The value is that of `measure_pair`. What an influence belongs to may be a cell, which gives the
    same interval, or (unless `some` is false) one of some rows out of very many, which gives it
    to within a percent.
    """
    from gates.stats.metrics import goes_by_cell

    # Rows of one cell may be of different clusters.
    by_cell = goes_by_cell(metric) and part.evidence.clusters is None
    return _measured_pair(part, metric, beta, by_cell=by_cell, some=some)


def _measured_pair(
    part: Part, metric: str, beta: float, *, by_cell: bool = False, some: bool = False
) -> Pair:
    evidence = part.evidence
    if part.withheld:
        small = f"fewer than {evidence.policy.min_count} rows: numbers are withheld"
        return Pair(metric=metric, n=part.size, candidate_problem=small, baseline_problem=small)
    require_scores(metric, evidence)
    sampled = part.sampled(metric) if some else None
    models = part.cells if by_cell else part.models
    both: list[tuple[Measured | None, str | None]] = [(one, None) for one in sampled or ()]
    both = both or [_measured(metric, rows, beta) for rows in models]
    candidate, candidate_problem = both[0]
    candidate = _drawn(part, metric, candidate, by_cell=by_cell)
    baseline, baseline_problem, stored, unpaired = None, None, None, None
    if evidence.baseline is not None:
        baseline, baseline_problem = both[1]
        baseline = _drawn(part, metric, baseline, by_cell=by_cell)
        stored = baseline.value if baseline else None
    elif evidence.record is not None:
        unpaired = stored_baseline(part, metric, beta, candidate)
        stored, baseline_problem = unpaired.value, unpaired.problem
    return Pair(
        metric=metric,
        n=part.size,
        candidate=candidate,
        baseline=baseline,
        stored=stored,
        unpaired=unpaired,
        clusters=part.clusters,
        sampled=sampled is not None,
        same=candidate is not None and candidate.value == stored and part.identical,
        candidate_problem=candidate_problem,
        baseline_problem=baseline_problem,
    )


def require_scores(metric: str, evidence: Evidence) -> None:
    """Raise InputError where a metric reads scores and a model has none."""
    for rows, whose in ((evidence.candidate, "candidate"), (evidence.baseline, "baseline")):
        if METRICS[metric].needs is Needs.SCORE and rows is not None and rows.score is None:
            raise InputError(
                f"{metric} needs scores, and the {whose}'s predictions have none",
                hint="Add a `score` column (binary) or `score_<class>` columns (multiclass).",
            )


def _measured(metric: str, rows: Rows, beta: float) -> tuple[Measured | None, str | None]:
    from gates.stats.metrics import Undefined, measure

    try:
        return measure(metric, rows, beta=beta), None
    except Undefined as undefined:
        return None, f"{metric} is undefined here: {undefined.reason}"


def _drawn(part: Part, metric: str, measured: Measured | None, *, by_cell: bool) -> Measured | None:
    """Return the same, to be resampled by the hashes of its rows; cells have none."""
    from gates.stats.bootstrap import drawn

    evidence = part.evidence
    if measured is None or measured.resampled is None or by_cell:
        return measured
    if evidence.anchor is not None:
        # The engine is asked now, while all rows are measured, and not by threads at once.
        _ = evidence.anchor.hashes
    hashes = evidence.hashes if part.index is None else evidence.hashes[part.index]
    return drawn(measured, hashes, seed=evidence.policy.seed, metric=metric)


def part_numbers(part: Part, pair: Pair, verb: Verb, beta: float) -> Numbers:
    """Return the numbers of a limit: those of `pair`, or the same against the anchor."""
    evidence = part.evidence.against(verb)
    if verb.needs_anchor and part.anchored is not None:
        pair = measure_part(part.anchored, pair.metric, beta=beta)
    return pair_numbers(evidence, pair, verb)


def pair_numbers(evidence: Evidence, pair: Pair, verb: Verb) -> Numbers:
    """Return what a check with this verb holds against its limit."""
    from gates.stats.intervals import single

    problem = pair.candidate_problem
    candidate = pair.candidate.value if pair.candidate else None
    confidence = evidence.policy.confidence
    interval = None
    if not verb.needs_baseline:
        if pair.candidate is not None:
            metric = METRICS[pair.metric]
            interval = single(
                pair.candidate,
                confidence=confidence,
                clusters=pair.clusters,
                low=metric.low,
                high=metric.high,
            )
    elif evidence.record is None:
        return no_baseline(pair.n, candidate)
    else:
        problem = problem or pair.baseline_problem
        interval = _change(evidence, pair, verb)
    if pair.sampled and interval is not None:
        interval = replace(interval, method=f"{interval.method}, sampled")
    return Numbers(
        n=pair.n, baseline=pair.stored, candidate=candidate, interval=interval, problem=problem
    )


def _change(evidence: Evidence, pair: Pair, verb: Verb) -> Interval | None:
    """Return the interval of the change; for a ratio with the baseline's own error in it."""
    from gates.stats.comparisons import paired_ratio
    from gates.stats.intervals import Interval, paired

    ratio = verb is Verb.MAX_RATIO
    if evidence.identical:
        return Interval(low=0.0, high=0.0, method="identical")
    if pair.unpaired is not None:
        return pair.unpaired.ratio if ratio else pair.unpaired.interval
    if pair.candidate is None or pair.baseline is None:
        return None
    models, confidence = (pair.baseline, pair.candidate), evidence.policy.confidence
    if ratio:
        return paired_ratio(*models, confidence=confidence, clusters=pair.clusters)
    return paired(*models, confidence=confidence, clusters=pair.clusters, same=pair.same)


def no_baseline(n: int, candidate: float | None) -> Numbers:
    """Return the numbers of a change when nothing is registered and policy allows that."""
    return Numbers(
        n=n,
        candidate=candidate,
        problem="No baseline is registered: nothing was compared.",
        skip=True,
    )


def check(evidence: Evidence, rule: Rule, verb: Verb, bound: float, numbers: Numbers) -> Check:
    """Return the check, measured and not yet decided."""
    policy = evidence.policy
    of: Literal["delta", "candidate"] = "delta" if verb.needs_baseline else "candidate"
    both = numbers.baseline is not None and numbers.candidate is not None
    interval = numbers.interval
    measured = Check(
        id=rule.id(verb),
        metric=rule.metric,
        slice=dict(rule.slice) if rule.slice is not None else None,
        sensitive=rule.sensitive,
        baseline=numbers.baseline,
        candidate=numbers.candidate,
        delta=(numbers.candidate - numbers.baseline) if both else None,  # type: ignore[operator]
        interval=(interval.low, interval.high) if interval else None,
        interval_of=of,
        confidence=policy.confidence,
        method=interval.method if interval else "point",
        n=numbers.n,
        family=rule.family,
        limit={verb: bound},
        decide=next((p.decide for p in rule.policies if p.decide), policy.decide),
        mode=next((p.mode for p in rule.policies if p.mode), policy.mode),
        on_inconclusive=next(
            (p.on_inconclusive for p in rule.policies if p.on_inconclusive),
            policy.on_inconclusive,
        ),
        problem=numbers.problem,
        skip=numbers.skip,
    )
    limit = threshold(measured)
    if interval is None or interval.p is None or limit is None:
        return measured
    return measured.model_copy(update={"p": significant(interval.p(limit))})
