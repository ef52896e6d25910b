"""Annotations: which findings, at which level, how many, and that no name can break out of one."""

import pytest

from gates.github.backoff import quota_wait
from gates.github.context import Job
from gates.report import GateResult
from reporters.publish import github_annotations
from reporters.publish.marked import MOST, Level, marks
from reporters.publish.place import Place, Spot, nowhere
from reporters.publish.sticky import STAMP_BYTES, Stamp, drafted, stamped
from reporters.render.rows import open_rows
from tests import reports
from tests.hostile import HOSTILE


def of_gate(*checks, **fields):
    gate = reports.make_gate("performance", *checks, **fields)
    return reports.make_report(reports.make_model(gate))


def failing(name="recall", **fields):
    numbers = {"baseline": 0.9, "candidate": 0.5, "interval": (-0.5, -0.3)}
    return reports.make_check(f"performance/{name}", {"max_drop": 0.01}, **numbers | fields)


def place(find=nowhere):
    return Place(job=Job(repository="acme/credit"), connect=pytest.fail, find=find)


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({}, Level.ERROR),
        ({"mode": "warn"}, Level.WARNING),
        ({"mode": "report"}, Level.NOTICE),
        ({"interval": (-0.5, 0.1)}, Level.WARNING),
        ({"interval": (-0.5, 0.1), "on_inconclusive": "fail"}, Level.ERROR),
        ({"interval": (0.0, 0.1)}, None),
    ],
)
def test_the_level_is_what_policy_makes_of_a_check(fields, level):
    found = [mark.level for mark in marks(of_gate(failing(**fields)), nowhere)]
    assert found == ([level] if level else [])


def test_what_did_not_run_is_an_error_at_its_gate():
    spots = []
    find = lambda *rule: spots.append(rule) or Spot(path="x.yml", line=len(spots))  # noqa: E731
    found = marks(reports.mixed(), find)
    assert ("income", "fairness", None) in spots
    assert [mark.level for mark in found if mark.title == "fairness"] == [Level.ERROR]
    (alone,) = marks(reports.bad_input(), find)
    assert alone.text.startswith("no verdict: ")


def test_a_model_that_could_not_be_judged_is_an_error():
    broken = reports.bad_input().error
    report = reports.make_report(reports.make_model(verdict="error", error=broken))
    assert [m.text for m in marks(report, nowhere)] == [f"income: {broken.message}"]


@pytest.mark.parametrize("count", [MOST - 1, MOST, MOST + 1, 500])
def test_the_tenth_of_a_level_counts_the_rest(count):
    checks = [failing(f"m{i}") for i in range(count)] + [failing("recall", mode="warn")]
    found = marks(of_gate(*checks), nowhere)
    errors = [mark for mark in found if mark.level is Level.ERROR]
    assert len(errors) == min(count, MOST)
    assert len(found) == len(errors) + 1
    if count > MOST:
        assert errors[-1].title == f"{count - MOST + 1:,} more"
        assert errors[-1].spot is None


def test_what_counts_the_rest_stands_where_the_first_does():
    """GitHub takes no annotation of a check run that stands nowhere."""

    def find(_model, _gate, check):
        line = int(check.metric[1:])
        return Spot(path="x.yml", line=line) if line else None

    checks = [
        failing(f"m{i}", candidate=0.9 - 0.5 + i / 100, delta=-0.5 + i / 100) for i in range(30)
    ]
    *shown, rest = marks(of_gate(*checks), find)
    assert [mark.spot for mark in shown][:2] == [None, Spot(path="x.yml", line=1)]
    assert (rest.title, rest.spot) == ("21 more", Spot(path="x.yml", line=1))


def test_the_worst_are_shown_and_in_the_order_of_the_page():
    drops = [0.02, 0.3, 0.05, 0.5, 0.04] * 3
    checks = [failing(f"m{i}", delta=-drop) for i, drop in enumerate(drops)]
    unknown = failing("last", candidate=None, delta=None, interval=None, problem="One class only.")
    report = of_gate(*checks, unknown)
    found = [mark.title.removeprefix("performance/") for mark in marks(report, nowhere)]
    worst = [f"m{i}:max_drop" for i in (3, 8, 13, 1, 6, 11, 2, 7)]
    assert found == ["last:max_drop", *worst, "7 more"]
    assert (
        found[:-1]
        == [row.rule.text.removeprefix("performance/") for row in open_rows(report.models[0])][
            : MOST - 1
        ]
    )


def test_what_did_not_run_comes_before_what_failed():
    error = reports.bad_input().error
    gates = reports.make_gate("performance", failing()), GateResult(gate="fairness", error=error)
    found = marks(reports.make_report(reports.make_model(*gates)), nowhere)
    assert [mark.title for mark in found] == ["fairness", "performance/recall:max_drop"]


def test_an_annotation_stands_at_the_line_of_its_rule():
    find = lambda *rule: Spot(path="conf/a,b.yml", line=12)  # noqa: E731
    text = github_annotations.publish(of_gate(failing()), place(find)).text
    assert text == (
        "::error file=conf/a%2Cb.yml,line=12,title=performance/recall%3Amax_drop::"
        "income: recall fell by 0.400 (limit 0.01). The whole interval is beyond the limit.\n"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_its_annotation(name):
    gate = reports.make_gate("performance", failing(slice={name[:200]: name[:200]}))
    report = reports.make_report(reports.make_model(gate, model=name[:200]))
    text = github_annotations.publish(report, place()).text
    (line,) = text.splitlines()
    head, _, said = line.removeprefix("::error ").partition("::")
    assert head == "title=performance/recall%3Amax_drop"
    assert "recall" in said


def test_a_stamp_is_read_back_and_is_short():
    stamp = Stamp(run=10**15 - 1, attempt=10**15 - 1, started="2026-11-21T08:00:00Z", head="a" * 64)
    draft = drafted("<!-- m -->\npage\n", stamp, b"report", wanted=True)
    assert draft.body.splitlines()[::2] == ["<!-- m -->", "page"]
    comment = type("Comment", (), {"body": draft.body.replace("\n", "\r\n")})
    assert stamped(comment) == draft.stamp
    assert len(str(draft.stamp)) < STAMP_BYTES


@pytest.mark.parametrize(
    "started", [*HOSTILE, "2026-11-21T08:00:00Z -->", "2026-11-21T08:00:00Z\n"]
)
def test_a_time_that_is_none_does_not_enter_the_stamp(started):
    draft = drafted("<!-- m -->\npage\n", Stamp(started=started), b"report", wanted=True)
    assert draft.stamp.started == ""
    assert str(draft.stamp).count("-->") == 1


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sat, 99 Nov 2026 08:00:00 GMT"])
def test_without_the_servers_time_a_reset_says_nothing(date):
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795248020"}
    headers |= {} if date is None else {"date": date}
    assert quota_wait(headers, 0) == 60.0


@pytest.mark.parametrize("asked", ["", "-1", "soon", "1e9", "9" * 20])
def test_a_retry_after_that_is_no_number_of_seconds_is_a_minute(asked):
    assert quota_wait({"retry-after": asked}, 0) == 60.0
