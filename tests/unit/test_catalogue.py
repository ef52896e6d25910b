"""Which metrics there are, by a table written from DESIGN and held against scikit-learn's own."""

import fairlearn.metrics
import pytest
import sklearn.metrics

from gates.report import Task, Verb
from gates.stats.catalogue import (
    METRICS,
    METRICS_VERSION,
    NAMED_DISPARITIES,
    Better,
    Needs,
    Spread,
    disparity,
    group_verbs,
    metrics_for,
    verbs,
)

HIGHER, LOWER, NEITHER = Better.HIGHER, Better.LOWER, Better.NEITHER
PREDICTION, SCORE = Needs.PREDICTION, Needs.SCORE
CLASSES = ("binary", "multiclass")

# name: tasks, which way is better, what it reads, lowest and highest value
TABLE = {
    "accuracy": (CLASSES, HIGHER, PREDICTION, 0, 1),
    "balanced_accuracy": (CLASSES, HIGHER, PREDICTION, 0, 1),
    "precision": (("binary",), HIGHER, PREDICTION, 0, 1),
    "recall": (("binary",), HIGHER, PREDICTION, 0, 1),
    "f1": (("binary",), HIGHER, PREDICTION, 0, 1),
    "fbeta": (("binary",), HIGHER, PREDICTION, 0, 1),
    "specificity": (("binary",), HIGHER, PREDICTION, 0, 1),
    "true_positive_rate": (("binary",), HIGHER, PREDICTION, 0, 1),
    "true_negative_rate": (("binary",), HIGHER, PREDICTION, 0, 1),
    "false_positive_rate": (("binary",), LOWER, PREDICTION, 0, 1),
    "false_negative_rate": (("binary",), LOWER, PREDICTION, 0, 1),
    "selection_rate": (("binary",), NEITHER, PREDICTION, 0, 1),
    "mcc": (CLASSES, HIGHER, PREDICTION, -1, 1),
    "roc_auc": (("binary",), HIGHER, SCORE, 0, 1),
    "average_precision": (("binary",), HIGHER, SCORE, 0, 1),
    "log_loss": (CLASSES, LOWER, SCORE, 0, None),
    "brier": (CLASSES, LOWER, SCORE, 0, 2),
    "calibration_error": (("binary",), LOWER, SCORE, 0, 1),
    "precision_macro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "precision_weighted": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "precision_micro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "recall_macro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "recall_weighted": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "recall_micro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "f1_macro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "f1_weighted": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "f1_micro": (("multiclass",), HIGHER, PREDICTION, 0, 1),
    "roc_auc_ovr_macro": (("multiclass",), HIGHER, SCORE, 0, 1),
    "roc_auc_ovr_weighted": (("multiclass",), HIGHER, SCORE, 0, 1),
    "roc_auc_ovo_macro": (("multiclass",), HIGHER, SCORE, 0, 1),
    "roc_auc_ovo_weighted": (("multiclass",), HIGHER, SCORE, 0, 1),
    "mae": (("regression",), LOWER, PREDICTION, 0, None),
    "mse": (("regression",), LOWER, PREDICTION, 0, None),
    "rmse": (("regression",), LOWER, PREDICTION, 0, None),
    "mape": (("regression",), LOWER, PREDICTION, 0, None),
    "median_ae": (("regression",), LOWER, PREDICTION, 0, None),
    "p90_ae": (("regression",), LOWER, PREDICTION, 0, None),
    "max_error": (("regression",), LOWER, PREDICTION, 0, None),
    "r2": (("regression",), HIGHER, PREDICTION, None, 1),
}

# scikit-learn's scorers turn what is better when lower around, and say so in their names.
SCORERS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "mcc": "matthews_corrcoef",
    "roc_auc": "roc_auc",
    "average_precision": "average_precision",
    "log_loss": "neg_log_loss",
    "brier": "neg_brier_score",
    "precision_macro": "precision_macro",
    "precision_weighted": "precision_weighted",
    "precision_micro": "precision_micro",
    "recall_macro": "recall_macro",
    "recall_weighted": "recall_weighted",
    "recall_micro": "recall_micro",
    "f1_macro": "f1_macro",
    "f1_weighted": "f1_weighted",
    "f1_micro": "f1_micro",
    "roc_auc_ovr_macro": "roc_auc_ovr",
    "roc_auc_ovr_weighted": "roc_auc_ovr_weighted",
    "roc_auc_ovo_macro": "roc_auc_ovo",
    "roc_auc_ovo_weighted": "roc_auc_ovo_weighted",
    "mae": "neg_mean_absolute_error",
    "mse": "neg_mean_squared_error",
    "rmse": "neg_root_mean_squared_error",
    "mape": "neg_mean_absolute_percentage_error",
    "median_ae": "neg_median_absolute_error",
    "max_error": "neg_max_error",
    "r2": "r2",
}


def test_there_are_these_metrics_and_no_others():
    assert list(METRICS) == list(TABLE)
    assert METRICS_VERSION == 1


