"""What a reader copies out of a report: the command that repeats it, the lines of a waiver."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from gates.report import Effect, Report
from reporters.render import escape
from reporters.render.entries import config_path
from reporters.render.rows import open_rows

MOST_WAIVERS = 20
_WAIVERS = "model-gates.waivers.yml"
_WAIVER = """  - rule: {1}
    model: {0}
    reason: "TODO: why this is acceptable for now"
    owner: "TODO: who answers for it"
    expires: {2}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Waivers to be filled in: where they belong, their lines, and how many checks have none."""

    path: str
    lines: str
    more: int


def command(report: Report) -> str:
    """Return the command that repeats the run; a name that no shell line can hold is left out."""
    parts = ["model-gates", "run"]
    if report.run.config and copied(report.run.config):
        parts += ["--config", report.run.config]
    names = [model.model for model in report.models]
    if names and all(map(copied, names)):
        parts += [part for name in names for part in ("--model", name)]
    return shlex.join(parts)


def waivers(report: Report) -> Snippet | None:
    """Return a waiver for each check that blocks, the worst first; None where none does.

    The day is two weeks after the run: long enough to mend it, and short enough to remember it.
    """
    blocking = {
        (model.model, check.id)
        for model in report.models
        for gate in model.gates
        for check in gate.checks
        if check.effect is Effect.BLOCK
    }
    ordered = [(model.model, row.rule.text) for model in report.models for row in open_rows(model)]
    found = [pair for pair in ordered if pair in blocking]
    if not found:
        return None
    shown, day = found[:MOST_WAIVERS], _until(report)
    return Snippet(
        path=_beside(report),
        lines="\n".join(_WAIVER.format(*map(_quoted, pair), day) for pair in shown),
        more=len(found) - len(shown),
    )


def copied(value: str) -> bool:
    """Return whether a name can be copied off the page as it is, and does nothing there."""
    return escape.code(value) == f"`{value}`" and "`" not in value and not value.startswith("-")


def _quoted(name: str) -> str:
    """Return a name as it is written in YAML; one that could do harm here is not."""
    shown = name if copied(name) else "TODO: as it stands in report.json"
    return json.dumps(shown, ensure_ascii=False)


def _beside(report: Report) -> str:
    path = str(PurePosixPath(config_path(report)).parent / _WAIVERS)
    return path if copied(path) else _WAIVERS


def _until(report: Report) -> str:
    try:
        started = datetime.fromisoformat(report.run.started)
    except ValueError:
        return "YYYY-MM-DD"
    return (started + timedelta(days=14)).date().isoformat()
