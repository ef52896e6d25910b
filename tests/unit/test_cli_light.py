"""The command line as its own process: what it loads for light work, and its exit codes."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gates import __version__
from gates.artifacts.manifest import digest_of
from gates.attestation import record
from gates.report import MAX_BYTES, CandidateInfo, RunInfo, dump
from reporters.publish.registry import PUBLISHERS
from reporters.render.registry import RENDERERS
from tests import reports

ROOT = Path(__file__).parents[2]
HEAVY = {
    "altair",
    "duckdb",
    "fairlearn",
    "great_expectations",
    "narwhals",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
}
GOOD = """\
version: 1
models:
  credit:
    task: binary
    data: {id: application_id, label: defaulted}
    candidate: {predictions: out/predictions.parquet}
    gates:
      data-schema: {columns: {age: {type: integer, min: 18}}}
      performance:
        metrics: {roc_auc: {min: 0.78, max_drop: 0.005}}
        slices: [region, {name: young, where: "age < 25"}]
      fairness:
        sensitive: [sex, [sex, race]]
        metrics: {equalized_odds_difference: {max: 0.10}}
"""


def evidence(artifact):
    """Return the record of a run of this moment that passed with an artifact."""
    candidate = CandidateInfo(ref="c", digest=reports.DIGEST, rows=1, artifact=artifact)
    model = reports.make_model(reports.good_performance(), candidate=candidate)
    run = RunInfo(started=datetime.now(UTC).isoformat())
    report = reports.make_report(model, run=run)
    return record(report, dump(report), origin=None)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model-gates.yml").write_text(GOOD)
    (tmp_path / "wrong.yml").write_text(GOOD.replace("min: 0.78", "max: 0.78"))
    wrong_twice = GOOD.replace("min: 0.78", "max: 0.78").replace("binary", "bin")
    (tmp_path / "wrong-twice.yml").write_text(wrong_twice)
    (tmp_path / "broken.yml").write_text("version: 1\nmodels: {\n")
    (tmp_path / "report.json").write_bytes(dump(reports.mixed()))
    (tmp_path / "cut.json").write_bytes(dump(reports.mixed())[:-20])
    (tmp_path / "other.json").write_bytes(b'{"schema": 2}\n')
    (tmp_path / "model.onnx").write_bytes(b"")
    (tmp_path / "evidence.json").write_bytes(evidence(digest_of(tmp_path / "model.onnx")))
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    return tmp_path


def start(folder, *arguments, options=(), before=(), **environ):
    python = [*before, sys.executable, *options, "-m", "gates", *arguments]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environ}
    return subprocess.run(
        python, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def modules(folder, *arguments):
    """Return the exit code, and the top-level names of every module that a command imported."""
    done = start(folder, *arguments, options=["-X", "importtime"])
    names = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    return done.returncode, {name.partition(".")[0] for name in names}


# --- what is loaded ------------------------------------------------------------------------------

LIGHT = [
    ["--help"],
    ["run", "--help"],
    ["power", "--help"],
    ["baseline", "register", "--help"],
    ["validate"],
    ["extras"],
    ["init", "--github"],
    ["schema"],
    ["schema", "--check"],
    ["report", "--help"],
    ["report", "report.json"],
    ["report", "report.json", "--to", "markdown"],
    ["report", "report.json", "--to", "github-summary"],
    ["verify-evidence", "--help"],
    [
        "verify-evidence",
        "--record",
        "evidence.json",
        "--artifact",
        "model.onnx",
        "--event",
        "local",
    ],
]


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_work_loads_no_data_library(folder, arguments):
    code, names = modules(folder, *arguments)
    assert code == 0
    assert "gates" in names
    assert names & HEAVY == set()


def test_a_wrong_configuration_is_refused_before_any_data_library_is_loaded(folder):
    code, names = modules(folder, "run", "--config", "no-such-file.yml")
    assert code == 2
    assert names & HEAVY == set()


def test_help_loads_not_even_what_reads_a_configuration(folder):
    _, names = modules(folder, "--help")
    assert names & {"yaml", "jinja2", "requests", "rich"} == set()


def test_the_help_of_report_lists_every_place_and_loads_no_template(folder):
    done = start(folder, "report", "--help")
    _, _, listed = done.stdout.partition("What --to takes:")
    found = re.findall(r"^  ([a-z-]+) +\S", listed, re.MULTILINE)
    assert found == [*RENDERERS, *PUBLISHERS]
    _, names = modules(folder, "report", "--help")
    assert names & {"yaml", "jinja2", "rich"} == set()


def test_what_judges_does_load_them(folder):
    """The tests above would notice: with data to open, the libraries are there."""
    code, names = modules(folder, "run", "--gate", "fairness")
    assert code == 3, "there are no predictions"
    assert names >= {"duckdb", "narwhals", "numpy"}


def test_a_report_is_read_with_pydantic_alone(folder):
    script = "import sys, gates.report, gates.decide, gates.attestation, gates.authorise; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pydantic" in names
    assert names & (HEAVY | {"yaml", "jinja2", "rich", "typer"}) == set()


# --- exit codes ----------------------------------------------------------------------------------

WELL = {
    "--help": "Usage: model-gates [OPTIONS] COMMAND",
    "--version": f"model-gates {__version__}\n",
    "run --help": "Usage: model-gates run",
    "validate": "model-gates.yml: valid, 1 model(s)\n  credit: binary; gates: data-schema, performance, fairness\n",
    "validate -c model-gates.yml": "valid, 1 model(s)",
    "extras": "data-schema\nfairness\n",
    "extras --gate performance": "core\n",
    "report report.json": "fairness",
    "report report.json --to markdown": "<details>",
    "report report.json --to markdown --to junit": "<testsuites",
}


@pytest.mark.parametrize(("command", "shown"), WELL.items(), ids=WELL)
def test_what_goes_well_exits_with_0(folder, command, shown):
    done = start(folder, *command.split())
    assert done.returncode == 0
    assert shown in done.stdout
    assert done.stderr == ""


USAGE = {
    "": "Usage: model-gates",
    "--nope": "No such option: --nope",
    "nope": "No such command 'nope'",
    "--debug": "requires an argument",
    "run --nope": "No such option: --nope",
    "run --format xml": "xml",
    "validate extra": "extra",
    "report": "Missing argument",
    "schema nonsense": "nonsense",
    "baseline": "Usage: model-gates baseline",
    "baseline lst": "No such command 'lst'",
    "baseline register": "Missing option",
}


@pytest.mark.parametrize(("command", "said"), USAGE.items(), ids=USAGE)
def test_a_command_line_that_is_wrong_exits_with_2(folder, command, said):
    done = start(folder, *command.split())
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


CONFIGURATIONS = {
    "wrong.yml": "error: wrong.yml:10:34: models.credit.gates.performance.metrics.roc_auc.max: `max` makes no sense for `roc_auc`, which is better when higher; use max_drop, max_drop_from_anchor, min\n",
    # Types come before what a gate says of its options: at first the task is all there is to say.
    "wrong-twice.yml": "error: wrong-twice.yml:4:11: models.credit.task: expected 'binary', ",
    "broken.yml": "error: broken.yml:3:1: This is not valid YAML",
    "missing.yml": "error: missing.yml: There is no such file.\n  `model-gates init` writes",
    ".": "error: .: This is not a file.\n",
    "report.json": "error: report.json:",
}


@pytest.mark.parametrize(("file", "said"), CONFIGURATIONS.items(), ids=CONFIGURATIONS)
def test_a_configuration_that_is_wrong_exits_with_2_and_its_place(folder, file, said):
    done = start(folder, "validate", "--config", file)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stdout == ""


def test_every_problem_has_its_place(folder):
    text = GOOD.replace("binary", "bin").replace("label: defaulted", "lable: defaulted")
    (folder / "model-gates.yml").write_text(text)
    done = start(folder, "validate")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: model-gates.yml: 3 problems in the configuration",
        "- model-gates.yml:4:11: models.credit.task: expected 'binary', 'multiclass' or 'regression'",
        "- model-gates.yml:5:5: models.credit.data.label: this key is required",
        "- model-gates.yml:5:32: models.credit.data.lable: unknown key; did you mean `label`?",
        "  `model-gates schema` prints everything that may stand here.",
    ]


REPORTS = {
    "missing.json": "missing.json: cannot read the report: No such file or directory",
    ".": ".: this folder holds something else than one `report.json`",
    "report.json/x": "cannot read the report: Not a directory",
    "huge.json": "huge.json: larger than 8,388,608 bytes: not a report",
    "cut.json": "cut.json: not a report of schema 1",
    "other.json": "other.json: not a report of schema 1",
    "wrong.yml": "wrong.yml: not a report of schema 1: 1 problem(s)\n  `model-gates run --out DIR`",
}


@pytest.mark.parametrize(("file", "said"), REPORTS.items(), ids=REPORTS)
def test_a_report_that_can_not_be_used_exits_with_3(folder, file, said):
    done = start(folder, "report", file)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stdout == ""


def test_a_report_without_an_end_is_not_read_to_its_end(folder):
    limited = ["sh", "-c", 'ulimit -v 2000000 && exec "$@"', "sh"]
    done = start(folder, "report", "/dev/zero", before=limited)
    assert done.returncode == 3
    assert "a device, and no plain file" in done.stderr


def test_a_renderer_that_is_not_there_exits_with_2(folder):
    done = start(folder, "report", "report.json", "--to", "mrkdown")
    assert done.returncode == 2
    assert done.stderr == "error: --to: nothing renders to `mrkdown`\n  did you mean `markdown`?\n"
    assert done.stdout == ""


def test_a_report_is_shown_whatever_its_verdict(folder):
    """A reporter's exit code is its own: that the run was blocked was said by `run`."""
    assert reports.mixed().blocked
    assert start(folder, "report", "report.json").returncode == 0


