"""The p-values that belong to score intervals: published ones, and the intervals themselves."""

import json
from pathlib import Path

import pytest

from gates.stats.score_intervals import normal_p, tango, tango_p, wilson, wilson_p

FOLDER = Path(__file__).parents[1] / "statcases"


@pytest.mark.parametrize(
    "name", ["01_paired_cavo", "02_paired_bentur", "03_mcnemar_agresti_approval"]
)
def test_against_no_difference_tangos_p_is_mcnemars(name):
    found = json.loads((FOLDER / f"{name}.json").read_text())
    both, first, second, neither = found["input"]["table_row_major"]
    published = found["expected"].get("p_asymptotic", found["expected"].get("p"))
    size = both + first + second + neither
    assert tango_p(second, first, size, 0.0) == pytest.approx(published, rel=1e-6)
    assert tango_p(first, second, size, 0.0) == pytest.approx(published, rel=1e-6)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("lost", "won"), [(8, 0), (0, 8), (20, 5), (1, 1)])
def test_at_the_end_of_an_interval_p_is_what_it_leaves_out(lost, won, confidence):
    for end in tango(lost, won, 100, confidence=confidence):
        assert tango_p(lost, won, 100, end) == pytest.approx(1 - confidence, rel=1e-6)
    for end in wilson(lost + 1, 30, confidence=confidence):
        assert wilson_p(lost + 1, 30, end) == pytest.approx(1 - confidence, rel=1e-6)


def test_what_is_impossible_has_no_p_and_what_was_seen_is_no_surprise():
    assert wilson_p(3, 10, 0.0) == wilson_p(3, 10, 1.0) == 0.0
    assert wilson_p(3, 10, 0.3) == tango_p(2, 3, 10, 0.1) == 1.0
    assert normal_p(0.0, 0.0) == 1.0
