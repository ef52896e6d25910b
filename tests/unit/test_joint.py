"""Max-T: adjusted p-values that know how far many questions are one."""

import numpy as np
import pytest

from gates.decide import holm, settle
from gates.stats.joint import max_t
from tests.reports import make_check, make_gate

P = [0.001, 0.02, 0.011, 0.6, 0.3]
# Four standard deviations of 20,000 draws at p = 0.1, and no more.
NOISE = 0.009


def independent(questions: int, blocks: int = 2048) -> list[np.ndarray]:
    """Sums of influence without any correlation: orthogonal rows."""
    rows = np.random.default_rng(1).standard_normal((blocks, questions))
    return list(np.linalg.qr(rows)[0].T)


def test_without_sums_it_is_holm():
    assert max_t(P, [None] * 5, seed=7) == pytest.approx(holm(P), abs=1e-12)


def test_sums_of_zero_say_nothing():
    assert max_t(P, [np.zeros(8)] * 5, seed=7) == pytest.approx(holm(P), abs=1e-12)


def test_independent_questions_get_what_sidak_gives_step_by_step():
    ascending = sorted(P)
    sidak = np.maximum.accumulate([1 - (1 - p) ** (5 - i) for i, p in enumerate(ascending)])
    found = dict(zip(P, max_t(P, independent(5), seed=7), strict=True))
    assert [found[p] for p in ascending] == pytest.approx(list(sidak), abs=NOISE)


def test_one_question_asked_five_times_is_one_question():
    one = np.random.default_rng(3).standard_normal(2048)
    found = max_t([0.03] * 5, [one, one, -one, one, 2 * one], seed=7)
    assert found == pytest.approx([0.03] * 5, abs=NOISE)


def test_a_question_without_sums_is_added_as_bonferroni_does():
    one = np.random.default_rng(3).standard_normal(2048)
    found = max_t([0.03, 0.03, 0.03], [one, one, None], seed=7)
    # The first two are one question, the third may be any other.
    assert max(found) == pytest.approx(0.06, abs=NOISE)


def test_it_is_monotone_and_in_the_order_given():
    sums = independent(5)
    found = max_t(P, sums, seed=7)
    turned = max_t(P[::-1], sums[::-1], seed=7)
    assert sorted(found) == [found[i] for i in np.argsort(P)]
    assert turned == pytest.approx(found[::-1], abs=NOISE)


def test_the_seed_decides():
    sums = independent(5)
    assert max_t(P, sums, seed=7) == max_t(P, sums, seed=7)
    assert max_t(P, sums, seed=7) != max_t(P, sums, seed=8)


def test_it_holds_the_family_wise_error_where_holm_wastes_it():
    """40 overlapping slices of equal models: at most 5 % of runs may have a false finding."""
    rng = np.random.default_rng(11)
    blocks, questions, runs = 400, 40, 300
    member = rng.random((questions, blocks)) < 0.7  # each slice holds most of the rows
    false, by_holm = 0, 0
    for run in range(runs):
        sums = rng.standard_normal(blocks) * member
        z = sums.sum(axis=1) / np.sqrt((sums**2).sum(axis=1))
        p = [float(2 * normal_tail(abs(one))) for one in z]
        false += min(max_t(p, list(sums), seed=run, draws=2000)) <= 0.05
        by_holm += min(holm(p)) <= 0.05
    assert false <= 0.05 * runs + 3 * np.sqrt(0.05 * 0.95 * runs)
    assert false >= 0.02 * runs  # it is not simply blind
    assert by_holm < false


def normal_tail(z: float) -> float:
    from statistics import NormalDist

    return NormalDist().cdf(-z)


def joint_check(place: str, p_joint: float | None):
    return make_check(
        f"performance/recall@region={place}",
        {"max_drop": 0.01},
        baseline=0.80,
        candidate=0.76,
        interval=(-0.071, -0.0102),
        p_joint=p_joint,
    )


def places(p_joint: float | None):
    return [joint_check(name, p_joint) for name in "abcdefghij"]


def test_a_fail_that_holm_takes_for_chance_stands_under_max_t():
    undecided = make_gate("performance", *places(None)).checks[0]
    stands = make_gate("performance", *places(0.049)).checks[0]
    assert (undecided.verdict, stands.verdict) == ("inconclusive", "fail")
    assert "(Holm correction)" in undecided.reason
    assert stands.p_adjusted == 0.049


def test_a_correction_that_takes_a_fail_back_says_which_one():
    check = make_gate("performance", *places(0.2)).checks[0]
    assert check.verdict == "inconclusive"
    assert "(max-T correction)" in check.reason


@pytest.mark.parametrize("forged", [0.0, 1.0])
def test_a_forged_number_moves_nothing_beyond_no_correction_and_holm(forged):
    honest = make_gate("performance", *places(None)).checks[0]
    check = make_gate("performance", *places(forged)).checks[0]
    assert honest.p is not None
    assert honest.p_adjusted is not None
    assert check.p_adjusted == (honest.p if forged == 0.0 else honest.p_adjusted)


def test_deciding_again_changes_nothing():
    once = make_gate("performance", *places(0.049))
    assert settle(once) == once
