"""Metrics of predicted numbers."""

from __future__ import annotations

import numpy as np

from gates.stats.measured import Floats, Measured, Rows, Undefined, of_mean, refuse_rows

_EPSILON = float(np.finfo(np.float64).eps)


def mae(rows: Rows) -> Measured:
    """Measure the mean absolute error."""
    return of_mean(abs(_errors(rows)))


def mse(rows: Rows) -> Measured:
    """Measure the mean squared error."""
    return of_mean(_errors(rows) ** 2)


def rmse(rows: Rows) -> Measured:
    """Measure the root of the mean squared error."""
    squares = _errors(rows) ** 2
    value = float(np.sqrt(np.mean(squares)))
    # Without an error there is no slope to take, and no row that moves anything.
    slope = 0.5 / value if value else 0.0
    return Measured(value=value, influence=(squares - value**2) * slope)


def r2(rows: Rows) -> Measured:
    """Measure the share of the label's variance that the predictions explain."""
    errors = _errors(rows)
    if len(rows) < 2:
        raise Undefined("fewer than 2 rows")
    if rows.label.min() == rows.label.max():
        raise Undefined("all labels are the same")
    squares = errors**2
    around = (rows.label - np.mean(rows.label)) ** 2
    variance = float(np.mean(around))
    missed = float(np.mean(squares)) / variance
    return Measured(value=1.0 - missed, influence=(missed * around - squares) / variance)


def mape(rows: Rows) -> Measured:
    """Measure the mean absolute error as a share of the label; a label of 0 has no such share."""
    refuse_rows(rows.label == 0.0, "label is 0")
    return of_mean(abs(_errors(rows)) / np.maximum(abs(rows.label), _EPSILON))


def median_ae(rows: Rows) -> Measured:
    """Measure the median absolute error.

    The influence of a quantile is its sparsity (one over the density there) times the sign of being
    above it. The sparsity is Siddiqui's 1960 difference quotient of sample quantiles with Hall &
    Sheather's 1988 bandwidth (Koenker, Quantile Regression, 2005, section 3.4.1).
    """
    size = abs(_errors(rows))
    value = float(np.median(size))
    # sign() puts rows exactly at the median on neither side; centring mends an uneven split.
    side = np.sign(size - value) / 2.0
    return Measured(value=value, influence=_sparsity(size) * (side - np.mean(side)))


def max_error(rows: Rows) -> Measured:
    """Measure the largest absolute error: an extreme, which has no interval worth the name."""
    return Measured(value=float(np.max(abs(_errors(rows)))), influence=None)


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
    refuse_rows(~np.isfinite(errors), "label or prediction is not a finite number")
    return errors
