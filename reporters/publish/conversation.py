"""Keep one sticky comment on a proposed change per configuration, whoever hosts the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol

from gates.errors import EnvironmentFault
from gates.github.client import ApiFault, Overtaken, Still, Unsure
from gates.github.repository import Comment, User
from gates.report import Report, Verdict, dump
from reporters.publish.place import Place, When, vouched
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

# A page that a reviewer takes in; only what the host refuses is cut further.
BUDGETS = (20_000, 8_000, 2_000)
# Longer than another run takes from its look to its act; GitHub asks for one between two writes.
PAUSE_SECONDS = 2.0
_ROUNDS = 10
_GONE = frozenset({404, 410})


class Conversation(Protocol):
    """Where a change is talked about; `still` as for `gates.github.client.Client.post`."""

    def not_now(self) -> str | None:
        """Return why there is not to be written (any more)."""

    def comments(self) -> Iterable[Comment]:
        """Yield every comment."""

    def create(self, body: str, still: Still) -> User | None:
        """Write a new comment, and return who we are by that."""

    def update(self, comment: int, body: str, still: Still) -> None:
        """Write a comment anew."""

    def delete(self, comment: int, still: Still) -> None:
        """Remove a comment."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""


def keep(report: Report, place: Place, there: Conversation, me: User) -> str:
    """Create or update the comment, and return what was done."""
    drafts = _drafts(report, place, Memory(before=_said_before(there, me, place)))
    return _settle(there, me, drafts)


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


def _said_before(there: Conversation, me: User, place: Place) -> State | None:
    """Return what our comment says so far, if it is by another attempt than this one."""
    marker, job = f"{MARKER} id={slug(place.slug)} -->", place.job
    found = ours(there.comments(), me, marker, job.head or "-")
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


def _settle(there: Conversation, me: User, drafts: Iterator[Draft]) -> str:
    """Look and act until there is nothing to do, and return what was done."""
    draft, done, broke = next(drafts), "", None
    for _ in range(_ROUNDS):
        look = partial(_look, there, me, draft, wrote=bool(done))
        plan = look()
        if isinstance(plan, Leave):
            return done or plan.reason
        try:
            me = _act(there, plan, draft, partial(_again, look, plan)) or me
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
        there.pause(PAUSE_SECONDS)
    raise broke or EnvironmentFault(
        f"it was still changing after {_ROUNDS} looks",
        where="comment",
        hint="Something else writes it all the time: give each configuration its own `--slug`.",
    )


_SAID: dict[type[Plan], str] = {Create: "created", Update: "updated"}


def _look(there: Conversation, me: User, draft: Draft, *, wrote: bool) -> Plan:
    """Return the next thing to do, if this run is still the one to do it.

    Whether it is comes last, right before the act: a run that had to wait for the comments may find
    one on a newer commit among them, and must not take it for an old one.
    """
    plan = planned(there.comments(), me, draft, wrote=wrote)
    reason = None if isinstance(plan, Leave) else there.not_now()
    return Leave(reason) if reason else plan


def _again(look: Callable[[], Plan], plan: Plan) -> bool:
    """Return whether, after a wait, it is still the thing to do."""
    return look() == plan


def _act(there: Conversation, plan: Plan, draft: Draft, still: Still) -> User | None:
    """Do it; return who we turned out to be, where that came to light."""
    if isinstance(plan, Create):
        return there.create(draft.body, still)
    if isinstance(plan, Update):
        there.update(plan.comment, draft.body, still)
    if isinstance(plan, Delete):
        there.delete(plan.comment, still)
    return None
