"""Carry a rollout out: forward while everything passes, back as soon as anything does not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gates.canary.acts import Hand, NotSo, told
from gates.canary.analysis.standing import BLAMELESS
from gates.canary.bake import Judge, Tally, over
from gates.canary.confirmed import drift
from gates.canary.counters import Window
from gates.canary.faults import EXIT_ABORTED, EXIT_HELD, Fenced, TakenBack
from gates.canary.judgement import Judgement
from gates.canary.plan import OnInconclusive
from gates.canary.program import Act, Name
from gates.canary.retreat import Retreat
from gates.canary.sight import Health, Sight
from gates.canary.state import Phase, State, fold
from gates.errors import EXIT_BLOCKED, EXIT_OK, EnvironmentFault, GatesError
from gates.fields import MAX_TEXT, bounded
from gates.report import Verdict

_TICK: Final = 1.0
# Looks in a row that may fail before a person is asked.
_GAPS: Final = 4
# A replay that hangs keeps nobody from the stable side; it only must not hang for ever.
_REPLAY: Final = 3600.0


class Cause(StrEnum):
    """Why a rollout goes back."""

    VERDICT = "verdict"
    REQUEST = "request"
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a command leaves a rollout, and the exit code that says so."""

    phase: Phase
    code: int
    why: str = ""


class _Back(Exception):
    """What was found on the way leaves nothing but the way back."""

    def __init__(self, cause: Cause, why: str) -> None:
        super().__init__(why)
        self.cause, self.why = cause, why


class _Held(Exception):
    """A person has to decide."""


