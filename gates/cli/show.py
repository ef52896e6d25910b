"""`report`: show a report, or hand it to who publishes it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.place import run_info
from gates.cli.template import override, require_able
from gates.errors import ConfigError, EnvironmentFault, GatesError, InputError
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    from gates.cli.publish import Choice
    from gates.cli.rejudge import Untrusted
    from gates.report import Report


class Comment(StrEnum):
    """When a pull request gets a comment (`reporters.publish.place.When`)."""

    CHANGES = "changes"
    FAILURES = "failures"
    ALWAYS = "always"
    OFF = "off"


def report(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A report.json.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="What to render it to, or where to publish it; may be repeated.",
            show_default="console",
        ),
    ] = None,
    comment: Annotated[
        Comment, typer.Option(help="When a pull request gets a comment.")
    ] = Comment.CHANGES,
    slug: Annotated[
        str | None, typer.Option(help="Tells apart what several configurations publish.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="Does, too; the default is the report's. For --rejudge: as the repository has it.",
        ),
    ] = None,
    pull_request: Annotated[
        int | None, typer.Option(min=1, help="The pull request, where the event does not say.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="The login that the token of an app writes as.")
    ] = None,
    begin: Annotated[
        bool, typer.Option("--begin", help="Begin the check run, before there is a report.")
    ] = False,
    require_post: Annotated[
        bool, typer.Option("--require-post", help="Exit with 4 when it can not be published.")
    ] = False,
    template: Annotated[
        Path | None, typer.Option(help="A template that replaces blocks of the Markdown.")
    ] = None,
    rejudge: Annotated[
        bool,
        typer.Option(
            "--rejudge", help="In a `workflow_run` job: take its numbers, and judge them anew."
        ),
    ] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="For --rejudge: the models that were judged.")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="For --rejudge: the gates that were run.")
    ] = None,
) -> None:
    """Render or publish a report.json; exit with 0 whatever its verdict."""
    from gates.cli import publish

    places = to or ["console"]
    choice = publish.Choice(
        when=comment.value,
        slug=slug,
        config=config,
        pull=pull_request,
        author=author,
        require_post=require_post,
    )
    if template is not None:
        require_able(places)
    if (file is None) != begin:
        hint = "`--begin` is for before there is one." if begin else "`model-gates run` writes it."
        said = "there is no report to begin with" if begin else "Missing argument 'FILE'"
        raise ConfigError(said, where="report", hint=hint)
    if file is None:
        publish.begin(ctx.obj.environ, places, choice)
    elif rejudge:
        from gates.cli.rejudge import Untrusted

        chosen = tuple(model or ()), tuple(gate or ())
        untrusted = Untrusted(file, config or Path(publish.CONFIG), *chosen, template)
        _show_again(ctx.obj.environ, untrusted, places, choice)
    else:
        if template is not None:
            choice = replace(choice, override=override(ctx.obj.environ, template))
        _show_all(ctx.obj.environ, _read(ctx.obj.environ, file, places, choice), places, choice)


def _read(environ: dict[str, str], file: Path, places: Sequence[str], choice: Choice) -> Report:
    """Return the report in a file; where there is none, that is what is published."""
    from gates.cli import publish
    from gates.cli.reading import read

    try:
        return read(file)
    except GatesError as error:
        info = run_info(environ, choice.config or Path(publish.CONFIG))
        told = error if file.is_file() else InputError("no report was written", where=error.where)
        publish.tell_unread(environ, told, places, choice, info)
        raise


def _show_again(
    environ: dict[str, str], untrusted: Untrusted, places: Sequence[str], choice: Choice
) -> None:
    """Judge a report anew and show what came of it, a refusal included."""
    from gates.cli.rejudge import rejudged

    again = rejudged(environ, untrusted)
    if again.report is None:
        typer.echo(f"nothing was judged: {again.skipped}", err=True)
        return
    choice = replace(choice, pull=again.pull, override=again.override)
    _show_all(environ, again.report, places, choice)
    if again.error is not None:
        raise again.error


def _show_all(
    environ: dict[str, str], found: Report, places: Sequence[str], choice: Choice
) -> None:
    faults = []
    for to in places:
        # One that fails keeps no other from being told.
        try:
            _show(environ, found, to, choice)
        except EnvironmentFault as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def _show(environ: dict[str, str], found: Report, to: str, choice: Choice) -> None:
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


def _summarise(environ: dict[str, str], found: Report, choice: Choice) -> None:
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
