"""Writing to a journal: whoever holds the lease, one line after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gates.canary import chain
from gates.canary.chain import Record
from gates.canary.plan import Plan
from gates.canary.site import Lease, Store
from gates.errors import EnvironmentFault
from gates.fields import bounded

_TRIES = 5


@dataclass(kw_only=True)
class Journal:
    """The journal of one rollout, as its holder writes it; `told` hears of every line."""

    store: Store
    lease: Lease
    by: str
    told: Callable[[tuple[Record, ...]], None] = field(default=lambda _: None)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    records: tuple[Record, ...] = ()

    def begin(self, plan: Plan) -> None:
        """Begin with what is going to be done. Raises EnvironmentFault, or Fenced."""
        earlier = records(self.store)
        # Each journal goes on where the one before ended, so that none can be taken out.
        prev = earlier[-1].hash if earlier else chain.START
        record = self._record(1, plan.rollout, prev, ("plan", ""), {"plan": plan.as_json()})
        self.store.begin(record.line(), self.lease.token)
        self._note((record,))

    def write(self, kind: str, act: str = "", **body: Any) -> Record:
        """Add a line, and return it only when it is on disk. Raises EnvironmentFault, or Fenced."""
        for _ in range(_TRIES):
            found = self.records or records(self.store)
            last = found[-1]
            record = self._record(last.seq + 1, last.rollout, last.hash, (kind, act), body)
            if self.store.append(record.line(), self.lease.token):
                self._note((*found, record))
                return record
            self.records = ()
        raise EnvironmentFault(
            "somebody else writes to this journal without pause",
            hint="See who with `model-gates canary status`.",
        )

    def _record(
        self, seq: int, rollout: str, prev: str, what: tuple[str, str], body: dict[str, Any]
    ) -> Record:
        at = self.now().isoformat(timespec="seconds")
        kind, act = what
        return Record(
            seq=seq,
            rollout=rollout,
            kind=kind,
            act=act,
            by=bounded(self.by),
            at=at,
            token=self.lease.token,
            body=body,
            prev=prev,
        )

    def _note(self, found: tuple[Record, ...]) -> None:
        self.records = found
        self.told(found)


def records(store: Store) -> tuple[Record, ...]:
    """Return the lines of the latest rollout. Raises Refused where they were tampered with."""
    return chain.read(store.read(), "journal").records
