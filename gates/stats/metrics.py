"""The registry of metrics: every name in the catalogue, and the function that measures it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gates.report import Task
from gates.stats import calibration, classification, probability, ranking, regression
from gates.stats.bootstrap import Remeasured
from gates.stats.catalogue import METRICS, Metric, Needs
from gates.stats.measured import Measured, Rate, Rows, Undefined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MEASURES", "Measured", "Rate", "Rows", "Undefined", "goes_by_cell", "measure"]

MEASURES: Mapping[str, Callable[[Rows], Measured]] = MappingProxyType(
    {
        "accuracy": classification.accuracy,
        "balanced_accuracy": classification.balanced_accuracy,
        "precision": classification.precision,
        "recall": classification.true_positive_rate,
        "f1": classification.fbeta,
        "fbeta": classification.fbeta,
        "specificity": classification.true_negative_rate,
        "true_positive_rate": classification.true_positive_rate,
        "true_negative_rate": classification.true_negative_rate,
        "false_positive_rate": classification.false_positive_rate,
        "false_negative_rate": classification.false_negative_rate,
        "selection_rate": classification.selection_rate,
        "mcc": classification.mcc,
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "log_loss": probability.log_loss,
        "brier": probability.brier,
        "calibration_error": calibration.calibration_error,
        "precision_macro": classification.precision_macro,
        "precision_weighted": classification.precision_weighted,
        # Every row has one label and one prediction, so pooled over classes all three are accuracy.
        "precision_micro": classification.accuracy,
        "recall_macro": classification.recall_macro,
        "recall_weighted": classification.recall_weighted,
        "recall_micro": classification.accuracy,
        "f1_macro": classification.f1_macro,
        "f1_weighted": classification.f1_weighted,
        "f1_micro": classification.accuracy,
        "roc_auc_ovr_macro": ranking.roc_auc_ovr_macro,
        "roc_auc_ovr_weighted": ranking.roc_auc_ovr_weighted,
        "roc_auc_ovo_macro": ranking.roc_auc_ovo_macro,
        "roc_auc_ovo_weighted": ranking.roc_auc_ovo_weighted,
        "mae": regression.mae,
        "mse": regression.mse,
        "rmse": regression.rmse,
        "mape": regression.mape,
        "median_ae": regression.median_ae,
        "p90_ae": regression.p90_ae,
        "max_error": regression.max_error,
        "r2": regression.r2,
    }
)

_LARGEST = 1e300


def goes_by_cell(metric: str) -> bool:
    """Return whether rows enter the metric only through their label and predicted class."""
    found = METRICS[metric]
    return found.needs is Needs.PREDICTION and Task.REGRESSION not in found.tasks


def resampled(metric: Metric, function: Callable[[Rows], Measured], rows: Rows) -> Measured:
    """Measure rows; what comes without any way to an interval is resampled, but for extremes."""
    measured = function(rows)
    if measured.influence is not None or measured.resampled is not None or metric.extreme:
        return measured
    again = Remeasured(rows=rows, measure=function)
    return replace(measured, resampled=again, weight=rows.weight)


def measure(metric: str, rows: Rows, *, beta: float = 1.0) -> Measured:
    """Measure one metric of the catalogue on `rows`; `beta` is for `fbeta` alone.

    Raises Undefined wherever the metric has no value, also where scikit-learn would warn and answer
    0.0: a gate must not take a stand-in for a number.
    """
    if len(rows) == 0:
        raise Undefined("no rows")
    # Overflow shows up as a value that is not finite, which is refused with a reason.
    with np.errstate(over="ignore", invalid="ignore"):
        is_fbeta = metric == "fbeta"
        function = partial(classification.fbeta, beta=beta) if is_fbeta else MEASURES[metric]
        measured = resampled(METRICS[metric], function, rows)
        influence = 0.0 if measured.influence is None else measured.influence
        squares = float(np.sum(np.square(influence)))
    if not math.isfinite(measured.value):
        raise Undefined("the result is not a finite number")
    # An exploded model must not be let off as undecided because its interval overflows.
    if not squares < _LARGEST:
        raise Undefined("the values are too large to say how certain the result is")
    return measured
