"""What a model's outputs look like: curves and counts for a picture, thinned, never for a verdict.

Curves run through the points that scikit-learn's `roc_curve` and `precision_recall_curve` give; of
many points, those are kept that lie evenly along the curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gates.stats.score_intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gates.stats.arrays import Floats, Numbers
    from gates.stats.measured import Rows

POINTS = 101
BINS = 20
CALIBRATION_BINS = 10
# Beyond these shares of the rows, errors are counted in the outermost bins: no extreme is told.
_MIDDLE = (0.005, 0.995)

Points = list[tuple[float, float]]


def roc_and_precision_recall(rows: Rows) -> tuple[Points, Points]:
    """Return (false positive rate, true positive rate) and (recall, precision), by falling score.

    The first runs from (0, 0) to (1, 1). Without a positive row there is none of either, without a
    negative one no first.
    """
    positives, reached = _reached(rows)
    negatives = reached - positives
    if not positives[-1]:
        return [], []
    recall = positives / positives[-1]
    pr = _thinned(recall[1:], positives[1:] / reached[1:])
    return _thinned(negatives / negatives[-1], recall) if negatives[-1] else [], pr


def calibration(rows: Rows, *, least: int) -> list[tuple[float, float, float, float, int]]:
    """Return (mean score, share of positives, low, high, rows) by bins of about as many rows each.

    The interval is Wilson's at 95 %. Rows of one score share a bin; bins of fewer rows than `least`
    are left out.
    """
    score = _scores(rows)
    inner = np.quantile(score, np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)[1:-1])
    code = np.searchsorted(np.unique(inner), score, side="left")
    sizes = np.bincount(code)
    hits = np.bincount(code, weights=rows.label == 1)
    sums = np.bincount(code, weights=score)
    found = []
    for n, k, total in zip(sizes.tolist(), hits.tolist(), sums.tolist(), strict=True):
        if n >= max(1, least):
            low, high = wilson(int(k), n, confidence=0.95)
            found.append((total / n, k / n, low, high, n))
    return found


def score_counts(rows: Rows) -> tuple[list[float], list[int]]:
    """Return the edges of bins over [0, 1], and how many scores are in each."""
    counts, edges = np.histogram(_scores(rows), bins=BINS, range=(0.0, 1.0))
    return [float(edge) for edge in np.round(edges, 6)], counts.tolist()


def error_counts(models: Sequence[Rows]) -> tuple[list[float], list[list[int]]]:
    """Return common edges of bins, and how many errors (prediction - label) of each model."""
    errors = [rows.prediction - rows.label for rows in models]
    ends = np.array([np.quantile(one, _MIDDLE) for one in errors])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    if not np.isfinite(high - low):
        return [], [[] for _ in models]
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(one, low, high), bins=edges)[0] for one in errors]
    return edges.tolist(), [one.tolist() for one in counts]


def confusion(rows: Rows) -> list[list[int]]:
    """Return how many rows have each label (outer) and prediction."""
    code = rows.label.astype(np.int64) * rows.classes + rows.prediction.astype(np.int64)
    counts = np.bincount(code, minlength=rows.classes**2)
    return counts.reshape(rows.classes, rows.classes).tolist()


def _scores(rows: Rows) -> Floats:
    if rows.score is None:
        raise ValueError("a model without scores has no picture of them")
    return rows.score


def _reached(rows: Rows) -> tuple[Numbers, Numbers]:
    """Return how many positives, and how many rows, score at least each distinct score, from 0."""
    ranked = rows if rows.rank is not None else rows.ranked()
    rank = np.asarray(ranked.rank)
    every = np.bincount(rank)[::-1]
    positives = np.bincount(rank[rows.label == 1], minlength=len(every))[::-1]
    return _from_zero(positives), _from_zero(every)


def _from_zero(counts: Numbers) -> Numbers:
    return np.concatenate([[0], np.cumsum(counts)])


def _thinned(x: Floats, y: Floats) -> Points:
    """Return at most `POINTS` of a curve's points, even along it, both ends among them."""
    if len(x) > POINTS:
        along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        wanted = np.searchsorted(along, np.linspace(0.0, along[-1], POINTS - 1))
        kept = np.unique([*wanted, len(x) - 1])
        x, y = x[kept], y[kept]
    return list(zip(x.tolist(), y.tolist(), strict=True))
