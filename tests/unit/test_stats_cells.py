"""Cells and other weighted rows must come to exactly what the rows themselves come to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gates.report import Task
from gates.stats.catalogue import metrics_for
from gates.stats.cells import cells, grouped, together
from gates.stats.definitions import fairlearn_value, sklearn_value
from gates.stats.intervals import paired, single
from gates.stats.metrics import Rows, Undefined, goes_by_cell, measure

BY_CELL = [
    (name, classes)
    for task, sizes in ((Task.BINARY, [2]), (Task.MULTICLASS, [3, 5]))
    for name in metrics_for(task)
    for classes in sizes
    if goes_by_cell(name)
]
SAME = {"rel": 1e-12, "abs": 1e-12}


def pair_of(seed, n, classes=2, decimals=1):
    """Two models with many ties that agree on most rows; scores are rounded probabilities."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, n)
    drawn = rng.dirichlet(np.ones(classes), n) + 0.5 * np.eye(classes)[label]
    models = []
    for noise in (0.0, 0.4):
        score = np.round(drawn / drawn.sum(axis=1, keepdims=True), decimals)
        score = np.where(rng.random((n, 1)) < noise, 1.0 / classes, score)
        score /= score.sum(axis=1, keepdims=True)
        models.append(
            Rows(
                label=label,
                prediction=score.argmax(axis=1),
                score=np.minimum(score[:, 1], 1.0) if classes == 2 else score,
                classes=classes,
            )
        )
    return models


def numbers(seed, n):
    rng = np.random.default_rng(seed)
    label = np.round(rng.normal(5, 1, n), 1)
    return [Rows(label=label, prediction=np.round(label + rng.normal(0, s, n), 1)) for s in (1, 2)]


SAMPLES = {
    Task.BINARY: pair_of,
    Task.MULTICLASS: lambda seed, n: pair_of(seed, n, classes=3),
    Task.REGRESSION: numbers,
}


def results(metric, one, other, *, clusters=None):
    """Value, interval and paired interval of a metric, or why there is none."""
    try:
        both = [measure(metric, rows, beta=0.6) for rows in (one, other)]
    except Undefined as undefined:
        return undefined.reason
    made = (
        single(both[1], confidence=0.95, clusters=clusters),
        paired(*both, confidence=0.95, clusters=clusters),
    )
    found = [interval for interval in made if interval is not None]
    shown = [(i.method, *(pytest.approx(end, **SAME) for end in (i.low, i.high))) for i in found]
    return [pytest.approx(m.value, **SAME) for m in both], len(shown), shown


def plain(result):
    """The same without tolerance, to be compared with what has one."""
    if isinstance(result, str):
        return result
    values, number, shown = result
    return (
        [v.expected for v in values],
        number,
        [(method, low.expected, high.expected) for method, low, high in shown],
    )


@pytest.mark.parametrize(("name", "classes"), BY_CELL)
@pytest.mark.parametrize(("n", "kept"), [(400, 400), (400, 37), (400, 6), (9, 2)])
def test_cells_come_to_what_their_rows_come_to(name, classes, n, kept):
    for seed in range(4):
        models = pair_of(seed, n, classes)
        index = np.sort(np.random.default_rng(seed).permutation(n)[:kept])
        few = cells(models).of(index)
        assert sum(few[0].weight) == len(index)
        assert len(few[0]) <= min(kept, classes**3)
        assert plain(results(name, *few)) == results(name, *(rows.take(index) for rows in models))


