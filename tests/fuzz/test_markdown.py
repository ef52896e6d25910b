"""The Markdown escaper: whatever a name is, GitHub's own renderer finds text and nothing else."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from reporters.render.escape import Name, cell, code, name, text
from tests.fuzz.bounds import soon
from tests.page import assert_inert, html

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
nasty = st.text(st.sampled_from("`|\\<>!-[]()_*~#@:/&$1aA \n\u200b\u202e\t.w=+"), max_size=40)


@given(st.one_of(anything, nasty))
def test_any_text_stays_text(value):
    with soon():
        assert_inert(Name(value))
        assert_inert(value)


@given(st.lists(st.one_of(nasty, nasty.map(Name)), max_size=4).map(tuple))
def test_a_phrase_is_as_safe_as_its_parts(phrase):
    assert_inert(phrase)


@given(st.one_of(anything, nasty))
def test_raw_text_holds_no_section_and_no_comment(value):
    for raw in (code(value), text(value), cell(value)):
        assert not re.search(r"<!--|--!?>|</?(details|summary)\b", raw, re.IGNORECASE)
        assert "\n" not in raw


@given(st.one_of(anything, nasty))
def test_a_code_span_shows_the_name(value):
    shown = re.fullmatch(r"<p><code>(.*)</code></p>\n", html(code(value)))
    assert shown
    assert unescape(shown[1]).translate({0x2039: "<", 0x203A: ">"}) == name(value).translate(
        {0x2039: "<", 0x203A: ">"}
    )
