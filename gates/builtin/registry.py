"""The gates there are, by the name they have in the configuration; read it top to bottom."""

from __future__ import annotations

from gates.builtin.artifact import Artifact
from gates.builtin.data_schema import DataSchema
from gates.builtin.drift import Drift
from gates.builtin.fairness import Fairness
from gates.builtin.performance import Performance

GATES: dict[str, type[DataSchema | Performance | Fairness | Drift | Artifact]] = {
    "data-schema": DataSchema,
    "performance": Performance,
    "fairness": Fairness,
    "drift": Drift,
    "artifact": Artifact,
}
