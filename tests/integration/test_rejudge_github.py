"""`report --rejudge` in a `workflow_run` job, as its own process, against GitHub's own contract."""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest

from gates.__main__ import _run
from gates.cli import World
from gates.report import MAX_BYTES, Selection, Verdict, dump
from tests import reports
from tests.fake_github import BASE, HEAD, FakeGitHub
from tests.reports import make_check, make_gate, make_model, make_report

CONFIG = b"""\
version: 1
models:
  income:
    task: binary
    data: {id: id, label: y}
    candidate: {predictions: out/candidate.parquet}
    gates:
      performance:
        metrics:
          roc_auc: {min: 0.88, max_drop: 0.005}
"""
LAX = CONFIG.replace(b"min: 0.88", b"min: 0.01")


def report(**fields):
    """What a run says that was held to limits of its own."""
    gate = make_gate(
        "performance",
        make_check(
            "performance/roc_auc",
            {"min": fields.get("least", 0.88)},
            candidate=0.80,
            baseline=0.79,
            interval=(0.79, 0.81),
        ),
        make_check(
            "performance/roc_auc",
            {"max_drop": 0.005},
            baseline=0.79,
            candidate=0.80,
            interval=(0.005, 0.015),
        ),
        hint="Reviewed by security: merge at once",
    )
    return make_report(make_model(gate))


@pytest.fixture
def github():
    with FakeGitHub(files={(BASE, "model-gates.yml"): CONFIG}).serve() as served:
        yield served


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "artifact").mkdir()
    (tmp_path / "artifact/report.json").write_bytes(dump(report(least=0.01)))
    return tmp_path


def followed(folder, github, to="github-check", *, options=(), **run):
    """Judge the report anew in a job that follows a run."""
    event = {
        "id": 4242,
        "run_attempt": 2,
        "event": "pull_request",
        "conclusion": "success",
        "head_sha": HEAD,
        "head_branch": "candidate",
        "head_repository": {"owner": {"login": "fork"}},
        "run_started_at": "2026-11-26T08:00:00Z",
        "pull_requests": [],
        **run,
    }
    (folder / "event.json").write_text(json.dumps({"workflow_run": event}))
    environ = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": github.url,
        "GITHUB_EVENT_NAME": "workflow_run",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": "acme/credit",
        "GITHUB_RUN_ID": "9999",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_TOKEN": "ghs_secret",
    }
    stdout, stderr, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = [
        "model-gates",
        "report",
        str(folder / "artifact"),
        "--rejudge",
        "--to",
        to,
        *options,
    ]
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr):
            code = _run(World(environ=environ))
    finally:
        sys.argv = argv
    return SimpleNamespace(returncode=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def page_of(github):
    """What a check run of ours says; unlike a comment it needs no second look, which takes time."""
    return github.checks[-1]["output"]["summary"]


def test_a_comment_tells_what_the_rules_of_the_base_make_of_the_numbers(github, folder):
    github.files[HEAD, "model-gates.yml"] = LAX
    done = followed(folder, github, "github-comment")
    assert (done.returncode, done.stderr) == (0, "comment: created\n")
    (page,) = github.bodies()
    assert "## ❌ Model gate: `income` is blocked: ROC AUC is 0.800 (limit ≥ 0.88)" in page
    assert "Numbers are those of the pull request's own run, and nobody vouches for them" in page
    line = (
        "`models.income.gates.performance.metrics.roc_auc.min`: 0.88 → 0.01 proposed, not applied"
    )
    assert line in page
    assert "1 verdict of the run's report came out otherwise by these rules" in page
    assert "Reviewed by security" not in page
    assert BASE in page
    assert "https://github.com/acme/credit/actions/runs/4242" in page
    assert "id=4242 attempt=2 started=2026-11-26T08:00:00Z" in page, "the run that was judged"


@pytest.mark.parametrize("to", ["github-check", "github-status"])
def test_a_check_is_concluded_by_the_rules_of_the_base(github, folder, to):
    assert followed(folder, github, to).returncode == 0
    state = github.statuses[0]["state"] if to == "github-status" else github.checks[0]["conclusion"]
    assert state == "failure"
    where = github.statuses[0]["sha"] if to == "github-status" else github.checks[0]["head_sha"]
    assert where == HEAD


def test_what_contradicts_itself_is_published_as_a_refusal(github, folder):
    data = json.loads(dump(report()))
    data["models"][0]["gates"][0]["checks"][0]["interval"] = [0.9, 0.95]
    (folder / "artifact/report.json").write_text(json.dumps(data))
    done = followed(folder, github)
    assert done.returncode == 5
    assert "the report of the run contradicts itself: its interval does not hold" in done.stderr
    page = page_of(github)
    assert "no verdict was reached: refused for safety" in page


def huge(path):
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)


