"""The canary workflow, run for real by act, on a real engine behind a real HAProxy.

The run that judged is a real one, too. Stand-ins are GitHub (`tests/fake_github.py`), its command
line, what fetches and keeps artifacts, and the installation, which other tests are about.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from tests.act import run_act
from tests.actions.test_deploy_act import GH, INSTALL, PUSH, commit, write_program
from tests.actions.test_quickstart_act import CHECKOUT, ROOT, SETUP_PYTHON, STUBS, SUITE
from tests.canary import rollouts as of_canary
from tests.canary.conftest import (  # noqa: F401  (fixtures)
    docker_client,
    dockerd,
    make_bench,
    model_images,
)
from tests.fake_github import FakeGitHub

CANARY = ROOT / "workflows-examples/canary.yml"
TOKEN = "ghs_" + "not-a-real-one"
EVIL = '"; touch pwned; $(touch pwned) `touch pwned`'
# The commands of a step of ours that the runner obeys.
OBEYED = {"stop-commands", "set-output", "summary", "warning", "error"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.requires_real("act", "dockerd", "haproxy"),
    pytest.mark.skipif(sys.platform != "linux", reason="runs jobs on this machine"),
]


def used(name):
    """Return how the workflow names someone's action, pin included."""
    steps = yaml.safe_load(CANARY.read_text("utf-8"))["jobs"]["rollout"]["steps"]
    return next(step["uses"] for step in steps if step.get("uses", "").startswith(name))


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """Make a repository whose main was judged by a push; return its folder, and its commit."""
    place = tmp_path_factory.mktemp("pushed")
    folder = place / "repository"
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/canary.yml").write_bytes(CANARY.read_bytes())
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    of_canary.project(folder, models=("good-v2",))
    (folder / ".gitignore").write_text("out/\nreports/\n", "utf-8")
    sha = commit(folder)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GITHUB_SHA": sha} | PUSH
    command = (sys.executable, "-m", "gates", "run", f"--out={place / 'given/model-gates-report'}")
    subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=True)
    return place, sha


@pytest.fixture(scope="module")
def actions(tmp_path_factory):
    """Return the folders of what the workflow uses."""
    suite = tmp_path_factory.mktemp("suite")
    shutil.copytree(ROOT / "actions/canary-deploy", suite / "actions/canary-deploy")
    write_program(suite / "actions/install.sh", INSTALL)
    shutil.copy(ROOT / "actions/fence.sh", suite / "actions/fence.sh")
    return {
        SUITE: suite,
        SETUP_PYTHON: STUBS / "setup-python",
        used("actions/download-artifact@"): STUBS / "download-artifact",
        used("actions/upload-artifact@"): STUBS / "upload-artifact",
    }


@pytest.fixture
def github():
    with FakeGitHub().serve() as served:
        yield served


@pytest.fixture
def desk(real, pushed, actions, github, make_bench, tmp_path):  # noqa: F811
    """Return a release manager's desk: a deployment, and its workflow."""
    bench = make_bench()
    bench.serve("good")
    return Desk(real("act"), pushed, actions, github, bench, tmp_path)


class Desk:
    """Runs the workflow; each run has a place of its own, and the deployment is one."""

    def __init__(self, act, pushed, actions, github, bench, folder):
        self.act, self.actions, self.github, self.bench = act, actions, github, bench
        self.pushed, self.sha = pushed
        self.folder = folder
        write_program(folder / "programs/gh", GH)
        project = of_canary.Project(folder=self.pushed / "repository", evidence={})
        self.rollouts = of_canary.Rollouts(bench=bench, project=project, folder=folder / "file")

    def run(self, name, action, *, workflow=None, **inputs):
        """Run the workflow to its end, and return what act said."""
        place = self.folder / name
        shutil.copytree(self.pushed, place)
        repository = place / "repository"
        shutil.copy(self.rollouts.file, repository / "model-gates.canary.yml")
        if workflow is not None:
            (repository / ".github/workflows/canary.yml").write_text(workflow, "utf-8")
        commit(repository)
        environ = {
            "GITHUB_API_URL": self.github.url,
            "GITHUB_REPOSITORY": "acme/credit",
            "PATH": f"{self.folder / 'programs'}{os.pathsep}{os.environ['PATH']}",
            "STUB_COMMIT": self.sha,
            "STUB_GIVEN": place / "given",
            "STUB_RUN": 42,
        }
        given = [text for key, value in environ.items() for text in ("--env", f"{key}={value}")]
        given += ["--secret", f"GITHUB_TOKEN={TOKEN}"]
        asked = {"action": action, "deployment": self.bench.name, "dry-run": "false", **inputs}
        event = ("workflow_dispatch", {"inputs": asked})
        job = run_act(self.act, repository, self.actions, *given, event=event, watched=True)
        assert job.left == []
        assert [one for one in job.listened if not one.is_loopback] == []
        assert TOKEN not in str(job.lines)
        assert list(place.rglob("pwned")) == []
        return job

    def start(self, name, model="good-v2", **inputs):
        image = self.bench.images.get(model, model)
        return self.run(name, "start", image=image, commit=self.sha, **inputs)

    def serves(self, model):
        """Assert that a model serves, and nothing else."""
        sight = self.bench.site.look()
        assert sight.whole, sight
        assert sight.stable.digest == self.bench.pin(model).digest
        answers = self.bench.load(20)
        assert (answers.of("stable"), answers.bad) == (20, 0)

    @property
    def untouched(self):
        return not (self.bench.state / "journal.jsonl").exists()

    def shown(self):
        """Return the states of the one deployment that GitHub shows."""
        (one,) = self.github.deployments
        return [status["state"] for status in one["statuses"]]


