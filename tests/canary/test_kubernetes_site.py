"""Two Deployments behind an HTTPRoute, on an API of our own: every step, and what must stop it."""

import json
import shlex
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest

from gates.canary.sight import Health
from gates.canary.targets.kubernetes.cluster import Cluster
from gates.canary.targets.kubernetes.gateway import Route
from gates.canary.targets.kubernetes.options import Kubernetes, object_name
from gates.errors import EnvironmentFault, InputError
from tests.canary.kube_controllers import GatewayController, Kubelet, digest_of, image, route
from tests.canary.kube_patch import apply
from tests.canary.kube_stub import NAMESPACE, TOKEN, Fault, KubeStub

OLD, NEW = image("a"), image("b")


@dataclass
class Bench:
    """A cluster with what serves, a canary without pods, and the site that is tested."""

    stub: KubeStub
    kubelet: Kubelet
    gateway: GatewayController
    options: dict

    def site(self, **changed):
        return Kubernetes.model_validate(self.options | changed).site("credit")

    def weights(self):
        backends = self.stub.get("httproutes", "credit")["spec"]["rules"][0]["backendRefs"]
        return tuple(one.get("weight", 1) for one in backends)

    def weigh(self, stable, canary):
        def change(found):
            backends = found["spec"]["rules"][0]["backendRefs"]
            backends[0]["weight"], backends[1]["weight"] = stable, canary

        self.stub.edit("httproutes", "credit", change)


def deployment(name, side, its, replicas):
    labels = {"app": "credit", "side": side}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "model", "image": its}]},
            },
        },
    }


@pytest.fixture
def bench(tmp_path):
    kubelet = Kubelet(
        services={
            "credit-stable": {"app": "credit", "side": "stable"},
            "credit-canary": {"app": "credit", "side": "canary"},
        }
    )
    gateway = GatewayController()
    stub = KubeStub(controllers=[kubelet, gateway])
    with stub.serve():
        stub.put("deployments", deployment("credit", "stable", OLD, 3))
        stub.put("deployments", deployment("credit-canary", "canary", OLD, 0))
        backends = [{"name": "credit-stable", "port": 80}, {"name": "credit-canary", "port": 80}]
        backends[0]["weight"], backends[1]["weight"] = 100, 0
        stub.put("httproutes", route("credit", backends))
        options = {
            "namespace": NAMESPACE,
            "kubeconfig": stub.kubeconfig(tmp_path / "kubeconfig"),
            "route": {
                "gateway": {
                    "httproute": "credit",
                    "stable_service": "credit-stable",
                    "canary_service": "credit-canary",
                }
            },
            "deployments": {"stable": "credit", "canary": "credit-canary"},
            "timeout": 2.0,
            "settle": 1.0,
            "patience": 1.0,
        }
        yield Bench(stub=stub, kubelet=kubelet, gateway=gateway, options=options)


def test_a_whole_rollout_to_the_new_image(bench):
    site = bench.site()
    assert site.stable().digest == digest_of(OLD)
    assert site.look().whole
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert (sight.canary.digest, sight.canary.health) == (digest_of(NEW), Health.READY)
    assert sight.whole, "nobody is sent to it"
    for percent in (5, 25, 100):
        site.ensure_share(percent)
        assert bench.weights() == (100 - percent, percent)
        assert site.look().canary.share == percent / 100
    site.ensure_stable(site.pin(NEW))
    assert site.look().stable.digest == digest_of(NEW)
    site.ensure_out()
    site.ensure_removed()
    sight = site.look()
    assert sight.whole
    assert sight.canary.health is Health.ABSENT
    kept = bench.stub.get("deployments", "credit")["metadata"]["annotations"]
    assert kept == {"model-gates.io/previous-image": OLD}


