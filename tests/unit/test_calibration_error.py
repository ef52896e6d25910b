"""The calibration error: its value against published code, and what its intervals hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gates.stats.bootstrap import METHOD, drawn
from gates.stats.calibration import BINS, bins_of, squared_error
from gates.stats.definitions import sklearn_value
from gates.stats.intervals import paired, single
from gates.stats.measured import Rows
from gates.stats.metrics import measure
from gates.stats.sketch import HASHES

FOLDER = Path(__file__).parents[1] / "statcases"


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1):
        yield


def rows_of(label, score, weight=None):
    score = np.asarray(score, dtype=float)
    return Rows(
        label=np.asarray(label).astype(int),
        prediction=(score >= 0.5).astype(int),
        score=score,
        weight=weight,
    )


def logistic(x):
    return 1 / (1 + np.exp(-x))


def overconfident(seed, n):
    """Rounded scores that are too extreme."""
    rng = np.random.default_rng(seed)
    x = rng.normal(-0.8, 1.3, n)
    label = (rng.random(n) < logistic(x)).astype(int)
    return label, np.round(logistic(1.7 * x + 0.3), 6)


# --- the value -------------------------------------------------------------------------------


# From uncertainty-calibration 0.1.4 (PyPI), for the scores and labels of `overconfident`, by:
# lower_bound_scaling_ce with p=2, debias=True and num_bins=15.
@pytest.mark.parametrize(
    ("seed", "n", "expected"),
    [
        (1, 60, 0.08178103618621058),
        (2, 300, 0.0715365064240811),
        (3, 1000, 0.12338984436939755),
        (4, 3017, 0.08265369699555647),
        (5, 97, 0.15306203539170533),
    ],
)
def test_the_value_is_that_of_its_authors(seed, n, expected):
    rows = rows_of(*overconfident(seed, n))
    assert measure("calibration_error", rows).value == pytest.approx(expected, abs=1e-11)
    assert sklearn_value("calibration_error", rows) == pytest.approx(expected, abs=1e-11)


def test_the_fixed_set_of_spiegelhalters_test_has_its_brier_score_and_area():
    found = case("26_spiegelhalter_rms")
    rows = rows_of(found["input"]["y"], found["input"]["p"])
    within = found["tolerance"]["brier"]
    for name, key in (("brier", "brier"), ("roc_auc", "auc")):
        assert measure(name, rows).value == pytest.approx(found["expected"][key], abs=within)
    # Its p-value of 0.056 is no proof of a fault: the interval says the same, and reaches 0.
    interval = single(measure("calibration_error", rows), confidence=0.95)
    assert interval.low == 0.0
    assert interval.high > 0.0


def case(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def test_by_hand():
    # Two rows a bin: (0.2, 0.4 | 0, 1) has the gap 0.3 - 0.5 and the bias 0.25.
    score = np.repeat(np.arange(15) / 15, 2) + np.tile([0.0, 0.01], 15)
    label = np.tile([0, 1], 15)
    gaps = np.arange(15) / 15 + 0.005 - 0.5
    expected = np.mean(gaps**2) - 0.25
    assert squared_error(bins_of(score), score, label == 1) == pytest.approx(expected, abs=1e-15)
    assert measure("calibration_error", rows_of(label, score)).value == 0.0


def test_it_is_free_of_the_bias_of_a_plain_error():
    """The plug-in error of a calibrated model is never 0; the debiased square is, on average."""
    squares, plain = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        score = logistic(rng.normal(-0.8, 1.3, 300))
        positive = rng.random(300) < score
        codes = bins_of(score)
        squares.append(squared_error(codes, score, positive))
        gaps = np.bincount(codes, score - positive) / 20
        plain.append(np.mean(abs(gaps)))
    error = np.std(squares) / np.sqrt(300)
    assert np.mean(squares) == pytest.approx(0.0, abs=3 * error)
    assert np.mean(plain) > 0.05


def test_bins_are_of_equal_mass():
    score = np.random.default_rng(1).permutation(np.arange(100.0))
    sizes = np.bincount(bins_of(score))
    assert sizes.tolist() == [7] * 10 + [6] * 5
    assert (np.diff(bins_of(np.sort(score))) >= 0).all()


@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_equal_scores_share_a_bin(decimals):
    label, score = overconfident(6, 400)
    score = np.round(score, decimals)
    codes = bins_of(score)
    assert len(set(zip(score, codes, strict=True))) == len(np.unique(score))
    assert codes.min() >= 0
    assert codes.max() < BINS
    rows = rows_of(label, score)
    found = measure("calibration_error", rows).value
    assert found == pytest.approx(sklearn_value("calibration_error", rows), abs=1e-12)
    order = np.random.default_rng(1).permutation(400)
    assert measure("calibration_error", rows.take(order)).value == pytest.approx(found, abs=1e-12)


def test_one_score_for_all_is_one_bin():
    label = np.repeat([0, 1], [70, 30])
    found = measure("calibration_error", rows_of(label, np.full(100, 0.5)))
    assert found.value == pytest.approx(np.sqrt(0.2**2 - 0.21 / 99))
    interval = single(found, confidence=0.95)
    assert interval.low < 0.2 < interval.high


def test_a_bin_of_one_row_counts_nothing():
    # The lowest score stands alone: the others share a run far above.
    score = np.concatenate([[0.01], np.full(40, 0.7)])
    label = np.concatenate([[1], np.repeat([1, 0], [30, 10])])
    found = measure("calibration_error", rows_of(label, score))
    inside = 40 / 41 * (0.05**2 - 0.1875 / 39)
    assert found.value == pytest.approx(np.sqrt(max(0.0, inside)))
    assert single(found, confidence=0.95).high < 0.5


# --- intervals -------------------------------------------------------------------------------


def test_a_weight_is_as_many_rows():
    label, score = overconfident(7, 200)
    rng = np.random.default_rng(7)
    weight, hashes = rng.integers(1, 5, 200), rng.integers(0, HASHES, 200)
    one = rows_of(label, score, weight)
    made = []
    for rows, keys in ((one, hashes), (one.written_out(), np.repeat(hashes, weight))):
        found = measure("calibration_error", rows)
        found = drawn(found, keys, seed=7, metric="calibration_error")
        made.append((found.value, single(found, confidence=0.95)))
    assert made[0] == made[1]
    assert made[0][1].method == METHOD


def test_the_order_of_rows_is_of_no_matter():
    label, score = overconfident(8, 3000)
    other = np.clip(score + 0.02, 0, 1)
    rng = np.random.default_rng(8)
    hashes, order = rng.integers(0, HASHES, 3000), rng.permutation(3000)

    def found(places):
        made = [
            drawn(
                measure("calibration_error", rows_of(label[places], one[places])),
                hashes[places],
                seed=7,
                metric="calibration_error",
            )
            for one in (score, other)
        ]
        ours = single(made[0], confidence=0.95), paired(*made, confidence=0.95)
        return [end for one in ours for end in (one.low, one.high)]

    assert found(order) == pytest.approx(found(np.arange(3000)), rel=1e-9)


def test_equal_models_have_not_changed():
    label, score = overconfident(9, 300)
    made = [measure("calibration_error", rows_of(label, score)) for _ in range(2)]
    found = paired(*made, confidence=0.95, same=True)
    assert (found.low, found.high) == (0.0, 0.0)
    assert str(found.low) == "0.0"


def test_hard_scores_that_are_all_right_are_no_certainty():
    label = np.repeat([0, 1], 50)
    assert single(measure("calibration_error", rows_of(label, label)), confidence=0.95) is None


def two_models(kind, rng, n, size=1):
    """Labels, scores of a baseline and of a candidate; rows come in clusters of `size`."""
    x = rng.normal(-0.8, 1.3, n)
    if size > 1:
        x = np.repeat(x[: n // size], size) + 0.05 * rng.normal(size=n)
    label = np.repeat(rng.random(n // size), size) < logistic(x)
    noise = 0.1 * rng.normal(size=n)
    scores = {
        "calibrated": (logistic(x), logistic(x)),
        "alike": (logistic(1.3 * x), logistic(1.3 * (x + noise))),
        "worse": (logistic(x), logistic(1.5 * x)),
        "better": (logistic(x + 0.6), logistic(1.2 * x)),
        "retrained": (logistic(1.1 * x), logistic(1.12 * x + 0.02)),
    }
    return label.astype(int), *scores[kind]


def true_error(kind, place):
    label_and_scores = two_models(kind, np.random.default_rng(1), 300_000)
    label, score = label_and_scores[0], label_and_scores[1 + place]
    return np.sqrt(max(0.0, squared_error(bins_of(score), score, label == 1)))


@pytest.fixture
def _roughly(monkeypatch):
    """Simulations need no fine percentiles: theirs are right on average."""
    monkeypatch.setattr("gates.stats.bootstrap.REPLICATES", 400)


def coverage(kind, n, *, size=1, times=150, by_cluster=True):
    """How often limits of the baseline's error, and of the change, hold the truth."""
    errors = [true_error(kind, place) for place in (0, 1)]
    # Calibrated is calibrated: what is left of so many rows is chance.
    errors = [0.0 if error < 0.004 else error for error in errors]
    codes = np.arange(n) // size if size > 1 and by_cluster else None
    held, widths = np.zeros(2), np.zeros(2)
    for seed in range(times):
        label, *scores = two_models(kind, np.random.default_rng([seed, 5]), n, size)
        made = [measure("calibration_error", rows_of(label, score)) for score in scores]
        found = (
            single(made[0], confidence=0.95, clusters=codes, low=0.0, high=1.0),
            paired(*made, confidence=0.95, clusters=codes, same=np.array_equal(*scores)),
        )
        truth = (errors[0], errors[1] - errors[0])
        held += [i.low <= t <= i.high for i, t in zip(found, truth, strict=True)]
        widths += [i.high - i.low for i in found]
    return held / times, widths / times


