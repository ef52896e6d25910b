"""Turn measured numbers, limits and policy into verdicts: the one place where that happens.

Pure and light, because two callers share it: the runner, and the privileged poster that must not
believe what an unprivileged job wrote. Verdict, p-value, correction and effect all follow from the
numbers of a check and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist

from gates import __version__
from gates.errors import GatesError
from gates.fields import significant
from gates.report import (
    Check,
    Decide,
    Effect,
    ErrorInfo,
    Family,
    GateResult,
    Mode,
    ModelReport,
    OnInconclusive,
    PolicyInfo,
    Report,
    RunInfo,
    Selection,
    ToolInfo,
    Verb,
    Verdict,
    worst,
)
from gates.undecided import roughly, rows_to_convince, wanted

_UNDECIDED = {
    "p": None,
    "p_adjusted": None,
    "n_needed": None,
    "smallest_limit": None,
    "waiver": None,
}
_NO_RATIO = "The baseline is not above 0, so a ratio to it says nothing."


def settle(result: GateResult) -> GateResult:
    """Return a gate's result with every check decided, and the gate as bad as its worst check."""
    # Whatever was decided before, here or elsewhere, is not believed: it is decided anew.
    measured = [(check.model_copy(update=_UNDECIDED), check.p) for check in result.checks]
    checks = _corrected([_decided(check, p) for check, p in measured])
    checks = [check.model_copy(update={"effect": effect(check)}) for check in checks]
    verdict = Verdict.ERROR if result.error else worst([check.verdict for check in checks])
    return result.model_copy(update={"checks": tuple(checks), "verdict": verdict})


def blocked(models: Sequence[ModelReport], policy: PolicyInfo | None = None) -> bool:
    """Return whether a run is blocked: by an effect, an error, its policy, or for want of any."""
    gates = [gate for model in models for gate in model.gates]
    checks = [check for gate in gates for check in gate.checks]
    decided = any(check.verdict is not Verdict.SKIPPED for check in checks)
    return (
        not decided
        or (policy is not None and policy.blocks)
        or any(model.error or not model.gates for model in models)
        or any(gate.error or not gate.checks for gate in gates)
        or any(check.effect is Effect.BLOCK for check in checks)
    )


def crashed(gate: str, error: ErrorInfo) -> GateResult:
    """Return the result of a gate that could not finish: an error, never a pass."""
    return GateResult(gate=gate, verdict=Verdict.ERROR, summary=error.message, error=error)


def refused(error: GatesError, info: RunInfo) -> Report:
    """Return the report of a run that could not start: an error, and no verdict."""
    tool = ToolInfo(version=__version__)
    return Report(tool=tool, blocked=True, error=ErrorInfo.of(error), run=info)


def unchanged(selection: Selection, policy: PolicyInfo, info: RunInfo) -> Report:
    """Return the report of a run in which no model has changed: skipped, which is not a pass."""
    return Report(
        tool=ToolInfo(version=__version__),
        verdict=Verdict.SKIPPED,
        blocked=policy.blocks,
        run=info,
        policy=policy,
        selection=selection,
    )


def effect(check: Check) -> Effect:
    """Return what policy makes of a check's verdict."""
    harmless = check.verdict in (Verdict.PASS, Verdict.SKIPPED)
    if harmless or check.mode is Mode.REPORT:
        return Effect.NONE
    if check.mode is Mode.WARN:
        return Effect.WARN
    undecided = check.verdict is Verdict.INCONCLUSIVE
    if undecided and check.on_inconclusive is OnInconclusive.WARN:
        return Effect.WARN
    return Effect.BLOCK


def threshold(check: Check) -> float | None:
    """Return the limit on the scale of the judged quantity; None for a ratio to nothing.

    The judged quantity is the candidate's value for `min` and `max`, and the change (candidate −
    baseline, or − anchor) for every other verb. A ratio becomes a change: candidate / baseline ≤ r
    is candidate − baseline ≤ (r − 1) · baseline.
    """
    if check.verb.is_floor and check.verb is not Verb.MIN:
        return -check.bound
    if check.verb is Verb.MAX_RATIO:
        if check.baseline is None or check.baseline <= 0:
            return None
        return (check.bound - 1.0) * check.baseline
    return check.bound


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def _decided(check: Check, p: float | None) -> Check:
    """Return the check with verdict, reason, p-value and rows needed, before any correction.

    `p` is the p-value of the method itself, where that was measured.
    """
    if check.skip:
        return _with(check, Verdict.SKIPPED, check.problem or "Skipped by policy.")
    value = check.delta if check.interval_of == "delta" else check.candidate
    limit = threshold(check)
    problem = check.problem or (_NO_RATIO if limit is None else None)
    if problem or value is None or limit is None:
        # Overall, a number that was declared and cannot be had is an error. In a slice or a group
        # it is what small data does: nobody can tell, and the report says so.
        verdict = Verdict.ERROR if check.family is Family.OVERALL else Verdict.INCONCLUSIVE
        return _with(check, verdict, problem or "There is no number to hold against the limit.")
    if check.decide is Decide.POINT:
        return _by_point(check, value, limit)
    if check.interval is None:
        return _with(
            check,
            Verdict.INCONCLUSIVE,
            "There is no interval to decide by; `decide: point` compares plain numbers.",
        )
    return _by_interval(check, value, limit, p)


