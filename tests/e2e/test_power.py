"""`model-gates power`, as a maintainer types it: with two models, with one, and with none."""

import json
import re
import shutil

import numpy as np
import pytest
import yaml

from gates import __version__
from tests.hostile import HOSTILE
from tests.snapshot import assert_snapshot


def power(project, *arguments, save=True):
    if save:
        project.save()
    return project.call("power", "--config", str(project.path("model-gates.yml")), *arguments)


def answer(project, *arguments):
    """Return the answer as a machine reads it, the checks by id."""
    outcome = power(project, "--format", "json", *arguments)
    assert outcome.code == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    return report, {check["id"]: check for m in report["models"] for check in m["checks"]}


def without_baseline(project):
    shutil.rmtree(project.store)
    return project


def without_candidate(project):
    project.path("candidate.parquet").unlink()
    return project


@pytest.fixture
def tight(project):
    """Limits of which 300 rows decide some: overall, in slices, in a group, by a plain number."""
    metrics = {
        "roc_auc": {"min": 0.84, "max_drop": 0.05, "slices": {"max_drop": 0.02}},
        "recall": {"max_drop": 0.05},
        "brier": {"max_ratio": 1.05, "decide": "point"},
    }
    fair = {
        "demographic_parity_difference": {"max_rise": 0.1},
        "false_negative_rate": {"max_rise_any_group": 0.05},
    }
    return project.set("gates.performance.metrics", metrics).set("gates.fairness.metrics", fair)


@pytest.mark.parametrize("to", ["console", "markdown", "json"])
def test_the_whole_answer(tight, to):
    outcome = power(tight, "--format", to)
    assert outcome.code == 0
    suffix = {"console": "txt", "markdown": "md", "json": "json"}[to]
    assert_snapshot(f"power.{suffix}", outcome.stdout.replace(f'"{__version__}"', '"1.2.3"'))
    assert to != "console" or max(map(len, outcome.stdout.splitlines())) <= 100


def test_the_whole_answer_for_one_model(tight):
    outcome = power(without_baseline(tight))
    assert outcome.code == 0
    assert_snapshot("power-one-model.txt", outcome.stdout)


def test_it_lists_what_a_run_would_check_in_the_same_order(project):
    project.set("gates.data-schema", {"columns": {"age": {"type": "integer"}}})
    project.set("gates.fairness.metrics.false_negative_rate", {"max_rise_any_group": 0.2})
    _, checks = answer(project)
    run = project.run().checks
    assert list(checks) == list(run)
    assert {i: c["n"] for i, c in checks.items()} == {i: c["n"] for i, c in run.items()}
    exact = [c for i, c in checks.items() if i.startswith("data-schema/")]
    assert {c["standing"] for c in exact} == {"point"}
    assert "2 checks rest on no interval" in power(project).stdout


def test_every_check_carries_its_numbers(project):
    report, checks = answer(project)
    assert (report["schema"], report["power"], report["drop"]) == (1, 0.8, 0.0)
    run = project.run().checks
    one = checks["performance/roc_auc:max_drop"]
    low, _ = run["performance/roc_auc:max_drop"]["interval"]
    arm = run["performance/roc_auc:max_drop"]["delta"] - low
    assert one["smallest_limit"] == pytest.approx(arm * (1 + 0.8416212 / 1.959964))
    assert (one["basis"], one["method"], one["standing"]) == (
        "measured",
        "influence, mover",
        "decides",
    )
    assert checks["performance/recall:max_drop@region=north"]["questions"] == 4


def test_more_power_asks_for_more(project):
    _, usual = answer(project)
    _, surer = answer(project, "--power", "0.95")
    _, kinder = answer(project, "--drop", "0.01")
    for name, one in usual.items():
        assert surer[name]["smallest_margin"] > one["smallest_margin"]
        if "max_" in name:
            assert kinder[name]["smallest_margin"] == pytest.approx(one["smallest_margin"] + 0.01)


