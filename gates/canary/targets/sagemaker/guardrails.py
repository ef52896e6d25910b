"""A rollout by SageMaker's own guardrails: it shifts, its alarms judge, and it rolls back.

The valve is SageMaker's here. `ensure_canary` makes the candidate's configuration and moves no
request; `ensure_stable` hands the endpoint over, and returns when all of it is the candidate's, or
raises TakenBack. Between the two there is nothing to set: a plan for this has no steps. The guard
is SageMaker's as well, and needs no runner.

Two silences of SageMaker are refused beforehand: without an alarm nothing ever rolls back, and with
some instances and containers it shifts all at once, whatever it was asked for.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any, Final, Literal

from gates.canary.aws import Aws, calling
from gates.canary.counters import Counters
from gates.canary.sight import Endpoints, Health, Pinned, Seen, Sight
from gates.canary.site import Store
from gates.canary.targets.sagemaker.config import Wanted, prefix, variant, with_variants
from gates.canary.targets.sagemaker.endpoint import READY, Endpoint, variants
from gates.canary.targets.sagemaker.model import foreign, pinned, unchanged
from gates.canary.targets.sagemaker.sight import ABSENT, found_health, images_of, told
from gates.errors import ConfigError, EnvironmentFault, InputError

_BEFORE: Final = "model-gates.before"
_FLOWING: Final = frozenset({"ActivatingTraffic", "Baking"})


@dataclass(frozen=True, kw_only=True)
class Valve:
    """How SageMaker is to shift: by `percent` of the instances, with `wait` seconds per step."""

    alarms: tuple[str, ...]
    shift: Literal["canary", "linear"]
    percent: int
    wait: int
    timeout: int

    def deployment(self) -> dict[str, Any]:
        """Return the DeploymentConfig of UpdateEndpoint."""
        if not self.alarms:
            raise ConfigError("without an alarm SageMaker never rolls back", where="guardrails")
        size = "CanarySize" if self.shift == "canary" else "LinearStepSize"
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": self.shift.upper(),
                    "WaitIntervalInSeconds": self.wait,
                    size: {"Type": "CAPACITY_PERCENT", "Value": self.percent},
                },
                # The last bake: all requests go to the new fleet, and the old one still stands.
                "TerminationWaitInSeconds": self.wait,
                "MaximumExecutionTimeoutInSeconds": self.timeout,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": a} for a in self.alarms]},
        }


@dataclass(frozen=True, kw_only=True)
class GuardrailsSite:
    """Implements `gates.canary.site.Site` for an endpoint with one variant."""

    name: str
    aws: Aws
    endpoint: Endpoint
    variant: str
    store: Store
    valve: Valve
    flags: str = ""

    @property
    def shifts_itself(self) -> bool:
        """Return whether the place shifts by itself, so that a plan has no steps."""
        return True

    @property
    def patience(self) -> float:
        """Return how long an act may take, in seconds: a lease must not run out meanwhile."""
        return self.endpoint.pace.deadline

    def pin(self, image: str) -> Pinned:
        """Return what a model is, by its images' digests and its data in S3."""
        return pinned(self.aws, image)

    def stable(self) -> Pinned:
        """Return what the endpoint serves now."""
        return self._runs(*self._now())

    def look(self) -> Sight:
        """Return what serves, and what was prepared or is on its way.

        The share of what is on its way is the one that was asked for: SageMaker does not say.
        """
        found = told(self.endpoint.describe())
        config = self.endpoint.config(found["EndpointConfigName"])
        canary = self._canary(found, config)
        status = str(found["EndpointStatus"])
        stable = Seen(
            digest=self._runs(found, config).digest,
            health=found_health(status, variants(found)[self.variant]),
            share=1.0 - canary.share,
            reachable=True,
            reason="" if status == READY else f"the endpoint is {status}",
        )
        return Sight(stable=stable, canary=canary)

    def counters(self) -> Counters:
        """Raise: both fleets answer under one name, and CloudWatch does not tell them apart."""
        raise EnvironmentFault(
            "with guardrails, SageMaker counts the old and the new fleet together",
            where=self.endpoint.where,
            hint="Its alarms judge. Leave `guardrails` out to compare two variants.",
        )

    def endpoints(self) -> Endpoints | None:
        """Return None: both sides answer at one address."""
        return None

    def ensure_canary(self, pinned: Pinned) -> None:
        """Have the candidate's configuration stand ready; no request is moved."""
        found, config = self._now()
        if variants(config)[self.variant]["ModelName"] == pinned.image:
            return
        self._excluded(found, config, pinned.image)
        self._quiet()
        self.endpoint.create(self._with(config, pinned.image))

    def ensure_share(self, percent: int) -> None:
        """Raise for a part of the traffic: that is SageMaker's business, in `ensure_stable`."""
        if 0 < percent < 100:
            raise ConfigError(
                "with guardrails, SageMaker shifts by itself",
                where=f"deployment {self.name}, steps",
                hint="Leave `steps` empty, or leave `guardrails` out.",
            )

    def ensure_out(self) -> None:
        """Have SageMaker roll back what is under way, by setting its first alarm off."""
        deadline = time.monotonic() + self.endpoint.pace.deadline
        while self._under_way(self.endpoint.describe()):
            # An alarm that was set by hand goes back by itself, and counts only while SageMaker
            # bakes: so it is set until SageMaker has noticed.
            self._alarm()
            if time.monotonic() > deadline:
                break
            time.sleep(self.endpoint.pace.every)
        self.endpoint.settled()

    def ensure_stable(self, pinned: Pinned) -> None:
        """Have the endpoint serve exactly this; the candidate by the guardrails, else at once.

        Raises TakenBack where SageMaker rolled back. What is already under way is waited for.
        """
        found = self.endpoint.describe()
        if self._under_way(found):
            self.endpoint.arrived(found["PendingDeploymentSummary"]["EndpointConfigName"])
        found, config = self._now()
        if variants(config)[self.variant]["ModelName"] == pinned.image:
            return
        wanted = self._with(config, pinned.image)
        if self._prepared(config) == wanted.name:
            self._excluded(found, config, pinned.image)
            self._quiet()
            unchanged(self.aws, pinned)
            self.endpoint.deploy(wanted, self.valve.deployment())
        elif self._before(config) == pinned.image:
            # The way back: as fast as it goes, whatever the alarms say.
            self.endpoint.deploy(wanted)
        else:
            raise EnvironmentFault(
                "this model was not prepared for the endpoint as it is now",
                where=self.endpoint.where,
                hint="Somebody changed the endpoint meanwhile. Abort, and start again.",
            )

    def ensure_removed(self) -> None:
        """Have no configuration stand ready any more."""
        found = self.endpoint.describe()
        if self._under_way(found):
            raise EnvironmentFault(
                "SageMaker is rolling the candidate out, so it is not taken away",
                where=self.endpoint.where,
                hint="Abort first: `model-gates canary abort`.",
            )
        name = self._prepared(self.endpoint.config(found["EndpointConfigName"]))
        if name is not None:
            with calling(f"endpoint configuration {name}", "delete an endpoint configuration"):
                self.aws.sagemaker.delete_endpoint_config(EndpointConfigName=name)

    def ensure_guard(self, *, on: bool) -> None:
        """Raise where SageMaker could not roll back by itself: the alarms are the guard."""
        if on:
            self._quiet()

    def by_hand(self) -> tuple[str, ...]:
        """Return the command that sets off the alarm by which SageMaker rolls back."""
        flags, alarm = self.flags, quote(self.valve.alarms[0])
        state = "--state-value ALARM --state-reason 'by hand'"
        return (
            f"aws cloudwatch set-alarm-state{flags} --alarm-name {alarm} {state}",
            f"aws sagemaker wait endpoint-in-service{flags} --endpoint-name {self.endpoint.name}",
        )

    def _now(self) -> tuple[dict[str, Any], dict[str, Any]]:
        found = self.endpoint.settled()
        config = self.endpoint.config(found["EndpointConfigName"])
        if set(variants(config)) != {self.variant}:
            raise InputError(
                f"the endpoint's variants are {', '.join(variants(config))}, and not "
                f"{self.variant} alone",
                where=self.endpoint.where,
                hint="Guardrails keep a variant's name: say in `stable_variant` which it is.",
            )
        return found, config

    def _runs(self, found: dict[str, Any], config: dict[str, Any]) -> Pinned:
        model = str(variants(config)[self.variant]["ModelName"])
        images = images_of(variants(found)[self.variant], self.endpoint.where)
        return pinned(self.aws, model, images)

    def _with(self, config: dict[str, Any], model: str) -> Wanted:
        there = variants(config)[self.variant]
        made = variant(there, self.variant, model, 1.0)
        wanted = with_variants(self.name, config, [made])
        before = {"Key": _BEFORE, "Value": str(there["ModelName"])}
        return replace(
            wanted, request={**wanted.request, "Tags": [*wanted.request["Tags"], before]}
        )

    def _before(self, config: dict[str, Any]) -> str | None:
        """Return the model that served before this configuration, if a rollout made it."""
        name = str(config["EndpointConfigName"])
        if not name.startswith(prefix(self.name)):
            return None
        with calling(f"endpoint configuration {name}", "read the tags"):
            tags = self.aws.sagemaker.list_tags(ResourceArn=config["EndpointConfigArn"])["Tags"]
        return next((str(tag["Value"]) for tag in tags if tag["Key"] == _BEFORE), None)

    def _canary(self, found: dict[str, Any], config: dict[str, Any]) -> Seen:
        pending = found.get("PendingDeploymentSummary")
        name = pending["EndpointConfigName"] if pending else self._prepared(config)
        if name is None or name == found["EndpointConfigName"]:
            return ABSENT
        model = str(variants(self.endpoint.config(name))[self.variant]["ModelName"])
        digest = pinned(self.aws, model).digest
        if not pending:
            return Seen(
                digest=digest,
                health=Health.READY,
                share=0.0,
                reachable=False,
                reason=f"prepared as {name}",
            )
        flowing = _states(pending) & _FLOWING
        return Seen(
            digest=digest,
            health=Health.READY if flowing else Health.STARTING,
            share=self.valve.percent / 100 if flowing else 0.0,
            reachable=bool(flowing),
            reason="SageMaker shifts by itself",
        )

    def _prepared(self, config: dict[str, Any]) -> str | None:
        """Return the name of the configuration that was made after the one in use, if any was."""
        begin = prefix(self.name)
        with calling(self.endpoint.where, "list endpoint configurations"):
            listed = self.aws.sagemaker.list_endpoint_configs(
                NameContains=begin, SortBy="CreationTime", SortOrder="Descending", MaxResults=10
            )
        for item in listed["EndpointConfigs"]:
            name = str(item["EndpointConfigName"])
            if name.startswith(begin) and item["CreationTime"] > config["CreationTime"]:
                return name
        return None

    def _under_way(self, found: dict[str, Any]) -> bool:
        """Return whether an update to one of this deployment's configurations is going on."""
        pending = found.get("PendingDeploymentSummary") or {}
        ours = str(pending.get("EndpointConfigName", "")).startswith(prefix(self.name))
        return ours and found["EndpointStatus"] == "Updating"

    def _alarm(self) -> None:
        name = self.valve.alarms[0]
        with calling(f"alarm {name}", "set off the alarm that rolls back"):
            self.aws.cloudwatch.set_alarm_state(
                AlarmName=name,
                StateValue="ALARM",
                StateReason=f"model-gates: the rollout of {self.name} is to end"[:1023],
            )

    def _quiet(self) -> None:
        """Raise unless every alarm is there, has data, and is not in alarm."""
        with calling(self.endpoint.where, "read the alarms"):
            found = self.aws.cloudwatch.describe_alarms(
                AlarmNames=list(self.valve.alarms), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
        every = [*found.get("MetricAlarms", ()), *found.get("CompositeAlarms", ())]
        states = {str(alarm["AlarmName"]): str(alarm["StateValue"]) for alarm in every}
        wrong = tuple(
            f"{name}: {states.get(name, 'there is no such alarm')}"
            for name in self.valve.alarms
            if states.get(name) != "OK"
        )
        if wrong:
            raise InputError(
                "SageMaker would not roll back by these alarms, or at once",
                where=f"deployment {self.name}, guardrails.alarms",
                details=wrong,
                hint="Each must be OK: one without data never fires. Look at its dimensions, and "
                "whether the endpoint gets requests.",
            )

    def _excluded(self, found: dict[str, Any], config: dict[str, Any], model: str) -> None:
        """Raise where SageMaker would shift all at once without a word, or not at all."""
        there = variants(config)[self.variant]
        account = str(found["EndpointArn"]).split(":")[4]
        types = [str(there.get("InstanceType", ""))]
        types += [str(pool["InstanceType"]) for pool in there.get("InstancePools", ())]
        reasons = {
            "it is serverless": "ServerlessConfig" in there,
            "it runs on Inf1 instances": any(kind.startswith("ml.inf1.") for kind in types),
            "it uses Elastic Inference": bool(there.get("AcceleratorType")),
            "a shadow variant runs beside it": bool(config.get("ShadowProductionVariants")),
            "it has one instance, which cannot be parted": _instances(found, self.variant) == 1,
            "a model comes from another account's package (Marketplace)": any(
                foreign(self.aws, name, account) for name in (str(there["ModelName"]), model)
            ),
        }
        if wrong := tuple(reason for reason, holds in reasons.items() if holds):
            raise InputError(
                "SageMaker has no guardrails for this endpoint, and would shift all at once",
                where=self.endpoint.where,
                details=wrong,
                hint="Leave `guardrails` out, and shift between two variants.",
            )


def _states(pending: dict[str, Any]) -> set[str]:
    every = [v for v in pending.get("ProductionVariants", ()) for v in v.get("VariantStatus", ())]
    return {str(status["Status"]) for status in every}


def _instances(found: dict[str, Any], name: str) -> int | None:
    count = variants(found)[name].get("CurrentInstanceCount")
    return None if count is None else int(count)
