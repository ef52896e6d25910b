"""The comparison of two samples, where the baseline's rows are not here, against published numbers."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import stdtrit

from gates.builtin.parts import Part
from gates.builtin.stored import stored
from gates.evidence import Data, Evidence, Policy
from gates.record import MetricFact
from gates.report import Task
from gates.stats.measured import of_mean, of_rate
from gates.stats.metrics import Rows

FOLDER = Path(__file__).parents[1] / "statcases"


def values(mean, sd, n):
    """Return n numbers with just this mean and standard deviation."""
    drawn = np.random.default_rng(1).normal(size=n)
    return mean + sd * (drawn - drawn.mean()) / drawn.std(ddof=1)


def against(metric, fact, candidate, rows, confidence=0.95):
    """What is known of the change when nothing but a stored number is left of the baseline."""
    evidence = Evidence(
        root=Path(),
        task=Task.REGRESSION,
        policy=Policy(confidence=confidence),
        data=Data(id="id", label="y"),
        engine=None,
        evaluation=None,
        joined=SimpleNamespace(rows=rows),
        classes=(),
        candidate=Rows(label=np.zeros(rows), prediction=np.zeros(rows)),
        candidate_digest="",
        data_columns=(),
        record=SimpleNamespace(content=SimpleNamespace(metrics={metric: fact})),
    )
    return stored(Part(evidence=evidence), metric, 1.0, candidate)


WELCH = json.loads((FOLDER / "08_growthbook_welch_absolute_relative.json").read_text())


def welch(confidence=0.95):
    there, here = WELCH["input"]["a"], WELCH["input"]["b"]
    fact = MetricFact(value=there["mean"], se=there["sd"] / there["n"] ** 0.5, n=there["n"])
    candidate = of_mean(values(here["mean"], here["sd"], here["n"]))
    return against("mae", fact, candidate, here["n"], confidence=confidence), candidate


def freedom():
    """Return Welch's degrees of freedom."""
    old, new = (one["sd"] ** 2 / one["n"] for one in WELCH["input"].values())
    each = [one["n"] - 1 for one in WELCH["input"].values()]
    return (old + new) ** 2 / (old**2 / each[0] + new**2 / each[1])


def test_the_change_from_a_stored_number_is_welchs():
    found, candidate = welch()
    expected, within = WELCH["expected"]["absolute"], WELCH["tolerance"]["abs"]
    assert found.interval.method == "unpaired"
    assert candidate.value - found.value == pytest.approx(expected["diff"], abs=within)
    ends = (found.interval.low, found.interval.high)
    assert ends == pytest.approx(tuple(expected["ci95"]), abs=within)
    assert found.interval.p(0.0) == pytest.approx(expected["p"], abs=within)


def test_the_ratio_to_a_stored_number_has_the_error_of_the_delta_method():
    """Fieller's limits are not even; near the value they are as far off as the case's error says."""
    found, candidate = welch(confidence=1e-4)
    expected, within = WELCH["expected"]["relative"], WELCH["tolerance"]["abs"]
    assert found.ratio.method == "unpaired ratio"
    assert candidate.value / found.value - 1.0 == pytest.approx(expected["diff"], abs=within)
    width = (found.ratio.high - found.ratio.low) / found.value
    t = stdtrit(freedom(), 0.5 + 1e-4 / 2)
    assert width / 2 / t == pytest.approx(expected["se"], abs=within)


def test_the_ratio_to_a_stored_number_is_fiellers():
    """The ratio R is in the interval if candidate - R · baseline, tested on its own, may be 0."""
    found, candidate = welch(confidence=0.8)
    old, new = (one["sd"] ** 2 / one["n"] for one in WELCH["input"].values())
    for end in (found.ratio.low, found.ratio.high):
        ratio = 1.0 + end / found.value
        t = abs(candidate.value - ratio * found.value) / (new + ratio**2 * old) ** 0.5
        assert t == pytest.approx(stdtrit(freedom(), 0.9), rel=1e-6)
        assert found.ratio.p(end) == pytest.approx(0.2, rel=1e-6)
    # At six standard errors the baseline may be 0, and the ratio anything.
    assert welch(confidence=1 - 1e-10)[0].ratio is None


NEWCOMBE = json.loads((FOLDER / "07_newcombe1998_unpaired.json").read_text())


def rate(hits, size):
    every = np.ones(size, dtype=bool)
    return of_rate(np.arange(size) < hits, every, when_empty="nobody")


@pytest.mark.parametrize("which", range(len(NEWCOMBE["input"])))
def test_the_change_from_a_stored_rate_is_newcombes(which):
    given, expected = NEWCOMBE["input"][which], NEWCOMBE["expected"][which]
    there = given["k2"] / given["n2"]
    # Of a rate among some of the rows (a recall), n is of all rows: the error tells how many.
    fact = MetricFact(value=there, se=(there * (1 - there) / given["n2"]) ** 0.5, n=10_000)
    found = against("accuracy", fact, rate(given["k1"], given["n1"]), given["n1"])
    assert found.interval.method == "unpaired newcombe"
    ends = (found.interval.low, found.interval.high)
    assert ends == pytest.approx(expected["newcombe"], abs=NEWCOMBE["tolerance"]["newcombe"])


def test_a_stored_rate_of_one_is_no_certainty():
    fact = MetricFact(value=1.0, se=0.0, n=40)
    found = against("accuracy", fact, rate(30, 40), 40)
    assert found.value == 1.0
    assert found.interval is None


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_stored_error_of_zero_is_no_certainty_of_any_metric(value):
    fact = MetricFact(value=value, se=0.0, n=40)
    found = against("mae", fact, of_mean(values(0.9, 0.1, 40)), 40)
    assert (found.value, found.interval, found.ratio) == (value, None, None)
