"""The options of `data-schema` and what they stand for: no Great Expectations here."""

import json
import math
import subprocess
import sys
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from gates.builtin.data_schema import DataSchema
from gates.errors import ConfigError
from gates.expectations.conditions import columns_of, condition, renamed
from gates.expectations.expectation import Expectation, inferred, instant, rest
from gates.expectations.gx import _outcome
from gates.expectations.suite import MAX_BYTES, MAX_EXPECTATIONS, read_suite
from gates.record import ColumnProfile
from gates.report import Mode, Task


def options(**given):
    return DataSchema.model_validate(given)


def problems(**given):
    return {".".join(map(str, p.path)): p.message for p in options(**given).problems(Task.BINARY)}


def expected(columns):
    """Return (type without its prefix, arguments without the column) of the short form."""
    from gates.expectations.rules import concise

    found = concise(options(columns=columns).columns)
    return [(e.type, {k: v for k, v in e.kwargs.items() if k != "column"}) for e in found]


EXIST = ("expect_column_to_exist", {})


@pytest.mark.parametrize(
    ("rule", "type_", "kwargs"),
    [
        ({"type": "integer"}, "values_to_be_in_type_list", {"type_list": ["int64"]}),
        ({"type": "number"}, "values_to_be_in_type_list", {"type_list": ["int64", "float64"]}),
        ({"type": "text"}, "values_to_be_in_type_list", {"type_list": ["StringDtype"]}),
        ({"type": "boolean"}, "values_to_be_in_type_list", {"type_list": ["bool"]}),
        ({"type": "datetime"}, "values_to_be_in_type_list", {"type_list": ["datetime64[us]"]}),
        ({"nullable": False}, "values_to_not_be_null", {}),
        ({"max_null_share": 0.58}, "values_to_not_be_null", {"mostly": 0.42}),
        (
            {"min": 0, "max": 120},
            "values_to_be_between",
            {"min_value": 0, "max_value": 120, "mostly": 1.0},
        ),
        ({"max": 1.5, "mostly": 0.9}, "values_to_be_between", {"max_value": 1.5, "mostly": 0.9}),
        ({"min": "2024-01-01"}, "values_to_be_between", {"min_value": "2024-01-01", "mostly": 1.0}),
        (
            {"in": ["a", 1, True]},
            "values_to_be_in_set",
            {"value_set": ["a", 1, True], "mostly": 1.0},
        ),
        ({"regex": "^a$"}, "values_to_match_regex", {"regex": "^a$", "mostly": 1.0}),
        ({"min_length": 2}, "value_lengths_to_be_between", {"min_value": 2, "mostly": 1.0}),
        ({"max_length": 9}, "value_lengths_to_be_between", {"max_value": 9, "mostly": 1.0}),
        ({"unique": True}, "values_to_be_unique", {}),
        ({"mean_between": [1, 2.5]}, "mean_to_be_between", {"min_value": 1, "max_value": 2.5}),
    ],
)
def test_short_form(rule, type_, kwargs):
    assert expected({"age": rule}) == [EXIST, (f"expect_column_{type_}", kwargs)]


