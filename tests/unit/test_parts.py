"""Parts of the evaluation set: measured by cells or by rows, they come to the same checks."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from gates.builtin.checks import Pair, measure_pair, measure_part, pair_numbers
from gates.builtin.parts import Part, few_clusters, in_threads, prepare
from gates.builtin.performance import _agree
from gates.errors import GatesError, InputError
from gates.evidence import Data, Evidence, Policy
from gates.report import Task, Verb
from gates.stats.catalogue import METRICS, metrics_for
from gates.stats.definitions import COMPARED_ROWS, compared
from gates.stats.measured import Measured
from gates.stats.metrics import Rows, measure
from gates.stats.sampled import MANY
from gates.tables import Engine


@pytest.fixture(scope="module")
def engine():
    with Engine() as engine:
        yield engine


@pytest.fixture
def evidence(engine, tmp_path):
    """Make the evidence of two models on a table of two grouping columns and a cluster."""

    def made(rows=300, *, cluster=None, baseline=True):
        rng = np.random.default_rng(1)
        label = (rng.random(rows) < 0.4).astype(np.int32)
        columns = {
            "id": np.arange(rows) + 100_000,
            "region": np.array(["east", "north", "west", None])[rng.integers(0, 4, rows)],
            "sex": np.array(["F", "M"])[rng.integers(0, 2, rows)],
            "customer": np.arange(rows) // 3,
        }
        parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
        table = engine.open(tmp_path / "rows.parquet")
        return Evidence(
            root=tmp_path,
            task=Task.BINARY,
            policy=Policy(),
            data=Data(id="id", label="y", cluster=cluster),
            engine=engine,
            evaluation=table,
            joined=engine.ordered(table, id="id"),
            classes=("0", "1"),
            candidate=outputs(rng, label, 0.4),
            candidate_digest="sha256:0",
            data_columns=(),
            baseline=outputs(rng, label, 0.3) if baseline else None,
            record=object() if baseline else None,
        )

    return made


def outputs(rng, label, noise):
    score = np.clip(np.round(rng.normal(0.3 + 0.4 * label, noise), 1), 0, 1)
    return Rows(label=label, prediction=(score >= 0.5).astype(np.int32), score=score)


@pytest.mark.parametrize("name", metrics_for(Task.BINARY))
@pytest.mark.parametrize("cluster", [None, "customer"])
def test_a_part_is_measured_as_its_rows_are(name, cluster, evidence):
    shown = evidence(cluster=cluster)
    indexes = [None, *(part.index for part in shown.groups(("region", "sex")))]
    for index in indexes:
        part = measure_part(Part(evidence=shown, index=index), name, beta=0.6)
        rows = measure_pair(shown, name, index, beta=0.6)
        assert rows.n == part.n
        if rows.candidate.influence is not None:
            assert len(rows.candidate.influence) == rows.n
        by_cell = part.candidate.weight is not None
        assert by_cell == (cluster is None and METRICS[name].needs == "prediction")
        for verb in (Verb.MIN, Verb.MAX_DROP, Verb.MAX_RATIO):
            one, other = (pair_numbers(shown, pair, verb) for pair in (part, rows))
            if one.interval is None:
                # Of 30 rows, the baseline's calibration error may be 0: there is no ratio.
                assert verb is Verb.MAX_RATIO
                assert other.interval is None
                continue
            assert one.interval.method == other.interval.method
            ends = [
                (n.interval.low, n.interval.high, n.baseline, n.candidate) for n in (one, other)
            ]
            assert ends[0] == pytest.approx(ends[1], rel=1e-12, abs=1e-12)


def test_the_candidate_alone_is_measured_without_a_baseline(evidence):
    shown = evidence(baseline=False)
    pair = measure_part(Part(evidence=shown), "recall")
    assert pair.candidate.value == measure("recall", shown.candidate).value
    assert pair.baseline is None


def test_numbers_of_few_rows_are_withheld_and_those_of_few_in_all_are_not(evidence):
    shown = evidence(9)
    small = Part(evidence=shown, index=np.arange(9))
    assert small.withheld
    assert "withheld" in measure_part(small, "accuracy").candidate_problem
    assert measure_part(Part(evidence=shown), "accuracy").candidate is not None


def test_of_very_many_rows_some_tell_the_interval(evidence):
    shown = evidence(MANY + 1)
    whole = Part(evidence=shown)
    some, every = measure_part(whole, "roc_auc"), measure_pair(shown, "roc_auc", None)
    assert (some.sampled, every.sampled) == (True, False)
    assert len(some.candidate.influence) < MANY / 2 < len(every.candidate.influence)
    for verb in (Verb.MIN, Verb.MAX_DROP):
        one, other = (pair_numbers(shown, pair, verb) for pair in (some, every))
        assert one.interval.method == f"{other.interval.method}, sampled"
        numbers = [(n.n, n.baseline, n.candidate) for n in (one, other)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-12)
        widths = [n.interval.high - n.interval.low for n in (one, other)]
        assert widths[0] == pytest.approx(widths[1], rel=0.01)
    assert not measure_part(whole, "recall").sampled
    assert not measure_part(Part(evidence=shown, index=np.arange(MANY)), "roc_auc").sampled


def test_rows_of_clusters_are_all_looked_at(evidence):
    shown = evidence(MANY + 1, cluster="customer")
    pair = measure_part(Part(evidence=shown), "brier")
    assert not pair.sampled
    assert len(pair.candidate.influence) == len(pair.clusters) == MANY + 1


def test_groups_have_their_names_and_are_asked_for_once(evidence):
    shown = evidence()
    names, sexes = shown.joined.text("region"), shown.joined.text("sex")
    found = {part.name: part.index for part in shown.groups(("region",))}
    assert list(found) == ["region=east", "region=north", "region=west"]
    for name, index in found.items():
        assert np.array_equal(index, np.flatnonzero(names == name.removeprefix("region=")))
    crossed = {part.name: part.index for part in shown.groups(("sex", "region"))}
    assert list(crossed)[:2] == ["sex=F,region=east", "sex=F,region=north"]
    assert np.array_equal(
        crossed["sex=M,region=west"], np.flatnonzero((sexes == "M") & (names == "west"))
    )
    assert shown._codes("sex") is shown._codes("sex")


@pytest.mark.parametrize(
    ("which", "whose"), [("candidate", "the candidate's"), ("baseline", "the baseline's")]
)
def test_a_model_without_scores_is_named(which, whose, evidence):
    whole = evidence()
    shown = replace(whole, **{which: replace(getattr(whole, which), score=None)})
    with pytest.raises(InputError, match=f"roc_auc needs scores, and {whose} predictions"):
        measure_part(Part(evidence=shown), "roc_auc")
    assert measure_part(Part(evidence=shown), "recall").candidate is not None


def test_what_threads_share_is_there_before_they_start(evidence):
    shown = evidence(cluster="customer")
    prepare(shown)
    assert {"models", "cells", "clusters"} <= set(vars(shown))
    numbers = replace(shown, task=Task.REGRESSION)
    prepare(numbers)
    assert "cells" not in vars(numbers)


def test_threads_keep_the_order_and_their_errors():
    assert list(in_threads(lambda item: item * 2, range(50))) == list(range(0, 100, 2))
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda item: 1 / item, [1, 0]))


@pytest.mark.parametrize("name", ["f1", "brier"])
def test_a_number_that_is_not_the_librarys_is_never_a_verdict(name, evidence):
    whole = Part(evidence=evidence())
    right = measure_part(whole, name)
    _agree(whole, right, 1.0)
    wrong = Measured(value=right.candidate.value + 1e-6, influence=None)
    with pytest.raises(GatesError, match="scikit-learn says"):
        _agree(whole, replace(right, candidate=wrong), 1.0)
    _agree(whole, Pair(metric=name, n=1), 1.0)


def test_many_rows_are_compared_on_some():
    rng = np.random.default_rng(4)
    label = (rng.random(2 * COMPARED_ROWS + 7) < 0.2).astype(np.int32)
    rows = outputs(rng, label, 0.3)
    ours, theirs = compared("roc_auc", rows, 2.0)
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert ours == measure("roc_auc", rows.take(slice(None, None, 3))).value


def test_where_some_rows_have_no_value_all_are_compared():
    label = np.zeros(COMPARED_ROWS + 1, dtype=np.int32)
    label[1] = 1
    rows = outputs(np.random.default_rng(4), label, 0.3)
    right = measure("roc_auc", rows).value
    assert compared("roc_auc", rows, right) == (right, pytest.approx(right, rel=1e-9))


def test_of_a_great_many_rows_the_other_way_is_what_is_compared(monkeypatch):
    """The value that a run took from all rows must be held to scikit-learn's by the same code."""
    from gates.stats import definitions

    rng = np.random.default_rng(8)
    label = rng.integers(0, 2, COMPARED_ROWS + 10)
    rows = Rows(label=label, prediction=label, score=rng.random(len(label)))
    monkeypatch.setattr(definitions, "MANY", COMPARED_ROWS)
    monkeypatch.setattr(definitions, "VALUES", {"roc_auc": lambda many: 2.0})
    ours, theirs = compared("roc_auc", rows, 0.5)
    assert ours == 2.0
    assert theirs == pytest.approx(0.5, abs=0.01)


