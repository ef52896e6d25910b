"""Where a job stands: its repository, run, commit and pull request, as environment and event say.

The event is written by GitHub, but what stands in it may be an outsider's; so a number is taken
only for a number, and a commit for forty hex digits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gates.attestation import MAX_PLACE, Origin
from gates.errors import EnvironmentFault, Refused
from gates.fields import bounded, run_page
from gates.report import CiInfo, GitInfo

PUBLIC_API = "https://api.github.com"
_MAX_EVENT = 32 * 1024 * 1024  # a payload has at most 25 MB
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_REPOSITORY = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)
_REF = re.compile(r"refs/[^\s\x00-\x1f\x7f]+")
_WORKFLOW = re.compile(r"[^\s\x00-\x1f\x7f]+")
_EVENT = re.compile(r"[a-z_]{1,50}")
# Whose code a job may run on: the events that can be about a fork's, and where they name it.
_SOURCES = {
    "pull_request": ("pull_request", "head", "repo", "full_name"),
    "pull_request_target": ("pull_request", "head", "repo", "full_name"),
    "workflow_run": ("workflow_run", "head_repository", "full_name"),
}
# Where the commit that is judged stands. GITHUB_SHA of a pull request is a merge that nobody sees.
_HEADS = (
    ("pull_request", "head", "sha"),
    ("workflow_run", "head_sha"),
    ("merge_group", "head_sha"),
)
# The events about a change that is not merged yet, and where they have its head and its base.
_OF_PULL = (("pull_request", "head", "sha"), ("pull_request", "base", "sha"))
_PROPOSALS = {
    "pull_request": _OF_PULL,
    "pull_request_review": _OF_PULL,
    "pull_request_review_comment": _OF_PULL,
    "merge_group": (("merge_group", "head_sha"), ("merge_group", "base_sha")),
}
_OF_RUN = (("head_branch",), ("head_repository", "owner", "login"), ("event",))
# Where the commit stands that it is to go on top of. A push has none: it is on its branch already.
_BASES = (("pull_request", "base", "sha"), ("merge_group", "base_sha"))


# Events on what nobody has merged, though the ref of some of them is the default branch's.
_UNMERGED = frozenset(
    {
        *("pull_request", "pull_request_review", "pull_request_review_comment"),
        *("pull_request_target", "issue_comment", "merge_group", "workflow_run"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What a publisher has to know of the job; `pull` and `head` are None where there is none."""

    repository: str
    api: str = PUBLIC_API
    url: str | None = None
    run: int = 0
    attempt: int = 0
    head: str | None = None
    pull: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A change that is not merged yet: its head, its base, and GitHub's merge of the two."""

    head: str
    base: str
    merge: str | None = None


def in_actions(environ: Mapping[str, str]) -> bool:
    """Return whether this process is a step of a GitHub Actions job."""
    return environ.get("GITHUB_ACTIONS") == "true"


def ci_info(environ: Mapping[str, str]) -> CiInfo | None:
    """Return which CI runs this, with the address of the run, or None outside of one."""
    if not in_actions(environ):
        return None
    return CiInfo(provider="github", url=_run_url(environ))


def git_info(environ: Mapping[str, str]) -> GitInfo:
    """Return where in history the job stands, as its environment and its event say.

    Of a pull request `sha` is the commit that people know, and not GitHub's merge of it.
    """
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    return GitInfo(
        sha=_head(environ, event),
        base_sha=next(filter(None, (_commit(_at(event, *path)) for path in _BASES)), None),
        ref=_name(environ.get("GITHUB_REF")),
    )


def origin(environ: Mapping[str, str]) -> Origin | None:
    """Return what a deploy will ask about where a run came from; None outside of GitHub Actions."""
    if not in_actions(environ):
        return None
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    return Origin(
        repository=_matching(_REPOSITORY, environ.get("GITHUB_REPOSITORY")),
        ref=_matching(_REF, environ.get("GITHUB_REF")),
        target=_matching(_REF, _at(event, "merge_group", "base_ref")),
        workflow=_matching(_WORKFLOW, environ.get("GITHUB_WORKFLOW_REF")),
        run=_number(environ.get("GITHUB_RUN_ID")),
        attempt=_number(environ.get("GITHUB_RUN_ATTEMPT")),
        event=_matching(_EVENT, environ.get("GITHUB_EVENT_NAME")) or "unknown",
        fork=_may_be_a_forks(environ, event),
    )


def default_branch(environ: Mapping[str, str]) -> str | None:
    """Return the ref of the repository's default branch, if the event tells it."""
    name = _at(_event(environ.get("GITHUB_EVENT_PATH")), "repository", "default_branch")
    return _matching(_REF, f"refs/heads/{name}") if isinstance(name, str) else None


def on_default_branch(environ: Mapping[str, str]) -> bool:
    """Return whether the job is about a commit that the default branch holds."""
    if environ.get("GITHUB_EVENT_NAME") in _UNMERGED:
        return False
    ref = environ.get("GITHUB_REF", "")
    return ref.startswith("refs/heads/") and default_branch(environ) in (None, ref)


