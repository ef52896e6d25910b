"""A rollout by the weights of two variants of one endpoint: `variants`, the usual way.

The endpoint goes through four configurations, each made from the one before, and each the whole
truth of its step, so that a rollout that is killed anywhere is gone on with from what stands there:

```
before    stable: OLD                     whatever configuration the endpoint has
Start     stable: OLD 100, canary: NEW 0  UpdateEndpoint: a new fleet, then the old one goes
Shift     … 95, … 5                       UpdateEndpointWeightsAndCapacities: no instance is touched
Replace   stable: NEW 0,   canary: NEW 100
Return    stable: NEW 100, canary: NEW 0  weights
Remove    stable: NEW                     UpdateEndpoint
```

UpdateEndpoint keeps the old fleet until the new one is in service and has the traffic, so at no
time is the only healthy one gone; what fails to start is taken back by SageMaker itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gates.canary.aws import Aws
from gates.canary.counters import Counters
from gates.canary.sight import Endpoints, Pinned, Seen, Side, Sight
from gates.canary.site import Store
from gates.canary.targets.sagemaker.config import Wanted, variant, with_variants
from gates.canary.targets.sagemaker.endpoint import (
    READY,
    Endpoint,
    only_these,
    shares,
    variants,
)
from gates.canary.targets.sagemaker.metrics import Meter, clock_of
from gates.canary.targets.sagemaker.model import pinned, unchanged
from gates.canary.targets.sagemaker.sight import ABSENT, found_health, images_of, told
from gates.errors import ConfigError, EnvironmentFault, InputError


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The variants' names, and how many instances the canary has (None: as many as the stable)."""

    stable: str
    canary: str
    instances: int | None = None

    def weights(self, percent: float) -> dict[str, float]:
        """Return the weights that send `percent` of the requests to the canary."""
        return {self.stable: 100.0 - percent, self.canary: float(percent)}


