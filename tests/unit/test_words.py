"""Headlines, numbers and verdicts in words, each as a reader meets it."""

import pytest

from gates.decide import crashed, settle
from gates.errors import ConfigError, EnvironmentFault, GatesError, Refused
from gates.picture import GroupRate
from gates.report import Effect, ErrorInfo, GateResult
from reporters.render import figures, words
from reporters.render.escape import plain
from reporters.render.groups import group_tables
from reporters.render.headline import headline
from reporters.render.rows import headers, open_rows, row
from reporters.render.words import Tone
from tests import reports
from tests.reports import make_check, make_gate, make_model, make_report, share

PAIR = {"baseline": 0.8, "candidate": 0.7, "interval": (-0.12, -0.08)}


def decided(limit, metric="recall", at="", **fields):
    check = make_check(f"performance/{metric}{at}", limit, **fields)
    return settle(GateResult(gate="performance", checks=(check,))).checks[0]


def said(*gates, **fields):
    tone, sentence = headline(make_report(make_model(*gates, **fields)))
    return tone, plain(sentence)


def of(check):
    return said(make_gate("performance", check))


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (
            make_check("performance/recall", {"max_drop": 0.01}, **PAIR),
            "recall fell by 0.100 (limit 0.01)",
        ),
        (
            make_check("performance/roc_auc", {"min": 0.9}, candidate=0.8, interval=(0.79, 0.81)),
            "ROC AUC is 0.800 (limit ≥ 0.9)",
        ),
        (
            make_check("fairness/demographic_parity_difference", {"max": 0.1}, sensitive=("a", "b"),
                       candidate=0.2, interval=(0.15, 0.25)),
            "demographic parity difference by a × b is 0.200 (limit ≤ 0.1)",
        ),
        (
            make_check("performance/mse", {"max_ratio": 1.2}, baseline=1000.0, candidate=1500.0,
                       interval=(400.0, 600.0)),
            "MSE rose 1.50-fold (limit 1.2)",
        ),
        (
            make_check("performance/selection_rate@sex=F", {"max_rise": 0.01}, baseline=0.1,
                       candidate=0.2, interval=(0.05, 0.15)),
            "selection rate for sex=F rose by 0.100 (limit 0.01)",
        ),
        (
            make_check("performance/x.y", {"min": 0.5}, candidate=0.4, decide="point"),
            "x.y is 0.400 (limit ≥ 0.5)",
        ),
        (
            make_check("performance/recall", {"max_drop": 0.01}, problem="No rows."),
            "recall has no number: No rows",
        ),
        (
            make_check("performance/recall", {"max_drop": 0.01}, baseline=0.8, candidate=0.79,
                       interval=(-0.05, 0.03), on_inconclusive="fail"),
            "recall is undecided: not enough rows to tell: about 540,000 would decide it",
        ),
    ],
)  # fmt: skip
def test_the_main_reason_of_a_block(check, expected):
    assert of(check) == (Tone.FAIL, f"income is blocked: {expected}")


def test_the_furthest_beyond_is_the_main_reason():
    near = make_check("performance/f1", {"max_drop": 0.05}, **PAIR)
    far = make_check("performance/recall", {"max_drop": 0.01}, **PAIR)
    assert of(near)[1] == "income is blocked: F1 fell by 0.100 (limit 0.05)"
    sentence = said(make_gate("performance", near, far))[1]
    assert sentence == "income is blocked: recall fell by 0.100 (limit 0.01), and 1 more"


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (0.0, "data-schema: age in range does not hold"),
        (0.9931, "data-schema: age in range holds in only 99.3 % of rows"),
        (0.99999, "data-schema: age in range holds in only 99.999 % of rows"),
    ],
)
def test_a_schema_that_does_not_hold(held, expected):
    assert said(make_gate("data-schema", share("age_in_range", held)))[1] == (
        f"income is blocked: {expected}"
    )


