"""Metrics of predicted numbers."""

from __future__ import annotations

import numpy as np

from gates.stats.arrays import Floats
from gates.stats.measured import Measured, Rows, Undefined, mean_of, of_mean, refuse_rows
from gates.stats.quantiles import of_quantile

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
    """Measure the median absolute error."""
    return of_quantile(abs(_errors(rows)), 0.5, rows.weight)


def p90_ae(rows: Rows) -> Measured:
    """Measure the absolute error that nine in ten rows stay within."""
    return of_quantile(abs(_errors(rows)), 0.9, rows.weight)


def max_error(rows: Rows) -> Measured:
    """Measure the largest absolute error: an extreme, which has no interval worth the name."""
    return Measured(value=float(np.max(abs(_errors(rows)))), influence=None, weight=rows.weight)


def _errors(rows: Rows) -> Floats:
    errors: Floats = np.subtract(rows.prediction, rows.label, dtype=np.float64)
    refuse_rows(~np.isfinite(errors), "label or prediction is not a finite number", rows.weight)
    return errors
