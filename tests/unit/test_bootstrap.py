"""The block bootstrap: what is drawn, what it costs, and how often its intervals hold the truth."""

import json
from functools import partial
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gates.stats import bootstrap
from gates.stats.bootstrap import (
    FEW_UNITS,
    FEWEST_REPLICATES,
    METHOD,
    MOST_BLOCKS,
    MOST_MEASURED,
    REPLICATES,
    Blocks,
    Draws,
    Remeasured,
    blocks_of,
    change_interval,
    drawn,
    ends,
    own_interval,
    tail_of,
)
from gates.stats.catalogue import METRICS
from gates.stats.intervals import paired, single
from gates.stats.measured import Measured, Rows, Undefined, mean_of, of_mean
from gates.stats.metrics import measure, resampled
from gates.stats.quantiles import Quantile, of_quantile
from gates.stats.sketch import HASHES

FOLDER = Path(__file__).parents[1] / "statcases"


@pytest.fixture(autouse=True)
def _one_thread():
    """Small products of matrices are faster without the threads' coming and going."""
    with threadpool_limits(1):
        yield


def case(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def hashed(rows, seed=1):
    return np.random.default_rng(seed).integers(0, HASHES, rows)


def each_alone(rows, seed=0):
    return Blocks(of_row=np.arange(rows), number=rows, seed=seed)


def errors_of(values):
    """Rows of a regression with these absolute errors."""
    return Rows(label=np.zeros(len(values)), prediction=np.asarray(values))


def models(rng, n, *, rounded=None, better=1.0):
    """Absolute errors of two models that mostly err on the same rows."""
    shared = rng.normal(size=n)
    both = [shared + 0.5 * rng.normal(size=n), better * (shared + 0.5 * rng.normal(size=n))]
    return [abs(one if rounded is None else np.round(one / rounded) * rounded) for one in both]


# --- what is drawn ---------------------------------------------------------------------------


def test_weights_have_the_moments_of_the_bayesian_bootstrap():
    found = case("18_bayesian_poisson_bootstrap_moments")
    x, expected = np.array(found["input"]["x"]), found["expected"]
    weights = np.concatenate([each_alone(len(x), seed).weights for seed in range(40)])
    means = weights @ x / weights.sum(axis=1)
    assert np.mean(means) == pytest.approx(expected["bayes_mean"], rel=0.01)
    assert np.var(means) == pytest.approx(expected["bayes_var"], rel=found["tolerance"]["mc_rel"])


def test_drawing_rows_has_the_moments_of_drawing_cells():
    found = case("18_bayesian_poisson_bootstrap_moments")
    cells, expected = found["input"]["cells"], found["expected"]
    change = np.repeat([0.0, 1.0, -1.0, 0.0], [cells[k] for k in ("both", "b", "c", "none")])
    again = Remeasured(rows=errors_of(change), measure=lambda r: of_mean(r.prediction, r.weight))
    values = np.concatenate([again._replicates(each_alone(161, seed)) for seed in range(25)])
    assert np.mean(values) == pytest.approx(expected["cell_diff"], rel=0.03)
    tolerance = found["tolerance"]["mc_rel"]
    assert np.var(values) == pytest.approx(expected["cell_diff_var"], rel=tolerance)


def correlation(rows):
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    means = [np.average(c, weights=weight) for c in (rows.label, rows.prediction)]
    one, other = rows.label - means[0], rows.prediction - means[1]
    products = [np.sum(weight * a * b) for a, b in ((one, other), (one, one), (other, other))]
    if not products[1] * products[2] > 0.0:
        raise Undefined("no spread")
    return Measured(value=products[0] / (products[1] * products[2]) ** 0.5, influence=None)


def test_the_law_schools_have_their_percentile_interval():
    found = case("16_bootstrap_law_school")
    rows = Rows(label=np.array(found["input"]["lsat"]), prediction=np.array(found["input"]["gpa"]))
    assert correlation(rows).value == pytest.approx(found["expected"]["r"], abs=1e-12)
    again = Remeasured(rows=rows, measure=correlation)
    limits = [again.own(each_alone(15, seed), 0.025) for seed in range(12)]
    tolerance = found["tolerance"]["ci"]
    assert np.mean(limits, axis=0) == pytest.approx(found["expected"]["perc"], abs=tolerance)
    values = np.concatenate([again._replicates(each_alone(15, seed)) for seed in range(30)])
    error, near = found["expected"]["boot_se"], found["tolerance"]["boot_se"]
    assert np.std(values) == pytest.approx(error, abs=near)


@pytest.mark.parametrize(
    ("rows", "blocks"), [(1, 1), (300, 300), (MOST_BLOCKS, MOST_BLOCKS), (9 * MOST_BLOCKS, None)]
)
@pytest.mark.parametrize("known", [False, True])
def test_few_rows_are_a_block_each(rows, blocks, known):
    found = blocks_of(Draws(hashes=hashed(rows) if known else None), rows)
    assert found.number == found.of_row.max() + 1
    if blocks is None:
        assert 0.99 * MOST_BLOCKS < found.number <= MOST_BLOCKS
    else:
        assert found.number == blocks
    assert np.bincount(found.of_row).min() >= 1


@pytest.mark.parametrize("rows", [400, 40_000])
def test_clusters_are_never_torn(rows):
    clusters = np.arange(rows) % 100
    by_hash = blocks_of(Draws(hashes=hashed(100)[clusters]), rows)
    by_code = blocks_of(Draws(), rows, clusters)
    for found in (by_hash, by_code):
        assert found.number == 100
        assert len(set(zip(clusters, found.of_row, strict=True))) == 100


def test_many_clusters_share_blocks():
    clusters = np.arange(30_000) // 3
    found = blocks_of(Draws(hashes=hashed(10_000)[clusters]), 30_000)
    assert found.number <= MOST_BLOCKS
    assert len(set(zip(clusters, found.of_row, strict=True))) == 10_000


def test_the_seed_is_that_of_the_policy_and_the_metric():
    measured = of_quantile(np.arange(60.0) ** 2, 0.9)
    limits = {
        (seed, metric): own_interval(
            drawn(measured, hashed(60), seed=seed, metric=metric), confidence=0.9
        )
        for seed in (7, 8)
        for metric in ("p90_ae", "median_ae")
    }
    again = own_interval(drawn(measured, hashed(60), seed=7, metric="p90_ae"), confidence=0.9)
    assert limits[7, "p90_ae"] == again
    seeds = {
        drawn(measured, hashed(60), seed=seed, metric=metric).resampled.draws.seed
        for seed, metric in limits
    }
    assert len(seeds) == 4
    plain = of_mean(np.arange(3.0))
    assert drawn(plain, hashed(3), seed=7, metric="mae") is plain


@pytest.mark.parametrize("rows", [500, 5000])
def test_the_order_of_rows_is_of_no_matter(rows):
    rng = np.random.default_rng(3)
    both, hashes, order = models(rng, rows), hashed(rows), rng.permutation(rows)

    def found(places):
        made = [
            drawn(of_quantile(one[places], 0.9), hashes[places], seed=7, metric="p90_ae")
            for one in both
        ]
        return single(made[0], confidence=0.95), paired(*made, confidence=0.95)

    assert found(order) == found(np.arange(rows))


@pytest.mark.parametrize("name", ["median_ae", "p90_ae"])
def test_an_entry_is_drawn_as_the_rows_it_stands_for(name):
    rng = np.random.default_rng(4)
    weight = rng.integers(1, 5, 200)
    rows = Rows(label=np.zeros(200), prediction=rng.normal(size=200), weight=weight)
    hashes = hashed(200)
    one = drawn(measure(name, rows), hashes, seed=7, metric=name)
    other = drawn(measure(name, rows.written_out()), np.repeat(hashes, weight), seed=7, metric=name)
    assert own_interval(one, confidence=0.95) == own_interval(other, confidence=0.95)


# --- the level -------------------------------------------------------------------------------


def test_few_units_are_given_students_t():
    assert tail_of(0.95, 1) is None
    assert tail_of(0.95, FEW_UNITS) == pytest.approx(0.025)
    # z at this level is t(0.975, 9 degrees) · √(10 / 9) = 2.262157 · 1.054093.
    assert tail_of(0.95, 10) == pytest.approx(NormalDist().cdf(-2.262157 * 1.054093), rel=1e-4)
    assert tail_of(0.95, 3) < tail_of(0.95, 10) < tail_of(0.95, 49) < 0.025


def test_ends_leave_so_many_replicates_beyond():
    values = np.random.default_rng(1).permutation(np.arange(1.0, 1001.0))
    assert ends(values, values, 0.025) == (25.0, 976.0)
    assert ends(values, values, 1e-9) == (1.0, 1000.0)


def test_an_undefined_replicate_is_beyond_both_ends():
    values = np.arange(1.0, 1001.0)
    values[500:510] = np.nan
    low, high = ends(values, values, 0.025)
    assert (low, high) == (15.0, 986.0)
    values[500:530] = np.nan
    assert ends(values, values, 0.025) == (-np.inf, np.inf)


# --- quantiles -------------------------------------------------------------------------------


def test_a_quantiles_interval_is_that_of_order_statistics():
    values = np.random.default_rng(2).permutation(np.arange(1.0, 201.0))
    found = [of_quantile(values, 0.9).resampled.own(each_alone(200, s), 0.025) for s in range(20)]
    # Binomial(200, 0.9): P(X < 171) = 0.0163, P(X < 172) = 0.0272; P(X >= 188) = 0.0310, 189: .0151
    low, high = np.mean(found, axis=0)
    assert low == pytest.approx(171, abs=0.7)
    assert high == pytest.approx(189, abs=0.7)


@pytest.mark.parametrize(("n", "known"), [(30, False), (35, False), (45, True), (60, True)])
def test_the_largest_rows_may_be_too_few_for_an_upper_limit(n, known):
    # 0.9^n is below 0.025 from n = 36 on; below 50 rows the level is stricter.
    values = np.random.default_rng(n).gamma(2.0, size=n)
    assert (single(of_quantile(values, 0.9), confidence=0.95) is not None) is known
    both = of_quantile(values[:3], 0.9), of_quantile(values[1:4], 0.9)
    assert paired(*both, confidence=0.95) is None


def test_coarse_bins_lose_next_to_nothing(monkeypatch):
    rng = np.random.default_rng(5)
    both = [of_quantile(one, 0.5) for one in models(rng, 2000)]
    coarse = single(both[0], confidence=0.95), paired(*both, confidence=0.95)
    monkeypatch.setattr("gates.stats.quantiles._BINS", 4000)
    fine = single(both[0], confidence=0.95), paired(*both, confidence=0.95)
    for one, other in zip(coarse, fine, strict=True):
        width = other.high - other.low
        assert one.low == pytest.approx(other.low, abs=0.02 * width)
        assert one.high == pytest.approx(other.high, abs=0.02 * width)


def test_one_value_nearly_everywhere_does_not_hide_what_is_below():
    values = np.concatenate([np.zeros(49), np.ones(51)])
    found = single(of_quantile(np.repeat(values, 3), 0.5), confidence=0.95)
    assert (found.low, found.high) == (0.0, 1.0)


def test_no_spread_is_no_certainty():
    same = of_quantile(np.ones(80), 0.9)
    assert single(same, confidence=0.95) is None
    assert paired(same, of_quantile(np.ones(80) + 1, 0.9), confidence=0.95) is None
    equal = paired(same, same, confidence=0.95, same=True)
    assert (equal.low, equal.high, equal.method) == (0.0, 0.0, METHOD)


@pytest.fixture
def _roughly(monkeypatch):
    """Simulations need no fine percentiles: theirs are right on average."""
    monkeypatch.setattr("gates.stats.bootstrap.REPLICATES", 400)


def coverage(draw, truth, share, clusters=None, *, times=120):
    """How often the limits of a value, and of a change, are below and above the truth."""
    beyond = np.zeros((2, 2))
    for seed in range(times):
        rng = np.random.default_rng([seed, 77])
        both = [of_quantile(one, share) for one in draw(rng)]
        codes = clusters and clusters(rng)
        made = (
            single(both[0], confidence=0.95, clusters=codes),
            paired(*both, confidence=0.95, clusters=codes),
        )
        for place, (found, true) in enumerate(zip(made, truth, strict=True)):
            # No interval claims nothing; with coarse values every replicate may be the same one.
            if found is not None:
                beyond[place] += true < found.low, true > found.high
    return 1.0 - beyond.sum(axis=1) / times


def truth_of(draw, share):
    one, other = (np.quantile(x, share) for x in draw(np.random.default_rng(1)))
    return one, other - one


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(
    ("n", "options"),
    [(60, {}), (200, {"better": 0.9}), (200, {"rounded": 0.1}), (200, {"rounded": 0.5})],
    ids=["few", "another", "rounded", "coarse"],
)
@pytest.mark.usefixtures("_roughly")
def test_intervals_of_quantiles_hold_the_truth(share, n, options):
    truth = truth_of(lambda rng: models(rng, 300_000, **options), share)
    own, change = coverage(lambda rng: models(rng, n, **options), truth, share)
    # 120 draws know 0.95 to 0.04 (two standard errors).
    assert own >= 0.91
    assert change >= 0.91
    if not options:
        assert max(own, change) < 1.0, "no interval so wide that it says nothing"


def test_the_slope_would_not_hold_where_errors_are_rounded():
    """Why `median_ae` is resampled: its sparsity misses what ties do."""
    truth, _ = truth_of(lambda rng: models(rng, 300_000, rounded=0.5), 0.5)
    held = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 77])
        rough = of_quantile(models(rng, 200, rounded=0.5)[0], 0.5)
        plain = Measured(value=rough.value, influence=rough.influence)
        found = single(plain, confidence=0.95)
        held += found is not None and found.low <= truth <= found.high
    assert held / 200 < 0.7


