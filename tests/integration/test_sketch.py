"""A baseline without its rows, on real data: what is deleted, and what can still be decided."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gates import demo
from gates.baselines.files import PREDICTIONS, RECORD, SKETCH
from gates.config import validate
from gates.evidence import Source
from gates.record import Content
from gates.register import Candidate, register
from gates.report import PolicyInfo, RunInfo
from gates.runner import Run, run, store
from gates.stats.sketch import MOST_BLOCKS, ROWS_PER_BLOCK
from gates.tables.sketches import read_sketch
from gates.yaml_source import parse

ADULT = Path(demo.__file__).parent / "project" / "data" / "adult.parquet"
FEATURES = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
LABEL = "income_over_50k"

CONFIG = """\
version: 1
models:
  income:
    task: binary
    data: {evaluation: holdout.parquet, id: person_id, label: income_over_50k}
    candidate: {predictions: candidate.parquet}
    baseline: BASELINE
    gates:
      performance:
        metrics:
          accuracy: {min: 0.7, max_drop: 0.01}
          roc_auc: {max_drop: 0.01}
          f1: {max_drop: 0.01}
          log_loss: {max_rise: 0.01}
        slices: [sex, race, {name: young, where: "age < 30"}]
      fairness:
        sensitive: [sex, race]
        metrics:
          false_negative_rate: {max_rise_any_group: 0.05}
          selection_rate: {max_rise_any_group: 0.5}
          demographic_parity_difference: {max_rise: 0.1}
"""
ROWS, NO_ROWS = "{store: rows}", "{store: sketch, keep_predictions: false}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The holdout, and the outputs of two models that were trained on the other rows."""
    folder = tmp_path_factory.mktemp("adult")
    data = pd.read_parquet(ADULT)
    held = np.random.default_rng(3).random(len(data)) < 0.7
    rows = data[held].reset_index(drop=True)
    rows.to_parquet(folder / "holdout.parquet")
    models = {
        "baseline": make_pipeline(StandardScaler(), LogisticRegression()),
        "candidate": HistGradientBoostingClassifier(max_iter=30, random_state=0),
    }
    for name, model in models.items():
        model.fit(data.loc[~held, FEATURES], data.loc[~held, LABEL])
        score = model.predict_proba(rows[FEATURES])[:, 1]
        outputs = {"person_id": rows.person_id, "prediction": (score >= 0.5) * 1, "score": score}
        pd.DataFrame(outputs).to_parquet(folder / f"{name}.parquet")
    for baseline in (ROWS, NO_ROWS):
        registered(folder, baseline)
    return folder


def configured(baseline, change=("", "")):
    return validate(parse(CONFIG.replace("BASELINE", baseline).replace(*change).encode(), "x.yml"))


def registered(folder, baseline, name="baseline", change=("", "")):
    config = configured(baseline, change)
    new = Candidate(
        predictions=Source(path=folder / f"{name}.parquet"),
        artifact=None,
        alias="champion",
        by="ana",
        at="2026-01-02T03:04:05Z",
        git_sha=None,
    )
    return register(config, "income", the_store(folder, baseline), folder, new)


def the_store(folder, baseline):
    return store(configured(baseline).models["income"], "income", folder)


def crashed(error):
    raise error


def judged(folder, baseline, change=("", "")):
    """The report on the candidate, of the one model there is."""
    asked = Run(
        config=configured(baseline, change),
        root=folder,
        policy=PolicyInfo(digest="sha256:" + "0" * 64),
        info=RunInfo(started="2026-01-02T03:04:05Z"),
        progress=lambda *_: None,
        on_crash=crashed,
    )
    return run(asked).models[0]


def checks(report):
    assert report.error is None, report.error
    return {check.id: check for gate in report.gates for check in gate.checks}


@pytest.fixture(scope="module")
def both(folder):
    return checks(judged(folder, ROWS)), checks(judged(folder, NO_ROWS))


def width(check):
    low, high = check.interval
    return high - low


# --- what is kept ----------------------------------------------------------------------------