def test_every_step_may_be_done_again_and_changes_nothing_then(bench):
    site = bench.site()
    steps = (
        lambda: site.ensure_canary(site.pin(NEW)),
        lambda: site.ensure_share(25),
        lambda: site.ensure_share(100),
        lambda: site.ensure_stable(site.pin(NEW)),
        site.ensure_out,
        site.ensure_removed,
    )
    for number, step in enumerate(steps):
        step()
        before = len(bench.stub.writes())
        if number != 0:  # the first shuts the route before anything else
            step()
            assert len(bench.stub.writes()) == before
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(50)
    site.ensure_canary(site.pin(NEW))
    assert bench.weights() == (100, 0), "a canary that is begun again has nobody"


@pytest.mark.parametrize("percent", [0, 1, 5, 33, 50, 99, 100])
def test_a_share_is_exact(bench, percent):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(percent)
    sight = site.look()
    assert sight.canary.share == percent / 100
    assert sight.stable.share == 1 - percent / 100
    assert sight.canary.reachable is (percent > 0)


def test_the_canary_has_as_many_pods_as_the_stable_side_or_as_it_is_told(bench):
    bench.site().ensure_canary(bench.site().pin(NEW))
    assert bench.stub.get("deployments", "credit-canary")["spec"]["replicas"] == 3
    told = bench.options["deployments"] | {"canary_pods": 1}
    bench.site(deployments=told).ensure_canary(bench.site().pin(NEW))
    assert bench.stub.get("deployments", "credit-canary")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "name",
    ["registry.example/credit:v2", "credit", "credit@sha256:abc", f"credit@sha256:{'A' * 64}"],
)
def test_an_image_without_a_digest_is_refused_and_the_hint_says_how_to_get_one(bench, name):
    with pytest.raises(InputError, match="names no digest") as raised:
        bench.site().pin(name)
    assert "crane digest" in raised.value.hint


def test_what_runs_by_a_tag_is_named_by_its_digest(bench):
    tagged = "registry.example:5000/credit:v1"
    bench.stub.put("deployments", deployment("credit", "stable", tagged, 1))
    found = bench.site().stable()
    assert found.image == f"registry.example:5000/credit@{digest_of(tagged)}"
    assert found.digest == digest_of(tagged)


def test_a_tag_that_still_runs_what_is_wanted_stays(bench):
    tagged = "registry.example/credit:v1"
    bench.stub.put("deployments", deployment("credit", "stable", tagged, 1))
    site = bench.site()
    before = len(bench.stub.writes())
    site.ensure_stable(site.stable())
    assert len(bench.stub.writes()) == before


def test_weights_that_somebody_changes_between_reading_and_writing_are_drift(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)
    bench.stub.faults.append(Fault("PATCH", "httproutes", do=lambda _: bench.weigh(70, 30)))
    with pytest.raises(EnvironmentFault, match=r"somebody else changed the weights .*95:5.*70:30"):
        site.ensure_share(25)
    assert bench.weights() == (70, 30), "nothing was overwritten"
    assert site.look().canary.share == 0.3


def test_another_change_of_the_route_in_between_is_no_drift(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))

    def label(stub):
        stub.edit("httproutes", "credit", lambda one: one["metadata"].update(labels={"team": "x"}))

    bench.stub.faults.append(Fault("PATCH", "httproutes", do=label, times=2))
    site.ensure_share(25)
    assert bench.weights() == (75, 25)
    assert bench.stub.get("httproutes", "credit")["metadata"]["labels"] == {"team": "x"}


