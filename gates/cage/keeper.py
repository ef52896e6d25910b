"""Start a user's command shut in, and end all of it: a script, run by `gates.cage.caged`.

It is a process of its own because what it takes from itself it can not give back, and because a
process with threads, such as ours, must not fork. It knows the standard library only, reads one
order from its standard input, and writes JSON lines to the file descriptor that the order names:
what is in force (`cage`), then how the command ended (`code`, `stopped`), or why it did not begin
(`fault`).

On Linux it becomes a short line of processes, each the parent of the next:

    waits ─▶ outside the namespaces ─▶ first process inside them, keeps the command ─▶ the command

Nothing is taken for granted: every step is tried, and what can not be had is left out and told.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# Ends a process that found its set of namespaces is not to be had; the next set is tried then.
_UNABLE = 113
_LOOK_SECONDS = 0.1
_LONGEST_NAP = 0.02
# Threads count as processes to the system, and a numeric library starts one for each core.
_THREADS_EACH = 16
_URGENT = -20

# From the kernel's headers.
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 28, 36, 38
# Root gets no capability by being root, none is raised later, and both can not be undone.
_POWERLESS_ROOT = 0b11000011
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
# TEST-NET-1: nobody is there, and nothing is sent.
_NOWHERE = ("192.0.2.1", 9)
_UNREACHABLE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES}


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


class Plan(NamedTuple):
    """A set of namespaces, and whether all files but the command's own become read-only."""

    flags: int
    files: bool


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.load(sys.stdin))
    os.set_inheritable(order.report, False)  # noqa: FBT003  (its only, positional parameter)
    with suppress(OSError):
        # Root alone may, and needs it: the number of its processes is bounded by us alone.
        os.setpriority(os.PRIO_PROCESS, 0, _URGENT)
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for plan in _plans(order):
            if _fork(partial(_outside, order, plan), told=signal.SIGTERM) != _UNABLE:
                return
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _keep(order, {"network": False, "processes": False, "files": False}, _end_family)


def _plans(order: Order) -> Iterator[Plan]:
    inside = _NEWNS | _NEWPID | _NEWIPC | (0 if order.network else _NEWNET)
    # Root alone may do without a user namespace, on a machine that has none to give.
    for flags in (inside | _NEWUSER, inside) if os.geteuid() == 0 else (inside | _NEWUSER,):
        yield Plan(flags, files=True)
        yield Plan(flags, files=False)


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
    code = 70
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work()
        code = 0
    except OSError as error:
        sys.stderr.write(f"the cage failed: {error}\n")
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 70
    finally:
        os._exit(code)


# --- namespaces ------------------------------------------------------------------------------


def _outside(order: Order, plan: Plan) -> None:
    """Enter the namespaces; the first child is the first process in them."""
    # Before there is a network of our own: afterwards the others' sockets are not listed.
    sockets = [] if order.network else _sockets()
    uid, gid = os.geteuid(), os.getegid()
    try:
        _checked(_libc().unshare(plan.flags))
        if plan.flags & _NEWUSER:
            # The same numbers inside as outside, and no others.
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError:
        sys.exit(_UNABLE)
    # Again: a change of credentials made the system forget it.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.exit(_fork(partial(_inside, order, plan, sockets), told=signal.SIGKILL))


