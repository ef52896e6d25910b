"""Every workflow in workflows-examples, run for real by act: once green, and red where it must be."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import yaml

from gates.report import load
from tests.act import run_act, start_act, started_by
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
TAKE = "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c"
PINNED = SUITE.partition("@")[2]
DRIFT = f"model-gates/model-gates/actions/drift@{PINNED}"
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

# The workflows that a pull request from a fork needs: one after the other.
PULL, COMMENT = "pull-request.yml", "comment.yml"
NIGHTLY = "nightly-drift.yml"

# Which workflow, how many predictions are wrong, and what else is the matter.
JOBS = {
    "pull": (PULL, 40, ""),
    "pull, lax": (PULL, 240, "lax"),
    "queue": ("merge-queue.yml", 40, ""),
    "queue, blocked": ("merge-queue.yml", 240, ""),
    "queue, no predictions": ("merge-queue.yml", 40, "broken"),
    "monorepo": ("monorepo.yml", 40, "model"),
    "monorepo, blocked": ("monorepo.yml", 240, "model"),
    "monorepo, unchanged": ("monorepo.yml", 240, "docs"),
    "main": ("push-main.yml", 40, ""),
    "main, blocked": ("push-main.yml", 240, ""),
    "nightly": (NIGHTLY, 40, ""),
    "nightly, drifted": (NIGHTLY, 40, "drifted"),
    "nightly, the gate's own action": (NIGHTLY, 40, "own action"),
    "one by one": (None, 40, ""),
    "one by one, blocked": (None, 240, ""),
}
# What a comment follows: the run, whether its report was edited on the way, and how often it is said.
COMMENTS = {
    "comment": ("pull", False, 2),
    "comment, lax": ("pull, lax", False, 1),
    "comment, forged": ("pull, lax", True, 1),
    "comment, unchanged": ("monorepo, unchanged", False, 1),
}

WITH_MODEL = """#!/usr/bin/env bash
mkdir -p out
printf 'the model' > out/model.onnx
exec cp prepared.csv out/candidate.csv
"""

# What tomorrow brings: other rows, fewer, and without labels.
NEWEST = """#!/usr/bin/env bash
mkdir -p out
cp newest.csv holdout.csv
exec cp said.csv out/candidate.csv
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="runs jobs on this machine"),
]


def git(folder, *words):
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", folder, *names, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def ages(path, first, rows, *, older, label):
    """Write people of 30 to 69 years, the higher the `older` the more of them old."""
    years = [30 + int(40 * ((i * 0.618034) % 1.0) ** (1.0 / older)) for i in range(rows)]
    heads = ["id,age", "label"] if label else ["id,age"]
    lines = [f"{first + i},{age}" + (f",{i % 2}" if label else "") for i, age in enumerate(years)]
    path.write_text("\n".join([",".join(heads), *lines, ""]), "utf-8")
    return [first + i for i in range(rows)]


