"""Rows and margins against published numbers, against each other, and against what happens."""

import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.stats.intervals import paired
from gates.stats.measured import Measured, of_mean, of_rate
from gates.stats.power import (
    ASSUMED_CORRELATION,
    ASSUMED_DISCORDANCE,
    Aim,
    Assumed,
    arm_of,
    chance,
    expected_variance,
    gap_arm,
    paired_rate_variance,
    round_out,
    round_up,
    rows_needed,
    smallest_margin,
    variance_of,
    widening,
)

CASE = json.loads(
    (Path(__file__).parents[1] / "statcases" / "48_sample_size_to_decide.json").read_text()
)
AIM = Aim(confidence=0.95)


@pytest.mark.parametrize(("asked", "rows"), list(zip(CASE["input"], CASE["expected"], strict=True)))
def test_the_rows_needed_are_the_published_ones(asked, rows):
    # The case tests one side at alpha; a two-sided interval that does so has confidence 1 - 2 alpha.
    aim = Aim(
        confidence=1 - 2 * asked["alpha"], power=asked["power"], drop=float(asked["true_drop"])
    )
    variance = paired_rate_variance(asked["discordance"], aim.drop)
    found = rows_needed(variance, asked["margin"], aim)
    assert found == pytest.approx(rows, abs=CASE["tolerance"]["abs"])


def test_at_our_confidence_a_margin_takes_more_rows_than_at_ninety_percent():
    # (1.959964 + 0.841621)² · 0.1 / 0.01² = 7848.88…
    assert rows_needed(paired_rate_variance(0.1), 0.01, AIM) == 7849
    assert rows_needed(paired_rate_variance(0.1), 0.01, Aim(confidence=0.9)) == 6183


@given(
    st.floats(1e-4, 10.0),
    st.integers(2, 10**7),
    st.floats(0.5, 0.99),
    st.floats(0.5, 0.99),
    st.floats(0.0, 0.1),
)
def test_the_smallest_margin_of_some_rows_needs_just_these_rows(
    variance, rows, confidence, power, drop
):
    aim = Aim(confidence=confidence, power=power, drop=drop)
    if aim.errors < 0.01:
        return
    assert rows_needed(variance, smallest_margin(variance, rows, aim), aim) == pytest.approx(
        rows, abs=1 + rows * 1e-6
    )


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.02])
def test_no_number_of_rows_decides_a_margin_within_the_true_drop(margin):
    with pytest.raises(ValueError, match="no wider"):
        rows_needed(0.1, margin, Aim(confidence=0.95, drop=0.02))


def test_a_true_drop_makes_the_margin_wider_and_the_rates_less_variable():
    aim = Aim(confidence=0.95, drop=0.005)
    assert smallest_margin(0.1, 1000, aim) == 0.005 + smallest_margin(0.1, 1000, AIM)
    assert paired_rate_variance(0.1, 0.2) == pytest.approx(0.06)


def test_the_promised_power_is_what_tangos_interval_has():
    n, disc = 2000, 0.1
    margin = smallest_margin(paired_rate_variance(disc), n, AIM)
    rng = np.random.default_rng(3)
    every = np.ones(n, dtype=bool)
    passed = 0
    for _ in range(400):
        draw = rng.random(n)
        lost = draw < disc / 2
        won = (draw > disc / 2) & (draw < disc)
        base = of_rate(lost | (draw > 0.3), every, when_empty="")
        cand = of_rate(won | (draw > 0.3), every, when_empty="")
        interval = paired(base, cand, confidence=0.95)
        passed += interval.low >= -margin
    assert passed / 400 == pytest.approx(0.8, abs=0.05)


def test_one_known_model_stands_for_two_that_are_correlated():
    rng = np.random.default_rng(5)
    spread = [[1.0, ASSUMED_CORRELATION], [ASSUMED_CORRELATION, 1.0]]
    one, other = rng.multivariate_normal([0.0, 0.0], spread, size=200_000).T
    assert expected_variance(of_mean(one)) == pytest.approx((one - other).var(), rel=0.02)


