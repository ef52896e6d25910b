"""`init --github` and `doctor --github`, against a GitHub that holds them to its own contract."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gates.github.client import Client
from gates.github.service import GITHUB
from gates.protection.workflows import FILES
from tests.fake_github import FakeGitHub

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_not-a-real-one"  # noqa: S105
CONFIG = """\
version: 1
models:
  credit:
    task: binary
    data: {id: id, label: label}
    candidate: {predictions: p.csv}
    gates: {performance: {metrics: {recall: {min: 0.5}}}}
"""
ADMIN = {
    "workflow_token": {
        "default_workflow_permissions": "read",
        "can_approve_pull_request_reviews": False,
    },
    "fork_approval": {"approval_policy": "all_external_contributors"},
}


def gates(folder, *words, **environ):
    return subprocess.run(
        [sys.executable, "-m", "gates", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def doctor(folder, github, *words, **environ):
    said = {"GITHUB_API_URL": github.url, "GITHUB_TOKEN": TOKEN, **environ}
    done = gates(folder, "doctor", "--github", "--repository=acme/credit", *words, **said)
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.fixture
def written(tmp_path):
    """A repository's folder in which `init --github` was called, and what that printed."""
    (tmp_path / "model-gates.yml").write_text(CONFIG)
    done = gates(tmp_path, "init", "--github")
    assert (done.returncode, done.stderr) == (0, "")
    return tmp_path, done.stdout


def ruleset_in(printed):
    return json.loads(printed[printed.index("\n{\n") : printed.rindex("\n}\n") + 3])


def owners_in(printed):
    return "".join(f"{line}\n" for line in printed.splitlines() if line.startswith("/"))


def test_the_workflows_are_the_examples(written):
    folder, _ = written
    for name, path in FILES.items():
        text = (folder / path).read_text("utf-8")
        example = (ROOT / "workflows-examples" / name).read_text("utf-8")
        assert yaml.safe_load(text) == yaml.safe_load(example)
        assert not [other for other in FILES if f"`{other}`" in text]


def test_what_is_there_is_not_overwritten_unless_asked(written):
    folder, _ = written
    path = folder / ".github/workflows/model-gates-comment.yml"
    path.write_text("mine\n")
    (folder / ".github/workflows/model-gates.yml").unlink()
    done = gates(folder, "init", "--github")
    assert done.returncode == 2
    assert "model-gates-comment.yml: the file is there already" in done.stderr
    assert [one.name for one in path.parent.iterdir()] == [path.name], "both or none"
    assert path.read_text() == "mine\n"
    assert gates(folder, "init", "--github", "--force").returncode == 0
    assert path.read_text() != "mine\n"


def test_what_init_prints_protects_a_repository(written):
    """The ruleset is taken by the API, and then nothing is open."""
    folder, printed = written
    with FakeGitHub(settings=ADMIN).serve() as github:
        client = Client(api=github.url, token=TOKEN, service=GITHUB)
        client.post("/repos/acme/credit/rulesets", ruleset_in(printed))
        github.files = {("main", "model-gates.yml"): CONFIG.encode()}
        for path in FILES.values():
            github.files["main", str(path)] = (folder / path).read_bytes()
        github.files["main", ".github/CODEOWNERS"] = owners_in(printed).encode()
        done = doctor(folder, github)
    assert done.stdout.splitlines()[-1] == "main: all closed"
    assert {line[0] for line in done.stdout.splitlines()[:-1]} == {"✔"}
    assert done.returncode == 0


PERSON = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}


def protected(folder, printed, **settings):
    """Return a GitHub with all that `init` prints, but for the ruleset."""
    github = FakeGitHub(settings={**ADMIN, **settings})
    github.files = {("main", "model-gates.yml"): CONFIG.encode()}
    for path in FILES.values():
        github.files["main", str(path)] = (folder / path).read_bytes()
    github.files["main", ".github/CODEOWNERS"] = owners_in(printed).encode()
    return github


def test_who_may_bypass_a_ruleset_is_told(written):
    folder, printed = written
    github = protected(folder, printed)
    github.rulesets.append({**ruleset_in(printed), "bypass_actors": [PERSON]})
    with github.serve():
        done = doctor(folder, github)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line[0] != "✔" and "bypass" in line)
    assert line.endswith("Now these may: RepositoryRole 5 (pull_request).")
    assert done.stdout.splitlines()[-1] == "main: 1 open"


@pytest.mark.parametrize(("admins", "last"), [(True, "all closed"), (False, "1 open")])
def test_classic_protection_is_read(written, admins, last):
    """A branch whose name has a slash is one piece of an address."""
    folder, printed = written
    classic = {
        "required_status_checks": {
            "contexts": ["model-gates-required"],
            "checks": [{"context": "model-gates-required", "app_id": 15368}],
        },
        "required_pull_request_reviews": {
            "require_code_owner_reviews": True,
            "dismiss_stale_reviews": True,
        },
        "enforce_admins": {"url": "https://example.org/x", "enabled": admins},
        "allow_force_pushes": {"enabled": False},
    }
    github = protected(folder, printed, protection={"release/1": classic})
    github.files = {("release/1", path): raw for (_, path), raw in github.files.items()}
    with github.serve():
        done = doctor(folder, github, "--branch=release/1")
    assert done.stdout.splitlines()[-1] == f"release/1: {last}", done.stdout + done.stderr


def test_of_a_repository_without_anything_everything_is_open(tmp_path):
    with FakeGitHub(settings=ADMIN).serve() as github:
        done = doctor(tmp_path, github, "--branch=release/1")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "release/1: 10 open"
    assert (
        "✘ the check `model-gates-required` is required: Require it for release/1." in done.stdout
    )


def test_what_the_token_may_not_see_is_not_closed(written):
    folder, printed = written
    with FakeGitHub().serve() as github:
        github.rulesets.append(ruleset_in(printed))
        github.files = {
            ("main", str(path)): (folder / path).read_bytes() for path in FILES.values()
        }
        github.files["main", "CODEOWNERS"] = owners_in(printed).encode()
        said = {"message": "Resource not accessible by integration"}
        github.fail("GET", "/actions/permissions/", 403, said, times=2)
        done = doctor(folder, github)
    assert done.returncode == 1
    unseen = [line for line in done.stdout.splitlines() if line.startswith("?")]
    assert len(unseen) == 4
    assert "? nobody may bypass the check or the review" in done.stdout
    assert done.stdout.splitlines()[-1] == "main: 3 open"


def test_an_api_that_fails_is_no_verdict(tmp_path):
    with FakeGitHub().serve() as github:
        github.fail("GET", "/repos/acme/credit$", 401, {"message": "Bad credentials"})
        done = doctor(tmp_path, github)
    assert (done.returncode, done.stdout) == (4, "")
    assert "Bad credentials" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["doctor"], 2, "Add `--github`."),
        (["doctor", "--github"], 4, "GITHUB_REPOSITORY"),
        (["doctor", "--github", "--repository=acme/credit"], 4, "there is no token"),
        (["doctor", "--github", "--repository=../x"], 4, "GITHUB_REPOSITORY"),
        (["init"], 2, "Missing option '--predictions'"),
    ],
)
def test_what_is_missing_is_said(tmp_path, words, code, said):
    done = gates(tmp_path, *words)
    assert done.returncode == code
    assert said in done.stderr
