"""Metrics whose intervals are resampled, through the command line: they pass, and they must fail."""

import numpy as np
import pandas as pd
import pytest

REGRESSION = {
    "version": 1,
    "models": {
        "price": {
            "task": "regression",
            "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "y"},
            "candidate": {"predictions": "candidate.parquet"},
            "gates": {
                "performance": {
                    "metrics": {
                        "p90_ae": {"max": 3.0, "max_rise": 0.3},
                        "median_ae": {"max_rise": 0.3},
                    },
                    "slices": ["region"],
                }
            },
        }
    },
}


@pytest.fixture
def prices(new_project, tmp_path):
    """A regression whose candidate has the registered baseline's errors but for some noise."""
    random = np.random.default_rng(4)
    rows = 600
    label, shared = random.normal(10, 3, rows), random.normal(0, 1, rows)
    made = new_project(tmp_path / "prices", REGRESSION)
    made.folder.mkdir()
    frame = pd.DataFrame({"id": np.arange(rows), "y": label, "house": np.arange(rows) // 3})
    made.write("evaluation.parquet", frame.assign(region=np.where(frame.id % 2, "a", "b")))
    for name in ("baseline", "candidate"):
        guess = label + shared + random.normal(0, 0.2, rows)
        made.write(f"{name}.parquet", pd.DataFrame({"id": frame.id, "prediction": guess}))
    made.register()
    return made


def calibrated(project, limits):
    project.model["gates"] = {"performance": {"metrics": {"calibration_error": limits}}}
    return project


def test_a_model_that_keeps_its_calibration_passes(project):
    calibrated(project, {"max": 0.5, "max_rise": 0.3})
    outcome = project.run()
    assert outcome.code == 0, outcome.stdout
    assert {check["verdict"] for check in outcome.checks.values()} == {"pass"}
    assert {check["method"] for check in outcome.checks.values()} == {"block bootstrap"}


def test_a_model_that_lost_its_calibration_fails(project):
    project.model["gates"] = {
        "performance": {
            "metrics": {"calibration_error": {"max": 0.02, "max_rise": 0.01}},
            "slices": ["region"],
        }
    }
    frame = project.table("candidate.parquet")
    project.write("baseline.parquet", frame.assign(score=0.25 + 0.5 * frame.score))
    project.register()
    project.write("candidate.parquet", frame.assign(score=1 - frame.score))
    outcome = project.run()
    assert outcome.code == 1
    found = {rule: check["verdict"] for rule, check in outcome.checks.items()}
    assert set(found.values()) == {"fail"}
    assert len(found) == 4


def test_long_errors_fail_although_most_are_as_before(prices):
    assert prices.run().code == 0
    frame = prices.table("candidate.parquet")
    far = np.random.default_rng(1).random(len(frame)) < 0.2
    prices.write("candidate.parquet", frame.assign(prediction=frame.prediction + 5.0 * far))
    outcome = prices.run()
    assert outcome.code == 1
    verdicts = {rule: check["verdict"] for rule, check in outcome.checks.items()}
    assert verdicts["performance/p90_ae:max_rise"] == "fail"
    assert verdicts["performance/p90_ae:max_rise@region=a"] == "fail"
    assert verdicts["performance/p90_ae:max"] == "fail"
    assert outcome.checks["performance/p90_ae:max_rise"]["method"] == "block bootstrap"


def intervals(outcome):
    return {rule: (check["interval"], check["method"]) for rule, check in outcome.checks.items()}


def test_the_seed_decides_and_the_order_of_rows_does_not(prices):
    first = intervals(prices.run())
    for name in ("evaluation", "candidate"):
        prices.write(f"{name}.parquet", prices.table(f"{name}.parquet").sample(frac=1.0))
    assert intervals(prices.run()) == first
    prices.config["defaults"] = {"seed": 8}
    assert intervals(prices.run()) != first


def test_clusters_make_the_interval_wider(prices):
    frame = prices.table("candidate.parquet")
    house = np.repeat(np.random.default_rng(2).normal(0, 1, 200), 3)
    prices.write("candidate.parquet", frame.assign(prediction=frame.prediction + house))
    narrow = prices.run().checks["performance/p90_ae:max"]["interval"]
    prices.set("data.cluster", "house")
    prices.register()
    wide = prices.run().checks["performance/p90_ae:max"]["interval"]
    assert wide[1] - wide[0] > 1.1 * (narrow[1] - narrow[0])


def test_the_same_model_has_not_changed(prices):
    prices.write("candidate.parquet", prices.table("baseline.parquet"))
    outcome = prices.run()
    changes = {c["method"]: c["interval"] for c in outcome.checks.values() if "max_rise" in c["id"]}
    assert changes == {"identical": [0.0, 0.0]}


def test_an_anchor_is_held_against_in_slices_alone(prices):
    prices.call(
        "baseline", "alias", "release", "champion", "--config", str(prices.path("model-gates.yml"))
    )
    prices.set("baseline.anchor", "release")
    limits = {"slices": {"max_rise_from_anchor": 0.4}}
    prices.set("gates.performance.metrics", {"p90_ae": limits})
    outcome = prices.run()
    assert outcome.code == 0, outcome.stdout + outcome.stderr
    assert {c["method"] for c in outcome.checks.values()} == {"block bootstrap"}


def test_a_sketch_of_a_quantile_is_paired_by_its_slope(prices):
    prices.set("baseline.keep_predictions", False)
    prices.register()
    outcome = prices.run()
    change = outcome.checks["performance/p90_ae:max_rise"]
    assert change["method"] == "sketch"
    assert outcome.checks["performance/p90_ae:max"]["method"] == "block bootstrap"


def test_a_sketch_has_nothing_for_a_calibration_error(project):
    calibrated(project, {"max": 0.5, "max_rise": 0.3}).set("baseline.keep_predictions", False)
    project.register()
    outcome = project.run()
    change = outcome.checks["performance/calibration_error:max_rise"]
    assert change["verdict"] == "inconclusive"
    assert change["interval"] is None
    assert "no interval" in change["reason"]
    assert outcome.checks["performance/calibration_error:max"]["verdict"] == "pass"


def test_few_rows_are_never_a_pass(project):
    few = project.table("evaluation.parquet").head(20)
    project.write("evaluation.parquet", few)
    for name in ("baseline", "candidate"):
        project.write(f"{name}.parquet", project.table(f"{name}.parquet").head(20))
    calibrated(project, {"max": 1.0}).register()
    check = project.run().checks["performance/calibration_error:max"]
    assert check["verdict"] == "error"
    assert "fewer than 30 rows" in check["reason"]
