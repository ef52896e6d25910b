"""Intervals against published numbers, independent formulas and simulated coverage."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import stdtrit

from gates.stats.intervals import FEW_DISCORDANT, FEW_OF_A_CLASS, FEW_UNITS, paired, single
from gates.stats.measured import Measured, of_mean, of_rate
from gates.stats.measured_sides import deviation_of
from gates.stats.metrics import Rows, Undefined, measure
from gates.stats.score_intervals import normal_p, tango, wilson
from gates.stats.sketch import standard_error
from gates.stats.units import Deviation, error_of

Z = 1.959963984540054
Z2 = Z**2
FOLDER = Path(__file__).parents[1] / "statcases"


def case(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def rows_of(label, prediction, score=None, classes=2):
    return Rows(
        label=np.asarray(label), prediction=np.asarray(prediction), score=score, classes=classes
    )


@pytest.mark.parametrize("name", ["01_paired_cavo", "02_paired_bentur"])
def test_tango_is_the_published_interval(name):
    found = case(name)
    both, first, second, neither = found["input"]["table_row_major"]
    # The case's difference is first - second; ours is second - first.
    low, high = tango(second, first, both + first + second + neither, confidence=0.95)
    assert [low, high] == pytest.approx(found["expected"]["ci95"]["tango_score"], abs=1e-5)


@pytest.mark.parametrize(
    "name", ["01_paired_cavo", "02_paired_bentur", "03_mcnemar_agresti_approval"]
)
def test_tango_ends_at_zero_where_mcnemars_test_just_rejects(name):
    found = case(name)
    table = found["input"]["table_row_major"]
    p = found["expected"].get("p_asymptotic", found["expected"].get("p"))
    low, high = tango(table[2], table[1], sum(table), confidence=1 - p)
    assert min(abs(low), abs(high)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("counts", case("06_newcombe1998_single")["input"])
def test_wilson_is_the_published_interval(counts):
    hits, size = map(int, counts.split("/"))
    expected = case("06_newcombe1998_single")["expected"][counts]["wilson"]
    assert wilson(hits, size, confidence=0.95) == pytest.approx(tuple(expected), abs=1e-8)


def test_wilson_ends_exactly_where_the_proportion_does():
    assert wilson(0, 7, confidence=0.95)[0] == 0.0
    assert wilson(7, 7, confidence=0.95)[1] == 1.0


@pytest.mark.parametrize(
    ("lost", "won", "size", "expected"),
    [
        # Without a discordant row Z² is n·d / (1 - d), with all on one side n·(1 - d) / (1 + d).
        (0, 0, 50, (-Z2 / (50 + Z2), Z2 / (50 + Z2))),
        (0, 0, 1, (-Z2 / (1 + Z2), Z2 / (1 + Z2))),
        (1, 0, 1, (-1.0, (Z2 - 1) / (Z2 + 1))),
        (0, 9, 9, ((9 - Z2) / (9 + Z2), 1.0)),
    ],
)
def test_tango_at_the_edges(lost, won, size, expected):
    assert tango(lost, won, size, confidence=0.95) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_tango_holds_the_point_and_reads_the_same_both_ways(lost, won, level):
    size = lost + won + level
    if size == 0:
        return
    low, high = tango(lost, won, size, confidence=0.9)
    assert -1.0 <= low <= (won - lost) / size <= high <= 1.0
    assert tango(won, lost, size, confidence=0.9) == (-high, -low)


def jackknife(values, clusters):
    """Return the error of a mean by leaving out each cluster, one at a time."""
    codes = np.unique(clusters)
    means = np.array([values[clusters != code].mean() for code in codes])
    return np.sqrt((len(codes) - 1) / len(codes) * np.sum((means - values.mean()) ** 2))


def test_the_error_of_clusters_is_that_of_leaving_each_out():
    found = case("19_cluster_robust_mean")
    values, clusters = np.array(found["input"]["d"]), np.array(found["input"]["cluster"])
    sizes = np.unique(clusters, return_counts=True)[1]
    interval = single(of_mean(values), confidence=0.95, clusters=clusters)
    worth = sizes.sum() ** 2 / np.sum(sizes**2)
    half = stdtrit(worth - 1, 0.975) * jackknife(values, clusters)
    mean = found["expected"]["mean"]
    assert (interval.low, interval.high) == pytest.approx((mean - half, mean + half), rel=1e-9)


def test_clusters_of_equal_size_have_the_error_of_sandwich():
    """There Liang & Zeger's, times G / (G - 1), and the jackknife are one."""
    values = np.random.default_rng(1).gamma(2.0, size=60)
    clusters = np.arange(60) % 12
    sums = np.bincount(clusters, values - values.mean())
    error = error_of(Deviation(influence=values - values.mean(), clusters=clusters))
    assert error.variance == pytest.approx(np.sum(sums**2) / 60**2 * 12 / 11, rel=1e-12)
    assert error.freedom == pytest.approx(11)


