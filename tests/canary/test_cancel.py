"""A job that is cancelled, exactly as a runner does it, on a real engine behind a real HAProxy.

The runner signals the entry process of the step and nobody else: SIGINT, after 7.5 s SIGTERM, after
2.5 s more SIGKILL (actions/runner, `ProcessInvoker.cs`). The step is the action's own, by its own
script, so that what is tested is also that every shell in between has made way.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.act import MARK, started_by
from tests.canary.bench import wait_until
from tests.canary.rollouts import replay_settings

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "actions/canary-deploy"
SEQUENCE = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 5.0))
# Long enough that nothing is decided before it is cancelled.
LONG = {"bake": 60.0, "max_bake": 120.0, "looks": 2, "lease": 60.0}

pytestmark = [pytest.mark.requires_real("dockerd", "haproxy"), pytest.mark.slow]


@dataclass
class Step:
    """The action's step as a runner starts it; `folder` has what it leaves."""

    process: subprocess.Popen
    folder: Path
    mark: str

    @property
    def said(self):
        return (self.folder / "log").read_text("utf-8", "replace")

    def cancel(self, *before):
        """Cancel it as a runner does, after some signals more; return how many seconds it took."""
        began = time.monotonic()
        for number in before:
            self.process.send_signal(number)
            time.sleep(0.2)
        for number, seconds in SEQUENCE:
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            return time.monotonic() - began
        raise AssertionError(f"it outlived its job:\n{self.said}")


def begin(rollouts, *, action="start", model="good-v2", to=None, **inputs):
    """Begin the action's step on a deployment, with its inputs as a workflow gives them."""
    (step,) = (
        one
        for one in yaml.safe_load((ACTION / "action.yml").read_text("utf-8"))["runs"]["steps"]
        if one["id"] == "canary"
    )
    folder = rollouts.folder / f"{action}-{time.monotonic_ns()}"
    folder.mkdir()
    script = folder / "step.sh"
    script.write_text(step["run"], "utf-8")
    given = {
        "GATES_PYTHON": sys.executable,
        "ACTION": action,
        "DEPLOYMENT": rollouts.bench.name,
        "IMAGE": rollouts.bench.images[model],
        "RECORD": str(rollouts.project.evidence[model]),
        "CONFIG": str(rollouts.file),
        "POLICY": str(rollouts.project.policy),
        "OUT": str(folder / "out"),
        **inputs,
    }
    mark = str(folder)
    environ = {
        **{name: given.get(name, "") for name in step["env"]},
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "USER": "ann",
        "GITHUB_ACTION_PATH": str(ACTION),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        MARK: mark,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-e", str(script)],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=to or log,
            stderr=subprocess.STDOUT if to is None else to,
        )
    return Step(process, folder, mark)


def until(rollouts, step, kind, act=""):
    """Wait for a line of the journal."""
    path = rollouts.bench.state / "journal.jsonl"

    def there():
        assert step.process.poll() is None, step.said
        lines = path.read_bytes().splitlines() if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith(b"}")]
        return any((one["kind"], one["act"]) == (kind, act) for one in found)

    wait_until(there, f"{kind} {act}", 120, lambda: step.said)


def whole(rollouts, step, model="good"):
    """Assert that everything is on the stable side, at once, and that nothing was left behind."""
    sight = rollouts.bench.site.look()
    assert sight.whole, (sight, step.said)
    assert sight.stable.digest == rollouts.bench.pin(model).digest
    answers = rollouts.bench.load(40)
    assert (answers.of("stable"), answers.bad) == (40, 0)
    assert started_by(step.mark) == []
    assert rollouts.journal()[-1]["kind"] == "ended"
    assert (
        not (rollouts.bench.state / "lease.json").exists() or not rollouts.bench.site.store.lease()
    )


def tidy(rollouts):
    """Assert that what a hurry left behind is taken away by `abort`, the guard included."""
    assert rollouts.run("abort", f"--out={rollouts.folder / 'abort'}").code == 20
    left = {name for name, state in rollouts.bench.containers().items() if state == "running"}
    assert len(left) == 1, left


