"""One look at a canary: all that a judgement may rest on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
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
    is what the canary was started from. `timed` is what latencies are judged by, in the order in
    which it was counted: this step without its beginning. `gaps` is how many looks in a row brought
    no counts, `why` what the last of them said, and `resets` how often counts were lost here.
    """

    step: Window
    share: float
    sight: Sight
    digest: str
    min_requests: int
    earlier: tuple[Window, ...] = ()
    timed: tuple[Window, ...] = ()
    gaps: int = 0
    why: str = ""
    resets: int = 0

    @property
    def full(self) -> bool:
        """Return whether the canary has all of the traffic, and nothing answers beside it."""
        return self.share >= 1.0

    @property
    def number(self) -> int:
        """Return which step it is, counted from 0: of those in which users met the canary."""
        return len(self._met)

    @property
    def compared(self) -> Window:
        """Return this step's counts, beside the latest that the stable side has to show.

        With all of the traffic that is what it answered in the steps before, or, where there were
        none, before the canary had any.
        """
        if not self.full:
            return self.step
        beside, alone = (_stable(windows) for windows in (self._met, self.earlier))
        return Window(stable=beside if beside.requests else alone, canary=self.step.canary)

    @property
    def halves(self) -> tuple[Window, Window]:
        """Return what was timed in two parts, of which one came after the other."""
        first = second = Window()
        left = sum(window.canary.requests for window in self.timed)
        for window in self.timed:
            left -= window.canary.requests
            # Nearer to the middle with it than without.
            if not second.requests and first.canary.requests <= left:
                first = first + window
            else:
                second = second + window
        if self.full:
            stable = self.compared.stable
            first, second = (replace(half, stable=stable) for half in (first, second))
        return first, second

    @property
    def refusals(self) -> Look:
        """Return the same look, at which a refused request is what is counted as an error."""
        return replace(
            self,
            step=_refused(self.step),
            earlier=tuple(_refused(window) for window in self.earlier),
        )

    @property
    def _met(self) -> tuple[Window, ...]:
        return tuple(window for window in self.earlier if window.canary.requests)

    @property
    def whole(self) -> Window:
        """Return the counts of all steps together."""
        return reduce(add, self.earlier, self.step)


def _stable(windows: Iterable[Window]) -> Arm:
    return reduce(add, (window.stable for window in windows), Arm())


def _refused(window: Window) -> Window:
    stable, canary = (
        Arm(requests=arm.requests, errors=arm.refused) for arm in (window.stable, window.canary)
    )
    return Window(stable=stable, canary=canary)


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
