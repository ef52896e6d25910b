"""Metrics of predicted classes, worked out on the table of (label, prediction) cells.

A row enters only through its cell, so value and influence are arithmetic on a K x K table of
shares, and the rows are touched twice: to count them and to hand each its cell's influence. Given
cells with their counts as weights (`cells.py`) in place of rows, nothing is left that grows with n.
Notation: t = share of rows with a label, p = share of rows with a prediction, by class.
"""

from __future__ import annotations

import numpy as np

from gates.stats.arrays import Bools, Floats, Numbers
from gates.stats.measured import Measured, Rows, Undefined, count, of_rate

_ALL = "no rows"
_NO_POSITIVE = "no positive labels"
_NO_NEGATIVE = "no negative labels"
_NONE_PREDICTED = "nothing was predicted positive"


def accuracy(rows: Rows) -> Measured:
    """Measure the share of rows whose prediction is the label."""
    return _rate(rows, rows.label == rows.prediction, _every(rows), _ALL)


def selection_rate(rows: Rows) -> Measured:
    """Measure the share of rows that are predicted positive."""
    return _rate(rows, rows.prediction == 1, _every(rows), _ALL)


def true_positive_rate(rows: Rows) -> Measured:
    """Measure the share of positives predicted positive: recall."""
    return _rate(rows, rows.prediction == 1, rows.label == 1, _NO_POSITIVE)


def false_negative_rate(rows: Rows) -> Measured:
    """Measure the share of positives predicted negative."""
    return _rate(rows, rows.prediction != 1, rows.label == 1, _NO_POSITIVE)


def true_negative_rate(rows: Rows) -> Measured:
    """Measure the share of negatives predicted negative: specificity."""
    return _rate(rows, rows.prediction != 1, rows.label != 1, _NO_NEGATIVE)


def false_positive_rate(rows: Rows) -> Measured:
    """Measure the share of negatives predicted positive."""
    return _rate(rows, rows.prediction == 1, rows.label != 1, _NO_NEGATIVE)


def precision(rows: Rows) -> Measured:
    """Measure the share of predicted positives that are positive.

    Its denominator is the model's own choice of rows. So the rate serves one model's interval, and
    a comparison of two models goes by influence unless both chose the same rows.
    """
    return _rate(rows, rows.label == 1, rows.prediction == 1, _NONE_PREDICTED)


def fbeta(rows: Rows, beta: float = 1.0) -> Measured:
    """Measure the F-beta score of the positive class; `beta` = 1 is F1."""
    share = _shares(rows)
    if share[1].sum() + share[:, 1].sum() == 0.0:
        raise Undefined("no positive labels and nothing was predicted positive")
    weight = np.array([0.0, 1.0])
    value, influence = _mean_score(share, (beta**2, 1.0), weight)
    return _by_cell(rows, value, influence)


def balanced_accuracy(rows: Rows) -> Measured:
    """Measure the mean over classes of recall; both classes, or at least two, must have rows."""
    if np.count_nonzero(_shares(rows).sum(axis=1)) < 2:
        raise Undefined("only one class")
    return recall_macro(rows)


def precision_macro(rows: Rows) -> Measured:
    """Measure the plain mean over classes of precision."""
    _require_predicted(rows)
    return _macro(rows, (0.0, 1.0))


def recall_macro(rows: Rows) -> Measured:
    """Measure the plain mean over classes of recall."""
    _require_labelled(rows)
    return _macro(rows, (1.0, 0.0))


def f1_macro(rows: Rows) -> Measured:
    """Measure the plain mean over classes of F1."""
    return _macro(rows, (1.0, 1.0))


def precision_weighted(rows: Rows) -> Measured:
    """Measure the mean over classes of precision, by each class's share of labels."""
    _require_predicted(rows)
    return _weighted(rows, (0.0, 1.0))


def recall_weighted(rows: Rows) -> Measured:
    """Measure the mean over classes of recall, by share of labels, which comes to accuracy."""
    _require_labelled(rows)
    return accuracy(rows)


def f1_weighted(rows: Rows) -> Measured:
    """Measure the mean over classes of F1, by each class's share of labels."""
    return _weighted(rows, (1.0, 1.0))


