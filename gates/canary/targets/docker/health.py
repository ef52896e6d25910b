"""Whether a container can be sent requests: what the engine says, and what it answers itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gates.canary.sight import Health
from gates.canary.targets.docker.engine import Container

_ENDED = ("exited", "dead", "removing")
_LINE = 4096
# One late answer is no more than that; so many in a row, over so long (s), are not by chance.
_MISSES: Final = 3
_OVER: Final = 2.0


@dataclass(kw_only=True)
class Asked:
    """What came of asking one side, look after look."""

    clock: Callable[[], float] = time.monotonic
    _whom: str = field(default="", init=False)
    _misses: int = field(default=0, init=False)
    _since: float = field(default=0.0, init=False)

    @property
    def in_vain(self) -> bool:
        """Return whether it has gone without an answer too often for that to be chance."""
        return self._misses >= _MISSES and self.clock() - self._since >= _OVER

    def ask(self, whom: str, once: Callable[[], bool]) -> bool:
        """Return whether the container `whom` answers; the first miss is asked a second time."""
        if whom != self._whom:
            self._whom, self._misses = whom, 0
        return self._heard(once) or (self._misses == 1 and self._heard(once))

    def _heard(self, once: Callable[[], bool]) -> bool:
        began = self.clock()
        if once():
            self._misses = 0
            return True
        self._since = self._since if self._misses else began
        self._misses += 1
        return False


def health(
    one: Container | None, *, now: datetime, answers: bool, patience: float, sure: bool = True
) -> tuple[Health, str]:
    """Return a side's health and what is behind it, in words that quote nothing of the model's.

    `answers` tells whether the container answered just now, `sure` whether that it did not is more
    than one late answer, and `patience` for how many seconds after its start it need not answer.
    """
    if one is None:
        return Health.ABSENT, ""
    if one.status in (*_ENDED, "restarting"):
        return Health.FAILING, _ended(one)
    if one.status == "created":
        return Health.STARTING, "it was not started yet"
    if one.status != "running":
        return Health.FAILING, f"the container is {one.status}"
    if one.health == "unhealthy":
        return Health.FAILING, "the image's own health check fails"
    if one.health == "starting":
        return Health.STARTING, "the image's own health check has not passed yet"
    if answers:
        return Health.READY, ""
    if one.started is None or (now - one.started).total_seconds() < patience:
        return Health.STARTING, "it does not answer yet"
    if not sure:
        return Health.STARTING, "it did not answer once"
    return Health.FAILING, "it runs, and does not answer"


def _ended(one: Container) -> str:
    why = "was out of memory" if one.out_of_memory else f"ended with exit code {one.exit_code}"
    again = f", and was started again {one.restarts} times" if one.restarts else ""
    return f"it {why}{again}; its log: docker logs {one.name}"


def answers(host: str, port: int, path: str | None, timeout: float) -> bool:
    """Return whether a server answers a GET with a 200 or 300, or takes a connection, in time."""
    deadline = time.monotonic() + timeout
    with suppress(OSError), socket.create_connection((host, port), timeout=timeout) as connection:
        if path is None:
            return True
        request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        return _status(connection, deadline) in range(200, 400)
    return False


def _status(connection: socket.socket, deadline: float) -> int:
    """Return the status of an answer, 0 for what is none; a server that drips is cut off."""
    line = b""
    while b"\n" not in line and len(line) < _LINE:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        chunk = connection.recv(_LINE)
        if not chunk or time.monotonic() > deadline:
            return 0
        line += chunk
    words = line.split(b"\n")[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
