"""One question to a running HAProxy, and its answer: over its run-time socket, within a deadline.

HAProxy answers in text and has no status: what a command was refused for stands where its answer
would. Standard library only.
"""

from __future__ import annotations

import socket
import time
from typing import Final

from gates.errors import EnvironmentFault

_MOST: Final = 8 * 1024 * 1024
_SHOWN: Final = 200
_PAUSE: Final = 0.05


def ask(path: str, command: str, timeout: float) -> str:
    """Return HAProxy's answer to a command of one line.

    Raises EnvironmentFault when there is none after `timeout` seconds, however it comes about.
    """
    deadline = time.monotonic() + timeout
    try:
        with _connected(path, deadline) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(command.encode() + b"\n")
            return _all(connection, deadline).decode(errors="replace").strip()
    except TimeoutError as error:
        raise _silent(path, timeout) from error
    except OSError as error:
        raise EnvironmentFault(
            f"cannot talk to HAProxy: {error.strerror or error}",
            where=path,
            hint="`router.socket` is the `stats socket` of the HAProxy that runs, and needs "
            "`level admin`; whoever starts this must be allowed to open it.",
        ) from error


def order(path: str, command: str, timeout: float) -> None:
    """Give a command that is answered with nothing; raises EnvironmentFault with what it says."""
    if said := ask(path, command, timeout):
        raise EnvironmentFault(
            f"HAProxy refused `{command}`: {printable(said)}",
            where=path,
            hint="`model-gates canary haproxy-config` prints a configuration that has all that a "
            "rollout needs.",
        )


def printable(text: str) -> str:
    """Return the first line of what another program said, fit for a message."""
    line = next(iter(text.splitlines()), "")
    return "".join(c if c.isprintable() else "?" for c in line[:_SHOWN])


def _connected(path: str, deadline: float) -> socket.socket:
    """Return a connection; while HAProxy reloads, its socket is away for a moment."""
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(path)
        except (ConnectionRefusedError, FileNotFoundError, BlockingIOError):
            connection.close()
            if time.monotonic() + _PAUSE >= deadline:
                raise
            time.sleep(_PAUSE)
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _all(connection: socket.socket, deadline: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        connection.settimeout(_left(deadline))
        chunk = connection.recv(65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > _MOST:
            raise OSError(f"it said more than {_MOST:,} bytes")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _silent(path: str, timeout: float) -> EnvironmentFault:
    return EnvironmentFault(
        f"HAProxy did not answer within {timeout:g} s",
        where=path,
        hint="Its processes may be stopped or stuck: look at them, and at its log.",
    )
