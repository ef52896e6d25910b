"""`power`: what each check can decide on these rows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.judge import ConfigOption, Format
from gates.errors import EXIT_BLOCKED, ConfigError

if TYPE_CHECKING:
    from gates.power.answer import PowerReport


def power(
    config: ConfigOption = Path("model-gates.yml"),
    model: Annotated[
        list[str] | None, typer.Option(help="Look at this model only; may be repeated.")
    ] = None,
    power: Annotated[
        float, typer.Option(help="How probably a limit is to be decided, from 0.5 to 0.999.")
    ] = 0.8,
    drop: Annotated[
        float, typer.Option(help="A true change towards each limit that must still pass.")
    ] = 0.0,
    discordance: Annotated[
        float | None,
        typer.Option(
            help="Where one model is missing: the share of rows in which exactly one is right.",
            show_default="0.1",
        ),
    ] = None,
    format: Annotated[  # noqa: A002  (the flag's name)
        Format, typer.Option(help="What to print to stdout.")
    ] = Format.CONSOLE,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when a check can not decide its limit.")
    ] = False,
) -> None:
    """Say what each check can decide on these rows, before anyone waits for a run."""
    from gates.config import load, select

    _within("--power", power, 0.5, 0.999)
    _within("--drop", drop, 0.0, sys.float_info.max)
    if discordance is not None:
        _within("--discordance", discordance, 1e-6, 1.0)
    found, _ = load(config)
    found = select(found, tuple(model or ()), ())
    # Only now: a configuration that is wrong is refused before any data library is loaded.
    from gates.power.decidable import Asked
    from gates.power.survey import survey
    from gates.stats.power import ASSUMED_DISCORDANCE, Assumed

    assumed = Assumed(discordance=ASSUMED_DISCORDANCE if discordance is None else discordance)
    report = survey(found, config.parent, Asked(power=power, drop=drop, assumed=assumed))
    typer.echo(_rendered(report, format), nl=False)
    if strict and report.undecided:
        raise typer.Exit(EXIT_BLOCKED)


def _within(flag: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        span = f"at least {low:g}" if high == sys.float_info.max else f"from {low:g} to {high:g}"
        raise ConfigError(f"{value:g} is not a number {span}", where=flag)


def _rendered(report: PowerReport, to: Format) -> str:
    from gates.power import answer, console, markdown

    if to is Format.JSON:
        return answer.dump(report)
    if to is Format.MARKDOWN:
        return markdown.render(report)
    if not sys.stdout.isatty():
        return console.render(report)
    return console.render(report, width=shutil.get_terminal_size().columns, color=True)