def in_clusters(rng, clusters, size):
    """Absolute errors of two models in which rows of a cluster err alike."""
    both = np.repeat(rng.normal(size=(clusters, 2)), size, axis=0)
    shared = both[:, 0] + 0.5 * rng.normal(size=clusters * size)
    return [abs(shared), abs(shared + 0.5 * both[:, 1] + 0.2 * rng.normal(size=clusters * size))]


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.usefixtures("_roughly")
def test_intervals_hold_the_truth_where_rows_belong_together(share):
    truth = truth_of(lambda rng: in_clusters(rng, 150_000, 2), share)
    codes = np.arange(400) // 8
    found = coverage(lambda rng: in_clusters(rng, 50, 8), truth, share, lambda _: codes)
    assert min(found) >= 0.91
    alone = coverage(lambda rng: in_clusters(rng, 50, 8), truth, share, times=60)
    assert min(alone) < 0.85, "else the clusters are of no matter here"


@pytest.mark.usefixtures("_roughly")
def test_a_good_model_seldom_fails():
    failed = 0
    for seed in range(200):
        both = [of_quantile(one, 0.9) for one in models(np.random.default_rng([seed, 3]), 200)]
        failed += paired(*both, confidence=0.95).low > 0.0
    # One in forty by the level; Binomial(200, 0.025) is above 11 once in 90 times.
    assert failed <= 11


