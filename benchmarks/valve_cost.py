"""What the counting rules of the generated configuration cost HAProxy.

Two of them run at once, one without the rules, before the same two servers (a third HAProxy that
answers by itself, so that it is not waited for). They take turns, so that a busy minute hits both.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.valve import SHARE, haproxy, placed
from gates.canary.haproxy.config import Layout, config
from gates.canary.haproxy.router import Router
from gates.canary.haproxy.socket import ask
from tests.canary.bench import Proxy, wait_until

REQUESTS, CONNECTIONS = 10_000, 32
_RULES = ("http-request set-var(txn.mg_", "http-response ")


def cost(rounds: int) -> dict[str, object]:
    """Return the medians, over paired turns, of what it takes with the rules to without them."""
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(_folder())) for _ in range(3)]
        both = [placed(folder, health=None) for folder in folders[:2]]
        both[1] = placed(folders[1], health=None, stable=both[0].stable, canary=both[0].canary)
        stack.enter_context(_running(folders[2], _servers(both[0]), both[0].stable))
        for folder, layout, text in zip(
            folders, both, (config(both[0]), without(config(both[1]))), strict=False
        ):
            stack.enter_context(_running(folder, text, layout.bind))
            _open(layout)
        # The first turn warms both up.
        turns = [_pair(both, number) for number in range(rounds + 1)][1:]
    return _told(turns)


def without(text: str) -> str:
    """Return a configuration that counts no answer."""
    lines = text.splitlines()
    kept = [line for line in lines if not line.strip().startswith(_RULES)]
    if len(lines) - len(kept) < 10:
        raise SystemExit("the generated configuration has other counting rules than are known here")
    return "\n".join(kept) + "\n"


def _pair(both: list[Layout], number: int) -> list[tuple[float, float]]:
    """Return seconds of time and of processor for each; who begins changes from turn to turn."""
    order = (0, 1) if number % 2 else (1, 0)
    found = {which: _turn(both[which]) for which in order}
    return [found[0], found[1]]


def _turn(layout: Layout) -> tuple[float, float]:
    worker = _worker(layout)
    before = _processor(worker)
    port = layout.bind.rpartition(":")[2]
    options = (f"--count={REQUESTS}", f"--connections={CONNECTIONS}", "--quiet")
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.users", port, *options],
        cwd=ROOT,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    ).stdout
    answered, seconds = told.split()
    if int(answered) != REQUESTS:
        raise SystemExit(f"only {int(answered)} of {REQUESTS} requests were answered")
    return float(seconds), _processor(worker) - before


def _told(turns: list[list[tuple[float, float]]]) -> dict[str, object]:
    speed = [without[0] / ruled[0] for ruled, without in turns]
    work = [ruled[1] / without[1] for ruled, without in turns]
    each = [statistics.median(turn[which][1] for turn in turns) for which in (0, 1)]
    return {
        "turns": len(turns),
        "requests": REQUESTS,
        "requests_per_second_ratio": _spread(speed),
        "processor_ratio": _spread(work),
        "processor_us_a_request": [round(one / REQUESTS * 1e6, 1) for one in each],
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    """Return the median and the quartiles: on a busy machine a single turn says little."""
    low, median, high = statistics.quantiles(ratios, n=4)
    found = {"median": median, "quarter below": low, "quarter above": high}
    return {name: round(value, 3) for name, value in found.items()}


def _open(layout: Layout) -> None:
    router = Router(socket=layout.socket, backend=layout.backend)
    wait_until(lambda: router.lanes().stable.up, "HAProxy has seen the servers")
    router.ensure_share(SHARE)


def _servers(layout: Layout) -> str:
    return "".join(
        f"""\
frontend {side}
    mode http
    timeout client 30s
    bind {address}
    http-request return status 200 content-type application/json hdr X-Served-At \
{address.rpartition(":")[2]} string "{{}}"
"""
        for side, address in (("stable", layout.stable), ("canary", layout.canary))
    )


@contextmanager
def _running(folder: Path, text: str, address: str) -> Iterator[None]:
    (folder / "haproxy.cfg").write_text(text)
    proxy = Proxy(program=haproxy(), folder=folder, port=int(address.rpartition(":")[2]))
    try:
        proxy.start()
        yield
    finally:
        proxy.stop()


@contextmanager
def _folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="mgv-", dir="/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _worker(layout: Layout) -> int:
    info = ask(layout.socket, "show info", 2.0).splitlines()
    return next(int(line.split()[1]) for line in info if line.startswith("Pid:"))


def _processor(pid: int) -> float:
    """Return the seconds of processor that all threads of a process took so far (Linux)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
