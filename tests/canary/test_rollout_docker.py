"""Whole rollouts, as a release manager runs them, on a real engine behind a real HAProxy."""

import json

import pytest

from tests.canary.rollouts import replay_settings

pytestmark = pytest.mark.requires_real("dockerd", "haproxy")


def whole(rollouts, model):
    """Assert that everything is on the stable side, which is a model's, and that users see that."""
    sight = rollouts.bench.site.look()
    assert sight.whole, sight
    assert sight.stable.digest == rollouts.bench.pin(model).digest
    answers = rollouts.bench.load(40)
    assert (answers.of("stable"), answers.bad) == (40, 0)


def test_a_good_canary_is_promoted_and_no_user_notices(deploy):
    rollouts = deploy(steps=[10, 50])
    with rollouts.users() as users:
        done = rollouts.start("good-v2", "--reason=better debts")
    assert done.code == 0, done.stderr + done.stdout
    whole(rollouts, "good-v2")
    assert users.asked > 200
    assert users.bad == 0
    assert "promoted" in done.stdout
    told = [line["act"] for line in rollouts.journal() if line["kind"] == "done"]
    assert told == [
        "start", "shift:10", "judge:10", "shift:50", "judge:50", "shift:100", "judge:100",
        "replace", "return", "remove",
    ]  # fmt: skip
    record = json.loads((rollouts.folder / "model-gates-canary" / "rollout.json").read_text())
    assert record["predicate"]["result"] == "PASSED"
    assert record["subject"][0]["digest"]["sha256"] in rollouts.bench.pin("good-v2").digest
    again = rollouts.start("good-v2")
    assert (again.code, "serves already" in again.stdout) == (0, True)


def test_a_canary_with_five_percent_errors_is_rolled_back(deploy):
    rollouts = deploy(min_requests=100)
    with rollouts.users(pause=0.001) as users:
        done = rollouts.start("errors")
    assert done.code == 1, done.stderr
    whole(rollouts, "good")
    assert "canary/error_rate" in json.dumps(rollouts.journal())
    # One in twenty of a quarter of them, and only until it was seen.
    assert users.bad < 0.03 * users.asked


def test_a_slow_canary_is_rolled_back(deploy):
    rollouts = deploy()
    with rollouts.users():
        done = rollouts.start("slow")
    assert done.code == 1, done.stderr + done.stdout
    assert "latency" in done.stdout
    whole(rollouts, "good")


def test_a_canary_that_is_worse_for_one_group_never_meets_a_user(deploy, judged):
    rollouts = deploy()
    rollouts.write(replay=replay_settings(rollouts.folder, judged))
    with rollouts.users():
        done = rollouts.start("unfair")
    assert done.code == 1, done.stderr
    assert "selection_rate" in (rollouts.folder / "model-gates-canary" / "report.md").read_text()
    assert not any(line["act"].startswith("shift") for line in rollouts.journal())
    whole(rollouts, "good")


def test_a_good_canary_passes_its_replay(deploy, judged):
    rollouts = deploy(steps=[0])
    rollouts.write(replay=replay_settings(rollouts.folder, judged))
    done = rollouts.start("good-v2")
    assert done.code == 0, done.stderr
    assert rollouts.status()["phase"] == "shadowed"
    whole(rollouts, "good")


def test_without_traffic_it_is_held_and_a_person_decides(deploy):
    rollouts = deploy(max_bake=2.0)
    done = rollouts.start()
    assert done.code == 10, done.stderr
    status = rollouts.status()
    assert (status["phase"], status["share"]) == ("held", 25)
    assert status["sight"]["canary"]["share"] == 0.25
    assert rollouts.start().code == 11, "a held rollout keeps others out"
    done = rollouts.run("abort", "--reason=not today")
    assert done.code == 20, done.stderr
    whole(rollouts, "good")
    assert rollouts.run("abort").code == 20


def test_a_held_rollout_is_advanced_by_a_person(deploy):
    rollouts = deploy(max_bake=2.0, steps=[25, 50])
    assert rollouts.start().code == 10
    with rollouts.users():
        done = rollouts.run("advance", f"--policy={rollouts.project.policy}", "--reason=by night")
    assert done.code == 0, done.stderr
    whole(rollouts, "good-v2")


