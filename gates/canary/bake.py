"""Letting a step bake: look, count, judge, until it is decided or its time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from gates.canary.chain import Record
from gates.canary.counters import Counters, Window, between, from_json
from gates.canary.judgement import Judgement
from gates.canary.plan import Plan
from gates.canary.sight import Sight
from gates.errors import EnvironmentFault
from gates.report import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Baked:
    """What a step has shown so far.

    `step` is counted since its share was set, `earlier` are the steps before, each by itself.
    `gaps` is how many looks in a row brought no counts, `resets` how often some of this step's
    were lost.
    """

    step: Window = field(default_factory=Window)
    earlier: tuple[Window, ...] = ()
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
        """Begin a step: what was counted before is another one's."""
        before = (self.baked.step,) if self.baked.step.requests else ()
        self.baked = Baked(earlier=(*self.baked.earlier, *before))
        self._last = None
        self.count()

    def count(self) -> Baked:
        """Read the counters once, and add what is new."""
        try:
            found = self.read()
        except EnvironmentFault:
            self.baked = replace(self.baked, gaps=self.baked.gaps + 1)
            return self.baked
        window = Window() if self._last is None else between(self._last, found)
        self._last = found
        if window is None:
            self.baked = replace(self.baked, gaps=0, resets=self.baked.resets + 1)
        else:
            self.baked = replace(self.baked, gaps=0, step=self.baked.step + window)
        return self.baked


def steps(records: Iterable[Record]) -> tuple[Window, ...]:
    """Return what a journal has of the steps that were judged, each as it was counted last.

    A step that was begun anew is there twice: what users met the first time has happened.
    """
    found: list[Window] = []
    latest: Window | None = None
    for record in records:
        if record.kind == "judged" and "step" in record.body:
            latest = from_json(record.body["step"])
        elif record.kind in ("intent", "going") and latest is not None:
            found.append(latest)
            latest = None
    return tuple(found if latest is None else [*found, latest])


def over(judgement: Judgement, elapsed: float, plan: Plan) -> bool:
    """Return whether a step needs no more time: it failed, is decided, or has had all of it."""
    if judgement.verdict is Verdict.FAIL:
        return True
    if judgement.verdict is Verdict.PASS:
        return elapsed >= plan.bake
    return elapsed >= plan.max_bake
