"""What the keeper asks of Linux itself: one function a wish, and every refusal is an OSError."""

import ctypes
import fcntl
import os
import signal
import socket
import struct
from contextlib import suppress
from typing import Any

# From its headers.
NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = 442, -100, 0x8000, 1
_PDEATHSIG, _DUMPABLE, _SECUREBITS, _CHILD_SUBREAPER, _NO_NEW_PRIVS = 1, 4, 28, 36, 38
# Root gets no capability by being root, none is raised later, and both can not be undone.
_POWERLESS_ROOT = 0b11000011
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


def unshare(namespaces: int) -> None:
    """Leave the namespaces that we share with others, for fresh ones."""
    _checked(_libc().unshare(namespaces))


def die_with_parent() -> None:
    """Let the system kill this process when its parent ends. A change of credentials undoes it."""
    _prctl(_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_CHILD_SUBREAPER, 1)


def hide() -> None:
    """Keep this process's memory and open files from others of the same user; exec undoes it."""
    _prctl(_DUMPABLE, 0)


def give_up_powers() -> None:
    """Let no program that this process turns into have a capability, or gain another's rights."""
    with suppress(OSError):
        # Refused where there is no power to give up.
        _prctl(_SECUREBITS, _POWERLESS_ROOT)
    _prctl(_NO_NEW_PRIVS, 1)


def keep_mounts_private() -> None:
    """Let nothing that is mounted here show elsewhere."""
    _mount("none", "/", flags=_REC | _PRIVATE)


def mount_proc() -> None:
    """Show the processes of this namespace, read-only: root could set the kernel through it."""
    _mount("proc", "/proc", kind="proc", flags=_RDONLY | _NOSUID | _NODEV | _NOEXEC)


def mount_shared_memory(folder: str, size: int) -> None:
    """Put fresh shared memory of at most `size` bytes in the place of a folder."""
    options = f"size={size},mode=1777"
    _mount("tmpfs", folder, kind="tmpfs", flags=_NOSUID | _NODEV, options=options)


def cover(path: str) -> None:
    """Put nothing in the place of a file."""
    _mount("/dev/null", path, flags=_BIND)


def make_read_only() -> None:
    """Make every file that is there read-only."""
    _mount_attributes("/", to_set=_ATTR_RDONLY, flags=_AT_RECURSIVE)


def make_writable(folder: str) -> None:
    """Make a folder as writable as it was before."""
    _mount(folder, folder, flags=_BIND | _REC)
    _mount_attributes(folder, to_clear=_ATTR_RDONLY)


def raise_loopback() -> None:
    """Start the network that a network namespace has to itself."""
    request = struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


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
    number, size = ctypes.c_long(_MOUNT_SETATTR), ctypes.c_size_t(len(wanted))
    where = (ctypes.c_long(_AT_FDCWD), os.fsencode(path), ctypes.c_ulong(flags))
    _checked(_libc().syscall(number, *where, wanted, size))
