"""`data-schema` on real tables through the real Great Expectations."""

import datetime as dt
import json
import logging
import subprocess
import sys
import textwrap
import warnings
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from gates.builtin.data_schema import DataSchema
from gates.decide import settle
from gates.errors import ConfigError, EnvironmentFault, InputError
from gates.record import ColumnProfile
from gates.report import Effect, Mode, OnInconclusive, Verdict
from gates.tables import Engine

ROOT = Path(__file__).parents[2]
CANARIES = (
    "ada.canary@example.org",
    "078-05-1120",
    "4111111111111111",
    "Grace Canary",
    "424242.4242",
)


class Kind(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TEMPORAL = "temporal"
    OTHER = "other"


def kind_of(column):
    types = pd.api.types
    tests = (
        (types.is_bool_dtype, Kind.BOOLEAN),
        (types.is_integer_dtype, Kind.INTEGER),
        (types.is_numeric_dtype, Kind.NUMBER),
        (types.is_datetime64_any_dtype, Kind.TEMPORAL),
        (types.is_string_dtype, Kind.TEXT),
    )
    return next((kind for test, kind in tests if test(column)), Kind.OTHER)


class Table:
    """A Parquet file, opened as far as the gate looks; it remembers which columns were read."""

    def __init__(self, path, kinds=None):
        frame = pd.read_parquet(path)
        self._frame = frame
        self.name = path.name
        self.columns = tuple(frame.columns)
        self.kinds = {name: kind_of(frame[name]) for name in frame} | (kinds or {})
        self.rows = len(frame)
        self.read = []

    def pandas(self, columns):
        self.read += columns
        return self._frame[list(columns)]


@pytest.fixture
def people(tmp_path):
    """Return ten rows with a little of everything, and canaries where a rule will fail."""
    path = tmp_path / "people.parquet"
    pd.DataFrame(
        {
            "id": range(10),
            "age": [18, 25, 31, 44, 52, 60, 23, 37, 48, 29],
            "income": [1.5, 2.5, None, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 424242.4242],
            "mail": [
                CANARIES[0],
                CANARIES[1],
                CANARIES[2],
                CANARIES[3],
                "a",
                "b",
                "c",
                "d",
                "e",
                None,
            ],
            "plan": ["free", "free", "pro", "pro", "free", "pro", "free", "pro", "free", "team"],
            "member": [True, False] * 5,
            "since": pd.date_range("2024-01-01", periods=10, freq="D"),
            "empty": pd.Series([None] * 10, dtype="float64"),
            "low": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            "high": [2, 3, 4, 5, 6, 7, 8, 9, 10, 1],
        }
    ).to_parquet(path)
    return Table(path)


@pytest.fixture(scope="module")
def judge():
    """Return a function from options and a table to the settled result; the import is paid once."""

    def judged(
        table, options=None, *, root=ROOT, default=Mode.ENFORCE, record=None, tables=None, **given
    ):
        options = DataSchema.model_validate((options or {}) | given)
        policy = SimpleNamespace(confidence=0.95, mode=default, on_inconclusive=OnInconclusive.WARN)
        engine = SimpleNamespace(open=lambda path: tables[path.name])
        evidence = SimpleNamespace(
            root=root,
            policy_root=None,
            evaluation=table,
            engine=engine,
            record=record,
            policy=policy,
        )
        return settle(options.judge(evidence))

    return judged


@pytest.fixture
def by_suite(judge, tmp_path):
    """Return a function that judges a table by a suite file made of (type, arguments)."""

    def judged(table, *expectations, **more):
        entries = [{"type": type_, "kwargs": kwargs} for type_, kwargs in expectations]
        (tmp_path / "suite.json").write_text(json.dumps({"name": "s", "expectations": entries}))
        return judge(table, root=tmp_path, suite="suite.json", **more)

    return judged


def last(result):
    return result.checks[-1]


# --- Every rule of the short form, once met and once not ------------------------------------------


@pytest.mark.parametrize(
    ("column", "met", "unmet", "share"),
    [
        ("id", {"type": "integer"}, {"type": "text"}, 0),
        ("age", {"type": "number"}, {"type": "boolean"}, 0),
        ("income", {"type": "number"}, {"type": "integer"}, 0),
        ("mail", {"type": "text"}, {"type": "datetime"}, 0),
        ("member", {"type": "boolean"}, {"type": "number"}, 0),
        ("since", {"type": "datetime"}, {"type": "text"}, 0),
        ("age", {"nullable": False}, None, None),
        ("income", {"max_null_share": 0.1}, {"max_null_share": 0.09}, 0.9),
        ("mail", {"max_null_share": 0.1}, {"nullable": False}, 0.9),
        ("empty", {"max_null_share": 1.0}, {"max_null_share": 0.99}, 0),
        ("age", {"min": 18, "max": 60}, {"min": 19, "max": 60}, 0.9),
        ("age", {"max": 60}, {"max": 30}, 0.4),
        ("income", {"min": 1.5, "max": 9, "mostly": 0.88}, {"max": 9, "mostly": 0.89}, 8 / 9),
        ("since", {"min": "2024-01-01", "max": "2024-01-10"}, {"min": "2024-01-02T00:00:00Z"}, 0.9),
        ("since", {"type": "datetime", "max": "2024-01-10T00:00:00"}, {"max": "2024-01-05"}, 0.5),
        ("plan", {"in": ["free", "pro", "team"]}, {"in": ["free", "pro"]}, 0.9),
        ("plan", {"in": ["free", "pro"], "mostly": 0.9}, {"in": ["pro"]}, 0.4),
        ("member", {"in": [True, False]}, {"in": [True]}, 0.5),
        ("age", {"in": [18, 25, 31, 44, 52, 60, 23, 37, 48, 29]}, {"in": [18]}, 0.1),
        ("plan", {"regex": "^(free|pro|team)$"}, {"regex": "^f"}, 0.5),
        ("mail", {"regex": "."}, {"regex": "@"}, 1 / 9),
        ("plan", {"min_length": 3, "max_length": 4}, {"max_length": 3}, 0.4),
        ("plan", {"min_length": 3}, {"min_length": 4}, 0.6),
        ("id", {"unique": True}, None, None),
        ("plan", {"in": ["free", "pro", "team"], "unique": False}, {"unique": True}, 0.1),
        ("low", {"mean_between": [5.5, 5.5]}, {"mean_between": [5.6, 9]}, 0),
    ],
)
def test_rules(judge, people, column, met, unmet, share):
    good = last(judge(people, columns={column: met}))
    assert (good.verdict, good.problem) == (Verdict.PASS, None)
    if unmet is not None:
        bad = last(judge(people, columns={column: unmet}))
        assert (bad.verdict, bad.effect, bad.problem) == (Verdict.FAIL, Effect.BLOCK, None)
        assert bad.candidate == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("met", "unmet"),
    [
        ({"rows": {"min": 10, "max": 10}}, {"rows": {"min": 11}}),
        ({"rows": {"max": 10}}, {"rows": {"max": 9}}),
        ({"unique_together": [["plan", "id"]]}, {"unique_together": [["plan", "member"]]}),
        ({"columns": {"id": {}}}, {"columns": {"none": {}}}),
    ],
)
def test_rules_for_the_table(judge, people, met, unmet):
    assert judge(people, **met).verdict is Verdict.PASS
    assert judge(people, **unmet).verdict is Verdict.FAIL


