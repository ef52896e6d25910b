"""Two settings of the process: freed memory is kept, and cycles are looked for seldom.

The C library hands every large block that is freed back to the system at once and asks for a fresh
one a moment later, which the system must clear page by page. Measured on a virtual machine, that
took two thirds of the time of every metric. What is kept is at most what was in use at the same
time.

Python looks through its objects for cycles after every 700 new ones, which in a short run that
imports a lot finds next to nothing and takes a twentieth of the time.
"""

from __future__ import annotations

import ctypes
import gc
import sys

# From glibc's malloc.h; a library that has no `mallopt` is left as it is.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST_KEPT = 512 * 1024**2
_MOST_KEPT = 1024**3
# New objects before the youngest are looked through, and how much rarer the older ones are.
_CYCLES = (50_000, 20, 50)


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed; return whether it does. Once, at the start."""
    # Windows has no library of the process itself to ask.
    return sys.platform != "win32" and keeps(ctypes.CDLL(None))


def collect_seldom() -> None:
    """Let Python look for cycles seldom. Once, at the start."""
    gc.set_threshold(*_CYCLES)


def keeps(library: object) -> bool:
    """Set up one C library, if it is one that can be."""
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        return False
    # Threads share one arena: one of their own could not hold blocks as large as these.
    asked = ((_MMAP_THRESHOLD, _LARGEST_KEPT), (_TRIM_THRESHOLD, _MOST_KEPT), (_ARENA_MAX, 1))
    answers = [mallopt(name, value) for name, value in asked]
    return answers == [1, 1, 1]