# --- what a change is held by ------------------------------------------------------------------


def of_scores(evidence, label, *scores, **given):
    """Return evidence of two models with these scores, candidate first."""
    made = [Rows(label=label, prediction=(s >= 0.5).astype(np.int32), score=s) for s in scores]
    return replace(evidence, candidate=made[0], baseline=made[1], **given)


def test_equal_outputs_on_some_rows_are_no_change_there_and_equal_errors_are(evidence):
    """Of a loss nothing moved: [0, 0] where the outputs are the same, else nothing is known."""
    label = np.tile([0, 1], 150).astype(np.int32)
    old = np.full(300, 0.4)
    new = np.where(np.arange(300) < 200, old, 0.9)
    shown = of_scores(evidence(), label, new, old)
    assert not shown.identical
    found = {}
    for name, rows in (("same", np.arange(100)), ("other", np.arange(200, 300))):
        part = Part(evidence=shown, index=rows)
        assert part.identical is (name == "same")
        found[name] = pair_numbers(shown, measure_part(part, "log_loss"), Verb.MAX_RISE).interval
    assert (found["same"].low, found["same"].high) == (0.0, 0.0)
    assert found["other"].low < found["other"].high


def test_two_models_that_both_separate_a_slice_do_not_pass_there(evidence):
    rng = np.random.default_rng(4)
    label = (rng.random(300) < 0.3).astype(np.int32)
    shown = of_scores(evidence(), label, *((label + rng.random((2, 300))) / 2))
    part = Part(evidence=shown, index=np.arange(60))
    for name in ("roc_auc", "average_precision"):
        pair = measure_part(part, name)
        assert pair.stored == pair.candidate.value == 1.0
        assert pair_numbers(shown, pair, Verb.MAX_DROP).interval.low < -0.02


