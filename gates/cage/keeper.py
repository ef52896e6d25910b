"""Start a user's command shut in, and end all of it: the process that `gates.cage.caged` starts.

One of its own, because what it takes from itself it can not give back, and because a process with
threads, such as ours, must not fork. It reads one order from its standard input, and writes JSON
lines to the file descriptor that the order names: what is in force (`cage`), then how the command
ended (`code`, `stopped`), or why it did not begin (`fault`).

On Linux it becomes a short line of processes, each the parent of the next:

    waits ─▶ outside the namespaces ─▶ first process inside them, keeps the command ─▶ the command

Nothing is taken for granted: every step is tried, and what can not be had is left out and told.
This file, and what it imports, needs the standard library only.
"""

import errno
import json
import mmap
import os
import resource
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from gates.cage import kernel
from gates.cage.family import descendants, processes, together

# Ends a process that found its set of namespaces is not to be had; the next set is tried then.
_UNABLE = 113
_BROKEN = 70
_LOOK_SECONDS = 0.1
_LONGEST_NAP = 0.02
_URGENT = -20
# Threads count as processes to the system, and a numeric library starts one for each core.
_THREADS_EACH = 16
# TEST-NET-1: nobody is there, and nothing is sent.
_NOWHERE = ("192.0.2.1", 9)
_UNREACHABLE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  (the system's own, not a guess)


class Order(NamedTuple):
    """What to run and what to hold it to; `memory` and `file` are in bytes."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    writes: list[str]
    network: bool
    memory: int
    processes: int
    file: int
    report: int


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.load(sys.stdin))
    os.set_inheritable(order.report, False)  # noqa: FBT003  (its only, positional parameter)
    with suppress(OSError):
        # Root alone may, and needs it: the number of its processes is bounded by us alone.
        os.setpriority(os.PRIO_PROCESS, 0, _URGENT)
    if sys.platform == "linux":
        kernel.die_with_parent()
        for namespaces, files in _plans(order):
            work = partial(_outside, order, namespaces, files=files)
            if _fork(work, told=signal.SIGTERM) != _UNABLE:
                return
        kernel.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _keep(order, {"network": False, "processes": False, "files": False}, _end_family)


def _plans(order: Order) -> Iterator[tuple[int, bool]]:
    """Yield sets of namespaces, the best first, and whether files become read-only in them."""
    inside = kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC | (0 if order.network else kernel.NEWNET)
    yield from ((inside | kernel.NEWUSER, files) for files in (True, False))
    if os.geteuid() == 0:
        # Root alone may do without a user namespace, on a machine that has none to give.
        yield from ((inside, files) for files in (True, False))


def _fork(work: Callable[[], object], *, told: signal.Signals) -> int:
    """Do the work in a child; return its exit code. A request to end is passed on as `told`."""
    child = os.fork()
    if child == 0:
        _in_child(work)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, told))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code


def _in_child(work: Callable[[], object]) -> NoReturn:
    """Do the work and end: nothing of a child may return into its parent's code."""
    code = _BROKEN
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work()
        code = 0
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else _BROKEN
    finally:
        os._exit(code)


# --- namespaces ------------------------------------------------------------------------------


def _outside(order: Order, namespaces: int, *, files: bool) -> None:
    """Enter the namespaces; the first child is the first process in them."""
    # Before there is a network of our own: afterwards the others' sockets are not listed.
    sockets = [] if order.network else _sockets()
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(namespaces)
        if namespaces & kernel.NEWUSER:
            # The same numbers inside as outside, and no others.
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        sys.exit(_UNABLE)
    kernel.die_with_parent()
    sys.exit(_fork(partial(_inside, order, sockets, files=files), told=signal.SIGKILL))


def _inside(order: Order, sockets: list[str], *, files: bool) -> None:
    """Be the first process: when it ends, the system ends every other one in the namespace."""
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A group of its own: a command that kills its group must not reach those outside.
    os.setsid()
    try:
        own_proc = _own_proc()
        if files:
            _read_only(order)
        network = not order.network and _network_is_off(sockets)
    except OSError:
        sys.exit(_UNABLE)
    in_force = {"network": network, "processes": own_proc, "files": files}
    _keep(order, in_force, _end_namespace, looks=own_proc)


def _own_proc() -> bool:
    """Show the processes of this namespace only; return whether that could be had."""
    kernel.keep_mounts_private()
    try:
        kernel.mount_proc()
    except OSError:
        return False
    return True


def _read_only(order: Order) -> None:
    """Make every file read-only but those in `writes`; shared memory is fresh and bounded."""
    for disk in _below("/dev", stat.S_ISBLK):
        # Whoever can write to the disk itself can write to every file on it.
        _cover(disk)
    kernel.make_read_only()
    for folder in order.writes:
        kernel.make_writable(folder)
    if Path(_SHARED_MEMORY).is_dir():
        kernel.mount_shared_memory(_SHARED_MEMORY, order.memory)


def _network_is_off(sockets: list[str]) -> bool:
    """Close the doors that are files as well, and return whether no way out is left."""
    for path in sockets:
        _cover(path)
    with suppress(OSError):
        # Programs talk to themselves over it.
        kernel.raise_loopback()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_NOWHERE)
        except OSError:
            return True
    return False


