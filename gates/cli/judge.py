"""`run`: judge, write down what was found, and exit by it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.crash import write_debug
from gates.cli.evidence import discard_evidence, write_evidence
from gates.cli.place import run_info
from gates.cli.rules import PolicyFrom, base_commit, rules_of
from gates.cli.selection import touched_since
from gates.cli.show import rendered
from gates.errors import GatesError

if TYPE_CHECKING:
    from gates.report import ErrorInfo, Report

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
    typer.echo(rendered(report, format.value), nl=False)
    if report.error and format is not Format.CONSOLE:
        typer.echo(_error_text(report.error), err=True)
    shown = " and ".join(plain(str(path)) for path in paths)
    typer.echo(f"report: {shown}", err=True)
    if github:
        _tell_github(ctx.obj.environ, report, paths[0])
    raise typer.Exit(report.exit_code)


def _report(ctx: typer.Context, asked: Asked, folder: Path) -> Report:
    from gates.config import select
    from gates.decide import refused, unchanged

    info = run_info(ctx.obj.environ, asked.config)
    today = datetime.fromisoformat(info.started).date()
    try:
        commit = base_commit(ctx.obj.environ, asked.config, asked.policy, asked.base)
        if commit is not None:
            info = info.model_copy(update={"git": info.git.model_copy(update={"base_sha": commit})})
        rules = rules_of(asked.config, commit, folder, today)
        config = select(rules.config, asked.models, asked.gates)
        config, selection = touched_since(ctx.obj.environ, config, asked.config, asked.since)
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
    write_atomic(as_markdown, rendered(report, "markdown").encode())
    return as_json, as_markdown


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
    add_summary(environ, rendered(report, "github-summary"))