def test_only_columns(judge, people):
    every = {name: {} for name in people.columns}
    assert judge(people, columns=every, only_columns=True).verdict is Verdict.PASS
    absent = every | {"gone": {"required": False, "type": "text"}}
    assert judge(people, columns=absent, only_columns=True).verdict is Verdict.PASS
    every.pop("low")
    assert last(judge(people, columns=every, only_columns=True)).verdict is Verdict.FAIL


def test_a_check_whole(judge, people):
    result = judge(people, columns={"income": {"max": 9, "mostly": 0.95}})
    assert result.summary == "2 expectations on 10 rows of 10 columns"
    assert last(result).model_dump(mode="json", exclude_defaults=True) == {
        "id": "data-schema/expect_column_values_to_be_between:min@income",
        "metric": "expect_column_values_to_be_between",
        "columns": ["income"],
        "candidate": 0.888888888889,
        "interval_of": "candidate",
        "confidence": 0.95,
        "method": "great_expectations",
        "n": 9,
        "limit": {"min": 0.95},
        "decide": "point",
        "verdict": "fail",
        "reason": "The value is beyond the limit.",
    }


def test_only_what_is_named_is_read(judge, people):
    judge(
        people,
        columns={"age": {"min": 0}, "plan": {"type": "text"}},
        rows={"min": 1},
        only_columns=True,
    )
    assert people.read == ["age"]


