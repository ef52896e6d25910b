"""Keep work on somebody else's text within bounds of time and memory, in this process.

A team's template is reviewed like code; even so, one that never ends must not hold up a runner.
Where a platform has no such limits (Windows; a thread of somebody else's), the job's own time limit
has to do.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gates.errors import GatesError

SECONDS = 10
MEMORY = 512 * 1024**2


@contextmanager
def confined(
    refused: Callable[[str], GatesError], *, seconds: float = SECONDS, memory: int = MEMORY
) -> Iterator[None]:
    """Raise what `refused` makes of the reason when the work takes too long, or too much memory."""
    # A signal reaches the main thread only.
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    import resource

    def late(_number: int, _frame: FrameType | None) -> None:
        raise refused(f"it took more than {seconds:g} s")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if sys.platform == "linux":
        most = _in_use() + memory
        resource.setrlimit(resource.RLIMIT_AS, (_least(most, soft, hard), hard))
    try:
        yield
    except MemoryError as error:
        raise refused(f"it took more than {memory // 1024**2} MiB") from error
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _least(*limits: int) -> int:
    """Return the smallest limit; a negative one is none."""
    return min(limit for limit in limits if limit >= 0)


def _in_use() -> int:
    """Return how much address space this process has, in bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * page
