"""What a rollout is going to do: fixed when it starts, and written down before anything is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from gates.canary.sight import Pinned


class OnInconclusive(StrEnum):
    """What becomes of a step that could not be decided in its time."""

    HOLD = "hold"
    ABORT = "abort"


class Finish(StrEnum):
    """What follows upon the last step: the whole traffic, or a person's word."""

    PROMOTE = "promote"
    HOLD = "hold"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One rollout. Shares are in percent, times in seconds.

    A step bakes for `bake`, or until `max_bake` where it is not decided by then; it is looked at
    `looks` times in `bake`. `lease` is how long the target waits for a sign of life, `hold` how
    long for a person. `settings` is the digest of the file with the limits; `asked` says who
    started it, why and from where, `evidence` which record let it. Where the site `shifts_itself`
    there are no steps of ours: SageMaker's guardrails move the traffic, and watch their alarms.
    """

    rollout: str
    deployment: str
    model: str
    candidate: Pinned
    stable: Pinned
    steps: tuple[int, ...]
    bake: float
    max_bake: float
    looks: int
    min_requests: int
    on_inconclusive: OnInconclusive
    finish: Finish
    lease: float
    hold: float
    guarded: bool
    replayed: bool
    settings: str
    shifts_itself: bool = False
    asked: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def shadow(self) -> bool:
        """Return whether no user is to see the canary at all."""
        return self.steps == (0,)

    @property
    def digest(self) -> str:
        """Return the sha256 of everything that the plan says."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def as_json(self) -> dict[str, Any]:
        """Return the plan as it stands in a journal."""
        return asdict(self) | {"steps": list(self.steps)}


def from_json(found: Mapping[str, Any]) -> Plan:
    """Return the plan of a journal; whose chain holds, so that nothing needs a second look."""
    return Plan(
        **{
            **found,
            "candidate": Pinned(**found["candidate"]),
            "stable": Pinned(**found["stable"]),
            "steps": tuple(found["steps"]),
            "on_inconclusive": OnInconclusive(found["on_inconclusive"]),
            "finish": Finish(found["finish"]),
        }
    )
