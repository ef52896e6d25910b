"""From numbers, limits and policy to verdicts: tables by hand, and what must hold for any numbers."""

import json
from math import sqrt
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gates.decide import blocked, crashed, effect, holm, settle, threshold, verdict_of
from gates.errors import InputError
from gates.report import Check, Effect, ErrorInfo, GateResult, Mode, ModelReport, Verb, Verdict
from reporters.render.figures import roughly

CASES = Path(__file__).parents[1] / "statcases"
ABSOLUTE = {Verb.MIN, Verb.MAX}
LOWER = {verb for verb in Verb if verb is Verb.MIN or "drop" in verb.value}

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
ERROR, SKIPPED = Verdict.ERROR, Verdict.SKIPPED


def asked(verb, bound, value=None, interval=None, metric="recall", **fields):
    """A measured check; `value` is the candidate's for min and max, and the change for the rest."""
    judged = "candidate" if verb in ABSOLUTE else "delta"
    measured = {"confidence": 0.95, "method": "wilson", "n": 1000, judged: value}
    return Check(
        id=f"performance/recall:{verb.value}",
        metric=metric,
        interval=interval,
        interval_of=judged,
        limit={verb: bound},
        **measured | fields,
    )


def decided(*checks):
    return settle(GateResult(gate="performance", checks=checks)).checks


def decide(*args, **fields):
    (check,) = decided(asked(*args, **fields))
    return check


def model(*gates, **fields):
    return ModelReport(model="m", task="binary", verdict=ERROR, gates=gates, **fields)


def gate(*checks, **fields):
    return settle(GateResult(gate="performance", checks=checks, **fields))


# --- one check at a time ------------------------------------------------------------------------

# verb, limit, value, interval, verdict by the interval, verdict by the point
TABLE = [
    ("min", 0.80, 0.85, (0.82, 0.88), PASS, PASS),
    ("min", 0.80, 0.75, (0.72, 0.78), FAIL, FAIL),
    ("min", 0.80, 0.81, (0.78, 0.84), INCONCLUSIVE, PASS),
    ("min", 0.80, 0.79, (0.76, 0.82), INCONCLUSIVE, FAIL),
    ("min", 0.80, 0.82, (0.80, 0.84), PASS, PASS),  # the interval ends at the limit: within
    ("min", 0.80, 0.78, (0.76, 0.80), INCONCLUSIVE, FAIL),  # not wholly beyond
    ("min", 0.80, 0.80, (0.80, 0.80), PASS, PASS),
    ("max", 0.10, 0.05, (0.03, 0.07), PASS, PASS),
    ("max", 0.10, 0.15, (0.12, 0.18), FAIL, FAIL),
    ("max", 0.10, 0.09, (0.07, 0.11), INCONCLUSIVE, PASS),
    ("max", 0.10, 0.11, (0.09, 0.13), INCONCLUSIVE, FAIL),
    ("max", 0.10, 0.08, (0.06, 0.10), PASS, PASS),
    ("max", 0.10, 0.12, (0.10, 0.14), INCONCLUSIVE, FAIL),
    ("max", 0.10, 0.10, (0.10, 0.10), PASS, PASS),
    ("max_drop", 0.01, 0.02, (0.01, 0.03), PASS, PASS),
    ("max_drop", 0.01, -0.005, (-0.009, -0.001), PASS, PASS),  # a drop, and a small one
    ("max_drop", 0.01, -0.018, (-0.026, -0.0101), FAIL, FAIL),
    ("max_drop", 0.01, -0.005, (-0.015, 0.005), INCONCLUSIVE, PASS),
    ("max_drop", 0.01, -0.015, (-0.025, -0.005), INCONCLUSIVE, FAIL),
    ("max_drop", 0.01, -0.005, (-0.01, 0.0), PASS, PASS),
    ("max_drop", 0.01, -0.015, (-0.02, -0.01), INCONCLUSIVE, FAIL),
    ("max_drop", 0.01, -0.01, (-0.01, -0.01), PASS, PASS),
    ("max_drop", 0.0, 0.0, (0.0, 0.0), PASS, PASS),  # the same predictions
    ("max_rise", 0.01, -0.02, (-0.03, -0.01), PASS, PASS),
    ("max_rise", 0.01, 0.005, (0.001, 0.009), PASS, PASS),
    ("max_rise", 0.01, 0.018, (0.0101, 0.026), FAIL, FAIL),
    ("max_rise", 0.01, 0.005, (-0.005, 0.015), INCONCLUSIVE, PASS),
    ("max_rise", 0.01, 0.015, (0.005, 0.025), INCONCLUSIVE, FAIL),
    ("max_rise", 0.01, 0.005, (0.0, 0.01), PASS, PASS),
    ("max_rise", 0.01, 0.015, (0.01, 0.02), INCONCLUSIVE, FAIL),
    ("max_rise", 0.0, 0.0, (0.0, 0.0), PASS, PASS),
    ("max_drop_any_group", 0.02, -0.01, (-0.015, -0.005), PASS, PASS),
    ("max_drop_any_group", 0.02, -0.05, (-0.07, -0.03), FAIL, FAIL),
    ("max_drop_any_group", 0.02, -0.02, (-0.04, 0.0), INCONCLUSIVE, PASS),
    ("max_rise_any_group", 0.02, 0.01, (0.005, 0.015), PASS, PASS),
    ("max_rise_any_group", 0.02, 0.05, (0.03, 0.07), FAIL, FAIL),
    ("max_rise_any_group", 0.02, 0.02, (0.0, 0.04), INCONCLUSIVE, PASS),
]


