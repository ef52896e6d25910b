"""Argo Rollouts: its controller sets the weights, step by step; here is decided when it may go on.

What the kubectl plugin patches is patched here (`abort`, `promote`, `retry`): fields of `status`,
by a merge patch of the status subresource. A Rollout can go to the next of its own steps and back
to 0, to nothing else; so its steps have to be those of the deployment, each with a pause that only
we end. `status.canary.weights` is what the controller has set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field, StrictStr

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
from gates.canary.targets.kubernetes.pair import PREVIOUS
from gates.canary.targets.kubernetes.sides import (
    Running,
    container,
    digest,
    pin,
    pinned,
    place_of,
    running,
    seen,
    served_by,
)
from gates.errors import EnvironmentFault, InputError
from gates.fields import Model, bounded

ROLLOUT: Final = Kind(group="apis/argoproj.io/v1alpha1", plural="rollouts", name="Rollout")
_HASH: Final = "rollouts-pod-template-hash"


class Argo(Model):
    """A Rollout of Argo Rollouts, with traffic routing and a pause after each weight."""

    rollout: StrictStr = Field(description="Name of the Rollout.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rolling:
    """One Rollout; `settle` and `patience` are how long a step and the last one may take, in s."""

    cluster: Cluster
    name: str
    container: str | None
    settle: float
    patience: float

    def stable(self) -> Pinned:
        """Return what serves now."""
        rollout = self._rollout()
        found = self._pods(rollout, str(_status(rollout).get("stableRS") or ""))
        if len(found.digests) != 1 or "" in found.digests:
            raise InputError(
                "its stable pods do not all run one image with a digest",
                where=self._where,
                hint=f"See `kubectl argo rollouts get rollout {self.name}`; wait until it is "
                "Healthy.",
            )
        (one,) = found.digests
        return pinned(self._image(rollout), one)

    def look(self) -> Sight:
        """Return both sides as they are."""
        rollout = self._rollout()
        _steps(rollout, self._where)
        status, wanted = _status(rollout), int(rollout["spec"].get("replicas", 1))
        stable = self._pods(rollout, str(status.get("stableRS") or ""))
        services = rollout["spec"]["strategy"]["canary"]
        reached = served_by(self.cluster, str(services["stableService"]))
        if _is_promoted(rollout):
            gone = Seen(digest=None, health=Health.ABSENT, share=0.0, reachable=False)
            return Sight(stable=seen(stable, 1.0, wanted=wanted, reached=reached), canary=gone)
        canary = self._pods(rollout, str(status["currentPodHash"]))
        share = _weight(rollout) / 100
        # Its Services are turned to other pods as it goes; while it is aborted, to no new ones.
        to_canary = served_by(self.cluster, str(services["canaryService"])) | canary.names
        asked = 0 if status.get("abort") else 1
        return Sight(
            stable=seen(stable, 1.0 - share, wanted=wanted, reached=reached),
            canary=seen(canary, share, wanted=asked, reached=to_canary),
        )

    def ensure_canary(self, candidate: Pinned) -> None:
        """Have the candidate run at the pause before the first weight."""
        pin(candidate.image)

        def decide(rollout: Object) -> list[dict[str, Any]]:
            _steps(rollout, self._where)
            image = self._image(rollout)
            if image == candidate.image:
                return []
            if not _is_promoted(rollout):
                raise self._fault("another change of it is under way")
            return [*annotated(rollout, PREVIOUS, image), *self._imaged(rollout, candidate.image)]

        rollout = self.cluster.change(ROLLOUT, self.name, decide)
        if _status(rollout).get("abort"):
            # As `kubectl argo rollouts retry rollout` does.
            self._patch_status({"abort": False})

    def ensure_share(self, percent: int) -> None:
        """Let the controller go on until this weight is reached; never past a pause of its own."""
        if percent == 0:
            self.ensure_out()
            return
        steps = _steps(self._rollout(), self._where)
        if percent not in _weights(steps):
            raise InputError(
                f"none of its steps sets the weight {percent}",
                where=self._where,
                hint="Give the Rollout the steps of the deployment, with a `setWeight: 100` as the "
                "last, and `pause: {}` after each.",
            )
        for _ in range(2 * len(steps) + 1):
            rollout = self._paused(steps)
            weight = _weight(rollout)
            if weight == percent:
                return
            if weight > percent or _is_promoted(rollout):
                raise self._fault(f"it is at {weight} % already, and goes back to 0 alone")
            self._go_on(rollout, steps)
        raise self._fault(f"it does not come to {percent} %")

    def ensure_out(self) -> None:
        """Abort, as `kubectl argo rollouts abort` does; the stable pods get everything."""
        if _is_promoted(self._rollout()):
            return
        self._patch_status({"abort": True})

        def out() -> bool | None:
            rollout = self._rollout()
            if not _is_observed(rollout):
                return None
            if _is_promoted(rollout):
                return True
            if not _status(rollout).get("abort"):
                # A template that was looked at only now takes the word back.
                self._patch_status({"abort": True})
                return None
            # Until it says since when, a step that it had begun may still set a weight.
            back = _status(rollout).get("abortedAt") and not _weight(rollout)
            return True if back else None

        if waited(out, self.settle) is None:
            raise self._fault(f"the controller did not send everything back in {self.settle:g} s")

    def ensure_stable(self, wanted: Pinned) -> None:
        """Promote what runs as the canary, or roll the Rollout to this without a pause."""
        pin(wanted.image)

        def decide(rollout: Object) -> list[dict[str, Any]]:
            there = self._image(rollout) == wanted.image
            return [] if there else self._imaged(rollout, wanted.image)

        self.cluster.change(ROLLOUT, self.name, decide)

        def promoted() -> bool | None:
            rollout = self._rollout()
            status = _status(rollout)
            if not _is_observed(rollout):
                return None
            if _is_promoted(rollout):
                return True if status.get("phase") == "Healthy" else None
            if status.get("abort"):
                self._patch_status({"abort": False})
            elif not status.get("promoteFull"):
                # As `kubectl argo rollouts promote --full` does; a new template takes it back.
                self._patch_status({"promoteFull": True})
            return None

        if waited(promoted, self.patience) is None:
            raise self._fault(f"it is not Healthy with the new image after {self.patience:g} s")

    def ensure_removed(self) -> None:
        """Give an aborted Rollout its old template back; a promoted one has no canary left."""
        rollout = self._rollout()
        if _is_promoted(rollout):
            return
        if _weight(rollout):
            raise self._fault("the canary still has a part of the traffic, so it stays")
        stable = self.stable()
        # The template must be the stable one to the letter, or it would be another revision.
        old = annotation(rollout, PREVIOUS) or stable.image
        if "@" in old and digest(old) != stable.digest:
            old = stable.image

        def decide(found: Object) -> list[dict[str, Any]]:
            return [] if self._image(found) == old else self._imaged(found, old)

        self.cluster.change(ROLLOUT, self.name, decide)

    def by_hand(self) -> tuple[str, ...]:
        """Return the command with which a person sends everything to the stable side."""
        return (f"kubectl argo rollouts abort {self.name} -n {self.cluster.namespace}",)

    def _paused(self, steps: Sequence[Mapping[str, Any]]) -> Object:
        """Return the Rollout once it waits for somebody, with the weight that it is to have."""

        def paused() -> Object | None:
            rollout = self._rollout()
            status = _status(rollout)
            if not _is_observed(rollout) or _is_unpausing(rollout):
                return None
            if status.get("phase") == "Degraded":
                message = bounded(" ".join(str(status.get("message")).split()), 200)
                raise self._fault(f"its controller gave it up: {message}")
            if _is_promoted(rollout):
                return rollout
            due = _due(steps, int(status.get("currentStepIndex") or 0))
            there = status.get("phase") == "Paused" and _weight(rollout) == due
            return rollout if there else None

        found = waited(paused, self.settle)
        if found is None:
            raise self._fault(f"it does not come to a pause within {self.settle:g} s")
        return found

    def _go_on(self, rollout: Object, steps: Sequence[Mapping[str, Any]]) -> None:
        """End one pause, and no other: what is behind it is only reached if it is still there."""
        status = _status(rollout)
        index = int(status.get("currentStepIndex") or 0)
        reasons = [one.get("reason") for one in status.get("pauseConditions") or ()]
        if rollout["spec"].get("paused") or reasons != ["CanaryPauseStep"]:
            raise self._fault(f"it is paused by something else ({reasons or 'spec.paused'})")
        if index >= len(steps) or "pause" not in steps[index]:
            raise self._fault(f"it is paused at step {index}, which is no pause")
        still: list[dict[str, Any]] = [
            {"op": "test", "path": "/status/currentStepIndex", "value": index},
            {"op": "remove", "path": "/status/pauseConditions"},
        ]
        if self.cluster.swap(ROLLOUT, rollout, still, part="status") is None:
            return

        def gone_on() -> bool | None:
            now = _status(self._rollout())
            moved = int(now.get("currentStepIndex") or 0) != index
            return True if moved or _is_promoted(self._rollout()) else None

        if waited(gone_on, self.settle) is None:
            raise self._fault(f"its controller does not go on within {self.settle:g} s")

    def _patch_status(self, fields: Mapping[str, Any]) -> None:
        self.cluster.merge(ROLLOUT, self.name, {"status": fields}, part="status")

    def _rollout(self) -> Object:
        return self.cluster.get(ROLLOUT, self.name)

    def _pods(self, rollout: Object, revision: str) -> Running:
        labels = dict(rollout["spec"]["selector"]["matchLabels"]) | {_HASH: revision}
        place = container(_pod_spec(rollout, self._where), self.container, self._where)
        return running(self.cluster.select(POD, labels), str(place["name"]))

    def _image(self, rollout: Object) -> str:
        spec = _pod_spec(rollout, self._where)
        return str(container(spec, self.container, self._where)["image"])

    def _imaged(self, rollout: Object, image: str) -> list[dict[str, Any]]:
        place = place_of(_pod_spec(rollout, self._where), self.container, self._where)
        path = pointer("spec", "template", "spec", "containers", place, "image")
        return [{"op": "replace", "path": path, "value": image}]

    @property
    def _where(self) -> str:
        return self.cluster.where(ROLLOUT, self.name)

    def _fault(self, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            why,
            where=self._where,
            hint=f"See `kubectl argo rollouts get rollout {self.name} "
            f"-n {self.cluster.namespace}`.",
        )


def _status(rollout: Object) -> Mapping[str, Any]:
    return rollout.get("status") or {}


def _weight(rollout: Object) -> int:
    """Return the canary's weight in percent; there is none before the first step."""
    weights = (_status(rollout).get("canary") or {}).get("weights") or {}
    return int((weights.get("canary") or {}).get("weight") or 0)


