"""When a canary is so bad that nobody has to be asked: what the guard makes of the router's counts.

No test of hypotheses, and no verdict: those are the runner's, while there is one. This is for a
canary that is broken by any measure while nobody looks. The numbers are far from what chance does:
with errors at the same rate on both sides, 25 points of 50 answers are 3.5 standard deviations at
the least. Standard library only, as the guard.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from gates.canary.counters import Arm, Counters, Window, between

# Seconds: what is older does not hide what is new.
_SPAN: Final = 60.0
# Answers of the canary, and how much larger its part of errors is than the stable side's.
_ALL: Final = 20
_MANY: Final = 50
_RISE: Final = 0.25


@dataclass(kw_only=True)
class Answers:
    """The latest answers of both sides, as looks at the counters while one lease stands.

    They reach back `_SPAN` seconds, and further where the canary answered few in that time.
    """

    _looks: list[tuple[float, Counters]] = field(default_factory=list, init=False)

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, now: float, found: Counters) -> None:
        """Take in what was counted by `now` (s, of any one clock); a reset begins anew."""
        found = replace(found, stable=_plain(found.stable), canary=_plain(found.canary))
        fresh = between(self._looks[-1][1], found) if self._looks else None
        if fresh is None:
            self._looks.clear()
        elif not fresh.canary.requests:
            # So there are never more looks than answers, be there one in an hour.
            self._looks.pop()
        self._looks.append((now, found))
        while len(self._looks) > 1 and self._spare(now, found):
            del self._looks[0]

    def why(self) -> str:
        """Return why the canary cannot stay; empty if it can."""
        found = (_hopeless(window) for window in self._windows())
        return next((why for why in found if why), "")

    def _windows(self) -> list[Window]:
        """Return what happened since each look, so that a bad end shows whatever was before it."""
        since = [between(earlier, self._looks[-1][1]) for _, earlier in self._looks[:-1]]
        return [window for window in since if window is not None]

    def _spare(self, now: float, found: Counters) -> bool:
        """Return whether the looks from the second on reach back far enough."""
        when, earlier = self._looks[1]
        return now - when >= _SPAN and found.canary.requests - earlier.canary.requests >= _MANY


def _plain(arm: Arm) -> Arm:
    return Arm(requests=arm.requests, errors=arm.errors)


def _hopeless(window: Window) -> str:
    canary, stable = window.canary, window.stable
    if canary.requests >= _ALL and canary.errors == canary.requests:
        return f"the canary answered each of its last {canary.requests} requests with an error"
    if canary.requests >= _MANY and _part(canary) - _part(stable) > _RISE:
        return (
            f"the canary answered {_part(canary):.0%} of its last {canary.requests} requests with "
            f"an error, and the stable side {_part(stable):.0%} of {stable.requests}"
        ).replace("%", " %")
    return ""


def _part(arm: Arm) -> float:
    return arm.errors / arm.requests if arm.requests else 0.0
