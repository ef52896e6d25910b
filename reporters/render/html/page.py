"""A report as one HTML file: the decision first, what needs a look next, then what to look at.

An interval stands beside its limit in the row that says both (`marks`), and a group's rates are
drawn in the cells that state them (`rates`), so that a table is its own picture and reads well on a
telephone, on paper and aloud. What needs axes is drawn by Vega (`charts`): at most eight charts a
model, whatever the number of checks. The template sees values through one filter (`text.markup`),
and the browser is told to load and run nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from jinja2 import PackageLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from gates.report import GateResult, ModelReport, Report
from reporters.render import figures, words
from reporters.render.causes import causes
from reporters.render.escape import Name, Said
from reporters.render.headline import CLAIMED, headline, not_run
from reporters.render.html import pictures, tables
from reporters.render.html.data import Data, data
from reporters.render.html.marks import Mark, marks
from reporters.render.html.pictures import Chart
from reporters.render.html.rates import Rates, rates
from reporters.render.html.tables import Confusion, FlipRow, SliceTable
from reporters.render.html.text import beside, figure, markup, rate
from reporters.render.pasted import command, waivers
from reporters.render.rows import Row, confidences, headers, open_rows, passing_rows
from reporters.render.words import Tone

MOST_ROWS = 300
SHOWN_ROWS = 40
SHORT_LIST = 6
# Beyond so many models nobody looks at every chart, and each takes its time to draw.
MOST_PICTURED = 12
_DECISION = {True: "Blocked", False: "Not blocked", None: "No verdict"}
_VERDICTS = {
    Tone.ERROR: "error",
    Tone.FAIL: "fails",
    Tone.WARN: "warns",
    Tone.UNDECIDED: "undecided",
    Tone.WAIVED: "waived",
    Tone.SKIPPED: "skipped",
    Tone.PASS: "passes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One model on the page."""

    key: str
    model: ModelReport
    tone: Tone
    counts: str
    facts: list[Said]
    headers: tuple[str, str]
    marks: dict[str, Mark]
    confidences: str
    rows: list[Row]
    why: dict[str, list[Said]]
    broken: list[tuple[GateResult, Said]]
    hints: list[tuple[Name, str]]
    passing: list[tuple[GateResult, list[Row]]]
    passed: int
    slices: SliceTable | None
    rates: list[Rates]
    flips: list[FlipRow]
    more_flips: int
    data: Data | None
    looks: list[Chart]
    confusion: Confusion | None
    history: list[Chart]
    notes: list[Said]


def render(report: Report) -> str:
    """Return the report as a page. Raises EnvironmentFault where the extra is not installed."""
    tone, sentence = headline(report)
    ranked = sorted(report.models, key=lambda model: _tone(model).rank)
    reached = None if report.error else report.blocked
    return (
        _template()
        .render(
            report=report,
            tone=tone,
            decision=_DECISION[reached],
            headline=sentence,
            sections=[_section(model, place) for place, model in enumerate(ranked)],
            command=command(report),
            waivers=waivers(report),
        )
        .strip()
        + "\n"
    )


def _tone(model: ModelReport) -> Tone:
    if any(gate.error or not gate.checks for gate in model.gates):
        return Tone.ERROR
    tones = [words.tone(check) for gate in model.gates for check in gate.checks]
    return min(tones, key=lambda tone: tone.rank, default=Tone.ERROR)


def _section(model: ModelReport, place: int) -> Section:
    key, pictured = f"m{place + 1}", place < MOST_PICTURED
    flips, more_flips = tables.flip_rows(model)
    noted: list[Said] = [(Name(g.gate), ": ", note) for g in model.gates for note in g.notes]
    passing = [(gate, found) for gate in model.gates if (found := passing_rows(gate, model))]
    return Section(
        key=key,
        model=model,
        tone=_tone(model),
        counts=words.counts(model.gates),
        facts=words.provenance(model),
        headers=headers(model),
        marks=marks(check for gate in model.gates for check in gate.checks),
        confidences=" or ".join(confidences(model)),
        rows=open_rows(model),
        why=_why(model),
        broken=[(g, not_run(g.gate, g.error)) for g in model.gates if g.error or not g.checks],
        hints=[(Name(g.gate), g.hint) for g in model.gates if g.hint and words.unwell(g)],
        passing=passing,
        passed=sum(len(found) for _, found in passing),
        slices=tables.slice_table(model),
        rates=[found for gate in model.gates for found in rates(gate)],
        flips=flips,
        more_flips=more_flips,
        data=data(model),
        looks=pictures.looks(model, key) if pictured else [],
        confusion=tables.confusion(model),
        history=pictures.history(model, key) if pictured else [],
        notes=[*((note,) for note in model.notes), *noted],
    )


def _why(model: ModelReport) -> dict[str, list[Said]]:
    """Return what the report shows about the cause of each red check, by rule id."""
    return {
        check.id: said
        for gate in model.gates
        for check in gate.checks
        if (said := causes(model, gate, check))
    }


@cache
def _template() -> Template:
    """Return the page's template, in an environment that escapes whatever it is given."""
    environment = SandboxedEnvironment(
        loader=PackageLoader("reporters.render", "templates"),
        autoescape=True,
        finalize=markup,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"beside": beside, "figure": figure, "rate": rate}
    environment.filters |= {"name": lambda value: Name(str(value)), "short": words.short}
    environment.globals |= {"verdicts": _VERDICTS, "plural": figures.plural}
    environment.globals |= {"CLAIMED": CLAIMED, "short_list": SHORT_LIST}
    environment.globals |= {"shown_rows": SHOWN_ROWS, "most_rows": MOST_ROWS}
    return environment.get_template("report.html.j2")
