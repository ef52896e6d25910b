"""What a rollout does to users: `python -m benchmarks.valve [--aborts 50] [--same 15]`, and more.

A real HAProxy with the configuration that `model-gates canary haproxy-config` prints, two small
servers, and users in a process of their own, who ask at most so often. Everything is on loopback.
Prints a JSON line for each measurement, with the machine's load average before and after it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.valve_told import FEW, Answer, Mark, aborted, answer
from gates.canary.haproxy.config import Layout
from tests.canary.bench import Proxy, Users, Valve, free_port, written

SHARE = 25
# How long users are watched after an abort (s).
WATCHED = 1.5
ASKED, KILLED_AT = 200, 50


@dataclass(kw_only=True)
class Watched:
    """The users of a port, and what they got so far."""

    process: subprocess.Popen[bytes]
    path: Path
    answers: list[Answer] = field(default_factory=list)
    _read: int = 0

    def look(self) -> list[Answer]:
        """Return all answers that are there by now."""
        with self.path.open("rb") as lines:
            lines.seek(self._read)
            text = lines.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self.answers += [answer(line) for line in whole.splitlines()]
        return self.answers

    def until(self, holds: Callable[[list[Answer]], bool], what: str, seconds: float = 60) -> None:
        """Wait until what they got fits; looks often, since a kill must come in the middle."""
        deadline = time.monotonic() + seconds
        while not holds(self.look()):
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {seconds} s: {what}")
            time.sleep(0.002)


@contextmanager
def asking(port: int, *options: str) -> Iterator[Watched]:
    """Have users ask (see benchmarks.users) for as long as the block lasts."""
    with tempfile.NamedTemporaryFile(prefix="mg-users-") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.users", str(port), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=out,
        )
        watched = Watched(process=process, path=Path(out.name))
        try:
            yield watched
        finally:
            process.communicate(timeout=60)
            watched.look()


@contextmanager
def valve(**more: Any) -> Iterator[Valve]:
    """Yield an HAProxy; `more` of its Layout."""
    # Short, because the names of sockets are.
    folder = Path(tempfile.mkdtemp(prefix="mgv-", dir="/tmp"))
    layout = placed(folder, **more)
    written(layout, folder)
    port = int(layout.bind.rpartition(":")[2])
    proxy = Proxy(program=haproxy(), folder=folder, port=port)
    one = Valve(layout=layout, folder=folder, proxy=proxy, users=Users(layout=layout))
    try:
        proxy.start()
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


def placed(folder: Path, **more: Any) -> Layout:
    """Return a layout on free ports of loopback; what is not given is as a user has it."""
    shape = {
        "socket": str(folder / "haproxy.sock"),
        "backend": "scores",
        "health": "/health",
        **{name: f"127.0.0.1:{free_port()}" for name in ("bind", "stable", "canary")},
    }
    return Layout(**{**shape, **more})


def haproxy() -> str:
    """Return the path of HAProxy's program."""
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if found is None:
        raise SystemExit("haproxy is not installed")
    return found


def abort(rounds: int) -> dict[str, object]:
    """Close the valve while users ask, half of them with the canary's cookie, at 25 %.

    From the call to the last answer that the canary gives to a request that came after it.
    """
    with valve(sticky="mg") as one:
        for side in ("stable", "canary"):
            one.serve(side, delay=0.005)
        one.router.ensure_share(SHARE)
        cookie = _cookie(one)
        users = ("--connections=16", "--pause=0.002", "--cookie", cookie, "--holders=8")
        with asking(one.proxy.port, *users) as watched:
            marks = [_abort(one, watched) for _ in range(rounds)]
        return aborted(watched.answers, marks, _port(one.layout.canary))


def _abort(one: Valve, watched: Watched) -> Mark:
    """Return when the call began, when it returned, and until when the users were watched."""
    one.router.ensure_share(SHARE)
    opened, canary = time.monotonic(), _port(one.layout.canary)
    watched.until(lambda answers: _seen(answers, canary, opened), "the canary has users")
    began = time.monotonic()
    one.router.ensure_out()
    ended = time.monotonic()
    time.sleep(WATCHED)
    return began, ended, time.monotonic()