@pytest.mark.parametrize(("verb", "bound", "value", "interval", "verdict", "by_point"), TABLE)
def test_a_number_is_held_against_its_limit(verb, bound, value, interval, verdict, by_point):
    check = decide(Verb(verb), bound, value, interval)
    assert check.verdict is verdict
    assert "interval" in check.reason
    plain = decide(Verb(verb), bound, value, interval, decide="point")
    assert plain.verdict is by_point
    assert plain.p is None
    assert plain.p_adjusted is None


# limit, baseline, change, interval of the change, verdict
RATIOS = [
    (1.05, 0.40, 0.01, (0.005, 0.015), PASS),  # at most 0.02 more
    (1.05, 0.40, 0.03, (0.025, 0.035), FAIL),
    (1.05, 0.40, 0.02, (0.01, 0.03), INCONCLUSIVE),
    (1.5, 0.40, 0.10, (0.0, 0.20), PASS),  # 0.40 × 0.5: ends at the limit
    (1.0, 0.40, 0.01, (0.005, 0.015), FAIL),
    (0.5, 0.40, -0.30, (-0.35, -0.25), PASS),  # has to halve, and did
    (0.5, 0.40, -0.10, (-0.15, -0.05), FAIL),
]


@pytest.mark.parametrize(("bound", "baseline", "delta", "interval", "verdict"), RATIOS)
def test_a_ratio_is_held_as_a_change(bound, baseline, delta, interval, verdict):
    check = decide(Verb.MAX_RATIO, bound, delta, interval, baseline=baseline)
    assert check.verdict is verdict


@pytest.mark.parametrize("baseline", [0.0, -0.2, None])
@pytest.mark.parametrize(("family", "verdict"), [("overall", ERROR), ("slices", INCONCLUSIVE)])
def test_a_ratio_to_nothing_is_never_a_pass(baseline, family, verdict):
    check = decide(
        Verb.MAX_RATIO, 1.5, -0.1, (-0.2, -0.05), baseline=baseline, family=family, decide="point"
    )
    assert threshold(check) is None
    assert check.verdict is verdict
    assert check.reason == "The baseline is not above 0, so a ratio to it says nothing."


@pytest.mark.parametrize(
    ("family", "verdict"),
    [("overall", ERROR), ("slices", INCONCLUSIVE), ("intersections", INCONCLUSIVE)],
)
def test_what_can_not_be_measured_is_an_error_overall_and_undecided_in_a_part(family, verdict):
    problem = decide(Verb.MIN, 0.8, 0.9, (0.85, 0.95), problem="one class only", family=family)
    assert (problem.verdict, problem.reason) == (verdict, "one class only")
    nothing = decide(Verb.MIN, 0.8, family=family)
    assert nothing.verdict is verdict
    assert nothing.reason == "There is no number to hold against the limit."


