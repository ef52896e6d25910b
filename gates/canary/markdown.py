"""A rollout as Markdown: the step summary of the job that carries it out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gates.canary.sight import Sight
from gates.canary.state import State
from gates.canary.table import HEADS, LEGEND, facts, headline, rows, timeline, to_do
from gates.report import Verdict
from reporters.render.escape import Name, cell, md

# A job summary may have a megabyte; nobody reads more than this.
MAX_LINES: Final = 200


def render(state: State, sight: Sight | None) -> str:
    """Return a rollout as Markdown; nothing that came from outside does anything in it."""
    return "\n".join(_lines(state, sight)).rstrip() + "\n"


def _lines(state: State, sight: Sight | None) -> Iterator[str]:
    yield f"## {md((headline(state),))}"
    yield ""
    for name, said in facts(state, sight):
        if said:
            yield f"- {name}: {md(said)}"
    if state.plan is not None:
        yield f"- shares: {timeline(state)}"
    yield ""
    judged = rows(state)
    if judged:
        yield f"| {' | '.join(HEADS)} |"
        yield "|---|" + "--:|" * (len(HEADS) - 2) + "---|"
        yield from (f"| {' | '.join(cell(one) for one in row.cells)} |" for row in judged)
        yield from ("", LEGEND, "")
    for row in judged:
        if row.verdict is not Verdict.PASS:
            yield f"- {row.cells[0]}: {md((row.reason,))}"
    commands = to_do(state)
    if commands:
        yield from ("", "| to go on | |", "|---|---|")
        yield from (f"| {cell((Name(command),))} | {does} |" for command, does in commands)
    yield from _story(state)


def _story(state: State) -> Iterator[str]:
    """Yield every line of the journal, folded away, and its head: what an auditor compares."""
    if not state.story:
        return
    shown = state.story[-MAX_LINES:]
    yield from ("", "<details><summary>Journal</summary>", "", "| when | what | share | by |")
    yield "|---|---|--:|---|"
    for told in shown:
        what, by = cell((Name(told.what),)), cell((Name(told.by),))
        yield f"| {told.at} | {what} | {told.share} % | {by} |"
    yield from ("", "</details>")