@pytest.mark.parametrize(
    ("fields", "tone", "expected"),
    [
        ({"mode": "warn"}, Tone.WARN,
         "income is not blocked, but recall fell by 0.100 (limit 0.01): this only warns"),
        ({"mode": "report"}, Tone.WARN,
         "income is not blocked, but recall fell by 0.100 (limit 0.01): this only reports"),
        ({"interval": (-0.12, 0.2)}, Tone.UNDECIDED,
         "income is not blocked; 1 of 1 check could not be decided"),
        ({"interval": (-0.005, 0.2)}, Tone.PASS, "income passes its check"),
    ],
)  # fmt: skip
def test_what_is_not_blocked(fields, tone, expected):
    check = make_check("performance/recall", {"max_drop": 0.01}, **PAIR | fields)
    assert of(check) == (tone, expected)


def test_skips_and_waivers_are_not_called_passes():
    skipped = make_check("performance/f1", {"min": 0.1}, skip=True)
    passed = make_check("performance/recall", {"min": 0.1}, candidate=0.9, decide="point")
    gate = make_gate("performance", skipped, passed)
    assert said(gate)[1] == "income is not blocked: 1 of 2 checks passed"
    failed = decided({"min": 0.95}, candidate=0.9, decide="point")
    waived = failed.model_copy(update={"waiver": "until May", "effect": Effect.NONE})
    gate = gate.model_copy(update={"checks": (*gate.checks, waived)})
    assert said(gate)[1] == "income is not blocked: 1 of 3 checks passed, 1 waived"


def test_all_skipped_is_no_pass():
    check = make_check("performance/f1", {"min": 0.1}, skip=True)
    assert of(check) == (Tone.FAIL, "income is blocked: nothing was decided")


def test_a_gate_that_did_not_run():
    error = ErrorInfo(kind="bug", exit_code=70, message="it crashed.")
    assert said(crashed("fairness", error))[1] == (
        "income is blocked: the fairness gate did not run: it crashed"
    )
    assert said(GateResult(gate="drift"))[1] == (
        "income is blocked: the drift gate did not run: it made no checks"
    )


def test_several_models():
    good = make_model(reports.good_performance(), model="a")
    bad = make_model(reports.fairness(harmed=True), model="b")
    broken = make_model(crashed("x", ErrorInfo(kind="bug", exit_code=70, message="no")), model="c")

    def sentence(*models):
        return plain(headline(make_report(*models))[1])

    assert sentence(good, good) == "all 2 models pass all 8 checks"
    reason = "false negative rate for sex=Female rose by 0.031 (limit 0.02)"
    assert sentence(good, bad) == f"b is blocked (1 of 2 models): {reason}"
    assert sentence(bad, broken, good).startswith("2 of 3 models are blocked; first c: the x gate")
    bare = good.model_copy(update={"baseline": None})
    assert sentence(good, bare).endswith("; 1 model was compared with nothing: no baseline")
    assert sentence(bare, bare).endswith("; nothing was compared: no baseline")
    assert sentence(good, bare, bare).endswith("; 2 models were compared with nothing: no baseline")
    doubtful = make_model(reports.undecided())
    assert sentence(good, doubtful) == (
        "none of 2 models is blocked; 2 of 7 checks could not be decided"
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError("x"), "the configuration or the command line is wrong"),
        (EnvironmentFault("x"), "something around the run failed"),
        (Refused("x"), "refused for safety"),
        (GatesError("x"), "a bug in Model Gates"),
    ],
)
def test_no_verdict(error, expected):
    tone, sentence = headline(reports.of_error(error))
    assert (tone, plain(sentence)) == (Tone.ERROR, f"no verdict was reached: {expected}")


