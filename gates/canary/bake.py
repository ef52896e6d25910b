"""Letting a step bake: look, count, judge, until it is decided or its time is up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise

from gates.canary.chain import Record
from gates.canary.counters import Counters, Window, between, from_json
from gates.canary.judgement import Judgement
from gates.canary.plan import Plan
from gates.canary.sight import Sight
from gates.errors import EnvironmentFault
from gates.report import Verdict

# So many answers of the canary, and at least a window of them, are its first at a new share: what
# is loaded, compiled and connected then makes them slow, whatever the model is.
_COLD = 30
# A step is kept in so many parts: beyond that, the smallest neighbours become one.
_PARTS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Baked:
    """What a step has shown so far.

    `step` is counted since its share was set, `earlier` are the steps before, each by itself; what
    the stable side answered before the first is one without answers of the canary. `timed` are
    parts of this step, one after the other, without the answers of a canary that was still cold.
    `gaps` is how many looks in a row brought no counts, `why` what the last of them said, and
    `resets` how often some of this step's were lost.
    """

    step: Window = field(default_factory=Window)
    earlier: tuple[Window, ...] = ()
    timed: tuple[Window, ...] = ()
    gaps: int = 0
    why: str = ""
    resets: int = 0


# Turns what a step has shown, at a share in percent, into a verdict; pure.
Judge = Callable[[Baked, int, Sight, Plan], Judgement]


@dataclass(kw_only=True)
class Tally:
    """Adds windows up; `read` is asked for the counters and may fail.

    Opened before a canary has any of the traffic, it counts what the stable side answers until
    then: all that one that gets everything at once can be held against.
    """

    read: Callable[[], Counters]
    baked: Baked = field(default_factory=Baked)
    _last: Counters | None = field(default=None, init=False)
    _opened: Counters | None = field(default=None, init=False)

    def open(self) -> None:
        """Read the counters, unless there are steps to hold the next one against."""
        if not self.baked.earlier:
            # Without it there is less to compare with. Whatever is wrong is told when it matters.
            with suppress(Exception):
                self._opened = self.read()

    def begin(self) -> None:
        """Begin a step: what was counted before is another one's."""
        before = (self.baked.step,) if self.baked.step.requests else ()
        self.baked = Baked(earlier=(*self.baked.earlier, *before))
        self._last = None
        self.count()
        self.baked = replace(self.baked, earlier=(*self._alone(), *self.baked.earlier))

    def _alone(self) -> tuple[Window, ...]:
        """Return what the stable side answered before the first step, once."""
        opened, self._opened = self._opened, None
        found = between(opened, self._last) if opened and self._last else None
        return (Window(stable=found.stable),) if found and found.stable.requests else ()

    def count(self) -> Baked:
        """Read the counters once, and add what is new."""
        try:
            found = self.read()
        except EnvironmentFault as error:
            self.baked = replace(self.baked, gaps=self.baked.gaps + 1, why=error.message)
            return self.baked
        window = Window() if self._last is None else between(self._last, found)
        self._last = found
        baked = replace(self.baked, gaps=0, why="")
        if window is None:
            self.baked = replace(baked, resets=baked.resets + 1)
        else:
            self.baked = replace(baked, step=baked.step + window, timed=_timed(baked, window))
        return self.baked


def _timed(baked: Baked, window: Window) -> tuple[Window, ...]:
    """Return what latencies are judged by, with a window more; none while the canary is cold."""
    if baked.step.canary.requests < _COLD or not window.requests:
        return baked.timed
    found = (*baked.timed, window)
    if len(found) <= _PARTS:
        return found
    sizes = [one.canary.requests + other.canary.requests for one, other in pairwise(found)]
    least = sizes.index(min(sizes))
    return (*found[:least], found[least] + found[least + 1], *found[least + 2 :])


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
