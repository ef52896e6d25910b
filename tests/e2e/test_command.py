"""A candidate whose predictions a command makes: the whole line, and every way it can go wrong."""

import copy
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT
from tests.poor import poor

MADE = "made/candidate.parquet"
COPY = f"import shutil; shutil.copy('candidate.parquet', '{MADE}')"
ESCAPE = "\x1b[31mred\x1b[0m\r::error::again\n"


@pytest.fixture
def by_command(project):
    """Return a function that lets `code` make the candidate's predictions, with more options."""

    def made_by(code, **options):
        project.path("predict.py").write_text(code)
        command = [sys.executable, "predict.py"]
        project.set("candidate", {"command": command, "predictions": MADE, **options})
        return project

    return made_by


def error_of(outcome):
    assert outcome.report["verdict"] is None
    assert outcome.report["blocked"] is True
    return outcome.report["error"]


def test_a_command_makes_the_predictions_and_they_are_judged(by_command, project):
    from_a_file = project.run(out="before")
    outcome = by_command(COPY).run()
    assert outcome.code == from_a_file.code == 0, outcome.stderr
    (model,) = outcome.report["models"]
    (before,) = from_a_file.report["models"]
    assert model["candidate"] == {**before["candidate"], "ref": MADE}
    assert model["gates"] == before["gates"]


def test_a_command_whose_model_is_worse_is_blocked(by_command, project):
    frame = project.table("candidate.parquet")
    worse = frame.assign(score=1 - frame.score, prediction=1 - frame.prediction)
    project.write("worse.parquet", worse)
    outcome = by_command(COPY.replace("candidate", "worse", 1)).run()
    assert outcome.code == 1, outcome.stderr
    assert outcome.checks["performance/roc_auc:min"]["verdict"] == "fail"


def test_columns_and_threshold_are_the_commands_too(by_command, project):
    frame = project.table("candidate.parquet").rename(columns={"score": "p"})
    project.write("renamed.parquet", frame[["id", "p"]])
    code = COPY.replace("candidate", "renamed", 1)
    outcome = by_command(code, columns={"score": "p"}, threshold=0.99).run()
    assert outcome.code == 1
    assert outcome.checks["performance/recall:max_drop"]["verdict"] == "fail"


def notes_of(report):
    (model,) = report["models"]
    return [note for note in model["notes"] if "shut the command in" in note]


@pytest.mark.requires_real("namespaces")
def test_a_report_of_a_command_that_was_shut_in_has_nothing_to_note(by_command):
    assert notes_of(by_command(COPY).run().report) == []


@pytest.mark.requires_real("namespaces", "unshare")
def test_a_report_notes_what_the_machine_could_not_hold_it_to(by_command, project):
    by_command(COPY).save()
    done = subprocess.run(
        [*poor(), sys.executable, "-m", "gates", "run", "--out", "out"],
        cwd=project.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (note,) = notes_of(json.loads(project.path("out/report.json").read_bytes()))
    assert note == (
        "This machine could not wholly shut the command in: it could reach the network; what it "
        "started may outlive it, and could look at the machine's other processes; it could write "
        "to any file that we can. `docs/security.md` of Model Gates says what helps."
    )
    assert "could not wholly shut the command in" in project.path("out/report.md").read_text()


# --- no predictions --------------------------------------------------------------------------


def test_a_command_that_fails_is_an_error_with_its_last_words(by_command):
    code = f"""
import sys
print("a value of a row")
for number in range(100):
    print("line", number)
print("::add-mask::x")
print("##[add-path]/tmp", "####[set-env name=A;]b", "  ::stop-commands::x")
sys.stdout.write({ESCAPE!r})
sys.exit(3)
"""
    outcome = by_command(code).run()
    error = error_of(outcome)
    assert outcome.code == error["exit_code"] == 3
    assert error["where"] == "candidate.command"
    assert error["message"].startswith("the command `")
    assert error["message"].endswith("predict.py` ended with exit code 3")
    lines = outcome.stderr.splitlines()
    assert "the command printed (last 40 lines):" in lines
    assert "  | line 99" in lines
    assert "  | ::add-mask::x" in lines
    assert "  | # #[add-path]/tmp # # # #[set-env name=A;]b ::stop-commands::x" in lines
    assert "line 1\n" not in outcome.stderr
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    assert "\x1b" not in outcome.stderr
    assert "\r" not in outcome.stderr
    # It is the user's own output: for the log, never for what is kept or published.
    for kept in (outcome.stdout, outcome.markdown, str(outcome.report)):
        assert "line 99" not in kept
        assert "add-mask" not in kept


def test_what_a_command_that_succeeds_printed_is_nobodys_business(by_command):
    outcome = by_command(f"print('::error::chatter')\n{COPY}").run()
    assert outcome.code == 0
    assert "chatter" not in outcome.everything


@pytest.mark.parametrize(
    ("code", "options", "message", "hint"),
    [
        ("import time; time.sleep(60)", {"timeout": 0.5}, "did not end within 0.5 s", "`timeout`"),
        ("import os; os.kill(os.getpid(), 9)", {}, "was ended by SIGKILL", "Mend"),
        ("raise SystemExit(1)", {}, "ended with exit code 1", "Mend"),
    ],
    ids=["too long", "a signal", "an exit code"],
)
def test_how_a_command_can_end_badly(code, options, message, hint, by_command):
    error = error_of(by_command(code, **options).run())
    assert error["kind"] == "input"
    assert message in error["message"]
    assert hint in error["hint"]


@pytest.mark.requires_real("namespaces")
def test_a_command_that_takes_too_much_is_stopped_and_told_what(by_command):
    code = """
import os, time
for _ in range(2):
    os.fork()
x = b"x" * (60 * 1024**2)
time.sleep(30)
"""
    error = error_of(by_command(code, memory_mib=128).run())
    assert "used more than 128 MiB and was stopped" in error["message"]
    assert "`memory_mib`" in error["hint"]


def test_a_program_that_is_not_there_is_the_environments_fault(project):
    project.set("candidate", {"command": ["no-such-program-here"], "predictions": MADE})
    outcome = project.run()
    assert outcome.code == 4
    assert error_of(outcome)["message"].startswith("cannot start `no-such-program-here`")


def test_a_file_of_an_earlier_run_is_not_taken_for_this_ones(by_command):
    project = by_command("print('I did nothing')")
    project.path("made").mkdir()
    shutil.copy(project.path("candidate.parquet"), project.path(MADE))
    outcome = project.run()
    assert outcome.code == 3
    error = error_of(outcome)
    assert error["message"] == "the command ended without an error and did not write this file"
    assert error["where"].endswith(MADE)
    assert not project.path(MADE).exists()
    assert "  | I did nothing" in outcome.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os; os.symlink('../candidate.parquet', MADE)", "is a link"),
        ("import os; os.symlink('/etc/passwd', MADE)", "is a link"),
        ("import os; os.symlink('nowhere', MADE)", "is a link"),
        ("import os; os.mkfifo(MADE)", "no regular file"),
        ("import os; os.mkdir(MADE)", "no regular file"),
        ("open(MADE, 'w').close()", "the file is empty"),
        ("open(MADE, 'w').write('no table')", ""),
    ],
    ids=["a link", "a link out", "a link to nothing", "a pipe", "a folder", "empty", "no table"],
)
def test_what_a_command_leaves_is_trusted_no_further(code, message, by_command):
    outcome = by_command(f"MADE = {MADE!r}\n{code}").run()
    assert outcome.code == 3
    assert message in error_of(outcome)["message"]


