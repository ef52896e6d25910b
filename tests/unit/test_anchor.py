"""The anchor: an older version that many small, tolerated drops are added up against."""

import numpy as np
import pandas as pd
import pytest

from gates.config import validate
from gates.decide import settle, threshold
from gates.errors import ConfigError
from gates.evidence import Source
from gates.limits import Bounds
from gates.register import Candidate, register
from gates.report import Check, GateResult, PolicyInfo, RunInfo, Verb
from gates.runner import Run, run, store
from gates.yaml_source import parse
from reporters.render import words
from reporters.render.console import render

CONFIG = """\
version: 1
models:
  m:
    task: binary
    data: {evaluation: data.parquet, id: id, label: y}
    candidate: {predictions: v3.parquet}
    baseline: {anchor: last-release}
    gates:
      performance:
        metrics:
          accuracy: {max_drop: 0.03, max_drop_from_anchor: 0.03}
          log_loss: {max_rise: 1, max_rise_from_anchor: 1, max_ratio: 9}
        slices: [sex]
      fairness:
        sensitive: [sex]
        metrics:
          accuracy_difference: {max_rise: 0.2, max_rise_from_anchor: 0.2}
"""
ROWS = 4000
WRONG = {"v1": 400, "v2": 480, "v3": 560}


@pytest.fixture
def folder(tmp_path):
    """Three models, each wrong where the one before is wrong, and in 2 % of rows more."""
    index = np.arange(ROWS)
    label = index % 2
    place = np.random.default_rng(1).permutation(ROWS)
    data = pd.DataFrame({"id": index, "y": label, "sex": np.where(place % 3, "f", "m")})
    data.to_parquet(tmp_path / "data.parquet")
    for name, wrong in WRONG.items():
        prediction = np.where(place < wrong, 1 - label, label)
        score = 0.2 + 0.6 * prediction
        pd.DataFrame({"id": index, "score": score}).to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def configured(*changes):
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return validate(parse(text.encode(), "model-gates.yml"))


def keep(folder, name, alias, *changes):
    config = configured(*changes)
    new = Candidate(
        predictions=Source(path=folder / f"{name}.parquet"),
        artifact=None,
        alias=alias,
        by="ana",
        at="2026-01-02T03:04:05Z",
        git_sha=None,
    )
    return register(config, "m", store(config.models["m"], "m", folder), folder, new)


def crashed(error):
    raise error


def whole(folder, *changes):
    asked = Run(
        config=configured(*changes),
        root=folder,
        policy=PolicyInfo(digest="sha256:" + "0" * 64),
        info=RunInfo(started="2026-01-02T03:04:05Z"),
        progress=lambda *_: None,
        on_crash=crashed,
    )
    return run(asked)


def judged(folder, *changes):
    return whole(folder, *changes).models[0]


def checks(model):
    assert model.error is None, model.error
    return {check.id: check for gate in model.gates for check in gate.checks}


# --- what it is for --------------------------------------------------------------------------

DROP = "performance/accuracy:max_drop"
FROM_ANCHOR = "performance/accuracy:max_drop_from_anchor"


@pytest.mark.parametrize("kept", ["", ", keep_predictions: false"])
def test_small_drops_that_were_each_tolerated_add_up(folder, kept):
    kept = ("anchor: last-release", f"anchor: last-release{kept}")
    keep(folder, "v1", "last-release", kept)
    keep(folder, "v2", "champion", kept)
    model = judged(folder, kept)
    found = checks(model)
    assert (found[DROP].verdict, found[FROM_ANCHOR].verdict) == ("pass", "fail")
    assert found[DROP].baseline == pytest.approx(0.88)
    assert found[FROM_ANCHOR].baseline == pytest.approx(0.90)
    assert found[FROM_ANCHOR].delta == pytest.approx(-0.04)
    assert found[FROM_ANCHOR].interval_of == "delta"
    assert found[FROM_ANCHOR].limit == {Verb.MAX_DROP_FROM_ANCHOR: 0.03}
    assert (model.baseline.ref, model.baseline.version) == ("champion", 2)
    assert (model.anchor.ref, model.anchor.version) == ("last-release", 1)
    assert model.comparison == ("sketch" if "false" in kept[1] else "paired")


