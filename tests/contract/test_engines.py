"""The same rows as a file through DuckDB and as a frame in memory: the same answers and verdicts.

Counts, codes, digests, blocks, masks, verdicts and ids are equal; numbers to 1e-12 of their size.
"""

# ruff: noqa: DTZ001  (timestamps without a zone are among the things that are read)
from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.assemble import Reference, assemble
from gates.baselines.registry import open_store
from gates.config import Config
from gates.decide import settle
from gates.errors import InputError
from gates.evidence import Comparison, Source
from gates.register import Candidate, register
from gates.report import PolicyInfo, RunInfo
from gates.runner import Run, question, run
from gates.tables import Budget, Engine, Kind
from gates.where import parse

TOLERANCE = 1e-12

# --- how a frame may hold the rows of a file ------------------------------------------------------


def as_numpy(table):
    """A frame as most people have it: a whole number beside a missing one becomes a float."""
    return table.to_pandas()


def as_arrow_dtypes(table):
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def as_nullable(table):
    return table.to_pandas().convert_dtypes()


def as_arrow(table):
    return table


FRAMES = [as_numpy, as_arrow_dtypes, as_nullable, as_arrow]
EXACT = [as_arrow_dtypes, as_arrow]


@pytest.fixture
def both(tmp_path):
    """Return the same rows twice: written and read by DuckDB, and as a frame in memory."""
    engines = []

    def make(table, as_frame=as_numpy, name="rows"):
        path, apart = tmp_path / f"{name}.parquet", tmp_path / "memory" / f"{name}.parquet"
        pq.write_table(table, path)
        engines.append(Engine(frames={apart: as_frame(table)}))
        return engines[-1].open(path), engines[-1].open(apart)

    yield make
    for engine in engines:
        engine.__exit__()


def alike(one, other):
    """Hold two values, however nested, against each other: numbers to a tolerance, all else equal."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            alike(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            alike(left, right)
    elif isinstance(one, float) and isinstance(other, float):
        assert one == pytest.approx(other, rel=TOLERANCE, abs=0, nan_ok=True)
    else:
        assert type(one) is type(other)
        assert one == other


def assert_same_answers(file, frame, *, kinds=True):
    """Ask two tables everything that a gate may ask."""
    assert (frame.rows, frame.columns) == (file.rows, file.columns)
    if kinds:
        assert frame.kinds == file.kinds
    for name in file.columns:
        assert outcome(frame, lambda t, c=name: t.digest([c])) == outcome(
            file, lambda t, c=name: t.digest([c])
        )
        for ask in (
            lambda t, c=name: t.text(c).tolist(),
            lambda t, c=name: [part if i else part.tolist() for i, part in enumerate(t.codes(c))],
            lambda t, c=name: t.blocks(c, 997).tolist(),
        ):
            assert outcome(frame, ask) == outcome(file, ask)
        numeric = {file.kinds[name], frame.kinds[name]} <= {Kind.INTEGER, Kind.NUMBER}
        if numeric and kinds:
            alike(
                outcome(file, lambda t, c=name: t.numbers(c).tolist()),
                outcome(frame, lambda t, c=name: t.numbers(c).tolist()),
            )
    usable = [name for name in file.columns if file.kinds[name] is not Kind.OTHER]
    if usable:
        assert frame.digest(usable) == file.digest(usable)
    if kinds:
        assert_same_profiles(profiles(file), profiles(frame))
    if kinds and usable:
        pd.testing.assert_frame_equal(frame.pandas(usable), file.pandas(usable))


def outcome(table, ask):
    """Return an answer, or the refusal in its words but for the file's name."""
    try:
        return ask(table)
    except InputError as error:
        return error.message, error.hint