def test_no_row_is_kept(folder):
    found = the_store(folder, NO_ROWS).find("champion")
    assert sorted(path.name for path in found.folder.iterdir()) == [RECORD, SKETCH]
    content = found.record.content
    assert content.predictions is None
    assert content.sketch.by == "person_id"
    rows = content.evaluation.rows
    assert content.sketch.blocks == rows // ROWS_PER_BLOCK < MOST_BLOCKS
    entries = read_sketch(found.kept).entries
    assert len(entries) == content.sketch.entries
    # No number is of fewer rows than a block has, in the smallest slice as little as overall.
    assert all(len(entry.sums) <= entry.n // ROWS_PER_BLOCK for entry in entries)
    assert min(entry.n for entry in entries) < 300
    ids = set(pd.read_parquet(folder / "baseline.parquet").score)
    assert not ids & {number for entry in entries for number in entry.sums}


def test_every_metric_and_place_of_the_gates_is_kept_and_no_other(folder, both):
    entries = read_sketch(the_store(folder, NO_ROWS).find("champion").kept).entries
    kept = {(entry.metric, entry.place) for entry in entries}
    asked = {
        (check.metric, rule.partition("@")[2])
        for rule, check in both[0].items()
        if "difference" not in check.metric
    }
    assert asked == kept


def test_the_same_model_gives_the_same_sketch(folder, tmp_path):
    first = the_store(folder, NO_ROWS).find("champion").record
    again = registered(folder, f"{{store: {tmp_path}, keep_predictions: false}}")
    assert again.content == first.content
    registered(folder, NO_ROWS)
    assert len(the_store(folder, NO_ROWS).versions()) == 1


# --- what it decides -------------------------------------------------------------------------


def test_values_are_those_of_the_rows(both):
    rows, sketch = both
    assert rows.keys() == sketch.keys()
    for rule, check in rows.items():
        assert sketch[rule].baseline == pytest.approx(check.baseline, rel=1e-12), rule
        assert sketch[rule].delta == pytest.approx(check.delta, rel=1e-9), rule


def test_intervals_are_as_wide_as_those_of_the_rows(both):
    rows, sketch = both
    changes = [rule for rule, check in rows.items() if check.interval_of == "delta"]
    for rule in changes:
        blocks = rows[rule].n // ROWS_PER_BLOCK
        ratio = width(sketch[rule]) / width(rows[rule])
        # Within 10 %, as far as so many blocks can: their own error is 1 / sqrt(2 G).
        least = max(0.1, 3.0 / math.sqrt(2 * blocks))
        assert 1 - least < ratio < 1 + least, rule
    large = [width(sketch[rule]) / width(rows[rule]) for rule in changes if rows[rule].n > 9000]
    assert len(large) > 20
    assert max(abs(math.log(ratio)) for ratio in large) < math.log(1.1)
    assert np.mean(large) == pytest.approx(1.0, abs=0.02)


def test_a_limit_on_the_candidate_alone_knows_nothing_of_it(both):
    rows, sketch = (side["performance/accuracy:min"] for side in both)
    assert (rows.interval, rows.method) == (sketch.interval, sketch.method)


def test_a_candidate_that_is_the_baseline_has_not_changed(folder):
    candidate = ("candidate: {predictions: candidate", "candidate: {predictions: baseline")
    for rule, check in checks(judged(folder, NO_ROWS, candidate)).items():
        if check.interval_of == "delta":
            assert check.delta == pytest.approx(0.0, abs=1e-12), rule
            assert check.interval[0] <= 1e-12, rule
            assert check.interval[1] >= -1e-12, rule
    overall = checks(judged(folder, NO_ROWS, candidate))["performance/log_loss:max_rise"]
    assert overall.interval == pytest.approx((0.0, 0.0), abs=1e-9)


def test_the_report_says_what_was_compared(folder):
    assert judged(folder, ROWS).comparison == "paired"
    report = judged(folder, NO_ROWS)
    assert report.comparison == "sketch"
    assert any("No rows of the baseline are kept" in note for note in report.notes)
    methods = {check.method for check in checks(report).values()}
    assert "sketch" in methods
    assert methods.isdisjoint({"tango", "delong"})


def test_a_model_that_got_worse_fails_by_the_sketch_alone(folder, tmp_path):
    store = f"{{store: {tmp_path}, keep_predictions: false}}"
    registered(folder, store, "candidate")
    worse = ("candidate: {predictions: candidate", "candidate: {predictions: baseline")
    report = judged(folder, store, worse)
    failed = {rule for rule, check in checks(report).items() if check.verdict == "fail"}
    assert {"performance/roc_auc:max_drop", "performance/log_loss:max_rise"} <= failed


# --- what it does not hold -------------------------------------------------------------------

AGE_LIMIT = ("age < 30", "age < 31")


def test_a_condition_that_was_edited_finds_nothing_and_says_so(folder):
    found = checks(judged(folder, NO_ROWS, AGE_LIMIT))
    young = [check for rule, check in found.items() if "@young" in rule]
    assert {check.verdict for check in young} == {"inconclusive"}
    assert all("register it again" in check.reason for check in young)
    assert found["performance/accuracy:max_drop"].method == "sketch"


def test_a_metric_it_was_not_asked_for_is_compared_without_pairing(folder, both):
    brier = ("accuracy: {min: 0.7, max_drop: 0.01}", "brier: {max_rise: 0.01}")
    check = checks(judged(folder, NO_ROWS, brier))["performance/brier:max_rise"]
    by_rows = checks(judged(folder, ROWS, brier))["performance/brier:max_rise"]
    assert (check.method, check.delta) == ("unpaired", pytest.approx(by_rows.delta, rel=1e-6))
    assert width(check) > 1.3 * width(by_rows)


def test_groups_it_was_not_asked_for_have_no_disparity(folder):
    other = ("sensitive: [sex, race]", "sensitive: [workclass]")
    found = checks(judged(folder, NO_ROWS, other))
    rule = "fairness/demographic_parity_difference:max_rise@workclass"
    assert found[rule].verdict == "error"
    assert "its sketch has no sums" in found[rule].reason


def without_one_row(folder, tmp_path):
    """The same project with one row of the evaluation set left out."""
    other = shutil.copytree(folder, tmp_path / "other")
    for name in ("holdout", "candidate"):
        frame = pd.read_parquet(other / f"{name}.parquet").sort_values("person_id")
        frame[1:].to_parquet(other / f"{name}.parquet")
    return other


def test_another_evaluation_set_is_compared_without_pairing_and_says_so(folder, tmp_path, both):
    report = judged(without_one_row(folder, tmp_path), NO_ROWS)
    assert report.comparison == "unpaired"
    assert any("Compared without pairing" in note for note in report.notes)
    check = checks(report)["performance/accuracy:max_drop"]
    assert check.method == "unpaired newcombe"
    assert width(check) > 1.3 * width(both[0]["performance/accuracy:max_drop"])
    sliced = checks(report)["performance/accuracy:max_drop@sex=Male"]
    assert sliced.verdict == "inconclusive"


def test_another_evaluation_set_is_refused_where_that_was_asked_for(folder, tmp_path):
    other = without_one_row(folder, tmp_path)
    refusing = NO_ROWS.replace("}", ", on_other_data: refuse}")
    for baseline in (refusing, ROWS):
        error = judged(other, baseline).error
        assert (error.exit_code, error.kind) == (3, "input")
        assert "is not comparable" in error.message


def test_another_question_is_never_compared(folder):
    other = ("label: income_over_50k", "label: income_over_50k, positive: 0")
    error = judged(folder, NO_ROWS.replace("}", ", on_other_data: unpaired}"), other).error
    assert error.exit_code == 3
    assert "its positive label is '1'" in error.message


def test_blocks_of_another_column_are_not_taken_for_these(folder):
    clustered = ("id: person_id,", "id: person_id, cluster: education,")
    report = judged(folder, NO_ROWS, clustered)
    assert report.comparison == "unpaired"
    assert any("in blocks by 'person_id'" in note for note in report.notes)


# --- tampering -------------------------------------------------------------------------------


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [flipped, Path.unlink])
def test_a_sketch_that_was_tampered_with_is_refused(folder, tmp_path, damage):
    other = shutil.copytree(folder, tmp_path / "other")
    kept = the_store(other, NO_ROWS).find("champion").kept
    assert the_store(other, NO_ROWS).verify() == []
    damage(kept)
    assert len(the_store(other, NO_ROWS).verify()) == 1
    error = judged(other, NO_ROWS).error
    assert (error.exit_code, error.kind) == (5, "refused")
    assert SKETCH in error.where


def test_predictions_that_were_left_beside_a_sketch_do_not_belong(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    found = the_store(other, NO_ROWS).find("champion")
    shutil.copy(folder / "baseline.parquet", found.folder / PREDICTIONS)
    (problem,) = the_store(other, NO_ROWS).verify()
    assert PREDICTIONS in problem


def test_a_record_keeps_the_one_or_the_other(folder):
    record = json.loads(the_store(folder, NO_ROWS).find("champion").record.model_dump_json())
    content = record["content"]
    rows = json.loads(the_store(folder, ROWS).find("champion").record.model_dump_json())["content"]
    for wrong in ({"predictions": rows["predictions"]}, {"sketch": None}):
        with pytest.raises(ValueError, match="as predictions or as a sketch"):
            Content.model_validate(content | wrong)
    # As it was written before there were sketches.
    del rows["sketch"]
    assert Content.model_validate(rows).kept.rows == rows["evaluation"]["rows"]
