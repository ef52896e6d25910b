"""Amazon SageMaker as the place of a rollout: the options of `target: {sagemaker: …}`."""

from __future__ import annotations

import math
from shlex import quote
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, StringConstraints, model_validator

from gates.canary.aws import Aws, connect
from gates.canary.site import Site
from gates.canary.stores.s3 import S3Store
from gates.canary.targets.sagemaker.config import prefix
from gates.canary.targets.sagemaker.endpoint import Endpoint, Pace
from gates.canary.targets.sagemaker.guardrails import GuardrailsSite, Valve
from gates.canary.targets.sagemaker.metrics import Meter
from gates.canary.targets.sagemaker.variants import Sides, VariantsSite
from gates.fields import Model

# As SageMaker, S3 and CloudWatch have them; so that a wrong one is seen before anything is asked.
Named = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")]
Bucket = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Folder = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9/_.-]{0,199}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z0-9]+){2,4}$")]
Alarm = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]


class Guardrails(Model):
    """SageMaker's own canary: it shifts, waits and rolls back by CloudWatch alarms, by itself."""

    alarms: Annotated[tuple[Alarm, ...], Field(min_length=1, max_length=10)] = Field(
        description="CloudWatch alarms that send everything back: 1 to 10, there and not in alarm."
    )
    shift: Literal["canary", "linear"] = Field(
        default="canary", description="canary: a part, then all. linear: part by part."
    )
    percent: StrictInt = Field(
        default=10, ge=1, le=50, description="The part, of the instances; at least 10 for linear."
    )
    wait: StrictInt = Field(
        default=600, ge=60, le=3600, description="Seconds that the alarms are watched per step."
    )

    @model_validator(mode="after")
    def _linear(self) -> Self:
        if self.shift == "linear" and self.percent < 10:
            raise ValueError("SageMaker shifts 10 to 50 percent at a time where `shift` is linear")
        return self

    @property
    def waits(self) -> int:
        """Return how long SageMaker waits in all, in seconds."""
        steps = 2 if self.shift == "canary" else math.ceil(100 / self.percent)
        return steps * self.wait


class SageMaker(Model):
    """Shift an endpoint's traffic between two variants, or let SageMaker's guardrails do it.

    `image` of a rollout is the name of a SageMaker model. Its images must be named by digest, and
    its data in S3 is looked at as long as the rollout lasts. Without `guardrails`, a second variant
    beside the stable one gets a part of the requests step by step, by weights; SageMaker has no
    guard for this, so the deployment must say `guard: none`. With `guardrails`, a deployment has no
    `steps` of its own: SageMaker replaces the instances part by part, and the alarms judge.

    A new fleet takes SageMaker minutes, and is paid for beside the old one meanwhile.
    """

    endpoint: Named = Field(description="Name of the endpoint; it must be in service.")
    bucket: Bucket = Field(description="Bucket of S3 for the journal and the lease.")
    prefix: Folder = Field(default="model-gates", description="Where in the bucket.")
    region: Region | None = Field(default=None, description="AWS region; else as AWS's tools do.")
    profile: StrictStr | None = Field(
        default=None, min_length=1, description="Name of a profile of AWS's configuration files."
    )
    stable_variant: Named = Field(default="AllTraffic", description="The variant that serves.")
    canary_variant: Named = Field(default="model-gates-canary", description="The one beside it.")
    canary_instances: StrictInt | None = Field(
        default=None, ge=1, description="Instances of the canary; else as many as the stable has."
    )
    guardrails: Guardrails | None = Field(
        default=None, description="Let SageMaker shift, and roll back by alarms."
    )
    latency: StrictBool = Field(
        default=True, description="Read latencies too: some 450 statistics of CloudWatch a look."
    )
    settle: StrictInt = Field(
        default=120, ge=60, le=900, description="Seconds until CloudWatch is believed a minute."
    )
    timeout: StrictInt = Field(
        default=1800, ge=600, le=28800, description="Longest wait for SageMaker's changes, in s."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.stable_variant == self.canary_variant:
            raise ValueError("stable_variant and canary_variant are the same")
        if self.guardrails and self.guardrails.waits >= self.timeout:
            raise ValueError(f"timeout must exceed all waits together: {self.guardrails.waits} s")
        return self

    def site(self, name: str) -> Site:
        """Return the endpoint, opened for the deployment of this name."""
        return self.opened(name, connect(self.region, self.profile), every=10.0)

    def opened(self, name: str, aws: Aws, *, every: float, deadline: float | None = None) -> Site:
        """Return the site on these clients; it is looked at every so many seconds."""
        pace = Pace(every=every, deadline=self.timeout if deadline is None else deadline)
        endpoint = Endpoint(client=aws.sagemaker, name=self.endpoint, pace=pace)
        folder = f"{self.prefix.rstrip('/')}/{prefix(name).rstrip('-')}"
        store = S3Store(client=aws.s3, bucket=self.bucket, folder=folder)
        if self.guardrails is not None:
            valve = Valve(**self.guardrails.model_dump(), timeout=self.timeout)
            return GuardrailsSite(
                name=name,
                aws=aws,
                endpoint=endpoint,
                variant=self.stable_variant,
                store=store,
                valve=valve,
                flags=self._flags,
            )
        meter = Meter(
            client=aws.cloudwatch,
            endpoint=self.endpoint,
            settle=self.settle,
            latency=self.latency,
        )
        sides = Sides(
            stable=self.stable_variant,
            canary=self.canary_variant,
            instances=self.canary_instances,
        )
        return VariantsSite(
            name=name,
            aws=aws,
            endpoint=endpoint,
            sides=sides,
            store=store,
            meter=meter,
            flags=self._flags,
        )

    @property
    def _flags(self) -> str:
        region = f" --region {self.region}" if self.region else ""
        return region + (f" --profile {quote(self.profile)}" if self.profile else "")
