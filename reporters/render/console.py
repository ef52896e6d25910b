"""A report for a terminal: the decision, the checks that are not a plain pass, one line per gate.

Symbols stand beside words, so that nothing rests on colour. Text from outside is cleaned of
control sequences and never read as markup.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gates.report import ErrorInfo, GateResult, ModelReport, Report, Selection
from reporters.render import words
from reporters.render.escape import Name, Said, plain
from reporters.render.figures import DASH
from reporters.render.headline import CLAIMED, headline, not_run
from reporters.render.rows import Row, confidences, open_rows
from reporters.render.terminal import printed
from reporters.render.words import Tone

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

MAX_ROWS = 40
_LABEL = 24
_SYMBOLS = {
    Tone.ERROR: ("✘", "bold red", "ERROR"),
    Tone.FAIL: ("✘", "bold red", "FAILS"),
    Tone.WARN: ("!", "yellow", "WARNS"),
    Tone.UNDECIDED: ("?", "yellow", "UNDECIDED"),
    Tone.WAIVED: ("~", "yellow", "WAIVED"),
    Tone.SKIPPED: ("-", "dim", "SKIPPED"),
    Tone.PASS: ("✔", "green", "PASSES"),
}


def render(report: Report, *, width: int = 100, color: bool = False) -> str:
    """Return the report as lines of at most `width` columns, with ANSI colours if asked."""
    return printed(partial(_write, report=report), width=width, color=color)


def _write(console: Console, report: Report) -> None:
    tone, sentence = headline(report)
    symbol, style, _ = _SYMBOLS[tone]
    console.print(_text((f"{symbol} Model gate: ", *sentence), style))
    if report.error:
        console.print(_failure(report.error))
    if report.claimed:
        console.print(_text(("! ", CLAIMED), "yellow"))
    for change in report.policy.changes if report.policy else ():
        console.print(_text(("! policy changed: ", change), "yellow"))
    if report.selection and report.selection.left_out:
        console.print(_left_out(report.selection))
    for model in report.models:
        console.print()
        _model(console, model)


def _left_out(selection: Selection) -> Text:
    names = [plain((Name(model),)) for model in selection.left_out[:MAX_ROWS]]
    rest = len(selection.left_out) - len(names)
    names += [f"and {rest:,} more"] if rest else []
    since = Name(selection.since[:12])
    said: Said = ("not judged, as nothing of theirs has changed since ", since, ": ")
    return _text((*said, ", ".join(names)), "dim")


def _model(console: Console, model: ModelReport) -> None:
    facts = [plain(fact) for fact in words.provenance(model)]
    facts += [f"{percent} intervals" for percent in confidences(model)]
    console.print(_text((Name(model.model), f" ({model.task.value})"), "bold"))
    console.print(_text((" · ".join(facts),), "dim"))
    rows = open_rows(model)
    if rows:
        console.print()
        console.print(_grid([_entry(row) for row in rows[:MAX_ROWS]]))
    if len(rows) > MAX_ROWS:
        console.print(f"… and {len(rows) - MAX_ROWS:,} more in report.json")
    console.print()
    console.print(_grid([_gate(gate) for gate in model.gates]))
    for note in model.notes:
        console.print(_text(("note: ", note)))


def _entry(row: Row) -> tuple[Text, Text]:
    """Return a check that is not a plain pass: what it is about, its numbers, what they mean."""
    symbol, style, word = _SYMBOLS[row.tone]
    held = f"{row.baseline} → {row.candidate}" if row.baseline != DASH else row.candidate
    change = f"Δ {row.delta}" if row.delta != DASH else DASH
    numbers = [held, change, f"limit: {row.limit}", f"n {row.n}"]
    lines = [
        _text((row.gate, ": ", *row.about)),
        _text((" · ".join(part for part in numbers if part != DASH),), "dim"),
    ]
    if row.tone is not Tone.FAIL:
        lines.append(_text(row.verdict))
    return _text((f"{symbol} {word}",), style), _joined(lines)


def _gate(gate: GateResult) -> tuple[Text, Text]:
    """Return a gate's counts, then what it wants a reader to know."""
    tones = [words.tone(check) for check in gate.checks]
    tone = min(tones, key=lambda t: t.rank, default=Tone.ERROR)
    symbol, style, _ = _SYMBOLS[Tone.ERROR if gate.error else tone]
    lines = [_text((f"{words.counts((gate,))}",))]
    if gate.error:
        lines.append(_text(not_run(gate.gate, gate.error)))
        lines += _facts(gate.error)
    lines += [_text(("note: ", note)) for note in gate.notes]
    if gate.hint and words.unwell(gate):
        lines.append(_text(("to do: ", gate.hint)))
    return _text((f"{symbol} ", Name(gate.gate)), style), _joined(lines)


def _failure(error: ErrorInfo) -> Text:
    return _joined([_text((error.message,)), *_facts(error)])


def _facts(error: ErrorInfo) -> list[Text]:
    """Return where it happened, what else was found, and what to do next."""
    facts = [("where: ", error.where), *(("- ", line) for line in error.details)]
    facts.append(("to do: ", error.hint))
    return [_text((label, fact)) for label, fact in facts if fact]


def _grid(rows: list[tuple[Text, Text]]) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, max_width=_LABEL)
    grid.add_column(overflow="fold")
    for label, content in rows:
        grid.add_row(label, content)
    return grid


def _text(said: Said, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(said), style=style, overflow="fold")


def _joined(lines: list[Text]) -> Text:
    from rich.text import Text

    return Text("\n").join(lines)
