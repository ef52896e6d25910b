"""Run one command in the cage: what it may use, what was in force, and how it ended."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gates.errors import EnvironmentFault
from gates.fields import bounded
from gates.process import Start, cannot_start, finish, passed_on

# Isolated: nothing in the folder it starts in, or in the user's own, is imported for it. Ours come
# last, so that the standard library is what it says.
_KEEPER = "import sys; sys.path.append(sys.argv[1]); from gates.cage.keeper import main; main()"
_OURS = str(Path(__file__).parents[2])
MIB = 1024 * 1024
# How long the keeper has to end what the command left, once the time is up.
_PATIENCE = 5.0
_MOST_TOLD = 64 * 1024
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a command and all that it starts may use; `file_mib` is for each file that it writes."""

    seconds: float = 600.0
    memory_mib: int = 4096
    network: bool = False
    processes: int = 512
    file_mib: int = 8192


@dataclass(frozen=True, kw_only=True)
class Cage:
    """What was in force, as the keeper found by trying; a field is False where it was not.

    `network`: no way out, not even to this machine. `processes`: it saw none but its own, and none
    of them is left. `files`: it could write to nothing but its folders. `memory`: it was held to
    its limit.
    """

    network: bool = False
    processes: bool = False
    files: bool = False
    memory: bool = False


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended (−n: by signal n), and which limit it was stopped at, if at any."""

    returncode: int
    output: str
    cage: Cage
    stopped: Literal["time", "memory", "processes"] | None = None


def caged(
    argv: Sequence[str],
    *,
    cwd: Path,
    writes: Sequence[Path],
    limits: Limits,
    keep: tuple[str, ...] = (),
) -> Ended:
    """Run a command in `cwd` to its end; return how it ended.

    It may write into the folders `writes` and a temporary one. Of our environment it sees
    `gates.process.PASSED_ON` and the variables named in `keep`. Raises EnvironmentFault for a
    command that can not be started; whatever else it does is returned.
    """
    if sys.platform == "win32":
        raise EnvironmentFault(
            "a command can be shut in on Linux and macOS only",
            hint="Make the predictions in an earlier step, and name the file alone.",
        )
    with tempfile.TemporaryDirectory(prefix="model-gates-", ignore_cleanup_errors=True) as own:
        temporary = str(Path(own).resolve())
        order = {
            "argv": list(argv),
            "env": passed_on(keep) | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary),
            "cwd": str(cwd.resolve()),
            "writes": [temporary, *(str(folder.resolve()) for folder in writes)],
            "network": limits.network,
            "memory": limits.memory_mib * MIB,
            "processes": limits.processes,
            "file": limits.file_mib * MIB,
        }
        return _kept(order, cwd, limits)


def _kept(order: dict[str, Any], cwd: Path, limits: Limits) -> Ended:
    """Hand the order to the keeper; return what it told, through a pipe the command never sees."""
    reader, writer = os.pipe()
    argv = [sys.executable, "-I", "-S", "-c", _KEEPER, _OURS]
    feed = json.dumps(order | {"report": writer}).encode()
    start = Start(argv=argv, cwd=cwd, env=passed_on(), feed=feed, fds=(writer,), patience=_PATIENCE)
    try:
        try:
            with _unreadable():
                finished = finish(start, timeout=limits.seconds)
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        told = _told(reader)
    finally:
        os.close(reader)
    if "fault" in told:
        raise cannot_start(order["argv"], told["fault"])
    if finished.in_time and "code" not in told:
        raise EnvironmentFault(
            f"the cage around `{bounded(order['argv'][0])}` broke before the command ended",
            hint="The command may have ended it, or the machine has run out of memory.",
            output=finished.output,
        )
    return Ended(
        returncode=told.get("code", -signal.SIGKILL),
        output=finished.output,
        cage=Cage(**told.get("cage", {})),
        stopped=told.get("stopped") if finished.in_time else "time",
    )


def _told(reader: int) -> dict[str, Any]:
    try:
        lines = os.read(reader, _MOST_TOLD).splitlines()
    except BlockingIOError:
        return {}
    told: dict[str, Any] = {}
    for line in lines:
        # What was said first holds: what is in force was said before the command began.
        told = json.loads(line) | told
    return told


@contextmanager
def _unreadable() -> Iterator[None]:
    """Keep our memory and environment from other processes of the same user, where Linux can."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_DUMPABLE, before, 0, 0, 0)
