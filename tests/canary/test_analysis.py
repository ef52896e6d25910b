"""What a canary is judged to be, by its counts: three answers, and none by chance."""

import json
import math
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gates.canary.analysis.analysis import Analysis, judge
from gates.canary.analysis.latency import Latency
from gates.canary.analysis.look import Look, risk, spent
from gates.canary.bake import Baked, Tally
from gates.canary.counters import Arm, Counters, Window, bucket, from_json, histogram
from gates.canary.judgement import Finding, together
from gates.canary.plan import Finish, OnInconclusive, Plan
from gates.canary.sight import Health, Pinned, Seen, Sight
from gates.errors import EnvironmentFault
from gates.report import Mode, Verdict

PASS, FAIL, UNDECIDED, ERROR = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.ERROR,
)
DIGEST = "sha256:" + "a" * 64
STABLE = Seen(digest="sha256:" + "b" * 64, health=Health.READY, share=0.95, reachable=True)
CANARY = Seen(digest=DIGEST, health=Health.READY, share=0.05, reachable=True)
SIGHT = Sight(stable=STABLE, canary=CANARY)
RATES = Analysis(latency=None)


def opened(**given):
    """Return a tally that was opened, as a rollout does it at its beginning."""
    tally = Tally(**given)
    tally.open()
    return tally


def arm(requests, errors=0, factor=1.0):
    """Return counts with latencies spread as log-normal ones are, without any chance in it."""
    places = (np.arange(requests) + 0.5) / max(1, requests)
    spread = np.log(places / (1.0 - places)) / 1.7
    return Arm(
        requests=requests,
        errors=errors,
        latency=histogram((0.02 * factor * np.exp(0.5 * spread)).tolist()),
    )


def window(canary, stable, factor=1.0):
    return Window(canary=arm(*canary, factor=factor), stable=arm(*stable))


GOOD = window((4000, 4), (76_000, 76))
FEW = window((200, 2), (3800, 38))


def halves(whole):
    """Return counts in two parts that look alike."""
    first = Window(
        **{
            side: Arm(
                requests=(arm.requests + 1) // 2,
                errors=(arm.errors + 1) // 2,
                latency={
                    number: (count + odd % 2) // 2
                    for odd, (number, count) in enumerate(arm.latency.items())
                },
            )
            for side, arm in (("stable", whole.stable), ("canary", whole.canary))
        }
    )
    return first, Window(stable=whole.stable - first.stable, canary=whole.canary - first.canary)


def look(step, **changed):
    return Look(
        **{
            "step": step,
            "timed": halves(step),
            "share": 0.05,
            "sight": SIGHT,
            "digest": DIGEST,
            "min_requests": 100,
            **changed,
        }
    )


def seen(**changed):
    return Sight(stable=STABLE, canary=replace(CANARY, **changed))


def test_a_canary_as_good_as_the_stable_side_passes_when_enough_have_met_it():
    found = judge(look(GOOD), Analysis())
    assert (found.verdict, found.code) == (PASS, "")
    assert [finding.id for finding in found.findings] == [
        "canary/error_rate:max_rise",
        "canary/refusal_rate:max_rise",
        "canary/latency:max_ratio",
    ]
    rates, refusals, speed = found.findings
    assert (rates.canary.errors, rates.canary.requests, rates.canary.value) == (4, 4000, 0.001)
    assert (rates.stable.errors, rates.stable.requests, rates.stable.value) == (76, 76_000, 0.001)
    assert rates.interval[0] < 0.0 < rates.interval[1] <= rates.limit == 0.005
    assert speed.interval[0] < 1.0 < speed.interval[1] <= speed.limit == 1.3
    assert (rates.method, rates.n, rates.n_needed) == ("sequential", 4000, None)
    assert refusals.reason.startswith("refusals: 0 of 4,000 against 0 of 76,000")


