"""`report --to github-…`: what is told, what it exits with, and which line.

As a process of its own where it is published and where it can not be, else in this one.
"""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from gates.__main__ import _run
from gates.cli import World
from gates.report import dump
from gates.yaml_source import load
from reporters.publish.registry import ON_GITLAB, PUBLISHERS
from tests import reports
from tests.fake_github import HEAD, FakeGitHub
from tests.snapshot import assert_snapshot

ROOT = Path(__file__).parents[2]
TOKEN = "ghs_secret0123456789"  # noqa: S105
CONFIG = """\
version: 1
models:
  income:
    task: binary
    gates:
      performance:
        metrics:
          roc_auc: {min: 0.88, max_drop: 0.005}
          recall:
            max_drop: 0.01
            slices: {max_drop: 0.05}
        slices: [region]
      data-schema:
        columns:
          age: {type: integer}
"""


@pytest.fixture(scope="module")
def github():
    with FakeGitHub().serve() as served:
        yield served


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "report.json").write_bytes(dump(reports.one_red()))
    event = {"pull_request": {"number": 7, "head": {"sha": HEAD}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    return tmp_path


def asked(folder, to, options, file, environ):
    """Return the command's arguments and its environment."""
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "GITHUB_REPOSITORY": "acme/credit",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_TOKEN": TOKEN,
    }
    arguments = ["report", "--to", to, *options, *([] if file is None else ["--", file])]
    return arguments, {k: v for k, v in (given | environ).items() if v is not None}


def publish(folder, to, *options, file="report.json", **environ):
    """Call the command in the folder, in this process."""
    arguments, environ = asked(folder, to, options, file, environ)
    stdout, stderr, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["model-gates", *arguments]
    try:
        with chdir(folder), redirect_stdout(stdout), redirect_stderr(stderr):
            code = _run(World(environ=environ))
    finally:
        sys.argv = argv
    assert TOKEN not in stdout.getvalue() + stderr.getvalue()
    return SimpleNamespace(returncode=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def publish_as_a_process(folder, to, *options, file="report.json", **environ):
    arguments, environ = asked(folder, to, options, file, environ)
    command = [sys.executable, "-m", "gates", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert TOKEN not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("to", sorted(PUBLISHERS.keys() - ON_GITLAB))
def test_a_report_is_published(github, folder, to):
    done = publish_as_a_process(folder, to, GITHUB_API_URL=github.url)
    assert done.returncode == 0, "whatever its verdict"
    assert to.removeprefix("github-").split("s")[0] in done.stderr
    assert (done.stdout != "") == (to == "github-annotations")


def test_a_comment_takes_its_options(github, folder):
    done = publish(
        folder, "github-comment", "--comment=failures", "--slug=nightly", GITHUB_API_URL=github.url
    )
    assert done.stderr == "comment: created\n"
    assert any("id=nightly -->" in body for body in github.bodies())
    assert publish(folder, "github-comment", "--comment=off").stderr == "comment: off\n"


def test_a_pull_request_can_be_named(github, folder):
    done = publish(
        folder, "github-comment", "--pull-request=8", "--require-post", GITHUB_API_URL=github.url
    )
    assert done.returncode == 4
    assert "answered 404 Not Found" in done.stderr


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--require-post"], 4)])
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GITHUB_TOKEN": None}, "GITHUB_TOKEN: there is no token"),
        ({"GITHUB_TOKEN": "two words"}, "GITHUB_TOKEN: the token is empty, or holds"),
        ({"GITHUB_REPOSITORY": None}, "GITHUB_REPOSITORY: it is not set"),
        ({"GITHUB_API_URL": "http://git.example"}, "no https address"),
    ],
)
def test_what_can_not_be_published_changes_no_exit_code_unless_asked(
    folder, environ, said, options, code
):
    done = publish_as_a_process(folder, "github-comment", *options, **environ)
    assert done.returncode == code
    assert said in done.stderr
    assert ("changes no verdict" in done.stderr) == (code == 0)


def test_what_to_do_stands_on_a_line_of_its_own(folder):
    done = publish(folder, "github-comment", GITHUB_REPOSITORY=None)
    assert done.stderr.splitlines() == [
        "warning: github-comment was not published, which changes no verdict: GITHUB_REPOSITORY: it is not set",
        "  Publish from a GitHub Actions job, or set GITHUB_REPOSITORY=owner/name.",
    ]
    told = publish(folder, "github-comment", GITHUB_REPOSITORY=None, GITHUB_ACTIONS="true").stdout
    assert told.endswith("it is not set%0A  Publish from a GitHub Actions job, or set "
                         "GITHUB_REPOSITORY=owner/name.\n")  # fmt: skip


FENCE = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("fence", "lines"),
    [
        (FENCE, [f"::{FENCE}::", "::warning title=Model Gates::", f"::stop-commands::{FENCE}"]),
        (None, ["::warning title=Model Gates::"]),
        ("x\n::error::pwned", ["::warning title=Model Gates::"]),
    ],
)
def test_a_runner_that_stopped_listening_hears_the_warning(folder, fence, lines):
    done = publish(
        folder, "github-comment", GITHUB_ACTIONS="true", GITHUB_TOKEN=None, MODEL_GATES_FENCE=fence
    )
    found = done.stdout.splitlines()
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines, strict=True))