# --- What is not there, or not decidable ----------------------------------------------------------


def test_missing_column(judge, people):
    result = judge(people, columns={"gone": {"type": "text", "unique": True}})
    exists, type_, unique = result.checks
    assert exists.verdict is Verdict.FAIL
    assert [c.verdict for c in (type_, unique)] == [Verdict.ERROR] * 2
    assert unique.problem == "The table has no column 'gone'."
    assert result.verdict is Verdict.ERROR


def test_optional_column(judge, people):
    rule = {"required": False, "type": "integer", "min": 19}
    absent = judge(people, columns={"gone": rule, "id": {}})
    assert [c.verdict for c in absent.checks] == [Verdict.SKIPPED, Verdict.SKIPPED, Verdict.PASS]
    assert last(judge(people, columns={"age": rule})).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "rule", [{"in": ["a"]}, {"min": 1}, {"unique": True}, {"mean_between": [0, 1]}]
)
def test_all_null_is_never_a_pass(judge, people, rule):
    check = last(judge(people, columns={"empty": rule}))
    assert (check.verdict, check.candidate, check.n) == (Verdict.ERROR, None, 0)
    assert check.problem == "There is no value to judge: of 10 rows, none has one."


def test_no_rows_is_never_a_pass(judge, tmp_path):
    path = tmp_path / "none.parquet"
    pd.DataFrame({"a": pd.Series([], dtype="int64")}).to_parquet(path)
    rules = {"type": "integer", "nullable": False, "min": 0, "unique": True}
    result = judge(Table(path), columns={"a": rules}, rows={"min": 1})
    verdicts = [c.verdict for c in result.checks]
    assert verdicts == [Verdict.PASS] * 2 + [Verdict.ERROR] * 3 + [Verdict.FAIL]


def test_a_condition_that_no_row_meets_is_never_a_pass(by_suite, people):
    kwargs = {"column": "age", "min_value": 0, "row_condition": "age > 900"}
    assert (
        last(by_suite(people, ("expect_column_values_to_be_between", kwargs))).verdict
        is Verdict.ERROR
    )


@pytest.mark.parametrize(
    ("column", "rule"),
    [("mail", {"min": 1}), ("plan", {"mean_between": [0, 1]}), ("low", {"min": "2024-01-01"})],
)
def test_what_the_library_can_not_evaluate_is_an_error_without_its_text(
    judge, people, column, rule
):
    result = judge(people, columns={"age": {"min": 18}, column: rule})
    assert last(result).verdict is Verdict.ERROR
    assert last(result).problem.startswith("Great Expectations raised an error on these 10 rows")
    assert result.checks[1].verdict is Verdict.PASS
    assert not any(canary in result.model_dump_json() for canary in CANARIES)


