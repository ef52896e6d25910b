"""Kubernetes as the place of a rollout: the options of `target: {kubernetes: …}`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_validator,
)

from gates.canary.counters import Counters
from gates.canary.one_of import OneOf
from gates.canary.sight import Endpoints, Pinned, Sight
from gates.canary.stores.kubernetes import KubernetesStore
from gates.canary.targets.kubernetes.api import connect
from gates.canary.targets.kubernetes.argo import Argo, Rolling
from gates.canary.targets.kubernetes.cluster import Cluster
from gates.canary.targets.kubernetes.gateway import Gateway
from gates.canary.targets.kubernetes.guard import GuardPod, InCluster
from gates.canary.targets.kubernetes.istio import Istio
from gates.canary.targets.kubernetes.knative import Serverless
from gates.canary.targets.kubernetes.kserve import KServe, Standard
from gates.canary.targets.kubernetes.pair import Pair
from gates.canary.targets.kubernetes.sides import Workload, pin
from gates.errors import EnvironmentFault
from gates.fields import Model

# RFC 1123: as the API takes them, so that a wrong one is seen before anything is asked.
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Address = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@?#]+$")]
Seconds = Annotated[float, Field(ge=1, le=3600, strict=True)]


class Deployments(Model):
    """The two Deployments: what serves, and the canary beside it, without pods between rollouts."""

    stable: Label = Field(description="Deployment of what serves.")
    canary: Label = Field(description="Deployment of the canary; same model server, own label.")
    canary_pods: Annotated[StrictInt, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Pods of the canary; else as many as the stable side has."
    )


class Asked(Model):
    """Where both sides are asked directly, past the router, for `replay`."""

    stable: Address = Field(description="Such as http://credit-stable.prod.svc:8080.")
    canary: Address = Field(description="Or by `kubectl proxy`, on 127.0.0.1:8001.")


class Routes(OneOf):
    """What splits the traffic: exactly one of them."""

    gateway: Gateway | None = Field(default=None, description="Gateway API: an HTTPRoute.")
    istio: Istio | None = Field(default=None, description="Istio: a VirtualService.")
    argo: Argo | None = Field(default=None, description="Argo Rollouts: a Rollout.")
    kserve: KServe | None = Field(default=None, description="KServe: an InferenceService.")


class Kubernetes(Model):
    """Shift the traffic within one namespace of a cluster.

    `image` of a rollout is REPOSITORY@sha256:…; a tag is refused, since it may point at something
    else by the time that a node pulls it. The model must be in that image. Kubernetes counts no
    requests: configure `metrics: {prometheus: …}` for the deployment.
    """

    namespace: Label = Field(description="Namespace of everything that is named here.")
    kubeconfig: StrictStr | None = Field(
        default=None, min_length=1, description="Path of a kubeconfig; else as kubectl finds it."
    )
    context: StrictStr | None = Field(
        default=None, min_length=1, description="Context of the kubeconfig; else its current one."
    )
    in_cluster: StrictBool = Field(
        default=False, description="true: use the account of the pod that this runs in."
    )
    route: Routes = Field(description="What splits the traffic: gateway, istio, argo or kserve.")
    deployments: Deployments | None = Field(
        default=None, description="The two Deployments; for gateway and istio."
    )
    container: StrictStr | None = Field(
        default=None, description="The container with the model, where a pod has several."
    )
    endpoints: Asked | None = Field(default=None, description="Addresses for `replay`.")
    guard: GuardPod | None = Field(
        default=None, description="The pod that rolls back when the lease runs out."
    )
    timeout: Annotated[float, Field(ge=1, le=60, strict=True)] = Field(
        default=10.0, description="Seconds that a request to the API may take."
    )
    settle: Seconds = Field(
        default=15.0, description="Seconds until a change of the weights is in effect."
    )
    patience: Seconds = Field(
        default=150.0, description="Seconds until every stable pod runs a new image."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        pair = isinstance(self.route.chosen(), Gateway | Istio)
        if pair and self.deployments is None:
            raise ValueError("`deployments` is missing: this route splits between two of them")
        if not pair and self.deployments is not None:
            raise ValueError("`deployments` is for gateway and istio: this route has its own pods")
        if self.in_cluster and (self.kubeconfig or self.context):
            raise ValueError("`in_cluster` needs neither `kubeconfig` nor `context`")
        return self

    def site(self, name: str) -> KubernetesSite:
        """Return the cluster, opened for the deployment of this name; nothing is asked yet."""
        api = connect(
            kubeconfig=self.kubeconfig,
            context=self.context,
            in_cluster=self.in_cluster,
            timeout=self.timeout,
        )
        cluster = Cluster(api=api, namespace=self.namespace)
        named = object_name(name)
        # A lock is held for the longest of all requests, and some more.
        store = KubernetesStore(cluster=cluster, name=named, patience=self.timeout + 5)
        return KubernetesSite(
            store=store,
            ways=WAYS[self.route.key](self.route.chosen(), self, cluster),
            guard=self._guard(cluster, name, named),
            options=self,
        )

    def _guard(self, cluster: Cluster, name: str, named: str) -> InCluster | None:
        if self.guard is None:
            return None
        target = self.model_dump(exclude_none=True) | {"in_cluster": True}
        kept = {key: value for key, value in target.items() if key not in _RUNNERS}
        settings = {
            "version": 1,
            "deployments": {name: {"model": name, "target": {"kubernetes": kept}}},
        }
        return InCluster(
            cluster=cluster,
            deployment=name,
            name=f"{named}-guard",
            options=self.guard,
            settings=settings,
            settle=self.patience,
        )


# What is about the runner, and of no use to the guard's pod.
_RUNNERS: Final = ("kubeconfig", "context", "guard", "endpoints")


class Ways(Protocol):
    """What each route does in its own way; see `gates.canary.site.Site`."""

    def stable(self) -> Pinned:
        """Return what serves now."""
        ...

    def look(self) -> Sight:
        """Return what stands there."""
        ...

    def ensure_canary(self, candidate: Pinned, /) -> None:
        """Have the candidate run, unreachable for users."""
        ...

    def ensure_share(self, percent: int) -> None:
        """Send this part of the traffic to the canary."""
        ...

    def ensure_out(self) -> None:
        """Send everything to the stable side."""
        ...

    def ensure_stable(self, wanted: Pinned, /) -> None:
        """Have exactly this as the stable side."""
        ...

    def ensure_removed(self) -> None:
        """Take the canary away."""
        ...

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands for a person."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesSite:
    """One deployment in a cluster; `ways` is how its route does what is asked."""

    store: KubernetesStore
    ways: Ways
    guard: InCluster | None
    options: Kubernetes

    @property
    def shifts_itself(self) -> bool:
        """Return that it does not: even Argo Rollouts waits for us at each step."""
        return False

    @property
    def patience(self) -> float:
        """Return how long a new image may take, the router's word included, in seconds."""
        return self.options.patience + self.options.settle

    def pin(self, image: str) -> Pinned:
        """Return an image by its digest; whether a node can pull it shows when it runs."""
        return pin(image)

    def stable(self) -> Pinned:
        """Return what serves now."""
        return self.ways.stable()

    def look(self) -> Sight:
        """Return what stands there."""
        return self.ways.look()

    def counters(self) -> Counters:
        """Raise EnvironmentFault: Kubernetes counts no requests."""
        raise EnvironmentFault(
            "Kubernetes counts no requests by itself",
            where=f"namespace {self.options.namespace}",
            hint="Configure `metrics: {prometheus: …}` for the deployment.",
        )

    def endpoints(self) -> Endpoints | None:
        """Return where to ask both sides directly, if the options say so."""
        asked = self.options.endpoints
        return None if asked is None else Endpoints(stable=asked.stable, canary=asked.canary)

    def ensure_canary(self, pinned: Pinned) -> None:
        """Have the candidate run beside the stable side, unreachable for users."""
        self.ways.ensure_canary(pinned)

    def ensure_share(self, percent: int) -> None:
        """Send this part of the traffic to the canary."""
        self.ways.ensure_share(percent)

    def ensure_out(self) -> None:
        """Send everything to the stable side."""
        self.ways.ensure_out()

    def ensure_stable(self, pinned: Pinned) -> None:
        """Have exactly this run as the stable side."""
        self.ways.ensure_stable(pinned)

    def ensure_removed(self) -> None:
        """Take the canary away."""
        self.ways.ensure_removed()

    def ensure_guard(self, *, on: bool) -> None:
        """Have the guard's pod run; or have it gone."""
        if self.guard is None:
            if on:
                raise EnvironmentFault(
                    "no guard is configured, so nothing would roll back if the runner died",
                    where=f"namespace {self.options.namespace}",
                    hint="Set the target's `guard: {image: …}`, or the deployment's `guard: none`.",
                )
            return
        self.guard.ensure(on=on)

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands with which a person sends everything to the stable side."""
        return self.ways.by_hand()


def _pair(route: Gateway | Istio, options: Kubernetes, cluster: Cluster) -> Pair:
    names = options.deployments
    assert names is not None  # noqa: S101  (by Kubernetes._fits)
    sides = [
        Workload(cluster=cluster, name=name, service=service, container=options.container)
        for name, service in (
            (names.stable, route.stable_service),
            (names.canary, route.canary_service),
        )
    ]
    return Pair(
        cluster=cluster,
        stable_side=sides[0],
        canary_side=sides[1],
        router=route.router(cluster, options.settle),
        patience=options.patience,
        pods=names.canary_pods,
        apart=route.stable_service != route.canary_service,
    )


def _argo(route: Argo, options: Kubernetes, cluster: Cluster) -> Rolling:
    return Rolling(
        cluster=cluster,
        name=route.rollout,
        container=options.container,
        settle=options.settle,
        patience=options.patience,
    )


def _kserve(route: KServe, options: Kubernetes, cluster: Cluster) -> Standard | Serverless:
    times = {"settle": options.settle, "patience": options.patience}
    if route.mode == "serverless":
        return Serverless(cluster=cluster, name=route.inferenceservice, **times)
    return Standard(cluster=cluster, name=route.inferenceservice, canary=route.canary, **times)


WAYS: Final[dict[str, Callable[[Any, Kubernetes, Cluster], Ways]]] = {
    "gateway": _pair,
    "istio": _pair,
    "argo": _argo,
    "kserve": _kserve,
}


def object_name(deployment: str) -> str:
    """Return a name that the API takes, for the objects of a deployment; no two have the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", deployment.lower()).strip("-")[:30].strip("-")
    if plain == deployment:
        return f"mg-{plain}"
    digest = hashlib.sha256(json.dumps(deployment).encode()).hexdigest()[:8]
    return f"mg-{plain}-{digest}" if plain else f"mg-{digest}"
