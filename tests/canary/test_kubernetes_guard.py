"""The guard in the cluster, what the accounts may do, and what the options refuse."""

import json
import re
from pathlib import Path

import pytest
import yaml

from gates.canary import chain
from gates.canary.chain import Record
from gates.canary.faults import Fenced
from gates.canary.guard import Guard
from gates.canary.settings import deployment, load
from gates.canary.sight import Health
from gates.canary.targets.kubernetes.api import connect
from gates.canary.targets.kubernetes.options import WAYS, Kubernetes
from gates.errors import ConfigError, EnvironmentFault, InputError
from tests.canary.kube_controllers import digest_of, image
from tests.canary.test_kubernetes_site import NEW, OLD, bench

__all__ = ["bench"]  # a fixture, and not only a name
DOC = Path(__file__).parents[2] / "docs" / "canary-kubernetes.md"
TOOL = image("e", "registry.example/model-gates")
GUARD = {"image": TOOL}


def test_a_guard_runs_with_what_it_needs_and_is_gone_afterwards(bench):
    site = bench.site(guard=GUARD)
    site.ensure_guard(on=True)
    found = bench.stub.get("deployments", "mg-credit-guard")
    pod = found["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "model-gates-guard"
    (container,) = pod["containers"]
    assert container["image"] == TOOL
    assert container["args"][:3] == ["canary", "guard", "credit"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    before = len(bench.stub.writes())
    site.ensure_guard(on=True)
    assert len(bench.stub.writes()) == before + 2, "two tries to create, which change nothing"
    site.ensure_guard(on=False)
    site.ensure_guard(on=False)
    assert bench.stub.get("deployments", "mg-credit-guard") is None
    assert bench.stub.get("configmaps", "mg-credit-guard") is None


def test_what_the_guard_reads_is_a_file_that_the_command_takes(bench, tmp_path):
    bench.site(guard=GUARD, patience=3.0).ensure_guard(on=True)
    data = bench.stub.get("configmaps", "mg-credit-guard")["data"]
    path = tmp_path / "model-gates.canary.yml"
    path.write_text(data["model-gates.canary.yml"])
    found, _ = load(path)
    options = deployment(found, "credit", str(path)).target.chosen()
    assert options.in_cluster
    assert options.kubeconfig is None
    assert (options.route, options.patience) == (bench.site().options.route, 3.0)


def test_a_guard_of_another_version_is_replaced(bench):
    bench.site(guard={"image": image("d", "registry.example/model-gates")}).ensure_guard(on=True)
    bench.site(guard=GUARD).ensure_guard(on=True)
    spec = bench.stub.get("deployments", "mg-credit-guard")["spec"]
    assert spec["template"]["spec"]["containers"][0]["image"] == TOOL


def test_a_guard_that_does_not_come_up_is_none(bench):
    bench.kubelet.sick[digest_of(TOOL)] = "ImagePullBackOff"
    with pytest.raises(EnvironmentFault, match="guard does not come up: ImagePullBackOff"):
        bench.site(guard=GUARD).ensure_guard(on=True)
    bench.kubelet.sick[digest_of(TOOL)] = "ContainerCreating"
    bench.stub.settle()
    with pytest.raises(EnvironmentFault, match="guard does not run after 1 s"):
        bench.site(guard=GUARD).ensure_guard(on=True)


def test_a_guard_by_a_tag_is_refused_and_none_at_all_is_said(bench):
    with pytest.raises(InputError, match="names no digest"):
        bench.site(guard={"image": "registry.example/model-gates:1"}).ensure_guard(on=True)
    with pytest.raises(EnvironmentFault, match="no guard is configured") as raised:
        bench.site().ensure_guard(on=True)
    assert "guard: none" in raised.value.hint
    bench.site().ensure_guard(on=False)


def begun(site):
    lease = site.store.acquire("runner", 10.0)
    first = Record(
        seq=1, rollout="r", kind="plan", act="", by="ann", at="now", token=lease.token
    ).line()
    site.store.begin(first, lease.token)
    return lease


def test_when_the_runner_is_gone_the_guard_sends_everything_back(bench):
    site, now = bench.site(), [0.0]
    lease = begun(site)
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    mine = bench.site()
    guard = Guard(store=mine.store, valve=mine, clock=lambda: now[0])
    guard.watch()
    now[0] = 9.0
    lease = site.store.renew(lease)
    guard.watch()
    now[0] = 18.0
    guard.watch()
    assert bench.weights() == (75, 25), "a runner that lives is left alone"
    now[0] = 30.0
    guard.watch()
    assert bench.weights() == (100, 0)
    assert site.look().whole
    records = chain.read(site.store.read(), "j").records
    assert [record.kind for record in records] == ["plan", "guard"]
    assert site.store.lease() is None
    with pytest.raises(Fenced):
        site.store.append(records[-1].line(), lease.token)
    with pytest.raises(Fenced), site.store.fenced(lease):
        pytest.fail("the runner that comes back may not go on")


def test_the_guard_leaves_the_canary_where_it_is_when_the_stable_side_is_away(bench):
    site, now = bench.site(), [0.0]
    begun(site)
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(100)
    bench.kubelet.services["credit-stable"] = {"side": "nobody"}
    bench.stub.settle()
    guard = Guard(store=site.store, valve=site, clock=lambda: now[0])
    guard.watch()
    now[0] = 60.0
    guard.watch()
    assert bench.weights() == (0, 100)
    bench.kubelet.services["credit-stable"] = {"side": "stable"}
    bench.stub.settle()
    guard.watch()
    assert bench.weights() == (100, 0)


def blocks():
    found = re.findall(r"```yaml\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    return [yaml.safe_load(text) for text in found]


def roles():
    return {one["metadata"]["name"]: one for one in blocks() if one.get("kind") == "Role"}


def allowed(role, method, path):
    """Return whether a Role lets a request through, as Kubernetes decides it."""
    parts = path.removeprefix("/").split("/")
    group = "" if parts[0] == "api" else parts[1]
    plural, *rest = parts[parts.index("namespaces") + 2 :]
    resource = "/".join([plural, *rest[1:]])
    verb = {"GET": "get" if rest else "list", "POST": "create"}.get(method, method.lower())
    return any(
        group in rule["apiGroups"]
        and resource in rule["resources"]
        and verb in rule["verbs"]
        and (not rule.get("resourceNames") or (rest and rest[0] in rule["resourceNames"]))
        for rule in role["rules"]
    )


def test_the_role_of_the_page_is_enough_for_a_rollout_and_the_guards_is_not(bench):
    site = bench.site(guard=GUARD)
    lease = begun(site)
    site.store.begin(site.store.read(), lease.token)
    list(site.store.earlier())
    site.ensure_guard(on=True)
    with site.store.fenced(lease):
        site.ensure_canary(site.pin(NEW))
        site.ensure_share(25)
        site.ensure_stable(site.pin(NEW))
    site.ensure_out()
    site.ensure_removed()
    site.ensure_guard(on=False)
    asked = {(method, path) for method, path, _ in bench.stub.requests}
    assert len(asked) > 15
    refused = [one for one in sorted(asked) if not allowed(roles()["model-gates"], *one)]
    assert refused == []
    assert not all(allowed(roles()["model-gates-guard"], *one) for one in asked)


def test_the_guards_role_of_the_page_is_enough_for_the_guard(bench):
    site, now = bench.site(), [0.0]
    begun(site)
    site.ensure_canary(site.pin(NEW))
    site.ensure_share(25)
    bench.stub.requests.clear()
    guard = Guard(store=site.store, valve=site, clock=lambda: now[0])
    guard.watch()
    now[0] = 60.0
    guard.watch()
    assert site.look().whole
    asked = {(method, path) for method, path, _ in bench.stub.requests}
    assert ("PATCH", "/api/v1/namespaces/prod/configmaps/mg-credit-journal") in asked
    refused = [one for one in sorted(asked) if not allowed(roles()["model-gates-guard"], *one)]
    assert refused == []


def test_the_configuration_of_the_page_is_one(tmp_path):
    (text,) = [one for one in blocks() if "deployments" in one]
    path = tmp_path / "model-gates.canary.yml"
    path.write_text(yaml.safe_dump(text))
    found, _ = load(path)
    options = deployment(found, "credit", str(path)).target.chosen()
    assert options.deployments.canary == "credit-canary"


PLAIN = {"namespace": "prod", "route": {"argo": {"rollout": "credit"}}}
PAIR = {"stable": "credit", "canary": "credit-canary"}
GATEWAY = {"httproute": "credit", "stable_service": "a", "canary_service": "b"}
ISTIO = {"virtualservice": "credit", "stable_service": "a", "canary_service": "a"}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"namespace": "Prod"}, "namespace"),
        ({"route": {}}, "exactly one"),
        ({"route": {"argo": {"rollout": "a"}, "gateway": GATEWAY}}, "exactly one"),
        ({"route": {"gateway": GATEWAY}}, "`deployments` is missing"),
        ({"deployments": PAIR}, "for gateway and istio"),
        ({"route": {"istio": ISTIO}, "deployments": PAIR}, "both sides are the same"),
        ({"in_cluster": True, "context": "x"}, "needs neither"),
        ({"timeout": "10"}, "timeout"),
        ({"patience": 0.0}, "patience"),
        ({"endpoints": {"stable": "http://user:pass@s", "canary": "http://c"}}, "endpoints"),
        ({"pod": "x"}, "pod"),
        ({"route": {"kserve": {"inferenceservice": "a", "mode": "raw"}}}, "mode"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(changed, why):
    from pydantic import ValidationError

    assert Kubernetes.model_validate(PLAIN)
    with pytest.raises(ValidationError, match=why):
        Kubernetes.model_validate(PLAIN | changed)


def test_each_route_has_its_way():
    from gates.canary.targets.kubernetes.options import Routes

    assert set(Routes.model_fields) == set(WAYS)


@pytest.mark.parametrize(
    "text", ["", "a: [", "{}", json.dumps({"current-context": "x", "contexts": []})]
)
def test_a_kubeconfig_that_is_none_is_a_complaint_without_its_text(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot make out the cluster") as raised:
        connect(kubeconfig=str(path), context=None, in_cluster=False, timeout=1.0)
    assert raised.value.where == str(path)
    with pytest.raises(ConfigError):
        connect(kubeconfig=str(tmp_path / "none"), context=None, in_cluster=False, timeout=1.0)


def test_out_of_a_cluster_in_cluster_is_a_complaint():
    with pytest.raises(ConfigError, match="cannot make out") as raised:
        connect(kubeconfig=None, context=None, in_cluster=True, timeout=1.0)
    assert raised.value.where == "inside the cluster"


def test_without_the_extra_the_message_says_which(tmp_path):
    """In an interpreter that has no `kubernetes`: it is another's file of the same name."""
    import subprocess
    import sys

    (tmp_path / "kubernetes.py").write_text("raise ImportError('not installed')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from gates.canary.targets.kubernetes.options import Kubernetes;"
        "options = {'namespace': 'p', 'route': {'argo': {'rollout': 'r'}}};"
        "Kubernetes.model_validate(options).site('credit')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=DOC.parents[1],
    )
    assert "EnvironmentFault: the target kubernetes needs the extra of that name" in ended.stderr
    assert "model-gates[kubernetes]" in ended.stderr


def test_old_pods_that_still_serve_keep_a_side_ready_and_the_reason_is_told(bench):
    bench.kubelet.sick[digest_of(NEW)] = "CrashLoopBackOff"

    def replace(found):
        found["spec"]["template"]["spec"]["containers"][0]["image"] = NEW

    bench.stub.edit("deployments", "credit", replace)
    stable = bench.site().look().stable
    assert (stable.health, stable.digest) == (Health.READY, digest_of(OLD))
    assert stable.reason == "CrashLoopBackOff"
