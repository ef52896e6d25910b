"""The answer for a terminal: what cannot be decided stands first, and what to do about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gates.power.answer import CheckPower, ModelPower, PowerReport, Standing
from gates.power.table import HEADS, LEGEND, WORDS, cells, counted, ordered, reasons, summary, to_do
from reporters.render.escape import Name, Said, plain
from reporters.render.terminal import printed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MAX_ROWS = 60
_ON_ONE_LINE = 46
_STYLES = {
    Standing.CANNOT: "yellow",
    Standing.UNKNOWN: "yellow",
    Standing.DECIDES: "green",
    Standing.POINT: "dim",
}


def render(report: PowerReport, *, width: int = 100, color: bool = False) -> str:
    """Return the answer as lines of at most `width` columns, with ANSI colours if asked."""
    return printed(partial(_write, report=report), width=width, color=color)


def _write(console: Console, report: PowerReport) -> None:
    standing = Standing.CANNOT if report.undecided else Standing.DECIDES
    symbol, _ = WORDS[standing]
    console.print(_text((f"{symbol} ", *summary(report)), _STYLES[standing]))
    for model in report.models:
        console.print()
        _model(console, model)
    if any(check.smallest_margin is not None for check in report.checks):
        console.print()
        console.print(_text((LEGEND,), "dim"))


def _model(console: Console, model: ModelPower) -> None:
    console.print(_text((Name(model.model), f" ({model.task.value})"), "bold"))
    console.print(_text((f"{model.rows:,} rows · {model.compared}",), "dim"))
    shown = ordered(model)
    for standing in Standing:
        checks = [check for check in shown if check.standing is standing]
        if checks:
            _block(console, standing, checks)
    for fact in (counted(model), *(f"note: {note}" for note in model.notes)):
        if fact:
            console.print(_text((fact,)))
    advice = list(to_do(model))
    if advice:
        console.print()
        console.print(_text(("To do",), "bold"))
    for said in advice:
        console.print(_text(("- ", *said)))


def _block(console: Console, standing: Standing, checks: list[CheckPower]) -> None:
    symbol, word = WORDS[standing]
    console.print()
    console.print(_text((f"{symbol} {word}",), _STYLES[standing]))
    if standing is Standing.UNKNOWN:
        for said in list(reasons(checks))[:MAX_ROWS]:
            console.print(_text(said))
    else:
        _grid(console, checks[:MAX_ROWS])
    if len(checks) > MAX_ROWS:
        console.print(f"… and {len(checks) - MAX_ROWS:,} more with --format json")


def _grid(console: Console, checks: list[CheckPower]) -> None:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    for _ in HEADS[1:]:
        grid.add_column(justify="right", no_wrap=True)
    grid.add_row(*(_text((head,), "dim") for head in HEADS))
    for check in checks:
        _, *figures = cells(check)
        grid.add_row(_id(check), *(_text(figure) for figure in figures))
    console.print(grid)


def _id(check: CheckPower) -> Text:
    """Return a rule id; a long one with its place on a line of its own."""
    whole = _text((Name(check.id),))
    if whole.cell_len <= _ON_ONE_LINE:
        return whole
    question, _, where = check.id.partition("@")
    return _text((Name(question),)).append("\n  @").append_text(_text((Name(where),)))


def _text(said: Said, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(said), style=style, overflow="fold")
