"""How AWS is asked: options, what is missing, what is secret, and latencies from CloudWatch."""

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError
from botocore.stub import Stubber
from pydantic import ValidationError

from gates.canary.aws import calling, connect
from gates.canary.counters import Arm, upper
from gates.canary.targets.sagemaker.metrics import EDGES, Meter, clock_of
from gates.canary.targets.sagemaker.options import SageMaker
from gates.errors import EnvironmentFault
from tests.canary.sagemaker_cloud import clients

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_without_the_extra_the_message_names_it():
    code = (
        "import sys; sys.modules['boto3'] = None\n"
        "from gates.canary.targets.sagemaker.options import SageMaker\n"
        "SageMaker(endpoint='credit', bucket='rollouts').site('credit')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert "EnvironmentFault" in ended.stderr
    assert "pip install 'model-gates[sagemaker]'" in ended.stderr


def test_the_options_alone_load_no_library_of_aws():
    code = "import sys, gates.canary.targets.sagemaker.options; print({'boto3', 'botocore'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_a_profile_that_is_not_there_is_a_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match="ProfileNotFound"):
        connect("us-east-1", "nobody")


def test_clients_give_up_in_time(monkeypatch):
    # A server that takes the connection and never answers.
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        aws = connect("us-east-1", None)
        settings = aws.s3.meta.config
        assert (settings.connect_timeout, settings.read_timeout) == (5, 15)
        assert settings.retries["total_max_attempts"] == 3
        port = server.getsockname()[1]
        from botocore.config import Config

        from tests.canary.sagemaker_cloud import session

        quick = Config(read_timeout=0.2, retries={"total_max_attempts": 1})
        client = session().client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=quick)
        begun = time.monotonic()
        with pytest.raises(EnvironmentFault, match="ReadTimeoutError"), calling("s3", "look"):
            client.head_object(Bucket="b", Key="k")
        assert time.monotonic() - begun < 5


def test_what_aws_says_goes_to_the_caller_and_keys_go_nowhere():
    answer = {
        "Error": {
            "Code": "InvalidAccessKeyId",
            "Message": "AKIAIOSFODNN7EXAMPLE of arn:aws:iam::123456789012:user/ann is not known",
            "AWSAccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        }
    }
    with pytest.raises(EnvironmentFault) as caught, calling("endpoint credit", "describe it"):
        raise ClientError(answer, "DescribeEndpoint")
    fault = caught.value
    assert str(fault).startswith("endpoint credit: AWS refused to describe it: InvalidAccessKeyId")
    assert "123456789012" not in str(fault)
    assert "AKIA" not in str(fault) + fault.output
    assert "which credentials" in fault.hint
    # A traceback that is written for --debug has nothing more to tell.
    assert fault.__suppress_context__


def test_missing_credentials_are_a_fault():
    with pytest.raises(EnvironmentFault, match="NoCredentialsError"), calling("s3", "look"):
        raise NoCredentialsError


def test_a_request_that_aws_own_model_forbids_is_a_bug_and_no_fault():
    with pytest.raises(ParamValidationError), calling("endpoint", "describe it"):
        clients().sagemaker.describe_endpoint(EndpointName=7)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("endpoint", "a b"), ("endpoint", ""), ("bucket", "Rollouts"), ("prefix", "/x"),
        ("region", "us-east-1; rm"), ("timeout", 10), ("settle", 0), ("guard", "none"),
        ("canary_instances", 0), ("canary_variant", "AllTraffic"), ("steps", [5]),
    ],
)  # fmt: skip
def test_an_option_that_can_not_be_right_is_refused(option, value):
    with pytest.raises(ValidationError):
        SageMaker(**{"endpoint": "credit", "bucket": "rollouts", option: value})


def test_every_option_is_described():
    assert all(field.description for field in SageMaker.model_fields.values())


class Watch:
    """CloudWatch, scripted; every query and answer is valid by botocore's model."""

    def __init__(self, latency=True):
        self.client = clients().cloudwatch
        self.stub = Stubber(self.client)
        self.stub.activate()
        self.meter = Meter(client=self.client, endpoint="credit", settle=120, latency=latency)
        self.asked = []
        self.client.meta.events.register(
            "provide-client-params.cloudwatch", lambda params, **_: self.asked.append(params)
        )

    def say(self, values, status="Complete", more=None):
        queries = list(self.meter._queries("stable")) + list(self.meter._queries("canary"))
        results = [
            {"Id": f"q{n}", "StatusCode": status, "Values": values.get(query, [])}
            for n, query in enumerate(queries)
        ]
        page = {"MetricDataResults": results, **({"NextToken": more} if more else {})}
        self.stub.add_response("get_metric_data", page)

    def read(self, now=START + timedelta(minutes=30)):
        return self.meter.read(("stable", "canary"), START, now)


def test_two_variants_fit_into_one_call():
    watch = Watch()
    watch.say({})
    watch.read()
    assert len(watch.asked) == 1
    assert len(watch.asked[0]["MetricDataQueries"]) <= 500
    stats = [query["MetricStat"]["Stat"] for query in watch.asked[0]["MetricDataQueries"]]
    assert "TC(0:1000)" in stats
    assert EDGES[-1] >= 60_000_000


def test_latencies_are_right_to_five_percent():
    watch = Watch()
    low, high = next((a, b) for a, b in pairwise(EDGES) if b >= 200_000)
    watch.say({
        ("canary", "Invocation5XXErrors", "SampleCount"): [4.0, 3.0],
        ("canary", "ModelLatency", f"TC({low}:{high})"): [4.0, 3.0],
    })  # fmt: skip
    arm = watch.read()["canary"]
    assert arm.requests == 7
    ((number, count),) = arm.latency.items()
    assert count == 7
    assert low / 1e6 <= upper(number) <= high / 1e6 * 1.02


def test_only_whole_minutes_that_have_settled_are_asked_for():
    watch = Watch()
    watch.say({})
    watch.meter.read(
        ("stable", "canary"), START + timedelta(seconds=5), START + timedelta(seconds=425)
    )
    asked = watch.asked[0]
    assert asked["StartTime"] == START + timedelta(minutes=1)
    assert asked["EndTime"] == START + timedelta(minutes=5)


def test_before_a_minute_has_settled_nothing_is_asked():
    watch = Watch()
    assert watch.read(START + timedelta(seconds=170)) == {"stable": Arm(), "canary": Arm()}
    assert watch.asked == []


def test_every_page_counts():
    watch = Watch(latency=False)
    query = ("canary", "Invocation5XXErrors", "SampleCount")
    watch.say({query: [4.0]}, status="PartialData", more="next")
    watch.say({query: [3.0]})
    assert watch.read()["canary"].requests == 7


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_half_of_the_counts_are_no_counts(status):
    watch = Watch(latency=False)
    watch.say({}, status=status)
    with pytest.raises(EnvironmentFault, match="did not give all"):
        watch.read()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_count_that_is_none_is_a_fault(value):
    watch = Watch(latency=False)
    watch.say({("canary", "Invocation5XXErrors", "Sum"): [value]})
    with pytest.raises(EnvironmentFault, match="a count that is none"):
        watch.read()


def test_an_answer_without_a_time_on_it_is_a_fault():
    for answer in ({}, {"ResponseMetadata": {"HTTPHeaders": {"date": "today"}}}):
        with pytest.raises(EnvironmentFault, match="no time"):
            clock_of(answer)
