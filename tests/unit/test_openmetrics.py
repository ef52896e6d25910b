"""OpenMetrics: every number of a check as a sample, and whole texts."""

import pytest

from gates.report import Effect, GitInfo, RunInfo, ToolInfo
from reporters.render.openmetrics import render
from tests import consumers, reports
from tests.snapshot import assert_snapshot
from tests.unit.test_junit import BEYOND, one

HERE = {"model": "income", "gate": "performance", "check": "performance/recall:max_drop"}


def value(report, family, **labels):
    key = (f"model_gates_{family}", tuple(sorted(labels.items())))
    return consumers.metrics(render(report)).get(key)


def test_every_number_of_a_check():
    report = one(BEYOND)
    assert value(report, "check_value", **HERE, metric="recall", side="baseline") == 0.8
    assert value(report, "check_value", **HERE, metric="recall", side="candidate") == 0.7
    assert value(report, "check_delta", **HERE) == pytest.approx(-0.1)
    assert value(report, "check_interval", **HERE, of="delta", bound="low") == -0.2
    assert value(report, "check_interval", **HERE, of="delta", bound="high") == -0.05
    assert value(report, "check_limit", **HERE, verb="max_drop") == 0.01
    assert value(report, "check_rows", **HERE) == 16281
    assert value(report, "check_blocks", **HERE) == 1
    assert value(report, "run_blocked") == 1
    assert value(report, "run_exit_code") == 1


@pytest.mark.parametrize("story", ["mixed", "all_green", "inconclusive", "bad_input"])
def test_one_verdict_is_hot(story):
    report = getattr(reports, story)()
    hot = {}
    for (name, labels), on in consumers.metrics(render(report)).items():
        if name.endswith("_verdict"):
            place = tuple(pair for pair in labels if pair[0] != "verdict")
            hot.setdefault(place, []).append((dict(labels)["verdict"], on))
    for states in hot.values():
        assert sorted(on for _, on in states) == [0, 0, 0, 0, 1]
    verdict = report.verdict.value if report.verdict else "error"
    assert (verdict, 1) in hot[()]


def test_what_was_not_measured_has_no_sample():
    report = one({"problem": "One class only."})
    assert value(report, "check_verdict", **HERE, verdict="error") == 1
    assert value(report, "check_value", **HERE, metric="recall", side="candidate") is None
    assert value(report, "check_delta", **HERE) is None


def test_what_did_not_run_is_there():
    assert value(reports.mixed(), "not_run", model="income", gate="fairness") == 1
    assert value(reports.bad_input(), "not_run", model="", gate="") == 1
    assert value(reports.bad_input(), "run_blocked") == 1
    assert "not_run" not in render(reports.all_green())


def test_a_run_that_chose_to_judge_nothing():
    report = reports.make_report(blocked=False)
    assert value(report, "run_verdict", verdict="skipped") == 1
    assert "not_run" not in render(report)


def test_policy_is_told_from_the_verdict():
    report = one(BEYOND | {"mode": "warn"})
    assert report.models[0].gates[0].checks[0].effect is Effect.WARN
    assert value(report, "check_blocks", **HERE) == 0
    assert value(report, "check_verdict", **HERE, verdict="fail") == 1


def test_the_run_says_which_and_when():
    report = reports.all_green()
    assert value(report, "run", version="0.1.0", commit=report.run.git.sha) == 1
    assert value(report, "run_started_timestamp_seconds") == 1_795_248_000
    bare = report.model_copy(
        update={"run": RunInfo(started="?", git=GitInfo()), "tool": ToolInfo(version="9")}
    )
    assert value(bare, "run", version="9", commit="") == 1
    assert "timestamp" not in render(bare)


def test_labels_keep_what_would_end_them():
    nasty = 'a"} 1\\'
    report = one(BEYOND)
    model = report.models[0].model_copy(update={"model": nasty + "\nb"})
    report = report.model_copy(update={"models": (model,)})
    assert value(report, "check_rows", **HERE | {"model": nasty + " b"}) == 16281


@pytest.mark.parametrize("story", ["mixed", "bad_input"])
def test_whole_texts(story):
    assert_snapshot(f"{story}.openmetrics.txt", render(getattr(reports, story)()))
