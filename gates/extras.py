"""Which extras a configuration needs, so that an installer can leave the others out."""

from __future__ import annotations

from gates.config import Config

CORE = "core"
# A gate that brings a library of its own has an extra of its name (pyproject.toml).
GATE_EXTRAS = ("data-schema", "fairness")


def needed(config: Config) -> tuple[str, ...]:
    """Return the names of the extras; `core` where the plain installation will do."""
    configured = {gate for model in config.models.values() for gate in model.gates.configured()}
    return tuple(extra for extra in GATE_EXTRAS if extra in configured) or (CORE,)
