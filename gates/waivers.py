"""Waivers as code: a check that may stay red for a while, who answers for it, and until when.

`model-gates.waivers.yml` stands beside the configuration, so that it is reviewed like code. It
changes what policy makes of a verdict and never the verdict; it is shown in every report. One that
has expired is no waiver; one that nothing needed any more, and one that expires soon, are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictStr

from gates import yaml_source
from gates.complaints import Complaint, complaints, emptied, refuse
from gates.fields import Digest, Model, bounded
from gates.report import Check, Effect, GateResult, ModelReport, Verdict

WAIVERS_NAME = "model-gates.waivers.yml"
MOST_DAYS = 90
_SOON = timedelta(days=7)
# What the snippet in a report leaves open, for a person to say.
_TO_SAY = {
    "rule": "give the rule id as it stands in report.json",
    "model": "give the model's name as it stands in report.json",
    "reason": "say why this is acceptable for now; somebody will read it",
    "owner": "say who answers for it",
}
_WAIVABLE = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR)


def _day(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("expected a day such as 2026-12-31")  # noqa: TRY004  (pydantic's way)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a day such as 2026-12-31") from None


class Waiver(Model):
    """One check that may stay as it is until a day."""

    rule: StrictStr = Field(
        min_length=1, max_length=600, description="Rule id as it stands in the report."
    )
    model: StrictStr | None = Field(default=None, description="This model only; else every model.")
    reason: StrictStr = Field(
        min_length=10, max_length=500, description="Why it is acceptable for now."
    )
    owner: StrictStr = Field(min_length=1, max_length=100, description="Who answers for it.")
    expires: Annotated[date, BeforeValidator(_day)] = Field(
        description=f"Last day it holds, at most {MOST_DAYS} days ahead."
    )
    candidate: Digest | None = Field(
        default=None, description="Only for the predictions with this digest."
    )

    def covers(self, model: ModelReport, check: Check) -> bool:
        """Return whether it is about this check of this model, whatever the day."""
        digest = model.candidate.digest if model.candidate else None
        return (
            self.rule == check.id
            and self.model in (None, model.model)
            and self.candidate in (None, digest)
        )

    @property
    def told(self) -> str:
        """Return the waiver as one line of a report."""
        return bounded(f"until {self.expires} by {self.owner} – {self.reason}", 2000)


class _File(Model):
    version: Literal[1]
    waivers: tuple[Waiver, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """Reports with their waivers applied, and a line for each waiver that was given."""

    models: tuple[ModelReport, ...]
    told: tuple[str, ...]


def load(path: Path, *, on: date, shown: str | None = None) -> tuple[Waiver, ...]:
    """Return the waivers in a file. ConfigError, with the place, for everything wrong with it."""
    source = yaml_source.load(path, shown=shown)
    parsed, found = complaints(_File, source.data)
    known = {complaint.path for complaint in found}
    found += [one for one in emptied(source.data) if one.path not in known]
    if parsed is not None:
        found += _problems(parsed.waivers, on)
    if found or parsed is None:
        raise refuse(source, found)
    return parsed.waivers


def _problems(waivers: Sequence[Waiver], on: date) -> Iterator[Complaint]:
    latest = on + timedelta(days=MOST_DAYS)
    for i, waiver in enumerate(waivers):
        if waiver.expires > latest:
            message = f"expires more than {MOST_DAYS} days ahead; {latest} is the latest day today"
            yield Complaint(path=("waivers", i, "expires"), message=message)
        for key, message in _TO_SAY.items():
            if (getattr(waiver, key) or "").startswith("TODO"):
                yield Complaint(path=("waivers", i, key), message=message)


def applied(models: Sequence[ModelReport], waivers: Sequence[Waiver], *, on: date) -> Applied:
    """Return settled reports with the waivers that hold on a day applied, and all of them told."""
    holding = [waiver for waiver in waivers if waiver.expires >= on]
    changed = tuple(_applied(model, holding) for model in models)
    return Applied(models=changed, told=tuple(_told(waiver, changed, on) for waiver in waivers))


def _applied(model: ModelReport, waivers: Sequence[Waiver]) -> ModelReport:
    gates = tuple(_in_gate(model, gate, waivers) for gate in model.gates)
    return model.model_copy(update={"gates": gates})


def _in_gate(model: ModelReport, gate: GateResult, waivers: Sequence[Waiver]) -> GateResult:
    checks = tuple(_waived(model, check, waivers) for check in gate.checks)
    return gate.model_copy(update={"checks": checks})


def _waived(model: ModelReport, check: Check, waivers: Sequence[Waiver]) -> Check:
    found = next((waiver for waiver in waivers if waiver.covers(model, check)), None)
    if found is None or check.verdict not in _WAIVABLE or check.effect is Effect.NONE:
        return check
    return check.model_copy(update={"waiver": found.told, "effect": Effect.NONE})


def _told(waiver: Waiver, models: Sequence[ModelReport], on: date) -> str:
    line = f"{waiver.rule} {waiver.told}"
    if waiver.expires < on:
        return bounded(f"{line} (expired: it holds no more)", 2000)
    covered = [
        check
        for model in models
        for gate in model.gates
        for check in gate.checks
        if waiver.covers(model, check)
    ]
    if not any(check.waiver for check in covered):
        why = "its check did not need it" if covered else "there is no such check"
        return bounded(f"{line} (unused: {why}; remove it)", 2000)
    left = (waiver.expires - on).days
    return bounded(
        f"{line} (expires in {left} days)" if waiver.expires - on <= _SOON else line, 2000
    )
