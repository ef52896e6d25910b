"""What a check can decide, by hand, against what then happens, and in words."""

import numpy as np
import pytest

from gates.decide import settle
from gates.power.advice import advice, proposed, together
from gates.power.answer import Basis, Standing
from gates.power.decidable import Asked, decidable
from gates.report import Check, Decide, Family, GateResult, Verb
from gates.stats.arrays import Bools
from gates.stats.catalogue import disparity
from gates.stats.disparity import spreading
from gates.stats.disparity_change import change_interval, gap_changes
from gates.stats.intervals import paired
from gates.stats.measured import of_mean, of_rate
from gates.stats.power import Aim, arm_of, gap_arm, smallest_margin, variance_of

# 0.8 is passed 0.841621 standard errors beyond an arm of 1.959964.
STRETCH = 1 + 0.8416212 / 1.959964
NO_CHANGE = {"delta": 0.0, "baseline": 0.8, "candidate": 0.8, "interval": (-0.02, 0.02)}


def check(verb=Verb.MAX_DROP, bound=0.01, metric="accuracy", n=1000, at="", **numbers):
    return Check(
        id=f"performance/{metric}:{verb.value}{at}",
        metric=metric,
        interval_of="delta" if verb.needs_baseline else "candidate",
        confidence=0.95,
        n=n,
        limit={verb: bound},
        **({"method": "tango"} | NO_CHANGE | numbers),
    )


AS_USUAL = Asked()


def settled(made):
    return settle(GateResult(gate="performance", checks=(made,))).checks[0]


def found(*arguments, asked=AS_USUAL, questions=1, **numbers):
    made = check(*arguments, **numbers)
    return decidable(made, asked, basis=Basis.MEASURED, questions=questions)


# --- by hand -------------------------------------------------------------------------------------


def test_a_limit_on_change_must_be_an_arm_and_the_powers_share_of_it_wide():
    one = found()
    assert one.standing is Standing.CANNOT
    assert one.smallest_margin == one.smallest_limit == pytest.approx(0.02 * STRETCH)
    assert one.rows_needed == pytest.approx(1000 * (2 * STRETCH) ** 2, abs=1)
    # The limit is half an arm away: Φ(1.959964 · (0.5 - 1)).
    assert one.chance == pytest.approx(0.1635, abs=1e-4)
    assert one.fails_from == pytest.approx(0.01 + 0.02 * STRETCH)


@pytest.mark.parametrize("verb", [Verb.MAX_DROP, Verb.MAX_RISE, Verb.MAX_RATIO])
def test_a_run_names_the_same_limit_for_a_check_that_it_cannot_decide(verb):
    bound = 1.01 if verb is Verb.MAX_RATIO else 0.01
    for arguments, numbers in [((verb, bound), {}), ((Verb.MIN, 0.79), {"interval": (0.78, 0.82)})]:
        told, expected = settled(check(*arguments, **numbers)), found(*arguments, **numbers)
        assert told.smallest_limit == expected.smallest_limit
        assert told.n_needed == pytest.approx(expected.rows_needed, abs=1)


@pytest.mark.parametrize("verb", [Verb.MAX_DROP, Verb.MAX_RISE, Verb.MAX_DROP_FROM_ANCHOR])
def test_the_arm_is_that_on_the_limits_side_whichever_way_is_worse(verb):
    """A candidate's own change is beside the question; how wide it is known is not."""
    sign = 1 if verb is Verb.MAX_RISE else -1
    ends = tuple(sorted((0.1 * sign - 0.01 * sign, 0.1 * sign + 0.02 * sign)))
    one = found(verb, 0.03, delta=0.1 * sign, interval=ends)
    assert one.standing is Standing.DECIDES
    assert one.smallest_limit == pytest.approx(0.02 * STRETCH)
    assert one.fails_from == pytest.approx(0.03 + 0.01 * STRETCH)
    assert (one.rows_needed, advice(one)) == (None, None)


def test_a_drop_that_is_to_pass_takes_its_place_within_the_limit():
    one = found(bound=0.05, asked=Asked(drop=0.03))
    assert one.smallest_limit == pytest.approx(0.03 + 0.02 * STRETCH)
    assert one.rows_needed == pytest.approx(1000 * STRETCH**2, abs=1)


