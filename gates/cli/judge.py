"""`run` and `report`: judge, and show what was found."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.crash import write_debug
from gates.cli.evidence import discard_evidence, write_evidence
from gates.cli.rules import PolicyFrom, base_commit, rules_of
from gates.cli.selection import touched_since
from gates.errors import ConfigError, EnvironmentFault, GatesError
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    from gates.cli.publish import Choice
    from gates.report import ErrorInfo, Report, RunInfo

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", show_default=True)
]


@dataclass(frozen=True)
class Asked:
    """What `run` was asked to judge, and by whose rules."""

    config: Path
    models: tuple[str, ...]
    gates: tuple[str, ...]
    policy: PolicyFrom
    base: str | None
    since: str | None


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
    changed_since: Annotated[
        str | None,
        typer.Option(
            metavar="COMMIT", help="Judge only the models that a change since this commit is about."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report and its evidence.")] = Path(
        "model-gates-report"
    ),
    format: Annotated[  # noqa: A002  (the flag's name)
        Format, typer.Option(help="What to print to stdout.")
    ] = Format.CONSOLE,
    github: Annotated[
        bool, typer.Option("--github", help="Write step outputs and the job summary.")
    ] = False,
    policy: Annotated[
        PolicyFrom,
        typer.Option(help="Whose rules apply; auto: on a pull request the base commit's."),
    ] = PolicyFrom.AUTO,
    base: Annotated[
        str | None, typer.Option(help="The base commit, where the event does not say.")
    ] = None,
) -> None:
    """Run the gates and exit with 0 (not blocked) or 1 (blocked)."""
    from reporters.render.escape import plain

    discard_evidence(out)
    asked = Asked(config, tuple(model or ()), tuple(gate or ()), policy, base, changed_since)
    with TemporaryDirectory(prefix="model-gates-") as folder:
        report = _report(ctx, asked, Path(folder))
    paths = _write(report, out)
    write_evidence(ctx.obj.environ, report, out, gates=tuple(gate or ()))
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
    file: Annotated[Path, typer.Argument(help="A report.json.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="What to render it to, or where on GitHub to publish it; may be repeated.",
            show_default="console",
        ),
    ] = None,
    comment: Annotated[
        Comment, typer.Option(help="When a pull request gets a comment.")
    ] = Comment.CHANGES,
    slug: Annotated[
        str | None, typer.Option(help="Tells apart what several configurations publish.")
    ] = None,
    pull_request: Annotated[
        int | None, typer.Option(min=1, help="The pull request, where the event does not say.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="The login that the token of an app writes as.")
    ] = None,
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
    config: Annotated[
        Path, typer.Option("--config", "-c", help="For --rejudge: as the repository has it.")
    ] = Path("model-gates.yml"),
    model: Annotated[
        list[str] | None, typer.Option(help="For --rejudge: the models that were judged.")
    ] = None,
    gate: Annotated[
        list[str] | None, typer.Option(help="For --rejudge: the gates that were run.")
    ] = None,
) -> None:
    """Render or publish a report.json; exit with 0 whatever its verdict."""
    from gates.cli.publish import Choice
    from gates.cli.reading import read

    places = tuple(to or ["console"])
    choice = Choice(
        when=comment.value,
        slug=slug,
        pull=pull_request,
        author=author,
        require_post=require_post,
        override=None if template is None else _override(template, places),
    )
    if not rejudge:
        _show(ctx.obj.environ, read(file), places, choice)
        return
    from gates.cli.rejudge import Untrusted, rejudged

    untrusted = Untrusted(file, config, tuple(model or ()), tuple(gate or ()))
    again = rejudged(ctx.obj.environ, untrusted)
    if again.report is None:
        typer.echo(f"nothing was judged: {again.skipped}", err=True)
        return
    _show(ctx.obj.environ, again.report, places, replace(choice, pull=again.pull))
    if again.error is not None:
        raise again.error


def _show(environ: dict[str, str], found: Report, places: Sequence[str], choice: Choice) -> None:
    """Print a report, or publish it; a place that fails keeps no other from being told."""
    faults = []
    for to in places:
        try:
            _show_one(environ, found, to, choice)
        except EnvironmentFault as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


def _show_one(environ: dict[str, str], found: Report, to: str, choice: Choice) -> None:
    if to == "sarif":
        from gates.cli.publish import rule_lines
        from reporters.render import sarif

        typer.echo(sarif.render(found, lines=rule_lines(environ, found)), nl=False)
        return
    if not to.startswith("github-"):
        typer.echo(_rendered(found, to, choice.override), nl=False)
        return
    from gates.cli.publish import publish, summarise
    from reporters.publish.registry import PUBLISHERS

    if to == "github-summary":
        page = _rendered(found, to, choice.override)
        summarise(environ, page, require_post=choice.require_post)
    elif to in PUBLISHERS:
        publish(environ, found, to, choice)
    else:
        raise _unknown(to)


def _report(ctx: typer.Context, asked: Asked, folder: Path) -> Report:
    from gates.config import select
    from gates.decide import refused, unchanged

    info = _run_info(ctx.obj.environ, asked.config)
    today = datetime.fromisoformat(info.started).date()
    try:
        commit = base_commit(ctx.obj.environ, asked.config, asked.policy, asked.base)
        info = info.model_copy(update={"git": info.git.model_copy(update={"base_sha": commit})})
        rules = rules_of(asked.config, commit, folder, today)
        config = select(rules.config, asked.models, asked.gates)
        config, selection = touched_since(config, asked.config, asked.since)
    except GatesError as error:
        return refused(error, info)
    if selection is not None and not config.models:
        return unchanged(selection, rules.info, info)

    def progress(model: str, gate: str, state: str) -> None:
        ctx.obj.stop.check()
        _progress(model, gate, state)

    def on_crash(error: Exception) -> None:
        ctx.obj.stop.check()
        write_debug(ctx.obj.debug, error)

    # Only now: a configuration that is wrong is refused before any data library is loaded.
    from gates.runner import Run
    from gates.runner import run as judge

    judged = judge(
        Run(
            config=config,
            root=asked.config.parent,
            policy_root=rules.root,
            policy=rules.info,
            info=info,
            progress=progress,
            on_crash=on_crash,
            on_output=_show_output,
            waivers=rules.waivers,
            day=today,
        )
    )
    return judged.model_copy(update={"selection": selection})


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


def _show_output(output: str) -> None:
    from gates.cli.output import quoted

    typer.echo(quoted(output), err=True)


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

    without = [to for to in places if to not in (*MARKDOWN, "github-comment")]
    if without:
        raise ConfigError(
            f"`{without[0]}` takes no template",
            where="--template",
            hint=f"These do: {', '.join(MARKDOWN)}, github-comment.",
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
    from gates.github.commands import write_outputs, write_summary
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
    write_summary(environ, _rendered(report, "github-summary"))
