"""Evidence that holds however often one looks: published numbers, and simulations that can fail."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from gates.stats.quantile_ratio import Ask, arms, limits, longer
from gates.stats.rate_rise import FOCUS, Strata, fitted
from gates.stats.rate_rise import limits as rise_limits
from gates.stats.rate_rise import more as rise_more
from gates.stats.sequential import (
    above,
    bernoulli,
    concentration,
    mismatch,
    normal_bound,
    normal_mixture,
    unit,
)

FOLDER = Path(__file__).parents[1] / "statcases"
ALPHA = 0.05


def case(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


CONFSEQ, BERNOULLI = case("35_confseq_boundaries"), case("36_confseq_bernoulli")
GROWTHBOOK, MSPRT, SSRM = (
    case("38_growthbook_sequential"),
    case("39_msprt_identity"),
    case("50_lindon_ssrm"),
)


def strata(*parts):
    """Return counts of (errors, size, before, base), one for each stratum."""
    names = ("errors", "size", "before", "base")
    columns = np.array(parts, dtype=float).T
    return Strata(**dict(zip(names, columns, strict=True)))


def ends(*parts, alpha=ALPHA):
    return rise_limits(fitted(strata(*parts)), alpha=alpha, focus=FOCUS)


@pytest.mark.parametrize(("name", "sides"), [("two_sided_normal", 2), ("one_sided_normal", 1)])
def test_a_normal_mixture_is_confseqs(name, sides):
    given, expected = CONFSEQ["input"], CONFSEQ["expected"][name]
    time = np.asarray(given["v"] / unit(given["v_opt"], alpha=given["alpha_opt"], sides=sides))
    root = np.asarray(given["s"] / math.sqrt(given["v"]))
    within = CONFSEQ["tolerance"]["abs"]
    assert normal_mixture(root, time, sides=sides) == pytest.approx(
        expected["log_mixture"], abs=within
    )
    bound = normal_bound(time, alpha=given["alpha"], sides=sides) * math.sqrt(given["v"])
    assert bound == pytest.approx(expected["bound"], abs=within)


def test_a_beta_binomial_mixture_is_confseqs():
    given, expected = CONFSEQ["input"], CONFSEQ["expected"]["beta_binomial_g02_h08"]
    # With g + h = 1 it is that of Bernoulli answers at a rate of g: v is their variance.
    rate, within = 0.2, CONFSEQ["tolerance"]["abs"]
    size = given["v"] / (rate * (1 - rate))
    hits = size * rate + given["s"]
    one = above(hits, size, rate, worth=concentration(size, alpha=ALPHA))
    assert one == pytest.approx(expected["one_sided"]["log_mixture"], abs=within)
    worth = concentration(size, alpha=ALPHA, sides=2)
    two = mismatch((hits, size - hits), (rate, 1 - rate), (worth * rate, worth * (1 - rate)))
    assert two == pytest.approx(expected["two_sided"]["log_mixture"], abs=within)


@pytest.mark.parametrize("which", range(len(BERNOULLI["input"])))
def test_the_confidence_sequence_of_a_rate_is_confseqs(which):
    hits, size, alpha, focus = BERNOULLI["input"][which]
    found = bernoulli(hits, size, alpha=alpha, focus=focus)
    assert found == pytest.approx(
        tuple(BERNOULLI["expected"][which]), abs=BERNOULLI["tolerance"]["abs"]
    )


@pytest.mark.parametrize("which", range(len(GROWTHBOOK["input"])))
def test_the_asymptotic_confidence_sequence_is_growthbooks(which):
    given, (low, high) = GROWTHBOOK["input"][which], GROWTHBOOK["expected"][which]
    time = np.asarray(given["n"] / unit(given["focus"], alpha=given["alpha"], sides=2))
    half = given["se"] * normal_bound(time, alpha=given["alpha"], sides=2)
    assert half == pytest.approx((high - low) / 2, abs=GROWTHBOOK["tolerance"]["abs"])


@pytest.mark.parametrize("which", range(len(MSPRT["input"])))
def test_the_two_sided_mixture_is_the_msprt(which):
    given, expected = MSPRT["input"][which], MSPRT["expected"][which]
    distance = (given["mean"] - given["theta0"]) * math.sqrt(given["n"] / given["sigma2"])
    time = given["n"] * given["tau2"] / given["sigma2"]
    found = float(normal_mixture(np.asarray(distance), np.asarray(time), sides=2))
    assert found == pytest.approx(expected["log_lambda"], abs=MSPRT["tolerance"]["abs"])
    assert min(1.0, math.exp(-found)) == pytest.approx(expected["p_bound"], abs=1e-12)


def test_the_test_of_shares_is_lindon_and_maleks():
    counts = np.zeros(3)
    for batch, (mixed, plain) in zip(SSRM["input"]["batches"], SSRM["expected"], strict=True):
        counts += batch
        found = mismatch(counts, SSRM["input"]["shares"], SSRM["input"]["prior"])
        assert found == pytest.approx(mixed - plain, abs=SSRM["tolerance"]["abs"])


@pytest.mark.parametrize(("rate", "size"), [(0.05, 40), (0.95, 60), (0.5, 30)])
def test_evidence_for_a_greater_rate_is_worth_one_on_average_where_there_is_none(rate, size):
    """A martingale: its mean is 1 at the rate itself, and less at every smaller one."""
    hits = np.arange(size + 1.0)
    value = np.exp(above(hits, size, rate, worth=20.0))
    assert value @ binom.pmf(hits, size, rate) == pytest.approx(1.0, abs=1e-9)
    assert value @ binom.pmf(hits, size, rate * 0.8) < 1.0
    assert value @ binom.pmf(hits, size, (1.0 + rate) / 2.0) > 1.0


def test_the_bound_is_where_the_mixture_reaches_one_in_alpha():
    time = np.array([1e-6, 0.01, 1.0, 50.0, 1e6])
    for sides in (1, 2):
        bound = normal_bound(time, alpha=0.01, sides=sides)
        assert np.exp(normal_mixture(bound, time, sides=sides)) == pytest.approx(100.0)
    assert normal_bound(np.asarray(0.0), alpha=0.01) == math.inf


def test_the_limits_of_a_rise_are_where_the_data_lie_as_far_off_as_the_bound():
    found = fitted(strata((9, 100, 19, 1900)))
    low, high = rise_limits(found, alpha=ALPHA, focus=FOCUS)
    bound = normal_bound(found.strata.time / unit(FOCUS, alpha=ALPHA), alpha=ALPHA)
    assert found.rise == pytest.approx(0.08)
    assert found.root(low) == pytest.approx(bound, abs=1e-6)
    assert found.root(high) == pytest.approx(-bound, abs=1e-6)


def test_the_root_is_that_of_the_likelihood_ratio():
    """Against the plain definition, by a fine grid over the rate that is free."""
    errors, size, before, base, rise = 7, 120, 11, 900, 0.02
    grid = np.linspace(1e-9, 0.2, 400_001)
    held = binom.logpmf(errors, size, grid + rise) + binom.logpmf(before, base, grid)
    free = binom.logpmf(errors, size, errors / size) + binom.logpmf(before, base, before / base)
    expected = math.sqrt(2.0 * (free - held.max()))
    assert fitted(strata((errors, size, before, base))).root(rise) == pytest.approx(
        expected, abs=1e-6
    )


def test_a_stratum_cut_in_two_of_one_rate_says_the_same():
    whole, halves = ends((40, 1000, 76, 7600)), ends((20, 500, 38, 3800), (20, 500, 38, 3800))
    assert halves == pytest.approx(whole, abs=1e-6)


def test_without_answers_of_both_sides_nothing_is_known_of_a_rise():
    assert ends((5, 100, 0, 0)) == (-1.0, 1.0)
    assert rise_more(fitted(strata((5, 100, 0, 0))), 0.005, alpha=ALPHA, focus=FOCUS) is None


COUNTS = st.tuples(st.integers(1, 400), st.integers(1, 4000)).flatmap(
    lambda sizes: st.tuples(
        st.integers(0, sizes[0]), st.just(sizes[0]), st.integers(0, sizes[1]), st.just(sizes[1])
    )
)


@given(COUNTS)
def test_the_other_way_round_a_rise_is_a_fall(counts):
    low, high = ends(counts)
    assert ends((*counts[2:], *counts[:2])) == pytest.approx((-high, -low), abs=1e-9)


@given(COUNTS)
def test_one_error_more_never_lowers_a_limit(counts):
    errors, size, *others = counts
    low, high = ends((min(errors, size - 1), size, *others))
    lower, higher = ends((min(errors, size - 1) + 1, size, *others))
    assert lower >= low - 1e-9
    assert higher >= high - 1e-9


@given(COUNTS)
def test_limits_hold_the_likeliest_rise(counts):
    low, high = ends(counts)
    assert low <= counts[0] / counts[1] - counts[2] / counts[3] + 1e-9
    assert high >= counts[0] / counts[1] - counts[2] / counts[3] - 1e-9


def test_so_many_times_the_data_decide():
    counts = np.array([3, 100, 19, 1900])
    times = rise_more(fitted(strata(counts)), 0.005, alpha=ALPHA, focus=FOCUS)
    assert times is not None
    low, _ = ends(counts * times * 1.001)
    lower, _ = ends(counts * times * 0.999)
    assert lower < 0.005 < low


def latencies(rng, size, factor):
    """Return a histogram of log-normal latencies, in buckets that are each a tenth longer."""
    drawn = factor * np.exp(0.5 * rng.normal(size=size))
    numbers, counts = np.unique(np.ceil(np.log(drawn) / math.log(1.1)), return_counts=True)
    return dict(zip(numbers.astype(int).tolist(), counts.tolist(), strict=True))


def test_a_slower_arm_is_found_and_an_equal_one_is_cleared():
    rng, ask = np.random.default_rng(5), Ask(quantile=0.95, alpha=0.025, focus=400.0)
    three = math.ceil(math.log(1.3) / math.log(1.1))
    slow = limits(arms(latencies(rng, 1000, 2.0), latencies(rng, 9000, 1.0)), ask)
    same = limits(arms(latencies(rng, 1000, 1.0), latencies(rng, 9000, 1.0)), ask)
    assert slow[0] >= three
    assert -three <= same[0] <= 0 <= same[1] <= three


def test_a_ratio_of_quantiles_the_other_way_round_is_its_reciprocal():
    rng, ask = np.random.default_rng(6), Ask(quantile=0.9, alpha=0.05, focus=400.0)
    one, other = latencies(rng, 700, 1.3), latencies(rng, 900, 1.0)
    low, high = limits(arms(one, other), ask)
    assert limits(arms(other, one), ask) == (-high, -low)


def test_without_values_nothing_is_known_of_a_ratio():
    ask = Ask(quantile=0.95, alpha=0.05, focus=400.0)
    assert limits(arms({}, {}), ask) == (None, None)
    assert limits(arms({3: 10_000}, {}), ask) == (None, None)
    assert limits(arms({}, {3: 10_000}), ask) == (None, None)


def test_a_latency_that_never_varies_is_told_to_the_bucket():
    ask = Ask(quantile=0.95, alpha=0.05, focus=400.0)
    assert limits(arms({14: 5000}, {10: 5000}), ask) == (3, 5)


# What follows is simulated, with a fixed seed; a full run is benchmarks/canary.py.
LIMIT, LEAST = 0.005, 100


def rollouts(canary, stable, share, *, looks=20, each=50, number=2000):
    rng = np.random.default_rng((11, round(1e4 * canary), round(1e4 * stable), round(100 * share)))
    base = round(each * (1.0 - share) / share)
    shape = (number, looks)
    errors = np.cumsum(rng.binomial(each, canary, shape), axis=1)
    before = np.cumsum(rng.binomial(base, stable, shape), axis=1)
    looked = np.broadcast_to(np.arange(1.0, looks + 1.0), shape)
    counts = (errors, looked * each, before, looked * base)
    names = ("errors", "size", "before", "base")
    return Strata(
        **{name: count[..., None] * 1.0 for name, count in zip(names, counts, strict=True)}
    )


def beyond(found, least=LEAST):
    """Return at which looks each rollout would be aborted."""
    bound = normal_bound(found.time / unit(FOCUS, alpha=0.9 * ALPHA), alpha=0.9 * ALPHA)
    return (fitted(found).root(LIMIT) > bound) & (found.size[..., 0] >= least)


@pytest.mark.parametrize(
    ("rate", "share"), [(0.001, 0.05), (0.01, 0.25), (0.05, 0.05), (0.05, 0.5)]
)
def test_a_healthy_canary_is_aborted_in_one_rollout_of_a_hundred_at_most(rate, share):
    hits = beyond(rollouts(rate, rate, share)).any(axis=1)
    # 0.6 % at most in the full run; three standard errors of 2,000 are 0.5 %.
    assert hits.mean() <= 0.01


@pytest.mark.parametrize("share", [0.05, 0.25])
def test_five_percent_errors_against_one_are_caught_soon(share):
    hits = beyond(rollouts(0.05, 0.01, share, number=1000))
    caught = hits.any(axis=1)
    assert caught.mean() > 0.99
    assert np.median(np.where(caught, (hits.argmax(axis=1) + 1) * 50, np.inf)) <= 200


@pytest.mark.parametrize(("rate", "share"), [(0.0001, 0.05), (0.01, 0.5), (0.3, 0.05), (0.3, 0.9)])
def test_at_the_limit_many_looks_err_no_more_than_alpha(rate, share):
    found = rollouts(rate + LIMIT, rate, share, looks=150, each=20, number=300)
    # 15 of 300 are expected at alpha, were the bound tight; 26 is three standard errors more.
    assert beyond(found, least=1).any(axis=1).sum() <= 26


def test_a_bad_hour_is_not_held_against_the_canary_that_got_its_traffic_then():
    """Both sides at 1 %, then at 6 %, when the canary has half of the traffic: no rise at all."""
    quiet, bad = (1.0, 100.0, 190.0, 19_000.0), (60.0, 1000.0, 60.0, 1000.0)
    pooled, apart = ends(np.add(quiet, bad)), ends(quiet, bad)
    assert pooled[0] > LIMIT
    assert apart[0] < 0.0 < apart[1]


@pytest.mark.parametrize("factor", [1.0, 1.29])
def test_looking_often_at_latencies_of_a_canary_within_the_limit_aborts_it_seldom(factor):
    ask, wrong = Ask(quantile=0.95, alpha=0.05, focus=400.0), 0
    step = math.ceil(math.log(1.3) / math.log(1.1))
    rng = np.random.default_rng(13)
    for _ in range(60):
        found = arms({60: 0}, {-60: 0})
        for _look in range(12):
            both = (latencies(rng, 50, factor), latencies(rng, 150, 1.0))
            now = arms(both[0] | {60: 0, -60: 0}, both[1] | {60: 0, -60: 0})
            found = type(now)(first=-60, new=found.new + now.new, base=found.base + now.base)
            if longer(found, step, ask) >= ask.wanted:
                wrong += 1
                break
    assert wrong <= 8  # 3 at most are expected; three standard errors more
