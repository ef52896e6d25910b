"""The renderers, by the name that `--format` and `--to` take."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gates.report import Report, dump
from reporters.render import badge, console, gitlab, junit, markdown, openmetrics, sarif


def _json(report: Report) -> str:
    """Return the report as it stands in `report.json`."""
    return dump(report).decode()


def _html(report: Report) -> str:
    """Return the report as one self-contained HTML page with charts, which needs no network."""
    from reporters.render.html.page import render

    return render(report)


# These are filled from a template, of which a team may replace blocks (`override`).
MARKDOWN: dict[str, Callable[..., str]] = {
    "markdown": markdown.render,
    "github-summary": partial(markdown.render, budget=markdown.SUMMARY_BYTES),
    "gitlab-note": gitlab.render_note,
}

# These point to lines of the configuration, where somebody knows them (`lines`).
LINED: dict[str, Callable[..., str]] = {
    "gitlab-codequality": gitlab.render_codequality,
    "sarif": sarif.render,
}

RENDERERS: dict[str, Callable[[Report], str]] = {
    "json": _json,
    "console": console.render,
    **MARKDOWN,
    "gitlab-codequality": gitlab.render_codequality,
    "html": _html,
    "junit": junit.render,
    "sarif": sarif.render,
    "openmetrics": openmetrics.render,
    "badge": badge.render_endpoint,
    "badge-svg": badge.render_svg,
}