def test_a_number_without_an_interval_is_undecided_unless_points_decide():
    check = decide(Verb.MIN, 0.8, 0.9)
    assert check.verdict is INCONCLUSIVE
    assert "`decide: point`" in check.reason
    assert decide(Verb.MIN, 0.8, 0.9, decide="point").verdict is PASS


def test_what_is_skipped_says_why():
    check = decide(Verb.MIN, 0.8, 0.1, (0.05, 0.15), skip=True, problem="no score column")
    assert (check.verdict, check.reason, check.effect) == (SKIPPED, "no score column", Effect.NONE)
    assert decide(Verb.MIN, 0.8, skip=True).reason == "Skipped by policy."


def test_only_the_judged_number_counts():
    change = asked(Verb.MAX_DROP, 0.01, 0.0, (-0.001, 0.001), candidate=0.0, baseline=0.0)
    own = asked(Verb.MIN, 0.5, 0.7, (0.6, 0.8), delta=-0.9, baseline=1.0)
    assert [check.verdict for check in decided(change, own)] == [PASS, PASS]


# --- policy --------------------------------------------------------------------------------------

NONE, WARN, BLOCK = Effect.NONE, Effect.WARN, Effect.BLOCK
EFFECTS = [
    # verdict, mode, on_inconclusive: warn, on_inconclusive: fail
    (SKIPPED, "enforce", NONE, NONE),
    (PASS, "enforce", NONE, NONE),
    (INCONCLUSIVE, "enforce", WARN, BLOCK),
    (FAIL, "enforce", BLOCK, BLOCK),
    (ERROR, "enforce", BLOCK, BLOCK),
    (SKIPPED, "warn", NONE, NONE),
    (PASS, "warn", NONE, NONE),
    (INCONCLUSIVE, "warn", WARN, WARN),
    (FAIL, "warn", WARN, WARN),
    (ERROR, "warn", WARN, WARN),
    (SKIPPED, "report", NONE, NONE),
    (PASS, "report", NONE, NONE),
    (INCONCLUSIVE, "report", NONE, NONE),
    (FAIL, "report", NONE, NONE),
    (ERROR, "report", NONE, NONE),
]


@pytest.mark.parametrize(("verdict", "mode", "lenient", "strict"), EFFECTS)
def test_policy_decides_on_the_effect(verdict, mode, lenient, strict):
    for on_inconclusive, expected in (("warn", lenient), ("fail", strict)):
        check = asked(Verb.MIN, 0.5, verdict=verdict, mode=mode, on_inconclusive=on_inconclusive)
        assert effect(check) is expected


@pytest.mark.parametrize("mode", ["enforce", "warn", "report"])
@pytest.mark.parametrize("on_inconclusive", ["warn", "fail"])
def test_policy_never_changes_the_verdict(mode, on_inconclusive):
    policy = {"mode": mode, "on_inconclusive": on_inconclusive}
    assert decide(Verb.MIN, 0.8, 0.75, (0.72, 0.78), **policy).verdict is FAIL
    assert decide(Verb.MIN, 0.8, 0.79, (0.76, 0.82), **policy).verdict is INCONCLUSIVE
    assert decide(Verb.MIN, 0.8, **policy).verdict is ERROR


def test_what_a_check_claims_of_itself_is_not_believed():
    forged = asked(Verb.MIN, 0.8, 0.1, (0.05, 0.15), verdict=PASS, effect=NONE, p=1.0)
    forged = forged.model_copy(update={"p_adjusted": 1.0, "reason": "fine"})
    (check,) = decided(forged)
    assert (check.verdict, check.effect) == (FAIL, BLOCK)
    assert check.p_adjusted < 0.05


def test_a_p_value_that_came_with_a_check_excuses_neither_it_nor_another():
    forged = {"p": 0.9, "p_adjusted": 0.9, "n_needed": 3, "smallest_limit": 0.1}
    forged |= {"family": "slices"}
    plain = asked(Verb.MIN, 0.8, 0.1, decide="point", **forged)
    unmeasured = [asked(Verb.MIN, 0.8, problem="one class only", **forged) for _ in range(9)]
    barely = asked(Verb.MIN, 0.8, 0.78, (0.761, 0.799), family="slices")
    checks = decided(plain, *unmeasured, barely)
    assert [check.verdict for check in checks] == [FAIL, *[INCONCLUSIVE] * 9, FAIL]
    for check in checks[:-1]:
        told = (check.p, check.p_adjusted, check.n_needed, check.smallest_limit)
        assert told == (None, None, None, None)


