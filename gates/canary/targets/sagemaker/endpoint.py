"""One endpoint of SageMaker: looked at, waited for, and changed only while nothing else does it.

SageMaker takes one change at a time, refuses another meanwhile, and says it is done by the status
`InService`. So every change here waits for that first, is sent once, and is waited for; what does
not come to an end within the deadline is reported with the state it was left in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gates.canary.aws import calling, code_of
from gates.canary.faults import TakenBack
from gates.canary.targets.sagemaker.config import Wanted, same_variants
from gates.errors import EnvironmentFault, InputError
from gates.fields import bounded

_BUSY: Final = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
READY: Final = "InService"


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often an endpoint is looked at while it changes, and for how long; in seconds."""

    every: float = 10.0
    deadline: float = 1800.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint by name; `client` is botocore's of the service SageMaker."""

    client: Any
    name: str
    pace: Pace

    @property
    def where(self) -> str:
        """Return what a message calls it."""
        return f"endpoint {self.name}"

    def describe(self) -> dict[str, Any]:
        """Return the endpoint as it is found."""
        with calling(self.where, "describe the endpoint"):
            return dict(self.client.describe_endpoint(EndpointName=self.name))

    def config(self, name: str) -> dict[str, Any]:
        """Return an endpoint configuration."""
        with calling(f"endpoint configuration {name}", "describe the endpoint configuration"):
            return dict(self.client.describe_endpoint_config(EndpointConfigName=name))

    def settled(self) -> dict[str, Any]:
        """Return the endpoint once it is in service; raises when it will not be, or not in time."""
        return self._until(bool, "to be in service")

    def weigh(self, weights: dict[str, float]) -> None:
        """Give every variant its weight; returns when SageMaker says that it took effect."""
        if weights == current_weights(self.settled()):
            return
        wanted = [{"VariantName": name, "DesiredWeight": w} for name, w in weights.items()]
        with calling(self.where, "set the weights of the variants"):
            self.client.update_endpoint_weights_and_capacities(
                EndpointName=self.name, DesiredWeightsAndCapacities=wanted
            )
        self._until(
            lambda found: weights == current_weights(found), f"to weigh its variants as {weights}"
        )

    def deploy(self, wanted: Wanted, deployment: dict[str, Any] | None = None) -> None:
        """Have the endpoint run a configuration; returns when it does.

        Instance counts that autoscaling has arrived at are kept, weights are the configuration's.
        """
        found = self.settled()
        if found["EndpointConfigName"] == wanted.name:
            return
        self.create(wanted)
        request: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointConfigName": wanted.name,
            "RetainAllVariantProperties": True,
            "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
        }
        if deployment is not None:
            request["DeploymentConfig"] = deployment
        with calling(self.where, "update the endpoint"):
            self.client.update_endpoint(**request)
        self.arrived(wanted.name)

    def create(self, wanted: Wanted) -> None:
        """Have a configuration exist; its name is a digest of its content, so it is made once."""
        from botocore.exceptions import ClientError

        where = f"endpoint configuration {wanted.name}"
        with calling(where, "create an endpoint configuration"):
            try:
                self.client.create_endpoint_config(**wanted.request)
            except ClientError as error:
                if code_of(error) != "ValidationException" or not self._exists(wanted.name):
                    raise
        if not same_variants(self.config(wanted.name), wanted.request):
            raise EnvironmentFault(
                "a configuration of this name has other variants than were asked for",
                where=where,
                hint="Somebody else made it. Delete it, and try again.",
            )

    def arrived(self, config: str) -> None:
        """Wait until the endpoint runs a configuration; raises TakenBack if SageMaker undid it."""
        changing = False

        def done(found: dict[str, Any]) -> bool:
            nonlocal changing
            if found["EndpointStatus"] != READY:
                changing = True
                return False
            if found["EndpointConfigName"] == config:
                return True
            if changing:
                raise self._taken_back(found)
            return False

        self._until(done, f"to run the configuration {config}", settled=False)

    def _exists(self, config: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.client.describe_endpoint_config(EndpointConfigName=config)
        except ClientError:
            return False
        return True

    def _until(
        self, done: Callable[[dict[str, Any]], bool], what: str, *, settled: bool = True
    ) -> dict[str, Any]:
        """Look until `done`, which is only asked of an endpoint in service if `settled`."""
        deadline = time.monotonic() + self.pace.deadline
        while True:
            found = self.describe()
            status = str(found["EndpointStatus"])
            if status != READY and status not in _BUSY:
                raise self._broken(found)
            if (status == READY or not settled) and done(found):
                return found
            if time.monotonic() > deadline:
                raise self._stuck(found, what)
            time.sleep(self.pace.every)

    def _broken(self, found: dict[str, Any]) -> EnvironmentFault:
        return EnvironmentFault(
            f"the endpoint is {found['EndpointStatus']}: SageMaker takes no change of it",
            where=self.where,
            hint="See why with `aws sagemaker describe-endpoint`; a person has to mend it.",
            output=bounded(found.get("FailureReason") or "", 1000),
        )

    def _stuck(self, found: dict[str, Any], what: str) -> EnvironmentFault:
        weights = current_weights(found)
        return EnvironmentFault(
            f"after {self.pace.deadline:g} s of waiting for it {what}, the endpoint is "
            f"{found['EndpointStatus']}, runs {found['EndpointConfigName']} and weighs {weights}",
            where=self.where,
            hint="Nothing more was sent to it. Wait with `aws sagemaker wait "
            f"endpoint-in-service --endpoint-name {self.name}`, then look again.",
        )

    def _taken_back(self, found: dict[str, Any]) -> TakenBack:
        return TakenBack(
            "SageMaker rolled the update back by itself: an alarm, or instances that did not start",
            where=self.where,
            hint="What served before serves. `aws sagemaker describe-endpoint` has the reason.",
            output=bounded(found.get("FailureReason") or "", 1000),
        )


def variants(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an endpoint's, or a configuration's, production variants by name."""
    return {str(v["VariantName"]): v for v in found.get("ProductionVariants", ())}


def current_weights(found: dict[str, Any]) -> dict[str, float | None]:
    """Return the weight by which each variant gets requests now; None where SageMaker is silent."""
    return {name: v.get("CurrentWeight") for name, v in variants(found).items()}


def shares(found: dict[str, Any]) -> dict[str, float]:
    """Return each variant's part of the requests, 0 to 1; raises where that cannot be told."""
    weights = {name: w for name, w in current_weights(found).items() if w is not None}
    total = sum(weights.values())
    if len(weights) != len(variants(found)) or total <= 0:
        raise EnvironmentFault(
            "SageMaker does not say which part of the requests each variant gets",
            where=f"endpoint {found['EndpointName']}",
            hint="Give both variants a weight once, by hand.",
        )
    return {name: weight / total for name, weight in weights.items()}


def only_these(config: dict[str, Any], names: set[str]) -> None:
    """Raise InputError where a configuration is not one whose traffic weights can be shifted."""
    where = f"endpoint configuration {config['EndpointConfigName']}"
    strangers = sorted(set(variants(config)) - names)
    if strangers:
        raise InputError(
            f"the endpoint has other variants: {', '.join(strangers)}",
            where=where,
            hint="A rollout shifts traffic between two, `stable_variant` and `canary_variant`.",
        )
    if config.get("ShadowProductionVariants") or config.get("AsyncInferenceConfig"):
        raise InputError(
            "an endpoint with shadow variants, or an asynchronous one, has no traffic to be shared",
            where=where,
            hint="Use `guardrails:` for an asynchronous endpoint; end the shadow test first.",
        )
    if any("ServerlessConfig" in v for v in variants(config).values()):
        raise InputError(
            "a serverless endpoint has one variant only",
            where=where,
            hint="SageMaker can roll out to it all at once only; use a real-time endpoint.",
        )