def test_json_is_the_report_itself(folder):
    done = start(folder, "report", "report.json", "--to", "json")
    assert done.stdout == (folder / "report.json").read_text()


@pytest.mark.parametrize("which", ["config", "report", "evidence"])
def test_the_schema_is_printed_as_it_is_shipped(folder, which):
    done = start(folder, "schema", which)
    assert done.stdout == (ROOT / "gates" / "schemas" / f"{which}.schema.json").read_text()


# --- a run that can not start -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "options", "code", "kind"),
    [
        ("missing.yml", [], 2, "config"),
        ("wrong.yml", [], 2, "config"),
        ("model-gates.yml", ["--model", "credti"], 2, "config"),
        ("model-gates.yml", ["--gate", "drift"], 2, "config"),
        ("model-gates.yml", [], 3, "input"),
    ],
)
def test_a_run_that_can_not_start_leaves_a_report_that_blocks(folder, config, options, code, kind):
    done = start(folder, "run", "--config", config, "--out", "out", *options)
    assert done.returncode == code
    report = json.loads((folder / "out" / "report.json").read_text())
    evidence = json.loads((folder / "out" / "evidence.json").read_text())["predicate"]
    assert (evidence["result"], evidence["modelGates"]["error"]["kind"]) == ("FAILED", kind)
    assert report["blocked"] is True
    assert report["verdict"] is None
    assert (report["error"]["kind"], report["error"]["exit_code"]) == (kind, code)
    assert (folder / "out" / "report.md").stat().st_size > 0
    assert "Traceback" not in done.stderr