def assert_same_profiles(one, other):
    """A profile keeps 12 digits, so the last one may go either way; a mean is as exact as its sum."""
    for left, right in zip(one.values(), other.values(), strict=True):
        size = max(abs(left["low"] or 0), abs(left["high"] or 0))
        for name in ("low", "high", "mean"):
            pair = left.pop(name), right.pop(name)
            allowed = 2e-11 * (size if name == "mean" else abs(pair[0] or 0))
            assert pair == (None, None) or pair[0] == pytest.approx(pair[1], rel=0, abs=allowed)
    alike(one, other)


def profiles(table):
    return {name: column.model_dump() for name, column in table.describe().items()}


# --- values ---------------------------------------------------------------------------------------

DOUBLES = [0.0, -0.0, 0.1, 1e-5, 1e-4, 123456.75, 1e15, 1e16, 1e22, 1e37, 1e38, 1e39, 1.7e308, 5e-324,
           2.0**53, 2.0**53 + 2, 4503599627370495.5, float("nan"), float("inf"), float("-inf"), None]  # fmt: skip
TEXTS = ["", " ", "a", "A", "süd", "su\u0308d", "日本", "🙂", "\U0010ffff", "\uffff", "1", "1.0", "NaN",
         "null", "a\nb", "a\tb", "'\"", "\x01", "x" * 300, None]  # fmt: skip
COLUMNS = {
    "double": pa.array(DOUBLES, pa.float64()),
    "sums that overflow": pa.array([1.7e308, 1.7e308, 1.6e308]),
    "float": pa.array([0.1, -0.0, float("nan"), None, 16777217.0, 1e-40], pa.float32()),
    "int8": pa.array([-128, 127, 0, None], pa.int8()),
    "int64": pa.array([-(2**63), 2**63 - 1, 2**53 + 1, 0], pa.int64()),
    "int64 or none": pa.array([-(2**53), 2**53, None], pa.int64()),
    "uint8": pa.array([0, 255], pa.uint8()),
    "uint64": pa.array([0, 2**63, 2**64 - 1], pa.uint64()),
    "uint64, small": pa.array([0, 2**62], pa.uint64()),
    "text": pa.array(TEXTS, pa.string()),
    "large text": pa.array(TEXTS, pa.large_string()),
    "category": pa.array(["b", "a", None, "b"]).dictionary_encode(),
    "boolean": pa.array([True, False], pa.bool_()),
    "boolean or none": pa.array([True, None, False], pa.bool_()),
    "date": pa.array([dt.date(1, 1, 1), dt.date(1969, 12, 31), dt.date(9999, 12, 31), None]),
    "seconds": pa.array([dt.datetime(1960, 2, 29, 1, 2, 3), None], pa.timestamp("s")),
    "moment": pa.array(
        [dt.datetime(2024, 5, 1), dt.datetime(2024, 5, 1, 8, 30, 0, 1000), dt.datetime(1, 1, 1, 1), None],
        pa.timestamp("us"),
    ),
    "nanoseconds": pa.array([1, 499, 500, 2500, -1, -499, -500, -2500, 86_400 * 10**9], pa.timestamp("ns")),
    "nanoseconds in a zone": pa.array([1, 500, 1500, -500, -1500, None], pa.timestamp("ns", "UTC")),
    "in a zone": pa.array([dt.datetime(2024, 5, 1, 22), None], pa.timestamp("us", "Asia/Tokyo")),
    "decimal": pa.array(
        [Decimal("1.50"), Decimal("0.10"), Decimal("-0.00"), Decimal("39.00"), None], pa.decimal128(9, 2)
    ),
    "long decimal": pa.array(
        [Decimal("12345678901234567890.123456789012345678"), Decimal("0.000000000000000001"),
         Decimal("90071992547409.93"), Decimal(-99999999999999999999), Decimal("0.1")], pa.decimal128(38, 18)
    ),
    "whole decimal": pa.array([Decimal(10**38 - 1), Decimal(2**64), Decimal(-7)], pa.decimal128(38, 0)),
    "only fractions": pa.array(
        [Decimal("0.500000000"), Decimal("-1e-9"), Decimal("0.123456789")], pa.decimal128(9, 9)
    ),
    "nothing": pa.array([None, None], pa.null()),
    "lists": pa.array([[1], None, []], pa.list_(pa.int64())),
    "bytes": pa.array([b"a", None], pa.binary()),
}  # fmt: skip


