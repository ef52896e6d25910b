"""The guard in the cluster: a pod that watches the lease, and may change the route and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field, StrictStr

from gates.canary.targets.kubernetes.cluster import (
    CONFIG_MAP,
    DEPLOYMENT,
    POD,
    Cluster,
    Kind,
    waited,
)
from gates.canary.targets.kubernetes.sides import Running, pin, rolled_out, running
from gates.errors import EnvironmentFault
from gates.fields import Model

_CONTAINER: Final = "guard"
_FILE: Final = "model-gates.canary.yml"
_FOLDER: Final = "/etc/model-gates"


class GuardPod(Model):
    """The pod that sends everything back when the lease runs out."""

    image: StrictStr = Field(
        description="An image that has `model-gates[kubernetes]`, by its digest "
        "(REPOSITORY@sha256:…)."
    )
    service_account: StrictStr = Field(
        default="model-gates-guard",
        description="Its account, which needs the Role of docs/canary-kubernetes.md.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class InCluster:
    """The guard of one deployment, as a Deployment of one pod; `settle` is in seconds.

    `settings` is what it reads as model-gates.canary.yml.
    """

    cluster: Cluster
    deployment: str
    name: str
    options: GuardPod
    settings: Mapping[str, Any]
    settle: float

    def ensure(self, *, on: bool) -> None:
        """Have the guard run, and return when it does; or have it gone."""
        if not on:
            self.cluster.remove(DEPLOYMENT, self.name)
            self.cluster.remove(CONFIG_MAP, self.name)
            return
        pin(self.options.image)
        self._write(CONFIG_MAP, "data", self._config_map())
        self._write(DEPLOYMENT, "spec", self._manifest())
        if waited(self._runs, self.settle) is None:
            raise EnvironmentFault(
                f"the guard does not run after {self.settle:g} s",
                where=self.cluster.where(DEPLOYMENT, self.name),
                hint=f"See `kubectl -n {self.cluster.namespace} describe deployment/{self.name}`: "
                f"its image and its account ({self.options.service_account}).",
            )

    def _write(self, kind: Kind, field: str, wanted: dict[str, Any]) -> None:
        if self.cluster.create(kind, self.name, wanted) is None:
            there = {"op": "replace", "path": f"/{field}", "value": wanted[field]}
            self.cluster.change(
                kind,
                self.name,
                lambda found: [] if _has(found.get(field), wanted[field]) else [there],
            )

    def _runs(self) -> bool | None:
        deployment = self.cluster.get(DEPLOYMENT, self.name)
        found = self._pods()
        if found.stuck:
            raise EnvironmentFault(
                f"the guard does not come up: {found.stuck}",
                where=self.cluster.where(DEPLOYMENT, self.name),
                hint=f"See `kubectl -n {self.cluster.namespace} logs deployment/{self.name}`.",
            )
        return True if rolled_out(deployment) and found.ready else None

    def _pods(self) -> Running:
        return running(self.cluster.select(POD, self._labels), _CONTAINER)

    @property
    def _labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/name": "model-gates-guard", "model-gates.io/guard": self.name}

    def _config_map(self) -> dict[str, Any]:
        # JSON is YAML, and needs no care for what a value looks like.
        text = json.dumps(self.settings, indent=1, sort_keys=True)
        return {"metadata": {"labels": self._labels}, "data": {_FILE: text}}

    def _manifest(self) -> dict[str, Any]:
        """Return the Deployment's fields: two guards never act at once, and none may do much."""
        pod = {
            "serviceAccountName": self.options.service_account,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [self._container()],
            "volumes": [
                {"name": "settings", "configMap": {"name": self.name}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
            ],
        }
        return {
            "metadata": {"labels": self._labels},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                # A guard that falls over in its first seconds is none.
                "minReadySeconds": 5,
                "selector": {"matchLabels": self._labels},
                "template": {"metadata": {"labels": self._labels}, "spec": pod},
            },
        }

    def _container(self) -> dict[str, Any]:
        return {
            "name": _CONTAINER,
            "image": self.options.image,
            "command": ["model-gates"],
            "args": ["canary", "guard", self.deployment, "--config", f"{_FOLDER}/{_FILE}"],
            "resources": {
                "requests": {"cpu": "10m", "memory": "128Mi"},
                "limits": {"memory": "256Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "settings", "mountPath": _FOLDER, "readOnly": True},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (inside the pod)
            ],
        }


def _has(found: object, wanted: object) -> bool:
    """Return whether everything wanted is there; the API adds defaults of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            key in found and _has(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return False
        return all(_has(one, other) for one, other in zip(found, wanted, strict=True))
    return found == wanted
