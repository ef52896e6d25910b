"""Endpoint configurations, as they are wanted: pure functions from one to the next.

A configuration of SageMaker never changes, and an endpoint goes from one to another. The name of
each that is made here is a digest of its content and of the one before it: made again, it is the
same, and no two steps of an endpoint's history share one.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Final

# What an endpoint has beside its variants is carried over as it is.
_CARRIED: Final = (
    "DataCaptureConfig",
    "KmsKeyId",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
    "CrossRegionTrafficConfig",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A configuration to be made: `request` is that of CreateEndpointConfig."""

    name: str
    request: dict[str, Any]


def prefix(deployment: str) -> str:
    """Return how the names of a deployment's configurations begin; unlike any other's."""
    readable = re.sub(r"[^a-z0-9]+", "-", deployment.lower())[:20].strip("-") or "deployment"
    return f"mg-{readable}-{hashlib.sha256(deployment.encode()).hexdigest()[:6]}-"


def with_variants(
    deployment: str, config: dict[str, Any], variants: list[dict[str, Any]]
) -> Wanted:
    """Return a configuration like `config`, but with these variants."""
    request: dict[str, Any] = {key: config[key] for key in _CARRIED if config.get(key)}
    request["ProductionVariants"] = variants
    text = json.dumps([config["EndpointConfigName"], request], sort_keys=True, default=str)
    name = prefix(deployment) + hashlib.sha256(text.encode()).hexdigest()[:12]
    tag = {"Key": "model-gates.deployment", "Value": prefix(deployment)}
    return Wanted(name=name, request={**request, "EndpointConfigName": name, "Tags": [tag]})


def variant(
    like: dict[str, Any], name: str, model: str, weight: float, count: int | None = None
) -> dict[str, Any]:
    """Return a variant like another, under a name, with a model, a weight and instances."""
    made = {**like, "VariantName": name, "ModelName": model, "InitialVariantWeight": weight}
    return made if count is None else {**made, "InitialInstanceCount": count}


def same_variants(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two configurations have the same variants, models and weights."""
    return _essence(one) == _essence(other)


def _essence(config: dict[str, Any]) -> list[tuple[Any, ...]]:
    # SageMaker fills in defaults of its own, which are no difference.
    return sorted(
        (v["VariantName"], v["ModelName"], float(v.get("InitialVariantWeight", 1.0)))
        for v in config["ProductionVariants"]
    )
