"""A report as GitHub-flavoured Markdown: the pull request's comment, the job summary, report.md.

Values reach the text through one filter (`escape.md`, or `escape.cell` in tables), which the
environment applies even where the template forgets it. What does not fit into the budget is left
out whole, in a fixed order, and the page says so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from gates.report import GateResult, ModelReport, Report
from reporters.render import escape, figures, words
from reporters.render.escape import Name, Said
from reporters.render.groups import GroupTable, group_tables
from reporters.render.headline import headline, not_run
from reporters.render.rows import Row, headers, open_rows, passing_rows
from reporters.render.words import Tone

if TYPE_CHECKING:
    from jinja2 import Template

COMMENT_BYTES = 65_000
SUMMARY_BYTES = 1_000_000  # the runner drops a summary above 1 MiB whole
SHORT_LIST = 5
_SAMPLE = (5000, 2000, 1000, 500, 250, 100, 50, 25, 10, 5, 2, 1)
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

    groups: bool = True
    passing: bool = True
    details: bool = True
    rows: int | None = None
    body: bool = True

    @property
    def left_out(self) -> str:
        """Return what a reader of the page does not see."""
        parts = {"rates by group": self.groups, "passing checks": self.passing}
        parts |= {"notes and details": self.details}
        missing = [part for part, shown in parts.items() if not shown]
        return ", ".join(missing + ([f"all but {self.rows} of each list"] if self.rows else []))


# Whatever the report holds, this page is short: names and reasons are bounded.
_HEADLINE = Cut(groups=False, passing=False, details=False, body=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One model on the page."""

    model: ModelReport
    tone: Tone
    counts: str
    provenance: list[Said]
    headers: tuple[str, str]
    rows: list[Row]
    broken: list[tuple[GateResult, Said]]
    hints: list[tuple[Name, str]]
    passing: list[tuple[GateResult, list[Row]]]
    passed: int
    groups: list[GroupTable]
    notes: list[Said]


def render(report: Report, *, budget: int = COMMENT_BYTES, marker: str = "default") -> str:
    """Return the report as Markdown of at most `budget` bytes of UTF-8.

    `marker` tells apart the comments of several runs on one pull request.
    """
    sections = sorted(map(_section, report.models), key=lambda section: section.tone.rank)
    pages = (
        _page(report, sections, how, marker)
        for how in _cuts()
        if _least_bytes(sections, how) <= budget
    )
    headline_alone = _page(report, [], _HEADLINE, marker)
    return next((page for page in pages if len(page.encode()) <= budget), headline_alone)


def _cuts() -> Iterator[Cut]:
    """Yield ever smaller pages: what a reviewer needs least goes first."""
    yield Cut()
    yield Cut(groups=False)
    yield Cut(groups=False, passing=False)
    yield Cut(groups=False, passing=False, details=False)
    for rows in _SAMPLE:
        yield Cut(groups=False, passing=False, details=False, rows=rows)


def _least_bytes(sections: list[Section], how: Cut) -> int:
    """Return a size that a page cannot be below, so that hopeless ones are not rendered."""
    rows = sum(len(section.rows[: how.rows]) for section in sections[: how.rows])
    if how.passing:
        rows += sum(section.passed for section in sections)
    return rows * _ROW_BYTES


def _page(report: Report, sections: list[Section], how: Cut, marker: str) -> str:
    tone, sentence = headline(report)
    page = _template().render(
        report=report,
        marker=escape.slug(marker),
        symbol=_SYMBOLS[tone],
        headline=sentence,
        quiet=tone is Tone.PASS,
        cut=how,
        sections=sections[: how.rows],
        command=_command(report),
    )
    return re.sub(r"\n{3,}", "\n\n", page.strip()) + "\n"


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
        broken=broken,
        hints=[(Name(g.gate), g.hint) for g in model.gates if g.hint and words.unwell(g)],
        passing=passing,
        passed=sum(len(found) for _, found in passing),
        groups=[table for gate in model.gates for table in group_tables(gate)],
        notes=[*((note,) for note in model.notes), *noted],
    )


def _command(report: Report) -> str:
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


@cache
def _template() -> Template:
    """Return the page's template, in an environment that escapes whatever it is given."""
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment
    from markupsafe import Markup

    def safe(value: Any) -> Markup:
        # Markup is what a macro returns: escaped already, value by value.
        return value if isinstance(value, Markup) else Markup(escape.md(value))  # noqa: S704

    environment = SandboxedEnvironment(
        loader=PackageLoader("reporters.render", "templates"),
        autoescape=True,
        finalize=safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = lambda value: Markup(escape.cell(value))  # noqa: S704
    environment.filters["as_is"] = Markup  # the marker is a slug; `_plain` vouches for the command
    environment.filters["name"] = lambda value: Name(str(value))
    environment.filters["short"] = words.short
    environment.globals |= {"symbols": _SYMBOLS, "plural": figures.plural}
    environment.globals |= {"short_list": SHORT_LIST}
    return environment.get_template("report.md.j2")
