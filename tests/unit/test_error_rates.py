"""How often the gates are wrong, simulated: false fails, power, and the coverage of each interval.

Whole gates judge evidence that is drawn here, and `settle` decides: slices, families, Holm and
verdicts are the product's own. Only the table that slices are asked of is a stand-in. Bounds are
three standard errors of a simulated share; every seed is fixed, so each test passes always or never.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gates.builtin.fairness import Fairness
from gates.builtin.performance import Performance
from gates.decide import settle
from gates.evidence import Data, Evidence, Policy
from gates.record import MetricFact
from gates.register import sketched
from gates.report import Decide, Family, Task, Verdict
from gates.stats.metrics import Rows, measure
from gates.stats.sketch import standard_error

# One side of a two-sided interval at 95 %: what a fail by an interval may cost.
LEVEL = 0.025
LABEL = "y"


def at_most(share, samples):
    """Return what a share that is truly `share` stays below in so many samples."""
    return share + 3 * math.sqrt(share * (1 - share) / samples)


def at_least(share, samples):
    return share - 3 * math.sqrt(share * (1 - share) / samples)


@dataclass(frozen=True)
class Columns:
    """A joined table in memory, as far as gates ask one: codes of a column, and hashes of ids."""

    codes_of: dict
    rows: int

    def codes(self, column, *, limit=None):
        codes = self.codes_of[column]
        assert limit is None or codes.max() < limit
        return codes, tuple(f"{code:03d}" for code in range(codes.max() + 1))

    def require_present(self, column, _what):
        assert self.codes_of[column].min() >= 0

    def blocks(self, _column, count):
        return np.random.default_rng(99).integers(0, count, self.rows)


def evidence(candidate, baseline, columns=None, *, cluster=None, record=True, **given):
    return Evidence(
        root=Path(),
        task=Task.BINARY,
        policy=Policy(),
        data=Data(id="id", label=LABEL, cluster=cluster),
        engine=None,
        evaluation=None,
        joined=Columns(columns or {}, len(candidate)),
        classes=("0", "1"),
        candidate=candidate,
        candidate_digest="",
        data_columns=(),
        baseline=baseline,
        record=SimpleNamespace(content=SimpleNamespace(metrics={})) if record is True else record,
        **given,
    )


def two_models(rng, label, discordant, drop=0.0, right=0.8):
    """Return baseline and candidate, right in `right` of the rows, that differ in some rows.

    `discordant` is the share of rows in which exactly one is right; the candidate is right in
    `drop` fewer. Which rows these are is independent of everything else.
    """
    draw = rng.random(len(label))
    lost, won = (discordant + drop) / 2, (discordant - drop) / 2
    both = draw < right - lost
    first = both | ((draw >= right - lost) & (draw < right))
    second = both | ((draw >= right) & (draw < right + won))
    return [Rows(label=label, prediction=np.where(r, label, 1 - label)) for r in (first, second)]


def verdicts(result, family):
    return Counter(check.verdict for check in result.checks if check.family is family)


def by_points(result):
    """Return the same result decided by plain numbers, as most gates do."""
    checks = [check.model_copy(update={"decide": Decide.POINT}) for check in result.checks]
    return settle(result.model_copy(update={"checks": tuple(checks)}))


# --- performance: false fails ----------------------------------------------------------------


def fifty_slices(rng, rows):
    """Return ten columns of five values each: 50 overlapping slices of a fifth of the rows."""
    return {f"c{i}": rng.integers(0, 5, rows).astype(np.int32) for i in range(10)}


def judged(gate, rows, samples, *, columns=None, **models):
    """Yield the settled results of a performance gate on many samples of two models."""
    rng = np.random.default_rng(rows)
    for _ in range(samples):
        label = (rng.random(rows) < 0.5).astype(np.int8)
        baseline, candidate = two_models(rng, label, **models)
        held = evidence(candidate, baseline, columns(rng, rows) if columns else None)
        yield settle(gate.judge(held))


def accuracy(limits, slices=()):
    return Performance(metrics={"accuracy": limits}, slices=slices)


@pytest.mark.parametrize("rows", [200, 1000, 5000])
def test_equal_models_rarely_fail_overall_and_in_one_slice(rows):
    gate = accuracy({"max_drop": 0.0}, ["all"])
    columns = {"all": np.zeros(rows, dtype=np.int32)}
    fails = Counter()
    samples = 300
    for result in judged(gate, rows, samples, columns=lambda *_: columns, discordant=0.1):
        fails += Counter(c.family for c in result.checks if c.verdict is Verdict.FAIL)
    for family in (Family.OVERALL, Family.SLICES):
        assert 0 < fails[family] / samples <= at_most(LEVEL, samples)


# Many more samples of the same, by the functions that decide: test_coverage.py.
@pytest.mark.parametrize(("rows", "samples"), [(200, 40), (1000, 40)])
def test_equal_models_rarely_fail_in_any_of_fifty_slices(rows, samples):
    gate = accuracy({"max_drop": 0.0}, [f"c{i}" for i in range(10)])
    found = [
        verdicts(result, Family.SLICES)
        for result in judged(gate, rows, samples, columns=fifty_slices, discordant=0.1)
    ]
    assert {sum(one.values()) for one in found} == {50}
    fails = sum(Verdict.FAIL in one for one in found)
    assert fails / samples <= at_most(LEVEL, samples)


def test_points_stop_nearly_every_pull_request_of_an_equal_model_and_intervals_do_not():
    samples = 30
    gate = accuracy({"max_drop": 0.02}, [f"c{i}" for i in range(10)])
    ours = points = 0
    for result in judged(gate, 1000, samples, columns=fifty_slices, discordant=0.05):
        ours += result.verdict is Verdict.FAIL
        points += by_points(result).verdict is Verdict.FAIL
    assert points / samples > 0.9
    assert ours / samples <= at_most(LEVEL, samples)


def disjoint_slices(rng, rows):
    return {"store": rng.permutation(rows).astype(np.int32) % 50}


@pytest.mark.parametrize("limit", [0.0, 0.01])
def test_slices_in_which_hardly_a_row_differs_rarely_fail(limit):
    """Seven rows lost and none won is a matter of luck in fifty slices."""
    samples = 100
    gate = accuracy({"max_drop": limit}, ["store"])
    models = {"discordant": 0.07, "drop": limit}
    fails = sum(
        verdicts(result, Family.SLICES)[Verdict.FAIL] > 0
        for result in judged(gate, 5000, samples, columns=disjoint_slices, **models)
    )
    assert fails / samples <= at_most(LEVEL, samples)


def test_slices_of_three_users_each_rarely_fail():
    """Where units are few, Student's t has the tails of t in the correction, too."""
    samples, rng = 40, np.random.default_rng(8)
    gate = Performance(metrics={"log_loss": {"max_rise": 0.0}}, slices=["store"])
    user = np.repeat(np.arange(150, dtype=np.int32), 20)
    columns = {"user": user, "store": user % 50}
    fails = 0
    for _ in range(samples):
        models = scored(rng, len(user), spread=(0.7, 0.7), clusters=user, share=0.5)
        result = settle(gate.judge(evidence(*models, columns, cluster="user")))
        fails += verdicts(result, Family.SLICES)[Verdict.FAIL] > 0
    assert fails / samples <= at_most(LEVEL, samples)


