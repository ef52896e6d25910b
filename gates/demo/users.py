"""Users who ask for predictions all the while, and what they got."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ID = "person_id"
_PEOPLE = 5_000
_SEED = 11
_CONNECTIONS = 4
_PAUSE = 0.004
_PATIENCE = 30.0


@dataclass(kw_only=True)
class Users:
    """A few connections to one port, on each of which person after person asks once.

    `got` counts the answers by their status; 0 is no answer at all.
    """

    port: int
    people: Sequence[Mapping[str, Any]]
    got: Counter[int] = field(default_factory=Counter)
    _gone: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> int:
        """Return how many asked."""
        return self.got.total()

    @property
    def errors(self) -> int:
        """Return how many got an error, or nothing."""
        return self.asked - self.got[200]

    @contextmanager
    def asking(self) -> Iterator[Users]:
        """Ask for as long as the block lasts."""
        threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True)
            for number in range(_CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._gone.set()
            for thread in threads:
                thread.join(_PATIENCE)

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        mine = [_sent(person) for person in self.people[number::_CONNECTIONS]]
        turn = 0
        while not self._gone.is_set():
            status = _status(connection, mine[turn % len(mine)])
            turn += 1
            with self._lock:
                self.got[status] += 1
            time.sleep(_PAUSE)
        connection.close()


def people(holdout: Path, features: Sequence[str]) -> tuple[Mapping[str, Any], ...]:
    """Return people of the holdout in an order of their own: who it is, and what is sent."""
    from pyarrow import parquet

    rows: list[dict[str, Any]] = parquet.read_table(holdout, columns=[ID, *features]).to_pylist()
    chosen = random.Random(_SEED).sample(rows, _PEOPLE)  # noqa: S311  (no secret)
    return tuple(chosen)


def record(asked: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write down what was asked, a line each."""
    path.write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")


def _sent(person: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in person.items() if name != ID}).encode()


def _status(connection: http.client.HTTPConnection, person: bytes) -> int:
    headers = {"Content-Type": "application/json"}
    try:
        connection.request("POST", "/predict", person, headers)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0
    return answer.status
