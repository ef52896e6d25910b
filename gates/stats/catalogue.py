"""Which metrics exist: names, tasks, direction. No numpy here: `validate` reads this.

How each one is computed stands in `metrics.py`; what each one means is scikit-learn's or
Fairlearn's definition, and the tests hold ours against theirs to 1e-9. A change of meaning bumps
`METRICS_VERSION`, and a baseline registered under another version is not comparable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gates.report import Task, Verb

METRICS_VERSION = 1


class Better(StrEnum):
    """Which way a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Needs(StrEnum):
    """What a metric reads of a model's output."""

    PREDICTION = "prediction"
    SCORE = "score"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: its name, which way is better, what it reads, and its scikit-learn definition.

    An `extreme` hangs on single rows, so that no resampling tells how certain it is.
    """

    name: str
    tasks: frozenset[Task]
    better: Better
    needs: Needs = Needs.PREDICTION
    low: float | None = 0.0
    high: float | None = 1.0
    definition: str = ""
    extreme: bool = False


BINARY = frozenset({Task.BINARY})
MULTICLASS = frozenset({Task.MULTICLASS})
CLASSES = BINARY | MULTICLASS
REGRESSION = frozenset({Task.REGRESSION})


def _rate(name: str, tasks: frozenset[Task], definition: str) -> Metric:
    return Metric(name=name, tasks=tasks, better=Better.HIGHER, definition=definition)


def _averages(name: str) -> list[Metric]:
    kinds = ("macro", "weighted", "micro")
    return [_rate(f"{name}_{kind}", MULTICLASS, f"{name}_score(average)") for kind in kinds]


def _loss(name: str, tasks: frozenset[Task], definition: str, high: float | None) -> Metric:
    needs = Needs.SCORE if tasks != REGRESSION else Needs.PREDICTION
    return Metric(
        name=name,
        tasks=tasks,
        better=Better.LOWER,
        needs=needs,
        high=high,
        definition=definition,
    )


def _ranking(name: str, tasks: frozenset[Task], definition: str) -> Metric:
    return Metric(
        name=name, tasks=tasks, better=Better.HIGHER, needs=Needs.SCORE, definition=definition
    )


def _error_rate(name: str, definition: str) -> Metric:
    return Metric(name=name, tasks=BINARY, better=Better.LOWER, definition=definition)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _rate("accuracy", CLASSES, "accuracy_score"),
        _rate("balanced_accuracy", CLASSES, "balanced_accuracy_score"),
        _rate("precision", BINARY, "precision_score"),
        _rate("recall", BINARY, "recall_score"),
        _rate("f1", BINARY, "f1_score"),
        _rate("fbeta", BINARY, "fbeta_score"),
        _rate("specificity", BINARY, "recall_score of the negative class"),
        _rate("true_positive_rate", BINARY, "fairlearn.metrics.true_positive_rate"),
        _rate("true_negative_rate", BINARY, "fairlearn.metrics.true_negative_rate"),
        _error_rate("false_positive_rate", "fairlearn.metrics.false_positive_rate"),
        _error_rate("false_negative_rate", "fairlearn.metrics.false_negative_rate"),
        Metric(
            name="selection_rate",
            tasks=BINARY,
            better=Better.NEITHER,
            definition="fairlearn.metrics.selection_rate",
        ),
        Metric(
            name="mcc",
            tasks=CLASSES,
            better=Better.HIGHER,
            low=-1.0,
            definition="matthews_corrcoef",
        ),
        _ranking("roc_auc", BINARY, "roc_auc_score"),
        _ranking("average_precision", BINARY, "average_precision_score"),
        _loss("log_loss", CLASSES, "log_loss", None),
        _loss("brier", CLASSES, "brier_score_loss", 2.0),
        _loss("calibration_error", BINARY, "Kumar, Liang & Ma 2019, 15 bins of equal mass", 1.0),
        *_averages("precision"),
        *_averages("recall"),
        *_averages("f1"),
        _ranking("roc_auc_ovr_macro", MULTICLASS, "roc_auc_score(multi_class='ovr')"),
        _ranking("roc_auc_ovr_weighted", MULTICLASS, "roc_auc_score(multi_class='ovr')"),
        _ranking("roc_auc_ovo_macro", MULTICLASS, "roc_auc_score(multi_class='ovo')"),
        _ranking("roc_auc_ovo_weighted", MULTICLASS, "roc_auc_score(multi_class='ovo')"),
        _loss("mae", REGRESSION, "mean_absolute_error", None),
        _loss("mse", REGRESSION, "mean_squared_error", None),
        _loss("rmse", REGRESSION, "root_mean_squared_error", None),
        _loss("mape", REGRESSION, "mean_absolute_percentage_error", None),
        _loss("median_ae", REGRESSION, "median_absolute_error", None),
        _loss("p90_ae", REGRESSION, "numpy.quantile(0.9) of the absolute error", None),
        Metric(
            name="max_error",
            tasks=REGRESSION,
            better=Better.LOWER,
            high=None,
            definition="max_error",
            extreme=True,
        ),
        Metric(
            name="r2",
            tasks=REGRESSION,
            better=Better.HIGHER,
            low=None,
            definition="r2_score",
        ),
    )
}


class Spread(StrEnum):
    """How the values of several groups become one number."""

    DIFFERENCE = "difference"
    RATIO = "ratio"
    GROUP_MIN = "group_min"
    GROUP_MAX = "group_max"


@dataclass(frozen=True, kw_only=True)
class Disparity:
    """A fairness metric: one or two rates by group, and how the groups are compared.

    With two rates (equalized odds) the disparity is the worse of the two, as in Fairlearn.
    """

    name: str
    rates: tuple[str, ...]
    spread: Spread
    better: Better


NAMED_DISPARITIES = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
}
_SUFFIX = re.compile(r"(?P<rate>.+)_(?P<spread>difference|ratio|group_min|group_max)")


def disparity(name: str) -> Disparity | None:
    """Return the disparity that a name such as `equalized_odds_ratio` stands for, if it is one."""
    match = _SUFFIX.fullmatch(name)
    if match is None:
        return None
    stem, spread = match["rate"], Spread(match["spread"])
    if stem in NAMED_DISPARITIES:
        if spread in (Spread.GROUP_MIN, Spread.GROUP_MAX):
            return None
        rates = NAMED_DISPARITIES[stem]
    elif stem in METRICS:
        rates = (stem,)
    else:
        return None
    better = {
        Spread.DIFFERENCE: Better.LOWER,
        Spread.RATIO: Better.HIGHER,
    }.get(spread, METRICS[rates[0]].better)
    return Disparity(name=name, rates=rates, spread=spread, better=better)


@dataclass(frozen=True, kw_only=True)
class Drifting:
    """A distance between how a column was distributed and how it is: its range, and its meaning."""

    name: str
    definition: str
    high: float | None = 1.0
    # Of numbers alone: it goes by how far they are apart, or by their order.
    ordered: bool = False


DISTANCES: dict[str, Drifting] = {
    one.name: one
    for one in (
        Drifting(
            name="psi",
            high=None,
            definition="population stability index: of 10 quantile bins of the reference, "
            "or of categories",
        ),
        Drifting(
            name="ks", ordered=True, definition="largest difference of cumulative shares (KS)"
        ),
        Drifting(
            name="wasserstein",
            high=None,
            ordered=True,
            definition="Wasserstein-1, in standard deviations of the reference",
        ),
        Drifting(
            name="js_distance",
            definition="Jensen-Shannon distance, base 2: the root of the divergence",
        ),
        Drifting(
            name="total_variation", definition="share of rows that lie in other bins or categories"
        ),
        Drifting(name="cramers_v", definition="Cramér's V, both samples weighing alike"),
        Drifting(
            name="null_change", definition="how far the share of rows without a value has moved"
        ),
    )
}


_ABOVE = frozenset({Verb.MIN, Verb.MAX_DROP, Verb.MAX_DROP_FROM_ANCHOR})
_BELOW = frozenset({Verb.MAX, Verb.MAX_RISE, Verb.MAX_RISE_FROM_ANCHOR})
_CHANGE_VERBS = {
    Better.HIGHER: _ABOVE,
    Better.LOWER: _BELOW | {Verb.MAX_RATIO},
    Better.NEITHER: _ABOVE | _BELOW,
}
_GROUP_VERBS = {
    Better.HIGHER: frozenset({Verb.MAX_DROP_ANY_GROUP}),
    Better.LOWER: frozenset({Verb.MAX_RISE_ANY_GROUP}),
    Better.NEITHER: frozenset({Verb.MAX_DROP_ANY_GROUP, Verb.MAX_RISE_ANY_GROUP}),
}


def verbs(better: Better) -> frozenset[Verb]:
    """Return the limits that make sense for a metric which improves that way."""
    return _CHANGE_VERBS[better]


def group_verbs(better: Better) -> frozenset[Verb]:
    """Return the limits that make sense for a rate which is watched in every group."""
    return _GROUP_VERBS[better]


def metrics_for(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics a task has, in catalogue order."""
    return tuple(name for name, metric in METRICS.items() if task in metric.tasks)


def span(metric: Metric, spread: Spread | None = None) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value of a metric, or of its spread between groups."""
    if spread is Spread.RATIO:
        return 0.0, 1.0
    if spread is Spread.DIFFERENCE:
        endless = metric.low is None or metric.high is None
        return 0.0, None if endless else (metric.high or 0.0) - (metric.low or 0.0)
    return metric.low, metric.high


def possible(metric: str, verb: Verb, limit: float) -> bool:
    """Return whether a metric, or a disparity, can get as far as a limit at all."""
    if metric in DISTANCES:
        most = DISTANCES[metric].high
        return limit >= 0.0 and (most is None or limit <= most)
    found = disparity(metric)
    rate = METRICS.get(found.rates[0] if found else metric)
    if rate is None:
        return False
    low, high = span(rate, found.spread if found else None)
    if not verb.needs_baseline:
        return (low is None or limit >= low) and (high is None or limit <= high)
    # A change is no larger than the range is wide; a ratio has no such end.
    endless = low is None or high is None or verb is Verb.MAX_RATIO
    return endless or limit <= (high or 0.0) - (low or 0.0)
