"""What KServe makes of an InferenceService, with Deployments or with Knative (see its source)."""

import copy
from dataclasses import dataclass, field

from tests.canary.kube_controllers import Kubelet, digest_of, route

KSERVE_MODE = "serving.kserve.io/deploymentMode"


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