def _by_point(check: Check, value: float, limit: float) -> Check:
    beyond = value < limit if check.verb.is_floor else value > limit
    if beyond:
        return _with(check, Verdict.FAIL, "The value is beyond the limit.")
    return _with(check, Verdict.PASS, "The value is within the limit.")


def _by_interval(check: Check, value: float, limit: float, own: float | None) -> Check:
    low, high = check.interval or (value, value)
    # Turned so that larger is worse, one comparison serves both directions.
    sign = -1.0 if check.verb.is_floor else 1.0
    low, high = sorted((sign * low, sign * high))
    at, bound = sign * value, sign * limit
    p = significant(_p_value(at - bound, at - low, high - at, check.confidence))
    # The method's own p-value is exact, but the interval has the word where they disagree.
    if low > bound and own is not None and own <= 1.0 - check.confidence:
        p = own
    if low > bound:
        return _with(check, Verdict.FAIL, "The whole interval is beyond the limit.", p=p)
    if high <= bound:
        return _with(check, Verdict.PASS, "The whole interval is within the limit.", p=p)
    found = wanted(check, value, limit)
    numbers = {"p": p, "n_needed": found.rows, "smallest_limit": found.limit}
    return _with(check, Verdict.INCONCLUSIVE, found.reason, **numbers)


def _p_value(beyond: float, below: float, above: float, confidence: float) -> float:
    """Return a two-sided p-value that agrees with the interval: p < 1 − confidence ⟺ it excludes.

    `beyond` is how far the value is past the limit; `below` and `above` are the interval's arms.
    Each arm is read as a normal one, so lopsided intervals keep their decision; but far beyond the
    interval that is too small for a score interval and for Student's t, which bring their own.
    """
    arm = below if beyond > 0 else above
    if beyond <= 0:
        return 1.0
    if arm <= 0:
        return 0.0
    normal = NormalDist()
    z = beyond / arm * normal.inv_cdf(0.5 + confidence / 2)
    return min(1.0, 2.0 * normal.cdf(-z))


def _corrected(checks: list[Check]) -> list[Check]:
    """Correct each family; only a fail can change, since a pass needs no correction."""
    adjusted: dict[int, tuple[float, int]] = {}
    for family in Family:
        asked = [i for i, c in enumerate(checks) if c.family is family and c.p is not None]
        values = holm([checks[i].p or 0.0 for i in asked])
        for i, p in zip(asked, values, strict=True):
            adjusted[i] = _joint(checks[i], p), len(asked)
    return [
        _after_correction(check, *adjusted[i]) if i in adjusted else check
        for i, check in enumerate(checks)
    ]


def _joint(check: Check, by_holm: float) -> float:
    """Return the adjusted p-value by max-T where it was asked for, else by Holm.

    Whatever replicates say, it lies between no correction and Holm's: beyond these, it is noise, or
    somebody wrote it who should not be believed.
    """
    if check.p_joint is None or check.p is None:
        return by_holm
    return min(by_holm, max(check.p, check.p_joint))


def _after_correction(check: Check, p_adjusted: float, questions: int) -> Check:
    check = check.model_copy(update={"p_adjusted": significant(p_adjusted)})
    # Alone, the interval has the word: at its very edge the p-value is a matter of rounding.
    kept = questions == 1 or p_adjusted <= 1.0 - check.confidence
    if check.verdict is not Verdict.FAIL or kept:
        return check
    needed = rows_to_convince(check, p_adjusted, questions)
    more = f" About {roughly(needed)} rows would tell, if the value stays." if needed else ""
    return _with(
        check,
        Verdict.INCONCLUSIVE,
        f"Beyond the limit by its own interval, but not when it is counted as one of {questions} "
        f"questions asked together ({'Holm' if check.p_joint is None else 'max-T'} correction): it "
        f"may be chance.{more}",
        n_needed=needed,
    )


def _with(check: Check, verdict: Verdict, reason: str, **numbers: float | None) -> Check:
    return check.model_copy(update={"verdict": verdict, "reason": reason, **numbers})


def verdict_of(models: Iterable[ModelReport]) -> Verdict:
    """Return the verdict of a run: that of its worst model."""
    return worst([model.verdict for model in models])
