"""Proper scores of predicted probabilities: log loss and Brier."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gates.stats.arrays import Floats, Numbers
from gates.stats.measured import Measured, Rows, Undefined, of_mean, refuse_rows

# Scores that were rounded to four decimals or stored as 32-bit floats are still probabilities.
_SUM_TOLERANCE = 1e-3
_BLOCK = 2**15
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
    return of_mean(_log_losses(rows.label, probabilities(rows)), rows.weight)


def brier(rows: Rows) -> Measured:
    """Measure the mean squared distance of the probabilities from the label.

    With two classes half the sum over both, hence (p - y)²; with more, the sum: Brier's own, up
    to 2, as scikit-learn has it.
    """
    return of_mean(_distances(rows.label, probabilities(rows)), rows.weight)


def log_loss_value(rows: Rows) -> float:
    """Return what `log_loss` comes to, without an influence; for rows without weights."""
    return _mean_of_blocks(rows, _log_losses)


def brier_value(rows: Rows) -> float:
    """Return what `brier` comes to, without an influence; for rows without weights."""
    return _mean_of_blocks(rows, _distances)


def _log_losses(label: Numbers, score: Floats) -> Floats:
    if score.ndim == 1:
        # The score of a 1, one less it of a 0: |0 - score| and |1 - score|, without a choice.
        given = abs(1.0 - label - score)
    else:
        given = np.take_along_axis(score, label.astype(np.intp)[:, None], axis=1)[:, 0]
    return -np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON))


def _distances(label: Numbers, score: Floats) -> Floats:
    if score.ndim == 1:
        return (score - label) ** 2
    distance = score.copy()
    distance[np.arange(len(label)), label.astype(np.intp)] -= 1.0
    half = 0.5 if score.shape[1] == 2 else 1.0
    squares: Floats = np.sum(distance**2, axis=1)
    return half * squares


def _mean_of_blocks(rows: Rows, losses: Callable[[Numbers, Floats], Floats]) -> float:
    """Return the mean loss, from blocks that are small enough to stay in a fast cache."""
    score = probabilities(rows)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(rows), _BLOCK)]
    return math.fsum(np.sum(losses(rows.label[b], score[b])) for b in blocks) / len(rows)