@pytest.mark.parametrize(("bound", "drop"), [(0.0, 0.0), (0.02, 0.02), (0.01, 0.02)])
def test_no_number_of_rows_decides_a_limit_that_the_truth_is_not_within(bound, drop):
    one = found(bound=bound, asked=Asked(drop=drop))
    assert one.standing is Standing.CANNOT
    assert one.rows_needed is None
    assert "rows" not in advice(one)
    assert advice(one).startswith("widen `max_drop` to 0.0")


def test_a_ratio_is_a_share_of_the_baselines_value():
    one = found(Verb.MAX_RATIO, 1.02, "mae", baseline=0.5, candidate=0.5)
    assert one.smallest_margin == pytest.approx(0.02 * STRETCH)
    assert one.smallest_limit == pytest.approx(1 + 0.04 * STRETCH)
    assert one.fails_from == pytest.approx(1.02 + 0.04 * STRETCH)
    assert proposed(one) == 1.058


def test_a_floor_wants_todays_value_to_be_away_from_it():
    numbers = {"candidate": 0.8, "interval": (0.77, 0.82)}
    near = found(Verb.MIN, 0.78, **numbers)
    assert near.standing is Standing.CANNOT
    assert near.smallest_margin == pytest.approx(0.03 * STRETCH)
    assert near.smallest_limit == pytest.approx(0.8 - 0.03 * STRETCH)
    assert near.fails_from == pytest.approx(0.78 - 0.02 * STRETCH)
    assert near.rows_needed == pytest.approx(1000 * (1.5 * STRETCH) ** 2, abs=1)
    assert proposed(near) == 0.757
    far = found(Verb.MIN, 0.7, **numbers)
    assert far.standing is Standing.DECIDES


def test_a_value_far_beyond_a_limit_is_decided_too():
    numbers = {"candidate": 0.8, "interval": (0.77, 0.82)}
    assert found(Verb.MIN, 0.84, **numbers).standing is Standing.DECIDES
    near = found(Verb.MIN, 0.82, **numbers)
    assert near.standing is Standing.CANNOT
    # A fail is told by the other arm.
    assert near.rows_needed == pytest.approx(1000 * STRETCH**2, abs=1)
    assert found(Verb.MAX, 0.75, "brier", **numbers).standing is Standing.DECIDES


def test_a_fail_must_survive_the_correction_and_a_pass_need_not():
    alone, among = found(), found(questions=20)
    assert among.smallest_limit == alone.smallest_limit
    # 0.05 / 20, two-sided: 3.0233 standard errors where one question takes 1.96.
    assert among.fails_from == pytest.approx(0.01 + 0.02 * (3.0233 + 0.8416) / 1.959964, abs=1e-5)


def test_a_limit_that_the_metric_can_not_reach_is_none():
    wide = found(interval=(-0.8, 0.8))
    assert (wide.smallest_limit, wide.fails_from) == (None, None)
    assert advice(wide).startswith("collect rows")
    floor = found(Verb.MIN, 0.1, candidate=0.2, interval=(0.0, 0.4))
    assert floor.smallest_limit is None


def test_a_lopsided_disparity_is_no_surer_than_it_is_wide():
    one = found(Verb.MAX_RISE, 0.1, "selection_rate_difference", delta=0.02, interval=(-0.06, 0.02))
    assert one.approximate
    assert one.smallest_limit == pytest.approx(0.04 * STRETCH)


@pytest.mark.parametrize(
    ("numbers", "standing", "reason"),
    [
        ({"problem": "recall is undefined"}, Standing.UNKNOWN, "recall is undefined"),
        ({"interval": None}, Standing.UNKNOWN, "these rows give no interval"),
        ({"n": 0}, Standing.UNKNOWN, "these rows give no interval"),
        ({"delta": None}, Standing.UNKNOWN, "there is no number"),
        ({"delta": None, "decide": Decide.POINT}, Standing.POINT, "by a count"),
        ({"interval": None, "decide": Decide.POINT}, Standing.POINT, "by the plain number"),
        ({"problem": "gone", "decide": Decide.POINT}, Standing.UNKNOWN, "gone"),
    ],
)
def test_what_rests_on_no_interval_says_why(numbers, standing, reason):
    one = found(**numbers)
    assert (one.standing, one.smallest_limit) == (standing, None)
    assert reason in one.reason


