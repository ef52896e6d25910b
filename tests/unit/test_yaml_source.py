"""The YAML loader: what it accepts, what it refuses and where it points."""

import hashlib
import math
import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gates.errors import ConfigError
from gates.yaml_source import MAX_BYTES, MAX_DEPTH, Mark, Source, key_path, load, parse, suggestion

GOOD = """\
# how the candidate is judged
version: 1
defaults: {confidence: 0.95, mode: "enforce"}
models:
  credit-default:
    paths: [models/credit/**, 'x: y']
    slices:
      - region
      - name: young
        where: "age < 25"
    limit:
"""


def refusal(raw):
    with pytest.raises(ConfigError) as caught:
        parse(raw if isinstance(raw, bytes) else raw.encode(), "model-gates.yml")
    return caught.value


def read(scalar):
    return parse(f"key: {scalar}\n".encode(), "f").data["key"]


# --- what is accepted ----------------------------------------------------------------------------


def test_a_good_file_comes_back_as_plain_python_with_its_digest():
    source = parse(GOOD.encode(), "model-gates.yml")
    assert source.data == {
        "version": 1,
        "defaults": {"confidence": 0.95, "mode": "enforce"},
        "models": {
            "credit-default": {
                "paths": ["models/credit/**", "x: y"],
                "slices": ["region", {"name": "young", "where": "age < 25"}],
                "limit": None,
            }
        },
    }
    assert source.path == "model-gates.yml"
    assert source.digest == "sha256:" + hashlib.sha256(GOOD.encode()).hexdigest()


CREDIT = ("models", "credit-default")


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), "2:1", "2:1"),
        (("version",), "2:1", "2:10"),
        (("defaults",), "3:1", "3:11"),
        (("defaults", "mode"), "3:30", "3:36"),
        (CREDIT, "5:3", "6:5"),
        ((*CREDIT, "paths"), "6:5", "6:12"),
        ((*CREDIT, "paths", 1), "6:31", "6:31"),
        ((*CREDIT, "slices", 0), "8:9", "8:9"),
        ((*CREDIT, "slices", 1), "9:9", "9:9"),
        ((*CREDIT, "slices", 1, "where"), "10:9", "10:16"),
        ((*CREDIT, "limit"), "11:5", "11:11"),
        # Not in the file: the nearest ancestor's key.
        ((*CREDIT, "slices", 1, "wher"), "9:9", "9:9"),
        ((*CREDIT, "data", "label"), "5:3", "5:3"),
        (("nothing",), "2:1", "2:1"),
    ],
)
def test_every_key_item_and_value_has_its_place(path, key, value):
    source = parse(GOOD.encode(), "f.yml")
    assert source.place(path, of="key") == f"f.yml:{key}"
    assert source.place(path) == f"f.yml:{value}"


def test_a_source_without_marks_still_names_its_file():
    source = Source(path="f.yml", digest="", data={}, marks={}, value_marks={})
    assert source.place(("a",)) == "f.yml"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_line_endings_do_not_move_lines(newline):
    source = parse(newline.join(["a: 1", "", "b: 2", ""]).encode(), "f")
    assert source.marks["b",] == Mark(line=3, column=1)


def test_a_byte_order_mark_is_accepted_and_takes_no_column():
    source = parse(b"\xef\xbb\xbfa: 1\n", "f")
    assert (source.data, source.place(("a",), of="key")) == ({"a": 1}, "f:1:1")