def job(environ: Mapping[str, str], *, pull: int | None = None) -> Job:
    """Return where the job stands; `pull` is a pull request that somebody named.

    Raises EnvironmentFault when the environment does not say which repository it is about.
    """
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(repository):
        raise EnvironmentFault(
            "this is no `owner/name` of a repository" if repository else "it is not set",
            where="GITHUB_REPOSITORY",
            hint="Publish from a GitHub Actions job, or set GITHUB_REPOSITORY=owner/name.",
        )
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    # What a job tells of the run that it follows is as old as that run.
    run, attempt = (_at(event, "workflow_run", key) for key in ("id", "run_attempt"))
    return Job(
        repository=repository,
        api=environ.get("GITHUB_API_URL") or PUBLIC_API,
        url=_run_url(environ),
        run=_number(run or environ.get("GITHUB_RUN_ID")) or 0,
        attempt=_number(attempt or environ.get("GITHUB_RUN_ATTEMPT")) or 0,
        head=_head(environ, event),
        pull=pull or _number(_at(event, "pull_request", "number")),
    )


def _may_be_a_forks(environ: Mapping[str, str], event: Any) -> bool:
    """Return whether the code may be another repository's; a fork that is gone has no name."""
    path = _SOURCES.get(environ.get("GITHUB_EVENT_NAME", ""))
    if path is None:
        return False
    source, here = _at(event, *path), environ.get("GITHUB_REPOSITORY", "")
    return not isinstance(source, str) or source.casefold() != here.casefold()


def proposal(environ: Mapping[str, str]) -> Proposal | None:
    """Return the change that this job is about, or None where it is about what is merged already.

    Raises Refused for an event that runs a stranger's change with the rights of the repository,
    EnvironmentFault where the event does not say what the change is.
    """
    if not in_actions(environ):
        return None
    name = environ.get("GITHUB_EVENT_NAME", "")
    if name == "pull_request_target":
        raise Refused(
            "`pull_request_target` gives the code of a pull request the rights of the repository",
            where="GITHUB_EVENT_NAME",
            hint="Judge on `pull_request`, and publish in a `workflow_run` job.",
        )
    if name not in _PROPOSALS:
        return None
    event, (head, base) = _event(environ.get("GITHUB_EVENT_PATH")), _PROPOSALS[name]
    found = _commit(_at(event, *head)), _commit(_at(event, *base))
    if found[0] is None or found[1] is None:
        raise EnvironmentFault(
            f"the event `{name}` does not say which commits it is about",
            where="GITHUB_EVENT_PATH",
            hint="Name the base commit with `--policy base --base SHA`.",
        )
    return Proposal(head=found[0], base=found[1], merge=_commit(environ.get("GITHUB_SHA")))


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRun:
    """The run of another workflow that a `workflow_run` job follows, as GitHub states it.

    The branch is the head's, in a repository of `owner`, which may be a fork.
    """

    run: int
    attempt: int
    head: str
    branch: str
    owner: str
    event: str
    started: str = ""


def finished_run(environ: Mapping[str, str]) -> FinishedRun:
    """Return the run that this job follows. EnvironmentFault where it follows none."""
    found = _at(_event(environ.get("GITHUB_EVENT_PATH")), "workflow_run")
    run, head = _number(_at(found, "id")), _commit(_at(found, "head_sha"))
    texts = [_at(found, *path) for path in _OF_RUN]
    if run is None or head is None or not all(isinstance(text, str) and text for text in texts):
        raise EnvironmentFault(
            "the event does not say which run is to be judged",
            where="GITHUB_EVENT_PATH",
            hint="Judge a report anew in a job `on: workflow_run`.",
        )
    started = _at(found, "run_started_at")
    return FinishedRun(
        run=run,
        attempt=_number(_at(found, "run_attempt")) or 0,
        head=head,
        branch=texts[0],
        owner=texts[1],
        event=texts[2],
        started=started if isinstance(started, str) else "",
    )


def _head(environ: Mapping[str, str], event: Any) -> str | None:
    found = (*(_at(event, *path) for path in _HEADS), environ.get("GITHUB_SHA"))
    return next(filter(None, map(_commit, found)), None)


def _commit(value: Any) -> str | None:
    return value if isinstance(value, str) and _SHA.fullmatch(value) else None


def _run_url(environ: Mapping[str, str]) -> str | None:
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name, "") for name in names)
    return run_page(f"{server.rstrip('/')}/{repository}/actions/runs/{run}")


def _event(path: str | None) -> Any:
    """Return the event that started the job, or None: a job can do without."""
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            return json.loads(file.read(_MAX_EVENT))
    except (OSError, ValueError, RecursionError):
        return None


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _number(value: Any) -> int | None:
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if _NUMBER.fullmatch(text) else None


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    short = isinstance(value, str) and len(value) <= MAX_PLACE
    return value if short and pattern.fullmatch(value) else None


def _name(value: str | None) -> str | None:
    return bounded(value) if value else None