@pytest.mark.parametrize("n", [300, 1200])
@pytest.mark.parametrize("kind", ["calibrated", "alike", "worse", "better", "retrained"])
@pytest.mark.usefixtures("_roughly")
def test_intervals_hold_the_truth(kind, n):
    (own, change), _ = coverage(kind, n, times=60)
    # 60 draws know 0.95 to 0.056 (two standard errors).
    assert own >= 0.9
    assert change >= 0.9


@pytest.mark.usefixtures("_roughly")
def test_pairing_is_worth_its_while():
    _, (own, change) = coverage("retrained", 1200, times=30)
    assert change < 0.6 * own, "two models apart would have about 1.4 times the width of one"


@pytest.mark.usefixtures("_roughly")
def test_the_interval_grows_with_clusters_and_then_holds_the_truth():
    (own, change), _ = coverage("better", 1200, size=6, times=60)
    assert min(own, change) >= 0.9
    (alone, _), _ = coverage("calibrated", 1200, size=6, times=30, by_cluster=False)
    (known, _), _ = coverage("calibrated", 1200, size=6, times=30)
    assert alone < 0.8, "else the clusters are of no matter here"
    assert known >= 0.9


@pytest.mark.usefixtures("_roughly")
def test_a_good_model_seldom_fails():
    failed = np.zeros(2)
    first, second = (true_error("alike", place) for place in (0, 1))
    for seed in range(150):
        label, *scores = two_models("alike", np.random.default_rng([seed, 9]), 300)
        made = [measure("calibration_error", rows_of(label, score)) for score in scores]
        failed += (
            paired(*made, confidence=0.95).low > second - first,
            single(made[0], confidence=0.95).low > first,
        )
    # One in forty by the level; Binomial(150, 0.025) is above 9 once in 80 times.
    assert max(failed) <= 9


@pytest.mark.usefixtures("_roughly")
def test_a_model_that_lost_its_calibration_fails():
    failed = 0
    for seed in range(30):
        label, score, _ = two_models("calibrated", np.random.default_rng([seed, 2]), 2000)
        extreme = logistic(2.5 * np.log(score / (1 - score)))
        made = [measure("calibration_error", rows_of(label, one)) for one in (score, extreme)]
        failed += paired(*made, confidence=0.95).low > 0.02
    assert failed == 30