@pytest.mark.parametrize("text", ["a: 1\n...\n", "---\na: 1\n", "%YAML 1.2\n---\na: 1", "{a: 1}"])
def test_one_document_however_it_is_framed(text):
    assert parse(text.encode(), "f").data == {"a": 1}


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None),
        ("true", True), ("True", True), ("FALSE", False),
        ("0", 0), ("-0", 0), ("+7", 7), ("-12", -12), ("9" * 18, 10**18 - 1),
        ("0.5", 0.5), (".5", 0.5), ("-.5", -0.5), ("5.", 5.0), ("1.5e-3", 0.0015), ("1.5E3", 1500.0),
        ("text", "text"), ("nan", "nan"), ("y", "y"), ("n", "n"), ("=", "="), ("<<", "<<"),
        ("1e3", "1e3"), ("1E-3", "1E-3"), ("1.2.3", "1.2.3"), ("1 2", "1 2"),
        ("2026-01-01", "2026-01-01"), ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("22:99", "22:99"), ("0o9", "0o9"), ("\u0661", "\u0661"), ("tRue", "tRue"), ("yEs", "yEs"),
        ("'no'", "no"), ('"012"', "012"), ("'1'", "1"), ("''", ""), ("|\n  yes", "yes\n"), (">-\n  1", "1"),
        ('"\\u00e9\\u202e"', "é\u202e"),
    ],
)  # fmt: skip
def test_scalars(scalar, expected):
    value = read(scalar)
    assert value == expected
    assert type(value) is type(expected)


# --- what is refused -----------------------------------------------------------------------------

