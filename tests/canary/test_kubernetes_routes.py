"""Istio, Argo Rollouts and KServe: each route's own way of splitting, and of not doing so."""

import json
import shlex
import time
from dataclasses import dataclass

import pytest

from gates.canary.sight import Health
from gates.canary.targets.kubernetes.argo import _steps
from gates.canary.targets.kubernetes.options import Kubernetes
from gates.errors import EnvironmentFault, InputError
from tests.canary.kube_controllers import (
    ArgoController,
    GatewayController,
    Kubelet,
    digest_of,
    image,
)
from tests.canary.kube_kserve import KSERVE_MODE, KnativeKServe, StandardKServe
from tests.canary.kube_patch import apply, merge
from tests.canary.kube_stub import NAMESPACE, Fault, KubeStub
from tests.canary.test_kubernetes_site import deployment

OLD, NEW = image("a"), image("b")


@dataclass
class Bench:
    stub: KubeStub
    kubelet: Kubelet
    controller: object
    options: dict

    def site(self, **changed):
        return Kubernetes.model_validate(self.options | changed).site("credit")


@pytest.fixture
def opened(tmp_path):
    """Return a function that opens a cluster with a route; it is closed after the test."""
    stub = KubeStub()
    with stub.serve():

        def bench(route, *controllers, kubelet, **options):
            stub.controllers = [*controllers, kubelet]
            common = {
                "namespace": NAMESPACE,
                "kubeconfig": stub.kubeconfig(tmp_path / "kubeconfig"),
                "route": route,
                "timeout": 3.0,
                "settle": 1.0,
                "patience": 1.0,
            }
            controller = controllers[0] if controllers else None
            return Bench(stub, kubelet, controller, common | options)

        yield bench


# Istio


def virtual_service(*entries):
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "credit"},
        "spec": {"hosts": ["credit"], "http": list(entries)},
    }


def entry(stable, canary, *, stable_host="credit-stable", canary_host="credit-canary", **more):
    destinations = [
        {"destination": {"host": stable_host}, "weight": stable},
        {"destination": {"host": canary_host}, "weight": canary},
    ]
    return {"route": destinations, **more}


@pytest.fixture
def istio(opened):
    kubelet = Kubelet(
        services={
            "credit-stable": {"app": "credit", "side": "stable"},
            "credit-canary": {"app": "credit", "side": "canary"},
            "credit": {"app": "credit"},
        }
    )
    route = {
        "virtualservice": "credit",
        "stable_service": "credit-stable",
        "canary_service": "credit-canary",
    }
    bench = opened(
        {"istio": route},
        kubelet=kubelet,
        deployments={"stable": "credit", "canary": "credit-canary"},
    )
    bench.stub.put("deployments", deployment("credit", "stable", OLD, 2))
    bench.stub.put("deployments", deployment("credit-canary", "canary", OLD, 0))
    bench.stub.put("virtualservices", virtual_service(entry(100, 0)))
    return bench


def weights(stub):
    spec = stub.get("virtualservices", "credit")["spec"]
    return [tuple(one.get("weight") for one in found["route"]) for found in spec["http"]]


def test_istio_takes_a_rollout_to_its_end(istio):
    site = istio.site()
    assert site.look().whole
    site.ensure_canary(site.pin(NEW))
    for percent in (5, 33, 100):
        site.ensure_share(percent)
        assert weights(istio.stub) == [(100 - percent, percent)]
        assert site.look().canary.share == percent / 100
    site.ensure_stable(site.pin(NEW))
    site.ensure_out()
    site.ensure_removed()
    sight = site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (digest_of(NEW), Health.ABSENT)


def test_istio_tells_hosts_of_this_namespace_from_others(istio):
    full = entry(
        100, 0, stable_host="credit-stable.prod.svc.cluster.local", canary_host="credit-canary.prod"
    )
    istio.stub.put("virtualservices", virtual_service(full))
    assert istio.site().look().whole
    elsewhere = entry(100, 0, canary_host="credit-canary.test.svc.cluster.local")
    istio.stub.put("virtualservices", virtual_service(elsewhere))
    with pytest.raises(InputError, match="others than the two sides"):
        istio.site().look()


