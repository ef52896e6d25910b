"""One sticky comment on the pull request per configuration, kept current by the newest run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gates.github.client import ApiFault, Still
from gates.github.repository import Comment, Repository, User
from gates.report import Report
from reporters.publish.conversation import keep
from reporters.publish.place import Outcome, Place, When


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """The conversation on a pull request, as long as it is open and stands at `head`."""

    repository: Repository
    number: int
    head: str | None

    def not_now(self) -> str | None:
        """Return why it is not to be commented on (any more)."""
        pull = self.repository.pull(self.number)
        if pull.state != "open":
            return f"pull request #{self.number} is {pull.state}"
        if self.head is not None and pull.head.sha != self.head:
            return f"pull request #{self.number} has a newer commit"
        return None

    def comments(self) -> Iterator[Comment]:
        """Yield every comment, the oldest first."""
        return self.repository.comments(self.number)

    def create(self, body: str, still: Still) -> User | None:
        """Write a new comment, and return who we are by that."""
        return self.repository.create_comment(self.number, body, still).user

    def update(self, comment: int, body: str, still: Still) -> None:
        """Write a comment anew."""
        self.repository.update_comment(comment, body, still)

    def delete(self, comment: int, still: Still) -> None:
        """Remove a comment."""
        self.repository.delete_comment(comment, still)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.repository.client.pause(seconds)


def publish(report: Report, place: Place) -> Outcome:
    """Create or update the comment, or say why not."""
    number = place.job.pull
    if place.when is When.OFF:
        return Outcome(said="comment: off")
    if number is None:
        return Outcome(said="comment skipped: this run is not about a pull request")
    there = PullRequest(repository=place.connect(), number=number, head=place.job.head)
    try:
        if reason := there.not_now():
            return Outcome(said=f"comment skipped: {reason}")
        me = User(login=place.author) if place.author else there.repository.viewer()
        return Outcome(said=f"comment: {keep(report, place, there, me)}")
    except ApiFault as fault:
        if reason := _shut(fault):
            return Outcome(said=f"comment skipped: pull request #{number} {reason}")
        raise


def _shut(fault: ApiFault) -> str | None:
    """Return why nobody is meant to write any more, where that is what a fault says."""
    if fault.locked:
        return "is locked"
    return "is gone: deleted, or converted" if fault.status == 410 else None