@pytest.mark.parametrize("as_frame", FRAMES)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_has_the_same_answers(both, name, as_frame):
    file, frame = both(pa.table({"x": COLUMNS[name]}), as_frame)
    # What a frame's types cannot tell apart, it cannot tell: the texts of the values agree still.
    kept = as_frame in EXACT or file.kinds == frame.kinds
    if file.kinds["x"] is Kind.OTHER or kept:
        assert_same_answers(file, frame, kinds=kept)
    else:
        assert frame.digest(["x"]) == file.digest(["x"])
        assert frame.text("x").tolist() == file.text("x").tolist()


NEWER = ("lists", "bytes", "only fractions", "sums that overflow")
GOLDEN = "sha256:672ef5860d3b2784e566214511504dd4c8379918aef77e84be2766b8a53e7bc5"


def test_the_digest_of_a_registered_baseline_stays_what_it_was(both):
    """Whatever makes reading faster: another digest would make every baseline one of other data."""
    usable = {name: column for name, column in COLUMNS.items() if name not in NEWER}
    rows = [
        column.take(pa.array([i % len(column) for i in range(50)])) for column in usable.values()
    ]
    for table in both(pa.table(rows, list(usable)), as_arrow):
        assert table.digest(list(usable)) == GOLDEN


def test_many_rows_of_one_row_group_are_hashed_in_shares(both):
    """A share is neither lost nor counted twice."""
    for rows in (20_000, 20_001, 50_001):
        file, frame = both(
            pa.table({"x": range(rows), "y": [str(i) for i in range(rows)]}), as_arrow
        )
        assert file.digest(["x", "y"]) == frame.digest(["x", "y"])
    taken = pa.table({"FILE_row_number": range(30_000)})
    file, frame = both(taken, as_arrow)
    assert file.digest(taken.column_names) == frame.digest(taken.column_names)


def test_what_the_types_of_pandas_cannot_tell(both):
    """Whole numbers beside a missing one are floats: another kind, the same texts and numbers."""
    table = pa.table({"x": pa.array([1, None, 3], pa.int64())})
    file, frame = both(table, as_numpy)
    assert (file.kinds["x"], frame.kinds["x"]) == (Kind.INTEGER, Kind.NUMBER)
    assert file.text("x").tolist() == frame.text("x").tolist() == ["1", None, "3"]
    np.testing.assert_array_equal(file.numbers("x"), frame.numbers("x"))
    assert file.digest(["x"]) == frame.digest(["x"])
    _, nullable = both(table, as_nullable)
    assert nullable.kinds["x"] is Kind.INTEGER


