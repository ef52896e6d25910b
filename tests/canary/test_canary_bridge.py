"""The answers of a replay, judged by the gates that the model is held to anyway."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gates.canary.replay.replay import Replay, World, replay
from gates.canary.sight import Endpoints
from gates.cli.canary_replay import Bridge, judge_of
from gates.errors import ConfigError
from gates.policy.rules import of_folder
from gates.report import RunInfo, Verdict, load
from tests.canary.model_server import serving

ROWS = 600
CONFIG = """
version: 1
models:
  credit:
    task: binary
    data: {evaluation: holdout.parquet, id: id, label: label, positive: 1, cluster: city}
    candidate: {predictions: never-there.parquet, artifact: never-there.bin}
    baseline: {anchor: last-release}
    gates:
      data-schema: {columns: {age: {type: integer}}}
      artifact: {}
      performance:
        metrics:
          accuracy: {min: 0.5, max_drop: 0.05, max_drop_from_anchor: 0.01}
          roc_auc: {max_drop_from_anchor: 0.01}
        slices: [{name: young, where: "age < 40"}, {name: early, where: "since < '2024-02-10'"}]
      fairness:
        sensitive: [sex]
        metrics:
          equal_opportunity_difference: {max_rise: 0.1}
"""


@pytest.fixture
def project(tmp_path):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "id": range(ROWS),
            "age": rng.integers(18, 90, ROWS),
            "sex": rng.choice(["f", "m"], ROWS),
            "city": [f"c{i}" for i in range(ROWS)],
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, ROWS), "D"),
        }
    )
    frame["label"] = (frame["age"] + rng.normal(0, 8, ROWS) > 50).astype(int)
    frame.to_parquet(tmp_path / "requests.parquet")
    (tmp_path / "model-gates.yml").write_text(CONFIG)
    return tmp_path


def fair(row):
    score = 1 / (1 + np.exp(-(row["age"] - 50) / 8))
    return {"prediction": int(score > 0.5), "score": score}


def biased(row):
    """Answer as `fair`, but turn half of the women away whom it would have accepted."""
    told = fair(row)
    if row["sex"] == "f" and row["age"] % 2:
        told = {"prediction": 0, "score": told["score"] / 3}
    return told


OPTIONS = {
    "requests": "requests.parquet",
    "id": "id",
    "score": "score",
    "rows": ROWS,
    "leave_out": ("label", "city"),
}


def bridge(project, **given):
    rules, _ = of_folder(project / "model-gates.yml", on=pd.Timestamp("2026-11-26").date())
    return Bridge(
        rules=rules,
        model="credit",
        options=Replay(**OPTIONS | given),
        root=project,
        out=project / "report",
        info=RunInfo(started="2026-11-26T12:00:00+00:00"),
    )


def run(project, stable, canary, **given):
    asked = bridge(project, **given)
    with serving(stable) as one, serving(canary) as other:
        world = World(root=project, out=project / "answers", judge=judge_of(asked))
        endpoints = Endpoints(stable=one.url, canary=other.url)
        return replay(endpoints, asked.options, world), other


def checks(found):
    return {c.id: c for m in found.report.models for g in m.gates for c in g.checks}


def test_a_canary_that_is_as_good_passes(project):
    found, canary = run(project, fair, fair)
    assert found.verdict is Verdict.PASS, found.judgement.as_json()
    assert not found.report.blocked
    assert found.report.models[0].comparison == "paired"
    assert found.report.models[0].baseline.ref == "stable"
    assert not any("label" in row for row in canary.asked)


def test_a_canary_that_is_worse_for_one_group_is_stopped(project):
    found, _ = run(project, fair, biased)
    assert found.verdict is Verdict.FAIL
    failed = {name for name, check in checks(found).items() if check.verdict is Verdict.FAIL}
    assert "fairness/equal_opportunity_difference:max_rise@sex" in failed
    (gates,) = [one for one in found.findings if one.id == "replay/gates"]
    assert gates.verdict is Verdict.FAIL
    assert "fairness/" in gates.reason


def test_only_gates_and_limits_that_apply_are_asked(project):
    found, _ = run(project, fair, fair)
    asked = checks(found)
    assert {name.partition("/")[0] for name in asked} == {"performance", "fairness"}
    assert not [name for name in asked if "anchor" in name]
    for name in ("young", "early"):
        (check,) = [check for rule, check in asked.items() if f"@{name}" in rule and "drop" in rule]
        assert 0 < check.n < ROWS
    assert not any("roc_auc" in name for name in asked)


def test_the_report_is_written_and_holds_no_value_of_a_row(project):
    found, _ = run(project, fair, biased)
    written = (project / "report" / "report.json").read_bytes()
    assert load(written) == found.report
    page = (project / "report" / "report.md").read_text()
    assert "equal_opportunity_difference" in page
    assert not [c for c in (f"c{i}" for i in range(100, ROWS)) if f'"{c}"' in written.decode()]


def test_nothing_is_left_in_the_projects_store(project):
    run(project, fair, fair)
    assert not (project / ".model-gates").exists()


def test_rows_without_a_label_are_left_out(project):
    frame = pd.read_parquet(project / "requests.parquet")
    frame["label"] = frame["label"].astype("Int64").where(frame["id"] % 2 == 0)
    frame.to_parquet(project / "requests.parquet")
    found, canary = run(project, fair, fair)
    assert found.verdict is Verdict.PASS, found.judgement.as_json()
    assert found.report.models[0].candidate.rows == ROWS / 2
    assert len(canary.asked) == ROWS


def test_without_a_label_no_gate_judges_and_that_is_said(project):
    frame = pd.read_parquet(project / "requests.parquet").drop(columns="label")
    frame.to_parquet(project / "requests.parquet")
    found, _ = run(project, fair, fair)
    assert found.report is None
    (gates,) = [one for one in found.findings if one.id == "replay/gates"]
    assert "no gate judged" in gates.reason
    assert not gates.counts


def test_a_group_that_the_requests_do_not_have_is_an_error_and_no_pass(project):
    frame = pd.read_parquet(project / "requests.parquet").drop(columns="sex")
    frame.to_parquet(project / "requests.parquet")
    found, _ = run(project, fair, fair)
    assert found.verdict is Verdict.ERROR
    assert found.report.error.kind == "input"
    assert json.loads((project / "report" / "report.json").read_text())["error"]["exit_code"] == 3


def test_the_label_is_never_sent(project):
    with pytest.raises(ConfigError, match="would be sent"):
        judge_of(bridge(project, leave_out=()))
    with pytest.raises(ConfigError, match="would be sent"):
        judge_of(bridge(project, features=("age", "label")))


def test_another_model_or_id_is_refused(project):
    with pytest.raises(ConfigError, match="no model"):
        judge_of(replace(bridge(project), model="other"))
    with pytest.raises(ConfigError, match="pair rows by"):
        judge_of(bridge(project, id="city"))