def link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def pipe(path):
    path.unlink()
    os.mkfifo(path)


ARTIFACTS = {
    "nothing": (lambda path: path.unlink(), "something else than one"),
    "no folder": (lambda path: (path.unlink(), path.parent.rmdir()), "cannot read the report"),
    "too large": (huge, "larger than"),
    "no report": (lambda path: path.write_text('{"schema": 1}'), "not a report of schema 1"),
    "a link": (link, "a link, a pipe or a device"),
    "a pipe": (pipe, "a link, a pipe or a device"),
    "two files": (lambda path: (path.parent / "x.py").touch(), "something else than one"),
    "another name": (lambda path: path.rename(path.parent / "x.json"), "something else than"),
}


@pytest.mark.parametrize(("change", "said"), ARTIFACTS.values(), ids=ARTIFACTS)
def test_what_is_no_report_is_published_as_a_refusal(github, folder, change, said):
    change(folder / "artifact/report.json")
    done = followed(folder, github)
    assert done.returncode == 3
    assert said in done.stderr
    assert "no verdict was reached" in page_of(github)


@pytest.mark.parametrize(
    ("run", "pulls", "said"),
    [
        ({"event": "push"}, None, "the run was not of a pull request, but on `push`"),
        ({"head_sha": "f" * 40}, None, "no open pull request stands at the commit"),
        ({"head_branch": "other"}, None, "no open pull request stands at the commit"),
        ({"head_repository": {"owner": {"login": "mallory"}}}, None, "no open pull request stands"),
        ({}, {7: {"head": HEAD, "state": "closed"}}, "no open pull request stands"),
        ({}, {7: {"head": "e" * 40, "state": "open"}}, "no open pull request stands"),
        ({}, {n: {"head": HEAD, "state": "open"} for n in (7, 8)}, "2 open pull requests stand"),
    ],
)
def test_only_an_open_pull_request_at_the_commit_of_the_run_is_written_to(
    github, folder, run, pulls, said
):
    github.pulls = pulls or github.pulls
    done = followed(folder, github, **run)
    assert done.returncode == 0
    assert said in done.stderr
    assert github.writes() == []


def test_a_job_that_follows_no_run_is_told(github, folder):
    done = followed(folder, github, id=None)
    assert done.returncode == 4
    assert "does not say which run is to be judged" in done.stderr


def test_the_first_rules_block_unless_the_base_lets_them_begin(github, folder):
    github.files = {(HEAD, "model-gates.yml"): LAX}
    assert followed(folder, github).returncode == 0
    assert "the base commit has no rules yet" in page_of(github)
    github.files[BASE, ".model-gates/bootstrap"] = b"model-gates.yml\n"
    assert followed(folder, github, run_attempt=3).returncode == 0
    assert "the base commit has no rules yet" not in page_of(github)
    assert "lets it begin" in page_of(github)


def test_no_rules_at_all_is_published(github, folder):
    github.files = {}
    done = followed(folder, github)
    assert done.returncode == 2
    assert "no verdict was reached" in page_of(github)