@pytest.mark.parametrize("task", list(SAMPLES))
@pytest.mark.parametrize("ranked", [False, True])
def test_an_entry_counts_as_the_rows_it_stands_for(task, ranked):
    rng = np.random.default_rng(5)
    for seed in range(3):
        one, other = SAMPLES[task](seed, 60)
        weight = rng.integers(1, 6, 60)
        entries = [
            Rows(
                label=rows.label,
                prediction=rows.prediction,
                score=rows.score,
                classes=rows.classes,
                weight=weight,
            )
            for rows in (one, other)
        ]
        entries = [rows.ranked() if ranked else rows for rows in entries]
        rows = [entry.written_out() for entry in entries]
        assert len(rows[0]) == entries[0].size == weight.sum()
        clusters = np.arange(60) // 4
        for name in metrics_for(task):
            expected = results(name, *rows)
            assert not isinstance(expected, str)
            assert plain(results(name, *entries)) == expected
            assert plain(results(name, *entries, clusters=clusters)) == results(
                name, *rows, clusters=np.repeat(clusters, weight)
            )
            assert sklearn_value(name, entries[0], beta=0.6) == expected[0][0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(metrics_for(Task.BINARY)),
    groups=st.integers(1, 5),
    n=st.integers(1, 120),
)
def test_every_slice_of_a_table_is_what_its_rows_are_alone(seed, name, groups, n):
    """The way of the gate: ranks and cells of the whole, then a slice; and the rows by mask."""
    models = pair_of(seed, n)
    code = np.random.default_rng(seed).integers(-1, groups, n)
    ranked, found = [rows.ranked() for rows in models], cells(models)
    for index in grouped([code]):
        mask = code == code[index[0]]
        assert np.array_equal(np.flatnonzero(mask), index)
        taken = found.of(index) if goes_by_cell(name) else [rows.take(index) for rows in ranked]
        assert plain(results(name, *taken)) == results(name, *(rows.take(mask) for rows in models))


def test_one_model_alone_has_cells_too():
    (rows,) = cells(pair_of(1, 50)[:1]).of()
    assert len(rows) == 4
    assert rows.size == 50


def test_fairlearn_is_asked_on_weighted_cells_as_on_rows():
    one = pair_of(3, 80)[0]
    group = np.arange(80) % 3
    codes, number = np.unique(group * 4 + one.label * 2 + one.prediction, return_counts=True)
    few = Rows(label=codes // 2 % 2, prediction=codes % 2, weight=number)
    for name in ("equalized_odds_difference", "f1_ratio"):
        assert fairlearn_value(name, few, codes // 4) == fairlearn_value(name, one, group)


def test_parts_are_put_together_in_their_order():
    rows = pair_of(3, 80)[0]
    group = np.arange(80) % 3
    one = together([rows.take(group == g) for g in range(3)])
    order = np.argsort(group, kind="stable")
    assert np.array_equal(one.label, rows.label[order])
    assert np.array_equal(one.score, rows.score[order])
    assert one.weight is None
    few = [cells([rows]).of(np.flatnonzero(group == g))[0] for g in range(3)]
    codes = np.repeat(np.arange(3), [len(part) for part in few])
    assert together(few).size == 80
    for name in ("equalized_odds_difference", "f1_ratio"):
        assert fairlearn_value(name, together(few), codes) == fairlearn_value(name, rows, group)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([[1, 0, 1, -1]], [[1], [0, 2]]),
        ([[-1, -1]], []),
        ([[0, 0, 1, 1, 0], [1, 0, 1, -1, 1]], [[1], [0, 4], [2]]),
        ([[-1, 0], [0, -1]], []),
        ([[7, 7]], [[0, 1]]),
    ],
)
def test_groups_are_the_combinations_that_occur(columns, expected):
    found = grouped([np.array(column, dtype=np.int16) for column in columns])
    assert [list(index) for index in found] == expected


@pytest.mark.parametrize("missing", [False, True])
def test_more_combinations_than_16_bits_hold_keep_their_order(missing):
    rng = np.random.default_rng(1)
    columns = [rng.integers(-int(missing), 200, 5000).astype(np.int16) for _ in range(4)]
    found = grouped(columns)
    keys = [tuple(column[index[0]] for column in columns) for index in found]
    assert keys == sorted(keys)
    known = np.all([column >= 0 for column in columns], axis=0)
    assert sorted(np.concatenate(found)) == list(np.flatnonzero(known))
    assert known.all() != missing


def test_groups_share_one_array():
    found = grouped([np.arange(100) % 7])
    assert len({id(index.base) for index in found}) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"weight": np.array([1, 0, 2])}, "stands for no row"),
        ({"weight": np.array([1, 2])}, "differ in length"),
        ({"rank": np.array([1, 2])}, "differ in length"),
    ],
)
def test_weights_that_count_nothing_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Rows(label=np.zeros(3), prediction=np.zeros(3), **columns)


def test_without_one_score_there_is_no_order():
    codes = np.array([0, 1, 2])
    for score in (None, np.eye(3)):
        rows = Rows(label=codes, prediction=codes, score=score, classes=3)
        assert rows.ranked() is rows
        with pytest.raises(Undefined, match="no score column"):
            _ = rows.steps
