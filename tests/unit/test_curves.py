"""Curves for the eye: they run through scikit-learn's points, and tell of no single row."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from gates.stats import curves
from gates.stats.measured import Rows


def rows(n=400, *, ties=False, seed=5):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    score = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0.0, 1.0)
    score = np.round(score, 1) if ties else score
    return Rows(label=label, prediction=(score >= 0.5).astype(int), score=score)


def on(points, x, y):
    """Whether each point is one of the curve's, to the last bits."""
    theirs = np.column_stack([x, y])
    return all(np.abs(theirs - point).max(axis=1).min() < 1e-12 for point in points)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [40, 5000])
def test_roc_and_precision_recall_are_points_of_scikit_learns_curves(n, ties):
    found = rows(n, ties=ties)
    fpr, tpr, _ = roc_curve(found.label, found.score, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(found.label, found.score)
    roc, pr = curves.roc_and_precision_recall(found)
    assert len(roc) <= curves.POINTS
    assert roc[0] == (0.0, 0.0)
    assert roc[-1] == (1.0, 1.0)
    assert on(roc, fpr, tpr)
    assert on(pr, recall, precision)
    assert pr[-1][0] == 1.0


def test_a_thinned_curve_has_no_wide_gap():
    points = np.array(curves.roc_and_precision_recall(rows(20_000))[0])
    steps = np.abs(np.diff(points, axis=0)).sum(axis=1)
    assert len(points) > 80
    assert steps.max() < 0.05  # one step is as wide as the rows that share a score


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_roc(label):
    found = Rows(
        label=np.full(9, label), prediction=np.zeros(9, dtype=int), score=np.linspace(0, 1, 9)
    )
    roc, pr = curves.roc_and_precision_recall(found)
    assert roc == []
    assert bool(pr) is bool(label)


def test_calibration_bins_hold_all_rows_and_the_small_ones_are_withheld():
    found = rows(1000)
    bins = curves.calibration(found, least=10)
    assert sum(n for *_, n in bins) == 1000
    assert len(bins) == curves.CALIBRATION_BINS
    assert sum(share * n for _, share, _, _, n in bins) == pytest.approx(found.label.sum())
    assert sum(mean * n for mean, *_, n in bins) == pytest.approx(found.score.sum())
    assert all(low <= share <= high for _, share, low, high, _ in bins)
    assert curves.calibration(found, least=101) == []


def test_rows_of_one_score_share_a_bin():
    found = Rows(label=np.tile([0, 1], 50), prediction=np.ones(100, dtype=int), score=np.ones(100))
    assert curves.calibration(found, least=10) == [(1.0, 0.5, *wilson(50, 100), 100)]


def wilson(hits, size):
    from gates.stats.score_intervals import wilson as interval

    return interval(hits, size, confidence=0.95)


def test_scores_are_counted_between_zero_and_one():
    edges, counts = curves.score_counts(rows(300))
    assert (edges[0], edges[-1], len(edges)) == (0.0, 1.0, curves.BINS + 1)
    assert sum(counts) == 300


def test_errors_of_two_models_share_their_edges_and_no_extreme_is_told():
    label = np.zeros(1000)
    calm = np.random.default_rng(2).normal(0, 1, 1000)
    wild = calm.copy()
    wild[0] = 731_200.0
    models = [Rows(label=label, prediction=one) for one in (calm, wild)]
    edges, counts = curves.error_counts(models)
    assert [sum(one) for one in counts] == [1000, 1000]
    assert max(edges) < 5


def test_a_model_without_error_has_a_picture():
    same = Rows(label=np.ones(5), prediction=np.ones(5))
    edges, counts = curves.error_counts([same])
    assert (edges[0], edges[-1], sum(counts[0])) == (-0.5, 0.5, 5)


def test_errors_beyond_any_number_have_none():
    found = Rows(label=np.array([-1.7e308] * 3), prediction=np.array([1.7e308] * 3))
    with np.errstate(over="ignore", invalid="ignore"):
        assert curves.error_counts([found]) == ([], [[]])


def test_confusion_is_scikit_learns():
    rng = np.random.default_rng(4)
    label, prediction = rng.integers(0, 3, (2, 200))
    found = Rows(label=label, prediction=prediction, classes=3)
    assert curves.confusion(found) == confusion_matrix(label, prediction).tolist()


def test_a_model_without_scores_is_a_mistake_of_the_caller():
    bare = Rows(label=np.array([0, 1]), prediction=np.array([0, 1]))
    with pytest.raises(ValueError, match="without scores"):
        curves.score_counts(bare)