def test_an_arm_and_its_variance_are_two_words_for_one_thing():
    arm = arm_of(0.1, 500, 0.9)
    assert arm == pytest.approx(1.644854 * math.sqrt(0.1 / 500))
    assert variance_of(arm, 500, 0.9) == pytest.approx(0.1)


def test_the_chance_is_the_power_at_the_smallest_margin_and_a_half_at_the_arm():
    margin, arm = smallest_margin(0.1, 1000, AIM), arm_of(0.1, 1000, 0.95)
    assert chance(0.1, 1000, margin, errors=1.959964) == pytest.approx(0.8, abs=1e-6)
    assert chance(0.1, 1000, arm, errors=1.959964) == pytest.approx(0.5, abs=1e-6)
    assert chance(0.1, 1000, 0.0) == 0.5
    assert (chance(0.0, 10, 0.0), chance(0.0, 10, -0.1)) == (1.0, 0.0)


def test_the_worst_of_several_keeps_a_wider_margin():
    assert widening(1, AIM) == pytest.approx(1.0)
    # 0.8 to the power of 1/6 is 0.96349, its quantile 1.7929.
    assert widening(6, AIM) == pytest.approx((1.959964 + 1.7929) / 2.801585, rel=1e-4)


def test_the_widest_gap_is_taken_to_be_between_the_two_least_known():
    assert gap_arm([0.3, 0.1, 0.4], AIM) == pytest.approx(0.5 * widening(6, AIM))
    assert gap_arm([0.3, 0.4], AIM, rates=2) == pytest.approx(0.5 * widening(4, AIM))


AUC = json.loads((Path(__file__).parents[1] / "statcases" / "12_power_auc.json").read_text())


def binormal_auc_variance(auc, kappa):
    """Obuchowski & McClish 1997: the variance of an AUC, times the number of cases."""
    a = 1.414 * NormalDist().inv_cdf(auc)
    return 0.0099 * math.exp(-(a**2) / 2) * (5 * a**2 + 8 + (a**2 + 8) / kappa)


def published_errors(asked, kappa):
    """The variance at the AUC, and how many errors away the published test rejects.

    Its error of the first kind is taken at an AUC of 0.5, where an interval does not know one.
    """
    at_limit, variance = (binormal_auc_variance(auc, kappa) for auc in (0.5, asked["auc"]))
    z = NormalDist().inv_cdf(1 - asked["sig"] / 2)
    return variance, z * math.sqrt(at_limit / variance)


def test_the_power_of_an_auc_is_the_published_one():
    asked = AUC["input"][0]
    variance, errors = published_errors(asked, asked["ncontrols"] / asked["ncases"])
    found = chance(variance, asked["ncases"], asked["auc"] - 0.5, errors=errors)
    assert found == pytest.approx(AUC["expected"][0]["power"], rel=AUC["tolerance"]["rel"])


def test_the_cases_needed_for_an_auc_are_the_published_ones():
    asked, published = AUC["input"][1], AUC["expected"][1]
    variance, errors = published_errors(asked, asked["kappa"])
    found = chance(variance, published["ncases"], asked["auc"] - 0.5, errors=errors)
    assert found == pytest.approx(asked["power"], rel=AUC["tolerance"]["rel"])
    # An interval has one error at either end, which here comes to nearly as many cases.
    aim = Aim(confidence=1 - asked["sig"], power=asked["power"])
    needed = rows_needed(variance, asked["auc"] - 0.5, aim)
    assert needed == pytest.approx(published["ncases"], rel=0.01)


EVERY = np.ones(1000, dtype=bool)


def rate(hits, of=EVERY):
    right = np.zeros(len(of), dtype=bool)
    right[:hits] = True
    return of_rate(right, of, when_empty="")


@pytest.mark.parametrize(
    ("measured", "variance"),
    [
        (rate(800), ASSUMED_DISCORDANCE),
        # Wilson's upper end of 5 errors in 1,000 is 0.01165: two such models differ in 2.3 %.
        (rate(995), 2 * 0.011652),
        (rate(5), 2 * 0.011652),
        # No error seen is not no error: Wilson says 3.84 / 1003.84.
        (rate(1000), 2 * 0.003827),
    ],
)
def test_a_rate_is_expected_to_differ_in_a_tenth_of_the_rows_or_as_far_as_it_can(
    measured, variance
):
    assert expected_variance(measured) == pytest.approx(variance, rel=1e-3)