def test_a_ratio_to_nothing_decides_nothing():
    assert found(Verb.MAX_RATIO, 1.1, "mae", baseline=0.0).standing is Standing.UNKNOWN


def test_a_plain_number_is_right_by_chance():
    """An unchanged candidate passes a limit of one standard error five times of six."""
    one = found(bound=0.02 / 1.959964, decide=Decide.POINT)
    assert one.standing is Standing.POINT
    assert one.chance == pytest.approx(0.8413, abs=1e-4)
    assert found(bound=0.0, decide=Decide.POINT).chance == 0.5


# --- against what happens ------------------------------------------------------------------------

DRAWS, ROWS, DISCORDANCE = 400, 1500, 0.08
EVERY: Bools = np.ones(ROWS, dtype=bool)


def models(rng, rows, drop=0.0):
    """Two models, right in 0.7 of the rows, that differ in DISCORDANCE of them."""
    draw, every = rng.random(rows), np.ones(rows, dtype=bool)
    lost = draw < (DISCORDANCE + drop) / 2
    won = ~lost & (draw < DISCORDANCE)
    both = draw > 0.3
    return of_rate(lost | both, every, when_empty=""), of_rate(won | both, every, when_empty="")


def change(base, cand, bound, n, clusters=None):
    interval = paired(base, cand, confidence=0.95, clusters=clusters)
    numbers = {"baseline": base.value, "candidate": cand.value, "delta": cand.value - base.value}
    return check(bound=bound, n=n, interval=(interval.low, interval.high), **numbers)


def passes(bound, rows, drop=0.0):
    rng = np.random.default_rng(3)
    drawn = [change(*models(rng, rows, drop), bound, rows) for _ in range(DRAWS)]
    return np.mean([one.interval[0] >= -bound for one in drawn])


def stated(bound, rows=ROWS, **asked):
    base, cand = models(np.random.default_rng(1), rows)
    one = change(base, cand, bound, rows)
    return decidable(one, Asked(**asked), basis=Basis.MEASURED)


@pytest.mark.parametrize(("power", "drop"), [(0.8, 0.0), (0.9, 0.0), (0.8, 0.01)])
def test_at_the_smallest_limit_as_many_pass_as_stated(power, drop):
    one = stated(0.01, power=power, drop=drop)
    assert passes(one.smallest_limit, ROWS, drop) == pytest.approx(power, abs=0.06)


def test_at_half_of_it_far_fewer_do_and_that_is_stated_too():
    half = stated(0.01).smallest_limit / 2
    assert passes(half, ROWS) == pytest.approx(stated(half).chance, abs=0.06)
    assert stated(half).chance < 0.35


def test_at_the_rows_needed_the_limit_is_decided():
    few = stated(0.015)
    assert few.standing is Standing.CANNOT
    enough = few.rows_needed
    assert passes(0.015, enough) == pytest.approx(0.8, abs=0.06)
    assert stated(0.015, 2 * enough).standing is Standing.DECIDES


def test_a_true_drop_as_large_as_stated_is_found_as_a_fail():
    one = stated(0.01)
    rng = np.random.default_rng(3)
    drawn = [change(*models(rng, ROWS, one.fails_from), 0.01, ROWS) for _ in range(DRAWS)]
    failed = np.mean([d.interval[1] < -0.01 for d in drawn])
    assert failed == pytest.approx(0.8, abs=0.06)


def test_rows_that_belong_together_decide_less():
    base, cand = (of_mean(v) for v in np.random.default_rng(2).normal(size=(2, 600)))
    clusters = np.repeat(np.arange(200), 3)
    together_, apart = (
        [of_mean(np.repeat(m.influence[:200], 3)) for m in (base, cand)],
        (base, cand),
    )
    wide = change(*together_, 0.1, 600, clusters)
    narrow = change(*apart, 0.1, 600)
    wide, narrow = (decidable(c, Asked(), basis=Basis.MEASURED) for c in (wide, narrow))
    assert wide.smallest_limit == pytest.approx(3**0.5 * narrow.smallest_limit, rel=0.15)


