"""A report for GitLab: a note on the merge request, and a Code Quality report.

The note is the same Markdown as everywhere; `escape` makes GitLab's references inert with GitHub's,
and no line of a page begins with a value, where GitLab would look for a `/quick action`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gates.report import Effect, Report
from reporters.render import markdown
from reporters.render.entries import Entry, config_path, entries, line_of, sentence
from reporters.render.words import Tone

NOTE_BYTES = 1_000_000  # GitLab takes as many characters, and a character is a byte or more


def render_note(report: Report, *, override: str | None = None) -> str:
    """Return the report as Markdown for a merge-request note of at most a million characters."""
    return markdown.render(report, budget=NOTE_BYTES, override=override)


def render_codequality(
    report: Report, *, lines: Mapping[tuple[str, str], int] | None = None
) -> str:
    """Return what is amiss as a Code Quality report, for the merge request's widget.

    A pass has no entry, for the widget knows degradations only. Fingerprints follow from names, so
    that a finding of the target branch is known again on the merge request. `lines` gives the line
    of a model's rule, by model and rule id; without it, it is the first.
    """
    path = config_path(report)
    found = [
        _finding(entry, path, line_of(entry, lines)) for entry in entries(report) if entry.amiss
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _finding(entry: Entry, path: str, line: int) -> dict[str, Any]:
    return {
        "description": sentence(entry),
        "check_name": entry.kind,
        "fingerprint": entry.fingerprint,
        "severity": _severity(entry),
        "location": {"path": path, "lines": {"begin": line}},
    }


def _severity(entry: Entry) -> str:
    if entry.blocks:
        return "blocker"
    if entry.effect is Effect.NONE:
        return "info"
    return "minor" if entry.tone is Tone.UNDECIDED else "major"