@pytest.mark.parametrize(("name", "row"), TABLE.items(), ids=TABLE)
def test_a_metric_is_what_the_design_says(name, row):
    metric = METRICS[name]
    found = (metric.better, metric.needs, metric.low, metric.high)
    assert found == row[1:]
    assert metric.name == name
    assert metric.tasks == {Task(task) for task in row[0]}
    assert metric.definition


@pytest.mark.parametrize(("name", "scorer"), SCORERS.items(), ids=SCORERS)
def test_scikit_learn_agrees_on_what_is_better(name, scorer):
    assert scorer in sklearn.metrics.get_scorer_names()
    better = LOWER if scorer.startswith("neg_") else HIGHER
    assert METRICS[name].better is better


# What no library has: `definitions.py` writes it out once more.
OWN = {"calibration_error", "p90_ae"}


@pytest.mark.parametrize("name", [name for name in TABLE if name not in OWN])
def test_a_definition_names_a_function_that_is_there(name):
    definition = METRICS[name].definition
    library, _, function = definition.partition("(")[0].split()[0].rpartition(".")
    module = fairlearn.metrics if library else sklearn.metrics
    assert callable(getattr(module, function))


@pytest.mark.parametrize("task", list(Task), ids=[task.value for task in Task])
def test_a_task_has_its_metrics_in_the_order_of_the_catalogue(task):
    assert list(metrics_for(task)) == [name for name, row in TABLE.items() if task.value in row[0]]
    assert metrics_for(task)


def test_only_an_extreme_is_left_without_an_interval():
    assert [name for name, metric in METRICS.items() if metric.extreme] == ["max_error"]


DROPS, RISES = ("max_drop", "max_drop_from_anchor"), ("max_rise", "max_rise_from_anchor")


@pytest.mark.parametrize(
    ("better", "plain", "any_group"),
    [
        (HIGHER, {"min", *DROPS}, {"max_drop_any_group"}),
        (LOWER, {"max", *RISES, "max_ratio"}, {"max_rise_any_group"}),
        (NEITHER, {"min", "max", *DROPS, *RISES}, {"max_drop_any_group", "max_rise_any_group"}),
    ],
)
def test_a_direction_has_its_verbs(better, plain, any_group):
    assert {verb.value for verb in verbs(better)} == plain
    assert {verb.value for verb in group_verbs(better)} == any_group


def test_every_verb_is_of_use():
    used = {verb for better in Better for verb in verbs(better) | group_verbs(better)}
    assert used == set(Verb)


# --- disparities ---------------------------------------------------------------------------------

TPR, FPR = "true_positive_rate", "false_positive_rate"


@pytest.mark.parametrize(
    ("name", "rates", "spread", "better"),
    [
        ("demographic_parity_difference", ("selection_rate",), "difference", LOWER),
        ("demographic_parity_ratio", ("selection_rate",), "ratio", HIGHER),
        ("equalized_odds_difference", (TPR, FPR), "difference", LOWER),
        ("equalized_odds_ratio", (TPR, FPR), "ratio", HIGHER),
        ("equal_opportunity_difference", (TPR,), "difference", LOWER),
        ("equal_opportunity_ratio", (TPR,), "ratio", HIGHER),
        ("recall_difference", ("recall",), "difference", LOWER),
        ("recall_group_min", ("recall",), "group_min", HIGHER),
        ("recall_group_max", ("recall",), "group_max", HIGHER),
        ("false_negative_rate_group_min", ("false_negative_rate",), "group_min", LOWER),
        ("false_negative_rate_group_max", ("false_negative_rate",), "group_max", LOWER),
        ("selection_rate_group_max", ("selection_rate",), "group_max", NEITHER),
        ("log_loss_ratio", ("log_loss",), "ratio", HIGHER),
        ("f1_macro_difference", ("f1_macro",), "difference", LOWER),
        ("max_error_group_max", ("max_error",), "group_max", LOWER),
    ],
)
def test_a_disparity_is_taken_apart(name, rates, spread, better):
    found = disparity(name)
    assert (found.name, found.rates, found.spread, found.better) == (
        name,
        rates,
        Spread(spread),
        better,
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", list(Spread), ids=[spread.value for spread in Spread])
def test_every_metric_has_every_spread(metric, spread):
    found = disparity(f"{metric}_{spread.value}")
    assert found.rates == (metric,)
    assert found.spread is spread


@pytest.mark.parametrize("stem", NAMED_DISPARITIES)
@pytest.mark.parametrize("spread", ["difference", "ratio"])
def test_fairlearn_has_the_named_disparities(stem, spread):
    assert callable(getattr(fairlearn.metrics, f"{stem}_{spread}"))
    assert set(disparity(f"{stem}_{spread}").rates) <= set(METRICS)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "difference",
        "_difference",
        "recall",
        "recall_",
        "recall_spread",
        "recal_difference",
        "recall_difference ",
        "Recall_difference",
        "recall_difference\n",
        "recall_difference_ratio",
        "demographic_parity",
        "demographic_parity_group_min",
        "equalized_odds_group_max",
    ],
)
def test_what_is_no_disparity_is_none(name):
    assert disparity(name) is None
