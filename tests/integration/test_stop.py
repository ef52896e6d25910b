"""Ctrl-C, and what a runner sends when a job is cancelled: the run ends, and says so by its code."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gates.__main__ import _run
from gates.cli import World
from gates.cli.stop import Stop, Stopped
from gates.report import load

ROOT = Path(__file__).parents[2]
CONFIG = {
    "version": 1,
    "models": {
        "credit": {
            "task": "binary",
            "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "label"},
            "candidate": {"predictions": "candidate.parquet"},
            "baseline": {"on_missing": "absolute"},
            "gates": {
                "performance": {
                    "metrics": {"roc_auc": {"min": 0.6}, "calibration_error": {"max": 0.5}},
                }
            },
        }
    },
}
# What the process does to itself, once DuckDB is there and at work: SQL is the last to be loaded.
TELL = """
import os, signal, sys, threading, time
def tell():
    while "gates.assemble" not in sys.modules:
        time.sleep(0.005)
    time.sleep({delay})
    sys.stderr.write("TOLD\\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.{name})
threading.Thread(target=tell, daemon=True).start()
from gates.__main__ import main
main()
"""
TIMES = [(name, delay) for name in ("SIGINT", "SIGTERM") for delay in (0.0, 0.1, 0.2, 0.4)]


@dataclass(frozen=True)
class Ended:
    """How a run that was told to stop ended, and what it left in the folder of its report."""

    code: int
    stderr: str
    out: Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project of enough rows that a run is at work for a while."""
    folder, rows = tmp_path_factory.mktemp("stop"), 200_000
    random = np.random.default_rng(5)
    label = random.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(2.5 * label - 1.25 + random.normal(0, 1.2, rows))))
    data = pd.DataFrame({"id": np.arange(rows), "label": label})
    data.to_parquet(folder / "evaluation.parquet")
    outputs = pd.DataFrame({"id": np.arange(rows), "score": score})
    outputs.to_parquet(folder / "candidate.parquet")
    (folder / "model-gates.yml").write_text(json.dumps(CONFIG), "utf-8")
    return folder


@pytest.fixture(scope="module")
def ended(folder):
    """Tell a run to stop at each of the times; return how each ended."""

    def run(moment):
        name, delay = moment
        out = folder / f"{name}-{delay}"
        script = TELL.format(name=name, delay=delay)
        done = subprocess.run(
            [sys.executable, "-c", script, "run", f"--out={out}"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Ended(done.returncode, done.stderr, out)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(TIMES, pool.map(run, TIMES), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("moment", TIMES, ids=str)
def test_who_was_told_to_stop_says_so(ended, moment):
    code = {"SIGINT": 130, "SIGTERM": 143}[moment[0]]
    done = ended[moment]
    # A run that was over before it was told has a verdict of its own.
    assert done.code == (code if "TOLD" in done.stderr else 0)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.slow
def test_some_were_told_in_time(ended):
    assert sum("TOLD" in done.stderr for done in ended.values()) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("moment", TIMES, ids=str)
def test_nothing_is_half_written(ended, moment):
    out = ended[moment].out
    files = {path.name for path in out.iterdir()} if out.exists() else set()
    assert files <= {"report.json", "report.md"}
    if "report.json" in files:
        assert load((out / "report.json").read_bytes()).error is None


def test_what_swallows_the_signal_is_asked_again():
    stop = Stop()
    stop.check()
    assert stop.code(1) == 1
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stop.listen()
        with pytest.raises(Stopped):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    with pytest.raises(Stopped):
        stop.check()
    assert [stop.code(code) for code in (0, 1, 70)] == [143] * 3


def test_a_run_that_was_told_and_heard_nothing_ends_at_the_next_gate(folder, monkeypatch):
    """As where DuckDB made an error of the signal, and a boundary a result of the error."""
    out = folder / "unheard"
    config = folder / "model-gates.yml"
    monkeypatch.setattr(sys, "argv", ["model-gates", "run", f"--config={config}", f"--out={out}"])
    with pytest.raises(Stopped):
        _run(World(environ={}, stop=Stop(signal=signal.SIGINT)))
    assert not out.exists()


def test_no_handler_of_exceptions_holds_it_up():
    assert not issubclass(Stopped, Exception)