WIDE = st.integers(-(2**63), 2**63 - 1)
ANY_DOUBLE = st.floats(allow_nan=True, allow_infinity=True)
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))
EXACTLY = st.decimals(-(10**20) + 1, 10**20 - 1, allow_nan=False, places=18)
FINELY = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda i: Decimal(f"{i}e-30"))
HOSTILE = {
    "double": (ANY_DOUBLE, pa.float64()),
    "float": (st.floats(width=32), pa.float32()),
    "wide": (WIDE, pa.int64()),
    "unsigned": (st.integers(0, 2**64 - 1), pa.uint64()),
    "text": (ANY_TEXT, pa.string()),
    "truth": (st.booleans(), pa.bool_()),
    "date": (st.dates(), pa.date32()),
    "moment": (MOMENTS, pa.timestamp("us")),
    "nanoseconds": (WIDE.filter(lambda i: abs(i) < 2**62), pa.timestamp("ns")),
    "decimal": (EXACTLY, pa.decimal128(38, 18)),
    "fine decimal": (FINELY, pa.decimal128(38, 30)),
}


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 8))
    names = draw(st.lists(st.sampled_from(list(HOSTILE)), min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        values, type_ = HOSTILE[name]
        column = draw(st.lists(st.none() | values, min_size=rows, max_size=rows))
        columns[name] = pa.array(column, type_)
    return pa.table(columns)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables(), as_frame=st.sampled_from(EXACT))
def test_hostile_values_have_the_same_answers(both, table, as_frame):
    file, frame = both(table, as_frame)
    assert_same_answers(file, frame)


CONDITIONS = [
    "n == 3", "n != 3", "not n == 3", "n is None", "n is not None", "n > 1.5", "n in (1, 3)", "n not in (1, 3)",
    "x < 0", "x >= 0", "not (x < 0)", "x == x2", "x != x2", "n == x", "n <= x", "n > 1 and x > 0", "n > 1 or x > 0",
    "not (n > 1 or x > 0)", "s == 'a'", "s != 'a'", "s in ('a', '')", "s not in ('a', '')", "s < 'b'", "s is None", "b",
    "not b", "b == True", "b != b2", "d >= '2024-02-01'", "d == '2024-01-31'", "t < '2024-05-01T08:30:00Z'",
    "t == '2024-05-01'", "d < t", "m > 1.5", "m == 2", "m < n", "m == m", "u > 5", "u > n", "u > x",
]  # fmt: skip
HOLES = pa.table(
    {
        "n": pa.array([1, 2, 3, None, 3, -3], pa.int64()),
        "x": pa.array([1.0, -0.0, float("nan"), None, float("inf"), -3.0], pa.float64()),
        "x2": pa.array([1.0, 0.0, 3.0, None, None, float("nan")], pa.float64()),
        "s": pa.array(["a", "", None, "b", "A", "a"], pa.string()),
        "b": pa.array([True, False, None, True, False, None], pa.bool_()),
        "b2": pa.array([True, True, None, None, False, False], pa.bool_()),
        "d": pa.array([dt.date(2024, 1, 31), None, *[dt.date(2024, 5, i) for i in range(1, 5)]]),
        "t": pa.array(
            [None, *[dt.datetime(2024, 5, 1, h, 30) for h in (0, 8, 9, 12)], dt.datetime(2024, 5, 1)],
            pa.timestamp("us"),
        ),
        "m": pa.array([Decimal("1.50"), Decimal("2.00"), None, *map(Decimal, "123")], pa.decimal128(9, 2)),
        "u": pa.array([0, 5, 6, None, 2**63, 2**64 - 1], pa.uint64()),
    }
)  # fmt: skip


@pytest.mark.parametrize("as_frame", FRAMES)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_holds_for_the_same_rows(both, condition, as_frame):
    file, frame = both(HOLES, as_frame)
    ask = lambda table: table.mask(parse(condition)).tolist()  # noqa: E731
    if as_frame is as_numpy and condition.startswith("u") and file.kinds != frame.kinds:
        return  # a whole number of 64 bits beside a missing one: no float is as long
    assert ask(frame) == ask(file)


CHECKS = [
    lambda t: t.numbers("s"),
    lambda t: t.numbers("big"),
    lambda t: t.numbers("d"),
    lambda t: t.codes("s", limit=2),
    lambda t: t.require_present("s", "labels"),
    lambda t: t.require_present("x", "scores"),
    lambda t: t.require_between("x", 0, 1, "scores"),
    lambda t: t.require_columns(["nope"], "anything"),
    lambda t: t.blocks("s", 5),
    lambda t: t.text("l"),
    lambda t: t.mask(parse("s > 3")),
    lambda t: t.describe(["nope"]),
]


@pytest.mark.parametrize("check", CHECKS, ids=map(str, range(len(CHECKS))))
def test_what_is_refused_is_refused_in_the_same_words(both, check):
    table = pa.table(
        {
            "s": ["a", None, "c", "d"],
            "x": [0.5, float("nan"), 1.5, -1.0],
            "big": [1, 2**53 + 1, 3, 4],
            "d": [dt.date(2024, 1, 1)] * 4,
            "l": [[1]] * 4,
        }
    )
    told = []
    for one in both(table, as_arrow):
        with pytest.raises(InputError) as caught:
            check(one)
        error = caught.value
        told.append((error.message, error.hint, error.details, error.where.replace("/memory", "")))
    assert told[0] == told[1]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_every_answer_is_in_the_order_of_the_file(tmp_path, suffix):
    """A joined row is put together from answers that were asked for one by one."""
    rows = 200_000
    x = np.random.default_rng(3).permutation(rows)
    table = pa.table({"x": x, "half": x / 2, "s": [f"k{i % 1000:03}" for i in x], "b": x % 2 == 0})
    path = tmp_path / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=3_000)
    elif suffix == "arrow":
        pf.write_feather(table, str(path), chunksize=3_000)
    else:
        pc.write_csv(table, path)
    with Engine() as engine:
        found = engine.open(path)
        for each in (found, found.kept()):
            np.testing.assert_array_equal(each.numbers("half"), x / 2)
            np.testing.assert_array_equal(each.codes("s")[0], x % 1000)
            np.testing.assert_array_equal(each.mask(parse("x < 1000")), x < 1000)
            assert each.text("x").tolist() == [str(i) for i in x]
        joined = engine.pair(
            found.select(["x", "half", "s"]),
            found,
            left_id="x",
            right_id="x",
            columns={"even": "b"},
        )
        ids = joined.numbers("x").astype(int)
        np.testing.assert_array_equal(joined.numbers("half"), ids / 2)
        np.testing.assert_array_equal(joined.codes("s")[0], ids % 1000)
        np.testing.assert_array_equal(joined.numbers("even"), ids % 2 == 0)


