"""What a cluster's controllers make of the objects in `KubeStub`, as far as a rollout can notice.

Each is asked after every change, and is done when it changes nothing more. What they leave out
(scheduling, surge, timers) no code of ours looks at. KServe's and Argo's follow the source of their
controllers: which revision gets what, when a word like `abort` is taken back.
"""

import copy
import hashlib
import json
from dataclasses import dataclass, field

HASH = "rollouts-pod-template-hash"


def digest_of(image):
    """Return the digest of an image: its own, or that which a tag points at in this world."""
    _, at, digest = image.partition("@")
    return digest if at else "sha256:" + hashlib.sha256(image.encode()).hexdigest()


def image(letter, repo="registry.example/credit"):
    return f"{repo}@sha256:{letter * 64}"


@dataclass
class Kubelet:
    """Runs what Deployments ask for. `sick` has the state of an image's containers, else they run.

    `services` says by which labels a Service chooses. With `asleep`, nothing new is looked at.
    """

    sick: dict = field(default_factory=dict)
    services: dict = field(default_factory=dict)
    asleep: bool = False
    # A kubelet, an endpoint controller: each may be late on its own.
    endpoints_asleep: bool = False

    def __call__(self, stub):
        if not self.asleep:
            for deployment in stub.all("deployments"):
                self._roll(stub, deployment)
        if not self.endpoints_asleep:
            for service, labels in self.services.items():
                self._slice(stub, service, labels)

    def pods(self, stub, owner, template, count, *, keep_old=True):
        """Have `count` pods of a template; old ones stay while the new do not come up."""
        wanted = template["spec"]["containers"][0]["image"]
        state = self.sick.get(digest_of(wanted))
        key = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:6]
        mine = [one for one in stub.all("pods") if one["metadata"]["annotations"]["owner"] == owner]
        names = [f"{owner}-{key}-{number}" for number in range(count)]
        for name in names:
            pod = _pod(name, owner, template, state)
            pod["metadata"]["labels"]["pod-template-hash"] = key
            reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{owner}-{key}"}
            reference |= {"uid": f"uid-{owner}-{key}", "controller": True}
            pod["metadata"]["ownerReferences"] = [reference]
            there = stub.get("pods", name)
            if there is None or there["status"] != pod["status"]:
                stub.put("pods", pod, status=pod["status"])
        for old in mine:
            name = old["metadata"]["name"]
            if name not in names and (state is None or not keep_old or not count):
                stub.drop("pods", name)
                stub.version += 1
        return 0 if state else count

    def _roll(self, stub, deployment):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        count = spec.get("replicas", 1)
        ready = self.pods(stub, name, spec["template"], count)
        total = sum(one["metadata"]["annotations"]["owner"] == name for one in stub.all("pods"))
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": count,
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if deployment.get("status") != status:
            stub.put("deployments", deployment, status=status)

    def _slice(self, stub, service, labels):
        endpoints = [
            {
                "addresses": [f"10.0.0.{number}"],
                "conditions": {"ready": pod["status"]["conditions"][0]["status"] == "True"},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"]},
            }
            for number, pod in enumerate(stub.all("pods"), 1)
            if labels.items() <= pod["metadata"]["labels"].items()
        ]
        fields = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{service}-abcde",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [],
        }
        there = stub.get("endpointslices", f"{service}-abcde")
        if there is None or there["endpoints"] != endpoints:
            stub.put("endpointslices", fields)


def _pod(name, owner, template, state):
    container = template["spec"]["containers"][0]
    digest = digest_of(container["image"])
    repo = container["image"].partition("@")[0].partition(":")[0]
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": f"{repo}@{digest}",
        "ready": state is None,
        "restartCount": 0 if state is None else 3,
        "state": {"running": {}} if state is None else {"waiting": {"reason": state}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {"owner": owner},
        },
        "spec": {"containers": copy.deepcopy(template["spec"]["containers"])},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if state is None else "False"}],
            "containerStatuses": [status],
        },
    }


@dataclass
class GatewayController:
    """Takes HTTPRoutes over. `says` overrides the status of a condition; `asleep`: not yet."""

    says: dict = field(default_factory=dict)
    asleep: bool = False

    def __call__(self, stub):
        for route in [] if self.asleep else stub.all("httproutes"):
            generation = route["metadata"]["generation"]
            conditions = [
                {
                    "type": name,
                    "status": self.says.get(name, "True"),
                    "reason": "Accepted" if self.says.get(name, "True") == "True" else "NotAllowed",
                    "message": "",
                    "observedGeneration": generation,
                    "lastTransitionTime": "2026-11-26T00:00:00Z",
                }
                for name in ("Accepted", "ResolvedRefs")
            ]
            status = {
                "parents": [
                    {
                        "parentRef": parent,
                        "controllerName": "example.com/gateway",
                        "conditions": conditions,
                    }
                    for parent in route["spec"].get("parentRefs", [])
                ]
            }
            if route.get("status") != status:
                stub.put("httproutes", route, status=status)


