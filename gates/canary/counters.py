"""How many requests each side answered, how many of them badly, and how fast: only ever counted up.

Windows are differences of counters, never of clocks: a clock that is set, or differs from another
machine's, changes nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# Each bucket is this much longer than the one before: a quantile read from it is right to 1 %.
RATIO = 1.02
_LEAST = 1e-4  # seconds; what is faster counts as this


def bucket(seconds: float) -> int:
    """Return the number of the bucket that holds a latency: finite, and not below 0."""
    return max(0, math.ceil(math.log(max(seconds, _LEAST) / _LEAST) / math.log(RATIO)))


def upper(number: int) -> float:
    """Return the longest latency of a bucket, in seconds."""
    return float(_LEAST * RATIO**number)


def histogram(latencies: Iterable[float]) -> Mapping[int, int]:
    """Return how many latencies (seconds) fall into each bucket."""
    return MappingProxyType(dict(sorted(Counter(map(bucket, latencies)).items())))


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One side's counts. An error is an answer of the 500s, or none at all.

    `refused` are the answers of the 400s: a user did wrong, or a model takes no request any more.
    It is 0 where a meter cannot tell. `latency` has the number of answered requests in each
    `bucket`; it may hold fewer than `requests`, where not every request was timed.
    """

    requests: int = 0
    errors: int = 0
    refused: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)

    def __sub__(self, earlier: Arm) -> Arm:
        gone = {n: self.latency.get(n, 0) - earlier.latency.get(n, 0) for n in self.latency}
        return Arm(
            requests=self.requests - earlier.requests,
            errors=self.errors - earlier.errors,
            refused=self.refused - earlier.refused,
            latency={number: count for number, count in gone.items() if count},
        )

    def __add__(self, other: Arm) -> Arm:
        numbers = sorted({*self.latency, *other.latency})
        return Arm(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            refused=self.refused + other.refused,
            latency={n: self.latency.get(n, 0) + other.latency.get(n, 0) for n in numbers},
        )

    @property
    def possible(self) -> bool:
        """Return whether these can be counts: a difference over a reset cannot."""
        least = min(self.errors, self.refused, *self.latency.values())
        return least >= 0 and self.errors + self.refused <= self.requests


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """Both sides' counts since the counting began; `epoch` names that beginning.

    Counters of two epochs have nothing to do with one another: the router was started again, say.
    """

    epoch: str
    stable: Arm
    canary: Arm


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What happened between two looks, or over several windows together."""

    stable: Arm = field(default_factory=Arm)
    canary: Arm = field(default_factory=Arm)

    def __add__(self, other: Window) -> Window:
        return Window(stable=self.stable + other.stable, canary=self.canary + other.canary)

    @property
    def requests(self) -> int:
        """Return how many requests both sides answered."""
        return self.stable.requests + self.canary.requests

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the counts as they stand in a journal."""
        return {
            name: {
                "requests": arm.requests,
                "errors": arm.errors,
                "refused": arm.refused,
                "latency": {str(number): count for number, count in arm.latency.items()},
            }
            for name, arm in (("stable", self.stable), ("canary", self.canary))
        }


def from_json(found: Mapping[str, Any]) -> Window:
    """Return the window that stands in a journal."""
    return Window(**{name: _arm(arm) for name, arm in found.items()})


def _arm(found: Mapping[str, Any]) -> Arm:
    latency = {int(number): count for number, count in found["latency"].items()}
    return Arm(
        requests=found["requests"],
        errors=found["errors"],
        # Journals from before they were counted have none.
        refused=found.get("refused", 0),
        latency=latency,
    )


def between(earlier: Counters, later: Counters) -> Window | None:
    """Return what happened between two looks; None where a reset lies between them."""
    if earlier.epoch != later.epoch:
        return None
    stable, canary = later.stable - earlier.stable, later.canary - earlier.canary
    if not (stable.possible and canary.possible):
        return None
    return Window(stable=stable, canary=canary)