def test_a_canary_with_more_errors_fails_and_the_reason_says_how_many():
    found = judge(look(window((200, 12), (3800, 38))), Analysis())
    assert (found.verdict, found.code) == (FAIL, "error_rate")
    assert found.reason.startswith("errors: 12 of 200 against 38 of 3,800: +5.00%")
    assert found.findings[0].interval[0] > 0.005


def test_a_slower_canary_fails_whatever_its_errors_are():
    found = judge(look(window((4000, 4), (76_000, 76), factor=2.0)), Analysis())
    assert (found.verdict, found.code) == (FAIL, "latency")
    assert found.findings[2].value == pytest.approx(2.0, rel=0.03)
    assert found.findings[0].verdict is PASS


def test_a_canary_that_is_slower_by_less_than_the_limit_passes():
    found = judge(look(window((40_000, 40), (760_000, 760), factor=1.15)), Analysis())
    assert found.verdict is PASS


def test_what_is_not_decided_says_how_many_more_requests_would_do():
    counts = window((200, 0), (3800, 0))
    found = judge(look(counts), RATES)
    assert found.verdict is UNDECIDED
    more = found.findings[0].n_needed
    times = 1.0 + (more + 2) / 200
    then = window((math.ceil(200 * times), 0), (math.ceil(3800 * times), 0))
    assert judge(look(then), RATES).verdict is PASS
    before = window((200 + more // 2, 0), (3800 + 19 * (more // 2), 0))
    assert judge(look(before), RATES).verdict is UNDECIDED


BROKEN = [
    (seen(health=Health.FAILING, reason="exit 137"), "health"),
    (seen(health=Health.ABSENT, digest=None), "health"),
    (seen(restarts=2), "restarts"),
    (seen(digest="sha256:" + "c" * 64), "digest"),
    (seen(digest=None), "digest"),
]


@pytest.mark.parametrize(("sight", "code"), BROKEN)
@pytest.mark.parametrize("counts", [Window(), GOOD])
@pytest.mark.parametrize("gaps", [0, 9])
def test_a_canary_that_is_broken_fails_without_a_single_request(sight, code, counts, gaps):
    found = judge(look(counts, sight=sight, gaps=gaps), Analysis())
    assert (found.verdict, found.code) == (FAIL, code)


def test_one_restart_is_not_the_end():
    assert judge(look(GOOD, sight=seen(restarts=1)), Analysis()).verdict is PASS


@pytest.mark.parametrize(("answers", "verdict"), [(19, UNDECIDED), (20, FAIL), (300, FAIL)])
def test_when_none_of_the_first_twenty_answers_is_good_that_is_enough(answers, verdict):
    muted = RATES.model_copy(
        update={"error_rate": RATES.error_rate.model_copy(update={"mode": Mode.REPORT})}
    )
    found = judge(look(window((answers, answers), (19 * answers, 0))), muted)
    assert found.verdict is verdict
    assert (found.code == "all_errors") == (verdict is FAIL)


NOT_ITS_FAULT = [
    ({"sight": replace(SIGHT, stable=replace(STABLE, health=Health.FAILING))}, "stable_failing"),
    ({"sight": replace(SIGHT, stable=replace(STABLE, health=Health.ABSENT))}, "stable_failing"),
    ({"step": window((200, 200), (3800, 3700))}, "both_failing"),
    ({"step": window((200, 2), (3800, 1900))}, "stable_worse"),
    # The canary errs as well, even beyond what would fail it; the stable side is far worse.
    ({"step": window((200, 30), (3800, 1900))}, "stable_worse"),
]


@pytest.mark.parametrize(("changed", "code"), NOT_ITS_FAULT)
def test_what_is_the_stable_sides_fault_is_not_held_against_the_canary(changed, code):
    found = judge(look(**{"step": FEW, **changed}), Analysis())
    assert (found.verdict, found.code) == (UNDECIDED, code)
    assert "not the canary's fault" in found.reason


def test_a_canary_that_is_starting_again_is_waited_for():
    found = judge(look(GOOD, sight=seen(health=Health.STARTING)), Analysis())
    assert (found.verdict, found.code) == (UNDECIDED, "starting")


def test_a_broken_canary_goes_even_beside_a_broken_stable_side():
    both = Sight(
        stable=replace(STABLE, health=Health.FAILING), canary=replace(CANARY, health=Health.FAILING)
    )
    assert judge(look(GOOD, sight=both), Analysis()).verdict is FAIL


@pytest.mark.parametrize(
    ("gaps", "verdict", "code"),
    [(1, UNDECIDED, "no_counts"), (3, UNDECIDED, "no_counts"), (4, ERROR, "meter_failing")],
)
def test_looks_without_counts_never_pass(gaps, verdict, code):
    found = judge(look(GOOD, gaps=gaps), Analysis())
    assert (found.verdict, found.code) == (verdict, code)


IMPOSSIBLE = [
    Window(canary=Arm(requests=100, errors=101), stable=arm(1900)),
    Window(canary=arm(100), stable=Arm(requests=-5)),
    Window(canary=Arm(requests=100, latency={3: -1}), stable=arm(1900)),
    Window(canary=Arm(requests=100, refused=-1), stable=arm(1900)),
    Window(canary=Arm(requests=100, errors=60, refused=60), stable=arm(1900)),
]


@pytest.mark.parametrize("counts", IMPOSSIBLE)
def test_counts_that_can_not_be_never_pass(counts):
    assert judge(look(counts), Analysis()).code == "impossible"
    assert judge(look(GOOD, earlier=(counts,)), Analysis()).verdict is ERROR


@pytest.mark.parametrize("least", [0, 100, 5000])
def test_too_few_requests_decide_nothing(least):
    answered = max(0, least - 1)
    found = judge(look(window((answered, 0), (19 * answered, 0)), min_requests=least), Analysis())
    assert (found.verdict, found.code) == (UNDECIDED, "low_traffic")
    assert found.findings[0].n_needed == max(1, least) - answered


def test_a_critical_rise_needs_no_minimum():
    found = judge(look(window((40, 14), (760, 8))), Analysis())
    assert (found.verdict, found.code) == (FAIL, "error_rate")
    # As clear, and not as high: there is time to make sure.
    assert judge(look(window((90, 8), (1710, 17))), Analysis()).code == "low_traffic"


SPLITS = [
    (0.05, (60, 440), "split_not_applied"),  # 12 %
    (0.05, (49, 451), ""),
    (0.05, (640, 19_360), "split_not_applied"),  # 3.2 %: within 5 points, and not by chance
    (0.05, (1016, 18_984), ""),  # 13 of 256, as near as a router may come
    (0.5, (260, 240), ""),
    (0.5, (280, 220), "split_not_applied"),
    (0.25, (2, 998), "split_not_applied"),
]


@pytest.mark.parametrize(("share", "split", "code"), SPLITS)
def test_traffic_that_is_not_shared_as_it_was_set_decides_nothing(share, split, code):
    counts = window((split[0], 0), (split[1], 0))
    found = judge(look(counts, share=share, min_requests=1), Analysis())
    assert found.verdict is not FAIL
    assert (found.code == "split_not_applied") == bool(code)
    assert not (code and found.verdict is PASS)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, math.nan, math.inf])