# --- any metric ------------------------------------------------------------------------------


def range_of(rows):
    """A contributor's metric: no influence, and it heeds the weight."""
    if rows.prediction.max() == rows.prediction.min():
        raise Undefined("no range")
    return Measured(value=mean_of(abs(rows.prediction), rows.weight), influence=None)


def test_a_metric_without_an_influence_is_resampled():
    values = np.random.default_rng(6).normal(size=400)
    mae, extreme = METRICS["mae"], METRICS["max_error"]
    found = resampled(mae, range_of, errors_of(values))
    by_resampling = single(found, confidence=0.95)
    by_slope = single(measure("mae", errors_of(values)), confidence=0.95)
    assert by_resampling.method == METHOD
    assert by_resampling.low == pytest.approx(
        by_slope.low, abs=0.1 * (by_slope.high - by_slope.low)
    )
    assert by_resampling.high == pytest.approx(by_slope.high, abs=0.012)
    assert resampled(extreme, range_of, errors_of(values)).resampled is None
    assert single(measure("max_error", errors_of(values)), confidence=0.95) is None


def test_its_change_is_paired_and_its_clusters_are_kept():
    rng = np.random.default_rng(7)
    codes = np.arange(400) // 8
    both = in_clusters(rng, 50, 8)
    made = [resampled(METRICS["mae"], range_of, errors_of(one)) for one in both]
    for clusters in (None, codes):
        found = paired(*made, confidence=0.95, clusters=clusters)
        slope = paired(
            *(measure("mae", errors_of(one)) for one in both), confidence=0.95, clusters=clusters
        )
        width = slope.high - slope.low
        assert found.high - found.low == pytest.approx(width, rel=0.12)


