"""Only what changed is judged: of several models, and of none."""

import copy
import json
import subprocess

import pytest


def git(folder, *words):
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", folder, *names, *words], check=True, capture_output=True)


@pytest.fixture
def monorepo(project):
    """Two models with a folder each, and a third that has no paths; all committed."""
    credit = project.config["models"].pop("credit")
    for name in ("north", "south", "always"):
        project.config["models"][name] = copy.deepcopy(credit)
        project.config["models"][name]["candidate"]["predictions"] = f"{name}.parquet"
        if name != "always":
            project.config["models"][name]["paths"] = [f"models/{name}/**"]
        project.write(f"{name}.parquet", project.table("candidate.parquet"))
    for name in project.config["models"]:
        project.register(model=name)
    git(project.folder, "init", "-q")
    git(project.folder, "add", "--all")
    git(project.folder, "commit", "-qm", "base")
    git(project.folder, "tag", "base")
    return project


def change(project, name):
    path = project.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed\n")
    git(project.folder, "add", "--all")
    git(project.folder, "commit", "-qm", "change")


def judged(outcome):
    return [model["model"] for model in outcome.report["models"]]


def test_a_model_that_changed_is_judged_and_the_others_are_named(monorepo):
    change(monorepo, "models/north/train.py")
    outcome = monorepo.run_as_is("--changed-since", "base")
    assert outcome.code == 0
    assert judged(outcome) == ["north", "always"]
    assert outcome.report["selection"]["left_out"] == ["south"]
    assert "not judged, as nothing of theirs has changed since" in outcome.stdout
    assert "`south`" in outcome.markdown


def test_one_that_got_worse_blocks_all_the_same(monorepo):
    change(monorepo, "models/north/train.py")
    frame = monorepo.table("north.parquet")
    monorepo.write("north.parquet", frame.assign(score=1 - frame["score"]))
    outcome = monorepo.run_as_is("--changed-since", "base")
    assert (outcome.code, outcome.report["blocked"]) == (1, True)


def test_where_none_changed_nothing_is_blocked_and_nothing_has_passed(monorepo):
    del monorepo.config["models"]["always"]
    monorepo.save()
    change(monorepo, "README.md")
    git(monorepo.folder, "tag", "-f", "base")
    change(monorepo, "docs/more.md")
    outcome = monorepo.run_as_is("--changed-since", "base")
    assert outcome.code == 0
    report = outcome.report
    assert (report["verdict"], report["blocked"], report["models"]) == ("skipped", False, [])
    assert report["policy"]["digest"].startswith("sha256:")
    assert report["selection"]["left_out"] == ["north", "south"]
    assert "no model has changed since" in outcome.stdout
    assert "pass" not in outcome.stdout
    evidence = json.loads((outcome.out / "evidence.json").read_bytes())
    assert evidence["predicate"]["result"] == "WARNED"
    told = monorepo.call("report", str(outcome.out / "report.json"), "--to", "junit").stdout
    assert "<skipped>no model was judged</skipped>" in told


def test_a_changed_policy_is_about_every_model(monorepo):
    monorepo.config["defaults"] = {"seed": 8}
    monorepo.save()
    git(monorepo.folder, "commit", "-qam", "policy")
    assert judged(monorepo.run_as_is("--changed-since", "base")) == ["north", "south", "always"]


def test_what_git_cannot_tell_is_no_verdict(monorepo):
    outcome = monorepo.run_as_is("--changed-since", "no-such-commit")
    assert (outcome.code, outcome.report["blocked"]) == (4, True)
    assert json.dumps("fetch-depth: 0")[1:-1] in outcome.report["error"]["hint"]