def test_sums_by_cluster_are_those_of_sandwich():
    """Of unequal clusters ours is larger than CR0, which is the plain sum of squares, and CR1."""
    found = case("19_cluster_robust_mean")
    values, clusters = np.array(found["input"]["d"]), np.array(found["input"]["cluster"])
    expected, rel = found["expected"], found["tolerance"]["rel"]
    assert standard_error(of_mean(values), None) == pytest.approx(expected["se_HC0"], rel=rel)
    own = error_of(Deviation(influence=values - values.mean(), clusters=clusters))
    assert expected["se_CR0"] < expected["se_CR1"] < np.sqrt(own.variance)


def test_unclustered_error_is_that_of_the_mean_and_wider_for_few_rows():
    found = case("19_cluster_robust_mean")
    interval = single(of_mean(np.array(found["input"]["d"])), confidence=0.95)
    half = stdtrit(39, 0.975) * found["expected"]["se_iid_lm"]
    assert interval.high - 0.1 == pytest.approx(half, rel=1e-9)
    assert interval.method == "influence"


def test_many_units_get_the_normal_quantile():
    values = np.arange(FEW_UNITS, dtype=float)
    interval = single(of_mean(values), confidence=0.95)
    error = np.std(values, ddof=1) / np.sqrt(FEW_UNITS)
    assert interval.high - np.mean(values) == pytest.approx(Z * error, rel=1e-9)


def slow_delong(label, first, second):
    """Return AUC difference and its standard error, straight from DeLong et al. 1988."""
    ones, zeros = np.flatnonzero(label == 1), np.flatnonzero(label == 0)

    def kernel(score):
        return np.array(
            [[(score[i] > score[j]) + 0.5 * (score[i] == score[j]) for j in zeros] for i in ones]
        )

    tables = [kernel(first), kernel(second)]
    rows = np.cov([t.mean(axis=1) for t in tables])
    columns = np.cov([t.mean(axis=0) for t in tables])
    variance = rows / len(ones) + columns / len(zeros)
    contrast = np.array([-1.0, 1.0])
    return tables[1].mean() - tables[0].mean(), np.sqrt(contrast @ variance @ contrast)