def said(job, *step):
    return "\n".join(line["msg"] for line in job.of(*step))


def code(job, *step):
    """Return the exit code of a step."""
    (found,) = set(re.findall(r"exit status (\d+)", said(job, *step))) or {"0"}
    return int(found)


def obeyed(job, *step):
    """Return the commands that the runner obeyed, each with its line."""
    found = [one for one in job.commands(*step) if one[0] != "ignored"]
    # With the token that nobody can guess a step makes the runner listen, and then no longer.
    spoken = [one for one in found if not re.fullmatch("[0-9a-f]{32}", one[0])]
    assert {command for command, _ in spoken} <= OBEYED
    return spoken


def annotations(job):
    """Return what stands on the run's page."""
    found = obeyed(job, "canary", "canary")
    return [(command, line) for command, line in found if command in ("warning", "error")]


def test_what_was_judged_is_promoted(desk):
    desk.rollouts.write(steps=[25, 50])
    with desk.rollouts.users() as users:
        job = desk.start("promoted", steps="25", bake="1.5", reason="better debts")
    assert (job.returncode, job.verdict()) == (0, "success"), said(job, "canary", "canary")
    desk.serves("good-v2")
    assert users.bad == 0
    assert job.outputs("canary") == {"phase": "promoted", "share": "0"}
    summary = job.summary("canary", "canary")
    assert "promoted: the candidate serves" in summary.splitlines()[0]
    assert "better debts" in summary
    assert "0 → 25 → 100 → 0 %" in summary, "the shares that were asked for, not those of the file"
    assert annotations(job) == []
    record = json.loads((job.kept / "model-gates-canary/rollout.json").read_bytes())
    plan = record["predicate"]["modelGatesRollout"]["plan"]
    assert (plan["steps"], plan["bake"], record["predicate"]["result"]) == ([25], 1.5, "PASSED")
    assert plan["evidence"]["commit"] == desk.sha
    assert plan["asked"]["run"].startswith("acme/credit/")
    assert desk.shown()[0] == "in_progress"
    assert desk.shown()[-1] == "success"
    assert desk.github.deployments[0]["environment"] == "production"
    assert desk.github.deployments[0]["ref"] == desk.sha


def test_a_hold_is_red_and_another_run_goes_on(desk):
    desk.rollouts.write(max_bake=2.0, steps=[25, 50])
    job = desk.start("held")
    assert (job.returncode, code(job, "canary", "canary")) == (1, 10)
    assert job.outputs("canary") == {"phase": "held", "share": "25"}
    assert f"model-gates canary advance {desk.bench.name}" in job.summary("canary", "canary")
    ((command, line),) = annotations(job)
    assert command == "warning"
    assert f"{desk.bench.name} is held at 25 %" in line
    assert desk.shown()[-1] == "pending"
    assert desk.bench.site.look().canary.share == 0.25
    assert (job.kept / "model-gates-canary/rollout.json").exists()

    looked = desk.run("looked", "status")
    assert looked.returncode == 0
    assert "held" in said(looked, "canary", "canary")

    with desk.rollouts.users():
        job = desk.run("advanced", "advance", reason="seen by ann")
    assert (job.returncode, job.verdict()) == (0, "success"), said(job, "canary", "canary")
    assert job.outputs("canary")["phase"] == "promoted"
    assert "seen by ann" in desk.bench.state.joinpath("journal.jsonl").read_text()
    desk.serves("good-v2")
    assert desk.shown()[-1] == "success"


