"""Two Deployments behind a router: what serves, and the canary beside it.

The canary's Deployment is a person's, as the stable one is: it says how the model runs, with no
pods as long as no rollout is under way. A rollout sets its image and how many pods it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from gates.canary.sight import Health, Pinned, Sight
from gates.canary.targets.kubernetes.api import pointer
from gates.canary.targets.kubernetes.cluster import (
    DEPLOYMENT,
    Cluster,
    Object,
    annotated,
    waited,
)
from gates.canary.targets.kubernetes.router import Router
from gates.canary.targets.kubernetes.sides import (
    Running,
    Workload,
    pin,
    pinned,
    replicas,
    rolled_out,
    seen,
)
from gates.errors import EnvironmentFault, InputError

PREVIOUS = "model-gates.io/previous-image"
_MIXED = "the Service of one side reaches a pod of the other, so weights say nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Both Deployments and their router; `patience` is how long a new image may take, in s.

    `pods` is how many the canary has, as many as the stable side where it is None. `apart` tells
    that each side has a Service of its own, so that a pod behind the other's is a mistake.
    """

    cluster: Cluster
    stable_side: Workload
    canary_side: Workload
    router: Router
    patience: float
    pods: int | None
    apart: bool

    def stable(self) -> Pinned:
        """Return what serves now."""
        deployment = self.stable_side.deployment()
        found = self.stable_side.running(deployment)
        return served(self.stable_side, deployment, found)

    def look(self) -> Sight:
        """Return both sides as they are."""
        share, doubt = self.router.share()
        stable, canary = self.stable_side.deployment(), self.canary_side.deployment()
        of_stable = self.stable_side.running(stable)
        of_canary = self.canary_side.running(canary)
        to_stable, to_canary = self.stable_side.served_by(), self.canary_side.served_by()
        if self.apart and (to_stable & of_canary.names or to_canary & of_stable.names):
            doubt = doubt or _MIXED
        return Sight(
            stable=seen(of_stable, 1.0 - share, wanted=replicas(stable), reached=to_stable),
            canary=seen(of_canary, share, wanted=replicas(canary), reached=to_canary, doubt=doubt),
        )

    def ensure_canary(self, candidate: Pinned) -> None:
        """Have the candidate run, with nobody sent to it."""
        pin(candidate.image)
        self.router.split(0, force=True)
        pods = self.pods or max(1, replicas(self.stable_side.deployment()))

        def decide(found: Object) -> list[dict[str, object]]:
            there = (self.canary_side.image(found), replicas(found))
            if there == (candidate.image, pods):
                return []
            return [
                *self._image(self.canary_side, found, candidate.image),
                {"op": "add", "path": "/spec/replicas", "value": pods},
            ]

        self.cluster.change(DEPLOYMENT, self.canary_side.name, decide)

    def ensure_share(self, percent: int) -> None:
        """Send this part to the canary; raises EnvironmentFault where a side cannot take it."""
        if percent > 0:
            self._both_ready(percent)
        self.router.split(percent, force=percent == 0)

    def ensure_out(self) -> None:
        """Send everything to the stable side, whoever else has been at the weights."""
        self.router.split(0, force=True)

    def ensure_stable(self, wanted: Pinned) -> None:
        """Have the stable Deployment run exactly this, and wait until it does."""
        self.cluster.change(
            DEPLOYMENT, self.stable_side.name, lambda found: self._replacing(found, wanted)
        )
        if waited(self._replaced, self.patience) is None:
            raise EnvironmentFault(
                f"not every pod runs the new image after {self.patience:g} s",
                where=self.cluster.where(DEPLOYMENT, self.stable_side.name),
                hint=f"See `kubectl -n {self.cluster.namespace} rollout status deployment/"
                f"{self.stable_side.name}`; a model that takes longer to load needs a longer "
                "`patience`.",
            )

    def ensure_removed(self) -> None:
        """Have the canary without pods; it must be out."""
        if self.router.share()[0] > 0:
            raise EnvironmentFault(
                "the canary still has a part of the traffic, so it stays",
                where=self.cluster.where(DEPLOYMENT, self.canary_side.name),
                hint="Send everything to the stable side first: `model-gates canary abort`.",
            )
        none = {"op": "add", "path": "/spec/replicas", "value": 0}
        self.cluster.change(
            DEPLOYMENT, self.canary_side.name, lambda found: [none] if replicas(found) else []
        )

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands with which a person sends everything to the stable side."""
        return self.router.by_hand()

    def _replacing(self, found: Object, wanted: Pinned) -> list[dict[str, object]]:
        image = self.stable_side.image(found)
        if image == wanted.image:
            return []
        # A tag that a person had set stays, as long as it is this that runs by it.
        running_now = self.stable_side.running(found)
        if "@" not in image and rolled_out(found) and running_now.digests == {wanted.digest}:
            return []
        pin(wanted.image)
        return [
            *annotated(found, PREVIOUS, image),
            *self._image(self.stable_side, found, wanted.image),
        ]

    def _replaced(self) -> bool | None:
        found = self.stable_side.deployment()
        if rolled_out(found):
            return True
        conditions = (found.get("status") or {}).get("conditions") or ()
        late = any(one.get("reason") == "ProgressDeadlineExceeded" for one in conditions)
        newest = self.stable_side.running(found)
        if late or (newest.stuck and newest.restarts >= 2):
            raise EnvironmentFault(
                f"the new image does not come up: {newest.stuck or 'ProgressDeadlineExceeded'}",
                where=self.cluster.where(DEPLOYMENT, self.stable_side.name),
                hint=f"See `kubectl -n {self.cluster.namespace} get pods`.",
            )
        return None

    def _both_ready(self, percent: int) -> None:
        sight, (_, doubt) = self.look(), self.router.share()
        if doubt or _MIXED in sight.canary.reason:
            raise EnvironmentFault(
                f"{doubt or _MIXED}: no weight was changed",
                where=f"namespace {self.cluster.namespace}",
                hint="docs/canary-kubernetes.md shows what route, Services and labels have to look "
                "like.",
            )
        for name, side in (("canary", sight.canary), ("stable side", sight.stable)):
            needed = name == "canary" or percent < 100
            if needed and side.health is not Health.READY:
                raise EnvironmentFault(
                    f"the {name} cannot take requests ({side.reason or side.health}): no weight "
                    "was changed",
                    where=f"namespace {self.cluster.namespace}",
                    hint=f"See `kubectl -n {self.cluster.namespace} get pods,endpointslices`.",
                )

    def _image(self, side: Workload, found: Object, image: str) -> list[dict[str, object]]:
        return [{"op": "replace", "path": pointer(*side.image_path(found)), "value": image}]


def served(side: Workload, deployment: Object, found: Running) -> Pinned:
    """Return the one thing that a side serves. Raises InputError where that is not one."""
    if len(found.digests) != 1 or "" in found.digests:
        raise InputError(
            "its ready pods do not all run one image with a digest",
            where=f"Deployment {side.cluster.namespace}/{deployment['metadata']['name']}",
            hint=f"See `kubectl -n {side.cluster.namespace} get pods -o wide`; wait until it is "
            "rolled out.",
        )
    (digest,) = found.digests
    return pinned(side.image(deployment), digest)
