"""The verdict in a terminal: whole, narrow, hostile."""

import re

import pytest

from reporters.render.console import MAX_ROWS, render
from tests import reports
from tests.hostile import HOSTILE, hostile_report
from tests.reports import STORIES
from tests.snapshot import assert_snapshot

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("story", STORIES)
def test_whole_screens(story):
    assert_snapshot(f"{story}.txt", render(STORIES[story]()))


def test_a_narrow_screen():
    assert_snapshot("mixed.80.txt", render(reports.mixed(), width=80))


@pytest.mark.parametrize("width", [40, 80, 100, 200])
@pytest.mark.parametrize("story", STORIES)
def test_no_line_is_wider_than_the_terminal(story, width):
    assert max(map(len, render(STORIES[story](), width=width).splitlines())) <= width


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_print_as_text(hostile):
    screen = render(hostile_report(hostile), width=300)
    assert not CONTROL.search(screen)
    if "markup" in hostile:
        assert hostile in screen


def test_colour_adds_nothing_but_colour():
    report = reports.mixed()
    coloured = render(report, color=True)
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == render(report).splitlines()


def test_many_rows_are_counted_rather_than_scrolled():
    screen = render(reports.many_red(MAX_ROWS + 7))
    assert screen.count("✘ FAILS") == MAX_ROWS
    assert "… and 7 more in report.json" in screen


def test_changes_of_policy_and_notes_are_shown():
    screen = render(hostile_report("calm"))
    assert "! policy changed: calm" in screen
    assert screen.count("note: calm") == 2
