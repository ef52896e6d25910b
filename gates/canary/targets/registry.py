"""The targets there are, by the name they have in the configuration; read it top to bottom."""

from __future__ import annotations

from gates.canary.targets.docker import Docker

TARGETS: dict[str, type[Docker]] = {
    "docker": Docker,
}
