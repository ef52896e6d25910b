"""`report --to …`: hand a report to who publishes it, and never let that be the verdict."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from gates.errors import ConfigError, EnvironmentFault, GatesError

if TYPE_CHECKING:
    from gates.github.context import Job
    from gates.github.repository import Repository
    from gates.github.service import Service
    from gates.report import Check, Report, RunInfo
    from reporters.publish.place import Place, Spot

CONFIG = "model-gates.yml"
# Set by the action, which stops the runner from listening while names out of the data are printed.
FENCE = "MODEL_GATES_FENCE"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user chose on the command line."""

    when: str = "changes"
    slug: str | None = None
    config: Path | None = None
    pull: int | None = None
    author: str | None = None
    require_post: bool = False
    override: str | None = None


def publish(environ: Mapping[str, str], report: Report, to: str, choice: Choice) -> None:
    """Publish, and say what became of it; a post that fails is told, and raised only if asked."""
    from reporters.publish.registry import PUBLISHERS

    with _told(environ, to, require_post=choice.require_post):
        outcome = PUBLISHERS[to](report, _place(environ, report, to, choice))
        if outcome.text:
            typer.echo(_through(environ, outcome.text), nl=False)
        typer.echo(outcome.said, err=True)


def begin(environ: Mapping[str, str], places: Sequence[str], choice: Choice) -> None:
    """Begin what can be begun before there is a report."""
    from reporters.publish.registry import BEGINNERS

    if not places or set(places) - BEGINNERS.keys():
        raise ConfigError(
            "only what has a beginning can be begun",
            where="--begin",
            hint=f"These have: {', '.join(f'--to {name}' for name in BEGINNERS)}.",
        )
    for to in places:
        with _told(environ, to, require_post=choice.require_post):
            typer.echo(BEGINNERS[to](_place(environ, None, to, choice)).said, err=True)


def tell_unread(
    environ: Mapping[str, str],
    error: GatesError,
    places: Sequence[str],
    choice: Choice,
    info: RunInfo,
) -> None:
    """Publish that there is no report, where what an earlier step said would stand for it."""
    from gates.decide import refused
    from reporters.publish.registry import LASTING

    fault = EnvironmentFault(
        error.message,
        where=error.where,
        hint="The log of the step that runs the gates says why.",
    )
    for to in places:
        if to in LASTING:
            publish(environ, refused(fault, info), to, replace(choice, require_post=False))


def summarise(environ: Mapping[str, str], page: str, *, require_post: bool) -> None:
    """Add a report to the job summary, or print it where there is none."""
    if environ.get("GITHUB_STEP_SUMMARY"):
        add_summary(environ, page, require_post=require_post)
    else:
        typer.echo(page, nl=False)


def add_summary(environ: Mapping[str, str], page: str, *, require_post: bool = False) -> None:
    """Add a page to the job summary, or tell that it could not be."""
    from gates.github.commands import write_summary

    with _told(environ, "github-summary", require_post=require_post):
        write_summary(environ, page)
        typer.echo("job summary: written", err=True)


class Listing(TyperCommand):
    """The `report` command: its help lists what `--to` takes, and loads it only when asked."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  (its signature)
        """Write the names, each with the first line of its docstring."""
        from functools import partial

        from reporters.publish.registry import PUBLISHERS
        from reporters.render.registry import RENDERERS

        rows = []
        for name, does in (RENDERERS | PUBLISHERS).items():
            manual = (does.func if isinstance(does, partial) else does).__doc__ or ""
            rows.append((name, manual.splitlines()[0].removeprefix("Return ")))
        with formatter.section("What --to takes"):
            formatter.write_dl(rows)


@contextmanager
def _told(environ: Mapping[str, str], to: str, *, require_post: bool) -> Iterator[None]:
    """Tell of a post that failed; raise it only if asked."""
    try:
        yield
    except EnvironmentFault as error:
        if require_post:
            raise
        tell(environ, f"{to} was not published, which changes no verdict: {error}")


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


def tell(environ: Mapping[str, str], said: str, level: str = "warning") -> None:
    """Say something went wrong: to the runner as an annotation, to a person on stderr."""
    from gates.github.commands import command
    from gates.github.context import in_actions
    from reporters.render.escape import plain

    # Line by line: what follows an error's first line is what to do.
    shown = "\n  ".join(plain(line).strip() for line in said.splitlines())
    if in_actions(environ):
        line = command(level, shown, title="Model Gates")
        typer.echo(_through(environ, f"{line}\n"), nl=False)
    else:
        typer.echo(f"{level}: {shown}", err=True)


def _through(environ: Mapping[str, str], commands: str) -> str:
    """Return commands so that a runner that was told to stop listening hears them, and no more."""
    token = environ.get(FENCE, "")
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return commands
    return f"::{token}::\n{commands}::stop-commands::{token}\n"


def _place(environ: Mapping[str, str], report: Report | None, to: str, choice: Choice) -> Place:
    from gates.github import context, service
    from reporters.publish import gitlab
    from reporters.publish.place import DEFAULT_SLUG, Place, When, nowhere
    from reporters.publish.registry import ON_GITLAB

    there = to in ON_GITLAB
    here = (gitlab.job if there else context.job)(environ, pull=choice.pull)
    host = gitlab.GITLAB if there else service.GITHUB
    judged = report.run.config if report else None
    config = os.path.normpath(choice.config or judged or CONFIG)
    return Place(
        job=here,
        connect=lambda: connect(environ, here, host),
        slug=choice.slug or (DEFAULT_SLUG if config == CONFIG else config),
        when=When(choice.when),
        author=choice.author,
        override=choice.override,
        find=_finder(environ, report) if report else nowhere,
    )


def connect(environ: Mapping[str, str], here: Job, host: Service) -> Repository:
    """Return the job's repository behind a client with the token of that host."""
    from gates.github.client import Client
    from gates.github.repository import Repository

    token = environ.get(host.token)
    if not token:
        raise EnvironmentFault("there is no token", where=host.token, hint=host.get_token)
    client = Client(api=here.api, token=token, service=host)
    return Repository(client=client, name=here.repository)


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
