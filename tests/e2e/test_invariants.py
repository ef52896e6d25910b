"""What holds for every run: fail closed, lose nothing, leak nothing, same input, same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from gates import report as reports
from gates import runner
from gates.config import load
from gates.report import PolicyInfo, RunInfo, Verdict
from reporters.render.registry import RENDERERS

ROOT = Path(__file__).parents[2]
CANARY = "canary7f3a"
EVALUATION, CANDIDATE, BASELINE = "evaluation.parquet", "candidate.parquet", "baseline.parquet"


def lasting(report):
    """The bytes of a report without `run`, the only part that may vary."""
    return json.dumps({key: value for key, value in report.items() if key != "run"}).encode()


# --- same input, same bytes ------------------------------------------------------------------


def shuffled(project):
    for seed, name in enumerate((EVALUATION, CANDIDATE)):
        project.write(name, project.table(name).sample(frac=1, random_state=seed))


def columns_turned(project):
    for name in (EVALUATION, CANDIDATE):
        frame = project.table(name)
        project.write(name, frame[frame.columns[::-1]])


def other_types(project):
    project.write(
        EVALUATION, project.table(EVALUATION).astype({"defaulted": float, "age": "int16"})
    )
    project.write(CANDIDATE, project.table(CANDIDATE).astype({"prediction": float}))


@pytest.mark.parametrize("change", [lambda p: None, shuffled, columns_turned, other_types])
def test_same_input_same_bytes(project, change):
    first = project.run().report
    change(project)
    again = project.run(out="again").report
    assert lasting(again) == lasting(first)


def test_csv_says_what_parquet_says(project):
    first = project.run().report
    for stem in ("evaluation", "candidate"):
        project.csv(stem)
    again = project.run().report
    ref = again["models"][0]["candidate"].pop("ref")
    assert (ref, first["models"][0]["candidate"].pop("ref")) == ("candidate.csv", CANDIDATE)
    assert again.pop("policy")["digest"] != first.pop("policy")["digest"]
    assert lasting(again) == lasting(first)


def test_every_format_says_the_same(project):
    first = project.run().report
    project.table(EVALUATION).to_json(
        project.path("evaluation.jsonl"), orient="records", lines=True
    )
    project.table(CANDIDATE).to_feather(project.path("candidate.arrow"))
    project.set("data.evaluation", "evaluation.jsonl")
    project.set("candidate.predictions", "candidate.arrow")
    again = project.run().report
    for report in (first, again):
        del report["policy"], report["models"][0]["candidate"]["ref"]
    assert lasting(again) == lasting(first)


@pytest.mark.parametrize(("values", "positive"), [((False, True), True), (("no", "yes"), "yes")])
def test_labels_may_be_text_or_truth_values(project, values, positive):
    project.set(
        "gates", {"performance": {"metrics": {"recall": {"min": 0.1}, "mcc": {"min": 0.1}}}}
    )
    numbers = {rule: check["candidate"] for rule, check in project.run().checks.items()}
    for name, column in ((EVALUATION, "defaulted"), (CANDIDATE, "prediction")):
        named = [values[number] for number in project.table(name)[column]]
        project.cell(name, column, named, row=None)
    project.set("data.positive", positive)
    outcome = project.run()
    assert {rule: check["candidate"] for rule, check in outcome.checks.items()} == numbers


def test_predictions_that_carry_label_and_slices_are_enough(project):
    numbers = {rule: check["delta"] for rule, check in project.run().checks.items()}
    for name in (CANDIDATE, BASELINE):
        project.write(name, project.table(EVALUATION).merge(project.table(name), on="id"))
    del project.model["data"]["evaluation"]
    shutil.rmtree(project.store)
    project.register()
    outcome = project.run()
    assert outcome.code == 0
    assert {rule: check["delta"] for rule, check in outcome.checks.items()} == numbers


def test_a_threshold_makes_predictions_of_scores(project):
    frame = project.table(CANDIDATE)
    project.write(CANDIDATE, frame.drop(columns="prediction").rename(columns={"score": "p"}))
    project.set("candidate.columns", {"score": "p"})
    project.set("candidate.threshold", 0.3)
    project.set("gates", {"performance": {"metrics": {"selection_rate": {"min": 0.1}}}})
    (check,) = project.run().checks.values()
    assert check["candidate"] == pytest.approx((frame["score"] >= 0.3).mean(), abs=1e-12)


def test_the_number_of_threads_changes_no_byte(project):
    # DuckDB takes its threads from the processors the process may use.
    limit = "import os; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    one = project.process(prelude=limit, out="one", environ={"OMP_NUM_THREADS": "1"})
    two = project.process(out="two", environ={"OMP_NUM_THREADS": "2"})
    assert (one.code, two.code) == (0, 0)
    assert lasting(one.report) == lasting(two.report)


def test_another_folder_changes_no_byte(project, tmp_path):
    inside = project.start("run", out="model-gates-report")
    outside = project.run()
    moved = project.copied(tmp_path / "elsewhere").run()
    assert lasting(inside.report) == lasting(outside.report) == lasting(moved.report)


def test_another_value_is_another_report(project):
    first = project.run().report
    frame = project.table(CANDIDATE)
    project.cell(CANDIDATE, "score", frame["score"][7] + 1e-6)
    assert lasting(project.run().report) != lasting(first)


# --- a crash is no verdict -------------------------------------------------------------------


class Crashing:
    """A gate with a bug; what it raises quotes a row, as such errors do."""

    needs_baseline = False
    pairs = True
    needs_truth = True
    reads = ()

    def judge(self, evidence):
        raise ZeroDivisionError(f"{CANARY} at {evidence.joined.text('id')[0]}")

    def compared(self, evidence):
        return iter(())


def run_with(project, gates, crashes):
    """Run the line with gates of our own; `configured` is all that the runner asks of a block."""
    config, source = load(project.path("model-gates.yml"))
    model = config.models["credit"]
    block = SimpleNamespace(configured=lambda: gates(config.models["credit"]))
    model = model.model_copy(update={"gates": block})
    steps = []
    asked = runner.Run(
        config=config.model_copy(update={"models": {"credit": model}}),
        root=project.folder,
        policy=PolicyInfo(digest=source.digest),
        info=RunInfo(started="2026-01-02T03:04:05Z"),
        progress=lambda *step: steps.append(step),
        on_crash=crashes.append,
    )
    return runner.run(asked), steps


def test_a_crash_in_a_gate_is_told_and_the_others_still_run(project):
    crashes = []
    report, steps = run_with(
        project, lambda model: {"crashing": Crashing(), **model.gates.configured()}, crashes
    )

    crashed, *others = report.models[0].gates
    assert report.exit_code == 70
    assert report.blocked
    assert report.verdict is Verdict.ERROR
    assert (crashed.verdict, crashed.error.kind, crashed.error.exit_code) == ("error", "bug", 70)
    assert "ZeroDivisionError" in crashed.error.message
    assert {gate.gate: gate.verdict for gate in others} == {
        "performance": "pass",
        "fairness": "pass",
    }
    assert [type(error) for error in crashes] == [ZeroDivisionError]
    assert ("credit", "crashing", "error") in steps
    for name, render in RENDERERS.items():
        text = render(report)
        assert CANARY not in text
        assert "ZeroDivisionError" in text or name in ("openmetrics", "badge", "badge-svg")


def test_gates_that_find_nothing_block(project):
    class Silent(Crashing):
        def judge(self, evidence):
            return reports.GateResult(gate="silent")

    report, _ = run_with(project, lambda _: {"silent": Silent()}, [])
    assert (report.verdict, report.blocked, report.exit_code) == ("error", True, 1)


# --- the streams -----------------------------------------------------------------------------


def test_stdout_is_the_result_and_stderr_the_progress(project):
    outcome = project.process("--format", "json")
    assert json.loads(outcome.stdout) == outcome.report
    assert "credit: performance: pass" in outcome.stderr
    assert "credit: fairness: pass" in outcome.stderr
    assert str(outcome.out / "report.json") in outcome.stderr


def test_markdown_on_stdout_is_the_file(project):
    outcome = project.run("--format", "markdown")
    assert outcome.stdout == outcome.markdown
    assert outcome.markdown.startswith("<!-- model-gates")


def test_the_console_has_the_verdict_in_its_first_line(project):
    outcome = project.run("--format", "console")
    assert outcome.stdout.splitlines()[0] == "✔ Model gate: credit passes all 9 checks"
    assert "\x1b" not in outcome.stdout, "no colours but on a terminal"


def test_a_report_renders_again_as_it_was(project):
    outcome = project.run("--format", "markdown")
    again = project.call("report", str(outcome.out / "report.json"), "--to", "markdown")
    assert (again.code, again.stdout) == (0, outcome.markdown)


def test_a_reader_that_has_gone_is_no_verdict(project):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "gates", "run", "--config", project.path("model-gates.yml")],
            cwd=project.folder,
            stdout=pipe,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            check=False,
        )
    found = json.loads(project.path("model-gates-report/report.json").read_bytes())
    assert found["verdict"] == "pass", "it is written before anything is said"
    assert done.returncode != 1, "which would mean: blocked"


# --- what is loaded, and what is reached -----------------------------------------------------

TELL_MODULES = """
import atexit, sys
watched = ("duckdb", "great_expectations", "fairlearn", "numpy", "pandas", "pyarrow", "sklearn")
tell = lambda: print("LOADED", *(m for m in watched if m in sys.modules), file=sys.stderr)
atexit.register(tell)
"""
GUARD = """
import sys
def guard(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        print("REACHED OUT", event, file=sys.stderr)
        raise PermissionError(event)
sys.addaudithook(guard)
"""


def loaded(outcome):
    (line,) = [line for line in outcome.stderr.splitlines() if line.startswith("LOADED")]
    return set(line.split()[1:])


def test_a_library_is_loaded_only_for_a_gate_that_needs_it(project):
    project.set("gates", {"data-schema": {"columns": {"age": {"min": 0}}}})
    schema = loaded(project.process(prelude=TELL_MODULES))
    project.set("gates", {"performance": {"metrics": {"mcc": {"min": 0.1}}}})
    performance = loaded(project.process(prelude=TELL_MODULES))
    assert "great_expectations" in schema
    assert "fairlearn" not in schema
    assert "great_expectations" not in performance
    assert "sklearn" in performance


def test_nothing_heavy_is_loaded_where_no_data_is_read(project):
    written = project.run().out / "report.json"
    commands = (
        ("validate",),
        ("report", str(written), "--to", "markdown"),
        ("schema",),
        ("--help",),
    )
    for command in commands:
        outcome = project.start(*command, prelude=TELL_MODULES)
        assert (outcome.code, loaded(outcome)) == (0, set()), command


@pytest.mark.parametrize("schema", [False, True])
def test_no_run_reaches_out(project, schema):
    if schema:
        project.set("gates.data-schema", {"columns": {"age": {"min": 0}}})
    outcome = project.process(prelude=GUARD)
    assert outcome.code == 0, outcome.stderr
    assert "REACHED OUT" not in outcome.stderr


def test_the_guard_would_notice(project):
    reach = f"{GUARD}\nimport socket\nsocket.create_connection(('127.0.0.1', 9))"
    assert "REACHED OUT socket" in project.process(prelude=reach).stderr


def test_nothing_of_the_project_is_imported(project):
    for name in ("yaml", "sitecustomize", "conftest", "duckdb"):
        project.path(f"{name}.py").write_text("import pathlib; pathlib.Path('pwned').touch()")
    # As the action calls it: isolated, so that the folder it runs in is not searched.
    code = f"import sys; sys.path.append({str(ROOT)!r}); from gates.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, "run"],
        cwd=project.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not project.path("pwned").exists()


# --- kill -9 ---------------------------------------------------------------------------------

RUN_IN_A_LOOP = """
import sys
from gates.__main__ import _run
from gates.cli import World
while True:
    print(_run(World(environ={})), flush=True, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_leaves_the_old_report_or_the_new(project):
    good = lasting(project.run().report)
    frame = project.table(CANDIDATE)
    chance = random.Random(7)  # noqa: S311  (any moment will do)
    out, seen = project.path("out"), set()
    argv = [
        sys.executable,
        "-c",
        RUN_IN_A_LOOP,
        "run",
        "--config",
        str(project.path("model-gates.yml")),
    ]
    for turn in range(4):
        project.write(CANDIDATE, frame if turn % 2 else frame[1:])
        environ = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        child = subprocess.Popen(
            [*argv, "--out", str(out)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while b"report:" not in (line := child.stderr.readline()):
            assert line, "the child ended by itself"
        time.sleep(chance.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        found = json.loads((out / "report.json").read_bytes())
        assert (lasting(found) == good) is bool(turn % 2)
        assert (out / "report.md").read_text().startswith("<!-- model-gates")
        seen.add(found["verdict"])
    assert seen == {"pass", None}


# --- policy ----------------------------------------------------------------------------------


def worse(project):
    """Let the candidate know less: its scores are mostly noise."""
    frame = project.table(CANDIDATE)
    noise = np.random.default_rng(3).random(len(frame))
    score = 0.1 * frame["score"] + 0.9 * noise
    project.write(CANDIDATE, frame.assign(score=score, prediction=(score >= 0.5).astype(int)))


def test_a_worse_candidate_blocks(project):
    worse(project)
    outcome = project.run()
    assert outcome.code == 1
    assert (outcome.report["verdict"], outcome.report["blocked"]) == ("fail", True)
    assert "✘" in outcome.stdout.splitlines()[0]


@pytest.mark.parametrize(("mode", "effect"), [("warn", "warn"), ("report", "none")])
def test_a_mode_changes_the_effect_and_not_the_verdict(project, mode, effect):
    worse(project)
    project.config["defaults"] = {"mode": mode}
    outcome = project.run()
    assert outcome.code == 0
    assert (outcome.report["verdict"], outcome.report["blocked"]) == ("fail", False)
    failed = [check for check in outcome.checks.values() if check["verdict"] == "fail"]
    assert {check["effect"] for check in failed} == {effect}
    assert "✔" not in outcome.stdout.splitlines()[0]
    assert "passes" not in outcome.stdout


def test_the_nearest_mode_counts(project):
    worse(project)
    project.config["defaults"] = {"mode": "report"}
    project.set(
        "gates",
        {
            "performance": {
                "mode": "warn",
                "metrics": {
                    "roc_auc": {"max_drop": 0.1, "mode": "enforce"},
                    "mcc": {"max_drop": 0.1},
                },
            }
        },
    )
    outcome = project.run()
    assert outcome.code == 1
    effects = {check["metric"]: check["effect"] for check in outcome.checks.values()}
    assert effects == {"roc_auc": "block", "mcc": "warn"}


UNDECIDED = {"performance": {"metrics": {"roc_auc": {"max_drop": 0.001}}}}


@pytest.mark.parametrize(("policy", "code", "effect"), [("warn", 0, "warn"), ("fail", 1, "block")])
def test_what_is_not_decided_warns_or_blocks(project, policy, code, effect):
    project.set("gates", UNDECIDED)
    frame = project.table(BASELINE)
    score = np.clip(frame["score"] + np.random.default_rng(1).normal(0, 0.05, len(frame)), 0, 1)
    project.write(CANDIDATE, frame.assign(score=score))
    project.config["defaults"] = {"on_inconclusive": policy}
    outcome = project.run()
    (check,) = outcome.checks.values()
    assert (outcome.code, check["verdict"], check["effect"]) == (code, "inconclusive", effect)
    assert outcome.report["verdict"] == "inconclusive"
    assert check["n_needed"] is None or check["n_needed"] > 300
    assert "cannot tell" in check["reason"]


def test_a_point_decides_where_an_interval_does_not(project):
    project.set("gates", {"performance": {"metrics": {"roc_auc": {"min": 0.5}}}})
    value = project.run().checks["performance/roc_auc:min"]["candidate"]
    verdicts = {}
    for decide in ("interval", "point"):
        project.config["defaults"] = {"decide": decide}
        for side in (-0.001, 0.001):
            project.set("gates.performance.metrics.roc_auc.min", round(value + side, 6))
            (check,) = project.run().checks.values()
            verdicts[decide, side] = check["verdict"]
    assert verdicts == {
        ("interval", -0.001): "inconclusive",
        ("interval", 0.001): "inconclusive",
        ("point", -0.001): "pass",
        ("point", 0.001): "fail",
    }


def test_without_a_baseline_absolute_limits_are_decided_and_the_headline_says_so(project):
    shutil.rmtree(project.store)
    project.set("baseline.on_missing", "absolute")
    outcome = project.run()
    assert outcome.code == 0
    assert outcome.report["models"][0]["baseline"] is None
    for rule, check in outcome.checks.items():
        absolute = rule.split(":")[1].split("@")[0] in ("min", "max")
        assert check["verdict"] == ("pass" if absolute else "skipped"), rule
        assert absolute or "nothing was compared" in check["reason"]
    assert "nothing was compared" in outcome.stdout.splitlines()[0]
    assert "nothing was compared" in outcome.markdown.splitlines()[1]


def test_a_run_that_skips_everything_is_blocked(project):
    shutil.rmtree(project.store)
    project.set("baseline.on_missing", "absolute")
    project.set("gates", UNDECIDED)
    outcome = project.run()
    assert outcome.code == 1
    assert outcome.report["blocked"] is True
    assert {check["verdict"] for check in outcome.checks.values()} == {"skipped"}
    assert "pass" not in outcome.stdout.splitlines()[0]


def test_limits_on_the_candidate_alone_need_no_baseline(project):
    shutil.rmtree(project.store)
    project.set("gates", {"performance": {"metrics": {"roc_auc": {"min": 0.6}}}})
    assert project.run().code == 0


# --- the baseline ----------------------------------------------------------------------------


def test_the_same_model_again_is_no_change(project):
    project.set("candidate.predictions", BASELINE)
    outcome = project.run()
    assert outcome.code == 0
    assert outcome.report["verdict"] == "pass"
    changes = [check for check in outcome.checks.values() if check["interval_of"] == "delta"]
    assert len(changes) == 7
    for check in changes:
        assert (check["delta"], check["interval"], check["verdict"]) == (0.0, [0.0, 0.0], "pass")
    assert "nothing changed" in " ".join(outcome.report["models"][0]["notes"])


def other_rows(project):
    """An evaluation set of other rows than the baseline's, with both models' outputs on it."""
    for name in (EVALUATION, CANDIDATE, BASELINE):
        project.write(name, project.table(name)[20:])


def test_unpaired_where_the_rows_are_others(project):
    paired = project.run().checks["performance/roc_auc:max_drop"]
    other_rows(project)
    project.set("baseline.on_other_data", "unpaired")
    project.set("gates", {"performance": {"metrics": {"roc_auc": {"min": 0.6, "max_drop": 0.2}}}})
    outcome = project.run()
    assert outcome.code == 0
    check = outcome.checks["performance/roc_auc:max_drop"]
    assert check["method"] == "unpaired newcombe"
    assert check["baseline"] == paired["baseline"], "the stored number"
    assert np.diff(check["interval"]) > np.diff(paired["interval"])
    notes = outcome.report["models"][0]["notes"]
    (note,) = (note for note in notes if "without pairing" in note)
    assert "300 rows" in note


def test_re_evaluated_where_the_rows_are_others(project):
    other_rows(project)
    assert project.run().code == 3
    project.set("baseline.on_other_data", "re-evaluate")
    project.set("baseline.predictions", BASELINE)
    outcome = project.run()
    assert outcome.code == 0
    check = outcome.checks["performance/recall:max_drop"]
    rows = project.table(EVALUATION).merge(project.table(BASELINE), on="id")
    positive = rows[rows["defaulted"] == 1]
    assert check["baseline"] == pytest.approx(positive["prediction"].mean(), abs=1e-12)
    assert check["method"] == "tango"


def test_rows_that_belong_together_widen_the_interval(project):
    frame = project.table(EVALUATION)
    copies = [frame.assign(id=frame["id"] + f"-{i}", household=range(300)) for i in range(4)]
    project.write(EVALUATION, pd.concat(copies))
    for name in (CANDIDATE, BASELINE):
        frame = project.table(name)
        project.write(name, pd.concat([frame.assign(id=frame["id"] + f"-{i}") for i in range(4)]))
    project.set(
        "gates",
        {
            "performance": {
                "metrics": {
                    "roc_auc": {"min": 0.6, "max_drop": 0.2},
                    "recall": {"min": 0.1, "max_drop": 0.5},
                }
            }
        },
    )
    project.register()
    alone = project.run().checks
    project.set("data.cluster", "household")
    together = project.run().checks
    for rule in alone:
        width, wider = (np.diff(checks[rule]["interval"])[0] for checks in (alone, together))
        assert together[rule]["candidate"] == alone[rule]["candidate"]
        # Each row stands there four times: the interval is to be as wide as of one of them.
        assert 1.7 < wider / width < 2.6, rule


def test_a_later_baseline_does_not_move_the_alias(project):
    first = project.run().report["models"][0]["baseline"]
    command = ("baseline", "register", "--predictions", project.path(CANDIDATE))
    assert (
        project.call(*map(str, command), "--config", str(project.path("model-gates.yml"))).code == 0
    )
    assert project.run().report["models"][0]["baseline"] == first
    project.set("baseline.alias", "v2")
    assert project.run().report["models"][0]["baseline"]["version"] == 2


# --- several models, and a choice of them ----------------------------------------------------


def two(project):
    other = json.loads(json.dumps(project.model))
    other["gates"] = {"performance": {"metrics": {"mcc": {"min": 0.1}}}}
    other["candidate"]["predictions"] = BASELINE
    project.config["models"]["other"] = other
    project.save()


def test_one_models_error_hides_no_other(project):
    two(project)
    project.path(CANDIDATE).unlink()
    outcome = project.run()
    broken, other = outcome.report["models"]
    assert outcome.code == 3
    assert outcome.report["blocked"] is True
    assert outcome.report["error"]["exit_code"] == 3
    assert (broken["error"]["kind"], broken["gates"]) == ("input", [])
    assert (other["verdict"], other["error"]) == ("pass", None)
    assert "passes" not in outcome.stdout.splitlines()[0]


def test_models_and_gates_are_chosen(project):
    two(project)

    def judged(*arguments):
        report = project.run(*arguments).report
        return {m["model"]: [g["gate"] for g in m["gates"]] for m in report["models"]}

    both = ["performance", "fairness"]
    assert judged() == {"credit": both, "other": ["performance"]}
    assert judged("--model", "other") == {"other": ["performance"]}
    assert judged("--model", "other", "--model", "credit") == {
        "credit": both,
        "other": ["performance"],
    }
    assert judged("--gate", "fairness") == {"credit": ["fairness"]}
    assert judged("--gate", "performance", "--gate", "fairness", "--model", "credit") == {
        "credit": both
    }


def test_a_model_that_is_not_chosen_is_not_opened(project):
    two(project)
    project.path(CANDIDATE).unlink()
    assert project.run("--model", "other").code == 0
