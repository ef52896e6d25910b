"""The command line: parse, call, exit. Commands import what they need when they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gates import __version__
from gates.cli.baseline import baseline_app
from gates.cli.canary import canary_app
from gates.cli.evidence import verify_evidence
from gates.cli.github import doctor
from gates.cli.judge import run
from gates.cli.power import power
from gates.cli.publish import Listing
from gates.cli.report import report
from gates.cli.setup import demo, extras, init, schema, validate
from gates.cli.stop import Stop

app = typer.Typer(
    name="model-gates",
    help="Hold a candidate model against its registered baseline.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class World:
    """What the process was given: environment, place of a traceback, time, and when to stop."""

    environ: Mapping[str, str] = field(repr=False)
    debug: Path | None = None
    now: Callable[[], datetime] = _now
    stop: Stop = field(default_factory=Stop)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"model-gates {__version__}")
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    debug: Annotated[
        Path | None, typer.Option(help="Write the traceback of a crash to this file, redacted.")
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Hold a candidate model against its registered baseline."""
    ctx.obj.debug = debug


app.command()(run)
app.command()(validate)
app.command()(init)
app.command()(power)
app.add_typer(baseline_app, name="baseline")
app.command(cls=Listing)(report)
app.add_typer(canary_app, name="canary")
app.command()(verify_evidence)
app.command()(schema)
app.command()(extras)
app.command()(doctor)
app.command()(demo)
