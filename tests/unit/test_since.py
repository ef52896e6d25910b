"""What changed since the last push: written into a comment, read back, told and not judged by."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporters.render import markdown
from reporters.render.escape import plain
from reporters.render.since import MOST_CHECKS, changes, read, state_of, written
from tests import reports


def run(drop, more=()):
    """A report on recall, which fell by `drop`, and on what else is given."""
    recall = reports.make_check(
        "performance/recall",
        {"max_drop": 0.01},
        baseline=0.6,
        candidate=0.6 - drop,
        interval=(-drop - 0.004, -drop + 0.004),
    )
    gate = reports.make_gate("performance", recall, *more)
    return reports.make_report(reports.make_model(gate))


def precision(drop):
    return reports.make_check(
        "performance/precision@region=north",
        {"max_drop": 0.01},
        baseline=0.6,
        candidate=0.6 - drop,
        interval=(-drop - 0.001, -drop + 0.001),
    )


def told(before, now):
    return [plain(line) for line in changes(state_of(before), now)]


def test_a_state_comes_back_as_it_was():
    state = state_of(run(0.04, [precision(0.05)]))
    assert len(state.open) == 2
    assert read(f"## a page\n\n{written(state)}\n") == state


def test_newly_failing_and_mended():
    assert told(run(0.0), run(0.04)) == ["1 check newly failing: recall."]
    assert told(run(0.04), run(0.0)) == ["1 check no longer failing."]
    assert told(run(0.04), run(0.04, [precision(0.05)])) == [
        "1 check newly failing: precision for region=north."
    ]


def test_what_still_fails_says_how_its_number_went():
    assert told(run(0.04), run(0.044)) == ["recall −0.004."]


def test_nothing_changed():
    assert told(run(0.04), run(0.04)) == ["nothing that a verdict shows."]


def test_a_check_that_is_gone_is_not_called_mended():
    assert told(run(0.04, [precision(0.05)]), run(0.04)) == ["nothing that a verdict shows."]


def test_a_long_list_is_cut():
    many = [
        reports.make_check(
            f"performance/precision@region={i}",
            {"max_drop": 0.01},
            baseline=0.6,
            candidate=0.3,
            interval=(-0.301, -0.299),
        )
        for i in range(300)
    ]
    before, now = run(0.0), run(0.0, many)
    (line,) = told(before, now)
    assert line.startswith("300 checks newly failing: ")
    assert line.endswith(", and 295 more.")
    assert len(state_of(now).open) == MOST_CHECKS
    assert read(written(state_of(now))) == state_of(now)


def test_the_page_tells_it_and_carries_the_next():
    first = markdown.render(run(0.0), memory=markdown.Memory())
    assert "Since the last push" not in first
    second = markdown.render(run(0.04), memory=markdown.Memory(before=read(first)))
    assert "**Since the last push:**\n\n- 1 check newly failing: recall." in second
    assert read(second) == state_of(run(0.04))
    assert "model-gates:state" not in markdown.render(run(0.04))


def packed(raw):
    text = base64.urlsafe_b64encode(zlib.compress(raw)).decode()
    return f"<!-- model-gates:state v1 {text} -->"


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<!-- model-gates:state v1 -->",
        "<!-- model-gates:state v1 !!! -->",
        "<!-- model-gates:state v1 AAAA -->",
        "<!-- model-gates:state v2 AAAA -->",
        packed(b""),
        packed(b"[]"),
        packed(b"{}"),
        packed(b'{"open": [], "total": 1}'),
        packed(b'{"open": {"a": 1}, "total": 1}'),
        packed(b'{"open": {"a": ["great", 1]}, "total": 1}'),
        packed(b'{"open": {"a": ["fail", 1]}, "total": "many"}'),
        packed(b"[" * 20_000),
        packed(b" " * 10_000_000 + b'{"open": {}, "total": 1}'),
    ],
)
def test_what_cannot_be_read_is_as_if_there_was_none(page):
    assert read(page) is None


def test_numbers_that_are_none_are_left_out():
    found = read(packed(b'{"open": {"a": ["fail", NaN], "b": ["fail", "x"]}, "total": 2}'))
    assert found is not None
    assert found.open == {"a": ("fail", None), "b": ("fail", None)}


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text):
    assert read(f"<!-- model-gates:state v1 {text} -->") is None
