"""What stands on a site: who serves, from which bytes, and how much of the traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """The two that share the traffic: what serves, and what might in its place."""

    STABLE = "stable"
    CANARY = "canary"


class Health(StrEnum):
    """Whether a side can be sent requests; `starting` may still become `ready`."""

    READY = "ready"
    STARTING = "starting"
    FAILING = "failing"
    ABSENT = "absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pinned:
    """What is to run, by its bytes.

    `image` is what a person calls it; `digest` (sha256:…) is what the engine runs, whatever a tag
    points at by now; `artifact` is the digest of the model's own file or folder within, where the
    site can read it. The evidence names either of the two.
    """

    image: str
    digest: str
    artifact: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One side as it is found; `share` is its part of new requests, from 0 to 1.

    `digest` is that of what really runs, None where nothing does. `reachable` tells whether any
    request at all may reach it, those of users that were sent to it before included: a weight of 0
    is not the end of those. `restarts` counts how often the platform had to start it again.
    """

    digest: str | None
    health: Health
    share: float
    reachable: bool
    restarts: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """Both sides, seen at one time."""

    stable: Seen
    canary: Seen

    @property
    def whole(self) -> bool:
        """Return whether the stable side alone serves, and can."""
        stable, canary = self.stable, self.canary
        healthy = stable.health is Health.READY and stable.reachable
        return healthy and stable.share == 1.0 and canary.share == 0.0 and not canary.reachable


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoints:
    """Where each side is asked directly, past the router: addresses such as http://127.0.0.1:9."""

    stable: str
    canary: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.stable, self.canary))
