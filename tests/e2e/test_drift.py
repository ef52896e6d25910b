"""The drift gate from end to end: what a baseline remembers, and whatever comes after it."""

import copy
import hashlib
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from gates.policy.rejudge import rejudge
from gates.policy.rules import of_folder
from gates.report import RunInfo, load
from tests.e2e.conftest import BINARY

DRIFT = {
    "columns": {
        "age": {"psi": {"max": 0.1}, "wasserstein": {"max": 0.25}, "ks": {"max": 0.15}},
        "region": {},
        "income": {"js_distance": {"max": 0.15}, "null_change": {"max": 0.05}},
    },
    "score": {"psi": {"max": 0.1}},
    "prediction": {"total_variation": {"max": 0.1}},
}
RUN = RunInfo(started="2026-11-26T08:00:00Z")


def people(seed, rows=4000, shift=0.0):
    """Rows of a binary task; with `shift` they are older by so many standard deviations."""
    chance = np.random.default_rng(seed)
    age = chance.normal(40 + 10 * shift, 10, rows)
    score = 1 / (1 + np.exp(-(0.02 * (age - 40) + chance.normal(0, 1, rows))))
    frame = pd.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(rows)],
            "age": age,
            "region": chance.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2]),
            "income": np.where(chance.random(rows) < 0.05, np.nan, chance.exponential(3e4, rows)),
            "defaulted": (chance.random(rows) < score).astype(int),
        }
    )
    return frame, pd.DataFrame({"id": frame["id"], "score": score})


def write(project, frame, outputs):
    project.write("evaluation.parquet", frame)
    project.write("candidate.parquet", outputs)
    return project


@pytest.fixture(scope="module")
def drifting(tmp_path_factory, new_project):
    """A project whose baseline remembers 4,000 rows; its gates are drift and performance."""
    project = new_project(tmp_path_factory.mktemp("drift"), BINARY)
    limits = {"metrics": {"roc_auc": {"max_drop": 0.05}}}
    project.model["gates"] = {"drift": copy.deepcopy(DRIFT), "performance": limits}
    write(project, *people(1))
    project.register("candidate.parquet")
    return project


@pytest.fixture
def nightly(drifting, tmp_path):
    return drifting.copied(tmp_path / "project")


def verdicts(outcome):
    return {rule.partition("/")[2]: check["verdict"] for rule, check in outcome.checks.items()}


# --- fails, and passes ------------------------------------------------------------------------


def test_other_rows_of_the_same_people_pass(nightly):
    done = write(nightly, *people(2, 3000)).run("--gate", "drift")
    assert done.code == 0, done.stderr
    assert set(verdicts(done).values()) == {"pass"}
    assert "other data than the baseline's" in done.markdown
    assert done.report["models"][0]["comparison"] == "unpaired"


def test_people_who_are_half_a_standard_deviation_older_fail(nightly):
    done = write(nightly, *people(3, 3000, shift=0.5)).run("--gate", "drift")
    assert done.code == 1
    found = verdicts(done)
    assert {rule for rule, verdict in found.items() if verdict == "fail"} == {
        "psi:max@age",
        "wasserstein:max@age",
        "ks:max@age",
    }
    check = done.checks["drift/psi:max@age"]
    assert check["interval"][0] > 0.1
    assert (check["method"], check["n"]) == ("noncentral chi2", 3000)
    assert done.checks["drift/wasserstein:max@age"]["candidate"] == pytest.approx(0.5, abs=0.06)
    assert "PSI of `age`" in done.markdown


def test_the_baselines_own_rows_have_not_drifted_however_few_they_are(nightly):
    done = nightly.run()
    assert done.code == 0, done.stderr
    drift = [check for rule, check in done.checks.items() if rule.startswith("drift/")]
    assert {check["method"] for check in drift} == {"identical"}
    assert {tuple(check["interval"]) for check in drift} == {(0.0, 0.0)}


def test_another_model_on_the_same_rows_can_drift_in_its_scores(nightly):
    frame, outputs = people(1)
    write(nightly, frame, outputs.assign(score=outputs.score**2))
    done = nightly.run("--gate", "drift")
    found = verdicts(done)
    assert (found["psi:max@score"], found["total_variation:max@prediction"]) == ("fail", "fail")
    assert found["psi:max@age"] == "pass"