@dataclass(frozen=True, kw_only=True)
class VariantsSite:
    """Implements `gates.canary.site.Site`, without a guard: SageMaker has none for weights.

    Calls that change the endpoint return when SageMaker has carried them out: seconds for
    weights, often ten minutes for a new fleet, `endpoint.pace.deadline` at most.
    """

    name: str
    aws: Aws
    endpoint: Endpoint
    sides: Sides
    store: Store
    meter: Meter
    flags: str = ""

    @property
    def shifts_itself(self) -> bool:
        """Return whether the place shifts by itself, so that a plan has no steps."""
        return False

    @property
    def patience(self) -> float:
        """Return how long an act may take, in seconds: a lease must not run out meanwhile."""
        return self.endpoint.pace.deadline

    def pin(self, image: str) -> Pinned:
        """Return what a model is, by its images' digests and its data in S3."""
        return pinned(self.aws, image)

    def stable(self) -> Pinned:
        """Return what the stable variant serves now."""
        found, config = self._now()
        if self.sides.stable not in variants(found):
            raise InputError(
                f"the endpoint has no variant {self.sides.stable}: {', '.join(variants(found))}",
                where=self.endpoint.where,
                hint="Name the one that serves in `stable_variant`.",
            )
        return self._runs(found, config, self.sides.stable)

    def look(self) -> Sight:
        """Return both variants as SageMaker has them."""
        found = told(self.endpoint.describe())
        config = self.endpoint.config(found["EndpointConfigName"])
        share = shares(found)
        return Sight(
            stable=self._seen(found, config, self.sides.stable, share),
            canary=self._seen(found, config, self.sides.canary, share),
        )

    def counters(self) -> Counters:
        """Return what CloudWatch has counted since the endpoint's last change."""
        found = self.endpoint.describe()
        since = found["LastModifiedTime"]
        names = tuple(name for name in self._names if name in variants(found))
        arms = self.meter.read(names, since, clock_of(found))
        share = shares(found).get(self.sides.canary, 0.0)
        epoch = f"{found['EndpointConfigName']} {since.isoformat()} {share:g}"
        read = {
            side: arms[name] for side, name in zip(Side, self._names, strict=True) if name in arms
        }
        if Side.STABLE not in read or Side.CANARY not in read:
            raise EnvironmentFault(
                "the endpoint has not both variants, so there is nothing to compare",
                where=self.endpoint.where,
                hint="Look at it with `model-gates canary status`.",
            )
        return Counters(epoch=epoch, stable=read[Side.STABLE], canary=read[Side.CANARY])

    def endpoints(self) -> Endpoints | None:
        """Return None: both sides answer at one address, and only to signed requests."""
        return None

    def ensure_canary(self, pinned: Pinned) -> None:
        """Have the endpoint run a second variant with the candidate, at weight 0."""
        found, config = self._now()
        there = variants(config).get(self.sides.canary)
        if there is None or there["ModelName"] != pinned.image:
            if there is not None and shares(found)[self.sides.canary] > 0:
                raise EnvironmentFault(
                    "another model serves as the canary, and gets requests",
                    where=self.endpoint.where,
                    hint="Send everything to the stable side first: `model-gates canary abort`.",
                )
            unchanged(self.aws, pinned)
            self.endpoint.deploy(self._with_canary(found, config, pinned.image))
        self.endpoint.weigh(self.sides.weights(0))

    def ensure_share(self, percent: int) -> None:
        """Send this part of the requests to the canary's variant."""
        self._both()
        self.endpoint.weigh(self.sides.weights(percent))

    def ensure_out(self) -> None:
        """Send everything to the stable variant.

        A client that names the canary in `TargetVariant` reaches it until it is removed.
        """
        if self.sides.canary not in variants(self.endpoint.describe()):
            return
        self.endpoint.weigh(self.sides.weights(0))

    def ensure_stable(self, pinned: Pinned) -> None:
        """Have the stable variant serve exactly this model, with the weights as they are."""
        found, config = self._now()
        every = variants(config)
        if every[self.sides.stable]["ModelName"] == pinned.image:
            return
        weights = {name: round(100 * share, 6) for name, share in shares(found).items()}
        made = [
            variant(v, n, pinned.image if n == self.sides.stable else v["ModelName"], weights[n])
            for n, v in every.items()
        ]
        self.endpoint.deploy(with_variants(self.name, config, made))

    def ensure_removed(self) -> None:
        """Have the endpoint run without the canary's variant; it must get no request."""
        found, config = self._now()
        if self.sides.canary not in variants(config):
            return
        if shares(found)[self.sides.canary] > 0:
            raise EnvironmentFault(
                "the canary still gets requests, so it is not taken away",
                where=self.endpoint.where,
                hint="Send everything to the stable side first: `model-gates canary abort`.",
            )
        stable = variants(config)[self.sides.stable]
        made = variant(stable, self.sides.stable, stable["ModelName"], 1.0)
        self.endpoint.deploy(with_variants(self.name, config, [made]))

    def ensure_guard(self, *, on: bool) -> None:
        """Raise where one is asked for: nothing on SageMaker watches the weights."""
        if on:
            raise ConfigError(
                "nothing on SageMaker sends the traffic back when this process dies",
                where=f"deployments.{self.name}.guard",
                hint="Say `guard: none`, and have `model-gates canary guard` run where it lives "
                "on; or let SageMaker's `guardrails` shift, which need no other guard.",
            )

    def by_hand(self) -> tuple[str, ...]:
        """Return the commands of AWS's own tool that send everything to the stable variant."""
        name, sides = self.endpoint.name, self.sides
        weights = (
            f"VariantName={sides.stable},DesiredWeight=100 "
            f"VariantName={sides.canary},DesiredWeight=0"
        )
        shift = f"update-endpoint-weights-and-capacities --endpoint-name {name}{self.flags}"
        return (
            f"aws sagemaker wait endpoint-in-service --endpoint-name {name}{self.flags}",
            f"aws sagemaker {shift} --desired-weights-and-capacities {weights}",
        )

    @property
    def _names(self) -> tuple[str, str]:
        return self.sides.stable, self.sides.canary

    def _now(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the endpoint, in service, and its configuration; refuse what has no weights."""
        found = self.endpoint.settled()
        config = self.endpoint.config(found["EndpointConfigName"])
        only_these(config, set(self._names))
        return found, config

    def _both(self) -> None:
        if missing := set(self._names) - set(variants(self.endpoint.describe())):
            raise EnvironmentFault(
                f"the endpoint has no variant {', '.join(sorted(missing))}",
                where=self.endpoint.where,
                hint="Look at it with `model-gates canary status`.",
            )

    def _with_canary(self, found: dict[str, Any], config: dict[str, Any], model: str) -> Wanted:
        stable = variants(config)[self.sides.stable]
        count = self.sides.instances or variants(found)[self.sides.stable].get(
            "CurrentInstanceCount"
        )
        made = [
            variant(stable, self.sides.stable, stable["ModelName"], 100.0),
            variant(stable, self.sides.canary, model, 0.0, count),
        ]
        return with_variants(self.name, config, made)

    def _runs(self, found: dict[str, Any], config: dict[str, Any], name: str) -> Pinned:
        model = str(variants(config)[name]["ModelName"])
        return pinned(self.aws, model, images_of(variants(found)[name], self.endpoint.where))

    def _seen(
        self, found: dict[str, Any], config: dict[str, Any], name: str, share: dict[str, float]
    ) -> Seen:
        there = variants(found).get(name)
        if there is None or name not in variants(config):
            return ABSENT
        status = str(found["EndpointStatus"])
        return Seen(
            digest=self._runs(found, config, name).digest,
            health=found_health(status, there),
            share=share[name],
            # A weight that is on its way counts as there.
            reachable=share[name] > 0 or there.get("DesiredWeight", 0) > 0,
            reason="" if status == READY else f"the endpoint is {status}",
        )