def test_stdout_is_for_the_result_also_when_there_is_none(folder):
    done = start(folder, "run", "--config", "wrong.yml", "--out", "out", "--format", "json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == json.loads((folder / "out" / "report.json").read_text())
    assert "error: wrong.yml:10:34: " in done.stderr


def test_a_folder_that_can_not_be_written_exits_with_4(folder):
    done = start(folder, "run", "--config", "wrong.yml", "--out", "report.json/out")
    assert done.returncode == 4
    assert "cannot write the file: Not a directory" in done.stderr


def test_step_outputs_outside_of_a_job_exit_with_4(folder):
    done = start(folder, "run", "--config", "wrong.yml", "--github")
    assert done.returncode == 4
    assert "GITHUB_OUTPUT is not set" in done.stderr


@pytest.mark.parametrize("summary", [None, "", ".", "no/such/folder"])
def test_a_job_summary_that_can_not_be_written_changes_no_exit_code(folder, summary):
    environ = {"GITHUB_OUTPUT": str(folder / "output")}
    environ |= {} if summary is None else {"GITHUB_STEP_SUMMARY": summary}
    done = start(folder, "run", "--config", "wrong.yml", "--github", **environ)
    assert done.returncode == 2, "as without --github"
    assert "warning: github-summary was not published, which changes no verdict: " in done.stderr
    assert "blocked<<" in (folder / "output").read_text()


def test_a_name_that_is_no_text_is_no_crash(folder):
    name = os.fsdecode(b"gates-\xff.yml")
    (folder / name).write_text(GOOD)
    done = start(folder, "run", "--config", name, "--out", "out")
    assert done.returncode == 3, "there is no baseline"
    assert (folder / "out" / "report.json").is_file()