WHERE = [
    # keys
    ("max_drop: 0.01\na: 1\nmax_drop: 0.9\n", "3:1", "`max_drop`: This key is set twice: on line 1 and line 3."),
    ("a:\n  - {b: 1}\n  - {b: 1, 'b': 2}\n", "3:12", "`a[1].b`: This key is set twice: on line 3 and line 3."),
    ("a:\n  1: x\n", "2:3", "`a`: A key must be text; this one is a whole number."),
    ("true: x\n", "1:1", "A key must be text; this one is true."),
    ("null: x\n", "1:1", "this one is null"),
    ("?\n: x\n", "1:2", "A key must be text; this one is null."),
    ("on: x\n", "1:1", "this one is a switch word"),
    ("a: {0.5: x}\n", "1:5", "this one is a decimal number"),
    ("? [a, b]\n: x\n", "1:3", "A key must be text, not a list or a mapping."),
    ("? {a: b}\n: x\n", "1:3", "A key must be text, not a list or a mapping."),
    ('a:\n  "b\\u202ec": 1\n', "2:3", "`a`: This key has an invisible character."),
    ('"b\\x07": 1\n', "1:1", "This key has an invisible character."),
    ('"b\\ud800": 1\n', "1:1", "This key has an invisible character."),
    ("b\u200bc: 1\n", "1:1", "This key has an invisible character."),
    # anchors, aliases, merge keys, tags
    ("a: &x 1\n", "1:4", "Anchors and aliases"),
    ("a: 1\nb: *x\n", "2:4", "Anchors and aliases"),
    ("a: &x [*x]\n", "1:4", "Anchors and aliases"),
    ("*x : 1\n", "1:1", "Anchors and aliases"),
    ("a:\n  <<: {b: 1}\n", "2:3", "`a`: Merge keys (<<) are not accepted."),
    ("a: !x 1\n", "1:4", "Tags (!) are not accepted."),
    ("a: ! 1\n", "1:4", "Tags (!) are not accepted."),
    ("a: !!str 1\n", "1:4", "Tags (!) are not accepted."),
    ("!!map {a: 1}\n", "1:1", "Tags (!) are not accepted."),
    ("a: [!!python/object/apply:os.system ['touch hacked']]\n", "1:5", "Tags (!) are not accepted."),
    ("a: !hidden!x 1\n", "1:4", "Tags (!) are not accepted."),
    # structure
    ("a: 1\n---\nb: 2\n", "2:1", "A second document starts here"),
    ("---\n---\na: 1\n", "2:1", "A second document starts here"),
    ("# list\n- a\n", "2:1", "The top of the file must be a mapping"),
    ("text\n", "1:1", "The top of the file must be a mapping"),
    ("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, "1:23", "nested more than 20 levels deep"),
    # syntax
    ("a: 1\n\tb: 2\n", "2:1", r"found character '\t' that cannot start any token."),
    ("a: 1: 2\n", "1:5", "This is not valid YAML: mapping values are not allowed here."),
    ("a:\n\tb: 2\n", "2:1", r"found character '\t' that cannot start any token."),
    ("a: [1,\nb: 2\nc: 3\n", "3:2", "expected ',' or ']', but got ':' (while parsing a flow sequence, from line 1 on)."),
    ("a: @x\n", "1:4", "found character '@'"),
    ('a: "\\UFFFFFFFF"\n', "1:7", "This escape or directive is not valid."),
    ('a: "\\U00110000"\n', "1:7", "This escape or directive is not valid."),
    ("%YAML 1." + "1" * 5000 + "\n---\na: 1\n", "1:9", "This escape or directive is not valid."),
    # characters
    (b"a: 1\nb: caf\xe9\n", "2:7", "This byte is not UTF-8."),
    ("a: 1 # note\u2028max_drop: 0.9\n", "1:12", "invisible character U+2028"),
    ("a: 1 # note\rmax_drop: 0.9\n", "1:12", "invisible character U+000D"),
    ("a: 1 # \u202e9.0 :b\n", "1:8", "invisible character U+202E"),
    ("a: 1\nb: \x1b[0m\n", "2:4", "invisible character U+001B"),
    ('a:\n- "\\0"\n', "2:3", "`a[0]`: This text has a NUL or half a surrogate pair."),
    ('a: "\\ud800"\n', "1:4", "`a`: This text has a NUL or half a surrogate pair."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message"), WHERE)
def test_refusals_point_at_the_place_and_say_what_to_do(text, place, message):
    error = refusal(text)
    assert error.where == f"model-gates.yml:{place}"
    assert message in error.message
    assert error.hint
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("scalar", "kind"),
    [
        (".nan", "not finite"), ("-.inf", "not finite"), (".INF", "not finite"), ("1.0e999", "not finite"),
        ("yes", "switch word"), ("No", "switch word"), ("ON", "switch word"), ("off", "switch word"),
        ("1" * 19, "more than 18 digits"), ("-" + "9" * 200_000, "more than 18 digits"),
        ("012", "leading zero"), ("-00", "leading zero"), ("09", "leading zero"), ("01.5", "leading zero"),
        ("0x1F", "hexadecimal"), ("0o17", "hexadecimal"), ("0b101", "hexadecimal"),
        ("12:30:45", "base sixty"), ("-1:30", "base sixty"), ("1:30.5", "base sixty"),
        ("1_000", "underscores"), ("0_1", "underscores"), ("1_0.5", "underscores"), ("2026_01_01", "underscores"),
    ],
)  # fmt: skip
def test_scalars_that_readers_take_differently_are_refused(scalar, kind):
    error = refusal(f"a:\n  b: [x, {scalar}]\n")
    assert error.where == "model-gates.yml:2:10"
    assert error.message.startswith("`a.b[1]`: This is a ")
    assert kind in error.message
    assert "is not accepted" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty."),
        (b"# only\n# comments\n", "The file is empty."),
        (b"---\n", "The file is empty."),
        (b"~\n", "The file is empty."),
        ("a: 1\n".encode("utf-16"), "The file is UTF-16, not UTF-8."),
        ("a: 1\n".encode("utf-16-be"), "The file is binary"),
        (b"a: 1\n\x00", "The file is binary"),
        (b"a: 1\n" + b"#" * MAX_BYTES, "The file is larger than 256 KiB."),
    ],
)
def test_refusals_of_the_whole_file(raw, message):
    error = refusal(raw)
    assert (error.where, bool(error.hint)) == ("model-gates.yml", True)
    assert message in error.message


def test_the_largest_file_and_the_deepest_nesting_are_accepted():
    assert parse(b"a: 1\n" + b"#" * (MAX_BYTES - 5), "f").data == {"a": 1}
    deepest = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert isinstance(parse(deepest.encode(), "f").data["a"], list)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "[[{a: "])
