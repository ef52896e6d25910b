"""What a baseline remembers of a column: bins that tell of no row, and lose nothing that matters."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gates.record import Distribution
from gates.stats.distributions import (
    FEW_BINS,
    MOST_BINS,
    MOST_CATEGORIES,
    categories_in,
    coarse,
    numbers_in,
    of_categories,
    of_numbers,
)


def numbers(values, least=10):
    return of_numbers(np.asarray(values, dtype=np.float64), nulls=0, least=least, design=1.0)


def categories(texts, least=10):
    names = sorted(set(texts))
    codes = np.array([names.index(text) for text in texts])
    return of_categories(codes, names, nulls=2, least=least, design=1.0)


ROWS = st.lists(st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), min_size=1)


@given(ROWS, st.integers(1, 20))
def test_no_bin_tells_of_fewer_rows_than_it_may(values, least):
    found = numbers(values, least)
    assert found.rows == len(values)
    assert all(count == 0 or count >= min(least, len(values)) for count in found.counts)
    assert len(found.counts) <= 2 * MOST_BINS + 2


@given(ROWS, st.integers(1, 20))
def test_counting_a_sample_in_its_own_bins_gives_its_own_counts(values, least):
    found = numbers(values, least)
    found = Distribution.model_validate_json(json.dumps(json.loads(found.model_dump_json())))
    old, new = numbers_in(found, np.asarray(values, dtype=np.float64), 1.0)
    assert old.counts.tolist() == new.counts.tolist()
    assert new.spread == pytest.approx(found.spread, rel=1e-9, abs=1e-12)


def test_many_different_numbers_are_summed_up_in_quantiles():
    found = numbers(np.random.default_rng(1).normal(0, 1, 50_000))
    assert len(found.counts) == MOST_BINS
    assert set(found.counts) == {250}
    held = numbers_in(found, np.zeros(0), 1.0)[0]
    assert [round(c) for c in coarse(held, held)[0].counts] == [0, *[5000] * FEW_BINS]


@pytest.mark.parametrize("moved", [0.999, 1.001])
def test_a_number_that_most_rows_have_is_a_bin_of_its_own(moved):
    found = numbers([*[1.0] * 900, *np.linspace(2, 3, 100)])
    assert (found.edges[0], found.edges[1]) == (np.nextafter(1.0, 0.0), 1.0)
    assert found.counts[:2] == (0, 900)
    old, new = numbers_in(found, np.array([moved] * 900), 1.0)
    assert new.counts[1] == 0
    assert np.abs(coarse(old, new)[1].counts - coarse(old, new)[0].counts).sum() > 900


def test_a_constant_has_a_bin_on_either_side():
    found = numbers([7.0] * 40)
    assert (found.counts, found.sd, found.spread) == ((0, 40, 0), 0.0, 0.0)


def test_what_is_too_rare_is_named_nowhere():
    found = categories(["a"] * 30 + ["b"] * 10 + ["secret"] * 9)
    assert (found.categories, found.counts) == (("a", "b"), (30, 10, 9))
    assert "secret" not in found.model_dump_json()
    old, new = categories_in(found, np.array([0, 0, 1, 2]), ["a", "secret", "new"], 1.0)
    assert (old.counts.tolist(), new.counts.tolist()) == ([30, 10, 9], [2, 0, 2])


def test_of_very_many_categories_the_most_common_are_kept():
    found = categories([f"c{i:03}" for i in range(300) for _ in range(10 + i)])
    assert len(found.categories) == MOST_CATEGORIES
    assert found.categories[0] == "c250"
    assert found.rows == sum(10 + i for i in range(300))


def test_long_texts_stay_apart_when_they_are_cut():
    texts = ["x" * 300 + "a", "x" * 300 + "b"]
    found = categories([text for text in texts for _ in range(20)])
    assert len(found.categories) == 2
    codes = np.array([0, 1, 1])
    assert sorted(categories_in(found, codes, texts, 1.0)[1].counts.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"counts": (1, 2)},
        {"edges": (2.0, 1.0)},
        {"edges": (1.0, 1.0)},
        {"means": (1.0,)},
        {"kind": "categories"},
        {"design": 0.5},
    ],
)
def test_a_distribution_that_does_not_fit_together_is_refused(change):
    good = {
        "kind": "numbers",
        "nulls": 0,
        "counts": (1, 2, 3),
        "design": 1.0,
        "edges": (1.0, 2.0),
        "means": (0.5, 1.5, 2.5),
        "sd": 1.0,
    }
    Distribution.model_validate(good)
    with pytest.raises(ValidationError):
        Distribution.model_validate({**good, **change})
