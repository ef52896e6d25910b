"""What has to be in order before a canary's numbers mean anything.

Each question is asked in turn, and the first that is not in order is the answer. `broken` and
`hopeless` fail a canary; the others say whose fault it is not, or that nothing can be told yet.
"""

from __future__ import annotations

from dataclasses import replace

from gates.canary.analysis.look import Look, figures, rate
from gates.canary.judgement import Finding
from gates.canary.sight import Health
from gates.report import Verdict

# What is held against no canary, whatever a team has become of the undecided.
BLAMELESS = frozenset(
    {"stable_failing", "stable_worse", "both_failing", "meter_failing", "impossible", "no_share"}
)
_RESTARTS = 2
_ALL_ERRORS = 20
# Looks in a row without counts, after which it is no longer a hiccup (as Argo Rollouts has it).
_GAPS = 4
_ENOUGH = 500
_FAR = 0.05
_PART = 0.2
_ALPHA = 0.01
_FOCUS = 2000.0


def broken(look: Look) -> Finding | None:
    """Return what makes a canary fail whatever its numbers are."""
    canary = look.sight.canary
    if canary.health in (Health.FAILING, Health.ABSENT):
        return _failed("health", f"the canary is {canary.health}: {canary.reason or 'no reason'}")
    if canary.restarts >= _RESTARTS:
        return _failed("restarts", f"the canary was started again {canary.restarts} times")
    if canary.digest != look.digest:
        return _failed("digest", "what runs as the canary is not what was pinned")
    return None


def unwell(look: Look) -> Finding | None:
    """Return what the stable side is at fault for, or may be: that is held against no canary."""
    sight = look.sight
    if sight.stable.health is not Health.READY:
        why = f"the stable side is {sight.stable.health}: not the canary's fault"
        return _undecided(look, "stable", "stable_failing", why)
    if sight.canary.health is not Health.READY:
        return _undecided(look, "health", "starting", f"the canary is {sight.canary.health}")
    return None


def hopeless(look: Look) -> Finding | None:
    """Return whether nothing that the canary answers is any good, for a start."""
    step = look.step
    if step.canary.requests < _ALL_ERRORS or step.canary.errors < step.canary.requests:
        return None
    if (rate(step.stable) or 0.0) > 0.5:
        why = "both sides answer with errors: not the canary's fault"
        return _undecided(look, "stable", "both_failing", why)
    return _failed("all_errors", f"all {step.canary.requests:,} answers of the canary are errors")


def stable_fault(look: Look) -> Finding:
    """Return what is said when the stable side alone answers with errors."""
    arms = (look.step.stable, look.step.canary)
    stable, canary = (f"{arm.errors:,} of {arm.requests:,}" for arm in arms)
    why = f"the stable side errs far more ({stable} against {canary}): not the canary's fault"
    return _undecided(look, "stable", "stable_worse", why)


def unmeasured(look: Look) -> Finding | None:
    """Return why the counts can not be had, or can not be counts."""
    if look.gaps >= _GAPS:
        why = f"{look.gaps} looks in a row brought no counts: {look.why}"
        return _undecided(look, "counts", "meter_failing", why, Verdict.ERROR)
    if look.gaps:
        why = f"looks in a row that brought no counts: {look.gaps} ({look.why})"
        return _undecided(look, "counts", "no_counts", why)
    windows = (look.step, *look.earlier)
    if not all(window.stable.possible and window.canary.possible for window in windows):
        why = "the counts contradict one another"
        return _undecided(look, "counts", "impossible", why, Verdict.ERROR)
    return None


def lost(look: Look) -> Finding | None:
    """Return whether counts were lost in this step: what they would have shown, nobody knows."""
    if not look.resets:
        return None
    why = f"counts were lost in this step (times: {look.resets}), as when a router is started again"
    return _undecided(look, "counts", "counter_reset", why)


def idle(look: Look) -> Finding | None:
    """Return whether the canary answered too few requests."""
    answered, least = look.step.canary.requests, max(1, look.min_requests)
    if answered >= least:
        return None
    why = (
        f"the canary answered {answered:,} of {look.step.requests:,} requests in this step; "
        f"{least:,} are needed"
    )
    finding = _undecided(look, "traffic", "low_traffic", why)
    return replace(finding, n_needed=least - answered)


def misrouted(look: Look) -> Finding | None:
    """Return whether the traffic is not shared as it was told to be.

    Beyond 5 percentage points with 500 requests, as the conformance tests of the Gateway API have
    it; or beyond a fifth of the smaller share by the sequential test of Lindon & Malek 2022. The
    rates of two sides whose requests were not dealt out by chance say little of the sides.
    """
    from gates.stats.sequential import bernoulli

    share, requests, answered = look.share, look.step.requests, look.step.canary.requests
    if not 0.0 < share <= 1.0:
        return _undecided(look, "share", "no_share", "the canary has no share", Verdict.ERROR)
    observed = answered / requests if requests else 0.0
    off = requests >= _ENOUGH and not abs(observed - share) <= _FAR
    if not off and share < 1.0 and requests:
        low, high = bernoulli(answered, requests, alpha=_ALPHA, focus=_FOCUS)
        slack = _PART * min(share, 1.0 - share)
        off = low > share + slack or high < share - slack
    if not off:
        return None
    why = f"the canary got {observed:.1%} of {requests:,} requests, where {share:.1%} were set"
    return _undecided(look, "share", "split_not_applied", why)


def _failed(what: str, why: str) -> Finding:
    return Finding(id=f"canary/{what}", verdict=Verdict.FAIL, reason=why, code=what)


def _undecided(
    look: Look, what: str, code: str, why: str, verdict: Verdict = Verdict.INCONCLUSIVE
) -> Finding:
    step = look.step
    return Finding(
        id=f"canary/{what}",
        verdict=verdict,
        reason=why,
        code=code,
        stable=figures(step.stable, rate(step.stable)),
        canary=figures(step.canary, rate(step.canary)),
        n=step.canary.requests,
    )
