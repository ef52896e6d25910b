"""A rollout by SageMaker's own guardrails, against answers that botocore's model holds valid."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import Stubber
from moto import mock_aws
from pydantic import ValidationError

from gates.canary.faults import TakenBack
from gates.canary.sight import Health
from gates.canary.targets.sagemaker.options import Guardrails, SageMaker
from gates.errors import ConfigError, EnvironmentFault, InputError
from tests.canary.sagemaker_cloud import ACCOUNT, REGION, Killed, clients, cloud, image, variant

OPTIONS = SageMaker(
    endpoint="credit",
    bucket="rollouts",
    guardrails=Guardrails(alarms=("errors", "latency"), percent=20, wait=300),
)
THEN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:"


class Script:
    """What SageMaker and CloudWatch answer, in order; every request must be the expected one."""

    def __init__(self):
        self.aws = clients()
        self.stubs = {
            name: Stubber(getattr(self.aws, name)) for name in ("sagemaker", "cloudwatch")
        }
        for stub in self.stubs.values():
            stub.activate()

    def site(self, deadline=5.0):
        return OPTIONS.opened("credit", self.aws, every=0.001, deadline=deadline)

    def say(self, method, answer, expected=None, service="sagemaker"):
        self.stubs[service].add_response(method, answer, expected)

    def endpoint(self, status="InService", config="by-hand", letter="a", **more):
        self.say("describe_endpoint", {
            "EndpointName": "credit", "EndpointArn": f"{ARN}endpoint/credit", "EndpointConfigName": config,
            "EndpointStatus": status, "CreationTime": THEN, "LastModifiedTime": THEN,
            "ProductionVariants": [{
                "VariantName": "AllTraffic", "CurrentWeight": 1.0, "CurrentInstanceCount": 5,
                "DeployedImages": [{"ResolvedImage": image(letter)}],
            }],
            **more,
        }, {"EndpointName": "credit"})  # fmt: skip

    def config(self, name, model, made=THEN):
        self.say("describe_endpoint_config", {
            "EndpointConfigName": name, "EndpointConfigArn": f"{ARN}endpoint-config/{name}",
            "CreationTime": made, "ProductionVariants": [variant("AllTraffic", model, 5)],
        }, {"EndpointConfigName": name})  # fmt: skip

    def model(self, name, letter):
        self.say("describe_model", {
            "ModelName": name, "CreationTime": THEN, "ModelArn": f"{ARN}model/{name}",
            "PrimaryContainer": {"Image": image(letter)},
        }, {"ModelName": name})  # fmt: skip

    def listed(self, *names):
        self.say("list_endpoint_configs", {"EndpointConfigs": [
            {"EndpointConfigName": name, "EndpointConfigArn": f"{ARN}endpoint-config/{name}",
             "CreationTime": THEN + timedelta(minutes=1)} for name in names
        ]})  # fmt: skip

    def alarms(self, **states):
        self.say("describe_alarms", {"MetricAlarms": [
            {"AlarmName": name, "StateValue": value} for name, value in states.items()
        ]}, {"AlarmNames": ["errors", "latency"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},
            "cloudwatch")  # fmt: skip

    def ready_to_go(self, name):
        """Say all that is asked up to UpdateEndpoint: it serves `old`, and `new` is prepared."""
        self.endpoint()
        self.endpoint()
        self.config("by-hand", "old")
        self.listed(name)
        self.model("old", "a")
        self.model("new", "b")
        self.alarms(errors="OK", latency="OK")
        self.model("new", "b")
        self.endpoint()
        self.say("create_endpoint_config", {"EndpointConfigArn": f"{ARN}endpoint-config/{name}"})
        self.config(name, "new", THEN + timedelta(minutes=1))

    def all_said(self):
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def script():
    return Script()


def prepared_name(script):
    site = script.site()
    config = {
        "EndpointConfigName": "by-hand",
        "ProductionVariants": [variant("AllTraffic", "old", 5)],
    }
    return site._with(config, "new").name


def new(script):
    script.model("new", "b")
    return script.site().pin("new")


def test_the_update_asks_for_a_canary_and_names_the_alarms(script):
    pinned, name = new(script), prepared_name(script)
    script.ready_to_go(name)
    script.say("update_endpoint", {"EndpointArn": f"{ARN}endpoint/credit"}, {
        "EndpointName": "credit",
        "EndpointConfigName": name,
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "WaitIntervalInSeconds": 300,
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                },
                "TerminationWaitInSeconds": 300,
                "MaximumExecutionTimeoutInSeconds": 1800,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "latency"}]},
        },
    })  # fmt: skip
    script.endpoint("Updating")
    script.endpoint("Updating")
    script.endpoint("InService", name, "b")
    script.site().ensure_stable(pinned)
    script.all_said()


def test_an_alarm_during_the_update_is_reported_as_taken_back(script):
    pinned, name = new(script), prepared_name(script)
    script.ready_to_go(name)
    script.say("update_endpoint", {"EndpointArn": f"{ARN}endpoint/credit"})
    for status in ("Updating", "RollingBack", "RollingBack"):
        script.endpoint(status)
    script.endpoint("InService", FailureReason="alarm errors")
    with pytest.raises(TakenBack, match="rolled the update back") as caught:
        script.site().ensure_stable(pinned)
    assert caught.value.output == "alarm errors"
    script.all_said()


def test_an_update_that_does_not_end_is_reported_with_its_state(script):
    pinned, name = new(script), prepared_name(script)
    script.ready_to_go(name)
    script.say("update_endpoint", {"EndpointArn": f"{ARN}endpoint/credit"})
    for _ in range(2000):
        script.endpoint("Updating")
    with pytest.raises(EnvironmentFault, match="is Updating, runs by-hand"):
        script.site(deadline=0.05).ensure_stable(pinned)


def test_the_answer_before_sagemaker_has_begun_is_no_rollback(script):
    pinned, name = new(script), prepared_name(script)
    script.ready_to_go(name)
    script.say("update_endpoint", {"EndpointArn": f"{ARN}endpoint/credit"})
    script.endpoint("InService")
    script.endpoint("Updating")
    script.endpoint("InService", name, "b")
    script.site().ensure_stable(pinned)
    script.all_said()


def pending(name, status):
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {"VariantName": "AllTraffic", "VariantStatus": [{"Status": status}]}
        ],
    }


def test_a_rollout_gone_on_with_waits_for_what_is_under_way_and_sends_nothing(script):
    pinned, name = new(script), prepared_name(script)
    script.endpoint("Updating", PendingDeploymentSummary=pending(name, "Baking"))
    script.endpoint("Updating", PendingDeploymentSummary=pending(name, "Baking"))
    script.endpoint("InService", name, "b")
    script.endpoint("InService", name, "b")
    script.config(name, "new")
    script.site().ensure_stable(pinned)
    script.all_said()


@pytest.mark.parametrize(
    ("status", "health", "share"),
    [
        ("Creating", Health.STARTING, 0.0),
        ("ActivatingTraffic", Health.READY, 0.2),
        ("Baking", Health.READY, 0.2),
    ],
)
def test_what_is_under_way_is_the_canary(script, status, health, share):
    name = prepared_name(script)
    script.endpoint("Updating", PendingDeploymentSummary=pending(name, status))
    script.config("by-hand", "old")
    script.config(name, "new")
    script.model("new", "b")
    script.model("old", "a")
    sight = script.site().look()
    assert (sight.canary.health, sight.canary.share, sight.canary.reachable) == (
        health,
        share,
        share > 0,
    )
    assert sight.canary.digest == "sha256:" + "b" * 64
    assert sight.stable.share == pytest.approx(1 - share)
    assert not sight.whole or share == 0


def test_alarms_are_required():
    with pytest.raises(ValidationError, match="alarms"):
        Guardrails(alarms=())
    with pytest.raises(ValidationError, match="alarms"):
        Guardrails(alarms=tuple(f"a{n}" for n in range(11)))


def test_waits_that_do_not_fit_into_the_timeout_are_refused():
    with pytest.raises(ValidationError, match="must exceed all waits together: 3600 s"):
        SageMaker(
            endpoint="credit",
            bucket="rollouts",
            guardrails=Guardrails(alarms=("a",), shift="linear", percent=10, wait=360),
        )


def test_linear_steps_are_at_least_a_tenth():
    with pytest.raises(ValidationError, match="10 to 50 percent"):
        Guardrails(alarms=("a",), shift="linear", percent=5)
    valve = SageMaker(
        endpoint="credit", bucket="rollouts", timeout=7200,
        guardrails=Guardrails(alarms=("a",), shift="linear", percent=25),
    ).opened("credit", clients(), every=1).valve  # fmt: skip
    routing = valve.deployment()["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["Type"] == "LINEAR"
    assert routing["LinearStepSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}


@pytest.fixture
def made():
    with mock_aws():
        world = cloud()
        for name in ("errors", "latency"):
            world.aws.cloudwatch.put_metric_alarm(
                AlarmName=name, Namespace="AWS/SageMaker", MetricName="Invocation5XXErrors",
                ComparisonOperator="GreaterThanThreshold", EvaluationPeriods=1, Period=60,
                Threshold=1, Statistic="Sum",
            )  # fmt: skip
            state(world, name, "OK")
        world.requests.clear()
        yield world


def state(made, name, value):
    made.aws.cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="a test")


def opened(made, deadline=5.0):
    return OPTIONS.opened("credit", made.aws, every=0.001, deadline=deadline)


def test_a_whole_rollout_prepares_hands_over_and_goes_back_at_once(made):
    site = opened(made)
    old, new = site.stable(), site.pin("new")
    site.ensure_guard(on=True)
    site.ensure_canary(new)
    site.ensure_canary(new)
    sight = site.look()
    assert sight.whole
    assert (sight.canary.digest, sight.canary.health) == (new.digest, Health.READY)
    assert made.changes == []
    site.ensure_stable(new)
    site.ensure_stable(new)
    site.ensure_out()
    site.ensure_removed()
    assert made.changes == ["UpdateEndpoint"]
    sight = site.look()
    assert (sight.stable.digest, sight.canary.health) == (new.digest, Health.ABSENT)
    state(made, "errors", "ALARM")
    site.ensure_stable(old)
    assert site.stable().digest == old.digest
    sent = [p for name, p in made.requests if name == "UpdateEndpoint"]
    assert ["DeploymentConfig" in p for p in sent] == [True, False]


def test_a_model_rolled_out_for_the_second_time_has_its_guardrails_again(made):
    site = opened(made)
    old, new = site.stable(), site.pin("new")
    for pinned, prepared in ((new, True), (old, False), (new, True)):
        if prepared:
            site.ensure_canary(pinned)
        site.ensure_stable(pinned)
    sent = [p for name, p in made.requests if name == "UpdateEndpoint"]
    assert ["DeploymentConfig" in p for p in sent] == [True, False, True]


def test_what_was_not_prepared_is_not_handed_over(made):
    site = opened(made)
    with pytest.raises(EnvironmentFault, match="was not prepared"):
        site.ensure_stable(site.pin("new"))
    assert made.changes == []


def test_killed_before_any_request_it_goes_on_from_what_stands_there(made):
    site = opened(made)
    new = site.pin("new")
    for act in (lambda: site.ensure_canary(new), lambda: site.ensure_stable(new)):
        for number in range(4):
            made.kill(number)
            try:
                act()
            except Killed:
                continue
            finally:
                made.live()
            break
    assert made.changes.count("UpdateEndpoint") == 1
    assert made.models() == {"AllTraffic": "new"}


def test_what_was_prepared_is_gone_after_an_abort(made):
    site = opened(made)
    site.ensure_canary(site.pin("new"))
    site.ensure_out()
    site.ensure_removed()
    assert site.look().canary.health is Health.ABSENT
    assert made.models() == {"AllTraffic": "old"}


@pytest.mark.parametrize("value", ["ALARM", "INSUFFICIENT_DATA"])
def test_an_alarm_that_is_not_ok_is_refused(made, value):
    site = opened(made)
    state(made, "latency", value)
    with pytest.raises(InputError, match="would not roll back") as caught:
        site.ensure_canary(site.pin("new"))
    assert caught.value.details == (f"latency: {value}",)
    with pytest.raises(InputError):
        site.ensure_guard(on=True)
    assert made.changes == []


def test_an_alarm_that_is_not_there_is_refused(made):
    made.aws.cloudwatch.delete_alarms(AlarmNames=["errors"])
    site = opened(made)
    with pytest.raises(InputError) as caught:
        site.ensure_canary(site.pin("new"))
    assert caught.value.details == ("errors: there is no such alarm",)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"InstanceType": "ml.inf1.2xlarge"}, "it runs on Inf1 instances"),
        ({"AcceleratorType": "ml.eia2.medium"}, "it uses Elastic Inference"),
    ],
)
def test_what_sagemaker_would_shift_all_at_once_is_refused(made, changed, reason):
    made.aws.sagemaker.create_endpoint_config(
        EndpointConfigName="odd",
        ProductionVariants=[{**variant("AllTraffic", "old", 3), **changed}],
    )
    made.endpoint.endpoint_config_name = "odd"
    site = opened(made)
    with pytest.raises(InputError, match="no guardrails") as caught:
        site.ensure_canary(site.pin("new"))
    assert caught.value.details == (reason,)


def test_one_instance_can_not_be_parted(made):
    made.endpoint.production_variants[0]["CurrentInstanceCount"] = 1
    site = opened(made)
    with pytest.raises(InputError) as caught:
        site.ensure_canary(site.pin("new"))
    assert caught.value.details == ("it has one instance, which cannot be parted",)


def test_a_model_of_the_marketplace_is_refused(script):
    site = script.site()
    arn = "arn:aws:sagemaker:us-east-1:865070037744:model-package/scores-1"
    config = {"ProductionVariants": [variant("AllTraffic", "bought", 5)]}
    found = {
        "EndpointArn": f"{ARN}endpoint/credit",
        "ProductionVariants": [{"VariantName": "AllTraffic"}],
    }
    script.say("describe_model", {
        "ModelName": "bought", "CreationTime": THEN, "ModelArn": f"{ARN}model/bought",
        "PrimaryContainer": {"ModelPackageName": arn},
    })  # fmt: skip
    with pytest.raises(InputError) as caught:
        site._excluded(found, config, "new")
    assert "Marketplace" in caught.value.details[0]


def test_two_variants_are_not_for_guardrails(made):
    made.aws.sagemaker.create_endpoint_config(
        EndpointConfigName="two",
        ProductionVariants=[variant("AllTraffic", "old"), variant("b", "new")],
    )
    made.endpoint.endpoint_config_name = "two"
    with pytest.raises(InputError, match="AllTraffic, b, and not AllTraffic alone"):
        opened(made).stable()


def test_steps_of_ones_own_are_refused(made):
    site = opened(made)
    site.ensure_share(0)
    site.ensure_share(100)
    assert made.changes == []
    with pytest.raises(ConfigError, match="shifts by itself"):
        site.ensure_share(5)


def test_the_two_fleets_are_not_counted_apart(made):
    with pytest.raises(EnvironmentFault, match="together"):
        opened(made).counters()


def test_an_abort_sets_the_alarm_off_until_sagemaker_has_noticed(made):
    site = opened(made)
    site.ensure_canary(site.pin("new"))
    name = site.look().canary.reason.removeprefix("prepared as ")
    made.pending, made.busy = pending(name, "Baking"), 3
    with pytest.raises(EnvironmentFault, match="rolling the candidate out"):
        site.ensure_removed()
    site.ensure_out()
    found = made.aws.cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert found[0]["StateValue"] == "ALARM"
    assert "the rollout of credit is to end" in found[0]["StateReason"]


def test_an_abort_of_an_update_that_does_not_end_is_no_success(made):
    site = opened(made, deadline=0.05)
    site.ensure_canary(site.pin("new"))
    name = site.look().canary.reason.removeprefix("prepared as ")
    made.pending, made.stuck = pending(name, "Baking"), True
    with pytest.raises(EnvironmentFault, match="is Updating"):
        site.ensure_out()


def test_an_abort_leaves_the_update_of_another_alone(made):
    made.pending, made.busy = pending("somebody-elses", "Baking"), 2
    opened(made).ensure_out()
    found = made.aws.cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    assert found[0]["StateValue"] == "OK"


def test_by_hand_is_the_alarm(made):
    alarm, wait = opened(made).by_hand()
    assert alarm.startswith(
        "aws cloudwatch set-alarm-state --alarm-name errors --state-value ALARM"
    )
    assert "endpoint-in-service" in wait
