"""The deploy workflow, run for real by act: what it lets through, and what it stops before.

The run that judged is a real one, too; GitHub's command line and the fetching of what that run kept
are stand-ins, as is the installation, which `test_install.py` and `test_quickstart_act.py` are about.
"""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from gates.attestation import read
from tests.act import run_act
from tests.actions.test_quickstart_act import ROOT, SETUP_PYTHON, STUBS, SUITE, make_repository

DEPLOY = ROOT / "workflows-examples/deploy.yml"
MODEL = b"the bytes that serve"
DOWNLOAD = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"
PUSH = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "acme/credit",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_WORKFLOW_REF": "acme/credit/.github/workflows/push-main.yml@refs/heads/main",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_RUN_ID": "42",
}
# It knows of one run, and only if it is asked for one that no pull request can be.
GH = """#!/usr/bin/env bash
asked="run list --repo=acme/credit --workflow=push-main.yml --branch=main --event=push --status=success"
[[ "$* " == "$asked --commit="* && -n "$GH_TOKEN" ]] || exit 9
[[ "$*" != *" --commit=$STUB_COMMIT "* ]] || echo 42
"""
SCRIPT = """#!/usr/bin/env bash
exec cp -- "$1" "$STUB_KEPT/deployed"
"""
INSTALL = """#!/usr/bin/env bash
printf '%s/python\\n' "$STUB_PYTHON"
"""


def replaced(folder, given):
    (given / "model/model.onnx").write_bytes(MODEL + b"!")


def edited(folder, given):
    path = given / "model-gates-report/evidence.json"
    path.write_bytes(path.read_bytes().replace(b'"run":42', b'"run":43'))


def stricter(folder, given):
    path = folder / "model-gates.yml"
    path.write_text(path.read_text("utf-8").replace("min: 0.8", "min: 0.9"), "utf-8")
    commit(folder)


# What became of the judged model before it is to be deployed, and how many predictions were wrong.
JOBS = {
    "holds": (lambda *_: None, 40),
    "blocked": (lambda *_: None, 240),
    "replaced": (replaced, 40),
    "edited": (edited, 40),
    "older policy": (stricter, 40),
    "never judged": (lambda *_: None, 40),
    "hostile": (lambda *_: None, 40),
    "empty": (lambda *_: None, 40),
}
# What was asked for in place of a judged commit, what is said, and the exit code.
NEVER, NONE = "No run of push-main.yml on main has let this commit through.", "not all 40 digits"
COMMITS = {
    "never judged": ("0" * 40, NEVER, 5),
    "hostile": ('"; touch pwned; $(touch pwned)', NONE, 2),
    "empty": ("", NONE, 2),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="runs jobs on this machine"),
]


def commit(folder):
    for command in (
        ("git", "add", "--all"),
        ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"),
        ("git", "branch", "-M", "main"),
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def judged(folder, wrong):
    """Make a repository whose main was judged, and what that run kept; return its commit."""
    make_repository(folder, DEPLOY.read_text("utf-8"), wrong)
    path, given = folder / "model-gates.yml", folder.parent / "given"
    named = "{predictions: prepared.csv, artifact: out/model.onnx}"
    path.write_text(
        path.read_text("utf-8").replace("{predictions: out/candidate.csv}", named), "utf-8"
    )
    write_program(folder / "deploy.sh", SCRIPT)
    (folder / ".gitignore").write_text("out/\n", "utf-8")
    sha = commit(folder)
    for place in (folder / "out", given / "model"):
        place.mkdir(parents=True)
        (place / "model.onnx").write_bytes(MODEL)
    command = (sys.executable, "-m", "gates", "run", "--out", str(given / "model-gates-report"))
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GITHUB_SHA": sha} | PUSH
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False)
    assert done.returncode == (1 if wrong > 60 else 0), done.stderr
    return sha


