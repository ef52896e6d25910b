"""The quickstart workflow as a user would copy it, run for real by act: once green, once red.

And one job that hands hostile text to every input of the action. All three jobs run at once, and the
first installs all that is locked.
"""

import csv
import ipaddress
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import jsonschema
import pytest
import yaml

from tests.act import MARK, listening, run_act, started_by

ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parent / "stubs"
QUICKSTART = ROOT / "workflows-examples/quickstart.yml"

ROWS = 600
CONFIG = """
version: 1
models:
  churn:
    task: binary
    data: {evaluation: holdout.csv, id: id, label: label}
    candidate: {predictions: out/candidate.csv}
    baseline: {store: .model-gates/baselines, alias: champion}
    gates:
      performance: {metrics: {accuracy: {min: 0.8, max_drop: 0.02}}}
"""
PREDICT = """#!/usr/bin/env bash
mkdir -p out
exec cp prepared.csv out/candidate.csv
"""


def quickstart_steps():
    return yaml.safe_load(QUICKSTART.read_text("utf-8"))["jobs"]["gates"]["steps"]


def used(name):
    """Return how the quickstart names someone's action, pin included."""
    return next(s["uses"] for s in quickstart_steps() if s.get("uses", "").startswith(name))


CHECKOUT, SETUP_PYTHON = used("actions/checkout@"), used("actions/setup-python@")
SUITE, KEEP = used("model-gates/model-gates@"), used("actions/upload-artifact@")

# What each hostile input does: the step of the action that ends the job's step, and its exit code.
HOSTILE = {
    "config: a command": ({"config": "$(touch pwned)"}, "gates", 2),
    "config: quotes": ({"config": '"; touch pwned; "'}, "gates", 2),
    "config: a flag": ({"config": "--help"}, "gates", 2),
    "config: lines": ({"config": "a b\n::error::pwned\ntouch pwned"}, "gates", 2),
    "config: a line that is wrapped": ({"config": "x" * 60 + " ::error::pwned"}, "gates", 2),
    "config: empty": ({"config": ""}, "gates", 2),
    "models: a command": ({"models": "$(touch pwned)"}, "gates", 2),
    "models: quotes": ({"models": '"; touch pwned; "'}, "gates", 2),
    "models: flags": ({"models": "churn\n--help\n-rf"}, "gates", 2),
    "models: a message": ({"models": "churn x\n::error::pwned"}, "gates", 2),
    "gates: a command": ({"gates": "`touch pwned`"}, "gates", 2),
    "out: a command": ({"out": "$(touch pwned)", "config": "none.yml"}, "gates", 2),
    "out: a flag": ({"out": "--help", "config": "none.yml"}, "gates", 2),
    "out: lines": ({"out": "a b\n::error::pwned\nc", "config": "none.yml"}, "gates", 2),
    "requirements: a path": ({"requirements": "../../../holdout.csv"}, "install", 4),
    "requirements: lines": ({"requirements": "core\n::error::pwned 100%"}, "install", 4),
    "python: a command": ({"python": "$(touch pwned)"}, "install", 4),
}

# Repositories are made by several threads, and the first of them registers.
_ONE_AT_A_TIME = Lock()

# The commands of a step of ours that the runner obeys; it ignores what looks like one after them.
FENCED = {"stop-commands", "set-output", "summary"}


