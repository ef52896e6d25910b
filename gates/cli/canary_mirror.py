"""Show a rollout as a deployment on GitHub: a mirror, and never what anything is decided by.

What stands there is late, or missing, when the API fails; that is told, and changes nothing. While
a rollout goes back nothing is sent at all: what takes a second then, a user waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import typer

from gates.errors import EnvironmentFault

if TYPE_CHECKING:
    from gates.canary.chain import Record
    from gates.canary.journal import Journal
    from gates.canary.state import Phase, State
    from gates.github.context import Job
    from gates.github.repository import Repository

_BUDGET: Final = 8.0
_TIMEOUT: Final = (3.0, 5.0)
_MOST: Final = 140
_STATES: Final = {
    "running": "in_progress",
    "held": "pending",
    "unconfirmed": "error",
    "promoted": "success",
    "shadowed": "inactive",
    "rolled-back": "failure",
}


@dataclass(kw_only=True)
class Mirror:
    """Mirrors one rollout; `number` is the deployment's on GitHub, None until there is one.

    `connect` gives a new client for each time, with time of its own; `remember` is told the number.
    """

    connect: Callable[[], Repository]
    commit: str
    environment: str
    url: str | None
    remember: Callable[[int], None]
    number: int | None = None
    _shown: tuple[Phase, int] | None = field(default=None, init=False)

    def show(self, found: tuple[Record, ...]) -> None:
        """Say where a rollout stands, if that has changed."""
        from gates.canary.state import fold

        state = fold(found)
        now = (state.phase, state.share)
        if now != self._shown and state.phase in _STATES:
            self._shown = now
            try:
                self._send(self.connect(), state)
            except EnvironmentFault as error:
                typer.echo(f"the deployment on GitHub was not renewed: {error.message}", err=True)

    def _send(self, repository: Repository, state: State) -> None:
        if self.number is None:
            self.number = repository.create_deployment(self._deployment(state)).id
            self.remember(self.number)
        repository.deployment_status(self.number, self._status(state))

    def _deployment(self, state: State) -> dict[str, Any]:
        plan = state.plan
        return {
            "ref": self.commit,
            "task": "canary",
            "environment": self.environment,
            "description": _cut(plan.rollout if plan else ""),
            "auto_merge": False,
            # What lets a candidate in is its evidence; a red check elsewhere is no obstacle.
            "required_contexts": [],
            "payload": {"candidate": plan.candidate.digest} if plan else {},
        }

    def _status(self, state: State) -> dict[str, Any]:
        words = f"{state.share} % on the canary. {state.why}".strip()
        found: dict[str, Any] = {
            "state": _STATES[state.phase],
            "description": _cut(words),
            "environment": self.environment,
            # While a canary has a part of the traffic, what served before serves still.
            "auto_inactive": state.phase == "promoted",
        }
        return found | ({"log_url": self.url} if self.url else {})


def mirror(
    environ: Mapping[str, str], deployment: str, journal: Journal
) -> Callable[[tuple[Record, ...]], None]:
    """Return what mirrors a rollout whenever its journal has a new line.

    Raises EnvironmentFault outside of a GitHub Actions job, and where the job has no token.
    """
    from gates.github.context import job

    here = job(environ)
    numbers = [one.body["deployment"] for one in journal.records if "deployment" in one.body]
    shown = Mirror(
        connect=lambda: _repository(environ, here),
        commit=environ.get("GITHUB_SHA") or "HEAD",
        environment=environ.get("MODEL_GATES_ENVIRONMENT") or deployment,
        url=here.url,
        remember=lambda number: _remember(journal, number),
        number=int(numbers[-1]) if numbers else None,
    )
    _repository(environ, here)
    return shown.show


def _repository(environ: Mapping[str, str], here: Job) -> Repository:
    from gates.github.client import Client
    from gates.github.repository import Repository
    from gates.github.service import GITHUB

    token = environ.get(GITHUB.token)
    if not token:
        raise EnvironmentFault("there is no token", where=GITHUB.token, hint=GITHUB.get_token)
    client = Client(api=here.api, token=token, service=GITHUB, budget=_BUDGET, timeout=_TIMEOUT)
    return Repository(client=client, name=here.repository)


def _remember(journal: Journal, number: int) -> None:
    journal.write("note", why="shown as a deployment on GitHub", deployment=number)


def _cut(text: str) -> str:
    """Return text as short as GitHub takes it."""
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