# --- one model -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [without_baseline, without_candidate])
def test_one_model_stands_for_both_with_what_is_assumed(project, missing):
    _, two = answer(project)
    report, one = answer(missing(project))
    assert list(one) == list(two)
    changes = [i for i in one if ":max_" in i]
    assert {one[i]["basis"] for i in changes} == {"assumed"}
    assert {one[i]["basis"] for i in one if ":min" in i} == {"measured"}
    assert "0.1 of the rows" in " ".join(report["models"][0]["notes"])
    # These two models differ in about as many rows as is assumed.
    for name in changes:
        assert 0.5 < one[name]["smallest_limit"] / two[name]["smallest_limit"] < 2.0


def test_stored_ids_are_found_whatever_the_id_is_called(project):
    for name in ("evaluation", "baseline"):
        table = project.table(f"{name}.parquet").rename(columns={"id": "person"})
        project.write(f"{name}.parquet", table)
    shutil.rmtree(project.store)
    project.set("data.id", "person").register()
    _, checks = answer(without_candidate(project))
    assert checks["performance/recall:max_drop"]["basis"] == "assumed"


def test_two_equal_models_tell_nothing_of_two_others(project):
    shutil.copy(project.path("baseline.parquet"), project.path("candidate.parquet"))
    report, checks = answer(project)
    recall = checks["performance/recall:max_drop"]
    assert recall["basis"] == "assumed"
    assert recall["smallest_limit"] > 0.01
    assert any("Two equal models" in note for note in report["models"][0]["notes"])


def test_the_assumption_can_be_another(project):
    _, usual = answer(without_baseline(project))
    report, alike = answer(project, "--discordance", "0.025")
    assert report["discordance"] == 0.025
    ratio = alike["performance/recall:max_drop"]["smallest_limit"]
    assert ratio == pytest.approx(usual["performance/recall:max_drop"]["smallest_limit"] / 2)
    auc = "performance/roc_auc:max_drop"
    assert alike[auc]["smallest_limit"] == usual[auc]["smallest_limit"]


@pytest.mark.parametrize(
    "metric",
    ["selection_rate_ratio", "selection_rate_group_max", "equalized_odds_difference"],
)
def test_every_kind_of_disparity_is_reckoned_with_one_model(project, metric):
    verb = "max_drop" if metric.endswith("ratio") else "max_rise"
    project.set("gates.fairness.metrics", {metric: {verb: 0.01}})
    _, two = answer(project)
    _, one = answer(without_baseline(project))
    name = f"fairness/{metric}:{verb}@sex"
    assert (one[name]["basis"], one[name]["approximate"]) == ("assumed", True)
    assert 0.4 < one[name]["smallest_limit"] / two[name]["smallest_limit"] < 2.5


def test_an_anchor_is_another_model(project):
    project.register("candidate.parquet")
    project.set("baseline", {"alias": "champion", "anchor": "v1"})
    project.set("gates.performance.metrics.recall", {"max_drop": 0.2, "max_drop_from_anchor": 0.3})
    _, checks = answer(without_candidate(project))
    bases = {i.partition(":")[2]: c["basis"] for i, c in checks.items() if "/recall:" in i}
    assert bases["max_drop"] == "assumed"
    assert bases["max_drop_from_anchor"] == "measured", "champion and anchor are both here"


def test_of_a_sketch_the_intervals_are_by_blocks(project):
    shutil.rmtree(project.store)
    project.set("baseline", {"keep_predictions": False}).register()
    report, checks = answer(project)
    assert checks["performance/recall:max_drop"]["method"] == "sketch"
    assert "sketch" in report["models"][0]["compared"]
    none = power(without_candidate(project))
    assert none.code == 3
    assert "no baseline whose rows are kept" in none.stderr