def test_every_place_has_its_own(folder):
    keep(folder, "v1", "last-release")
    keep(folder, "v2", "champion")
    found = checks(judged(folder))
    for rule in (
        "performance/accuracy:max_drop_from_anchor@sex=f",
        "performance/log_loss:max_rise_from_anchor@sex=m",
        "fairness/accuracy_difference:max_rise_from_anchor@sex",
    ):
        near = found[rule.replace("_from_anchor", "")]
        assert abs(found[rule].delta) != abs(near.delta)
        assert found[rule].baseline != near.baseline
        assert found[rule].candidate == near.candidate
    rule = "fairness/accuracy_difference:max_rise_from_anchor@sex"
    right = {}
    for name in ("v1", "v3"):
        rows = pd.read_parquet(folder / f"{name}.parquet").merge(
            pd.read_parquet(folder / "data.parquet"), on="id"
        )
        right[name] = ((rows.score > 0.5) == rows.y).groupby(rows.sex).mean()
    apart = {name: values.max() - values.min() for name, values in right.items()}
    assert (found[rule].baseline, found[rule].candidate) == pytest.approx(
        (apart["v1"], apart["v3"])
    )


def test_a_candidate_is_held_against_an_anchor_alone(folder):
    keep(folder, "v1", "last-release")
    only = [
        ("max_drop: 0.03, ", ""),
        ("max_rise: 1, ", ""),
        (", max_ratio: 9", ""),
        ("max_rise: 0.2, ", ""),
    ]
    report = whole(folder, *only)
    model = report.models[0]
    assert model.baseline is None
    assert model.comparison is None
    assert checks(model)[FROM_ANCHOR].verdict == "fail"
    assert "nothing was compared" not in render(report)


def test_an_anchor_that_nothing_asks_for_is_not_looked_for(folder):
    keep(folder, "v2", "champion")
    unasked = [
        (", max_drop_from_anchor: 0.03", ""),
        (", max_rise_from_anchor: 1", ""),
        (", max_rise_from_anchor: 0.2", ""),
    ]
    model = judged(folder, *unasked)
    assert model.error is None
    assert model.anchor is None


# --- what is missing, and what is not comparable ---------------------------------------------


def test_an_anchor_that_is_not_registered_is_missed_like_a_baseline(folder):
    keep(folder, "v2", "champion")
    error = judged(folder).error
    assert error.exit_code == 3
    assert "'last-release' names no baseline" in error.message


def test_where_policy_lets_a_baseline_lack_the_anchor_may_lack_too(folder):
    model = judged(folder, ("{anchor: last-release}", "{anchor: a, on_missing: absolute}"))
    assert {check.verdict for check in checks(model).values()} == {"skipped"}


def other_rows(folder):
    """Register the anchor on fewer rows than there are now."""
    data = pd.read_parquet(folder / "data.parquet")
    data[:-1].to_parquet(folder / "data.parquet")
    pd.read_parquet(folder / "v1.parquet")[:-1].to_parquet(folder / "v1.parquet")
    keep(folder, "v1", "last-release")
    data.to_parquet(folder / "data.parquet")
    keep(folder, "v2", "champion")


def test_an_anchor_on_other_data_is_refused(folder):
    other_rows(folder)
    error = judged(folder).error
    assert error.exit_code == 3
    assert error.message.startswith("the registered anchor v1 is not comparable: ")
    assert "move its alias" in error.hint


def test_an_anchor_on_other_data_is_compared_without_pairing_where_that_was_asked_for(folder):
    other_rows(folder)
    model = judged(folder, ("{anchor: last-release}", "{anchor: v1, on_other_data: unpaired}"))
    found = checks(model)
    assert (found[DROP].method, found[FROM_ANCHOR].method) == ("tango", "unpaired newcombe")
    assert found[f"{FROM_ANCHOR}@sex=f"].verdict == "inconclusive"
    assert model.comparison == "paired"
    assert any("Compared with the anchor without pairing" in note for note in model.notes)


