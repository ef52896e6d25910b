"""End a rollout, whoever holds it and wherever it is; with a journal, or without one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

import typer

from gates.errors import EnvironmentFault, GatesError, Refused

if TYPE_CHECKING:
    from gates.cli.canary_hand import Opened


def end(place: Opened, reason: str) -> NoReturn:
    """Send everything to the stable side, tell of it, and exit by it."""
    from gates.canary.faults import Fenced, Locked

    place.world.stop.once = True
    try:
        _end(place, reason)
    except (Fenced, Locked):
        raise
    except (Refused, EnvironmentFault) as error:
        _by_force(place, error)


def _end(place: Opened, reason: str) -> NoReturn:
    from gates.canary.faults import EXIT_ABORTED
    from gates.canary.rollout import Cause
    from gates.canary.state import Phase
    from gates.canary.take import end
    from gates.cli.canary_go import go, leave, state_of

    state = state_of(place)
    lease = None
    if state.plan is not None and state.phase not in (Phase.PROMOTED, Phase.SHADOWED):
        lease = end(place.site.store, place.holder, place.settings.lease, time, reason)
        # As it is now that nobody else has it.
        state = state_of(place)
    if state.plan is None or state.phase in (Phase.PROMOTED, Phase.SHADOWED):
        if lease is not None:
            place.site.store.release(lease)
        why = state.why or "nothing was begun"
        typer.echo(f"{place.name}: there is nothing to abort: {why}")
        raise typer.Exit
    if lease is None:
        place.world.stop.rest()
        leave(place)
        raise typer.Exit(EXIT_ABORTED)
    over = state.phase is Phase.ROLLED_BACK
    go(place, lease, state.plan, None, lambda f: f.back(Cause.REQUEST, reason, over=over))


def _by_force(place: Opened, error: GatesError) -> NoReturn:
    """Close the valve where no journal can be read or written: users come first."""
    from gates.canary.faults import Unconfirmed

    try:
        place.site.ensure_out()
        sent = "everything was sent to the stable side, and that could not be noted down"
    except GatesError as other:
        sent = f"nothing could be sent to the stable side ({other.message})"
    raise Unconfirmed(
        f"{sent}: {error.message}",
        where=error.where,
        hint="See what serves with `model-gates canary status`; by hand it takes the above.",
        details=place.site.by_hand(),
    ) from error
