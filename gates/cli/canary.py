"""`canary …`: a rollout that a release manager starts, watches, and ends by hand."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gates import __version__
from gates.cli.judge import Format
from gates.errors import ConfigError, EnvironmentFault, GatesError, Refused

if TYPE_CHECKING:
    from gates.canary.plan import Plan
    from gates.canary.settings import Deployment
    from gates.canary.sight import Pinned
    from gates.canary.site import Lease
    from gates.cli import World
    from gates.cli.canary_hand import Opened

canary_app = typer.Typer(
    help="Roll a judged candidate out, step by step, with a way back that needs no runner.",
    no_args_is_help=True,
)

DeploymentArgument = Annotated[str, typer.Argument(help="Which deployment of the file.")]
FileOption = Annotated[Path, typer.Option("--config", "-c", help="The deployments.")]
PolicyOption = Annotated[
    Path, typer.Option(help="The configuration of the gates: what evidence is held to.")
]
OutOption = Annotated[Path, typer.Option(help="Folder for the replay's report and the record.")]
ReasonOption = Annotated[str, typer.Option(help="Why, in a few words; it stands in the journal.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(help="Hold when this run has lasted so long, such as 330m: `resume` goes on."),
]
GithubOption = Annotated[
    bool,
    typer.Option(
        "--github", help="Write step outputs and the summary, and show it as a deployment."
    ),
]
FILE, POLICY, OUT = (
    Path("model-gates.canary.yml"),
    Path("model-gates.yml"),
    Path("model-gates-canary"),
)
# How long it may take to look at everything before a rollout begins, in seconds.
_LOOKING = 600.0
_STEPS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3}){0,19}")


@canary_app.command()
def start(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    image: Annotated[str, typer.Option(help="The candidate: an image, as the target knows it.")],
    record: Annotated[Path, typer.Option(help="The evidence.json of the run that judged it.")],
    reason: ReasonOption = "",
    steps: Annotated[
        str | None, typer.Option(help="Shares in percent, such as 5,25,50, in place of the file's.")
    ] = None,
    bake: Annotated[float | None, typer.Option(help="Seconds for each step.")] = None,
    on_inconclusive: Annotated[
        str | None, typer.Option(help="hold, or abort, when a step can not be decided.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and touch nothing.")
    ] = False,
    budget: BudgetOption = None,
    config: FileOption = FILE,
    policy: PolicyOption = POLICY,
    out: OutOption = OUT,
    github: GithubOption = False,
) -> None:
    """Begin a rollout: check the evidence, then go step by step."""
    from gates.canary.pulse import Pulse
    from gates.canary.take import begin, free
    from gates.cli.canary_go import go, letting_go, until

    ends = until(budget)
    place = _opened(ctx.obj, deployment, config, policy, out, github=github)
    place = replace(place, settings=_changed(place, steps, bake, on_inconclusive))
    free(place.site.store)
    if dry_run:
        pinned, _ = _let_in(place, image, record)
        typer.echo(f"{deployment}: everything is in place for {pinned[0].digest[:19]} (dry run)")
        return
    ctx.obj.stop.once = True
    # First, so that of many who come at once all but one look no further.
    lease = begin(place.site.store, place.holder, place.settings.lease, time)
    with letting_go(place, lease), Pulse(store=place.site.store, lease=lease) as pulse:
        pulse.allow(_LOOKING)
        pinned, evidence = _let_in(place, image, record)
        plan = _plan(place, lease, pinned, evidence, reason)
        _first(place, lease, plan)
    go(place, pulse.lease, plan, ends, lambda found: found.forward())


@canary_app.command()
def status(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    format: Annotated[  # noqa: A002  (the flag's name)
        Format, typer.Option(help="What to print.")
    ] = Format.CONSOLE,
    config: FileOption = FILE,
) -> None:
    """Say where the latest rollout is, and what really serves."""
    from gates.cli.canary_go import show, sight_of, state_of

    place = _opened(ctx.obj, deployment, config, POLICY, OUT)
    typer.echo(show(state_of(place), sight_of(place), format), nl=False)


@canary_app.command()
def resume(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    reason: ReasonOption = "",
    budget: BudgetOption = None,
    config: FileOption = FILE,
    policy: PolicyOption = POLICY,
    out: OutOption = OUT,
    github: GithubOption = False,
) -> None:
    """Go on with a rollout that is held, or whose runner died: its step begins anew."""
    from gates.canary.onward import How
    from gates.cli.canary_go import go_on, until

    ends = until(budget)
    place = _opened(ctx.obj, deployment, config, policy, out, github=github)
    go_on(place, How.RESUME, reason, ends)


@canary_app.command()
def advance(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    reason: ReasonOption = "",
    budget: BudgetOption = None,
    config: FileOption = FILE,
    policy: PolicyOption = POLICY,
    out: OutOption = OUT,
    github: GithubOption = False,
) -> None:
    """Take the undecided step of a held rollout for passed, and go on with the next."""
    from gates.canary.onward import How
    from gates.cli.canary_go import go_on, until

    ends = until(budget)
    place = _opened(ctx.obj, deployment, config, policy, out, github=github)
    go_on(place, How.ADVANCE, reason, ends)


@canary_app.command()
def promote(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    reason: ReasonOption = "",
    budget: BudgetOption = None,
    config: FileOption = FILE,
    policy: PolicyOption = POLICY,
    out: OutOption = OUT,
    github: GithubOption = False,
) -> None:
    """Leave out the steps that are left: all of the traffic, one more look, and it serves."""
    from gates.canary.onward import How
    from gates.cli.canary_go import go_on, until

    ends = until(budget)
    place = _opened(ctx.obj, deployment, config, policy, out, github=github)
    go_on(place, How.PROMOTE, reason, ends)


@canary_app.command()
def abort(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    reason: ReasonOption = "asked for by hand",
    config: FileOption = FILE,
    out: OutOption = OUT,
    github: GithubOption = False,
) -> None:
    """Send everything to the stable side, whoever holds the rollout and wherever it is."""
    from gates.canary.faults import Fenced, Locked

    place = _opened(ctx.obj, deployment, config, POLICY, out, github=github)
    ctx.obj.stop.once = True
    try:
        _abort(place, reason)
    except (Fenced, Locked):
        raise
    except (Refused, EnvironmentFault) as error:
        _by_force(place, error)


def _abort(place: Opened, reason: str) -> NoReturn:
    from gates.canary.faults import EXIT_ABORTED
    from gates.canary.rollout import Cause
    from gates.canary.state import Phase
    from gates.canary.take import end
    from gates.cli.canary_go import go, leave, state_of

    state = state_of(place)
    lease = None
    if state.plan is not None and state.phase not in (Phase.PROMOTED, Phase.SHADOWED):
        lease = end(place.site.store, place.holder, place.settings.lease, time, reason)
        # As it is now that nobody else has it.
        state = state_of(place)
    if state.plan is None or state.phase in (Phase.PROMOTED, Phase.SHADOWED):
        if lease is not None:
            place.site.store.release(lease)
        why = state.why or "nothing was begun"
        typer.echo(f"{place.name}: there is nothing to abort: {why}")
        raise typer.Exit
    if lease is None:
        place.world.stop.rest()
        leave(place)
        raise typer.Exit(EXIT_ABORTED)
    over = state.phase is Phase.ROLLED_BACK
    go(place, lease, state.plan, None, lambda f: f.back(Cause.REQUEST, reason, over=over))


def _by_force(place: Opened, error: GatesError) -> NoReturn:
    """Close the valve where no journal can be read or written: users come first."""
    from gates.canary.faults import Unconfirmed

    try:
        place.site.ensure_out()
        sent = "everything was sent to the stable side, and that could not be noted down"
    except GatesError as other:
        sent = f"nothing could be sent to the stable side ({other.message})"
    raise Unconfirmed(
        f"{sent}: {error.message}",
        where=error.where,
        hint="See what serves with `model-gates canary status`; by hand it takes the above.",
        details=place.site.by_hand(),
    ) from error


@canary_app.command()
def history(ctx: typer.Context, deployment: DeploymentArgument, config: FileOption = FILE) -> None:
    """List the rollouts of a deployment, the newest first."""
    from gates.canary import chain
    from gates.canary.state import fold
    from gates.canary.table import headline
    from reporters.render.escape import plain

    store = _opened(ctx.obj, deployment, config, POLICY, OUT).site.store
    for raw in (store.read(), *store.earlier()):
        found = chain.read(raw, "journal").records
        state = fold(found)
        if found:
            line = f"{found[0].at}  {headline(state)}  by {found[0].by}: {state.why}"
            typer.echo(plain(line))


@canary_app.command("haproxy-config")
def haproxy_config(deployment: DeploymentArgument, config: FileOption = FILE) -> None:
    """Print the HAProxy configuration that goes with a Docker deployment."""
    from gates.canary import settings
    from gates.canary.haproxy.config import config as text
    from gates.canary.targets.docker.options import Docker

    found, _ = settings.load(config)
    target = settings.deployment(found, deployment, str(config)).chosen
    if not isinstance(target, Docker):
        raise ConfigError(
            "only a Docker deployment has an HAProxy of its own",
            where=f"{config}: deployments: {deployment}: target",
        )
    typer.echo(text(target.layout()), nl=False)


@canary_app.command()
def guard(
    ctx: typer.Context,
    deployment: DeploymentArgument,
    config: FileOption = FILE,
    every: Annotated[float, typer.Option(help="Seconds between two looks at the lease.")] = 1.0,
) -> None:
    """Watch a deployment, and roll back when its lease runs out; for targets without a guard."""
    from gates.canary.guard import Guard

    place = _opened(ctx.obj, deployment, config, POLICY, OUT)
    watcher = Guard(
        store=place.site.store, valve=place.site, said=lambda line: typer.echo(line, err=True)
    )
    while True:
        watcher.watch()
        time.sleep(every)


def _opened(
    world: World, name: str, config: Path, policy: Path, out: Path, *, github: bool = False
) -> Opened:
    from gates.cli.canary_hand import opened

    return replace(opened(world, name, config, policy, out), github=github)


def _changed(
    place: Opened, steps: str | None, bake: float | None, on_inconclusive: str | None
) -> Deployment:
    """Return the settings with what the command line says instead, held to the same rules."""
    from pydantic import ValidationError

    said: dict[str, Any] = {
        "steps": None if steps is None else _steps(steps),
        "bake": bake,
        "on_inconclusive": on_inconclusive,
    }
    changed = {key: value for key, value in said.items() if value is not None}
    try:
        return type(place.settings).model_validate(dict(place.settings) | changed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ", ".join(f"--{name.replace('_', '-')}" for name in changed)
        raise ConfigError(first["msg"], where=where) from error


def _steps(text: str) -> tuple[int, ...]:
    if not _STEPS.fullmatch(text):
        raise ConfigError("expected shares in percent", where="--steps", hint="Say 5,25,50.")
    return tuple(int(one) for one in text.split(","))


def _let_in(
    place: Opened, image: str, record: Path
) -> tuple[tuple[Pinned, Pinned], dict[str, str]]:
    """Return the candidate and what serves, and what a journal keeps of the evidence.

    Raises Refused without evidence, and EnvironmentFault for a site that is not ready.
    """
    from gates.cli.canary_evidence import Asked, checked
    from gates.cli.canary_hand import gates_of

    candidate, stable = place.site.pin(image), place.site.stable()
    if candidate.digest == stable.digest:
        typer.echo(f"{place.name}: {candidate.digest[:19]} serves already; nothing is to be done")
        raise typer.Exit
    asked = Asked(
        settings=place.settings,
        record=record,
        policy=place.policy,
        candidate=candidate,
        stable=stable,
    )
    evidence = checked(asked, place.world.environ, place.world.now())
    gates_of(place)
    _check_site(place)
    return (candidate, stable), evidence


def _check_site(place: Opened) -> None:
    from gates.canary.preflight import obstacles

    found = tuple(obstacles(place.site.look()))
    if found:
        raise EnvironmentFault(
            "a rollout cannot begin here as it is",
            where=place.name,
            hint="Look with `model-gates canary status`.",
            details=found,
        )


def _plan(
    place: Opened,
    lease: Lease,
    pinned: tuple[Pinned, Pinned],
    evidence: dict[str, str],
    reason: str,
) -> Plan:
    from gates.canary.plan import Plan
    from gates.cli.canary_hand import who

    settings = place.settings
    asked = {"by": who(place.world), "reason": reason, **_run(place.world.environ)}
    return Plan(
        rollout=f"{place.name}-{lease.token}",
        deployment=place.name,
        model=settings.model,
        candidate=pinned[0],
        stable=pinned[1],
        steps=settings.steps,
        bake=settings.bake,
        max_bake=settings.max_bake or 6 * settings.bake,
        looks=settings.looks,
        min_requests=settings.min_requests,
        on_inconclusive=settings.on_inconclusive,
        finish=settings.finish,
        lease=settings.lease,
        hold=settings.hold,
        guarded=settings.guard == "target",
        replayed=settings.replay is not None,
        settings=place.digest,
        shifts_itself=place.site.shifts_itself,
        asked={key: value for key, value in asked.items() if value},
        evidence={key: value for key, value in evidence.items() if value},
    )


def _run(environ: Mapping[str, str]) -> dict[str, str]:
    """Return which run of which workflow asks, at which commit: what an auditor looks up."""
    keys = ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT")
    found = {
        "run": "/".join(environ[key] for key in keys if environ.get(key)),
        "actor": environ.get("GITHUB_ACTOR", ""),
        "commit": environ.get("GITHUB_SHA", ""),
        "workflow": environ.get("GITHUB_WORKFLOW_REF", ""),
        "event": environ.get("GITHUB_EVENT_NAME", ""),
        "tool": f"model-gates {__version__}",
    }
    return {key: value[:500] for key, value in found.items()}


def _first(place: Opened, lease: Lease, plan: Plan) -> None:
    """Write down what is going to be done, before anything is."""
    from gates.canary.journal import Journal
    from gates.cli.canary_hand import who

    Journal(store=place.site.store, lease=lease, by=who(place.world), now=place.world.now).begin(
        plan
    )
