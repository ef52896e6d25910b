"""A rollout for a terminal: where it is, what each step showed, and which command leads on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gates.canary.sight import Sight
from gates.canary.state import State
from gates.canary.table import HEADS, LEGEND, facts, headline, rows, timeline, to_do, tone
from gates.report import Verdict
from reporters.render.escape import Said, plain
from reporters.render.terminal import printed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_NAMES = 12
_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.SKIPPED: "dim",
}


def render(state: State, sight: Sight | None, *, width: int = 100, color: bool = False) -> str:
    """Return a rollout as lines of at most `width` columns, with ANSI colours if asked."""
    write = partial(_write, state=state, sight=sight)
    return printed(write, width=width, color=color)


def _write(console: Console, state: State, sight: Sight | None) -> None:
    console.print(_text((headline(state),), _STYLES[tone(state)]))
    for name, said in facts(state, sight):
        if said:
            console.print(_fact(name, said))
    if state.plan is not None:
        console.print(_fact("shares", (timeline(state),)))
    judged = rows(state)
    if judged:
        console.print()
        console.print(_grid(state))
        console.print(_text((LEGEND,), "dim"))
    for row in judged:
        if row.verdict is not Verdict.PASS:
            console.print(_text((f"{row.cells[0]}: {row.reason}",), _STYLES[row.verdict]))
    commands = to_do(state)
    if commands:
        console.print()
    for command, does in commands:
        console.print(_text((f"$ {command}",)).append_text(_text((f"   # {does}",), "dim")))


def _grid(state: State) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    for number, _ in enumerate(HEADS):
        left = number in (0, len(HEADS) - 1)
        grid.add_column(justify="left" if left else "right", no_wrap=True)
    grid.add_row(*(_text((head,), "dim") for head in HEADS))
    for row in rows(state):
        *figures, verdict = row.cells
        grid.add_row(*(_text((one,)) for one in figures), _text((verdict,), _STYLES[row.verdict]))
    return grid


def _fact(name: str, said: Said) -> Text:
    """Return a fact with its name in a column of its own."""
    return _text((f"{name}",), "dim").append(" " * (_NAMES - len(name))).append_text(_text(said))


def _text(said: Said, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(said), style=style, overflow="fold")
