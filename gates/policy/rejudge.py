"""Judge anew what a run says it found, by rules that the run had no hand in: pure.

The report of a pull request's own run may have been written by anybody. Of a check only its numbers
are taken, and the names of the rows they are of; which checks there must be, their limits, who acts
on them, every verdict, effect, reason and waiver are made here, by `gates.decide`. Text that our
own code can not make again is left out. What contradicts itself is refused as a whole.

Two things can not be told from a configuration: whether the numbers are true, and whether a slice
that no check of the report is about was there. So the report that comes of this says of itself
that its numbers are claims.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from gates import __version__
from gates.config import Gate, ModelConfig
from gates.decide import blocked, settle, unchanged, verdict_of
from gates.errors import ConfigError, Refused
from gates.fields import bounded
from gates.picture import Flips, GroupRate, Portrait
from gates.policy.changes import few
from gates.policy.checked import Held, checked
from gates.policy.left_out import missing, missing_model, selection_of
from gates.policy.rules import Rules
from gates.report import (
    BaselineInfo,
    CandidateInfo,
    ErrorInfo,
    GateResult,
    ModelReport,
    Report,
    RunInfo,
    ToolInfo,
    Verdict,
    worst,
)
from gates.waivers import applied

_EXIT_CODES = {"config": 2, "input": 3, "environment": 4, "refused": 5, "bug": 70}
_KINDS = {
    "config": "the configuration or the command line is wrong",
    "input": "the data, the predictions, the model or the baseline cannot be used",
    "environment": "something around it failed",
    "refused": "it refused for safety",
    "bug": "it met a bug",
}
_HINT = "No run of Model Gates writes that: look at what the pull request runs."
_MOST = {bool: 1, int: 10**15, float: 1e100}
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TIME = re.compile(r"[0-9T:.Z+-]{10,40}")


def rejudge(
    report: Report,
    rules: Rules,
    run: RunInfo,
    *,
    on: date,
    needed: Collection[str] | None = None,
) -> Report:
    """Return the report that the numbers of `report` come to under these rules.

    `needed` are the models that the change is about, as GitHub tells it. Of the others, those may
    be missing that the run says it has left out; with None no model may. Raises Refused when the
    report contradicts itself.
    """
    tool, info = ToolInfo(version=__version__), rules.info
    if not _moderate(report.model_dump(mode="json")):
        raise Refused("the report has a number that no run comes to", hint=_HINT)
    if report.error is not None and not report.models:
        error = _said(report.error)
        return Report(tool=tool, blocked=True, error=error, run=run, policy=info, claimed=True)
    _refuse_twins("model", [model.model for model in report.models])
    found = {model.model: model for model in report.models}
    told = _Told(lines=[f"model `{bounded(n)}`" for n in found if n not in rules.config.models])
    selection = selection_of(report, rules, run, needed)
    left_out = selection.left_out if selection else ()
    models = [
        _absent(name, model, missing_model(report, needed))
        if name not in found
        else _model(rules, name, model, found[name], told)
        for name, model in rules.config.models.items()
        if bounded(name) not in left_out
    ]
    if selection is not None and not models:
        changes = few([*info.changes, *told.all()])
        policy = info.model_copy(update={"changes": changes})
        return unchanged(selection, policy, run).model_copy(update={"claimed": True})
    waived = applied(models, rules.waivers, on=on)
    return Report(
        tool=tool,
        verdict=None if all(model.error for model in models) else verdict_of(models),
        blocked=blocked(waived.models, info),
        error=next((model.error for model in models if model.error), None),
        run=run,
        models=waived.models,
        policy=info.model_copy(update={"changes": few([*info.changes, *told.all()])}),
        waivers=waived.told,
        selection=selection,
        claimed=True,
    )


@dataclass(kw_only=True)
class _Told:
    """What of the report was left out or came out otherwise, for the reader."""

    lines: list[str] = field(default_factory=list)
    others: int = 0

    def all(self) -> Iterator[str]:
        """Yield a line for each."""
        for line in self.lines:
            yield f"{line}: in the run's report and not in these rules, and left out"
        if self.others:
            word = "verdict" if self.others == 1 else "verdicts"
            yield f"{self.others:,} {word} of the run's report came out otherwise by these rules"


def _absent(name: str, model: ModelConfig, error: ErrorInfo) -> ModelReport:
    return ModelReport(model=name, task=model.task, verdict=Verdict.ERROR, error=error)


def _model(
    rules: Rules, name: str, model: ModelConfig, found: ModelReport, told: _Told
) -> ModelReport:
    if found.error is not None:
        return _absent(name, model, _said(found.error))
    bare = ModelReport(model=name, task=model.task, verdict=Verdict.ERROR)
    _refuse_twins("gate", [gate.gate for gate in found.gates])
    there = {gate.gate: gate for gate in found.gates}
    if found.candidate is None:
        raise Refused("the report names no candidate", where=bounded(name), hint=_HINT)
    configured = model.gates.configured()
    told.lines += [f"gate `{bounded(n)}` of `{name}`" for n in there if n not in configured]
    gates = tuple(
        _gate(rules, model, gate, (found, there.get(known)), told)
        for known, gate in configured.items()
    )
    return bare.model_copy(
        update={
            "verdict": worst([gate.verdict for gate in gates]),
            "candidate": _candidate(model, found.candidate),
            "baseline": _baseline(model.baseline.alias, found.baseline),
            "anchor": _baseline(model.baseline.anchor or "", found.anchor),
            "comparison": found.comparison,
            "ledger": found.ledger,
            "portrait": Portrait(flips=_flips(model, found.portrait.flips)),
            "data": {key: data for key, data in found.data.items() if key == "evaluation"},
            "gates": gates,
        }
    )


def _gate(
    rules: Rules,
    model: ModelConfig,
    gate: Gate,
    claimed: tuple[ModelReport, GateResult | None],
    told: _Told,
) -> GateResult:
    (whole, found), name = claimed, claimed[0].model
    bare = GateResult(gate=gate.gate)
    if found is None:
        return bare.model_copy(update={"error": missing("gate")})
    if found.error is not None:
        return bare.model_copy(update={"error": _said(found.error)})
    _refuse_twins("check", [check.id for check in found.checks])
    policy = rules.config.policy(model)
    try:
        asked = tuple(gate.declared(policy, rules.root))
    except ConfigError as error:
        return bare.model_copy(update={"error": ErrorInfo.of(error)})
    held = Held(
        policy=policy,
        model=model,
        name=name,
        asked=asked,
        rows=None if whole.candidate is None else whole.candidate.rows,
        bare=whole.baseline is None and whole.anchor is None,
    )
    made = checked(held, found.checks)
    told.lines += [f"check `{bounded(rule)}` of `{name}`" for rule in made.strangers]
    result = settle(bare.model_copy(update={"checks": made.checks}))
    made.require_sound(result.checks)
    verdicts = {check.id: check.verdict for check in found.checks}
    told.others += sum(
        check.id in verdicts and check.verdict is not verdicts[check.id] for check in result.checks
    )
    sets = {one.sensitive for one in asked if one.sensitive}
    groups = tuple(_group(one) for one in found.groups if one.sensitive in sets)
    return result.model_copy(update={"groups": groups})


def _refuse_twins(what: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused(
            f"the report has a {what} twice",
            where=bounded(twice[0]),
            hint=_HINT,
        )


def _moderate(value: Any) -> bool:
    """Return whether every number is one that arithmetic does not break on."""
    if isinstance(value, dict):
        return all(_moderate(one) for one in value.values())
    if isinstance(value, list):
        return all(_moderate(one) for one in value)
    return not isinstance(value, int | float) or abs(value) <= _MOST[type(value)]


def _said(error: ErrorInfo) -> ErrorInfo:
    """Return an error without its own words, which may be anybody's."""
    return ErrorInfo(
        kind=error.kind,
        exit_code=_EXIT_CODES[error.kind],  # type: ignore[arg-type]
        message=f"The run reached no verdict here: it says that {_KINDS[error.kind]}.",
        hint="Its own log and report say more.",
    )


def _candidate(model: ModelConfig, found: CandidateInfo | None) -> CandidateInfo | None:
    ref = bounded(model.candidate.predictions)
    return found and found.model_copy(update={"ref": ref})


def _baseline(ref: str, found: BaselineInfo | None) -> BaselineInfo | None:
    if found is None:
        return None
    at, sha = found.registered_at, found.git_sha
    return found.model_copy(
        update={
            "ref": bounded(ref),
            "registered_at": at if _TIME.fullmatch(at) else "",
            "git_sha": sha if sha is not None and _SHA.fullmatch(sha) else None,
        }
    )


def _flips(model: ModelConfig, found: Flips | None) -> Flips | None:
    if found is None or model.data.id in model.privacy.public:
        return found
    return found.model_copy(update={"broken_ids": ()})


def _group(found: GroupRate) -> GroupRate:
    return found.model_copy(update={"note": None})