def route(name, backends):
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": backends}]},
    }


@dataclass
class ArgoController:
    """Argo Rollouts, for a canary with traffic routing and pauses that somebody has to end."""

    kubelet: Kubelet
    asleep: bool = False
    # What a promotion would do if nobody looked: how often a pause was ended.
    promoted: int = 0

    def __call__(self, stub):
        for rollout in [] if self.asleep else stub.all("rollouts"):
            status = self._reconciled(rollout)
            if rollout.get("status") != status:
                rollout["status"] = status
                stub.put("rollouts", rollout, status=status)
            self._pods(stub, rollout)

    def _reconciled(self, rollout):
        status = copy.deepcopy(rollout.get("status", {}))
        template = rollout["spec"]["template"]
        current = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        status["observedGeneration"] = str(rollout["metadata"]["generation"])
        status.setdefault("stableRS", current)
        if status.get("currentPodHash") != current:
            # resetRolloutStatus: a new template takes every word back.
            for word in ("abort", "abortedAt", "promoteFull", "pauseConditions", "controllerPause"):
                status.pop(word, None)
            status["currentPodHash"], status["currentStepIndex"] = current, 0
        if self._sick(template) and current != status["stableRS"] and not status.get("abort"):
            return {**status, "phase": "Progressing", **_weights(0)}
        if status["stableRS"] == current:
            return {**_plain(status), "phase": "Healthy", **_weights(0)}
        if status.get("abort"):
            since = {"abort": True, "abortedAt": "2026-11-26T00:00:00Z"}
            return {**_plain(status), **since, "phase": "Degraded", **_weights(0)}
        if status.get("promoteFull"):
            status["stableRS"] = current
            return {**_plain(status), "phase": "Healthy", **_weights(0)}
        return self._stepped(rollout["spec"]["strategy"]["canary"]["steps"], status)

    def _stepped(self, steps, status):
        index = status["currentStepIndex"]
        weight = status.get("canary", {}).get("weights", {}).get("canary", {}).get("weight", 0)
        if status.get("controllerPause") and not status.get("pauseConditions"):
            status["controllerPause"] = False
            self.promoted += 1
            index += 1
        while index < len(steps) and "pause" not in steps[index]:
            weight = steps[index].get("setWeight", weight)
            index += 1
        status["currentStepIndex"] = index
        if index == len(steps):
            status["stableRS"] = status["currentPodHash"]
            return {**_plain(status), "phase": "Healthy", **_weights(0)}
        reason = {"reason": "CanaryPauseStep", "startTime": "2026-11-26T00:00:00Z"}
        paused = {"pauseConditions": [reason], "controllerPause": True, "phase": "Paused"}
        return {**status, **paused, **_weights(weight)}

    def _sick(self, template):
        return digest_of(template["spec"]["containers"][0]["image"]) in self.kubelet.sick

    def _pods(self, stub, rollout):
        status, name = rollout["status"], rollout["metadata"]["name"]
        labels = rollout["spec"]["template"]["metadata"]["labels"]
        current, stable = status["currentPodHash"], status["stableRS"]
        old = rollout["metadata"].setdefault("annotations", {})
        known = json.loads(old.get("templates", "{}"))
        known[current] = rollout["spec"]["template"]
        if old.get("templates") != json.dumps(known):
            old["templates"] = json.dumps(known)
            stub.put("rollouts", rollout)
        for revision, template in known.items():
            keep = revision == stable or (revision == current and not status.get("abort"))
            count = rollout["spec"]["replicas"] if keep else 0
            tagged = copy.deepcopy(template)
            tagged["metadata"]["labels"] = {**labels, HASH: revision}
            self.kubelet.pods(stub, f"{name}-{revision}", tagged, count)
        canary = rollout["spec"]["strategy"]["canary"]
        services = self.kubelet.services
        services[canary["stableService"]] = {HASH: stable}
        services[canary["canaryService"]] = {HASH: stable if status.get("abort") else current}


def _plain(status):
    kept = ("observedGeneration", "stableRS", "currentPodHash", "currentStepIndex")
    return {key: status[key] for key in kept}


def _weights(weight):
    sides = {"canary": {"weight": weight}, "stable": {"weight": 100 - weight}}
    return {"canary": {"weights": sides}}
