"""The way back: everything to the stable side, as it was, and proof that it is so.

Nothing holds it up: no full disk, no API that fails for a while, no second signal.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gates.canary.acts import Hand, told
from gates.canary.faults import Fenced, Unconfirmed
from gates.canary.program import Act, Name, backward
from gates.canary.sight import Sight
from gates.errors import EnvironmentFault, GatesError

_PAUSE = 0.5
_PATIENT = 60.0
# What is left after a cancel is 7.5 s and another 2.5 s; the way back has to fit in.
_HURRIED = 5.0


@dataclass(frozen=True, kw_only=True)
class Retreat:
    """Goes back on behalf of a rollout; `hurried` tells whether somebody waits for us to be gone.

    `hurried` is asked again before every act: a person may lose patience in the middle. A rollout
    that is `over` has been rolled back before: what serves since then is somebody's wish.
    """

    hand: Hand
    hurried: Callable[[], bool]
    over: bool = False

    def go(self) -> None:
        """Send everything to the stable side. Raises Unconfirmed, or Fenced."""
        try:
            self._shut()
            for act in self._acts(self._sight()):
                if act.name is Name.REMOVE and self.hurried():
                    self.say("note", why="the canary is out; it was left for `abort` to remove")
                else:
                    self._carry_out(act)
        except Fenced:
            raise
        except Exception as error:
            # A bug of ours leaves users no better off than a router that is gone.
            why = error.message if isinstance(error, GatesError) else type(error).__name__
            self.say("unconfirmed", why=why)
            raise Unconfirmed(
                f"the way back could not be confirmed: {why}",
                where=self.hand.plan.deployment,
                hint="The guard goes on trying. By hand it takes the commands above.",
                details=self.hand.site.by_hand(),
            ) from error

    def say(self, kind: str, act: str = "", **body: Any) -> None:
        """Write to the journal if that can be done."""
        with suppress(EnvironmentFault):
            self.hand.journal.write(kind, act, **body)

    def _shut(self) -> None:
        """Close the valve before anything is looked at: that needs nothing but the router."""
        hand = self.hand
        with suppress(EnvironmentFault), hand.site.store.fenced(hand.pulse.lease):
            hand.site.ensure_out()

    def _acts(self, sight: Sight) -> tuple[Act, ...]:
        plan = self.hand.plan
        kept = self.over and sight.stable.digest != plan.candidate.digest
        acts = backward(plan, sight)
        return tuple(act for act in acts if act.name is not Name.RESTORE) if kept else acts

    def _carry_out(self, act: Act) -> None:
        self.say("intent", str(act))
        sight = self._again(lambda: self.hand.make(act, _HURRIED if self.hurried() else None))
        self.say("done", str(act), **told(sight))

    def _sight(self) -> Sight:
        return self._again(self.hand.site.look)

    def _again(self, attempt: Callable[[], Sight]) -> Sight:
        """Return what an attempt brings, the next one if it fails, for as long as there is time."""
        clock = self.hand.clock
        began = clock.monotonic()
        while True:
            try:
                return attempt()
            except EnvironmentFault:
                if clock.monotonic() - began > (_HURRIED if self.hurried() else _PATIENT):
                    raise
                clock.sleep(_PAUSE)
