"""Whether a site is as an act was to leave it, and as the journal last knew it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gates.canary.plan import Plan
from gates.canary.program import Act, Name
from gates.canary.sight import Health, Pinned, Seen, Side, Sight

# A router that weighs in 256ths gives no share more exactly than this.
_TOLERANCE = 0.005

_Found = Callable[[Act, Plan, Sight], str]


def unlike(act: Act, plan: Plan, sight: Sight) -> str:
    """Return in what the site is not as an act was to leave it; empty if it is."""
    found = (check(act, plan, sight) for check in _AFTER.get(act.name, ()))
    return "; ".join(one for one in found if one)


def drift(share: int, plan: Plan, sight: Sight) -> str:
    """Return in what the site is not as a rollout left it; empty if it is.

    `share` is the canary's part of the traffic, in percent, that was last confirmed.
    """
    return "; ".join(_drifted(share, plan, sight))


def _drifted(share: int, plan: Plan, sight: Sight) -> Iterator[str]:
    stable, canary = sight.stable, sight.canary
    if not _is_share(canary, share) and not (share == 100 and _taken_over(plan, sight)):
        yield f"the canary has {canary.share:.1%} of the traffic, where {share} % was set"
    if canary.digest not in (plan.candidate.digest, None):
        yield f"the canary runs {canary.digest}, not {plan.candidate.digest}"
    if share == 0 and canary.reachable:
        yield "users can reach the canary"
    if stable.digest not in (plan.stable.digest, plan.candidate.digest, None):
        yield f"the stable side runs {stable.digest}, not {plan.stable.digest}"


def _taken_over(plan: Plan, sight: Sight) -> bool:
    """Return whether the canary has become the stable side, where a place has one for both."""
    gone = sight.canary.health is Health.ABSENT
    return gone and sight.whole and sight.stable.digest == plan.candidate.digest


def _canary_pinned(_act: Act, plan: Plan, sight: Sight) -> str:
    return _other(Side.CANARY, sight.canary, plan.candidate)


def _canary_ready(_act: Act, _plan: Plan, sight: Sight) -> str:
    return _not_ready(Side.CANARY, sight.canary)


def _canary_gone(_act: Act, _plan: Plan, sight: Sight) -> str:
    return "" if sight.canary.health is Health.ABSENT else "the canary is still there"


def _out_of_reach(_act: Act, _plan: Plan, sight: Sight) -> str:
    canary = sight.canary
    return "users can reach the canary" if canary.share or canary.reachable else ""


def _share_set(act: Act, _plan: Plan, sight: Sight) -> str:
    if _is_share(sight.canary, act.share):
        return ""
    return f"the canary has {sight.canary.share:.1%} of the traffic, not {act.share} %"


def _replaced(_act: Act, plan: Plan, sight: Sight) -> str:
    return _other(Side.STABLE, sight.stable, plan.candidate)


def _restored(_act: Act, plan: Plan, sight: Sight) -> str:
    return _other(Side.STABLE, sight.stable, plan.stable)


def _stable_ready(_act: Act, _plan: Plan, sight: Sight) -> str:
    return _not_ready(Side.STABLE, sight.stable)


def _whole(_act: Act, _plan: Plan, sight: Sight) -> str:
    return "" if sight.whole else "not everything goes to the stable side"


_AFTER: dict[Name, tuple[_Found, ...]] = {
    Name.START: (_canary_pinned, _canary_ready, _out_of_reach, _stable_ready),
    Name.SHIFT: (_canary_pinned, _canary_ready, _share_set),
    Name.REPLACE: (_replaced, _stable_ready),
    Name.RESTORE: (_restored, _stable_ready),
    Name.RETURN: (_stable_ready, _whole),
    Name.REMOVE: (_canary_gone,),
}


def _is_share(seen: Seen, percent: int) -> bool:
    return abs(seen.share - percent / 100) <= _TOLERANCE


def _other(side: Side, seen: Seen, wanted: Pinned) -> str:
    if seen.digest == wanted.digest:
        return ""
    return f"the {side} side runs {seen.digest or 'nothing'}, not {wanted.digest}"


def _not_ready(side: Side, seen: Seen) -> str:
    if seen.health is Health.READY:
        return ""
    return f"the {side} side is {seen.health}" + (f" ({seen.reason})" if seen.reason else "")
