"""What runs on either side: its pods' health, and the digest of what they really run.

A pod says what was asked for (`spec`) and what runs (`status.containerStatuses[].imageID`); only
the second is evidence. A Service says whom it may choose (`selector`) and whom it does choose (its
EndpointSlices); again only the second is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gates.canary.sight import Health, Pinned, Seen
from gates.canary.targets.kubernetes.cluster import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    POD,
    Cluster,
    Object,
)
from gates.errors import EnvironmentFault, InputError
from gates.fields import bounded

# What a kubelet says of a container that will not come up by waiting a moment longer.
_STUCK: Final = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_REFERENCE: Final = re.compile(r"(?P<repo>[^@\s]+)@(?P<digest>sha256:[0-9a-f]{64})\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A side's pods together: those that serve, and what keeps others from it.

    `digests` are of the pods that are ready, `images` how the pods call what they run.
    """

    digests: frozenset[str]
    names: frozenset[str]
    ready: int
    total: int
    restarts: int
    stuck: str = ""


def pin(image: str) -> Pinned:
    """Return an image by its digest. Raises InputError for one that is not named by a digest."""
    found = _REFERENCE.match(image)
    if found is None:
        repo = bounded(image.partition("@")[0], 150)
        raise InputError(
            f"{bounded(image, 200)!r} names no digest: a tag may point at something else by now",
            hint=f"Give it as REPOSITORY@sha256:…; `crane digest {repo}` tells the digest, and so "
            f"does `docker buildx imagetools inspect {repo}`.",
        )
    return Pinned(image=image, digest=found["digest"])


def pinned(image: str, digest: str) -> Pinned:
    """Return what runs as `repository@digest`, whatever tag it was asked for by."""
    found = _REFERENCE.match(image)
    repo = found["repo"] if found else _without_tag(image)
    return Pinned(image=f"{repo}@{digest}", digest=digest)


def running(pods: Iterable[Object], container: str) -> Running:
    """Return what the pods of one side say; those that are on their way out do not count."""
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    said = [(pod, _status(pod, container)) for pod in alive]
    ready = [(pod, status) for pod, status in said if _is_ready(pod) and status]
    stuck = [reason for pod, status in said if (reason := _stuck(pod, status))]
    return Running(
        digests=frozenset(digest(str(status.get("imageID") or "")) for _, status in ready),
        names=frozenset(pod["metadata"]["name"] for pod in alive),
        ready=len(ready),
        total=len(alive),
        restarts=sum(int(status.get("restartCount") or 0) for _, status in said),
        stuck=stuck[0] if stuck else "",
    )


def seen(
    found: Running, share: float, *, wanted: int, reached: frozenset[str], doubt: str = ""
) -> Seen:
    """Return a side as a rollout sees it.

    `wanted` is how many pods it is to have, `reached` the names of those that its Service chooses.
    A share of 0 keeps everybody off: no router here sends a user where the weight is 0. With a
    `doubt`, who gets what cannot be told, and a pod that is there may be reached.
    """
    health, reason = _health(found, wanted, reached)
    (one,) = found.digests if len(found.digests) == 1 else (None,)
    return Seen(
        digest=one or None,
        health=health,
        share=share,
        reachable=share > 0 or bool(doubt and found.total),
        restarts=found.restarts,
        reason="; ".join(one for one in (reason, doubt) if one),
    )


def digest(image_id: str) -> str:
    """Return the digest of a container's imageID; empty where it has none."""
    found = _DIGEST.search(image_id)
    return found[0] if found else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """A Deployment, and the Service through which its pods are reached."""

    cluster: Cluster
    name: str
    service: str
    container: str | None

    def deployment(self) -> Object:
        """Return the Deployment as it is; raises InputError where there is none."""
        return self.cluster.get(DEPLOYMENT, self.name)

    def running(self, deployment: Object) -> Running:
        """Return its pods together."""
        labels = deployment["spec"]["selector"].get("matchLabels") or {}
        if not labels:
            raise EnvironmentFault(
                "its selector has no matchLabels, so its pods cannot be told",
                where=self.cluster.where(DEPLOYMENT, self.name),
                hint="Select the pods by labels.",
            )
        place = container(_pod_spec(deployment), self.container, self._where())
        pods = [pod for pod in self.cluster.select(POD, labels) if _is_of(pod, self.name)]
        return running(pods, str(place["name"]))

    def served_by(self) -> frozenset[str]:
        """Return the names of the pods that its Service sends requests to."""
        return served_by(self.cluster, self.service)

    def image(self, deployment: Object) -> str:
        """Return the image that it asks for."""
        place = container(_pod_spec(deployment), self.container, self._where())
        return str(place["image"])

    def image_path(self, deployment: Object) -> tuple[str | int, ...]:
        """Return where in a Deployment its image stands."""
        index = place_of(_pod_spec(deployment), self.container, self._where())
        return ("spec", "template", "spec", "containers", index, "image")

    def _where(self) -> str:
        return self.cluster.where(DEPLOYMENT, self.name)


