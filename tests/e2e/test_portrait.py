"""What a report holds for the eye, and that no verdict and no privacy depends on it."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.e2e.conftest import CANARY


def portrait(outcome):
    return outcome.report["models"][0]["portrait"]


def test_flips_are_counted_overall_and_by_slice(project):
    project.set("gates.performance.slices", ["region", {"name": "old", "where": "age >= 60"}])
    found = portrait(project.run())["flips"]
    evaluation = project.table("evaluation.parquet").set_index("id")
    before, now = (
        project.table(f"{name}.parquet").set_index("id").prediction
        for name in ("baseline", "candidate")
    )
    changed = before != now
    label = evaluation.defaulted
    assert found["overall"] == {
        "slice": None,
        "rows": 300,
        "changed": int(changed.sum()),
        "fixed": int((changed & (now == label)).sum()),
        "broken": int((changed & (before == label)).sum()),
    }
    slices = {tuple(one["slice"].values()): one for one in found["slices"]}
    assert set(slices) == {("north",), ("south",), ("f",), ("m",), ("age >= 60",)}
    old = evaluation.age >= 60
    assert slices[("age >= 60",)]["changed"] == int(changed[old].sum())
    assert sum(slices[(sex,)]["broken"] for sex in "fm") == found["overall"]["broken"]


def test_no_id_is_told_unless_the_configuration_declares_it_public(project):
    outcome = project.run()
    assert portrait(outcome)["flips"]["broken_ids"] == []
    assert CANARY not in outcome.everything
    project.set("privacy", {"public": ["id"]})
    told = portrait(project.run())["flips"]["broken_ids"]
    assert 0 < len(told) <= 20
    assert all(one.startswith(CANARY) for one in told)


def test_slices_below_the_privacy_floor_are_not_counted(project):
    project.set("gates.performance.slices", [{"name": "one", "where": "age == 18"}])
    del project.model["gates"]["fairness"]
    assert portrait(project.run())["flips"]["slices"] == []


def test_curves_of_both_models(project):
    found = portrait(project.run())
    for name in ("candidate", "baseline"):
        curves = found[name]
        assert curves["roc"][0] == [0, 0]
        assert curves["roc"][-1] == [1, 1]
        assert sum(curves["histogram"]) == 300
        assert np.sum(curves["confusion"]) == 300
        assert curves["classes"] == ["0", "1"]
    assert found["candidate"]["roc"] != found["baseline"]["roc"]


def test_history_is_that_of_the_registered_versions(project):
    project.register("candidate.parquet")
    history = portrait(project.run())["history"]
    assert [point["version"] for point in history] == [1, 2]
    assert history[0]["metrics"]["roc_auc"] != history[1]["metrics"]["roc_auc"]


def test_without_a_baseline_there_is_the_candidate_alone(project):
    project.model["gates"] = {"performance": {"metrics": {"roc_auc": {"min": 0.6}}}}
    found = portrait(project.run())
    assert found["flips"] is None
    assert found["baseline"] is None
    assert found["candidate"]["roc"]


def test_regression_shows_its_errors(tmp_path, new_project):
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1, 200)
    project = new_project(
        tmp_path,
        {
            "version": 1,
            "models": {
                "price": {
                    "task": "regression",
                    "data": {"id": "id", "label": "y"},
                    "candidate": {"predictions": "candidate.parquet"},
                    "gates": {"performance": {"metrics": {"mae": {"max_rise": 0.5}}}},
                }
            },
        },
    )
    for name, noise in (("baseline", 0.3), ("candidate", 0.2)):
        frame = {"id": range(200), "y": truth, "prediction": truth + rng.normal(0, noise, 200)}
        project.write(f"{name}.parquet", pd.DataFrame(frame))
    project.register()
    found = portrait(project.run())
    assert found["candidate"]["edges"] == found["baseline"]["edges"]
    assert sum(found["candidate"]["histogram"]) == 200
    assert found["flips"]["overall"] == {
        "slice": None,
        "rows": 200,
        "changed": 200,
        "fixed": None,
        "broken": None,
    }


def test_the_label_rate_stands_beside_the_data(project):
    model = project.run().report["models"][0]
    rate = project.table("evaluation.parquet").defaulted.mean()
    assert model["data"]["evaluation"]["label_rate"] == pytest.approx(rate)
    assert model["baseline"]["data"]["label_rate"] == pytest.approx(rate)
    assert model["baseline"]["data"]["digest"] == model["data"]["evaluation"]["digest"]


def test_a_picture_that_cannot_be_drawn_changes_no_verdict(project):
    good = project.run().report["models"][0]
    broken = project.process(
        out="drawn",
        prelude="import gates.stats.curves as c\n"
        "def broken(rows): raise RuntimeError('canary7f3a')\n"
        "c.roc_and_precision_recall = broken\n",
    )
    model = broken.report["models"][0]
    assert model["verdict"] == good["verdict"]
    assert model["portrait"]["flips"] is None
    assert "RuntimeError" in " ".join(model["notes"])
    assert CANARY not in json.dumps(broken.report)