def test_istio_tells_sides_by_subsets_of_one_service(istio):
    def subset(side, weight):
        return {"destination": {"host": "credit", "subset": side}, "weight": weight}

    found = {"route": [subset("v1", 100), subset("v2", 0)]}
    istio.stub.put("virtualservices", virtual_service(found))
    route = {
        "virtualservice": "credit",
        "stable_service": "credit",
        "canary_service": "credit",
        "stable_subset": "v1",
        "canary_subset": "v2",
    }
    site = istio.site(route={"istio": route})
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    assert weights(istio.stub) == [(75, 25)]
    assert site.look().stable.health is Health.READY


def test_istio_changes_the_named_entry_alone_and_sees_a_leak_in_another(istio):
    both = (entry(100, 0, name="predict"), entry(100, 0, name="batch"))
    istio.stub.put("virtualservices", virtual_service(*both))
    site = istio.site()
    site.ensure_share(0)
    named = istio.options["route"]["istio"] | {"route": "predict"}
    with pytest.raises(InputError, match="entry 1 sends to credit-canary, too"):
        istio.site(route={"istio": named}).look()


def test_istio_drift_and_what_istio_complains_of(istio):
    site = istio.site()
    site.ensure_canary(site.pin(NEW))

    def weigh(stub):
        stub.put("virtualservices", virtual_service(entry(60, 40)))

    istio.stub.faults.append(Fault("PATCH", "virtualservices", do=weigh))
    with pytest.raises(EnvironmentFault, match="100:0 became 60:40"):
        site.ensure_share(5)
    site.ensure_out()
    assert weights(istio.stub) == [(100, 0)]
    said = {"level": "ERROR", "type": {"code": "IST0101", "name": "ReferencedResourceNotFound"}}
    found = istio.stub.get("virtualservices", "credit")
    istio.stub.put("virtualservices", found, status={"validationMessages": [said]})
    assert site.look().canary.reason == "Istio complains of it: IST0101"
    with pytest.raises(EnvironmentFault, match="Istio complains of it: IST0101"):
        site.ensure_share(5)


def test_istio_other_protocols_may_not_reach_a_side(istio):
    found = virtual_service(entry(100, 0))
    found["spec"]["tcp"] = [{"route": [{"destination": {"host": "credit-canary"}}]}]
    istio.stub.put("virtualservices", found)
    with pytest.raises(InputError, match="`tcp` entries"):
        istio.site().look()


def test_istio_by_hand(istio):
    istio.stub.put("virtualservices", virtual_service(entry(60, 40)))
    (line,) = istio.site().by_hand()
    found = istio.stub.get("virtualservices", "credit")
    for one in json.loads(shlex.split(line)[-1]):
        apply(found, one)
    assert [one["weight"] for one in found["spec"]["http"][0]["route"]] == [100, 0]


# Argo Rollouts


STEPS = [
    {"setCanaryScale": {"replicas": 1}},
    {"pause": {}},
    {"setCanaryScale": {"matchTrafficWeight": True}},
    {"setWeight": 5},
    {"pause": {}},
    {"setWeight": 25},
    {"pause": {}},
    {"setWeight": 100},
    {"pause": {}},
]


def rollout(its, steps=STEPS, **canary):
    labels = {"app": "credit"}
    strategy = {
        "stableService": "credit-stable",
        "canaryService": "credit-canary",
        "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "credit"}}},
        "steps": steps,
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "credit"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"canary": strategy | canary},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "model", "image": its}]},
            },
        },
    }


@pytest.fixture
def argo(opened):
    kubelet = Kubelet()
    bench = opened({"argo": {"rollout": "credit"}}, ArgoController(kubelet), kubelet=kubelet)
    bench.stub.put("rollouts", rollout(OLD))
    return bench


def template(stub):
    return stub.get("rollouts", "credit")["spec"]["template"]["spec"]["containers"][0]["image"]


