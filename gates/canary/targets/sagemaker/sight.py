"""What SageMaker's words for an endpoint mean to a rollout: pure functions."""

from __future__ import annotations

from typing import Any, Final

from gates.canary.sight import Health, Seen
from gates.errors import EnvironmentFault

ABSENT: Final = Seen(digest=None, health=Health.ABSENT, share=0.0, reachable=False)
# While it changes, an endpoint goes on serving with what it had.
_HEALTH: Final = {
    "InService": Health.READY,
    "Updating": Health.READY,
    "SystemUpdating": Health.READY,
    "RollingBack": Health.READY,
    "Creating": Health.STARTING,
}


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Return an endpoint that can be told of; raises where a mix of two fleets serves."""
    if found["EndpointStatus"] == "UpdateRollbackFailed":
        raise EnvironmentFault(
            "an update and its rollback both failed: a mix of old and new instances serves",
            where=f"endpoint {found['EndpointName']}",
            hint="See `aws sagemaker describe-endpoint`; a person has to mend it.",
        )
    return found


def found_health(status: str, variant: dict[str, Any]) -> Health:
    """Return whether a variant of an endpoint with this status can be sent requests."""
    health = _HEALTH.get(status, Health.FAILING)
    none = variant.get("CurrentInstanceCount") == 0
    return Health.STARTING if none and health is Health.READY else health


def images_of(variant: dict[str, Any], where: str) -> tuple[str, ...]:
    """Return the images a variant runs, by digest, as SageMaker resolved them."""
    images = tuple(
        str(image.get("ResolvedImage", "")) for image in variant.get("DeployedImages", ())
    )
    if not images or not all(images):
        raise EnvironmentFault(
            f"SageMaker does not say which image the variant {variant['VariantName']} runs",
            where=where,
            hint="Wait until the endpoint is in service, and look again.",
        )
    return images
