"""A rollout by the weights of two variants: moto's SageMaker, S3 and CloudWatch."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from moto import mock_aws

from gates.canary.counters import between
from gates.canary.sight import Health
from gates.canary.targets.sagemaker.options import SageMaker
from gates.errors import ConfigError, EnvironmentFault, InputError
from tests.canary.sagemaker_cloud import Killed, cloud, image, variant

OPTIONS = SageMaker(endpoint="credit", bucket="rollouts", latency=False)


@pytest.fixture
def made():
    with mock_aws():
        yield cloud()


def opened(made, options=OPTIONS, deadline=5.0):
    return options.opened("credit", made.aws, every=0.001, deadline=deadline)


@pytest.fixture
def site(made):
    return opened(made)


@pytest.fixture
def started(site):
    site.ensure_canary(site.pin("new"))
    return site


def test_a_whole_rollout_ends_with_one_variant_that_serves_the_candidate(made, site):
    new = site.pin("new")
    assert site.stable().digest == "sha256:" + "a" * 64
    assert site.look().whole
    site.ensure_canary(new)
    assert site.look().whole
    assert site.look().canary.digest == new.digest
    for percent in (5, 25, 50, 100):
        site.ensure_share(percent)
        sight = site.look()
        assert sight.canary.share == pytest.approx(percent / 100)
        assert sight.canary.reachable
        assert not sight.whole
    site.ensure_stable(new)
    assert (site.look().stable.digest, site.look().canary.share) == (new.digest, 1.0)
    site.ensure_out()
    assert site.look().whole
    site.ensure_removed()
    sight = site.look()
    assert sight.whole
    assert sight.canary.health is Health.ABSENT
    assert made.models() == {"AllTraffic": "new"}


def test_both_variants_are_always_given_a_weight(made, started):
    started.ensure_share(25)
    sent = [p for name, p in made.requests if name == "UpdateEndpointWeightsAndCapacities"]
    assert sent == [
        {
            "EndpointName": "credit",
            "DesiredWeightsAndCapacities": [
                {"VariantName": "AllTraffic", "DesiredWeight": 75.0},
                {"VariantName": "model-gates-canary", "DesiredWeight": 25.0},
            ],
        }
    ]


def test_the_canary_has_as_many_instances_as_the_stable_side_unless_told(made, site):
    site.ensure_canary(site.pin("new"))
    counts = {
        v["VariantName"]: v["CurrentInstanceCount"] for v in made.endpoint.production_variants
    }
    assert counts == {"AllTraffic": 3, "model-gates-canary": 3}


def test_what_is_so_already_is_not_asked_for_again(made, started):
    started.ensure_share(25)
    changes = list(made.changes)
    started.ensure_share(25)
    assert made.changes == changes
    started.ensure_out()
    changes = list(made.changes)
    for again in (started.ensure_out, lambda: started.ensure_canary(started.pin("new"))):
        again()
    assert made.changes == changes


def test_a_change_is_waited_for_until_the_endpoint_is_in_service(made, started):
    made.slow = 3
    started.ensure_share(25)
    assert made.busy == 0
    assert made.weights()["model-gates-canary"] == 25.0


def test_an_endpoint_stuck_while_it_updates_is_reported_and_sent_nothing_more(made, started):
    made.requests.clear()
    made.stuck = True
    site = opened(made, deadline=0.05)
    with pytest.raises(EnvironmentFault, match="is Updating, runs mg-credit") as caught:
        site.ensure_share(50)
    assert made.changes == []
    assert "aws sagemaker wait" in caught.value.hint


def test_a_rollback_on_an_endpoint_that_is_stuck_is_no_success(made, started):
    started.ensure_share(50)
    made.requests.clear()
    made.stuck = True
    with pytest.raises(EnvironmentFault, match="Updating"):
        opened(made, deadline=0.05).ensure_out()
    assert made.changes == []
    assert made.weights()["model-gates-canary"] == 50.0


def test_weights_that_do_not_take_effect_are_an_error(made, started):
    made.aws.sagemaker.meta.events.register(
        "after-call.sagemaker.DescribeEndpoint",
        lambda parsed, **_: [v.update(CurrentWeight=1.0) for v in parsed["ProductionVariants"]],
    )
    with pytest.raises(EnvironmentFault, match="weighs"):
        opened(made, deadline=0.05).ensure_share(50)


def test_an_update_that_sagemaker_takes_back_is_not_sent_again(made, site):
    made.refuse_updates = True
    with pytest.raises(EnvironmentFault, match="rolled the update back"):
        site.ensure_canary(site.pin("new"))
    assert made.changes == ["UpdateEndpoint"]
    assert site.look().whole


def test_killed_before_any_request_a_rollout_goes_on_from_what_stands_there(made, site):
    new, old = site.pin("new"), site.stable()
    acts = [
        lambda: site.ensure_canary(new),
        lambda: site.ensure_share(25),
        lambda: site.ensure_share(100),
        lambda: site.ensure_stable(new),
        site.ensure_out,
        site.ensure_removed,
    ]
    for act in acts:
        for number in range(4):
            made.kill(number)
            try:
                act()
            except Killed:
                made.live()
                assert site.look().stable.health is Health.READY
                continue
            finally:
                made.live()
            break
        else:
            pytest.fail("an act takes more requests than were tried")
        act()
    assert made.models() == {"AllTraffic": "new"}
    site.ensure_stable(old)
    assert site.look().whole
    assert site.stable().digest == old.digest


def test_going_back_from_the_middle_leaves_the_old_model_alone(made, started):
    started.ensure_share(50)
    started.ensure_out()
    started.ensure_removed()
    assert made.models() == {"AllTraffic": "old"}
    assert started.look().whole


def test_a_canary_that_gets_requests_is_not_taken_away_or_replaced(made, started):
    started.ensure_share(25)
    with pytest.raises(EnvironmentFault, match="still gets requests"):
        started.ensure_removed()
    with pytest.raises(EnvironmentFault, match="another model"):
        started.ensure_canary(started.pin("other"))
    assert made.models()["model-gates-canary"] == "new"


def test_a_weight_on_its_way_counts_as_reachable(made, started):
    made.endpoint.production_variants[1]["DesiredWeight"] = 50.0
    assert started.look().canary.reachable
    assert not started.look().whole


@pytest.mark.parametrize(
    ("status", "health"),
    [("Creating", Health.STARTING), ("Failed", Health.FAILING), ("RollingBack", Health.READY)],
)
def test_the_endpoints_status_is_the_sides_health(made, site, status, health):
    made.endpoint.endpoint_status = status
    assert site.look().stable.health is health
    assert site.look().stable.reason == f"the endpoint is {status}"


def test_a_mix_of_two_fleets_can_not_be_told(made, site):
    made.endpoint.endpoint_status = "UpdateRollbackFailed"
    with pytest.raises(EnvironmentFault, match="both failed"):
        site.look()


def test_a_broken_endpoint_is_sent_no_change(made, started):
    made.requests.clear()
    made.endpoint.endpoint_status = "Failed"
    with pytest.raises(EnvironmentFault, match="Failed"):
        started.ensure_share(50)
    assert made.changes == []


def test_what_really_runs_is_seen_and_not_what_was_asked_for(made, started):
    made.endpoint.production_variants[1]["DeployedImages"][0]["ResolvedImage"] = image("f")
    assert started.look().canary.digest == "sha256:" + "f" * 64


def test_a_variant_without_resolved_images_can_not_be_told(made, started):
    del made.endpoint.production_variants[1]["DeployedImages"]
    with pytest.raises(EnvironmentFault, match="which image"):
        started.look()


def test_an_image_by_tag_is_refused(made, site):
    made.aws.sagemaker.create_model(
        ModelName="tagged", PrimaryContainer={"Image": image("a").split("@")[0] + ":1"}
    )
    with pytest.raises(InputError, match="by a tag") as caught:
        site.pin("tagged")
    assert "aws ecr describe-images" in caught.value.hint


def with_data(made, body, **upload):
    made.aws.s3.create_bucket(Bucket="models")
    made.aws.s3.put_object(Bucket="models", Key="m.tar.gz", Body=body, **upload)


def test_model_data_has_the_sha256_that_the_gates_know_it_by(made, site):
    with_data(made, b"weights", ChecksumAlgorithm="SHA256")
    made.aws.sagemaker.create_model(
        ModelName="data",
        PrimaryContainer={"Image": image("a"), "ModelDataUrl": "s3://models/m.tar.gz"},
    )
    pinned = site.pin("data")
    assert pinned.artifact == "sha256:" + hashlib.sha256(b"weights").hexdigest()
    assert pinned.digest != "sha256:" + "a" * 64


def test_model_data_that_is_overwritten_is_another_digest(made, site):
    with_data(made, b"weights")
    made.aws.sagemaker.create_model(
        ModelName="data",
        PrimaryContainer={"Image": image("a"), "ModelDataUrl": "s3://models/m.tar.gz"},
    )
    before = site.pin("data")
    assert before.artifact is None
    site.ensure_canary(before)
    assert site.look().canary.digest == before.digest
    with_data(made, b"others")
    assert site.look().canary.digest != before.digest
    site.ensure_removed()
    with pytest.raises(InputError, match="was changed"):
        site.ensure_canary(before)


def test_a_checksum_of_parts_is_no_digest_of_the_file(made, site):
    from gates.canary.targets.sagemaker.model import _whole

    whole = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    assert _whole({"ChecksumSHA256": whole, "ChecksumType": "FULL_OBJECT"}).startswith("sha256:")
    assert _whole({"ChecksumSHA256": whole, "ChecksumType": "COMPOSITE"}) is None
    assert _whole({"ChecksumSHA256": whole + "-2"}) is None
    assert _whole({}) is None


def test_an_endpoint_with_a_third_variant_is_refused(made):
    made.aws.sagemaker.create_endpoint_config(
        EndpointConfigName="three",
        ProductionVariants=[variant("AllTraffic", "old"), variant("b", "new"), variant("c", "new")],
    )
    made.endpoint.endpoint_config_name = "three"
    with pytest.raises(InputError, match="other variants: b, c"):
        opened(made).ensure_canary(opened(made).pin("new"))
    assert made.changes == []


def test_a_stable_variant_of_another_name_is_named(made):
    site = opened(made, OPTIONS.model_copy(update={"stable_variant": "blue"}))
    with pytest.raises(InputError, match="AllTraffic"):
        site.stable()


def test_a_guard_is_not_promised_where_there_is_none(site):
    with pytest.raises(ConfigError, match="when this process dies") as caught:
        site.ensure_guard(on=True)
    assert "`guard: none`" in caught.value.hint
    site.ensure_guard(on=False)


def test_by_hand_names_both_variants_and_waits_first(made):
    site = opened(made, OPTIONS.model_copy(update={"region": "eu-west-1", "profile": "a b"}))
    wait, shift = site.by_hand()
    assert wait.startswith("aws sagemaker wait endpoint-in-service")
    assert "VariantName=AllTraffic,DesiredWeight=100" in shift
    assert "VariantName=model-gates-canary,DesiredWeight=0" in shift
    assert "--region eu-west-1 --profile 'a b'" in shift


def put(made, name, variant, values, minutes_ago):
    made.aws.cloudwatch.put_metric_data(
        Namespace="AWS/SageMaker",
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": [
                    {"Name": "EndpointName", "Value": "credit"},
                    {"Name": "VariantName", "Value": variant},
                ],
                "Timestamp": made.now - timedelta(minutes=minutes_ago),
                "Value": value,
            }
            for value in values
        ],
    )


def test_requests_and_errors_come_from_the_same_datum(made, started):
    put(made, "Invocation5XXErrors", "AllTraffic", [0] * 9 + [1], 10)
    put(made, "Invocation5XXErrors", "model-gates-canary", [0, 1, 1], 10)
    # Nobody knows yet how these ended.
    put(made, "Invocations", "model-gates-canary", [1] * 50, 10)
    counters = started.counters()
    assert (counters.stable.requests, counters.stable.errors) == (10, 1)
    assert (counters.canary.requests, counters.canary.errors) == (3, 2)


def test_a_minute_that_has_not_settled_is_not_read(made, started):
    put(made, "Invocation5XXErrors", "model-gates-canary", [0] * 4, 1)
    assert started.counters().canary.requests == 0
    made.now += timedelta(minutes=3)
    assert started.counters().canary.requests == 4


def test_a_late_datum_is_in_the_next_look(made, started):
    put(made, "Invocation5XXErrors", "model-gates-canary", [0] * 4, 20)
    first = started.counters()
    put(made, "Invocation5XXErrors", "model-gates-canary", [1] * 3, 20)
    window = between(first, started.counters())
    assert (window.canary.requests, window.canary.errors) == (3, 3)


def test_what_was_sent_before_the_last_change_is_not_mixed_in(made, started):
    put(made, "Invocation5XXErrors", "model-gates-canary", [1] * 4, 30)
    before = started.counters()
    made.moved = made.now - timedelta(minutes=20)
    after = started.counters()
    assert after.canary.requests == 0
    assert between(before, after) is None


def test_requests_without_any_answer_are_errors(made, started):
    put(made, "Invocation5XXErrors", "model-gates-canary", [0] * 6 + [1], 10)
    put(made, "Invocation4XXErrors", "model-gates-canary", [1, 1], 10)
    put(made, "InvocationModelErrors", "model-gates-canary", [1] * 8, 10)
    arm = started.counters().canary
    assert (arm.requests, arm.errors, arm.refused) == (12, 6, 2)


def test_no_traffic_is_no_request(made, started):
    counters = started.counters()
    assert (counters.stable.requests, counters.canary.requests) == (0, 0)


def test_one_variant_alone_has_nothing_to_be_compared_with(made, site):
    with pytest.raises(EnvironmentFault, match="nothing to compare"):
        site.counters()


def test_the_runners_clock_decides_nothing(made, started):
    # What the runner believes is in no request: the window ends by AWS's own time.
    made.now = datetime(2030, 1, 1, tzinfo=UTC)
    made.moved = made.now - timedelta(hours=1)
    put(made, "Invocation5XXErrors", "model-gates-canary", [0], 10)
    assert started.counters().canary.requests == 1