def kill(rounds: int, *, idempotent: bool) -> dict[str, object]:
    """Kill the canary at 25 % while 200 requests are asked, each of which takes 20 ms."""
    failed, lost, by_canary = [], [], 0
    with valve(idempotent=idempotent) as one:
        one.serve("stable", delay=0.02)
        for _ in range(rounds):
            one.router.ensure_out()
            one.serve("canary", delay=0.02)
            one.router.ensure_share(SHARE)
            before = one.router.counters().canary.errors
            with asking(one.proxy.port, f"--count={ASKED}") as watched:
                watched.until(lambda answers: len(answers) >= KILLED_AT, "a quarter is answered")
                one.kill("canary")
                watched.until(lambda answers: len(answers) >= ASKED, "all are answered")
            failed.append(sum(answer.status != 200 for answer in watched.answers))
            lost.append(one.router.counters().canary.errors - before)
            by_canary += sum(_port(one.layout.canary) == two.port for two in watched.answers)
    return {
        "rounds": rounds,
        "of": ASKED,
        "failed": sum(failed),
        "failed_worst": max(failed),
        "errors_of_the_canary": sum(lost),
        "answered_by_the_canary": by_canary,
    }


def same(rollouts: int, *, slower: float = 0.0) -> dict[str, object]:
    """Judge latencies of canaries that are what the stable side is, or so many seconds slower."""
    from benchmarks.valve_same import rollout, summed

    looks, said = [], []
    for _ in range(rollouts):
        with valve() as one:
            for side, more in (("stable", 0.0), ("canary", slower)):
                one.serve(side, delay=more)
            with asking(one.proxy.port, "--connections=16", "--pause=0.02"):
                found, told = rollout(one)
        looks.append(found)
        said.append(told)
    return summed(looks, said)


def main() -> None:
    """Print a JSON line for each measurement."""
    from benchmarks.valve_command import by_command
    from benchmarks.valve_cost import cost

    options = _options()
    if options.aborts:
        _say("abort", lambda: abort(options.aborts))
    for idempotent in (True, False) if options.kills else ():
        name = "kill" if idempotent else "kill, not idempotent"
        _say(name, lambda known=idempotent: kill(options.kills, idempotent=known))
    if options.turns:
        _say("cost", lambda: cost(options.turns))
    for slower in (0.0, 0.03) if options.same else ():
        name = f"slower by {slower * 1000:g} ms" if slower else "the same on both sides"
        _say(name, lambda known=slower: same(options.same, slower=known))
    if options.commands:
        _say("abort by command", lambda: by_command(options.commands))


def _say(what: str, measured: Callable[[], dict[str, object]]) -> None:
    before = os.getloadavg()[0]
    found = measured()
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    print(json.dumps({"what": what, **found, "load": load}), flush=True)


def _cookie(one: Valve) -> str:
    """Return the cookie that the canary's users have."""
    for _ in range(200):
        with suppress(OSError, http.client.HTTPException):
            client = http.client.HTTPConnection("127.0.0.1", one.proxy.port, timeout=5)
            client.request("POST", "/predict", "{}")
            headers = client.getresponse().headers
            client.close()
            if int(headers["X-Served-At"]) == _port(one.layout.canary):
                return str(headers["Set-Cookie"]).partition(";")[0]
    raise SystemExit("the canary answers nobody")


def _seen(answers: list[Answer], port: int, since: float) -> bool:
    recent = (one for one in reversed(answers[-400:]) if one.asked > since)
    return sum(one.port == port for one in recent) >= FEW


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.valve", description=__doc__)
    parser.add_argument("--aborts", type=int, default=50, help="aborts under load")
    parser.add_argument("--kills", type=int, default=20, help="canaries that are killed")
    parser.add_argument("--turns", type=int, default=40, help="turns of the counting rules")
    parser.add_argument("--same", type=int, default=15, help="rollouts of what serves already")
    parser.add_argument(
        "--commands", type=int, default=0, help="aborts by command: needs a Docker engine, and root"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