def test_argo_is_led_from_pause_to_pause_to_its_end(argo):
    site = argo.site()
    assert site.stable().digest == digest_of(OLD)
    assert site.look().whole
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert (sight.canary.digest, sight.canary.health) == (digest_of(NEW), Health.READY)
    assert sight.whole
    assert argo.controller.promoted == 0
    for number, percent in enumerate((5, 25, 100), 1):
        site.ensure_share(percent)
        site.ensure_share(percent)
        assert site.look().canary.share == percent / 100
        assert argo.controller.promoted == number, "one pause each, and none twice"
    site.ensure_stable(site.pin(NEW))
    sight = site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (digest_of(NEW), Health.ABSENT)
    site.ensure_out()
    site.ensure_removed()
    assert template(argo.stub) == NEW


def test_argo_goes_back_from_any_step_and_the_template_is_what_it_was(argo):
    for percent in (0, 5, 100):
        site = argo.site()
        site.ensure_canary(site.pin(NEW))
        site.ensure_share(percent) if percent else None
        site.ensure_out()
        site.ensure_out()
        assert site.look().whole
        site.ensure_removed()
        sight = site.look()
        assert sight.canary.health is Health.ABSENT
        assert sight.stable.digest == digest_of(OLD)
        assert template(argo.stub) == OLD


def test_argo_goes_back_to_a_template_with_a_tag_to_the_letter(argo):
    tagged = "registry.example/credit:v1"
    argo.stub.drop("rollouts", "credit")
    argo.stub.put("rollouts", rollout(tagged))
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)
    site.ensure_out()
    site.ensure_removed()
    assert template(argo.stub) == tagged
    assert site.look().stable.digest == digest_of(tagged)


