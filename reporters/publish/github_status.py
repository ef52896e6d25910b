"""A commit status, for who prefers it to a check run: one word and one line."""

from __future__ import annotations

from gates.github.client import Unsure
from gates.report import Report
from reporters.publish.github_check import conclusion
from reporters.publish.place import DEFAULT_SLUG, Outcome, Place
from reporters.render.escape import cut, plain
from reporters.render.headline import headline

_MAX_DESCRIPTION = 140
CONTEXT = "model-gates"


def publish(report: Report, place: Place) -> Outcome:
    """Set the status of the commit; no `error`: what was not decided is a failure, too."""
    if place.job.head is None:
        return Outcome(said="commit status skipped: nothing says which commit this is about")
    state = "failure" if conclusion(report) == "failure" else "success"
    body = {
        "state": state,
        "description": cut(plain(headline(report)[1]), _MAX_DESCRIPTION),
        "context": CONTEXT if place.slug == DEFAULT_SLUG else f"{CONTEXT}/{place.slug}",
    }
    if place.job.url:
        body["target_url"] = place.job.url
    repository = place.connect()
    try:
        repository.create_status(place.job.head, body)
    except Unsure:
        # The last status of a context counts, so a second one of the same words changes nothing.
        repository.create_status(place.job.head, body)
    return Outcome(said=f"commit status: {state}")
