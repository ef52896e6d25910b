"""The meters there are, by the name they have in the configuration; read it top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gates.canary.counters import Counters
from gates.canary.meters.prometheus import Prometheus

METERS: dict[str, type[Prometheus]] = {
    "prometheus": Prometheus,
}


class Meter(Protocol):
    """What every meter's options offer."""

    def counters(self, environ: Mapping[str, str]) -> Counters:
        """Return both sides' counts; raises EnvironmentFault when they cannot be had."""
        ...
