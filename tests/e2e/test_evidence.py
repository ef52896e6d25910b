"""From a run to a deploy: what `run` leaves, and what `verify-evidence` makes of it."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest

from gates import attestation
from tests import reports

SHA = "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
WORKFLOW = ".github/workflows/push-main.yml"
PUSH = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/credit",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_SHA": SHA,
    "GITHUB_WORKFLOW_REF": f"acme/credit/{WORKFLOW}@refs/heads/main",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_RUN_ID": "42",
}
# The job that deploys: in the same repository, and else unlike the one that judged.
DEPLOY = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/credit"}


@pytest.fixture(scope="module")
def judged_once(template, tmp_path_factory):
    """A project with a model file, and the record of a run on the default branch."""
    project = template.copied(tmp_path_factory.mktemp("judged") / "project")
    project.path("model.onnx").write_bytes(b"the bytes that serve")
    project.set("candidate.artifact", "model.onnx")
    return judge(project)


@pytest.fixture
def judged(judged_once, tmp_path):
    return judged_once.copied(tmp_path / "project")


def judge(project, *arguments, environ=PUSH, code=0):
    config = ("--config", str(project.path("model-gates.yml")))
    out = ("--out", str(project.path("out")))
    outcome = project.save().call("run", *config, *out, *arguments, environ=environ)
    assert outcome.code == code, outcome.stderr
    return project


def record(project):
    return json.loads(project.path("out/evidence.json").read_bytes())


def verify(project, *arguments, artifact="model.onnx", environ=DEPLOY, **world):
    named = ("--record", str(project.path("out/evidence.json")))
    if artifact:
        named += ("--artifact", str(project.path(artifact)))
    return project.call("verify-evidence", *named, *arguments, environ=environ, **world)


def refusal(outcome):
    """Return the reasons of a refusal, which are told on stderr and nowhere else."""
    assert (outcome.code, outcome.stdout) == (5, ""), outcome.stderr
    lines = outcome.stderr.splitlines()
    assert lines[0].endswith("evidence.json: this record does not authorise the deploy")
    assert lines[-1].startswith("  Let the gates judge what is to be deployed")
    return [line.removeprefix("- ") for line in lines[1:-1]]


def careful(project):
    """Everything that a deploy can ask for."""
    return (
        *("--model", "credit", "--config", str(project.path("model-gates.yml"))),
        *("--report", str(project.path("out/report.json")), "--ref", "refs/heads/main"),
        *("--workflow", WORKFLOW, "--commit", SHA),
    )


def later(**time):
    return lambda: datetime.now(UTC) + timedelta(**time)


# --- what a run leaves ---------------------------------------------------------------------------


def test_a_run_leaves_a_record_beside_its_report(judged):
    found = record(judged)
    jsonschema.Draft202012Validator(attestation.json_schema()).validate(found)
    report = json.loads(judged.path("out/report.json").read_bytes())
    (model,) = report["models"]
    digests = {one["name"]: one["digest"] for one in found["subject"]}
    assert digests["model/credit/artifact"] == {"sha256": model["candidate"]["artifact"][7:]}
    assert digests["model/credit/predictions"] == {
        "modelGatesTableV1": model["candidate"]["digest"][7:]
    }
    configuration = {one["name"]: one for one in found["predicate"]["configuration"]}
    assert configuration["policy"]["digest"] == {"sha256": report["policy"]["digest"][7:]}
    assert configuration["model/credit/data/evaluation"]["digest"] == {
        "modelGatesTableV1": model["data"]["evaluation"]["digest"][7:]
    }
    assert configuration["model/credit/baseline"]["annotations"] == {"version": 1}
    checks = [f"credit/{check['id']}" for gate in model["gates"] for check in gate["checks"]]
    tests = ("passedTests", "warnedTests", "failedTests")
    assert sorted(test for name in tests for test in found["predicate"][name]) == sorted(checks)
    assert found["predicate"]["url"] == "https://github.com/acme/credit/actions/runs/42"


@pytest.mark.parametrize(
    ("change", "code", "kind"),
    [
        (lambda p: p.set("task", "bin"), 2, "config"),
        (lambda p: p.set("candidate.predictions", "none.parquet"), 3, "input"),
        (lambda p: p.set("candidate.artifact", "none.onnx"), 3, "input"),
    ],
    ids=["config", "predictions", "artifact"],
)
def test_a_run_that_ends_in_an_error_leaves_a_record_that_says_so(judged, change, code, kind):
    change(judged)
    judge(judged, code=code)
    predicate = record(judged)["predicate"]
    assert predicate["result"] == "FAILED"
    assert predicate["modelGates"]["error"] == {"kind": kind, "exitCode": code}
    reason = f"the run ended in an error (`{kind}`, exit code {code}) and decided nothing"
    assert reason in refusal(verify(judged))


def test_a_run_that_is_killed_leaves_no_older_record(judged):
    killed = "import gates.cli.judge as j, os; j._report = lambda *_: os._exit(9)"
    outcome = judged.process(prelude=killed)
    assert outcome.code == 9
    assert outcome.report is not None
    assert not judged.path("out/evidence.json").exists()
    assert verify(judged).code == 3


def test_without_a_model_file_there_is_nothing_to_deploy(judged):
    del judged.model["candidate"]["artifact"]
    judge(judged)
    assert [one["name"] for one in record(judged)["subject"]] == [
        "report.json",
        "model/credit/predictions",
    ]
    (reason,) = refusal(verify(judged))
    assert reason.startswith("it holds no artifact: ")


# --- what a deploy gets --------------------------------------------------------------------------


def test_a_pass_authorises_the_bytes_that_were_judged(judged):
    outcome = verify(judged, *careful(judged))
    assert (outcome.code, outcome.stderr) == (0, "")
    (line,) = outcome.stdout.splitlines()
    digest = record(judged)["subject"][2]["digest"]["sha256"]
    assert line.startswith(f"evidence holds for credit sha256:{digest[:12]}: ")
    assert " passed" in line
    assert ", https://github.com/acme/credit/actions/runs/42)" in line
    assert "(acme/credit, refs/heads/main, push, 20" in line


def test_what_was_not_asked_for_is_said(judged):
    outcome = verify(judged)
    assert outcome.code == 0
    assert outcome.stderr == ("not asked for: --config, --report, --ref, --workflow, --commit\n")


def test_the_default_branch_is_asked_for_where_the_event_tells_it(judged):
    event = judged.path("event.json")
    event.write_text(json.dumps({"repository": {"default_branch": "trunk"}}), "utf-8")
    environ = DEPLOY | {"GITHUB_EVENT_PATH": str(event)}
    (reason,) = refusal(verify(judged, environ=environ))
    assert reason == "it comes from the branch refs/heads/main, not refs/heads/trunk"
    assert verify(judged, "--ref", "refs/heads/main", environ=environ).code == 0


def test_an_artifact_that_was_replaced_is_refused(judged):
    judged.path("model.onnx").write_bytes(b"the bytes that serve!")
    (reason,) = refusal(verify(judged, *careful(judged)))
    assert reason.startswith("the artifact is sha256:")


@pytest.fixture
def folder(judged):
    """A project whose model is a folder, judged."""
    for name in ("model/weights.txt", "model/more/labels.txt"):
        judged.path(name).parent.mkdir(exist_ok=True)
        judged.path(name).write_text(f"{name} serves\n")
    return judge(judged.set("candidate.artifact", "model"))


def test_a_folder_is_verified_as_a_folder(folder):
    (digest,) = record(folder)["subject"][2]["digest"].items()
    assert digest[0] == "modelGatesFolderV1"
    held = verify(folder, *careful(folder), artifact="model")
    assert held.code == 0, held.stderr
    assert f"modelGatesFolderV1:{digest[1][:12]}: " in held.stdout
    assert verify(folder, "--digest", ":".join(digest), artifact=None).code == 0
    folder.path("model/more/labels.txt").rename(folder.path("model/labels.txt"))
    (reason,) = refusal(verify(folder, artifact="model"))
    assert reason.startswith("the artifact is modelGatesFolderV1:")


def test_a_file_that_holds_the_list_of_a_folder_is_not_that_folder(folder):
    digest = record(folder)["subject"][2]["digest"]["modelGatesFolderV1"]
    files = [
        [name, len(raw), f"sha256:{hashlib.sha256(raw).hexdigest()}"]
        for name in ("more/labels.txt", "weights.txt")
        for raw in [folder.path(f"model/{name}").read_bytes()]
    ]
    listed = json.dumps(files, separators=(",", ":")).encode()
    assert hashlib.sha256(listed).hexdigest() == digest, "or this tries nothing"
    folder.path("list.json").write_bytes(listed)
    (reason,) = refusal(verify(folder, artifact="list.json"))
    assert f"the artifact is sha256:{digest[:12]}" in reason
    (reason,) = refusal(verify(folder, "--digest", f"sha256:{digest}", artifact=None))
    assert f"what was judged is modelGatesFolderV1:{digest[:12]}" in reason


def test_an_image_is_known_by_its_digest(judged):
    """A tag that was moved is another digest, whatever it is called."""
    digest = "sha256:" + record(judged)["subject"][2]["digest"]["sha256"]
    assert verify(judged, "--digest", digest, artifact=None).code == 0
    moved = "sha256:" + "0" * 64
    (reason,) = refusal(verify(judged, "--digest", moved, artifact=None))
    assert reason.startswith("the artifact is sha256:000000000000, and what was judged is ")


def test_a_blocked_run_authorises_nothing(judged):
    judged.set("gates.performance.metrics.roc_auc.min", 0.999)
    judge(judged, code=1)
    (reason,) = refusal(verify(judged, *careful(judged)))
    assert reason == "the candidate was blocked: 1 failed, `credit/performance/roc_auc:min` first"


def test_a_run_of_some_gates_authorises_nothing(judged):
    judge(judged, "--gate", "fairness")
    (reason,) = refusal(verify(judged, *careful(judged)))
    assert reason == "only some of the gates were run: fairness"


def test_a_waived_check_is_allowed_and_said(judged):
    judged.set("gates.performance.metrics.roc_auc.min", 0.999)
    waiver = {
        "rule": "performance/roc_auc:min",
        "reason": "the labels are late, and known to be",
        "owner": "@lead",
        "expires": (datetime.now(UTC) + timedelta(days=20)).date().isoformat(),
    }
    path = judged.path("model-gates.waivers.yml")
    path.write_text(json.dumps({"version": 1, "waivers": [waiver]}), "utf-8")
    judge(judged)
    outcome = verify(judged, *careful(judged))
    assert outcome.code == 0
    first, second = outcome.stdout.splitlines()
    assert "1 waived" in first
    assert second == (
        f"waived: credit/performance/roc_auc:min until {waiver['expires']} by @lead – "
        "the labels are late, and known to be"
    )
    (reason,) = refusal(verify(judged, "--strict"))
    assert "--strict takes no warning, waiver or skipped check" in reason


def test_another_repository_is_refused(judged):
    reason = "it comes from the repository acme/credit, not acme/churn"
    other = DEPLOY | {"GITHUB_REPOSITORY": "acme/churn"}
    assert refusal(verify(judged, environ=other)) == [reason]
    assert refusal(verify(judged, "--repository", "acme/churn")) == [reason]


def test_a_pull_request_is_refused_and_a_forks_most_of_all(judged):
    event = judged.path("event.json")
    head = {"sha": "a" * 40, "repo": {"full_name": "mallory/credit"}}
    pull_request = {"head": head, "base": {"sha": "b" * 40}}
    event.write_text(json.dumps({"pull_request": pull_request}), "utf-8")
    pull = PUSH | {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REF": "refs/pull/17/merge",
    }
    judge(judged, "--policy", "worktree", environ=pull)
    assert refusal(verify(judged, "--ref", "refs/heads/main")) == [
        "it comes from the branch refs/pull/17/merge, not refs/heads/main",
        "it was run on `pull_request`; only push, merge_group, workflow_dispatch, schedule can authorise a deploy",
        "it was run on a fork's code",
        "its policy comes from `worktree`, which nobody has approved",
    ]


def test_a_machine_of_ones_own_is_refused_unless_it_is_asked_for(judged):
    judge(judged, environ={})
    (reason,) = refusal(verify(judged, environ={}))
    assert reason.startswith("it was run outside of GitHub Actions; ")
    outcome = verify(judged, "--event", "local", environ={})
    assert outcome.code == 0
    assert "(local, 20" in outcome.stdout


def test_an_older_policy_is_refused(judged):
    judged.set("gates.performance.metrics.roc_auc.max_drop", 0.05)
    (reason,) = refusal(verify(judged, *careful(judged)))
    assert reason.startswith("it was held to another policy: sha256:")


def test_a_record_expires(judged):
    assert verify(judged, *careful(judged), now=later(days=7)).code == 0
    (reason,) = refusal(verify(judged, *careful(judged), now=later(days=8)))
    assert reason == "it has expired: made 8 days ago, and good for 7 days"
    assert verify(judged, "--max-age", "9d", now=later(days=8)).code == 0
    (reason,) = refusal(verify(judged, "--max-age", "12h", now=later(hours=13)))
    assert reason == "it has expired: made 13 hours ago, and good for 12 hours"
    (reason,) = refusal(verify(judged, now=later(hours=-1)))
    assert reason.startswith("it was made in the future, at 20")


def test_a_rollback_needs_a_pass_of_its_own_however_old(judged):
    kept = judged.path("out/evidence.json").read_bytes()
    before = judged.path("model.onnx").read_bytes()
    judged.path("model.onnx").write_bytes(b"a release that went wrong")
    judged.set("gates.performance.metrics.roc_auc.max_drop", 0.05)
    judge(judged)
    # The newer record says nothing of the older artifact, rollback or not.
    judged.path("older.onnx").write_bytes(before)
    (reason,) = refusal(verify(judged, "--rollback", artifact="older.onnx"))
    assert reason.startswith("the artifact is sha256:")
    # Its own does, though the policy has changed since.
    judged.path("out/evidence.json").write_bytes(kept)
    config = ("--config", str(judged.path("model-gates.yml")))
    assert len(refusal(verify(judged, *config, artifact="older.onnx", now=later(days=90)))) == 2
    back = verify(judged, "--rollback", *config, artifact="older.onnx", now=later(days=90))
    assert (back.code, back.stderr[:23]) == (0, "not asked for: --config")


def test_one_changed_byte_is_refused(judged):
    path = judged.path("out/evidence.json")
    path.write_bytes(
        path.read_bytes().replace(b'"attempt"', b'"attempx"').replace(b"push", b"pusi")
    )
    outcome = verify(judged, *careful(judged))
    assert (outcome.code, outcome.stdout) == (5, "")
    assert "evidence.json: the record was edited after it was written" in outcome.stderr


def test_another_report_is_refused(judged):
    path = judged.path("out/report.json")
    path.write_bytes(path.read_bytes() + b" ")
    (reason,) = refusal(verify(judged, *careful(judged)))
    assert reason.startswith("report.json is sha256:")


def test_a_signer_gets_the_predicate_of_a_record_that_holds(judged):
    path = judged.path("predicate.json")
    assert verify(judged, "--predicate", str(path)).code == 0
    assert json.loads(path.read_bytes()) == record(judged)["predicate"]
    path.unlink()
    assert verify(judged, "--predicate", str(path), artifact="candidate.parquet").code == 5
    assert not path.exists()


# --- what cannot be asked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max-age", "soon"], "--max-age: expected a number of hours or days"),
        (["--max-age", "0d"], "--max-age: expected a number of hours or days"),
        (["--ref", "main"], "--ref: expected refs/heads/main"),
        (["--commit", "d670460"], "--commit: expected all 40 hex digits"),
        (
            ["--digest", "sha256:" + "0" * 64],
            "--artifact: say what is to be deployed: one file or folder",
        ),
        (["--config", "none.yml"], "none.yml: There is no such file."),
        (["--nope"], "No such option"),
    ],
)
def test_a_question_that_is_wrong_exits_with_2(judged, arguments, said):
    outcome = verify(judged, *arguments)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert said in outcome.stderr


def test_what_is_to_be_deployed_has_to_be_said(judged):
    assert verify(judged, artifact=None).code == 2
    wrong = verify(judged, "--digest", "0" * 64, artifact=None)
    assert (wrong.code, "--digest: expected sha256:" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model.onnx", None, "cannot read the artifact: No such file"),
        ("out/evidence.json", None, "cannot read the record: No such file"),
        ("out/evidence.json", b"{}", "not an evidence record"),
        ("out/evidence.json", b" " * (8 * 1024 * 1024 + 1), "not a record"),
        ("out/report.json", None, "cannot read the file: No such file"),
    ],
)
def test_what_cannot_be_read_exits_with_3(judged, name, content, said):
    path = judged.path(name)
    path.unlink() if content is None else path.write_bytes(content)
    outcome = verify(judged, "--report", str(judged.path("out/report.json")))
    assert (outcome.code, outcome.stdout) == (3, "")
    assert said in outcome.stderr
    assert f"{path}" in outcome.stderr


def test_a_reason_is_no_command_and_no_escape(judged):
    """What stands in a record may come out of data: the name of a slice, for one."""
    hostile = "north\u202e\x1b[31m\n::error::pwned"
    check = reports.make_check("performance/recall", {"min": 0.9}, problem="No rows.")
    check = check.model_copy(update={"id": f"performance/recall:min@region={hostile}"})
    report = reports.make_report(reports.make_model(reports.make_gate("performance", check)))
    judged.path("out/evidence.json").write_bytes(attestation.record(report, b"", origin=None))
    outcome = verify(judged)
    assert outcome.code == 5
    assert "north[31m ::error::pwned` first" in outcome.stderr
    assert all(line.startswith(("error: ", "- ", "  ")) for line in outcome.stderr.splitlines())
    assert not {"\u202e", "\x1b"} & set(outcome.stderr)
