"""Whether a record authorises a deploy: a row for every reason, and what each of them is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gates.attestation import Origin, read, record
from gates.authorise import Deploy, judged_as, objections
from gates.report import CandidateInfo, CiInfo, GitInfo, PolicyInfo, dump
from tests import reports

DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "e" * 64
POLICY, SHA = "sha256:" + "7e" * 32, "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
QUEUE = "refs/heads/gh-readonly-queue/main/pr-17-d670460b"
NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)  # a day after every report of `tests.reports`
PUSH = Origin(
    repository="acme/credit",
    ref="refs/heads/main",
    workflow="acme/credit/.github/workflows/push-main.yml@refs/heads/main",
    run=42,
    attempt=1,
    event="push",
    fork=False,
)
PULL = PUSH.model_copy(update={"event": "pull_request", "ref": "refs/pull/17/merge"})
MERGE = PUSH.model_copy(update={"event": "merge_group", "ref": QUEUE, "target": "refs/heads/main"})
CANDIDATE = CandidateInfo(ref="c.parquet", digest=reports.DIGEST, rows=16281, artifact=DIGEST)
WITHOUT = CANDIDATE.model_copy(update={"artifact": None})


def green(**fields):
    model = reports.make_model(reports.good_performance(), candidate=CANDIDATE)
    return reports.make_report(model, **fields)


def started(text):
    return green(run=green().run.model_copy(update={"started": text}))


def source(name):
    return green(policy=PolicyInfo(source=name, digest=POLICY))


def blocked():
    gates = reports.good_performance(), reports.fairness(harmed=True)
    return reports.make_report(reports.make_model(*gates, candidate=CANDIDATE))


def undecided():
    return reports.make_report(reports.make_model(reports.undecided(), candidate=CANDIDATE))


def record_of(report, origin=PUSH, **fields):
    return read(record(report, dump(report), origin=origin, **fields))


# What a careful deploy asks for: everything.
CAREFUL = Deploy(
    digest=DIGEST,
    model="income",
    report=record_of(green()).report,
    policy=POLICY,
    repository="acme/credit",
    ref="refs/heads/main",
    workflow=".github/workflows/push-main.yml",
    commit=SHA,
)


def asked(**fields):
    return replace(CAREFUL, report=None, **fields)


def test_what_is_as_it_should_be_has_no_objection():
    assert objections(record_of(green()), CAREFUL, NOW) == []
    assert objections(record_of(green()), Deploy(digest=DIGEST), NOW) == []


# One reason a row: the record, what the deploy asks for, and all that is said.
REFUSED = {
    "another artifact": (
        record_of(green()),
        asked(digest=OTHER),
        [
            "the artifact is sha256:eeeeeeeeeeee, and what was judged is sha256:dddddddddddd (income)"
        ],
    ),
    "another model's artifact": (
        record_of(green()),
        asked(model="churn"),
        [
            "it holds no artifact of the model `churn`: a run notes down the file that `candidate.artifact` names"
        ],
    ),
    "no artifact": (
        record_of(reports.make_report(reports.make_model(reports.good_performance()))),
        asked(model=None),
        ["it holds no artifact: a run notes down the file that `candidate.artifact` names"],
    ),
    "blocked": (
        record_of(blocked()),
        asked(),
        [
            "the candidate was blocked: 1 failed, `income/fairness/false_negative_rate:max_rise_any_group@sex=Female` first"
        ],
    ),
    "some of the gates": (
        record_of(green(), gates=("data-schema", "performance")),
        asked(),
        ["only some of the gates were run: data-schema, performance"],
    ),
    "undecided, to a strict deploy": (
        record_of(undecided()),
        asked(strict=True),
        ["not every check passed, and --strict takes no warning, waiver or skipped check"],
    ),
    "another repository": (
        record_of(green(), PUSH.model_copy(update={"repository": "mallory/credit"})),
        asked(),
        ["it comes from the repository mallory/credit, not acme/credit"],
    ),
    "another branch": (
        record_of(green(), PUSH.model_copy(update={"ref": "refs/heads/feature"})),
        asked(),
        ["it comes from the branch refs/heads/feature, not refs/heads/main"],
    ),
    "another workflow": (
        record_of(
            green(), PUSH.model_copy(update={"workflow": "acme/credit/.github/workflows/x.yml@r"})
        ),
        asked(),
        ["it comes from the workflow .github/workflows/x.yml, not .github/workflows/push-main.yml"],
    ),
    "another commit": (
        record_of(green(run=green().run.model_copy(update={"git": GitInfo(sha="0" * 40)}))),
        asked(),
        [f"it judged the commit {'0' * 40}, not {SHA}"],
    ),
    "nobody knows from where": (
        record_of(green(), Origin(event="push", fork=False)),
        asked(),
        [
            "it comes from no known repository, not acme/credit",
            "it comes from no known branch, not refs/heads/main",
            "it comes from no known workflow, not .github/workflows/push-main.yml",
        ],
    ),
    "a pull request": (
        record_of(source("base"), PULL),
        asked(ref=None),
        [
            "it was run on `pull_request`; only push, merge_group, workflow_dispatch, schedule can authorise a deploy"
        ],
    ),
    "a machine of one's own": (
        record_of(source("base"), None),
        Deploy(digest=DIGEST),
        [
            "it was run outside of GitHub Actions; only push, merge_group, workflow_dispatch, schedule can authorise a deploy"
        ],
    ),
    "a fork's code": (
        record_of(green(), PULL.model_copy(update={"fork": True})),
        asked(ref=None, events=("pull_request",)),
        ["it was run on a fork's code"],
    ),
    "a queue's commit that may not be merged": (
        record_of(green(), MERGE),
        asked(commit=None),
        ["what a merge queue judged may never have been merged: say with --commit what was"],
    ),
    "a pull request's own policy": (
        record_of(source("worktree"), PULL),
        asked(ref=None, events=("pull_request",)),
        ["its policy comes from `worktree`, which nobody has approved"],
    ),
    "a policy that nobody has approved": (
        record_of(source("bootstrap")),
        asked(),
        ["its policy comes from `bootstrap`, which nobody has approved"],
    ),
    "an older policy": (
        record_of(green()),
        asked(policy=OTHER),
        [
            "it was held to another policy: sha256:7e7e7e7e7e7e, where the one that is required now is sha256:eeeeeeeeeeee"
        ],
    ),
    "no policy": (record_of(green(policy=None)), asked(), ["it names no policy"]),
    "expired": (
        record_of(started("2026-11-15T07:54:00+00:00")),
        asked(),
        ["it has expired: made 7 days ago, and good for 7 days"],
    ),
    "expired within hours": (
        record_of(green()),
        asked(max_age=timedelta(hours=12)),
        ["it has expired: made 24 hours ago, and good for 12 hours"],
    ),
    "from the future": (
        record_of(started("2026-11-22T08:06:00+00:00")),
        asked(),
        ["it was made in the future, at 2026-11-22T08:06:00+00:00"],
    ),
    "of no time": (record_of(started("yesterday")), asked(), ["it does not say when it was made"]),
    "of no time zone": (
        record_of(started("2026-11-22T08:00:00")),
        asked(),
        ["it does not say when it was made"],
    ),
    "another report": (
        record_of(green()),
        replace(CAREFUL, report=OTHER),
        [
            f"report.json is sha256:eeeeeeeeeeee, and it tells of {CAREFUL.report[:19]}",
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_reason_refuses_by_itself(case):
    found, deploy, reasons = REFUSED[case]
    assert objections(found, deploy, NOW) == reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"result": "FAILED"}, "the candidate was blocked"),
        (
            {"failed_tests": ("income/x:min",)},
            "the candidate was blocked: 0 failed, `income/x:min` first",
        ),
        ({"facts": {"blocked": True}}, "the candidate was blocked"),
        ({"facts": {"verdict": None}}, "the candidate was blocked"),
    ],
)
def test_each_sign_of_a_failure_is_one(change, reason):
    """However a record came to say both, what is worse counts."""
    found = record_of(green())
    predicate = found.predicate
    if facts := change.pop("facts", None):
        change["facts"] = predicate.facts.model_copy(update=facts)
    found = found.model_copy(update={"predicate": predicate.model_copy(update=change)})
    assert objections(found, CAREFUL, NOW) == [reason]


@pytest.mark.parametrize(
    ("kind", "report"), [("input", reports.bad_input()), ("bug", reports.mixed())]
)
def test_a_run_that_ended_in_an_error_authorises_nothing(kind, report):
    code = report.exit_code
    assert (
        f"the run ended in an error (`{kind}`, exit code {code}) and decided nothing"
        in objections(record_of(report), asked(), NOW)
    )


def test_all_reasons_are_told_at_once():
    found = record_of(reports.bad_input(), PULL.model_copy(update={"fork": True}))
    assert len(objections(found, CAREFUL, NOW + timedelta(days=30))) == 8


ALLOWED = {
    "names of repositories, in whatever case": (
        record_of(green()),
        asked(repository="Acme/Credit"),
    ),
    "the artifact of one of the models": (record_of(green()), asked(model=None)),
    "an undecided check": (record_of(undecided()), asked()),
    "a queue's commit that was merged": (record_of(green(), MERGE), asked()),
    "a policy of the branch itself": (record_of(source("worktree")), asked()),
    "an event that was asked for": (
        record_of(source("base"), PULL),
        asked(ref=None, events=("pull_request",)),
    ),
    "a machine that was asked for": (
        record_of(source("worktree"), None),
        Deploy(digest=DIGEST, events=("local",)),
    ),
    "clocks that differ": (record_of(started("2026-11-22T08:04:00+00:00")), asked()),
    "its last minute": (record_of(started("2026-11-15T07:56:00+00:00")), asked()),
    "the time as UTC says it": (record_of(started("2026-11-22T07:00:00Z")), asked()),
    # What has served before is put back: its record is old, and so is its policy.
    "a rollback": (record_of(started("2026-05-02T08:00:00Z")), asked(rollback=True, policy=OTHER)),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_is_no_reason(case):
    found, deploy = ALLOWED[case]
    assert objections(found, deploy, NOW) == []


@pytest.mark.parametrize(
    "case", [c for c in REFUSED if "polic" not in c and "expired" not in c] + ["no policy"]
)
def test_a_rollback_is_excused_from_nothing_else(case):
    found, deploy, reasons = REFUSED[case]
    assert objections(found, replace(deploy, rollback=True), NOW) == reasons


def test_of_several_models_the_artifact_tells_which():
    churn = CANDIDATE.model_copy(update={"artifact": OTHER})
    models = (
        reports.make_model(reports.good_performance(), candidate=CANDIDATE),
        reports.make_model(reports.good_performance(), candidate=churn, model="churn"),
        reports.make_model(reports.good_performance(), candidate=WITHOUT, model="other"),
    )
    report = reports.make_report(
        *models, run=green().run.model_copy(update={"ci": CiInfo(provider="x")})
    )
    found = record_of(report)
    assert judged_as(found, asked(model=None)) == ["income"]
    assert judged_as(found, asked(model=None, digest=OTHER)) == ["churn"]
    assert objections(found, asked(digest=OTHER, model="churn"), NOW) == []
    assert objections(found, asked(digest=OTHER), NOW) == [
        "the artifact is sha256:eeeeeeeeeeee, and what was judged is sha256:dddddddddddd (income)"
    ]
    assert (
        "sha256:eeeeeeeeeeee (churn)" in objections(found, asked(model=None, digest=POLICY), NOW)[0]
    )
