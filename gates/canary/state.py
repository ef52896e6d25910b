"""How far a rollout came: read from its journal, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gates.canary.chain import Record
from gates.canary.plan import Plan, from_json
from gates.canary.program import Act, Name, act, forward


class Phase(StrEnum):
    """Where a rollout is; those from `promoted` on are ends."""

    IDLE = "idle"
    RUNNING = "running"
    HELD = "held"
    ABORTING = "aborting"
    UNCONFIRMED = "unconfirmed"
    PROMOTED = "promoted"
    SHADOWED = "shadowed"
    ROLLED_BACK = "rolled-back"

    @property
    def ended(self) -> bool:
        """Return whether nothing is left to do."""
        return self in (Phase.IDLE, Phase.PROMOTED, Phase.SHADOWED, Phase.ROLLED_BACK)


class Serves(StrEnum):
    """What the stable side is by the journal's own account."""

    BEFORE = "before"
    CANDIDATE = "candidate"
    UNSURE = "unsure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A line of the story that a person is shown: when, what, and what came of it."""

    at: str
    by: str
    what: str
    share: int
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What a journal says; `done` acts of the program are done, `intent` may be, or not.

    `share` is the canary's part of the traffic that was last confirmed, in percent.
    """

    plan: Plan | None = None
    phase: Phase = Phase.IDLE
    done: int = 0
    intent: Act | None = None
    share: int = 0
    serves: Serves = Serves.BEFORE
    why: str = ""
    by: str = ""
    story: tuple[Told, ...] = ()

    @property
    def following(self) -> Act | None:
        """Return the act that comes next; None when there is none."""
        acts = forward(self.plan) if self.plan else ()
        return acts[self.done] if self.done < len(acts) else None


def fold(records: Iterable[Record]) -> State:
    """Return how far a rollout came."""
    state = State()
    for record in records:
        # What comes behind the end (a guard that was late) changes nothing any more.
        if not (state.phase.ended and state.plan):
            state = _KINDS.get(record.kind, _noted)(state, record)
            state = replace(state, story=(*state.story, _told(state, record)))
    return state


# After these the canary has the share that stands in the act.
_MOVING = (Name.START, Name.SHIFT, Name.RETURN)
_SERVING = {Name.REPLACE: Serves.CANDIDATE, Name.RESTORE: Serves.BEFORE}


def _told(state: State, record: Record) -> Told:
    what = f"{record.kind} {record.act}".strip()
    return Told(at=record.at, by=record.by, what=what, share=state.share, body=record.body)


def _planned(_state: State, record: Record) -> State:
    return State(plan=from_json(record.body["plan"]), phase=Phase.RUNNING, by=record.by)


def _meant(state: State, record: Record) -> State:
    meant = act(record.act)
    serves = Serves.UNSURE if meant.name in _SERVING else state.serves
    return replace(state, intent=meant, serves=serves)


def _done(state: State, record: Record) -> State:
    done = act(record.act)
    # While it goes back, the list that it goes forward by stands still.
    step = 1 if state.phase is Phase.RUNNING else 0
    share = done.share if done.name in _MOVING else state.share
    serves = _SERVING.get(done.name, state.serves)
    return replace(state, intent=None, share=share, serves=serves, done=state.done + step)


def _held(state: State, record: Record) -> State:
    return replace(state, phase=Phase.HELD, why=str(record.body["why"]), by=record.by)


def _going(state: State, record: Record) -> State:
    done = int(record.body["done"])
    return replace(state, phase=Phase.RUNNING, done=done, intent=None, why="", by=record.by)


def _aborting(state: State, record: Record) -> State:
    return replace(state, phase=Phase.ABORTING, why=str(record.body["why"]), by=record.by)


def _unconfirmed(state: State, record: Record) -> State:
    return replace(state, phase=Phase.UNCONFIRMED, why=str(record.body["why"]), by=record.by)


def _guarded(state: State, record: Record) -> State:
    said = record.body.get("why")
    why = str(said or "nobody gave a sign of life: the guard sent everything to the stable side")
    return replace(state, phase=_left(state, record), share=0, why=why, by=record.by)


def _left(state: State, record: Record) -> Phase:
    """Return what a guard has left: a router knows no digests, so its journal has to tell."""
    serves, digest = state.serves, record.body["stable"]
    if digest is not None and state.plan is not None:
        candidate = digest == state.plan.candidate.digest
        serves = Serves.CANDIDATE if candidate else Serves.BEFORE
    if serves is Serves.BEFORE:
        return Phase.ROLLED_BACK
    # Somebody wanted it gone, or nobody knows whether it came: a person looks.
    sure = serves is Serves.CANDIDATE and state.phase is not Phase.ABORTING
    return Phase.PROMOTED if sure else Phase.UNCONFIRMED


def _ended(state: State, record: Record) -> State:
    phase, why = Phase(record.body["phase"]), str(record.body["why"])
    return replace(state, phase=phase, why=why, by=record.by)


def _noted(state: State, _record: Record) -> State:
    return state


_KINDS: dict[str, Callable[[State, Record], State]] = {
    "plan": _planned,
    "intent": _meant,
    "done": _done,
    "held": _held,
    "going": _going,
    "aborting": _aborting,
    "unconfirmed": _unconfirmed,
    "guard": _guarded,
    "ended": _ended,
}