def test_the_job_summary_is_written_where_there_is_one(folder):
    summary = folder / "summary.md"
    done = publish(folder, "github-summary", GITHUB_STEP_SUMMARY=str(summary))
    assert (done.returncode, done.stdout) == (0, "")
    assert summary.read_text().rstrip() == publish(folder, "github-summary").stdout.rstrip()


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--require-post"], 4)])
def test_a_job_summary_that_can_not_be_written_is_a_failed_post(folder, options, code):
    done = publish(folder, "github-summary", *options, GITHUB_STEP_SUMMARY=str(folder))
    assert done.returncode == code
    assert "cannot write: Is a directory" in done.stderr


def test_a_template_that_can_not_be_used_is_a_wrong_command_line(github, folder):
    (folder / "bad.j2").write_text("{% nonsense %}")
    done = publish(folder, "github-comment", "--template=bad.j2", GITHUB_API_URL=github.url)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


# --- several places, and no report ----------------------------------------------------------------


def test_one_place_that_fails_keeps_no_other_from_being_told(folder):
    with FakeGitHub().serve() as github:
        github.fail("POST", "/comments", 403, {"message": "Resource not accessible"}, times=9)
        places = ("github-comment", "--to=github-status", "--to=markdown")
        done = publish(folder, *places, "--require-post", GITHUB_API_URL=github.url)
    assert done.returncode == 4
    assert "answered 403 Resource not accessible" in done.stderr
    assert "commit status: failure" in done.stderr
    assert "## ❌" in done.stdout


def check_of(github):
    (check,) = github.checks
    return check["name"], check["history"]