def _inside(order: Order, plan: Plan, sockets: list[str]) -> None:
    """Be the first process: when it ends, the system ends every other one in the namespace."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A group of its own: a command that kills its group must not reach those outside.
    os.setsid()
    try:
        own_proc = _own_proc()
        if plan.files:
            _read_only(order)
        network = not order.network and _network_is_off(sockets)
    except OSError:
        sys.exit(_UNABLE)
    in_force = {"network": network, "processes": own_proc, "files": plan.files}
    _keep(order, in_force, _end_namespace, looks=own_proc)


def _own_proc() -> bool:
    """Show the processes of this namespace only; return whether that could be had."""
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    try:
        # Read-only, because root could set what the kernel does through it.
        flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        _mount("proc", "/proc", kind="proc", flags=flags)
    except OSError:
        return False
    return True


def _read_only(order: Order) -> None:
    """Make every file read-only but those in `writes`; shared memory is fresh and bounded."""
    for disk in _below("/dev", stat.S_ISBLK):
        # Whoever can write to the disk itself can write to every file on it.
        _cover(disk)
    _mount_attributes("/", to_set=_ATTR_RDONLY, flags=_AT_RECURSIVE)
    for folder in order.writes:
        _mount(folder, folder, flags=_MS_BIND | _MS_REC)
        _mount_attributes(folder, to_clear=_ATTR_RDONLY)
    if Path("/dev/shm").is_dir():  # noqa: S108  (the system's own, not a guess)
        options = f"size={order.memory},mode=1777"
        _mount("tmpfs", "/dev/shm", kind="tmpfs", flags=_MS_NOSUID | _MS_NODEV, options=options)  # noqa: S108


def _network_is_off(sockets: list[str]) -> bool:
    """Close the doors that are files as well, and return whether no way out is left."""
    for path in sockets:
        _cover(path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):
            # A loopback of its own: programs talk to themselves over it.
            request = struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING)
            fcntl.ioctl(probe, _SIOCSIFFLAGS, request)
        try:
            probe.connect(_NOWHERE)
        except OSError:
            return True
    return False


def _cover(path: str) -> None:
    """Put nothing in the place of a socket or a device, unless it can not be reached anyway."""
    try:
        _mount("/dev/null", path, flags=_MS_BIND)
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
    memory = _limit(resource.RLIMIT_DATA, order.memory) and _holds(order.memory)
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            _prctl(_PR_SET_SECUREBITS, _POWERLESS_ROOT)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(0, os.getpriority(os.PRIO_PROCESS, 0)))
    # Python ignores these, and what it ignores a program inherits as ignored.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(ignored, signal.SIG_DFL)
    _tell(order, cage={**in_force, "memory": memory})
    try:
        os.chdir(order.cwd)
        os.execvpe(order.argv[0], order.argv, order.env)
    except OSError as error:
        _tell(order, fault=error.strerror)


def _limit(kind: int, most: int) -> bool:
    """Set a limit, or leave the lower one that is there; return whether either holds."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(kind, (most, most))
        return True
    return False


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
    if os.getpid() == 1 and len(_processes()) > order.processes + 1:
        # Before anything is read of them: a bomb grows while we look.
        return "processes"
    family = _family()
    if len(family) > order.processes:
        return "processes"
    if sum(family.values()) <= order.memory:
        return None
    # Pages that several share were counted for each of them.
    together = sum(_share(pid, resident) for pid, resident in family.items())
    return "memory" if together > order.memory else None


def _share(pid: int, resident: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return resident


def _processes() -> list[int]:
    with suppress(OSError):
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return []


def _family() -> dict[int, int]:
    """Return all living descendants of this process, and the memory of each in bytes."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for pid in _processes():
        with suppress(OSError, ValueError):
            # Behind the name, which may hold anything: state, parent, …, resident pages.
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            fields = text.rpartition(")")[2].split()
            if fields[0] not in "ZX":
                parents[pid] = int(fields[1])
                resident[pid] = int(fields[21]) * mmap.PAGESIZE
    found = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return {pid: resident[pid] for pid in found - {os.getpid()}}


def _end_namespace() -> None:
    """End every other process of this namespace, at once."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _end_family() -> None:
    """End every descendant, one by one: those that fled their parent have become our own."""
    for _ in range(100):
        family = _family()
        if not family:
            return
        for pid in family:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LONGEST_NAP)
    # They multiply faster than that. All that stayed in our group ends with us.
    os.killpg(0, signal.SIGKILL)


# --- the system ------------------------------------------------------------------------------


def _tell(order: Order, **facts: Any) -> None:
    with suppress(OSError):
        os.write(order.report, json.dumps(facts).encode() + b"\n")


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _prctl(option: int, value: int) -> None:
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    _checked(_libc().prctl(option, *words))


def _mount(
    source: str, target: str, *, kind: str | None = None, flags: int = 0, options: str = ""
) -> None:
    texts = [text and os.fsencode(text) for text in (source, target, kind)]
    _checked(_libc().mount(*texts, ctypes.c_ulong(flags), options.encode()))


def _mount_attributes(path: str, *, to_set: int = 0, to_clear: int = 0, flags: int = 0) -> None:
    wanted = struct.pack("4Q", to_set, to_clear, 0, 0)
    number, size = ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_size_t(len(wanted))
    where = (ctypes.c_long(_AT_FDCWD), os.fsencode(path), ctypes.c_ulong(flags))
    _checked(_libc().syscall(number, *where, wanted, size))


if __name__ == "__main__":
    main()
