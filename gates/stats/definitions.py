"""What scikit-learn and Fairlearn themselves say: the meaning that our own arithmetic is held to.

Two metrics are in neither: `p90_ae` is numpy's quantile, and `calibration_error` is written out
here once more, row by row, from the paper.

Metrics of predicted classes are asked on the distinct (label, prediction) cells with counts as
sample weights, which is exact and costs nothing; the others on the rows, of which up to
`COMPARED_ROWS` are enough to find a wrong formula. Where a metric is Undefined these must not be
called: the libraries would answer 0.0 and warn.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gates.errors import EnvironmentFault
from gates.stats.catalogue import METRICS, Spread, disparity
from gates.stats.measured import Undefined
from gates.stats.metrics import goes_by_cell, measure
from gates.stats.sampled import MANY, VALUES, Many

if TYPE_CHECKING:
    from collections.abc import Callable

    from gates.stats.arrays import Floats, Numbers
    from gates.stats.measured import Rows

    Weighted = Callable[..., Any]

COMPARED_ROWS = 100_000
_CONTINUOUS = frozenset({"mae", "mse", "rmse", "mape", "median_ae", "p90_ae", "max_error", "r2"})
_AVERAGES = ("macro", "weighted", "micro")
_FAIRLEARNS = frozenset(
    {
        "selection_rate",
        "true_positive_rate",
        "true_negative_rate",
        "false_positive_rate",
        "false_negative_rate",
    }
)


class _Cells(NamedTuple):
    """Distinct (group, label, prediction) and how many rows each has."""

    group: Numbers
    label: Numbers
    prediction: Numbers
    rows: Numbers


def sklearn_value(metric: str, rows: Rows, *, beta: float = 1.0) -> float:
    """Return scikit-learn's value of a metric of the catalogue (for plain rates, Fairlearn's)."""
    with _quiet():
        if goes_by_cell(metric):
            cells = _cells(rows, np.zeros(len(rows), dtype=np.intp))
            ask = _on_cells(metric, beta)
            return float(ask(cells.label, cells.prediction, sample_weight=cells.rows))
        rows = rows.written_out()
        if metric in _CONTINUOUS:
            return float(_on_numbers(metric)(rows.label, rows.prediction))
        return float(_on_scores(metric, rows))


def compared(metric: str, rows: Rows, ours: float, *, beta: float = 1.0) -> tuple[float, float]:
    """Return our value and scikit-learn's, on these rows or on some that stand for them.

    `ours` is the value on all rows. Beyond `COMPARED_ROWS`, every k-th row is measured both ways,
    unless the metric has no value there.
    """
    if len(rows) > COMPARED_ROWS:
        some = rows.take(slice(None, None, -(-len(rows) // COMPARED_ROWS)))
        with suppress(Undefined):
            found = measure(metric, some, beta=beta).value
            # Of a great many rows the value came another way, and that way is to be compared.
            if len(rows) > MANY and metric in VALUES:
                found = VALUES[metric](Many(rows=some, some=some))
            return found, sklearn_value(metric, some, beta=beta)
    return ours, sklearn_value(metric, rows, beta=beta)


def fairlearn_value(
    disparity_name: str, rows: Rows, group_codes: Numbers, *, beta: float = 1.0
) -> float:
    """Return Fairlearn's value of a disparity between the groups of `group_codes` (n,).

    Demographic parity, equalized odds and equal opportunity are Fairlearn's functions of that
    name, all else MetricFrame over scikit-learn's metric, between groups.
    """
    fairlearn = _fairlearn()
    asked = disparity(disparity_name)
    if asked is None:
        raise KeyError(disparity_name)
    stem = disparity_name.removesuffix(f"_{asked.spread.value}")
    with _quiet():
        if stem not in METRICS:
            named = getattr(fairlearn, disparity_name)
            cells = _cells(rows, group_codes)
            return float(
                named(
                    cells.label,
                    cells.prediction,
                    sensitive_features=cells.group,
                    sample_weight=cells.rows,
                )
            )
        return _between(_frame(stem, rows, group_codes, beta), asked.spread)


def _frame(metric: str, rows: Rows, group_codes: Numbers, beta: float) -> Any:
    frame_of = _fairlearn().MetricFrame
    if goes_by_cell(metric):
        cells = _cells(rows, group_codes)
        return frame_of(
            metrics=_on_cells(metric, beta),
            y_true=cells.label,
            y_pred=cells.prediction,
            sensitive_features=cells.group,
            sample_params={"sample_weight": cells.rows},
        )
    # Row numbers stand in for predictions, since a frame takes no table of scores.
    return frame_of(
        metrics=lambda _, numbers: sklearn_value(metric, rows.take(np.asarray(numbers))),
        y_true=rows.label,
        y_pred=np.arange(len(rows)),
        sensitive_features=group_codes,
    )


def _fairlearn() -> Any:
    """Return Fairlearn's metrics. Raises EnvironmentFault where the extra is not installed."""
    try:
        from fairlearn import metrics
    except ImportError as error:
        raise EnvironmentFault(
            "fairlearn is not installed, and this metric is Fairlearn's",
            hint='Install the extra: pip install "model-gates[fairness]".',
        ) from error
    return metrics