def test_a_check_run_is_begun_before_the_gates_and_concluded_after_them(folder):
    job = {"GITHUB_RUN_ID": "5", "GITHUB_RUN_ATTEMPT": "2"}
    with FakeGitHub().serve() as github:
        begun = publish(
            folder, "github-check", "--begin", file=None, GITHUB_API_URL=github.url, **job
        )
        assert (begun.returncode, begun.stdout) == (0, "")
        assert begun.stderr == "check run: in progress\n"
        assert check_of(github) == ("Model gates", [("in_progress", None)])
        publish(folder, "github-check", GITHUB_API_URL=github.url, **job)
        again = publish(
            folder, "github-check", "--begin", file=None, GITHUB_API_URL=github.url, **job
        )
    assert again.stderr == "check run: failure\n", "it is not begun anew"
    assert check_of(github)[1] == [("in_progress", None), ("completed", "failure")]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("missing.json", "no report was written"),
        ("", "no report was written"),
        ("cut.json", "not a report of schema 1"),
    ],
)
def test_without_a_report_a_check_run_is_concluded_as_a_failure(folder, file, why):
    (folder / "cut.json").write_bytes((folder / "report.json").read_bytes()[:-9])
    config = "--config=credit/model-gates.yml"
    with FakeGitHub().serve() as github:
        publish(folder, "github-check", "--begin", config, file=None, GITHUB_API_URL=github.url)
        done = publish(folder, "github-check", config, file=file, GITHUB_API_URL=github.url)
    assert done.returncode == 3
    assert "check run: failure\n" in done.stderr
    name, history = check_of(github)
    assert name == "Model gates: credit/model-gates.yml"
    assert history == [("in_progress", None), ("completed", "failure")]
    assert why in github.checks[0]["output"]["summary"]


def test_without_a_report_no_older_word_stands(folder):
    lasting = ("github-comment", "--to=github-status", "--to=markdown")
    with FakeGitHub().serve() as github:
        (folder / "report.json").write_bytes(dump(reports.all_green()))
        publish(folder, *lasting, GITHUB_API_URL=github.url, GITHUB_RUN_ID="5")
        done = publish(
            folder, *lasting, file="missing.json", GITHUB_API_URL=github.url, GITHUB_RUN_ID="6"
        )
    assert (done.returncode, done.stdout) == (3, "")
    assert [status["state"] for status in github.statuses] == ["success", "failure"]
    (body,) = github.bodies()
    assert "no report was written" in body
    assert "✅" not in body


@pytest.mark.parametrize("options", [[], ["--require-post"]])
def test_that_there_is_no_report_is_said_whatever_becomes_of_the_check_run(folder, options):
    done = publish(folder, "github-check", *options, file="missing.json", GITHUB_TOKEN=None)
    assert done.returncode == 3
    assert "there is no token" in done.stderr
    assert "error: missing.json: cannot read the report: No such file" in done.stderr


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--require-post"], 4)])
def test_a_check_run_that_can_not_be_begun_is_a_failed_post(folder, options, code):
    done = publish(folder, "github-check", "--begin", *options, file=None, GITHUB_TOKEN=None)
    assert done.returncode == code
    assert "there is no token" in done.stderr


@pytest.mark.parametrize(
    ("to", "options", "file", "said"),
    [
        ("github-comment", ["--begin"], None, "--begin: only what has a beginning can be begun"),
        ("github-check", ["--begin", "--to=json"], None, "These have: --to github-check."),
        ("github-check", ["--begin"], "report.json", "there is no report to begin with"),
        ("github-check", [], None, "Missing argument 'FILE'"),
    ],
)
def test_what_can_not_be_begun_exits_with_2(folder, to, options, file, said):
    done = publish(folder, to, *options, file=file)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("to", ["github-comments", "github-", "github-nothing-like-it"])
def test_a_publisher_that_is_not_there_exits_with_2(folder, to):
    done = publish(folder, to)
    assert done.returncode == 2
    assert "github-c" in done.stderr


# --- the line of a rule ---------------------------------------------------------------------------