def scored_pair(seed, n):
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(int)
    first = np.round(np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1), 1)
    second = np.round(np.clip(first + rng.normal(0, 0.1, n), 0, 1), 1)
    return [rows_of(label, s >= 0.5, s) for s in (first, second)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_errors_of_auc_are_delongs(seed):
    one, two = scored_pair(seed, 60)
    _, expected = slow_delong(one.label, one.score, two.score)
    before, after = measure("roc_auc", one), measure("roc_auc", two)
    moved = error_of(deviation_of(after, after.influence - before.influence, None))
    assert moved.variance == pytest.approx(expected**2, rel=1e-9)
    # The smaller class has 18 rows or so: Student's t.
    assert moved.freedom == min(np.bincount(one.label)) - 1


def test_the_change_of_auc_is_movers_of_wilsons_limits():
    """Worked out once more, from the errors by the definition."""
    one, two = scored_pair(1, 400)
    _, error = slow_delong(one.label, one.score, two.score)
    level = np.full(400, 0.5)
    errors = [slow_delong(one.label, level, rows.score)[1] for rows in (one, two)]
    values = [measure("roc_auc", rows).value for rows in (one, two)]
    trials = 2 / np.sum(1 / np.bincount(one.label))
    limits = []
    for value, own in zip(values, errors, strict=True):
        seen = trials * (1 - value)
        spread = value * (1 - value)
        size = 1 / max(own**2 / spread, (seen * own**2 / spread + 1 / trials) / (seen + 1))
        centre, root = value + Z2 / 2 / size, Z * np.sqrt(spread / size + Z2 / 4 / size**2)
        limits.append([(centre + sign * root) / (1 + Z2 / size) for sign in (-1, 1)])
    rho = (errors[0] ** 2 + errors[1] ** 2 - error**2) / 2 / errors[0] / errors[1]
    (b, c), ((bl, bu), (cl, cu)) = values, limits
    expected = (
        c - b - np.sqrt((c - cl) ** 2 + (bu - b) ** 2 - 2 * rho * (c - cl) * (bu - b)),
        c - b + np.sqrt((cu - c) ** 2 + (b - bl) ** 2 - 2 * rho * (cu - c) * (b - bl)),
    )
    found = paired(measure("roc_auc", one), measure("roc_auc", two), confidence=0.95)
    assert found.method == "influence, mover"
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    own = single(measure("roc_auc", one), confidence=0.95)
    assert own.method == "influence, wilson"
    assert (own.low, own.high) == pytest.approx(limits[0], rel=1e-9)


def test_of_many_rows_auc_has_delongs_interval():
    rng = np.random.default_rng(7)
    label = (np.arange(20_000) % 2).astype(int)
    shared = 0.7 * label + rng.normal(size=20_000)
    models = [rows_of(label, label, s) for s in _unit(shared + rng.normal(0, 0.8, (2, 20_000)))]
    before, after = (measure("roc_auc", rows) for rows in models)
    assert 0.65 < before.value < 0.7
    moved = after.influence - before.influence
    for found, value, influence in (
        (single(after, confidence=0.95), after.value, after.influence),
        (paired(before, after, confidence=0.95), after.value - before.value, moved),
    ):
        half = Z * np.sqrt(error_of(deviation_of(after, influence, None)).variance)
        ends = (found.low, found.high)
        assert ends == pytest.approx((value - half, value + half), abs=0.01 * half)


def _unit(scores):
    return 1.0 / (1.0 + np.exp(-scores))


RANKED = ("roc_auc", "average_precision")


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize(("n", "positives"), [(40, 12), (500, 15)])
def test_two_models_that_both_separate_the_classes_are_not_known_to_be_equal(name, n, positives):
    label = (np.arange(n) < positives).astype(int)
    rng = np.random.default_rng(2)
    first, second = (rows_of(label, label, (label + rng.random(n)) / 2) for _ in range(2))
    before, after = measure(name, first), measure(name, second)
    assert before.value == after.value == 1.0
    change = paired(before, after, confidence=0.95)
    # In so many positives without a loss, 3 / n may be lost, and more where fewer would be.
    assert change.low == -change.high < -3 / 2 / positives
    own = single(after, confidence=0.95, low=0.0, high=1.0)
    assert own.high == 1.0
    assert own.low == pytest.approx(1.0 + change.low, rel=1e-9)


@pytest.mark.parametrize("name", RANKED)
def test_few_rows_of_a_class_tell_nothing_of_ranks(name):
    for positives in (FEW_OF_A_CLASS - 1, FEW_OF_A_CLASS):
        label = (np.arange(50) < positives).astype(int)
        score = np.random.default_rng(3).random((2, 50))
        models = [measure(name, rows_of(label, label, s)) for s in score]
        known = positives == FEW_OF_A_CLASS
        assert (paired(*models, confidence=0.95) is not None) is known
        assert (single(models[0], confidence=0.95) is not None) is known


@pytest.mark.parametrize("name", RANKED)
@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3], ids=["rows", "clusters"])
def test_p_is_that_of_the_interval_which_just_reaches_a_value(name, clusters):
    before, after = (measure(name, rows) for rows in scored_pair(4, 300))
    for confidence in (0.8, 0.99):
        found = paired(before, after, confidence=confidence, clusters=clusters)
        own = single(after, confidence=confidence, clusters=clusters)
        for one in (found, own):
            for end in (one.low, one.high):
                assert one.p(end) == pytest.approx(1 - confidence, rel=1e-6)
    assert found.p(after.value - before.value) == 1.0


