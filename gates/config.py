"""Assemble the whole configuration from the registries, and read it from a file.

Gates, predictors and stores do not know this file; it knows them. Validation, the JSON Schema and
the README's tables all come from these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from os.path import normpath
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    create_model,
)

from gates import yaml_source
from gates.baselines.registry import Options as StoreOptions
from gates.builtin.artifact import Artifact
from gates.builtin.data_schema import DataSchema
from gates.builtin.drift import Drift
from gates.builtin.fairness import Fairness
from gates.builtin.performance import Performance
from gates.builtin.registry import GATES
from gates.complaints import Complaint, complaints, emptied, refuse
from gates.errors import ConfigError
from gates.evidence import Columns, Data, Policy
from gates.fields import Model
from gates.predictors.command import Command
from gates.predictors.registry import Predictor
from gates.report import Correction, Decide, Mode, OnInconclusive, Task

CONFIG_NAME = "model-gates.yml"
Gate = DataSchema | Performance | Fairness | Drift | Artifact

Confidence = Annotated[float, Strict(), Field(ge=0.5, lt=1, allow_inf_nan=False)]
ModelName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f/\\]+$")
]


def whole(value: object) -> object:
    """Return the version of a file: 1 as a whole number, which true and 1.0 are not."""
    # A Literal compares, and so takes true and 1.0 for 1.
    if type(value) is not int:
        raise ValueError("expected 1")
    return value


class Defaults(Model):
    """What holds for every check that does not say otherwise."""

    confidence: Confidence = Field(default=0.95, description="Level of every interval.")
    seed: StrictInt = Field(default=7, ge=0, description="Seed of everything that is drawn.")
    mode: Mode = Field(default=Mode.ENFORCE, description="enforce, warn or report.")
    on_inconclusive: OnInconclusive = Field(
        default=OnInconclusive.WARN, description="What an undecided check counts as: warn or fail."
    )
    decide: Decide = Field(
        default=Decide.INTERVAL, description="interval, or point for plain comparison."
    )
    correction: Correction = Field(
        default=Correction.HOLM,
        description="How many questions are one: holm, or max_t, which sees how they overlap.",
    )


class Privacy(Model):
    """What must not be read off a report."""

    min_count: StrictInt = Field(
        default=10, ge=1, description="Numbers of fewer rows than this are withheld."
    )
    public: tuple[StrictStr, ...] = Field(
        default=(), description="Columns whose values may stand in a report, such as the id."
    )


class Baseline(StoreOptions):
    """The registered baseline to compare with, and what to do when that is not possible."""

    alias: StrictStr = Field(default="champion", description="Alias, version or digest.")
    anchor: StrictStr | None = Field(
        default=None,
        description="An older one, such as last-release, for the `…_from_anchor` limits.",
    )
    on_missing: Literal["fail", "absolute"] = Field(
        default="fail", description="absolute: decide the absolute limits alone, and say so."
    )
    on_other_data: Literal["refuse", "unpaired", "re-evaluate"] = Field(
        default="refuse", description="When the evaluation set is not the baseline's."
    )
    predictions: StrictStr | None = Field(
        default=None, description="For re-evaluate: the baseline model's predictions on this data."
    )
    columns: Columns = Field(default=Columns(), description="Columns of that file.")
    keep_predictions: StrictBool = Field(
        default=True, description="false: `register` keeps sums over blocks of rows, and no rows."
    )
    ledger: StrictBool = Field(
        default=False, description="true: count in the store what the evaluation set was asked."
    )


class GatesBlock(Model):
    """The configured gates of one model; the fields come from the registry."""

    # A gate has one name: the one with a hyphen.
    model_config = ConfigDict(populate_by_name=False)

    def configured(self) -> dict[str, Gate]:
        """Return the configured gates by name, in the registry's order."""
        values = {name: getattr(self, _field(name)) for name in GATES}
        return {name: gate for name, gate in values.items() if gate is not None}


def _field(name: str) -> str:
    return name.replace("-", "_")


_FIELDS: dict[str, Any] = {
    _field(name): (gate | None, Field(default=None, alias=name)) for name, gate in GATES.items()
}
Gates: type[GatesBlock] = create_model("Gates", __base__=GatesBlock, **_FIELDS)


class ModelConfig(Model):
    """One model: what it is, what to judge it on, and by which gates."""

    task: Task = Field(description="binary, multiclass or regression.")
    paths: tuple[StrictStr, ...] = Field(
        default=(), description="With --changed-since: what this model depends on (glob patterns)."
    )
    data: Data
    candidate: Predictor
    baseline: Baseline = Baseline()
    privacy: Privacy = Privacy()
    gates: Gates


class Config(Model):
    """A whole `model-gates.yml`."""

    version: Annotated[Literal[1], BeforeValidator(whole)]
    defaults: Defaults = Defaults()
    models: dict[ModelName, ModelConfig] = Field(min_length=1)

    def policy(self, model: ModelConfig) -> Policy:
        """Return what holds for a model's checks unless they say otherwise."""
        return Policy(
            **{name: getattr(self.defaults, name) for name in Defaults.model_fields},
            min_count=model.privacy.min_count,
            public=model.privacy.public,
        )