def test_rows_that_belong_together_are_fewer(project):
    _, apart = answer(without_baseline(project))
    evaluation = project.table("evaluation.parquet")
    every = np.repeat(np.arange(100), 3)
    project.write("evaluation.parquet", evaluation.assign(label_group=every))
    twins = project.table("candidate.parquet")
    # Three rows of one household get one answer.
    same = np.repeat(evaluation.defaulted.to_numpy()[::3], 3)
    project.write("evaluation.parquet", evaluation.assign(defaulted=same, label_group=every))
    score = np.repeat(twins.score.to_numpy()[::3], 3)
    twins = twins.assign(score=score, prediction=(score >= 0.5).astype(int))
    project.write("candidate.parquet", twins)
    _, loose = answer(project)
    _, tied = answer(project.set("data.cluster", "label_group"))
    name = "performance/recall:max_drop"
    ratio = tied[name]["smallest_limit"] / loose[name]["smallest_limit"]
    assert ratio == pytest.approx(3**0.5, rel=0.1)
    assert list(tied) == list(apart)


# --- what cannot be decided ----------------------------------------------------------------------


def test_strict_fails_where_a_limit_can_not_be_decided(project):
    project.set("gates.fairness.metrics", {"selection_rate_difference": {"max_rise": 0.9}})
    project.set("gates.performance.slices", [])
    project.set("gates.performance.metrics", {"roc_auc": {"max_drop": 0.5}})
    assert power(project, "--strict").code == 0
    project.set("gates.performance.metrics", {"roc_auc": {"max_drop": 0.001}})
    assert power(project).code == 0
    strict = power(project, "--strict")
    assert strict.code == 1
    assert strict.stdout.startswith("? 1 of 2 checks can not decide its limit on these 300 rows")


def test_a_slice_that_says_nothing_says_why(project):
    evaluation = project.table("evaluation.parquet")
    region = np.where(np.arange(300) < 4, "islands", evaluation.region)
    region = np.where((np.arange(300) >= 4) & (evaluation.defaulted == 0), "calm", region)
    project.write("evaluation.parquet", evaluation.assign(region=region))
    _, checks = answer(without_baseline(project))
    few = checks["performance/recall:max_drop@region=islands"]
    assert (few["standing"], few["smallest_limit"]) == ("unknown", None)
    assert "fewer than 10 rows" in few["reason"]
    calm = checks["performance/recall:max_drop@region=calm"]
    assert "undefined here" in calm["reason"]
    assert "NOTHING TO DECIDE BY" in power(project).stdout
    assert power(project, "--strict").code == 1


def test_groups_that_say_nothing_say_why(project):
    project.set("gates.fairness.min_group", 290)
    _, checks = answer(without_baseline(project))
    one = checks["fairness/demographic_parity_difference:max_rise@sex"]
    assert one["standing"] == "unknown"
    assert one["reason"] != ""


def test_a_plain_number_is_told_its_luck(project):
    project.set("gates.performance.decide", "point")
    project.set("gates.performance.metrics", {"recall": {"max_drop": 0.001}})
    _, checks = answer(project)
    one = checks["performance/recall:max_drop"]
    assert one["standing"] == "point"
    assert 0.5 < one["chance"] < 0.6
    assert "NO INTERVAL" in power(project).stdout


def test_what_rests_on_counts_alone_leaves_nothing_to_decide(project):
    project.model["gates"] = {"data-schema": {"columns": {"age": {"type": "integer"}}}}
    outcome = power(project, "--strict")
    assert outcome.code == 0
    assert outcome.stdout.startswith("✔ No check rests on an interval")


def test_a_schema_that_needs_a_baseline_is_left_out_and_said(project):
    project.set("gates.data-schema", {"infer": "baseline"})
    report, checks = answer(without_baseline(project))
    assert not any(name.startswith("data-schema/") for name in checks)
    assert any("not listed" in note for note in report["models"][0]["notes"])


# --- hostile and wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["console", "markdown"])
def test_hostile_names_are_inert(project, to):
    names = [text for text in HOSTILE if text and "\x00" not in text]
    evaluation = project.table("evaluation.parquet")
    region = [names[i % 20] for i in range(300)]
    project.write("evaluation.parquet", evaluation.assign(region=region))
    outcome = power(without_baseline(project), "--format", to)
    assert outcome.code == 0
    # Terminals, bidi and invisible ones; and what GitHub would act upon.
    assert not {"\x1b", "\r", "\u202e", "\u200b", "\u2066"} & set(outcome.stdout)
    if to == "markdown":
        table = [line for line in outcome.stdout.splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in table} == {9}
        assert "<img" not in _outside_code(outcome.stdout)
    else:
        assert max(map(len, outcome.stdout.splitlines())) <= 100


