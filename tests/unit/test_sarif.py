"""SARIF: which level, kind and place each verdict gets, and whole logs."""

import json

import pytest

from gates.report import RunInfo, Verb
from reporters.render.sarif import render
from tests import consumers, reports
from tests.snapshot import assert_snapshot
from tests.unit.test_junit import ACROSS, BEYOND, SCORE, one


def results(report, **options):
    return consumers.sarif(render(report, **options))["results"]


@pytest.mark.parametrize(
    ("fields", "kind", "level"),
    [
        (BEYOND, "fail", "error"),
        (BEYOND | {"mode": "warn"}, "fail", "warning"),
        (BEYOND | {"mode": "report"}, "fail", "note"),
        (ACROSS, "fail", "warning"),
        (ACROSS | {"on_inconclusive": "fail"}, "fail", "error"),
        (ACROSS | {"mode": "report"}, "open", "none"),
        ({"problem": "One class only."}, "fail", "error"),
    ],
)
def test_the_effect_is_the_level(fields, kind, level):
    report = one(fields)
    (result,) = results(report)
    assert (result["kind"], result["level"]) == (kind, level)
    check = report.models[0].gates[0].checks[0]
    assert result["properties"]["verdict"] == check.verdict.value
    assert result["properties"]["effect"] == check.effect.value


@pytest.mark.parametrize(
    "fields", [{**SCORE, "interval": (0.0, 0.1)}, {"problem": "x", "skip": True}]
)
def test_what_is_not_amiss_is_no_result_but_a_rule(fields):
    run = consumers.sarif(render(one(fields)))
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"][0]["id"] == "performance/recall:max_drop"
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_waiver_is_a_suppression():
    (result,) = results(one(BEYOND, waiver="until 2026-12-01"))
    assert result["level"] == "note"
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "until 2026-12-01"}
    ]


def test_slices_share_a_rule_and_not_a_fingerprint():
    run = consumers.sarif(render(reports.many_red(40)))
    assert len(run["results"]) == 40
    rules = {result["ruleId"] for result in run["results"]}
    assert rules == {"performance/recall:max_drop"}
    hashes = {r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]}
    assert len(hashes) == 40


def test_an_error_is_a_notification_and_a_result():
    run = consumers.sarif(render(reports.bad_input()))
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["exitCode"] == 3
    (note,) = invocation["toolExecutionNotifications"]
    assert (note["level"], note["descriptor"]["id"]) == ("error", "model-gates/input")
    assert "212 ids are missing" in note["message"]["text"]
    (result,) = run["results"]
    assert (result["level"], result["ruleId"]) == ("error", "model-gates/input")
    assert "logicalLocations" not in result["locations"][0]


def place(report, **options):
    (result,) = results(report, **options)
    at = result["locations"][0]["physicalLocation"]
    return at["artifactLocation"]["uri"], at["region"]["startLine"]


def test_a_result_stands_on_its_line_of_the_configuration():
    rule = ("income", "performance/recall:max_drop")
    assert place(one(BEYOND)) == ("model-gates.yml", 1)
    assert place(one(BEYOND), lines={rule: 17}) == ("model-gates.yml", 17)
    assert place(one(BEYOND), lines={("other", rule[1]): 17}) == ("model-gates.yml", 1)
    assert place(reports.bad_input(), lines={rule: 17}) == ("model-gates.yml", 1)


@pytest.mark.parametrize(
    ("config", "uri"),
    [
        ("./ci/a b.yml", "ci/a%20b.yml"),
        ("ci\\gates.yml", "ci/gates.yml"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("./", "model-gates.yml"),
        ("", "model-gates.yml"),
        (None, "model-gates.yml"),
    ],
)
def test_the_path_is_a_relative_uri(config, uri):
    report = one(BEYOND).model_copy(update={"run": RunInfo(started="", config=config)})
    assert place(report) == (uri, 1)


def test_two_configurations_are_two_analyses():
    def category(config):
        report = one(BEYOND).model_copy(update={"run": RunInfo(started="", config=config)})
        return consumers.sarif(render(report))["automationDetails"]["id"]

    assert category("a.yml") != category("b.yml")
    assert category("a.yml").endswith("/")


def test_a_message_holds_no_link_and_no_place_to_fill_in():
    text = "[click](https://evil.example) {0} {{1}}"
    log = json.loads(render(one({"problem": text})))
    message = log["runs"][0]["results"][0]["message"]["text"]
    assert "[click] (https://evil.example) { 0} {{ 1}}" in message


@pytest.mark.parametrize("verb", Verb)
def test_every_kind_of_limit_has_its_sentence(verb):
    check = reports.make_check("performance/recall", {verb.value: 0.5}, problem="x")
    gate = reports.make_gate("performance", check, hint="Look at the slices.")
    rule = consumers.sarif(render(reports.make_report(reports.make_model(gate))))["tool"]["driver"][
        "rules"
    ][0]
    assert rule["shortDescription"]["text"].startswith("Recall m")
    assert "the limit" in rule["fullDescription"]["text"]
    assert rule["help"]["text"].startswith("Look at the slices. The limit stands")


@pytest.mark.parametrize("story", ["mixed", "bad_input"])
def test_whole_logs(story):
    assert_snapshot(f"{story}.sarif.json", render(getattr(reports, story)()))