def test_a_hundred_thousand_levels_are_refused_at_the_twenty_first(opening):
    error = refusal(("k:\n  " + opening * 100_000)[:MAX_BYTES])
    assert "nested more than 20 levels deep" in error.message
    assert "recursion" not in str(error).lower()
    assert error.where.startswith("model-gates.yml:2:")


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert refusal("\n".join(rows)).where == "model-gates.yml:1:5"


@pytest.mark.parametrize(
    "text",
    [
        "a: [hunter2\n",
        "a: 'hunter2\n",
        "a: hunter2: x\n",
        "a: &hunter2 x\n",
        "a: *hunter2\n",
        "a: !hunter2!x y\n",
        "%TAG !hunter2! x\n%TAG !hunter2! y\n---\na: 1\n",
        "a: !<hunter2> y\n",
        'a: "hunter2\\q"\n',
        'a: "hunter2\\0"\n',
        "hunter2\n",
        "a: hunter2\x07\n",
        "hunter2:\n- &a x\n",
    ],
)
def test_no_refusal_shows_what_the_file_says(text):
    assert "hunter2" not in str(refusal(text))


# --- files ---------------------------------------------------------------------------------------


def test_load_reads_a_file_and_shows_the_name_it_is_given(tmp_path):
    file = tmp_path / "model-gates.yml"
    file.write_text("a: [1]\n")
    assert load(file).place(("a",)) == f"{file}:1:4"
    assert load(file, shown="model-gates.yml").place(("a", 0)) == "model-gates.yml:1:5"


def test_load_stops_reading_a_file_that_is_too_large(tmp_path):
    file = tmp_path / "big.yml"
    with file.open("wb") as handle:
        handle.truncate(10 * 2**30)  # sparse: ten gibibytes that take no space
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load(file)


def make_pipe(path):
    os.mkfifo(path)


def make_loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "name", "message", "hint"),
    [
        (None, "x.yml", "There is no such file.", "model-gates init"),
        (None, "x.yml/below", "There is no such file.", "model-gates init"),
        (os.mkdir, "x.yml", "This is not a file.", "Name the YAML file"),
        (make_pipe, "x.yml", "This is not a file.", "Name the YAML file"),
        (make_loop, "x.yml", "The file cannot be read: ", "permissions"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, make, name, message, hint):
    if make:
        make(tmp_path / "x.yml")
    elif "/" in name:
        (tmp_path / "x.yml").write_text("a: 1\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name, shown=name)
    assert caught.value.where == name
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("models", "credit", "gates"), "models.credit.gates"),
        (("slices", 2, "where"), "slices[2].where"),
        (("a.b", "c d", "é-1"), '"a.b"."c d".é-1'),
        (("",), '""'),
        (('say "hi"\n',), '"say \\"hi\\"\\n"'),
        (("x" * 100,), "x" * 71 + "…09ecb6eb"),
    ],
)
def test_key_paths(path, shown):
    assert key_path(path) == shown


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("treshold", "did you mean `threshold`?"),
        ("max-drop", "did you mean `max_drop`?"),
        ("zzz", ""),
        ("z" * 200_000, ""),
    ],
)
def test_suggestions(word, expected):
    assert suggestion(word, {"threshold", "max_drop", "max_rise"}) == expected


# --- any input -----------------------------------------------------------------------------------


@given(st.text("0123456789_.:-+eExob", min_size=1, max_size=8))
def test_a_scalar_is_never_read_as_another_number_than_yaml_reads(scalar):
    try:
        ours = parse(f"a: {scalar}\n".encode(), "f").data
        theirs = yaml.safe_load(f"a: {scalar}\n")
    except (ConfigError, ValueError):
        return  # refused by us, or a date that PyYAML cannot make
    if isinstance(theirs["a"], int | float):
        assert ours == theirs
        assert math.isfinite(theirs["a"])
