"""The answer as Markdown, for a comment or a page of the project's own."""

from __future__ import annotations

from collections.abc import Iterator

from gates.power.answer import CheckPower, ModelPower, PowerReport, Standing
from gates.power.table import HEADS, LEGEND, WORDS, cells, counted, ordered, reasons, summary, to_do
from reporters.render.escape import Name, cell, md

MAX_ROWS = 200


def render(report: PowerReport) -> str:
    """Return the answer as Markdown; nothing that came from outside does anything in it."""
    lines = ["## What these rows can decide", "", f"**{md(summary(report))}**", ""]
    for model in report.models:
        lines += _model(model)
    if any(check.smallest_margin is not None for check in report.checks):
        lines.append(md(LEGEND))
    return "\n".join(lines).rstrip() + "\n"


def _model(model: ModelPower) -> Iterator[str]:
    yield f"### {md(Name(model.model))} ({model.task.value})"
    yield ""
    yield md(f"{model.rows:,} rows · {model.compared}")
    yield ""
    shown = [check for check in ordered(model) if check.standing is not Standing.UNKNOWN]
    yield from _table(shown[:MAX_ROWS])
    if len(shown) > MAX_ROWS:
        yield from (f"… and {len(shown) - MAX_ROWS:,} more with `--format json`.", "")
    unknown = list(reasons(model.checks))
    facts = [(fact,) for fact in (counted(model), *model.notes) if fact]
    for title, items in (
        ("Nothing to decide by", unknown),
        ("To do", list(to_do(model))),
        ("Notes", facts),
    ):
        if items:
            yield from (f"**{title}**", "", *(f"- {md(item)}" for item in items[:MAX_ROWS]), "")


def _table(checks: list[CheckPower]) -> Iterator[str]:
    if not checks:
        return
    yield f"| | {' | '.join(HEADS)} |"
    yield "|---|---|" + "--:|" * (len(HEADS) - 1)
    for check in checks:
        written = " | ".join(cell(value) if value != ("",) else "" for value in cells(check))
        yield f"| {WORDS[check.standing][0]} | {written} |"
    yield ""