def _outside_code(text):
    # A name that has a backtick itself is between two of them.
    return re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--power", "0.2"], 2, "--power: 0.2 is not a number from 0.5 to 0.999"),
        (["--power", "nan"], 2, "--power"),
        (["--drop", "-1"], 2, "--drop: -1 is not a number at least 0"),
        (["--discordance", "0"], 2, "--discordance"),
        (["--model", "credti"], 2, "there is no model `credti`"),
        (["--format", "xml"], 2, "xml"),
    ],
)
def test_what_is_asked_wrongly_exits_with_2(project, arguments, code, said):
    outcome = power(project, *arguments)
    assert (outcome.code, outcome.stdout) == (code, "")
    assert said in outcome.stderr


def test_with_neither_model_there_is_nothing_to_measure(project):
    outcome = power(without_candidate(without_baseline(project)))
    assert (outcome.code, outcome.stdout) == (3, "")
    assert "there is no candidate yet" in outcome.stderr
    assert "baseline register" in outcome.stderr


def test_without_candidate_the_labels_must_be_somewhere(project):
    del project.model["data"]["evaluation"]
    outcome = power(without_candidate(project))
    assert outcome.code == 3
    assert "no `evaluation` set" in outcome.stderr


def test_other_data_than_the_baselines_are_refused_as_in_a_run(project):
    project.cell("evaluation.parquet", "age", 44, row=3)
    outcome = power(project)
    assert outcome.code == 3
    assert "not comparable" in outcome.stderr


def test_an_alias_that_is_not_there_is_an_error_as_in_a_run(project):
    project.set("baseline.alias", "chmapion")
    assert power(project).code == 3


def test_scores_that_are_missing_are_an_error(project):
    table = project.table("candidate.parquet").drop(columns="score")
    project.write("candidate.parquet", table)
    outcome = power(project)
    assert outcome.code == 3
    assert "needs scores" in outcome.stderr


# --- init ----------------------------------------------------------------------------------------


def test_what_init_proposes_can_be_decided(project):
    """One formula: limits on change that `init` proposes are those that `power` finds decidable."""
    rng, n = np.random.default_rng(3), 4000
    label = rng.integers(0, 2, n)
    score = 1 / (1 + np.exp(-(2 * label - 1 + rng.normal(0, 1.2, n))))
    frame = project.table("evaluation.parquet").iloc[:1]
    frame = frame.loc[frame.index.repeat(n)].reset_index(drop=True)
    frame = frame.assign(
        id=[f"r{i:05}" for i in range(n)],
        defaulted=label,
        sex=rng.choice(["f", "m", "x"], n),
        region=rng.choice(["north", "south"], n),
        age=rng.integers(18, 80, n),
    )[["id", "defaulted", "sex", "region", "age"]]
    project.write("evaluation.parquet", frame)
    said = {"id": frame.id, "prediction": (score >= 0.5).astype(int), "score": score}
    project.write("candidate.parquet", frame[["id"]].assign(**said))
    project.path("model-gates.yml").unlink()
    files = {"predictions": "candidate.parquet", "evaluation": "evaluation.parquet"}
    named = [word for k, v in files.items() for word in (f"--{k}", str(project.path(v)))]
    config = project.path("model-gates.yml")
    assert project.call("init", *named, "--config", str(config)).code == 0
    gates = yaml.safe_load(config.read_text())["models"]["my-model"]["gates"]
    assert {"performance", "fairness"} <= set(gates)
    outcome = power(project, "--format", "json", save=False)
    assert outcome.code == 0, outcome.stderr
    checks = json.loads(outcome.stdout)["models"][0]["checks"]
    changes = [c for c in checks if any(v.startswith("max_") for v in c["limit"])]
    assert len(changes) > 10
    assert {c["standing"] for c in changes} == {"decides"}
