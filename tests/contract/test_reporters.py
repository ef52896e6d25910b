"""What every machine-readable reporter owes its consumers, whatever names a report holds."""

import inspect
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.errors import InputError
from gates.report import ErrorInfo, Report, Verdict, dump, load
from reporters.render.entries import entries
from reporters.render.markdown import render as markdown
from reporters.render.registry import RENDERERS
from tests import consumers, reports
from tests.contract.test_contracts import STORIES
from tests.hostile import HOSTILE, hostile_report
from tests.page import shape

# --- one row for each reporter: how many entries a consumer finds, and whether it sees a success --

ENTRIES = {
    "junit": lambda text: len(consumers.junit(text)),
    "sarif": lambda text: len(consumers.sarif(text)["results"]),
    "gitlab-codequality": lambda text: len(consumers.codequality(text)),
    "openmetrics": lambda text: len(consumers.metrics(text)),
    "badge": lambda text: len(consumers.endpoint(text)),
    "badge-svg": lambda text: len(consumers.svg(text)),
    "gitlab-note": shape,
}
SUCCESS = {
    "junit": lambda text: not any(consumers.ended(c) != "passed" for c in consumers.junit(text)),
    "sarif": lambda text: consumers.sarif(text)["invocations"][0]["executionSuccessful"],
    "gitlab-codequality": lambda text: not consumers.codequality(text),
    "openmetrics": lambda text: (
        consumers.metrics(text)[("model_gates_run_verdict", (("verdict", "error"),))] == 0.0
    ),
    "badge": lambda text: not consumers.endpoint(text)["isError"],
    "badge-svg": lambda text: "✗" not in text,
    "gitlab-note": lambda text: "\n## ✅" in text,
}
OTHERS = {"json", "markdown", "console", "github-summary", "html"}


def test_every_reporter_has_its_row_here():
    assert set(ENTRIES) == set(SUCCESS)
    assert set(ENTRIES) | OTHERS >= set(RENDERERS) >= set(ENTRIES)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("name", ENTRIES)
def test_its_consumer_reads_every_story(name, story):
    report = STORIES[story]()
    found = entries(report)
    expected = {"junit": len(found), "badge": 6}
    expected |= dict.fromkeys(["sarif", "gitlab-codequality"], sum(one.amiss for one in found))
    read = ENTRIES[name](RENDERERS[name](report))
    assert read == expected.get(name, read)
    assert read or not expected[name]


def failed():
    error = ErrorInfo.of(InputError("no rows", where="a.parquet"))
    model = reports.make_model(model="m", error=error, verdict=Verdict.ERROR)
    skipped = reports.make_check("performance/f1", {"min": 0.5}, skip=True, problem="Off.")
    return {
        "an error": reports.bad_input(),
        "an error of a model": reports.make_report(model, error=error),
        "no model": reports.make_report(),
        "no gate": reports.make_report(reports.make_model()),
        "no check": reports.make_report(reports.make_model(reports.make_gate("performance"))),
        "a crash": reports.mixed(),
        "all skipped": reports.make_report(
            reports.make_model(reports.make_gate("performance", skipped))
        ),
    }


@pytest.mark.parametrize("why", failed())
@pytest.mark.parametrize("name", sorted(SUCCESS.keys() - {"openmetrics", "gitlab-note"}))
def test_what_came_to_nothing_is_never_a_success(name, why):
    report = failed()[why]
    assert report.blocked
    assert not SUCCESS[name](RENDERERS[name](report))


@pytest.mark.parametrize("name", SUCCESS)
def test_an_error_is_not_a_success_and_all_green_is_one(name):
    assert not SUCCESS[name](RENDERERS[name](reports.bad_input()))
    assert SUCCESS[name](RENDERERS[name](reports.all_green()))


# --- hostile names ---------------------------------------------------------------------------


def bad_report(value):
    return hostile_report(value if value.strip() != "b" else "bb")


@pytest.fixture(scope="module")
def calm():
    return {name: read(RENDERERS[name](bad_report("calm"))) for name, read in ENTRIES.items()}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", ENTRIES)
def test_hostile_names_change_no_entry(name, hostile, calm):
    assert ENTRIES[name](RENDERERS[name](bad_report(hostile))) == calm[name]


nasty = st.text(st.sampled_from("\"'\\<>&]|{}[]()!%~#@:/$\n\r\x00\x85\u2028\u200b\ufffe\uffff0aA "))


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), nasty))
def test_any_name_changes_no_entry(calm, value):
    report = bad_report(value[:100])
    for name, read in ENTRIES.items():
        text = RENDERERS[name](report)
        assert read(text) == calm[name]
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("name", ["a", " a", "a\u200b", "\x00a", "a (2)"])
def test_names_that_look_alike_stay_apart(name):
    """A check that fails must not hide behind the name of one that passes."""
    model = reports.make_model(reports.good_schema(), model="a")
    twin = model.model_copy(update={"model": name})
    gate = model.gates[0]
    three = model.model_copy(update={"gates": (gate, gate), "model": "a (2)"})
    report = reports.make_report(model, twin, three)
    found = entries(report)
    assert len({(e.model, e.gate, e.rule) for e in found}) == len(found) == 12
    assert len({e.fingerprint for e in found}) == len(found)
    assert len(consumers.junit(RENDERERS["junit"](report))) == 12
    verdicts = [k for k, _ in consumers.metrics(RENDERERS["openmetrics"](report)) if "rows" in k]
    assert len(verdicts) == 12


# --- the same over runs ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ENTRIES)
def test_a_report_read_back_gives_the_same_bytes(name):
    report = reports.mixed()
    assert RENDERERS[name](load(dump(report))) == RENDERERS[name](report)


def test_fingerprints_outlive_a_run():
    """Other numbers, another verdict, another time, other checks around it: the same finding."""
    check = reports.make_check(
        "performance/recall@region=north",
        {"max_drop": 0.02},
        baseline=0.7,
        candidate=0.6,
        interval=(-0.2, -0.05),
    )
    worse = check.model_copy(update={"candidate": 0.5, "interval": (-0.3, -0.1), "n": 3})

    def prints(*gates):
        report = reports.make_report(reports.make_model(*gates))
        return {e.rule: e.fingerprint for e in entries(report)}

    before = prints(reports.make_gate("performance", check))
    after = prints(
        reports.good_schema(),
        reports.make_gate("performance", reports.share("x"), worse, hint="another hint"),
    )
    assert before.items() <= after.items()
    assert prints(reports.make_gate("other", check)) != before


def test_the_note_is_the_markdown_of_everywhere():
    """One page for both: nothing that GitLab alone would act on is left to a flavour."""
    assert RENDERERS["gitlab-note"](reports.mixed()) == markdown(reports.mixed())


def test_every_reporter_is_a_function_of_the_report_alone():
    for name in ENTRIES:
        first, *others = inspect.signature(RENDERERS[name]).parameters.values()
        assert first.annotation in ("Report", Report)
        assert all(one.default is not one.empty for one in others)
    assert json.loads(RENDERERS["json"](reports.mixed()))["blocked"] is True
