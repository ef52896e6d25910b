"""Opening, pairing and reading tables: every format alike, and every bad file refused with words."""

# ruff: noqa: DTZ001  (timestamps without a zone are among the things that are read)
from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from decimal import Decimal

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.feather as pf
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.errors import EnvironmentFault, InputError
from gates.tables import Budget, Engine, Kind
from gates.tables.csv_files import csv_error
from gates.tables.duck import _fault
from gates.where import parse

SECRET = "SECRET-4711"  # noqa: S105  (stands for a value of a row, which no error may show)
ROWS = [
    {
        "id": i,
        "region": [None, "north", "", "NA", "süd"][i % 5],
        "age": 39 + i,
        "score": i / 7,
        "tiny": 10.0**-i,
        "whole": float(-i),
        "ok": i % 2 == 0,
        "day": dt.date(2024, 1, 1 + i),
        "at": dt.datetime(2024, 5, 1, i, 30, 0, 1000 * i),
    }
    for i in range(12)
]
FORMATS = ("parquet", "arrow", "csv", "tsv", "jsonl")


@pytest.fixture
def engine():
    with Engine() as opened:
        yield opened


def plain(value):
    return value.isoformat() if isinstance(value, dt.date) else value


def delimited(rows, delimiter=","):
    def field(value):
        if value is None:
            return ""
        text = str(plain(value))
        return (
            f'"{text.replace(chr(34), chr(34) * 2)}"'
            if set(text) & set(f'\n"{delimiter}') or not text
            else text
        )

    lines = [rows[0].keys(), *(row.values() for row in rows)]
    return "".join(delimiter.join(field(value) for value in line) + "\n" for line in lines).encode()


def json_lines(rows):
    return "".join(
        json.dumps({k: plain(v) for k, v in row.items()}) + "\n" for row in rows
    ).encode()


def parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), sink, **options)
    return sink.getvalue()


def arrow(table, **options):
    sink = io.BytesIO()
    pf.write_feather(table if isinstance(table, pa.Table) else pa.table(table), sink, **options)
    return sink.getvalue()


def content(rows, suffix):
    if suffix == "csv":
        return delimited(rows)
    if suffix == "tsv":
        return delimited(rows, "\t")
    if suffix == "jsonl":
        return json_lines(rows)
    return (parquet if suffix == "parquet" else arrow)(pa.Table.from_pylist(rows))


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture
def opened(engine, tmp_path):
    def make(data, name="t.csv", **options):
        data = data.encode() if isinstance(data, str) else data
        return engine.open(write(tmp_path, name, data), **options)

    return make


# --- every format alike ---------------------------------------------------------------------------


@pytest.fixture(params=FORMATS)
def table(request, engine, tmp_path):
    return engine.open(write(tmp_path, f"t.{request.param}", content(ROWS, request.param)))


def test_kinds_and_numbers_are_the_same_in_every_format(table):
    assert table.rows == 12
    assert table.columns == tuple(ROWS[0])
    assert table.kinds == {
        "id": Kind.INTEGER,
        "region": Kind.TEXT,
        "age": Kind.INTEGER,
        "score": Kind.NUMBER,
        "tiny": Kind.NUMBER,
        "whole": Kind.NUMBER,
        "ok": Kind.BOOLEAN,
        "day": Kind.TEMPORAL,
        "at": Kind.TEMPORAL,
    }
    np.testing.assert_array_equal(table.numbers("score"), [row["score"] for row in ROWS])
    np.testing.assert_array_equal(table.numbers("ok"), [row["ok"] for row in ROWS])
    assert table.numbers("age").tolist() == [row["age"] for row in ROWS]
    assert table.text("region").tolist() == [row["region"] for row in ROWS]
    assert table.text("whole").tolist()[:3] == ["0", "-1", "-2"]
    assert table.text("at")[1] == "2024-05-01T01:30:00.001000Z"


def test_codes_are_positions_in_the_sorted_texts(table):
    codes, names = table.codes("region")
    assert codes.dtype == np.int32
    assert names == ("", "NA", "north", "süd")
    assert codes.tolist() == [-1, 2, 0, 1, 3, -1, 2, 0, 1, 3, -1, 2]
    assert table.codes("ok")[1] == ("false", "true")
    with pytest.raises(InputError, match="`region` has 4 different values, over 3"):
        table.codes("region", limit=3)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("age < 41", {0, 1}),
        ("41 > age", {0, 1}),
        ("40 <= age < 42", {1, 2}),
        ("region == 'north'", {1, 6, 11}),
        ("region != 'north'", {2, 3, 4, 7, 8, 9}),
        ("not region == 'north'", {2, 3, 4, 7, 8, 9}),
        ("region in ('NA', '')", {2, 3, 7, 8}),
        ("region not in ('NA', '')", {1, 4, 6, 9, 11}),
        ("region is None", {0, 5, 10}),
        ("region is not None and age < 41", {1}),
        ("region == 'north' or age < 40", {0, 1, 6, 11}),
        ("ok and age < 42", {0, 2}),
        ("ok == False and age < 42", {1}),
        ("score > 1.5", {11}),
        ("whole in (-1, 0)", {0, 1}),
        ("whole < id", set(range(1, 12))),
        ("day >= '2024-01-11'", {10, 11}),
        ("at < '2024-05-01T03:30:01+02:00'", {0, 1}),
        ("age > 100", set()),
    ],
)
def test_masks(table, condition, expected):
    mask = table.mask(parse(condition))
    assert mask.dtype == np.bool_
    assert set(np.flatnonzero(mask)) == expected


def test_a_row_without_value_is_in_no_slice_nan_included(opened):
    table = opened("id,x,s\n1,nan,a\n2,,\n3,7,b\n")
    assert table.kinds["x"] is Kind.NUMBER
    for condition in ("x > 5", "x != 5", "not x < 5", "s != 'a'"):
        assert table.mask(parse(condition)).tolist() == [False, False, True]
    assert np.isnan(table.numbers("x")).tolist() == [True, True, False]
    assert table.describe()["x"].nulls == 2


