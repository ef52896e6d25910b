"""Ask both sides the same things, a few at a time; what either does wrong is noted, not raised."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from gates.canary.exchange import Lost, NoAnswer, Request, exchange
from gates.canary.replay.answers import Heard, Wrong, read
from gates.canary.replay.rows import Rows, body
from gates.canary.sight import Endpoints, Side

if TYPE_CHECKING:
    from gates.canary.replay.replay import Replay

# So many troubles of one side, and half of all it was asked: more of them would tell nothing new.
_ENOUGH = 20
_TICK = 0.5  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came of one request: an answer that was understood, or why there is none.

    `wrong` tells a whole answer of the wrong shape from none at all, `refused` that it was a 4xx.
    """

    heard: Heard | None = None
    trouble: str = ""
    wrong: bool = False
    refused: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchanged:
    """One request to both sides, about `size` rows from `start` on."""

    start: int
    size: int
    stable: Reply
    canary: Reply


@dataclass(kw_only=True)
class _Asking:
    """Everything that a request needs, and the word to stop."""

    endpoints: Endpoints
    options: Replay
    rows: Rows
    headers: Mapping[str, str]
    stop: Event = field(default_factory=Event)

    def both(self, number: int, start: int) -> Exchanged | None:
        """Ask both sides about some rows, either of them first in turn; None once stopped."""
        rows = self.rows.values[start : start + self.options.batch]
        content = body(self.options, rows, self.rows.kinds)
        first, second = list(Side)[:: -1 if number % 2 else 1]
        try:
            replies = {side: self._reply(side, content, len(rows)) for side in (first, second)}
        except _Stopped:
            return None
        return Exchanged(
            start=start,
            size=len(rows),
            stable=replies[Side.STABLE],
            canary=replies[Side.CANARY],
        )

    def _reply(self, side: Side, content: bytes, rows: int) -> Reply:
        request = Request(
            url=getattr(self.endpoints, side.value).rstrip("/") + self.options.path,
            method="POST",
            body=content,
            headers={"Content-Type": "application/json", **self.headers},
            timeout=self.options.timeout,
            most=self.options.max_answer,
        )
        try:
            answer = exchange(request, self.stop)
        except NoAnswer as error:
            if error.lost is Lost.STOPPED:
                raise _Stopped from None
            return Reply(trouble=error.lost.value)
        if not 200 <= answer.status < 300:
            refused = 400 <= answer.status < 500
            return Reply(trouble=f"status {answer.status}", refused=refused, seconds=answer.seconds)
        try:
            heard = read(answer.body, self.options, rows)
        except Wrong as error:
            return Reply(trouble=error.reason, wrong=True, seconds=answer.seconds)
        return Reply(heard=heard, seconds=answer.seconds)


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


def send(
    endpoints: Endpoints,
    options: Replay,
    rows: Rows,
    headers: Mapping[str, str],
    tick: Callable[[], None],
) -> tuple[Exchanged, ...]:
    """Return what came of each request, in the order of the rows.

    They may be fewer than the rows: when the time is up, or one side has shown what it does.
    """
    asking = _Asking(endpoints=endpoints, options=options, rows=rows, headers=headers)
    with ThreadPoolExecutor(options.concurrency, thread_name_prefix="replay") as pool:
        try:
            found = _all(asking, pool, tick)
        finally:
            asking.stop.set()  # or the pool waits for whoever does not answer
    return tuple(sorted(found, key=lambda one: one.start))


@dataclass(kw_only=True)
class _Log:
    """What came back so far, and how often each side was in trouble."""

    found: list[Exchanged] = field(default_factory=list)
    troubles: Counter[Side] = field(default_factory=Counter)

    def add(self, one: Exchanged) -> None:
        self.found.append(one)
        if one.stable.trouble == one.canary.trouble and one.stable.refused:
            return  # a row that neither takes: that is the row's trouble
        self.troubles.update(side for side in Side if getattr(one, side.value).heard is None)

    def shown(self, options: Replay) -> bool:
        """Return whether one side has failed so often that asking on would tell nothing new."""
        most = max(self.troubles.values(), default=0)
        return most >= _ENOUGH + options.failures.max and 2 * most >= len(self.found)


def _all(asking: _Asking, pool: ThreadPoolExecutor, tick: Callable[[], None]) -> list[Exchanged]:
    options, log = asking.options, _Log()
    until, ticked = time.monotonic() + options.deadline, time.monotonic()
    starts = enumerate(range(0, len(asking.rows), options.batch))
    pending: set[Future[Exchanged | None]] = set()
    while time.monotonic() < until:
        if not log.shown(options):
            pending |= set(_more(asking, pool, starts, options.concurrency - len(pending)))
        if not pending:
            break
        finished, pending = wait(pending, timeout=_TICK, return_when=FIRST_COMPLETED)
        for future in finished:
            if (one := future.result()) is not None:
                log.add(one)
        if time.monotonic() - ticked >= _TICK:
            tick()
            ticked = time.monotonic()
    return log.found


def _more(
    asking: _Asking, pool: ThreadPoolExecutor, starts: Iterator[tuple[int, int]], count: int
) -> Iterator[Future[Exchanged | None]]:
    for _, (number, start) in zip(range(count), starts, strict=False):
        yield pool.submit(asking.both, number, start)
