"""What HAProxy counted since its worker began: answers, errors, and how long each took.

Its own `rtime` is a mean of the last 1,024 requests, and a log can lose lines. So the generated
configuration has it count every answer in a table whose key is the time it took, rounded down by
`ROUNDING`; a table only ever counts up, whoever reads it, and however often.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from gates.canary.counters import Arm, Counters, bucket
from gates.canary.haproxy.socket import ask
from gates.errors import EnvironmentFault

# From 2**power microseconds on, that many of the last binary digits are cut off: what is left is
# known to 1/64. One step for three powers costs HAProxy 7 rules a request, not 21.
ROUNDING: Final = tuple((power, power - 6) for power in range(7, 28, 3))
EPOCH: Final = "proc.model_gates_epoch"
_TRIES: Final = 3
_ENTRY: Final = re.compile(r"key=(-?\d+) .*gpc0=(\d+)")
_ANSWERS: Final = ("hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
# No answer at all: it could not be connected to; it broke off; it was given to the other side.
_LOST: Final = ("econ", "eresp", "wredis")


def table(backend: str, server: str) -> str:
    """Return the name of the table with a server's latencies."""
    return f"{backend}_{server}_us"


def fallback(backend: str) -> str:
    """Return the name of the backend that has the stable side alone."""
    return f"{backend}_fallback"


def counters(path: str, backend: str, servers: tuple[str, str], timeout: float) -> Counters:
    """Return the counts of the stable and the canary server, in this order of `servers`.

    Raises EnvironmentFault when they cannot be had, or HAProxy reloads while they are read.
    """
    for _ in range(_TRIES):
        epoch = _epoch(path, timeout)
        rows = stat_rows(ask(path, "show stat -1 4 -1", timeout))
        stable, canary = (_arm(path, rows, (backend, server), timeout) for server in servers)
        if _epoch(path, timeout) == epoch:
            return Counters(epoch=epoch, stable=stable, canary=canary)
    raise EnvironmentFault(
        "HAProxy reloads while its counters are read", where=path, hint="Look again later."
    )


def _arm(path: str, rows: list[dict[str, str]], of: tuple[str, str], timeout: float) -> Arm:
    return Arm(
        requests=_sum(rows, *of, (*_ANSWERS, *_LOST)),
        errors=_sum(rows, *of, ("hrsp_5xx", *_LOST)),
        refused=_sum(rows, *of, ("hrsp_4xx",)),
        latency=_latency(ask(path, f"show table {table(*of)}", timeout)),
    )


def stat_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of `show stat` by the names in its first line."""
    rows = list(csv.DictReader(text.lstrip("# ").splitlines()))
    if rows and not {"pxname", "svname", "status"} <= rows[0].keys():
        raise EnvironmentFault("HAProxy's `show stat` is not the table that it should be")
    return rows


def _epoch(path: str, timeout: float) -> str:
    """Return what names this worker: its number, and when its configuration was read."""
    info = ask(path, "show info", timeout)
    pid = re.search(r"^Pid: (\d+)$", info, re.MULTILINE)
    began = re.search(r"value=<([^>]*)>", ask(path, f"get var {EPOCH}", timeout))
    if pid is None:
        raise EnvironmentFault("HAProxy does not say which process it is", where=path)
    return f"{pid[1]}-{began[1] if began else '?'}"


def _sum(rows: list[dict[str, str]], backend: str, server: str, names: tuple[str, ...]) -> int:
    """Return a sum of counts; the stable side is in the fallback, too."""
    mine = [
        row
        for row in rows
        if row["svname"] == server and row["pxname"] in (backend, fallback(backend))
    ]
    if not mine:
        raise EnvironmentFault(f"HAProxy counts nothing for the server `{backend}/{server}`")
    return sum(int(row.get(name) or 0) for row in mine for name in names)


def _latency(text: str) -> Mapping[int, int]:
    """Return the answers in each bucket; empty where the configuration has no such table."""
    found: Counter[int] = Counter()
    for key, count in _ENTRY.findall(text):
        found[bucket(_seconds(int(key)))] += int(count)
    return dict(sorted(found.items()))


def _seconds(key: int) -> float:
    """Return the middle of the times that a key stands for."""
    cut = max((cut for power, cut in ROUNDING if key >= 1 << power), default=0)
    return max(0, key + (1 << cut) / 2) / 1e6