# --- pairs ----------------------------------------------------------------------------------------

IDS = {
    "whole": pa.array(range(40), pa.int64()),
    "negative": pa.array(range(-20, 20), pa.int32()),
    "unsigned": pa.array([2**63 + i for i in range(40)], pa.uint64()),
    "texts": pa.array([f"ü{i}" for i in range(40)]),
    "numerals": pa.array([str(i) for i in range(40)]),
    "floats": pa.array([i / 4 for i in range(40)]),
    "dates": pa.array([dt.date(2024, 1, 1) + dt.timedelta(i) for i in range(40)]),
    "moments": pa.array([dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(40)]),
    "uuids": pa.array([str(uuid.UUID(int=i * 10**30)) for i in range(40)]),
    "decimals": pa.array([Decimal(i) / 10 for i in range(40)]),
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("sides", ["file, file", "frame, frame", "file, frame", "frame, file"])
def test_rows_pair_alike_whatever_engine_holds_them(both, kind, sides):
    chance = np.random.default_rng(7)
    order = pa.array(chance.permutation(40))
    left = both(pa.table({"id": IDS[kind], "x": range(40)}), name="left")
    right = both(pa.table({"key": IDS[kind].take(order), "p": order}), name="right")
    one, two = (
        pair[side == "frame"] for pair, side in zip((left, right), sides.split(", "), strict=True)
    )
    with Engine() as engine:
        joined = engine.pair(one, two, left_id="id", right_id="key", columns={"out": "p"})
        ids = joined.text("id").tolist()
        assert ids == sorted(ids)
        assert joined.numbers("out").tolist() == joined.numbers("x").tolist()
        again = engine.ordered(two, id="key")
        assert again.text("key").tolist() == ids
        twice = engine.pair(joined, again, left_id="id", right_id="key", columns={"more": "p"})
        assert twice.numbers("more").tolist() == joined.numbers("x").tolist()
        other = engine.pair(again, joined, left_id="p", right_id="x", columns={"name": "id"})
        assert other.numbers("p").tolist() == sorted(range(40), key=str)
        assert other.text("name").tolist() == other.text("key").tolist()
        with pytest.raises(InputError, match="`x` and `p` are of two files"):
            joined.mask(parse("x == out"))
        np.testing.assert_array_equal(
            joined.blocks("id", 100), left[0].blocks("id", 100)[joined.numbers("x").astype(int)]
        )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["a", "b", "b"], ["a", "b", "c"]),
        (["a", "b", None], ["a", "b", "c"]),
        (["a", "b", "c"], ["a", "b", "b"]),
        (["a", "b", "c"], ["a", "c", "d"]),
        (["7", "8"], ["7.0", "8.0"]),
        (["007", "08"], ["7", "8"]),
        (["K7", "Ü8"], ["k7", "ü8"]),
        ([" K7", "K8"], ["K7", "K8"]),
        ([1.0, 2.0**53], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.0**53]),
        ([1, 2], ["1", "3"]),
    ],
)  # fmt: skip
def test_ids_that_do_not_pair_are_refused_in_the_same_words(both, left, right):
    one = both(pa.table({"id": left, "x": range(len(left))}), name="left")
    two = both(pa.table({"id": right, "p": range(len(right))}), name="right")
    told = []
    with Engine() as engine:
        for sides in zip(one, two, strict=True):
            with pytest.raises(InputError) as caught:
                engine.pair(*sides, left_id="id", right_id="id", columns={"out": "p"})
            told.append(
                [
                    str(part).replace("/memory", "")
                    for part in (caught.value.message, caught.value.where, caught.value.hint)
                ]
            )
    assert told[0] == told[1]


