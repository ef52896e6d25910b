"""What a rollout asks of the place where it runs: to look, and to make a few things so.

Every `ensure_…` may be called again and changes nothing then. It returns when the site has taken it
over, and raises when it could not; whether it *is* so, the rollout looks up by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gates.canary.counters import Counters
from gates.canary.sight import Endpoints, Pinned, Sight


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Who holds a deployment, and for how long without a sign of life.

    `token` grows with every holder: what an earlier one still tries is refused (fencing). `beat`
    grows with every sign of life. `ttl` is in seconds, of whichever clock is watching.
    """

    token: int
    holder: str
    beat: int
    ttl: float


class Store(Protocol):
    """Where a rollout's journal and lease live: on the target, so that they outlive the runner.

    Raises EnvironmentFault for what cannot be read or written; nothing is acted on then.
    """

    def read(self) -> bytes:
        """Return the journal of the latest rollout, as lines; empty where there was none."""
        ...

    def earlier(self) -> Iterator[bytes]:
        """Yield the journals of the rollouts before, the newest first."""
        ...

    def begin(self, line: bytes, token: int) -> None:
        """Begin a journal with its first line, and put the one before away."""
        ...

    def append(self, line: bytes, token: int) -> bool:
        """Add a line, durably; raises Fenced when `token` is no longer the holder's.

        Returns False, and adds nothing, when it does not follow from the last (`chain.follows`):
        somebody else was faster. What a crash left behind the last line is dropped.
        """
        ...

    def lease(self) -> Lease | None:
        """Return the lease as it stands; None where nobody holds the deployment."""
        ...

    def acquire(self, holder: str, ttl: float, *, over: int | None = None) -> Lease:
        """Take the deployment, in one step that only one of many can win; raises Locked.

        `over` is the token of a holder who is to be pushed aside; taken only if it is still theirs.
        """
        ...

    def orphaned(self, lease: Lease) -> bool:
        """Return whether whoever took this lease is known to have ended, without a word."""
        ...

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life, with `lease.ttl` from now on; raises Fenced."""
        ...

    def release(self, lease: Lease) -> None:
        """Let go; what is not ours any more stays."""
        ...

    def fenced(self, lease: Lease) -> AbstractContextManager[None]:
        """Hold others off while something is done; raises Fenced when the lease is not ours."""
        ...

    def ask_abort(self, reason: str) -> None:
        """Leave word that whoever holds the rollout is to abort it."""
        ...

    def asked_abort(self) -> str | None:
        """Return the reason of an abort that was asked for since the journal began."""
        ...


class Site(Protocol):
    """A target, opened: two sides behind one router.

    A look returns within seconds, an act within `patience`.
    """

    @property
    def store(self) -> Store:
        """Return where the journal lives."""
        ...

    @property
    def shifts_itself(self) -> bool:
        """Return whether the platform moves and watches the traffic alone, once it is told to."""
        ...

    @property
    def patience(self) -> float:
        """Return how long an act may take here, in seconds, where that is longer than usual."""
        ...

    def pin(self, image: str) -> Pinned:
        """Return what an image is, by its bytes; raises InputError when it is not there."""
        ...

    def stable(self) -> Pinned:
        """Return what serves now; raises InputError when nothing does."""
        ...

    def look(self) -> Sight:
        """Return what stands there; raises EnvironmentFault when that cannot be told."""
        ...

    def counters(self) -> Counters:
        """Return the router's counts; raises EnvironmentFault when they cannot be had."""
        ...

    def endpoints(self) -> Endpoints | None:
        """Return where to ask both sides directly; None where that is not possible."""
        ...

    def ensure_canary(self, pinned: Pinned) -> None:
        """Have the candidate run beside the stable side, unreachable for users."""
        ...

    def ensure_share(self, percent: int) -> None:
        """Send this part of the traffic (0 to 100) to the canary."""
        ...

    def ensure_out(self) -> None:
        """Send everything to the stable side, users included that the canary has had before."""
        ...

    def ensure_stable(self, pinned: Pinned) -> None:
        """Have exactly this run as the stable side; the canary may carry the traffic meanwhile."""
        ...

    def ensure_removed(self) -> None:
        """Take the canary away; it must be out."""
        ...

    def ensure_guard(self, *, on: bool) -> None:
        """Have something on the target roll back when the lease runs out; or have it gone."""
        ...

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands with which a person sends everything to the stable side."""
        ...