def test_one_that_breaks_the_pass_leaves_the_others_alone(by_suite, people, capfd):
    broken = {"column": "age", "partition_object": {"x": 1}, "threshold": 0.1}
    result = by_suite(
        people,
        ("expect_column_values_to_be_unique", {"column": "id"}),
        ("expect_column_kl_divergence_to_be_less_than", broken),
        ("expect_column_values_to_be_unique", {"column": "plan"}),
    )
    assert [c.verdict for c in result.checks] == [Verdict.PASS, Verdict.ERROR, Verdict.FAIL]
    assert capfd.readouterr() == ("", "")


def test_an_unreadable_kind_matches_no_type(judge, people):
    people.kinds["mail"] = Kind.OTHER
    assert last(judge(people, columns={"mail": {"type": "text"}})).verdict is Verdict.FAIL


# --- Suites ---------------------------------------------------------------------------------------

ABOVE_30 = {"type": "comparison", "column": {"name": "age"}, "operator": ">", "parameter": 30}
JUDGED_BY_SUITE = [
    ("column_values_to_be_null", {"column": "empty"}, {"column": "age"}),
    ("column_values_to_be_of_type", {"column": "plan", "type_": "str"}, {"column": "plan", "type_": "int64"}),
    ("column_values_to_be_in_type_list", {"column": "plan", "type_list": ["str", "TEXT"]}, {"column": "age", "type_list": ["str"]}),
    ("column_values_to_not_be_in_set", {"column": "plan", "value_set": ["x"]}, {"column": "plan", "value_set": ["team"]}),
    ("column_distinct_values_to_equal_set", {"column": "plan", "value_set": ["free", "pro", "team"]}, {"column": "plan", "value_set": ["free"]}),
    ("column_most_common_value_to_be_in_set", {"column": "plan", "value_set": ["free"]}, {"column": "plan", "value_set": ["team"]}),
    ("column_median_to_be_between", {"column": "low", "min_value": 5, "max_value": 6}, {"column": "low", "max_value": 1}),
    ("column_quantile_values_to_be_between", {"column": "low", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[5, 6]]}}, {"column": "low", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[9, 9]]}}),
    ("column_pair_values_a_to_be_greater_than_b", {"column_A": "high", "column_B": "low", "mostly": 0.9}, {"column_A": "high", "column_B": "low"}),
    ("column_pair_values_to_be_equal", {"column_A": "low", "column_B": "low"}, {"column_A": "low", "column_B": "high"}),
    ("multicolumn_sum_to_equal", {"column_list": ["low", "high"], "sum_total": 3, "mostly": 0.1}, {"column_list": ["low", "high"], "sum_total": 3}),
    ("select_column_values_to_be_unique_within_record", {"column_list": ["low", "high"]}, {"column_list": ["low", "low"]}),
    ("compound_columns_to_be_unique", {"column_list": ["plan", "id"]}, {"column_list": ["plan", "member"]}),
    ("column_values_to_be_increasing", {"column": "low"}, {"column": "high"}),
    ("column_to_exist", {"column": "id", "column_index": 0}, {"column": "id", "column_index": 1}),
    ("table_column_count_to_equal", {"value": 10}, {"value": 3}),
    ("table_columns_to_match_set", {"column_set": ["id", "age"], "exact_match": False}, {"column_set": ["id", "age"]}),
    ("table_row_count_to_equal", {"value": 10}, {"value": 1}),
    ("table_row_count_to_equal", {"value": 6, "row_condition": ABOVE_30}, {"value": 10, "row_condition": ABOVE_30}),
    ("column_values_to_be_between", {"column": "since", "min_value": "2024-01-01", "max_value": "2024-01-10"}, {"column": "since", "max_value": "2024-01-02"}),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "met", "unmet"), JUDGED_BY_SUITE)
def test_suites(by_suite, people, type_, met, unmet):
    result = by_suite(people, (f"expect_{type_}", met), (f"expect_{type_}", unmet))
    assert [(c.verdict, c.problem) for c in result.checks] == [
        (Verdict.PASS, None),
        (Verdict.FAIL, None),
    ]
    assert all(c.metric == f"expect_{type_}" for c in result.checks)


