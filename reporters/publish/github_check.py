"""A check run on the commit: begun in progress, and concluded whatever comes."""

from __future__ import annotations

from typing import Any

from gates.github.client import ApiFault, Unsure
from gates.github.repository import CheckRun, Repository
from gates.report import Report, Verdict
from reporters.publish.marked import Level, Mark, marks
from reporters.publish.place import DEFAULT_SLUG, Outcome, Place, vouched
from reporters.render.escape import cut, plain
from reporters.render.headline import headline
from reporters.render.markdown import render

MAX_SUMMARY = 65_535  # characters; the budget is of bytes, of which there are never fewer
_MAX_TITLE = 200
_TRIES = 3
_LEVELS = {Level.ERROR: "failure", Level.WARNING: "warning", Level.NOTICE: "notice"}
NAME = "Model gates"


def publish(report: Report, place: Place) -> Outcome:
    """Begin the check run, or find the one that this run has begun, and conclude it."""
    if place.job.head is None:
        return Outcome(said="check run skipped: nothing says which commit this is about")
    done = {"status": "completed", "conclusion": conclusion(report)}
    output = _output(report, place)
    repository = place.connect()
    check = begin(repository, place, place.job.head)
    try:
        repository.update_check(check.id, {**done, "output": output})
    except ApiFault as fault:
        if fault.status != 422:
            raise
        # A conclusion without a page is better than a page that nobody takes.
        bare = {key: output[key] for key in ("title",)} | {"summary": output["title"]}
        repository.update_check(check.id, {**done, "output": bare})
    return Outcome(said=f"check run: {done['conclusion']}")


def conclusion(report: Report) -> str:
    """Return what branch protection is to make of a report.

    To GitHub `neutral` is as good as `success`, so it is only for what policy lets through.
    """
    if report.blocked or report.exit_code != 0 or report.verdict is None:
        return "failure"
    return "success" if report.verdict is Verdict.PASS else "neutral"


def begin(repository: Repository, place: Place, head: str) -> CheckRun:
    """Return this run's check run on a commit, in progress; it is made where there is none.

    A POST that broke may have made one, so each try looks first.
    """
    name = NAME if place.slug == DEFAULT_SLUG else f"{NAME}: {plain(cut(place.slug, 80))}"
    number = f"{place.slug}:{place.job.run}:{place.job.attempt}"
    body: dict[str, Any] = {
        "name": name,
        "head_sha": head,
        "external_id": number,
        "status": "in_progress",
    }
    if place.job.url:
        body["details_url"] = place.job.url
    broke: Unsure | None = None
    for _ in range(_TRIES):
        found = [run for run in repository.check_runs(head, name) if run.external_id == number]
        if found:
            return found[0]
        try:
            return repository.create_check(body)
        except Unsure as unsure:
            broke = unsure
            repository.client.pause(1.0)
    assert broke is not None  # noqa: S101  (every other way has returned)
    raise broke


def _output(report: Report, place: Place) -> dict[str, Any]:
    shown = [_annotation(mark) for mark in marks(report, place.find) if mark.spot]
    return {
        "title": cut(plain(headline(report)[1]), _MAX_TITLE),
        "summary": render(vouched(report, place.job.url), budget=MAX_SUMMARY, marker=place.slug),
        "annotations": shown,
    }


def _annotation(mark: Mark) -> dict[str, Any]:
    spot = mark.spot
    assert spot is not None  # noqa: S101  (asked for by who calls)
    return {
        "path": spot.path,
        "start_line": spot.line,
        "end_line": spot.line,
        "annotation_level": _LEVELS[mark.level],
        "title": mark.title,
        "message": mark.text,
    }