@pytest.fixture(scope="module")
def ran(real, tmp_path_factory):
    """Run the jobs; return by name what act said of each."""
    act, suite = real("act"), tmp_path_factory.mktemp("suite")
    shutil.copytree(ROOT / "actions/verify-evidence", suite / "actions/verify-evidence")
    write_program(suite / "actions/install.sh", INSTALL)
    shutil.copy(ROOT / "actions/fence.sh", suite / "actions/fence.sh")
    programs = tmp_path_factory.mktemp("programs")
    write_program(programs / "gh", GH)
    actions = {
        SUITE: suite,
        SETUP_PYTHON: STUBS / "setup-python",
        DOWNLOAD: STUBS / "download-artifact",
    }

    places = {wrong: tmp_path_factory.mktemp("judged") for wrong in (40, 240)}
    commits = {wrong: judged(place / "repository", wrong) for wrong, place in places.items()}

    def run(name):
        change, wrong = JOBS[name]
        place, sha = tmp_path_factory.mktemp(name.replace(" ", "-")), commits[wrong]
        shutil.copytree(places[wrong], place, dirs_exist_ok=True)
        folder, given = place / "repository", place / "given"
        change(folder, given)
        environ = {
            "GITHUB_REPOSITORY": "acme/credit",
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "STUB_COMMIT": sha,
            "STUB_GIVEN": given,
            "STUB_RUN": 42,
        }
        given_env = [text for key, value in environ.items() for text in ("--env", f"{key}={value}")]
        inputs = {"commit": COMMITS.get(name, (sha,))[0], "rollback": "false"}
        secret = ("--secret", "GITHUB_TOKEN=ghs_not-a-real-one")
        return run_act(
            act,
            folder,
            actions,
            *given_env,
            *secret,
            event=("workflow_dispatch", {"inputs": inputs}),
        )

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(JOBS, pool.map(run, JOBS), strict=True))


def said(job, *step):
    return "\n".join(line["msg"] for line in job.of(*step))


def test_what_was_judged_and_passed_is_deployed(ran):
    job = ran["holds"]
    assert (job.returncode, job.verdict()) == (0, "success"), said(job, "evidence", "verify")
    assert (job.kept / "deployed").read_bytes() == MODEL
    assert "evidence holds for churn sha256:" in said(job, "evidence", "verify")
    assert "not asked for" not in said(job, "evidence", "verify")


REFUSED = {
    "blocked": "- the candidate was blocked: 2 failed, `churn/performance/accuracy:min` first",
    "replaced": "- the artifact is sha256:",
    "edited": "the record was edited after it was written",
    "older policy": "- it was held to another policy: sha256:",
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_without_evidence_nothing_is_deployed(ran, name, reason):
    job = ran[name]
    assert (job.returncode, job.verdict()) == (1, "failure")
    assert job.result("evidence", "verify") == job.result("evidence") == "failure"
    assert reason in said(job, "evidence", "verify")
    assert "exit status 5" in said(job, "evidence", "verify")
    assert not (job.kept / "deployed").exists()


@pytest.mark.parametrize("name", COMMITS)
def test_a_commit_that_no_run_let_through_is_refused(ran, name):
    job, (_, text, code) = ran[name], COMMITS[name]
    assert (job.returncode, job.result("judged")) == (1, "failure")
    assert f"exit status {code}" in said(job, "judged")
    # Of a step that ends at once act now and then loses what it printed, and never its end; what
    # it prints is held by the next test, of the same script.
    told = job.commands("judged")
    assert {command for command, _ in told} <= {"error"}
    assert all(text in line for _, line in told)
    assert not (job.kept / "deployed").exists()
    assert list(job.kept.parent.rglob("pwned")) == []


@pytest.mark.parametrize("name", COMMITS)
def test_why_a_commit_is_refused_is_one_command_that_nothing_breaks_out_of(tmp_path, name):
    commit, text, code = COMMITS[name]
    steps = yaml.safe_load(DEPLOY.read_text("utf-8"))["jobs"]["deploy"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("id") == "judged")
    write_program(tmp_path / "bin/gh", GH)
    output = tmp_path / "output"
    given = {"COMMIT": commit, "GH_TOKEN": "x", "GITHUB_REPOSITORY": "acme/credit"}
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=given | {"GITHUB_OUTPUT": str(output), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    (line,) = done.stdout.splitlines()
    assert line.startswith("::error::")
    assert text in line
    assert not output.exists()
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", JOBS)
def test_what_is_said_is_no_command_and_nothing_is_left_running(ran, name):
    job = ran[name]
    assert {command for command, _ in job.commands("evidence", "verify")} <= {"stop-commands"}
    assert job.left == []


def test_the_record_is_one_that_a_push_wrote(ran):
    """The jobs above would be refused for less, were it not."""
    raw = (ran["holds"].kept.parent / "given/model-gates-report/evidence.json").read_bytes()
    origin = read(raw).predicate.facts.origin
    assert (origin.event, origin.fork, json.loads(raw)["predicate"]["result"]) == (
        "push",
        False,
        "PASSED",
    )
