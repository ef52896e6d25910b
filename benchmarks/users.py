"""Users of a router, in a process of their own: `python -m benchmarks.users PORT [--count N]`.

Every connection is kept, and asks again once it has its answer and a pause is over. A line is
printed for each answer: when it was asked and answered, on the clock that all processes share
(s), the port of the server that answered (0: HAProxy, or nobody), and the status (0: none came).
They go when standard input ends (unless `--quiet`), and in any case after so many answers or
seconds.
"""

from __future__ import annotations

import argparse
import heapq
import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

BODY = b'{"income": 1.2, "age": 40, "debt": 0.7}'
_SERVED = re.compile(rb"\r\nx-served-at: *(\d+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSED = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TICK = 0.05
# Seconds for what is under way when users are told to go.
_LAST = 10.0


@dataclass(eq=False)
class User:
    """One connection, and the request on it; `asked` is None while nothing is asked."""

    request: bytes
    line: socket.socket | None = None
    asked: float | None = None
    got: bytearray = field(default_factory=bytearray)

    def ask(self, port: int) -> None:
        """Send the request, on a new connection if there is none."""
        self.asked = time.monotonic()
        if self.line is None:
            self.line = socket.create_connection(("127.0.0.1", port), timeout=5)
            self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.sendall(self.request)

    def hear(self) -> tuple[int, int] | None:
        """Return the server and the status once the answer is whole, and None before."""
        try:
            chunk = self.line.recv(65536) if self.line else b""
        except OSError:
            chunk = b""
        self.got += chunk
        if not chunk:
            return 0, 0
        head, found, body = self.got.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not found or len(body) < (int(length[1]) if length else 0):
            return None
        served = _SERVED.search(head)
        return int(served[1]) if served else 0, int(head.split(b" ", 2)[1])

    def done(self) -> bool:
        """Forget the answer; return whether the connection is still good."""
        kept = bool(self.got) and _CLOSED.search(self.got) is None
        self.asked = None
        self.got.clear()
        return kept

    def leave(self) -> None:
        """Close the connection."""
        if self.line is not None:
            self.line.close()
            self.line = None


class Crowd:
    """All users of one port."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.users = [
            User(request=_request(options.cookie if number < options.holders else ""))
            for number in range(options.connections)
        ]
        self.waiting = selectors.DefaultSelector()
        self.lines: list[str] = []
        self.due = [(0.0, number) for number in range(options.connections)]
        self.begun = self.heard = 0

    def stay(self) -> None:
        """Ask until somebody closes standard input, or it was enough; hear what is under way."""
        if not self.options.quiet:
            self.waiting.register(sys.stdin.fileno(), selectors.EVENT_READ)
        until = time.monotonic() + self.options.seconds
        while self.heard < self.begun or self.begun < self.options.count:
            if time.monotonic() > until:
                break
            self._ask()
            for key, _ in self.waiting.select(self._idle()):
                if key.data is None:
                    self.waiting.unregister(key.fileobj)
                    self.options.count = self.begun
                    until = min(until, time.monotonic() + _LAST)
                else:
                    self._hear(*key.data)
            self._print()

    def go(self) -> None:
        """Count whoever still waits as one without an answer."""
        for number, user in enumerate(self.users):
            if user.asked is not None:
                self._told(number, (0, 0))
            user.leave()
        self._print()

    def _ask(self) -> None:
        now = time.monotonic()
        while self.due and self.due[0][0] <= now and self.begun < self.options.count:
            _, number = heapq.heappop(self.due)
            user, new = self.users[number], self.users[number].line is None
            self.begun += 1
            try:
                user.ask(self.options.port)
            except OSError:
                self._over(number, (0, 0), known=not new)
                continue
            if new and user.line is not None:
                self.waiting.register(user.line, selectors.EVENT_READ, (number,))

    def _idle(self) -> float:
        if self.options.count <= self.begun or not self.due:
            return _TICK
        return min(_TICK, max(0.0, self.due[0][0] - time.monotonic()))

    def _hear(self, number: int) -> None:
        if (answer := self.users[number].hear()) is not None:
            self._over(number, answer, known=True)

    def _over(self, number: int, answer: tuple[int, int], *, known: bool) -> None:
        user = self.users[number]
        if user.asked is not None:
            self._told(number, answer)
            heapq.heappush(self.due, (time.monotonic() + self.options.pause, number))
        if not user.done():
            if known and user.line is not None:
                self.waiting.unregister(user.line)
            user.leave()

    def _told(self, number: int, answer: tuple[int, int]) -> None:
        self.heard += 1
        asked, served, status = self.users[number].asked, *answer
        self.lines.append(f"{asked:.6f} {time.monotonic():.6f} {served} {status}\n")

    def _print(self) -> None:
        if self.lines and not self.options.quiet:
            sys.stdout.write("".join(self.lines))
            sys.stdout.flush()
        self.lines.clear()


def _request(cookie: str) -> bytes:
    sticky = f"Cookie: {cookie}\r\n" if cookie else ""
    head = (
        f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{sticky}"
    )
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


def main() -> None:
    """Ask, and print what came back; `--quiet` prints only how many seconds it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.users")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=200_000, help="at most so many requests")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most so long")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds from answer to request")
    parser.add_argument("--cookie", default="", help="NAME=VALUE")
    parser.add_argument("--holders", type=int, default=0, help="so many users have the cookie")
    parser.add_argument("--quiet", action="store_true")
    crowd = Crowd(parser.parse_args())
    started = time.monotonic()
    crowd.stay()
    took = time.monotonic() - started
    crowd.go()
    if crowd.options.quiet:
        print(f"{crowd.heard} {took:.6f}")


if __name__ == "__main__":
    main()
