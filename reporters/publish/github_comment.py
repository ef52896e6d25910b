"""One sticky comment on the pull request per configuration, kept current by the newest run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from gates.errors import EnvironmentFault
from gates.github.client import ApiFault, Overtaken, Still, Unsure
from gates.github.repository import Repository, User
from gates.report import Report, Verdict, dump
from reporters.publish.place import Outcome, Place, When, vouched
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
    try:
        return Outcome(said=_published(report, place, number))
    except ApiFault as fault:
        if reason := _shut(fault):
            return Outcome(said=f"comment skipped: pull request #{number} {reason}")
        raise


def _published(report: Report, place: Place, number: int) -> str:
    repository = place.connect()
    if reason := _not_now(repository, number, place.job.head):
        return f"comment skipped: {reason}"
    me = User(login=place.author) if place.author else repository.viewer()
    before = _said_before(repository, number, me, place)
    drafts = _drafts(report, place, Memory(before=before))
    return f"comment: {_settle(repository, number, me, drafts)}"


def _shut(fault: ApiFault) -> str | None:
    """Return why nobody is meant to write any more, where that is what a fault says."""
    if fault.locked:
        return "is locked"
    return "is gone: deleted, or converted" if fault.status == 410 else None


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
    """Return what our comment says so far, if it is by another attempt than this one."""
    marker, job = f"{MARKER} id={slug(place.slug)} -->", place.job
    found = ours(repository.comments(number), me, marker, job.head or "-")
    if not found:
        return None
    stamp = stamped(found[0])
    return read(found[0].body) if (stamp.run, stamp.attempt) != (job.run, job.attempt) else None


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
    shown = vouched(report, job.url)
    for budget in BUDGETS:
        page = render(
            shown,
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
        look = partial(_look, repository, number, me, draft, wrote=bool(done))
        plan = look()
        if isinstance(plan, Leave):
            return done or plan.reason
        try:
            me = _act(repository, number, plan, draft, partial(_again, look, plan)) or me
            done = _SAID.get(type(plan), done)
        except Overtaken:
            continue  # it has waited already
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


def _look(repository: Repository, number: int, me: User, draft: Draft, *, wrote: bool) -> Plan:
    """Return the next thing to do, if this run is still the one to do it.

    The pull request is asked last, right before the act: a run that had to wait for the comments
    may find one on a newer commit among them, and must not take it for an old one.
    """
    plan = planned(repository.comments(number), me, draft, wrote=wrote)
    if isinstance(plan, Leave):
        return plan
    head = draft.stamp.head
    reason = _not_now(repository, number, None if head == "-" else head)
    return Leave(reason) if reason else plan


def _again(look: Callable[[], Plan], plan: Plan) -> bool:
    """Return whether, after a wait, it is still the thing to do."""
    return look() == plan


def _act(
    repository: Repository, number: int, plan: Plan, draft: Draft, still: Still
) -> User | None:
    """Do it; return who we turned out to be, where that came to light."""
    if isinstance(plan, Create):
        return repository.create_comment(number, draft.body, still).user
    if isinstance(plan, Update):
        repository.update_comment(plan.comment, draft.body, still)
    if isinstance(plan, Delete):
        repository.delete_comment(plan.comment, still)
    return None
