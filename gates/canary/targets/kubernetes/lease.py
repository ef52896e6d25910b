"""A rollout's lease, as a Lease of coordination.k8s.io says it: pure, both ways.

`leaseTransitions` is the token, which only grows. `leaseDurationSeconds` knows whole seconds only,
so our time to live stands in an annotation, and our signs of life are counted in another: no clock
is compared with that of another machine.
"""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from gates.canary.site import Lease
from gates.canary.targets.kubernetes.cluster import Object, annotation
from gates.errors import EnvironmentFault

BEAT: Final = "model-gates.io/beat"
TTL: Final = "model-gates.io/ttl"


def lease_of(found: Object) -> Lease | None:
    """Return the lease that an object says; None where nobody holds it."""
    holder = found["spec"].get("holderIdentity")
    if not holder:
        return None
    duration = float(found["spec"].get("leaseDurationSeconds") or 1)
    return Lease(
        token=token_of(found),
        holder=str(holder),
        beat=int(number_of(found, BEAT)),
        ttl=number_of(found, TTL) or duration,
    )


def number_of(found: Object, name: str) -> float:
    """Return a number of ours, 0 where there is none; raises EnvironmentFault for anything else."""
    value = annotation(found, name)
    with suppress(ValueError):
        number = float(value or 0)
        if math.isfinite(number):
            return number
    raise EnvironmentFault(
        f"its annotation {name} is not as it was written",
        where=f"{found.get('kind')} {found['metadata']['name']}",
        hint="Look at both sides by hand, then delete the object.",
    )


def token_of(found: Object) -> int:
    """Return the token of the last holder, whether or not it still holds the lease."""
    return int(found["spec"].get("leaseTransitions") or 0)


def created(lease: Lease) -> dict[str, Any]:
    """Return the fields of a new object for a lease."""
    return {
        "metadata": {"annotations": {BEAT: str(lease.beat), TTL: repr(lease.ttl)}},
        "spec": _spec(lease),
    }


def _spec(lease: Lease) -> dict[str, Any]:
    now = _now()
    return {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": _whole(lease.ttl),
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": lease.token,
    }


def taken_over(found: Object, lease: Lease) -> list[dict[str, Any]]:
    """Return the operations that make a lease another's; the mark of who acts stays."""
    return [
        {"op": "add", "path": "/spec", "value": _spec(lease)},
        *marked(found, {BEAT: str(lease.beat), TTL: repr(lease.ttl)}),
    ]


def renewed(found: Object, lease: Lease) -> list[dict[str, Any]]:
    """Return the operations that are a sign of life."""
    return [
        {"op": "add", "path": "/spec/renewTime", "value": _now()},
        {"op": "add", "path": "/spec/leaseDurationSeconds", "value": _whole(lease.ttl)},
        *marked(found, {BEAT: str(lease.beat), TTL: repr(lease.ttl)}),
    ]


def marked(found: Object, values: dict[str, str]) -> list[dict[str, Any]]:
    """Return the one operation that sets several annotations, whether or not there are any."""
    there = (found.get("metadata") or {}).get("annotations") or {}
    return [{"op": "add", "path": "/metadata/annotations", "value": {**there, **values}}]


def _whole(ttl: float) -> int:
    return max(1, math.ceil(ttl))


def _now() -> str:
    # For whoever looks with kubectl: nothing is decided by it.
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