def test_a_share_that_is_none_never_passes(share):
    assert judge(look(GOOD, share=share), Analysis()).verdict is ERROR


def test_a_step_that_is_worse_by_itself_fails_beside_thousands_of_good_answers():
    bad = window((1000, 40), (3000, 3))
    found = judge(look(bad, share=0.25, earlier=(GOOD,)), RATES)
    assert found.verdict is FAIL
    assert found.findings[0].n == 1000


def test_a_step_that_looks_worse_does_not_pass_on_what_the_others_showed():
    odd = window((100, 2), (300, 0))
    found = judge(look(odd, share=0.25, earlier=(GOOD,)), RATES)
    assert found.verdict is UNDECIDED
    assert "this one is at +2.00%" in found.reason
    good = window((100, 0), (300, 0))
    assert judge(look(good, share=0.25, earlier=(GOOD,)), RATES).verdict is PASS


def test_a_bad_hour_in_which_the_canary_got_its_traffic_is_nobodys_fault():
    quiet, bad = window((200, 2), (3800, 38)), window((4000, 240), (4000, 240))
    found = judge(look(bad, share=0.5, earlier=(quiet,)), RATES)
    assert found.verdict is not FAIL
    together_at_once = judge(look(quiet + bad, share=0.5), RATES)
    assert together_at_once.findings[0].verdict is not PASS


