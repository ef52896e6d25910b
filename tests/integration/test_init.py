"""`model-gates init` on real data: what it writes is run by the two commands that it prints."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gates.config import load

ROOT = Path(__file__).parents[2]
ADULT = ROOT / "gates" / "demo" / "project" / "data" / "adult.parquet"


def gates(folder, line):
    """Run a command as a person would who pasted it."""
    words = shlex.split(line)
    assert words[0] == "model-gates"
    return subprocess.run(
        [sys.executable, "-m", "gates", *words[1:]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def adult(folder):
    people = pd.read_parquet(ADULT).sample(15_000, random_state=7).sort_values("person_id")
    numbers = people[["age", "education_num", "capital_gain", "hours_per_week"]]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    score = cross_val_predict(model, numbers, people.income_over_50k, method="predict_proba", cv=3)[
        :, 1
    ]
    people.to_parquet(folder / "holdout.parquet", index=False)
    said = pd.DataFrame({"person_id": people.person_id, "score": score})
    said.to_parquet(folder / "said.parquet", index=False)
    return "said.parquet", "holdout.parquet"


def classes(load_set):
    def write(folder):
        data = load_set(as_frame=True)
        names = data.target_names
        model = make_pipeline(StandardScaler(), LogisticRegression())
        share = cross_val_predict(model, data.data, data.target, method="predict_proba", cv=5)
        said = pd.DataFrame(share, columns=[f"score_{name}" for name in names])
        said.insert(0, "prediction", names[share.argmax(axis=1)])
        said.to_csv(folder / "said.csv", index_label="row_id")
        truth = data.data.assign(species=0, target=names[data.target])
        truth.to_csv(folder / "my holdout.csv", index_label="row_id")
        return "said.csv", "my holdout.csv"

    return write


def diabetes(folder):
    data = load_diabetes(as_frame=True)
    said = cross_val_predict(LinearRegression(), data.data, data.target, cv=5)
    both = data.frame.assign(y_pred=said).rename_axis("patient_id").reset_index()
    both.to_parquet(folder / "it's all.parquet", index=False)
    return "it's all.parquet", None


CASES = {
    "adult": (adult, "binary", ("data-schema", "performance", "fairness")),
    "wine": (classes(load_wine), "multiclass", ("data-schema", "performance")),
    "iris": (classes(load_iris), "multiclass", ("data-schema", "performance")),
    "diabetes": (diabetes, "regression", ("data-schema", "performance", "fairness")),
}


def init(folder, write, more=""):
    predictions, evaluation = write(folder)
    line = f"model-gates init --predictions {shlex.quote(predictions)} --model first{more}"
    if evaluation:
        line += f" --evaluation {shlex.quote(evaluation)}"
    return gates(folder, line)


@pytest.mark.parametrize("name", CASES)
def test_what_init_writes_runs_green_by_the_commands_it_prints(tmp_path, name):
    write, task, wanted = CASES[name]
    written = init(tmp_path, write)
    assert written.returncode == 0, written.stderr
    first, *commands = written.stdout.splitlines()
    assert first == "wrote model-gates.yml; read it, then:"
    assert len(commands) == 2
    for command in commands:
        done = gates(tmp_path, command)
        assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "model-gates-report" / "report.json").read_text())
    (model,) = report["models"]
    assert model["task"] == task
    assert tuple(gate["gate"] for gate in model["gates"]) == wanted
    checks = [check for gate in model["gates"] for check in gate["checks"]]
    undecided = [check for check in checks if check["verdict"] != "pass"]
    # Groups of a few rows stay a question, whatever the limits are.
    assert {check["metric"] for check in undecided} <= {"group_size"}
    assert {check["verdict"] for check in undecided} <= {"inconclusive"}


def test_the_proposed_limits_decide_between_two_real_models(tmp_path):
    """A model that is a little other is decided; one that is clearly worse is blocked."""
    assert init(tmp_path, adult).returncode == 0
    register = "model-gates baseline register --predictions said.parquet --alias champion"
    assert gates(tmp_path, register).returncode == 0
    people = pd.read_parquet(tmp_path / "holdout.parquet")
    for columns, expected in (
        (["age", "education_num", "capital_gain", "hours_per_week", "capital_loss"], "pass"),
        (["age", "education_num"], "fail"),
    ):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        score = cross_val_predict(
            model, people[columns], people.income_over_50k, method="predict_proba", cv=3
        )[:, 1]
        said = pd.DataFrame({"person_id": people.person_id, "score": score})
        said.to_parquet(tmp_path / "said.parquet", index=False)
        done = gates(tmp_path, "model-gates run --gate performance --format json")
        (gate,) = json.loads(done.stdout)["models"][0]["gates"]
        change = {c["metric"]: c["verdict"] for c in gate["checks"] if "max_drop" in c["limit"]}
        overall = {c["metric"]: c for c in gate["checks"] if c["slice"] is None}
        assert overall["roc_auc"]["verdict"] == expected
        assert "inconclusive" not in {c["verdict"] for c in overall.values()}, change
        assert done.returncode == (0 if expected == "pass" else 1)


def test_the_file_may_stand_elsewhere_and_the_commands_say_so(tmp_path):
    (tmp_path / "a b").mkdir()
    written = init(tmp_path, CASES["iris"][0], more=" --config 'a b/gates.yml'")
    commands = written.stdout.splitlines()[1:]
    assert all(command.endswith("--config 'a b/gates.yml'") for command in commands)
    assert [gates(tmp_path, command).returncode for command in commands] == [0, 0]
    config, _ = load(tmp_path / "a b" / "gates.yml")
    assert config.models["first"].candidate.predictions == str(tmp_path / "said.csv")


def test_a_file_that_is_there_is_never_written_over(tmp_path):
    (tmp_path / "model-gates.yml").write_text("mine")
    refused = init(tmp_path, diabetes)
    assert refused.returncode == 2
    assert "the file is there already" in refused.stderr
    assert (tmp_path / "model-gates.yml").read_text() == "mine"


def test_what_can_not_be_guessed_leaves_no_file(tmp_path):
    refused = init(tmp_path, lambda folder: (classes(load_iris)(folder)[0], None))
    assert refused.returncode == 3
    assert "--evaluation" in refused.stderr
    assert not (tmp_path / "model-gates.yml").exists()
