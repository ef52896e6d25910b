"""Every renderer on one report: `python -m benchmarks.render [--report FILE] [--repeat N]`.

The report has 200 checks, 24 groups and a portrait, unless another is named. Each renderer gets a
fresh process and is told apart from its libraries: `load_s` is what importing them takes (for the
page, Vega's engine starts with its first drawing), `first_s` the first call, which fills caches and
compiles templates, and `later_s` the shortest of the later ones; `later_cpu_s` is the same of the
processor's time, which tells more on a machine that is busy.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks.processes import python
from gates.report import Report, load
from reporters.render.registry import RENDERERS


def main() -> None:
    """Print a JSON line for each renderer; with `--only`, measure that one in this process."""
    options = _options()
    if options.only:
        print(json.dumps(measured(options.only, _report(options.report), options.repeat)))
        return
    same = ["--repeat", str(options.repeat)]
    same += ["--report", str(options.report.resolve())] if options.report else []
    for name in RENDERERS:
        print(json.dumps(python("-m", "benchmarks.render", "--only", name, *same).told), flush=True)


def measured(name: str, report: Report, repeat: int) -> dict[str, object]:
    """Return what the first and the later calls of a renderer take, and how much it writes."""
    load_s = _loaded() if name == "html" else 0.0

    def once() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        RENDERERS[name](report)
        return time.perf_counter() - wall, time.process_time() - cpu

    (first, _), *later = (once() for _ in range(repeat + 1))
    walls, cpus = zip(*later, strict=True)
    return {
        "what": name,
        "checks": sum(len(gate.checks) for model in report.models for gate in model.gates),
        "load_s": round(load_s, 3),
        "first_s": round(first, 3),
        "later_s": round(min(walls), 4),
        "later_cpu_s": round(min(cpus), 4),
        "kib": len(RENDERERS[name](report).encode()) // 1024,
    }


def _loaded() -> float:
    """Return what it takes to import the page and to start Vega; the other renderers have been."""
    started = time.perf_counter()
    from reporters.render.html import page, svg  # noqa: F401  (what a page takes to import)

    empty = {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "mark": "point"}
    svg.draw({**empty, "data": {"values": []}}, key="k", title="", says="")
    return time.perf_counter() - started


def _report(path: Path | None) -> Report:
    from tests import reports

    return load(path.read_bytes()) if path else reports.everything(200)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__)
    parser.add_argument("--report", type=Path, help="a report.json of your own")
    parser.add_argument("--repeat", type=int, default=10, help="how many later calls")
    parser.add_argument("--only", choices=list(RENDERERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    return options


if __name__ == "__main__":
    main()
