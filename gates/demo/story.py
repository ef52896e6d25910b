"""Play the main job on real data: a better candidate that is blocked, and one that passes.

All of it runs as it would for a user: the commands below, each a process of its own, in a copy of
`project/`. No result stands in this file; every number that is printed comes out of the run.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from gates.errors import EXIT_BLOCKED, EXIT_BUG, EXIT_OK, ConfigError
from gates.process import run
from gates.report import Check, Family, load
from gates.stats.catalogue import METRICS, Better

PROJECT = Path(__file__).parent / "project"
MARKER = ".model-gates-demo"
BLOCKED, PASSED = "report-1-blocked", "report-2-passed"
ROLLED_BACK, PROMOTED = "rollout-1-rolled-back", "rollout-2-promoted"

# What one play leaves and the next one clears away; what a person put beside it stays.
_MADE = ("data", "out", ".model-gates", BLOCKED, PASSED, ROLLED_BACK, PROMOTED)
_SECONDS = 120.0
WIDTH = 100

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the story, and the exit code it must end with.

    `before` is said ahead of it, and has to be true whatever comes out. `report` is the folder of
    the report that it leaves, if any.
    """

    before: str
    command: str
    expected: int = EXIT_OK
    report: str | None = None


STORY = (
    Step(
        before="A linear model is in service. The team's own script trains it; the gates will see "
        "nothing of it but its predictions, and the digest of its file.",
        command="python train.py --model logistic --name baseline",
    ),
    Step(
        before="Its predictions for the holdout are registered as the baseline, which every "
        "candidate is held against, person by person.",
        command="model-gates baseline register --model income "
        "--predictions out/baseline.parquet --artifact out/baseline.joblib --alias champion",
    ),
    Step(
        before="A pull request brings boosted trees, and labels from a new source: tax returns, "
        "looked up by the name of the person who filed. Who has no return gets the label 0.",
        command="python train.py --model boosted --labels by-filer",
    ),
    Step(
        before="Is it safe to put this in place of the baseline?",
        command=f"model-gates run --out {BLOCKED}",
        expected=EXIT_BLOCKED,
        report=BLOCKED,
    ),
    Step(
        before="What went wrong: a couple files one return, under the name of one of the two. "
        "About half of the wives were not found, and so the model was taught that they earn "
        "little. `sex` is not even one of its features; `relationship` is. The next commit looks "
        "returns up by the couple, and changes nothing else.",
        command="python train.py --model boosted --labels by-couple",
    ),
    Step(
        before="The same command, the same limits. A check that is undecided had too few rows to "
        "tell. It warns, and says how many would do; it blocks only where a team asks for "
        "that.",
        command=f"model-gates run --out {PASSED}",
        report=PASSED,
    ),
)


def play(
    out: Path,
    say: Say,
    story: Sequence[Step] = STORY,
    then: Callable[[Path, Say], int] = lambda _out, _say: EXIT_OK,
) -> int:
    """Play a story in the folder `out`, and `then` what follows; return 0 when it went as told.

    Else it is 70. Raises ConfigError for a folder that holds something else, EnvironmentFault for a
    command that can not be started or does not end.
    """
    _prepare(out)
    say(f"Who earns more than 50,000 a year? A small repository is in {out}, with real data.")
    for number, step in enumerate(story, 1):
        say(f"\n── {number} of {len(story)} ──\n{fill(step.before, WIDTH)}\n\n$ {step.command}")
        returncode = _run(step, out, say)
        if returncode != step.expected:
            say(
                f"\nThe story did not go as told: exit code {returncode}, "
                f"where {step.expected} was expected."
            )
            return EXIT_BUG
    code = then(out, say)
    if code == EXIT_OK:
        say(_closing(out))
    return code


def _run(step: Step, out: Path, say: Say) -> int:
    """Run one command, show what it printed, and return its exit code."""
    finished = run(argv(step.command), cwd=out, timeout=_SECONDS, env=environment())
    say(finished.output.rstrip())
    if step.report and finished.returncode == step.expected:
        say(_overall(out, step.report))
        say(f"\nexit code {finished.returncode}")
    return finished.returncode


def _prepare(out: Path) -> None:
    """Copy the project into a folder that is new, empty, or from an earlier play."""
    ours = (out / MARKER).is_file()
    if out.exists() and not ours and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "something else is there already, and the demo will not touch it",
            where=str(out),
            hint="Name a new folder with `--out`.",
        )
    for name in _MADE:
        shutil.rmtree(out / name, ignore_errors=True)
    # First, so that a play that was cut short can be played again.
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("Made by `model-gates demo`, which will overwrite its own files.\n")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT, out, dirs_exist_ok=True, ignore=unwanted)


def argv(command: str) -> list[str]:
    """Return the command as run by this very Python and this very Model Gates."""
    program, *arguments = command.split()
    module = ["-m", "gates"] if program == "model-gates" else []
    return [sys.executable, *module, *arguments]


def environment() -> dict[str, str]:
    """Return what the commands see beside what `gates.process` passes on."""
    # Where this code was loaded from is also what is played, installed or not. Text is UTF-8
    # whatever the locale says, because that is how it is read.
    return {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONUTF8": "1"}


def _overall(out: Path, folder: str) -> str:
    """Return what the report says of both models on the whole holdout."""
    report = load((out / folder / "report.json").read_bytes())
    gates = [gate for model in report.models for gate in model.gates]
    checks = [c for g in gates if g.gate == "performance" for c in g.checks]
    # By metric, because one that has two limits is two checks.
    rows = {c.metric: _row(c) for c in checks if c.family is Family.OVERALL}
    return "\n".join((f"\nOn the whole holdout ({folder}/report.json):", *rows.values()))


def _row(check: Check) -> str:
    lower = "   (lower is better)" if METRICS[check.metric].better is Better.LOWER else ""
    row = f"{check.baseline:.4f} → {check.candidate:.4f}   Δ {check.delta:+.4f}{lower}"
    return f"  {check.metric:<10}" + row.replace("-", "−")


def _closing(out: Path) -> str:
    return f"""
── What to read ──
{out / BLOCKED / "report.md"}: why the first was blocked, as its reviewer reads it
{out / PASSED / "report.md"}: the one that passed
{out / "model-gates.yml"}: the limits, and why they are what they are
{out / "train.py"}: what the team's script did, and how the labels were lost

Then README.md, and `model-gates init`, which proposes limits for predictions of your own."""