# --- frames that are refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": []}), "the table has 0 rows"),
        (pd.DataFrame({"a": [1, "SECRET"]}), "column `a` mixes types"),
        (pd.DataFrame({"a": [object()]}), "column `a` mixes types"),
        (pd.DataFrame({"a": [2**70]}, dtype=object), "column `a` mixes types"),
        (pd.DataFrame({"a": ["\ud800"]}, dtype=object), "column `a` mixes types"),
        (pd.DataFrame({3: [1]}), "a column's name is no text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called `a`"),
        (pd.DataFrame({"a": range(11)}), "over the budget of 10"),
    ],
    ids=map(str, range(8)),
)  # fmt: skip
def test_frames_that_could_stand_in_no_file_are_refused(frame, message):
    with (
        Engine(Budget(rows=10), frames={Path("f"): frame}) as engine,
        pytest.raises(InputError) as caught,
    ):
        engine.open(Path("f"))
    assert message in caught.value.message
    assert caught.value.where == "f"
    assert "SECRET" not in str(caught.value)


def test_long_texts_of_a_frame_are_refused_when_they_are_read():
    frame = pd.DataFrame({"id": ["a", "b", "c"], "s": ["x" * 40, "y" * 50, None]})
    for budget, message in (
        (Budget(cell=49), "a cell of 50 bytes"),
        (Budget(memory=89), "the memory budget"),
    ):
        with Engine(budget, frames={Path("f"): frame}) as engine:
            table = engine.open(Path("f"))
            assert table.text("id").tolist() == ["a", "b", "c"]
            with pytest.raises(InputError, match=message):
                table.codes("s")


def test_the_index_of_a_frame_is_no_column():
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="id"))
    with Engine(frames={Path("f"): frame[::-1]}) as engine:
        table = engine.open(Path("f"))
        assert table.columns == ("a",)
        assert table.text("a").tolist() == ["2", "1"]


def test_any_frame_that_narwhals_knows_will_do():
    held = nw.from_native(pa.table({"a": [1]}), eager_only=True)
    with Engine(frames={Path("f"): held}) as engine:
        assert engine.open(Path("f")).numbers("a").tolist() == [1.0]


