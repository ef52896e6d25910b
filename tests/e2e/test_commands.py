"""The commands around a run, as a person types them: baselines, schema, init, a crash."""

import copy
import json
import shutil

import pytest

from gates import __version__
from gates.cli.crash import write_debug
from gates.report import ErrorInfo

CONFIG = "model-gates.yml"


def command(project, *words):
    return project.call(*words, "--config", str(project.path(CONFIG)))


@pytest.fixture
def two_versions(project):
    project.register("candidate.parquet")
    return project


def test_versions_are_listed_with_their_aliases(two_versions):
    listed = command(two_versions, "baseline", "list")
    first, second = listed.stdout.splitlines()
    assert (listed.code, first[:3], second[:3]) == (0, "v1 ", "v2 ")
    assert second.endswith("← champion")
    assert "300 rows" in first
    as_json = json.loads(command(two_versions, "baseline", "list", "--json").stdout)
    assert as_json["aliases"] == {"champion": 2}
    assert [version["version"] for version in as_json["versions"]] == [1, 2]


def test_nothing_registered_is_said(project):
    shutil.rmtree(project.store)
    listed = command(project, "baseline", "list")
    assert (listed.code, listed.stdout) == (0, "credit: nothing is registered yet\n")


def test_a_version_is_shown_with_its_metrics(project):
    shown = command(project, "baseline", "show", "champion")
    assert shown.code == 0
    assert "task         binary, label defaulted" in shown.stdout
    assert "registered   by ana with model-gates" in shown.stdout
    record = json.loads(command(project, "baseline", "show", "v1", "--json").stdout)
    value = record["content"]["metrics"]["roc_auc"]["value"]
    assert f"{value:.4f} ±" in shown.stdout


def test_an_alias_moves_and_moves_back(two_versions):
    back = command(two_versions, "baseline", "alias", "champion", "v1")
    assert (back.code, back.stdout) == (0, "champion: v2 → v1\n")
    new = command(two_versions, "baseline", "alias", "release", "champion")
    assert (new.code, new.stdout) == (0, "release: nothing → v1\n")
    wrong = command(two_versions, "baseline", "alias", "champion", "v9")
    assert (wrong.code, wrong.stdout) == (3, "")
    assert "v9" in wrong.stderr


def test_what_was_tampered_with_is_named(project):
    sound = command(project, "baseline", "verify")
    assert (sound.code, sound.stdout) == (0, "credit: 1 version(s), all sound\n")
    (record,) = project.store.glob("v0001-*/record.json")
    record.write_text(record.read_text().replace('"binary"', '"regression"', 1))
    broken = command(project, "baseline", "verify")
    assert (broken.code, broken.stdout) == (5, "")
    assert "record.json does not match its own digest" in broken.stderr


def test_of_several_models_one_is_named(project):
    project.config["models"]["second"] = copy.deepcopy(project.model)
    project.save()
    unsaid = command(project, "baseline", "list")
    assert unsaid.code == 2
    assert "--model" in unsaid.stderr
    assert command(project, "baseline", "list", "--model", "credit").code == 0
    misspelt = command(project, "baseline", "list", "--model", "credti")
    assert misspelt.code == 2
    assert "did you mean `credit`?" in misspelt.stderr


def test_the_shipped_schemas_are_those_of_the_code(project):
    assert project.call("schema", "--check").code == 0
    for name in ("config", "canary", "report", "evidence"):
        assert "properties" in json.loads(project.call("schema", name).stdout)


def test_init_writes_once(project):
    new = str(project.path("new.yml"))
    named = ("--predictions", str(project.path("candidate.parquet")))
    data = ("--evaluation", str(project.path("evaluation.parquet")))
    written = project.call("init", *named, *data, "--config", new)
    assert written.code == 0, written.stderr
    assert project.call("validate", "--config", new).code == 0
    again = project.call("init", *named, *data, "--config", new)
    assert again.code == 2
    assert "there already" in again.stderr


def test_the_version_is_shown(project):
    assert project.call("--version").stdout == f"model-gates {__version__}\n"


@pytest.mark.parametrize("to", ["json", "markdown", "console", "github-summary"])
def test_a_report_is_rendered_again(project, to):
    outcome = project.run()
    again = project.call("report", str(outcome.out / "report.json"), "--to", to)
    assert again.code == 0
    assert "credit" in again.stdout
    wrong = project.call("report", str(outcome.out / "report.json"), "--to", to[:-1])
    assert wrong.code == 2
    assert f"did you mean `{to}`?" in wrong.stderr


def test_a_crash_leaves_places_and_no_values(tmp_path):
    try:
        try:
            int("secret")
        except ValueError as error:
            raise RuntimeError("another secret") from error
    except RuntimeError as error:
        write_debug(tmp_path / "debug.txt", error)
        write_debug(None, error)
    lines = (tmp_path / "debug.txt").read_text().splitlines()
    assert lines[:2] == [f"model-gates {__version__}", "RuntimeError"]
    assert "ValueError" in lines
    assert not any("secret" in line for line in lines)


def test_an_error_code_that_means_something_else_is_refused():
    with pytest.raises(ValueError, match="exit_code"):
        ErrorInfo(kind="bug", exit_code=1, message="blocked by a verdict is not an error")
