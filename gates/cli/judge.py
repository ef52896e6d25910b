"""`run` and `report`: judge, and show what was found."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.crash import write_debug
from gates.errors import ConfigError, EnvironmentFault, GatesError, InputError
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    from gates.cli.publish import Choice
    from gates.report import ErrorInfo, Report, RunInfo
    from gates.waivers import Waiver

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", show_default=True)
]


class Format(StrEnum):
    """What `run` prints to stdout."""

    CONSOLE = "console"
    MARKDOWN = "markdown"
    JSON = "json"


def run(
    ctx: typer.Context,
    config: ConfigOption = Path("model-gates.yml"),
    model: Annotated[
        list[str] | None, typer.Option(help="Judge only this model; may be repeated.")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="Run only this gate; may be repeated.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.md.")] = Path(
        "model-gates-report"
    ),
    format: Annotated[  # noqa: A002  (the flag's name)
        Format, typer.Option(help="What to print to stdout.")
    ] = Format.CONSOLE,
    github: Annotated[
        bool, typer.Option("--github", help="Write step outputs and the job summary.")
    ] = False,
) -> None:
    """Run the gates and exit with 0 (not blocked) or 1 (blocked)."""
    from reporters.render.escape import plain

    report = _report(ctx, config, tuple(model or ()), tuple(gate or ()))
    paths = _write(report, out)
    typer.echo(_rendered(report, format.value), nl=False)
    if report.error and format is not Format.CONSOLE:
        typer.echo(_error_text(report.error), err=True)
    shown = " and ".join(plain(str(path)) for path in paths)
    typer.echo(f"report: {shown}", err=True)
    if github:
        _tell_github(ctx.obj.environ, report, paths[0])
    raise typer.Exit(report.exit_code)


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
        Path | None, typer.Option("--config", "-c", help="Does, too; the default is the report's.")
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
) -> None:
    """Render or publish a report.json; exit with 0 whatever its verdict."""
    from gates.cli.publish import Choice

    places = to or ["console"]
    choice = Choice(
        when=comment.value,
        slug=slug,
        config=config,
        pull=pull_request,
        author=author,
        require_post=require_post,
        override=None if template is None else _override(template, places),
    )
    _show_all(ctx.obj.environ, file, places, choice, begin=begin)


def _show_all(
    environ: dict[str, str],
    file: Path | None,
    places: Sequence[str],
    choice: Choice,
    *,
    begin: bool,
) -> None:
    from gates.cli import publish

    if (file is None) != begin:
        hint = "`--begin` is for before there is one." if begin else "`model-gates run` writes it."
        said = "there is no report to begin with" if begin else "Missing argument 'FILE'"
        raise ConfigError(said, where="report", hint=hint)
    if file is None:
        publish.begin(environ, places, choice)
        return
    try:
        found = _read(file)
    except GatesError as error:
        info = _run_info(environ, choice.config or Path(publish.CONFIG))
        publish.tell_unread(environ, error, places, choice, info)
        raise
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
        typer.echo(_rendered(found, to, choice.override), nl=False)
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
    page = _rendered(shown, "github-summary", choice.override)
    summarise(environ, page, require_post=choice.require_post)


def _read(file: Path) -> Report:
    """Return the report in a file, of bounded size and of our schema."""
    from pydantic import ValidationError

    from gates.report import MAX_BYTES, load

    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the report: {error.strerror}", where=str(file)) from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES:,} bytes: not a report", where=str(file))
    try:
        return load(raw)
    except ValidationError as error:
        raise InputError(
            f"not a report of schema 1: {error.error_count()} problem(s)",
            where=str(file),
            hint="`model-gates run --out DIR` writes DIR/report.json.",
        ) from error


def _report(
    ctx: typer.Context, path: Path, models: tuple[str, ...], gates: tuple[str, ...]
) -> Report:
    from gates.config import load, select
    from gates.decide import refused
    from gates.report import PolicyInfo

    info = _run_info(ctx.obj.environ, path)
    today = datetime.fromisoformat(info.started).date()
    try:
        config, source = load(path)
        config = select(config, models, gates)
        waivers = _waivers(path.parent, today)
    except GatesError as error:
        return refused(error, info)
    # Only now: a configuration that is wrong is refused before any data library is loaded.
    from gates.runner import Run
    from gates.runner import run as judge

    return judge(
        Run(
            config=config,
            root=path.parent,
            policy=PolicyInfo(digest=source.digest),
            info=info,
            progress=_progress,
            on_crash=lambda error: write_debug(ctx.obj.debug, error),
            waivers=waivers,
            day=today,
        )
    )


def _waivers(folder: Path, today: date) -> tuple[Waiver, ...]:
    """Return the waivers beside the configuration, if there is such a file."""
    from gates.waivers import WAIVERS_NAME, load

    path = folder / WAIVERS_NAME
    return load(path, on=today) if path.exists() or path.is_symlink() else ()


def _run_info(environ: dict[str, str], config: Path) -> RunInfo:
    from gates.git import head
    from gates.github.context import ci_info, git_info, in_actions
    from gates.report import GitInfo, RunInfo, bounded

    return RunInfo(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        config=bounded(config, 2000),
        git=git_info(environ) if in_actions(environ) else GitInfo(sha=head(config.parent)),
        ci=ci_info(environ),
        python=platform.python_version(),
        platform=bounded(platform.platform()),
    )


def _progress(model: str, gate: str, state: str) -> None:
    """Say on stderr how far the run is; stdout is for the result."""
    if state != "running":
        typer.echo(f"{model}: {gate}: {state}", err=True)
    elif sys.stderr.isatty():
        typer.echo(f"{model}: {gate} …", err=True)


def _write(report: Report, out: Path) -> tuple[Path, Path]:
    from gates.atomic import write_atomic
    from gates.report import dump

    as_json, as_markdown = out / "report.json", out / "report.md"
    write_atomic(as_json, dump(report))
    write_atomic(as_markdown, _rendered(report, "markdown").encode())
    return as_json, as_markdown


def _override(path: Path, places: Sequence[str]) -> str:
    """Return the text of a team's template; ConfigError where it cannot be used."""
    from reporters.render.registry import MARKDOWN
    from reporters.render.template import MAX_OVERRIDE

    able = (*MARKDOWN, "github-comment", "gitlab-merge-request")
    without = [to for to in places if to not in able]
    if without:
        raise ConfigError(
            f"`{without[0]}` takes no template",
            where="--template",
            hint=f"These do: {', '.join(able)}.",
        )
    try:
        with path.open("rb") as opened:
            return opened.read(MAX_OVERRIDE + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the template: {why}", where=str(path)) from error


def _rendered(report: Report, to: str, override: str | None = None) -> str:
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


def _error_text(error: ErrorInfo) -> str:
    shown = GatesError(error.message, where=error.where, hint=error.hint, details=error.details)
    return f"error: {shown}"


def _tell_github(environ: dict[str, str], report: Report, path: Path) -> None:
    from gates.cli.publish import add_summary
    from gates.github.commands import write_outputs
    from gates.report import Verdict

    checks = [c for m in report.models for g in m.gates for c in g.checks]
    counts = {v.value: str(sum(c.verdict is v for c in checks)) for v in Verdict}
    verdict = report.verdict.value if report.verdict else "error"
    write_outputs(
        environ,
        {
            "verdict": verdict,
            "blocked": str(report.blocked).lower(),
            "report": str(path),
            **{f"{name}-count": count for name, count in counts.items()},
        },
    )
    # Outputs are what later steps decide by; a page that is not there decides nothing.
    add_summary(environ, _rendered(report, "github-summary"))
