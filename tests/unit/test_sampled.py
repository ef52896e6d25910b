"""Very many rows: the value of all of them, and an interval from some that is as wide."""

from dataclasses import replace

import numpy as np
import pytest

from gates.report import Task
from gates.stats import sampled
from gates.stats.catalogue import METRICS, Needs, metrics_for
from gates.stats.definitions import sklearn_value
from gates.stats.intervals import paired, single
from gates.stats.measured import Rows, Undefined
from gates.stats.metrics import measure
from gates.stats.ranking import average_precision_value, ranked_positives, roc_auc_value

N = 900_000
FEW = 2 * sampled.FROM_EACH_CLASS


def models_of(n, *, prevalence=0.3, decimals=12, changed=1.0, seed=3):
    """Two models of which the second differs on a share of the rows."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < prevalence).astype(np.int32)
    odds = rng.normal(1.5 * label - 1.0, 1.0)
    moved = odds + (rng.random(n) < changed) * rng.normal(0.0, 0.8, n)
    scores = [np.round(1.0 / (1.0 + np.exp(-z)), decimals) for z in (odds, moved)]
    return [
        Rows(label=label, prediction=(s >= 0.5).astype(np.int32), score=s).ranked() for s in scores
    ]


@pytest.fixture(scope="module")
def models():
    return models_of(N)


@pytest.mark.parametrize("name", sampled.VALUES)
@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("n", [7, 40, 3000, 70_000])
def test_the_value_alone_is_that_of_the_metric(name, decimals, n):
    for rows in models_of(n, decimals=decimals):
        for one in (rows, replace(rows, rank=None)):
            value = sampled.VALUES[name](sampled.Many(rows=one, some=one))
            assert value == pytest.approx(measure(name, rows).value, rel=1e-12)
            assert value == pytest.approx(sklearn_value(name, rows), rel=1e-9)


@pytest.mark.parametrize("name", ["log_loss", "brier"])
def test_the_value_of_a_table_of_scores_is_that_of_the_metric(name):
    score = np.random.default_rng(1).dirichlet(np.ones(3), 500)
    label = np.arange(500) % 3
    rows = Rows(label=label, prediction=score.argmax(axis=1), score=score, classes=3)
    value = sampled.VALUES[name](sampled.Many(rows=rows, some=rows))
    assert value == pytest.approx(measure(name, rows).value, rel=1e-12)


def test_every_binary_metric_of_scores_that_has_an_influence_has_a_value_of_its_own():
    of_scores = {n for n in metrics_for(Task.BINARY) if METRICS[n].needs is Needs.SCORE}
    rows = models_of(400)[0]
    smooth = {name for name in of_scores if measure(name, rows).influence is not None}
    assert set(sampled.VALUES) == smooth


@pytest.mark.parametrize("name", sampled.VALUES)
def test_some_rows_tell_the_interval_of_all(name, models):
    many = sampled.measure_many(name, sampled.sampled(models))
    every = [measure(name, rows) for rows in models]
    assert [one.value for one in many] == pytest.approx([one.value for one in every], rel=1e-12)
    assert len(many[0].influence) < N / 2
    pairs = [
        (single(many[1], confidence=0.95), single(every[1], confidence=0.95)),
        (paired(*many, confidence=0.95), paired(*every, confidence=0.95)),
    ]
    for one, other in pairs:
        assert one.method == other.method
        assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.01)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss"])
def test_the_stated_error_is_the_error(name):
    """Over many tables the half width is off by no more than what the rows say of themselves."""
    off = []
    for seed in range(20):
        models = models_of(FEW + 90_000, prevalence=0.02, seed=seed)
        few = sampled.measure_many(name, sampled.sampled(models))
        every = [measure(name, rows) for rows in models]
        ends = [paired(*both, confidence=0.95) for both in (few, every)]
        width, right = (one.high - one.low for one in ends)
        off.append(width / right - 1.0)
    assert np.sqrt(np.mean(np.square(off))) < sampled.TOLERANCE
    assert abs(np.mean(off)) < sampled.TOLERANCE / 2


@pytest.mark.parametrize("changed", [0.0, 2e-5])
def test_models_that_differ_on_few_rows_are_looked_at_in_full(changed):
    models = models_of(N, changed=changed)
    assert sampled.measure_many("roc_auc", sampled.sampled(models)) is None
    assert sampled.measure_many("roc_auc", sampled.sampled(models[:1])) is not None


def test_a_metric_without_a_value_is_left_to_who_says_why(models):
    alone = [replace(models[0], label=np.zeros(N, dtype=np.int32))]
    assert sampled.measure_many("roc_auc", sampled.sampled(alone)) is None
    wrong = [replace(models[0], score=models[0].score + 1.0)]
    assert sampled.measure_many("brier", sampled.sampled(wrong)) is None


@pytest.mark.parametrize(("label", "reason"), [(0, "no positive"), (1, "only one class")])
def test_one_class_has_no_order(label, reason):
    rows = Rows(label=np.full(5, label), prediction=np.zeros(5), score=np.linspace(0.0, 1.0, 5))
    value = roc_auc_value if label else average_precision_value
    with pytest.raises(Undefined, match=reason):
        value(ranked_positives(rows))


def test_the_rows_taken_stand_for_all_of_their_class():
    (models, again) = (models_of(N, prevalence=0.01) for _ in range(2))
    one, other = (many.some for many in sampled.sampled(models))
    assert np.array_equal(one.label, other.label)
    assert np.array_equal(one.weight, other.weight)
    assert one.size == N
    positive = one.label == 1
    # A rare class is taken whole.
    assert np.all(one.weight[positive] == 1)
    assert positive.sum() == models[0].label.sum()
    assert sampled.FROM_EACH_CLASS <= np.count_nonzero(~positive) < FEW
    repeated = sampled.sampled(again)[0].some
    assert np.array_equal(one.score, repeated.score)


def test_the_rows_taken_follow_no_pattern_of_their_order():
    """Rows that alternate, as sorted ids may, are both taken as often as they occur."""
    label = np.zeros(N, dtype=np.int32)
    score = (np.arange(N) % 6) / 10.0
    some = sampled.sampled([Rows(label=label, prediction=label, score=score)])[0].some
    shares = np.bincount(np.round(some.score * 10).astype(int), weights=some.weight) / N
    assert shares == pytest.approx(1 / 6, abs=0.005)
