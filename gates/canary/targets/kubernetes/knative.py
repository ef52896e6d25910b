"""KServe with Knative: the newest revision is the canary, the last that had everything is stable.

`canaryTrafficPercent` is the newest revision's part. Without that field everything goes to the
newest revision *that is ready*, which may be the candidate still when its image has just been taken
back: so the field stays at 0 until the newest revision is the one that is meant to serve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gates.canary.sight import Health, Pinned, Seen, Sight
from gates.canary.targets.kubernetes.api import pointer
from gates.canary.targets.kubernetes.cluster import (
    POD,
    Cluster,
    Kind,
    Object,
    annotated,
    annotation,
    waited,
)
from gates.canary.targets.kubernetes.kserve import CONTAINER, INFERENCE_SERVICE, MODE, image_path
from gates.canary.targets.kubernetes.pair import PREVIOUS
from gates.canary.targets.kubernetes.sides import digest, pin, pinned
from gates.errors import EnvironmentFault, InputError

REVISION: Final = Kind(group="apis/serving.knative.dev/v1", plural="revisions", name="Revision")
_PERCENT: Final = ("spec", "predictor", "canaryTrafficPercent")


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which revisions are the two sides, and the canary's part; `canary` is None without one."""

    stable: str
    canary: str | None
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Serverless:
    """One InferenceService with `canaryTrafficPercent`; times are in seconds."""

    cluster: Cluster
    name: str
    settle: float
    patience: float

    def stable(self) -> Pinned:
        """Return what serves now."""
        found = self._revision(self._split(self._service()).stable)
        if not found.digest:
            raise InputError(
                "the revision that serves has no digest",
                where=self._where,
                hint=f"See `kubectl -n {self.cluster.namespace} get revisions`.",
            )
        return pinned(self._image(self._service()), found.digest)

    def look(self) -> Sight:
        """Return both sides as they are; the shares are those of Knative's traffic."""
        found = self._split(self._service())
        stable = self._revision(found.stable)
        gone = Found(digest=None, health=Health.ABSENT)
        canary = self._revision(found.canary) if found.canary else gone
        return Sight(stable=stable.seen(1.0 - found.share), canary=canary.seen(found.share))

    def ensure_canary(self, candidate: Pinned) -> None:
        """Have the candidate as the newest revision, with nobody sent to it."""
        pin(candidate.image)
        self._heeded()

        def decide(service: Object) -> list[dict[str, Any]]:
            image = self._image(service)
            if image == candidate.image and _percent(service) is not None:
                return []
            # With nothing rolled out, KServe would send everything to the newest at once.
            if self._split(service).canary or _percent(service) is not None:
                raise self._fault("another change of it is under way")
            return [
                *annotated(service, PREVIOUS, image),
                *self._imaged(service, candidate.image),
                _set_percent(0),
            ]

        self.cluster.change(INFERENCE_SERVICE, self.name, decide)

    def ensure_share(self, percent: int) -> None:
        """Send this part to the canary; raises EnvironmentFault where KServe does not do it."""
        if percent:
            canary = self.look().canary
            if canary.health is not Health.READY:
                raise self._fault(f"the canary cannot take requests ({canary.reason})")
        expected: list[int | None] = []

        def decide(service: Object) -> list[dict[str, Any]]:
            now = _percent(service)
            if now is None:
                raise self._fault("canaryTrafficPercent is gone: there is no canary")
            if expected and now != expected[0] and percent:
                raise self._fault(f"somebody else set canaryTrafficPercent to {now} meanwhile")
            expected[:] = [now]
            return [] if now == percent else [_set_percent(percent)]

        self.cluster.change(INFERENCE_SERVICE, self.name, decide)
        self._in_effect(percent)

    def ensure_out(self) -> None:
        """Send everything to the stable revision."""
        if _percent(self._service()) is not None:
            self.ensure_share(0)

    def ensure_stable(self, wanted: Pinned) -> None:
        """Have all traffic on the newest revision, which runs exactly this."""
        pin(wanted.image)
        self._become(wanted.image)

    def ensure_removed(self) -> None:
        """Take the candidate's image back, unless it is what serves; the canary must be out."""
        service = self._service()
        found = self._split(service)
        if found.canary is None and _percent(service) is None:
            return
        if found.share > 0:
            raise self._fault("the canary still has a part of the traffic, so it stays")
        old = annotation(service, PREVIOUS)
        stable = self.stable()
        if old is None or ("@" in old and digest(old) != stable.digest):
            old = stable.image
        self._become(old)

    def by_hand(self) -> tuple[str, ...]:
        """Return the command with which a person sends everything to the stable revision."""
        patch = '{"spec":{"predictor":{"canaryTrafficPercent":0}}}'
        which = f"-n {self.cluster.namespace} patch inferenceservice/{self.name}"
        return (f"kubectl {which} --type=merge -p '{patch}'",)

    def _heeded(self) -> None:
        """Raise EnvironmentFault where KServe would send everything to the newest at once."""
        service = self._service()
        status = service.get("status") or {}
        mode = status.get("deploymentMode") or annotation(service, MODE) or "Serverless"
        if mode not in ("Serverless", "Knative"):
            raise self._fault(f"KServe ignores canaryTrafficPercent in the deployment mode {mode}")

    def _become(self, image: str) -> None:
        """Have the newest revision run an image, ready, and only then send everything to it."""

        def decide(service: Object) -> list[dict[str, Any]]:
            if self._image(service) == image:
                return []
            return [*self._imaged(service, image), _set_percent(0)]

        self.cluster.change(INFERENCE_SERVICE, self.name, decide)
        self._until(
            lambda service: self._newest_runs(service, image), "is not ready", self.patience
        )

        def open_up(service: Object) -> list[dict[str, Any]]:
            if self._image(service) != image:
                raise self._fault("somebody else changed the image meanwhile")
            return [] if _percent(service) is None else [_remove_percent()]

        self.cluster.change(INFERENCE_SERVICE, self.name, open_up)
        self._until(
            lambda service: self._split(service).canary is None,
            "does not get everything",
            self.settle,
        )

    def _until(self, true: Callable[[Object], bool], what: str, seconds: float) -> None:
        if waited(lambda: true(self._service()) or None, seconds) is None:
            raise self._fault(f"the newest revision {what} after {seconds:g} s")

    def _newest_runs(self, service: Object, image: str) -> bool:
        predictor = _predictor(service)
        newest = predictor.get("latestCreatedRevision")
        ready = newest and newest == predictor.get("latestReadyRevision")
        return bool(ready) and self._runs(str(newest), image)

    def _runs(self, name: str, image: str) -> bool:
        revision = self.cluster.find(REVISION, name) if name else None
        if revision is None:
            return False
        return any(one.get("image") == image for one in revision["spec"].get("containers") or ())

    def _split(self, service: Object) -> Split:
        newest = str(_predictor(service).get("latestCreatedRevision") or "")
        return split(service, self._where, fresh=self._runs(newest, self._image(service)))

    def _in_effect(self, percent: int) -> None:
        last = [0.0]

        def there() -> bool | None:
            last[0] = self._split(self._service()).share
            return True if abs(last[0] - percent / 100) < 0.001 else None

        if waited(there, self.settle) is None:
            raise self._fault(
                f"canaryTrafficPercent says {percent} and had no such effect in {self.settle:g} s: "
                f"the canary has {last[0]:.1%}. KServe heeds that field in serverless mode alone"
            )

    def _revision(self, name: str) -> Found:
        revision = self.cluster.find(REVISION, name)
        if revision is None:
            return Found(digest=None, health=Health.STARTING, reason="there is no such revision")
        status = revision.get("status") or {}
        images = {
            str(one.get("name")): digest(str(one.get("imageDigest")))
            for one in status.get("containerStatuses") or ()
        }
        conditions = {one.get("type"): one for one in status.get("conditions") or ()}
        ready = conditions.get("Ready") or {}
        health = _HEALTH.get(str(ready.get("status")), Health.STARTING)
        return Found(
            digest=images.get(CONTAINER, next(iter(images.values()), "")) or None,
            health=health,
            reason=str(ready.get("reason") or ""),
            restarts=self._restarts(name),
        )

    def _restarts(self, revision: str) -> int:
        pods = self.cluster.select(POD, {"serving.knative.dev/revision": revision})
        return sum(
            int(one.get("restartCount") or 0)
            for pod in pods
            for one in (pod.get("status") or {}).get("containerStatuses") or ()
        )

    def _service(self) -> Object:
        return self.cluster.get(INFERENCE_SERVICE, self.name)

    def _image(self, service: Object) -> str:
        value: Any = service
        for part in image_path(service, self._where):
            value = value[part]
        return str(value)

    def _imaged(self, service: Object, image: str) -> list[dict[str, Any]]:
        path = pointer(*image_path(service, self._where))
        return [{"op": "replace", "path": path, "value": image}]

    @property
    def _where(self) -> str:
        return self.cluster.where(INFERENCE_SERVICE, self.name)

    def _fault(self, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            why,
            where=self._where,
            hint="docs/canary-kubernetes.md says which versions and modes of KServe do what.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What one revision runs, and how it is."""

    digest: str | None
    health: Health
    reason: str = ""
    restarts: int = 0

    def seen(self, share: float) -> Seen:
        """Return it as a side; its own address apart, nobody reaches a revision without a share."""
        return Seen(
            digest=self.digest,
            health=self.health,
            share=share,
            reachable=share > 0,
            restarts=self.restarts,
            reason=self.reason,
        )


_HEALTH: Final = {"True": Health.READY, "False": Health.FAILING}


def split(service: Object, where: str, *, fresh: bool) -> Split:
    """Return the sides of an InferenceService, as Knative has them. Pure.

    `fresh` tells whether the newest revision is of the latest change; KServe does not say so.
    Raises EnvironmentFault where nothing has ever been rolled out, or something else gets traffic.
    """
    predictor = _predictor(service)
    newest = str(predictor.get("latestCreatedRevision") or "")
    parts: dict[str, int] = {}
    for one in predictor.get("traffic") or ():
        name = str(one.get("revisionName") or "")
        parts[name] = parts.get(name, 0) + int(one.get("percent") or 0)
    known = [
        str(predictor.get(name) or "")
        for name in ("latestRolledoutRevision", "previousRolledoutRevision")
    ]
    others = [name for name, part in parts.items() if part and name != newest]
    # At 100 % the candidate counts as rolled out; who had everything before is then the one before.
    stable = next((one for one in (*others, *known) if one and one != newest), "")
    if not newest or sum(parts.values()) != 100 or len(others) > 1:
        raise EnvironmentFault(
            "its traffic cannot be told: "
            + (", ".join(f"{name} {part} %" for name, part in parts.items()) or "there is none"),
            where=where,
            hint="Wait until the InferenceService is ready; see `kubectl get ksvc,revisions`.",
        )
    steady = not others and (_percent(service) is None or not fresh)
    if steady or not stable:
        return Split(stable=newest, canary=None, share=0.0)
    return Split(stable=stable, canary=newest, share=parts.get(newest, 0) / 100)


def _predictor(service: Object) -> Mapping[str, Any]:
    components = (service.get("status") or {}).get("components") or {}
    return components.get("predictor") or {}


def _percent(service: Object) -> int | None:
    value = service["spec"]["predictor"].get("canaryTrafficPercent")
    return None if value is None else int(value)


def _set_percent(percent: int) -> dict[str, Any]:
    return {"op": "add", "path": pointer(*_PERCENT), "value": percent}


def _remove_percent() -> dict[str, Any]:
    return {"op": "remove", "path": pointer(*_PERCENT)}