# --- performance: power ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drop", "fails", "passes"),
    [
        # The margin that 2,000 rows decide with power .8 is 2.80 · √(.1 / 2000) = .0198.
        (0.0, (0.0, LEVEL), (0.75, 0.86)),
        (0.02, (0.0, LEVEL), (0.0, LEVEL)),
        (0.04, (0.75, 0.86), (0.0, LEVEL)),
    ],
)
def test_a_drop_is_found_or_ruled_out_as_often_as_the_rows_allow(drop, fails, passes):
    samples = 300
    found = Counter(
        result.verdict
        for result in judged(accuracy({"max_drop": 0.02}), 2000, samples, discordant=0.1, drop=drop)
    )
    for verdict, (low, high) in ((Verdict.FAIL, fails), (Verdict.PASS, passes)):
        share = found[verdict] / samples
        assert low <= share <= (at_most(high, samples) if high == LEVEL else high)


def test_one_slice_that_got_worse_is_found_among_fifty():
    rng = np.random.default_rng(5)
    rows, samples, gate = 25_000, 30, accuracy({"max_drop": 0.02}, ["store"])
    blamed, passed, others = 0, 0, 0
    for _ in range(samples):
        columns = disjoint_slices(rng, rows)
        label = (rng.random(rows) < 0.5).astype(np.int8)
        models = [
            two_models(rng, label, 0.05),
            two_models(rng, label, 0.17, drop=0.12),
        ]
        worse = columns["store"] == 17
        baseline, candidate = (
            Rows(label=label, prediction=np.where(worse, bad.prediction, good.prediction))
            for good, bad in zip(*models, strict=True)
        )
        result = settle(gate.judge(evidence(candidate, baseline, columns)))
        failed = {c.slice["store"] for c in result.checks if c.slice and c.verdict is Verdict.FAIL}
        blamed += "017" in failed
        others += bool(failed - {"017"})
        passed += result.verdict is Verdict.PASS
    assert blamed / samples >= 0.8
    assert others / samples <= at_most(LEVEL, samples)
    assert passed == 0


