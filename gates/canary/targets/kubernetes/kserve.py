"""KServe: an InferenceService splits the traffic between its own predictor and a canary of it.

There are two ways, by the cluster's deployment mode. `standard` has `spec.canary[]` (from 0.20 on):
Deployments of Kubernetes behind an HTTPRoute that KServe writes. `serverless` has
`canaryTrafficPercent`: revisions of Knative. A version or mode that does not know a field leaves it
out or does nothing about it, and all of the traffic stays where it was, or goes to the candidate
at once; so what took effect is read where it is: in that HTTPRoute, and in Knative's traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field, StrictStr

from gates.canary.sight import Health, Pinned, Seen, Sight
from gates.canary.targets.kubernetes.api import pointer
from gates.canary.targets.kubernetes.cluster import DEPLOYMENT, Cluster, Kind, Object, waited
from gates.canary.targets.kubernetes.gateway import HTTP_ROUTE, Gateway, Route, unsettled
from gates.canary.targets.kubernetes.pair import served
from gates.canary.targets.kubernetes.sides import (
    Workload,
    pin,
    place_of,
    replicas,
    rolled_out,
    seen,
)
from gates.errors import EnvironmentFault, InputError
from gates.fields import Model

INFERENCE_SERVICE: Final = Kind(
    group="apis/serving.kserve.io/v1beta1", plural="inferenceservices", name="InferenceService"
)
CONTAINER: Final = "kserve-container"
MODE: Final = "serving.kserve.io/deploymentMode"


class KServe(Model):
    """An InferenceService of KServe whose model is in its image."""

    inferenceservice: StrictStr = Field(description="Name of the InferenceService.")
    mode: Literal["standard", "serverless"] = Field(
        description="standard: `spec.canary`, KServe 0.20 and later, with the Gateway API. "
        "serverless: `canaryTrafficPercent`, with Knative."
    )
    canary: StrictStr = Field(
        default="canary", description="Name that the canary's predictor gets (standard)."
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Standard:
    """One InferenceService with `spec.canary`; times are in seconds."""

    cluster: Cluster
    name: str
    canary: str
    settle: float
    patience: float

    def stable(self) -> Pinned:
        """Return what serves now."""
        side = self._side(self._service())
        deployment = side.deployment()
        return served(side, deployment, side.running(deployment))

    def look(self) -> Sight:
        """Return both sides as they are; the shares are those of KServe's HTTPRoute."""
        service = self._service()
        share, doubt = self._share(service)
        side = self._side(service)
        deployment = side.deployment()
        stable = seen(
            side.running(deployment),
            1.0 - share,
            wanted=replicas(deployment),
            reached=side.served_by(),
        )
        return Sight(stable=stable, canary=self._canary(service, share, doubt))

    def ensure_canary(self, candidate: Pinned) -> None:
        """Have the candidate run beside the stable predictor, with nobody sent to it."""
        pin(candidate.image)
        self._known()

        def decide(service: Object) -> list[dict[str, Any]]:
            spec = service["spec"]["predictor"]
            predictor = {
                "name": self.canary,
                # Without it, 0 % of the traffic would mean no pod at all.
                "minReplicas": max(1, int(spec.get("minReplicas") or 1)),
                "model": {**_model(service, self._where), "image": candidate.image},
            }
            canary = [{"predictor": predictor, "trafficPercent": 0}]
            if service["spec"].get("canary") == canary:
                return []
            return [{"op": "add", "path": "/spec/canary", "value": canary}]

        changed = self.cluster.change(INFERENCE_SERVICE, self.name, decide)
        self._entry(changed)

    def ensure_share(self, percent: int) -> None:
        """Send this part to the canary; raises EnvironmentFault where KServe does not do it."""
        if percent:
            canary = self.look().canary
            if canary.health is not Health.READY:
                raise self._fault(f"the canary cannot take requests ({canary.reason})")
        expected: list[int] = []

        def decide(service: Object) -> list[dict[str, Any]]:
            now = int(self._entry(service)["trafficPercent"])
            if expected and now != expected[0] and percent:
                raise self._fault(f"somebody else changed trafficPercent to {now} meanwhile")
            expected[:] = [now]
            path = pointer("spec", "canary", 0, "trafficPercent")
            return [] if now == percent else [{"op": "replace", "path": path, "value": percent}]

        self.cluster.change(INFERENCE_SERVICE, self.name, decide)
        self._in_effect(percent / 100)

    def ensure_out(self) -> None:
        """Send everything to the stable predictor."""
        if self._service()["spec"].get("canary"):
            self.ensure_share(0)
        else:
            self._in_effect(0.0)

    def ensure_stable(self, wanted: Pinned) -> None:
        """Have the predictor run exactly this, and wait until it does."""
        pin(wanted.image)

        def decide(service: Object) -> list[dict[str, Any]]:
            if _model(service, self._where).get("image") == wanted.image:
                return []
            path = pointer("spec", "predictor", "model", "image")
            return [{"op": "add", "path": path, "value": wanted.image}]

        changed = self.cluster.change(INFERENCE_SERVICE, self.name, decide)
        side = self._side(changed)

        def replaced() -> bool | None:
            deployment = side.deployment()
            there = side.image(deployment) == wanted.image and rolled_out(deployment)
            return True if there else None

        if waited(replaced, self.patience) is None:
            raise self._fault(f"not every pod runs the new image after {self.patience:g} s")

    def ensure_removed(self) -> None:
        """Have no canary any more; it must be out."""
        service = self._service()
        if service["spec"].get("canary") and self._share(service)[0] > 0:
            raise self._fault("the canary still has a part of the traffic, so it stays")
        gone = {"op": "remove", "path": "/spec/canary"}
        self.cluster.change(
            INFERENCE_SERVICE,
            self.name,
            lambda found: [gone] if found["spec"].get("canary") else [],
        )

    def by_hand(self) -> tuple[str, ...]:
        """Return the command with which a person sends everything to the stable predictor."""
        patch = '[{"op":"replace","path":"/spec/canary/0/trafficPercent","value":0}]'
        which = f"-n {self.cluster.namespace} patch inferenceservice/{self.name}"
        return (f"kubectl {which} --type=json -p '{patch}'",)

    def _service(self) -> Object:
        return self.cluster.get(INFERENCE_SERVICE, self.name)

    def _known(self) -> None:
        """Raise EnvironmentFault where `spec.canary` would do nothing."""
        service = self._service()
        mode = (service["metadata"].get("annotations") or {}).get(MODE)
        if mode != "Standard":
            raise self._fault(f"its deployment mode is {mode or 'not Standard'}: {MODE}")
        _model(service, self._where)
        if self.cluster.find(HTTP_ROUTE, self.name) is None:
            raise self._fault("KServe has no HTTPRoute for it (ingress.enableGatewayApi)")

    def _entry(self, service: Object) -> Mapping[str, Any]:
        entries: Sequence[Mapping[str, Any]] = service["spec"].get("canary") or ()
        if len(entries) != 1 or entries[0]["predictor"].get("name") != self.canary:
            raise self._fault(
                "`spec.canary` was not kept, or is somebody else's: KServe before 0.20 drops it"
            )
        return entries[0]

    def _share(self, service: Object) -> tuple[float, str]:
        """Return the canary's part of what KServe's HTTPRoute sends, and why it may not be so.

        A canary that is not ready stands in no rule, whatever `trafficPercent` says.
        """
        route = self.cluster.get(HTTP_ROUTE, self.name)
        names = (self._predictor(service), self._predictor_named(self.canary))
        backends = [
            str(one["name"])
            for rule in route["spec"].get("rules") or ()
            for one in rule.get("backendRefs") or ()
        ]
        if names[1] not in backends:
            return 0.0, unsettled(route)
        return self._route(names).share()

    def _route(self, names: tuple[str, str]) -> Route:
        options = Gateway(httproute=self.name, stable_service=names[0], canary_service=names[1])
        return options.router(self.cluster, self.settle)

    def _in_effect(self, share: float) -> None:
        last: list[str] = ["nothing was seen"]

        def there() -> bool | None:
            found, doubt = self._share(self._service())
            last[0] = doubt or f"the HTTPRoute gives the canary {found:.1%}"
            return True if not doubt and abs(found - share) < 0.001 else None

        if waited(there, self.settle) is None:
            raise self._fault(
                f"trafficPercent says {share:.0%} and had no such effect in {self.settle:g} s: "
                f"{last[0]}"
            )

    def _canary(self, service: Object, share: float, doubt: str) -> Seen:
        side = self._workload(self._predictor_named(self.canary))
        deployment = self.cluster.find(DEPLOYMENT, side.name)
        if deployment is None:
            waiting = bool(service["spec"].get("canary"))
            health = Health.STARTING if waiting else Health.ABSENT
            return Seen(digest=None, health=health, share=share, reachable=share > 0)
        return seen(
            side.running(deployment),
            share,
            wanted=replicas(deployment),
            reached=side.served_by(),
            doubt=doubt,
        )

    def _side(self, service: Object) -> Workload:
        return self._workload(self._predictor(service))

    def _workload(self, name: str) -> Workload:
        return Workload(cluster=self.cluster, name=name, service=name, container=CONTAINER)

    def _predictor(self, service: Object) -> str:
        return self._predictor_named(service["spec"]["predictor"].get("name") or "")

    def _predictor_named(self, name: str) -> str:
        return "-".join(part for part in (self.name, name, "predictor") if part)

    @property
    def _where(self) -> str:
        return self.cluster.where(INFERENCE_SERVICE, self.name)

    def _fault(self, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            why,
            where=self._where,
            hint="docs/canary-kubernetes.md says which versions and modes of KServe do what.",
        )


