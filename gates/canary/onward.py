"""Where a rollout goes on from, when a person says how. Pure."""

from __future__ import annotations

from enum import StrEnum

from gates.canary.program import Act, Name, forward, promotion
from gates.canary.state import Phase, State
from gates.errors import ConfigError

_DECIDED = (Name.REPLAY, Name.JUDGE, Name.HOLD)


class How(StrEnum):
    """What a person says of a rollout that waits."""

    RESUME = "resume"
    ADVANCE = "advance"
    PROMOTE = "promote"


def place(how: How, state: State) -> int:
    """Return how many acts of the program count as done.

    Raises ConfigError where that cannot be said of a rollout as it is: only what waits for a person
    can be advanced or promoted, and nothing that failed ever waits.
    """
    if state.plan is None:
        raise ConfigError("nothing was begun here", hint="Begin with `model-gates canary start`.")
    acts = forward(state.plan)
    if how is How.RESUME:
        return _anew(acts, state.done)
    if state.phase is not Phase.HELD:
        raise ConfigError(
            f"the rollout is {state.phase}, and only one that is held can be {how}d",
            hint="Look with `model-gates canary status`.",
        )
    if how is How.PROMOTE:
        if state.plan.shadow:
            raise ConfigError(
                "a shadow is never promoted: no user has met it",
                hint="Begin with other `steps`.",
            )
        return promotion(acts)
    waiting = state.following is not None and state.following.name in _DECIDED
    return state.done + 1 if waiting else _anew(acts, state.done)


def _anew(acts: tuple[Act, ...], done: int) -> int:
    """Return the place where a step begins: its share is set again before it is judged again."""
    before = done - 1
    is_judge = done < len(acts) and acts[done].name is Name.JUDGE
    return before if is_judge and acts[before].name is Name.SHIFT else done