@pytest.mark.parametrize(
    ("metric", "method"),
    [
        ("false_positive_rate", "mover ratio"),
        ("brier", "fieller"),
        ("calibration_error", "mover ratio"),
    ],
)
@pytest.mark.parametrize("cluster", [None, "customer"])
def test_a_ratio_has_the_error_of_both_models(metric, method, cluster, evidence):
    rows = 3000
    shown = evidence(rows, cluster=cluster)
    rng, label = np.random.default_rng(5), shown.candidate.label
    # Not of the same rows' noise, so that a common error does not hide the baseline's.
    old, new = (np.clip(rng.normal(0.4 + 0.25 * label, w), 0.01, 0.99) for w in (0.2, 0.6))
    shown = of_scores(shown, label, new, old)
    pair = measure_part(Part(evidence=shown), metric)
    ratio = pair_numbers(shown, pair, Verb.MAX_RATIO).interval
    change = pair_numbers(shown, pair, Verb.MAX_RISE).interval
    delta = pair.candidate.value - pair.stored
    assert ratio.method == (
        method if cluster is None or metric != "false_positive_rate" else "fieller"
    )
    assert ratio.low < delta < ratio.high
    # The candidate is worse by far: what is added is the baseline's error, times the ratio.
    assert ratio.high - ratio.low > 1.1 * (change.high - change.low)
    assert ratio.p is not None


def test_few_clusters_that_have_most_rows_are_told_of(evidence):
    assert few_clusters(evidence()) == ()
    assert few_clusters(evidence(cluster="customer")) == ()
    (note,) = few_clusters(evidence(27, cluster="customer"))
    assert "9 clusters are worth 9.0 of equal size" in note
