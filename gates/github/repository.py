"""The few things we do to a repository, each one request, with answers as frozen data."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from gates.errors import EnvironmentFault
from gates.github.client import ApiFault, Client, Still, always
from gates.github.service import GITHUB, Service

ACTIONS_BOT = "github-actions[bot]"
T = TypeVar("T")


class _Shape(BaseModel):
    """What we read of an answer, and no more: GitHub adds fields as it likes."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class User(_Shape):
    """Somebody who writes; `id` is None where only the name is known."""

    login: str
    id: int | None = None

    def same(self, other: User | None) -> bool:
        """Return whether both are one: by number where both have one, and by name always."""
        if other is None or self.login.lower() != other.login.lower():
            return False
        return self.id is None or other.id is None or self.id == other.id


class Comment(_Shape):
    """A comment on a pull request; the account of its author may be gone."""

    id: int
    html_url: str
    user: User | None
    body: str = ""


class _End(_Shape):
    sha: str
    ref: str = ""


class Pull(_Shape):
    """A pull request: whether it is open, the commit it stands at, and the branch it is for.

    How many files it changes is told of one alone, and not in a list of several.
    """

    number: int
    state: str
    head: _End
    base: _End
    changed_files: int | None = None


class _Change(_Shape):
    filename: str
    previous_filename: str | None = None


class _Ref(_Shape):
    object: _End


class _File(_Shape):
    type: str
    encoding: str = ""
    content: str = ""


class CheckRun(_Shape):
    """A check run; `external_id` is the number we gave it."""

    id: int
    html_url: str | None = None
    external_id: str | None = None
    conclusion: str | None = None


class _Listed(_Shape):
    check_runs: tuple[CheckRun, ...]


class Rule(_Shape):
    """A rule that holds for a branch, whichever ruleset it is of."""

    type: str
    parameters: dict[str, Any] = {}
    ruleset_id: int | None = None


class _Bypass(_Shape):
    actor_type: str
    actor_id: int | None = None
    bypass_mode: str = "always"


class _Ruleset(_Shape):
    name: str
    bypass_actors: tuple[_Bypass, ...] | None = None


class _Switch(_Shape):
    enabled: bool = False


class _RequiredCheck(_Shape):
    context: str
    app_id: int | None = None


class _RequiredChecks(_Shape):
    checks: tuple[_RequiredCheck, ...] = ()


class _Several(_Shape):
    users: tuple[dict[str, Any], ...] = ()
    teams: tuple[dict[str, Any], ...] = ()
    apps: tuple[dict[str, Any], ...] = ()


class _Reviews(_Shape):
    require_code_owner_reviews: bool
    dismiss_stale_reviews: bool
    require_last_push_approval: bool = False
    bypass_pull_request_allowances: _Several = _Several()


class Protection(_Shape):
    """Classic protection of a branch, which holds beside whatever rulesets there are."""

    required_status_checks: _RequiredChecks | None = None
    required_pull_request_reviews: _Reviews | None = None
    enforce_admins: _Switch = _Switch()
    allow_force_pushes: _Switch = _Switch()


class WorkflowToken(_Shape):
    """What the token of a job may do unless the workflow says otherwise."""

    default_workflow_permissions: str
    can_approve_pull_request_reviews: bool


class Deployment(_Shape):
    """A deployment, as GitHub shows it: a mirror of what happens elsewhere."""

    id: int
    payload: dict[str, Any] | str = ""

    def of(self, plan: str) -> bool:
        """Return whether it was begun for a plan, by the plan's digest."""
        return isinstance(self.payload, dict) and self.payload.get("plan") == plan


class _Settings(_Shape):
    default_branch: str


class _Errors(_Shape):
    errors: tuple[dict[str, Any], ...]


