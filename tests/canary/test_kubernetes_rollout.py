"""Whole rollouts on every route: forward, back, and held when somebody else is at the weights."""

from dataclasses import replace

import pytest

from gates.canary.journal import records
from gates.canary.sight import Health
from gates.canary.state import Phase
from gates.errors import EnvironmentFault
from tests.canary.kube_controllers import digest_of
from tests.canary.kube_stub import Fault
from tests.canary.paper import PLAN, Scene
from tests.canary.test_kubernetes_routes import (
    NEW,
    OLD,
    argo,
    istio,
    opened,
    serverless,
    standard,
)
from tests.canary.test_kubernetes_site import bench

ROUTES = ("bench", "istio", "argo", "standard", "serverless")
# Fixtures, and not only names.
__all__ = ["argo", "bench", "istio", "opened", "serverless", "standard"]


def scene(cluster, **changed):
    site = cluster.site()
    plan = replace(PLAN, candidate=site.pin(NEW), stable=site.stable(), guarded=False)
    return Scene(site=site, plan=plan, **changed)


@pytest.fixture(params=ROUTES)
def cluster(request):
    return request.getfixturevalue(request.param)


def test_a_candidate_that_passes_serves_in_the_end(cluster):
    rollout = scene(cluster)
    ending = rollout.start()
    assert (ending.phase, ending.code) == (Phase.PROMOTED, 0)
    sight = cluster.site().look()
    assert sight.whole
    assert sight.stable.digest == digest_of(NEW)
    assert sight.canary.health is Health.ABSENT
    done = [one.act for one in records(rollout.site.store) if one.kind == "done"]
    assert [one for one in done if one.startswith("shift")] == ["shift:5", "shift:25", "shift:100"]
    assert cluster.site().store.lease() is None


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_verdict_sends_everything_back_from_every_step(cluster, steps):
    # Three looks at most a step, the last of which fails.
    rollout = scene(cluster, verdicts=[*["pass"] * 2 * (steps - 1), "fail"])
    ending = rollout.start()
    assert (ending.phase, ending.code) == (Phase.ROLLED_BACK, 1)
    sight = cluster.site().look()
    assert sight.whole
    assert sight.stable.digest == digest_of(OLD)
    assert sight.canary.health is Health.ABSENT
    assert cluster.site().stable().digest == digest_of(OLD)


def test_weights_that_gitops_puts_back_hold_the_rollout(bench):
    rollout = scene(bench)

    def revert(_, _share, _sight, _plan):
        bench.weigh(100, 0)
        return judged(_, _share, _sight, _plan)

    judged, rollout._judge = rollout._judge, revert
    ending = rollout.start()
    assert ending.phase is Phase.HELD
    assert "0.0% of the traffic, where 5 % was set" in ending.why
    assert bench.weights() == (100, 0)


def test_a_patch_that_never_gets_through_ends_with_everything_at_the_stable_side(bench):
    rollout = scene(bench)
    site = rollout.site

    def refuse(_):
        bench.stub.faults.append(Fault("PATCH", "httproutes", status=500, times=3))

    bench.stub.faults.append(Fault("PATCH", "deployments/credit-canary", do=refuse))
    with pytest.raises(EnvironmentFault, match="500"):
        rollout.start()
    assert site.look().whole
    assert site.look().canary.health is Health.ABSENT
