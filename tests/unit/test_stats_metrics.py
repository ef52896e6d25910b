"""Every metric against scikit-learn and Fairlearn, and its influence against their slope."""

from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from fairlearn import metrics as fl
from sklearn import metrics as sk

from gates.report import Task
from gates.stats.catalogue import METRICS, metrics_for
from gates.stats.definitions import sklearn_value
from gates.stats.metrics import MEASURES, Rows, Undefined, measure

BETA = 0.6


def binary(seed, n=80, prevalence=0.4, decimals=1):
    """Scores with ties, and with both 0 and 1 among them."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < prevalence).astype(np.int8)
    label[:2] = 0, 1
    score = np.round(np.clip(rng.normal(0.35 + 0.3 * label, 0.3), 0, 1), decimals)
    score[:4] = 1.0, 1.0, 0.0, 0.5
    return Rows(label=label, prediction=(score >= 0.5).astype(np.int8), score=score)


# The least there is, what rounding leaves of 0 and of 1, and their neighbours; each occurs often.
EDGES = np.array([0.0, 5e-324, 1e-300, 1e-16, 2.0**-53, 0.5, 1 - 2.0**-53, 1 - 1e-9, 1.0])


def extreme(seed, n=90):
    """Scores at the ends of what a probability can be, right and wrong, with ties."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.4).astype(np.int8)
    score = EDGES[np.clip(rng.normal(3 + 2 * label, 2.5, n), 0, 8).astype(int)]
    return Rows(label=label, prediction=(score >= 0.5).astype(np.int8), score=score)