def test_short_form_says_where_and_what_is_optional():
    from gates.expectations.rules import concise

    found = list(
        concise(options(columns={"a": {"required": False, "type": "text", "unique": True}}).columns)
    )
    assert [(e.where, e.declared, e.optional) for e in found] == [
        ("columns.a.type", True, True),
        ("columns.a.unique", False, True),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"suit": "a.json"},
        {"columns": {"age": {"mni": 1}}},
        {"columns": {"age": {"min": "x", "values": [1]}}},
        {"columns": {"age": {"min": True}}},
        {"columns": {"age": {"min": math.inf}}},
        {"columns": {"age": {"in": []}}},
        {"columns": {"age": {"in": [None]}}},
        {"columns": {"age": {"type": "int"}}},
        {"columns": {"age": {"nullable": "no"}}},
        {"columns": {"age": {"mostly": 1.01}}},
        {"columns": {"age": {"mostly": "0.9"}}},
        {"columns": {"age": {"max_null_share": -0.1}}},
        {"columns": {"age": {"min_length": 1.5}}},
        {"columns": {"age": {"mean_between": [1]}}},
        {"columns": {"age": {"mean_between": [1, math.nan]}}},
        {"rows": {"min": -1}},
        {"rows": {"min": "1e3"}},
        {"infer": "champion"},
        {"infer_slack": 2},
        {"unique_together": [["a", 1]]},
        {"mode": "block"},
    ],
)
def test_options_of_the_wrong_type_are_refused(given):
    with pytest.raises(ValidationError):
        options(**given)


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ({}, "", "nothing is expected"),
        ({"only_columns": True, "rows": {"min": 1}}, "only_columns", "needs `columns`"),
        ({"rows": {}}, "rows", "no limit"),
        ({"rows": {"min": 5, "max": 4}}, "rows.max", "below `min`"),
        ({"unique_together": [["a"]]}, "unique_together.0", "two or more"),
        ({"unique_together": [["a", "b"], ["a", "a", "b"]]}, "unique_together.1", "different"),
        (
            {"columns": {"x": {"nullable": False, "max_null_share": 0.1}}},
            "columns.x.max_null_share",
            "keep one",
        ),
        ({"columns": {"x": {"type": "text", "min": 1}}}, "columns.x.min", "says nothing of text"),
        (
            {"columns": {"x": {"type": "integer", "regex": "a"}}},
            "columns.x.regex",
            "it is for text",
        ),
        ({"columns": {"x": {"min": 3, "max": 2}}}, "columns.x.max", "3 to 2 is an empty range"),
        (
            {"columns": {"x": {"min_length": 3, "max_length": 2}}},
            "columns.x.max_length",
            "empty range",
        ),
        ({"columns": {"x": {"mean_between": [1, 0]}}}, "columns.x.mean_between", "empty range"),
        (
            {"columns": {"x": {"min": "2024-02-01", "max": "2024-01-01"}}},
            "columns.x.max",
            "empty range",
        ),
        ({"columns": {"x": {"min": 3, "max": "2024-01-01"}}}, "columns.x.max", "the other a date"),
        ({"columns": {"x": {"regex": "("}}}, "columns.x.regex", "not a regular expression"),
        ({"columns": {"x": {"min": "soon"}}}, "columns.x.min", "neither a number nor an ISO date"),
        (
            {"columns": {"x": {"type": "number", "max": "2024-01-01"}}},
            "columns.x.max",
            "`type` says number",
        ),
        ({"columns": {"x": {"type": "datetime", "min": 5}}}, "columns.x.min", "ISO date"),
        ({"columns": {"x": {"mostly": 0.9, "unique": True}}}, "columns.x.mostly", "to be about"),
        ({"columns": {"x": {"required": False}}}, "columns.x.required", "expects nothing"),
    ],
)
def test_options_that_make_no_sense_together(given, path, words):
    found = problems(**given)
    assert list(found) == [path]
    assert words in found[path]


@pytest.mark.parametrize(
    "given",
    [
        {"suite": "a.json"},
        {"infer": "baseline", "only_columns": True},
        {"rows": {"max": 0}},
        {"unique_together": [["a", "b"]]},
        {"columns": {"x": {}}, "only_columns": True},
        {
            "columns": {
                "x": {"type": "datetime", "min": "2024-01-01T00:00:00Z", "max": "2024-12-31"}
            }
        },
        {"columns": {"x": {"type": "boolean", "in": [True]}}},
    ],
)
def test_options_that_make_sense(given):
    assert problems(**given) == {}


def test_only_inference_needs_a_baseline():
    assert options(infer="baseline").needs_baseline
    assert not options(suite="a.json").needs_baseline


def test_no_joined_rows_are_read():
    assert options(columns={"a": {}}).reads == ()


def test_no_heavy_import_before_judging():
    code = (
        "import sys, gates.builtin.data_schema as m; m.DataSchema.model_validate({'rows': {'min': 1}});"
        "print([n for n in ('great_expectations', 'pandas', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024-01-02", "2024-01-02T00:00:00"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05"),
        ("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05"),
        ("2024-13-01", None),
    ],
)
def test_instant(text, iso):
    found = instant(text)
    assert (found and found.isoformat()) == iso


@pytest.mark.parametrize("share", [i / 100 for i in range(101)])
def test_rest_never_refuses_the_exact_share(share):
    nulls = round(share * 100)
    assert (100 - nulls) / 100 >= rest(share)
    assert (100 - nulls - 1) / 100 < rest(share)


