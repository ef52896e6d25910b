"""`baseline register --github`: what the action on the default branch does, and does nowhere else."""

import json

import pytest

MAIN = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push"}


@pytest.fixture
def register(project, tmp_path):
    """Return a function that registers the candidate in a job; the outputs are in `outputs`."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"repository": {"default_branch": "main"}}))
    job = {"GITHUB_OUTPUT": str(tmp_path / "outputs"), "GITHUB_EVENT_PATH": str(event)}

    def call(**environ):
        named = ("--predictions", str(project.path("candidate.parquet")), "--alias", "champion")
        config = ("--config", str(project.path("model-gates.yml")))
        words = ("baseline", "register", *named, *config, "--github")
        return project.save().call(*words, environ={**job, **environ})

    return call


def versions(project):
    listed = project.call(
        "baseline", "list", "--json", "--config", str(project.path("model-gates.yml"))
    )
    return json.loads(listed.stdout)


def test_on_the_default_branch_the_step_says_which_version_it_is(project, register, tmp_path):
    assert register(**MAIN).code == 0
    lines = (tmp_path / "outputs").read_text().splitlines()
    # Each value stands between its name and a delimiter that nobody can guess.
    told = {lines[i].partition("<<")[0]: lines[i + 1] for i in range(0, len(lines), 3)}
    newest = versions(project)["versions"][-1]
    assert told == {"version": "2", "digest": newest["digest"]}
    assert versions(project)["aliases"] == {"champion": 2}


@pytest.mark.parametrize(
    "job",
    [
        {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/merge"},
        {"GITHUB_EVENT_NAME": "pull_request_target"},
        {"GITHUB_EVENT_NAME": "workflow_run"},
        {"GITHUB_EVENT_NAME": "merge_group", "GITHUB_REF": "refs/heads/gh-readonly-queue/main/x"},
        {"GITHUB_REF": "refs/heads/other"},
    ],
    ids=str,
)
def test_elsewhere_it_is_refused_and_nothing_is_registered(project, register, tmp_path, job):
    done = register(**MAIN | job)
    assert done.code == 5
    assert "on the default branch, after the merge" in done.stderr
    assert len(versions(project)["versions"]) == 1
    assert not (tmp_path / "outputs").exists()
