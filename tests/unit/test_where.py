"""The slice language: what it reads, and that it lets nothing else through."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.errors import ConfigError
from gates.where import (
    MAX_LENGTH,
    AllOf,
    AnyOf,
    Compare,
    Literal,
    Member,
    Missing,
    Name,
    Not,
    Where,
    parse,
)

AGE, REGION = Name("age"), Name("region")
YOUNG = Compare(AGE, "<", Literal(25))
NORTH = Compare(REGION, "==", Literal("north"))


@pytest.mark.parametrize(
    ("text", "tree", "columns"),
    [
        ("age < 25", YOUNG, ("age",)),
        ("25 > age", YOUNG, ("age",)),
        ("  (age < 25)  ", YOUNG, ("age",)),
        ("age !=\n 25", Compare(AGE, "!=", Literal(25)), ("age",)),
        ("age >= -1.5", Compare(AGE, ">=", Literal(-1.5)), ("age",)),
        ("18 <= age < 25", AllOf((Compare(AGE, ">=", Literal(18)), YOUNG)), ("age",)),
        ("region == 'north' and age < 25", AllOf((NORTH, YOUNG)), ("region", "age")),
        ("not region == 'north' or age < 25", AnyOf((Not(NORTH), YOUNG)), ("region", "age")),
        ("region in ('a', 'b')", Member(REGION, (Literal("a"), Literal("b"))), ("region",)),
        ("region in ['a']", Member(REGION, (Literal("a"),)), ("region",)),
        ("region in ('a')", Member(REGION, (Literal("a"),)), ("region",)),
        ("age not in {1, -2}", Not(Member(AGE, (Literal(1), Literal(-2)))), ("age",)),
        ("region is None", Missing(REGION), ("region",)),
        ("region is not None", Not(Missing(REGION)), ("region",)),
        ("active", Name("active"), ("active",)),
        ("active == True", Compare(Name("active"), "==", Literal(True)), ("active",)),
        ("score_a <= score_b", Compare(Name("score_a"), "<=", Name("score_b")), ("score_a", "score_b")),
        ('col("monthly income ($)") > 0', Compare(Name("monthly income ($)"), ">", Literal(0)), ("monthly income ($)",)),
        (r'col("a\nb\"c") > 0', Compare(Name('a\nb"c'), ">", Literal(0)), ('a\nb"c',)),
        ('col("null") is None', Missing(Name("null")), ("null",)),
        ("größe > 1 and größe < 3", AllOf((Compare(Name("größe"), ">", Literal(1)), Compare(Name("größe"), "<", Literal(3)))), ("größe",)),
        ("region == 'a = b'", Compare(REGION, "==", Literal("a = b")), ("region",)),
    ],
)  # fmt: skip
def test_reads(text, tree, columns):
    assert parse(text) == Where(text=text.strip(), columns=columns, tree=tree)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is empty", "Allowed are"),
        (" \n ", "is empty", "Allowed are"),
        ("age < " + "1" * MAX_LENGTH, "over the limit of 1000", "Compute a column"),
        ("age = 25", "cannot be read", "written `==`"),
        ("age == 25 and region = 'north'", "cannot be read", "written `==`"),
        ("age < 25 && region == 'a'", "cannot be read", "Write `and` instead of `&&`"),
        ("age < 25 || region == 'a'", "cannot be read", "Write `or` instead of `||`"),
        ("age <> 25", "cannot be read", "Write `!=` instead of `<>`"),
        ("age < 25 AND region == 'a'", "cannot be read", "small letters"),
        ("age <", "cannot be read", "Allowed are"),
        ("age < 25; import os", "cannot be read", "Allowed are"),
        ("age < 25\x00", "cannot be read", "Allowed are"),
        ("region == '\ud800'", "holds what is no text", "Allowed are"),
        ("(age < 25) & (age > 3)", "holds arithmetic, `&` or `|`", "Allowed are"),
        ("age + 1 < 25", "holds arithmetic", "Allowed are"),
        ("age < 5 ** 5", "holds arithmetic", "Allowed are"),
        ("len(region) < 3", "holds a function call", "Allowed are"),
        ("col('a', 'b') < 3", "holds a function call", "Allowed are"),
        ("col(name='a') < 3", "holds a function call", "Allowed are"),
        ("col(3) < 3", "holds a function call", "Allowed are"),
        ("__import__('os').system('x')", "holds a function call", "Allowed are"),
        ("region.upper == 'A'", "holds a dotted name", "Allowed are"),
        ("region[0] == 'A'", "holds an index", "Allowed are"),
        ("(lambda: 1) == age", "holds a lambda", "Allowed are"),
        ("(age := 3) < 4", "holds an assignment", "Allowed are"),
        ("age < (3 if age else 4)", "holds an if-expression", "Allowed are"),
        ("region == f'{age}'", "holds an f-string", "Allowed are"),
        ("[x for x in age]", "holds `ListComp`", "Allowed are"),
        ("region == b'a'", "holds a plain value", "Allowed are"),
        ("age == 1j", "holds a plain value", "Allowed are"),
        ("age == -True", "holds `UnaryOp`", "Allowed are"),
        ("age == +1", "holds `UnaryOp`", "Allowed are"),
        ("age == ...", "holds a plain value", "Allowed are"),
        ("True", "holds a plain value", "Allowed are"),
        ("(age, region)", "holds a tuple", "Allowed are"),
        ("age == [1]", "holds a list", "Allowed are"),
        ("age in other", "holds `Name`", "Allowed are"),
        ("age in ()", "empty list after `in`", "Allowed are"),
        ("3 in (age, 4)", "holds a plain value", "Allowed are"),
        ("1 < 2", "two plain values", "Name a column"),
        ("age < 1e999", "beyond 64 bits", "quoted text"),
        ("age < 9223372036854775808", "beyond 64 bits", "quoted text"),
        ("age is 3", "uses `is`", "Only `is None`"),
        ("age is region", "uses `is`", "Only `is None`"),
        ("age == None", "compares with None", "`is None`"),
        ("active == true", "names a column `true`", "Write `True`, or `col"),
        ("age == null", "names a column `null`", "Write `None`, or `col"),
        ("not " * 25 + "active", "more than 20 deep", "Allowed are"),
    ],
)  # fmt: skip
def test_refuses(text, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(text)
    assert caught.value.exit_code == 2
    assert hint in (caught.value.hint or "")


def test_points_at_the_character_also_behind_wide_ones():
    with pytest.raises(ConfigError) as caught:
        parse("größe > 1 and größe.x > 2")
    assert caught.value.where == "character 15 of `größe > 1 and größe.x > 2`"


@pytest.mark.parametrize(
    "text", ["(" * 400 + "age < 1" + ")" * 400, "-" * 900 + "1 < age", "age<1" + " or age<1" * 110]
)
def test_deep_or_wide_text_is_answered(text):
    try:
        parse(text)
    except ConfigError as error:
        assert len(str(error)) < 1000  # noqa: PT017  (either outcome is right; a crash is not)


@given(st.text(alphabet="agecol()<>=!'\"1. ,[]{}andornotisNone\\\n+-*&|%:é\x00", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except ConfigError:
        return
    assert found.columns


def test_needs_no_data_library():
    code = (
        "import sys, gates.where; heavy = {'duckdb', 'narwhals', 'numpy', 'pyarrow'}"
        " & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
