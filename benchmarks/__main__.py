"""The command: `python -m benchmarks run [--rows N …] [--rivals]`."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.processes import ROOT, Cost, python

if TYPE_CHECKING:
    from collections.abc import Iterator

    Line = dict[str, Any]

IMPORT = "import sklearn.metrics, fairlearn.metrics"
WRITE = "import sys; from pathlib import Path; from benchmarks.workload import write; "
# Above this the loops that resample would take minutes for one replicate.
LOOPS_UP_TO = 100_000
_BLOCKED = 1


def main() -> None:
    """Measure, print a JSON line for each process, and then the ratios."""
    options = _options()
    lines: list[Line] = []
    for rows in options.rows:
        folder = Path(options.folder or tempfile.mkdtemp(prefix="model-gates-bench-")) / str(rows)
        for line in _measured(folder, rows, options):
            lines.append(line)
            print(json.dumps(line), flush=True)
        if options.folder is None:
            shutil.rmtree(folder.parent)
    print(table(lines), file=sys.stderr)


def _measured(folder: Path, rows: int, options: argparse.Namespace) -> Iterator[Line]:
    """Yield a line for each process; all kinds take turns, so that a busy minute hits them all."""
    config = folder / "model-gates.yml"
    if not config.exists():
        python("-c", f"{WRITE}write(Path({str(folder)!r}), {rows})")
        registered = ("--model", "credit", "--alias", "champion", "--predictions")
        cost = python(
            "-m", "gates", "baseline", "register", *registered, "baseline.parquet", cwd=folder
        )
        yield _line(rows, "register", cost)
    for _ in range(options.repeat):
        yield _line(rows, "import", python("-c", IMPORT))
        run = python("-m", "gates", "run", cwd=folder, accept=(0, _BLOCKED))
        yield _line(rows, "model-gates run", run)
        parts = python("-m", "benchmarks.ours", str(folder))
        yield _line(rows, "ours, by part", parts) | parts.told
        for rival in _rivals(rows) if options.rivals else ():
            found = python("-m", "benchmarks.rivals", rival, str(folder))
            yield _line(rows, rival, found) | found.told
        if options.evidently:
            script = str(ROOT / "benchmarks" / "evidently_rival.py")
            found = python(script, str(folder), interpreter=options.evidently)
            yield _line(rows, "evidently", found) | found.told


def _rivals(rows: int) -> tuple[str, ...]:
    return ("duckdb", "sklearn", "fairlearn") if rows <= LOOPS_UP_TO else ("duckdb",)


def _line(rows: int, what: str, cost: Cost) -> Line:
    process = {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s, "peak_mib": cost.peak_mib}
    return {"rows": rows, "what": what, **process}


def table(lines: list[Line]) -> str:
    """Return for each size and kind: min and median seconds, peak, and how many times our min."""
    shown = [("rows", "what", "min s", "median s", "peak MiB", "to ours"), ("---",) * 6]
    for rows in dict.fromkeys(line["rows"] for line in lines):
        here = [line for line in lines if line["rows"] == rows]
        for what in dict.fromkeys(line["what"] for line in here):
            same = [line for line in here if line["what"] == what]
            found = [seconds(line) for line in same]
            peak = max(line["peak_mib"] for line in same)
            ratio = min(found) / _ours(here, what)
            figures = (f"{min(found):,.2f}", f"{statistics.median(found):,.2f}", f"{peak:,}")
            shown.append((f"{rows:,}", what, *figures, f"{ratio:,.2f}"))
    return "\n".join("| " + " | ".join(row) + " |" for row in shown)


def seconds(line: Line) -> float:
    """Return what a line is compared by: the gate's computing, a rival's own, or the process."""
    own = [line[name] for name in ("performance_s", "seconds", "wall_s") if name in line]
    return float(own[0])


def _ours(lines: list[Line], what: str) -> float:
    """Return our figure of the same kind: whole processes with the run, work with the gate."""
    ours = (
        "model-gates run" if what in ("import", "register", "model-gates run") else "ours, by part"
    )
    return min(seconds(line) for line in lines if line["what"] == ours)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    run = parser.add_subparsers(required=True).add_parser("run", help="measure and compare")
    run.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    run.add_argument("--rivals", action="store_true", help="measure what people use today, too")
    run.add_argument("--evidently", help="a Python that has Evidently, as ours does not")
    run.add_argument("--repeat", type=int, default=3, help="how often each process is started")
    run.add_argument("--folder", type=Path, help="keep the workload here, and use it again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
