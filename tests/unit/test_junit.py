"""JUnit: which of its four results each verdict becomes, and whole reports."""

import pytest

from gates.report import Effect, Verdict
from reporters.render.entries import entries
from reporters.render.junit import render, result
from tests import consumers, reports
from tests.snapshot import assert_snapshot

SCORE = {"baseline": 0.8, "candidate": 0.7}
BEYOND, ACROSS = {**SCORE, "interval": (-0.2, -0.05)}, {**SCORE, "interval": (-0.2, 0.05)}


def one(fields, waiver=None):
    check = reports.make_check("performance/recall", {"max_drop": 0.01}, **fields)
    gate = reports.make_gate("performance", check)
    if waiver:
        waived = gate.checks[0].model_copy(update={"waiver": waiver, "effect": Effect.NONE})
        gate = gate.model_copy(update={"checks": (waived,)})
    return reports.make_report(reports.make_model(gate, reports.good_schema()))


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        (BEYOND, "failure"),
        (BEYOND | {"mode": "warn"}, "skipped"),
        (BEYOND | {"mode": "report"}, "skipped"),
        (ACROSS, "skipped"),
        (ACROSS | {"on_inconclusive": "fail"}, "failure"),
        (ACROSS | {"mode": "report"}, "skipped"),
        ({"problem": "One class only."}, "error"),
        ({"problem": "One class only.", "mode": "warn"}, "skipped"),
        ({"problem": "Off.", "skip": True}, "skipped"),
        ({**SCORE, "interval": (0.0, 0.1)}, "passed"),
    ],
)
def test_the_effect_decides_and_only_a_pass_passes(fields, ended):
    report = one(fields)
    check = report.models[0].gates[0].checks[0]
    case = consumers.junit(render(report))[0]
    assert consumers.ended(case) == ended
    assert (ended == "passed") == (check.verdict is Verdict.PASS)
    assert f"verdict: {check.verdict.value}\neffect: {check.effect.value}" in case.system_out
    assert "n: 16281" in case.system_out
    assert (ended in ("failure", "error")) == report.blocked


def test_a_waived_check_is_skipped_and_says_until_when():
    case = consumers.junit(render(one(BEYOND, waiver="until 2026-12-01 by @lead")))[0]
    assert consumers.ended(case) == "skipped"
    assert case.result[0].text.endswith("waived: until 2026-12-01 by @lead")


def test_names_and_places():
    cases = consumers.junit(render(reports.inconclusive()))
    assert (cases[-2].classname, cases[-2].name) == (
        "income.performance",
        "performance/roc_auc:max_drop@region=south",
    )


def test_a_gate_that_crashed_is_an_error_of_its_own():
    crash = consumers.junit(render(reports.mixed()))[-1]
    assert (crash.classname, crash.name) == ("income.fairness", "ran")
    assert consumers.ended(crash) == "error"
    assert "to do: Run again with --debug" in crash.result[0].text
    assert crash.system_out is None


@pytest.mark.parametrize("started", ["", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_nobody_can_read_is_left_out(started):
    report = reports.all_green()
    report = report.model_copy(update={"run": report.run.model_copy(update={"started": started})})
    assert "timestamp" not in render(report)
    assert 'timestamp="2026-11-21T08:00:00"' in render(reports.all_green())


def test_a_run_that_chose_to_judge_nothing_is_skipped():
    report = reports.make_report(blocked=False)
    (case,) = consumers.junit(render(report))
    assert consumers.ended(case) == "skipped"
    assert case.classname == "model-gates"
    assert [result(entry) for entry in entries(report)] == ["skipped"]


def test_a_run_blocked_for_no_check_of_its_own_is_an_error():
    skipped = reports.make_check("performance/f1", {"min": 0.5}, skip=True, problem="Off.")
    gate = reports.make_gate("performance", skipped)
    ends = [
        consumers.ended(c)
        for c in consumers.junit(render(reports.make_report(reports.make_model(gate))))
    ]
    assert ends == ["skipped", "error"]


@pytest.mark.parametrize("story", ["mixed", "bad_input", "inconclusive"])
def test_whole_reports(story):
    assert_snapshot(f"{story}.junit.xml", render(getattr(reports, story)()))
