"""The journal's lines: each holds the hash of the one before, so that none can be changed unseen.

A line is one JSON object in canonical form. It is written whole or not at all; what a crash left of
a last one is dropped, and said. Standard library only: the guard runs this where nothing else is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gates.errors import Refused

START: Final = "0" * 64
_RESERVE: Final = 64 * 1024
_LAST: Final = frozenset({"aborting", "intent", "done", "unconfirmed", "guard", "ended"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line: what was meant, done or found (`kind`), about which act, by whom, and when.

    `at` is for a person: nothing is decided by it. `token` is that of the lease that wrote it.
    """

    seq: int
    rollout: str
    kind: str
    act: str
    by: str
    at: str
    token: int
    body: Mapping[str, Any] = field(default_factory=dict)
    prev: str = START

    @property
    def hash(self) -> str:
        """Return the sha256 of everything else, in hex."""
        return hashlib.sha256(_canonical(self._fields())).hexdigest()

    def line(self) -> bytes:
        """Return the record as it stands in a journal, line end included."""
        return _canonical({**self._fields(), "hash": self.hash}) + b"\n"

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = ("seq", "rollout", "kind", "act", "by", "at", "token", "body", "prev")


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A journal, read and found whole; `torn` is what a crash left behind its last line."""

    records: tuple[Record, ...] = ()
    torn: bytes = b""

    @property
    def head(self) -> str:
        """Return the hash of the last record."""
        return self.records[-1].hash if self.records else START


def read(raw: bytes, where: str) -> Chain:
    """Return a journal's records. Raises Refused where a line was changed, moved or taken out."""
    *lines, torn = raw.split(b"\n")
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        record = _parse(line)
        wanted = records[-1].hash if records else None
        follows = record is not None and record.seq == number
        if record is None or not follows or (wanted is not None and record.prev != wanted):
            raise Refused(
                "this line of the journal does not follow from the one before",
                where=f"{where}, line {number}",
                hint="Somebody or something else wrote there. Look at both sides by hand, then "
                "move the journal away.",
            )
        records.append(record)
    return Chain(records=tuple(records), torn=torn)


def follows(raw: bytes, line: bytes, where: str) -> bytes | None:
    """Return the journal with a line added and what was torn dropped; None if it does not follow.

    It does not where another writer was faster: read again, and write the line anew.
    """
    chain, record = read(raw, where), _parse(line.rstrip(b"\n"))
    if record is None or record.prev != chain.head or record.seq != len(chain.records) + 1:
        return None
    return raw[: len(raw) - len(chain.torn)] + line


def room(line: bytes, most: int) -> int:
    """Return how long a journal may be with this line: what ends a rollout always has room."""
    record = _parse(line.rstrip(b"\n"))
    return most if record is not None and record.kind in _LAST else most - _RESERVE


def _parse(line: bytes) -> Record | None:
    """Return the record of a line; None if it is none, or its own hash says otherwise."""
    try:
        found = json.loads(line)
        said = found.pop("hash")
        record = Record(**found)
        return record if record.hash == said and record.line() == line + b"\n" else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _canonical(value: Mapping[str, Any]) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")