def write_predictions(path, wrong):
    """Write predictions of which the first `wrong` are; the label of row i is i % 2."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = ((i, (i + (i < wrong)) % 2) for i in range(ROWS))
        csv.writer(file).writerows([("id", "prediction"), *rows])


def make_repository(folder, workflow, wrong):
    """Make what a user would have: a configuration, a registered baseline, and the workflow."""
    with _ONE_AT_A_TIME:
        files = _registered()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/gates.yml").write_text(workflow, "utf-8")
    (folder / "predict.sh").write_text(PREDICT, "utf-8")
    (folder / "predict.sh").chmod(0o755)
    write_predictions(folder / "prepared.csv", wrong=wrong)
    for command in (
        ("git", "init", "--quiet"),
        ("git", "add", "--all"),
        ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"),
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@cache
def _registered():
    """Register the champion once, and return the files that every repository has, by path."""
    register = ("baseline", "register", "--predictions=champion.csv", "--alias=champion")
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model-gates.yml").write_text(CONFIG, "utf-8")
        labels = "".join(f"{i},{i % 2}\n" for i in range(ROWS))
        (folder / "holdout.csv").write_text("id,label\n" + labels, "utf-8")
        write_predictions(folder / "champion.csv", wrong=60)
        command = (sys.executable, "-m", "gates", *register)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def hostile_workflow():
    """Return a job with one step for each hostile input, and the workspace kept at its end."""
    attacks = [
        {
            "id": f"a{number}",
            "uses": SUITE,
            "continue-on-error": True,
            "with": {"requirements": "core"} | inputs,
        }
        for number, (inputs, _, _) in enumerate(HOSTILE.values())
    ]
    python = {"uses": SETUP_PYTHON, "with": {"python-version": "3.12"}}
    keep = {"uses": KEEP, "if": "always()", "with": {"name": "workspace", "path": "."}}
    job = {"runs-on": "ubuntu-latest", "steps": [{"uses": CHECKOUT}, python, *attacks, keep]}
    return yaml.safe_dump({"name": "Hostile", "on": "pull_request", "jobs": {"hostile": job}})


@pytest.fixture(scope="module")
def jobs(real, suite, prepared, tmp_path_factory):
    """Run the three jobs, and return them by name."""
    act, quickstart = real("act"), QUICKSTART.read_text("utf-8")
    actions = {
        SUITE: suite,
        SETUP_PYTHON: STUBS / "setup-python",
        KEEP: STUBS / "upload-artifact",
    }
    asked = {
        "passes": (quickstart, 40, None),
        "blocked": (quickstart, 240, prepared),
        "hostile": (hostile_workflow(), 40, prepared),
    }

    def run(name):
        workflow, wrong, python = asked[name]
        folder = tmp_path_factory.mktemp(name) / "repository"
        make_repository(folder, workflow, wrong)
        return run_act(act, folder, actions, python=python, watched=True)

    with ThreadPoolExecutor(len(asked)) as pool:
        return dict(zip(asked, pool.map(run, asked), strict=True))


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="runs jobs on this machine, and watches /proc"
    ),
]


@pytest.mark.parametrize(
    ("name", "returncode", "verdict", "result"),
    [("passes", 0, "success", "success"), ("blocked", 1, "failure", "failure")],
)
def test_the_colour_of_the_job_is_the_verdict(jobs, name, returncode, verdict, result):
    job = jobs[name]
    assert job.returncode == returncode
    assert job.results() == {"gates": verdict, "required": verdict}
    assert job.result("gates", "install") == "success"
    assert job.result("gates", "gates") == job.result("gates") == result


@pytest.mark.parametrize(
    ("name", "verdict", "blocked", "passed", "failed"),
    [("passes", "pass", "false", "2", "0"), ("blocked", "fail", "true", "0", "2")],
)
def test_the_action_hands_on_its_outputs(jobs, name, verdict, blocked, passed, failed):
    declared = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["outputs"]
    outputs = jobs[name].outputs("gates")
    assert {name: outputs[name] for name in declared} == {
        "verdict": verdict,
        "blocked": blocked,
        "report": "model-gates-report/report.json",
        "pass-count": passed,
        "fail-count": failed,
        "inconclusive-count": "0",
        "error-count": "0",
        "skipped-count": "0",
    }


@pytest.mark.parametrize(
    ("name", "headline", "row"),
    [
        (
            "passes",
            "## ✅ Model gate: `churn` passes all 2 checks",
            "| accuracy | 0.900 | 0.933 | +0.033 ",
        ),
        (
            "blocked",
            "## ❌ Model gate: `churn` is blocked: accuracy fell by 0.300 (limit 0.02), and 1 more",
            "| 0.900 | 0.600 | −0.300 ",
        ),
    ],
)
def test_the_job_summary_is_the_report(jobs, name, headline, row):
    summary = jobs[name].summary("gates", "gates")
    assert headline in summary.splitlines()
    assert row in summary
    assert headline in (jobs[name].kept / "model-gates-report/report.md").read_text("utf-8")


@pytest.mark.parametrize(("name", "verdict"), [("passes", "pass"), ("blocked", "fail")])
def test_the_report_is_kept_whatever_the_verdict(jobs, name, verdict):
    report = json.loads((jobs[name].kept / "model-gates-report/report.json").read_bytes())
    schema = json.loads((ROOT / "gates/schemas/report.schema.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["verdict"] == verdict
    assert report["blocked"] is (verdict == "fail")
    assert report["run"]["ci"]["provider"] == "github"


@pytest.mark.parametrize(
    "case", [case for case, (_, step, _) in HOSTILE.items() if step == "gates"]
)
def test_hostile_text_is_a_wrong_command_line(jobs, case):
    inputs, step, code = HOSTILE[case]
    job, attack = jobs["hostile"], f"a{list(HOSTILE).index(case)}"
    assert job.result(attack, step) == "failure"
    assert f"exit status {code}" in [line["msg"] for line in job.of(attack, step)]
    assert job.outputs(attack)["verdict"] == "error"
    assert job.outputs(attack)["blocked"] == "true"
    out = inputs.get("out", "model-gates-report")
    assert job.outputs(attack)["report"] == f"{out}/report.json"
    assert {command for command, _ in job.commands(attack, step)} <= {*FENCED, "ignored"}


@pytest.mark.parametrize(
    ("case", "printed"),
    [("config: a line that is wrapped", {"ignored"}), ("out: lines", set())],
)
def test_what_is_printed_is_no_command(jobs, case, printed):
    commands = jobs["hostile"].commands(f"a{list(HOSTILE).index(case)}", "gates")
    assert {command for command, _ in commands} == {*FENCED, *printed}


@pytest.mark.parametrize(
    "case", [case for case, (_, step, _) in HOSTILE.items() if step != "gates"]
)
def test_hostile_text_is_quoted_in_one_message(jobs, case):
    inputs, step, code = HOSTILE[case]
    job, attack = jobs["hostile"], f"a{list(HOSTILE).index(case)}"
    assert job.result(attack, step) == "failure"
    assert f"exit status {code}" in [line["msg"] for line in job.of(attack, step)]
    ((command, line),) = job.commands(attack, step)
    (text,) = inputs.values()
    assert command == "error"
    assert text.replace("%", "%25").replace("\n", "%0A") in line


def test_hostile_text_creates_nothing(jobs):
    workspace = jobs["hostile"].kept / "workspace"
    repository = jobs["hostile"].kept.parent / "repository"
    folders = {inputs.get("out", "model-gates-report") for inputs, _, _ in HOSTILE.values()}
    names = ("report.json", "report.md", "evidence.json")
    written = {Path(folder, name) for folder in folders for name in names}
    assert files_in(workspace) - files_in(repository) == written


def files_in(folder):
    found = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {path for path in found if path.parts[0] != ".git"}


@pytest.mark.parametrize("name", ["passes", "blocked", "hostile"])
def test_nothing_is_left_running_and_nothing_was_open(jobs, name):
    assert jobs[name].left == []
    assert [address for address in jobs[name].listened if not address.is_loopback] == []


def test_the_watch_sees_what_it_looks_for(tmp_path):
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"
    environment = os.environ | {MARK: str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        child.stdout.readline()
        assert started_by(tmp_path) == [Path("/proc", str(child.pid))]
        assert listening(started_by(tmp_path)) == {ipaddress.ip_address("127.0.0.1")}
        child.communicate(b"\n")
    assert started_by(tmp_path) == []
