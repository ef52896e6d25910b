"""Begin a rollout: what the command line changes, what has to hold, what is going to be done."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from gates import __version__
from gates.errors import ConfigError, EnvironmentFault

if TYPE_CHECKING:
    from gates.canary.plan import Plan
    from gates.canary.settings import Deployment
    from gates.canary.sight import Pinned
    from gates.canary.site import Lease
    from gates.cli.canary_hand import Opened

# How long it may take to look at everything before a rollout begins, in seconds.
_LOOKING = 600.0
_STEPS = re.compile(r"[0-9]{1,3}(,[0-9]{1,3}){0,19}")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the command line says in place of the file; None leaves the file's."""

    steps: str | None
    bake: float | None
    on_inconclusive: str | None


def changed(settings: Deployment, said: Said) -> Deployment:
    """Return the settings with what was said instead, held to the same rules."""
    from pydantic import ValidationError

    given = asdict(said) | {"steps": None if said.steps is None else _steps(said.steps)}
    given = {key: value for key, value in given.items() if value is not None}
    try:
        return type(settings).model_validate(dict(settings) | given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError(first["msg"], where=where) from error


def check(place: Opened, image: str, record: Path) -> None:
    """Check everything that a rollout needs, and touch nothing."""
    from gates.canary.take import free

    free(place.site.store)
    (candidate, _), _ = _let_in(place, image, record)
    typer.echo(f"{place.name}: everything is in place for {candidate.digest[:19]} (dry run)")


def begin(place: Opened, image: str, record: Path, reason: str, ends: float | None) -> NoReturn:
    """Take the deployment, check everything, and roll the candidate out."""
    from gates.canary import take
    from gates.canary.pulse import Pulse
    from gates.cli.canary_go import go, letting_go

    store = place.site.store
    place.world.stop.once = True
    # First, so that of many who come at once all but one look no further.
    lease = take.begin(store, place.holder, place.settings.lease, time)
    with letting_go(place, lease), Pulse(store=store, lease=lease) as pulse:
        pulse.allow(_LOOKING)
        pinned, evidence = _let_in(place, image, record)
        plan = _plan(place, lease, pinned, evidence, reason)
        _first(place, lease, plan)
    go(place, pulse.lease, plan, ends, lambda found: found.forward())


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
