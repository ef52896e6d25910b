"""The renderers, by the name that `--format` and `--to` take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gates.report import Report, dump
from reporters.render import console, markdown


def _json(report: Report) -> str:
    """Return the report as it stands in `report.json`."""
    return dump(report).decode()


RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": _json,
    "markdown": markdown.render,
    "console": console.render,
    "github-summary": partial(markdown.render, budget=markdown.SUMMARY_BYTES),
}
