"""Every check of a report, and everything that did not run, as one flat list for machines.

A format with one entry a check (JUnit, SARIF, Code Quality, OpenMetrics) reads this. Names are
clean, bounded and unique, so that no two entries can be taken for one, and what did not run is an
entry of its own: a reader that knows only entries must not see a shorter list and call it green.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gates.report import Check, Effect, ErrorInfo, GateResult, ModelReport, Report
from reporters.render import words
from reporters.render.escape import Name, Said, name, plain
from reporters.render.headline import KINDS, NO_RULES, not_run, said
from reporters.render.words import Tone

CONFIG = "model-gates.yml"
# What stands in the place of a rule for something that should have run and did not.
RAN = "ran"
_FACTS = {
    *("verdict", "effect", "baseline", "candidate", "delta", "interval", "interval_of"),
    *("confidence", "method", "n", "n_needed", "smallest_limit", "limit", "decide"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A check, or (without `check`) a run, a model or a gate that did not get to its checks.

    `rule` is the check's id, made unique within its model and gate; `kind` is its id without the
    place, the same for every slice. `fingerprint` depends on names alone, so it outlives a run.
    """

    model: str
    gate: str
    rule: str
    kind: str
    tone: Tone
    effect: Effect
    said: str
    details: tuple[str, ...]
    fingerprint: str
    check: Check | None = None
    hint: str = ""

    @property
    def amiss(self) -> bool:
        """Return whether it is anything but a pass or what stated policy left out."""
        return self.tone not in (Tone.PASS, Tone.SKIPPED)

    @property
    def blocks(self) -> bool:
        """Return whether this alone blocks the run."""
        return self.effect is Effect.BLOCK


def entries(report: Report) -> list[Entry]:
    """Return a report's entries in its own order; never an empty list."""
    found: list[Entry] = []
    # An error of a model is the run's too, and is told once, where it happened.
    if not report.models or (report.error and not any(m.error for m in report.models)):
        found.append(_of_run(report))
    models = _unique([model.model for model in report.models])
    for shown, model in zip(models, report.models, strict=True):
        found += _of_model(shown, model)
    if report.blocked and not any(entry.blocks for entry in found):
        unruled = report.policy is not None and report.policy.blocks
        why = NO_RULES if unruled else ("the run is blocked: nothing was decided",)
        found.append(_problem("", "", None, why))
    counted: Counter[str] = Counter()
    for i, entry in enumerate(found):
        counted[entry.fingerprint] += 1
        key = entry.fingerprint, counted[entry.fingerprint]
        found[i] = replace(entry, fingerprint=_digest(*key))
    return found


def facts(check: Check) -> dict[str, Any]:
    """Return what a check measured and what came of it: numbers and words of ours, no names."""
    found = check.model_dump(mode="json", include=_FACTS, exclude_none=True)
    return found | {"method": name(check.method)}


def started(report: Report) -> datetime | None:
    """Return when the run began, in UTC; None where the report does not say it in a known form."""
    try:
        return datetime.fromisoformat(report.run.started).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def config_path(report: Report) -> str:
    """Return the configuration file's path with forward slashes, as a repository has it."""
    path = name(report.run.config or CONFIG).replace("\\", "/")
    return path.removeprefix("./") or CONFIG


def line_of(entry: Entry, lines: Mapping[tuple[str, str], int] | None) -> int:
    """Return the line of an entry's rule in the configuration; the first where it is not known."""
    return (lines or {}).get((entry.model, entry.check.id), 1) if entry.check else 1


def _of_run(report: Report) -> Entry:
    if report.error:
        text: Said = (f"{KINDS[report.error.kind]}: ", report.error.message)
        return _problem("", "", report.error, text)
    entry = _problem("", "", None, ("no model was judged",))
    # A run that chose to judge nothing, say because no model's files changed, is not an error.
    return entry if report.blocked else replace(entry, tone=Tone.SKIPPED, effect=Effect.NONE)


def _of_model(shown: str, model: ModelReport) -> Iterator[Entry]:
    if model.error:
        yield _problem(shown, "", model.error, ("the model was not judged: ", model.error.message))
    elif not model.gates:
        yield _problem(shown, "", None, ("nothing was decided: no gate ran",))
    gates = _unique([gate.gate for gate in model.gates])
    for gate_shown, gate in zip(gates, model.gates, strict=True):
        yield from _of_gate(shown, gate_shown, gate)


def _of_gate(model: str, shown: str, gate: GateResult) -> Iterator[Entry]:
    if gate.error or not gate.checks:
        yield _problem(model, shown, gate.error, not_run(gate.gate, gate.error))
    rules = _unique([check.id for check in gate.checks], taken={RAN})
    for rule, check in zip(rules, gate.checks, strict=True):
        yield Entry(
            model=model,
            gate=shown,
            rule=rule,
            kind=name(check.id.partition("@")[0]),
            tone=words.tone(check),
            effect=check.effect,
            said=plain(_found(shown, check)),
            details=(plain((check.reason,)),),
            fingerprint=_digest(model, shown, check.id),
            check=check,
            hint=plain((gate.hint or "",)),
        )


def _problem(model: str, gate: str, error: ErrorInfo | None, text: Said) -> Entry:
    lines = [] if error is None else [("where: ", error.where), *(("- ", d) for d in error.details)]
    return Entry(
        model=model,
        gate=gate,
        rule=RAN,
        kind=f"model-gates/{error.kind if error else 'nothing-decided'}",
        tone=Tone.ERROR,
        effect=Effect.BLOCK,
        said=plain(text),
        details=tuple(plain((label, line)) for label, line in lines if line),
        fingerprint=_digest(model, gate, RAN),
        hint=plain(((error and error.hint) or "",)),
    )


def _found(gate: str, check: Check) -> Said:
    """Return what a check found, with what policy or a waiver makes of it."""
    tone = words.tone(check)
    if tone is Tone.SKIPPED:
        return (words.metric(check.metric), *words.where(check), " is skipped: ", check.reason)
    after: Said = (", waived: ", check.waiver or "") if tone is Tone.WAIVED else ()
    if tone is not Tone.WAIVED and tone is not Tone.PASS and check.effect is not Effect.BLOCK:
        warns = check.effect is Effect.WARN
        after = (" (warns only)" if warns else " (reported only)",)
    return (*said(gate, check), *after)


def _unique(values: list[str], taken: set[str] | None = None) -> list[str]:
    """Return the values as names that differ, also where only what nobody sees told them apart."""
    seen = set(taken or ())
    shown = []
    for value in values:
        base = one = name(value)
        count = 1
        while one in seen:
            count += 1
            one = f"{base} ({count})"
        seen.add(one)
        shown.append(one)
    return shown


def _digest(*parts: str | int) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def sentence(entry: Entry) -> str:
    """Return an entry in one line, with the model it is about."""
    return plain((Name(entry.model), ": ", entry.said)) if entry.model else entry.said
