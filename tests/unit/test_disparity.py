"""Disparities against Fairlearn and published intervals, and their error rates by simulation."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gates.builtin.parted import Parted, group_rates
from gates.errors import GatesError
from gates.evidence import Data, Evidence, Policy, Slice
from gates.report import Task
from gates.stats.catalogue import Spread
from gates.stats.catalogue import disparity as named
from gates.stats.definitions import fairlearn_value
from gates.stats.disparity import spreading
from gates.stats.disparity_change import change_interval, gap_changes
from gates.stats.exact import clopper_pearson
from gates.stats.measured import of_mean, of_rate
from gates.stats.metrics import Rows, Undefined, measure
from gates.stats.mover import Limits, differences, moved_ratios, ratios
from gates.stats.score_intervals import tango

FOLDER = Path(__file__).parents[1] / "statcases"
NAMED = [
    f"{stem}_{kind}"
    for stem in ("demographic_parity", "equalized_odds", "equal_opportunity")
    for kind in ("difference", "ratio")
]
STEMS = ("accuracy", "fbeta", "mcc", "roc_auc", "log_loss", "false_negative_rate")
PLAIN = [f"{stem}_{kind.value}" for stem in STEMS for kind in Spread]
KINDS = [kind.value for kind in Spread]


def case(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def data(seed=1, n=400, groups=3):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    label = (rng.random(n) < 0.3 + 0.1 * group).astype(int)
    score = np.clip(rng.normal(0.35 + 0.25 * label, 0.25), 0, 1)
    return Rows(label=label, prediction=(score > 0.5).astype(int), score=score), group


def by_group(name, rows, group, beta=1.0):
    parts = [rows.take(group == g) for g in np.unique(group)]
    return {rate: [measure(rate, part, beta=beta) for part in parts] for rate in named(name).rates}


def spread(name, rates, clusters=None, confidence=0.95):
    groups = len(next(iter(rates.values())))
    return spreading(named(name), rates, clusters or [None] * groups, confidence=confidence)


def counted(hits, size):
    return of_rate(np.arange(size) < hits, np.ones(size, dtype=bool), when_empty="no rows")


def of_counts(name, *counts, confidence=0.95):
    rates = {rate: [counted(*count) for count in counts] for rate in named(name).rates}
    return spread(name, rates, confidence=confidence)


def ends(interval):
    return interval.low, interval.high


# --- the value -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMED + PLAIN)
def test_disparity_is_fairlearns_and_its_interval_holds_it(name):
    rows, group = data()
    found = spread(name, by_group(name, rows, group, beta=0.6))
    assert found.value == pytest.approx(fairlearn_value(name, rows, group, beta=0.6), rel=1e-9)
    assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize("name", ["mae_difference", "r2_group_min", "rmse_ratio"])
def test_disparity_of_predicted_numbers_is_fairlearns(name):
    rng = np.random.default_rng(2)
    label = rng.normal(size=90)
    rows = Rows(label=label, prediction=label + rng.normal(size=90) / 2)
    group = np.arange(90) % 3
    found = spread(name, by_group(name, rows, group))
    assert found.value == pytest.approx(fairlearn_value(name, rows, group), rel=1e-9)
    assert found.interval.method.endswith(" influence")


def test_multiclass_scores_are_compared_between_groups_too():
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, 150)
    score = rng.dirichlet(np.ones(3), 150)
    rows = Rows(label=label, prediction=score.argmax(axis=1), score=score, classes=3)
    group = np.arange(150) % 2
    for name in ("roc_auc_ovo_macro_difference", "f1_macro_ratio", "brier_group_max"):
        found = spread(name, by_group(name, rows, group))
        assert found.value == pytest.approx(fairlearn_value(name, rows, group), rel=1e-9)


def test_a_name_that_is_no_disparity_is_a_mistake():
    with pytest.raises(KeyError):
        fairlearn_value("accuracy", *data())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demographic_parity_difference", "dpd"),
        ("demographic_parity_ratio", "dpr"),
        ("equalized_odds_difference", "eod"),
        ("equalized_odds_ratio", "eor"),
        ("equal_opportunity_difference", "eopd"),
        ("fbeta_difference", ("diff", "fbeta06")),
        ("fbeta_ratio", ("ratio", "fbeta06")),
        ("accuracy_ratio", ("ratio", "acc")),
        ("false_negative_rate_difference", ("diff", "fnr")),
    ],
)
def test_fairlearns_own_example(name, expected):
    found = case("20_fairlearn_doc_18rows")
    given, answers = found["input"], found["expected"]
    rows = Rows(label=np.array(given["y"]), prediction=np.array(given["h"]))
    group = np.unique(given["group"], return_inverse=True)[1]
    answer = answers[expected] if isinstance(expected, str) else answers[expected[0]][expected[1]]
    assert spread(name, by_group(name, rows, group, beta=0.6)).value == pytest.approx(answer)
    assert fairlearn_value(name, rows, group, beta=0.6) == pytest.approx(answer, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("demographic_parity_difference", 0.1),
        ("demographic_parity_ratio", 0.8),
        ("equal_opportunity_difference", 0.1),
    ],
)
def test_eighteen_rows_decide_nothing(name, limit):
    given = case("20_fairlearn_doc_18rows")["input"]
    rows = Rows(label=np.array(given["y"]), prediction=np.array(given["h"]))
    interval = spread(name, by_group(name, rows, np.array(given["group"]))).interval
    assert interval.low < limit < interval.high


def test_a_disparity_without_groups_to_compare_is_undefined():
    for name in ("accuracy_difference", "accuracy_group_min"):
        with pytest.raises(Undefined, match="1 group"):
            of_counts(name, (5, 9))
    with pytest.raises(Undefined, match="0 in every group"):
        of_counts("accuracy_ratio", (0, 9), (0, 7))
    with pytest.raises(Undefined, match="negative in a group"):
        spread("mae_ratio", {"mae": [of_mean(np.array([-1.0, -2.0])), of_mean(np.ones(2))]})


# --- the interval ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1])
def test_two_groups_are_newcombes_interval(number):
    found = case("07_newcombe1998_unpaired")
    given, expected = found["input"][number], found["expected"][number]
    interval = of_counts(
        "accuracy_difference", (given["k1"], given["n1"]), (given["k2"], given["n2"])
    ).interval
    assert ends(interval) == pytest.approx(tuple(expected["newcombe"]), abs=1e-8)
    assert ends(interval) == pytest.approx(tuple(expected["newcombe_published"]), abs=5e-5)
    assert interval.method == "pairwise score"


def compas():
    label, prediction, group = [], [], []
    for code, counts in enumerate(case("22_compas_error_rates")["input"].values()):
        for (y, h), cell in (((0, 0), "tn"), ((0, 1), "fp"), ((1, 0), "fn"), ((1, 1), "tp")):
            label += [y] * counts[cell]
            prediction += [h] * counts[cell]
            group += [code] * counts[cell]
    return Rows(label=np.array(label), prediction=np.array(prediction)), np.array(group)


@pytest.mark.parametrize(
    ("name", "gap"),
    [
        ("false_positive_rate_difference", "fpr_gap"),
        ("equal_opportunity_difference", "fnr_gap"),
        ("demographic_parity_difference", "dp_diff"),
    ],
)
def test_compas_gaps_have_the_closed_interval(name, gap):
    expected = case("22_compas_error_rates")["expected"][gap]
    found = spread(name, by_group(name, *compas()))
    assert found.value == pytest.approx(expected["diff"], abs=1e-9)
    assert ends(found.interval) == pytest.approx(tuple(expected["newcombe95"]), abs=1e-6)


def test_compas_ratio_agrees_with_katz_where_no_rate_is_small():
    expected = case("22_compas_error_rates")["expected"]["dp_ratio"]
    found = spread("demographic_parity_ratio", by_group("demographic_parity_ratio", *compas()))
    assert found.value == pytest.approx(expected["ratio"], abs=1e-9)
    assert ends(found.interval) == pytest.approx(tuple(expected["katz_log95"]), abs=5e-4)


def test_equalized_odds_asks_about_both_rates_together():
    expected = case("22_compas_error_rates")["expected"]["fairlearn"]
    both = spread("equalized_odds_difference", by_group("equalized_odds_difference", *compas()))
    name = "false_positive_rate_difference"
    one = spread(name, by_group(name, *compas()))
    surer = spread(name, by_group(name, *compas()), confidence=math.sqrt(0.95))
    assert both.value == one.value == pytest.approx(expected["eod"], abs=1e-9)
    assert both.interval.low == pytest.approx(surer.interval.low, abs=1e-12)
    assert both.interval.high >= one.interval.high


def test_more_groups_ask_more_questions_of_the_lower_bound_alone():
    two = of_counts("accuracy_difference", (90, 100), (60, 100)).interval
    four = of_counts("accuracy_difference", (90, 100), (60, 100), (75, 100), (75, 100)).interval
    assert four.low < two.low
    assert four.high == two.high


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts", [((30, 30), (50, 50)), ((0, 30), (50, 50)), ((0, 30), (3, 50))])
def test_rates_at_the_edge_are_no_certainty(kind, counts):
    found = of_counts(f"accuracy_{kind}", *counts)
    assert found.interval.high - found.interval.low > 0.05
    assert 0.0 <= found.interval.low <= found.value <= found.interval.high <= 1.0


def test_a_group_without_an_interval_of_its_own_may_be_anywhere():
    level = of_mean(np.full(40, 0.2))
    varied = of_mean(np.random.default_rng(1).random(40))
    bounded = spread("brier_difference", {"brier": [level, varied, level]}).interval
    assert (bounded.low, bounded.high) == (0.0, pytest.approx(2.0, abs=0.25))
    assert spread("log_loss_difference", {"log_loss": [level, varied]}).interval is None
    assert spread("log_loss_ratio", {"log_loss": [level, varied]}).interval.low == 0.0


def test_rows_that_belong_together_widen_the_bounds():
    codes = np.arange(400) // 10
    hits = np.repeat(np.random.default_rng(4).random(80) < 0.6, 10)
    halves = [of_rate(half, half | ~half, when_empty="") for half in (hits[:400], hits[400:])]
    alone = spread("accuracy_difference", {"accuracy": halves}).interval
    together = spread("accuracy_difference", {"accuracy": halves}, [codes, codes]).interval
    assert together.high > alone.high + 0.1
    assert together.method == "pairwise influence"


def test_the_limits_of_a_ratio_put_a_limit_of_the_difference_at_zero():
    groups = Limits(
        value=np.array([0.3, 0.5]), low=np.array([0.2, 0.4]), high=np.array([0.42, 0.6])
    )
    found = ratios(groups)
    for ratio, which in ((found.low[0, 1], "low"), (found.high[0, 1], "high")):
        scale = np.array([1.0, ratio])
        scaled = Limits(
            value=groups.value * scale, low=groups.low * scale, high=groups.high * scale
        )
        limit = getattr(differences(scaled), which)[0, 1]
        assert limit == pytest.approx(0.0, abs=1e-12)


def test_a_ratio_to_nothing_is_never_the_smallest():
    groups = Limits(value=np.zeros(2), low=np.zeros(2), high=np.array([0.1, 0.2]))
    found = ratios(groups)
    assert (found.value[0, 1], found.low[0, 1], found.high[0, 1]) == (math.inf, 0.0, math.inf)
    moved = moved_ratios(groups, np.zeros(2), np.zeros(2))
    assert (moved.low[0, 1], moved.high[0, 1]) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        # Newcombe 1998, table I, method 5 (Clopper-Pearson).
        ((81, 263), (0.2527, 0.3676)),
        ((15, 148), (0.0578, 0.1617)),
        ((0, 20), (0.0, 0.1684)),
        ((1, 29), (0.0009, 0.1776)),
        ((20, 20), (0.8316, 1.0)),
    ],
)
def test_clopper_pearson_is_the_published_interval(counts, expected):
    assert clopper_pearson(*counts, confidence=0.95) == pytest.approx(expected, abs=5e-5)


# --- the change ------------------------------------------------------------------------------


def changed(name, before, after, clusters=None, confidence=0.95):
    codes = clusters or [None] * len(next(iter(before.values())))
    sides = [spread(name, rates, codes, confidence) for rates in (before, after)]
    moved = gap_changes(named(name).spread, before, after, codes, confidence=confidence)
    return sides[1].value - sides[0].value, change_interval(*sides, moved)


def two_models(cells):
    """Return the accuracies by group of two models from (both, first, second, neither) right."""
    models = []
    for right in ((1, 1, 0, 0), (1, 0, 1, 0)):
        hits = [np.repeat(np.array(right, dtype=bool), group) for group in cells]
        models.append({"accuracy": [of_rate(h, h | ~h, when_empty="") for h in hits]})
    return models


def test_the_change_of_one_gap_is_mover_of_tango():
    before, after = two_models([(80, 2, 6, 12), (60, 9, 1, 30)])
    delta, interval = changed("accuracy_difference", before, after)
    # The groups' own changes: 6 rows won and 2 lost of 100, and 1 won and 9 lost.
    low, high = tango(2, 6, 100, confidence=0.95)
    other_low, other_high = tango(9, 1, 100, confidence=0.95)
    expected = (
        0.12 - math.hypot(0.04 - low, other_high + 0.08),
        0.12 + math.hypot(high - 0.04, -0.08 - other_low),
    )
    assert delta == pytest.approx(0.12)
    assert ends(interval) == pytest.approx(expected, abs=1e-12)
    assert interval.method == "paired mover"


def test_a_gap_that_is_new_is_found_though_another_was_the_widest():
    before, after = two_models([(900, 0, 0, 100), (850, 0, 0, 150), (600, 290, 0, 110)])
    delta, interval = changed("accuracy_difference", before, after)
    assert delta == pytest.approx(0.25)
    assert interval.low > 0.15


@pytest.mark.parametrize("kind", ["difference", "ratio"])
def test_a_gap_that_closed_is_no_rise(kind):
    before, after = two_models([(950, 0, 0, 50), (700, 0, 250, 50)])
    delta, interval = changed(f"accuracy_{kind}", before, after)
    assert abs(delta) == pytest.approx({"difference": 0.25, "ratio": 0.25 / 0.95}[kind])
    assert max(delta * interval.low, delta * interval.high) > 0.0
    assert min(abs(interval.low), abs(interval.high)) > 0.15


def test_a_gap_that_turned_over_may_have_been_so_before():
    """The gap of .01 was noise, and may have been of -.01 or more: then .03 is no rise of .02."""
    before, after = two_models([(80, 1, 6, 13), (80, 0, 2, 18)])
    assert changed("accuracy_difference", before, after)[1].low < -0.05


@pytest.mark.parametrize("kind", KINDS)
def test_no_discordant_row_is_no_certainty(kind):
    before, after = two_models([(90, 0, 0, 10), (80, 0, 0, 20), (50, 0, 0, 0)])
    delta, interval = changed(f"accuracy_{kind}", before, after)
    assert delta == 0.0
    assert interval.low < 0.0 < interval.high


def test_groups_whose_scores_did_not_move_are_no_certainty():
    rng = np.random.default_rng(6)
    low, middle, high = (rng.random(50) + shift for shift in (0.0, 1.0, 2.0))
    before = {"log_loss": [of_mean(x) for x in (low, middle, high)]}
    after = {"log_loss": [of_mean(x) for x in (low, middle + 1e-3 * rng.random(50), high)]}
    assert changed("log_loss_difference", before, after)[1] is None


def test_the_change_of_a_ratio_counts_both_sides():
    before, after = two_models([(80, 2, 6, 12), (60, 9, 1, 30)])
    delta, interval = changed("accuracy_ratio", before, after)
    assert delta == pytest.approx(0.61 / 0.86 - 0.69 / 0.82)
    assert interval.low < delta < interval.high < 0.0


def test_rows_that_belong_together_widen_the_change():
    cells = [(160, 10, 20, 10), (120, 30, 10, 40)]
    before, after = two_models(cells)
    codes = np.arange(200) // 10
    alone = changed("accuracy_difference", before, after)[1]
    together = changed("accuracy_difference", before, after, [codes, codes])[1]
    assert together.high - together.low > 1.2 * (alone.high - alone.low)


# --- error rates, simulated ------------------------------------------------------------------

SAMPLES = 400
# Three standard errors of a simulated share near .95, and near .025.
SLACK_COVER = 3 * math.sqrt(0.95 * 0.05 / SAMPLES)
SLACK_FAIL = 3 * math.sqrt(0.025 * 0.975 / SAMPLES)


def truth(kind, rates):
    return {
        "difference": max(rates) - min(rates),
        "ratio": min(rates) / max(rates),
        "group_min": min(rates),
        "group_max": max(rates),
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rates", "size"),
    [
        ([0.3] * 2, 100),
        ([0.3] * 5, 100),
        ([0.9] * 10, 200),
        ([0.99] * 10, 200),
        ([0.9, 0.85, 0.8, 0.75, 0.7], 100),
        ([0.95, 0.8], 50),
    ],
)
def test_the_interval_covers_the_true_disparity(kind, rates, size):
    rng = np.random.default_rng(11)
    true = truth(kind, rates)
    covered = 0
    for hits in rng.binomial(size, rates, size=(SAMPLES, len(rates))):
        interval = of_counts(f"accuracy_{kind}", *((int(h), size) for h in hits)).interval
        covered += interval.low - 1e-12 <= true <= interval.high + 1e-12
    assert covered / SAMPLES >= 0.95 - SLACK_COVER


def changes(before, after, discordant, size, kind="difference"):
    """Yield the interval of the change in samples of two models with these true rates by group."""
    rng = np.random.default_rng(12)
    shares = [
        (b - (d + b - a) / 2, (d + b - a) / 2, (d - b + a) / 2, 1 - b - (d - b + a) / 2)
        for b, a, d in zip(before, after, discordant, strict=True)
    ]
    samples = np.stack([rng.multinomial(size, share, size=SAMPLES) for share in shares], axis=1)
    for cells in samples:
        yield changed(f"accuracy_{kind}", *two_models(cells))[1]


@pytest.mark.parametrize(
    ("kind", "rate", "discordant", "groups", "size"),
    [
        ("difference", 0.3, 0.06, 2, 200),
        ("difference", 0.9, 0.02, 5, 200),
        ("difference", 0.9, 0.08, 5, 50),
        ("difference", 0.99, 0.008, 5, 200),
        ("difference", 0.02, 0.01, 2, 1000),
        ("ratio", 0.3, 0.06, 2, 200),
        ("ratio", 0.9, 0.02, 3, 200),
        ("group_min", 0.9, 0.08, 3, 200),
    ],
)
def test_equal_models_rarely_fail(kind, rate, discordant, groups, size):
    found = changes([rate] * groups, [rate] * groups, [discordant] * groups, size, kind)
    fails = [i.low > 0.0 if kind == "difference" else i.high < 0.0 for i in found]
    assert sum(fails) / SAMPLES <= 0.025 + SLACK_FAIL


@pytest.mark.parametrize("groups", [2, 4])
def test_a_gap_that_turned_over_rarely_fails(groups):
    before, after = [0.85] + [0.9] * (groups - 1), [0.9] + [0.85] * (groups - 1)
    fails = [i.low > 0.0 for i in changes(before, after, [0.055] * groups, 300)]
    assert sum(fails) / SAMPLES <= 0.025 + SLACK_FAIL


def test_level_groups_that_all_fall_alike_rarely_fail():
    """A paired bootstrap fails a third of these: both models are level, the second is noisier."""
    fails = [i.low > 0.0 for i in changes([0.99] * 5, [0.94] * 5, [0.051] * 5, 200)]
    assert sum(fails) / SAMPLES <= 0.025 + SLACK_FAIL


@pytest.mark.parametrize(
    ("before", "after", "false_pass"),
    [
        ([0.9, 0.8], [0.9, 0.75], 0.025),
        ([0.9] * 5, [0.9] * 4 + [0.85], 0.025),
        # Level groups: two bounds, and either may err.
        ([0.9] * 2, [0.9, 0.85], 0.05),
    ],
)
def test_a_true_rise_beyond_the_limit_rarely_passes(before, after, false_pass):
    discordant = [0.02 + b - a for b, a in zip(before, after, strict=True)]
    found = list(changes(before, after, discordant, 500))
    assert sum(i.high < 0.05 for i in found) / SAMPLES <= false_pass + SLACK_FAIL
    assert sum(i.low > 0.05 for i in found) / SAMPLES <= 0.025 + SLACK_FAIL


@pytest.mark.parametrize(
    ("before", "after", "power"),
    [
        ([0.9, 0.8], [0.9, 0.75], 0.95),
        ([0.9, 0.9, 0.9, 0.9, 0.8], [0.9, 0.9, 0.9, 0.9, 0.75], 0.95),
        # Another group falls behind: only the models' own bounds see that, and see less.
        ([0.99, 0.99, 0.94], [0.99, 0.89, 0.94], 0.4),
        ([0.99, 0.99, 0.94], [0.99, 0.84, 0.94], 0.9),
    ],
)
def test_a_true_rise_is_found(before, after, power):
    discordant = [0.01 + b - a for b, a in zip(before, after, strict=True)]
    found = list(changes(before, after, discordant, 1000))
    assert sum(i.low > 0.0 for i in found) / SAMPLES >= power


# --- from evidence to numbers ----------------------------------------------------------------


def parted(candidate, baseline, group, *, record=True):
    evidence = Evidence(
        root=Path(),
        task=Task.BINARY,
        policy=Policy(),
        data=Data(id="id", label="y"),
        engine=None,
        evaluation=None,
        joined=SimpleNamespace(rows=len(candidate)),
        classes=("0", "1"),
        candidate=candidate,
        candidate_digest="",
        data_columns=(),
        baseline=baseline,
        record=SimpleNamespace(content=SimpleNamespace(metrics={})) if record else None,
    )
    parts = tuple(
        Slice(values={"sex": str(code)}, index=np.flatnonzero(group == code))
        for code in np.unique(group)
    )
    return Parted(evidence=evidence, columns=("sex",), parts=parts)


def with_predictions(rows, prediction):
    return replace(rows, prediction=prediction, score=None)


def test_numbers_of_a_disparity_and_of_its_change():
    candidate, group = data(n=900)
    baseline = with_predictions(candidate, np.where(group == 1, 1, candidate.prediction))
    numbers = parted(candidate, baseline, group).disparity(named("equalized_odds_ratio"), 1.0)
    own, change = numbers[False], numbers[True]
    assert (own.n, change.n) == (900, 900)
    assert own.candidate == change.candidate
    assert (
        own.baseline == change.baseline == fairlearn_value("equalized_odds_ratio", baseline, group)
    )
    assert own.interval.low < own.candidate < own.interval.high
    assert change.interval.low <= change.candidate - change.baseline <= change.interval.high
    assert (own.problem, change.problem) == (None, None)


def test_only_the_same_model_has_a_change_without_width():
    candidate, group = data()
    same = parted(candidate, candidate, group).disparity(named("accuracy_difference"), 1.0)
    assert (ends(same[True].interval), same[True].interval.method) == ((0.0, 0.0), "identical")
    other = candidate.prediction.copy()
    other[0] = 1 - other[0]
    changed_row = parted(candidate, with_predictions(candidate, other), group)
    interval = changed_row.disparity(named("accuracy_difference"), 1.0)[True].interval
    assert interval.low < interval.high


NONE = "0 in every group"


@pytest.mark.parametrize(
    ("name", "candidate", "baseline", "own", "change"),
    [
        ("demographic_parity_ratio", 0, 1, NONE, NONE),
        ("demographic_parity_ratio", 1, 0, None, f"Under the baseline: selection_rate is {NONE}"),
        ("precision_difference", 0, 1, "undefined in 2 of 2 groups", "undefined in 2 of 2"),
        ("precision_difference", 1, 0, None, "Under the baseline: precision is undefined"),
        ("mcc_group_min", 1, 1, "mcc is undefined", "mcc is undefined"),
    ],
)
def test_what_is_undefined_is_a_problem_in_words(name, candidate, baseline, own, change):
    label = np.arange(80) % 2
    group = np.arange(80) // 40
    models = [
        Rows(label=label, prediction=np.full(80, predicted)) for predicted in (candidate, baseline)
    ]
    numbers = parted(*models, group).disparity(named(name), 1.0)
    for found, expected in ((numbers[False], own), (numbers[True], change)):
        assert (found.problem is None) is (expected is None)
        assert (expected or "") in (found.problem or "")
    assert numbers[True].interval is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_groups_are_a_problem(count):
    rows, group = data(n=100, groups=2)
    few = replace(parts := parted(rows, rows, group), parts=parts.parts[:count])
    numbers = few.disparity(named("accuracy_group_min"), 1.0)
    assert f"{count} group(s)" in numbers[False].problem
    assert f"{count} group(s)" in numbers[True].problem


def test_a_baseline_without_rows_or_without_record():
    rows, group = data()
    found = named("accuracy_difference")
    elsewhere = parted(rows, None, group).disparity(found, 1.0)
    assert "its rows are not these" in elsewhere[True].problem
    assert elsewhere[False].problem is None
    nothing = parted(rows, None, group, record=False).disparity(found, 1.0)
    assert nothing[True].skip
    assert nothing[True].candidate == nothing[False].candidate


def test_another_number_than_fairlearns_is_our_bug():
    rows, group = data()
    with pytest.raises(GatesError, match="Fairlearn says") as caught:
        parted(rows, rows, group)._agree(named("accuracy_difference"), 0.5, "candidate", 1.0)
    assert caught.value.exit_code == 70


def test_group_rates_withhold_small_groups():
    rows, _ = data(n=300)
    group = np.repeat([0, 1, 2], [270, 25, 5])
    listed = list(group_rates(parted(rows, rows, group), ("accuracy",), 50))
    assert [one.n for one in listed] == [270, 25, None]
    assert listed[1].note == "fewer than 50 rows: not judged"
    assert (listed[2].candidate, listed[2].baseline) == (None, None)
    large = parted(rows, rows, group).of_size(50)
    assert (large.rows, large.place, large.family.value) == (270, "sex", "overall")