def image_path(service: Object, where: str) -> tuple[str | int, ...]:
    """Return where the image of an InferenceService's own predictor stands.

    Raises InputError where the model is not in the image: its digest would say nothing then.
    """
    predictor = service["spec"]["predictor"]
    if predictor.get("containers"):
        names = [one.get("name") for one in predictor["containers"]]
        name = CONTAINER if CONTAINER in names else None
        place = place_of(predictor, name, where)
        environment = predictor["containers"][place].get("env") or ()
        if any(one.get("name") == "STORAGE_URI" for one in environment):
            raise _elsewhere("STORAGE_URI", where)
        return ("spec", "predictor", "containers", place, "image")
    _model(service, where)
    return ("spec", "predictor", "model", "image")


def _model(service: Object, where: str) -> Mapping[str, Any]:
    model: Mapping[str, Any] | None = service["spec"]["predictor"].get("model")
    if not model or not model.get("image"):
        raise InputError(
            "its predictor names no `model.image`, so there is no digest to hold it to",
            where=where,
            hint="Put the model into an image, and name that in spec.predictor.model.image.",
        )
    for name in ("storageUri", "storage"):
        if model.get(name):
            raise _elsewhere(f"model.{name}", where)
    return model


def _elsewhere(name: str, where: str) -> InputError:
    return InputError(
        f"its model comes from {name}, so the digest of the image does not say which model serves",
        where=where,
        hint="Put the model into the image (docs/canary-kubernetes.md).",
    )
