"""A small project as a user has it: a configuration, data, predictions, a registered baseline.

The command line is called in this process where that is enough, and as a process of its own
(`project.process`) where the process is what matters.
"""

import copy
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gates.__main__ import _run
from gates.cli import World

ROOT = Path(__file__).parents[2]
# Every value that could identify a row holds one of these; no output may.
CANARY = "canary7f3a"
CANARY_NUMBER = "731200"

BINARY = {
    "version": 1,
    "models": {
        "credit": {
            "task": "binary",
            "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "defaulted"},
            "candidate": {"predictions": "candidate.parquet"},
            "gates": {
                "performance": {
                    "metrics": {
                        "roc_auc": {"min": 0.6, "max_drop": 0.1},
                        "recall": {"max_drop": 0.2},
                    },
                    "slices": ["region"],
                },
                "fairness": {
                    "sensitive": ["sex"],
                    "metrics": {"demographic_parity_difference": {"max": 0.6, "max_rise": 0.3}},
                },
            },
        }
    },
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left behind: exit code, both streams, and what is in the report folder."""

    code: int
    stdout: str
    stderr: str
    out: Path

    @property
    def report(self):
        path = self.out / "report.json"
        return json.loads(path.read_bytes()) if path.is_file() else None

    @property
    def markdown(self):
        path = self.out / "report.md"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def checks(self):
        gates = [gate for model in self.report["models"] for gate in model["gates"]]
        return {check["id"]: check for gate in gates for check in gate["checks"]}

    @property
    def everything(self):
        report = self.report
        return "\n".join([self.stdout, self.stderr, self.markdown, json.dumps(report)])

    def gate(self, name):
        """The result of a gate of the first model."""
        return next(g for g in self.report["models"][0]["gates"] if g["gate"] == name)


class Project:
    """A folder with a `model-gates.yml`; what a test breaks, it breaks here."""

    def __init__(self, folder, config):
        self.folder = folder
        self.config = copy.deepcopy(config)

    @property
    def model(self):
        """The configuration of the first model, to be changed in place before `run`."""
        return next(iter(self.config["models"].values()))

    @property
    def store(self):
        return self.folder / ".model-gates" / "baselines" / next(iter(self.config["models"]))

    def path(self, name):
        return self.folder / name

    def set(self, path, value):
        """Set a key of the first model, given as a dotted path, and save the configuration."""
        *parents, last = path.split(".")
        node = self.model
        for step in parents:
            node = node.setdefault(step, {})
        node[last] = value
        return self.save()

    def table(self, name):
        path = self.path(name)
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype={"id": str})
        return pd.read_parquet(path)

    def write(self, name, frame):
        """Write a table in the format of its suffix."""
        write = frame.to_csv if name.endswith(".csv") else frame.to_parquet
        write(self.path(name), index=False)
        return self

    def cell(self, name, column, value, row=7):
        """Put a value into one cell, or with `row=None` into a whole column."""
        frame = self.table(name)
        values = list(frame[column])
        values = value if row is None else [*values[:row], value, *values[row + 1 :]]
        return self.write(name, frame.assign(**{column: values}))

    def csv(self, stem):
        """Let the configuration name the table's CSV instead; return its path."""
        self.write(f"{stem}.csv", self.table(f"{stem}.parquet"))
        key = "data.evaluation" if stem == "evaluation" else "candidate.predictions"
        self.set(key, f"{stem}.csv")
        return self.path(f"{stem}.csv")

    def save(self):
        text = yaml.safe_dump(self.config, sort_keys=False)
        self.path("model-gates.yml").write_text(text, encoding="utf-8")
        return self

    def register(self, predictions="baseline.parquet", model=None):
        self.save()
        chosen = ("--model", model) if model else ()
        named = ("--predictions", str(self.path(predictions)), "--alias", "champion", *chosen)
        outcome = self.call("baseline", "register", *named, *self._config())
        assert outcome.code == 0, outcome.stderr
        return outcome

    def run(self, *arguments, out="out"):
        """Write the configuration and run the gates, in this process."""
        self.save()
        return self.run_as_is(*arguments, out=out)

    def run_as_is(self, *arguments, out="out"):
        """Run the gates on the configuration as it stands in the folder."""
        return self.call("run", *self._config(), "--out", str(self.path(out)), *arguments, out=out)

    def call(self, *arguments, out="out", environ=None, **world):
        """Call the command line in this process; `world` is what else it is given, as the time."""
        stdout, stderr, argv = io.StringIO(), io.StringIO(), sys.argv
        sys.argv = ["model-gates", *arguments]
        try:
            with redirect_stdout(stdout), redirect_stderr(stderr):
                code = _run(World(environ={"USER": "ana"} | (environ or {}), **world))
        finally:
            sys.argv = argv
        texts = {"stdout": stdout.getvalue(), "stderr": stderr.getvalue()}
        return Outcome(code=code, out=self.path(out), **texts)

    def process(self, *arguments, out="out", **options):
        """Run the gates in a process of their own; the configuration is that in the folder."""
        named = (*self._config(), "--out", str(self.path(out)))
        return self.start("run", *named, *arguments, out=out, **options)

    def start(self, *arguments, out="out", prelude="", environ=None):
        """Call the command line as a process, in the project's folder; `prelude` runs first."""
        code = f"{prelude}\nfrom gates.__main__ import main\nmain()"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(environ or {})},
            timeout=120,
        )
        texts = {"stdout": done.stdout, "stderr": done.stderr}
        return Outcome(code=done.returncode, out=self.path(out), **texts)

    def copied(self, folder):
        """The same project once more, in another folder."""
        shutil.copytree(self.folder, folder)
        return Project(folder, self.config)

    def _config(self):
        return "--config", str(self.path("model-gates.yml"))


def people(rows=300, seed=11):
    """Rows of a binary task, each with an e-mail, a token and a number nobody may see again."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, rows)
    frame = pd.DataFrame(
        {
            "id": [f"{CANARY}-{i:04}" for i in range(rows)],
            "email": [f"{CANARY}.{i}@mail.example" for i in range(rows)],
            "token": [f"ghp_{CANARY}{i:028}" for i in range(rows)],
            "account": np.arange(rows) + int(CANARY_NUMBER) * 10_000,
            "household": np.arange(rows) // 3,
            "region": random.choice(["north", "south"], rows),
            "sex": random.choice(["f", "m"], rows),
            "age": random.integers(18, 80, rows),
            "defaulted": label,
        }
    )
    # Two models of the same people mostly err on the same ones.
    seen = 2.5 * label - 1.25 + random.normal(0, 1.1, rows)
    scores = {
        name: 1 / (1 + np.exp(-(seen + random.normal(0, noise, rows))))
        for name, noise in (("baseline", 0.5), ("candidate", 0.3))
    }
    return frame, scores


def outputs(ids, score):
    return pd.DataFrame({"id": ids, "prediction": (score >= 0.5).astype(int), "score": score})


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The good project, built and registered once; tests work on copies of it."""
    project = Project(tmp_path_factory.mktemp("template"), BINARY)
    frame, scores = people()
    project.write("evaluation.parquet", frame)
    for name, score in scores.items():
        project.write(f"{name}.parquet", outputs(frame.id, score))
    project.register()
    return project


@pytest.fixture
def project(template, tmp_path):
    return template.copied(tmp_path / "project")


@pytest.fixture(scope="session")
def new_project():
    """Return a function that makes a project of a folder and a configuration."""
    return Project
