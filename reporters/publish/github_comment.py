"""One sticky comment on the pull request per configuration, kept current by the newest run."""

from __future__ import annotations

from collections.abc import Iterator

from gates.errors import EnvironmentFault
from gates.github.client import ApiFault, Unsure
from gates.github.repository import Repository, User
from gates.report import Report, Verdict, dump
from reporters.publish.place import Outcome, Place, When
from reporters.publish.sticky import (
    STAMP_BYTES,
    Create,
    Delete,
    Draft,
    Leave,
    Plan,
    Stamp,
    Update,
    drafted,
    ours,
    planned,
    stamped,
)
from reporters.render.escape import slug
from reporters.render.markdown import Memory, render
from reporters.render.since import State, read
from reporters.render.template import MARKER

# A page that a reviewer takes in; only what GitHub refuses is cut further.
BUDGETS = (20_000, 8_000, 2_000)
# Longer than another run takes from its look to its act; GitHub asks for one between two writes.
PAUSE_SECONDS = 2.0
_ROUNDS = 10
_GONE = frozenset({404, 410})


def publish(report: Report, place: Place) -> Outcome:
    """Create or update the comment, or say why not."""
    number = place.job.pull
    if place.when is When.OFF:
        return Outcome(said="comment: off")
    if number is None:
        return Outcome(said="comment skipped: this run is not about a pull request")
    repository = place.connect()
    if reason := _not_now(repository, number, place.job.head):
        return Outcome(said=f"comment skipped: {reason}")
    me = User(login=place.author) if place.author else repository.viewer()
    before = _said_before(repository, number, me, place)
    drafts = _drafts(report, place, Memory(before=before))
    return Outcome(said=f"comment: {_settle(repository, number, me, drafts)}")


def worth_a_comment(report: Report, when: When) -> bool:
    """Return whether a pull request that has no comment gets one.

    `changes` keeps quiet where the candidate does what the baseline did, and everything passes.
    """
    if when is When.ALWAYS or report.blocked or report.error:
        return when is not When.OFF
    if when is not When.CHANGES:
        return False
    checks = [check for model in report.models for gate in model.gates for check in gate.checks]
    return (
        report.verdict is not Verdict.PASS
        or bool(report.policy and report.policy.changes)
        or any(model.baseline is None for model in report.models)
        or any(check.delta or check.waiver for check in checks)
    )


def _said_before(repository: Repository, number: int, me: User, place: Place) -> State | None:
    """Return what our comment says so far, if it is about another run than this one."""
    marker, head = f"{MARKER} id={slug(place.slug)} -->", place.job.head or "-"
    found = ours(repository.comments(number), me, marker, head)
    return read(found[0].body) if found and stamped(found[0]).run != place.job.run else None


def _drafts(report: Report, place: Place, memory: Memory) -> Iterator[Draft]:
    """Yield the comment, then ever shorter ones, for a server that takes less than GitHub does."""
    job = place.job
    stamp = Stamp(
        run=job.run,
        attempt=job.attempt,
        started=report.run.started.replace("+00:00", "Z"),
        head=job.head or "-",
    )
    wanted, told = worth_a_comment(report, place.when), dump(report)
    for budget in BUDGETS:
        page = render(
            report,
            budget=budget - STAMP_BYTES,
            marker=place.slug,
            memory=memory,
            override=place.override,
        )
        yield drafted(page, stamp, told, wanted=wanted)


def _not_now(repository: Repository, number: int, head: str | None) -> str | None:
    """Return why a pull request is not to be commented on (any more)."""
    pull = repository.pull(number)
    if pull.state != "open":
        return f"pull request #{number} is {pull.state}"
    if head is not None and pull.head.sha != head:
        return f"pull request #{number} has a newer commit"
    return None


def _settle(repository: Repository, number: int, me: User, drafts: Iterator[Draft]) -> str:
    """Look and act until there is nothing to do, and return what was done."""
    draft, done, broke = next(drafts), "", None
    for _ in range(_ROUNDS):
        plan = planned(repository.comments(number), me, draft, wrote=bool(done))
        if isinstance(plan, Leave):
            return done or plan.reason
        try:
            me = _act(repository, number, plan, draft) or me
            done = _SAID.get(type(plan), done)
        except Unsure as unsure:
            broke = unsure  # the next look tells whether it was written
        except ApiFault as fault:
            shorter = next(drafts, None) if fault.status == 422 else None
            deleted = fault.status in _GONE and isinstance(plan, Update)
            if shorter is None and not deleted:
                raise
            draft = shorter or draft
        repository.client.pause(PAUSE_SECONDS)
    raise broke or EnvironmentFault(
        f"it was still changing after {_ROUNDS} looks",
        where=f"comment on #{number}",
        hint="Something else writes it all the time: give each configuration its own `--slug`.",
    )


_SAID: dict[type[Plan], str] = {Create: "created", Update: "updated"}


def _act(repository: Repository, number: int, plan: Plan, draft: Draft) -> User | None:
    """Do it; return who we turned out to be, where that came to light."""
    if isinstance(plan, Create):
        return repository.create_comment(number, draft.body).user
    if isinstance(plan, Update):
        repository.update_comment(plan.comment, draft.body)
    if isinstance(plan, Delete):
        repository.delete_comment(plan.comment)
    return None