KIND = disparity("selection_rate_difference")
AIM = Aim(confidence=0.95)


def group(rng, rate, rows, discordance=0.1):
    base, draw = rng.random(rows) < rate, rng.random(rows)
    lost, won = discordance / 2 / rate, discordance / 2 / (1 - rate)
    cand, every = np.where(base, draw >= lost, draw < won), np.ones(rows, dtype=bool)
    return of_rate(base, every, when_empty=""), of_rate(cand, every, when_empty="")


def rise(groups):
    none = [None] * len(groups)
    base, cand = ({"selection_rate": list(model)} for model in zip(*groups, strict=True))
    before, after = (spreading(KIND, m, none, confidence=0.95) for m in (base, cand))
    changes = gap_changes(KIND.spread, base, cand, none, confidence=0.95)
    return change_interval(before, after, changes), after.value - before.value


@pytest.mark.parametrize("rates", [(0.3, 0.5), (0.3, 0.3, 0.3), (0.3, 0.35, 0.3, 0.3, 0.3)])
def test_the_margins_of_a_disparity_are_on_the_safe_side(rates):
    """Measured and assumed: level groups are passed more often than stated, never far less."""
    rng, n = np.random.default_rng(1), 400
    drawn = [rise([group(rng, rate, n) for rate in rates]) for _ in range(150)]
    highs = np.array([interval.high for interval, _ in drawn])
    numbers = {"baseline": 0.2, "candidate": 0.2, "n": n * len(rates)}
    measured = np.median(
        [
            decidable(
                check(Verb.MAX_RISE, 0.05, KIND.name, delta=d, interval=(i.low, i.high), **numbers),
                Asked(),
                basis=Basis.MEASURED,
            ).smallest_limit
            for i, d in drawn
        ]
    )
    arm = gap_arm([arm_of(0.1, n, 0.95)] * len(rates), AIM)
    assumed = smallest_margin(variance_of(arm, n, 0.95), n, AIM)
    assert np.mean(highs <= measured) >= 0.75
    assert 0.75 <= np.mean(highs <= assumed) <= 0.95


# --- in words ------------------------------------------------------------------------------------


def in_slice(place, **numbers):
    return found(at=f"@{place}", family=Family.SLICES, **numbers)


def test_advice_for_one_check():
    assert advice(found()) == (
        "widen `max_drop` to 0.029, or collect rows (8,200 in place of 1,000)"
    )
    assert advice(in_slice("a=b")) == (
        "widen `max_drop` in slices to 0.029, or collect rows (8,200 in place of 1,000), or merge slices"
    )
    floor = found(Verb.MIN, 0.78, candidate=0.8, interval=(0.77, 0.82))
    assert advice(floor).startswith("lower `min` to 0.757, or collect rows")
    ceiling = found(Verb.MAX, 0.21, "brier", candidate=0.2, interval=(0.18, 0.23))
    assert advice(ceiling).startswith("raise `max` to 0.243, or")
    assert advice(found(interval=None)) == "collect rows here, or leave it out"


def test_advice_for_a_group_names_the_option():
    one = found(Verb.MAX_DROP_ANY_GROUP, 0.01, at="@sex=f", family=Family.SLICES)
    assert advice(one.model_copy(update={"gate": "fairness"})).endswith("a higher `min_group`")


def test_advice_for_many_slices_is_one_sentence():
    checks = [in_slice("a=b"), in_slice("a=c", interval=(-0.04, 0.04))]
    assert together(checks) == (
        "widen `max_drop` in slices to 0.058, or collect rows (33 times as many decide all of them), or merge slices"
    )
    assert "widen" not in together([*checks, in_slice("a=d", interval=(-0.9, 0.9))])
    assert "collect" not in together([in_slice("a=b", bound=0.0), in_slice("a=c", bound=0.0)])
