"""What a person is shown of a rollout, whatever it is written on: headline, steps, what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gates.canary.plan import Plan
from gates.canary.program import Act, Name, act
from gates.canary.sight import Sight
from gates.canary.state import Phase, State
from gates.report import Verdict
from reporters.render.escape import Name as Quoted
from reporters.render.escape import Said

HEADS: Final = ("step", "requests", "errors", "error rate", "rise", "latency", "verdict")
LEGEND: Final = "requests, errors and rates: canary / stable; rise in points, latency as a ratio"
SYMBOLS: Final = {
    Verdict.PASS: "✔",
    Verdict.FAIL: "✘",
    Verdict.INCONCLUSIVE: "?",
    Verdict.ERROR: "⚠",
    Verdict.SKIPPED: "-",
}
_PHASES: Final[dict[Phase, tuple[str, str]]] = {
    Phase.IDLE: ("-", "nothing was rolled out yet"),
    Phase.RUNNING: ("…", "on its way"),
    Phase.HELD: ("?", "held, and a person decides"),
    Phase.ABORTING: ("…", "going back"),
    Phase.UNCONFIRMED: ("⚠", "on its way back, unconfirmed: a person must act"),
    Phase.PROMOTED: ("✔", "promoted: the candidate serves"),
    Phase.SHADOWED: ("✔", "judged as a shadow, and passed: no user met it"),
    Phase.ROLLED_BACK: ("✘", "rolled back: what served before serves"),
}
_ABORT = ("abort", "sends everything back to what served before")
_COMMANDS: Final[dict[Phase, tuple[tuple[str, str], ...]]] = {
    Phase.RUNNING: (("status", "looks again"), _ABORT),
    Phase.HELD: (
        ("advance", "takes this step for passed, and goes on with the next"),
        ("resume", "begins this step anew"),
        ("promote", "gives it all of the traffic, looks once more, and lets it serve"),
        _ABORT,
    ),
    Phase.ABORTING: (_ABORT,),
    Phase.UNCONFIRMED: (_ABORT,),
}
_SHOWN = 12
_NONE = "–"
_HEX = re.compile(r"(sha256:)?[0-9a-f]{40,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One act that was judged, in the words of `HEADS`, and what its judgement said last."""

    cells: tuple[str, ...]
    verdict: Verdict
    reason: str


def headline(state: State) -> str:
    """Return where the rollout is, in one line."""
    symbol, words = _PHASES[state.phase]
    if state.plan is None:
        return f"{symbol} {words}"
    share = "" if state.phase.ended else f" ({state.share} % of the traffic)"
    return f"{symbol} {state.plan.rollout} is {words}{share}"


def tone(state: State) -> Verdict:
    """Return how a rollout stands, in the words of a verdict."""
    if state.phase in (Phase.PROMOTED, Phase.SHADOWED):
        return Verdict.PASS
    if state.phase in (Phase.ROLLED_BACK, Phase.ABORTING):
        return Verdict.FAIL
    return Verdict.ERROR if state.phase is Phase.UNCONFIRMED else Verdict.INCONCLUSIVE


def facts(state: State, sight: Sight | None) -> Iterator[tuple[str, Said]]:
    """Yield what there is to know, each with its name."""
    plan = state.plan
    if plan is not None:
        yield "candidate", (Quoted(plan.candidate.image), f" {short(plan.candidate.digest)}")
        yield "stable", (Quoted(plan.stable.image), f" {short(plan.stable.digest)}")
        yield "why", (state.why,) if state.why else ()
        yield "asked for", _asked(plan, state)
        yield "evidence", _evidence(plan)
    if sight is not None:
        yield "serves now", (_serving(sight),)


def timeline(state: State) -> str:
    """Return the canary's shares over time, such as `0 → 5 → 25 → 0 %`."""
    shares: list[int] = []
    for told in state.story:
        if not shares or shares[-1] != told.share:
            shares.append(told.share)
    return " → ".join(str(share) for share in shares) + " %" if shares else _NONE


def rows(state: State) -> list[Row]:
    """Return the acts that were judged, each as it was judged last."""
    last: dict[str, Mapping[str, Any]] = {}
    for told in state.story:
        if told.what.startswith("judged "):
            last[told.what.removeprefix("judged ")] = told.body["judgement"]
    return [_row(act(name), judgement) for name, judgement in last.items()]


def to_do(state: State) -> tuple[tuple[str, str], ...]:
    """Return the commands that lead on from here, each with what it does."""
    if state.plan is None:
        return ()
    named = _COMMANDS.get(state.phase, ())
    name = shlex.quote(state.plan.deployment)
    return tuple((f"model-gates canary {command} {name}", does) for command, does in named)


def short(digest: str | None) -> str:
    """Return as much of a digest as a person compares."""
    return _NONE if digest is None else digest.removeprefix("sha256:")[:_SHOWN]


def _row(step: Act, judgement: Mapping[str, Any]) -> Row:
    findings = {one["id"]: one for one in judgement["findings"]}
    errors = _named(findings, "error_rate")
    latency = _named(findings, "latency")
    verdict = Verdict(judgement["verdict"])
    name = f"{step.share} %" if step.name is Name.JUDGE else str(step)
    cells = (
        name,
        _pair(errors, "requests"),
        _pair(errors, "errors"),
        _rates(errors),
        _with_interval(errors, percent=True),
        _with_interval(latency, percent=False),
        f"{SYMBOLS[verdict]} {verdict.value}",
    )
    return Row(cells=cells, verdict=verdict, reason=str(judgement["reason"]))


def _named(findings: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    return next((one for name, one in findings.items() if f"/{metric}" in name), {})


def _pair(finding: Mapping[str, Any], key: str) -> str:
    """Return the canary's count beside the stable side's."""
    sides = (finding.get("canary"), finding.get("stable"))
    return " / ".join(f"{side[key]:,}" if side else _NONE for side in sides)


def _rates(finding: Mapping[str, Any]) -> str:
    sides = (finding.get("canary"), finding.get("stable"))
    if not all(side and side["value"] is not None for side in sides):
        return _NONE
    return " / ".join(f"{side['value'] * 100:.2f}" for side in sides if side) + " %"


def _with_interval(finding: Mapping[str, Any], *, percent: bool) -> str:
    value, interval = finding.get("value"), finding.get("interval")
    if value is None:
        return _NONE
    shape = "{:+.2f}" if percent else "{:.2f}"
    times = 100 if percent else 1
    ends = [_NONE if end is None else shape.format(end * times) for end in interval or ()]
    sign = "" if percent else "×"
    return shape.format(value * times) + sign + (f" [{', '.join(ends)}]" if ends else "")


def _asked(plan: Plan, state: State) -> Said:
    parts = [plan.asked.get("by", ""), plan.asked.get("reason", ""), plan.asked.get("run", "")]
    first = state.story[0].at if state.story else ""
    return (Quoted(", ".join(part for part in (*parts, first) if part)),)


def _evidence(plan: Plan) -> Said:
    told = (f"{key} {_brief(value)}" for key, value in plan.evidence.items())
    return (Quoted(", ".join(told)),)


def _brief(value: str) -> str:
    """Return a digest or a commit as much as a person compares, anything else as it is."""
    return short(value) if _HEX.fullmatch(value) else value


def _serving(sight: Sight) -> str:
    sides = (("stable", sight.stable), ("canary", sight.canary))
    return "; ".join(
        f"{side} {short(seen.digest)} {seen.share:.0%}, {seen.health}" for side, seen in sides
    )