# --- whole gates ----------------------------------------------------------------------------------

ROWS = 600
GATES = {
    "binary": {
        "performance": {
            "metrics": {"recall": {"min": 0.1, "max_drop": 0.02}, "roc_auc": {"max_drop": 0.01}, "log_loss": {"max_rise": 0.1}},
            "slices": ["region", ["region", "sex"], {"name": "young", "where": "age < 40"},
                       {"name": "unknown", "where": "region is None or not sex == 'f'"}],
        },
        "fairness": {
            "sensitive": ["sex", ["region", "sex"]], "min_group": 5,
            "metrics": {"demographic_parity_difference": {"max": 0.9, "max_rise": 0.01}, "recall": {"max_drop_any_group": 0.05}},
        },
        "data-schema": {"columns": {"age": {"min": 20, "nullable": False}, "region": {"in": ["north", "süd"]}}, "infer": "baseline"},
        "drift": {"columns": {"age": {"psi": {"max": 0.1}, "ks": {"max": 0.1}}, "income": {"wasserstein": {"max": 0.3}},
                              "region": {}, "on": {"cramers_v": {"max": 0.2}}}, "score": {"wasserstein": {"max": 0.2}}, "prediction": {}},
    },
    "multiclass": {
        "drift": {"columns": {"region": {}}, "prediction": {"total_variation": {"max": 0.2}}},
        "performance": {"metrics": {"accuracy": {"max_drop": 0.02}, "log_loss": {"max_rise": 0.01}}, "slices": ["region", "on"]},
        "fairness": {"sensitive": ["sex"], "min_group": 5, "metrics": {"accuracy": {"max_drop_any_group": 0.02}}},
    },
    "regression": {
        "drift": {"columns": {"sex": {}}, "prediction": {"ks": {"max": 0.2}}},
        "performance": {"metrics": {"rmse": {"max_rise": 0.02}, "mae": {"max": 5.0}}, "slices": ["sex", {"name": "late", "where": "day >= '2024-02-01'"}]},
    },
}  # fmt: skip


