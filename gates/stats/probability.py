"""Proper scores of predicted probabilities: log loss and Brier."""

from __future__ import annotations

import numpy as np

from gates.stats.arrays import Floats
from gates.stats.measured import Measured, Rows, Undefined, of_mean, refuse_rows

# Scores that were rounded to four decimals or stored as 32-bit floats are still probabilities.
_SUM_TOLERANCE = 1e-3
_EPSILON = float(np.finfo(np.float64).eps)


def probabilities(rows: Rows) -> Floats:
    """Return the scores as they were given; raise Undefined if they are no probabilities."""
    score = rows.score
    if score is None:
        raise Undefined("no score column")
    # Two reductions tell that all is well; NaN makes both comparisons false.
    if not (score.min() >= 0.0 and score.max() <= 1.0):
        inside = ((score >= 0.0) & (score <= 1.0)).reshape(len(rows), -1)
        refuse_rows(np.logical_not(inside.all(axis=1)), "score is not between 0 and 1", rows.weight)
    if score.ndim > 1:
        off = abs(score.sum(axis=1) - 1.0) > _SUM_TOLERANCE
        refuse_rows(off, "scores do not add up to 1", rows.weight)
    return score


def log_loss(rows: Rows) -> Measured:
    """Measure the mean of -log(probability of the label), clipped at float64's epsilon."""
    score = probabilities(rows)
    if score.ndim == 1:
        # The score of a 1, one less it of a 0: |0 - score| and |1 - score|, without a choice.
        given = abs(1.0 - rows.label - score)
    else:
        given = np.take_along_axis(score, rows.label.astype(np.intp)[:, None], axis=1)[:, 0]
    return of_mean(-np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON)), rows.weight)


def brier(rows: Rows) -> Measured:
    """Measure the mean squared distance of the probabilities from the label.

    With two classes half the sum over both, hence (p - y)²; with more, the sum: Brier's own, up
    to 2, as scikit-learn has it.
    """
    score = probabilities(rows)
    if score.ndim == 1:
        return of_mean((score - rows.label) ** 2, rows.weight)
    distance = score.copy()
    distance[np.arange(len(rows)), rows.label.astype(np.intp)] -= 1.0
    half = 0.5 if score.shape[1] == 2 else 1.0
    return of_mean(half * np.sum(distance**2, axis=1), rows.weight)