class _Approval(_Shape):
    approval_policy: str


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One repository behind a client."""

    client: Client
    name: str

    def viewer(self) -> User:
        """Return who the token is; an app's may not ask, and is that of the Actions bot."""
        try:
            return _read(User, self.client.get("/user"))
        except ApiFault as fault:
            if fault.status not in (403, 404):
                raise
            return User(login=ACTIONS_BOT)

    def pull(self, number: int) -> Pull:
        """Return a pull request."""
        return _read(Pull, self.client.get(self._path(f"pulls/{number}")))

    def open_pulls(self, owner: str, branch: str) -> Iterator[Pull]:
        """Yield the open pull requests from a branch, of this repository or of a fork."""
        for page in self.client.pages(self._path("pulls"), state="open", head=f"{owner}:{branch}"):
            yield from _read(tuple[Pull, ...], page)

    def changed_files(self, number: int, head: str) -> tuple[str, ...] | None:
        """Return the paths that a pull request changes, of a renamed file both.

        None where GitHub does not list them all (it stops at 3,000), or the pull request no longer
        stands at `head`: the list itself does not say of which commit it is.
        """
        pages = self.client.pages(self._path(f"pulls/{number}/files"))
        found = [change for page in pages for change in _read(tuple[_Change, ...], page)]
        pull = self.pull(number)
        if pull.head.sha != head or pull.changed_files != len(found):
            return None
        names = ((change.filename, change.previous_filename) for change in found)
        return tuple(name for both in names for name in both if name)

    def tip(self, branch: str) -> str:
        """Return the commit that a branch stands at."""
        return _read(_Ref, self.client.get(self._path(f"git/ref/heads/{quote(branch)}"))).object.sha

    def file(self, path: str, sha: str) -> bytes | None:
        """Return the bytes of a file in a commit, or None where there is none.

        Raises EnvironmentFault for what is no plain file, or is larger than this API shows (1 MB).
        """
        try:
            answer = self.client.get(self._path(f"contents/{quote(path)}"), ref=sha)
        except ApiFault as fault:
            if fault.status != 404:
                raise
            return None
        found = _File(type="dir") if isinstance(answer, list) else _read(_File, answer)
        try:
            if found.type == "file" and found.encoding == "base64":
                return base64.b64decode("".join(found.content.split()), validate=True)
        except ValueError:
            pass
        raise EnvironmentFault(
            "this is no plain file of at most 1 MB",
            where=f"{sha[:12]}:{path}",
            hint="Commit a plain, smaller file there.",
        )

    def default_branch(self) -> str:
        """Return the name of the default branch."""
        return _read(_Settings, self.client.get(f"/repos/{self.name}")).default_branch

    def rules(self, branch: str) -> Iterator[Rule]:
        """Yield the rules that hold for a branch."""
        for page in self.client.pages(self._path(f"rules/branches/{quote(branch)}")):
            yield from _read(tuple[Rule, ...], page)

    def ruleset_bypass(self, ruleset: int) -> tuple[str, ...] | None:
        """Return who may bypass a ruleset, and when; None for who may not ask."""
        found = self._readable(_Ruleset, f"rulesets/{ruleset}")
        if found is None or found.bypass_actors is None:
            return None
        return tuple(
            " ".join(
                filter(None, (one.actor_type, str(one.actor_id or ""), f"({one.bypass_mode})"))
            )
            for one in found.bypass_actors
        )

    def protection(self, branch: str) -> Protection | None:
        """Return the classic protection of a branch; None without one, and for who may not ask."""
        return self._readable(Protection, f"branches/{quote(branch, safe='')}/protection")

    def owner_errors(self, ref: str) -> int:
        """Return how many errors GitHub finds in the CODEOWNERS of a branch."""
        return len(_read(_Errors, self.client.get(self._path("codeowners/errors"), ref=ref)).errors)

    def workflow_token(self) -> WorkflowToken | None:
        """Return what a job's token may do; None for who may not ask."""
        return self._readable(WorkflowToken, "actions/permissions/workflow")

    def fork_approval(self) -> str | None:
        """Return whose workflows wait for an approval; None for who may not ask."""
        path = "actions/permissions/fork-pr-contributor-approval"
        found = self._readable(_Approval, path)
        return None if found is None else found.approval_policy

    def _readable(self, shape: type[T], path: str) -> T | None:
        try:
            return _read(shape, self.client.get(self._path(path)))
        except ApiFault as fault:
            if fault.status not in (403, 404):
                raise
            return None

    def comments(self, number: int) -> Iterator[Comment]:
        """Yield every comment on a pull request, the oldest first."""
        for page in self.client.pages(self._path(f"issues/{number}/comments")):
            yield from _read(tuple[Comment, ...], page)

    def create_comment(self, number: int, body: str, still: Still = always) -> Comment:
        """Write a new comment; `still` as for `Client.post`."""
        path = self._path(f"issues/{number}/comments")
        return _read(Comment, self.client.post(path, {"body": body}, still))

    def update_comment(self, comment: int, body: str, still: Still = always) -> None:
        """Write a comment anew; `still` as for `Client.post`."""
        self.client.patch(self._path(f"issues/comments/{comment}"), {"body": body}, still)

    def delete_comment(self, comment: int, still: Still = always) -> None:
        """Remove a comment; `still` as for `Client.post`."""
        self.client.delete(self._path(f"issues/comments/{comment}"), still)

    def check_runs(self, sha: str, name: str) -> Iterator[CheckRun]:
        """Yield the check runs of a name on a commit."""
        path = self._path(f"commits/{sha}/check-runs")
        for page in self.client.pages(path, check_name=name, filter="all"):
            yield from _read(_Listed, page).check_runs

    def create_check(self, body: dict[str, Any]) -> CheckRun:
        """Begin a check run."""
        return _read(CheckRun, self.client.post(self._path("check-runs"), body))

    def update_check(self, check: int, body: dict[str, Any]) -> CheckRun:
        """Change a check run."""
        return _read(CheckRun, self.client.patch(self._path(f"check-runs/{check}"), body))

    def create_status(self, sha: str, body: dict[str, Any]) -> None:
        """Set a commit status; the last one of a context counts."""
        self.client.post(self._path(f"statuses/{sha}"), body)

    def deployments(self, environment: str, task: str) -> Iterator[Deployment]:
        """Yield the latest deployments to an environment, a hundred at most, the newest first."""
        path = self._path("deployments")
        page = next(self.client.pages(path, environment=environment, task=task), ())
        yield from _read(tuple[Deployment, ...], page)

    def create_deployment(self, body: dict[str, Any]) -> Deployment:
        """Begin a deployment of a commit to an environment."""
        return _read(Deployment, self.client.post(self._path("deployments"), body))

    def deployment_status(self, deployment: int, body: dict[str, Any]) -> None:
        """Say where a deployment stands; the last one counts."""
        self.client.post(self._path(f"deployments/{deployment}/statuses"), body)

    def _path(self, rest: str) -> str:
        return f"/repos/{self.name}/{rest}"


def _read(shape: type[T], found: Any) -> T:
    return read(shape, found, GITHUB)


def read(shape: type[T], found: Any, service: Service) -> T:
    """Return what was answered as the data it should be; whatever else it is, is a fault."""
    try:
        return TypeAdapter(shape).validate_python(found)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise EnvironmentFault(
            f"answered with something else than was asked for (at `{place}`)",
            where=f"{service.name} API",
            hint=f"Check {service.address}: is it {service.looks_like}?",
        ) from error
