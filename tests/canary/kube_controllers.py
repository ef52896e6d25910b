"""What a cluster's controllers make of the objects in `KubeStub`, as far as a rollout can notice.

Each is asked after every change, and is done when it changes nothing more. What they leave out
(scheduling, surge, timers) no code of ours looks at. KServe's and Argo's follow the source of their
controllers: which revision gets what, when a word like `abort` is taken back.
"""

import copy
import hashlib
import json
from dataclasses import dataclass, field

KSERVE_MODE = "serving.kserve.io/deploymentMode"
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


@dataclass
class StandardKServe:
    """KServe 0.20 and later in the mode Standard; with Ingress in place of the Gateway API, or
    before 0.20, it makes no route that splits (`splits=False`)."""

    kubelet: Kubelet
    splits: bool = True

    def __call__(self, stub):
        for service in stub.all("inferenceservices"):
            if service["metadata"].get("annotations", {}).get(KSERVE_MODE) == "Standard":
                self._reconcile(stub, service)

    def _reconcile(self, stub, service):
        name, spec = service["metadata"]["name"], service["spec"]
        stable = self._named(name, spec["predictor"].get("name"))
        wanted = {stable: (spec["predictor"]["model"]["image"], 1)}
        for one in spec.get("canary", []):
            model = {**spec["predictor"]["model"], **one["predictor"].get("model", {})}
            wanted[self._named(name, one["predictor"]["name"])] = (
                model["image"],
                one["predictor"].get("minReplicas", -(-one["trafficPercent"] // 100)),
            )
        for deployment, (its, count) in wanted.items():
            self._deploy(stub, name, deployment, its, count)
        for found in stub.all("deployments"):
            its = found["metadata"]
            if its.get("labels", {}).get("isvc") == name and its["name"] not in wanted:
                stub.drop("deployments", its["name"])
                self.kubelet.pods(stub, its["name"], found["spec"]["template"], 0)
                self.kubelet.services.pop(its["name"], None)
                stub.version += 1
        self._status(stub, service, name)

    def _named(self, name, predictor):
        return "-".join(part for part in (name, predictor, "predictor") if part)

    def _deploy(self, stub, isvc, name, its, count):
        labels = {"app": f"isvc.{name}"}
        spec = {
            "replicas": count,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "kserve-container", "image": its}]},
            },
        }
        there = stub.get("deployments", name)
        self.kubelet.services[name] = labels
        if there is None or there["spec"] != spec:
            metadata = {"name": name, "labels": {"isvc": isvc}}
            fields = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
            stub.put("deployments", {**fields, "spec": spec})

    def _status(self, stub, service, name):
        spec, statuses = service["spec"], []
        for one in spec.get("canary", []):
            found = stub.get("deployments", self._named(name, one["predictor"]["name"])) or {}
            ready = found.get("status", {}).get("availableReplicas", 0) > 0
            statuses.append(
                {
                    "name": one["predictor"]["name"],
                    "ready": ready,
                    "trafficPercent": one["trafficPercent"],
                }
            )
        ready = [one for one in statuses if one["ready"]]
        sent = sum(one["trafficPercent"] for one in ready)
        backends = [(self._named(name, spec["predictor"].get("name")), 100 - sent)]
        backends += [(self._named(name, one["name"]), one["trafficPercent"]) for one in ready]
        if self.splits:
            self._route(stub, name, backends if spec.get("canary") else backends[:1])
        status = {"canaryStatuses": statuses} if statuses else {}
        if service.get("status") != status:
            stub.put("inferenceservices", service, status=status)

    def _route(self, stub, name, backends):
        refs = [{"name": one, "port": 80, "weight": weight} for one, weight in backends]
        there = stub.get("httproutes", name)
        if there is None or there["spec"]["rules"][0]["backendRefs"] != refs:
            stub.put("httproutes", route(name, refs))


def route(name, backends):
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": backends}]},
    }


@dataclass
class KnativeKServe:
    """KServe in the mode Serverless (ksvc_reconciler.go, PropagateStatus); `ready` says what runs.

    With `heeds=False` it is in another mode: `canaryTrafficPercent` does nothing.
    """

    sick: set = field(default_factory=set)
    heeds: bool = True
    asleep: bool = False

    def __call__(self, stub):
        for service in [] if self.asleep else stub.all("inferenceservices"):
            status = self._reconciled(stub, service)
            if service.get("status") != status:
                stub.put("inferenceservices", service, status=status)

    def _reconciled(self, stub, service):
        name, predictor = service["metadata"]["name"], service["spec"]["predictor"]
        status = service.get("status", {"components": {"predictor": {}}})
        part = copy.deepcopy(status["components"]["predictor"])
        its = predictor["containers"][0]["image"]
        newest = stub.get("revisions", part.get("latestCreatedRevision", ""))
        if newest is None or newest["spec"]["containers"][0]["image"] != its:
            number = len(stub.all("revisions")) + 1
            newest = self._revision(stub, f"{name}-predictor-{number:05}", its)
        created = part["latestCreatedRevision"] = newest["metadata"]["name"]
        if newest["status"]["conditions"][0]["status"] == "True":
            part["latestReadyRevision"] = created
        percent, rolled = predictor.get("canaryTrafficPercent"), part.get("latestRolledoutRevision")
        latest = part.get("latestReadyRevision", "")
        if percent is None or not rolled or not self.heeds:
            percent = 100
        traffic = [{"revisionName": latest, "latestRevision": True, "percent": percent}]
        if percent < 100:
            traffic.append({"revisionName": rolled, "latestRevision": False, "tag": "prev"})
            traffic[-1]["percent"] = 100 - percent
        part["traffic"] = traffic
        if rolled != latest and percent == 100:
            part["previousRolledoutRevision"] = rolled or ""
            part["latestRolledoutRevision"] = latest
        elif rolled == latest == created and percent < 100 and part["previousRolledoutRevision"]:
            part["latestRolledoutRevision"] = part["previousRolledoutRevision"]
        return {"components": {"predictor": part}, "deploymentMode": "Knative"}

    def _revision(self, stub, name, its):
        ready = "False" if digest_of(its) in self.sick else "True"
        repo = its.partition("@")[0]
        return stub.put(
            "revisions",
            {
                "apiVersion": "serving.knative.dev/v1",
                "kind": "Revision",
                "metadata": {"name": name},
                "spec": {"containers": [{"name": "kserve-container", "image": its}]},
            },
            status={
                "conditions": [{"type": "Ready", "status": ready, "reason": "ContainerUnhealthy"}],
                "containerStatuses": [
                    {"name": "kserve-container", "imageDigest": f"{repo}@{digest_of(its)}"}
                ],
            },
        )


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
