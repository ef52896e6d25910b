"""Show a rollout as a deployment on GitHub: a mirror, and never what anything is decided by.

What stands there is late, or missing, when the API fails; that is told, and changes nothing. While
a rollout goes back nothing is sent at all: what takes a second then, a user waits for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gates.cli.publish import tell
from gates.errors import EnvironmentFault, GatesError

if TYPE_CHECKING:
    from gates.canary.chain import Record
    from gates.canary.journal import Journal
    from gates.canary.plan import Plan
    from gates.canary.state import Phase, State
    from gates.github.repository import Repository

Heard = Callable[[tuple["Record", ...]], None]
TASK: Final = "canary"
# Seconds for all that is sent at one time, to connect, and from one byte to the next: usually, and
# when somebody waits for this process to be gone.
_PATIENT: Final = (5.0, (2.0, 3.0))
_HURRIED: Final = (1.0, (0.5, 1.0))
# After an API has failed, so long it is left alone while the rollout is under way.
_PAUSE: Final = 60.0
_MOST: Final = 140
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
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

    `connect` gives a new client for each time, with time of its own; `remember` is told the number,
    `failed` why something was not shown. `commit` is meant where the evidence names none.
    """

    connect: Callable[[], Repository]
    commit: str
    environment: str
    url: str | None
    remember: Callable[[int], None]
    failed: Callable[[str], None]
    number: int | None = None
    clock: Callable[[], float] = time.monotonic
    _shown: tuple[Phase, int] | None = field(default=None, init=False)
    _quiet: float | None = field(default=None, init=False)

    def show(self, found: tuple[Record, ...]) -> None:
        """Say where a rollout stands, if that has changed."""
        from gates.canary.state import Phase, fold

        state = fold(found)
        now = (state.phase, state.share)
        if now == self._shown or state.phase not in _STATES or state.plan is None:
            return
        if state.phase is Phase.RUNNING and self._quiet and self.clock() < self._quiet:
            return
        self._shown = now
        try:
            self._send(self.connect(), state, state.plan)
            self._quiet = None
        except EnvironmentFault as error:
            self._quiet = self.clock() + _PAUSE
            # What is under way is shown once more when the pause is over.
            self._shown = None if state.phase is Phase.RUNNING else now
            self.failed(error.message)

    def _send(self, repository: Repository, state: State, plan: Plan) -> None:
        if self.number is None:
            self.number = self._begun(repository, plan)
            self.remember(self.number)
        repository.deployment_status(self.number, self._status(state))

    def _begun(self, repository: Repository, plan: Plan) -> int:
        """Return the number of the rollout's deployment; one that was begun unseen is not again."""
        for one in repository.deployments(self.environment, TASK):
            if one.of(plan.digest):
                return one.id
        return repository.create_deployment(self._deployment(plan)).id

    def _deployment(self, plan: Plan) -> dict[str, Any]:
        judged = plan.evidence.get("commit", "")
        return {
            "ref": judged if _COMMIT.fullmatch(judged) else self.commit,
            "task": TASK,
            "environment": self.environment,
            "description": _cut(plan.rollout),
            "auto_merge": False,
            # What lets a candidate in is its evidence; a red check elsewhere is no obstacle.
            "required_contexts": [],
            "payload": {"candidate": plan.candidate.digest, "plan": plan.digest},
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
    environ: Mapping[str, str], deployment: str, journal: Journal, hurried: Callable[[], bool]
) -> Heard:
    """Return what mirrors a rollout whenever its journal has a new line.

    Where there is nothing to show it on, that is told, and nobody is shown anything.
    """
    from gates.github.context import job

    try:
        here = job(environ)
        _token(environ)
    except EnvironmentFault as error:
        tell(environ, f"the rollout is not shown on GitHub, which changes nothing: {error}")
        return lambda _: None
    numbers = [one.body["deployment"] for one in journal.records if "deployment" in one.body]
    told: list[str] = []

    def failed(why: str) -> None:
        # Once on the run's page: an API that is down is no news each time.
        if not told:
            tell(
                environ, f"the deployment on GitHub is not up to date, which changes nothing: {why}"
            )
        told.append(why)

    def connect() -> Repository:
        from gates.github.client import Client
        from gates.github.repository import Repository
        from gates.github.service import GITHUB

        budget, timeout = _HURRIED if hurried() else _PATIENT
        client = Client(
            api=here.api, token=_token(environ), service=GITHUB, budget=budget, timeout=timeout
        )
        return Repository(client=client, name=here.repository)

    return Mirror(
        connect=connect,
        commit=environ.get("GITHUB_SHA") or "HEAD",
        environment=environ.get("MODEL_GATES_ENVIRONMENT") or deployment,
        url=here.url,
        remember=lambda number: _remember(journal, number),
        failed=failed,
        number=int(numbers[-1]) if numbers else None,
    ).show


def _token(environ: Mapping[str, str]) -> str:
    from gates.github.service import GITHUB

    token = environ.get(GITHUB.token)
    if not token:
        raise EnvironmentFault("there is no token", where=GITHUB.token, hint=GITHUB.get_token)
    return token


def _remember(journal: Journal, number: int) -> None:
    """Keep the number where another run finds it; without it, it is looked up on GitHub."""
    with suppress(GatesError):
        journal.write("note", why="shown as a deployment on GitHub", deployment=number)


def _cut(text: str) -> str:
    """Return text as short as GitHub takes it."""
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
