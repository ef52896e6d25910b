"""What a sketch holds and does where rows are few, belong together, or have no number at all."""

import numpy as np
import pandas as pd
import pytest

from gates.config import validate
from gates.errors import InputError
from gates.evidence import Source
from gates.register import Candidate, register
from gates.report import PolicyInfo, RunInfo
from gates.runner import Run, run, store
from gates.tables.sketches import read_sketch
from gates.yaml_source import parse

CONFIG = """\
version: 1
models:
  m:
    task: binary
    data: {evaluation: data.parquet, id: id, label: y}
    candidate: {predictions: candidate.parquet}
    baseline: {keep_predictions: false}
    gates:
      performance:
        metrics:
          accuracy: {max_drop: 0.1}
          precision: {max_drop: 0.1}
          fbeta: {max_drop: 0.1, beta: 2}
        slices: [size, none]
      fairness:
        sensitive: [size]
        min_group: 20
        metrics:
          accuracy_difference: {max_rise: 0.5}
"""
SIZES = {"tiny": 15, "small": 30, "some": 70, "many": 885}


@pytest.fixture
def folder(tmp_path):
    """1,000 rows of 250 people in groups of four sizes; nobody of `none=yes` is selected."""
    random = np.random.default_rng(4)
    size = np.repeat(list(SIZES), list(SIZES.values()))
    label = random.integers(0, 2, 1000)
    none = np.where(random.random(1000) < 0.2, "yes", "no")
    person = random.integers(0, 250, 1000)
    data = {"id": np.arange(1000), "y": label, "size": size, "none": none, "person": person}
    pd.DataFrame(data).to_parquet(tmp_path / "data.parquet")
    blind = random.random(250)[person] < 0.2
    for name, more in (("baseline", 0.00), ("candidate", 0.05)):
        wrong = blind | (random.random(1000) < more)
        prediction = np.where(none == "yes", 0, np.where(wrong, 1 - label, label))
        frame = pd.DataFrame({"id": data["id"], "prediction": prediction})
        frame.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def configured(*changes):
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return validate(parse(text.encode(), "model-gates.yml"))


def keep(folder, *changes, name="baseline"):
    config = configured(*changes)
    new = Candidate(
        predictions=Source(path=folder / f"{name}.parquet"),
        artifact=None,
        alias="champion",
        by="ana",
        at="2026-01-02T03:04:05Z",
        git_sha=None,
    )
    kept = store(config.models["m"], "m", folder)
    register(config, "m", kept, folder, new)
    return kept.find("champion")


def crashed(error):
    raise error


def judged(folder, *changes):
    asked = Run(
        config=configured(*changes),
        root=folder,
        policy=PolicyInfo(digest="sha256:" + "0" * 64),
        info=RunInfo(started="2026-01-02T03:04:05Z"),
        progress=lambda *_: None,
        on_crash=crashed,
    )
    return run(asked).models[0]


def checks(model):
    assert model.error is None, model.error
    return {check.id: check for gate in model.gates for check in gate.checks}


def entries(found):
    return {(e.metric, e.place): e for e in read_sketch(found.kept).entries}


def width(check):
    return check.interval[1] - check.interval[0]


def test_few_rows_are_compared_without_pairing(folder):
    keep(folder)
    found = checks(judged(folder))
    methods = {size: found[f"performance/accuracy:max_drop@size={size}"].method for size in SIZES}
    assert methods == {
        "tiny": "unpaired newcombe",
        "small": "unpaired newcombe",
        "some": "unpaired newcombe",
        "many": "sketch",
    }


def test_rows_too_few_to_tell_of_are_not_kept(folder):
    kept = entries(keep(folder, ("    gates:", "    privacy: {min_count: 25}\n    gates:")))
    assert ("accuracy", "size=tiny") not in kept
    assert len(kept["accuracy", "size=small"].sums) == 0
    assert len(kept["accuracy", "size=some"].sums) == 3
    assert len(kept["accuracy", "size=many"].sums) == 44


def test_a_group_without_sums_has_no_disparity(folder):
    keep(folder)
    check = checks(judged(folder))["fairness/accuracy_difference:max_rise@size"]
    assert check.verdict == "error"
    assert "no sums for 1 of 3 groups" in check.reason
    bigger = ("min_group: 20", "min_group: 40")
    check = checks(judged(folder, bigger))["fairness/accuracy_difference:max_rise@size"]
    assert check.verdict in ("pass", "inconclusive")
    low, high = check.interval
    assert low <= check.delta <= high


def test_what_is_undefined_is_not_kept_and_not_compared(folder):
    assert ("precision", "none=yes") not in entries(keep(folder))
    check = checks(judged(folder))["performance/precision:max_drop@none=yes"]
    assert check.verdict == "inconclusive"
    assert "undefined" in check.reason


def test_what_only_the_candidate_has_no_number_for_is_not_compared(folder):
    keep(folder)
    frame = pd.read_parquet(folder / "candidate.parquet")
    frame.assign(prediction=0).to_parquet(folder / "candidate.parquet")
    check = checks(judged(folder))["performance/precision:max_drop"]
    assert (check.verdict, check.interval) == ("error", None)
    assert check.baseline is not None
    assert "undefined" in check.reason


