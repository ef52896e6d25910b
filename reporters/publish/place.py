"""What every publisher is given: where the job stands, and what the user chose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gates.github.context import Job
from gates.github.repository import Repository
from gates.report import Check, Report

DEFAULT_SLUG = "default"


class When(StrEnum):
    """When a pull request gets a comment; one that is there is kept current by all but `off`."""

    CHANGES = "changes"
    FAILURES = "failures"
    ALWAYS = "always"
    OFF = "off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A line of a file in the repository, counted from 1."""

    path: str
    line: int


# The report does not know where its rules stand: who calls may, by model, gate and check.
Find = Callable[[str, str, Check | None], Spot | None]


def nowhere(_model: str, _gate: str, _check: Check | None) -> Spot | None:
    """Return that nobody knows where a rule stands."""
    return None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where to publish. `connect` is called by who needs the API, and only then is a token needed.

    `slug` tells apart what several configurations publish on one commit; `author` is the login
    that the token writes as, for an app other than that of Actions, which can not ask. `override`
    is a team's own template of the page.
    """

    job: Job
    connect: Callable[[], Repository]
    slug: str = DEFAULT_SLUG
    when: When = When.CHANGES
    author: str | None = None
    override: str | None = None
    find: Find = nowhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of it, as a sentence for the log; `text` is for stdout."""

    said: str
    text: str = ""


def vouched(report: Report, own: str | None) -> Report:
    """Return a report whose link leads to a run of the same repository as our `own`, or nowhere.

    A report may come from a job that a stranger's code ran in, and be shown under our name.
    """
    ci = report.run.ci
    runs = f"{own.rpartition('/')[0]}/" if own else None
    if ci is None or ci.url is None or (runs and ci.link and ci.url.startswith(runs)):
        return report
    unlinked = report.run.model_copy(update={"ci": ci.model_copy(update={"url": None})})
    return report.model_copy(update={"run": unlinked})
