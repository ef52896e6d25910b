"""Letting a step bake: look, count, judge, until it is decided or its time is up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gates.canary.counters import Counters, Window, between
from gates.canary.judgement import Judgement
from gates.canary.plan import Plan
from gates.canary.sight import Sight
from gates.errors import EnvironmentFault
from gates.report import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Baked:
    """What a step has shown so far.

    `step` is counted since its share was set, `whole` since the rollout began, `earlier` has the
    steps before, each by itself. `gaps` is how many looks in a row brought no counts, `resets` how
    many windows had to be thrown away.
    """

    step: Window = field(default_factory=Window)
    earlier: tuple[Window, ...] = ()
    whole: Window = field(default_factory=Window)
    gaps: int = 0
    resets: int = 0


# Turns what a step has shown, at a share in percent, into a verdict; pure.
Judge = Callable[[Baked, int, Sight, Plan], Judgement]


@dataclass(kw_only=True)
class Tally:
    """Adds windows up; `read` is asked for the counters and may fail."""

    read: Callable[[], Counters]
    baked: Baked = field(default_factory=Baked)
    _last: Counters | None = field(default=None, init=False)

    def begin(self) -> None:
        """Begin a step: what was counted before belongs to the whole alone."""
        step, earlier = self.baked.step, self.baked.earlier
        earlier = (*earlier, step) if step.requests else earlier
        self.baked = Baked(whole=self.baked.whole, earlier=earlier)
        self._last = None
        self.count()

    def count(self) -> Baked:
        """Read the counters once, and add what is new."""
        baked = self.baked
        try:
            found = self.read()
        except EnvironmentFault:
            self.baked = replace(baked, gaps=baked.gaps + 1)
            return self.baked
        window = Window() if self._last is None else between(self._last, found)
        self._last = found
        if window is None:
            self.baked = replace(baked, gaps=0, resets=baked.resets + 1)
        else:
            step, whole = baked.step + window, baked.whole + window
            self.baked = replace(baked, step=step, whole=whole, gaps=0)
        return self.baked


def over(judgement: Judgement, elapsed: float, plan: Plan) -> bool:
    """Return whether a step needs no more time: it failed, is decided, or has had all of it."""
    if judgement.verdict is Verdict.FAIL:
        return True
    if judgement.verdict is Verdict.PASS:
        return elapsed >= plan.bake
    return elapsed >= plan.max_bake