@pytest.mark.parametrize(
    ("canary", "verdict"),
    [((4000, 4), PASS), ((4000, 120), FAIL), ((150, 0), UNDECIDED), ((0, 0), UNDECIDED)],
)
def test_with_all_of_the_traffic_it_is_held_against_the_steps_before(canary, verdict):
    step = Window(canary=arm(*canary))
    sight = replace(SIGHT, stable=replace(STABLE, share=0.0))
    found = judge(look(step, share=1.0, sight=sight, earlier=(GOOD,)), RATES)
    assert found.verdict is verdict


def test_with_all_of_the_traffic_from_the_start_there_is_nothing_to_compare_with():
    found = judge(look(Window(canary=arm(4000)), share=1.0), Analysis())
    assert found.verdict is UNDECIDED


BAD_ALONE = [
    (Arm(requests=50_000, errors=49_000), "error_rate"),
    (Arm(requests=60, errors=20), "error_rate"),  # before `min_requests` have come
    (Arm(requests=4000, refused=4000), "refusal_rate"),
]


@pytest.mark.parametrize(("canary", "code"), BAD_ALONE)
def test_a_canary_that_is_broken_fails_with_nothing_to_compare_with(canary, code):
    found = judge(look(Window(canary=canary), share=1.0), RATES)
    assert (found.verdict, found.code) == (FAIL, code)
    assert "whatever the stable side" in found.reason


@pytest.mark.parametrize(
    "canary",
    [
        Arm(requests=50_000, errors=1000),  # as much as the stable side may err
        Arm(requests=50_000, refused=10_000),
        Arm(requests=10, errors=3),
        Arm(requests=50_000),
    ],
)
def test_what_the_stable_side_may_do_as_well_is_undecided_with_nothing_to_compare_with(canary):
    assert judge(look(Window(canary=canary), share=1.0), RATES).verdict is UNDECIDED


ALONE = Window(stable=arm(76_000, 76))


@pytest.mark.parametrize(
    ("canary", "verdict"),
    [((4000, 4), PASS), ((4000, 120), FAIL), ((4000, 24), UNDECIDED), ((0, 0), UNDECIDED)],
)
def test_all_at_once_it_is_held_against_what_the_stable_side_answered_before(canary, verdict):
    step = Window(canary=arm(*canary))
    assert judge(look(step, share=1.0, earlier=(ALONE,)), Analysis()).verdict is verdict


def test_what_was_counted_before_the_first_step_takes_nothing_from_it():
    alone = judge(look(GOOD), Analysis()).as_json()
    assert judge(look(GOOD, earlier=(ALONE,)), Analysis()).as_json() == alone
    # Answers of the steps are nearer than those of another hour.
    bad = Window(stable=arm(76_000, 30_000))
    step = Window(canary=arm(4000, 120))
    found = judge(look(step, share=1.0, earlier=(bad, GOOD)), RATES)
    assert found.verdict is FAIL


REFUSED = [
    ((200, 200), (3800, 38), FAIL),  # a 422 to everybody, as no model ever was tried with
    ((40, 40), (760, 0), FAIL),  # before `min_requests` have come
    ((4000, 400), (76_000, 760), FAIL),
    ((4000, 42), (76_000, 760), PASS),
    ((4000, 120), (76_000, 760), UNDECIDED),
    ((4000, 4000), (76_000, 76_000), PASS),  # whoever asks wrongly asks both
    ((4000, 0), (76_000, 7600), PASS),
]