# --- Holm ----------------------------------------------------------------------------------------


def test_holm_is_that_of_the_textbook():
    case = json.loads((CASES / "14_multiplicity_bh1995.json").read_text())
    adjusted = holm(case["input"]["p"])
    assert adjusted == pytest.approx(case["expected"]["holm"], abs=case["tolerance"]["abs"])
    rejected = sum(p <= 0.05 for p in adjusted)
    assert rejected == case["expected"]["rejected_at_05"]["holm"]


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.04, 0.04], [0.08, 0.08]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_holm_by_hand(raw, adjusted):
    assert holm(raw) == pytest.approx(adjusted)


P_VALUES = st.lists(st.floats(0, 1), max_size=12)


@given(P_VALUES)
def test_holm_adjusts_upwards_and_keeps_the_order(raw):
    adjusted = holm(raw)
    assert all(p <= q <= 1.0 for p, q in zip(raw, adjusted, strict=True))
    by_raw = [q for _, q in sorted(zip(raw, adjusted, strict=True))]
    assert by_raw == sorted(by_raw)


@given(P_VALUES.flatmap(lambda raw: st.tuples(st.just(raw), st.permutations(range(len(raw))))))
def test_holm_does_not_depend_on_the_order_of_the_questions(case):
    raw, order = case
    assert holm([raw[i] for i in order]) == [holm(raw)[i] for i in order]


@given(P_VALUES, st.floats(0, 1))
def test_one_more_question_never_makes_another_more_certain(raw, more):
    assert all(p <= q for p, q in zip(holm(raw), holm([*raw, more]), strict=False))


# --- intervals and p-values --------------------------------------------------------------------

CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
ARMS = st.floats(1e-3, 1.0)


@st.composite
def measured(draw, **fields):
    """A check whose interval holds its value, with any verb on the change or on the value."""
    verb = draw(st.sampled_from([verb for verb in Verb if verb is not Verb.MAX_RATIO]))
    value = draw(st.floats(-1, 1))
    interval = (value - draw(ARMS), value + draw(ARMS))
    confidence = draw(CONFIDENCES)
    return asked(verb, draw(st.floats(-1, 1)), value, interval, confidence=confidence, **fields)


def beyond(check):
    """How far the whole interval is beyond the limit; negative where it is not."""
    limit = threshold(check)
    low, high = check.interval
    return limit - high if check.verb in LOWER else low - limit


@given(measured())
def test_the_p_value_agrees_with_the_interval(check):
    assume(abs(beyond(check)) > 1e-6)  # on the edge itself rounding may decide
    (result,) = decided(check)
    assert (result.p < 1 - check.confidence) is (beyond(check) > 0)
    assert (result.verdict is FAIL) is (beyond(check) > 0)


@given(measured())
def test_one_question_alone_is_not_corrected(check):
    (result,) = decided(check)
    assert result.p_adjusted == result.p
    assert (result.verdict is FAIL) is (beyond(check) > 0)


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_barely_beyond_is_beyond_when_it_is_the_only_question(confidence):
    check = decide(Verb.MAX, 0.0, 1.0, (1e-14, 2.0), confidence=confidence)
    assert check.verdict is FAIL


def test_a_normal_interval_has_the_p_value_of_the_z_test():
    error, value = 0.01, 0.03
    half = NormalDist().inv_cdf(0.975) * error
    check = decide(Verb.MAX_RISE, 0.0, value, (value - half, value + half))
    assert check.p == pytest.approx(2 * NormalDist().cdf(-value / error), rel=1e-9)


def test_a_lopsided_interval_is_read_by_the_arm_that_faces_the_limit():
    below = decide(Verb.MAX_RISE, 0.0, 0.02, (0.01, 0.20))
    above = decide(Verb.MAX_DROP, 0.0, -0.02, (-0.20, -0.01))
    assert below.verdict is above.verdict is FAIL
    assert below.p == above.p == pytest.approx(2 * NormalDist().cdf(-2 * 1.959963985), rel=1e-6)