def _weights(steps: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    return tuple(int(step["setWeight"]) for step in steps if "setWeight" in step)


def _due(steps: Sequence[Mapping[str, Any]], index: int) -> int:
    """Return the weight that is in effect at a step."""
    return next(iter(_weights(steps[:index])[::-1]), 0)


def _is_promoted(rollout: Object) -> bool:
    """Return whether the stable pods are those of the template (utils/rollout, IsFullyPromoted)."""
    status = _status(rollout)
    return _is_observed(rollout) and status.get("stableRS") == status.get("currentPodHash")


def _is_observed(rollout: Object) -> bool:
    seen_by = str(_status(rollout).get("observedGeneration") or "")
    return seen_by == str(rollout["metadata"].get("generation"))


def _is_unpausing(rollout: Object) -> bool:
    status = _status(rollout)
    return bool(status.get("controllerPause")) and not status.get("pauseConditions")


def _pod_spec(rollout: Object, where: str) -> Mapping[str, Any]:
    template = rollout["spec"].get("template")
    if not template:
        raise InputError(
            "its pods are described elsewhere (`workloadRef`)",
            where=where,
            hint="Write the template into the Rollout.",
        )
    spec: Mapping[str, Any] = template["spec"]
    return spec


def _steps(rollout: Object, where: str) -> Sequence[Mapping[str, Any]]:
    """Return its steps. Raises InputError unless each weight waits for us, and 0 is the first."""
    canary = (rollout["spec"].get("strategy") or {}).get("canary") or {}
    steps: Sequence[Mapping[str, Any]] = canary.get("steps") or ()
    why = _unfit(canary, steps)
    if rollout["spec"].get("rollbackWindow"):
        why = "`rollbackWindow` lets a candidate that ran before skip every step"
    if why:
        raise InputError(
            f"this Rollout cannot be led from here: {why}",
            where=where,
            hint="docs/canary-kubernetes.md shows what its strategy has to look like.",
        )
    return steps


def _unfit(canary: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> str:
    if not canary.get("trafficRouting") or not canary.get("canaryService"):
        return "without `trafficRouting` and both Services its weights are numbers of pods"
    if canary.get("dynamicStableScale"):
        return "`dynamicStableScale` takes away the pods that the way back needs"
    if (canary["trafficRouting"].get("maxTrafficWeight") or 100) != 100:
        return "its weights are no percentages (`maxTrafficWeight`)"
    endless = [
        step.get("pause") is not None and not step["pause"].get("duration") for step in steps
    ]
    first = next((n for n, step in enumerate(steps) if step.get("setWeight")), len(steps))
    if not any(endless[:first]):
        return "there is no `pause: {}` before its first weight"
    for number, step in enumerate(steps):
        if "setWeight" in step and not (number + 1 < len(steps) and endless[number + 1]):
            return f"step {number} is not followed by `pause: {{}}`"
        if "pause" in step and not endless[number]:
            return f"the pause at step {number} ends by itself"
    return ""
