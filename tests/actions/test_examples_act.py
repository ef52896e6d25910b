"""Every workflow in workflows-examples, run for real by act: once green, and red where it must be."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import yaml

from tests.act import run_act
from tests.actions.test_quickstart_act import (
    CHECKOUT,
    KEEP,
    ROOT,
    SETUP_PYTHON,
    STUBS,
    SUITE,
    make_repository,
)
from tests.fake_github import FakeGitHub

EXAMPLES = ROOT / "workflows-examples"
TAKE = "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093"
PINNED = SUITE.partition("@")[2]
TOKEN = "ghs_not-a-real-one"  # noqa: S105

# The gates' own actions and the report's, as no example has them.
ONE_BY_ONE = {
    "on": "pull_request",
    "jobs": {
        "judge": {
            "runs-on": "ubuntu-latest",
            "steps": [
                {"uses": CHECKOUT},
                {"uses": SETUP_PYTHON, "with": {"python-version": "3.12"}},
                {"run": "./predict.sh"},
                {"id": "gates", "uses": f"model-gates/model-gates/actions/performance@{PINNED}"},
                {
                    "if": "always()",
                    "uses": KEEP,
                    "with": {"name": "report", "path": "model-gates-report/performance"},
                },
            ],
        },
        # Checks nothing out: it has the report, and a token.
        "publish": {
            "if": "always()",
            "needs": ["judge"],
            "runs-on": "ubuntu-latest",
            "steps": [
                {"uses": SETUP_PYTHON, "with": {"python-version": "3.12"}},
                {"uses": TAKE, "with": {"name": "report", "path": "taken"}},
                {
                    "id": "report",
                    "uses": f"model-gates/model-gates/actions/report@{PINNED}",
                    "with": {
                        "report": "taken/report.json",
                        "to": "github-comment\ngithub-status\ngithub-summary\n",
                        "comment": "always",
                        "slug": "one-by-one",
                        "require-post": "true",
                    },
                },
            ],
        },
    },
}

# Which workflow, how many predictions are wrong, and what else is the matter.
JOBS = {
    "queue": ("merge-queue.yml", 40, ""),
    "queue, blocked": ("merge-queue.yml", 240, ""),
    "queue, no predictions": ("merge-queue.yml", 40, "broken"),
    "monorepo": ("monorepo.yml", 40, "model"),
    "monorepo, blocked": ("monorepo.yml", 240, "model"),
    "monorepo, unchanged": ("monorepo.yml", 240, "docs"),
    "main": ("push-main.yml", 40, ""),
    "main, blocked": ("push-main.yml", 240, ""),
    "one by one": (None, 40, ""),
    "one by one, blocked": (None, 240, ""),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="runs jobs on this machine"),
]


def git(folder, *words):
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", folder, *names, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def prepare(folder, example, wrong, matter):
    """Make the repository of a job, and return the event that starts it."""
    text = yaml.safe_dump(ONE_BY_ONE)
    if example:
        text = (EXAMPLES / example).read_text("utf-8")
    make_repository(folder, text, wrong)
    if example == "monorepo.yml":
        config = folder / "model-gates.yml"
        paths = "paths: [models/churn/**]"
        config.write_text(
            config.read_text("utf-8").replace("task: binary", f"task: binary\n    {paths}")
        )
        git(folder, "commit", "-qam", "paths")
    base = git(folder, "rev-parse", "HEAD")
    if matter == "broken":
        (folder / "predict.sh").write_text("#!/usr/bin/env bash\nexit 1\n")
    changed = folder / ("models/churn/train.py" if matter == "model" else "docs/index.md")
    changed.parent.mkdir(parents=True)
    changed.write_text("new\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "candidate")
    head = git(folder, "rev-parse", "HEAD")
    if example == "push-main.yml":
        origin = folder.parent / "origin"
        git(folder, "init", "-q", "--bare", origin)
        git(folder, "branch", "-M", "main")
        git(folder, "remote", "add", "origin", origin)
        git(folder, "push", "-q", "origin", "main")
        return "push", {"ref": "refs/heads/main", "repository": {"default_branch": "main"}}
    if example == "merge-queue.yml":
        queued = {"head_sha": head, "base_sha": base, "base_ref": "refs/heads/main"}
        return "merge_group", {"action": "checks_requested", "merge_group": queued}
    refs = {"head": {"ref": "candidate", "sha": head}, "base": {"ref": "main", "sha": base}}
    return "pull_request", {"pull_request": {"number": 17, **refs}}


@pytest.fixture(scope="module")
def ran(real, suite, prepared, tmp_path_factory):
    """Run the jobs; return by name what act said of each, and its GitHub."""
    act = real("act")
    subs = ("performance", "report", "register-baseline")
    actions = {
        SUITE: suite,
        **{f"model-gates/model-gates/actions/{name}@{PINNED}": suite for name in subs},
        SETUP_PYTHON: STUBS / "setup-python",
        KEEP: STUBS / "upload-artifact",
        TAKE: STUBS / "download-artifact",
    }
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:

        def run(name):
            folder = tmp_path_factory.mktemp("job") / "repository"
            event = prepare(folder, *JOBS[name])
            head = {"head": git(folder, "rev-parse", "HEAD"), "state": "open"}
            github = stack.enter_context(FakeGitHub(pulls={17: head}).serve())
            environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "acme/credit"}
            given = [text for pair in environ.items() for text in ("--env", "=".join(pair))]
            given += ["--secret", f"GITHUB_TOKEN={TOKEN}"]
            job = run_act(act, folder, actions, *given, event=event, python=prepared)
            return job, github

        yield dict(zip(JOBS, pool.map(run, JOBS), strict=True))


def report_of(job, name="model-gates-report"):
    return json.loads((job.kept / name / "report.json").read_bytes())


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("queue", {"gates": "success", "required": "success"}),
        ("queue, blocked", {"gates": "failure", "required": "failure"}),
        ("queue, no predictions", {"gates": "failure", "required": "failure"}),
        ("monorepo", {"gates": "success", "required": "success"}),
        ("monorepo, blocked", {"gates": "failure", "required": "failure"}),
        ("monorepo, unchanged", {"gates": "success", "required": "success"}),
        ("main", {"register": "success", "propose": "success"}),
        ("main, blocked", {"register": "failure"}),
        ("one by one", {"judge": "success", "publish": "success"}),
        ("one by one, blocked", {"judge": "failure", "publish": "success"}),
    ],
)
def test_how_each_job_ends(ran, name, results):
    job, _ = ran[name]
    ended = {key: result for key, result in job.results().items() if result != "skipped"}
    assert ended == results
    assert job.returncode == (1 if "failure" in results.values() else 0)


def test_where_nothing_changed_nothing_is_judged_and_nothing_has_passed(ran):
    job, _ = ran["monorepo, unchanged"]
    assert job.outputs("gates")["verdict"] == "skipped"
    assert job.outputs("gates")["blocked"] == "false"
    report = report_of(job)
    assert (report["models"], report["selection"]["left_out"]) == ([], ["churn"])
    assert report_of(ran["monorepo"][0])["selection"]["left_out"] == []


def test_the_new_baseline_is_on_a_branch_of_its_own(ran):
    job, _ = ran["main"]
    origin = job.kept.parent / "origin"
    main, branch = sorted(
        git(origin, "branch", "--format=%(refname:short)").splitlines(),
        key=lambda name: name != "main",
    )
    assert branch.startswith("model-gates/baseline-v2-")
    assert git(origin, "rev-parse", f"{branch}~1") == git(origin, "rev-parse", main)
    changed = git(origin, "diff", "--name-only", main, branch).splitlines()
    assert changed
    assert {name.split("/")[0] for name in changed} == {".model-gates"}
    log = git(origin, "show", f"{branch}:.model-gates/baselines/churn/aliases.json")
    assert '"champion"' in log
    assert job.outputs("register")["version"] == "2"
    assert job.outputs("register")["digest"].startswith("sha256:")


def test_what_is_blocked_becomes_no_baseline(ran):
    job, _ = ran["main, blocked"]
    assert git(job.kept.parent / "origin", "branch", "--format=%(refname:short)") == "main"
    assert not (job.kept / "baselines").exists()


@pytest.mark.parametrize(
    ("name", "verdict", "blocked", "state"),
    [
        ("one by one", "pass", "false", "success"),
        ("one by one, blocked", "fail", "true", "failure"),
    ],
)
def test_one_gate_is_judged_and_reported_from_where_nothing_is_checked_out(
    ran, name, verdict, blocked, state
):
    job, github = ran[name]
    assert job.outputs("gates") == {
        **job.outputs("gates"),
        "verdict": verdict,
        "blocked": blocked,
        "report": "model-gates-report/performance/report.json",
    }
    gates = [
        gate["gate"] for model in report_of(job, "report")["models"] for gate in model["gates"]
    ]
    assert gates == ["performance"]
    (body,) = github.bodies(17)
    assert body.startswith("<!-- model-gates:v1 id=one-by-one -->\n")
    assert [status["state"] for status in github.statuses] == [state]
    # The step that publishes has no id of its own.
    said = [line["content"] for line in job.lines if line.get("command") == "summary"]
    assert any("## " in text and "Model gate" in text for text in said)


@pytest.mark.parametrize("name", JOBS)
def test_nothing_is_left_running_and_the_token_is_nowhere(ran, name):
    job, _ = ran[name]
    assert job.left == []
    assert TOKEN not in str(job.lines)


def test_every_example_of_ours_is_run_here_or_in_the_quickstart():
    here = {example for example, _, _ in JOBS.values() if example}
    elsewhere = {"quickstart.yml", "gitlab-ci.yml"}
    missing = {path.name for path in EXAMPLES.glob("*.yml")} - here - elsewhere
    assert missing <= {"pull-request.yml", "comment.yml", "deploy.yml"}
