"""`canary …`: a rollout that a release manager starts, watches, and ends by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.judge import Format
from gates.errors import ConfigError

if TYPE_CHECKING:
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
    from gates.cli.canary_go import until
    from gates.cli.canary_start import Said, begin, changed, check

    ends = until(budget)
    place = _opened(ctx.obj, deployment, config, policy, out, github=github)
    said = Said(steps=steps, bake=bake, on_inconclusive=on_inconclusive)
    place = replace(place, settings=changed(place.settings, said))
    if dry_run:
        check(place, image, record)
    else:
        begin(place, image, record, reason, ends)


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


def _going(how: str, manual: str) -> None:
    """Add a command that goes on with a rollout which waits, or whose runner died."""

    @canary_app.command(how, help=manual)
    def going(
        ctx: typer.Context,
        deployment: DeploymentArgument,
        reason: ReasonOption = "",
        budget: BudgetOption = None,
        config: FileOption = FILE,
        policy: PolicyOption = POLICY,
        out: OutOption = OUT,
        github: GithubOption = False,
    ) -> None:
        from gates.canary.onward import How
        from gates.cli.canary_go import go_on, until

        ends = until(budget)
        place = _opened(ctx.obj, deployment, config, policy, out, github=github)
        go_on(place, How(how), reason, ends)


_going("resume", "Go on with a rollout that is held, or whose runner died: its step begins anew.")
_going("advance", "Take the undecided step of a held rollout for passed, and go on with the next.")
_going(
    "promote",
    "Leave out the steps that are left: all of the traffic, one more look, and it serves.",
)


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
    from gates.cli.canary_abort import end

    end(_opened(ctx.obj, deployment, config, POLICY, out, github=github), reason)


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