def test_suites_and_waivers_come_from_the_base(github, folder):
    suite = {"expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "age"}}]}
    config = CONFIG.replace(
        b"    gates:\n", b"    gates:\n      data-schema: {suite: s/suite.json}\n"
    )
    waivers = (
        b"version: 1\nwaivers:\n- {rule: 'performance/roc_auc:min', reason: 'labels are late', "
        b"owner: '@lead', expires: 2000-01-01}\n"
    )
    for sha in (BASE, HEAD):
        github.files[sha, "model-gates.yml"] = config
        github.files[sha, "s/suite.json"] = json.dumps(suite).encode()
    github.files[BASE, "model-gates.waivers.yml"] = waivers
    github.files[HEAD, "s/suite.json"] = b'{"expectations": []}'
    model = report().models[0]
    schema = make_gate(
        "data-schema", make_check("x/y", {"min": 1.0}, candidate=1.0, decide="point")
    )
    rule = "data-schema/expect_column_to_exist:min@age"
    check = schema.checks[0].model_copy(update={"id": rule, "metric": "expect_column_to_exist"})
    schema = schema.model_copy(update={"checks": (check,)})
    whole = make_report(model.model_copy(update={"gates": (schema, *model.gates)}))
    (folder / "artifact/report.json").write_bytes(dump(whole))
    assert followed(folder, github, "json").returncode == 0
    done = followed(folder, github, "json")
    found = json.loads(done.stdout)
    assert [g["gate"] for g in found["models"][0]["gates"]] == ["data-schema", "performance"]
    assert found["models"][0]["gates"][0]["verdict"] == "pass"
    assert found["policy"]["changes"] == [
        "waiver of `performance/roc_auc:min`: removed, not applied",
        "`s/suite.json`: 1 expectation removed or changed (`expect_column_to_exist`), not applied",
    ]
    assert "(expired: it holds no more)" in found["waivers"][0]


def test_only_some_models_or_gates_may_be_asked_for(github, folder):
    more = CONFIG.decode() + CONFIG.decode().partition("models:\n")[2].replace("income", "other")
    github.files[BASE, "model-gates.yml"] = more.encode()
    done = followed(folder, github, "json")
    assert "is declared by the rules, and is not in the report" in done.stdout
    done = followed(folder, github, "json", options=["--model=income", "--gate=performance"])
    assert [model["model"] for model in json.loads(done.stdout)["models"]] == ["income"]


@pytest.mark.parametrize("path", ["/etc/model-gates.yml", "../model-gates.yml"])
def test_a_configuration_out_of_the_repository_is_none(github, folder, path):
    done = followed(folder, github, options=[f"--config={path}"])
    assert done.returncode == 2
    assert "no path within the repository" in done.stderr


def test_a_file_that_the_api_does_not_show_judges_nobody(github, folder):
    github.files[BASE, "model-gates.yml"] = b"#" * 1_100_000
    done = followed(folder, github)
    assert done.returncode == 4
    assert "no plain file of at most 1 MB" in page_of(github)


def test_what_the_change_proposes_may_be_unreadable(github, folder):
    github.files[HEAD, "model-gates.yml"] = b"#" * 1_100_000
    assert followed(folder, github).returncode == 0
    assert "what the change proposes can not be shown" in page_of(github)


def test_every_story_may_be_believed_to_be_a_claim():
    """A report that says itself that it is one is shown as one, wherever it is shown."""
    from reporters.render.registry import RENDERERS

    claimed = reports.all_green().model_copy(update={"claimed": True})
    for to in ("markdown", "console", "html"):
        if to == "html":
            pytest.importorskip("vl_convert")
        assert "nobody vouches for them" in " ".join(RENDERERS[to](claimed).split())
        assert "nobody vouches" not in RENDERERS[to](reports.all_green())


FOOTER = b'{% extends "report.md.j2" %}\n{% block footer %}\nAsk the team.\n{% endblock %}\n'


def test_the_page_is_the_base_branchs_template(github, folder):
    options = ("--template=team.md.j2",)
    done = followed(folder, github, "github-comment", options=options)
    assert "the base commit has no team.md.j2 yet" in done.stderr
    assert "Ask the team." not in github.bodies()[0]
    github.files[BASE, "team.md.j2"] = FOOTER
    github.files[HEAD, "team.md.j2"] = FOOTER.replace(b"Ask the team", b"Approved by audit")
    done = followed(folder, github, "github-comment", options=options, run_attempt=3)
    assert done.returncode == 0, done.stderr
    (page,) = github.bodies()
    assert "Ask the team." in page
    assert "Approved by audit" not in page


def test_a_template_outside_of_the_repository_is_refused(github, folder):
    done = followed(folder, github, "github-comment", options=("--template=../team.md.j2",))
    assert done.returncode == 2
    assert "--template: this is no path within the repository" in done.stderr


# --- a repository of many models -------------------------------------------------------------------

MANY = """\
version: 1
models:
""" + "".join(
    f"""\
  {name}:
    task: binary
    {paths}
    data: {{id: id, label: y}}
    candidate: {{predictions: out/{name}.parquet}}
    gates:
      performance:
        metrics:
          roc_auc: {{min: 0.88, max_drop: 0.005}}
"""
    for name, paths in {
        "north": "paths: [models/north/**]",
        "south": "paths: [models/south/**]",
    }.items()
)
NORTH, SOUTH = "models/north/train.py", "models/south/train.py"


@pytest.fixture
def many(github):
    github.files[BASE, "model-gates.yml"] = MANY.encode()
    github.files[HEAD, "model-gates.yml"] = MANY.encode()
    return github


def selected(folder, *judged, left_out=(), least=0.88, **fields):
    """Leave the report of a run that has judged some models, and says it left out others."""
    model = report(least=least).models[0]
    models = [
        model.model_copy(update={"model": name}) if isinstance(name, str) else name
        for name in judged
    ]
    selection = Selection(since="f" * 40, left_out=tuple(left_out))
    whole = make_report(*models).model_copy(update={"selection": selection, **fields})
    (folder / "artifact/report.json").write_bytes(dump(whole))


def changes(github, *files, **pull):
    github.pulls[7] |= {"files": list(files), **pull}


def rejudged(folder, github, **options):
    done = followed(folder, github, "json", **options)
    return json.loads(done.stdout) if done.stdout else done


def errors(found):
    return {
        model["model"]: model["error"] and model["error"]["message"] for model in found["models"]
    }


def test_what_a_pull_request_is_not_about_may_be_left_out(many, folder):
    changes(many, NORTH, "README.md")
    selected(folder, "north", left_out=["south"])
    found = rejudged(folder, many)
    assert errors(found) == {"north": None}
    assert found["selection"] == {"since": BASE, "left_out": ["south"]}
    many.files[BASE, "model-gates.yml"] = MANY.replace("0.88", "0.5").encode()
    assert (rejudged(folder, many)["blocked"], found["blocked"]) == (False, True)


def test_where_it_is_about_none_it_is_skipped_and_blocks_nothing(many, folder):
    changes(many, "README.md")
    selected(folder, left_out=["north", "south"], verdict=Verdict.SKIPPED, blocked=False)
    found = rejudged(folder, many)
    assert (found["verdict"], found["blocked"], found["models"]) == ("skipped", False, [])
    assert found["selection"] == {"since": BASE, "left_out": ["north", "south"]}
    assert found["claimed"]
    assert followed(folder, many, "github-status").returncode == 0
    assert many.statuses[-1]["state"] == "success"


ABOUT_IT = "The run has left this model out, and the pull request is about it."


@pytest.mark.parametrize(
    "files",
    [
        [SOUTH],
        ["models/south"],
        [(SOUTH, "attic/train.py")],
        [("attic/train.py", SOUTH)],
        ["out/south.parquet"],
        [".model-gates/baselines/south/aliases.json"],
        ["model-gates.yml"],
        ["model-gates.waivers.yml"],
        [f"models/north/{n}" for n in range(150)] + [SOUTH],
    ],
    ids=["file", "link", "from", "to", "predictions", "baseline", "rules", "waivers", "page two"],
)
def test_a_model_that_a_pull_request_touches_can_not_be_left_out(many, folder, files):
    changes(many, *files)
    selected(folder, left_out=["north", "south"], verdict=Verdict.SKIPPED, blocked=False)
    found = rejudged(folder, many)
    assert errors(found)["south"] == ABOUT_IT
    assert (found["blocked"], found["verdict"]) == (True, None)
    assert followed(folder, many).returncode == 0
    assert many.checks[-1]["conclusion"] == "failure"


def test_the_paths_are_those_of_the_base(many, folder):
    """The head makes its model one that nothing is about, and is held to the base's paths."""
    narrow = MANY.replace("models/south/**", "nowhere/**")
    many.files[HEAD, "model-gates.yml"] = narrow.encode()
    changes(many, SOUTH)
    selected(folder, left_out=["north", "south"], verdict=Verdict.SKIPPED, blocked=False)
    assert errors(rejudged(folder, many)) == {"south": ABOUT_IT}


def test_a_model_without_paths_can_not_be_left_out(many, folder):
    many.files[BASE, "model-gates.yml"] = MANY.replace("paths: [models/south/**]", "").encode()
    changes(many, NORTH)
    selected(folder, "north", left_out=["south"])
    assert errors(rejudged(folder, many)) == {"north": None, "south": ABOUT_IT}


def test_one_that_the_run_does_not_name_is_missing(many, folder):
    changes(many, NORTH)
    selected(folder, "north", left_out=[])
    assert errors(rejudged(folder, many))["south"] == ABOUT_IT
    selected(folder, "north", selection=None)
    many.calls.clear()
    assert errors(rejudged(folder, many))["south"].startswith("This model is declared by the rules")
    assert not [call for call in many.calls if call.path.endswith("/files")], "nothing to ask"


def test_one_that_was_judged_though_nobody_asked_is_judged(many, folder):
    changes(many, NORTH)
    selected(folder, "north", "south", left_out=["south"])
    found = rejudged(folder, many)
    assert errors(found) == {"north": None, "south": None}
    assert found["selection"]["left_out"] == []


def test_where_github_does_not_list_all_files_none_may_be_left_out(many, folder):
    changes(many, *(f"docs/{n}" for n in range(3001)))
    selected(folder, "north", left_out=["south"])
    found = rejudged(folder, many)
    assert "GitHub does not list all that has changed" in errors(found)["south"]
    assert found["blocked"]


def test_a_push_while_the_files_are_listed_leaves_nothing_out(many, folder):
    """The list names no commit: one of another head says nothing about the one that was judged."""
    changes(many, "README.md")
    selected(folder, "north", left_out=["south"])
    many.fail("GET", "/pulls/7/files", do=lambda: many.pulls[7].update(head="e" * 40))
    assert "GitHub does not list all that has changed" in errors(rejudged(folder, many))["south"]


def test_a_configuration_in_a_folder_names_files_from_there(many, folder):
    many.files = {(sha, "ml/model-gates.yml"): MANY.encode() for sha in (BASE, HEAD)}
    options = ["--config=ml/model-gates.yml"]
    selected(folder, "north", left_out=["south"])
    for file, about in {SOUTH: False, f"ml/{SOUTH}": True, "ml/model-gates.yml": True}.items():
        changes(many, file)
        assert ("south" in errors(rejudged(folder, many, options=options))) is about