# --- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (None, "performance.metrics.accuracy.max_drop_from_anchor"),
        (
            ("0.03, max_drop_from_anchor: 0.03", "0.03, slices: {max_drop_from_anchor: 0.1}"),
            "performance.metrics.accuracy.slices.max_drop_from_anchor",
        ),
        (None, "fairness.metrics.accuracy_difference.max_rise_from_anchor"),
    ],
)
def test_a_limit_without_an_anchor_is_refused_at_its_key(change, where):
    changes = [("    baseline: {anchor: last-release}\n", ""), *([change] if change else [])]
    with pytest.raises(ConfigError) as caught:
        configured(*changes)
    told = "\n".join([str(caught.value.where), caught.value.message, *caught.value.details])
    assert f"models.m.gates.{where}" in told
    assert "needs an anchor" in told


@pytest.mark.parametrize(
    ("metric", "verb"),
    [
        ("accuracy: {", "max_rise_from_anchor"),
        ("log_loss: {", "max_drop_from_anchor"),
        ("accuracy_difference: {", "max_drop_from_anchor"),
    ],
)
def test_a_limit_in_the_wrong_direction_is_refused(metric, verb):
    with pytest.raises(ConfigError, match="makes no sense for"):
        configured((metric, f"{metric}{verb}: 0.1, "))


def test_limits_are_read_in_the_order_of_the_verbs():
    given = Bounds(max_rise_from_anchor=0.1, max_drop_from_anchor=0.2, max_drop=0.3).given()
    assert [*given] == [Verb.MAX_DROP, Verb.MAX_DROP_FROM_ANCHOR, Verb.MAX_RISE_FROM_ANCHOR]


# --- the decision, and how it is said --------------------------------------------------------


def decided(verb, delta):
    check = Check(
        id=f"performance/m:{verb.value}",
        metric="accuracy",
        baseline=0.9,
        candidate=0.9 + delta,
        delta=delta,
        interval=(delta - 0.01, delta + 0.01),
        interval_of="delta",
        confidence=0.95,
        method="tango",
        n=1000,
        limit={verb: 0.03},
    )
    (check,) = settle(GateResult(gate="performance", checks=(check,))).checks
    return check


@pytest.mark.parametrize(
    ("verb", "delta", "verdict"),
    [
        (Verb.MAX_DROP_FROM_ANCHOR, -0.05, "fail"),
        (Verb.MAX_DROP_FROM_ANCHOR, -0.03, "inconclusive"),
        (Verb.MAX_DROP_FROM_ANCHOR, -0.01, "pass"),
        (Verb.MAX_DROP_FROM_ANCHOR, 0.9, "pass"),
        (Verb.MAX_RISE_FROM_ANCHOR, 0.05, "fail"),
        (Verb.MAX_RISE_FROM_ANCHOR, 0.03, "inconclusive"),
        (Verb.MAX_RISE_FROM_ANCHOR, -0.9, "pass"),
    ],
)
def test_it_is_decided_like_a_change_from_the_baseline(verb, delta, verdict):
    check = decided(verb, delta)
    assert check.verdict == verdict
    near = Verb(verb.value.removesuffix("_from_anchor"))
    assert threshold(check) == threshold(check.model_copy(update={"limit": {near: 0.03}}))


def test_a_reader_is_told_that_it_is_the_anchor():
    drop, rise = decided(Verb.MAX_DROP_FROM_ANCHOR, -0.05), decided(Verb.MAX_RISE_FROM_ANCHOR, 0.05)
    assert words.limit(drop) == "drop from the anchor ≤ 0.03"
    assert words.limit(rise) == "rise from the anchor ≤ 0.03"
    assert words.verdict(drop) == ("fails: dropped too far from the anchor",)
    assert words.verdict(rise) == ("fails: rose too far from the anchor",)


def test_the_report_names_the_anchor(folder):
    keep(folder, "v1", "last-release")
    keep(folder, "v2", "champion")
    shown = " ".join(render(whole(folder)).split())
    assert "accuracy for sex=f fell by 0.040 since the anchor (limit 0.03)" in shown
    assert "baseline champion v2" in shown
    assert "anchor last-release v1" in shown
    assert "drop from the anchor ≤ 0.03" in shown