@pytest.mark.parametrize(("blocked", "tone"), [(True, Tone.ERROR), (False, Tone.SKIPPED)])
def test_no_models(blocked, tone):
    assert headline(make_report(blocked=blocked)) == (tone, ("no model was judged",))


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        (None, 3, "–"),
        (0.812, 3, "0.812"),
        (-0.018, 3, "−0.018"),
        (-0.0000001, 3, "0.000"),
        (1234567.8, 0, "1,234,568"),
        (1.5e300, 0, "1.5e+300"),
    ],
)
def test_numbers(value, places, expected):
    assert figures.number(value, places) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"baseline": 0.812, "candidate": 0.794, "interval": (-0.026, -0.0105)},
         ("0.8120", "0.7940", "−0.0180 [−0.0260, −0.0105]")),
        ({"baseline": 0.9, "candidate": 0.9, "interval": (0.0, 0.0)},
         ("0.900", "0.900", "0.000 [0.000, 0.000]")),
        ({"baseline": 0.9, "candidate": 0.8996, "interval": (-0.001, 0.0002)},
         ("0.9000", "0.8996", "−0.0004 [−0.0010, +0.0002]")),
        ({"baseline": 12345.6, "candidate": 12400.2, "interval": (-20.4, 130.6)},
         ("12,346", "12,400", "+55 [−20, +131]")),
        ({"baseline": 12.345, "candidate": 12.5}, ("12.35", "12.50", "+0.15")),
        ({}, ("–", "–", "–")),
    ],
)  # fmt: skip
def test_a_row_has_digits_enough(fields, expected):
    found = row("performance", decided({"max_drop": 0.01}, **fields))
    assert (found.baseline, found.candidate, found.delta) == expected


def test_a_number_next_to_its_limit_is_told_apart_from_it():
    found = row("performance", decided({"min": 0.78}, candidate=0.77996, decide="point"))
    assert (found.candidate, found.limit) == ("0.77996", "≥ 0.78 (point)")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"min": 0.78}, "≥ 0.78"),
        ({"max": 0.1}, "≤ 0.1"),
        ({"max_drop": 0.01}, "drop ≤ 0.01"),
        ({"max_rise": 0.02}, "rise ≤ 0.02"),
        ({"max_ratio": 1.2}, "ratio ≤ 1.2"),
        ({"max_rise_any_group": 0.02}, "rise ≤ 0.02"),
        ({"max_drop_any_group": 0.02}, "drop ≤ 0.02"),
        ({"min": -1.5}, "≥ −1.5"),
    ],
)
def test_limits(limit, expected):
    assert words.limit(decided(limit)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"n": 100, "interval": (-0.3, 0.1)}, "not enough rows to tell: about 3,300 would decide it"),
        ({"n": 100, "interval": (-0.3, 0.1), "on_inconclusive": "fail"},
         "not enough rows to tell: about 3,300 would decide it (blocks)"),
        ({"n": 100, "interval": (-0.3, 0.1), "mode": "report"},
         "not enough rows to tell: about 3,300 would decide it (reported only)"),
        ({"n": 0, "interval": (-0.3, 0.1)}, "not enough rows to tell"),
        ({"n": 100, "interval": (-0.12, 0.1)}, "too near the limit to tell"),
        ({"problem": "One class only.", "family": "slices"}, "cannot tell: One class only."),
        ({}, "fails: dropped too far"),
        ({"mode": "warn"}, "fails (warns only): dropped too far"),
        ({"problem": "No rows."}, "error: No rows."),
        ({"problem": "No rows.", "mode": "warn"}, "error: No rows. (warns only)"),
        ({"skip": True, "problem": "Stated."}, "skipped: Stated."),
        ({"interval": (-0.001, 0.1)}, "passes"),
    ],
)  # fmt: skip
def test_verdicts(fields, expected):
    fields = {"baseline": 0.8, "candidate": 0.7, "interval": (-0.12, -0.08)} | fields
    assert plain(words.verdict(decided({"max_drop": 0.05}, **fields))) == expected


def test_undecided_for_another_reason_says_it():
    check = decided({"max_drop": 0.05}, baseline=0.8, candidate=0.7)
    assert plain(words.undecided(check)) == f"cannot tell: {check.reason}"


def test_beyond_alone_but_not_among_many():
    asked = [make_check(f"performance/recall@r={i}", {"max_drop": 0.01}, baseline=0.8, candidate=0.75,
                        interval=(-0.0895, -0.0105)) for i in range(5)]  # fmt: skip
    found = open_rows(make_model(make_gate("performance", *asked)))
    assert plain(found[0].verdict) == "may be chance: one of many questions asked together"