@dataclass(kw_only=True)
class Rollout:
    """One rollout in the hands of one process.

    `replay` is asked once, before any user meets the canary. `hurried` tells whether somebody waits
    for this process to be gone; `until` is when its time is up, by the hand's clock.
    """

    hand: Hand
    tally: Tally
    judge: Judge
    replay: Callable[[], Judgement]
    hurried: Callable[[], bool] = field(default=lambda: False)
    until: float | None = None
    ending: Ending | None = field(default=None, init=False)

    def forward(self) -> Ending:
        """Go on from where the journal is, to the end, to a hold, or back.

        Raises Unconfirmed when the way back could not be confirmed, Fenced when somebody else has
        the rollout by now, and the fault because of which it went back.
        """
        try:
            return self._settled()
        except Exception:
            raise
        except BaseException:  # noqa: BLE001  (told to stop, whatever the command line calls it)
            return self._cancelled()

    def back(self, cause: Cause, why: str, *, over: bool = False) -> Ending:
        """Send everything to the stable side, as it was. Raises Unconfirmed, or Fenced.

        One that is `over` was rolled back before, and only has something left to tidy up.
        """
        try:
            return self._back(cause, why, over=over)
        except Exception:
            raise
        except BaseException:  # noqa: BLE001  (as above)
            # Who is told to stop in the middle of it has this to bring to its end all the same.
            return self._end(self.ending) if self.ending else self._back(cause, why, over=over)

    def _back(self, cause: Cause, why: str, *, over: bool = False) -> Ending:
        why = bounded(why, MAX_TEXT)
        retreat = Retreat(hand=self.hand, hurried=self.hurried, over=over)
        retreat.say("aborting", cause=cause, why=why)
        retreat.go()
        code = EXIT_BLOCKED if cause is Cause.VERDICT else EXIT_ABORTED
        return self._end(Ending(phase=Phase.ROLLED_BACK, code=code, why=why))

    def _cancelled(self) -> Ending:
        """Go back, unless the rollout had come to its end when we were told to stop."""
        if self.ending is not None:
            return self._end(self.ending)
        return self.back(Cause.REQUEST, "the run was cancelled")

    def _settled(self) -> Ending:
        try:
            return self._forward()
        except _Held as held:
            return self._held(str(held))
        except _Back as back:
            return self.back(back.cause, back.why)
        except Fenced:
            raise
        except GatesError as error:
            self.back(Cause.FAULT, error.message)
            raise
        except Exception as error:
            self.back(Cause.FAULT, f"a bug of ours ({type(error).__name__})")
            raise

    def _forward(self) -> Ending:
        self.tally.open()
        state = self._state()
        # A person who says "go on" has seen how things are: what comes next sets them right.
        sure = self.hand.journal.records[-1].kind != "going"
        while (act := state.following) is not None:
            if state.phase is not Phase.RUNNING:
                raise Fenced(
                    f"the rollout is {state.phase} by now: nothing more is done from here",
                    hint="See where it stands with `model-gates canary status`.",
                )
            if sure:
                self._same(state, self.hand.site.look())
            sure = True
            self._step(act)
            state = self._state()
        if self.hand.plan.shadow:
            why = "it was judged, and no user has met it"
            return self._end(Ending(phase=Phase.SHADOWED, code=EXIT_OK, why=why))
        return self._end(Ending(phase=Phase.PROMOTED, code=EXIT_OK, why="the candidate serves"))

    def _step(self, act: Act) -> None:
        if act.name is Name.HOLD:
            raise _Held("every step has passed; whether it gets all of the traffic, a person says")
        if act.name in (Name.REPLAY, Name.JUDGE):
            self._settle(self._replayed(act) if act.name is Name.REPLAY else self._bake(act))
            self.hand.journal.write("done", str(act))
            return
        try:
            self.hand.carry_out(act)
        except TakenBack as error:
            raise _Back(Cause.VERDICT, error.message) from error
        except NotSo as error:
            # A candidate that does not even come up has failed; that is no fault of the site.
            if act.name in (Name.START, Name.SHIFT):
                raise _Back(Cause.VERDICT, error.message) from error
            raise

    def _settle(self, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.PASS:
            return
        if judgement.verdict is Verdict.FAIL:
            raise _Back(Cause.VERDICT, judgement.reason)
        wanted = self.hand.plan.on_inconclusive is OnInconclusive.ABORT
        if wanted and judgement.code not in BLAMELESS:
            raise _Back(Cause.VERDICT, f"undecided: {judgement.reason}")
        raise _Held(judgement.reason)

    def _replayed(self, act: Act) -> Judgement:
        self.hand.pulse.allow(_REPLAY)
        return self._judged(act, self.replay())

    def _bake(self, act: Act) -> Judgement:
        """Look again and again, until a step is decided or its time is up."""
        plan, clock = self.hand.plan, self.hand.clock
        every = plan.bake / plan.looks
        self.tally.begin()
        began = looked = clock.monotonic()
        while True:
            sight = self._wait_and_look(min(_TICK, every))
            baked = self.tally.count()
            now = clock.monotonic()
            due = now - looked >= every
            if sight.canary.health is Health.READY and not due:
                continue
            judgement = self.judge(baked, act.share, sight, plan)
            ends = over(judgement, now - began, plan)
            if due or ends:
                looked = now
                self._judged(act, judgement, step=_counted(baked.step))
            if ends:
                return judgement

    def _wait_and_look(self, seconds: float) -> Sight:
        """Let time pass and return what is there, if nobody wants this to end."""
        for _ in range(_GAPS):
            self._wait(seconds)
            try:
                sight = self.hand.site.look()
            except EnvironmentFault as error:
                fault = error
            else:
                # A canary that is down is for the judge; its share is nobody's doing.
                if sight.canary.health is Health.READY:
                    self._same(self._state(), sight)
                return sight
        raise _Held(f"the site cannot be looked at: {fault.message}") from fault

    def _wait(self, seconds: float) -> None:
        self.hand.pulse.allow(self.hand.plan.lease)
        self.hand.clock.sleep(seconds)
        reason = self.hand.site.store.asked_abort()
        if reason is not None:
            raise _Back(Cause.REQUEST, reason)
        if self.until is not None and self.hand.clock.monotonic() > self.until:
            raise _Held("the time of this run is up; `resume` goes on in another")

    def _same(self, state: State, sight: Sight) -> None:
        found = drift(state.share, self.hand.plan, sight)
        if found:
            self.hand.journal.write("drift", why=bounded(found, MAX_TEXT), **told(sight))
            raise _Held(f"somebody or something else changed the site: {found}")

    def _judged(self, act: Act, judgement: Judgement, **counted: Any) -> Judgement:
        body = {"judgement": judgement.as_json(), **counted}
        self.hand.journal.write("judged", str(act), **body)
        return judgement

    def _held(self, why: str) -> Ending:
        try:
            return self._hold(why)
        except Fenced:
            raise
        except GatesError as error:
            # What cannot be left for a person to decide is not left with users on it.
            self.back(Cause.FAULT, error.message)
            raise

    def _hold(self, why: str) -> Ending:
        why = bounded(why, MAX_TEXT)
        self.hand.journal.write("held", why=why)
        self.hand.pulse.last(self.hand.plan.hold)
        return Ending(phase=Phase.HELD, code=EXIT_HELD, why=why)

    def _end(self, ending: Ending) -> Ending:
        """Say that it is over, and let go; what cannot be tidied up now does no harm."""
        self.ending = ending
        site = self.hand.site
        with suppress(EnvironmentFault):
            if not self._state().phase.ended:
                self.hand.journal.write("ended", phase=ending.phase, why=ending.why)
        with suppress(EnvironmentFault):
            if self.hand.plan.guarded and not self.hurried():
                site.ensure_guard(on=False)
        with suppress(EnvironmentFault):
            site.store.release(self.hand.pulse.lease)
        return ending

    def _state(self) -> State:
        return fold(self.hand.journal.records)


def _counted(step: Window) -> dict[str, Any]:
    """Return a step's counts without the latencies, which would fill a journal."""
    return {side: arm | {"latency": {}} for side, arm in step.as_json().items()}
