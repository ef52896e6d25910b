"""The quickstart with the comment, run for real by act, against a GitHub on loopback.

Four jobs at once: one passes, one is blocked, one has the read-only token of a fork, and one wants
no comment.
"""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.act import run_act
from tests.actions.test_quickstart_act import (
    KEEP,
    QUICKSTART,
    SETUP_PYTHON,
    STUBS,
    SUITE,
    make_repository,
)
from tests.fake_github import FakeGitHub

TOKEN = "ghs_not-a-real-one"  # noqa: S105
# What is asked of the action, how many predictions are wrong, and what the token may.
JOBS = {
    "passes": ({}, 40),
    "blocked": ({"check": "true"}, 240),
    "fork": ({}, 240),
    "off": ({"comment": "off"}, 240),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="runs jobs on this machine"),
]


def workflow(chosen):
    """Return the quickstart; with inputs of the action, where some are chosen."""
    text = QUICKSTART.read_text("utf-8")
    if not chosen:
        return text
    uses = next(line for line in text.splitlines() if SUITE in line)
    given = "".join(f"\n          {name}: {value!r}" for name, value in chosen.items())
    return text.replace(uses, f"{uses}\n        with:{given}")


@pytest.fixture(scope="module")
def ran(real, suite, prepared, tmp_path_factory):
    """Run the jobs; return by name what act said of each, and its GitHub."""
    act = real("act")
    actions = {SUITE: suite, SETUP_PYTHON: STUBS / "setup-python", KEEP: STUBS / "upload-artifact"}

    def run(name):
        chosen, wrong = JOBS[name]
        folder = tmp_path_factory.mktemp(name) / "repository"
        make_repository(folder, workflow(chosen), wrong)
        with FakeGitHub(pulls={17: head_of(folder)}).serve() as github:
            if name == "fork":
                said = {"message": "Resource not accessible by integration"}
                github.fail("POST", "/comments", 403, said, times=9)
            environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "acme/credit"}
            given = [text for pair in environ.items() for text in ("--env", "=".join(pair))]
            given += ["--secret", f"GITHUB_TOKEN={TOKEN}"]
            return run_act(act, folder, actions, *given, python=prepared), github

    with ThreadPoolExecutor(len(JOBS)) as pool:
        return dict(zip(JOBS, pool.map(run, JOBS), strict=True))


def head_of(folder):
    """Return the pull request that a repository's newest commit is the head of."""
    sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=folder, text=True).strip()
    return {"head": sha, "state": "open"}


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("passes", "## ✅ Model gate: `churn` passes all 2 checks"),
        ("blocked", "## ❌ Model gate: `churn` is blocked: accuracy fell by 0.300"),
    ],
)
def test_the_pull_request_gets_one_comment(ran, name, headline):
    job, github = ran[name]
    assert job.result("gates", "comment") == "success"
    (body,) = github.bodies(17)
    lines = body.splitlines()
    assert lines[0] == "<!-- model-gates:v1 id=default -->"
    assert re.match(r"<!-- model-gates:run id=\d+ attempt=\d+ ", lines[1])
    assert any(line.startswith(headline) for line in lines)
    assert {call.headers["Authorization"] for call in github.calls} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("name", "returncode"), [("passes", 0), ("blocked", 1), ("fork", 1), ("off", 1)]
)
def test_the_colour_of_the_job_is_still_the_verdict(ran, name, returncode):
    job, _ = ran[name]
    result = "failure" if returncode else "success"
    assert (job.returncode, job.verdict()) == (returncode, result)
    assert job.result("gates", "gates") == job.result("gates") == result


def test_a_read_only_token_is_a_warning(ran):
    job, github = ran["fork"]
    assert github.bodies(17) == []
    assert job.result("gates", "comment") == "success"
    (warning,) = [
        line for command, line in job.commands("gates", "comment") if command == "warning"
    ]
    assert "Resource not accessible by integration" in warning
    assert "changes no verdict" in warning


def test_off_asks_nothing_of_github(ran):
    assert ran["off"][1].calls == []


@pytest.mark.parametrize("name", JOBS)
def test_the_token_is_nowhere(ran, name):
    job, github = ran[name]
    assert TOKEN not in str(job.lines)
    assert TOKEN not in "".join(github.bodies(17))
    kept = (path for path in Path(job.kept).rglob("*") if path.is_file())
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("name", JOBS)
def test_nothing_is_left_running(ran, name):
    assert ran[name][0].left == []


def test_a_check_run_is_begun_before_the_gates_and_concluded_after_them(ran):
    _, github = ran["blocked"]
    (check,) = github.checks
    assert check["history"] == [("in_progress", None), ("completed", "failure")]
    assert "accuracy fell by 0.300" in check["output"]["title"]
    assert {one["path"] for one in check["output"]["annotations"]} == {"model-gates.yml"}
    assert not ran["passes"][1].checks, "nobody asked for one"