def test_a_route_that_changes_every_time_is_given_up(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    number = iter(range(100))

    def label(stub):
        value = {"n": str(next(number))}
        stub.edit("httproutes", "credit", lambda one: one["metadata"].update(labels=value))

    bench.stub.faults.append(Fault("PATCH", "httproutes", do=label, times=50))
    with pytest.raises(EnvironmentFault, match="6 times"):
        site.ensure_share(25)
    assert bench.weights() == (100, 0)


def test_the_way_back_overwrites_whatever_somebody_else_did(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    bench.stub.faults.append(Fault("PATCH", "httproutes", do=lambda _: bench.weigh(10, 90)))
    site.ensure_out()
    assert bench.weights() == (100, 0)


def test_weights_that_gitops_puts_back_are_seen(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    bench.weigh(100, 0)
    assert site.look().canary.share == 0.0


@pytest.mark.parametrize("condition", ["Accepted", "ResolvedRefs"])
def test_a_route_that_its_gateway_does_not_take_is_no_share_and_the_way_back_stays_open(
    bench, condition
):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    bench.gateway.says[condition] = "False"
    bench.stub.settle()
    with pytest.raises(EnvironmentFault, match=rf"{condition}: NotAllowed.*no weight was changed"):
        site.ensure_share(5)
    assert bench.weights() == (100, 0)
    bench.weigh(95, 5)
    sight = site.look()
    assert sight.canary.reachable
    assert f"{condition}: NotAllowed" in sight.canary.reason
    assert sight.stable.health is Health.READY, "or no guard would send anything back"
    with pytest.raises(EnvironmentFault, match="cannot be told"):
        site.ensure_out()
    assert bench.weights() == (100, 0)
    assert not site.look().whole, "the weights say so, and nobody else does"
    bench.gateway.says.clear()
    bench.stub.settle()
    assert site.look().whole


def test_a_change_that_no_gateway_has_looked_at_is_not_in_effect(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    bench.gateway.asleep = True
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="gw has not looked at the latest change"):
        site.ensure_share(5)
    assert time.monotonic() - began < 5


def test_a_route_at_no_gateway_is_no_route(bench):
    bench.stub.edit("httproutes", "credit", lambda one: one["spec"].update(parentRefs=[]))
    site = bench.site()
    with pytest.raises(EnvironmentFault, match="attached to no gateway"):
        site.ensure_canary(site.pin(NEW))
    assert bench.stub.get("deployments", "credit-canary")["spec"]["replicas"] == 0


@pytest.mark.parametrize("who", ["canary", "stable"])
def test_no_weight_without_a_ready_endpoint(bench, who):
    site = bench.site()
    if who == "canary":
        bench.kubelet.endpoints_asleep = True
    site.ensure_canary(site.pin(NEW))
    if who == "stable":
        bench.stub.drop("endpointslices", "credit-stable-abcde")
        bench.kubelet.endpoints_asleep = True
    with pytest.raises(EnvironmentFault, match=r"no ready endpoint.*no weight was changed"):
        site.ensure_share(5)
    assert bench.weights() == (100, 0)


def test_with_everything_at_the_canary_the_stable_side_may_be_away(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    bench.stub.drop("endpointslices", "credit-stable-abcde")
    bench.kubelet.endpoints_asleep = True
    site.ensure_share(100)
    assert bench.weights() == (0, 100)


@pytest.mark.parametrize("reason", ["CrashLoopBackOff", "ImagePullBackOff"])
def test_a_candidate_that_does_not_come_up_is_failing(bench, reason):
    bench.kubelet.sick[digest_of(NEW)] = reason
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    canary = site.look().canary
    assert (canary.health, canary.reason, canary.digest) == (Health.FAILING, reason, None)
    assert canary.restarts == 9
    with pytest.raises(EnvironmentFault, match=reason):
        site.ensure_share(5)


def test_a_stable_side_that_cannot_run_the_candidate_keeps_the_old_pods_and_says_so(bench):
    bench.kubelet.sick[digest_of(NEW)] = "CrashLoopBackOff"
    site = bench.site()
    with pytest.raises(EnvironmentFault, match="does not come up: CrashLoopBackOff"):
        site.ensure_stable(site.pin(NEW))
    sight = site.look()
    assert (sight.stable.digest, sight.stable.health) == (digest_of(OLD), Health.READY)
    site.ensure_stable(site.pin(OLD))
    assert site.look().whole


def test_a_replacement_that_takes_too_long_ends_in_time(bench):
    site = bench.site()
    bench.kubelet.asleep = True
    with pytest.raises(EnvironmentFault, match="not every pod runs the new image after 1 s"):
        site.ensure_stable(site.pin(NEW))


def test_a_side_with_pods_of_two_images_is_not_one(bench):
    site = bench.site()
    pod = bench.stub.all("pods")[0]
    its = pod["status"]["containerStatuses"][0]
    its["imageID"] = NEW
    bench.kubelet.asleep = True
    bench.stub.put("pods", pod, status=pod["status"])
    stable = site.look().stable
    assert (stable.digest, stable.health) == (None, Health.STARTING)
    with pytest.raises(InputError, match="do not all run one image"):
        site.stable()


def test_a_service_that_reaches_pods_of_the_other_side_is_found_out(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    bench.kubelet.services["credit-stable"] = {"app": "credit"}
    bench.stub.settle()
    sight = site.look()
    assert sight.canary.reachable
    assert not sight.whole
    with pytest.raises(
        EnvironmentFault, match=r"reaches a pod of the other.*no weight was changed"
    ):
        site.ensure_share(5)
    assert bench.weights() == (100, 0)
    site.ensure_out()
    site.ensure_removed()
    assert site.look().whole


def test_pods_belong_to_the_deployment_that_made_them_whatever_their_labels(bench):
    def wider(found):
        found["spec"]["selector"]["matchLabels"] = {"app": "credit"}

    bench.stub.edit("deployments", "credit", wider)
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    sight = site.look()
    assert (sight.stable.digest, sight.canary.digest) == (digest_of(OLD), digest_of(NEW))
    assert sight.whole


def test_a_canary_that_has_traffic_is_not_removed(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(5)
    with pytest.raises(EnvironmentFault, match="still has a part"):
        site.ensure_removed()
    assert bench.stub.get("deployments", "credit-canary")["spec"]["replicas"] == 3


def _third(found):
    found["spec"]["rules"][0]["backendRefs"].append({"name": "other", "port": 80})


def _twice(found):
    found["spec"]["rules"][0]["backendRefs"].append({"name": "credit-canary", "port": 81})


def _elsewhere(found):
    found["spec"]["rules"][0]["backendRefs"][1]["namespace"] = "other"


def _no_rule(found):
    found["spec"]["rules"] = [{"backendRefs": [{"name": "other", "port": 80}]}]


@pytest.mark.parametrize("change", [_third, _twice, _elsewhere, _no_rule])
def test_a_route_that_is_not_between_the_two_is_refused(bench, change):
    bench.stub.edit("httproutes", "credit", change)
    with pytest.raises(InputError, match="this route cannot split the traffic"):
        bench.site().look()


def test_a_rule_that_keeps_sessions_is_refused():
    backends = [{"name": "s", "weight": 1}, {"name": "c", "weight": 0}]
    rule = {"backendRefs": backends, "sessionPersistence": {"type": "Cookie"}}
    found = Route(
        cluster=Cluster(api=None, namespace=NAMESPACE),
        name="credit",
        rule=None,
        services=("s", "c"),
        settle=1.0,
    )
    with pytest.raises(InputError, match="keeps sessions"):
        found._rules({"spec": {"rules": [rule]}})


def test_all_rules_between_the_two_are_changed_and_the_highest_share_counts(bench):
    def second(found):
        rules = found["spec"]["rules"]
        names = ("credit-canary", "credit-stable")
        rules.append({"backendRefs": [{"name": name, "port": 80} for name in names]})

    bench.stub.edit("httproutes", "credit", second)
    site = bench.site()
    assert site.look().canary.share == 0.5, "a weight that is left out is 1"
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(20)
    rules = bench.stub.get("httproutes", "credit")["spec"]["rules"]
    found = [{one["name"]: one["weight"] for one in rule["backendRefs"]} for rule in rules]
    assert found == [{"credit-stable": 80, "credit-canary": 20}] * 2


def test_a_rule_by_its_name_alone_and_no_other_may_have_the_canary(bench):
    def named(found):
        rules = found["spec"]["rules"]
        rules[0]["name"] = "predict"
        rules.append({"name": "batch", "backendRefs": [{"name": "credit-stable", "port": 80}]})

    bench.stub.edit("httproutes", "credit", named)
    chosen = bench.options["route"]["gateway"] | {"rule": "predict"}
    site = bench.site(route={"gateway": chosen})
    assert site.look().whole

    def leaks(found):
        found["spec"]["rules"][1]["backendRefs"].append({"name": "credit-canary", "port": 80})

    bench.stub.edit("httproutes", "credit", leaks)
    with pytest.raises(InputError, match="rule 1 sends to credit-canary, too"):
        site.look()


def test_by_hand_is_a_command_that_works(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    (line,) = site.by_hand()
    words = shlex.split(line)
    assert words[:5] == ["kubectl", "-n", NAMESPACE, "patch", "httproutes/credit"]
    found = bench.stub.get("httproutes", "credit")
    for one in json.loads(words[-1]):
        apply(found, one)
    assert [one["weight"] for one in found["spec"]["rules"][0]["backendRefs"]] == [100, 0]


def test_by_hand_still_says_something_when_the_cluster_does_not_answer(bench):
    site = bench.site()
    bench.stub.faults.append(Fault("GET", ".", status=503))
    assert site.by_hand() == ("kubectl -n prod edit httproutes/credit",)


def test_counts_come_from_elsewhere_and_addresses_from_the_options(bench):
    site = bench.site()
    with pytest.raises(EnvironmentFault, match="counts no requests") as raised:
        site.counters()
    assert "metrics: {prometheus" in raised.value.hint
    assert site.endpoints() is None
    asked = {"stable": "http://s:80", "canary": "http://c:80"}
    assert list(bench.site(endpoints=asked).endpoints()) == ["http://s:80", "http://c:80"]


def test_an_object_that_is_not_there_is_named(bench):
    bench.stub.drop("deployments", "credit-canary")
    with pytest.raises(InputError, match="there is no Deployment") as raised:
        bench.site().look()
    assert raised.value.where == "Deployment prod/credit-canary"


def test_every_patch_tests_the_version_that_was_read_and_is_a_json_patch(bench):
    site = bench.site()
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    patches = [body for method, _, body in bench.stub.requests if method == "PATCH"]
    assert patches
    for body in patches:
        assert body[0]["op"] == "test"
        assert body[0]["path"] == "/metadata/resourceVersion"


def test_names_for_objects_are_fit_and_differ():
    assert object_name("credit") == "mg-credit"
    names = {object_name(name) for name in ("Credit", "credit!", "crédit", "é", "-", "x" * 100)}
    assert len(names) == 6
    assert all(len(name) <= 42 and name.strip("-") == name for name in names)


def test_the_token_stands_in_no_message(bench, tmp_path):
    said = "nobody may {authorization}, and not " + TOKEN
    for status in (401, 403, 500):
        bench.stub.faults.append(Fault("GET", ".", status=status, said=said))
        with pytest.raises(EnvironmentFault) as raised:
            bench.site().stable()
        assert TOKEN not in str(raised.value)
        assert "(withheld)" in str(raised.value)
        assert str(status) in str(raised.value)
    odd = bench.stub.kubeconfig(tmp_path / "odd", token=TOKEN + "\n\nx: y")
    with pytest.raises(EnvironmentFault) as raised:
        bench.site(kubeconfig=odd).stable()
    error = raised.value
    assert TOKEN not in str(error) + repr(error.__cause__)
    assert error.__suppress_context__
    assert TOKEN not in repr(bench.site())


def test_an_api_that_is_away_hangs_or_babbles_is_a_fault_in_time(bench, tmp_path):
    site = bench.site()
    bench.stub.faults.append(Fault("GET", ".", hang=True))
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        site.look()
    assert 1.5 < time.monotonic() - began < 5
    bench.stub.faults.append(Fault("GET", ".", lost=True))
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        site.look()
    elsewhere = KubeStub()
    elsewhere.address = "http://127.0.0.1:1"
    away = bench.site(kubeconfig=elsewhere.kubeconfig(tmp_path / "away"))
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        away.look()
    assert time.monotonic() - began < 5


def test_an_answer_that_trickles_in_ends_at_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def trickle():
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
                for _ in range(60):
                    time.sleep(0.1)
                    connection.sendall(b" " * 10)

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        stub = KubeStub()
        stub.address = f"http://127.0.0.1:{server.getsockname()[1]}"
        options = {
            "namespace": NAMESPACE,
            "kubeconfig": stub.kubeconfig(tmp_path / "k"),
            "route": {"argo": {"rollout": "credit"}},
            "timeout": 1.0,
        }
        began = time.monotonic()
        with pytest.raises(EnvironmentFault, match="cannot be reached"):
            Kubernetes.model_validate(options).site("credit").look()
        assert time.monotonic() - began < 4
        thread.join()


def test_a_kind_that_the_cluster_does_not_have_is_told_as_that(bench):
    gone = Fault("GET", "httproutes", status=404, text="404 page not found\n")
    bench.stub.faults.append(gone)
    with pytest.raises(EnvironmentFault, match="answered 404") as raised:
        bench.site().look()
    assert "api-resources" in raised.value.hint


@pytest.mark.parametrize("text", ["<html>", "[1]", "{", "7"])
def test_an_answer_that_is_no_object_is_a_fault(bench, text):
    bench.stub.faults.append(Fault("GET", "deployments", status=200, text=text))
    with pytest.raises(EnvironmentFault, match="no object of JSON"):
        bench.site().stable()


def test_an_invalid_change_is_the_servers_complaint_and_no_conflict(bench):
    """422 means two things: the `test` failed, or what came out is not valid."""
    site = bench.site()
    said = 'admission webhook "policy" denied the request'
    bench.stub.faults.append(Fault("PATCH", "credit-canary", status=422, said=said))
    with pytest.raises(EnvironmentFault, match="answered 422") as raised:
        site.ensure_canary(site.pin(NEW))
    assert raised.value.details == (said,)
    patches = [one for one in bench.stub.requests if one[0] == "PATCH"]
    assert len(patches) == 1, "and it is not tried again"


def test_a_container_is_named_where_a_pod_has_several(bench):
    def sidecar(found):
        containers = found["spec"]["template"]["spec"]["containers"]
        containers.append({"name": "proxy", "image": image("9")})

    bench.stub.edit("deployments", "credit", sidecar)
    with pytest.raises(InputError, match=r"which container has the model. There is: model, proxy"):
        bench.site().stable()
    assert bench.site(container="model").stable().digest == digest_of(OLD)
    with pytest.raises(InputError, match="which container"):
        bench.site(container="other").stable()


def test_a_pod_that_failed_and_one_without_a_digest_are_not_ready(bench):
    site = bench.site()
    bench.kubelet.asleep = True
    for pod in bench.stub.all("pods"):
        pod["status"]["containerStatuses"][0]["imageID"] = "docker://sha256"
        bench.stub.put("pods", pod, status=pod["status"])
    assert site.look().stable.reason == "no digest of its image is known"
    for pod in bench.stub.all("pods"):
        pod["status"]["phase"] = "Failed"
        pod["status"]["conditions"][0]["status"] = "False"
        bench.stub.put("pods", pod, status=pod["status"])
    stable = site.look().stable
    assert (stable.health, stable.reason) == (Health.FAILING, "Failed")


def test_pods_on_their_way_out_do_not_count(bench):
    site = bench.site()
    bench.kubelet.asleep = True
    for pod in bench.stub.all("pods")[:2]:
        pod["metadata"]["deletionTimestamp"] = "2026-11-26T00:00:00Z"
        pod["status"]["containerStatuses"][0]["imageID"] = NEW
        bench.stub.put("pods", pod, status=pod["status"])
    assert site.look().stable.digest == digest_of(OLD)


def test_a_deployment_that_selects_by_expressions_alone_is_refused(bench):
    def expressions(found):
        chosen = [{"key": "side", "operator": "In", "values": ["stable"]}]
        found["spec"]["selector"] = {"matchExpressions": chosen}

    bench.stub.edit("deployments", "credit", expressions)
    with pytest.raises(EnvironmentFault, match="no matchLabels"):
        bench.site().stable()
