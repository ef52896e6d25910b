"""`report --to github-…`: hand a report to who publishes it, and never let that be the verdict."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gates.errors import EnvironmentFault, GatesError

if TYPE_CHECKING:
    from gates.github.context import Job
    from gates.github.repository import Repository
    from gates.report import Check, Report
    from reporters.publish.place import Place, Spot
    from reporters.render.escape import Said

CONFIG = "model-gates.yml"
# Set by the action, which stops the runner from listening while names out of the data are printed.
FENCE = "MODEL_GATES_FENCE"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user chose on the command line."""

    when: str
    slug: str | None = None
    pull: int | None = None
    author: str | None = None
    require_post: bool = False
    override: str | None = None


def publish(environ: Mapping[str, str], report: Report, to: str, choice: Choice) -> None:
    """Publish, and say what became of it; a post that fails is told, and raised only if asked."""
    from reporters.publish.registry import PUBLISHERS

    with _told(environ, to, require_post=choice.require_post):
        outcome = PUBLISHERS[to](report, _place(environ, report, choice))
        if outcome.text:
            typer.echo(_through(environ, outcome.text), nl=False)
        typer.echo(outcome.said, err=True)


def summarise(environ: Mapping[str, str], page: str, *, require_post: bool) -> None:
    """Add a report to the job summary, or print it where there is none."""
    from gates.github.commands import write_summary

    if not environ.get("GITHUB_STEP_SUMMARY"):
        typer.echo(page, nl=False)
        return
    with _told(environ, "github-summary", require_post=require_post):
        write_summary(environ, page)
        typer.echo("job summary: written", err=True)


@contextmanager
def _told(environ: Mapping[str, str], to: str, *, require_post: bool) -> Iterator[None]:
    """Tell of a post that failed; raise it only if asked."""
    try:
        yield
    except EnvironmentFault as error:
        if require_post:
            raise
        _tell(environ, (f"{to} was not published, which changes no verdict: {error}",))


def rule_lines(environ: Mapping[str, str], report: Report) -> dict[tuple[str, str], int]:
    """Return the line of every rule that has one, by model and rule id."""
    find = _finder(environ, report)
    rules = (
        (model.model, check.id, find(model.model, gate.gate, check))
        for model in report.models
        for gate in model.gates
        for check in gate.checks
    )
    return {(model, rule): spot.line for model, rule, spot in rules if spot}


def _tell(environ: Mapping[str, str], said: Said) -> None:
    """Say something went wrong: to the runner as a warning, to a person on stderr."""
    from gates.github.commands import command
    from gates.github.context import in_actions
    from reporters.render.escape import plain

    if in_actions(environ):
        line = command("warning", plain(said), title="Model Gates")
        typer.echo(_through(environ, f"{line}\n"), nl=False)
    else:
        typer.echo(f"warning: {plain(said)}", err=True)


def _through(environ: Mapping[str, str], commands: str) -> str:
    """Return commands so that a runner that was told to stop listening hears them, and no more."""
    token = environ.get(FENCE, "")
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return commands
    return f"::{token}::\n{commands}::stop-commands::{token}\n"


def _place(environ: Mapping[str, str], report: Report, choice: Choice) -> Place:
    from gates.github.context import job
    from reporters.publish.place import DEFAULT_SLUG, Place, When

    here = job(environ, pull=choice.pull)
    config = os.path.normpath(report.run.config or CONFIG)
    return Place(
        job=here,
        connect=lambda: connect(environ, here),
        slug=choice.slug or (DEFAULT_SLUG if config == CONFIG else config),
        when=When(choice.when),
        author=choice.author,
        override=choice.override,
        find=_finder(environ, report),
    )


def connect(environ: Mapping[str, str], here: Job) -> Repository:
    """Return the job's repository behind a client with its token."""
    from gates.github.client import Client
    from gates.github.repository import Repository

    token = environ.get("GITHUB_TOKEN")
    if not token:
        raise EnvironmentFault(
            "there is no token",
            where="GITHUB_TOKEN",
            hint="Hand on `github.token`: `env: {GITHUB_TOKEN: ${{ github.token }}}`.",
        )
    return Repository(client=Client(api=here.api, token=token), name=here.repository)


def _finder(
    environ: Mapping[str, str], report: Report
) -> Callable[[str, str, Check | None], Spot | None]:
    """Return what knows the line of a rule, if the configuration is still the one that judged."""
    from gates.yaml_source import load
    from reporters.publish.place import nowhere

    if report.policy is None or report.run.config is None:
        return nowhere
    file = Path(report.run.config)
    try:
        source = load(file)
    except GatesError:
        return nowhere
    shown = os.path.relpath(file.absolute(), environ.get("GITHUB_WORKSPACE") or Path.cwd())
    if source.digest != report.policy.digest or shown.startswith(".."):
        return nowhere
    lines = {path: mark.line for path, mark in source.marks.items()}
    return lambda model, gate, check: _spot(shown, lines, (model, gate, check))


def _spot(
    shown: str,
    lines: Mapping[tuple[str | int, ...], int],
    rule: tuple[str, str, Check | None],
) -> Spot | None:
    """Return where a rule stands: its limit's key, or the nearest one above it that is there."""
    from reporters.publish.place import Spot

    model, gate, check = rule
    path: tuple[str | int, ...] = ("models", model, "gates", gate)
    if check is not None:
        metric = (*path, "metrics", check.metric)
        limits = [(*metric, check.verb.value)]
        if check.slice is not None:
            limits.insert(0, (*metric, "slices", check.verb.value))
        if check.columns:
            limits.append((*path, "columns", check.columns[0]))
        path = max(limits, key=lambda one: _known(lines, one))
    known = _known(lines, path)
    return Spot(path=Path(shown).as_posix(), line=lines[path[:known]]) if known else None


def _known(lines: Mapping[tuple[str | int, ...], int], path: tuple[str | int, ...]) -> int:
    """Return how much of a path is in the file."""
    return next((n for n in range(len(path), 0, -1) if path[:n] in lines), 0)
