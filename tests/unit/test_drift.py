"""What the options of the drift gate mean, before there are any data."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gates.builtin.drift import Drift
from gates.evidence import Policy
from gates.report import Family, Task

PINNED = {"file": "reference.parquet", "sha256": "a" * 64}


def problems(options, task=Task.BINARY):
    return {".".join(map(str, p.path)): p.message for p in Drift(**options).problems(task)}


@pytest.mark.parametrize(
    ("options", "task", "key", "said"),
    [
        ({}, Task.BINARY, "", "nothing is compared"),
        ({"score": {}}, Task.REGRESSION, "score", "only a binary task has one score"),
        ({"score": {}}, Task.MULTICLASS, "score", "only a binary task has one score"),
        ({"columns": {" ": {}}}, Task.BINARY, "columns. ", "no column's name"),
        ({"columns": {"score": {}}, "score": {}}, Task.BINARY, "columns.score", "of an output"),
        ({"columns": {"age": {"ks": {"max": 1.0}}}}, Task.BINARY, "columns.age.ks", "never be"),
        ({"score": {"null_change": {"max": 0.1}}}, Task.BINARY, "score.null_change", "always has"),
        ({"prediction": {"ks": {"max": 0.1}}}, Task.BINARY, "prediction.ks", "is of numbers"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_key(options, task, key, said):
    found = problems(options, task)
    assert list(found) == [key]
    assert said in found[key]


@pytest.mark.parametrize(
    ("options", "task"),
    [
        (
            {"columns": {"score": {}}},
            Task.REGRESSION,
        ),  # a column, as there is no output that is asked of
        ({"prediction": {"wasserstein": {"max": 2.0}}}, Task.REGRESSION),
        ({"prediction": {}}, Task.MULTICLASS),
        ({"columns": {"age": {"psi": {"max": 12.0}}}}, Task.BINARY),
    ],
)
def test_what_makes_sense_is_no_problem(options, task):
    assert problems(options, task) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"columns": {"age": {"psi": {"max": 0.0}}}},
        {"columns": {"age": {"psi": {"max": -0.1}}}},
        {"columns": {"age": {"psi": {"min": 0.1}}}},
        {"columns": {"age": {"chi2": {"max": 0.1}}}},
        {"columns": ["age"]},
        {"columns": {"age": {}}, "reference": {"file": "r.parquet"}},
        {"columns": {"age": {}}, "reference": PINNED | {"sha256": "A" * 64}},
    ],
)
def test_what_is_no_option_is_refused(options):
    with pytest.raises(ValidationError):
        Drift(**options)


def declared(options):
    return {one.id(): one for one in Drift(**options).declared(Policy(), Path())}


def test_a_column_without_limits_has_those_that_make_sense():
    found = declared({"columns": {"age": {}, "region": {"ks": {"max": 0.2}}}, "score": {}})
    assert {rule: one.bound for rule, one in found.items()} == {
        "drift/psi:max@score": 0.1,
        "drift/psi:max@age": 0.1,
        "drift/null_change:max@age": 0.05,
        "drift/ks:max@region": 0.2,
        "drift/null_change:max@region": 0.05,
    }
    assert found["drift/psi:max@score"].family is Family.OVERALL
    assert found["drift/psi:max@age"].family is Family.SLICES


def test_only_what_a_baseline_is_to_tell_is_remembered():
    options = {"columns": {"age": {}}, "score": {}}
    assert Drift(**options).remembers.columns == ("age",)
    assert Drift(**options).remembers.outputs == ("score",)
    assert Drift(**options).needs_baseline
    filed = Drift(**options, reference=PINNED)
    assert filed.remembers.columns == filed.remembers.outputs == ()
    assert not filed.needs_baseline
    assert not any(one.remembered for one in declared(options | {"reference": PINNED}).values())
    assert all(one.strict for one in declared(options | {"reference": PINNED}).values())