def test_blocks_are_the_md5_of_the_text(table):
    blocks = table.blocks("id", 400)
    texts = [str(row["id"]).encode() for row in ROWS]
    assert blocks.tolist() == [int(hashlib.md5(t).hexdigest()[:15], 16) % 400 for t in texts]  # noqa: S324
    assert blocks.tolist()[:4] == [398, 248, 166, 223]
    with pytest.raises(InputError, match="3 rows have no value in `region`; the first is row 1"):
        table.blocks("region", 10)


def test_one_content_has_one_digest_whatever_holds_it(engine, tmp_path):
    ids = list(ROWS[0])
    digests = {
        engine.open(write(tmp_path, f"{order}.{suffix}", content(ROWS[::order], suffix))).digest(
            ids
        )
        for suffix in FORMATS
        for order in (1, -1)
    }
    other = pa.Table.from_pylist(ROWS).cast(
        pa.schema(
            [
                ("id", pa.decimal128(20, 0)),
                ("region", pa.large_string()),
                ("age", pa.float32()),
                ("score", pa.float64()),
                ("tiny", pa.float64()),
                ("whole", pa.int8()),
                ("ok", pa.bool_()),
                ("day", pa.timestamp("ms")),
                ("at", pa.timestamp("ns", "Europe/Berlin")),
            ]
        )
    )
    for name, data in (
        ("o.parquet", parquet(other)),
        ("o.feather", arrow(other, compression="zstd")),
    ):
        digests.add(engine.open(write(tmp_path, name, data)).digest(ids[::-1]))
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


def changed(**values):
    return [ROWS[0] | values, *ROWS[1:]]


@pytest.mark.parametrize(
    "rows",
    [
        changed(age=40),
        changed(score=1e-300),
        changed(region=""),
        changed(region="-"),
        changed(day=dt.date(2023, 1, 1)),
        changed(at=dt.datetime(2024, 5, 1, 0, 30, 0, 1)),
        [*ROWS, ROWS[0]],
        ROWS[1:],
        [{("alter" if k == "age" else k): v for k, v in row.items()} for row in ROWS],
        [row | {"score": row["tiny"], "tiny": row["score"]} for row in ROWS],
    ],
)
def test_another_content_has_another_digest(engine, tmp_path, rows):
    one = engine.open(write(tmp_path, "a.jsonl", json_lines(ROWS)))
    two = engine.open(write(tmp_path, "b.jsonl", json_lines(rows)))
    assert one.digest(one.columns) != two.digest(two.columns)


def test_neighbouring_texts_cannot_be_shifted(opened):
    one, two = opened('a,b\n"1:x",y\n', "a.csv"), opened('a,b\n1,":xy"\n', "b.csv")
    assert one.digest("ab") != two.digest("ab")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([0.0, -0.0, 39.0, 0.1, 1e-7, 1e20, 2.0**60, None, float("nan"), float("inf")]),
         ["0", "0", "39", "0.1", "1e-07", "100000000000000000000", "1152921504606846976", None, None, "inf"]),
        (pa.array([Decimal("39.00"), Decimal("0.10"), Decimal("-0.50"), Decimal("100.00")], pa.decimal128(5, 2)),
         ["39", "0.1", "-0.5", "100"]),
        (pa.array([Decimal("0.0000001000"), Decimal("1.0000000000000000000000001")], pa.decimal128(30, 28)),
         ["1e-07", "1.0000000000000000000000001"]),
        (pa.array([12345678901234567890123, 100], pa.decimal128(38, 0)), ["12345678901234567890123", "100"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([2**53 + 1], pa.int64()), ["9007199254740993"]),
        (pa.array(["b", "a", None]).dictionary_encode(), ["b", "a", None]),
        (pa.array([dt.time(10, 30)]), ["10:30:00"]),
        (pa.array([None, None]), [None, None]),
    ],
)  # fmt: skip
def test_canonical_texts(opened, values, texts):
    table = opened(parquet({"x": values}), "t.parquet")
    assert table.text("x").tolist() == texts


def test_codes_and_numbers_of_a_column_without_values(opened):
    table = opened("id,x\n1,\n2,\n")
    assert table.kinds["x"] is Kind.TEXT
    assert table.codes("x")[0].tolist() == [-1, -1]
    assert table.codes("x")[1] == ()


def test_many_categories_keep_the_order_of_rows(opened):
    values = np.random.default_rng(7).permutation(50_000)
    table = opened(parquet({"x": values}), "t.parquet")
    codes, names = table.codes("x")
    assert [names[code] for code in codes[:100]] == [str(value) for value in values[:100]]
    assert list(names) == sorted(names)


def test_sha256_is_of_the_bytes(opened):
    assert opened(b"a\n1\n").sha256 == "sha256:" + hashlib.sha256(b"a\n1\n").hexdigest()


