"""Which findings are shown beside a line of the configuration: pure, and few of each level.

GitHub shows ten annotations of a level and step, and drops the rest in silence; here the worst nine
are shown, and the tenth says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from gates.report import Check, Effect, GateResult, ModelReport, Report, Verdict
from reporters.publish.place import Find, Spot
from reporters.render.escape import Name, cut, plain
from reporters.render.headline import not_run, said
from reporters.render.rows import excess
from reporters.render.words import tone

if TYPE_CHECKING:
    from reporters.render.escape import Said

MOST = 10
_MAX_TEXT = 1_000


class Level(StrEnum):
    """How an annotation is shown; a check run says `failure` where the runner says `error`."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One finding at a line, or at none where nobody knows it; the worst has the lowest `order`."""

    level: Level
    title: str
    text: str
    spot: Spot | None
    order: tuple[int, float] = (-1, 0.0)


def marks(report: Report, find: Find) -> tuple[Mark, ...]:
    """Return what to show of a report: what blocks, what warns, what is only reported.

    The worst comes first, as on the page; before all, what did not run.
    """
    found = sorted(_found(report, find), key=lambda mark: mark.order)
    return tuple(mark for level in Level for mark in _fewer([m for m in found if m.level is level]))


def _fewer(found: list[Mark]) -> list[Mark]:
    if len(found) <= MOST:
        return found
    left = len(found) - MOST + 1
    rest = Mark(
        level=found[0].level,
        title=f"{left:,} more",
        text=f"{left:,} more of this level are in the report.",
        # A check run shows nothing that stands nowhere.
        spot=next((mark.spot for mark in found if mark.spot), None),
    )
    return [*found[: MOST - 1], rest]


def _found(report: Report, find: Find) -> Iterator[Mark]:
    if report.error:
        yield _mark(Level.ERROR, "model-gates", ("no verdict: ", report.error.message), None)
    for model in report.models:
        if model.error:
            what: Said = (Name(model.model), ": ", model.error.message)
            yield _mark(Level.ERROR, model.model, what, find(model.model, "", None))
        for gate in model.gates:
            yield from _of_gate(model, gate, find)


def _of_gate(model: ModelReport, gate: GateResult, find: Find) -> Iterator[Mark]:
    if gate.error or not gate.checks:
        what = (Name(model.model), ": ", *not_run(gate.gate, gate.error))
        yield _mark(Level.ERROR, gate.gate, what, find(model.model, gate.gate, None))
    for check in gate.checks:
        level = _level(check)
        if level:
            what = (Name(model.model), ": ", *said(gate.gate, check))
            # Without a number, the reason is all that there is to say, and it was said.
            what += () if check.verdict is Verdict.ERROR else (". ", check.reason)
            mark = _mark(level, check.id, what, find(model.model, gate.gate, check))
            yield replace(mark, order=(tone(check).rank, -excess(check)))


def _level(check: Check) -> Level | None:
    if check.verdict in (Verdict.PASS, Verdict.SKIPPED):
        return None
    shown = {Effect.BLOCK: Level.ERROR, Effect.WARN: Level.WARNING, Effect.NONE: Level.NOTICE}
    return shown[check.effect]


def _mark(level: Level, title: str, text: Said, spot: Spot | None) -> Mark:
    return Mark(level=level, title=plain(Name(title)), text=cut(plain(text), _MAX_TEXT), spot=spot)
