"""A rollout as a deployment on GitHub: every state, once, and never in the way of anything.

The API is `tests/fake_github.py`, which holds all that is sent to GitHub's own contract.
"""

import time
from dataclasses import replace

import pytest

from gates.canary.faults import Unconfirmed
from gates.canary.journal import Journal, records
from gates.canary.plan import Finish
from gates.canary.rollout import Cause
from gates.canary.state import Phase, fold
from gates.canary.stores.files import FileStore
from gates.cli.canary_mirror import mirror
from tests.canary.paper import OLD, PLAN, PaperSite, Scene
from tests.fake_github import HEAD, FakeGitHub

TOKEN = "ghs_" + "notARealOne1234567890"
RUN = "https://github.com/acme/credit/actions/runs/42"


@pytest.fixture
def github():
    with FakeGitHub().serve() as served:
        yield served


@pytest.fixture
def scene(tmp_path):
    plan = replace(PLAN, steps=(5, 25), evidence={"commit": HEAD})
    return Scene(site=PaperSite(store=FileStore(folder=tmp_path / "state")), plan=plan)


def environ(github, **more):
    given = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": github.url,
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/credit",
        "GITHUB_RUN_ID": "42",
        "GITHUB_SHA": "c" * 40,
        "GITHUB_TOKEN": TOKEN,
        "MODEL_GATES_ENVIRONMENT": "production",
        **more,
    }
    return {key: value for key, value in given.items() if value is not None}


def mirrored(scene, given, lease, does):
    """Do something with a rollout that is mirrored, as one run of the command line does."""

    def play(rollout):
        journal = rollout.hand.journal
        journal.told = mirror(given, "credit", journal, lambda: scene.hurried)
        return does(rollout)

    return scene.play(lease, play)


def start(scene, given):
    lease = scene.site.store.acquire("ann", scene.plan.lease)
    Journal(store=scene.site.store, lease=lease, by="ann").begin(scene.plan)
    return mirrored(scene, given, lease, lambda rollout: rollout.forward())


def go_on(scene, given, does):
    """Take a held rollout over, as another run does."""
    held = scene.site.store.lease()
    lease = scene.site.store.acquire("bob", scene.plan.lease, over=held.token)
    return mirrored(scene, given, lease, does)


def told(github):
    """Return what was said of the one deployment there is: states, and descriptions."""
    (one,) = github.deployments
    return [(status["state"], status["description"]) for status in one["statuses"]]


def test_a_promotion_is_shown_from_its_first_step_to_its_end(scene, github):
    assert start(scene, environ(github)).phase is Phase.PROMOTED
    assert told(github) == [
        ("in_progress", "0 % on the canary."),
        ("in_progress", "5 % on the canary."),
        ("in_progress", "25 % on the canary."),
        ("in_progress", "100 % on the canary."),
        ("in_progress", "0 % on the canary."),
        ("success", "0 % on the canary. the candidate serves"),
    ]
    (one,) = github.deployments
    assert one["ref"] == HEAD
    assert (one["task"], one["environment"], one["description"]) == (
        "canary",
        "production",
        "credit-1",
    )
    assert one["payload"] == {"candidate": scene.plan.candidate.digest, "plan": scene.plan.digest}
    # Only what took its place makes what served before inactive.
    assert [status["auto_inactive"] for status in one["statuses"]] == [False] * 5 + [True]
    assert {status["log_url"] for status in one["statuses"]} == {RUN}


def test_without_a_judged_commit_it_is_the_runs_and_an_environment_has_a_name(scene, github):
    scene.plan = replace(scene.plan, evidence={"commit": "main; touch pwned"})
    start(scene, environ(github, MODEL_GATES_ENVIRONMENT=None))
    (one,) = github.deployments
    assert (one["ref"], one["environment"]) == ("c" * 40, "credit")


def test_a_rollback_is_a_failure_and_nothing_is_sent_while_it_goes_back(scene, github):
    scene.verdicts = ["pass", "fail"]
    calls = {}
    scene.site.before = lambda name: calls.setdefault(name, len(github.calls))
    assert start(scene, environ(github)).phase is Phase.ROLLED_BACK
    assert told(github)[-1] == ("failure", "0 % on the canary. because")
    assert calls["share 5"] < calls["out"] == calls["removed"] == len(github.calls) - 1


def test_a_hold_waits_and_another_run_goes_on_with_the_same_deployment(scene, github):
    scene.plan = replace(scene.plan, finish=Finish.HOLD)
    assert start(scene, environ(github)).phase is Phase.HELD
    assert told(github)[-1][0] == "pending"
    number = github.deployments[0]["id"]
    notes = [one.body for one in records(scene.site.store) if "deployment" in one.body]
    assert [one["deployment"] for one in notes] == [number]

    def back(rollout):
        return rollout.back(Cause.REQUEST, "not today")

    assert go_on(scene, environ(github, GITHUB_RUN_ID="43"), back).phase is Phase.ROLLED_BACK
    assert told(github)[-1] == ("failure", "0 % on the canary. not today")
    assert github.deployments[0]["statuses"][-1]["log_url"].endswith("/43")
    assert (
        sum(call.path.endswith("/deployments") and call.method == "GET" for call in github.calls)
        == 1
    )


def test_a_way_back_that_is_not_confirmed_is_an_error(scene, github):
    scene.verdicts = ["fail"]
    scene.site.broken.add("out")
    with pytest.raises(Unconfirmed):
        start(scene, environ(github))
    assert told(github)[-1] == ("error", "5 % on the canary. `out` does not work")


def test_a_shadow_is_never_shown_as_what_serves(scene, github):
    scene.plan = replace(scene.plan, steps=(0,))
    assert start(scene, environ(github)).phase is Phase.SHADOWED
    assert [state for state, _ in told(github)] == ["in_progress", "inactive"]