# --- What a baseline's profile says ---------------------------------------------------------------


def infer(slack=0.05, rows=100, **profile):
    column = ColumnProfile(**{"kind": "integer", "nulls": 0} | profile)
    found = list(inferred({"x": column}, rows, slack))
    assert all(e.kwargs["column"] == "x" for e in found)
    return {
        e.type.removeprefix("expect_column_"): dict(e.kwargs) | {"declared": e.declared}
        for e in found
    }


def test_infer_numbers():
    found = infer(low=10, high=30, nulls=2)
    assert list(found) == [
        "to_exist",
        "values_to_be_in_type_list",
        "values_to_not_be_null",
        "values_to_be_between",
    ]
    assert found["values_to_be_in_type_list"]["type_list"] == ["int64"]
    assert found["values_to_be_in_type_list"]["declared"]
    assert found["values_to_not_be_null"]["mostly"] == 0.93
    assert found["values_to_be_between"]["min_value"] == pytest.approx(9)
    assert found["values_to_be_between"]["max_value"] == pytest.approx(31)
    assert not found["values_to_be_between"]["declared"]


@pytest.mark.parametrize("value", [0.1234567890123456, -1234567.890123456, 9007199254740993.0, 0.0])
def test_infer_of_a_constant_survives_the_rounding_of_the_record(value):
    found = infer(kind="number", low=value, high=value, slack=0.0)["values_to_be_between"]
    assert found["min_value"] <= value <= found["max_value"]


def test_infer_categories():
    found = infer(kind="text", values=("a", "b"))
    assert found["values_to_be_in_set"]["value_set"] == ["a", "b"]
    assert "values_to_be_between" not in found


@pytest.mark.parametrize(
    "profile",
    [
        {"kind": "text", "values": tuple(f"v{i}" for i in range(51))},
        {"kind": "text", "values": ("x" * 200,)},
        {"kind": "text"},
        {"kind": "integer", "values": ("1",)},
        {"kind": "temporal", "low": 1, "high": 2},
        {"kind": "number", "low": 1},
    ],
)
def test_infer_says_nothing_it_does_not_know(profile):
    assert not {"values_to_be_in_set", "values_to_be_between"} & set(infer(**profile))


def test_infer_of_all_null_and_of_unknown_kind():
    assert list(infer(nulls=96)) == ["to_exist", "values_to_be_in_type_list"]
    assert list(infer(kind="other", rows=0)) == ["to_exist"]


# --- What a result of the library comes down to ---------------------------------------------------


def reported(*, success, result=None, exception_info=None):
    return SimpleNamespace(success=success, result=result or {}, exception_info=exception_info)


RAISED = "raised an error on these 10 rows"
NONE = "none has one"


@pytest.mark.parametrize(
    ("result", "mostly", "n", "value", "limit", "problem"),
    [
        (reported(success=True, result={"observed_value": "Ada"}), 1.0, 10, 1.0, 1.0, None),
        (reported(success=False, result={"observed_value": "Ada"}), 0.5, 10, 0.0, 1.0, None),
        (
            reported(
                success=True, result={"element_count": 8, "unexpected_count": 2, "missing_count": 4}
            ),
            0.5,
            4,
            0.5,
            0.5,
            None,
        ),
        (
            reported(success=False, result={"element_count": 8, "unexpected_count": 2}),
            0.8,
            8,
            0.75,
            0.8,
            None,
        ),
        # What the library says outranks the share, should the two ever differ.
        (
            reported(success=False, result={"element_count": 8, "unexpected_count": 2}),
            0.75,
            8,
            0.0,
            1.0,
            None,
        ),
        (
            reported(success=True, result={"element_count": 0, "unexpected_count": 0}),
            1.0,
            0,
            None,
            1.0,
            NONE,
        ),
        (
            reported(
                success=True, result={"element_count": 3, "unexpected_count": 0, "missing_count": 3}
            ),
            1.0,
            0,
            None,
            1.0,
            NONE,
        ),
        (
            reported(success=True, exception_info={"raised_exception": False}),
            1.0,
            10,
            1.0,
            1.0,
            None,
        ),
        (
            reported(success=False, exception_info={"raised_exception": True}),
            1.0,
            10,
            None,
            1.0,
            RAISED,
        ),
        (
            reported(success=True, exception_info={"some metric": {"exception_message": "Ada"}}),
            1.0,
            10,
            None,
            1.0,
            RAISED,
        ),
        (None, 1.0, 10, None, 1.0, RAISED),
    ],
)
def test_outcome(result, mostly, n, value, limit, problem):
    found = _outcome(result, mostly, 10)
    assert (found.n, found.value, found.limit) == (n, value, limit)
    assert found.problem is None if problem is None else problem in found.problem