def served_by(cluster: Cluster, service: str) -> frozenset[str]:
    """Return the names of the pods that a Service sends requests to."""
    slices = cluster.select(ENDPOINT_SLICE, {"kubernetes.io/service-name": service})
    endpoints = [one for found in slices for one in found.get("endpoints") or ()]
    # The API's word for "unknown" counts as ready (EndpointConditions).
    ready = [one for one in endpoints if (one.get("conditions") or {}).get("ready") is not False]
    return frozenset(
        str((one.get("targetRef") or {}).get("name") or address)
        for one in ready
        for address in (one.get("addresses") or [""])[:1]
    )


def rolled_out(deployment: Object) -> bool:
    """Return whether every pod is of the newest template, and can serve."""
    status, wanted = deployment.get("status") or {}, replicas(deployment)
    observed = int(status.get("observedGeneration") or 0)
    return (
        observed >= int(deployment["metadata"].get("generation") or 0)
        and int(status.get("updatedReplicas") or 0) == wanted
        and int(status.get("replicas") or 0) == wanted
        and int(status.get("availableReplicas") or 0) == wanted
    )


def replicas(deployment: Object) -> int:
    """Return how many pods are asked for; the API's default is 1."""
    return int(deployment["spec"].get("replicas", 1))


def place_of(spec: Object, name: str | None, where: str) -> int:
    """Return which of a pod's containers has the model."""
    names = [str(one["name"]) for one in spec.get("containers") or ()]
    if name is None and len(names) == 1:
        return 0
    if name is None or name not in names:
        raise InputError(
            f"which container has the model? There is: {', '.join(names) or 'none'}",
            where=where,
            hint="Set `container` in the target's options.",
        )
    return names.index(name)


def container(spec: Object, name: str | None, where: str) -> Object:
    """Return the container that has the model."""
    found: Object = spec["containers"][place_of(spec, name, where)]
    return found


def _pod_spec(deployment: Object) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def _status(pod: Object, name: str) -> Mapping[str, Any]:
    statuses: Sequence[Mapping[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((one for one in statuses if one.get("name") == name), {})


def _is_of(pod: Object, deployment: str) -> bool:
    """Return whether a Deployment made a pod; its labels alone may fit another's selector."""
    metadata = pod["metadata"]
    owners = [one for one in metadata.get("ownerReferences") or () if one.get("controller")]
    name = f"{deployment}-{(metadata.get('labels') or {}).get('pod-template-hash')}"
    return all(one.get("kind") == "ReplicaSet" and one.get("name") == name for one in owners)


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _stuck(pod: Object, status: Mapping[str, Any]) -> str:
    if (pod.get("status") or {}).get("phase") == "Failed":
        return "Failed"
    reason = str(((status.get("state") or {}).get("waiting") or {}).get("reason") or "")
    return reason if reason in _STUCK else ""


def _health(found: Running, wanted: int, reached: frozenset[str]) -> tuple[Health, str]:
    if found.total == 0 and wanted == 0:
        return Health.ABSENT, ""
    if len(found.digests) > 1:
        return Health.STARTING, "its pods run different images"
    if found.ready == 0:
        health = Health.FAILING if found.stuck else Health.STARTING
        return health, found.stuck or "no pod is ready"
    if "" in found.digests:
        return Health.STARTING, "no digest of its image is known"
    if not found.names & reached:
        return Health.STARTING, "its Service has no ready endpoint"
    # A pod of several that does not come up is no reason to call the others unfit.
    return Health.READY, found.stuck


def _without_tag(image: str) -> str:
    head, slash, last = image.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]