@pytest.mark.parametrize(("canary", "stable", "verdict"), REFUSED)
def test_a_canary_that_refuses_what_the_stable_side_takes_fails(canary, stable, verdict):
    sides = (Arm(requests=requests, refused=refused) for requests, refused in (canary, stable))
    step = Window(**dict(zip(("canary", "stable"), sides, strict=True)))
    found = judge(look(step), RATES)
    assert found.verdict is verdict
    assert (found.code == "refusal_rate") == (verdict is not PASS)


def test_refusals_are_shown_and_do_not_count_where_a_team_says_so():
    step = Window(canary=Arm(requests=4000, refused=400), stable=Arm(requests=76_000))
    muted = {"latency": None, "refusal_rate": {"mode": "report"}}
    found = judge(look(step), Analysis.model_validate(muted))
    assert found.verdict is PASS
    assert found.findings[1].verdict is FAIL
    assert judge(look(step), Analysis(latency=None, refusal_rate=None)).verdict is PASS


def test_a_window_has_the_refusals_in_a_journal_and_one_from_before_them_has_none():
    step = Window(canary=Arm(requests=9, errors=1, refused=3, latency={7: 9}))
    written = json.loads(json.dumps(step.as_json()))
    assert from_json(written) == step
    del written["canary"]["refused"], written["stable"]["refused"]
    assert from_json(written).canary == replace(step.canary, refused=0)


# Milliseconds of a canary and of a stable side whose answers all take 2 ms.
FAST = Arm(requests=76_000, latency={bucket(0.002): 76_000})


@pytest.mark.parametrize(
    ("seconds", "floor", "verdict"),
    [
        (0.008, None, PASS),  # four times as long, and nobody would notice
        (0.016, None, FAIL),
        (0.008, 0.0, FAIL),
        (0.0024, 0.0, PASS),
        (0.008, 0.005, FAIL),
    ],
)
def test_what_is_slower_by_less_than_somebody_would_notice_never_fails(seconds, floor, verdict):
    step = Window(stable=FAST, canary=Arm(requests=4000, latency={bucket(seconds): 4000}))
    options = Analysis(latency=Latency() if floor is None else Latency(min_rise=floor))
    found = judge(look(step), options)
    assert found.verdict is verdict


def spell(*factors, each=400):
    """Return windows one after the other, in each of which the canary is so much slower."""
    return tuple(window((each, 0), (19 * each, 0), factor=factor) for factor in factors)


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ((3.0,) * 8, FAIL),
        ((1.0,) * 8, PASS),
        ((6.0, 6.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0), UNDECIDED),
        ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 6.0, 6.0), UNDECIDED),
        ((1.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0, 6.0), FAIL),
        ((6.0,), UNDECIDED),
    ],
)
def test_a_slow_spell_fails_nobody_and_what_lasts_does(factors, verdict):
    timed = spell(*factors)
    step = reduce(add, timed)
    assert judge(look(step, timed=timed), Analysis()).verdict is verdict


def test_latencies_that_do_not_decide_yet_say_how_many_more_would_do():
    factors = (1.6,) * 4
    timed = spell(*factors, each=25)
    found = judge(look(reduce(add, timed), timed=timed), Analysis())
    assert found.verdict is UNDECIDED
    more = found.findings[2].n_needed
    assert more is not None
    enough = spell(*factors, each=math.ceil(1.2 * (100 + more) / 4))
    assert judge(look(reduce(add, enough), timed=enough), Analysis()).verdict is FAIL


def test_what_is_muted_is_shown_and_does_not_count():
    muted = Analysis.model_validate({"error_rate": {"mode": "report"}})
    found = judge(look(window((4000, 400), (76_000, 76))), muted)
    assert found.verdict is PASS
    assert found.findings[0].verdict is FAIL
    slow = window((4000, 4), (76_000, 76), factor=3.0)
    muted = Analysis.model_validate({"latency": {"mode": "report"}})
    assert judge(look(slow), muted).verdict is PASS


