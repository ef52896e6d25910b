"""Sums of influence over blocks: the formula, its error, and the file they are kept in."""

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import stdtrit

from gates.errors import Refused
from gates.stats.intervals import paired
from gates.stats.measured import Measured, Rows, of_mean
from gates.stats.metrics import measure
from gates.stats.sketch import (
    ENOUGH_BLOCKS,
    HASHES,
    MOST_BLOCKS,
    ROWS_PER_BLOCK,
    Entry,
    Sketch,
    block_count,
    block_sums,
    blocks_of,
    rows_key,
    standard_error,
    unfolded,
)
from gates.tables.sketches import read_sketch, write_sketch


def hashed(rows, seed=1):
    return np.random.default_rng(seed).integers(0, HASHES, rows)


def entry_of(measured, hashes, **changes):
    entry = Entry(
        metric="accuracy",
        beta=1.0,
        rows="",
        place="",
        n=len(hashes),
        value=measured.value,
        se=standard_error(measured, None),
        unit=measured.unit,
        sums=block_sums(measured, hashes),
    )
    return dataclasses.replace(entry, **changes)


def two_models(rows, seed=0, disagree=0.15):
    """Per-row losses of two models that mostly err on the same rows."""
    random = np.random.default_rng(seed)
    right = random.random(rows) < 0.8
    other = np.where(random.random(rows) < disagree, random.random(rows) < 0.8, right)
    label = np.zeros(rows, dtype=np.int8)
    return (
        Rows(label=label, prediction=(~right).astype(np.int8)),
        Rows(label=label, prediction=(~other).astype(np.int8)),
    )


# --- blocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "blocks"),
    [
        (0, 0),
        (2 * ROWS_PER_BLOCK - 1, 0),
        (2 * ROWS_PER_BLOCK, 2),
        (1000, 50),
        (ROWS_PER_BLOCK * MOST_BLOCKS, MOST_BLOCKS),
        (10**7, MOST_BLOCKS),
    ],
)
def test_a_block_has_twenty_rows_or_more(rows, blocks):
    assert block_count(rows) == blocks


def test_equal_hashes_share_a_block():
    hashes = np.repeat(hashed(50), 40)
    blocks = blocks_of(hashes).reshape(50, 40)
    assert (blocks == blocks[:, :1]).all()
    assert blocks.max() < block_count(2000)


def test_rows_are_known_by_their_places():
    assert rows_key(None, 9) == ""
    some, others = rows_key(np.array([1, 4]), 9), rows_key(np.array([1, 5]), 9)
    assert some == rows_key(np.array([4, 1]), 9)
    assert len({"", some, others, rows_key(np.arange(9), 9)}) == 4


# --- the formula -----------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [100, 700, 5000])
def test_the_interval_is_that_of_the_formula(rows):
    chance, hashes = np.random.default_rng(rows), hashed(rows)
    losses = chance.gamma(2.0, size=(2, rows)) + chance.gamma(2.0, size=rows)
    old, new = (of_mean(loss) for loss in losses)
    found = paired(
        unfolded(entry_of(old, hashes), hashes), new, confidence=0.9, clusters=blocks_of(hashes)
    )
    blocks = rows // ROWS_PER_BLOCK
    sums = [np.bincount(hashes % blocks, weights=m.influence, minlength=blocks) for m in (old, new)]
    sizes = np.bincount(hashes % blocks, minlength=blocks)
    present, worth = np.count_nonzero(sizes), rows**2 / np.sum(sizes**2)
    squares = np.sum(((sums[1] - sums[0]) / (rows - sizes)) ** 2) * (present - 1) / present
    quantile = stdtrit(worth - 1, 0.95) if worth < 50 else 1.6448536269514722
    half = quantile * math.sqrt(squares)
    delta = new.value - old.value
    assert (found.low, found.high) == pytest.approx((delta - half, delta + half), rel=1e-9)


def test_what_unfolds_has_the_sums_it_was_kept_with():
    hashes = hashed(3000)
    kept = of_mean(np.random.default_rng(2).normal(size=3000))
    back = unfolded(entry_of(kept, hashes), hashes)
    assert back.value == kept.value
    assert block_sums(back, hashes) == pytest.approx(block_sums(kept, hashes), abs=1e-9)
    # Of any one row it tells the mean of its block.
    assert len(np.unique(back.influence)) <= block_count(3000)


