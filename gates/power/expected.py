"""Fill in the intervals of change that only a second model could have shown.

Where one model is missing, or both are the same, the model that is there stands on both sides: no
change, with the variance that `gates.stats.power` expects of the change to a model not yet known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.builtin.checks import Pair, measure_pair
from gates.builtin.fairness import Fairness
from gates.builtin.parted import Parted
from gates.power.answer import place
from gates.power.decidable import Asked
from gates.report import Check
from gates.stats.catalogue import Disparity, Spread, disparity
from gates.stats.power import Aim, Assumed, arm_of, expected_variance, gap_arm, widening

if TYPE_CHECKING:
    from gates.config import Gate
    from gates.evidence import Evidence

METHOD = "assumed"
_NO_ERROR = "these rows hold no information on its error"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The arm of an interval of change that is to be expected, or why there is none."""

    arm: float | None = None
    problem: str | None = None


def unknown(check: Check) -> bool:
    """Return whether the other model of a change is missing, or the same model."""
    return check.verb.needs_baseline and (check.skip or check.method == "identical")


def filled(
    gate: Gate, evidence: Evidence, checks: Sequence[Check], asked: Asked
) -> tuple[Check, ...]:
    """Return the checks of a gate, those of an unknown model with the interval to expect."""
    wanted = [check for check in checks if unknown(check)]
    arms = _plain(gate, evidence, wanted, asked) | _disparities(gate, evidence, wanted, asked)
    return tuple(
        _with(check, arms.get((check.metric, place(check)))) if unknown(check) else check
        for check in checks
    )


def expected(pair: Pair, assumed: Assumed, confidence: float) -> Expected:
    """Return what to expect of the change of one metric, from the model that there is."""
    if pair.candidate is None:
        return Expected(problem=pair.candidate_problem)
    variance = expected_variance(
        pair.candidate, pair.clusters, assumed=assumed, confidence=confidence
    )
    if not variance:
        return Expected(problem=f"{pair.metric}: {_NO_ERROR}")
    return Expected(arm=arm_of(variance, pair.n, confidence))


def _plain(
    gate: Gate, evidence: Evidence, wanted: Iterable[Check], asked: Asked
) -> dict[tuple[str, str], Expected]:
    keys = {(check.metric, place(check)) for check in wanted if not disparity(check.metric)}
    found = {}
    for one in gate.compared(evidence) if keys else ():
        if (one.metric, one.place) in keys:
            pair = measure_pair(evidence, one.metric, one.index, beta=one.beta)
            held = expected(pair, asked.assumed, evidence.policy.confidence)
            found[one.metric, one.place] = held
    return found


def _disparities(
    gate: Gate, evidence: Evidence, wanted: Iterable[Check], asked: Asked
) -> dict[tuple[str, str], Expected]:
    keys = {(check.metric, place(check)) for check in wanted if disparity(check.metric)}
    if not keys or not isinstance(gate, Fairness):
        return {}
    found = {}
    for spec in gate.sensitive:
        columns = (spec,) if isinstance(spec, str) else spec
        parted = Parted(evidence=evidence, columns=columns, parts=evidence.groups(columns))
        judged = parted.of_size(gate.min_group)
        for name, limits in gate.metrics.items():
            kind = disparity(name)
            if kind is not None and (name, parted.place) in keys:
                held = _gap(judged, kind, limits.beta or 1.0, asked)
                found[name, parted.place] = held
    return found


def _gap(parted: Parted, kind: Disparity, beta: float, asked: Asked) -> Expected:
    """Return what to expect of the change of a disparity, from that of its groups' own rates."""
    own = parted.disparity(kind, beta)[False]
    if own.problem:
        return Expected(problem=own.problem)
    widest, aim = 0.0, Aim(confidence=parted.evidence.policy.confidence, power=asked.power)
    for rate in kind.rates:
        pairs = [measure_pair(parted.evidence, rate, p.index, beta=beta) for p in parted.parts]
        each = [expected(pair, asked.assumed, parted.evidence.policy.confidence) for pair in pairs]
        unsaid = next((one for one in each if one.arm is None), None)
        if unsaid is not None:
            return unsaid
        arms = [one.arm for one in each if one.arm is not None]
        values = [abs(pair.candidate.value) for pair in pairs if pair.candidate]
        widest = max(widest, _between(kind, arms, max(values), aim))
    return Expected(arm=widest)


def _between(kind: Disparity, arms: Sequence[float], largest: float, aim: Aim) -> float:
    if kind.spread in (Spread.GROUP_MIN, Spread.GROUP_MAX):
        return max(arms) * widening(len(arms), aim)
    gap = gap_arm(arms, aim, rates=len(kind.rates))
    # A ratio is of the smallest rate to the largest: at most, both errors over the largest.
    return gap / largest if kind.spread is Spread.RATIO else gap


def _with(check: Check, held: Expected | None) -> Check:
    if held is None or held.arm is None:
        problem = held.problem if held and held.problem else f"{check.metric}: {_NO_ERROR}"
        return check.model_copy(update={"skip": False, "problem": problem, "interval": None})
    numbers = {
        "skip": False,
        "problem": None,
        "baseline": check.candidate,
        "delta": 0.0,
        "interval": (-held.arm, held.arm),
        "method": METHOD,
    }
    return check.model_copy(update=numbers)