def test_what_is_said_fits_and_is_one_line_more_or_less(scene, github):
    scene.plan = replace(scene.plan, rollout="credit-" + "9" * 300)
    start(scene, environ(github))
    scene.plan = replace(scene.plan, rollout="credit-2")
    lease = scene.site.store.acquire("ann", 60.0)
    Journal(store=scene.site.store, lease=lease, by="ann").begin(scene.plan)
    mirrored(scene, environ(github), lease, lambda one: one.back(Cause.REQUEST, "é" * 500))
    first, second = github.deployments
    assert len(first["description"]) == 140
    assert len(second["statuses"][-1]["description"]) == 140


@pytest.mark.parametrize("after", [{}, {"half": True}])
def test_a_deployment_whose_beginning_broke_off_is_found_and_not_begun_again(scene, github, after):
    """It was begun, and nobody heard of it: the next time it is looked for by its plan."""
    github.fail("POST", r"/deployments$", after=True, **after)
    scene.plan = replace(scene.plan, finish=Finish.HOLD)
    start(scene, environ(github))
    assert len(github.deployments) == 1
    assert told(github) == [
        (
            "pending",
            "25 % on the canary. every step has passed; whether it gets all of the traffic, a person says",
        )
    ]


FAULTS = {
    "401": {"status": 401, "body": {"message": "Bad credentials"}},
    "403": {"status": 403, "body": {"message": "Resource not accessible by integration"}},
    "403 limited": {
        "status": 403,
        "headers": {"Retry-After": "3600"},
        "body": {"message": "limit"},
    },
    "404": {"status": 404, "body": {"message": "Not Found"}},
    "422": {"status": 422, "body": {"message": f"the token {TOKEN} is odd\n::error::pwned"}},
    "429": {"status": 429, "headers": {"Retry-After": "3600"}, "body": {"message": "slow down"}},
    "500": {"status": 500, "body": b"<html>"},
    "503": {"status": 503, "body": b""},
    "redirect": {"status": 302, "headers": {"Location": "https://evil.example/x"}, "body": b""},
    "no JSON": {"status": 200, "body": b"<html>"},
    "another answer": {"status": 201, "body": [1]},
    "reset": {},
    "broken off": {"half": True},
    "late": {"delay": 6.0},
}


CASES = [(fault, "fail") for fault in FAULTS] + [
    (fault, verdict) for fault in ("403", "503") for verdict in ("pass", "inconclusive")
]


@pytest.mark.parametrize(("fault", "verdict"), CASES)
def test_an_api_that_fails_changes_nothing_and_holds_nothing_up(
    scene, github, capsys, fault, verdict
):
    for method in ("GET", "POST"):
        github.fail(method, "/deployments", times=10_000, **FAULTS[fault])
    scene.verdicts = [verdict]
    moments = {}
    scene.site.before = lambda name: moments.__setitem__(name, time.monotonic())
    began = time.monotonic()
    ending = start(scene, environ(github))
    ended = time.monotonic()
    codes = {"pass": (Phase.PROMOTED, 0), "fail": (Phase.ROLLED_BACK, 1)}
    assert (ending.phase, ending.code) == codes.get(verdict, (Phase.HELD, 10))
    assert fold(records(scene.site.store)).phase is ending.phase
    # At the start and at the end it is tried, and not in between for a while.
    assert ended - began < 18
    if verdict == "fail":
        assert moments["removed"] - moments["out"] < 1
        assert scene.site.sight.whole
        assert scene.site.sight.stable.digest == OLD.digest
    said = "".join(capsys.readouterr())
    (line,) = said.splitlines()
    assert line.startswith(
        "::warning title=Model Gates::the deployment on GitHub is not up to date"
    )
    assert TOKEN not in said


def test_an_api_that_works_again_is_told_at_the_end(scene, github, capsys):
    github.fail("GET", "/deployments", 500, body=b"", times=4)
    assert start(scene, environ(github)).phase is Phase.PROMOTED
    assert told(github)[-1] == ("success", "0 % on the canary. the candidate serves")


def test_when_somebody_waits_for_the_process_to_be_gone_it_is_told_in_a_moment(scene, github):
    """A runner leaves seven seconds: what is shown gets one of them."""
    scene.hurried = True
    lease = scene.site.store.acquire("ann", scene.plan.lease)
    Journal(store=scene.site.store, lease=lease, by="ann").begin(scene.plan)
    scene.site.ensure_share(25)
    for method in ("GET", "POST"):
        github.fail(method, "/deployments", times=10_000, delay=6.0)
    began = time.monotonic()
    ending = mirrored(
        scene, environ(github), lease, lambda one: one.back(Cause.REQUEST, "the run was cancelled")
    )
    assert time.monotonic() - began < 4
    assert (ending.phase, ending.code) == (Phase.ROLLED_BACK, 20)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"GITHUB_TOKEN": None}, "there is no token"),
        ({"GITHUB_TOKEN": ""}, "there is no token"),
        ({"GITHUB_TOKEN": "two words"}, "the token is empty, or holds a space"),
        ({"GITHUB_REPOSITORY": None}, "GITHUB_REPOSITORY: it is not set"),
        ({"GITHUB_API_URL": "http://evil.example"}, "this is no https address"),
    ],
)
def test_where_nothing_can_be_shown_that_is_told_and_it_goes_on(scene, github, capsys, given, why):
    scene.verdicts = ["fail"]
    assert start(scene, environ(github, **given)).phase is Phase.ROLLED_BACK
    assert scene.site.sight.whole
    said = capsys.readouterr().out
    assert said.startswith("::warning title=Model Gates::")
    assert why in said
    assert said.count("\n") == 1
    assert github.calls == []
