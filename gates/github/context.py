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

from gates.errors import EnvironmentFault
from gates.report import CiInfo, GitInfo, bounded, run_page

PUBLIC_API = "https://api.github.com"
_MAX_EVENT = 32 * 1024 * 1024  # a payload has at most 25 MB
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_REPOSITORY = re.compile(r"(?!\.{1,2}/)[\w.-]+/(?!\.{1,2}$)[\w.-]+", re.ASCII)
# Where the commit that is judged stands. GITHUB_SHA of a pull request is a merge that nobody sees.
_HEADS = (
    ("pull_request", "head", "sha"),
    ("workflow_run", "head_sha"),
    ("merge_group", "head_sha"),
)
# Where the commit stands that it is to go on top of. A push has none: it is on its branch already.
_BASES = (("pull_request", "base", "sha"), ("merge_group", "base_sha"))


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
    return Job(
        repository=repository,
        api=environ.get("GITHUB_API_URL") or PUBLIC_API,
        url=_run_url(environ),
        run=_number(environ.get("GITHUB_RUN_ID")) or 0,
        attempt=_number(environ.get("GITHUB_RUN_ATTEMPT")) or 0,
        head=_head(environ, event),
        pull=pull or _number(_at(event, "pull_request", "number")),
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


def _name(value: str | None) -> str | None:
    return bounded(value) if value else None