def test_certainty_beyond_the_limit_fails_and_within_it_passes():
    beyond_it = decide(Verb.MIN, 0.8, 0.7, (0.7, 0.7))
    assert (beyond_it.verdict, beyond_it.p) == (FAIL, 0.0)
    within = decide(Verb.MIN, 0.8, 0.9, (0.9, 0.9))
    assert (within.verdict, within.p) == (PASS, 1.0)


# --- families ------------------------------------------------------------------------------------


def dropped(times, **fields):
    """A drop of `times` the length of the interval's arm, held against `max_drop: 0`."""
    return asked(
        Verb.MAX_DROP, 0.0, -0.01 * times, (-0.01 * times - 0.01, -0.01 * times + 0.01), **fields
    )


def test_a_slice_that_is_barely_beyond_is_not_held_against_many():
    barely = dropped(1.1, family="slices")  # p = 0.031
    fine = [dropped(-1.0, family="slices") for _ in range(9)]
    assert decided(barely)[0].verdict is FAIL
    check = decided(barely, *fine)[0]
    assert check.verdict is INCONCLUSIVE
    assert check.effect is WARN
    assert "one of 10 questions" in check.reason
    assert check.p_adjusted == pytest.approx(10 * check.p)


@pytest.mark.parametrize("questions", [2, 10, 50])
def test_with_the_rows_it_asks_for_a_finding_outlives_the_correction(questions):
    fine = [dropped(-1.0, family="slices") for _ in range(questions - 1)]
    check = decided(dropped(1.01, family="slices"), *fine)[0]
    assert check.verdict is INCONCLUSIVE
    assert f"About {roughly(check.n_needed)} rows would tell" in check.reason

    def with_rows(rows):
        arms = 1.01 * sqrt(rows / 1000)
        scale = 0.0101 / arms
        interval = (-0.0101 - scale, -0.0101 + scale)
        more = asked(Verb.MAX_DROP, 0.0, -0.0101, interval, family="slices", n=rows)
        return decided(more, *fine)[0].verdict

    assert with_rows(check.n_needed + 1) is FAIL
    assert with_rows(check.n_needed - 5) is INCONCLUSIVE


def test_a_slice_that_is_far_beyond_stays_a_fail_among_many():
    far, *rest = decided(
        dropped(2.0, family="slices"), *[dropped(-1.0, family="slices") for _ in range(99)]
    )
    assert far.verdict is FAIL
    assert far.p_adjusted == pytest.approx(100 * far.p)
    assert all(check.verdict is PASS for check in rest)


def test_families_are_corrected_apart():
    overall = dropped(1.1)
    slices = [dropped(1.1, family="slices"), *[dropped(-1, family="slices") for _ in range(9)]]
    crossed = [dropped(1.1, family="intersections"), dropped(-1, family="intersections")]
    checks = decided(overall, *slices, *crossed)
    assert checks[0].verdict is FAIL
    assert checks[0].p_adjusted == checks[0].p
    assert checks[1].verdict is INCONCLUSIVE
    assert checks[1].p_adjusted == pytest.approx(10 * checks[1].p)
    assert checks[11].p_adjusted == pytest.approx(2 * checks[11].p)
    assert checks[11].verdict is INCONCLUSIVE


def test_what_was_not_measured_is_no_question():
    barely = dropped(1.1, family="slices")
    silent = [
        asked(Verb.MAX_DROP, 0.0, family="slices", problem="one class only"),
        asked(Verb.MAX_DROP, 0.0, -0.5, (-0.6, -0.4), family="slices", skip=True),
        asked(Verb.MAX_DROP, 0.0, -0.5, family="slices", decide="point"),
        asked(Verb.MAX_DROP, 0.0, -0.5, family="slices"),
    ]
    check, *others = decided(barely, *silent)
    assert check.verdict is FAIL
    assert check.p_adjusted == check.p
    assert [other.p_adjusted for other in others] == [None] * 4
    assert others[2].verdict is FAIL, "a plain comparison is not corrected"


@given(st.lists(measured(family="slices"), min_size=1, max_size=8))
def test_a_correction_turns_a_fail_into_a_doubt_and_nothing_else(checks):
    together = decided(*checks)
    for alone, among in zip([decided(check)[0] for check in checks], together, strict=True):
        if alone.verdict is FAIL:
            assert among.verdict in (FAIL, INCONCLUSIVE)
        else:
            assert among.verdict is alone.verdict
        assert among.p == alone.p
        assert among.p_adjusted >= among.p