def test_a_small_drift_in_many_rows_is_within_the_limit(nightly):
    nightly.model["gates"]["drift"]["columns"] = {"age": {"psi": {"max": 0.1}}}
    done = write(nightly, *people(4, 100_000, shift=0.1)).run("--gate", "drift")
    check = done.checks["drift/psi:max@age"]
    assert check["interval"][0] > 0.0, "it is there"
    assert check["verdict"] == "pass", "and is small"


def test_a_handful_of_rows_tells_nothing(nightly):
    done = write(nightly, *people(5, 8)).run("--gate", "drift")
    assert set(verdicts(done).values()) == {"inconclusive"}
    nightly.config["defaults"] = {"on_inconclusive": "fail"}
    assert nightly.run("--gate", "drift").code == 1


def test_rows_that_belong_together_are_worth_less(new_project, tmp_path):
    widths = []
    for cluster in (None, "household"):
        folder = tmp_path / str(cluster)
        folder.mkdir()
        project = new_project(folder, BINARY)
        project.model["gates"] = {"drift": {"columns": {"age": {}}}}
        if cluster:
            project.model["data"]["cluster"] = cluster
        for seed in (1, 2):
            frame, outputs = people(seed, 2000)
            write(project, frame.assign(household=np.arange(2000) // 20), outputs)
            if seed == 1:
                project.register("candidate.parquet")
        low, high = project.run().checks["drift/psi:max@age"]["interval"]
        widths.append(high - low)
    assert widths[1] > 5 * widths[0]


# --- no number is no pass ---------------------------------------------------------------------

BROKEN = {
    "the column is gone": (
        lambda frame: frame.drop(columns="age"),
        "there is no column `age`",
        ("psi", "ks", "wasserstein", "null_change"),
    ),
    "every value is missing": (
        lambda frame: frame.assign(age=np.nan),
        "no row has a value here",
        ("psi", "ks", "wasserstein"),
    ),
    "numbers became texts": (
        lambda frame: frame.assign(age=frame.age.map("{:.0f} years".format)),
        "these are categories, and the reference has numbers",
        ("psi", "ks", "wasserstein"),
    ),
    "a value is infinite": (
        lambda frame: frame.assign(age=[*frame.age[:-1], np.inf]),
        "1 row has a value that is not finite",
        ("psi", "ks", "wasserstein", "null_change"),
    ),
    "numbers became dates": (
        lambda frame: frame.assign(age=pd.Timestamp("2026-01-01")),
        "holds temporal, which has no bins",
        ("psi", "ks", "wasserstein", "null_change"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_can_not_be_compared_is_an_error_and_blocks(nightly, name):
    change, reason, metrics = BROKEN[name]
    frame, outputs = people(2, 3000)
    done = write(nightly, change(frame), outputs).run("--gate", "drift")
    assert done.code == 1
    for metric in metrics:
        check = done.checks[f"drift/{metric}:max@age"]
        assert (check["verdict"], check["effect"], check["family"]) == ("error", "block", "overall")
        assert reason in check["reason"]
    if "null_change" not in metrics and "missing" in name:
        assert verdicts(done)["null_change:max@age"] == "fail"
    assert verdicts(done)["psi:max@region"] == "pass", "the others are judged all the same"


def test_more_missing_values_are_a_drift_of_their_own(nightly):
    frame, outputs = people(2, 3000)
    frame.loc[frame.index % 5 == 0, "income"] = np.nan
    found = verdicts(write(nightly, frame, outputs).run("--gate", "drift"))
    assert found["null_change:max@income"] == "fail"
    assert found["js_distance:max@income"] == "pass"


def test_a_category_nobody_has_seen_is_told_and_counts(nightly):
    frame, outputs = people(2, 3000)
    frame.loc[frame.index % 5 == 0, "region"] = "secret west"
    done = write(nightly, frame, outputs).run("--gate", "drift")
    assert verdicts(done)["psi:max@region"] == "fail"
    assert "region: 600 rows have a category that the reference has not" in str(done.gate("drift"))
    assert "secret west" not in done.everything


def test_a_column_that_became_constant_fails(nightly):
    frame, outputs = people(2, 3000)
    done = write(nightly, frame.assign(age=40.0, region="north"), outputs).run("--gate", "drift")
    found = verdicts(done)
    assert (found["psi:max@age"], found["ks:max@age"], found["psi:max@region"]) == ("fail",) * 3


def test_a_constant_of_the_baseline_is_left_only_by_a_fail(new_project, tmp_path):
    project = new_project(tmp_path, BINARY)
    project.model["gates"] = {
        "drift": {"columns": {"age": {"psi": {"max": 0.1}, "wasserstein": {"max": 0.1}}}}
    }
    frame, outputs = people(1, 2000)
    write(project, frame.assign(age=40.0), outputs).register("candidate.parquet")
    frame, outputs = people(2, 2000)
    found = verdicts(write(project, frame.assign(age=40.0), outputs).run())
    assert (found["psi:max@age"], found["wasserstein:max@age"]) == ("pass", "error")
    for other in (39.0, 41.0):
        found = verdicts(write(project, frame.assign(age=other), outputs).run())
        assert found["psi:max@age"] == "fail"


def test_a_baseline_that_does_not_remember_a_column_says_how_to_make_it(nightly):
    nightly.model["gates"]["drift"]["columns"]["defaulted"] = {}
    done = nightly.run("--gate", "drift")
    assert done.code == 1
    check = done.checks["drift/psi:max@defaulted"]
    assert check["verdict"] == "error"
    assert "does not remember `defaulted`: register it again" in check["reason"]


# --- whose rows, and whether they have labels -------------------------------------------------


def test_newest_rows_need_no_labels(nightly):
    frame, outputs = people(2, 3000)
    for labels in (None, [np.nan, *frame.defaulted[1:]]):
        unlabelled = frame.drop(columns="defaulted")
        if labels is not None:
            unlabelled = unlabelled.assign(defaulted=labels)
        done = write(nightly, unlabelled, outputs).run("--gate", "drift")
        assert done.code == 0, done.stderr
        assert "Not every row has a label" in done.markdown
        assert done.report["models"][0]["data"]["evaluation"]["label_rate"] is None
        assert done.report["models"][0]["portrait"]["candidate"] is None


@pytest.mark.parametrize(
    ("task", "outputs", "gate"),
    [
        ("regression", {"prediction": 1.5}, {"prediction": {"ks": {"max": 0.2}}}),
        ("multiclass", {"prediction": "a"}, {"prediction": {}}),
        ("multiclass", {"score_a": 0.6, "score_b": 0.4}, {"prediction": {}}),
        ("binary", {"prediction": 1}, {"prediction": {}}),
    ],
)
def test_every_task_can_do_without_labels(new_project, tmp_path, task, outputs, gate):
    project = new_project(tmp_path, BINARY)
    project.model["task"] = task
    project.model["gates"] = {"drift": gate}
    labels = {"regression": [1.0, 2.0], "multiclass": ["a", "b"], "binary": [0, 1]}[task]
    rows = 400
    frame = pd.DataFrame({"id": range(rows), "defaulted": labels * (rows // 2)})
    said = pd.DataFrame({"id": range(rows), **outputs})
    write(project, frame, said).register("candidate.parquet")
    write(
        project,
        frame.drop(columns="defaulted").assign(id=frame.id + 10**6),
        said.assign(id=said.id + 10**6),
    )
    done = project.run()
    assert done.code in (0, 1), done.stderr
    assert set(verdicts(done).values()) == {"pass"}


def test_a_gate_that_compares_rows_is_refused_other_rows_as_before(nightly):
    done = write(nightly, *people(2, 3000)).run()
    assert done.code == 3
    assert "is not comparable" in done.stderr + done.stdout
    frame, outputs = people(2, 3000)
    done = write(nightly, frame.drop(columns="defaulted"), outputs).run()
    assert done.code == 3
    assert "`defaulted`" in done.stderr + done.stdout


def test_another_question_is_refused_although_no_row_is_compared(nightly):
    nightly.set("data.positive", 0)
    done = write(nightly, *people(2, 3000)).run("--gate", "drift")
    assert done.code == 3
    assert "its positive label is" in done.stderr + done.stdout


def test_without_a_baseline_nothing_is_compared_and_nothing_passes(new_project, tmp_path):
    project = write(new_project(tmp_path, BINARY), *people(1))
    project.model["gates"] = {"drift": copy.deepcopy(DRIFT)}
    assert project.run().code == 3
    project.set("baseline", {"on_missing": "absolute"})
    done = project.run()
    assert done.code == 1
    assert set(verdicts(done).values()) == {"skipped"}


# --- a reference file -------------------------------------------------------------------------


def pinned(project, name="reference.parquet", digest=None):
    digest = digest or hashlib.sha256(project.path(name).read_bytes()).hexdigest()
    project.model["gates"] = {
        "drift": copy.deepcopy(DRIFT) | {"reference": {"file": name, "sha256": digest}}
    }
    return project


@pytest.fixture
def filed(new_project, tmp_path):
    """A project without a baseline; its reference is a file."""
    frame, outputs = people(1)
    project = new_project(tmp_path, BINARY)
    reference = frame.assign(score=outputs.score, prediction=(outputs.score >= 0.5).astype(int))
    project.write("reference.parquet", reference)
    return pinned(project)


def test_a_file_is_a_reference_as_good_as_what_a_baseline_remembers(filed, nightly):
    for seed, shift, code in ((2, 0.0, 0), (3, 0.5, 1)):
        by_file = write(filed, *people(seed, 3000, shift)).run()
        remembered = write(nightly, *people(seed, 3000, shift)).run("--gate", "drift")
        assert by_file.code == remembered.code == code
        assert verdicts(by_file) == verdicts(remembered)
    assert "reference.parquet (4,000 rows)" in by_file.gate("drift")["summary"]


def test_a_file_that_somebody_changed_is_no_reference(filed):
    frame, outputs = people(3, 3000, shift=0.5)
    # Whoever changes the data would like to change what they are held against.
    filed.write("reference.parquet", frame.assign(score=outputs.score, prediction=1))
    done = write(filed, frame, outputs).run()
    assert done.code == 3
    assert "not the file that the configuration names" in done.stdout + done.stderr


# --- judged anew ------------------------------------------------------------------------------


def again(project, done, change=lambda checks: None):
    report = json.loads((done.out / "report.json").read_bytes())
    change({check["id"]: check for check in report["models"][0]["gates"][0]["checks"]})
    rules, _ = of_folder(project.path("model-gates.yml"), on=date(2026, 11, 26))
    found = rejudge(load(json.dumps(report).encode()), rules, RUN, on=date(2026, 11, 26))
    return found, {check.id: check for check in found.models[0].gates[0].checks}


@pytest.fixture
def alone(nightly):
    del nightly.model["gates"]["performance"]
    return nightly


@pytest.mark.parametrize("name", [None, *BROKEN])
def test_an_honest_run_comes_back_as_it_was(alone, name):
    frame, outputs = people(3, 3000, shift=0.5)
    done = write(alone, BROKEN[name][0](frame) if name else frame, outputs).run()
    found, checks = again(alone, done)
    assert found.blocked
    for rule, check in done.checks.items():
        told = checks[rule]
        assert (told.verdict, told.effect, told.family) == (
            check["verdict"],
            check["effect"],
            check["family"],
        )
        assert (told.p_adjusted, told.columns) == (check["p_adjusted"], tuple(check["columns"]))


@pytest.mark.parametrize(
    "edit",
    [
        {"problem": "nothing to see", "candidate": None, "interval": None, "p": None},
        {"skip": True, "candidate": None, "interval": None, "p": None},
        {"limit": {"max": 99.0}},
        {"mode": "report", "verdict": "pass", "effect": "none"},
    ],
)
def test_a_drift_is_not_talked_away(alone, edit):
    done = write(alone, *people(3, 3000, shift=0.5)).run()
    found, checks = again(alone, done, lambda checks: checks["drift/psi:max@age"].update(edit))
    assert found.blocked
    assert checks["drift/psi:max@age"].verdict.value in ("fail", "error")
    assert checks["drift/psi:max@age"].effect.value == "block"


def test_a_check_that_was_left_out_is_missed(alone):
    done = write(alone, *people(2, 3000)).run()
    report = json.loads((done.out / "report.json").read_bytes())
    gate = report["models"][0]["gates"][0]
    gate["checks"] = [c for c in gate["checks"] if c["id"] != "drift/psi:max@region"]
    rules, _ = of_folder(alone.path("model-gates.yml"), on=date(2026, 11, 26))
    found = rejudge(load(json.dumps(report).encode()), rules, RUN, on=date(2026, 11, 26))
    assert found.blocked