def test_argo_an_aborted_candidate_can_be_tried_again(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_out()
    site.ensure_canary(site.pin(NEW))
    assert not argo.stub.get("rollouts", "credit")["status"].get("abort")
    site.ensure_share(5)
    assert site.look().canary.share == 0.05


def test_argo_a_promoted_rollout_is_rolled_to_the_old_image_without_a_pause(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(100)
    site.ensure_stable(site.pin(NEW))
    site.ensure_stable(site.pin(OLD))
    sight = site.look()
    assert sight.whole
    assert sight.stable.digest == digest_of(OLD)


def test_argo_abort_before_the_controller_has_seen_the_template_is_said_again(argo):
    site = argo.site()
    argo.controller.asleep = True
    site.ensure_canary(site.pin(NEW))

    def wake(stub):
        argo.controller.asleep = False
        stub.settle()

    argo.stub.faults += [Fault("GET", "rollouts", times=2), Fault("GET", "rollouts", do=wake)]
    site.ensure_out()
    assert argo.stub.get("rollouts", "credit")["status"]["abort"] is True
    assert site.look().whole


def test_argo_a_candidate_that_crashes_has_no_share(argo):
    argo.kubelet.sick[digest_of(NEW)] = "CrashLoopBackOff"
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    canary = site.look().canary
    assert (canary.health, canary.reason) == (Health.FAILING, "CrashLoopBackOff")
    with pytest.raises(EnvironmentFault, match="does not come to a pause"):
        site.ensure_share(5)


def test_argo_without_a_controller_nothing_is_believed(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    argo.controller.asleep = True
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="does not go on within 1 s"):
        site.ensure_share(5)
    with pytest.raises(EnvironmentFault, match="did not send everything back in 1 s"):
        site.ensure_out()
    assert time.monotonic() - began < 10


def test_argo_a_weight_that_is_not_in_effect_ends_no_pause(argo):
    """A pause after 5 % with the route still at 0: to go on would be to skip the step."""
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)
    argo.controller.asleep = True

    def late(found):
        found["status"]["canary"]["weights"]["canary"]["weight"] = 0

    argo.stub.edit("rollouts", "credit", late)
    before = argo.stub.writes()
    with pytest.raises(EnvironmentFault, match="does not come to a pause"):
        site.ensure_share(25)
    assert argo.stub.writes() == before


def test_argo_paused_by_somebody_else_or_given_up_is_said(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    argo.controller.asleep = True

    def inconclusive(found):
        found["status"]["pauseConditions"][0]["reason"] = "InconclusiveAnalysisRun"

    argo.stub.edit("rollouts", "credit", inconclusive)
    with pytest.raises(EnvironmentFault, match=r"paused by something else.*Inconclusive"):
        site.ensure_share(5)

    def degraded(found):
        found["status"] |= {"phase": "Degraded", "message": "ProgressDeadlineExceeded: late"}

    argo.stub.edit("rollouts", "credit", degraded)
    with pytest.raises(EnvironmentFault, match="gave it up: ProgressDeadlineExceeded"):
        site.ensure_share(5)


def test_argo_a_share_that_no_step_has_is_refused_and_there_is_no_way_down(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    with pytest.raises(InputError, match="none of its steps sets the weight 50"):
        site.ensure_share(50)
    site.ensure_share(25)
    with pytest.raises(EnvironmentFault, match="at 25 % already"):
        site.ensure_share(5)


@pytest.mark.parametrize(
    ("steps", "canary", "why"),
    [
        ([{"setWeight": 5}, {"pause": {}}], {}, "before its first weight"),
        ([{"pause": {}}, {"setWeight": 5}], {}, "step 1 is not followed"),
        ([{"pause": {}}, {"setWeight": 5}, {"pause": {"duration": "1m"}}], {}, "not followed"),
        ([{"pause": {}}, {"pause": {"duration": 60}}], {}, "ends by itself"),
        (STEPS, {"dynamicStableScale": True}, "takes away the pods"),
        (STEPS, {"trafficRouting": {}}, "numbers of pods"),
    ],
)
def test_argo_a_rollout_that_would_go_on_by_itself_is_refused(argo, steps, canary, why):
    argo.stub.put("rollouts", rollout(OLD, steps, **canary))
    site = argo.site()
    with pytest.raises(InputError, match=why):
        site.look()
    with pytest.raises(InputError, match=why):
        site.ensure_canary(site.pin(NEW))
    assert template(argo.stub) == OLD


def test_argo_weights_out_of_anything_but_100_are_no_percentages():
    found = rollout(OLD, trafficRouting={"maxTrafficWeight": 1000})
    with pytest.raises(InputError, match="no percentages"):
        _steps(found, "Rollout prod/credit")


def test_argo_a_rollback_window_would_skip_every_step(argo):
    found = rollout(OLD)
    found["spec"]["rollbackWindow"] = {"revisions": 3}
    argo.stub.put("rollouts", found)
    with pytest.raises(InputError, match="rollbackWindow"):
        argo.site().look()


def test_argo_by_hand_is_the_plugins_abort(argo):
    assert argo.site().by_hand() == ("kubectl argo rollouts abort credit -n prod",)


# KServe, standard


def inference_service(its, mode="Standard", **predictor):
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "credit", "annotations": {KSERVE_MODE: mode}},
        "spec": {
            "predictor": {"model": {"modelFormat": {"name": "onnx"}, "image": its}} | predictor
        },
    }


@pytest.fixture
def standard(opened):
    kubelet = Kubelet()
    route = {"kserve": {"inferenceservice": "credit", "mode": "standard"}}
    bench = opened(route, StandardKServe(kubelet), GatewayController(), kubelet=kubelet)
    bench.stub.put("inferenceservices", inference_service(OLD))
    return bench


def test_kserve_standard_takes_a_rollout_to_its_end(standard):
    site = standard.site()
    assert site.stable().digest == digest_of(OLD)
    assert site.look().whole
    site.ensure_canary(site.pin(NEW))
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert (sight.canary.digest, sight.canary.health) == (digest_of(NEW), Health.READY)
    assert sight.whole
    for percent in (5, 25, 100):
        site.ensure_share(percent)
        assert site.look().canary.share == percent / 100
    site.ensure_stable(site.pin(NEW))
    site.ensure_out()
    site.ensure_removed()
    sight = site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (digest_of(NEW), Health.ABSENT)
    assert "canary" not in standard.stub.get("inferenceservices", "credit")["spec"]


def test_kserve_standard_before_0_20_drops_the_field_and_that_is_seen(standard):
    standard.stub.unknown["inferenceservices"] = [("spec", "canary")]
    site = standard.site()
    with pytest.raises(EnvironmentFault, match="was not kept"):
        site.ensure_canary(site.pin(NEW))
    assert site.look().whole


def test_kserve_standard_without_a_route_that_splits_is_refused_before_anything(standard):
    standard.controller.splits = False
    standard.stub.drop("httproutes", "credit")
    site = standard.site()
    with pytest.raises(EnvironmentFault, match="no HTTPRoute"):
        site.ensure_canary(site.pin(NEW))
    assert "canary" not in standard.stub.get("inferenceservices", "credit")["spec"]


def test_kserve_standard_a_share_that_has_no_effect_is_a_fault(standard):
    site = standard.site()
    site.ensure_canary(site.pin(NEW))
    standard.controller.splits = False
    with pytest.raises(EnvironmentFault, match=r"says 25% and had no such effect.*0\.0%"):
        site.ensure_share(25)
    assert site.look().canary.share == 0.0


def test_kserve_standard_a_candidate_that_is_not_ready_stands_in_no_route(standard):
    standard.kubelet.sick[digest_of(NEW)] = "CrashLoopBackOff"
    site = standard.site()
    site.ensure_canary(site.pin(NEW))
    assert site.look().canary.health is Health.FAILING
    with pytest.raises(EnvironmentFault, match="cannot take requests"):
        site.ensure_share(5)
    site.ensure_out()
    site.ensure_removed()
    assert site.look().whole


def test_kserve_standard_in_another_mode_or_with_weights_elsewhere_is_refused(standard):
    site = standard.site()
    standard.stub.put("inferenceservices", inference_service(OLD, mode="Knative"))
    with pytest.raises(EnvironmentFault, match="deployment mode is Knative"):
        site.ensure_canary(site.pin(NEW))
    stored = {"modelFormat": {"name": "onnx"}, "image": OLD, "storageUri": "s3://models/credit"}
    standard.stub.put("inferenceservices", inference_service(OLD, model=stored))
    with pytest.raises(InputError, match=r"model comes from model\.storageUri"):
        site.ensure_canary(site.pin(NEW))


def test_kserve_standard_drift_in_trafficpercent(standard):
    site = standard.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)

    def other(stub):
        stub.edit(
            "inferenceservices",
            "credit",
            lambda found: found["spec"]["canary"][0].update(trafficPercent=40),
        )

    standard.stub.faults.append(Fault("PATCH", "inferenceservices", do=other))
    with pytest.raises(EnvironmentFault, match="somebody else changed trafficPercent to 40"):
        site.ensure_share(25)
    assert site.look().canary.share == 0.4
    standard.stub.faults.append(Fault("PATCH", "inferenceservices", do=other))
    site.ensure_out()
    assert site.look().whole