def test_latencies_that_were_not_measured_never_pass():
    bare = Window(canary=Arm(requests=4000), stable=Arm(requests=76_000))
    found = judge(look(bare), Analysis())
    assert (found.verdict, found.code) == (UNDECIDED, "latency")
    assert judge(look(bare), RATES).verdict is PASS


def test_newcombes_interval_is_his():
    """56 of 70 and 48 of 80 (Newcombe 1998, table II, method 10): 0.0524 to 0.3339 at 95 %."""
    step = Window(canary=Arm(requests=70, errors=56), stable=Arm(requests=80, errors=48))
    options = Analysis(latency=None, method="newcombe", alpha=0.025)
    found = options.error_rate.judge(look(step, share=0.5), options.alpha, options.method)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.method == "newcombe"


def test_newcombes_interval_says_how_many_more_would_do():
    options = Analysis(latency=None, method="newcombe", alpha=0.01)
    counts = window((200, 0), (3800, 0))
    more = judge(look(counts), options).findings[0].n_needed
    times = 1.0 + (more + 2) / 200
    then = window((math.ceil(200 * times), 0), (math.ceil(3800 * times), 0))
    assert judge(look(then), options).verdict is PASS


def test_the_parts_of_alpha_are_alpha_however_many_steps_there_are():
    steps = range(2000)
    alone = sum(risk(0.05, step).alone for step in steps[1:])
    assert alone + risk(0.05, 0).whole == pytest.approx(0.05, abs=1e-5)
    assert alone + risk(0.05, 0).whole < 0.05
    assert 0.0499 < sum(spent(0.05, step) for step in steps) < 0.05


WRONG = [
    {"error_rate": None, "latency": None},
    {"error_rate": {"mode": "report"}, "latency": None},
    {"error_rate": {"mode": "warn"}},
    {"error_rate": {"max_rise": 0.1}},  # above the critical one
    {"error_rate": {"max_rise": "0.01"}},
    {"error_rate": {"max_rise": -0.01}},
    {"error_rate": {"max_rise": math.nan}},
    {"error_rate": {"max_drop": 0.1}},
    {"latency": {"quantile": 1.0}},
    {"latency": {"max_ratio": 0.9}},
    {"latency": {"min_rise": -0.01}},
    {"refusal_rate": {"max_rise": 0.5}},
    {"error_rate": None, "latency": None, "refusal_rate": {"max_rise": 0.01}},
    {"alpha": 0.0},
    {"alpha": 0.5},
    {"method": "bayes"},
]


@pytest.mark.parametrize("options", WRONG)
def test_options_that_judge_nothing_or_nonsense_are_refused(options):
    with pytest.raises(ValidationError):
        Analysis.model_validate(options)