@pytest.mark.parametrize(
    ("count", "expected"), [(7, "7"), (99, "99"), (2311, "2,400"), (2300, "2,300")]
)
def test_estimates_look_like_estimates(count, expected):
    assert figures.roughly(count) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.993, "99.3 %"),
        (0.99996, "99.996 %"),
        (0.0001, "0.01 %"),
        (1 - 1e-9, "nearly 100 %"),
        (1e-9, "nearly 0 %"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(value, expected):
    assert figures.share(value) == expected


def test_a_schema_limit_below_every_row():
    found = row("data-schema", share("age_in_range", 0.93, limit=0.95))
    assert (found.candidate, found.limit) == ("93.0 % of rows", "≥ 95 % of rows")


def test_confidence_is_in_the_head_or_in_the_row():
    one = make_check("performance/recall", {"max_drop": 0.01}, **PAIR)
    other = make_check("performance/f1", {"max_drop": 0.01}, **PAIR, confidence=0.9)
    assert headers(make_model(make_gate("performance", one))) == ("Candidate", "Δ [95 % interval]")
    both = make_model(make_gate("performance", one, other))
    assert headers(both) == ("Candidate", "Δ [interval]")
    assert {r.delta.partition(" at ")[2] for r in open_rows(both)} == {"95 %", "90 %"}


def test_group_rates():
    def rate(group, metric, **fields):
        return GroupRate(sensitive=("sex",), group={"sex": group}, metric=metric, **fields)

    gate = GateResult(
        gate="fairness",
        groups=(
            rate("F", "recall", n=90, baseline=0.5, candidate=0.6),
            rate("F", "accuracy", n=200, baseline=0.7, candidate=0.8, note="few"),
            rate("M", "recall", n=None),
            rate("X", "accuracy", n=30, candidate=0.9),
        ),
    )
    (table,) = group_tables(gate)
    assert [plain(metric) for metric in table.metrics] == ["recall", "accuracy"]
    assert [(plain(group), n, *map(plain, cells)) for group, n, cells in table.rows] == [
        ("sex=F", "200", "0.500 → 0.600 (n 90)", "0.700 → 0.800; few"),
        ("sex=M", "withheld", "withheld", "–"),
        ("sex=X", "30", "–", "0.900"),
    ]


def test_a_report_without_a_candidate_still_says_what_it_has():
    model = make_model(candidate=None, baseline=None)
    assert [plain(part) for part in words.provenance(model)] == [
        "no baseline",
        "evaluation data a1b2c3d4a1b2",
    ]
    assert words.counts(()) == "no checks"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (PAIR, "fails"),
        (PAIR | {"mode": "warn"}, "fails (warns only)"),
        (PAIR | {"mode": "report"}, "fails (reported only)"),
        ({"baseline": 0.8, "candidate": 0.79, "interval": (-0.12, 0.1)}, "undecided"),
        (
            {
                "baseline": 0.8,
                "candidate": 0.79,
                "interval": (-0.12, 0.1),
                "on_inconclusive": "fail",
            },
            "undecided (blocks)",
        ),
        ({"problem": "One class only."}, "error"),
        ({"problem": "No baseline.", "skip": True}, "skipped"),
        ({"baseline": 0.8, "candidate": 0.8, "interval": (-0.001, 0.001)}, "passes"),
    ],
)
def test_a_verdict_in_a_word(fields, expected):
    assert words.word(decided({"max_drop": 0.01}, **fields)) == expected


def test_what_is_reported_only_is_not_counted_as_a_warning():
    drop = {"max_drop": 0.01}
    checks = [
        make_check(f"performance/m{i}", drop, **PAIR | {"mode": mode})
        for i, mode in enumerate(["enforce", "warn", "report", "report"])
    ]
    counted = words.counts((make_gate("performance", *checks),))
    assert counted == "1 failed · 2 failed (reported only) · 1 failed (warns only)"


def test_what_should_have_been_compared_and_was_not_is_no_clean_pass():
    absolute = make_check("x/recall", {"min": 0.5}, candidate=0.8, interval=(0.7, 0.9))
    skipped = make_check("x/recall", {"max_drop": 0.01}, skip=True, problem="No baseline.")
    assert said(make_gate("x", absolute, skipped), baseline=None)[0] is Tone.UNDECIDED
    # Where nobody asked for a comparison, nothing is missing.
    assert said(make_gate("x", absolute), baseline=None)[0] is Tone.PASS