def mcc(rows: Rows) -> Measured:
    """Measure Matthews' correlation of label and prediction (Gorodkin 2004 for many classes)."""
    share = _shares(rows)
    t, p = share.sum(axis=1), share.sum(axis=0)
    spread_t, spread_p = 1.0 - t @ t, 1.0 - p @ p
    # Counted rather than compared with zero: rounding leaves 1 - 1.0000000000000002.
    if np.count_nonzero(t) < 2:
        raise Undefined("only one class")
    if np.count_nonzero(p) < 2:
        raise Undefined("only one class was predicted")
    right = np.trace(share)
    scale = np.sqrt(spread_t * spread_p)
    value = float((right - t @ p) / scale)
    # The quotient rule on counts, whose total moves too; so the mean is zero without centring.
    covariance = np.eye(len(t)) + right - p[:, None] - t[None, :]
    variances = (1.0 - t)[:, None] / spread_t + (1.0 - p)[None, :] / spread_p
    return _by_cell(rows, value, covariance / scale - value * variances)


def _macro(rows: Rows, weight_of: tuple[float, float]) -> Measured:
    share = _shares(rows)
    present = _present(share)
    value, influence = _mean_score(share, weight_of, present / present.sum())
    return _by_cell(rows, value, influence)


def _weighted(rows: Rows, weight_of: tuple[float, float]) -> Measured:
    share = _shares(rows)
    t = share.sum(axis=1)
    value, influence = _mean_score(share, weight_of, t)
    # The weights are shares of the rows, hence move with them.
    moved = _scores(share, weight_of)[0] - value
    return _by_cell(rows, value, influence + moved[:, None])


def _scores(share: Floats, weight_of: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return each class's score and one over its denominator, 0 where the class has no rows.

    A score is (u + v)·hit / (u·t + v·p): recall is u, v = 1, 0; precision 0, 1; F-beta beta², 1.
    """
    u, v = weight_of
    denominator = u * share.sum(axis=1) + v * share.sum(axis=0)
    inverse = np.divide(1.0, denominator, out=np.zeros_like(denominator), where=denominator > 0.0)
    return (u + v) * np.diagonal(share) * inverse, inverse


def _mean_score(
    share: Floats, weight_of: tuple[float, float], weight: Floats
) -> tuple[float, Floats]:
    """Return the mean of the classes' scores under fixed weights, and every cell's influence on it.

    For one class the influence of a ratio N/D is (N - score·D) / mean(D).
    """
    u, v = weight_of
    score, inverse = _scores(share, weight_of)
    pull = weight * inverse
    hit = np.diag((u + v) * pull)
    influence = hit - (u * pull * score)[:, None] - (v * pull * score)[None, :]
    return float(weight @ score), influence


def _by_cell(rows: Rows, value: float, influence: Floats) -> Measured:
    """Hand every row the influence of its cell."""
    seen = np.flatnonzero(np.bincount(rows.label, minlength=rows.classes))
    gained = np.diagonal(influence)[seen, None] - influence[seen]
    return Measured(
        value=value,
        influence=influence[rows.label, rows.prediction],
        unit=float(np.abs(gained).max()),
        weight=rows.weight,
    )


def _shares(rows: Rows) -> Floats:
    """Return the share of rows in each cell: labels down, predictions across."""
    cells = rows.label.astype(np.intp) * rows.classes + rows.prediction
    counted = np.bincount(cells, weights=rows.weight, minlength=rows.classes**2)
    return counted.reshape(rows.classes, rows.classes) / rows.size


def _rate(rows: Rows, hits: Bools, of: Bools, when_empty: str) -> Measured:
    return of_rate(hits, of, when_empty=when_empty, weight=rows.weight)


def _every(rows: Rows) -> Bools:
    return np.ones(len(rows), dtype=bool)


def _present(share: Floats) -> Bools:
    """Return the classes scikit-learn averages over: those among the labels or the predictions."""
    found: Bools = (share.sum(axis=1) > 0.0) | (share.sum(axis=0) > 0.0)
    return found


def _require_predicted(rows: Rows) -> None:
    missing = _only_in(rows.label, rows.prediction)
    if missing:
        raise Undefined(f"{count(missing, 'class was', 'classes were')} never predicted")


def _require_labelled(rows: Rows) -> None:
    missing = _only_in(rows.prediction, rows.label)
    if missing:
        raise Undefined(
            f"{count(missing, 'predicted class has', 'predicted classes have')} no rows"
        )


def _only_in(one: Numbers, other: Numbers) -> int:
    return len(np.setdiff1d(one, other))
