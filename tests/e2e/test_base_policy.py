"""On a pull request the rules are the base commit's, and what it would change in them is told."""

import hashlib
import json
import shutil

import pytest
import yaml

from tests.e2e.proposals import git, opened

WAIVER = {
    "rule": "performance/recall:max_drop",
    "reason": "because I say that it is fine",
    "owner": "@mallory",
    "expires": "2026-12-01",
}


@pytest.fixture
def project(project):
    """A quick one: one gate is enough to see whose rules apply."""
    del project.model["gates"]["fairness"]
    return project


@pytest.fixture
def strict(project):
    """A project whose candidate is blocked: its recall may not fall at all."""
    performance = project.model["gates"]["performance"]
    performance["metrics"]["recall"] = {"min": 0.99}
    return project


def edit(pull, path, value):
    """Set a key of the configuration in the work tree."""
    pull.project.set(path, value)


def delete(pull, *path):
    node = pull.project.model
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    pull.project.save()


def test_a_limit_that_is_widened_is_told_and_not_applied(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    done = pull.propose().judged()
    assert done.code == 1
    assert done.checks["performance/recall:min"]["limit"] == {"min": 0.99}
    policy = done.report["policy"]
    assert policy["source"] == "base"
    line = "`models.credit.gates.performance.metrics.recall.min`: 0.99 → 0.01 proposed, not applied"
    assert policy["changes"] == [line]
    assert done.report["run"]["git"]["base_sha"] == pull.base
    assert "the rules of the base commit were applied" in done.markdown
    assert "0.99 → 0.01 proposed, not applied" in done.markdown


WAIVERS = "model-gates.waivers.yml"
UNUSABLE = "the configuration `model-gates.yml` as proposed can not be used, and is not applied: "
PROPOSALS = {
    "a gate deleted": (
        lambda pull: delete(pull, "gates", "performance"),
        '`models.credit.gates.performance`: removed (was {"metrics": {"roc_auc": {"min": 0.6, ',
    ),
    "a gate that only reports": (
        lambda pull: edit(pull, "gates.performance.mode", "report"),
        "`models.credit.gates.performance.mode`: report added, not applied",
    ),
    "fewer slices": (
        lambda pull: edit(pull, "gates.performance.slices", []),
        '`models.credit.gates.performance.slices`: ["region"] → [] proposed, not applied',
    ),
    "an unknown gate": (lambda pull: edit(pull, "gates.x", {"y": 1}), UNUSABLE),
    "no YAML": (lambda pull: pull.project.path("model-gates.yml").write_text("a: ["), UNUSABLE),
    "no configuration": (
        lambda pull: pull.project.path("model-gates.yml").unlink(),
        "`model-gates.yml`: removed, not applied",
    ),
    "a waiver": (
        lambda pull: pull.project.path(WAIVERS).write_text(
            yaml.safe_dump({"version": 1, "waivers": [WAIVER]})
        ),
        "waiver of `performance/recall:max_drop`: added, not applied",
    ),
    "a waiver that is none": (
        lambda pull: pull.project.path(WAIVERS).write_text("version: 1"),
        f"the waivers `{WAIVERS}` as proposed can not be used, and is not applied",
    ),
}


@pytest.mark.parametrize(("change", "line"), PROPOSALS.values(), ids=PROPOSALS)
def test_whatever_is_proposed_the_base_judges(strict, change, line):
    pull = opened(strict)
    change(pull)
    done = pull.propose().judged()
    assert done.code == 1
    assert done.checks["performance/recall:min"]["effect"] == "block"
    assert [told for told in done.report["policy"]["changes"] if told.startswith(line)], (
        done.report["policy"]["changes"]
    )


def test_nothing_changed_is_nothing_told(strict):
    pull = opened(strict)
    text = strict.path("model-gates.yml").read_text()
    strict.path("model-gates.yml").write_text(f"# reviewed\n{text}")
    done = pull.propose().judged()
    assert done.report["policy"]["source"] == "base"
    assert done.report["policy"]["changes"] == []


def test_a_waiver_of_the_base_holds_although_it_is_removed(strict):
    waiver = WAIVER | {"rule": "performance/recall:min"}
    strict.path("model-gates.waivers.yml").write_text(
        yaml.safe_dump({"version": 1, "waivers": [waiver]})
    )
    pull = opened(strict)
    strict.path("model-gates.waivers.yml").unlink()
    done = pull.propose().judged()
    assert done.code == 0
    assert done.report["policy"]["changes"] == [
        "waiver of `performance/recall:min`: removed, not applied"
    ]


def test_the_baseline_is_that_of_the_base(project):
    """The pull request registers its own candidate and points the alias at it."""
    project.model["gates"]["performance"]["metrics"] = {"recall": {"max_drop": 0.2}}
    pull = opened(project)
    project.register("candidate.parquet")
    done = pull.propose().judged()
    assert done.report["models"][0]["baseline"]["version"] == 1
    assert done.report["policy"]["changes"] == [
        "baseline alias `champion` of `credit`: v1 → v2 proposed, not applied",
        "baseline v2 of `credit`: added, not applied",
    ]


def test_a_baseline_that_was_tampered_with_is_not_looked_at(project):
    pull = opened(project)
    for name in ("record.json", "predictions.parquet"):
        next(project.store.glob(f"v0001-*/{name}")).write_text("{}")
    shutil.rmtree(project.store / "nothing", ignore_errors=True)
    done = pull.propose().judged()
    assert done.code == 0
    (line,) = done.report["policy"]["changes"]
    assert line.startswith("the baselines of `credit` as proposed can not be used")


def test_a_baseline_that_only_the_change_has_is_none(project):
    store = project.folder / ".model-gates"
    store.rename(project.folder.parent / "kept")
    pull = opened(project)
    (project.folder.parent / "kept").rename(store)
    done = pull.propose().judged()
    assert done.code == 3
    assert "no baseline is registered" in done.everything
    assert "baseline v1 of `credit`: added, not applied" in done.report["policy"]["changes"]


def test_a_baseline_that_a_step_has_fetched_is_used(project):
    """No commit has it, so no pull request has changed it."""
    project.path(".gitignore").write_text(".model-gates\n")
    done = opened(project).propose().judged()
    assert done.code == 0
    assert done.report["models"][0]["baseline"]["version"] == 1
    assert done.report["policy"]["changes"] == []


def test_a_link_in_the_place_of_the_store_leads_nowhere(project):
    """The pull request puts a link where the base ignores the folder: it is the change's own."""
    project.path(".gitignore").write_text("/.model-gates/\n")
    pull = opened(project)
    project.path(".model-gates").rename(project.path("mine"))
    project.path(".model-gates").symlink_to("mine")
    done = pull.propose().judged()
    assert done.code == 3
    assert "no baseline is registered" in done.everything


def test_a_large_file_by_pointer_is_taken_from_the_work_tree_if_it_is_the_one(project):
    """As with Git LFS: the commit has a pointer, and the checkout has put the file in its place."""
    kept = next(project.store.glob("v0001-*/predictions.parquet"))
    raw = kept.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    kept.write_text(f"version https://x/spec/v1\noid sha256:{digest}\nsize {len(raw)}\n")
    pull = opened(project).propose()
    kept.write_bytes(raw)
    assert pull.judged().code == 0
    kept.write_bytes(raw + b"\0")
    done = pull.judged()
    assert done.code == 5
    assert "predictions.parquet is not what was registered" in done.everything


SUITE = {
    "name": "s",
    "meta": {},
    "expectations": [
        {"type": "expect_column_to_exist", "kwargs": {"column": "age"}},
        {"type": "expect_column_to_exist", "kwargs": {"column": "wage"}},
    ],
}


def test_a_suite_is_that_of_the_base(project):
    project.path("suite.json").write_text(json.dumps(SUITE))
    project.set("gates", {"data-schema": {"suite": "suite.json"}})
    pull = opened(project)
    weaker = SUITE | {"expectations": SUITE["expectations"][:1]}
    project.path("suite.json").write_text(json.dumps(weaker))
    done = pull.propose().judged()
    assert done.code == 1
    assert len(done.checks) == 2
    assert done.report["policy"]["changes"] == [
        "`suite.json`: 1 expectation removed or changed (`expect_column_to_exist`), not applied"
    ]


def test_other_data_are_told_and_refused(project):
    pull = opened(project)
    frame = project.table("evaluation.parquet")
    project.write("evaluation.parquet", frame.assign(defaulted=1 - frame.defaulted))
    done = pull.propose().judged()
    assert done.code == 3
    assert "is not comparable" in done.everything
    assert done.report["policy"]["changes"] == [
        "`evaluation.parquet`, the evaluation set of `credit`: the change's own is used"
    ]


# --- which commit ----------------------------------------------------------------------------------


def test_two_commits_deep_is_enough(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    done = pull.propose(depth=2).judged(base="f" * 40)
    assert done.code == 1, "the merge itself says what its base is"


def test_one_commit_deep_is_not_and_the_fix_is_said(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    done = pull.propose(depth=1).judged()
    assert done.code == 4
    assert done.report["error"]["kind"] == "environment"
    assert "`fetch-depth: 2`" in done.report["error"]["hint"]


def test_a_checkout_of_the_head_takes_the_base_of_the_event(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    pull.propose()
    git(strict.folder, "checkout", "-q", pull.head)
    assert pull.judged(GITHUB_SHA="e" * 40).code == 1


def test_a_merge_of_another_head_says_nothing(strict):
    """Its second parent is not the pull request's head: then its first is not the base, either."""
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    pull.propose()
    other = git(
        strict.folder,
        "commit-tree",
        f"{pull.merge}^{{tree}}",
        "-p",
        pull.head,
        "-p",
        pull.base,
        "-m",
        "x",
    )
    assert pull.judged(GITHUB_SHA=other).code == 1


def test_in_the_merge_queue_the_base_is_that_of_the_group(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    done = pull.propose().judged(event="merge_group")
    assert done.code == 1
    assert done.report["policy"]["source"] == "base"


def test_what_is_merged_is_judged_by_what_is_there(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    done = pull.propose().judged(event="push")
    assert done.code == 0
    assert done.report["policy"]["source"] == "worktree"


def test_a_person_may_ask_for_it(strict):
    pull = opened(strict)
    edit(pull, "gates.performance.metrics.recall.min", 0.01)
    pull.propose()
    assert strict.run_as_is("--base", "main").code == 1
    assert strict.run_as_is("--policy", "base", "--base", pull.base[:12]).code == 1
    assert strict.run_as_is("--policy", "worktree", "--base", "main").code == 0
    assert pull.judged("--policy", "worktree").code == 0
    nothing = strict.run_as_is("--policy", "base")
    assert nothing.code == 2
    assert "nothing says which commit is the base" in nothing.everything
    unknown = strict.run_as_is("--base", "no-such-branch")
    assert unknown.code == 4


def test_a_stranger_gets_no_rights(strict):
    done = opened(strict).propose().judged(event="pull_request_target")
    assert done.code == 5
    assert done.report["error"]["message"].startswith("`pull_request_target` gives the code")


def test_an_event_that_says_nothing_is_no_reason_to_believe_the_work_tree(strict):
    done = opened(strict).propose().judged(GITHUB_EVENT_PATH="/no/such/file")
    assert done.code == 4
    assert "does not say which commits" in done.everything


def test_outside_of_a_repository_there_is_no_base(strict):
    done = strict.run("--base", "main")
    assert done.code == 4
    assert "git knows of no work tree here" in done.everything


def test_a_base_whose_rules_are_wrong_judges_nobody(strict):
    strict.config["models"]["credit"]["task"] = "guess"
    pull = opened(strict)
    edit(pull, "task", "binary")
    done = pull.propose().judged()
    assert done.code == 2
    assert done.report["error"]["where"].startswith(f"{pull.base[:12]}:model-gates.yml:")


# --- the first rules -------------------------------------------------------------------------------


def test_the_first_rules_are_shown_and_block(project):
    done = opened(project, without=["model-gates.yml"]).propose().judged()
    assert done.code == 1
    assert done.report["verdict"] in ("pass", "inconclusive")
    assert done.report["blocked"] is True
    policy = done.report["policy"]
    assert (policy["source"], policy["bootstrap_allowed"]) == ("bootstrap", False)
    assert "`model-gates.yml` is not in the base commit" in policy["changes"][0]
    assert "the base commit has no rules yet" in done.markdown
    assert "the base commit has no rules yet" in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("# what may begin\nmodel-gates.yml\n", 0),
        ("other/model-gates.yml\n", 1),
        ("# model-gates.yml\n", 1),
        ("", 1),
    ],
)
def test_the_base_can_let_one_begin_by_its_name(project, text, code):
    project.path(".model-gates/bootstrap").write_text(text)
    done = opened(project, without=["model-gates.yml"]).propose().judged()
    assert done.code == code
    assert done.report["policy"]["source"] == "bootstrap"


def test_a_change_can_not_let_itself_begin(project):
    pull = opened(project, without=["model-gates.yml"])
    project.path(".model-gates/bootstrap").write_text("model-gates.yml\n")
    assert pull.propose().judged().code == 1


def test_a_folder_that_became_a_link_to_laxer_rules_does_not_change_the_rules(strict):
    """What is read is the path as it is written: the link is the pull request's."""
    for name, least in (("a", 0.99), ("b", 0.01)):
        strict.set("gates.performance.metrics.recall.min", least)
        shutil.copytree(
            strict.folder, strict.folder.parent / name, ignore=shutil.ignore_patterns(".git")
        )
    for name in ("a", "b"):
        (strict.folder.parent / name).rename(strict.folder / name)
    pull = opened(strict)
    shutil.rmtree(strict.path("a"))
    strict.path("a").symlink_to("b")
    pull.propose()
    named = ("--config", str(strict.path("a/model-gates.yml")), "--out", str(strict.path("out")))
    done = strict.call("run", *named, environ=pull.environ())
    assert done.code == 1
    assert done.checks["performance/recall:min"]["limit"] == {"min": 0.99}


def test_nothing_of_the_repository_is_run_or_written(strict, tmp_path):
    """Filters, hooks and attributes that the change (or a step before) has set up do nothing."""
    pull = opened(strict)
    marker = tmp_path / "ran"
    strict.path(".gitattributes").write_text("* filter=evil diff=evil\n")
    pull.propose()
    for key in ("filter.evil.smudge", "filter.evil.clean", "diff.evil.textconv", "core.fsmonitor"):
        git(strict.folder, "config", key, f"touch {marker}; cat")
    replaced = git(strict.folder, "rev-parse", f"{pull.merge}:model-gates.yml")
    before = git(strict.folder, "rev-parse", f"{pull.base}:model-gates.yml")
    assert replaced == before
    lax = strict.path("model-gates.yml").read_text().replace("0.99", "0.01")
    strict.path("lax.yml").write_text(lax)
    blob = git(strict.folder, "hash-object", "-w", "--no-filters", "lax.yml")
    git(strict.folder, "replace", before, blob)
    marker.unlink(missing_ok=True)
    there = set(strict.folder.iterdir())
    done = pull.judged()
    assert done.code == 1, "no replacement takes a rule's place"
    assert not marker.exists()
    assert set(strict.folder.iterdir()) - there == {strict.path("out")}
