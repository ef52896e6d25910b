"""SageMaker on moto, with what moto lacks: UpdateEndpoint, images, and that a change takes time.

Every request goes through botocore, so its own model of the service has found it valid. The clients
are real; what is added answers at the edge, by botocore's event hooks.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache

import boto3
from botocore.awsrequest import AWSResponse
from moto.sagemaker.models import sagemaker_backends

from gates.canary.aws import Aws

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/serves"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/score"


def image(letter):
    return f"{REPOSITORY}@sha256:{letter * 64}"


@dataclass
class Cloud:
    """The clients, and levers: how many looks a change takes, or that it ends in a rollback."""

    aws: Aws
    requests: list = field(default_factory=list)
    slow: int = 0
    stuck: bool = False
    refuse_updates: bool = False
    killed_after: int | None = None
    dead: bool = False
    busy: int = 0
    pending: dict | None = None
    moved: datetime = field(default_factory=lambda: datetime(2026, 11, 26, 12, 0, tzinfo=UTC))
    now: datetime = field(default_factory=lambda: datetime(2026, 11, 26, 13, 0, tzinfo=UTC))

    @property
    def endpoint(self):
        return sagemaker_backends[ACCOUNT][REGION].endpoints["credit"]

    @property
    def changes(self):
        return [name for name, _ in self.requests if name.startswith("Update")]

    def kill(self, after):
        """Have the process die ahead of the request that changes something after so many more."""
        self.killed_after, self.dead = after, False

    def live(self):
        """Begin a process that nobody kills."""
        self.killed_after, self.dead = None, False

    def weights(self):
        return {v["VariantName"]: v["CurrentWeight"] for v in self.endpoint.production_variants}

    def models(self):
        name = self.endpoint.endpoint_config_name
        config = self.aws.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        return {v["VariantName"]: v["ModelName"] for v in config["ProductionVariants"]}


class Killed(BaseException):
    """The process ends here; nothing in it may catch this."""


def cloud():
    """Return moto's SageMaker with the endpoint `credit`, which serves the model `old`."""
    aws = clients()
    made = Cloud(aws=aws)
    events = aws.sagemaker.meta.events
    events.register("provide-client-params.sagemaker", lambda **k: _note(made, **k))
    aws.s3.meta.events.register("provide-client-params.s3", lambda **_: _alive(made))
    events.register("before-call.sagemaker.UpdateEndpoint", lambda **k: _update(made, **k))
    events.register("after-call.sagemaker.DescribeEndpoint", lambda **k: _described(made, **k))
    weigh = "sagemaker.UpdateEndpointWeightsAndCapacities"
    events.register(f"after-call.{weigh}", lambda **k: _weighed(made))
    _models(aws)
    aws.sagemaker.create_endpoint_config(
        EndpointConfigName="by-hand", ProductionVariants=[variant("AllTraffic", "old", 3)]
    )
    aws.sagemaker.create_endpoint(EndpointName="credit", EndpointConfigName="by-hand")
    _resolve(made)
    made.requests.clear()
    return made


def clients():
    """Return new clients of a session that was read once."""
    services = ("sagemaker", "cloudwatch", "s3")
    return Aws(**{name: session().client(name) for name in services})


@cache
def session():
    # Kept: a session reads megabytes of models of services.
    return boto3.Session("testing", "testing", region_name=REGION)


def variant(name, model, count=1, weight=1.0, kind="ml.m5.large"):
    return {
        "VariantName": name, "ModelName": model, "InitialInstanceCount": count,
        "InstanceType": kind, "InitialVariantWeight": weight,
    }  # fmt: skip


def _models(aws):
    for name, letter in (("old", "a"), ("new", "b"), ("other", "c")):
        aws.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": image(letter)}
        )


def _note(made, params, model, **_):
    if made.killed_after is not None and model.name.startswith(("Create", "Update", "Delete")):
        made.dead = made.dead or made.killed_after == 0
        made.killed_after -= 1
    _alive(made)
    made.requests.append((model.name, params))


def _alive(made, **_):
    """Let nothing through from a process that was killed, whatever it still means to do."""
    if made.dead:
        raise Killed


def _update(made, params, **_):
    """Answer in moto's place, once botocore has found the request valid and written it out."""
    if made.refuse_updates:
        made.busy = 2
    else:
        _deploy(made, json.loads(params["body"]))
        made.busy = made.slow
    return AWSResponse("", 200, {}, None), {"EndpointArn": made.endpoint.arn}


def _deploy(made, body):
    """Do what UpdateEndpoint does: counts that are retained stay, weights are the new ones."""
    endpoint = made.endpoint
    config = made.aws.sagemaker.describe_endpoint_config(
        EndpointConfigName=body["EndpointConfigName"]
    )
    counts = {v["VariantName"]: v.get("CurrentInstanceCount") for v in endpoint.production_variants}
    assert body["RetainAllVariantProperties"]
    assert body["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    endpoint.endpoint_config_name = body["EndpointConfigName"]
    endpoint.production_variants = [
        {
            "VariantName": v["VariantName"],
            "CurrentInstanceCount": counts.get(v["VariantName"]) or v["InitialInstanceCount"],
            "CurrentWeight": v["InitialVariantWeight"],
            "DesiredWeight": v["InitialVariantWeight"],
        }
        for v in config["ProductionVariants"]
    ]
    _resolve(made)


def _resolve(made):
    models, backend = made.models(), sagemaker_backends[ACCOUNT][REGION]
    for v in made.endpoint.production_variants:
        name = backend._models[models[v["VariantName"]]].primary_container["Image"]
        v["DeployedImages"] = [{"SpecifiedImage": name, "ResolvedImage": name}]


def _weighed(made):
    made.busy = made.slow
    # moto forgets them.
    for v in made.endpoint.production_variants:
        v["CurrentInstanceCount"] = v["CurrentInstanceCount"] or 3


def _described(made, parsed, **_):
    parsed["LastModifiedTime"] = made.moved
    parsed.setdefault("ResponseMetadata", {}).setdefault("HTTPHeaders", {})
    parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = format_datetime(made.now, usegmt=True)
    if made.stuck or made.busy > 0:
        made.busy -= 1
        parsed["EndpointStatus"] = "Updating"
        if made.pending:
            parsed["PendingDeploymentSummary"] = made.pending