def test_kserve_standard_keeps_a_canary_that_has_traffic_and_says_how_by_hand(standard):
    site = standard.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    with pytest.raises(EnvironmentFault, match="so it stays"):
        site.ensure_removed()
    (line,) = site.by_hand()
    found = standard.stub.get("inferenceservices", "credit")
    for one in json.loads(shlex.split(line)[-1]):
        apply(found, one)
    assert found["spec"]["canary"][0]["trafficPercent"] == 0


# KServe, serverless


def serverless_service(its):
    container = {"name": "kserve-container", "image": its}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "credit"},
        "spec": {"predictor": {"containers": [container]}},
    }


@pytest.fixture
def serverless(opened):
    route = {"kserve": {"inferenceservice": "credit", "mode": "serverless"}}
    bench = opened(route, KnativeKServe(), kubelet=Kubelet())
    bench.stub.put("inferenceservices", serverless_service(OLD))
    return bench


def predictor(stub):
    return stub.get("inferenceservices", "credit")["spec"]["predictor"]


@pytest.mark.parametrize("again", [False, True])
def test_kserve_serverless_takes_a_rollout_to_its_end(serverless, again):
    site = serverless.site()
    if again:  # with a revision from before, which had everything once
        first = image("c")
        site.ensure_canary(site.pin(first))
        site.ensure_share(100)
        site.ensure_stable(site.pin(first))
        site.ensure_removed()
    assert site.look().whole
    site.ensure_canary(site.pin(NEW))
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert (sight.canary.digest, sight.canary.health) == (digest_of(NEW), Health.READY)
    assert sight.whole
    for percent in (5, 25, 100):
        site.ensure_share(percent)
        assert site.look().canary.share == percent / 100
    site.ensure_stable(site.pin(NEW))
    site.ensure_out()
    site.ensure_removed()
    sight = site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (digest_of(NEW), Health.ABSENT)
    assert "canaryTrafficPercent" not in predictor(serverless.stub)