def test_a_resample_without_a_value_is_no_evidence():
    values = np.zeros(60)
    values[0] = 1.0
    # Without its one other row, which happens in a third of the resamples, it has no value.
    found = resampled(METRICS["mae"], range_of, errors_of(values))
    assert single(found, confidence=0.95) is None


def test_what_would_cost_too_much_is_not_begun():
    asked = []

    def counted(rows):
        asked.append(len(rows))
        return range_of(rows)

    again = Remeasured(rows=errors_of(np.arange(300.0)), measure=counted)
    assert len(again._replicates(each_alone(300))) == REPLICATES
    assert sum(asked) <= (REPLICATES + 1) * 300
    asked.clear()
    size = MOST_MEASURED // FEWEST_REPLICATES + 1
    rows = Rows(label=np.zeros(2), prediction=np.ones(2), weight=np.array([1, size - 1]))
    many = Measured(value=1.0, influence=None, resampled=Remeasured(rows=rows, measure=counted))
    assert single(many, confidence=0.95) is None
    assert not asked


def test_a_metric_that_does_not_heed_the_weight_is_found_out():
    careless = partial(lambda r: Measured(value=float(np.mean(abs(r.prediction))), influence=None))
    found = resampled(METRICS["mae"], careless, errors_of(np.arange(50.0) ** 2))
    with pytest.raises(ValueError, match=r"does not heed Rows\.weight"):
        single(found, confidence=0.95)


def test_cells_are_drawn_as_rows():
    weight = np.array([40, 30, 20])
    cells = Rows(label=np.zeros(3), prediction=np.array([0.0, 1.0, 5.0]), weight=weight)
    one = resampled(METRICS["mae"], range_of, cells)
    other = resampled(METRICS["mae"], range_of, cells.written_out())
    assert single(one, confidence=0.95) == single(other, confidence=0.95)


def test_what_is_not_resampled_has_nothing_here():
    plain, found = of_mean(np.arange(60.0)), of_quantile(np.arange(60.0), 0.5)
    assert own_interval(plain, confidence=0.95) is None
    assert change_interval(plain, found, confidence=0.95) is None
    assert change_interval(found, plain, confidence=0.95) is None
    one = of_quantile(np.array([2.0]), 0.5)
    assert own_interval(one, confidence=0.95) is None
    assert change_interval(one, one, confidence=0.95) is None
    assert isinstance(found.resampled, Quantile)
    assert bootstrap.METHOD == "block bootstrap"
