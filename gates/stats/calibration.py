"""How far probabilities are from frequencies: the debiased calibration error.

Rows are put into `BINS` bins of equal numbers by score. With g the difference of mean score and
share of positives in a bin, and r that share, the squared error

    Σ_b (n_b / n) · (g_b² - r_b (1 - r_b) / (n_b - 1))

is free of the bias that makes any plug-in error (ECE) of a calibrated model positive (Kumar, Liang
& Ma 2019, "Verified uncertainty calibration"). The metric is its root, 0 where it is negative.

The root has no slope at 0, where good models are, so intervals are made of the squares: replicates
of Σ (n_b / n) g_b² are moved down by twice their own bias, once for the sample's and once for the
resample's, and their percentiles taken; those of the root follow. Where rows belong together, that
bias grows with them, which no formula for independent rows knows.

The change of a root is (change of the square) / (sum of the roots). Its limits take the limits of
that change from resamples paired row by row, and for the level that limit of either model's own
error which makes the most of it. That is wider than need be and never misled by roots cut off at 0:
in simulation (tests/unit/test_calibration_error.py) plain percentiles of the change of the root
covered it half of the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np

from gates.stats.bootstrap import Blocks, Draws, Ends, ends
from gates.stats.measured import Measured, Undefined, refuse_rows

if TYPE_CHECKING:
    from gates.stats.arrays import Floats, Numbers
    from gates.stats.measured import Rows

BINS = 15
LEAST_ROWS = 2 * BINS


def calibration_error(rows: Rows) -> Measured:
    """Measure the root of the debiased squared difference of scores and frequencies, by bins."""
    score = rows.score
    if score is None or score.ndim > 1:
        raise Undefined("no score column to bin by")
    refuse_rows(~((score >= 0.0) & (score <= 1.0)), "score is not between 0 and 1", rows.weight)
    if rows.size < LEAST_ROWS:
        raise Undefined(f"fewer than {LEAST_ROWS} rows for {BINS} bins")
    positive = rows.label == 1
    if rows.weight is not None:
        # Bins are cut between rows: here they are written out.
        score, positive = np.repeat(score, rows.weight), np.repeat(positive, rows.weight)
    codes = bins_of(score)
    return Measured(
        value=_root(squared_error(codes, score, positive)),
        influence=None,
        weight=rows.weight,
        resampled=Gaps(codes=codes, gap=score - positive),
    )


def bins_of(score: Floats) -> Numbers:
    """Return each row's bin: equal numbers of rows by score, with equal scores in one bin.

    The first bins are longer by one where the rows do not come out even. A run of equal scores goes
    where its middle would, so that a bin may be larger still, or empty.
    """
    _, place, ties = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(ties) - (ties + 1) / 2.0
    size, longer = divmod(len(score), BINS)
    ends_of_bins = np.cumsum(np.repeat([size + 1, size], [longer, BINS - longer]))
    return np.searchsorted(ends_of_bins, middle, side="right")[place]


def squared_error(codes: Numbers, score: Floats, positive: Numbers) -> float:
    """Return the debiased squared error; a bin of one row, whose bias nobody knows, counts 0."""
    size = np.bincount(codes, minlength=BINS)
    known = size > 1
    n = size[known]
    gap = np.bincount(codes, score - positive, minlength=BINS)[known] / n
    share = np.bincount(codes, positive, minlength=BINS)[known] / n
    return float(np.sum(n * (gap**2 - share * (1.0 - share) / (n - 1)))) / len(codes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Gaps:
    """A calibration error, resampled: each row's bin, and its score minus its label."""

    codes: Numbers
    gap: Floats
    draws: Draws = field(default_factory=Draws)

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    def own(self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the error."""
        found = self.replicates(blocks)
        low, high = ends(found, found, tail)
        return _root(low), _root(high)

    def change(self, baseline: Self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the change of the error."""
        new, old = self.replicates(blocks), baseline.replicates(blocks)
        low, high = ends(new - old, new - old, tail)
        levels_old, levels_new = ends(old, old, tail), ends(new, new, tail)
        top = _rise(high, levels_old) if high > 0.0 else -_rise(-high, levels_new[::-1])
        bottom = -_rise(-low, levels_new) if low < 0.0 else _rise(low, levels_old[::-1])
        return bottom, top

    def replicates(self, blocks: Blocks) -> Floats:
        """Return the squared error of each resample, debiased."""
        rows = blocks.sums(self.codes, BINS)
        size = rows.sum(axis=0)
        known = size > 1
        rows, sums = rows[:, known], blocks.sums(self.codes, BINS, self.gap)[:, known]
        gaps = (blocks.weights @ sums) / (blocks.weights @ rows)
        share = size[known] / self.size
        twice = 2.0 * float(np.sum(share * np.var(gaps, axis=0)))
        return np.asarray(gaps**2 @ share - twice)


def _root(square: float) -> float:
    return math.sqrt(max(0.0, square))


def _rise(square: float, levels: Ends) -> float:
    """Return by how much an error rises with its square, from the first of two levels of that."""
    level = max(0.0, levels[0])
    return math.sqrt(level + square) - math.sqrt(level)
