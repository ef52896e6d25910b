"""`report`: show a report that was written, one of another run, or that one is to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli import publish
from gates.cli.place import run_info
from gates.cli.show import show_all
from gates.cli.template import override, require_able
from gates.errors import ConfigError, GatesError, InputError

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


FileArgument = Annotated[Path | None, typer.Argument(help="A report.json.")]
ToOption = Annotated[
    list[str] | None,
    typer.Option(
        help="What to render it to, or where to publish it; may be repeated.",
        show_default="console",
    ),
]
CommentOption = Annotated[Comment, typer.Option(help="When a pull request gets a comment.")]
SlugOption = Annotated[
    str | None, typer.Option(help="Tells apart what several configurations publish.")
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Does, too; the default is the report's. For --rejudge: as the repository has it.",
    ),
]
PullOption = Annotated[
    int | None, typer.Option(min=1, help="The pull request, where the event does not say.")
]
AuthorOption = Annotated[
    str | None, typer.Option(help="The login that the token of an app writes as.")
]
BeginOption = Annotated[
    bool, typer.Option("--begin", help="Begin the check run, before there is a report.")
]
PostOption = Annotated[
    bool, typer.Option("--require-post", help="Exit with 4 when it can not be published.")
]
TemplateOption = Annotated[
    Path | None, typer.Option(help="A template that replaces blocks of the Markdown.")
]
RejudgeOption = Annotated[
    bool,
    typer.Option(
        "--rejudge", help="In a `workflow_run` job: take its numbers, and judge them anew."
    ),
]
ModelOption = Annotated[
    list[str] | None, typer.Option(help="For --rejudge: the models that were judged.")
]
GateOption = Annotated[
    list[str] | None, typer.Option(help="For --rejudge: the gates that were run.")
]


def report(
    ctx: typer.Context,
    file: FileArgument = None,
    to: ToOption = None,
    comment: CommentOption = Comment.CHANGES,
    slug: SlugOption = None,
    config: ConfigOption = None,
    pull_request: PullOption = None,
    author: AuthorOption = None,
    begin: BeginOption = False,
    require_post: PostOption = False,
    template: TemplateOption = None,
    rejudge: RejudgeOption = False,
    model: ModelOption = None,
    gate: GateOption = None,
) -> None:
    """Render or publish a report.json; exit with 0 whatever its verdict."""
    environ, places = ctx.obj.environ, to or ["console"]
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
    path = _path(file, begin=begin)
    if path is None:
        publish.begin(environ, places, choice)
    elif rejudge:
        from gates.cli.rejudge import Untrusted

        chosen = tuple(model or ()), tuple(gate or ())
        untrusted = Untrusted(path, config or Path(publish.CONFIG), *chosen, template)
        _show_again(environ, untrusted, places, choice)
    else:
        _show_file(environ, path, places, choice, template)


def _path(file: Path | None, *, begin: bool) -> Path | None:
    """Return the report's path, None where it is yet to come. ConfigError for neither and both."""
    if (file is None) == begin:
        return file
    hint = "`--begin` is for before there is one." if begin else "`model-gates run` writes it."
    said = "there is no report to begin with" if begin else "Missing argument 'FILE'"
    raise ConfigError(said, where="report", hint=hint)


def _show_file(
    environ: Mapping[str, str],
    file: Path,
    places: Sequence[str],
    choice: Choice,
    template: Path | None,
) -> None:
    """Show the report in a file, by a template where there is one."""
    if template is not None:
        choice = replace(choice, override=override(environ, template))
    show_all(environ, _read(environ, file, places, choice), places, choice)


def _read(environ: Mapping[str, str], file: Path, places: Sequence[str], choice: Choice) -> Report:
    """Return the report in a file; where there is none, that is what is published."""
    from gates.cli.reading import read

    try:
        return read(file)
    except GatesError as error:
        info = run_info(environ, choice.config or Path(publish.CONFIG))
        told = error if file.is_file() else InputError("no report was written", where=error.where)
        publish.tell_unread(environ, told, places, choice, info)
        raise


def _show_again(
    environ: Mapping[str, str], untrusted: Untrusted, places: Sequence[str], choice: Choice
) -> None:
    """Judge a report anew and show what came of it, a refusal included."""
    from gates.cli.rejudge import rejudged

    again = rejudged(environ, untrusted)
    if again.report is None:
        typer.echo(f"nothing was judged: {again.skipped}", err=True)
        return
    choice = replace(choice, pull=again.pull, override=again.override)
    show_all(environ, again.report, places, choice)
    if again.error is not None:
        raise again.error
