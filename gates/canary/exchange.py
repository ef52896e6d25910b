"""One request and its whole answer over HTTP, within a deadline and a size: nothing else is read.

The deadline is of the whole exchange: a server that sends a byte now and then does not get around
it. Redirects are not followed, since they lead to whom nobody named, and no proxy of the
environment is asked. Each request has a connection of its own: one that was kept open may be
closed just as it is used again, which would look like a fault of the model.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# How soon a wait notices that nobody wants its answer any more, in seconds.
_PATIENCE = 0.2


class Lost(StrEnum):
    """Why there is no answer; said as "no answer: …"."""

    UNREACHED = "no connection"
    LATE = "not whole within the time"
    BROKEN = "the connection broke"
    LARGE = "larger than allowed"
    GARBLED = "not plain HTTP"
    STOPPED = "stopped"


class NoAnswer(Exception):
    """An exchange brought no whole answer; what the other side said is not repeated."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(lost.value)
        self.lost = lost


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to send; `timeout` is in seconds, `most` the bytes that an answer may have."""

    url: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float
    most: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back, and how many seconds that took, connecting included."""

    status: int
    body: bytes
    seconds: float


def usable(url: str) -> bool:
    """Return whether this is the address of a server without credentials, query or fragment."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and named and not (parts.query or parts.fragment or "@" in parts.netloc)


def exchange(request: Request, stop: Event | None = None) -> Answer:
    """Return the answer to a request. Raises NoAnswer, at the latest when its time is up."""
    parts = urlsplit(request.url)
    started = time.perf_counter()
    until = time.monotonic() + request.timeout
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Accept-Encoding": "identity", "Connection": "close", **request.headers}
    try:
        connection = _connected(parts, request.timeout)
        with closing(connection.sock) as sock:
            connection.sock = _Timed(sock, until, stop or Event())
            connection.request(request.method, target or "/", request.body, headers)
            with closing(connection.getresponse()) as response:
                body = _body(response, request.most)
                return Answer(
                    status=response.status, body=body, seconds=time.perf_counter() - started
                )
    except TimeoutError:
        raise NoAnswer(Lost.LATE) from None
    except (ConnectionRefusedError, socket.gaierror, ssl.SSLError):
        raise NoAnswer(Lost.UNREACHED) from None
    except OSError:
        raise NoAnswer(Lost.BROKEN) from None
    except (HTTPException, ValueError):
        raise NoAnswer(Lost.GARBLED) from None


def _connected(parts: SplitResult, timeout: float) -> HTTPConnection:
    host = parts.hostname or ""
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(host, parts.port, timeout=timeout)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        # A host without a route is not there, whatever the system calls it.
        refused = isinstance(error, TimeoutError | ssl.SSLError)
        raise error if refused else ConnectionRefusedError from None
    return connection


def _body(response: HTTPResponse, most: int) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        # What was not asked for may also be a few bytes that unpack to very many.
        raise NoAnswer(Lost.GARBLED)
    if response.length is not None and response.length > most:
        raise NoAnswer(Lost.LARGE)
    body = response.read(most + 1)
    if len(body) > most:
        raise NoAnswer(Lost.LARGE)
    if response.length:
        raise NoAnswer(Lost.BROKEN)
    return body


class _Timed:
    """What `http.client` uses of a socket, each of its waits ending with the whole exchange's."""

    def __init__(self, sock: socket.socket, until: float, stop: Event) -> None:
        self._sock, self._until, self._stop = sock, until, stop

    def sendall(self, data: Any) -> None:
        left = self._until - time.monotonic()
        if left <= 0.0:
            raise TimeoutError
        self._sock.settimeout(left)
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._until, self._stop))

    def close(self) -> None:
        """Leave it open: `http.client` lets go of a socket before it has read the answer."""


class _Reader(io.RawIOBase):
    """The incoming bytes of a socket; each read looks at the clock of the whole exchange."""

    def __init__(self, sock: socket.socket, until: float, stop: Event) -> None:
        super().__init__()
        self._sock, self._until, self._stop = sock, until, stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while True:
            left = self._until - time.monotonic()
            if left <= 0.0:
                raise TimeoutError
            if self._stop.is_set():
                raise NoAnswer(Lost.STOPPED)
            self._sock.settimeout(min(left, _PATIENCE))
            try:
                return self._sock.recv_into(buffer)
            except TimeoutError:
                continue