@given(st.lists(measured(family="slices"), min_size=2, max_size=6), st.randoms())
def test_verdicts_do_not_depend_on_the_order_of_the_checks(checks, random):
    order = random.sample(range(len(checks)), len(checks))
    shuffled = decided(*(checks[i] for i in order))
    assert [decided(*checks)[i] for i in order] == list(shuffled)


@given(st.lists(measured(family="slices"), min_size=1, max_size=6))
def test_settling_twice_changes_nothing(checks):
    once = gate(*checks)
    assert settle(once) == once


# --- how many rows would decide -----------------------------------------------------------------

# 0.8 is passed 0.841621 standard errors beyond an arm of 1.959964.
STRETCH = 1 + 0.8416212 / 1.959964


def test_a_value_next_to_its_limit_is_no_crash():
    for value in (5e-324, 1e-300, 1e-160, -1e-160, -5e-324):
        check = decide(Verb.MAX_RISE, 0.0, value, (-0.1, 0.1))
        assert (check.verdict, check.n_needed) == (INCONCLUSIVE, None)


@given(measured(), st.integers(1, 10**5))
def test_with_the_rows_it_asks_for_an_unchanged_candidate_passes(check, n):
    (result,) = decided(check.model_copy(update={"n": n}))
    if result.n_needed is None:
        return
    assert result.verdict is INCONCLUSIVE
    assert result.n_needed > n
    change = check.interval_of == "delta"
    value = check.delta if change else check.candidate
    low, high = check.interval

    def with_rows(rows, at):
        shrink = sqrt(n / rows)
        here = {"interval": (at - shrink * (value - low), at + shrink * (high - value)), "n": rows}
        return decided(check.model_copy(update=here | {check.interval_of: at}))[0].verdict

    # Four out of five: what the interval takes for granted, and 0.84 standard errors more.
    assert with_rows(result.n_needed + 1, 0.0 if change else value) in (PASS, FAIL)


def test_the_rows_are_those_that_decide_four_times_out_of_five():
    random = np.random.default_rng(5)
    check = decide(Verb.MAX_DROP, 0.01, -0.004, (-0.024, 0.016), n=1000)
    assert check.n_needed == pytest.approx(1000 * (2 * STRETCH) ** 2, abs=1)
    arm = 0.02 * sqrt(1000 / check.n_needed)
    found = random.normal(0.0, arm / 1.959964, 4000)
    passed = [decide(Verb.MAX_DROP, 0.01, x, (x - arm, x + arm)).verdict is PASS for x in found]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("bound", "value", "interval", "n", "said"),
    [
        (0.0, -0.01, (-0.02, 0.005), 1000, "No number of rows can show that nothing has changed."),
        (0.01, -0.005, (-0.015, 0.005), 0, "The tightest limit"),
        (1e-9, -0.5, (-0.9, 0.5), 1000, "The tightest limit"),  # more than there could be
        (0.05, -0.04, (-0.06, -0.02), 1000, "They could if nothing had changed"),
    ],
)
def test_where_rows_are_not_what_is_missing_none_are_named(bound, value, interval, n, said):
    check = decide(Verb.MAX_DROP, bound, value, interval, n=n)
    assert check.verdict is INCONCLUSIVE
    assert check.n_needed is None
    assert check.reason.startswith("The interval reaches across the limit: these rows cannot tell.")
    assert said in check.reason
    assert "About" not in check.reason


def test_what_is_decided_needs_no_rows_and_no_other_limit():
    for value, interval in [(0.9, (0.85, 0.95)), (0.7, (0.65, 0.75))]:
        check = decide(Verb.MIN, 0.8, value, interval)
        assert (check.n_needed, check.smallest_limit) == (None, None)


# --- the limit that these rows can decide -------------------------------------------------------