def test_a_folder_that_leads_out_is_refused_before_anything_runs(by_command, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "candidate.parquet").write_text("somebody else's")
    project = by_command("open('made/candidate.parquet', 'w').write('overwritten')")
    project.path("made").symlink_to(outside)
    outcome = project.run()
    assert outcome.code == 3
    assert "a link that leads out" in error_of(outcome)["message"]
    assert (outside / "candidate.parquet").read_text() == "somebody else's"


def test_a_link_that_is_in_the_way_is_removed_and_not_followed(by_command, tmp_path):
    theirs = tmp_path / "theirs.parquet"
    theirs.write_text("somebody else's")
    project = by_command(COPY)
    project.path("made").mkdir()
    project.path(MADE).symlink_to(theirs)
    assert project.run().code == 0
    assert theirs.read_text() == "somebody else's"


def test_a_folder_in_the_way_is_not_removed(by_command):
    project = by_command(COPY)
    project.path(MADE).mkdir(parents=True)
    outcome = project.run()
    assert outcome.code == 4
    assert "cannot clear the way" in error_of(outcome)["message"]


@pytest.mark.requires_real("namespaces")
def test_a_command_can_not_touch_what_the_gates_read(by_command):
    names = ["evaluation.parquet", "candidate.parquet", "model-gates.yml", ".model-gates/x"]
    code = f"""
import os
for name in {names!r}:
    try:
        open(name, "a").write("x")
    except OSError as error:
        continue
    raise SystemExit(name)
try:
    os.rename(".model-gates", "made/gone")
except OSError:
    {COPY}
"""
    outcome = by_command(code).run()
    assert outcome.code == 0, outcome.stderr


def test_each_model_has_its_command_and_one_that_fails_hides_no_other(by_command, project):
    by_command(COPY)
    other = copy.deepcopy(project.model)
    other["candidate"] = {"command": ["false"], "predictions": "other/x.csv"}
    other["baseline"] = {"on_missing": "absolute"}
    project.config["models"]["other"] = other
    outcome = project.run()
    assert outcome.code == 3
    credit, other = outcome.report["models"]
    assert (credit["verdict"], other["verdict"]) == ("pass", "error")


def test_a_variable_is_passed_on_by_name_alone(by_command, project, monkeypatch):
    monkeypatch.setenv("MODEL_STAGE", "canary")
    monkeypatch.setenv("SECRET_OF_OURS", "hunter2")
    code = f"""
import os
assert os.environ["MODEL_STAGE"] == "canary"
assert "SECRET_OF_OURS" not in os.environ
{COPY}
"""
    assert by_command(code, env=["MODEL_STAGE"]).run().code == 0
    assert by_command(code).run().code == 3


# --- beside a run ----------------------------------------------------------------------------


def test_power_runs_no_command(by_command, project):
    by_command("open('made/ran', 'w')").save()
    outcome = project.call("power", *project._config())
    assert outcome.code == 0, outcome.stderr
    assert "There is no candidate yet" in outcome.stdout
    assert not project.path("made").exists()


def test_validate_runs_no_command(by_command, project):
    by_command("raise SystemExit(1)").save()
    assert project.call("validate", *project._config()).code == 0
    assert not project.path("made").exists()