@pytest.mark.parametrize(
    "row_condition",
    [
        ABOVE_30,
        "age > 30",
        'col("age") > 30',
        {"type": "pass_through", "pass_through_filter": "age > 30"},
        "age > 30 and plan in ['free', 'pro', 'team']",
        "(age > 30) & ~plan.isnull()",
    ],
)
def test_row_conditions(by_suite, people, row_condition):
    kwargs = {
        "column": "age",
        "min_value": 40,
        "row_condition": row_condition,
        "condition_parser": "pandas",
    }
    check = last(by_suite(people, ("expect_column_values_to_be_between", kwargs)))
    assert (check.n, check.candidate) == (6, pytest.approx(4 / 6))


@pytest.mark.parametrize(
    ("severity", "default", "gate", "acted", "effect"),
    [
        ("critical", Mode.ENFORCE, None, Mode.ENFORCE, Effect.BLOCK),
        ("warning", Mode.ENFORCE, None, Mode.WARN, Effect.WARN),
        ("info", Mode.ENFORCE, None, Mode.REPORT, Effect.NONE),
        ("critical", Mode.WARN, None, Mode.WARN, Effect.WARN),
        ("critical", Mode.WARN, "enforce", Mode.ENFORCE, Effect.BLOCK),
        ("critical", Mode.ENFORCE, "report", Mode.REPORT, Effect.NONE),
        ("warning", Mode.ENFORCE, "enforce", Mode.WARN, Effect.WARN),
        ("warning", Mode.REPORT, None, Mode.REPORT, Effect.NONE),
    ],
)
def test_severity_only_softens(judge, people, tmp_path, severity, default, gate, acted, effect):
    entry = {
        "type": "expect_table_row_count_to_equal",
        "kwargs": {"value": 1},
        "severity": severity,
    }
    (tmp_path / "s.json").write_text(json.dumps({"expectations": [entry]}))
    options = {"suite": "s.json", "mode": gate}
    check = last(judge(people, options, root=tmp_path, default=default))
    assert (check.verdict, check.mode, check.effect) == (Verdict.FAIL, acted, effect)


def test_alike_expectations_are_numbered(by_suite, people):
    type_ = "expect_column_values_to_be_between"
    result = by_suite(
        people, *((type_, {"column": "age", "min_value": low}) for low in (18, 20, 99))
    )
    assert [c.id.removeprefix(f"data-schema/{type_}") for c in result.checks] == [
        ":min@age",
        ":min@age#2",
        ":min@age#3",
    ]
    assert [c.candidate for c in result.checks] == [1.0, 0.9, 0.0]


def test_the_same_expectation_twice_is_two_checks(by_suite, people):
    twice = ("expect_column_values_to_be_between", {"column": "mail", "min_value": 1})
    assert [c.verdict for c in by_suite(people, twice, twice).checks] == [Verdict.ERROR] * 2


@pytest.mark.parametrize(
    ("type_", "kwargs", "words"),
    [
        ("expect_column_values_to_be_betwen", {"column": "age"}, "is not an expectation"),
        ("expect_column_values_to_be_between", {"column": "age", "min_valu": 1}, "min_valu: extra fields"),
        ("expect_column_values_to_be_between", {"column": "age", "min_value": 1, "mostly": 7}, "mostly: "),
        ("expect_column_values_to_be_between", {}, "column: field required"),
        ("expect_column_values_to_be_unique", {"column": "age", "self": 1}, "self"),
        ("expect_column_values_to_be_between", {"column": 3, "min_value": 1}, "column"),
        ("expect_column_values_to_be_between", {"column": "age", "min_value": 1, "row_condition": {"type": "and", "conditions": [{"type": "or", "conditions": [ABOVE_30, ABOVE_30]}]}}, "row_condition: AND groups"),
    ],
)  # fmt: skip
def test_expectations_that_are_refused_before_a_row_is_read(by_suite, people, type_, kwargs, words):
    with pytest.raises(ConfigError) as refusal:
        by_suite(people, ("expect_column_to_exist", {"column": "id"}), (type_, kwargs))
    assert words in str(refusal.value)
    assert refusal.value.where == "suite.json: expectations[1]"
    assert people.read == []


