"""The comparison of two samples, where the baseline's rows are not here, against published numbers."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

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


def against(metric, fact, candidate, rows):
    """What is known of the change when nothing but a stored number is left of the baseline."""
    evidence = Evidence(
        root=Path(),
        task=Task.REGRESSION,
        policy=Policy(),
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


def test_the_change_from_a_stored_number_is_that_of_two_samples():
    case = json.loads((FOLDER / "08_growthbook_welch_absolute_relative.json").read_text())
    there, here = case["input"]["a"], case["input"]["b"]
    fact = MetricFact(value=there["mean"], se=there["sd"] / there["n"] ** 0.5, n=there["n"])
    candidate = of_mean(values(here["mean"], here["sd"], here["n"]))
    found = against("mae", fact, candidate, here["n"])
    expected = case["expected"]["absolute"]
    assert found.interval.method == "unpaired"
    assert candidate.value - found.value == pytest.approx(expected["diff"], abs=1e-12)
    # Welch's t has 5,842 degrees of freedom; ours is normal with 50 rows or more: 5e-5 narrower.
    ends = (found.interval.low, found.interval.high)
    assert ends == pytest.approx(tuple(expected["ci95"]), abs=6e-5)


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
