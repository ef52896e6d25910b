"""Hostile names, alone and in a table, through the Markdown that GitHub reads."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reporters.render.escape import Name, cell, clean, code, cut, md, name, plain, slug, text
from tests.hostile import HOSTILE, MARKER
from tests.page import assert_inert, html

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("wrap", [Name, str])
def test_hostile_strings_stay_text(hostile, wrap):
    assert_inert(wrap(hostile))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("rose by 0.031 (limit 0.02)", "rose by 0.031 (limit 0.02)"),
        ("+0.033 [+0.012, +0.055]", "+0.033 [+0.012, +0.055]"),
        ("Δ [95 % interval]", "Δ [95 % interval]"),
        ("[1, 2](http://x)", "\\[1, `2](http://x)`"),
        ("[1](x)", "\\[1\\](x)"),
        ("Column `a|b` is missing.", "Column `a|b` is missing."),
        ("one ` alone", "one \\` alone"),
        ("ask @lead about #12", "ask `@lead` about `#12`"),
        ("false_negative_rate of _x_", "false_negative_rate of \\_x\\_"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("# not a heading", "\\# not a heading"),
        ("- no list", "\\- no list"),
        ("---", "\\---"),
        ("1. no list", "1\\. no list"),
        ("0.71 is a number", "0.71 is a number"),
        ("MLG-31", "`MLG-31`"),
        ("costs $5", "costs `$5`"),
        (":white_check_mark: passed", "`:white_check_mark:` passed"),
        ("", ""),
    ],
)
def test_sentences_keep_their_looks(sentence, expected):
    assert text(sentence) == expected


def test_a_link_in_two_halves_is_no_link():
    assert "<a" not in html(md(("[1]", "(http", "://evil.example)")))
    assert "`@user`" in md(("see @", "user"))


def test_code_spans_that_touch_stay_apart():
    assert md((Name("a"), Name("b`c"))) == "`a` ``b`c``"
    assert md(("see @", Name("x`@y`"))) == "see `@` `` x`@y` ``"
    assert text("`a``b`") == "`a` `b`"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\u202eb\u200bc\x00d", "abcd"),
        ("a\n\r\u2028\tb", "a b"),
        ("\x1b[31mred", "[31mred"),
        ("x\u3164\u2800y", "xy"),
        ("\ud800lone", "lone"),
        ("héllo 世界", "héllo 世界"),
    ],
)
def test_clean_drops_what_cannot_be_seen(value, expected):
    assert clean(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a```", "```` a``` ````"),
        ("", "`(empty)`"),
        ("\u200b", "`(empty)`"),
        (f"<!-- {MARKER} -->", f"`‹!-- {MARKER} --›`"),
        ("</details>", "`‹/details>`"),
    ],
)
def test_code(value, expected):
    assert code(value) == expected


def test_a_long_name_leaves_a_fingerprint():
    one, other = name("x" * 10_000), name("x" * 9_999 + "y")
    assert len(one) == len(other) == 200
    assert one != other
    assert cut("x" * 200) == "x" * 200


def test_numbers_get_separators_and_cells_do_not_break():
    assert md(" ") == md(()) == "(empty)"
    assert md(24310) == "24,310"
    assert cell("≤ 0.02") == "≤\u00a00.02"
    assert cell("0.5 [0.4, 0.6]") == "0.5 [0.4,\u00a00.6]"
    assert cell(Name("a|b\\|c")) == "`a\\|b\\\\|c`"


def test_plain_is_for_terminals():
    assert plain(("gate ", Name("x\x1b[2Jy"), ": ok\x07")) == "gate x[2Jy: ok"
    assert plain(Name("")) == "(empty)"


@pytest.mark.parametrize("value", ["default", "a-b", "credit-2"])
def test_a_slug_keeps_a_plain_name(value):
    assert slug(value) == value


@given(anything)
def test_a_slug_is_safe_and_tells_names_apart(value):
    assert set(slug(value)) <= set(string.ascii_lowercase + string.digits + "-")
    assert slug(value)
    assert slug(value) != slug(value + "!")