def load(path: Path, *, shown: str | None = None) -> tuple[Config, yaml_source.Source]:
    """Return the configuration in a file, and the text it came from; `shown` is its name.

    Raises ConfigError with file, line, column and key path for everything that is wrong with it.
    """
    source = yaml_source.load(path, shown=shown)
    return validate(source), source


def validate(source: yaml_source.Source) -> Config:
    """Return the configuration in `source`. Raises ConfigError naming every problem at once."""
    config, found = complaints(Config, source.data)
    told = {complaint.path for complaint in found}
    found += [one for one in emptied(source.data) if one.path not in told]
    if config is not None and not found:
        found = list(_problems(config))
    if found or config is None:
        raise refuse(source, found)
    return config


def select(config: Config, models: tuple[str, ...], gates: tuple[str, ...]) -> Config:
    """Return the configuration with only the named models and gates; none named means all."""
    _known("model", models, tuple(config.models))
    _known("gate", gates, tuple(GATES))
    kept = {n: m for n, m in config.models.items() if not models or n in models}
    if gates:
        kept = {name: _only(model, gates) for name, model in kept.items()}
        kept = {name: model for name, model in kept.items() if model.gates.configured()}
        if not kept:
            raise ConfigError(
                f"none of the models has a gate called {', '.join(gates)}",
                hint="Configure it under `gates:`, or leave out `--gate`.",
            )
    return config.model_copy(update={"models": kept})


def _only(model: ModelConfig, gates: tuple[str, ...]) -> ModelConfig:
    left_out = {_field(name): None for name in GATES if name not in gates}
    return model.model_copy(update={"gates": model.gates.model_copy(update=left_out)})


def _known(what: str, asked: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in asked:
        if name not in known:
            hint = yaml_source.suggestion(name, known) or f"There are: {', '.join(known)}."
            raise ConfigError(f"there is no {what} `{name}`", where=f"--{what}", hint=hint)


def _problems(config: Config) -> Iterator[Complaint]:
    """Yield what types can not express: metrics against the task, and options that need others."""
    for name, model in config.models.items():
        path = ("models", name)
        gates = model.gates.configured()
        if not gates:
            names = ", ".join(GATES)
            yield Complaint(path=(*path, "gates"), message=f"no gate is configured ({names})")
        for gate_name, gate in gates.items():
            for problem in gate.problems(model.task):
                where = (*path, "gates", gate_name, *problem.path)
                yield Complaint(path=where, message=problem.message)
        yield from _without_anchor(path, model)
        yield from _matching_nothing(path, model)
        if model.gates.configured().get("artifact") and model.candidate.artifact is None:
            yield Complaint(
                path=(*path, "gates", "artifact"),
                message="it needs `candidate: {artifact: …}`, the model's file or folder",
            )
        if (model.baseline.on_other_data == "re-evaluate") != bool(model.baseline.predictions):
            yield Complaint(
                path=(*path, "baseline"),
                message="`on_other_data: re-evaluate` and `predictions` belong together: the "
                "baseline model's predictions on the present data",
            )
    yield from _in_reach(config)


def _without_anchor(path: tuple[str, ...], model: ModelConfig) -> Iterator[Complaint]:
    """Yield the limits on a change from an anchor that is not configured."""
    if model.baseline.anchor is not None:
        return
    for name, gate in model.gates.configured().items():
        for limit in gate.limits():
            if limit.verb.needs_anchor:
                yield Complaint(
                    path=(*path, "gates", name, *limit.path),
                    message=f"`{limit.verb.value}` needs an anchor: name an older alias or version "
                    "with `baseline: {anchor: last-release}`",
                )


def _in_reach(config: Config) -> Iterator[Complaint]:
    """Yield what is read and lies where a command may write: it could change it before."""
    commands = [m.candidate for m in config.models.values() if isinstance(m.candidate, Command)]
    folders = dict.fromkeys(normpath(PurePath(one.predictions).parent) for one in commands)
    for name, model in config.models.items():
        read = {
            ("data", "evaluation"): model.data.evaluation,
            ("baseline", "predictions"): model.baseline.predictions,
            ("baseline", "store"): model.baseline.store,
        }
        if not isinstance(model.candidate, Command):
            read["candidate", "predictions"] = model.candidate.predictions
        for key, there in read.items():
            for folder in folders:
                if there and PurePath(normpath(there)).is_relative_to(folder):
                    message = f"a candidate's command may change what is in `{folder}`: keep this "
                    yield Complaint(path=("models", name, *key), message=message + "elsewhere")


def _matching_nothing(path: tuple[str, ...], model: ModelConfig) -> Iterator[Complaint]:
    """Yield the patterns that no changed file could match: the model would never be judged."""
    for number, pattern in enumerate(model.paths):
        if pattern.startswith(("/", "!")) or "\\" in pattern or not pattern.strip():
            yield Complaint(
                path=(*path, "paths", number),
                message="a pattern begins at this file's folder, has slashes, and excludes "
                "nothing: `models/credit/**`",
            )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `model-gates.yml`, for editors and for CI."""
    schema = Config.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