def rules(folder, **policy):
    """Write a report on rules of the configuration, and return its annotations by rule."""
    (folder / "model-gates.yml").write_text(CONFIG)
    numbers = {"baseline": 0.9, "candidate": 0.5, "interval": (-0.5, -0.3)}
    performance = reports.make_gate(
        "performance",
        reports.make_check("performance/roc_auc", {"max_drop": 0.005}, **numbers),
        reports.make_check("performance/recall", {"max_drop": 0.01}, **numbers),
        reports.make_check("performance/recall@region=north", {"max_drop": 0.05}, **numbers),
        reports.make_check("performance/f1", {"max_drop": 0.01}, **numbers),
    )
    schema = reports.make_gate(
        "data-schema",
        reports.make_check(
            "data-schema/type", {"min": 1.0}, candidate=0.5, interval=(0.4, 0.6), columns=("age",)
        ),
        reports.make_check("data-schema/rows", {"min": 1.0}, candidate=0.5, interval=(0.4, 0.6)),
    )
    other = reports.make_model(reports.make_gate("performance"), model="unknown")
    report = reports.make_report(reports.make_model(performance, schema), other)
    digest = load(folder / "model-gates.yml").digest
    info = report.policy.model_copy(update={"digest": digest} | policy)
    (folder / "report.json").write_bytes(dump(report.model_copy(update={"policy": info})))


def test_an_annotation_stands_at_the_key_of_its_limit(folder):
    rules(folder)
    text = publish(folder, "github-annotations").stdout
    found = re.findall(
        r"^::error file=model-gates.yml,line=(\d+),title=(.+?)::", text, re.MULTILINE
    )
    assert len(found) == len(text.splitlines())
    assert {title.replace("%3A", ":"): int(line) for line, title in found} == {
        "performance/roc_auc:max_drop": 8,
        "performance/recall:max_drop": 10,
        "performance/recall:max_drop@region=north": 11,
        "performance/f1:max_drop": 7,  # not there: where it would be added
        "data-schema/type:min": 15,
        "data-schema/rows:min": 13,
        "performance": 2,
    }


def test_a_configuration_that_is_another_by_now_has_no_lines(folder):
    rules(folder, digest="sha256:" + "0" * 64)
    done = publish(folder, "github-annotations")
    assert "line=" not in done.stdout
    assert "::error title=" in done.stdout


@pytest.mark.parametrize(
    ("workspace", "shown"), [(".", "sub/model-gates.yml"), ("elsewhere", None)]
)
def test_a_line_is_of_a_file_in_the_workspace(folder, workspace, shown):
    (folder / "sub").mkdir()
    (folder / "sub" / "event.json").write_bytes((folder / "event.json").read_bytes())
    rules(folder / "sub")
    done = publish(folder / "sub", "github-annotations", GITHUB_WORKSPACE=str(folder / workspace))
    assert (f"file={shown}" in done.stdout) == (shown is not None)
    assert ("line=" in done.stdout) == (shown is not None)


def test_code_quality_has_the_lines_too(folder):
    rules(folder)
    found = json.loads(publish(folder, "gitlab-codequality").stdout)
    lines = {one["check_name"]: one["location"]["lines"]["begin"] for one in found}
    assert lines["performance/roc_auc:max_drop"] == 8
    assert lines["data-schema/type:min"] == 15


def test_sarif_has_the_lines_too(folder):
    rules(folder)
    results = json.loads(publish(folder, "sarif").stdout)["runs"][0]["results"]
    found = {
        location["physicalLocation"]["region"]["startLine"]
        for result in results
        for location in result["locations"]
    }
    assert {8, 10, 11, 15} <= found


@pytest.mark.parametrize("story", ["portrayed", "twelve_models"])
def test_the_comment_as_it_is_posted(folder, story):
    """What a reviewer gets: within the budget of a comment, with all that is hidden in it."""
    (folder / "report.json").write_bytes(dump(getattr(reports, story)()))
    with FakeGitHub().serve() as github:
        publish(folder, "github-comment", GITHUB_API_URL=github.url, GITHUB_RUN_ID="42")
        (body,) = github.bodies()
    assert len(body.encode()) <= 20_000
    hidden = re.findall("<!-- .*? -->", body)
    assert [line.split()[1] for line in hidden] == [
        f"model-gates:{x}" for x in ("v1", "run", "state")
    ]
    # What is packed depends on the library that packs it.
    assert_snapshot(
        f"{story}.posted.md", body.replace(hidden[2], "<!-- model-gates:state v1 … -->")
    )
