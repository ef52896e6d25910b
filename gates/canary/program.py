"""A rollout as a list of acts; how far it came is a place in that list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gates.canary.plan import Finish, Plan
from gates.canary.sight import Health, Sight


class Name(StrEnum):
    """What is done."""

    START = "start"  # the candidate runs beside the stable side, and no user reaches it
    REPLAY = "replay"  # the same requests to both
    SHIFT = "shift"  # a part of the traffic goes to the canary
    JUDGE = "judge"  # it bakes, and is looked at
    HOLD = "hold"  # a person decides
    REPLACE = "replace"  # the stable side becomes the candidate, while the canary serves
    RESTORE = "restore"  # the stable side becomes again what it was
    RETURN = "return"  # everything goes to the stable side
    REMOVE = "remove"  # the canary is taken away


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One act; `share` is the canary's part of the traffic afterwards, in percent."""

    name: Name
    share: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.share}" if self.name in (Name.SHIFT, Name.JUDGE) else self.name


def act(text: str) -> Act:
    """Return the act that stands in a journal."""
    name, _, share = text.partition(":")
    return Act(name=Name(name), share=int(share or 0))


def forward(plan: Plan) -> tuple[Act, ...]:
    """Return what a plan is carried out with, from first to last."""
    acts = [Act(name=Name.START)]
    if plan.replayed:
        acts.append(Act(name=Name.REPLAY))
    if plan.shifts_itself:
        return (*acts, *(Act(name=name) for name in (Name.REPLACE, Name.RETURN, Name.REMOVE)))
    for share in plan.steps:
        if 0 < share < 100:
            acts += _step(share)
    if not plan.shadow:
        if plan.finish is Finish.HOLD:
            acts.append(Act(name=Name.HOLD, share=acts[-1].share))
        acts += [*_step(100), Act(name=Name.REPLACE, share=100)]
    return (*acts, Act(name=Name.RETURN), Act(name=Name.REMOVE))


def promotion(acts: tuple[Act, ...]) -> int:
    """Return the place in `forward` from which on the candidate is put in place."""
    last = Act(name=Name.SHIFT, share=100)
    return acts.index(last) if last in acts else acts.index(Act(name=Name.REPLACE))


def backward(plan: Plan, sight: Sight) -> tuple[Act, ...]:
    """Return what brings the stable side back to what it was, from what is there now."""
    acts = (Act(name=Name.RETURN), Act(name=Name.REMOVE))
    stable, canary = sight.stable, sight.canary
    if stable.digest == plan.stable.digest and stable.health is Health.READY:
        return acts
    if stable.digest != plan.candidate.digest:
        return (Act(name=Name.RESTORE), *acts)
    # Replaced already: users have the candidate on either side, until what was is back.
    there = canary.digest == plan.candidate.digest and canary.health is Health.READY
    again = () if there else (Act(name=Name.START),)
    return (*again, Act(name=Name.SHIFT, share=100), Act(name=Name.RESTORE), *acts)


def _step(share: int) -> list[Act]:
    return [Act(name=Name.SHIFT, share=share), Act(name=Name.JUDGE, share=share)]
