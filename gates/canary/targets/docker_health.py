"""Whether a container can be sent requests: what the engine says, and what it answers itself."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from datetime import datetime

from gates.canary.sight import Health
from gates.canary.targets.docker_engine import Container

_ENDED = ("exited", "dead", "removing")
_LINE = 4096


def health(
    one: Container | None, *, now: datetime, answers: bool, patience: float
) -> tuple[Health, str]:
    """Return a side's health and what is behind it, in words that quote nothing of the model's.

    `answers` tells whether the container answered just now, `patience` for how many seconds after
    its start that need not be so.
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