def _cover(path: str) -> None:
    """Put nothing in the place of a socket or a device, unless it can not be reached anyway."""
    try:
        kernel.cover(path)
    except OSError as error:
        if error.errno not in _UNREACHABLE:
            raise


def _sockets() -> list[str]:
    """Return the Unix sockets that somebody listens at: Docker's, a bus, an agent."""
    found = set(_below("/run", stat.S_ISSOCK))
    with suppress(OSError), Path("/proc/net/unix").open(encoding="utf-8", errors="replace") as file:
        for line in file:
            _, absolute, rest = line.rstrip("\n").partition(" /")
            with suppress(OSError):
                if absolute and stat.S_ISSOCK(Path(f"/{rest}").stat().st_mode):
                    found.add(f"/{rest}")
    return sorted(found)


def _below(folder: str, wanted: Callable[[int], bool], depth: int = 4) -> Iterator[str]:
    """Yield the files of a kind in a folder and, for some way, in the folders in it."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                if wanted(entry.stat(follow_symlinks=False).st_mode):
                    yield entry.path
            elif depth > 1:
                yield from _below(entry.path, wanted, depth - 1)


# --- the command -----------------------------------------------------------------------------


def _keep(
    order: Order, in_force: dict[str, bool], end: Callable[[], None], *, looks: bool = True
) -> None:
    """Start the command and wait for it; `end` ends all that it started, and it if need be."""
    if sys.platform == "linux":
        # Or the command could open what we tell, and tell more.
        kernel.hide()
    command = os.fork()
    if command == 0:
        _in_child(partial(_become, order, in_force))
    try:
        code, stopped = _wait(command, order, end, looks=looks)
        _tell(order, code=code, stopped=stopped)
    finally:
        end()


def _become(order: Order, in_force: dict[str, bool]) -> None:
    """Give up what can be given up, and turn into the command."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, order.file)
    _limit(resource.RLIMIT_NPROC, order.processes * _THREADS_EACH)
    _limit(resource.RLIMIT_DATA, order.memory)
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
    if sys.platform == "linux":
        kernel.die_with_parent()
        kernel.give_up_powers()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Python ignores these, or we do, and what is ignored stays so in the program.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(ignored, signal.SIG_DFL)
    _tell(order, cage={**in_force, "memory": _holds(order.memory)})
    try:
        os.chdir(order.cwd)
        os.execvpe(order.argv[0], order.argv, order.env)
    except OSError as error:
        _tell(order, fault=error.strerror)


def _limit(kind: int, most: int) -> None:
    """Set a limit, or leave the lower one that is there."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))


def _holds(memory: int) -> bool:
    """Return whether more than this really can not be had: not every system keeps its word."""
    try:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        mmap.mmap(-1, memory + mmap.PAGESIZE, flags=flags).close()
    except OSError:
        return True
    return False


def _wait(
    command: int, order: Order, end: Callable[[], None], *, looks: bool
) -> tuple[int, str | None]:
    """Return how the command ended, and which limit made us end it; orphans are seen off, too."""
    stopped, nap, look_at = None, 0.0005, time.monotonic() + _LOOK_SECONDS
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == command:
            return os.waitstatus_to_exitcode(status), stopped
        if pid:
            continue
        if looks and not stopped and time.monotonic() >= look_at:
            stopped, look_at = _excess(order), time.monotonic() + _LOOK_SECONDS
            if stopped:
                # At once: in the worst case we end ourselves with it.
                _tell(order, code=-signal.SIGKILL, stopped=stopped)
                end()
        time.sleep(nap)
        nap = min(2 * nap, _LONGEST_NAP)


def _excess(order: Order) -> str | None:
    """Return the limit that the command and all that it started are over, together."""
    if os.getpid() == 1 and len(processes()) > order.processes + 1:
        # Before anything is read of them: a bomb grows while we look.
        return "processes"
    family = descendants()
    if len(family) > order.processes:
        return "processes"
    over = sum(family.values()) > order.memory and together(family) > order.memory
    return "memory" if over else None


def _end_namespace() -> None:
    """End every other process of this namespace, at once."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _end_family() -> None:
    """End every descendant, one by one: those that fled their parent have become our own."""
    for _ in range(100):
        family = descendants()
        if not family:
            return
        for pid in family:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LONGEST_NAP)
    # They multiply faster than that. All that stayed in our group ends with us.
    os.killpg(0, signal.SIGKILL)


def _tell(order: Order, **facts: Any) -> None:
    with suppress(OSError):
        os.write(order.report, json.dumps(facts).encode() + b"\n")
