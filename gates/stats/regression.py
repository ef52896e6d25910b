"""Metrics of predicted numbers."""

from __future__ import annotations

import numpy as np

from gates.stats.arrays import Floats
from gates.stats.measured import Measured, Rows, Undefined, mean_of, of_mean, refuse_rows

_EPSILON = float(np.finfo(np.float64).eps)


def mae(rows: Rows) -> Measured:
    """Measure the mean absolute error."""
    return of_mean(abs(_errors(rows)), rows.weight)


def mse(rows: Rows) -> Measured:
    """Measure the mean squared error."""
    return of_mean(_errors(rows) ** 2, rows.weight)


def rmse(rows: Rows) -> Measured:
    """Measure the root of the mean squared error."""
    squares = _errors(rows) ** 2
    value = float(np.sqrt(mean_of(squares, rows.weight)))
    # Without an error there is no slope to take, and no row that moves anything.
    slope = 0.5 / value if value else 0.0
    influence = (squares - value**2) * slope
    return Measured(value=value, influence=influence, weight=rows.weight)


def r2(rows: Rows) -> Measured:
    """Measure the share of the label's variance that the predictions explain."""
    errors = _errors(rows)
    if rows.size < 2:
        raise Undefined("fewer than 2 rows")
    if rows.label.min() == rows.label.max():
        raise Undefined("all labels are the same")
    squares = errors**2
    around = (rows.label - mean_of(rows.label, rows.weight)) ** 2
    variance = mean_of(around, rows.weight)
    missed = mean_of(squares, rows.weight) / variance
    influence = (missed * around - squares) / variance
    return Measured(value=1.0 - missed, influence=influence, weight=rows.weight)


def mape(rows: Rows) -> Measured:
    """Measure the mean absolute error as a share of the label; a label of 0 has no such share."""
    refuse_rows(rows.label == 0.0, "label is 0", rows.weight)
    return of_mean(abs(_errors(rows)) / np.maximum(abs(rows.label), _EPSILON), rows.weight)


def median_ae(rows: Rows) -> Measured:
    """Measure the median absolute error.

    The influence of a quantile is its sparsity (one over the density there) times the sign of being
    above it. The sparsity is Siddiqui's 1960 difference quotient of sample quantiles with Hall &
    Sheather's 1988 bandwidth (Koenker, Quantile Regression, 2005, section 3.4.1).
    """
    size = abs(_errors(rows))
    # Quantiles have no shortcut: here the rows are written out.
    every = size if rows.weight is None else np.repeat(size, rows.weight)
    value = float(np.median(every))
    # sign() puts rows exactly at the median on neither side; centring mends an uneven split.
    side = np.sign(size - value) / 2.0
    influence = _sparsity(every) * (side - mean_of(side, rows.weight))
    return Measured(value=value, influence=influence, weight=rows.weight)


def max_error(rows: Rows) -> Measured:
    """Measure the largest absolute error: an extreme, which has no interval worth the name."""
    return Measured(value=float(np.max(abs(_errors(rows)))), influence=None, weight=rows.weight)


def _sparsity(size: Floats) -> float:
    """Return the derivative of the quantile function at one half."""
    n = len(size)
    # z^(2/3) · (1.5·phi(0)²)^(1/3) at z = 1.96; the cap keeps both quantiles inside the sample.
    bandwidth = min(0.9716 * n ** (-1 / 3), 0.5 - 0.5 / n)
    if bandwidth == 0.0:
        return 0.0
    below, above = np.quantile(size, [0.5 - bandwidth, 0.5 + bandwidth])
    return float((above - below) / (2.0 * bandwidth))


def _errors(rows: Rows) -> Floats:
    errors: Floats = np.subtract(rows.prediction, rows.label, dtype=np.float64)
    refuse_rows(~np.isfinite(errors), "label or prediction is not a finite number", rows.weight)
    return errors