@pytest.mark.parametrize(
    "before",
    [(), (signal.SIGINT,), (signal.SIGHUP,), (signal.SIGTERM, signal.SIGINT)],
    ids=["once", "twice", "hang-up first", "three in a row"],
)
def test_while_it_bakes_everything_goes_back_in_time(deploy, before):
    rollouts = deploy(**LONG)
    with rollouts.users(pause=0.02) as users:
        step = begin(rollouts)
        until(rollouts, step, "done", "shift:25")
        took = step.cancel(*before)
    assert step.process.returncode == 20, step.said
    assert took < 7.5, "before it had to be told again"
    whole(rollouts, step)
    assert users.bad == 0
    assert "the run was cancelled" in (step.folder / "summary.md").read_text()
    assert "rolled-back" in (step.folder / "output").read_text()
    record = json.loads((step.folder / "out/rollout.json").read_text())
    assert record["predicate"]["result"] == "FAILED"
    tidy(rollouts)


def test_a_hang_up_alone_is_enough(deploy):
    rollouts = deploy(**LONG)
    step = begin(rollouts)
    until(rollouts, step, "done", "shift:25")
    step.process.send_signal(signal.SIGHUP)
    # How long it may take is asked elsewhere, of a runner's own sequence.
    assert step.process.wait(60) == 20, step.said
    whole(rollouts, step)


def test_while_the_canary_starts_it_meets_no_user(deploy):
    rollouts = deploy(**LONG)
    with rollouts.users(pause=0.02) as users:
        step = begin(rollouts)
        until(rollouts, step, "intent", "start")
        step.cancel()
    assert step.process.returncode == 20, step.said
    whole(rollouts, step)
    assert users.bad == 0
    assert not any(line["act"].startswith("shift") for line in rollouts.journal())
    tidy(rollouts)


def test_while_it_is_replayed_it_meets_no_user(deploy, judged):
    rollouts = deploy(**LONG)
    rollouts.write(replay=replay_settings(rollouts.folder, judged))
    step = begin(rollouts)
    until(rollouts, step, "done", "start")
    step.cancel()
    assert step.process.returncode == 20, step.said
    whole(rollouts, step)
    assert not any(line["kind"] == "judged" for line in rollouts.journal()), "it was under way"
    tidy(rollouts)


def test_while_the_stable_side_is_replaced_what_served_before_comes_back(deploy):
    rollouts = deploy(steps=[50], bake=0.5, max_bake=60.0, looks=1, min_requests=5, lease=60.0)
    with rollouts.users(pause=0.02) as users:
        step = begin(rollouts)
        until(rollouts, step, "intent", "replace")
        step.cancel()
        assert step.process.returncode == 20, step.said
    whole(rollouts, step)
    assert users.bad <= users.asked / 200
    tidy(rollouts)


def test_on_the_way_back_of_a_failure_it_stays_a_failure(deploy):
    rollouts = deploy(min_requests=50)
    with rollouts.users(pause=0.001):
        step = begin(rollouts, model="errors")
        until(rollouts, step, "aborting")
        step.cancel()
    assert step.process.returncode == 1, step.said
    whole(rollouts, step)


def test_nobody_reads_any_more_and_it_goes_back_all_the_same(deploy):
    """A terminal that was closed, a runner that crashed: whatever is said, it fails to be said."""
    rollouts = deploy(**LONG)
    reader, writer = os.pipe()
    step = begin(rollouts, to=writer)
    os.close(writer)
    until(rollouts, step, "done", "shift:25")
    os.close(reader)
    step.process.send_signal(signal.SIGHUP)
    assert step.process.wait(60) == 20
    whole(rollouts, step)
    assert (step.folder / "out/rollout.json").exists()
    assert "rolled-back" in (step.folder / "output").read_text()


def test_killed_at_once_the_guard_on_the_target_brings_everything_back(deploy):
    rollouts = deploy(**LONG | {"lease": 5.0})
    step = begin(rollouts)
    until(rollouts, step, "done", "shift:25")
    step.process.kill()
    step.process.wait()
    rollouts.bench.wait(lambda sight: sight.whole, "the guard has sent everything back", 30)
    wait_until(lambda: rollouts.journal()[-1]["kind"] == "guard", "it says so")
    assert rollouts.status()["phase"] == "rolled-back"
    assert started_by(step.mark) == []