# --- Suite files ----------------------------------------------------------------------------------

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}


def suite(tmp_path, *expectations, **more):
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({"name": "s", "expectations": list(expectations)} | more))
    return read_suite(path, "gx/suite.json")


def test_suite_of_both_versions(tmp_path):
    old = {
        "expectation_type": "expect_table_row_count_to_equal",
        "kwargs": {"value": 3},
        "meta": {"a": 1},
    }
    found = suite(
        tmp_path,
        NOT_NULL | {"severity": "warning", "id": None},
        old,
        NOT_NULL | {"severity": "info"},
    )
    assert found == (
        Expectation(
            type=NOT_NULL["type"],
            kwargs={"column": "a"},
            where="gx/suite.json: expectations[0]",
            mode=Mode.WARN,
        ),
        Expectation(
            type=old["expectation_type"],
            kwargs={"value": 3},
            where="gx/suite.json: expectations[1]",
        ),
        Expectation(
            type=NOT_NULL["type"],
            kwargs={"column": "a"},
            where="gx/suite.json: expectations[2]",
            mode=Mode.REPORT,
        ),
    )


def test_what_would_show_rows_is_left_behind(tmp_path):
    shown = {
        "result_format": "COMPLETE",
        "catch_exceptions": False,
        "include_config": True,
        "batch_id": "b",
        "meta": {},
    }
    (found,) = suite(tmp_path, {"type": "t", "kwargs": {"column": "a", "mostly": None} | shown})
    assert found.kwargs == {"column": "a"}


def test_suite_parameters(tmp_path):
    asked = {"type": "t", "kwargs": {"min_value": {"$PARAMETER": "low"}}}
    (found,) = suite(tmp_path, asked, suite_parameters={"low": 4})
    assert found.kwargs == {"min_value": 4}
    (found,) = suite(tmp_path, asked, evaluation_parameters={"low": 5})
    assert found.kwargs == {"min_value": 5}
    with pytest.raises(ConfigError, match="suite_parameters"):
        suite(tmp_path, {"type": "t", "kwargs": {"min_value": {"$PARAMETER": "now()"}}})


def test_row_condition_of_a_suite(tmp_path):
    kwargs = {"column": "a", "row_condition": 'b == "x"', "condition_parser": "pandas"}
    (found,) = suite(tmp_path, NOT_NULL | {"kwargs": kwargs})
    assert found.reads == ("a", "b")
    assert found.about == ("a",)
    assert "condition_parser" not in found.kwargs


@pytest.mark.parametrize(
    ("raw", "words", "place"),
    [
        (b"", "not JSON", "s.json:1:1"),
        (b'{"expectations": [}', "not JSON", "s.json:1:19"),
        (b'{"expectations": [NaN]}', "not JSON", "s.json"),
        (b'{"name": "a", "name": "b"}', "not JSON", "s.json"),
        (b"\xff\xfe{", "not JSON", "s.json"),
        (b"[" * 100_000, "not JSON", "s.json"),
        (b"[]", "one JSON object", "s.json"),
        (b"{}", "no list of `expectations`", "s.json"),
        (b'{"expectations": {}}', "no list of `expectations`", "s.json"),
        (b'{"expectations": []}', "nothing would be checked", "s.json"),
        (b'{"expectations": [1]}', "a JSON object", "s.json: expectations[0]"),
        (b'{"expectations": [{}]}', "needs a `type`", "s.json: expectations[0]"),
        (b'{"expectations": [{"type": "t", "kwargs": []}]}', "`kwargs`", "s.json: expectations[0]"),
        (
            b'{"expectations": [{"type": "t", "severity": "bad"}]}',
            "`severity`",
            "s.json: expectations[0]",
        ),
        (
            b'{"expectations": [{"type": "t", "severity": []}]}',
            "`severity`",
            "s.json: expectations[0]",
        ),
        (
            b'{"expectations": [{"type": "t"}], "suite_parameters": [1]}',
            "`suite_parameters`",
            "s.json",
        ),
        (b'{"expectations": [' + b"1," * MAX_EXPECTATIONS + b"1]}", "more than 2,000", "s.json"),
        (b" " * (MAX_BYTES + 1), "larger than 4 MiB", "s.json"),
    ],
)
def test_suites_that_are_refused(tmp_path, raw, words, place):
    path = tmp_path / "s.json"
    path.write_bytes(raw)
    with pytest.raises(ConfigError) as refusal:
        read_suite(path, "s.json")
    assert words in refusal.value.message
    assert refusal.value.where == place


