"""A report as GitHub-flavoured Markdown: the pull request's comment, the job summary, report.md.

Values reach the text through one filter (`escape.md`, or `escape.cell` in tables), which the
environment applies even where the template forgets it. What does not fit into the budget is left
out whole, in a fixed order, and the page says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gates.report import GateResult, ModelReport, Report
from reporters.render import escape, figures, pasted, words
from reporters.render.causes import causes
from reporters.render.escape import Name, Said
from reporters.render.flips import FlipTable, flip_table
from reporters.render.groups import GroupTable, group_tables
from reporters.render.headline import CLAIMED, headline, not_run
from reporters.render.rows import Row, headers, open_rows, passing_rows
from reporters.render.since import State, changes, state_of, written
from reporters.render.template import MARKER, PAGE, drawn, overridden, sandboxed, too_long
from reporters.render.words import Tone

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

COMMENT_BYTES = 65_000
SUMMARY_BYTES = 1_000_000  # the runner drops a summary above 1 MiB whole
SHORT_LIST = 5
_SAMPLE = (5000, 2000, 1000, 500, 250, 100, 50, 25, 10, 5, 2, 1)
_LEAST_BYTES = 3_000  # a headline always fits into them
_RED = (Tone.FAIL, Tone.WARN)
_FEW = 10  # rows; below it the page has no room for how to reproduce and to waive, either
_ROW_BYTES = 60
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

    green: bool = True
    groups: bool = True
    passing: bool = True
    flips: bool = True
    details: bool = True
    rows: int | None = None
    body: bool = True


# Whatever the report holds, this page is short: names and reasons are bounded.
_HEADLINE = Cut(green=False, groups=False, passing=False, flips=False, details=False, body=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One model on the page."""

    model: ModelReport
    tone: Tone
    counts: str
    provenance: list[Said]
    headers: tuple[str, str]
    rows: list[Row]
    red: int
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
    """Return the report as Markdown, cut to what its place takes.

    `budget` is in bytes of UTF-8. `marker` tells apart the comments of several runs on one pull
    request. With a `memory` the page says what changed since the last one, and carries what the
    next one needs. `override` is the text of a template that replaces named blocks. ConfigError
    when that cannot be used.
    """
    sections = sorted(map(_section, report.models), key=lambda section: section.tone.rank)
    template = _template() if override is None else overridden(_environment(), override)

    def page(shown: list[Section], how: Cut, most: int) -> str | None:
        context = _context(report, shown, how) | _remembered(report, memory)
        return drawn(template, context, f"{MARKER} id={escape.slug(marker)} -->", most)

    fitting: dict[Cut, str] = {}

    def fits(how: Cut) -> bool:
        if _least_bytes(sections, how) > budget:
            return False
        found = page(sections, how, budget)
        if found is not None:
            fitting[how] = found
        return found is not None

    whole, *smaller = _cuts()
    if fits(whole):
        return fitting[whole]
    # Each cut is smaller than the one before, so that a few looks find the first that fits.
    first = bisect_left(smaller, True, key=fits)  # noqa: FBT003  (what is looked for)
    if first < len(smaller):
        return fitting[smaller[first]]
    least = max(budget, _LEAST_BYTES)
    last = page([], _HEADLINE, least)
    if last is None:
        raise too_long(least)
    return last


def _cuts() -> Iterator[Cut]:
    """Yield ever smaller pages: what a reviewer needs least goes first, how to act on it last."""
    yield Cut()
    yield Cut(green=False)
    yield Cut(green=False, groups=False)
    yield Cut(green=False, groups=False, passing=False)
    yield Cut(green=False, groups=False, passing=False, flips=False)
    for rows in _SAMPLE:
        details = rows >= _FEW
        yield Cut(green=False, groups=False, passing=False, flips=False, details=details, rows=rows)


def _left_out(sections: list[Section], how: Cut) -> str:
    """Return what the report holds and a reader of the page does not see."""
    parts = {
        "models that passed": how.green or not any(map(_is_aside, sections)),
        "rates by group": how.groups or not any(section.groups for section in sections),
        "passing checks": how.passing or not any(section.passing for section in sections),
        "prediction changes": how.flips or not any(section.flips for section in sections),
        "notes and details": how.details,
    }
    missing = [part for part, shown in parts.items() if not shown]
    longest = max((len(section.rows) for section in sections), default=0)
    if how.rows and max(longest, len(sections)) > how.rows:
        missing.append(f"all but {how.rows} of each list")
    return ", ".join(missing)


def _least_bytes(sections: list[Section], how: Cut) -> int:
    """Return a size that a page cannot be below, so that hopeless ones are not rendered."""
    shown = sections if how.green else [s for s in sections if not _is_aside(s)]
    rows = sum(len(section.rows[: how.rows]) for section in shown[: how.rows])
    if how.passing:
        rows += sum(section.passed for section in shown)
    return rows * _ROW_BYTES


def _context(report: Report, sections: list[Section], how: Cut) -> dict[str, Any]:
    """Return what the template may say."""
    tone, sentence = headline(report)
    several = len(sections) > 1 and tone is not Tone.PASS
    shown = [section for section in sections if not (several and _is_aside(section))]
    return {
        "report": report,
        "symbol": _SYMBOLS[tone],
        "headline": sentence,
        "quiet": tone is Tone.PASS,
        "cut": how,
        "left_out": _left_out(sections, how),
        "aside": [section for section in sections if several and _is_aside(section)],
        "sections": shown[: how.rows],
        "command": Markup(pasted.command(report)),  # noqa: S704  (`copied` vouches for its words)
        "waivers": _waivers(report),
        "run_url": _run_url(report),
    }


def _is_aside(section: Section) -> bool:
    """Return whether a model needs a line only, where another is not so well."""
    return section.tone in (Tone.PASS, Tone.SKIPPED)


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
        red=sum(row.tone in _RED for row in rows),
        why=_why(model, rows),
        broken=broken,
        hints=[(Name(g.gate), g.hint) for g in model.gates if g.hint and words.unwell(g)],
        passing=passing,
        passed=sum(len(found) for _, found in passing),
        groups=[table for gate in model.gates for table in group_tables(gate)],
        flips=flip_table(model),
        notes=[*((note,) for note in model.notes), *noted],
    )


def _waivers(report: Report) -> dict[str, Any] | None:
    found = pasted.waivers(report)
    if found is None:
        return None
    # `copied` vouches for the names in it.
    return {"path": Name(found.path), "lines": Markup(found.lines), "more": found.more}  # noqa: S704


def _run_url(report: Report) -> Markup:
    """Return the address of the run's own page; empty where it is none, and could be any text."""
    return Markup((report.run.ci and report.run.ci.link) or "")  # noqa: S704  (held by a pattern)


def _why(model: ModelReport, rows: list[Row]) -> list[tuple[Row, list[Said]]]:
    """Return the first red checks, each with what the report shows about its cause."""
    checks = {check.id: (gate, check) for gate in model.gates for check in gate.checks}
    red = [row for row in rows if row.tone in _RED][:SHORT_LIST]
    found = [(row, causes(model, *checks[row.rule.text])) for row in red]
    return [(row, said) for row, said in found if said]


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
