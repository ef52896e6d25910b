"""The rollout itself on SageMaker: its journal in S3, its acts on the endpoint, killed anywhere."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
from moto import mock_aws

from gates.canary.journal import records
from gates.canary.onward import How, place
from gates.canary.sight import Health
from gates.canary.state import Phase, fold
from gates.canary.targets.sagemaker.options import SageMaker
from tests.canary.paper import PLAN, Scene
from tests.canary.sagemaker_cloud import Killed, cloud


@pytest.fixture
def made():
    with mock_aws():
        world = cloud()
        world.aws.s3.create_bucket(Bucket="rollouts")
        yield world


def scene(made, verdicts=("pass",)):
    options = SageMaker(endpoint="credit", bucket="rollouts", latency=False)
    site = options.opened("credit", made.aws, every=0.001, deadline=1.0)
    # Those who were killed are waited for: shortly, here.
    site = replace(site, store=replace(site.store, patience=0.05))
    plan = replace(
        PLAN, candidate=site.pin("new"), stable=site.stable(), steps=(25,), guarded=False
    )
    return Scene(site=site, plan=plan, verdicts=list(verdicts))


def phase(one):
    return fold(records(one.site.store)).phase


def test_a_good_candidate_is_promoted(made):
    one = scene(made)
    assert one.start().phase is Phase.PROMOTED
    assert made.models() == {"AllTraffic": "new"}
    assert one.site.look().whole
    assert one.site.store.lease() is None or phase(one).ended


def test_a_bad_candidate_goes_back_and_the_old_model_was_never_touched(made):
    one = scene(made, ("pass", "fail"))
    assert one.start().phase is Phase.ROLLED_BACK
    assert made.models() == {"AllTraffic": "old"}
    assert one.site.look().whole


def test_killed_before_each_request_that_changes_something_it_is_gone_on_with(made):
    first = scene(made)
    made.kill(0)
    with suppress(Killed):
        first.start()
    kills = 0
    while made.dead and kills < 20:
        kills += 1
        made.live()
        assert first.site.look().stable.health is Health.READY
        one = Scene(site=first.site, plan=first.plan)
        lease = one.site.store.acquire("bob", 60.0, over=one.site.store.lease().token)
        # What was done already may be asked for again, so each process lives a little longer.
        made.kill(kills)
        with suppress(Killed):
            ending = one.play(
                lease, partial(resumed, place(How.RESUME, fold(records(one.site.store))))
            )
    assert kills > 3
    assert ending.phase is Phase.PROMOTED
    assert made.models() == {"AllTraffic": "new"}
    made.live()
    assert one.site.look().whole


def resumed(done, rollout):
    rollout.hand.journal.write("going", done=done, how=How.RESUME, reason="")
    return rollout.forward()