def make_nightly(folder, matter):
    """Let the baseline remember ages; what is fetched at night is as it was, or older."""
    config = folder / "model-gates.yml"
    text, _, _ = config.read_text("utf-8").partition("      performance")
    gate = "      drift: {columns: {age: {psi: {max: 0.1}}}, score: {ks: {max: 0.2}}}\n"
    config.write_text(text + gate, "utf-8")
    for name, holdout, first, older in (
        ("champion.csv", "holdout.csv", 0, 1.0),
        ("said.csv", "newest.csv", 10_000, 2.0 if matter == "drifted" else 1.0),
    ):
        rows = 1200 if first else 2000
        ids = ages(folder / holdout, first, rows, older=older, label=not first)
        scores = "".join(f"{one},{0.1 + 0.8 * ((one * 0.618034) % 1.0):.6f}\n" for one in ids)
        (folder / name).write_text("id,score\n" + scores, "utf-8")
    register = ("baseline", "register", "--predictions=champion.csv", "--alias=champion")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-m", "gates", *register)
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    (folder / "predict.sh").write_text(NEWEST, "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "nightly")
    return "schedule", {"schedule": "17 3 * * *"}


def prepare(folder, example, wrong, matter):
    """Make the repository of a job, and return the event that starts it."""
    text = yaml.safe_dump(ONE_BY_ONE)
    if example:
        text = (EXAMPLES / example).read_text("utf-8")
    if matter == "own action":
        text = text.replace(f"{SUITE} ", f"{DRIFT} ").partition("        with:\n          gates:")
        text = text[0] + "\n" + text[2][text[2].index("      - name: Keep") :]
    make_repository(folder, text, wrong)
    if example == NIGHTLY:
        return make_nightly(folder, matter)
    if example == "monorepo.yml":
        config = folder / "model-gates.yml"
        paths = "paths: [models/churn/**]"
        config.write_text(
            config.read_text("utf-8").replace("task: binary", f"task: binary\n    {paths}")
        )
        git(folder, "commit", "-qam", "paths")
    if example == "push-main.yml":
        # The model itself is kept as well, for the deploy.
        (folder / "predict.sh").write_text(WITH_MODEL, "utf-8")
        config = folder / "model-gates.yml"
        named = "{predictions: out/candidate.csv, artifact: out/model.onnx}"
        text = config.read_text("utf-8").replace("{predictions: out/candidate.csv}", named)
        config.write_text(text, "utf-8")
        git(folder, "commit", "-qam", "artifact")
    base = git(folder, "rev-parse", "HEAD")
    if matter == "broken":
        (folder / "predict.sh").write_text("#!/usr/bin/env bash\nexit 1\n")
    if matter == "lax":
        config = folder / "model-gates.yml"
        config.write_text(config.read_text("utf-8").replace("max_drop: 0.02", "max_drop: 0.9"))
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


def forged(report):
    """Return a report in which everything that is not a number says that all is well."""
    text = report.read_text("utf-8")
    for wrong, right in (
        ("fail", "pass"),
        ('"block"', '"none"'),
        ('"blocked": true', '"blocked": false'),
    ):
        text = text.replace(wrong, right)
    return text


@pytest.fixture(scope="module")
def commented(real, suite, prepared, ran, tmp_path_factory):
    """Let the privileged half follow the runs; return what act said of each, and its GitHub."""
    act = real("act")
    actions = {
        SUITE: suite,
        TAKE: STUBS / "download-artifact",
    }

    def follow(followed, edited, attempt, github, head):
        """Run the workflow after an attempt of the run that it follows."""
        place = tmp_path_factory.mktemp("job")
        given = place / "given/model-gates-report"
        given.mkdir(parents=True)
        kept = ran[followed][0].kept / "model-gates-report/report.json"
        text = forged(kept) if edited else kept.read_text("utf-8")
        (given / "report.json").write_text(text, "utf-8")
        # Nothing is checked out: what is there has nothing but the workflow.
        folder = place / "repository"
        make_repository(folder, (EXAMPLES / COMMENT).read_text("utf-8"), 40)
        run = {"id": 4242, "run_attempt": attempt, "event": "pull_request", "head_sha": head}
        fork = {"head_branch": "candidate", "head_repository": {"owner": {"login": "fork"}}}
        environ = {
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "acme/credit",
            "STUB_RUN": "4242",
            "STUB_GIVEN": str(given.parent),
        }
        options = [text for pair in environ.items() for text in ("--env", "=".join(pair))]
        options += ["--secret", f"GITHUB_TOKEN={TOKEN}"]
        event = ("workflow_run", {"workflow_run": run | fork})
        return run_act(act, folder, actions, *options, event=event, python=prepared)

    def run(name):
        followed, edited, times = COMMENTS[name]
        repository = ran[followed][0].kept.parent / "repository"
        head, base = (git(repository, "rev-parse", ref) for ref in ("HEAD", "HEAD~1"))
        files = git(repository, "diff", "--name-only", base, head).splitlines()
        pull = {"head": head, "state": "open", "from": "fork:candidate", "files": files}
        with FakeGitHub(pulls={17: pull}, branches={"main": base}).serve() as github:
            for sha in (head, base):
                config = git(repository, "show", f"{sha}:model-gates.yml")
                github.files[sha, "model-gates.yml"] = f"{config}\n".encode()
            attempts = range(1, times + 1)
            return [follow(followed, edited, one, github, head) for one in attempts], github

    with ThreadPoolExecutor(3) as pool:
        return dict(zip(COMMENTS, pool.map(run, COMMENTS), strict=True))


@pytest.fixture(scope="module")
def ran(real, suite, prepared, tmp_path_factory):
    """Run the jobs; return by name what act said of each, and its GitHub."""
    act = real("act")
    actions = {
        SUITE: suite,
        SETUP_PYTHON: STUBS / "setup-python",
        KEEP: STUBS / "upload-artifact",
        TAKE: STUBS / "download-artifact",
    }

    def run(name):
        folder = tmp_path_factory.mktemp("job") / "repository"
        event = prepare(folder, *JOBS[name])
        head = {"head": git(folder, "rev-parse", "HEAD"), "state": "open"}
        with FakeGitHub(pulls={17: head}).serve() as github:
            environ = {"GITHUB_API_URL": github.url, "GITHUB_REPOSITORY": "acme/credit"}
            given = [text for pair in environ.items() for text in ("--env", "=".join(pair))]
            given += ["--secret", f"GITHUB_TOKEN={TOKEN}"]
            return run_act(act, folder, actions, *given, event=event, python=prepared), github

    with ThreadPoolExecutor(3) as pool:
        return dict(zip(JOBS, pool.map(run, JOBS), strict=True))


def report_of(job, name="model-gates-report"):
    return json.loads((job.kept / name / "report.json").read_bytes())


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("pull", {"gates": "success", "required": "success"}),
        ("pull, lax", {"gates": "failure", "required": "failure"}),
        ("queue", {"gates": "success", "required": "success"}),
        ("queue, blocked", {"gates": "failure", "required": "failure"}),
        ("queue, no predictions", {"gates": "failure", "required": "failure"}),
        ("monorepo", {"gates": "success", "required": "success"}),
        ("monorepo, blocked", {"gates": "failure", "required": "failure"}),
        ("monorepo, unchanged", {"gates": "success", "required": "success"}),
        ("main", {"register": "success", "propose": "success"}),
        ("main, blocked", {"register": "failure"}),
        ("nightly", {"drift": "success"}),
        ("nightly, drifted", {"drift": "failure"}),
        ("nightly, the gate's own action", {"drift": "success"}),
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


@pytest.mark.parametrize(
    ("name", "verdict", "folder"),
    [
        ("nightly", "pass", ""),
        ("nightly, drifted", "fail", ""),
        ("nightly, the gate's own action", "pass", "drift/"),
    ],
)
def test_at_night_new_rows_without_labels_are_held_against_the_baseline(ran, name, verdict, folder):
    job, github = ran[name]
    assert job.outputs("gates")["verdict"] == verdict
    report = report_of(job, f"model-gates-report/{folder}".rstrip("/"))
    (model,) = report["models"]
    (gate,) = model["gates"]
    checks = {check["id"]: check["verdict"] for check in gate["checks"]}
    assert checks == {
        "drift/ks:max@score": "pass",
        "drift/psi:max@age": verdict,
        "drift/null_change:max@age": "pass",
    }
    assert (model["data"]["evaluation"]["rows"], model["baseline"]["version"]) == (1200, 2)
    assert (github.bodies(17), github.statuses) == ([], [])
    said = [line["content"] for line in job.lines if line.get("command") == "summary"]
    assert any("Model gate" in text for text in said)


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


def test_the_run_on_main_leaves_what_a_deploy_asks_for(ran):
    job, _ = ran["main"]
    evidence = json.loads((job.kept / "model-gates-report/evidence.json").read_bytes())
    digest = hashlib.sha256((job.kept / "model/model.onnx").read_bytes()).hexdigest()
    assert digest in [subject["digest"].get("sha256") for subject in evidence["subject"]]


@pytest.mark.parametrize(
    ("name", "headline", "told"),
    [
        ("comment", "## ✅ Model gate: `churn` passes all 2 checks", ""),
        (
            "comment, lax",
            "## ❌ Model gate: `churn` is blocked",
            "0.02 → 0.9 proposed, not applied",
        ),
        (
            "comment, forged",
            "## ❌ Model gate: `churn` is blocked",
            "0.02 → 0.9 proposed, not applied",
        ),
        ("comment, unchanged", "## ⏭️ Model gate: no model has changed", "`churn`"),
    ],
)
def test_a_fork_gets_one_comment_by_the_rules_of_the_base(commented, name, headline, told):
    jobs, github = commented[name]
    said = [line.get("msg", "") for job in jobs for line in job.lines]
    assert [job.verdict() for job in jobs] == ["success"] * COMMENTS[name][2], said
    assert [job.left for job in jobs] == [[]] * len(jobs)
    (body,) = github.bodies(17)
    assert any(line.startswith(headline) for line in body.splitlines())
    assert told in body
    assert TOKEN not in str([job.lines for job in jobs]) + body


@pytest.mark.parametrize("name", JOBS)
def test_nothing_is_left_running_and_the_token_is_nowhere(ran, name):
    job, _ = ran[name]
    assert job.left == []
    assert TOKEN not in str(job.lines)


def test_a_job_that_is_cancelled_leaves_nothing(real, suite, prepared, tmp_path):
    """As the runner does it: SIGINT, then SIGTERM; while the gates are at work."""
    folder, log = tmp_path / "repository", tmp_path / "act.log"
    make_repository(folder, (EXAMPLES / PULL).read_text("utf-8"), 40)
    (tmp_path / "kept").mkdir()
    actions = {SUITE: suite, SETUP_PYTHON: STUBS / "setup-python", KEEP: STUBS / "upload-artifact"}
    with log.open("wb") as output:
        act = start_act(real("act"), folder, actions, python=prepared, to=output)
        try:
            wait_for(lambda: judging(tmp_path))
            for told in (signal.SIGINT, signal.SIGTERM):
                act.send_signal(told)
                with suppress(subprocess.TimeoutExpired):
                    act.wait(10)
        finally:
            act.kill()
            act.wait()
    wait_for(lambda: started_by(tmp_path) == [])
    # Its workspace is gone by now; what was kept, was kept whole.
    for path in (tmp_path / "kept").rglob("report.json"):
        assert load(path.read_bytes())


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.05)


def judging(place):
    """Return whether Model Gates is at work in a run."""
    for process in started_by(place):
        with suppress(OSError):
            if b"\0-m\0gates\0run\0" in (process / "cmdline").read_bytes():
                return True
    return False


def test_every_example_of_ours_is_run_here_or_in_the_quickstart():
    here = {example for example, _, _ in JOBS.values() if example}
    elsewhere = {"quickstart.yml", "deploy.yml", "canary.yml", COMMENT, "gitlab-ci.yml"}
    assert {path.name for path in EXAMPLES.glob("*.yml")} == here | elsewhere
