"""Who descends from this process, and how much memory they have together."""

import mmap
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def processes() -> list[int]:
    """Return the numbers of all processes that can be seen; none where there is no /proc."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def descendants() -> dict[int, int]:
    """Return all living descendants of this process, and the resident memory of each in bytes."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for pid in processes():
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


def together(family: Mapping[int, int]) -> int:
    """Return the memory of several processes; a page that some share is counted once."""
    return sum(_share(pid, resident) for pid, resident in family.items())


def _share(pid: int, resident: int) -> int:
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        return 1024 * int(text.partition("\nPss:")[2].split()[0])
    return resident
