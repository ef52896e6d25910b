"""The four-fifths rule (29 CFR 1607.4 D) sits on a boundary; what counts say is compared exactly."""

import json
from pathlib import Path

import numpy as np
import pytest

from gates.stats.catalogue import disparity
from gates.stats.disparity import spreading
from gates.stats.measured import of_rate

CASE = json.loads(
    (Path(__file__).parents[1] / "statcases" / "21_four_fifths_eeoc_qa.json").read_text()
)


def rate(hits, size):
    return of_rate(
        np.arange(size) < hits, np.ones(size, dtype=bool), when_empty="nobody is in this group"
    )


def impact_ratio(*groups):
    found = disparity("demographic_parity_ratio")
    rates = {"selection_rate": [rate(hits, size) for hits, size in groups]}
    return spreading(found, rates, [None] * len(groups), confidence=0.95)


@pytest.mark.parametrize("group", CASE["expected"]["ratio"])
def test_the_agencies_own_examples(group):
    rates = CASE["input"]["rates"]
    hits = [round(100 * rates[name]) for name in ("white", group)]
    found = impact_ratio(*((k, 100) for k in hits)).value
    assert found == CASE["expected"]["ratio"][group]
    assert (found < 0.8) is CASE["expected"]["adverse_impact"][group]


def test_what_is_exactly_four_fifths_is_not_below_it():
    trap = CASE["input"]["float_trap"]
    k1, n1, k2, n2 = (trap[name] for name in ("k1", "n1", "k2", "n2"))
    assert (k1 / n1) / (k2 / n2) < 0.8  # two roundings, and somebody is accused
    assert impact_ratio((k1, n1), (k2, n2)).value == 0.8


def test_every_exact_four_fifths_up_to_sixty_rows():
    quads = [
        (k1, n1, k2, n2)
        for n1 in range(1, 61, 5)
        for n2 in range(1, 61, 5)
        for k1 in range(1, n1 + 1)
        for k2 in range(1, n2 + 1)
        if 5 * k1 * n2 == 4 * k2 * n1
    ]
    assert len(quads) > 50
    assert {impact_ratio((k1, n1), (k2, n2)).value for k1, n1, k2, n2 in quads} == {0.8}


def test_the_interval_says_whether_it_is_chance():
    few, many = impact_ratio((5, 10), (45, 60)), impact_ratio((5_000, 10_000), (45_000, 60_000))
    assert few.value == many.value < 0.8
    assert few.interval.high > 0.8 > many.interval.high


def test_rates_that_are_no_counts_have_a_ratio_as_before():
    from gates.stats.measured import of_mean

    measured = [of_mean(np.array([0.2, 0.4])), of_mean(np.array([0.5, 0.7]))]
    found = spreading(disparity("mae_ratio"), {"mae": measured}, [None] * 2, confidence=0.95)
    assert found.counted is None
    assert found.value == pytest.approx(0.5)


def test_admissions_to_berkeley():
    """The ratio over all departments; that it vanishes within them is for `slices` to show."""
    case = json.loads(
        (Path(__file__).parents[1] / "statcases" / "24_ucb_admissions_simpson.json").read_text()
    )
    found = case["input"]["aggregate"]
    ratio = impact_ratio((found["admit_m"], found["n_m"]), (found["admit_f"], found["n_f"]))
    assert ratio.value == pytest.approx(case["expected"]["dp_ratio"], rel=case["tolerance"]["rel"])
