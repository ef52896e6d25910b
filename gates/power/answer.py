"""What `model-gates power` found, as frozen data: `--format json` is this and nothing else."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gates.fields import Count, Model, Name, Number, Text
from gates.report import Check, Decide, Family, Task, ToolInfo, Verb

SCHEMA_VERSION: Literal[1] = 1


class Standing(StrEnum):
    """What becomes of a check on these rows; the order is that in which people want to see it."""

    CANNOT = "cannot"
    UNKNOWN = "unknown"
    DECIDES = "decides"
    POINT = "point"


class Basis(StrEnum):
    """Where the interval of a check is from: measured, or one of two models is assumed."""

    MEASURED = "measured"
    ASSUMED = "assumed"


class CheckPower(Model):
    """What one check can decide; limits are on the scale of the check's own limit.

    `smallest_margin` is how far a limit on change must be from no change, or the candidate's value
    from an absolute limit, to be decided with the power asked for; `smallest_limit` is the limit
    that this comes to. `chance` is how probably the limit as configured is decided. `fails_from` is
    the true change (or value, for `min` and `max`) from which a fail is found with that power, as
    one of `questions` that are corrected together. `approximate` marks a disparity, whose interval
    is made of bounds over pairs of groups.
    """

    id: Annotated[str, StringConstraints(max_length=600)]
    gate: Name
    metric: Name
    limit: dict[Verb, Number]
    decide: Decide
    family: Family
    n: Count
    standing: Standing
    basis: Basis | None = None
    method: Name | None = None
    confidence: Number
    candidate: Number | None = None
    smallest_margin: Number | None = None
    smallest_limit: Number | None = None
    rows_needed: Count | None = None
    chance: Number | None = None
    fails_from: Number | None = None
    questions: Count = 1
    approximate: bool = False
    reason: Text = ""
    advice: Text | None = None

    @property
    def verb(self) -> Verb:
        """Return the kind of limit."""
        return next(iter(self.limit))

    @property
    def bound(self) -> float:
        """Return the number of the limit."""
        return next(iter(self.limit.values()))


class ModelPower(Model):
    """What the checks of one model can decide, in the order in which `run` makes them."""

    model: Name
    task: Task
    rows: Count
    compared: Text
    notes: tuple[Text, ...] = ()
    checks: tuple[CheckPower, ...] = ()


class PowerReport(Model):
    """A whole answer: what was asked for, and what was found."""

    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    tool: ToolInfo
    power: Number
    drop: Number
    discordance: Number
    correlation: Number
    models: tuple[ModelPower, ...]

    @property
    def checks(self) -> tuple[CheckPower, ...]:
        """Return the checks of all models."""
        return tuple(check for model in self.models for check in model.checks)

    @property
    def undecided(self) -> int:
        """Return how many checks cannot decide their limit."""
        open_ones = (Standing.CANNOT, Standing.UNKNOWN)
        return sum(check.standing in open_ones for check in self.checks)


def dump(report: PowerReport) -> str:
    """Return the canonical text of an answer: same answer, same text."""
    data = report.model_dump(mode="json", by_alias=True)
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def place(check: Check | CheckPower) -> str:
    """Return the slice, group or sensitive set of a check, as its rule id has it."""
    return check.id.partition("@")[2]
