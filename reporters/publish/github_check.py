"""A check run on the commit: begun in progress, and concluded whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gates.errors import EnvironmentFault
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
_NOWHERE = "check run skipped: nothing says which commit this is about"


def announce(place: Place) -> Outcome:
    """Begin the check run, before there is a report."""
    if place.job.head is None:
        return Outcome(said=_NOWHERE)
    check = begin(place.connect(), place, place.job.head)
    return Outcome(said=f"check run: {check.conclusion or 'in progress'}")


def publish(report: Report, place: Place) -> Outcome:
    """Begin the check run, or find the one that this run has begun, and conclude it."""
    if place.job.head is None:
        return Outcome(said=_NOWHERE)
    done = {"status": "completed", "conclusion": conclusion(report)}
    output = _output(report, place)
    # A conclusion without a page is better than a page that nobody takes.
    bare = {"title": output["title"], "summary": output["title"]}
    repository = place.connect()
    check = begin(repository, place, place.job.head)
    whole, short = {**done, "output": output}, {**done, "output": bare}
    try:
        _taken(lambda body: repository.update_check(check.id, body), whole, short)
    except EnvironmentFault as fault:
        _conclude_anew(repository, _named(place, place.job.head), (whole, short), fault)
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
    named = _named(place, head)
    broke: Unsure | None = None
    for _ in range(_TRIES):
        if known := _known(repository, named):
            return known
        try:
            return repository.create_check({**named, "status": "in_progress"})
        except Unsure as unsure:
            broke = unsure
            repository.client.pause(1.0)
    assert broke is not None  # noqa: S101  (every other way has returned)
    raise broke


def _named(place: Place, head: str) -> dict[str, Any]:
    """Return what tells our check run from every other one."""
    name = NAME if place.slug == DEFAULT_SLUG else f"{NAME}: {plain(cut(place.slug, 80))}"
    number = f"{place.slug}:{place.job.run}:{place.job.attempt}"
    named = {"name": name, "head_sha": head, "external_id": number}
    return named | ({"details_url": place.job.url} if place.job.url else {})


def _known(repository: Repository, named: dict[str, Any]) -> CheckRun | None:
    """Return the check run of that name and number, of several the newest: the one that counts."""
    runs = repository.check_runs(named["head_sha"], named["name"])
    ours = [run for run in runs if run.external_id == named["external_id"]]
    return max(ours, key=lambda run: run.id, default=None)


def _conclude_anew(
    repository: Repository,
    named: dict[str, Any],
    bodies: tuple[dict[str, Any], dict[str, Any]],
    refused: EnvironmentFault,
) -> None:
    """Conclude a check run that could not be changed by another one of its name, made concluded.

    It may be another app's, or gone. Or it was concluded, and only the answer got lost.
    """
    wanted = bodies[0]["conclusion"]

    def concluded() -> bool:
        known = _known(repository, named)
        return known is not None and known.conclusion == wanted

    try:
        if not concluded():
            _taken(lambda body: repository.create_check({**named, **body}), *bodies)
    except EnvironmentFault as fault:
        if isinstance(fault, Unsure) and concluded():
            return
        raise EnvironmentFault(
            f"the check run is still in progress, for it could not be concluded: {refused.message}",
            where=refused.where,
            hint=refused.hint,
        ) from fault


def _taken(
    write: Callable[[dict[str, Any]], object], whole: dict[str, Any], short: dict[str, Any]
) -> None:
    """Write the whole of it; where its content is refused, the short of it."""
    try:
        write(whole)
    except ApiFault as fault:
        if fault.status != 422:
            raise
        write(short)


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
