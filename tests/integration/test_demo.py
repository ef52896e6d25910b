"""The demo, played for real once, and its numbers held against scikit-learn and Fairlearn."""

import hashlib
import json

import fairlearn.metrics as fairlearn
import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sklearn

from gates.demo.story import BLOCKED, MARKER, PASSED, STORY, Step, play
from gates.errors import ConfigError

LABEL = "income_over_50k"
MIN_GROUP = 400

ON_PREDICTIONS = {
    "accuracy": sklearn.accuracy_score,
    "recall": sklearn.recall_score,
    "false_negative_rate": fairlearn.false_negative_rate,
}
ON_SCORES = {"roc_auc": sklearn.roc_auc_score, "log_loss": sklearn.log_loss}
BETWEEN_GROUPS = {
    "demographic_parity_difference": fairlearn.demographic_parity_difference,
    "equalized_odds_difference": fairlearn.equalized_odds_difference,
}
# The conditions of model-gates.yml once more, as pandas has them.
CONDITIONS = {
    "under 30": lambda rows: rows.age < 30,
    "60 and over": lambda rows: rows.age >= 60,
    "part-time": lambda rows: rows.hours_per_week < 35,
    "self-employed": lambda rows: rows.workclass.isin(["Self-emp-inc", "Self-emp-not-inc"]),
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play the whole story, keeping the predictions of the first candidate as well."""
    out = tmp_path_factory.mktemp("demo") / "out"
    told = []

    def say(line):
        told.append(line)
        candidate = out / "out" / "candidate.parquet"
        if "exit code 1" in line and candidate.exists():
            candidate.with_name(f"{BLOCKED}.parquet").write_bytes(candidate.read_bytes())

    assert play(out, say) == 0, "\n".join(told)
    candidate = out / "out" / "candidate.parquet"
    candidate.with_name(f"{PASSED}.parquet").write_bytes(candidate.read_bytes())
    return out, "\n".join(told)


def report_of(played, folder):
    return json.loads((played[0] / folder / "report.json").read_text())


def checks_of(report, gate):
    return [
        check
        for model in report["models"]
        for result in model["gates"]
        if result["gate"] == gate
        for check in result["checks"]
    ]


def by_id(report):
    gates = ("data-schema", "performance", "fairness")
    return {check["id"]: check for gate in gates for check in checks_of(report, gate)}


def test_the_first_candidate_is_better_overall(played):
    checks = by_id(report_of(played, BLOCKED))
    for better in ("roc_auc", "accuracy"):
        check = checks[f"performance/{better}:max_drop"]
        assert check["verdict"] == "pass"
        assert check["delta"] > 0
        assert check["interval"][0] > 0, "better by chance is no story"
    assert checks["performance/log_loss:max_rise"]["interval"][1] < 0


def test_the_first_candidate_looks_good_wherever_performance_looks(played):
    report = report_of(played, BLOCKED)
    assert {check["verdict"] for check in checks_of(report, "data-schema")} == {"pass"}
    assert {check["verdict"] for check in checks_of(report, "performance")} == {"pass"}


def test_the_first_candidate_is_blocked_for_what_it_does_to_women(played):
    report = report_of(played, BLOCKED)
    assert report["blocked"] is True
    assert report["verdict"] == "fail"
    failed = {name for name, check in by_id(report).items() if check["verdict"] == "fail"}
    assert failed >= {
        "fairness/demographic_parity_difference:max_rise@sex",
        "fairness/equalized_odds_difference:max_rise@sex",
        "fairness/false_negative_rate:max_rise_any_group@sex=Female",
    }
    assert all("@sex" in name and "Male" not in name for name in failed)


def test_the_first_candidate_fails_beyond_doubt(played):
    checks = by_id(report_of(played, BLOCKED))
    women = checks["fairness/false_negative_rate:max_rise_any_group@sex=Female"]
    assert women["interval"][0] > women["limit"]["max_rise_any_group"]
    assert women["p_adjusted"] < 1e-6
    assert women["effect"] == "block"


def test_the_second_candidate_passes_and_keeps_the_gain(played):
    report = report_of(played, PASSED)
    assert report["blocked"] is False
    assert report["error"] is None
    checks = by_id(report)
    assert {check["verdict"] for check in checks.values()} <= {"pass", "inconclusive"}
    before = by_id(report_of(played, BLOCKED))
    for metric in ("roc_auc", "accuracy", "recall"):
        name = f"performance/{metric}:max_drop"
        assert checks[name]["delta"] > before[name]["delta"]


def test_what_is_undecided_about_the_second_is_little_and_only_warns(played):
    undecided = [
        check
        for check in by_id(report_of(played, PASSED)).values()
        if check["verdict"] == "inconclusive"
    ]
    assert all(check["effect"] == "warn" for check in undecided)
    small = [check for check in undecided if check["metric"] == "group_size"]
    assert [check["sensitive"] for check in small] == [["race"], ["sex", "race"]]
    left = [check for check in undecided if check not in small]
    assert len(left) <= 2
    assert all(check["n_needed"] for check in left)


def test_the_evidence_is_about_the_bytes_of_both_models(played):
    out, _ = played
    digests = {
        name: hashlib.sha256((out / "out" / f"{name}.joblib").read_bytes()).hexdigest()
        for name in ("baseline", "candidate")
    }
    evidence = json.loads((out / PASSED / "evidence.json").read_text())
    assert digests["candidate"] in {one["digest"].get("sha256") for one in evidence["subject"]}
    (kept,) = (out / ".model-gates" / "baselines").rglob("record.json")
    assert json.loads(kept.read_text())["content"]["artifact"] == f"sha256:{digests['baseline']}"


def test_both_candidates_were_held_to_the_same(played):
    first, second = report_of(played, BLOCKED), report_of(played, PASSED)
    assert list(by_id(first)) == list(by_id(second))
    assert first["policy"] == second["policy"]
    for key in ("baseline", "data"):
        assert first["models"][0][key] == second["models"][0][key]
    assert first["models"][0]["data"]["evaluation"]["rows"] >= 13_000


@pytest.mark.parametrize("folder", [BLOCKED, PASSED])
@pytest.mark.parametrize("gate", ["performance", "fairness"])
def test_every_number_is_that_of_scikit_learn_and_fairlearn(played, folder, gate):
    checks = checks_of(report_of(played, folder), gate)
    checks = [check for check in checks if check["metric"] != "group_size"]
    assert len(checks) >= 15
    for which, file in (("baseline", "baseline"), ("candidate", folder)):
        rows = rows_with(played[0], file)
        for check in checks:
            expected = measured(check, rows)
            assert check[which] == pytest.approx(expected, rel=0, abs=1e-9), check["id"]
            assert check["delta"] == pytest.approx(check["candidate"] - check["baseline"], abs=1e-9)


def rows_with(out, predictions):
    holdout = pd.read_parquet(out / "data" / "holdout.parquet")
    outputs = pd.read_parquet(out / "out" / f"{predictions}.parquet")
    rows = holdout.merge(outputs, on="person_id", validate="one_to_one")
    assert len(rows) == len(holdout)
    return rows


def measured(check, rows):
    """Measure what a check asks, with no code of ours."""
    metric = check["metric"]
    if metric in BETWEEN_GROUPS:
        columns = check["sensitive"]
        rows = rows[rows.groupby(columns)[LABEL].transform("size") >= MIN_GROUP]
        compare = BETWEEN_GROUPS[metric]
        return compare(rows[LABEL], rows.prediction, sensitive_features=rows[columns])
    rows = rows[in_slice(check["slice"] or {}, rows)]
    assert len(rows) == check["n"]
    if metric in ON_SCORES:
        return ON_SCORES[metric](rows[LABEL], rows.score)
    return ON_PREDICTIONS[metric](rows[LABEL], rows.prediction)


def in_slice(part, rows):
    chosen = np.ones(len(rows), dtype=bool)
    for name, value in part.items():
        chosen &= CONDITIONS[name](rows) if name in CONDITIONS else rows[name] == value
    return chosen


def test_it_says_what_it_runs_and_what_came_out(played):
    out, told = played
    for step in STORY:
        assert f"$ {step.command}\n" in told
    for folder in (BLOCKED, PASSED):
        check = by_id(report_of(played, folder))["performance/roc_auc:max_drop"]
        assert f"{check['baseline']:.4f} → {check['candidate']:.4f}" in told
        assert str(out / folder / "report.md") in told
        assert (out / folder / "report.md").stat().st_size > 0
    assert "Traceback" not in told


def test_a_story_that_goes_otherwise_is_told_so(tmp_path):
    told = []
    wrong = Step(before="This one ends well.", command="python train.py --help", expected=1)
    never = Step(before="And this is never run.", command="python train.py --model none")
    assert play(tmp_path / "out", told.append, (wrong, never)) == 70
    assert "exit code 0, where 1 was expected" in told[-1]
    assert "never run" not in "\n".join(told)


def test_a_second_play_starts_afresh_and_leaves_what_is_not_its_own(tmp_path):
    assert play(tmp_path, lambda _: None, ()) == 0
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "data" / "holdout.parquet").write_text("of another version")
    (tmp_path / BLOCKED).mkdir()
    (tmp_path / "model-gates.yml").write_text("edited")
    assert play(tmp_path, lambda _: None, ()) == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "data" / "holdout.parquet").exists()
    assert not (tmp_path / BLOCKED).exists()
    assert "income" in (tmp_path / "model-gates.yml").read_text()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_of_the_demo_is_not_touched(kind, tmp_path):
    out = tmp_path / "out"
    theirs = out / "data" / "theirs.csv" if kind == "folder" else out
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("theirs")
    with pytest.raises(ConfigError, match="will not touch it") as caught:
        play(out, lambda _: None)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert theirs.read_text() == "theirs"
    assert [path for path in tmp_path.rglob("*") if path.name == MARKER] == []
