"""A report as GitHub-flavoured Markdown: the pull request's comment, the job summary, report.md.

Values reach the text through one filter (`escape.md`, or `escape.cell` in tables), which the
environment applies even where the template forgets it. What does not fit into the budget is left
out whole, in a fixed order, and the page says so.
"""

from __future__ import annotations

import json
import shlex
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gates.report import Effect, GateResult, ModelReport, Report
from reporters.render import escape, figures, words
from reporters.render.causes import causes
from reporters.render.escape import Name, Said
from reporters.render.flips import FlipTable, flip_table
from reporters.render.groups import GroupTable, group_tables
from reporters.render.headline import CLAIMED, headline, not_run
from reporters.render.rows import Row, headers, open_rows, passing_rows
from reporters.render.since import State, changes, state_of, written
from reporters.render.template import MARKER, PAGE, drawn, overridden, sandboxed
from reporters.render.words import Tone

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

COMMENT_BYTES = 65_000
SUMMARY_BYTES = 1_000_000  # the runner drops a summary above 1 MiB whole
SHORT_LIST = 5
_SAMPLE = (5000, 2000, 1000, 500, 250, 100, 50, 25, 10, 5, 2, 1)
_ROW_BYTES = 60
_WAIVER = """  - rule: {1}
    model: {0}
    reason: "TODO: why this is acceptable for now"
    owner: "TODO: who answers for it"
    expires: {2}"""