SIDES = st.integers(0, 3000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
SHARES = st.sampled_from([0.05, 0.25, 0.5, 1.0])


@given(SIDES, SHARES, st.lists(st.tuples(SIDES, SIDES), max_size=2))
def test_without_requests_of_the_canary_nothing_passes(stable, share, earlier):
    step = Window(stable=Arm(requests=stable[0], errors=stable[1]))
    before = tuple(
        Window(
            canary=Arm(requests=canary[0], errors=canary[1]),
            stable=Arm(requests=base[0], errors=base[1]),
        )
        for canary, base in earlier
    )
    found = judge(look(step, share=share, earlier=before, min_requests=0), RATES)
    assert found.verdict is not PASS


RANK = {PASS: 0, UNDECIDED: 1, ERROR: 1, FAIL: 2}


@given(
    st.integers(1, 6000), st.integers(0, 60), st.integers(1, 60), st.integers(0, 40), st.booleans()
)
def test_more_errors_of_the_canary_never_make_it_look_better(n, errors, more, base, stepped):
    """The stable side errs in less than what is critical: else it may be the one that is held."""
    errors = min(errors, n)
    stable = Arm(requests=3 * n + 1000, errors=base)
    verdicts = [
        judge(
            look(
                Window(canary=Arm(requests=n, errors=count), stable=stable),
                share=n / (4 * n + 1000),
                earlier=(GOOD,) if stepped else (),
            ),
            RATES,
        ).verdict
        for count in (errors, min(n, errors + more))
    ]
    assert RANK[verdicts[0]] <= RANK[verdicts[1]]


def plan():
    pinned = Pinned(image="m:2", digest=DIGEST)
    return Plan(
        rollout="r",
        deployment="d",
        model="m",
        candidate=pinned,
        stable=replace(pinned, digest=STABLE.digest),
        steps=(5,),
        bake=600.0,
        max_bake=1200.0,
        looks=20,
        min_requests=100,
        on_inconclusive=OnInconclusive.HOLD,
        finish=Finish.PROMOTE,
        lease=60.0,
        hold=600.0,
        guarded=False,
        replayed=False,
        settings="",
    )


def read(*looks):
    """Return a meter of (stable, canary) requests so far, each of which took 20 ms."""

    def counters(stable, canary):
        sides = (Arm(requests=n, latency={bucket(0.02): n}) for n in (stable, canary))
        return Counters(epoch="1", **dict(zip(("stable", "canary"), sides, strict=True)))

    return iter([counters(*look) for look in looks]).__next__


def test_what_the_stable_side_answers_until_the_first_step_is_counted_by_itself():
    tally = opened(read=read((1000, 0), (1900, 3), (1900, 83), (1900, 183), (1950, 190)))
    tally.begin()
    assert tally.count().step.canary.requests == 80
    (before,) = tally.baked.earlier
    assert (before.stable.requests, before.canary) == (900, Arm())
    tally.count()
    tally.begin()
    assert [window.requests for window in tally.baked.earlier] == [900, 180]


@pytest.mark.parametrize("wrong", [EnvironmentFault("no counts"), ValueError("a bug")])
def test_a_meter_that_fails_at_first_leaves_nothing_to_compare_with_and_ends_nothing(wrong):
    good = list(counted(3))

    def once():
        if len(good) == 3:
            good.append(good[-1])
            raise wrong
        return good.pop(0)

    tally = opened(read=once)
    tally.begin()
    assert (tally.baked.earlier, tally.baked.gaps) == ((), 0)


def test_a_rollout_that_goes_on_is_held_against_its_own_steps():
    tally = opened(read=read((1000, 0), (1900, 3)), baked=Baked(earlier=(GOOD,)))
    tally.begin()
    assert tally.baked.earlier == (GOOD,)


def test_the_first_answers_of_a_canary_at_a_new_share_are_not_timed():
    looks = [(0, 0), (0, 0), (20, 20), (40, 40), (60, 60), (80, 80), (80, 80), (110, 100)]
    tally = opened(read=read(*looks, *looks[1:]))
    tally.begin()
    timed = [tally.count().timed for _ in range(6)]
    assert [sum(one.canary.requests for one in found) for found in timed] == [0, 0, 20, 40, 40, 60]
    assert tally.baked.step.canary.requests == 100
    tally.begin()
    assert tally.baked.timed == ()


def test_a_first_window_is_never_timed_however_much_is_in_it():
    tally = opened(read=read((0, 0), (0, 0), (9000, 9000), (9001, 9001)))
    tally.begin()
    assert tally.count().timed == ()
    assert tally.count().timed[0].canary.requests == 1


@pytest.mark.parametrize("looks", [40, 500])
def test_parts_of_a_step_stay_few_and_halves_are_halves(looks):
    tally = opened(read=read(*((90 * n, 10 * n) for n in range(looks + 2))))
    tally.begin()
    for _ in range(looks):
        baked = tally.count()
    assert len(baked.timed) <= 32
    assert sum(one.canary.requests for one in baked.timed) == 10 * looks - 30
    first, second = look(baked.step, timed=baked.timed).halves
    assert abs(first.canary.requests - second.canary.requests) <= 10 * looks / 8


def test_the_reason_why_there_are_no_counts_is_told():
    def fails():
        raise EnvironmentFault("Prometheus does not answer", where="metrics.prometheus")

    tally = opened(read=fails)
    tally.begin()
    assert RATES.judge(tally.baked, 5, SIGHT, plan()).reason.endswith(
        "1 (Prometheus does not answer)"
    )
    for _ in range(3):
        tally.count()
    found = RATES.judge(tally.baked, 5, SIGHT, plan())
    assert found.code == "meter_failing"
    assert found.reason == "4 looks in a row brought no counts: Prometheus does not answer"
    tally.read = counted(1).__next__
    assert tally.count().why == ""


def counted(looks, epoch="1"):
    for number in range(1, looks + 1):
        stable, canary = Arm(requests=9500 * number), Arm(requests=500 * number)
        yield Counters(epoch=epoch, stable=stable, canary=canary)


def test_looks_that_are_added_up_pass_in_the_end():
    tally = opened(read=counted(13).__next__)
    tally.begin()
    verdicts = [RATES.judge(tally.count(), 5, SIGHT, plan()).verdict for _ in range(11)]
    assert verdicts[0] is UNDECIDED
    assert verdicts[-1] is PASS


@pytest.mark.parametrize("at", [2, 5, 10])
def test_one_look_more_never_turns_a_reset_into_a_pass(at):
    before, after = list(counted(at)), list(counted(40, epoch="2"))
    tally = opened(read=iter(before + after).__next__)
    tally.begin()
    judged = [RATES.judge(tally.count(), 5, SIGHT, plan()) for _ in range(at + 37)]
    assert all(found.verdict is not PASS for found in judged[at - 2 :])
    assert judged[-1].code == "counter_reset"


def test_a_canary_fails_after_a_reset_as_before():
    assert judge(look(window((4000, 400), (76_000, 76)), resets=1), RATES).verdict is FAIL


def test_a_finding_holds_no_number_that_is_none():
    with pytest.raises(ValueError, match="not finite"):
        Finding(id="canary/x", verdict=PASS, reason="", value=math.nan)
    with pytest.raises(ValueError, match="not finite"):
        Finding(id="canary/x", verdict=PASS, reason="", interval=(0.0, math.inf))


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), UNDECIDED),
        ((PASS, PASS), PASS),
        ((PASS, UNDECIDED), UNDECIDED),
        ((ERROR, UNDECIDED), ERROR),
        ((ERROR, FAIL), FAIL),
        ((PASS, Verdict.SKIPPED), UNDECIDED),
    ],
)
def test_findings_together_are_as_bad_as_the_worst(verdicts, expected):
    findings = [Finding(id=f"canary/{v}", verdict=v, reason=f"it {v}") for v in verdicts]
    found = together(findings)
    assert found.verdict is expected
    shown = together(
        [*findings, replace(findings[0], mode=Mode.REPORT, verdict=FAIL)] if findings else []
    )
    assert shown.verdict is expected


@pytest.mark.parametrize("counts", [Window(), FEW, GOOD, window((200, 12), (3800, 38))])
def test_a_judgement_is_written_as_plain_json(counts):
    found = judge(look(counts), Analysis())
    written = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert written["verdict"] == found.verdict
    assert len(written["findings"]) == len(found.findings)


def test_a_rollout_that_is_judged_look_by_look_ends_as_it_should():
    """A few whole rollouts through `judge` itself; thousands are in the tests of the statistics."""
    rng = np.random.default_rng(17)
    ends = {0.01: [], 0.06: []}
    for rate, found in ends.items():
        for _ in range(5):
            step = Window()
            verdict = UNDECIDED
            for _look in range(20):
                canary = Arm(requests=50, errors=int(rng.binomial(50, rate)))
                stable = Arm(requests=950, errors=int(rng.binomial(950, 0.01)))
                step = step + Window(canary=canary, stable=stable)
                verdict = judge(look(step), RATES).verdict
                if verdict is FAIL:
                    break
            found.append(verdict)
    assert FAIL not in ends[0.01]
    assert set(ends[0.06]) == {FAIL}