TIGHTEST = [
    (Verb.MAX_DROP, 0.01, -0.005, (-0.025, 0.025), {}, 0.02 * STRETCH, "0.029"),
    (Verb.MAX_RISE, 0.01, -0.005, (-0.025, 0.025), {}, 0.03 * STRETCH, "0.043"),
    (Verb.MIN, 0.80, 0.81, (0.78, 0.84), {}, 0.81 - 0.03 * STRETCH, "0.76"),
    (Verb.MAX, 0.10, 0.09, (0.07, 0.11), {}, 0.09 + 0.02 * STRETCH, "0.12"),
    (Verb.MAX_RATIO, 1.05, 0.02, (0.0, 0.04), {"baseline": 0.4}, 1 + 0.05 * STRETCH, "1.1"),
    # Bounds on a disparity may reach one way only: half of both is taken.
    (
        Verb.MAX_RISE,
        0.01,
        0.02,
        (-0.06, 0.02),
        {"metric": "recall_difference"},
        0.04 * STRETCH,
        "0.058",
    ),
]


@pytest.mark.parametrize(("verb", "bound", "value", "interval", "more", "limit", "said"), TIGHTEST)
def test_an_undecided_check_names_the_limit_that_would_do(
    verb, bound, value, interval, more, limit, said
):
    check = decide(verb, bound, value, interval, **more)
    assert check.verdict is INCONCLUSIVE
    assert check.smallest_limit == pytest.approx(limit, rel=1e-6)
    assert check.reason.endswith(f"these rows can decide is about {said}.")


@given(measured())
def test_a_candidate_without_a_change_passes_the_limit_that_is_named(check):
    (result,) = decided(check)
    if result.smallest_limit is None:
        assume(result.verdict is INCONCLUSIVE)
        return
    value = check.candidate if check.interval_of == "candidate" else check.delta
    low, high = check.interval
    moved = value if check.interval_of == "candidate" else 0.0
    here = {
        "interval": (moved - (value - low), moved + (high - value)),
        "limit": {check.verb: result.smallest_limit},
        check.interval_of: moved,
    }
    assert decided(check.model_copy(update=here))[0].verdict is PASS


@pytest.mark.parametrize(
    ("metric", "verb", "value", "interval", "told"),
    [
        ("recall", Verb.MAX_DROP, -0.05, (-0.9, 0.8), False),  # a drop of more than 1
        ("recall", Verb.MIN, 0.5, (0.0, 1.0), False),  # a recall below 0
        ("false_positive_rate", Verb.MAX, 0.9, (0.75, 0.99), False),  # above 1
        ("mae", Verb.MAX_RISE, 1.0, (-1.0, 3.0), True),
        ("log_loss", Verb.MAX, 0.9, (0.5, 1.3), True),
        ("demographic_parity_ratio", Verb.MIN, 0.85, (0.2, 1.0), False),
        ("somebodys_own", Verb.MAX_RISE, 0.05, (-0.1, 0.1), False),
    ],
)
def test_a_limit_that_a_metric_cannot_reach_is_not_proposed(metric, verb, value, interval, told):
    check = decide(verb, 0.8 if verb is Verb.MIN else 0.95, value, interval, metric=metric)
    check = (
        check
        if check.verdict is INCONCLUSIVE
        else decide(verb, 0.0, value, interval, metric=metric)
    )
    assert check.verdict is INCONCLUSIVE
    assert (check.smallest_limit is not None) is told


# --- gates, models and runs ---------------------------------------------------------------------

GOOD = asked(Verb.MIN, 0.8, 0.9, (0.85, 0.95))
BAD = asked(Verb.MIN, 0.8, 0.7, (0.65, 0.75))
OPEN = asked(Verb.MIN, 0.8, 0.8, (0.7, 0.9))
LEFT_OUT = asked(Verb.MIN, 0.8, skip=True, problem="no score column")
TROUBLE = ErrorInfo.of(InputError("the file is empty"))


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([], ERROR),
        ([GOOD], PASS),
        ([GOOD, LEFT_OUT], PASS),
        ([LEFT_OUT], SKIPPED),
        ([GOOD, OPEN], INCONCLUSIVE),
        ([OPEN, BAD, GOOD], FAIL),
        ([BAD, asked(Verb.MIN, 0.8)], ERROR),
    ],
)
def test_a_gate_is_as_bad_as_its_worst_check(checks, verdict):
    assert gate(*checks).verdict is verdict


