"""Distances between samples, against published values and SciPy, and how often intervals miss."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, ncx2, norm, wasserstein_distance
from scipy.stats.contingency import association

from gates.stats import distances
from gates.stats.distances import Counted
from gates.stats.distributions import coarse, numbers_in, of_numbers

# Two small samples; R's `ks.test` says D = 0.42.
ONE = [
    0.61,
    0.29,
    0.06,
    0.59,
    -1.73,
    -0.74,
    0.51,
    -0.56,
    0.39,
    1.64,
    0.05,
    -0.06,
    0.64,
    -0.82,
    0.37,
    1.77,
    1.09,
    -1.28,
    2.36,
    1.31,
    1.05,
    -0.32,
    -0.4,
    1.06,
    -2.47,
]
OTHER = [
    1.55,
    -0.42,
    0.18,
    2.31,
    0.87,
    1.94,
    -0.11,
    0.73,
    1.22,
    2.05,
    0.34,
    1.11,
    -0.95,
    1.68,
    0.92,
    2.77,
    0.08,
    1.47,
    0.66,
    3.02,
]
PARTY = ([762, 327, 468], [484, 239, 477])  # Agresti 2007, page 39
DEEP = 1e-9


def counted(counts, units=None):
    counts = np.asarray(counts, dtype=np.float64)
    return Counted(counts=counts, units=float(counts.sum()) if units is None else units)


def placed(reference, now, least=1):
    reference, now = (np.asarray(values, dtype=np.float64) for values in (reference, now))
    held = of_numbers(reference, nulls=0, least=least, design=1.0)
    return numbers_in(held, now, 1.0)


# --- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "value", "within"),
    [
        # The example of R's KAscore, psi(), as its documentation prints it.
        ((248, 247, 260, 245), (13, 43, 63, 81), 0.3404592, 5e-8),
        # A worked example of shares: 40, 30, 30 % and 35, 25, 40 %.
        ((40, 30, 30), (35, 25, 40), 0.04456085471610198, 1e-12),
    ],
)
def test_psi_is_what_others_publish(old, new, value, within):
    assert distances.psi(counted(old), counted(new), 0.95).value == pytest.approx(value, abs=within)


def test_jensen_shannon_is_scipys_distance_to_base_2():
    for old, new in (((10, 0, 0), (0, 10, 0)), ((5, 0, 3), (1, 4, 9)), PARTY):
        ours = distances.js_distance(counted(old), counted(new), 0.95).value
        assert ours == pytest.approx(jensenshannon(old, new, 2), rel=DEEP)
    assert distances.js_distance(counted((10, 0)), counted((0, 10)), 0.95).value == 1.0


def test_cramers_v_is_scipys_of_samples_of_one_size():
    sizes = [sum(side) for side in PARTY]
    alike = np.array([[c * sizes[1] for c in PARTY[0]], [c * sizes[0] for c in PARTY[1]]])
    ours = distances.cramers_v(counted(PARTY[0]), counted(PARTY[1]), 0.95).value
    assert ours == pytest.approx(association(alike), rel=DEEP)
    # By the sizes that there are it is 0.104 (Agresti's χ² of 30.07): nearly the same.
    assert ours == pytest.approx(0.10443580235646782, rel=0.02)


def test_cramers_v_does_not_hang_on_how_many_rows_there_are():
    few, many = (distances.cramers_v(counted((9, 1)), counted((k, k)), 0.95) for k in (2, 2000))
    assert few.value == pytest.approx(many.value, rel=DEEP)


def test_total_variation_is_half_of_what_the_shares_differ_by():
    ours = distances.total_variation(counted((1, 2, 1)), counted((0, 4, 4)), 0.95, 7).value
    assert ours == pytest.approx((0.25 + 0.0 + 0.25) / 2, rel=DEEP)


def test_ks_and_wasserstein_are_scipys_where_every_number_has_a_bin():
    pair = placed(ONE, OTHER)
    assert distances.ks(*pair, 0.95).value == pytest.approx(0.42, rel=DEEP)
    assert distances.ks(*pair, 0.95).value == pytest.approx(
        ks_2samp(ONE, OTHER).statistic, rel=DEEP
    )
    for old, new in ((ONE, OTHER), ([0, 1, 3], [5, 6, 8]), ([3.4, 3.9, 7.5, 7.8], [4.5, 1.4])):
        ours = distances.wasserstein(*placed(old, new), 0.95, 7, scale=2.0).value
        assert ours == pytest.approx(wasserstein_distance(old, new) / 2.0, rel=DEEP)


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("least", [10, 200])
def test_bins_hide_no_more_than_the_interval_adds(shift, least):
    chance = np.random.default_rng(3)
    old, new = chance.normal(0, 1, 3000), chance.normal(shift, 1.2, 2000)
    pair = placed(old, new, least)
    way, gap = wasserstein_distance(old, new), ks_2samp(old, new).statistic
    found = distances.wasserstein(*pair, 0.95, 7, scale=1.0)
    assert found.value <= way * (1 + DEEP)
    assert way <= found.value + pair[0].spread + pair[1].spread
    assert found.interval.low <= way <= found.interval.high
    found = distances.ks(*pair, 0.95)
    assert found.value <= gap + DEEP
    assert found.interval.low <= gap <= found.interval.high


def test_one_bin_for_all_still_tells_how_far_the_means_are_apart():
    old, new = placed([1.0, 2.0, 3.0], [5.0, 6.0], least=3)
    assert len(old.edges) == 0
    assert distances.wasserstein(old, new, 0.95, 7, scale=1.0).value == pytest.approx(3.5)


# --- intervals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "m", "threshold"), [(1_000, 10_000, 0.147), (10_000_000, 10_000_000, 0.1005)]
)
def test_psi_fails_from_the_quantile_of_the_noncentral_chi2(n, m, threshold):
    """The limit of an alarm at 95 % for a true PSI of 0.1 over 10 bins (Yurdakul 2018)."""
    error = 1 / n + 1 / m
    quantile = error * ncx2.ppf(0.95, 9, 0.1 / error)
    assert quantile == pytest.approx(threshold, abs=5e-4)
    for factor, beyond in ((0.995, False), (1.005, True)):
        interval = distances._by_chi2(
            quantile * factor,
            distances._Shown(),
            counted([n / 10] * 10),
            counted([m / 10] * 10),
            0.9,
        ).interval
        assert (interval.low > 0.1) is beyond
        assert (interval.p(0.1) < 0.1) is beyond


def normal_shares(shift):
    edges = norm.ppf(np.linspace(0, 1, 11))
    return np.diff(norm.cdf(edges - shift))


def truth_of(name, p, q):
    if name == "psi":
        return float(np.sum((q - p) * np.log(q / p)))
    if name == "js_distance":
        return float(jensenshannon(p, q, 2)) if np.any(p != q) else 0.0
    return math.sqrt(np.sum((p - q) ** 2 / (p + q)) / 2)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (1000, 1000), (10_000, 500)])
@pytest.mark.parametrize("shift", [0.0, 0.32, 0.5])
def test_intervals_miss_as_rarely_as_they_say(n, m, shift):
    """2.5 % are meant on either side; 7 % of 250 samples are beyond chance (p < 1e-3)."""
    chance, runs = np.random.default_rng(int(100 * shift) + n), 250
    p, q = np.full(10, 0.1), normal_shares(shift)
    for name in ("psi", "js_distance", "cramers_v"):
        measure, truth = getattr(distances, name), truth_of(name, p, q)
        below = above = 0
        for _ in range(runs):
            pair = counted(chance.multinomial(n, p)), counted(chance.multinomial(m, q))
            interval = measure(*pair, 0.95).interval
            below += interval.high < truth - 1e-12
            above += interval.low > truth + 1e-12
        assert below / runs < 0.07, name
        assert above / runs < 0.07, name


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_drawn_intervals_and_ks_miss_no_more_than_they_say(shift):
    chance, runs = np.random.default_rng(5), 100
    missed = dict.fromkeys(("wasserstein", "ks", "total_variation"), 0)
    p, q = np.full(10, 0.1), normal_shares(shift)
    for _ in range(runs):
        pair = placed(chance.normal(0, 1, 400), chance.normal(shift, 1, 300), least=10)
        found = distances.wasserstein(*pair, 0.95, 7, scale=1.0).interval
        missed["wasserstein"] += not found.low <= shift <= found.high
        found = distances.ks(*pair, 0.95).interval
        missed["ks"] += not found.low <= 2 * norm.cdf(shift / 2) - 1 <= found.high
        pair = counted(chance.multinomial(400, p)), counted(chance.multinomial(300, q))
        found = distances.total_variation(*pair, 0.95, 7).interval
        missed["total_variation"] += not found.low <= np.abs(p - q).sum() / 2 <= found.high
    assert max(missed.values()) <= 0.12 * runs, missed


MEASURES = {
    "psi": lambda pair: distances.psi(*coarse(*pair), 0.95),
    "js_distance": lambda pair: distances.js_distance(*coarse(*pair), 0.95),
    "cramers_v": lambda pair: distances.cramers_v(*coarse(*pair), 0.95),
    "total_variation": lambda pair: distances.total_variation(*coarse(*pair), 0.95, 7),
    "ks": lambda pair: distances.ks(*pair, 0.95),
    "wasserstein": lambda pair: distances.wasserstein(*pair, 0.95, 7, scale=1.0),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_handful_of_rows_is_never_known_to_be_near(name, rows):
    chance = np.random.default_rng(rows)
    reference = chance.normal(0, 1, 5000)
    found = MEASURES[name](placed(reference, np.sort(reference)[:: 5000 // rows][:rows], least=10))
    assert found.interval.high > 0.25


@pytest.mark.parametrize("name", sorted(set(MEASURES) - {"wasserstein"}))
def test_a_few_equal_values_do_not_show_that_all_are(name):
    found = MEASURES[name](placed([3.0] * 50, [3.0] * 4, least=10))
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.interval.high > 0.25


@pytest.mark.parametrize("name", MEASURES)
def test_an_interval_holds_its_value_and_narrows_with_the_rows(name):
    chance = np.random.default_rng(8)
    widths = []
    for rows in (300, 30_000):
        found = MEASURES[name](placed(chance.normal(0, 1, rows), chance.normal(0.4, 1, rows), 10))
        assert found.interval.low <= found.value <= found.interval.high
        widths.append(found.interval.high - found.interval.low)
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize("name", ["psi", "ks"])
def test_a_p_value_agrees_with_its_interval(name):
    chance = np.random.default_rng(9)
    interval = MEASURES[name](
        placed(chance.normal(0, 1, 2000), chance.normal(0.5, 1, 2000), 10)
    ).interval
    assert interval.p(interval.low) == pytest.approx(0.05, rel=1e-6)
    assert interval.p(interval.low * 0.9) < 0.05 < interval.p(interval.low * 1.05)


def test_rows_that_are_worth_less_make_wider_intervals():
    old, new = (100, 200, 300), (120, 230, 250)
    plain = distances.psi(counted(old), counted(new), 0.95)
    few = distances.psi(counted(old, 60), counted(new, 60), 0.95)
    assert few.value == plain.value
    assert few.interval.high > 3 * plain.interval.high


@pytest.mark.parametrize(
    ("old", "new", "low", "high"),
    [
        # Newcombe 1998, table II, method 10: 56/70 - 48/80, and 9/10 - 3/10.
        ((48 / 80, 80), (56 / 70, 70), 0.0524, 0.3339),
        ((56 / 70, 70), (48 / 80, 80), 0.0524, 0.3339),
        ((3 / 10, 10), (9 / 10, 10), 0.1705, 0.8090),
    ],
)
def test_the_change_of_a_share_is_newcombes_either_way(old, new, low, high):
    found = distances.share_change(old, new, 0.95)
    assert found.value == pytest.approx(abs(old[0] - new[0]))
    assert found.interval.low == pytest.approx(low, abs=5e-5)
    assert found.interval.high == pytest.approx(high, abs=5e-5)


def test_no_nulls_in_few_rows_may_still_be_some():
    assert distances.share_change((0.0, 5000), (0.0, 3), 0.95).interval.high > 0.5
    assert distances.share_change((0.0, 5000), (0.0, 5000), 0.95).interval.high < 0.001