def test_a_misspelt_expectation_has_a_suggestion(by_suite, people):
    with pytest.raises(ConfigError) as refusal:
        by_suite(people, ("expect_column_values_to_be_betwen", {"column": "age"}))
    assert refusal.value.hint == "did you mean `expect_column_values_to_be_between`?"


def test_what_needs_sql_is_an_error(by_suite, people):
    query = {"unexpected_rows_query": "SELECT * FROM {batch}"}
    assert last(by_suite(people, ("unexpected_rows_expectation", query))).verdict is Verdict.ERROR


# --- Types that do not survive the way to pandas --------------------------------------------------


def test_days_and_time_zones(judge, tmp_path):
    path = tmp_path / "t.parquet"
    days = [dt.date(2024, 1, day) for day in (1, 2, 3)]
    zoned = pd.date_range("2024-01-01", periods=3, freq="D", tz="Europe/Berlin")
    pd.DataFrame({"day": days, "zoned": zoned, "hour": [dt.time(h) for h in (1, 2, 3)]}).to_parquet(
        path
    )
    table = Table(path, kinds=dict.fromkeys(("day", "zoned", "hour"), Kind.TEMPORAL))
    rules = {
        "day": {"type": "datetime", "min": "2024-01-02"},
        "zoned": {"min": "2024-01-02T00:00:00+01:00"},
    }
    result = judge(table, columns=rules | {"hour": {"nullable": False, "unique": True}})
    found = {c.id.rpartition("@")[2]: c.candidate for c in result.checks if "between" in c.id}
    assert found == {"day": pytest.approx(2 / 3), "zoned": pytest.approx(2 / 3)}
    assert last(result).verdict is Verdict.PASS


