"""GitLab: what its Markdown would make of a note, and the severities of Code Quality."""

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reporters.render.escape import md
from reporters.render.gitlab import NOTE_BYTES, render_codequality, render_note
from tests import consumers, reports
from tests.hostile import HOSTILE, hostile_report
from tests.page import html
from tests.snapshot import assert_snapshot
from tests.unit.test_junit import ACROSS, BEYOND, SCORE, one

# What GitLab acts on in the finished page, anywhere but in code.
ALIVE = re.compile(
    r"""(?:[!#&$%~]|\*iteration:|GL-)\d|@\w|[~%]["\w]|\^alert\#|\[\w+:|\[\[|\[TOC\]"""
    r"|\{\+|\[-|:[\w+-]+:|://|www\.|\b[0-9a-f]{7,40}\b",
    re.IGNORECASE,
)
NASTY = (
    "!12 group/project!12 &3 %4 $5 ~6",
    '~"feature request" ~bug ~workflow::dev %v1.2 %"release 2"',
    "[issue:1] [vulnerability:2] [wiki_page:home] [cadence:3] ^alert#4 *iteration:5",
    "/merge",
    "\n/close\n/label ~x\n/assign @me",
    " /approve",
    "[[_TOC_]] [TOC] [[Home]]",
    "{+ new +} [- old -] [-1-]",
    ">>>\nquote\n>>>",
    "```suggestion:-0+0\nx\n```",
    "```mermaid\ngraph\n```",
    "$`x^2`$ $$y$$",
    "---\ntitle: x\n---",
)


def alive(page):
    """What GitLab would act on, in the text around code, or at the start of a line."""
    around = re.sub(r"<pre.*?</pre>|<code>.*?</code>|<!--.*?-->", " ", html(page), flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]*>", " ", around))
    return [m[0] for m in ALIVE.finditer(text)] + re.findall(r"(?m)^[ \t]*/.*", page)


@pytest.mark.parametrize("hostile", [*HOSTILE, *NASTY])
def test_no_name_comes_alive_in_a_note(hostile):
    assert alive(render_note(hostile_report(hostile))) == []


symbols = st.text(st.sampled_from('!#&$%~^@/[]{}+-:"*|`\n 1ab'), max_size=40)


@settings(max_examples=100)
@given(symbols)
def test_no_text_comes_alive_in_a_note(value):
    assert alive(f"- x {md((value,))}\n") == []


def test_the_test_can_tell():
    assert alive("see !12\n\n/close\n") == ["!1", "/close"]


def test_a_note_holds_what_a_comment_on_github_cannot():
    """That a page keeps to its budget is tested in test_markdown.py."""
    note = render_note(reports.many_red(300))
    assert 65_000 < len(note.encode()) <= NOTE_BYTES == 1_000_000
    assert "Shortened to fit" not in note


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        (BEYOND, "blocker"),
        (ACROSS | {"on_inconclusive": "fail"}, "blocker"),
        ({"problem": "One class only."}, "blocker"),
        (BEYOND | {"mode": "warn"}, "major"),
        (ACROSS, "minor"),
        (BEYOND | {"mode": "report"}, "info"),
    ],
)
def test_the_effect_is_the_severity(fields, severity):
    (found,) = consumers.codequality(render_codequality(one(fields)))
    assert found["severity"] == severity
    assert found["check_name"] == "performance/recall:max_drop"


@pytest.mark.parametrize(
    "fields", [{**SCORE, "interval": (0.0, 0.1)}, {"problem": "x", "skip": True}]
)
def test_what_is_not_amiss_is_not_there(fields):
    assert consumers.codequality(render_codequality(one(fields))) == []


def test_a_line_that_is_known():
    rule = ("income", "performance/recall:max_drop")
    (found,) = consumers.codequality(render_codequality(one(BEYOND), lines={rule: 9}))
    assert found["location"] == {"path": "model-gates.yml", "lines": {"begin": 9}}


@pytest.mark.parametrize("story", ["mixed", "bad_input"])
def test_whole_reports(story):
    assert_snapshot(f"{story}.codequality.json", render_codequality(getattr(reports, story)()))