def test_its_error_is_that_of_the_rows_on_average():
    ratios = []
    for seed in range(60):
        baseline, candidate = (measure("accuracy", r) for r in two_models(4000, seed))
        hashes = hashed(4000, seed)
        old = unfolded(entry_of(baseline, hashes), hashes)
        by_blocks = paired(old, candidate, confidence=0.95, clusters=blocks_of(hashes))
        by_rows = paired(baseline, candidate, confidence=0.95)
        ratios.append((by_blocks.high - by_blocks.low) / (by_rows.high - by_rows.low))
    blocks = block_count(4000)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.02)
    assert np.std(ratios) == pytest.approx(1 / math.sqrt(2 * blocks), rel=0.4)


@pytest.mark.parametrize("rows", [20 * ENOUGH_BLOCKS, 260, 2000])
def test_as_many_intervals_hold_the_truth_as_are_said_to(rows):
    """Both models are right in 80 % of all rows, so the true change is 0."""
    held, tries = 0, 400
    for seed in range(tries):
        baseline, candidate = (measure("accuracy", r) for r in two_models(rows, seed))
        hashes = hashed(rows, seed)
        old = unfolded(entry_of(baseline, hashes), hashes)
        found = paired(old, candidate, confidence=0.9, clusters=blocks_of(hashes))
        held += found.low <= 0.0 <= found.high
    assert held / tries > 0.9 - 3 * math.sqrt(0.9 * 0.1 / tries)


def test_the_error_of_a_metric_sums_clusters_first():
    measured = of_mean(np.repeat(np.random.default_rng(4).normal(size=100), 5))
    by_rows, by_cluster = (
        standard_error(measured, None),
        standard_error(measured, np.repeat(np.arange(100), 5)),
    )
    # G / (G - 1), for 100 clusters of equal size.
    assert by_cluster == pytest.approx(by_rows * math.sqrt(5 * 100 / 99))


def test_what_has_no_influence_has_no_sums():
    measured = Measured(value=3.0, influence=None)
    assert standard_error(measured, None) is None
    entry = entry_of(measured, hashed(1000))
    assert len(entry.sums) == 0
    assert unfolded(entry, hashed(1000)) is None


def test_too_few_rows_have_no_sums():
    entry = entry_of(of_mean(np.arange(39.0)), hashed(39))
    assert (len(entry.sums), entry.value) == (0, 19.0)
    assert entry.se is not None


# --- the file --------------------------------------------------------------------------------


@pytest.fixture
def sketch():
    hashes = hashed(1000)
    whole = entry_of(of_mean(np.random.default_rng(3).normal(size=1000)), hashes)
    bare = Entry(
        metric="max_error", beta=1.0, rows="", place="", n=9, value=1 / 3, se=None, unit=None,
        sums=np.empty(0),
    )  # fmt: skip
    part = dataclasses.replace(whole, rows=rows_key(np.arange(900), 1000), place="région=nord")
    return Sketch([whole, part, bare])


def test_a_sketch_is_read_back_as_it_was_written(sketch, tmp_path):
    path = tmp_path / "sketch.parquet"
    write_sketch(path, sketch)
    back = read_sketch(path)
    assert back.digest == sketch.digest
    for one, other in zip(back.entries, sketch.entries, strict=True):
        assert np.array_equal(one.sums, other.sums)
        assert {**vars(one), "sums": None} == {**vars(other), "sums": None}


def test_the_order_of_entries_does_not_matter(sketch, tmp_path):
    turned = Sketch(reversed(sketch.entries))
    paths = [tmp_path / name for name in ("one", "other")]
    for path, each in zip(paths, (sketch, turned), strict=True):
        write_sketch(path, each)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert turned.digest == sketch.digest


@pytest.mark.parametrize(
    "change",
    [
        {"value": 0.5},
        {"se": None},
        {"n": 999},
        {"place": "elsewhere"},
        {"sums": np.zeros(50)},
        {"sums": np.zeros(49)},
    ],
)
def test_the_digest_is_of_all_that_there_is(sketch, change):
    first, *others = sketch.entries
    assert Sketch([dataclasses.replace(first, **change), *others]).digest != sketch.digest


def test_an_entry_is_found_by_metric_beta_and_rows(sketch):
    (whole, part, bare) = (sketch.find(*entry.key) for entry in sketch.entries)
    assert {whole.place, part.place, bare.place} == {"", "région=nord"}
    assert sketch.find("accuracy", 2.0, "") is None
    assert sketch.find("accuracy", 1.0, "f" * 64) is None
    assert sketch.find("recall", 1.0, "") is None


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "sketch.parquet"
    pq.write_table(pa.table({"id": [1], "prediction": [0]}), path)
    with pytest.raises(Refused, match="not the sketch") as caught:
        read_sketch(path)
    assert caught.value.where == str(path)
    path.write_bytes(b"PAR1 no, it is not PAR1")
    with pytest.raises(Refused, match="not the sketch"):
        read_sketch(path)
