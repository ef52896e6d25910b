"""One look at a canary: all that a judgement may rest on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

from gates.canary.counters import Arm, Window
from gates.canary.judgement import Figures
from gates.canary.sight import Sight

# Of alpha, for what single steps show by themselves.
_ALONE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What was counted and what was seen.

    `step` is counted since the canary has its present `share` (0 to 1) of the traffic; `earlier`
    are the steps before, each by itself, since the traffic of another hour is another one. `digest`
    is what the canary was started from. `gaps` is how many looks in a row brought no counts,
    `resets` how often some were lost in this step.
    """

    step: Window
    share: float
    sight: Sight
    digest: str
    min_requests: int
    earlier: tuple[Window, ...] = ()
    gaps: int = 0
    resets: int = 0

    @property
    def full(self) -> bool:
        """Return whether the canary has all of the traffic, and nothing answers beside it."""
        return self.share >= 1.0

    @property
    def compared(self) -> Window:
        """Return this step's counts, beside the latest that the stable side has to show."""
        if not self.full:
            return self.step
        before = reduce(add, (window.stable for window in self.earlier), Arm())
        return Window(stable=before, canary=self.step.canary)

    @property
    def whole(self) -> Window:
        """Return the counts of all steps together."""
        return reduce(add, self.earlier, self.step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """Parts of alpha: for what all steps show together, and for what this one shows by itself."""

    whole: float
    alone: float


def risk(alpha: float, step: int) -> Risk:
    """Return the parts at a step, counted from 0: all of them add up to alpha, however many.

    The first step is the whole so far, and needs no question of its own.
    """
    part = 1.0 / (step * (step + 1.0)) if step else 1.0
    return Risk(whole=alpha * (1.0 - _ALONE), alone=alpha * _ALONE * part)


def spent(alpha: float, step: int) -> float:
    """Return the part of alpha of a question that is asked of each step alone, counted from 0."""
    return alpha / ((step + 1.0) * (step + 2.0))


def figures(arm: Arm, value: float | None = None) -> Figures:
    """Return one side's counts as a finding has them."""
    return Figures(requests=arm.requests, errors=arm.errors, value=value)


def rate(arm: Arm) -> float | None:
    """Return the share of errors; None where nothing was answered."""
    return arm.errors / arm.requests if arm.requests else None