# --- what text columns are taken for --------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind", "texts"),
    [
        (["1", "-2", "", "0"], Kind.INTEGER, ["1", "-2", None, "0"]),
        (["1", "2.5", "-.5", "3."], Kind.NUMBER, ["1", "2.5", "-0.5", "3"]),
        (["1", "1e3", "1E-7", "-inf"], Kind.NUMBER, ["1", "1000", "1e-07", "-inf"]),
        (["0.5", "NaN"], Kind.NUMBER, ["0.5", None]),
        (["9223372036854775807"], Kind.INTEGER, ["9223372036854775807"]),
        (["1", "12345678901234567890123"], Kind.TEXT, ["1", "12345678901234567890123"]),
        (["1.5", "9007199254740993"], Kind.TEXT, ["1.5", "9007199254740993"]),
        (["007", "8"], Kind.TEXT, ["007", "8"]),
        (["+49170", "1"], Kind.TEXT, ["+49170", "1"]),
        ([" 1", "2"], Kind.TEXT, [" 1", "2"]),
        (["1", "0", "yes"], Kind.TEXT, ["1", "0", "yes"]),
        (["NA", "null", "None"], Kind.TEXT, ["NA", "null", "None"]),
        (["true", "False", "TRUE"], Kind.BOOLEAN, ["true", "false", "true"]),
        (["2024-02-29", "2023-01-01"], Kind.TEMPORAL, ["2024-02-29", "2023-01-01"]),
        (["2024-02-30", "2023-01-01"], Kind.TEXT, ["2024-02-30", "2023-01-01"]),
        (["29.02.2024"], Kind.TEXT, ["29.02.2024"]),
        (["2024-01-01T10:00:00+02:00", "2024-01-01 08:00"], Kind.TEMPORAL, ["2024-01-01T08:00:00.000000Z"] * 2),
        (['""', "a"], Kind.TEXT, ["", "a"]),
        (['""', "1"], Kind.INTEGER, [None, "1"]),
        (['""', ""], Kind.TEXT, ["", None]),
        (['"say ""hi"", you\nthere"'], Kind.TEXT, ['say "hi", you\nthere']),
        (["0x1F", "1_000"], Kind.TEXT, ["0x1F", "1_000"]),
    ],
)  # fmt: skip
def test_kinds_of_text(opened, cells, kind, texts):
    table = opened("n,x\n" + "".join(f"1,{cell}\n" for cell in cells))
    assert table.kinds["x"] is kind
    assert table.text("x").tolist() == texts


def test_a_value_at_the_very_end_decides_the_kind(opened):
    table = opened("x\n" + "1\n" * 60_000 + "late\n")
    assert table.kinds["x"] is Kind.TEXT
    with pytest.raises(
        InputError, match=r"1 row has text that is no number in `x`; the first is row 60,001"
    ):
        table.numbers("x")


def test_columns_named_as_text_stay_as_written(opened):
    table = opened("id,y\n1.0,1.0\n2.0,2.0\n", text=("id", "not there"))
    assert table.text("id").tolist() == ["1.0", "2.0"]
    assert table.text("y").tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([1, 2, None], Kind.INTEGER, ["1", "2", None]),
        ([1, 2.5], Kind.NUMBER, ["1", "2.5"]),
        (["1", "2"], Kind.TEXT, ["1", "2"]),
        (["1", 2], Kind.TEXT, ["1", "2"]),
        ([True, False], Kind.BOOLEAN, ["true", "false"]),
        (["true"], Kind.TEXT, ["true"]),
        ([True, 1], Kind.TEXT, ["true", "1"]),
        (["2024-01-01", None], Kind.TEMPORAL, ["2024-01-01", None]),
        ([2**70, 1], Kind.TEXT, [str(2**70), "1"]),
        ([None, None], Kind.TEXT, [None, None]),
        ([float("nan"), float("inf"), 0.1], Kind.NUMBER, [None, "inf", "0.1"]),
    ],
)
def test_kinds_of_json(opened, values, kind, texts):
    table = opened("".join(json.dumps({"x": value}) + "\n" for value in values), "t.jsonl")
    assert table.kinds["x"] is kind
    assert table.text("x").tolist() == texts


def test_json_rows_may_lack_keys_and_bring_new_ones_late(opened):
    lines = ['{"a": 1}\n'] * 20_001 + ["\n", '{"b": "x", "a": 2}\n']
    table = opened("".join(lines), "t.ndjson")
    assert table.rows == 20_002
    assert table.columns == ("a", "b")
    assert table.describe()["b"].nulls == 20_001
    assert table.text("b")[-1] == "x"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_mark_and_line_endings_of_csv(opened, mark, line_end):
    table = opened(mark + line_end.join(["a,b", "1,2", "3,4"]).encode())
    assert table.columns == ("a", "b")
    assert table.numbers("b").tolist() == [2, 4]