def test_missing_suite(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the suite file: No such file") as refusal:
        read_suite(tmp_path / "none.json", "none.json")
    assert refusal.value.where == "none.json"
    with pytest.raises(ConfigError, match="cannot read"):
        read_suite(tmp_path, "folder")


# --- Row conditions -------------------------------------------------------------------------------


def compare(column, operator, parameter):
    return {
        "type": "comparison",
        "column": {"name": column},
        "operator": operator,
        "parameter": parameter,
    }


def null(column, *, is_null):
    return {"type": "nullity", "column": {"name": column}, "is_null": is_null}


A = compare("a", ">", 5)
B = compare("b", "==", "x")


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        ("a > 5", A),
        ('b == "x"', B),
        ("a != -1.5", compare("a", "!=", -1.5)),
        ('col("odd name") <= 3', compare("odd name", "<=", 3)),
        ('col("a").notNull()', null("a", is_null=False)),
        ("a.isnull()", null("a", is_null=True)),
        ("~a.isnull()", null("a", is_null=False)),
        ("not a.notna()", null("a", is_null=True)),
        ("b in ['x', 'y']", compare("b", "IN", ["x", "y"])),
        ("b not in (1, 2)", compare("b", "NOT_IN", [1, 2])),
        ('a > 5 and b == "x"', {"type": "and", "conditions": [A, B]}),
        ('(a > 5) & (b == "x")', {"type": "and", "conditions": [A, B]}),
        ('(a > 5) | (b == "x")', {"type": "or", "conditions": [A, B]}),
        (A, A),
        (A | {"column": "a"}, A),
        (null("a", is_null=True), null("a", is_null=True)),
        (
            {
                "type": "or",
                "conditions": [A, {"type": "pass_through", "pass_through_filter": 'b == "x"'}],
            },
            {"type": "or", "conditions": [A, B]},
        ),
    ],
)
def test_conditions(raw, parsed):
    assert condition(raw, "here") == parsed


@pytest.mark.parametrize(
    "raw",
    [
        "@pd.io.common.os.system('id')",
        "__import__('os').system('id')",
        "a.map(print)",
        "a.isnull(1)",
        "a.mean()",
        "a > b",
        "a > f()",
        "a > 5 > 3",
        "a > None",
        "a in 'text'",
        "a in [None]",
        "a",
        "5 > a",
        "col(a) > 1",
        "-a.isnull()",
        "~(a > 5)",
        "a + 1",
        "a > 1 & b < 2",
        "`odd name` > 1",
        "a.b.isnull()",
        "",
        "a > 5 #" + "x" * 2000,
        "(" * 500,
        7,
        None,
        {},
        {"type": "and", "conditions": []},
        {"type": "and", "conditions": "a"},
        {"type": "comparison", "operator": ">", "parameter": 1},
        compare("a", "LIKE", 1),
        compare("a", "IN", "abc"),
        compare("a", ">", {"x": 1}),
        {"type": "nullity", "column": {"name": "a"}, "is_null": "yes"},
        {"type": "pass_through"},
    ],
)
def test_conditions_that_are_refused(raw):
    with pytest.raises(ConfigError, match="code is not run") as refusal:
        condition(raw, "s.json: expectations[0]")
    assert refusal.value.where == "s.json: expectations[0]"
    assert refusal.value.exit_code == 2


def test_columns_of_a_condition_and_their_other_names():
    both = {"type": "and", "conditions": [A, B]}
    assert list(columns_of(both)) == ["a", "b"]
    assert list(columns_of(None)) == []
    assert list(columns_of(renamed(both, {"a": "c0", "b": "c1"}))) == ["c0", "c1"]
    assert list(columns_of(both)) == ["a", "b"]
