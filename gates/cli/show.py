"""Show a report: print it, or hand it to who publishes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from gates.errors import ConfigError, EnvironmentFault
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    from gates.cli.publish import Choice
    from gates.report import Report


def show_all(
    environ: Mapping[str, str], found: Report, places: Sequence[str], choice: Choice
) -> None:
    """Print or publish a report at every place, and only then raise what failed first."""
    faults = []
    for to in places:
        # One that fails keeps no other from being told.
        try:
            _show(environ, found, to, choice)
        except EnvironmentFault as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def _show(environ: Mapping[str, str], found: Report, to: str, choice: Choice) -> None:
    """Print a report, or publish it."""
    from reporters.render.registry import LINED, RENDERERS

    if to == "github-summary":
        _summarise(environ, found, choice)
    elif to in LINED:
        from gates.cli.publish import rule_lines

        typer.echo(LINED[to](found, lines=rule_lines(environ, found)), nl=False)
    elif to in RENDERERS:
        typer.echo(rendered(found, to, choice.override), nl=False)
    else:
        from gates.cli.publish import publish
        from reporters.publish.registry import PUBLISHERS

        if to not in PUBLISHERS:
            raise _unknown(to)
        publish(environ, found, to, choice)


def _summarise(environ: Mapping[str, str], found: Report, choice: Choice) -> None:
    from gates.cli.publish import summarise
    from gates.github.context import ci_info
    from reporters.publish.place import vouched

    here = ci_info(environ)
    shown = vouched(found, here.url) if here else found
    page = rendered(shown, "github-summary", choice.override)
    summarise(environ, page, require_post=choice.require_post)


def rendered(report: Report, to: str, override: str | None = None) -> str:
    """Return a report as text. ConfigError for a name that nothing renders to."""
    from reporters.render.registry import MARKDOWN, RENDERERS

    if to not in RENDERERS:
        raise _unknown(to)
    if override is not None:
        return MARKDOWN[to](report, override=override)
    if to == "console":
        return _for_terminal(report)
    return RENDERERS[to](report)


def _unknown(to: str) -> ConfigError:
    from reporters.publish.registry import PUBLISHERS
    from reporters.render.registry import RENDERERS

    names = (*RENDERERS, *PUBLISHERS)
    hint = suggestion(to, names) or f"There are: {', '.join(names)}."
    return ConfigError(f"nothing renders to `{to}`", where="--to", hint=hint)


def _for_terminal(report: Report) -> str:
    from reporters.render.console import render

    if not sys.stdout.isatty():
        return render(report)
    return render(report, width=shutil.get_terminal_size().columns, color=True)