ODD = (
    "a b",
    'q"x',
    "it's",
    "dot.ted",
    "new\nline",
    "Age",
    "age",
    "c0",
    "",
    "-- ; DROP",
    "日本",
    "*",
    "a,b",
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_any_column_name_is_just_a_name(engine, tmp_path, suffix):
    rows = [{name: 10 * i + k for k, name in enumerate(ODD)} for i in (1, 2)]
    table = engine.open(write(tmp_path, f"we'ird [1]*.{suffix}", content(rows, suffix)))
    assert table.columns == ODD
    assert [table.numbers(name).tolist() for name in ODD] == [
        [10 + k, 20 + k] for k in range(len(ODD))
    ]
    assert list(table.pandas(ODD).columns) == list(ODD)
    assert table.mask(parse('col("new\\nline") > 20')).tolist() == [False, True]
    paired = engine.pair(table, table, left_id="age", right_id="age", columns={"new": 'q"x'})
    assert paired.numbers("new").tolist() == [11, 21]
    assert set(table.describe()) == set(ODD)


def test_many_columns(opened):
    names = [f"n{i}" for i in range(400)]
    table = opened(",".join(names) + "\n" + ",".join(map(str, range(400))) + "\n")
    assert table.numbers("n399").tolist() == [399]
    assert len(table.describe()) == 400


# --- bad files ------------------------------------------------------------------------------------

GOOD = parquet({"id": [1, 2, 3], "x": ["a", "b", SECRET]})
BIG = "1" * 23
SMALL = Budget(rows=50, columns=20, cell=1000)

BAD = [
    # name, bytes, message, where
    ("zero.csv", b"", "is empty (0 bytes): it has no columns", "zero.csv"),
    ("zero.parquet", b"", "is empty (0 bytes)", "zero.parquet"),
    ("zero.jsonl", b"", "is empty (0 bytes)", "zero.jsonl"),
    ("blank.csv", b"\n1,2\n", "its first line is blank", "blank.csv, line 1"),
    ("header.csv", b"a,b\n", "has 0 rows", "header.csv"),
    ("header.tsv", b"a\tb", "has 0 rows", "header.tsv"),
    ("rows.parquet", parquet({"a": pa.array([], pa.int64())}), "has 0 rows", "rows.parquet"),
    ("rows.arrow", arrow({"a": pa.array([], pa.int64())}), "has 0 rows", "rows.arrow"),
    ("latin.csv", "a,b\n1,2\nSECRET-4711,Köln\n".encode("latin-1"), "likely Latin-1", "latin.csv, byte 21"),
    ("cut.csv", "a,b\n1,ü".encode()[:-1], "is not UTF-8", "cut.csv, byte 6"),
    ("latin.jsonl", '{"a": "ä"}\n'.encode("latin-1"), "likely Latin-1", "latin.jsonl, byte 7"),
    ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16, from its first byte", "utf16.csv"),
    ("utf16le.csv", "a,b\n1,2\n".encode("utf-16-le"), "it may be UTF-16", "utf16le.csv, byte 1"),
    ("nul.csv", b"a,b\n1,SECRET-4711\x00\n2,3\n", "has a NUL byte", "nul.csv, byte 17"),
    ("long.csv", b"a,b\n1,2\n3,SECRET-4711,5\n", "the row has 3 fields where the header has 2", "long.csv, line 3"),
    ("short.csv", b"a,b\n1,2\n3,4\nSECRET-4711\n", "the row has 1 fields where the header has 2", "short.csv, line 4"),
    ("late.tsv", b"a\tb\n" + b"1\t2\n" * 40 + b"SECRET-4711\n", "the row has 1 fields", "late.tsv, line 42"),
    ("spoof.csv", b'a,b\n1,2\n"\nExpected Number of Columns: 9 Found: 9\n",4,5\n', "has 3 fields where the header has 2", "spoof.csv, line 3"),
    ("quote.csv", b'a,b\n1,"SECRET-4711\n3,4\n', "a quote is not closed", "quote.csv, line 2"),
    ("after.csv", b'a,b\n1,"2"SECRET-4711\n3,4\n', "text follows a closing quote", "after.csv, line 2"),
    ("header-quote.csv", b'a,"b\n1,2\n', "the header cannot be read", "header-quote.csv, line 1"),
    ("mixed.csv", b"a,b\r\n1,2\nSECRET-4711,4\r\n", "mixes line endings", "mixed.csv"),
    ("dup.csv", b"a,b,a\n1,2,3\n", "two columns are called `a`", "dup.csv"),
    ("dup.parquet", parquet(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])), "two columns are called `a`", "dup.parquet"),
    ("dup.arrow", arrow(pa.table([pa.array([1])] * 2, names=["a", "a"])), "two columns are called `a`", "dup.arrow"),
    ("dup.jsonl", b'{"a": 1}\n{"a": 1, "b": 2, "a": "SECRET-4711"}\n', "the key `a` stands twice", "dup.jsonl, line 2"),
    ("wide.csv", b",".join(b"c%d" % i for i in range(21)) + b"\n", "21 columns or more, over 20", "wide.csv"),
    ("wide.jsonl", json.dumps({f"c{i}": 1 for i in range(30)}).encode(), "21 columns or more, over 20", "wide.jsonl"),
    ("wide.parquet", parquet({f"c{i}": [1] for i in range(21)}), "21 columns or more", "wide.parquet"),
    ("cell.csv", b"a,b\n1," + b"x" * 1001 + b"\n", "a cell of 1,001 bytes is over the limit of 1,000", "cell.csv"),
    ("line.csv", b"a,b\n1," + b"x" * 9000 + b"\n", "the line is too long", "line.csv, line 2"),
    ("cell.jsonl", json.dumps({"a": "x" * 1001}).encode(), "a cell of 1,001 bytes", "cell.jsonl"),
    ("many.csv", b"a\n" + b"1\n" * 51, "51 rows or more, over the budget of 50", "many.csv"),
    ("many.jsonl", b'{"a": 1}\n' * 51, "51 rows or more", "many.jsonl"),
    ("many.parquet", parquet({"a": range(51)}), "51 rows or more", "many.parquet"),
    ("many.arrow", arrow({"a": range(51)}), "51 rows or more", "many.arrow"),
    ("half.parquet", GOOD[: len(GOOD) // 2], "the file is damaged", "half.parquet"),
    ("last8.parquet", GOOD[:-8], "the file is damaged", "last8.parquet"),
    ("magic.parquet", b"PAR1", "the file is damaged", "magic.parquet"),
    ("footer.parquet", GOOD[:-8] + b"\x05\x00\x00\x00PAR1", "the file is damaged", "footer.parquet"),
    ("length.parquet", GOOD[:-8] + b"\xff\xff\xff\x7fPAR1", "the file is damaged", "length.parquet"),
    ("text.parquet", b"a,b\n1,2\n", "the file is damaged", "text.parquet"),
    ("parquet.csv", GOOD, "holds Parquet, not text", "parquet.csv"),
    ("arrow.jsonl", arrow({"a": [1]}), "holds Arrow, not text", "arrow.jsonl"),
    ("half.arrow", arrow({"a": list(range(40))})[:200], "not a whole Arrow IPC file", "half.arrow"),
    ("gzip.csv", b"\x1f\x8b\x08\x00", "is a gzip archive", "gzip.csv"),
    ("zip.jsonl", b"PK\x03\x04", "is a zip archive", "zip.jsonl"),
    ("zip.parquet", b"PK\x05\x06", "is a zip archive", "zip.parquet"),
    ("table.xlsx", b"x", "the suffix `.xlsx` is not accepted", "table.xlsx"),
    ("table.csv.gz", b"x", "the suffix `.gz` is not accepted", "table.csv.gz"),
    ("table", b"x", "the suffix `` is not accepted", "table"),
    ("broken.jsonl", b'{"a": 1}\n\n{"a": SECRET-4711}\n', "is not valid JSON", "broken.jsonl, line 3"),
    ("digits.jsonl", b'{"a": ' + b"1" * 5000 + b"}\n", "is not valid JSON", "digits.jsonl, line 1"),
    ("deep.jsonl", b'{"a": ' + b"[" * 200_000 + b"\n", "is not valid JSON", "deep.jsonl, line 1"),
    ("array.jsonl", b'[{"a": 1}]\n', "is not a JSON object", "array.jsonl, line 1"),
    ("keys.jsonl", b"{}\n{}\n", "it holds no object with a key", "keys.jsonl"),
    ("half-name.jsonl", rb'{"\ud800": 1}', "half of a Unicode surrogate pair", "half-name.jsonl"),
    ("half-pair.jsonl", rb'{"a": "\ud800"}', "half of a Unicode surrogate pair", "half-pair.jsonl"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message", "where"), BAD, ids=[row[0] for row in BAD])
def test_bad_files_are_refused(tmp_path, name, data, message, where):
    path = write(tmp_path, name, data)
    with Engine(SMALL) as engine, pytest.raises(InputError) as caught:
        engine.open(path)
    assert caught.value.exit_code == 3
    assert message in caught.value.message
    assert caught.value.where == str(path.parent / where)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_is_no_regular_file_is_refused(engine, tmp_path):
    folder, pipe, missing = tmp_path / "folder.csv", tmp_path / "pipe.csv", tmp_path / "missing.csv"
    folder.mkdir()
    os.mkfifo(pipe)
    device, loop, dangling = (tmp_path / f"{name}.csv" for name in ("device", "loop", "dangling"))
    device.symlink_to("/dev/zero")
    loop.symlink_to(loop)
    dangling.symlink_to(missing)
    bound = tmp_path / "socket.csv"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bound))
        for path, message in (
            (folder, "is a folder, not a regular file"),
            (pipe, "is a device, pipe or socket"),
            (device, "is a device, pipe or socket"),
            (bound, "is a device, pipe or socket"),
            (missing, "does not exist"),
            (dangling, "does not exist"),
            (write(tmp_path, "file", b"") / "below.csv", "does not exist"),
        ):
            with pytest.raises(InputError, match=message):
                engine.open(path)
    with pytest.raises(EnvironmentFault, match="cannot open"):
        engine.open(loop)


def test_a_link_to_a_regular_file_is_followed(engine, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(write(tmp_path, "real.csv", b"a\n1\n"))
    assert engine.open(link).rows == 1


def test_an_oversized_header_is_refused(opened):
    with pytest.raises(InputError, match="a name is too long"):
        opened(b"a" * 200_000 + b",b\n1,2\n")


# --- budgets --------------------------------------------------------------------------------------


def test_a_small_file_that_holds_gigabytes_is_refused_quickly(tmp_path):
    values = pa.DictionaryArray.from_arrays(
        pa.array([0] * 2000, pa.int32()), pa.array(["x" * 1_000_000])
    )
    write(tmp_path, "bomb.parquet", parquet({"id": range(2000), "s": values}, compression="zstd"))
    assert (tmp_path / "bomb.parquet").stat().st_size < 10_000
    code = """
import re, sys, time
from pathlib import Path
from gates.errors import InputError
from gates.tables import Budget, Engine
started = time.monotonic()
with Engine(Budget(memory=1024**3)) as engine:
    table = engine.open(Path(sys.argv[1]))
    assert table.numbers("id").sum() == 1999000
    for read in (lambda: table.codes("s"), lambda: table.text("s"), lambda: table.digest(["s"]),
                 lambda: table.pandas(["s"]), lambda: engine.ordered(table, id="id").text("s")):
        try:
            read()
        except InputError as error:
            assert "over the memory budget of 1,024 MiB" in error.message, error
        else:
            raise SystemExit("was read")
assert time.monotonic() - started < 10
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "bomb.parquet")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) < 500


def test_a_footer_that_declares_too_many_rows_is_refused_at_once(tmp_path):
    data = parquet(
        {
            "x": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(3_000_000, np.int32)), pa.array([1.0])
            )
        }
    )
    path = write(tmp_path, "rows.parquet", data)
    started = time.monotonic()
    with (
        Engine(Budget(rows=2_999_999)) as engine,
        pytest.raises(InputError, match="3,000,000 rows or more"),
    ):
        engine.open(path)
    assert time.monotonic() - started < 5


def test_long_cells_of_binary_files_are_refused_when_they_are_read(tmp_path):
    path = write(tmp_path, "t.parquet", parquet({"a": [1], "s": ["x" * 1001]}))
    with Engine(SMALL) as engine:
        table = engine.open(path)
        assert table.numbers("a").tolist() == [1]
        with pytest.raises(InputError, match="a cell of 1,001 bytes is over the limit of 1,000"):
            table.mask(parse("s == 'x'"))


def test_text_over_the_memory_budget_is_refused(tmp_path):
    lines = write(tmp_path, "t.csv", b"s\n" + (b"x" * 140_000 + b"\n") * 1000)
    repeated = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(200_000, np.int32)), pa.array(["x" * 1000])
    )
    hidden = write(tmp_path, "t.parquet", parquet({"s": repeated}))
    with Engine(Budget(memory=128 * 1024**2, cell=200_000)) as engine:
        for read in (lambda: engine.open(lines), lambda: engine.open(hidden).codes("s")):
            with pytest.raises(InputError, match="over the memory budget of 128 MiB"):
                read()


def test_what_the_engine_cannot_hold_is_over_the_budget(tmp_path):
    path = write(tmp_path, "t.parquet", parquet({"x": np.random.default_rng(1).random(3_000_000)}))
    with Engine(Budget(memory=16 * 1024**2)) as engine:
        table = engine.open(path)
        with pytest.raises(InputError, match="over the memory budget of 16 MiB"):
            table.describe()


def test_nested_columns_are_left_alone_until_they_are_asked_for(opened):
    nested = {"id": [1, 2], "l": [[1], None], "s": [{"a": 1}, {"a": None}], "b": [b"x", b"y"]}
    for table in (
        opened(parquet(nested), "n.parquet"),
        opened(arrow(nested), "n.arrow"),
        opened(
            '{"id": 1, "l": [1], "s": {"a": 1}, "b": [2]}\n{"id": 2, "s": {}, "b": []}\n', "n.jsonl"
        ),
    ):
        assert list(table.kinds.values()) == [Kind.INTEGER, Kind.OTHER, Kind.OTHER, Kind.OTHER]
        assert table.numbers("id").tolist() == [1, 2]
        assert table.describe()["l"].nulls == 1
        for read in (
            table.numbers,
            table.text,
            table.codes,
            lambda name, t=table: t.pandas([name]),
        ):
            with pytest.raises(InputError, match="`l` holds lists, structures or bytes"):
                read("l")


def test_damage_in_a_page_is_an_input_error_without_its_text(tmp_path):
    data = bytearray(
        parquet({"id": range(2000), "s": [f"{SECRET}{i}" for i in range(2000)]}, compression="gzip")
    )
    middle = data.index(b"\x1f\x8b", 4000)
    data[middle + 20 : middle + 60] = b"\xff" * 40
    with Engine() as engine:
        table = engine.open(write(tmp_path, "t.parquet", bytes(data)))
        with pytest.raises(InputError, match="the file is damaged") as caught:
            table.text("s")
    assert "SECRET" not in str(caught.value)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(st.text(alphabet='a1,"\n é', max_size=5), min_size=2, max_size=2),
        min_size=1,
        max_size=6,
    )
)
def test_what_csv_writes_is_read_back(tmp_path, rows):
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["x", "y"], *rows])
    with Engine() as engine:
        table = engine.open(write(tmp_path, "t.csv", sink.getvalue().encode()), text=["x", "y"])
        assert [list(pair) for pair in zip(table.text("x"), table.text("y"), strict=True)] == rows


# --- checks that name a row -----------------------------------------------------------------------


CHECKS = [
    (lambda t: t.require_present("x", "scores"), "2 rows have no value in `x`; the first is row 2", "t.csv, column `x`, row 2"),
    (lambda t: t.require_between("x", 0, 1, "scores"), "1 row has a value outside [0, 1] in `x`; the first is row 4", "t.csv, column `x`, row 4"),
    (lambda t: t.require_between("big", -1.7976931348623157e308, 1.7976931348623157e308, "labels"), "1 row has a value that is not finite in `big`; the first is row 3", "t.csv, column `big`, row 3"),
    (lambda t: t.require_between("s", 0, 1, "scores"), "4 rows have text that is no number in `s`; the first is row 1", "t.csv, column `s`, row 1"),
    (lambda t: t.require_between("day", 0, 1, "scores"), "`day` holds temporal where numbers are needed", "t.csv"),
    (lambda t: t.numbers("s"), "4 rows have text that is no number in `s`; the first is row 1", "t.csv, column `s`, row 1"),
    (lambda t: t.numbers("zip"), "4 rows have text that is no number in `zip`; the first is row 1", "t.csv, column `zip`, row 1"),
    (lambda t: t.numbers("day"), "`day` holds temporal where numbers are needed", "t.csv"),
    (lambda t: t.numbers("long"), "1 row has a whole number beyond 2^53 in `long`; the first is row 2", "t.csv, column `long`, row 2"),
    (lambda t: t.mask(parse("s > 3")), "compares `s`, which holds text, with a number", "t.csv"),
    (lambda t: t.mask(parse("gap == 'a'")), "compares `gap`, which holds integer, with quoted text", "t.csv"),
    (lambda t: t.mask(parse("x == True")), "compares `x`, which holds number, with True/False", "t.csv"),
    (lambda t: t.mask(parse("gap")), "compares `gap`, which holds integer, with True/False", "t.csv"),
    (lambda t: t.mask(parse("day == 3")), "compares `day`, which holds temporal, with a number", "t.csv"),
    (lambda t: t.mask(parse("day == 'soon'")), "`soon` is no ISO date or time", "t.csv"),
    (lambda t: t.mask(parse("s < x")), "compares `s` with `x`: text with number", "t.csv"),
    (lambda t: t.mask(parse("nope == 3")), "there is no column `nope`", "t.csv"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "message", "where"), CHECKS, ids=[f"{i}" for i in range(len(CHECKS))]
)
def test_checks_say_how_many_rows_and_which_is_first(opened, tmp_path, check, message, where):
    table = opened(
        "x,big,s,zip,day,long,gap\n"
        "0.5,1,SECRET-4711,01,2024-01-01,1,1\n"
        ",2,b,02,2024-01-02,9007199254740993,2\n"
        "nan,inf,c,03,2024-01-03,3,3\n"
        "1.5,4,d,04,2024-01-04,4,\n"
    )
    with pytest.raises(InputError) as caught:
        check(table)
    assert message in caught.value.message
    assert caught.value.where == str(tmp_path / where)
    assert caught.value.hint
    assert "SECRET" not in str(caught.value)


def test_checks_pass_on_good_columns(opened):
    table = opened("x,n\n0,1\n1,2\n")
    table.require_present("x", "scores")
    table.require_between("x", 0, 1, "scores")
    table.require_columns(["x", "n"], "anything")
    assert table.numbers("n").tolist() == [1, 2]


def test_numbers_stored_as_text_are_text(opened):
    table = opened(parquet({"x": ["1", "2.5"]}), "t.parquet")
    with pytest.raises(InputError, match="`x` holds text where numbers are needed"):
        table.numbers("x")


def test_integers_of_any_width(opened):
    table = opened(parquet({"x": pa.array([1, 2**63], pa.uint64())}), "t.parquet")
    with pytest.raises(
        InputError, match=r"1 row has a whole number beyond 2\^53 in `x`; the first is row 2"
    ):
        table.numbers("x")
    assert table.text("x").tolist() == ["1", str(2**63)]
    small = opened(parquet({"x": pa.array([1, 2], pa.uint8())}), "s.parquet")
    assert small.numbers("x").tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Score", "There is `score`, which differs only by case"),
        ("sc ore", "There is `score`, which differs only by case"),
        ("gro\u0308ße", "There is `größe`, which differs only by"),
        ("scroe", "Did you mean `score`?"),
        ("zzz", "The columns are `score`, `größe`, `c0`"),
    ],
)
def test_a_missing_column_comes_with_a_guess(opened, name, hint):
    names = ["score", "größe", *(f"c{i}" for i in range(10))]
    table = opened(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    with pytest.raises(InputError) as caught:
        table.require_columns(["score", name, "qqq"], "the score")
    assert caught.value.message == f"there is no column `{name}` (the score)"
    assert caught.value.hint.startswith(hint)
    assert caught.value.details == ("`qqq` is missing too",)


def test_few_columns_are_listed_whole(opened):
    with pytest.raises(InputError) as caught:
        opened("a,b\n1,2\n").select(["zzz"])
    assert caught.value.hint == "The columns are `a`, `b`."


# --- pairing --------------------------------------------------------------------------------------


def pair(engine, left, right, **options):
    given = {"left_id": "id", "right_id": "id", "columns": {"candidate": "p"}} | options
    return engine.pair(left, right, **given)


def test_pairs_by_id_whatever_the_order_and_the_type(engine, opened):
    left = opened("id,label\n10,a\n9,b\n1,c\n", "l.csv", text=["id"])
    right = opened(
        parquet({"key": [1.0, 10.0, 9.0], "p": [0.1, 0.10, 0.9], "x": [1, 2, 3]}), "r.parquet"
    )
    joined = pair(engine, left, right, right_id="key")
    assert joined.columns == ("id", "label", "candidate")
    assert joined.rows == 3
    assert joined.sha256 is None
    assert joined.text("id").tolist() == ["1", "10", "9"]
    assert joined.text("label").tolist() == ["c", "a", "b"]
    assert joined.numbers("candidate").tolist() == [0.1, 0.1, 0.9]
    again = pair(engine, joined, right, right_id="key", columns={"baseline": "x"})
    assert again.numbers("baseline").tolist() == [1, 2, 3]
    assert again.numbers("candidate").tolist() == [0.1, 0.1, 0.9]


def test_a_selection_copies_no_other_column(engine, opened):
    left = opened(parquet({"id": [2, 1], "l": [[1], [2]], "x": [1, 2]}), "l.parquet")
    right = opened("id,p\n1,a\n2,b\n")
    joined = pair(engine, left.select(["x", "id"]), right)
    assert joined.columns == ("x", "id", "candidate")
    assert joined.numbers("x").tolist() == [2, 1]
    assert pair(engine, left, right).kinds["l"] is Kind.OTHER


def test_orders_by_the_text_of_the_id(engine, opened):
    table = engine.ordered(opened("id,x\n10,a\n9,b\n1,c\n"), id="id")
    assert table.text("id").tolist() == ["1", "10", "9"]
    assert table.text("x").tolist() == ["c", "a", "b"]
    assert table.kinds["id"] is Kind.INTEGER


def test_many_rows_in_any_order_make_the_same_table(engine, opened):
    rng = np.random.default_rng(3)
    ids = rng.permutation(50_000)
    left = opened(parquet({"id": ids, "x": ids * 2}), "l.parquet")
    shuffled = rng.permutation(ids)
    right = opened(parquet({"id": shuffled, "p": shuffled * 3}), "r.parquet")
    joined = pair(engine, left, right)
    expected = np.array(sorted(range(50_000), key=str))
    np.testing.assert_array_equal(joined.numbers("id"), expected)
    np.testing.assert_array_equal(joined.numbers("x"), expected * 2)
    np.testing.assert_array_equal(joined.numbers("candidate"), expected * 3)


def test_a_row_of_a_joined_table_is_named_as_in_its_file(engine, opened, tmp_path):
    left = opened("id,label\n3,a\n2,b\n1,\n", "l.csv")
    right = opened("id,p\n1,0.1\n2,7\n3,0.3\n", "r.csv")
    joined = pair(engine, left, right)
    for table in (joined, engine.ordered(joined, id="id"), joined.select(["candidate", "label"])):
        with pytest.raises(InputError) as caught:
            table.require_between("candidate", 0, 1, "scores")
        assert caught.value.where == f"{tmp_path}/r.csv, column `p`, row 2"
        with pytest.raises(InputError) as caught:
            table.require_present("label", "labels")
        assert caught.value.where == f"{tmp_path}/l.csv, column `label`, row 3"


@pytest.mark.parametrize(
    ("left", "right", "message", "hint"),
    [
        ("1,a\n2,b\n2,c\n2,d\n", "1,a\n2,b\n", "2 of 4 rows repeat an id", "remove the duplicates"),
        ("1,a\n2,b\n", "1,a\n1,b\n", "1 of 2 rows repeat an id", "remove the duplicates"),
        ("1,a\n,b\n", "1,a\n2,b\n", "1 rows have no id", "Give every row an id"),
        ("1,a\n2,b\n", "1,a\n3,b\n4,c\n", "1 of {left} are not in {right}, and 2 the other way", "must hold the same rows"),
        ("7,a\n8,b\n", "7.0,a\n8.0,b\n", "2 of {left} are not in {right}, and 2 the", "2 of them differ only by `.0` at the end"),
        ("007,a\n008,b\n", "7,a\n8,b\n", "2 of {left}", "2 of them differ only by leading zeros"),
        ("K7,a\nK8,b\n", "k7,a\nK8,b\n", "1 of {left}", "1 of them differ only by the case of letters"),
        ('" K7",a\n', "K7,a\n", "1 of {left}", "1 of them differ only by leading or trailing spaces"),
    ],
)  # fmt: skip
def test_ids_that_do_not_pair_are_refused(engine, opened, tmp_path, left, right, message, hint):
    one = opened("id,y\n" + left, "l.csv", text=["id"])
    two = opened("id,p\n" + right, "r.csv", text=["id"])
    with pytest.raises(InputError) as caught:
        pair(engine, one, two)
    assert message.format(left=one.name, right=two.name) in caught.value.message
    assert hint in caught.value.hint
    assert "K7" not in str(caught.value)
    assert "column" in caught.value.where


def test_float_ids_that_lost_digits_are_refused(engine, opened):
    table = opened(parquet({"id": [1.0, 2.0**53]}), "t.parquet")
    with pytest.raises(InputError, match="1 ids are floats of 2") as caught:
        engine.ordered(table, id="id")
    assert caught.value.hint == "Store the id as text."


def test_long_ids_pair_exactly(engine, opened):
    rows = f"{BIG}1,a\n{BIG}2,b\n"
    joined = pair(engine, opened("id,y\n" + rows, "l.csv"), opened("id,p\n" + rows, "r.csv"))
    assert joined.text("id").tolist() == [BIG + "1", BIG + "2"]
    assert joined.text("candidate").tolist() == ["a", "b"]


def test_columns_to_join_must_exist_and_be_new(engine, opened):
    table = opened("id,p\n1,2\n")
    with pytest.raises(InputError, match="there is no column `q`"):
        pair(engine, table, table, columns={"new": "q"})
    with pytest.raises(InputError, match="`p` is in both tables"):
        pair(engine, table, table, columns={"p": "p"})
    with pytest.raises(InputError, match="there is no column `key`"):
        pair(engine, table, table, left_id="key")


# --- profiles and pandas --------------------------------------------------------------------------


def test_profiles(table):
    found = table.describe()
    assert found["region"].values == ("", "NA", "north", "süd")
    assert (found["region"].nulls, found["region"].distinct) == (3, 4)
    assert (found["age"].low, found["age"].high, found["age"].mean) == (39, 50, 44.5)
    assert found["age"].values is None
    assert found["ok"].values == ("false", "true")
    assert found["day"].kind == "temporal"
    assert (found["day"].low, found["day"].distinct) == (None, 12)
    assert list(table.describe(["ok"])) == ["ok"]


def test_profiles_are_bounded(opened):
    n = 12_000
    table = opened(
        parquet(
            {
                "id": [f"k{i}" for i in range(n)],
                "long": ["x" * 201] * n,
                "many": [f"v{i % 51}" for i in range(n)],
                "few": [f"v{i % 50}" for i in range(n)],
                "inf": [float("inf"), 2.0] * (n // 2),
                "nan": [float("nan")] * n,
            }
        ),
        "t.parquet",
    )
    found = table.describe()
    assert (found["id"].distinct, found["id"].values) == (None, None)
    assert (found["long"].distinct, found["long"].values) == (1, None)
    assert (found["many"].distinct, found["many"].values) == (51, None)
    assert len(found["few"].values) == 50
    assert (found["inf"].low, found["inf"].high, found["inf"].mean) == (2, 2, 2)
    assert (found["nan"].nulls, found["nan"].mean) == (n, None)


def test_very_many_values_are_not_counted(opened):
    table = opened(parquet({"id": range(60_000)}), "t.parquet")
    assert table.describe()["id"].distinct is None


def test_pandas(opened):
    nested = {
        "i": [1, 2],
        "d": [Decimal("1.50"), None],
        "s": ["a", None],
        "t": [dt.datetime(2024, 1, 1)] * 2,
    }
    frame = opened(parquet(nested), "t.parquet").pandas(("s", "i", "d", "t", "i"))
    assert list(frame.columns) == ["s", "i", "d", "t"]
    assert frame["i"].tolist() == [1, 2]
    assert frame["d"].dtype == np.float64
    assert frame["d"].isna().tolist() == [False, True]
    assert str(frame["t"].dtype).startswith("datetime64")
    assert frame["s"].tolist()[0] == "a"


# --- the engine -----------------------------------------------------------------------------------


def test_the_engine_has_no_network_and_no_extensions_and_cannot_be_changed(engine):
    connection = engine._session.connection
    settings = dict(connection.sql("SELECT name, value FROM duckdb_settings()").fetchall())
    assert settings["autoinstall_known_extensions"] == "false"
    assert settings["autoload_known_extensions"] == "false"
    assert settings["python_enable_replacements"] == "false"
    for statement in ("SET memory_limit = '90GB'", "SET autoload_known_extensions = true"):
        with pytest.raises(Exception, match="locked"):
            connection.execute(statement)


def test_closing_removes_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Engine() as engine:
        engine.open(write(tmp_path, "t.csv", b"a\n1\n"))
        assert [path.name[:12] for path in tmp_path.iterdir() if path.is_dir()] == ["model-gates-"]
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_no_temporary_folder_is_a_fault_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(EnvironmentFault, match="cannot make a temporary folder"):
        Engine()


def test_a_file_that_cannot_be_read_is_a_fault_of_the_environment(engine, tmp_path):
    link = tmp_path / "t.csv"
    link.symlink_to(
        "/proc/self/mem"
    )  # a regular file whose first byte nobody can read, root included
    with pytest.raises(EnvironmentFault, match="cannot read the file: Input/output error"):
        engine.open(link)


def test_a_bug_in_a_statement_is_not_blamed_on_the_data(engine):
    with pytest.raises(Exception, match="nowhere") as caught, engine._session.reading("t"):
        engine._session.relation("FROM nowhere")
    assert not isinstance(caught.value, InputError)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO Error: Could not write file: No space left on device", EnvironmentFault),
        ("IO Error: Could not read enough bytes from file", InputError),
        (f"Conversion Error: '{SECRET}'", InputError),
    ],
)
def test_disk_faults_are_told_from_damaged_files(text, kind):
    assert type(_fault(text, "t.parquet")) is kind
    assert "SECRET" not in str(_fault(text, "t.parquet"))


def test_what_is_no_fault_of_the_csv_is_not_called_one():
    assert csv_error(duckdb.OutOfMemoryException("could not allocate"), "t.csv") is None


def test_a_nan_that_parquets_statistics_leave_out_is_missing_all_the_same(tmp_path):
    path = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"score": np.array([0.1, np.nan, 0.3])}), path)
    with Engine() as engine:
        table = engine.open(path)
        assert table.describe()["score"].nulls == 1
        with pytest.raises(InputError, match="row 2"):
            table.require_present("score", "scores")