def _between(frame: Any, kind: Spread) -> float:
    if kind is Spread.DIFFERENCE:
        return float(frame.difference(method="between_groups"))
    if kind is Spread.RATIO:
        return float(frame.ratio(method="between_groups"))
    return float(frame.group_min() if kind is Spread.GROUP_MIN else frame.group_max())


def _cells(rows: Rows, group: Numbers) -> _Cells:
    width = rows.classes
    code = (group.astype(np.intp) * width + rows.label) * width + rows.prediction
    if rows.weight is None and code.max() < len(code):
        counted = np.bincount(code)
        found = np.flatnonzero(counted)
        number = counted[found]
    else:
        found, place = np.unique(code, return_inverse=True)
        number = np.bincount(place, weights=rows.weight).astype(np.int64)
    return _Cells(found // width**2, found // width % width, found % width, number)


def _on_cells(metric: str, beta: float) -> Weighted:
    from sklearn import metrics as sk

    if metric in _FAIRLEARNS:
        return getattr(_fairlearn(), metric)  # type: ignore[no-any-return]
    stem, _, average = metric.rpartition("_")
    scores = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    if average in _AVERAGES:
        return partial(scores[stem], average=average)
    asks: dict[str, Weighted] = {
        **scores,
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "fbeta": partial(sk.fbeta_score, beta=beta),
        "specificity": partial(sk.recall_score, pos_label=0),
        "mcc": sk.matthews_corrcoef,
    }
    return asks[metric]


def _on_numbers(metric: str) -> Weighted:
    from sklearn import metrics as sk

    asks: dict[str, Weighted] = {
        "mae": sk.mean_absolute_error,
        "mse": sk.mean_squared_error,
        "rmse": sk.root_mean_squared_error,
        "mape": sk.mean_absolute_percentage_error,
        "median_ae": sk.median_absolute_error,
        "p90_ae": lambda label, prediction: np.quantile(abs(prediction - label), 0.9),
        "max_error": sk.max_error,
        "r2": sk.r2_score,
    }
    return asks[metric]


def _on_scores(metric: str, rows: Rows) -> float:
    from sklearn import metrics as sk

    labels = list(range(rows.classes))
    match metric:
        case "calibration_error":
            return _calibration_error(rows)
        case "roc_auc":
            return float(sk.roc_auc_score(rows.label, rows.score))
        case "average_precision":
            return float(sk.average_precision_score(rows.label, rows.score))
        case "log_loss":
            return float(sk.log_loss(rows.label, rows.score, labels=labels))
        case "brier" if rows.score is not None and rows.score.ndim == 1:
            return float(sk.brier_score_loss(rows.label, rows.score, pos_label=1))
        case "brier":
            return float(sk.brier_score_loss(rows.label, rows.score, labels=labels))
    average = metric.rpartition("_")[2]
    if "_ovr_" in metric:
        # As an indicator matrix: the same numbers, and rounded scores need not add up to 1.
        members = np.eye(rows.classes, dtype=np.intp)[rows.label]
        return float(sk.roc_auc_score(members, rows.score, average=average))
    return _one_against_one(rows, weighted=average == "weighted")


def _calibration_error(rows: Rows) -> float:
    """Return the debiased calibration error (Kumar, Liang & Ma 2019), 15 bins of equal mass.

    Equal scores share a bin: that of their mean rank.
    """
    from scipy.stats import rankdata

    score: Floats = np.asarray(rows.score)
    rank = rankdata(score) - 1.0
    total = 0.0
    for places in np.array_split(np.arange(len(score)), 15):
        inside = (rank >= places[0]) & (rank < places[-1] + 1)
        n = np.count_nonzero(inside)
        if n > 1:
            share = np.mean(rows.label[inside] == 1)
            gap = np.mean(score[inside]) - share
            total += n / len(score) * (gap**2 - share * (1.0 - share) / (n - 1))
    return float(np.sqrt(max(total, 0.0)))


def _one_against_one(rows: Rows, *, weighted: bool) -> float:
    """Average scikit-learn's AUC over pairs as its `multi_class="ovo"` does.

    That option itself refuses two classes, and scores that were rounded.
    """
    from sklearn.metrics import roc_auc_score

    score: Floats = np.asarray(rows.score)
    areas, shares = [], []
    for pair in combinations(range(rows.classes), 2):
        inside = np.isin(rows.label, pair)
        ways = [roc_auc_score(rows.label[inside] == c, score[inside, c]) for c in pair]
        areas.append(sum(ways) / 2)
        shares.append(np.mean(inside))
    return float(np.average(areas, weights=shares if weighted else None))


def _quiet() -> warnings.catch_warnings:
    """Silence the libraries: what they would warn of was excluded as Undefined beforehand."""
    return warnings.catch_warnings(action="ignore")