# --- coverage --------------------------------------------------------------------------------


def noise(rng, clusters, share, shape):
    """Return standard normal noise by row; `share` of its variance is common to a cluster."""
    own = rng.normal(size=(*shape, len(clusters)))
    common = rng.normal(size=(*shape, clusters.max() + 1))
    return math.sqrt(1 - share) * own + math.sqrt(share) * common[..., clusters]


def scored(rng, rows, *, spread=(0.3, 0.6), clusters=None, share=0.0):
    """Return two models whose scores share most of their errors; the candidate errs more."""
    clusters = np.zeros(rows, dtype=int) if clusters is None else clusters
    label = (rng.random(rows) < 0.4).astype(np.int8)
    shared = 2.0 * label - 1.0 + 0.8 * noise(rng, clusters, share, ())
    own = noise(rng, clusters, share, (2,))
    models = []
    for width, one in zip(spread, own, strict=True):
        score = 1.0 / (1.0 + np.exp(-(shared + width * one)))
        models.append(Rows(label=label, prediction=(score >= 0.5).astype(np.int8), score=score))
    return models


@pytest.fixture(scope="module")
def truth():
    """What the metrics of `scored` are without sampling error to speak of."""
    baseline, candidate = scored(np.random.default_rng(0), 2_000_000)
    return {
        name: (measure(name, baseline).value, measure(name, candidate).value)
        for name in ("accuracy", "roc_auc", "log_loss", "f1")
    }


def bounds(name):
    return {"max": 9.0, "max_rise": 9.0} if name == "log_loss" else {"min": 0.0, "max_drop": 1.0}


def coverage(truth, samples, names, given):
    """Return how often each metric's interval, and that of its change, holds the truth."""
    gate = Performance(metrics={name: bounds(name) for name in names})
    held, methods = Counter(), {}
    for drawn in range(samples):
        for check in settle(gate.judge(given(np.random.default_rng(drawn), gate))).checks:
            before, after = truth[check.metric]
            true = after - before if check.interval_of == "delta" else after
            asked = check.metric, check.interval_of
            held[asked] += check.interval[0] <= true <= check.interval[1]
            methods[asked] = check.method
    return {(*asked, methods[asked]): count / samples for asked, count in held.items()}


def assert_nominal(found, samples):
    for share in found.values():
        assert at_least(0.95, samples) <= share <= at_most(0.95, samples), found


def test_intervals_of_independent_rows_cover_as_often_as_they_say(truth):
    samples = 300
    found = coverage(
        truth,
        samples,
        ("accuracy", "roc_auc", "log_loss", "f1"),
        lambda rng, _: evidence(*reversed(scored(rng, 600))),
    )
    ranked = {"influence, wilson", "influence, mover"}
    assert {asked[2] for asked in found} == {"wilson", "tango", "influence"} | ranked
    assert_nominal(found, samples)


ALIKE = (0.1, 0.1)