def evaluation(task, ids):
    chance = np.random.default_rng(11)
    rows = len(ids)
    hidden = chance.normal(0, 1, rows)
    labels = {
        "binary": hidden > 0,
        "multiclass": np.array(["a", "b", "ç"])[np.digitize(hidden, [-0.5, 0.5])],
        "regression": hidden,
    }
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 60, rows), unit="D")
    frame = pd.DataFrame(
        {
            "id": ids,
            "label": labels[task],
            "age": chance.integers(18, 80, rows),
            "income": np.where(chance.random(rows) < 0.1, np.nan, chance.normal(0, 1, rows)),
            "region": np.where(
                chance.random(rows) < 0.1, None, chance.choice(["north", "süd"], rows)
            ),
            "sex": chance.choice(["f", "m"], rows),
            "on": chance.random(rows) < 0.5,
            "day": days,
            "customer": chance.integers(0, rows // 4, rows),
        }
    )
    return frame, hidden


def outputs(task, frame, hidden, noise):
    chance = np.random.default_rng(int(100 * noise))
    seen = hidden + chance.normal(0, noise, len(hidden))
    if task == "regression":
        return pd.DataFrame({"id": frame["id"], "prediction": seen})
    if task == "binary":
        return pd.DataFrame({"id": frame["id"], "score": 1 / (1 + np.exp(-2 * seen))})
    odds = np.exp(-np.abs(seen[:, None] - np.array([-1.0, 0.0, 1.0])))
    scores = odds / odds.sum(axis=1, keepdims=True)
    return pd.DataFrame(
        {"id": frame["id"], **{f"score_{c}": scores[:, i] for i, c in enumerate("abç")}}
    )


NAMES = {
    "whole": lambda i: i,
    "texts": lambda i: f"k{i}",
    "dates": lambda i: pd.Timestamp("2000-01-01") + pd.Timedelta(days=i),
}


def judged(task, cluster, tables, root, frames):
    """Return what all gates of a task say, settled."""
    model = {
        "task": task,
        "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "label"}
        | ({"positive": True} if task == "binary" else {})
        | ({"cluster": "customer"} if cluster else {}),
        "candidate": {"predictions": "candidate.parquet"},
        "gates": GATES[task],
    }
    config = Config.model_validate({"version": 1, "models": {"m": model}})
    store = open_store("baselines", "m", start=root)
    if not store.versions():
        new = Candidate(
            predictions=Source(path=root / "baseline.parquet"),
            artifact=None, alias="champion", by="ana", at="2026-01-02T03:04:05Z", git_sha=None,
        )  # fmt: skip
        register(config, "m", store, root, new)
    found = store.find("champion")
    model = config.models["m"]
    held = {root / f"{name}.parquet": tables[name] for name in ("evaluation", "candidate")}
    if frames:
        held[found.kept] = pd.read_parquet(found.kept)
    with Engine(frames=held if frames else None) as engine:
        asked = question(config, model, root, model.candidate.fetch(root))
        reference = Reference(record=found.record, predictions=Source(path=found.kept, id="id"))
        evidence = assemble(engine, asked, reference)
        assert evidence.comparison is Comparison.PAIRED
        gates = model.gates.configured().items()
        facts = [evidence.candidate_digest, evidence.hashes.tolist(), evidence.notes]
        return [
            facts,
            {name: settle(gate.judge(evidence)).model_dump(mode="python") for name, gate in gates},
        ]


@pytest.mark.parametrize("cluster", [False, True], ids=["rows", "clusters"])
@pytest.mark.parametrize(
    ("task", "ids"),
    [("binary", "whole"), ("multiclass", "texts"), ("regression", "dates")],
)
def test_whole_gates_say_the_same(tmp_path, task, ids, cluster):
    frame, hidden = evaluation(task, [NAMES[ids](i) for i in range(ROWS)])
    tables = {"evaluation": frame}
    for name, noise in (("baseline", 0.5), ("candidate", 0.75)):
        tables[name] = outputs(task, frame, hidden, noise).sample(frac=1, random_state=3)
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    one = judged(task, cluster, tables, tmp_path, frames=False)
    other = judged(task, cluster, tables, tmp_path, frames=True)
    alike(one, other)
    verdicts = {check["verdict"] for gate in one[1].values() for check in gate["checks"]}
    assert len(verdicts) > 1, "a comparison in which everything passes would show little"
    # 150 customers in 600 rows: said by both engines, unless the configuration knows.
    assert any("`customer` has" in note for note in one[0][-1]) is not cluster


def test_a_run_judges_frames_that_stand_for_files(tmp_path):
    frame, hidden = evaluation("regression", range(ROWS))
    tables = {"evaluation": frame, "candidate": outputs("regression", frame, hidden, 0.75)}
    model = {
        "task": "regression",
        "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "label"},
        "candidate": {"predictions": "candidate.parquet"},
        "gates": {"performance": {"metrics": {"rmse": {"max": 0.5}, "mae": {"max": 9.0}}}},
    }
    asked = Run(
        config=Config.model_validate({"version": 1, "models": {"m": model}}),
        root=tmp_path,
        policy=PolicyInfo(digest="sha256:" + "0" * 64),
        info=RunInfo(started="2026-01-01T00:00:00+00:00"),
        progress=lambda *_: None,
        on_crash=lambda error: pytest.fail(str(error)),
        frames={f"{name}.parquet": table for name, table in tables.items()},
    )
    (of_frames,) = run(asked).models
    assert [check.verdict for check in of_frames.gates[0].checks] == ["fail", "pass"]
    for name, table in tables.items():
        table.to_parquet(tmp_path / f"{name}.parquet")
    (of_files,) = run(replace(asked, frames={})).models
    alike(of_frames.model_dump(), of_files.model_dump())