@pytest.mark.parametrize("name", RANKED)
def test_rows_that_are_each_a_few_equal_rows_know_no_more_than_one_of_them(name):
    one, two = scored_pair(5, 120)
    alone = [measure(name, rows) for rows in (one, two)]
    copies = np.repeat(np.arange(120), 4)
    many = [measure(name, rows.take(copies)) for rows in (one, two)]
    found = paired(*many, confidence=0.95, clusters=copies)
    assert found.low == pytest.approx(paired(*alone, confidence=0.95).low, rel=0.05)


def test_clustered_auc_goes_by_clusters():
    one, two = (measure("roc_auc", rows) for rows in scored_pair(1, 60))
    found = paired(one, two, confidence=0.95, clusters=np.arange(60) // 3)
    assert found.method == "influence, mover"
    assert found.low != paired(one, two, confidence=0.95).low


def test_degenerate_roc_curves_have_no_interval():
    found = case("11_delong_degenerate")
    identical, level, one_class = found["input"]
    perfect = measure("roc_auc", rows_of(identical["y"], identical["y"], np.array(identical["s1"])))
    expected = found["expected"][0]
    assert perfect.value == expected["auc"]
    # DeLong's variance is 0, of the area and of no change at all, which is not knowledge.
    for influence in (perfect.influence, perfect.influence - perfect.influence):
        assert error_of(deviation_of(perfect, influence, None)).variance == expected["var"]
    assert normal_p(expected["z"], expected["var"]) == expected["p"]
    assert single(perfect, confidence=0.95) is None
    assert paired(perfect, perfect, confidence=0.95) is None
    tied = measure("roc_auc", rows_of(level["y"], level["y"], np.array(level["s1"])))
    assert tied.value == found["expected"][1]["auc"]
    assert single(tied, confidence=0.95) is None
    assert paired(tied, perfect, confidence=0.95) is None
    with pytest.raises(Undefined, match="only one class"):
        measure("roc_auc", rows_of(one_class["y"], one_class["y"], np.array(one_class["s1"])))


def test_a_change_without_spread_is_one_between_equals_or_nothing():
    """Losses that are equal on every row may be of predictions that are not."""
    label = np.zeros(20)
    over, under = (measure("mae", rows_of(label, label + s)) for s in (0.5, -0.5))
    assert paired(over, under, confidence=0.95) is None
    same = paired(over, over, confidence=0.95, same=True)
    assert (same.low, same.high) == (0.0, 0.0)


def test_one_positive_has_no_spread():
    rows = rows_of([1, 0, 0, 0], [1, 0, 0, 0], np.array([0.5, 0.2, 0.6, 0.1]))
    assert single(measure("roc_auc", rows), confidence=0.95) is None


def test_what_has_no_influence_has_no_interval():
    rows = rows_of([1.0, 2.0, 3.0], [1.5, 2.0, 2.0])
    worst, mean = measure("max_error", rows), measure("mae", rows)
    assert single(worst, confidence=0.95) is None
    assert paired(worst, worst, confidence=0.95) is None
    assert paired(mean, worst, confidence=0.95) is None


def test_one_row_or_one_cluster_has_no_interval():
    assert single(of_mean(np.array([3.0])), confidence=0.95) is None
    both = np.zeros(4, dtype=int)
    assert single(of_mean(np.arange(4.0)), confidence=0.95, clusters=both) is None


RATES = ("accuracy", "recall", "specificity", "selection_rate", "false_negative_rate")


@pytest.mark.parametrize("name", RATES)
def test_a_rate_gets_a_score_interval_of_its_own_rows(name):
    rng = np.random.default_rng(3)
    label, one, two = (rng.integers(0, 2, 40) for _ in range(3))
    first, second = measure(name, rows_of(label, one)), measure(name, rows_of(label, two))
    alone, change = single(first, confidence=0.95), paired(first, second, confidence=0.95)
    assert (alone.low, alone.high) == wilson(*first.rate.counts(), confidence=0.95)
    assert (alone.method, change.method) == ("wilson", "tango")
    assert change.low <= second.value - first.value <= change.high


def test_rows_outside_the_denominator_do_not_count():
    of = np.array([True] * 10 + [False] * 90)
    one = of_rate(np.arange(100) % 2 == 0, of, when_empty="")
    two = of_rate(np.arange(100) % 2 == 1, of, when_empty="")
    change = paired(one, two, confidence=0.95)
    assert (change.low, change.high) == tango(5, 5, 10, confidence=0.95)


def test_clustered_rates_go_by_influence():
    hits, of = np.arange(400) % 3 == 0, np.ones(400, dtype=bool)
    rate = of_rate(hits, of, when_empty="")
    assert single(rate, confidence=0.95, clusters=np.arange(400) // 2).method == "influence"


@pytest.mark.parametrize("name", ["f1", "precision", "mcc", "balanced_accuracy"])
def test_models_that_never_differ_are_not_certain_never_to_differ(name):
    rows = rows_of([0, 1] * 30, [0, 1, 0, 1, 1, 0] * 10)
    same = measure(name, rows)
    change = paired(same, same, confidence=0.95)
    assert change.method == ("tango" if name == "precision" else "influence+2")
    assert change.low == -change.high < 0.0


def test_pseudo_rows_are_counted_in_rows_and_stop_at_thirty():
    """For accuracy, squares / unit² is the number of discordant rows, so the edge is exact."""
    n = 1000
    for discordant, method in ((FEW_DISCORDANT - 2, "influence+2"), (FEW_DISCORDANT, "influence")):
        influence = np.zeros(n)
        influence[:discordant] = np.tile([1.0, -1.0], discordant // 2)
        first = Measured(value=0.5, influence=np.zeros(n), unit=1.0)
        second = Measured(value=0.5, influence=influence, unit=1.0)
        interval = paired(first, second, confidence=0.95)
        assert interval.method == method
        plus = 2 if method == "influence+2" else 0
        error = np.sqrt(discordant * n / (n - 1) + plus) / n
        assert interval.high == pytest.approx(Z * error, rel=1e-9)


def test_an_interval_is_clipped_to_what_the_metric_can_be():
    perfect = measure("f1", rows_of([0, 1] * 6, [0, 1] * 6))
    interval = single(perfect, confidence=0.95, low=0.0, high=1.0)
    assert interval.high == 1.0
    assert 0.0 < interval.low < 1.0
    assert single(perfect, confidence=0.95).high > 1.0


def jittered(rng, label, model, rate):
    return np.where(rng.random(len(label)) < rate, 1 - model, model)


def two_models(rng, n, prevalence, rate):
    """Draw two models that share most errors; the candidate errs a little more."""
    label = (rng.random(n) < prevalence).astype(int)
    shared = jittered(rng, label, label, 0.1)
    return [rows_of(label, jittered(rng, label, shared, r)) for r in (rate, 2 * rate)]


@pytest.mark.parametrize("name", ["f1", "precision", "mcc", "balanced_accuracy"])
@pytest.mark.parametrize(("n", "prevalence"), [(60, 0.5), (200, 0.1), (1000, 0.1)])
def test_the_widened_interval_covers_at_least_as_often_as_it_says(name, n, prevalence):
    truth = [
        measure(name, r).value
        for r in two_models(np.random.default_rng(0), 1_000_000, prevalence, 0.02)
    ]
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        try:
            one, two = (measure(name, rows) for rows in two_models(rng, n, prevalence, 0.02))
        except Undefined:
            continue
        change = paired(one, two, confidence=0.95)
        covered.append(change.low <= truth[1] - truth[0] <= change.high)
    assert len(covered) > 250
    # Three standard errors of a share of 300.
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)
