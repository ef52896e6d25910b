"""One gate run in this process, timed gate by gate: `python -m benchmarks.ours FOLDER`.

The runner tells when a gate starts and ends, so nothing of it is replaced or wrapped. What comes
before the first gate is reading: open, check, digest, join. Libraries are imported beforehand.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from gates.allocator import keep_freed_memory


def main(folder: Path) -> None:
    """Run the configuration in `folder`; print one JSON object with seconds and MiB."""
    keep_freed_memory()
    import fairlearn.metrics  # noqa: F401
    import sklearn.metrics  # noqa: F401

    from gates import runner
    from gates.config import load
    from gates.report import PolicyInfo, RunInfo

    config, source = load(folder / "model-gates.yml")
    clock = Clock()
    report = runner.run(
        runner.Run(
            config=config,
            root=folder,
            policy=PolicyInfo(digest=source.digest),
            info=RunInfo(started="2026-01-01T00:00:00+00:00"),
            progress=clock.gate,
            on_crash=_raise,
        )
    )
    checks = sum(len(gate.checks) for model in report.models for gate in model.gates)
    found = {"rows": report.models[0].candidate.rows} if report.models[0].candidate else {}
    print(json.dumps({"verdict": report.verdict, "checks": checks, **found, **clock.marks}))


class Clock:
    """Note wall time, processor time and memory whenever a gate starts or ends."""

    def __init__(self) -> None:
        self.marks: dict[str, float] = {}
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def gate(self, _model: str, gate: str, state: str) -> None:
        """Take what has passed since the last call as reading, or as this gate's work."""
        wall, cpu = time.perf_counter(), time.process_time()
        work = "read" if state == "running" and not self.marks else gate
        if state != "running" or work == "read":
            self.marks[f"{work}_s"] = round(wall - self._wall, 3)
            self.marks[f"{work}_cpu_s"] = round(cpu - self._cpu, 3)
            self.marks[f"{work}_mib"] = _peak()
        self._wall, self._cpu = wall, cpu


def _peak() -> int:
    """Return the most memory this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024**2 if sys.platform == "darwin" else 1024)


def _raise(error: Exception) -> Any:
    raise error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
