"""Put a rollout together: the settings, the site, the lease, and everything that judges it."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gates.errors import InputError

if TYPE_CHECKING:
    from gates.canary.judgement import Judgement
    from gates.canary.plan import Plan
    from gates.canary.pulse import Pulse
    from gates.canary.rollout import Rollout
    from gates.canary.settings import Deployment
    from gates.canary.site import Site
    from gates.cli import World
    from gates.cli.stop import Stop
    from gates.report import Report


@dataclass(frozen=True, kw_only=True)
class Opened:
    """One deployment, opened: its settings as they stand in the file, and where it runs.

    `policy` is the configuration of the gates, by which a replay is judged; `out` is the folder for
    what a person may want to read afterwards. `github` asks for the job's summary and outputs, and
    for a deployment on GitHub that shows the rollout.
    """

    name: str
    settings: Deployment
    digest: str
    file: Path
    site: Site
    policy: Path
    out: Path
    world: World
    github: bool = False

    @property
    def holder(self) -> str:
        """Return who holds a lease from here: a person, on a machine, in a process."""
        return f"{who(self.world)} on {platform.node()}, process {os.getpid()}"


def opened(world: World, name: str, file: Path, policy: Path, out: Path) -> Opened:
    """Open a deployment. Raises ConfigError for what the file says, before anything is touched."""
    from gates.canary.settings import deployment, load

    found, source = load(file)
    settings = deployment(found, name, str(file))
    return Opened(
        name=name,
        settings=settings,
        digest=source.digest,
        file=file,
        site=settings.site(name),
        policy=policy,
        out=out,
        world=world,
    )


def who(world: World) -> str:
    """Return who runs this, as the environment has it."""
    names = ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "USER", "USERNAME", "LOGNAME")
    return next((world.environ[name] for name in names if world.environ.get(name)), "unknown")


def rollout(place: Opened, pulse: Pulse, plan: Plan) -> Rollout:
    """Return the rollout whose lease `pulse` keeps, ready to go on from where its journal is."""
    from gates.canary.acts import Hand
    from gates.canary.bake import Baked, Tally, steps
    from gates.canary.journal import Journal, records
    from gates.canary.rollout import Rollout

    found = records(place.site.store)
    journal = Journal(
        records=found,
        store=place.site.store,
        lease=pulse.lease,
        by=who(place.world),
        now=place.world.now,
    )
    hand = Hand(site=place.site, plan=plan, journal=journal, pulse=pulse)
    meter = place.settings.meter
    environ = place.world.environ
    read = place.site.counters if meter is None else (lambda: meter.counters(environ))
    return Rollout(
        hand=hand,
        tally=Tally(read=read, baked=Baked(earlier=steps(found))),
        judge=place.settings.analysis.judge,
        replay=lambda: _replayed(place, pulse),
        hurried=lambda: place.world.stop.signal is not None,
    )


def _replayed(place: Opened, pulse: Pulse) -> Judgement:
    """Ask both sides the same, and let the gates judge the answers."""
    from gates.canary.judgement import together
    from gates.canary.replay.replay import World, replay

    options, endpoints = place.settings.replay, place.site.endpoints()
    if options is None or endpoints is None:
        raise InputError(
            "both sides have to be asked directly, and this target does not say where they are",
            where=f"deployments: {place.name}: target",
            hint="Name their addresses there, or leave out `replay`.",
        )
    # Answers stand beside ids in these files: they are gone when they have been judged.
    with TemporaryDirectory(prefix="model-gates-") as folder:
        world = World(
            root=place.file.parent,
            out=Path(folder),
            environ=place.world.environ,
            judge=gates_of(place),
            tick=lambda: _tick(place.world.stop, pulse),
        )
        return together(replay(endpoints, options, world).findings)


def _tick(stop: Stop, pulse: Pulse) -> None:
    stop.check()
    pulse.allow(pulse.lease.ttl * 5)


def gates_of(place: Opened) -> Callable[[Path, Path], Report | None]:
    """Return what judges a replay's answers. Raises ConfigError where they could not be."""
    from gates.cli.canary_replay import Bridge, judge_of
    from gates.cli.place import run_info
    from gates.policy.rules import of_folder

    options = place.settings.replay
    if options is None:
        return lambda _canary, _stable: None
    rules, _ = of_folder(place.policy, on=place.world.now().date())
    bridge = Bridge(
        rules=rules,
        model=place.settings.model,
        options=options,
        root=place.file.parent,
        out=place.out,
        info=run_info(dict(place.world.environ), place.policy),
    )
    return judge_of(bridge)