@pytest.mark.parametrize("percent", [0, 25, 100])
def test_kserve_serverless_goes_back_and_never_opens_up_to_the_candidate(serverless, percent):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(percent)
    site.ensure_out()
    assert site.look().whole
    shares = []

    def watch(stub):
        part = stub.get("inferenceservices", "credit")["status"]["components"]["predictor"]
        for one in part["traffic"]:
            revision = stub.get("revisions", one["revisionName"])
            if revision["spec"]["containers"][0]["image"] == NEW:
                shares.append(one["percent"])

    serverless.stub.controllers.append(watch)
    site.ensure_removed()
    assert max(shares, default=0) == 0, "while the old image comes up again, nobody gets the new"
    sight = site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (digest_of(OLD), Health.ABSENT)
    assert predictor(serverless.stub)["containers"][0]["image"] == OLD
    assert "canaryTrafficPercent" not in predictor(serverless.stub)


def test_kserve_serverless_after_a_promotion_goes_back_to_the_old_image(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(100)
    site.ensure_stable(site.pin(NEW))
    site.ensure_stable(site.pin(OLD))
    sight = site.look()
    assert sight.whole
    assert sight.stable.digest == digest_of(OLD)


def test_kserve_serverless_that_ignores_the_field_is_a_fault(serverless):
    """What RawDeployment did (kserve#4074, #5335): the field stands there, and does nothing."""
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)
    serverless.controller.heeds = False
    with pytest.raises(EnvironmentFault, match=r"had no such effect in 1 s: the canary has 100"):
        site.ensure_share(25)
    assert site.look().canary.share == 1.0


def test_kserve_serverless_in_a_mode_that_ignores_the_field_is_refused_before_anything(serverless):
    site = serverless.site()
    serverless.controller.asleep = True

    def raw(found):
        found["status"]["deploymentMode"] = "RawDeployment"

    serverless.stub.edit("inferenceservices", "credit", raw)
    with pytest.raises(EnvironmentFault, match="ignores canaryTrafficPercent"):
        site.ensure_canary(site.pin(NEW))
    assert predictor(serverless.stub)["containers"][0]["image"] == OLD


@pytest.mark.parametrize("again", [False, True])
def test_kserve_serverless_what_was_not_reconciled_yet_is_no_share_of_the_candidate(
    serverless, again
):
    site, serving = serverless.site(), OLD
    if again:  # a revision that had everything before is not the stable side of this change
        serving = image("c")
        site.ensure_canary(site.pin(serving))
        site.ensure_share(100)
        site.ensure_stable(site.pin(serving))
    serverless.controller.asleep = True
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert sight.whole
    assert (sight.canary.health, sight.stable.digest) == (Health.ABSENT, digest_of(serving))
    with pytest.raises(EnvironmentFault, match="cannot take requests"):
        site.ensure_share(5)


def test_kserve_serverless_a_candidate_that_fails_gets_nothing(serverless):
    serverless.controller.sick.add(digest_of(NEW))
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    assert site.look().canary.health is Health.FAILING
    with pytest.raises(EnvironmentFault, match="ContainerUnhealthy"):
        site.ensure_share(5)
    site.ensure_out()
    site.ensure_removed()
    assert site.look().whole