def extreme_classes(seed, n=90):
    """The same of three classes: one score is at an end, the others have the rest."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    first = EDGES[rng.integers(0, 9, n)]
    score = np.column_stack([first, (1 - first) * 5e-324, 1 - first])
    score = rng.permuted(score, axis=1)
    return Rows(label=label, prediction=score.argmax(axis=1), score=score, classes=3)


def multiclass(seed, n=90, classes=4):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    label[:classes] = np.arange(classes)
    logit = np.round(rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[label], 1)
    score = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    prediction = score.argmax(axis=1)
    prediction[:classes] = np.arange(classes)
    return Rows(label=label, prediction=prediction, score=score, classes=classes)


def regression(seed, n=70):
    rng = np.random.default_rng(seed)
    label = rng.normal(4, 1, n)
    return Rows(label=label, prediction=label + rng.normal(0.1, 0.5, n))


def one_against_one(label, score, weight, average):
    areas, shares = [], []
    for a, b in combinations(range(score.shape[1]), 2):
        inside = np.isin(label, (a, b))
        ways = [
            sk.roc_auc_score(label[inside] == c, score[inside, c], sample_weight=weight[inside])
            for c in (a, b)
        ]
        areas.append(np.mean(ways))
        shares.append(weight[inside].sum() / weight.sum())
    return np.average(areas, weights=shares if average == "weighted" else None)


def calibration_error(label, score):
    """Fifteen bins of equal mass; equal scores go where their middle falls."""
    ordered = sorted(score)
    ends = [len(chunk) for chunk in np.array_split(ordered, 15)]
    squares = []
    rows = {number: [] for number in range(15)}
    for one, truth in zip(score, label, strict=True):
        first = ordered.index(one)
        middle = first + (ordered.count(one) - 1) / 2
        rows[sum(middle >= end for end in np.cumsum(ends))].append((one, truth))
    for found in filter(lambda found: len(found) > 1, rows.values()):
        mean, share = np.mean(found, axis=0)
        bias = share * (1 - share) / (len(found) - 1)
        squares.append(len(found) / len(score) * ((mean - share) ** 2 - bias))
    return max(0.0, sum(squares)) ** 0.5


def predicted(function, **options):
    return lambda r, w: function(r.label, r.prediction, sample_weight=w, **options)


def scored(function, **options):
    return lambda r, w: function(r.label, r.score, sample_weight=w, **options)


def both(binary_options, many_options, function):
    return lambda r, w: function(
        r.label,
        r.score,
        sample_weight=w,
        **(binary_options if r.score.ndim == 1 else many_options(r)),
    )


# Written out apart from `definitions.py`, so that one mistake can not hide in both.
TRUTH = {
    "accuracy": predicted(sk.accuracy_score),
    "balanced_accuracy": predicted(sk.balanced_accuracy_score),
    "precision": predicted(sk.precision_score),
    "recall": predicted(sk.recall_score),
    "f1": predicted(sk.f1_score),
    "fbeta": predicted(sk.fbeta_score, beta=BETA),
    "specificity": predicted(sk.recall_score, pos_label=0),
    "true_positive_rate": predicted(fl.true_positive_rate),
    "true_negative_rate": predicted(fl.true_negative_rate),
    "false_positive_rate": predicted(fl.false_positive_rate),
    "false_negative_rate": predicted(fl.false_negative_rate),
    "selection_rate": predicted(fl.selection_rate),
    "mcc": predicted(sk.matthews_corrcoef),
    "roc_auc": scored(sk.roc_auc_score),
    "average_precision": scored(sk.average_precision_score),
    "log_loss": both({"labels": [0, 1]}, lambda r: {"labels": range(r.classes)}, sk.log_loss),
    "brier": both({}, lambda r: {"labels": range(r.classes)}, sk.brier_score_loss),
    "calibration_error": lambda r, _: calibration_error(r.label, r.score),
    **{
        f"{stem}_{average}": predicted(function, average=average)
        for stem, function in {
            "precision": sk.precision_score,
            "recall": sk.recall_score,
            "f1": sk.f1_score,
        }.items()
        for average in ("macro", "weighted", "micro")
    },
    **{
        f"roc_auc_ovr_{average}": scored(sk.roc_auc_score, multi_class="ovr", average=average)
        for average in ("macro", "weighted")
    },
    **{
        f"roc_auc_ovo_{average}": partial(
            lambda average, r, w: one_against_one(r.label, r.score, w, average), average
        )
        for average in ("macro", "weighted")
    },
    "mae": predicted(sk.mean_absolute_error),
    "mse": predicted(sk.mean_squared_error),
    "rmse": predicted(sk.root_mean_squared_error),
    "mape": predicted(sk.mean_absolute_percentage_error),
    "median_ae": predicted(sk.median_absolute_error),
    "p90_ae": lambda r, _: np.percentile(abs(r.label - r.prediction), 90),
    "max_error": lambda r, _: sk.max_error(r.label, r.prediction),
    "r2": predicted(sk.r2_score),
}
SAMPLES = {
    Task.BINARY: [
        binary(1),
        binary(2, n=12),
        binary(3, n=400, prevalence=0.04),
        binary(4, decimals=8),
        binary(5, n=300, decimals=2),
        extreme(6),
        extreme(7, n=400),
    ],
    Task.MULTICLASS: [
        multiclass(1),
        multiclass(2, classes=3),
        multiclass(3, n=200, classes=5),
        extreme_classes(4),
    ],
    Task.REGRESSION: [regression(1), regression(2, n=2), regression(3, n=71)],
}
CASES = [
    pytest.param(name, rows, id=f"{task}-{name}-{number}")
    for task, samples in SAMPLES.items()
    for name in metrics_for(task)
    for number, rows in enumerate(samples)
    if name != "calibration_error" or len(rows) >= 30
]


def test_every_metric_of_the_catalogue_has_a_function_and_a_truth_to_be_held_to():
    assert set(MEASURES) == set(METRICS) == set(TRUTH)


# Of these the slope is none, or no more than an estimate.
ROUGH = {"median_ae", "p90_ae", "calibration_error", "max_error"}


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_value_is_that_of_the_library(name, rows):
    expected = TRUTH[name](rows, np.ones(len(rows)))
    assert measure(name, rows, beta=BETA).value == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert sklearn_value(name, rows, beta=BETA) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_rows_that_stand_for_several_count_as_often(name, rows):
    weight = np.random.default_rng(1).integers(1, 5, len(rows))
    every = replace(rows, weight=weight)
    found = measure(name, every, beta=BETA).value
    if name in ROUGH:
        # No weights in the library's function, or other ones: a quantile between two values.
        expected = measure(name, every.written_out(), beta=BETA).value
    else:
        expected = TRUTH[name](rows, weight.astype(float))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_one_against_one_is_scikit_learns(average):
    rows = multiclass(7, n=150)
    expected = sk.roc_auc_score(rows.label, rows.score, multi_class="ovo", average=average)
    assert measure(f"roc_auc_ovo_{average}", rows).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in METRICS if n not in ROUGH])
def test_influence_is_the_slope_of_the_weighted_metric(name):
    task = min(METRICS[name].tasks)
    for rows in SAMPLES[task][:2]:
        influence = measure(name, rows, beta=BETA).influence
        for place in range(0, len(rows), max(1, len(rows) // 12)):
            weight = np.ones(len(rows))
            weight[place] = 1 + 1e-4
            above = TRUTH[name](rows, weight)
            weight[place] = 1 - 1e-4
            slope = (above - TRUTH[name](rows, weight)) / 2e-4
            assert influence[place] == pytest.approx(slope * len(rows), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_influence_has_mean_zero(name, rows):
    influence = measure(name, rows, beta=BETA).influence
    assert influence is None or np.mean(influence) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("fbeta", lambda s: binary(s, n=1500)),
        ("mcc", lambda s: binary(s, n=1500)),
        ("roc_auc", lambda s: binary(s, n=1500)),
        ("average_precision", lambda s: binary(s, n=1500)),
        ("f1_weighted", lambda s: multiclass(s, n=1500)),
        ("roc_auc_ovo_weighted", lambda s: multiclass(s, n=1500)),
        ("rmse", lambda s: regression(s, n=1500)),
        ("r2", lambda s: regression(s, n=1500)),
        ("median_ae", lambda s: regression(s, n=1501)),
        ("p90_ae", lambda s: regression(s, n=1501)),
    ],
)
def test_standard_error_is_that_of_resampled_rows(name, make):
    rows = make(11)
    rng = np.random.default_rng(12)
    values = [
        measure(name, rows.take(rng.integers(0, len(rows), len(rows)))).value for _ in range(300)
    ]
    influence = measure(name, rows).influence
    # 300 resamples know a standard deviation to 4 %; the median's own estimate is rougher.
    within = 0.3 if name in ROUGH else 0.15
    assert np.sqrt(np.sum(influence**2)) / len(rows) == pytest.approx(np.std(values), rel=within)


ONES, ZEROS = np.ones(4, dtype=np.int8), np.zeros(4, dtype=np.int8)
MIXED = np.array([0, 1, 0, 1], dtype=np.int8)
SCORE = np.array([0.1, 0.4, 0.3, 0.8])
THIRDS = np.full((4, 3), 1 / 3)
CODES = np.array([0, 1, 2, 2])


def rows_of(label, prediction, score=None, classes=2):
    return Rows(label=label, prediction=prediction, score=score, classes=classes)


@pytest.mark.parametrize(
    ("name", "rows", "reason"),
    [
        ("accuracy", binary(1).take(np.zeros(80, dtype=bool)), "no rows"),
        ("recall", rows_of(ZEROS, MIXED), "no positive labels"),
        ("false_negative_rate", rows_of(ZEROS, MIXED), "no positive labels"),
        ("specificity", rows_of(ONES, MIXED), "no negative labels"),
        ("false_positive_rate", rows_of(ONES, MIXED), "no negative labels"),
        ("precision", rows_of(MIXED, ZEROS), "nothing was predicted positive"),
        ("f1", rows_of(ZEROS, ZEROS), "no positive labels and nothing was predicted positive"),
        ("balanced_accuracy", rows_of(ONES, ONES), "only one class"),
        ("mcc", rows_of(ONES, MIXED), "only one class"),
        ("mcc", rows_of(MIXED, ONES), "only one class was predicted"),
        ("roc_auc", rows_of(ONES, ONES, SCORE), "only one class"),
        ("roc_auc", rows_of(MIXED, MIXED), "no score column"),
        ("average_precision", rows_of(ZEROS, ONES, SCORE), "no positive labels"),
        ("brier", rows_of(MIXED, ONES, SCORE + 0.5), "score is not between 0 and 1 in 1 row"),
        (
            "log_loss",
            rows_of(MIXED, ONES, SCORE * np.nan),
            "score is not between 0 and 1 in 4 rows",
        ),
        (
            "log_loss",
            rows_of(CODES, CODES, THIRDS - 0.5, 3),
            "score is not between 0 and 1 in 4 rows",
        ),
        ("calibration_error", rows_of(MIXED, ONES), "no score column to bin by"),
        ("calibration_error", rows_of(MIXED, ONES, SCORE), "fewer than 30 rows for 15 bins"),
        (
            "calibration_error",
            rows_of(MIXED, ONES, SCORE + 0.5),
            "score is not between 0 and 1 in 1 row",
        ),
        ("brier", rows_of(CODES, CODES, THIRDS * 0.9, 3), "scores do not add up to 1 in 4 rows"),
        ("precision_macro", rows_of(CODES, CODES % 2, None, 3), "1 class was never predicted"),
        ("precision_weighted", rows_of(CODES, ZEROS, None, 3), "2 classes were never predicted"),
        ("recall_macro", rows_of(MIXED, CODES, None, 3), "1 predicted class has no rows"),
        ("recall_weighted", rows_of(ZEROS, CODES, None, 3), "2 predicted classes have no rows"),
        ("roc_auc_ovr_macro", rows_of(MIXED, MIXED, THIRDS, 3), "1 of 3 classes have no rows"),
        ("roc_auc_ovo_macro", rows_of(MIXED, MIXED, THIRDS, 3), "1 of 3 classes have no rows"),
        ("r2", rows_of(SCORE[:1], SCORE[:1]), "fewer than 2 rows"),
        ("r2", rows_of(SCORE * 0 + 0.1, SCORE), "all labels are the same"),
        ("mape", rows_of(np.array([0.0, 0, 0, 1]), SCORE), "label is 0 in 3 rows"),
        (
            "mae",
            rows_of(SCORE, SCORE * np.inf),
            "label or prediction is not a finite number in 4 rows",
        ),
        ("mse", rows_of(SCORE, SCORE * 1e200), "the result is not a finite number"),
    ],
)
def test_a_metric_without_a_value_says_why(name, rows, reason):
    with pytest.raises(Undefined) as caught:
        measure(name, rows)
    assert caught.value.reason == str(caught.value) == reason


@pytest.mark.parametrize(
    ("name", "label"), [("log_loss", ONES), ("log_loss", ZEROS), ("brier", ONES), ("brier", ZEROS)]
)
def test_losses_need_only_one_class(name, label):
    rows = rows_of(label, label, SCORE)
    assert measure(name, rows).value == pytest.approx(sklearn_value(name, rows), rel=1e-12)


@pytest.mark.parametrize("name", metrics_for(Task.MULTICLASS))
def test_two_classes_may_be_called_many(name):
    rows = multiclass(9, n=60, classes=2)
    assert measure(name, rows).value == pytest.approx(sklearn_value(name, rows), rel=1e-9)


@pytest.mark.parametrize("name", ["log_loss", "brier", "roc_auc_ovr_macro", "roc_auc_ovo_weighted"])
def test_rounded_scores_are_still_probabilities(name):
    whole = multiclass(5)
    rows = rows_of(whole.label, whole.prediction, np.round(whole.score, 4), 4)
    assert measure(name, rows).value == pytest.approx(sklearn_value(name, rows), rel=1e-9)


def test_f1_ignores_beta_and_fbeta_does_not():
    rows = binary(1)
    assert measure("f1", rows, beta=2.0).value == measure("f1", rows).value
    assert measure("fbeta", rows, beta=2.0).value != measure("f1", rows).value


def test_perfect_numbers_have_an_error_of_zero():
    rows = rows_of(SCORE, SCORE)
    for name in ("rmse", "mae", "max_error", "median_ae"):
        assert measure(name, rows).value == 0.0
    assert not measure("rmse", rows).influence.any()
    assert not measure("median_ae", rows_of(SCORE[:1], SCORE[:1])).influence.any()


def test_only_rates_whose_denominator_is_given_compare_as_paired_proportions():
    one, other = binary(1), binary(4)
    other = rows_of(one.label, other.prediction)
    for name in ("accuracy", "recall", "selection_rate", "false_positive_rate"):
        assert np.array_equal(measure(name, one).rate.of, measure(name, other).rate.of)
    assert not np.array_equal(
        measure("precision", one).rate.of, measure("precision", other).rate.of
    )


def test_rows_are_taken_by_mask_and_by_place():
    rows = binary(1)
    masked, placed = rows.take(rows.label == 1), rows.take(np.flatnonzero(rows.label == 1))
    assert len(masked) == rows.label.sum()
    assert np.array_equal(masked.score, placed.score)
    assert rows_of(MIXED, ONES).take(MIXED == 1).score is None


@pytest.mark.parametrize(("prediction", "score"), [(ONES[:1], None), (ONES, SCORE[:2])])
def test_columns_of_different_lengths_are_refused(prediction, score):
    with pytest.raises(ValueError, match="differ in length"):
        rows_of(MIXED, prediction, score)
