"""Play the main job on real data: a better candidate that is blocked, and one that passes.

Everything runs as it would for a user: the commands below, as processes of their own, in a copy of
`project/`. No number stands in this file; all that are printed come out of the run.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gates.errors import EXIT_BLOCKED, EXIT_BUG, EXIT_OK, ConfigError
from gates.process import run

PROJECT = Path(__file__).parent / "project"
MARKER = ".model-gates-demo"
BLOCKED, PASSED = "report-1-blocked", "report-2-passed"
# What a play makes, and the next one may take away; what a person put beside it stays.
_MADE = ("out", "data", ".model-gates", BLOCKED, PASSED)
_SECONDS = 120.0
_COLUMNS = "110"

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the story: what is said before it, and the exit code it has to end with."""

    before: str
    command: tuple[str, ...]
    expected: int = EXIT_OK


STORY = (
    Step(
        before="A team predicts who earns more than 50,000 a year. A linear model is in service. "
        "Its own script trains it; Model Gates will see nothing of it but its predictions.",
        command=("python", "train.py", "--model", "logistic", "--name", "baseline"),
    ),
    Step(
        before="Its predictions on the holdout are registered as the baseline: the version that "
        "every candidate is held against, row by row.",
        command=(
            *("model-gates", "baseline", "register", "--model", "income"),
            *("--predictions", "out/baseline.parquet", "--alias", "champion"),
        ),
    ),
    Step(
        before="A pull request brings boosted trees, and fresher labels: from tax returns, looked "
        "up by the person who filed. Where none is found, the label becomes 0.",
        command=(
            *("python", "train.py", "--model", "boosted", "--labels", "returns"),
            *("--unmatched", "zero", "--name", "candidate"),
        ),
    ),
    Step(
        before="The gates hold it against the baseline. On the headline metrics it is better. Read "
        "on to the groups: spouses file together, so every second wife had no return of her own, "
        "and was taught to the model as one who does not earn it.",
        command=("model-gates", "run", "--out", BLOCKED),
        expected=EXIT_BLOCKED,
    ),
    Step(
        before="The mended pull request leaves out the people without a return, instead of "
        "guessing their label. One argument differs.",
        command=(
            *("python", "train.py", "--model", "boosted", "--labels", "returns"),
            *("--unmatched", "drop", "--name", "candidate"),
        ),
    ),
    Step(
        before="The same command, the same limits. What is inconclusive warns and does not block: "
        "there are too few rows to tell, and the report says how many would.",
        command=("model-gates", "run", "--out", PASSED),
    ),
)


def play(out: Path, say: Say) -> int:
    """Play the story in the folder `out`; return 0 when it went as told, else 70.

    Raises ConfigError for a folder that holds something else, EnvironmentFault for a command that
    can not be started or does not end.
    """
    _prepare(out)
    say(f"The demo plays in {out}/, a small repository such as yours.")
    for number, step in enumerate(STORY, 1):
        say(f"\n[{number}/{len(STORY)}] {step.before}\n\n$ {' '.join(step.command)}")
        finished = run(_argv(step.command), cwd=out, timeout=_SECONDS, env=_environment())
        say(finished.output.rstrip())
        if finished.returncode != step.expected:
            say(f"\nThis should have ended with exit code {step.expected}, not with "
                f"{finished.returncode}: the story did not go as told.")
            return EXIT_BUG
        say(f"(exit code {finished.returncode})")
    say(_closing(out))
    return EXIT_OK


def _prepare(out: Path) -> None:
    """Copy the project into a folder that is new, empty, or of an earlier play."""
    if out.exists() and not (out / MARKER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(
            "there is something else here already, which the demo will not touch",
            where=str(out),
            hint="Name a new folder with `--out`.",
        )
    for name in _MADE:
        shutil.rmtree(out / name, ignore_errors=True)
    shutil.copytree(
        PROJECT, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    (out / MARKER).write_text("Made by `model-gates demo`, which may overwrite it.\n")


def _argv(command: tuple[str, ...]) -> list[str]:
    """Return what a person would type as this very installation's Python and Model Gates."""
    program, *arguments = command
    module = ["-m", "gates"] if program == "model-gates" else []
    return [sys.executable, *module, *arguments]


def _environment() -> dict[str, str]:
    # The folder this code was loaded from, so that it is also the code that is played. Text is
    # UTF-8 whatever the locale says, since that is how it is read.
    ours = Path(__file__).parents[2]
    return {"PYTHONPATH": str(ours), "PYTHONUTF8": "1", "COLUMNS": _COLUMNS}


def _closing(out: Path) -> str:
    return f"""
That is the whole job: one file of limits, one registered baseline, and an exit code that CI obeys.

  {out / BLOCKED / "report.md"}   why the first was blocked, as a reviewer reads it
  {out / PASSED / "report.md"}    the one that passed
  {out / "model-gates.yml"}       the limits, with comments
  {out / "train.py"}              the two training runs, and the line that made the difference

Next: `model-gates init` proposes a configuration for predictions of your own. README.md goes on
from there."""
