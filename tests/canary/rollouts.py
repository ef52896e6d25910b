"""A team's project with a judged candidate, and its rollouts on a real engine, as a person runs them.

Every command is a process of its own, so that it can be cancelled and killed like one.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests.canary import images

ROWS = 900
POLICY = """
version: 1
models:
  scores:
    task: binary
    data: {evaluation: holdout.parquet, id: id, label: label, positive: 1}
    candidate: {predictions: out/predictions.parquet, artifact: out/model.json}
    gates:
      performance:
        metrics: {roc_auc: {min: 0.6, max_drop: 0.05}}
      fairness:
        sensitive: [sex]
        metrics: {selection_rate: {max_drop_any_group: 0.1}}
"""
FEATURES = ("income", "age", "debt", "female")
_PATIENCE = 90
# What a rollout in a test takes its time from: seconds, not hours.
QUICK = {
    "steps": [25],
    "bake": 1.0,
    "max_bake": 30.0,
    "looks": 2,
    "min_requests": 30,
    "lease": 15.0,
    "hold": 600.0,
    # Machines that run tests are busy: a median that is five times as long is no noise.
    "analysis": {
        "error_rate": {"max_rise": 0.02},
        "latency": {"quantile": 0.5, "max_ratio": 5.0},
    },
}


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project in which some models were judged; `evidence` are their records."""

    folder: Path
    evidence: dict

    @property
    def policy(self):
        return self.folder / "model-gates.yml"


@dataclass(kw_only=True)
class Rollouts:
    """The rollouts of one deployment on a bench."""

    bench: object
    project: Project
    folder: Path
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        self.write()

    @property
    def file(self):
        return self.folder / "model-gates.canary.yml"

    def write(self, **settings):
        """Write the deployment down, with other settings if there are any."""
        self.settings = QUICK | self.settings | settings
        target = self.bench.options.model_dump(mode="json", exclude_none=True)
        deployment = {"model": "scores", "target": {"docker": target}, **self.settings}
        text = {"version": 1, "deployments": {self.bench.name: deployment}}
        self.folder.mkdir(exist_ok=True)
        self.file.write_text(yaml.safe_dump(text, sort_keys=False))

    def begin(self, *words, env=None):
        """Start a command and return its process."""
        command = [sys.executable, "-m", "gates", "canary", words[0], self.bench.name]
        command += [f"--config={self.file}", *words[1:]]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )

    def run(self, *words, env=None):
        """Run a command to its end: its exit code, what it printed, and what it told meanwhile."""
        return ended(self.begin(*words, env=env))

    def start(self, model="good-v2", *words, env=None):
        return self.run(*self.starting(model, *words), env=env)

    def starting(self, model, *words):
        """Return the words that start a rollout of a model."""
        return (
            "start",
            f"--image={self.bench.images[model]}",
            f"--record={self.project.evidence[model]}",
            f"--policy={self.project.policy}",
            *words,
        )

    def swap(self, model):
        """Have another model serve, without a word in the journal, and nothing beside it."""
        site, pinned = self.bench.site, self.bench.pin(model)
        if site.look().stable.digest != pinned.digest:
            site.ensure_out()
            site.ensure_removed()
            self.bench.canary(model, share=100)
            self.bench.serve(model)
        site.ensure_out()
        site.ensure_removed()

    def status(self):
        """Return what `status` says, as data."""
        told = self.run("status", "--format=json")
        assert told.code == 0, told.stderr
        return json.loads(told.stdout)

    def journal(self):
        """Return the lines of the journal."""
        path = self.bench.state / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    @contextlib.contextmanager
    def users(self, *, pause=0.004, threads=4):
        """Have users ask all the while, and return what they got, for as long as the block lasts."""
        crowd = Crowd(bench=self.bench, pause=pause, threads=threads)
        crowd.come()
        try:
            yield crowd
        finally:
            crowd.go()


@dataclass(kw_only=True)
class Crowd:
    """Users who ask again and again; at most for ten minutes."""

    bench: object
    pause: float
    threads: int
    answers: list = field(default_factory=list)
    _gone: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def come(self):
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def go(self):
        self._gone.set()
        self._thread.join(30)

    def _ask(self):
        until = time.monotonic() + 600
        while not self._gone.is_set() and time.monotonic() < until:
            self.answers.append(self.bench.load(40, threads=self.threads, pause=self.pause))

    @property
    def asked(self):
        return sum(sum(one.counts.values()) for one in self.answers)

    @property
    def bad(self):
        return sum(one.bad for one in self.answers)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str


def ended(process, seconds=_PATIENCE):
    """Wait for a command, and return what it came to."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"not within {seconds} s:\n{stdout}\n{stderr}") from None
    return Ended(code=process.returncode, stdout=stdout, stderr=stderr)


def project(
    folder, models=("good-v2", "errors", "slow", "unfair", "crash-at-start", "crash-later")
):
    """Make a project whose baseline is the model `good`, and judge some candidates."""
    frame = _people()
    frame.to_parquet(folder / "holdout.parquet")
    (folder / "model-gates.yml").write_text(POLICY)
    _answer(folder, frame, "good")
    _gates(
        folder, "baseline", "register", "--predictions=out/predictions.parquet",
        "--artifact=out/model.json", "--alias=champion",
    )  # fmt: skip
    evidence = {}
    for model in models:
        # Whoever judged these saw what a model answers in a notebook, not what it does when served.
        _answer(folder, frame, model)
        _gates(folder, "run", f"--out=reports/{model}")
        evidence[model] = folder / "reports" / model / "evidence.json"
    return Project(folder=folder, evidence=evidence)


def _people():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "income": rng.normal(1.0, 1.0, ROWS).round(3),
            "age": rng.integers(18, 80, ROWS),
            "debt": rng.normal(1.5, 1.0, ROWS).round(3),
            "female": rng.integers(0, 2, ROWS),
        }
    )
    frame["sex"] = np.where(frame["female"] == 1, "f", "m")
    score = _score(frame, json.loads(images.model_file("good")))
    frame["label"] = (rng.random(ROWS) < score).astype(int)
    return frame


def _score(frame, model):
    total = model.get("bias", 0.0)
    for name, weight in model["weights"].items():
        total = total + weight * frame[name]
    return 1 / (1 + np.exp(-total))


def _answer(folder, frame, model):
    (folder / "out").mkdir(exist_ok=True)
    (folder / "out" / "model.json").write_bytes(images.model_file(model))
    honest = json.loads(images.model_file("good"))
    score = _score(frame, honest)
    answers = {"id": frame["id"], "score": score, "prediction": (score >= 0.5).astype(int)}
    pd.DataFrame(answers).to_parquet(folder / "out" / "predictions.parquet")


def _gates(folder, *words):
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    subprocess.run(
        [sys.executable, "-m", "gates", *words],
        cwd=folder,
        env=environ,
        check=True,
        capture_output=True,
        timeout=120,
    )


def replay_settings(folder, project):
    """Return the settings of a replay of the project's own holdout."""
    shutil.copy(project.folder / "holdout.parquet", folder / "requests.parquet")
    return {
        "requests": "requests.parquet",
        "id": "id",
        "rows": 600,
        "features": list(FEATURES),
        "score": "score",
    }
