"""Start a program, wait for it, and say what it cost: every figure is of a fresh process."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a process took from start to exit, and what it printed."""

    wall_s: float
    cpu_s: float
    peak_mib: int
    code: int
    output: str

    @property
    def told(self) -> dict[str, Any]:
        """Return the JSON object in the last line that it printed."""
        told: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return told


def python(
    *arguments: str,
    cwd: Path = ROOT,
    accept: Sequence[int] = (0,),
    interpreter: str = sys.executable,
) -> Cost:
    """Run a Python with arguments; `accept` are the exit codes that are no accident."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    # An installed package has its bytecode; compiling ours anew each time is no part of the work.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = [interpreter, *arguments]
    with tempfile.NamedTemporaryFile() as out, chdir(cwd):
        started = time.perf_counter()
        to_file = (os.POSIX_SPAWN_DUP2, out.fileno(), 1)
        child = os.posix_spawn(interpreter, argv, environ, file_actions=[to_file])
        _, status, usage = os.wait4(child, 0)
        wall = time.perf_counter() - started
        output = Path(out.name).read_text(encoding="utf-8")
    code = os.waitstatus_to_exitcode(status)
    if code not in accept:
        raise SystemExit(f"{' '.join(argv)} ended with {code}:\n{output}")
    return Cost(
        wall_s=round(wall, 3),
        cpu_s=round(usage.ru_utime + usage.ru_stime, 3),
        # Kilobytes on Linux, bytes on macOS.
        peak_mib=usage.ru_maxrss // (1024**2 if sys.platform == "darwin" else 1024),
        code=code,
        output=output,
    )
