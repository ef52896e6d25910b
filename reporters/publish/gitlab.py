"""One sticky note on the merge request per configuration, kept current by the newest pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from gates.errors import EnvironmentFault
from gates.github.client import Client, Still
from gates.github.context import Job
from gates.github.repository import Comment, User, read
from gates.github.service import AGAIN, Service
from gates.report import Report
from reporters.publish.conversation import keep
from reporters.publish.place import Outcome, Place, When

GITLAB = Service(
    name="GitLab",
    address="CI_API_V4_URL",
    looks_like="https://gitlab.com/api/v4, or https://HOST/api/v4",
    token="GITLAB_TOKEN",  # noqa: S106  (a variable's name)
    get_token="Make a project access token with the scope `api`, and a masked variable of it.",  # noqa: S106
    sent_as=("PRIVATE-TOKEN", ""),
    headers={"Accept": "application/json"},
    hints={
        401: "The token is not valid (any more): check GITLAB_TOKEN.",
        403: "Give the token the scope `api`, and its user a role that may comment. The job's own "
        "token (CI_JOB_TOKEN) may not.",
        404: "Check the project and the merge request, and that the token may see them.",
        409: "Something else changed it at the same time: try again.",
        429: AGAIN,
    },
)
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")


class _Shape(BaseModel):
    """What we read of an answer, and no more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Person(_Shape):
    id: int
    username: str

    @property
    def user(self) -> User:
        return User(login=self.username, id=self.id)


class _Note(_Shape):
    id: int
    body: str
    author: _Person
    system: bool


class _State(_Shape):
    state: str
    sha: str | None


@dataclass(frozen=True, kw_only=True)
class MergeRequest:
    """The notes on a merge request, as long as it is open and stands at `head`."""

    client: Client
    project: str
    number: int
    head: str | None

    def viewer(self) -> User:
        """Return who the token is."""
        return read(_Person, self.client.get("/user"), GITLAB).user

    def not_now(self) -> str | None:
        """Return why there is not to be a note on it (any more)."""
        found = read(_State, self.client.get(self._path), GITLAB)
        if found.state != "opened":
            return f"merge request !{self.number} is {found.state}"
        if self.head is not None and found.sha != self.head:
            return f"merge request !{self.number} has a newer commit"
        return None

    def comments(self) -> Iterator[Comment]:
        """Yield every note that somebody wrote, the oldest first."""
        order = {"sort": "asc", "order_by": "created_at"}
        for page in self.client.pages(f"{self._path}/notes", **order):
            for note in read(tuple[_Note, ...], page, GITLAB):
                if not note.system:
                    yield _comment(note)

    def create(self, body: str, still: Still) -> User | None:
        """Write a new note, and return who we are by that."""
        found = self.client.post(f"{self._path}/notes", {"body": body}, still)
        return read(_Note, found, GITLAB).author.user

    def update(self, comment: int, body: str, still: Still) -> None:
        """Write a note anew."""
        self.client.put(f"{self._path}/notes/{comment}", {"body": body}, still)

    def delete(self, comment: int, still: Still) -> None:
        """Remove a note."""
        self.client.delete(f"{self._path}/notes/{comment}", still)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.client.pause(seconds)

    @property
    def _path(self) -> str:
        return f"/projects/{self.project}/merge_requests/{self.number}"


def publish(report: Report, place: Place) -> Outcome:
    """Create or update the note on the merge request, or say why not."""
    job = place.job
    if place.when is When.OFF:
        return Outcome(said="note: off")
    if job.pull is None:
        return Outcome(said="note skipped: this pipeline is not about a merge request")
    client = place.connect().client
    there = MergeRequest(client=client, project=job.repository, number=job.pull, head=job.head)
    if reason := there.not_now():
        return Outcome(said=f"note skipped: {reason}")
    return Outcome(said=f"note: {keep(report, place, there, there.viewer())}")


def job(environ: Mapping[str, str], *, pull: int | None = None) -> Job:
    """Return where a job of GitLab CI stands; `pull` is a merge request that somebody named.

    A pipeline takes the place of a run, and a job of it that of an attempt: of one that is
    retried, the newest counts.
    """
    # A pipeline of a fork runs in the fork, and its merge request stands elsewhere.
    project = _number(environ, "CI_MERGE_REQUEST_PROJECT_ID") or _number(environ, "CI_PROJECT_ID")
    if project is None:
        raise EnvironmentFault(
            "this is no number of a project" if environ.get("CI_PROJECT_ID") else "it is not set",
            where="CI_PROJECT_ID",
            hint="Publish from a job of GitLab CI, or set CI_PROJECT_ID and CI_API_V4_URL.",
        )
    # CI_COMMIT_SHA of a merged-results pipeline is a merge that nobody sees.
    shas = (environ.get(f"CI_{name}_SHA", "") for name in ("MERGE_REQUEST_SOURCE_BRANCH", "COMMIT"))
    return Job(
        repository=str(project),
        api=environ.get("CI_API_V4_URL", ""),
        run=_number(environ, "CI_PIPELINE_ID") or 0,
        attempt=_number(environ, "CI_JOB_ID") or 0,
        head=next((sha for sha in shas if _SHA.fullmatch(sha)), None),
        pull=pull or _number(environ, "CI_MERGE_REQUEST_IID"),
    )


def _comment(note: _Note) -> Comment:
    return Comment(id=note.id, html_url="", user=note.author.user, body=note.body)


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else None
