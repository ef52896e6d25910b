"""Proper scores of predicted probabilities: log loss and Brier."""

from __future__ import annotations

import numpy as np

from gates.stats.measured import Floats, Measured, Rows, Undefined, of_mean, refuse_rows

# Scores that were rounded to four decimals or stored as 32-bit floats are still probabilities.
_SUM_TOLERANCE = 1e-3
_EPSILON = float(np.finfo(np.float64).eps)


def probabilities(rows: Rows) -> Floats:
    """Return the scores, a column for each class; raise Undefined if they are no probabilities."""
    if rows.score is None:
        raise Undefined("no score column")
    # Written so that NaN counts as outside.
    outside = ~((rows.score >= 0.0) & (rows.score <= 1.0))
    if rows.score.ndim == 1:
        refuse_rows(outside, "score is not between 0 and 1")
        return np.column_stack((1.0 - rows.score, rows.score))
    refuse_rows(np.any(outside, axis=1), "score is not between 0 and 1")
    refuse_rows(abs(rows.score.sum(axis=1) - 1.0) > _SUM_TOLERANCE, "scores do not add up to 1")
    return rows.score


def log_loss(rows: Rows) -> Measured:
    """Measure the mean of -log(probability of the label), clipped at float64's epsilon."""
    score = probabilities(rows)
    given = np.take_along_axis(score, rows.label.astype(np.intp)[:, None], axis=1)[:, 0]
    return of_mean(-np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON)))


def brier(rows: Rows) -> Measured:
    """Measure the mean squared distance of the probabilities from the label.

    With two classes half the sum over both, hence (p - y)²; with more, the sum: Brier's own, up
    to 2, as scikit-learn has it.
    """
    score = probabilities(rows)
    distance = score.copy()
    distance[np.arange(len(rows)), rows.label.astype(np.intp)] -= 1.0
    half = 0.5 if score.shape[1] == 2 else 1.0
    return of_mean(half * np.sum(distance**2, axis=1))
