"""The badge: word and symbol for each state, contrast, and whole pictures."""

import pytest

from reporters.render.badge import LABEL, STATES, render_endpoint, render_svg, text_width
from reporters.render.words import Tone
from tests import consumers, reports
from tests.snapshot import assert_snapshot

STORIES = {
    "all_green": "✓ passed",
    "one_red": "✗ blocked",
    "inconclusive": "? undecided",
    "waived": "~ passed, waived",
    "no_baseline": "? undecided",
    "bad_input": "✗ error",
    "mixed": "✗ blocked",
}


def warns():
    check = reports.make_check("x/y", {"min": 0.5}, candidate=0.1, decide="point", mode="warn")
    return reports.make_report(reports.make_model(reports.make_gate("x", check)))


@pytest.mark.parametrize("story", STORIES)
def test_the_word_without_the_colour(story):
    report = getattr(reports, story)()
    svg = consumers.svg(render_svg(report))
    texts = [text for tag, text, _ in svg if tag == "text"]
    assert texts == [LABEL, STORIES[story]]
    assert consumers.endpoint(render_endpoint(report))["message"] == STORIES[story]


def test_a_warning_and_nothing_are_no_plain_pass():
    assert "! passed, warns" in render_svg(warns())
    nothing = reports.make_report(blocked=False)
    assert "– nothing judged" in render_svg(nothing)
    assert consumers.endpoint(render_endpoint(nothing))["color"] == "lightgrey"


def test_only_a_pass_is_green_and_what_stops_a_merge_stays_red():
    assert set(STATES) == set(Tone)
    assert [tone for tone, state in STATES.items() if "green" in state[2]] == [Tone.PASS]
    words = [state[0] for state in STATES.values()]
    assert len(set(words)) == len(words)
    stuck = {
        story: consumers.endpoint(render_endpoint(getattr(reports, story)()))["isError"]
        for story in STORIES
    }
    assert stuck == {story: word.startswith("✗") for story, word in STORIES.items()}


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", sorted({state[1] for state in STATES.values()} | {"#3d444d"}))
def test_white_letters_can_be_read(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


@pytest.mark.parametrize("tone", STATES)
def test_the_letters_fit_their_box(tone):
    word = STATES[tone][0]
    assert 5 <= text_width(word) / len(word) <= 7.5


@pytest.mark.parametrize("story", ["all_green", "one_red", "bad_input"])
def test_whole_badges(story):
    report = getattr(reports, story)()
    assert_snapshot(f"{story}.badge.svg", render_svg(report))
    assert_snapshot(f"{story}.badge.json", render_endpoint(report))


def test_the_title_is_read_aloud_and_is_text():
    title = next(
        text for tag, text, _ in consumers.svg(render_svg(reports.one_red())) if tag == "title"
    )
    assert title.startswith("Model gates: income is blocked: ")
    root = consumers.svg(render_svg(reports.one_red()))[0][2]
    assert (root["role"], root["aria-label"]) == ("img", title)


def test_several_badges_may_stand_on_one_page():
    assert not any("id" in attributes for _, _, attributes in consumers.svg(render_svg(warns())))
