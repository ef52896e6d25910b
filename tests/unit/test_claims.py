"""What of a check is believed: the stories people meet come back, and arithmetic that is not is told."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.builtin.declared import Declared
from gates.config import ModelConfig
from gates.decide import settle
from gates.evidence import Policy
from gates.policy.changes import few, of_baselines, of_config, of_suite, of_waivers
from gates.policy.checked import Held, checked
from gates.policy.claims import contradiction, own_p
from gates.report import GateResult, Verb
from gates.stats.score_intervals import wilson
from tests import reports
from tests.reports import make_check

MODEL = ModelConfig.model_validate(
    {
        "task": "binary",
        "data": {"id": "id", "label": "y"},
        "candidate": {"predictions": "p.csv"},
        "baseline": {"on_missing": "absolute"},
        "gates": {"performance": {"metrics": {"accuracy": {"min": 0.5}}}},
    }
)


def asked(check):
    """The question that a check of a story answers, as a configuration would have asked it."""
    return Declared(
        gate=check.id.partition("/")[0],
        metric=check.metric,
        verb=check.verb,
        bound=check.bound,
        family=check.family,
        decide=check.decide,
        mode=check.mode,
        on_inconclusive=check.on_inconclusive,
        place=check.id.partition("@")[2],
        slice=check.slice,
        sensitive=check.sensitive,
        optional=check.skip,
    )


@pytest.mark.parametrize("story", reports.STORIES.values(), ids=reports.STORIES)
def test_every_story_comes_back_with_its_verdicts(story):
    for model in story().models:
        for gate in model.gates:
            # A waiver is applied once the check is decided.
            plain = [c.model_copy(update={"waiver": None}) for c in gate.checks]
            held = Held(
                policy=Policy(),
                model=MODEL,
                name=model.model,
                asked=tuple(asked(check) for check in plain),
                rows=model.candidate.rows,
                bare=model.baseline is None,
            )
            made = checked(held, plain)
            again = settle(GateResult(gate=gate.gate, checks=made.checks))
            made.require_sound(again.checks)
            assert made.strangers == ()
            assert [(c.id, c.verdict, c.p_adjusted) for c in again.checks] == [
                (c.id, c.verdict, c.p_adjusted) for c in plain
            ]
            told = settle(GateResult(gate=gate.gate, checks=tuple(plain)))
            assert [c.effect for c in again.checks] == [c.effect for c in told.checks]


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


@given(NUMBERS, NUMBERS, st.floats(0, 10), st.floats(0, 10), st.sampled_from(list(Verb)))
def test_what_is_true_is_no_contradiction(baseline, candidate, below, above, verb):
    """Whatever the numbers, and however a report rounds them."""
    value = candidate - baseline if verb.needs_baseline else candidate
    check = make_check(
        "performance/mae",
        {verb: 0.1},
        baseline=baseline,
        candidate=candidate,
        interval=(value - below, value + above),
    )
    assert contradiction(check, 16281, whole=True, clustered=False) is None


@given(st.integers(1, 10**7), st.data())
def test_a_rate_has_the_interval_of_its_counts_and_no_other(size, data):
    hits = data.draw(st.integers(0, size))
    low, high = wilson(hits, size, confidence=0.95)
    check = make_check(
        "performance/accuracy",
        {"min": 0.5},
        candidate=hits / size,
        interval=(low, high),
        n=size,
        method="wilson",
    )
    told = {"whole": True, "clustered": False}
    assert contradiction(check, size, **told) is None
    wider = check.model_copy(update={"interval": (low, min(1.0, high + 0.01))})
    if not math.isclose(high, 1.0):
        assert "not that of its rate" in contradiction(wider, size, **told)
        assert contradiction(wider, size, whole=True, clustered=True) is None


@pytest.mark.parametrize(
    ("method", "believed"),
    [
        ("tango", True),
        ("influence, mover, sampled", True),
        ("block bootstrap", False),
        ("mine", False),
    ],
)
def test_a_p_value_of_its_own_is_for_methods_that_have_one(method, believed):
    check = make_check("performance/recall", {"max_drop": 0.1}, method=method, p=0.03)
    assert own_p(check) == (0.03 if believed else None)


# --- what a change proposes --------------------------------------------------------------------------


def test_a_change_is_told_at_the_highest_key_that_it_is_of():
    base = {"a": {"b": {"c": 1, "d": [1, 2]}, "e": True}, "gone": {"x": 1}, "same": None}
    proposed = {"a": {"b": {"c": 1.0, "d": [2, 1]}, "e": 1}, "new.key": {"`x`": "y"}, "same": None}
    assert list(of_config(base, proposed)) == [
        "`a.b.c`: 1 → 1.0 proposed, not applied",
        "`a.b.d`: [1, 2] → [2, 1] proposed, not applied",
        "`a.e`: true → 1 proposed, not applied",
        '`gone`: removed (was {"x": 1}), not applied',
        """`"new.key"`: {"'x'": "y"} added, not applied""",
    ]


def test_long_lists_of_changes_end():
    lines = few(f"{'x' * 500}{i}" for i in range(250))
    assert len(lines) == 100
    assert max(map(len, lines)) == 400
    assert lines[-1] == "151 more changes are not listed here."
    assert few(["one"]) == ("one",)


def test_waivers_are_told_by_rule_and_model():
    one = {"rule": "p/r:min", "expires": "2026-12-01"}
    base = {"waivers": [one, one, {"rule": "gone", "model": "m"}]}
    proposed = {"waivers": [one | {"expires": "2027-01-01"}, one, {"rule": "new"}, "no mapping"]}
    assert list(of_waivers(base, proposed)) == [
        "waiver of `p/r:min`: `expires`: 2026-12-01 → 2027-01-01 proposed, not applied",
        "waiver of `gone` for `m`: removed, not applied",
        "waiver of `new`: added, not applied",
    ]
    assert list(of_waivers({}, {"waivers": 3})) == []


def test_a_suite_is_told_by_the_kinds_of_its_expectations():
    def suite(*kinds, **more):
        return {
            "expectations": [{"type": k, "kwargs": {"n": i}} for i, k in enumerate(kinds)],
            **more,
        }

    assert list(of_suite("s.json", suite("a", "b"), suite("a", "c"))) == [
        "`s.json`: 1 expectation removed or changed (`b`), not applied",
        "`s.json`: 1 expectation added or changed (`c`), not applied",
    ]
    (line,) = of_suite("s.json", suite(*"abcdefg"), suite())
    assert line == (
        "`s.json`: 7 expectations removed or changed (`a`, `b`, `c`, `d`, `e` and 2 more), not applied"
    )
    assert list(of_suite("s.json", suite("a"), suite("a", name="x"))) == [
        "`s.json`: changed beside its expectations, not applied"
    ]
    assert list(of_suite("s.json", suite("a"), suite("a"))) == []


def test_baselines_are_told_by_alias_and_version():
    aliases = {"champion": 1, "old": 1}, {"champion": 2, "new": 2}
    versions = {1: "a", 2: "b", 3: "c"}, {1: "a", 2: "x", 4: "d"}
    assert list(of_baselines("m", aliases, versions)) == [
        "baseline alias `champion` of `m`: v1 → v2 proposed, not applied",
        "baseline alias `old` of `m`: v1 → nothing proposed, not applied",
        "baseline alias `new` of `m`: nothing → v2 proposed, not applied",
        "baseline v2 of `m`: changed, not applied",
        "baseline v3 of `m`: removed, not applied",
        "baseline v4 of `m`: added, not applied",
    ]