def test_an_abort_reaches_a_rollout_that_runs(desk):
    desk.rollouts.write(bake=120.0, max_bake=240.0)
    with ThreadPoolExecutor(1) as pool, desk.rollouts.users(pause=0.02) as users:
        running = pool.submit(desk.start, "running")
        desk.bench.wait(lambda sight: sight.canary.share == 0.25, "users meet it", 240)
        aborted = desk.run("aborted", "abort", reason="the phone rings")
        job = running.result(120)
    assert users.bad == 0
    desk.serves("good")
    for one in (aborted, job):
        assert (one.returncode, code(one, "canary", "canary")) == (1, 20)
        assert one.outputs("canary") == {"phase": "rolled-back", "share": "0"}
        assert "the phone rings" in one.summary("canary", "canary")
    ((command, line),) = annotations(job)
    assert command == "error"
    assert f"::{desk.bench.name} was rolled back: the phone rings" in line
    assert desk.shown()[-1] == "failure"


def test_without_evidence_nothing_is_touched(desk):
    before = desk.bench.containers()
    job = desk.start("other-bytes", "errors")
    assert (job.returncode, code(job, "canary", "canary")) == (1, 5)
    assert "what was judged is" in said(job, "canary", "canary")
    assert job.outputs("canary") == {"phase": "", "share": ""}
    dry = desk.start("dry", **{"dry-run": "true"})
    assert dry.returncode == 0
    assert "everything is in place" in said(dry, "canary", "canary")
    never = desk.run("never", "start", image=desk.bench.images["good-v2"], commit="0" * 40)
    assert (never.returncode, code(never, "judged")) == (1, 5)
    assert desk.untouched
    assert desk.bench.containers() == before
    assert desk.github.deployments == []


# What each hostile input of the action does: the exit code of its step.
HOSTILE = {
    "action": ({"action": EVIL}, 2),
    "deployment": ({"action": "abort", "deployment": EVIL}, 2),
    "deployment that is a flag": ({"action": "abort", "deployment": "--help"}, 2),
    "deployment of lines": ({"action": "status", "deployment": "a\n::error::pwned\nb"}, 2),
    # The engine's own word for what is no name of an image at all.
    "image": ({"image": EVIL}, 4),
    "image that is a flag": ({"image": "--privileged"}, 4),
    "record": ({"record": EVIL}, 3),
    "steps": ({"steps": EVIL}, 2),
    "bake": ({"bake": EVIL}, 2),
    "on-inconclusive": ({"on-inconclusive": EVIL}, 2),
    "reason": ({"reason": EVIL + "\n::error::pwned", "record": "none.json"}, 3),
    "budget": ({"budget": EVIL}, 2),
    "config": ({"config": EVIL}, 2),
    "policy": ({"policy": EVIL, "record": "${{ runner.temp }}/none"}, 3),
    "out": ({"out": EVIL, "record": "none.json"}, 3),
    "environment": ({"environment": EVIL, "record": "none.json"}, 3),
}


def hostile_workflow(bench):
    """Return a job with one step for each hostile input, and the workspace kept at its end."""
    (uses,) = {used("model-gates/model-gates/actions/canary-deploy@")}
    least = {
        "action": "start",
        "deployment": bench.name,
        "image": bench.images["good-v2"],
        "record": "none.json",
    }
    steps = [
        {
            "id": f"a{number}",
            "uses": uses,
            "continue-on-error": True,
            "with": least | inputs,
        }
        for number, (inputs, _) in enumerate(HOSTILE.values())
    ]
    python = {"uses": SETUP_PYTHON, "with": {"python-version": "3.12"}}
    job = {"runs-on": "ubuntu-latest", "steps": [{"uses": CHECKOUT}, python, *steps]}
    return yaml.safe_dump({"name": "Hostile", "on": "workflow_dispatch", "jobs": {"hostile": job}})


def test_hostile_inputs_are_a_wrong_command_line_and_nothing_else(desk):
    before = desk.bench.containers()
    job = desk.run("hostile", "start", workflow=hostile_workflow(desk.bench))
    found = {name: code(job, f"a{n}", "canary") for n, name in enumerate(HOSTILE)}
    assert found == {name: expected for name, (_, expected) in HOSTILE.items()}
    for number, _ in enumerate(HOSTILE):
        # What is wrong with an action is told by the step itself, in words of its own.
        told = {line for command, line in obeyed(job, f"a{number}", "canary") if command == "error"}
        assert not any("pwned" in line for line in told)
    assert desk.untouched
    assert desk.bench.containers() == before
