"""One check as a row: the same facts in the same words for every table."""

from __future__ import annotations

from dataclasses import dataclass

from gates.report import Check, GateResult, ModelReport, Verb
from reporters.render import figures, words
from reporters.render.escape import Name, Said
from reporters.render.words import Tone

# This gate's numbers are shares of rows, or 1 and 0 for what holds and what does not.
SHARES = "data-schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A check in words; `rule` is its id, and `about` says which metric of which rows."""

    tone: Tone
    word: str
    rule: Name
    gate: str
    about: Said
    baseline: str
    candidate: str
    delta: str
    limit: str
    n: str
    verdict: Said
    reason: str
    note: Said
    excess: float


def row(gate: str, check: Check, *, mixed: bool = False) -> Row:
    """Return one check in words; with `mixed` confidences, each interval says its own."""
    shared = is_share(gate, check)
    candidate, delta, limit = _shares(check) if shared else _numbers(check, mixed=mixed)
    return Row(
        tone=words.tone(check),
        word=words.word(check),
        rule=Name(check.id),
        gate=gate,
        about=(words.metric(check.metric), *words.where(check)),
        baseline=figures.number(check.baseline, figures.places(check)),
        candidate=candidate,
        delta=delta,
        limit=limit,
        n=f"{check.n:,}",
        verdict=words.verdict(check, direction=not shared),
        reason=check.reason,
        note=(check.reason, *((" Waived ", check.waiver) if check.waiver else ())),
        excess=excess(check),
    )


def is_share(gate: str, check: Check) -> bool:
    """Return whether a check's number is a share of rows rather than a metric."""
    value = check.candidate
    return gate == SHARES and check.verb is Verb.MIN and value is not None and 0 <= value <= 1


def open_rows(model: ModelReport) -> list[Row]:
    """Return every check that is not a plain pass, the worst and the furthest beyond first."""
    rows = [r for gate in model.gates for r in _rows(gate, model) if r.tone is not Tone.PASS]
    return sorted(rows, key=lambda r: (r.tone.rank, -r.excess))


def passing_rows(gate: GateResult, model: ModelReport) -> list[Row]:
    """Return a gate's checks that passed, in its own order."""
    return [r for r in _rows(gate, model) if r.tone is Tone.PASS]


def headers(model: ModelReport) -> tuple[str, str]:
    """Return the heads of the columns for the candidate and for the change."""
    held = [c for gate in model.gates for c in gate.checks if c.interval is not None]
    percents = confidences(model)
    brackets = f" [{percents[0]} interval]" if len(percents) == 1 else " [interval]"
    own, change = (any(c.interval_of == of for c in held) for of in ("candidate", "delta"))
    return f"Candidate{brackets if own else ''}", f"Δ{brackets if change else ''}"


def _rows(gate: GateResult, model: ModelReport) -> list[Row]:
    mixed = len(confidences(model)) > 1
    return [row(gate.gate, check, mixed=mixed) for check in gate.checks]


def confidences(model: ModelReport) -> list[str]:
    """Return the confidences of a model's intervals, each once."""
    held = [c.confidence for g in model.gates for c in g.checks if c.interval is not None]
    return list(dict.fromkeys(_percent(confidence) for confidence in held))


def _percent(confidence: float) -> str:
    return f"{figures.exact(round(100 * confidence, 6))} %"


def excess(check: Check) -> float:
    """Return how far a number is beyond its limit, as a share of the limit."""
    value = check.delta if check.interval_of == "delta" else check.candidate
    if value is None:
        return 0.0
    return abs(abs(value) - abs(check.bound)) / (abs(check.bound) or 1.0)


def holds(value: float) -> str:
    """Return a share of rows in words."""
    if value in (0.0, 1.0):
        return "holds" if value else "does not hold"
    return f"{figures.share(value)} of rows"


def _shares(check: Check) -> tuple[str, str, str]:
    required = "must hold" if check.candidate in (0.0, 1.0) else "every row"
    if check.bound != 1.0:
        required = f"≥ {figures.exact(round(100 * check.bound, 6))} % of rows"
    return holds(check.candidate or 0.0), figures.DASH, required


def _numbers(check: Check, *, mixed: bool) -> tuple[str, str, str]:
    decimals, interval = figures.places(check), figures.interval(check)
    if interval and mixed:
        interval = f"{interval} at {_percent(check.confidence)}"
    candidate = figures.number(check.candidate, decimals)
    delta = figures.number(check.delta, decimals, sign=True)
    if check.interval_of == "candidate":
        candidate = f"{candidate} {interval}".strip()
    else:
        delta = f"{delta} {interval}".strip()
    return candidate, delta, words.limit(check)