def test_a_candidate_that_crashes_at_its_start_meets_no_user(deploy):
    rollouts = deploy()
    done = rollouts.start("crash-at-start")
    assert done.code == 1, done.stderr
    assert not any(line["act"].startswith("shift") for line in rollouts.journal())
    whole(rollouts, "good")


def test_a_candidate_that_crashes_later_is_rolled_back(deploy):
    rollouts = deploy(bake=8.0, max_bake=20.0)
    with rollouts.users() as users:
        done = rollouts.start("crash-later")
    assert done.code == 1, done.stderr + done.stdout
    whole(rollouts, "good")
    assert users.bad <= users.asked / 100


def test_it_is_refused_without_evidence_for_these_bytes(deploy):
    rollouts = deploy()
    words = rollouts.starting("good-v2")
    other = [word.replace("good-v2/evidence", "errors/evidence") for word in words]
    done = rollouts.run(*other)
    assert done.code == 5
    assert "what was judged is" in done.stderr
    assert not (rollouts.bench.state / "journal.jsonl").exists()


def test_it_is_refused_when_something_else_serves_than_was_compared_with(deploy):
    rollouts = deploy()
    rollouts.swap("biased")
    done = rollouts.start()
    assert done.code == 5
    assert "what serves is" in done.stderr


def test_a_dry_run_checks_everything_and_touches_nothing(deploy):
    rollouts = deploy()
    before = rollouts.bench.containers()
    done = rollouts.start("good-v2", "--dry-run")
    assert done.code == 0, done.stderr
    assert rollouts.bench.containers() == before
    assert not (rollouts.bench.state / "journal.jsonl").exists()


def test_a_weight_that_a_person_set_is_left_alone_and_held(deploy):
    rollouts = deploy(bake=20.0, max_bake=30.0)
    with rollouts.users():
        process = rollouts.begin(*rollouts.starting("good-v2"))
        rollouts.bench.wait(lambda sight: sight.canary.share == 0.25, "the step has begun")
        rollouts.bench.site.ensure_share(60)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 10, stderr
    assert "changed the site" in stdout
    assert rollouts.bench.site.look().canary.share == pytest.approx(0.6, abs=0.01)
    assert rollouts.run("abort").code == 20
    whole(rollouts, "good")


def test_a_reload_of_the_proxy_shuts_the_canary_and_holds(deploy):
    rollouts = deploy(bake=20.0, max_bake=30.0)
    with rollouts.users() as users:
        process = rollouts.begin(*rollouts.starting("good-v2"))
        rollouts.bench.wait(lambda sight: sight.canary.share == 0.25, "the step has begun")
        rollouts.bench.proxy.reload()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 10, stderr + stdout
    assert rollouts.bench.site.look().canary.share == 0
    # A connection that is closed just when it is used again is no answer, and nobody's fault.
    assert users.bad <= users.asked / 100
    assert rollouts.run("abort").code == 20
    whole(rollouts, "good")


def test_history_lists_every_rollout(deploy):
    rollouts = deploy()
    rollouts.start("crash-at-start")
    rollouts.start("good-v2", "--dry-run")
    rollouts.write(max_bake=2.0)
    rollouts.start("good-v2")
    rollouts.run("abort")
    told = rollouts.run("history").stdout.splitlines()
    assert len(told) == 2
    assert f"{rollouts.bench.name}-" in told[0]


def test_an_abort_needs_no_journal_to_close_the_valve(deploy):
    """Somebody changed a line: no word of it is believed, and users are off the canary all the same."""
    rollouts = deploy(max_bake=2.0)
    assert rollouts.start().code == 10
    journal = rollouts.bench.state / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"shift:25"', b'"shift:26"'))
    done = rollouts.run("abort")
    assert done.code == 30, done.stderr
    assert "does not follow" in done.stderr
    assert "could not be noted down" in done.stderr
    assert "haproxy" in done.stderr, "by hand it takes these"
    whole(rollouts, "good")