def test_a_gate_with_an_error_is_an_error_whatever_its_checks():
    assert gate(GOOD, error=TROUBLE).verdict is ERROR
    result = crashed("fairness", TROUBLE)
    assert (result.gate, result.verdict, result.error) == ("fairness", ERROR, TROUBLE)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        pytest.param([model(gate(GOOD))], False, id="a pass"),
        pytest.param([model(gate(GOOD, LEFT_OUT))], False, id="a pass and a skip"),
        pytest.param([model(gate(OPEN))], False, id="undecided only warns"),
        pytest.param([model(gate(GOOD)), model(gate(GOOD))], False, id="two passes"),
        pytest.param(
            [model(gate(BAD.model_copy(update={"mode": Mode.WARN})))], False, id="a fail that warns"
        ),
        pytest.param([], True, id="no model"),
        pytest.param([model()], True, id="no gate"),
        pytest.param([model(gate())], True, id="no check"),
        pytest.param([model(gate(GOOD), gate())], True, id="a gate without a check beside a pass"),
        pytest.param([model(gate(LEFT_OUT))], True, id="all skipped"),
        pytest.param([model(gate(LEFT_OUT), gate(LEFT_OUT))], True, id="all skipped in all gates"),
        pytest.param([model(gate(BAD))], True, id="a fail"),
        pytest.param([model(gate(GOOD), gate(BAD))], True, id="a fail beside a pass"),
        pytest.param([model(gate(GOOD)), model(gate(BAD))], True, id="a fail in another model"),
        pytest.param([model(gate(asked(Verb.MIN, 0.8)))], True, id="a check in error"),
        pytest.param([model(gate(GOOD), crashed("x", TROUBLE))], True, id="a crash beside a pass"),
        pytest.param([model(gate(GOOD, error=TROUBLE))], True, id="an error beside a pass"),
        pytest.param([model(gate(GOOD), error=TROUBLE)], True, id="a model in error"),
        pytest.param([model(gate(GOOD)), model(error=TROUBLE)], True, id="another in error"),
        pytest.param([model(gate(GOOD)), model()], True, id="another without a gate"),
        pytest.param([model(GateResult(gate="x", checks=(GOOD,)))], True, id="never settled"),
    ],
)
def test_a_run_is_blocked_by_what_did_not_pass_and_for_want_of_a_decision(models, expected):
    assert blocked(models) is expected


def test_what_only_reports_does_not_block():
    quiet = BAD.model_copy(update={"mode": Mode.REPORT})
    assert not blocked([model(gate(quiet))])
    assert gate(quiet).verdict is FAIL


def test_a_run_is_as_bad_as_its_worst_model():
    models = [
        model().model_copy(update={"verdict": verdict}) for verdict in (PASS, FAIL, INCONCLUSIVE)
    ]
    assert verdict_of(models) is FAIL
    assert verdict_of([]) is ERROR


# --- the p-value of the method itself -----------------------------------------------------------

BEYOND = {"verb": Verb.MAX_DROP, "bound": 0.01, "value": -0.05, "interval": (-0.09, -0.012)}


def test_a_methods_own_p_value_is_taken_for_a_fail():
    assert decide(**BEYOND, p=0.0047).p == 0.0047
    assert decide(**BEYOND).p == pytest.approx(0.0391, abs=1e-4)


@pytest.mark.parametrize("forged", [0.0501, 0.3, 1.0])
def test_one_that_contradicts_its_interval_is_not_believed(forged):
    check = decide(**BEYOND, p=forged)
    assert (check.verdict, check.p) == (FAIL, decide(**BEYOND).p)


def test_one_that_makes_a_fail_of_a_pass_is_not_believed():
    within = BEYOND | {"value": 0.0, "interval": (-0.005, 0.005)}
    assert decide(**within, p=0.0001).p == 1.0
    across = BEYOND | {"interval": (-0.09, -0.005)}
    assert decide(**across, p=0.0001).verdict is INCONCLUSIVE
    assert decide(**across, p=0.0001).p == decide(**across).p


def test_the_correction_goes_by_it():
    """Ten slices whose intervals exclude the limit, and whose own p-values do not bear ten questions."""
    checks = [asked(**BEYOND, p=p, family="slices") for p in (0.0047, *[0.02] * 9)]
    found = decided(*checks)
    assert [check.verdict for check in found] == [FAIL, *[INCONCLUSIVE] * 9]