def test_kserve_serverless_before_anything_was_rolled_out_there_is_nothing_to_compare(opened):
    route = {"kserve": {"inferenceservice": "credit", "mode": "serverless"}}
    controller = KnativeKServe(sick={digest_of(OLD)})
    bench = opened(route, controller, kubelet=Kubelet())
    controller.asleep = True
    bench.stub.put("inferenceservices", serverless_service(OLD))
    site = bench.site()
    with pytest.raises(EnvironmentFault, match="traffic cannot be told: there is none"):
        site.ensure_canary(site.pin(NEW))
    assert predictor(bench.stub)["containers"][0]["image"] == OLD


def test_kserve_serverless_a_change_under_way_is_left_alone(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    with pytest.raises(EnvironmentFault, match="another change of it is under way"):
        site.ensure_canary(site.pin(image("c")))


def test_kserve_serverless_weights_from_storage_are_refused(serverless):
    found = serverless_service(OLD)
    env = [{"name": "STORAGE_URI", "value": "s3://models/credit"}]
    found["spec"]["predictor"]["containers"][0]["env"] = env
    serverless.stub.put("inferenceservices", found)
    site = serverless.site()
    with pytest.raises(InputError, match="model comes from STORAGE_URI"):
        site.stable()


def test_kserve_serverless_by_hand(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    (line,) = site.by_hand()
    found = merge(
        serverless.stub.get("inferenceservices", "credit"), json.loads(shlex.split(line)[-1])
    )
    assert found["spec"]["predictor"]["canaryTrafficPercent"] == 0


# What is left: each is a fault that says why, and leaves everything as it is


def test_argo_a_change_by_somebody_else_is_left_alone(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    with pytest.raises(EnvironmentFault, match="another change of it is under way"):
        site.ensure_canary(site.pin(image("c")))
    site.ensure_share(5)
    with pytest.raises(EnvironmentFault, match="so it stays"):
        site.ensure_removed()
    site.ensure_share(0)
    assert site.look().whole


def test_argo_a_pause_that_is_no_step_is_not_ended(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    argo.controller.asleep = True

    def elsewhere(found):
        found["status"]["currentStepIndex"] = 0

    argo.stub.edit("rollouts", "credit", elsewhere)
    with pytest.raises(EnvironmentFault, match="paused at step 0, which is no pause"):
        site.ensure_share(5)


def test_argo_a_pause_that_somebody_else_ends_first_is_not_ended_twice(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))

    def promote(stub):
        def unpaused(found):
            found["status"].pop("pauseConditions")

        stub.edit("rollouts", "credit", unpaused)

    argo.stub.faults.append(Fault("PATCH", "rollouts/credit/status", do=promote))
    site.ensure_share(5)
    assert site.look().canary.share == 0.05
    assert argo.controller.promoted == 1


def test_argo_a_rollout_that_does_not_become_healthy_is_a_fault_in_time(argo):
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(100)
    argo.controller.asleep = True
    with pytest.raises(EnvironmentFault, match="not Healthy with the new image after 1 s"):
        site.ensure_stable(site.pin(NEW))


def test_argo_a_template_that_is_not_what_serves_is_put_back_by_its_digest(argo):
    """The note of what was before is wrong: what serves is what counts."""
    site = argo.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_out()

    def wrong(found):
        found["metadata"]["annotations"]["model-gates.io/previous-image"] = image("f")

    argo.stub.edit("rollouts", "credit", wrong)
    site.ensure_removed()
    assert template(argo.stub) == OLD


def test_argo_pods_that_are_described_elsewhere_or_run_two_images_are_refused(argo):
    site = argo.site()
    pod = argo.stub.all("pods")[0]
    pod["status"]["containerStatuses"][0]["imageID"] = NEW
    argo.controller.asleep = True
    argo.stub.put("pods", pod, status=pod["status"])
    with pytest.raises(InputError, match="do not all run one image"):
        site.stable()

    def elsewhere(found):
        del found["spec"]["template"]
        found["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment"}

    argo.stub.edit("rollouts", "credit", elsewhere)
    with pytest.raises(InputError, match="workloadRef"):
        site.stable()


def test_kserve_standard_a_new_image_that_does_not_come_up_is_a_fault_in_time(standard):
    standard.kubelet.sick[digest_of(NEW)] = "CrashLoopBackOff"
    site = standard.site()
    with pytest.raises(EnvironmentFault, match="not every pod runs the new image after 1 s"):
        site.ensure_stable(site.pin(NEW))
    site.ensure_stable(site.pin(OLD))
    site.ensure_stable(site.pin(OLD))
    assert site.look().whole


def test_kserve_standard_without_a_digest_in_the_model_is_refused(standard):
    standard.stub.put("inferenceservices", inference_service(OLD, model={"image": ""}))
    site = standard.site()
    with pytest.raises(InputError, match=r"names no `model\.image`"):
        site.ensure_canary(site.pin(NEW))


def test_kserve_standard_a_route_in_doubt_is_told_and_the_way_back_stays_open(standard):
    site = standard.site()
    site.ensure_canary(site.pin(NEW))
    gateway = standard.stub.controllers[1]
    gateway.says["Accepted"] = "False"
    standard.stub.settle()
    sight = site.look()
    assert sight.canary.reachable
    assert "Accepted" in sight.canary.reason
    with pytest.raises(EnvironmentFault, match=r"no such effect.*Accepted"):
        site.ensure_out()


def test_kserve_standard_with_no_canary_there_is_nobody_to_send_back(standard):
    site = standard.site()
    before = standard.stub.writes()
    site.ensure_out()
    site.ensure_removed()
    assert standard.stub.writes() == before


def test_kserve_serverless_drift_in_the_percentage_and_in_the_image(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))

    def percent(value):
        def change(stub):
            def put(found):
                found["spec"]["predictor"].pop("canaryTrafficPercent", None)
                if value is not None:
                    found["spec"]["predictor"]["canaryTrafficPercent"] = value

            stub.edit("inferenceservices", "credit", put)

        return change

    serverless.stub.faults.append(Fault("PATCH", "inferenceservices", do=percent(40)))
    with pytest.raises(EnvironmentFault, match="somebody else set canaryTrafficPercent to 40"):
        site.ensure_share(25)
    serverless.stub.faults.append(Fault("PATCH", "inferenceservices", do=percent(None)))
    with pytest.raises(EnvironmentFault, match="canaryTrafficPercent is gone"):
        site.ensure_share(25)


def test_kserve_serverless_a_canary_with_traffic_stays_and_a_wrong_note_is_not_believed(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    with pytest.raises(EnvironmentFault, match="so it stays"):
        site.ensure_removed()

    def wrong(found):
        found["metadata"]["annotations"]["model-gates.io/previous-image"] = image("f")

    serverless.stub.edit("inferenceservices", "credit", wrong)
    site.ensure_out()
    site.ensure_removed()
    assert predictor(serverless.stub)["containers"][0]["image"] == OLD
    assert site.look().whole


def test_kserve_serverless_an_image_that_does_not_come_up_again_is_a_fault_in_time(serverless):
    site = serverless.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_out()
    serverless.controller.sick.add(digest_of(OLD))
    with pytest.raises(EnvironmentFault, match="newest revision is not ready after 1 s"):
        site.ensure_removed()
    assert site.look().whole, "what served before still does"


def test_kserve_serverless_a_revision_that_is_gone_or_has_no_digest(serverless):
    site = serverless.site()
    (revision,) = serverless.stub.all("revisions")
    status = revision["status"] | {"containerStatuses": []}
    serverless.controller.asleep = True
    serverless.stub.put("revisions", revision, status=status)
    with pytest.raises(InputError, match="has no digest"):
        site.stable()
    serverless.stub.drop("revisions", revision["metadata"]["name"])
    assert site.look().stable.reason == "there is no such revision"