def test_a_rate_of_some_rows_is_as_uncertain_as_these_rows_make_it():
    some = np.arange(1000) < 250
    found = expected_variance(rate(100, some))
    assert smallest_margin(found, 1000, AIM) == pytest.approx(
        smallest_margin(ASSUMED_DISCORDANCE, 250, AIM)
    )


def test_clusters_widen_what_a_rate_can_decide_and_never_narrow_it():
    pairs = np.repeat(np.arange(500), 2)
    assert expected_variance(rate(800), pairs) == pytest.approx(2 * ASSUMED_DISCORDANCE, rel=0.01)
    mixed = np.arange(1000) % 500  # one right and one wrong row in most: better than independent
    assert expected_variance(rate(500), mixed) == ASSUMED_DISCORDANCE
    assert expected_variance(rate(800), np.zeros(1000, dtype=int)) is None
    assert expected_variance(rate(1000), pairs) == expected_variance(rate(1000))


def test_few_clusters_tell_little_of_their_own_spread():
    influence = np.repeat(np.tile([1.0, -1.0], 5), 100)
    found = expected_variance(Measured(value=0.0, influence=influence), np.repeat(range(10), 100))
    # Ten sums of ±100: 100 · 10/9 · 0.6 a row, and Student's t with 9 degrees of freedom.
    assert found == pytest.approx(100 * 10 / 9 * 0.6 * (2.262157 / 1.959964) ** 2)


def test_what_is_assumed_can_be_said():
    assert expected_variance(rate(500), assumed=Assumed(discordance=0.02)) == 0.02
    measured = of_mean(np.arange(100.0))
    half = expected_variance(measured, assumed=Assumed(correlation=0.85))
    assert half == pytest.approx(expected_variance(measured) / 2)


def test_any_other_metric_goes_by_correlation():
    measured = of_mean(np.arange(100.0))
    expected = 2 * (1 - ASSUMED_CORRELATION) * np.arange(100.0).var(ddof=1)
    assert expected_variance(measured) == pytest.approx(expected)


def test_a_metric_of_counts_gets_the_pseudo_rows_that_its_interval_will():
    influence = np.zeros(100)
    influence[:2] = 0.98, -0.98
    few = Measured(value=0.9, influence=influence, unit=1.0)
    alone = 0.6 * influence @ influence / 99
    assert expected_variance(few) == pytest.approx(alone + 2 / 100)
    many = Measured(value=0.9, influence=np.tile([1.0, -1.0], 50), unit=1.0)
    assert expected_variance(many) == pytest.approx(0.6 * 100 / 99)


@pytest.mark.parametrize(
    "measured",
    [
        Measured(value=1.0, influence=None),
        Measured(value=1.0, influence=np.zeros(10)),
        Measured(value=1.0, influence=np.array([0.0])),
    ],
    ids=["no influence", "no variation", "one row"],
)
def test_nothing_is_expected_where_the_rows_say_nothing(measured):
    assert expected_variance(measured) is None


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.0077, 0.01),
        (0.01, 0.01),
        (0.0100000001, 0.02),
        (0.021, 0.025),
        (0.0251, 0.05),
        (0.3, 0.5),
        (0.7, 1.0),
        (1.0, 1.0),
        (3.4, 5.0),
        (180.0, 200.0),
        (1e-9, 1e-9),
    ],
)
def test_a_limit_is_a_round_number_that_is_no_smaller(value, rounded):
    assert round_up(value) == rounded


@given(st.floats(1e-12, 1e12))
def test_rounding_goes_one_way_and_not_far(value):
    assert value * (1 - 1e-8) <= round_up(value) <= value * 2.0 * (1 + 1e-8)
    assert value * (1 - 1e-8) <= round_out(value) <= value * 1.1 * (1 + 1e-8)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.4211, 0.43), (0.43, 0.43), (47.1, 48.0), (99.5, 100.0), (1234.0, 1300.0)],
)
def test_a_ceiling_has_two_digits(value, rounded):
    assert round_out(value) == rounded