def test_a_beta_is_part_of_what_was_asked(folder):
    keep(folder)
    rule = "performance/fbeta:max_drop"
    assert checks(judged(folder))[rule].method == "sketch"
    other = checks(judged(folder, ("beta: 2", "beta: 3")))[rule]
    assert (other.verdict, other.baseline) == ("error", None)
    assert "register it again" in other.reason
    # A record holds F-beta at 1, the name it has in the catalogue.
    plain = checks(judged(folder, (", beta: 2", "")))[rule]
    assert plain.method == "unpaired"


CLUSTER = ("label: y}", "label: y, cluster: person}")


def test_people_stay_together(folder):
    """Both models err on the same people, so the blocks of people are what tells."""
    keep(folder, CLUSTER)
    by_sketch = checks(judged(folder, CLUSTER))["performance/accuracy:max_drop"]
    keep(folder, CLUSTER, ("keep_predictions: false", "keep_predictions: true"))
    by_rows = checks(judged(folder, CLUSTER))["performance/accuracy:max_drop"]
    assert (by_sketch.method, by_rows.method) == ("sketch", "influence")
    # 50 blocks: their own error is 10 %.
    assert 0.7 < width(by_sketch) / width(by_rows) < 1.35


def test_the_error_that_is_kept_knows_of_people(folder):
    plain, people = keep(folder), keep(folder, CLUSTER)
    errors = [f.record.content.metrics["accuracy"].se for f in (plain, people)]
    assert errors[1] > 1.3 * errors[0]
    assert entries(people)["accuracy", ""].se > 1.3 * entries(plain)["accuracy", ""].se


def test_fresh_predictions_need_no_sketch(folder):
    keep(folder)
    data = pd.read_parquet(folder / "data.parquet")
    data.assign(y=1 - data.y).to_parquet(folder / "data.parquet")
    fresh = "keep_predictions: false, on_other_data: re-evaluate, predictions: baseline.parquet"
    model = judged(folder, ("keep_predictions: false", fresh))
    assert model.comparison == "paired"
    assert checks(model)["performance/accuracy:max_drop"].method == "tango"


def test_a_metric_of_scores_without_scores_is_refused_when_it_is_registered(folder):
    with pytest.raises(InputError, match="roc_auc needs scores"):
        keep(folder, ("accuracy: {max_drop: 0.1}", "roc_auc: {max_drop: 0.1}"))


def test_data_that_the_predictions_carry_themselves(folder):
    data = pd.read_parquet(folder / "data.parquet")
    for name in ("baseline", "candidate"):
        outputs = pd.read_parquet(folder / f"{name}.parquet")
        data.merge(outputs, on="id").to_parquet(folder / f"{name}.parquet")
    carried = ("evaluation: data.parquet, ", "")
    keep(folder, carried)
    model = judged(folder, carried)
    assert model.comparison == "sketch"
    assert checks(model)["performance/accuracy:max_drop"].method == "sketch"


OTHER_TASK = """\
version: 1
models:
  m:
    task: TASK
    data: {evaluation: data.parquet, id: id, label: y}
    candidate: {predictions: candidate.parquet}
    baseline: {store: KEPT, keep_predictions: KEEP}
    gates:
      performance:
        metrics: METRICS
"""


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("regression", "{mae: {max_rise: 1}, r2: {max_drop: 1}, max_error: {max_rise: 9}}"),
        ("multiclass", "{f1_macro: {max_drop: 0.5}, mcc: {max_drop: 0.5}}"),
    ],
)
def test_other_tasks_have_sketches_too(tmp_path, task, metrics):
    random = np.random.default_rng(6)
    label = random.normal(size=3000) if task == "regression" else random.integers(0, 3, 3000)
    frame = pd.DataFrame({"id": np.arange(3000), "y": label})
    frame.to_parquet(tmp_path / "data.parquet")
    shared = random.normal(size=3000)
    for name in ("baseline", "candidate"):
        near = label + 0.5 * shared + 0.3 * random.normal(size=3000)
        guess = near if task == "regression" else np.clip(np.round(near), 0, 2).astype(int)
        pd.DataFrame({"id": frame.id, "prediction": guess}).to_parquet(tmp_path / f"{name}.parquet")
    found = {}
    for keep_rows in ("true", "false"):
        config = OTHER_TASK.replace("TASK", task).replace("METRICS", metrics)
        config = config.replace("KEEP", keep_rows).replace("KEPT", f"kept-{keep_rows}")
        changes = [(CONFIG, config)]
        keep(tmp_path, *changes)
        found[keep_rows] = checks(judged(tmp_path, *changes))
    for rule, by_rows in found["true"].items():
        by_sketch = found["false"][rule]
        assert by_sketch.baseline == pytest.approx(by_rows.baseline, rel=1e-11), rule
        if "max_error" in rule:
            assert by_sketch.interval is None
            assert by_sketch.verdict == by_rows.verdict == "inconclusive"
        else:
            assert by_sketch.method == "sketch"
            # 150 blocks: their own error is 6 %.
            assert 0.82 < width(by_sketch) / width(by_rows) < 1.18, rule
