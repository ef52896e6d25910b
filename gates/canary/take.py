"""Taking a deployment into one's hands: for a new rollout, one that was left, or to end one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gates.canary.acts import Clock
from gates.canary.chain import Record
from gates.canary.faults import Locked
from gates.canary.guard import HOLDER
from gates.canary.journal import records
from gates.canary.site import Lease, Store
from gates.canary.state import Phase, fold
from gates.errors import ConfigError

_POLL: Final = 0.2
# How long a holder that is alive gets to hear of an abort before it is pushed aside.
_HEARD: Final = 5.0


def free(store: Store) -> None:
    """Raise Locked if another rollout is on its way; of two that come now, `begin` tells."""
    found = records(store)
    phase = fold(found).phase
    if not phase.ended:
        raise Locked(
            f"the rollout {found[0].rollout} is {phase}",
            hint="Go on with `model-gates canary resume`, or end it with `model-gates canary "
            "abort`.",
        )


def begin(store: Store, holder: str, ttl: float, clock: Clock) -> Lease:
    """Take a deployment for a new rollout. Raises Locked while there is another."""
    free(store)
    lease = store.lease()
    if lease is not None and not _finished(lease, records(store)):
        _await_silence(store, lease, clock)
    mine = store.acquire(holder, ttl, over=lease.token if lease else None)
    try:
        # Once more, now that nobody else can begin: it may have taken a while to get here.
        free(store)
    except Locked:
        store.release(mine)
        raise
    return mine


def go_on(store: Store, holder: str, ttl: float, clock: Clock) -> Lease:
    """Take over a rollout that is held, or whose holder died. Raises Locked if it is alive."""
    found, lease = records(store), store.lease()
    _under_way(store)
    if lease is not None and not (fold(found).phase is Phase.HELD and _wrote(lease, found)):
        _await_silence(store, lease, clock)
    mine = store.acquire(holder, ttl, over=lease.token if lease else None)
    try:
        # Once more: the guard may have come before us.
        _under_way(store)
    except ConfigError:
        store.release(mine)
        raise
    return mine


def _under_way(store: Store) -> None:
    if fold(records(store)).phase.ended:
        raise ConfigError(
            "there is no rollout to go on with",
            hint="Look with `model-gates canary status`; begin with `model-gates canary start`.",
        )


def end(store: Store, holder: str, ttl: float, clock: Clock, reason: str) -> Lease | None:
    """Take over a rollout to abort it, whoever has it; None when its holder has done so itself."""
    lease = store.lease()
    if lease is None:
        return store.acquire(holder, ttl)
    found = records(store)
    waits = fold(found).phase is Phase.HELD and _wrote(lease, found)
    if not (waits or lease.holder == HOLDER or store.orphaned(lease)):
        store.ask_abort(reason)
        if _heard(store, clock):
            return None
    return store.acquire(holder, ttl, over=_still(store))


def _heard(store: Store, clock: Clock) -> bool:
    """Return whether the holder has rolled back by itself; wait while it is about to."""

    def ended() -> bool:
        return fold(records(store)).phase.ended and store.lease() is None

    if _within(_HEARD, clock, lambda: fold(records(store)).phase is Phase.ABORTING or ended()):
        return _within(_HEARD, clock, ended)
    return False


def _within(seconds: float, clock: Clock, is_so: Callable[[], bool]) -> bool:
    deadline = clock.monotonic() + seconds
    while not is_so():
        if clock.monotonic() > deadline:
            return False
        clock.sleep(_POLL)
    return True


def _still(store: Store) -> int | None:
    """Return the token to push aside: who came in between, such as the guard, is no obstacle."""
    held = store.lease()
    return held.token if held else None


def _await_silence(store: Store, lease: Lease, clock: Clock) -> None:
    """Wait until nobody can be alive behind a lease. Raises Locked at a sign of life.

    Half of its time is enough: a holder gives several signs in that, and one who was only slow is
    fenced off, and does no harm. When all of it is over, the guard comes.
    """
    if store.orphaned(lease):
        return

    def alive() -> bool:
        now = store.lease()
        return now is not None and (now.token, now.beat) != (lease.token, lease.beat)

    if _within(lease.ttl / 2, clock, alive):
        raise Locked(
            f"another process holds this deployment, and is alive: {lease.holder}",
            hint="Wait for it, or end what it does with `model-gates canary abort`.",
        )


def _finished(lease: Lease, found: tuple[Record, ...]) -> bool:
    """Return whether whoever has the lease has brought its rollout to an end."""
    return lease.holder == HOLDER or _wrote(lease, found)


def _wrote(lease: Lease, found: tuple[Record, ...]) -> bool:
    return bool(found) and found[-1].token == lease.token