_SYMBOLS = {
    Tone.ERROR: "🛑",
    Tone.FAIL: "❌",
    Tone.WARN: "⚠️",
    Tone.UNDECIDED: "⚪",
    Tone.WAIVED: "🟡",
    Tone.SKIPPED: "⏭️",
    Tone.PASS: "✅",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How much of a report is shown: whole sections, and at most so many rows and models."""

    groups: bool = True
    passing: bool = True
    flips: bool = True
    details: bool = True
    rows: int | None = None
    body: bool = True

    @property
    def left_out(self) -> str:
        """Return what a reader of the page does not see."""
        parts = {"rates by group": self.groups, "passing checks": self.passing}
        parts |= {"prediction changes": self.flips, "notes and details": self.details}
        missing = [part for part, shown in parts.items() if not shown]
        return ", ".join(missing + ([f"all but {self.rows} of each list"] if self.rows else []))


# Whatever the report holds, this page is short: names and reasons are bounded.
_HEADLINE = Cut(groups=False, passing=False, flips=False, details=False, body=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One model on the page."""

    model: ModelReport
    tone: Tone
    counts: str
    provenance: list[Said]
    headers: tuple[str, str]
    rows: list[Row]
    why: list[tuple[Row, list[Said]]]
    broken: list[tuple[GateResult, Said]]
    hints: list[tuple[Name, str]]
    passing: list[tuple[GateResult, list[Row]]]
    passed: int
    groups: list[GroupTable]
    flips: FlipTable | None
    notes: list[Said]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a comment knows of the one before it; `before` is None for the first."""

    before: State | None = None


def render(
    report: Report,
    *,
    budget: int = COMMENT_BYTES,
    marker: str = "default",
    memory: Memory | None = None,
    override: str | None = None,
) -> str:
    """Return the report as Markdown, cut to what a place takes: `budget` bytes of UTF-8.

    `marker` tells apart the comments of several runs on one pull request. With a `memory` the page
    says what changed since the last one, and carries what the next one needs. `override` is the
    text of a template that replaces named blocks. ConfigError when that cannot be used.
    """
    sections = sorted(map(_section, report.models), key=lambda section: section.tone.rank)
    template = _template() if override is None else overridden(_environment(), override)

    def page(shown: list[Section], how: Cut) -> str:
        context = _context(report, shown, how) | _remembered(report, memory)
        return drawn(template, context, f"{MARKER} id={escape.slug(marker)} -->")

    fitting: dict[Cut, str] = {}

    def fits(how: Cut) -> bool:
        if _least_bytes(sections, how) > budget:
            return False
        fitting[how] = page(sections, how)
        return len(fitting[how].encode()) <= budget

    whole, *smaller = _cuts()
    if fits(whole):
        return fitting[whole]
    # Each cut is smaller than the one before, so that a few looks find the first that fits.
    first = bisect_left(smaller, True, key=fits)  # noqa: FBT003  (what is looked for)
    return fitting[smaller[first]] if first < len(smaller) else page([], _HEADLINE)


def _cuts() -> Iterator[Cut]:
    """Yield ever smaller pages: what a reviewer needs least goes first."""
    yield Cut()
    yield Cut(groups=False)
    yield Cut(groups=False, passing=False)
    yield Cut(groups=False, passing=False, flips=False)
    yield Cut(groups=False, passing=False, flips=False, details=False)
    for rows in _SAMPLE:
        yield Cut(groups=False, passing=False, flips=False, details=False, rows=rows)


def _least_bytes(sections: list[Section], how: Cut) -> int:
    """Return a size that a page cannot be below, so that hopeless ones are not rendered."""
    rows = sum(len(section.rows[: how.rows]) for section in sections[: how.rows])
    if how.passing:
        rows += sum(section.passed for section in sections)
    return rows * _ROW_BYTES


def _context(report: Report, sections: list[Section], how: Cut) -> dict[str, Any]:
    """Return what the template may say."""
    tone, sentence = headline(report)
    return {
        "report": report,
        "symbol": _SYMBOLS[tone],
        "headline": sentence,
        "quiet": tone is Tone.PASS,
        "cut": how,
        "sections": sections[: how.rows],
        "command": Markup(command(report)),  # noqa: S704  (`_plain` vouches for every word of it)
        "waiver": _waiver(report),
    }


def _remembered(report: Report, memory: Memory | None) -> dict[str, Any]:
    """Return what changed since the last page, and the hidden line for the next one."""
    if memory is None:
        return {"since": [], "state": Markup("")}
    since = changes(memory.before, report) if memory.before else []
    return {"since": since, "state": Markup(written(state_of(report)))}  # noqa: S704  (base64)


def _section(model: ModelReport) -> Section:
    rows = open_rows(model)
    broken = [(g, not_run(g.gate, g.error)) for g in model.gates if g.error or not g.checks]
    noted: list[Said] = [(Name(g.gate), ": ", note) for g in model.gates for note in g.notes]
    passing = [(gate, found) for gate in model.gates if (found := passing_rows(gate, model))]
    return Section(
        model=model,
        tone=Tone.ERROR if broken else rows[0].tone if rows else Tone.PASS,
        counts=words.counts(model.gates),
        provenance=words.provenance(model),
        headers=headers(model),
        rows=rows,
        why=_why(model, rows),
        broken=broken,
        hints=[(Name(g.gate), g.hint) for g in model.gates if g.hint and words.unwell(g)],
        passing=passing,
        passed=sum(len(found) for _, found in passing),
        groups=[table for gate in model.gates for table in group_tables(gate)],
        flips=flip_table(model),
        notes=[*((note,) for note in model.notes), *noted],
    )


def command(report: Report) -> str:
    """Return the command that repeats the run; a name that no shell line can hold is left out."""
    parts = ["model-gates", "run"]
    if report.run.config and _plain(report.run.config):
        parts += ["--config", report.run.config]
    names = [model.model for model in report.models]
    if names and all(map(_plain, names)):
        parts += [part for name in names for part in ("--model", name)]
    return shlex.join(parts)


def _plain(value: str) -> bool:
    return escape.code(value) == f"`{value}`" and "`" not in value and not value.startswith("-")


def _why(model: ModelReport, rows: list[Row]) -> list[tuple[Row, list[Said]]]:
    """Return the first red checks, each with what the report shows about its cause."""
    checks = {check.id: (gate, check) for gate in model.gates for check in gate.checks}
    red = [row for row in rows if row.tone in (Tone.FAIL, Tone.WARN)][:SHORT_LIST]
    found = [(row, causes(model, *checks[row.rule.text])) for row in red]
    return [(row, said) for row, said in found if said]


def _waiver(report: Report) -> Markup:
    """Return a waiver for the first checks that block, to be filled in and committed; or nothing.

    The day is two weeks after the run: long enough to mend it, and short enough to remember it.
    """
    found = [
        (_copied(model.model), _copied(check.id))
        for model in report.models
        for gate in model.gates
        for check in gate.checks
        if check.effect is Effect.BLOCK
    ]
    lines = [_WAIVER.format(*pair, _until(report)) for pair in found[:SHORT_LIST]]
    return Markup("\n".join(lines))  # noqa: S704  (`_plain` vouches for the names)


def _copied(name: str) -> str:
    """Return a name as it is written in YAML; one that could do harm here is not."""
    return json.dumps(name if _plain(name) else "TODO: as it stands in report.json")


def _until(report: Report) -> str:
    try:
        started = datetime.fromisoformat(report.run.started)
    except ValueError:
        return "YYYY-MM-DD"
    return (started + timedelta(days=14)).date().isoformat()


@cache
def _environment() -> SandboxedEnvironment:
    """Return an environment whose templates escape whatever they are given."""
    environment = sandboxed()
    environment.globals |= {"CLAIMED": CLAIMED, "symbols": _SYMBOLS, "plural": figures.plural}
    environment.globals |= {"short_list": SHORT_LIST}
    environment.filters["short"] = words.short
    return environment


@cache
def _template() -> Template:
    return _environment().get_template(PAGE)
