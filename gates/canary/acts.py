"""Making an act so: say it in the journal, do it, look whether it is so, say that."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gates.canary.confirmed import unlike
from gates.canary.faults import TakenBack
from gates.canary.journal import Journal
from gates.canary.plan import Plan
from gates.canary.program import Act, Name
from gates.canary.pulse import Pulse
from gates.canary.sight import Health, Sight
from gates.canary.site import Site
from gates.errors import EnvironmentFault

_POLL = 0.25
_TRIES = 3
_PAUSE = 1.0
# How long an act may take until it is so, in seconds: a container has to start, a router only to
# take a command. What is longer than the runner's 10 s of grace is never needed to go back.
_SECONDS: dict[Name, float] = {
    Name.START: 180.0,
    Name.SHIFT: 20.0,
    Name.REPLACE: 180.0,
    Name.RESTORE: 180.0,
    Name.RETURN: 20.0,
    Name.REMOVE: 60.0,
}
# Of the lease, on top: an act that fails has to be undone by the one that it belongs to.
_MARGIN = 30.0


class Clock(Protocol):
    """Time as it passes, and a way to let it."""

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        ...

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        ...


class NotSo(EnvironmentFault):
    """An act was carried out, and the site is not as it had to be then."""

    def __init__(self, act: Act, why: str) -> None:
        super().__init__(f"after `{act}`: {why}", hint="Look at the site, then start again.")


@dataclass(frozen=True, kw_only=True)
class Hand:
    """Carries out acts on one site, for whoever holds the lease."""

    site: Site
    plan: Plan
    journal: Journal
    pulse: Pulse
    clock: Clock = time

    def carry_out(self, act: Act) -> Sight:
        """Make an act so, and return what is there then; what is so already stays.

        Raises EnvironmentFault when it cannot be written down (nothing was done then), cannot be
        done, or is not so in its time; Fenced when the rollout is somebody else's by now.
        """
        self.journal.write("intent", str(act))
        sight = self._persistently(act)
        self.journal.write("done", str(act), **told(sight))
        return sight

    def _persistently(self, act: Act) -> Sight:
        """Make an act so; what hangs once is no reason to roll back, and each act can be redone."""
        for _ in range(_TRIES - 1):
            try:
                return self.make(act)
            except (NotSo, TakenBack):
                raise
            except EnvironmentFault:
                self.clock.sleep(_PAUSE)
        return self.make(act)

    def make(self, act: Act, within: float | None = None) -> Sight:
        """As `carry_out`, without a word in the journal, in at most `within` seconds."""
        seconds = max(_SECONDS[act.name], self.site.patience) if within is None else within
        self.pulse.allow(seconds + _MARGIN)
        deadline = self.clock.monotonic() + seconds
        with self.site.store.fenced(self.pulse.lease):
            _PERFORMED[act.name](self.site, self.plan, act)
        return self._seen(act, deadline)

    def _seen(self, act: Act, deadline: float) -> Sight:
        while True:
            sight = self.site.look()
            why = unlike(act, self.plan, sight)
            if not why:
                return sight
            if self.clock.monotonic() > deadline or _hopeless(act, sight):
                raise NotSo(act, why)
            if act.name in (Name.REPLACE, Name.RESTORE):
                self._carry(sight)
            self.clock.sleep(_POLL)

    def _carry(self, sight: Sight) -> None:
        """Keep users answered while the stable side is made anew: a proxy may have forgotten."""
        stable, canary = sight.stable, sight.canary
        ready = canary.health is Health.READY
        if stable.health is not Health.READY and ready and canary.share < 1.0:
            with suppress(EnvironmentFault):
                self.site.ensure_share(100)


def _hopeless(act: Act, sight: Sight) -> bool:
    """Return whether waiting is no use: the platform has started it again and again."""
    return act.name is Name.START and sight.canary.restarts >= 2


def told(sight: Sight) -> dict[str, Any]:
    """Return what stands in a journal of what was seen."""
    return {
        side: {
            "digest": seen.digest,
            "health": str(seen.health),
            "share": round(seen.share, 6),
            "reachable": seen.reachable,
            "restarts": seen.restarts,
        }
        for side, seen in (("stable", sight.stable), ("canary", sight.canary))
    }


def _start(site: Site, plan: Plan, _act: Act) -> None:
    # The guard first: from here on somebody watches.
    if plan.guarded:
        site.ensure_guard(on=True)
    site.ensure_canary(plan.candidate)


def _replace(site: Site, plan: Plan, _act: Act) -> None:
    # Again, because what is replaced must not be what serves.
    if not plan.shifts_itself:
        site.ensure_share(100)
    site.ensure_stable(plan.candidate)


_PERFORMED: dict[Name, Callable[[Site, Plan, Act], None]] = {
    Name.START: _start,
    Name.SHIFT: lambda site, _plan, act: site.ensure_share(act.share),
    Name.REPLACE: _replace,
    Name.RESTORE: lambda site, plan, _act: site.ensure_stable(plan.stable),
    Name.RETURN: lambda site, _plan, _act: site.ensure_out(),
    Name.REMOVE: lambda site, _plan, _act: site.ensure_removed(),
}