def test_few_discordant_rows_are_no_certainty():
    samples = 300
    true = {
        "f1": (measure("f1", scored(np.random.default_rng(0), 1_000_000, spread=ALIKE)[0]).value,)
        * 2
    }
    found = coverage(
        true,
        samples,
        ("f1",),
        lambda rng, _: evidence(*scored(rng, 100, spread=ALIKE)),
    )
    assert found.keys() == {("f1", "candidate", "influence+2"), ("f1", "delta", "influence+2")}
    assert min(found.values()) >= at_least(0.95, samples)


USERS = np.random.default_rng(4).integers(1, 61, 300)


@pytest.mark.parametrize(
    ("sizes", "share"),
    [(USERS, 0.5), (np.full(6, 100), 0.05)],
    ids=["300 users of 1 to 60 rows", "6 users: Student's t"],
)
def test_intervals_of_rows_that_belong_together_cover_as_often_as_they_say(truth, sizes, share):
    clusters, samples = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes), 300

    def drawn(rng, _):
        models = scored(rng, len(clusters), clusters=clusters, share=share)
        return evidence(*reversed(models), {"user": clusters}, cluster="user")

    found = coverage(truth, samples, ("accuracy", "log_loss"), drawn)
    assert {asked[2] for asked in found} == {"influence"}
    assert_nominal(found, samples)


def test_a_sketch_covers_as_often_as_the_rows_it_stands_for(truth):
    samples = 300

    def drawn(rng, gate):
        baseline, candidate = scored(rng, 600)
        kept = sketched((gate,), evidence(baseline, None))
        return evidence(candidate, None, sketch=kept)

    found = coverage(truth, samples, ("accuracy", "log_loss"), drawn)
    assert {asked[2] for asked in found if asked[1] == "delta"} == {"sketch"}
    assert_nominal(found, samples)


def test_samples_of_different_rows_are_compared_without_pairing(truth):
    samples = 300

    def drawn(rng, gate):
        baseline, candidate = scored(rng, 400)[0], scored(rng, 600)[1]
        facts = {}
        for name in gate.metrics:
            there = measure(name, baseline)
            se = standard_error(there, None)
            facts[name] = MetricFact(value=there.value, se=se, n=len(baseline))
        record = SimpleNamespace(content=SimpleNamespace(metrics=facts))
        return evidence(candidate, None, record=record)

    found = coverage(truth, samples, ("accuracy", "log_loss"), drawn)
    methods = {asked[0]: asked[2] for asked in found if asked[1] == "delta"}
    assert methods == {"accuracy": "unpaired newcombe", "log_loss": "unpaired"}
    assert_nominal(found, samples)


# --- fairness --------------------------------------------------------------------------------


def judged_groups(metrics, groups, size, samples, *, record=True, **models):
    """Yield settled results of a fairness gate for two models of equal groups."""
    rng = np.random.default_rng(groups)
    gate = Fairness(sensitive=["group"], metrics=metrics)
    columns = {"group": np.repeat(np.arange(groups, dtype=np.int32), size)}
    for _ in range(samples):
        label = (rng.random(groups * size) < 0.5).astype(np.int8)
        baseline, candidate = two_models(rng, label, **models)
        baseline = baseline if record else None
        yield settle(gate.judge(evidence(candidate, baseline, columns, record=record or None)))


def fails(results, samples):
    return sum(result.verdict is Verdict.FAIL for result in results) / samples


@pytest.mark.parametrize(
    ("metrics", "level", "record", "samples"),
    [
        ({"demographic_parity_difference": {"max_rise": 0.0}}, LEVEL, True, 60),
        # Against a limit of 0 either group may be the higher one: both sides of the interval count.
        ({"equalized_odds_difference": {"max": 0.0}}, 2 * LEVEL, False, 50),
        ({"false_negative_rate": {"max_rise_any_group": 0.0}}, LEVEL, True, 400),
    ],
    ids=["max_rise", "max", "max_rise_any_group"],
)
@pytest.mark.parametrize("groups", [2, 10])
def test_groups_that_fare_alike_rarely_fail(metrics, level, record, samples, groups):
    found = judged_groups(metrics, groups, 200, samples, record=record, discordant=0.1)
    assert fails(found, samples) <= at_most(level, samples)