def test_integers_with_nulls_are_still_integers(judge, tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"n": pd.array([1, None, 3], dtype="Int64")}).to_parquet(path)
    result = judge(
        Table(path), columns={"n": {"type": "integer", "in": [1, 3], "max_null_share": 0.34}}
    )
    assert result.verdict is Verdict.PASS


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a`b",
        "a|b",
        "x\ny",
        "<img src=x>",
        "@os",
        "__class__",
        "c0",
        "é",
        "*",
        "a.b",
        "index",
        "{{7*7}}",
        "$x",
        "n" * 300,
    ],
)
def test_hostile_column_names(by_suite, tmp_path, name):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"first": [9, 9, 9], name: [1, 2, 3]}).to_parquet(path)
    condition = {"type": "comparison", "column": {"name": name}, "operator": ">", "parameter": 1}
    result = by_suite(
        Table(path),
        ("expect_column_to_exist", {"column": name}),
        (
            "expect_column_values_to_be_between",
            {"column": name, "min_value": 3, "row_condition": condition},
        ),
        ("expect_compound_columns_to_be_unique", {"column_list": ["first", name]}),
    )
    assert [c.verdict for c in result.checks] == [Verdict.PASS, Verdict.FAIL, Verdict.PASS]
    assert (result.checks[1].candidate, result.checks[1].n) == (0.5, 2)


# --- The baseline's profile, and another table ----------------------------------------------------


def record(rows=10, **profile):
    columns = {name: ColumnProfile(**column) for name, column in profile.items()}
    evaluation = SimpleNamespace(rows=rows, profile=columns)
    return SimpleNamespace(content=SimpleNamespace(evaluation=evaluation))


PROFILE = {
    "age": {"kind": "integer", "nulls": 0, "low": 18, "high": 60},
    "income": {"kind": "number", "nulls": 1, "low": 1.5, "high": 424242.4242},
    "plan": {"kind": "text", "nulls": 0, "values": ("free", "pro", "team")},
    "since": {"kind": "temporal", "nulls": 0},
    "member": {"kind": "boolean", "nulls": 0},
    "empty": {"kind": "number", "nulls": 10},
}


def test_the_table_a_baseline_was_registered_with_passes(judge, people):
    result = judge(people, infer="baseline", infer_slack=0.0, record=record(**PROFILE))
    assert result.verdict is Verdict.PASS
    assert len(result.checks) == 20


@pytest.mark.parametrize(
    ("name", "change", "slack", "failed"),
    [
        ("age", {"high": 59}, 0.0, "expect_column_values_to_be_between:min@age"),
        ("age", {"kind": "text"}, 0.05, "expect_column_values_to_be_in_type_list:min@age"),
        ("income", {"nulls": 0}, 0.09, "expect_column_values_to_not_be_null:min@income"),
        ("plan", {"values": ("free", "pro")}, 0.05, "expect_column_values_to_be_in_set:min@plan"),
        ("gone", {"kind": "other", "nulls": 10}, 0.05, "expect_column_to_exist:min@gone"),
    ],
)
def test_a_table_that_differs_from_the_baselines_fails(judge, people, name, change, slack, failed):
    profile = PROFILE | {name: PROFILE.get(name, {}) | change}
    result = judge(people, infer="baseline", infer_slack=slack, record=record(**profile))
    assert [c.id for c in result.checks if c.verdict is not Verdict.PASS] == [
        f"data-schema/{failed}"
    ]


def test_slack_widens(judge, people):
    profile = {"age": PROFILE["age"] | {"high": 59}, "income": {"kind": "number", "nulls": 0}}
    result = judge(people, infer="baseline", infer_slack=0.1, record=record(**profile))
    assert result.verdict is Verdict.PASS


def test_only_the_baselines_columns(judge, people):
    result = judge(people, infer="baseline", only_columns=True, record=record(**PROFILE))
    assert last(result).id == "data-schema/expect_table_columns_to_match_set:min"
    assert last(result).verdict is Verdict.FAIL


def test_the_engines_own_profile_and_kinds(judge, tmp_path):
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None, 2**53 - 1], dtype="Int64"),
            "x": [0.1234567890123456, float("nan"), -3.5],
            "same": [0.1234567890123456] * 3,
            "t": ["a", "", None],
            "b": [True, None, False],
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)],
            "at": pd.date_range("2024-01-01", periods=3, tz="Europe/Berlin"),
            "void": pd.Series([None] * 3, dtype="float64"),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    frame.assign(x=[9.5, None, 0.5], t=["a", "z", None], day=1).to_parquet(tmp_path / "b.parquet")
    with Engine() as engine:
        first, second = engine.open(tmp_path / "a.parquet"), engine.open(tmp_path / "b.parquet")
        evaluation = SimpleNamespace(rows=first.rows, profile=first.describe())
        registered = SimpleNamespace(content=SimpleNamespace(evaluation=evaluation))
        options = {"infer": "baseline", "infer_slack": 0.0, "only_columns": True}
        same = judge(first, options, record=registered)
        other = judge(second, options, record=registered)
    assert [c.id for c in same.checks if c.verdict is not Verdict.PASS] == []
    assert {
        c.id.partition("/expect_column_")[2] for c in other.checks if c.verdict is Verdict.FAIL
    } == {
        "values_to_be_between:min@x",
        "values_to_be_in_set:min@t",
        "values_to_be_in_type_list:min@day",
    }


@pytest.mark.parametrize("registered", [None, record()])
def test_a_baseline_without_a_profile(judge, people, registered):
    with pytest.raises(InputError, match="no profile"):
        judge(people, infer="baseline", record=registered)


def test_another_table(judge, people, tmp_path):
    path = tmp_path / "train.parquet"
    pd.DataFrame({"a": [1, 2, 3]}).to_parquet(path)
    result = judge(
        people, data="data/train.parquet", rows={"max": 3}, tables={path.name: Table(path)}
    )
    assert (result.verdict, result.summary) == (
        Verdict.PASS,
        "1 expectation on 3 rows of 1 column",
    )


# --- What must not get out ------------------------------------------------------------------------


def test_no_value_of_a_row_gets_out(by_suite, people, capfd, caplog):
    mail, income = {"column": "mail"}, {"column": "income"}
    full = {
        "result_format": {
            "result_format": "COMPLETE",
            "partial_unexpected_count": 99,
            "include_unexpected_rows": True,
        }
    }
    result = by_suite(
        people,
        ("expect_column_values_to_match_regex", mail | full | {"regex": "^x"}),
        ("expect_column_values_to_be_in_set", mail | full | {"value_set": ["x"]}),
        ("expect_column_values_to_be_unique", {"column": "plan"} | full),
        ("expect_column_distinct_values_to_be_in_set", mail | full | {"value_set": ["x"]}),
        ("expect_column_most_common_value_to_be_in_set", mail | full | {"value_set": ["x"]}),
        ("expect_column_max_to_be_between", income | full | {"max_value": 1}),
        ("expect_column_value_lengths_to_be_between", mail | full | {"max_value": 0}),
        ("expect_column_values_to_be_between", mail | full | {"max_value": 0}),
        ("expect_column_values_to_match_strftime_format", mail | full | {"strftime_format": "%Y"}),
        ("expect_column_mean_to_be_between", mail | full | {"max_value": 0}),
        ("expect_column_stdev_to_be_between", mail | full | {"max_value": 0}),
        ("expect_column_value_z_scores_to_be_less_than", mail | full | {"threshold": 0, "double_sided": True}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["mail", "empty"]} | full),
        ("expect_column_pair_values_to_be_equal", {"column_A": "mail", "column_B": "plan"} | full),
    )  # fmt: skip
    assert not any(
        c.verdict is Verdict.PASS
        for c in result.checks
        if "mail" in c.id and "compound" not in c.id
    )
    said = result.model_dump_json() + "".join(capfd.readouterr()) + caplog.text
    assert not [canary for canary in CANARIES if canary in said]


def test_the_library_keeps_its_warnings_and_logs_to_itself(by_suite, people, capfd):
    log = logging.getLogger("great_expectations")
    before = (log.level, warnings.filters[:])
    by_suite(people, ("unexpected_rows_expectation", {"unexpected_rows_query": "select 1"}))
    assert (log.level, warnings.filters[:]) == before
    assert capfd.readouterr() == ("", "")


def test_without_the_library(judge, people, monkeypatch):
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    with pytest.raises(EnvironmentFault) as fault:
        judge(people, rows={"min": 1})
    assert fault.value.exit_code == 4
    assert 'pip install "model-gates[data-schema]"' in fault.value.hint


def test_no_connection_is_tried():
    code = """
        import socket, sys
        tried = []
        def refuse(*arguments, **_):
            tried.append(arguments)
            raise OSError("no network here")
        socket.socket.connect = socket.socket.connect_ex = refuse
        socket.getaddrinfo = socket.create_connection = refuse
        import pandas as pd
        from gates.expectations.expectation import Expectation
        from gates.expectations.gx import run
        class Table:
            columns, kinds, rows = ("a",), {}, 3
            def pandas(self, columns):
                return pd.DataFrame({"a": [1, 2, 3]})
        wanted = [
            Expectation(type="expect_column_to_exist", kwargs={"column": "a"}, where=""),
            Expectation(type="expect_column_values_to_be_unique", kwargs={"column": "a"}, where=""),
        ]
        print([outcome.value for outcome in run(wanted, Table())], tried)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("[1.0, 1.0] []\n", "")
