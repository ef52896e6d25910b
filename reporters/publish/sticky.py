"""What to do about the one comment of a configuration: pure, so that races can be played through.

A comment of ours begins with two hidden lines: the marker, with the configuration's slug, and the
stamp, which says who wrote it. It is ours if the marker is its first line *and* the token's own
account is its author; so a quote of it is not, nor is a stranger's, whatever run it claims.

GitHub can not compare and swap. Several runs agree all the same: each looks, acts, waits longer
than others need from their look to their act, and looks again, until there is nothing to do. All
follow one order of runs, so what they agree on is one comment, by the newest run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gates.github.repository import Comment, User

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_RUN = re.compile(
    r"<!-- model-gates:run id=(?P<run>\d{1,15}) attempt=(?P<attempt>\d{1,15})"
    r" started=(?P<started>[0-9TZ:.-]{0,40}) head=(?P<head>[0-9a-f]{40,64}|-)"
    r" digest=(?P<digest>[0-9a-f]{16}) -->"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """Which run wrote a comment, about which commit, and the digest of what it wrote."""

    run: int = 0
    attempt: int = 0
    started: str = ""
    head: str = "-"
    digest: str = "0" * 16

    @property
    def age(self) -> tuple[int, int, str]:
        """Return the place in the order of runs; the newest is the highest."""
        return self.run, self.attempt, self.started

    def __str__(self) -> str:
        return (
            f"<!-- model-gates:run id={self.run} attempt={self.attempt} started={self.started}"
            f" head={self.head} digest={self.digest} -->"
        )


STAMP_BYTES = 256  # more than any stamp has


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What this run wants to say; `wanted` is whether it is worth a comment where none is."""

    marker: str
    stamp: Stamp
    body: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Create:
    """Write a new comment."""


@dataclass(frozen=True, slots=True)
class Update:
    """Write a comment anew."""

    comment: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a comment of ours that another one has replaced."""

    comment: int


@dataclass(frozen=True, slots=True)
class Leave:
    """There is nothing (more) to do, for this reason."""

    reason: str


Plan = Create | Update | Delete | Leave


def drafted(page: str, stamp: Stamp, told: bytes, *, wanted: bool) -> Draft:
    """Return a page, which begins with its marker, as a comment with its stamp.

    The digest is of `told`, the report: the page also says what the comment before it said.
    """
    marker, _, rest = page.partition("\n")
    digest = hashlib.sha256(told).hexdigest()[:16]
    # The time is text out of the report; the stamp is read back, and stands within an HTML comment.
    started = stamp.started if _TIME.fullmatch(stamp.started) else ""
    stamp = replace(stamp, started=started, digest=digest)
    return Draft(marker=marker, stamp=stamp, body=f"{marker}\n{stamp}\n{rest}", wanted=wanted)


def planned(comments: Iterable[Comment], me: User, draft: Draft, *, wrote: bool = False) -> Plan:
    """Return the next thing to do; `wrote` is whether this run has written already."""
    head = draft.stamp.head
    mine = ours(comments, me, draft.marker, head)
    if not mine:
        return Create() if draft.wanted else Leave("nothing to tell that needs a comment")
    if len(mine) > 1:
        return Delete(mine[-1].id)
    stamp, kept = stamped(mine[0]), mine[0].id
    if stamp == draft.stamp:
        return Leave("it is up to date")
    if stamp.head == head and stamp.age > draft.stamp.age:
        return Leave("a newer run has written it")
    if wrote and stamp.age == draft.stamp.age and stamp.head == head:
        return Leave("another job of this run writes it, too: give each its own `--slug`")
    return Update(kept)


def ours(comments: Iterable[Comment], me: User, marker: str, head: str) -> list[Comment]:
    """Return our comments of a configuration, by the newest run first.

    A run on another commit is out of date, whatever its number: `head` is the newest commit.
    """

    def order(comment: Comment) -> tuple[bool, tuple[int, int, str], int]:
        stamp = stamped(comment)
        return stamp.head == head, stamp.age, -comment.id

    found = [c for c in comments if me.same(c.user) and _marked(c, marker)]
    return sorted(found, key=order, reverse=True)


def stamped(comment: Comment) -> Stamp:
    """Return who wrote a comment of ours; one that does not say is older than any."""
    line = comment.body.replace("\r", "").split("\n", 2)[1:2]
    found = _RUN.fullmatch(line[0]) if line else None
    if found is None:
        return Stamp()
    return Stamp(
        run=int(found["run"]),
        attempt=int(found["attempt"]),
        started=found["started"],
        head=found["head"],
        digest=found["digest"],
    )


def _marked(comment: Comment, marker: str) -> bool:
    return comment.body.replace("\r", "").split("\n", 1)[0] == marker
