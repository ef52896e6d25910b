"""`model-gates.canary.yml`: where models are deployed, and how carefully.

A file of its own, and not a part of `model-gates.yml`: that one is the policy which evidence is
bound to, and another bake time is no reason to judge a model again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from gates import yaml_source
from gates.canary.analysis.analysis import Analysis
from gates.canary.meters.registry import METERS, Meter
from gates.canary.one_of import OneOf, one_of
from gates.canary.plan import Finish, OnInconclusive
from gates.canary.replay.replay import Replay
from gates.canary.site import Site
from gates.canary.targets.registry import TARGETS
from gates.complaints import complaints, emptied, refuse
from gates.config import ModelName, whole
from gates.errors import ConfigError
from gates.fields import Model

FILE = "model-gates.canary.yml"
_YEAR = 366 * 86_400
Seconds = Annotated[float, Field(gt=0, le=_YEAR, strict=True)]


Target: type[OneOf] = one_of("Target", TARGETS)
Metrics: type[OneOf] = one_of("Metrics", METERS)


class Evidence(Model):
    """What a rollout asks of the evidence record of its candidate."""

    max_age: Annotated[StrictStr, Field(pattern=r"^[1-9][0-9]{0,4}[hd]$")] = Field(
        default="7d", description="How old a record may be, such as 12h or 7d."
    )
    strict: StrictBool = Field(
        default=False, description="true: no warning, waiver or skipped check."
    )
    baseline: Literal["serving", "trust"] = Field(
        default="serving",
        description="serving: the baseline must be what serves now; trust: nobody looks.",
    )


class Deployment(Model):
    """One place where one model is deployed."""

    model: ModelName = Field(description="The model's name in `model-gates.yml`.")
    target: Target  # type: ignore[valid-type]
    steps: tuple[Annotated[StrictInt, Field(ge=0, le=100)], ...] = Field(
        default=(5, 25, 50),
        min_length=1,
        max_length=20,
        description="Shares of the traffic, in percent, each more than the one before. [0] is a "
        "shadow that no user meets, [0, 100] blue and green.",
    )
    bake: Seconds = Field(default=600.0, description="Seconds that a step is watched at least.")
    max_bake: Seconds | None = Field(
        default=None, description="Seconds after which it is undecided; else six times `bake`."
    )
    looks: Annotated[StrictInt, Field(ge=1, le=200)] = Field(
        default=5, description="How often a step is judged within `bake`."
    )
    min_requests: Annotated[StrictInt, Field(ge=1)] = Field(
        default=100, description="Requests to the canary before a step can pass."
    )
    on_inconclusive: OnInconclusive = Field(
        default=OnInconclusive.HOLD, description="hold: a person decides; abort: roll back."
    )
    finish: Finish = Field(
        default=Finish.PROMOTE,
        description="promote: the candidate becomes what serves; hold: it stays at the last share "
        "until a person says.",
    )
    lease: Annotated[Seconds, Field(ge=5)] = Field(
        default=60.0, description="Seconds without a sign of life until the guard rolls back."
    )
    hold: Seconds = Field(
        default=14_400.0, description="Seconds that a held rollout waits for a person."
    )
    guard: Literal["target", "none"] = Field(
        default="target",
        description="none: nothing rolls back when the runner dies; for targets without a guard.",
    )
    analysis: Analysis = Analysis()
    replay: Replay | None = None
    metrics: Metrics | None = None  # type: ignore[valid-type]
    evidence: Evidence = Evidence()

    @model_validator(mode="after")
    def _fits(self) -> Deployment:
        above = [share for share in self.steps if share]
        if list(self.steps) != sorted(set(self.steps)):
            raise ValueError("`steps`: each has to be more than the one before")
        if not above and self.replay is None:
            raise ValueError("`steps: [0]` is judged by `replay` alone: configure it")
        if self.max_bake is not None and self.max_bake < self.bake:
            raise ValueError("`max_bake` is shorter than `bake`")
        return self

    def site(self, name: str) -> Site:
        """Return the target, opened."""
        site: Site = self.chosen.site(name)
        return site

    @property
    def chosen(self) -> Any:
        """Return the target's own options."""
        block: OneOf = self.target
        return block.chosen()

    @property
    def target_name(self) -> str:
        """Return the name of the target, which is that of the extra it needs."""
        name: str = self.target.key  # type: ignore[attr-defined]
        return name

    @property
    def meter(self) -> Meter | None:
        """Return where the counts come from, None for the router's own."""
        block: OneOf | None = self.metrics
        return None if block is None else block.chosen()


class CanaryFile(Model):
    """A whole `model-gates.canary.yml`."""

    version: Annotated[Literal[1], BeforeValidator(whole)]
    deployments: dict[ModelName, Deployment] = Field(min_length=1)


def load(path: Path) -> tuple[CanaryFile, yaml_source.Source]:
    """Return the deployments in a file, and the text that they came from.

    Raises ConfigError with file, line, column and key path for everything that is wrong with it.
    """
    source = yaml_source.load(path)
    found, wrong = complaints(CanaryFile, source.data)
    told = {one.path for one in wrong}
    wrong += [one for one in emptied(source.data) if one.path not in told]
    if found is None or wrong:
        raise refuse(source, wrong)
    return found, source


def deployment(found: CanaryFile, name: str, where: str) -> Deployment:
    """Return one of them. Raises ConfigError when there is none of that name."""
    if name not in found.deployments:
        known = tuple(found.deployments)
        hint = yaml_source.suggestion(name, known) or f"There are: {', '.join(known)}."
        raise ConfigError(f"there is no deployment `{name}`", where=where, hint=hint)
    return found.deployments[name]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `model-gates.canary.yml`, for editors and for CI."""
    schema = CanaryFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
