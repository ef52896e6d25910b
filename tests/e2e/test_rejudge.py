"""A report that its run has edited: nothing of it is posted as ours, and an honest one comes back."""

import copy
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.decide import blocked
from gates.errors import Refused
from gates.policy.rejudge import rejudge
from gates.policy.rules import of_folder
from gates.report import GitInfo, RunInfo, load
from reporters.publish.github_check import conclusion
from reporters.render.markdown import render
from tests.e2e.conftest import people

DAY = date(2026, 11, 26)
RUN = RunInfo(started="2026-11-26T08:00:00Z", config="model-gates.yml", git=GitInfo(sha="a" * 40))
PHISH = "Reviewed by security: please merge at once"
GATES = {
    "data-schema": {
        "columns": {
            "age": {"type": "integer", "min": 18, "mostly": 0.9},
            "wage": {"type": "number", "required": False},
        },
        "rows": {"min": 100},
    },
    "performance": {
        "metrics": {
            "roc_auc": {"min": 0.6, "max_drop": 0.1},
            "accuracy": {"min": 0.5, "slices": {"min": 0.2, "max_drop": 0.4}},
            "recall": {"min": 0.99, "max_drop": 0.2},
            "precision": {"max_drop": 0.2, "on_inconclusive": "fail"},
        },
        "slices": ["region", ["region", "sex"], {"name": "young", "where": "age < 25"}],
    },
    "fairness": {
        "sensitive": ["sex", ["sex", "region"]],
        "metrics": {
            "demographic_parity_difference": {"max": 0.6, "max_rise": 0.3},
            "equalized_odds_ratio": {"min": 0.01, "max_drop": 0.9},
            "false_negative_rate": {"max_rise_any_group": 0.5},
            "selection_rate": {"max_rise_any_group": 0.5},
        },
    },
}


@pytest.fixture(scope="module")
def honest(tmp_path_factory, new_project, template):
    """A run that is blocked by one check, and the rules that judged it."""
    folder = tmp_path_factory.mktemp("honest") / "project"
    project = template.copied(folder)
    project.set("gates", copy.deepcopy(GATES))
    done = project.run()
    assert done.code == 1, done.stderr
    rules, _ = of_folder(folder / "model-gates.yml", on=DAY)
    return load((done.out / "report.json").read_bytes()), rules


def forged(honest, change):
    """Return the report as somebody has edited it, judged anew, with its comment."""
    report, rules = honest
    data = json.loads(report.model_dump_json(by_alias=True))
    change(data)
    again = rejudge(load(json.dumps(data).encode()), rules, RUN, on=DAY)
    return again, render(again)


def checks(data, gate="performance"):
    found = next(g for g in data["models"][0]["gates"] if g["gate"] == gate)
    return found["checks"]


def find(data, rule):
    return next(c for g in data["models"][0]["gates"] for c in g["checks"] if c["id"] == rule)


RED = "performance/recall:min"


def set_all(**fields):
    """Return what sets fields of every check."""

    def change(data):
        for gate in data["models"][0]["gates"]:
            for check in gate["checks"]:
                check.update(fields)

    return change


def on(rule, **fields):
    return lambda data: find(data, rule).update(fields)


def told(report):
    """What people act on: verdict and effect of every check, of gates, of the run."""
    return {
        "run": (report.verdict, report.blocked, report.exit_code),
        **{
            (model.model, gate.gate, check.id): (check.verdict, check.effect, check.p_adjusted)
            for model in report.models
            for gate in model.gates
            for check in gate.checks
        },
    }


def test_an_honest_report_comes_back_as_it_was(honest):
    report, rules = honest
    again = rejudge(report, rules, RUN, on=DAY)
    assert told(again) == told(report)
    assert again.claimed
    assert again.policy.changes == ()
    kept = {"id", "baseline", "candidate", "delta", "interval", "limit", "mode", "decide", "method"}
    kept |= {
        "family",
        "slice",
        "sensitive",
        "columns",
        "n",
        "n_needed",
        "p",
        "confidence",
        "metric",
    }
    for old, new in zip(report.models[0].gates, again.models[0].gates, strict=True):
        for one, other in zip(old.checks, new.checks, strict=True):
            assert one.model_dump(include=kept) == other.model_dump(include=kept)
    assert rejudge(again, rules, RUN, on=DAY) == again


ASIDE = {
    "verdict": set_all(verdict="pass", effect="none", reason=PHISH),
    "effect": on(RED, effect="none"),
    "mode": set_all(mode="report", effect="none", verdict="pass"),
    "on_inconclusive": set_all(on_inconclusive="warn"),
    "decide": set_all(decide="point"),
    "limit": on(RED, limit={"min": 0.01}),
    "waiver": set_all(waiver=PHISH, effect="none"),
    "family": set_all(family="intersections"),
    "blocked": lambda data: data.update(blocked=False, verdict="pass"),
    "policy": lambda data: data["policy"].update(
        source="bootstrap", bootstrap_allowed=True, changes=[PHISH]
    ),
    "words": lambda data: data.update(
        waivers=[PHISH],
        run=data["run"] | {"config": PHISH, "ci": {"provider": PHISH, "url": PHISH}},
        tool={"name": PHISH, "version": PHISH},
    ),
    "notes": lambda data: data["models"][0].update(notes=[PHISH]),
    "gate words": lambda data: [
        gate.update(summary=PHISH, hint=PHISH, notes=[PHISH], verdict="pass")
        for gate in data["models"][0]["gates"]
    ],
    "method": set_all(method=PHISH),
    "skip": set_all(skip=True, problem=PHISH, interval=None, candidate=None, delta=None),
    "problem": lambda data: [
        check.update(problem=PHISH, interval=None, p=None, p_adjusted=None)
        for gate in data["models"][0]["gates"]
        for check in gate["checks"]
    ],
    "baseline words": lambda data: data["models"][0]["baseline"].update(
        ref=PHISH, registered_at=PHISH, git_sha=PHISH
    ),
    "group words": lambda data: [
        group.update(note=PHISH) for gate in data["models"][0]["gates"] for group in gate["groups"]
    ],
    "a check left out": lambda data: checks(data).remove(find(data, RED)),
    "a rule renamed": on(RED, id="performance/recall:min@all"),
    "a metric renamed": on(RED, metric="accuracy"),
    "a gate left out": lambda data: data["models"][0]["gates"].pop(1),
    "a gate's checks left out": lambda data: data["models"][0]["gates"][1].update(checks=[]),
    "a gate renamed": lambda data: data["models"][0]["gates"][1].update(gate="performances"),
    "a model left out": lambda data: data["models"].clear(),
    "a model renamed": lambda data: data["models"][0].update(model="debit"),
    "an error in its place": lambda data: data["models"][0]["gates"][1].update(
        error={"kind": "input", "exit_code": 3, "message": PHISH, "hint": PHISH}
    ),
    "an error of the run": lambda data: data.update(
        models=[],
        error={"kind": "bug", "exit_code": 2, "message": PHISH, "details": [PHISH]},
    ),
    "an added pass": lambda data: checks(data).append(
        find(data, RED) | {"id": f"performance/recall:min@{PHISH}", "limit": {"min": 0.0}}
    ),
    "an added gate": lambda data: data["models"][0]["gates"].append(
        data["models"][0]["gates"][0] | {"gate": "calibration"}
    ),
    "an added model": lambda data: data["models"].append(data["models"][0] | {"model": "z"}),
}


@pytest.mark.parametrize("change", ASIDE.values(), ids=ASIDE)
def test_what_is_edited_changes_nothing_that_is_said(honest, change):
    again, page = forged(honest, change)
    assert again.blocked
    assert again.blocked is blocked(again.models, again.policy)
    assert conclusion(again) == "failure"
    # As a name of a rule that was left out, in a code span, it may be told; as a sentence never.
    assert PHISH not in page.replace(f"`performance/recall:min@{PHISH}`", "")
    assert "nobody vouches" in page
    red = [c for m in again.models for g in m.gates for c in g.checks if c.id == RED]
    assert all(check.effect == "block" for check in red)
    assert all(check.limit == {"min": 0.99} for check in red)


def test_the_doubts_that_the_rules_count_as_fails_do(honest):
    """Some slices are undecided: by the rules that blocks, whatever the report says of it."""
    again, _ = forged(honest, ASIDE["on_inconclusive"])
    doubts = [c for c in again.models[0].gates[1].checks if c.verdict == "inconclusive"]
    assert {c.effect for c in doubts if c.metric == "precision"} == {"block"}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (ASIDE["an added pass"], f"check `performance/recall:min@{PHISH}` of `credit`: "),
        (ASIDE["an added gate"], "gate `calibration` of `credit`: "),
        (ASIDE["an added model"], "model `z`: "),
        (ASIDE["a rule renamed"], "check `performance/recall:min@all` of `credit`: "),
        (ASIDE["limit"], "1 verdict of the run's report came out otherwise by these rules"),
    ],
    ids=["check", "gate", "model", "renamed", "verdicts"],
)
def test_what_was_left_out_is_told(honest, change, line):
    def harmless(data):
        change(data)
        if "verdict" in line:
            find(data, RED)["verdict"] = "pass"

    again, _ = forged(honest, harmless)
    assert any(told_line.startswith(line) for told_line in again.policy.changes)


@pytest.mark.parametrize(
    "rule",
    [
        "performance/recall:max_drop@region=north",
        "performance/accuracy:min@region=south,sex=f",
        "performance/roc_auc:max_drop@young=age < 25",
        "fairness/false_negative_rate:max_rise_any_group@sex=m",
        "fairness/equalized_odds_ratio:min@sex,region",
        "data-schema/expect_column_to_exist:min@age",
        "data-schema/expect_table_row_count_to_be_between:min",
    ],
)
def test_whatever_check_is_left_out_is_an_error_that_blocks(honest, rule):
    def change(data):
        for gate in data["models"][0]["gates"]:
            gate["checks"] = [check for check in gate["checks"] if check["id"] != rule]

    report, _ = honest
    wanted = find(json.loads(report.model_dump_json()), rule)
    again, _ = forged(honest, change)
    (missing,) = (c for g in again.models[0].gates for c in g.checks if c.id == wanted["id"])
    assert (missing.verdict, missing.effect) == ("error", "block")
    assert missing.limit == wanted["limit"]
    assert missing.reason == "It is declared by the rules, and is not in the report of the run."


def test_a_column_of_slices_that_is_left_out_is_missed(honest):
    def change(data):
        for gate in data["models"][0]["gates"]:
            gate["checks"] = [c for c in gate["checks"] if list(c["slice"] or {}) != ["region"]]

    again, _ = forged(honest, change)
    missing = [c.id for g in again.models[0].gates for c in g.checks if c.id.endswith("@region")]
    assert len(missing) == 5


@pytest.fixture(scope="module")
def small(tmp_path_factory, template):
    """A run in which no group has rows enough, and its rules."""
    folder = tmp_path_factory.mktemp("small") / "project"
    project = template.copied(folder)
    project.set("gates", copy.deepcopy(GATES))
    project.set("gates.fairness.min_group", 10_000)
    done = project.run()
    return load((done.out / "report.json").read_bytes()), of_folder(
        folder / "model-gates.yml", on=DAY
    )[0]


SIZES = [f"fairness/group_size:min@{place}" for place in ("sex", "sex,region")]


def test_groups_that_are_all_too_small_stay_a_question(small):
    report, rules = small
    again = rejudge(report, rules, RUN, on=DAY)
    fairness = again.models[0].gates[2]
    assert {c.id: (c.verdict, c.effect) for c in fairness.checks if c.id in SIZES} == dict.fromkeys(
        SIZES, ("inconclusive", "warn")
    )
    assert not [c.id for c in fairness.checks if c.metric == "false_negative_rate"]


def test_groups_that_are_missing_without_that_question_are_missed(small):
    def change(data):
        sizes = checks(data, "fairness")
        sizes[:] = [check for check in sizes if check["id"] != SIZES[0]]

    again, _ = forged(small, change)
    rule = "fairness/false_negative_rate:max_rise_any_group@sex"
    (missing,) = (c for g in again.models[0].gates for c in g.checks if c.id == rule)
    assert (missing.verdict, missing.effect) == ("error", "block")


def test_a_question_that_stands_for_groups_has_no_answer(small):
    """Its limit is on a number of rows: one that is told would pass, and leave all groups out."""
    with pytest.raises(Refused, match="only where something can not be told"):
        forged(small, on(SIZES[0], problem=None, candidate=20_000.0))


def value_beyond(data):
    """Numbers that say pass, beside an interval that does not."""
    find(data, RED).update(candidate=0.999, delta=0.999 - find(data, RED)["baseline"])


CONTRADICTIONS = {
    "a change that is not": (on("performance/recall:max_drop", delta=0.5), "its change is not"),
    "no change": (on("performance/recall:max_drop", delta=None), "two values, and no change"),
    "no baseline": (on("performance/recall:max_drop", baseline=None), "not both of its values"),
    "an interval of nothing": (on("performance/roc_auc:max_drop", interval=[0, 0]), "own value"),
    "an interval elsewhere": (on(RED, interval=[0.991, 0.999]), "own value"),
    "an interval turned round": (
        on("performance/recall:max_drop", interval=[0.1, -0.1]),
        "wrong way round",
    ),
    "an interval of the other": (on(RED, interval_of="delta"), "its limit is on the candidate"),
    "an interval and a problem": (on(RED, problem=PHISH), "no value that it is of"),
    "a value": (value_beyond, "its interval does not hold its own value"),
    "a wider interval of a rate": (
        on("performance/accuracy:min", interval=[0.1, 0.99]),
        "not that of its rate",
    ),
    "a rate of no count": (
        on("performance/accuracy:min", candidate=0.77777, baseline=None, delta=None),
        "its rate is of no whole number",
    ),
    "confidence": (set_all(confidence=0.5), "its interval is at 0.5, and the rules ask for 0.95"),
    "more rows": (on("performance/recall:max_drop@region=north", n=10**6), "more rows than were"),
    "fewer rows": (on("performance/roc_auc:min", n=5), "on fewer rows than were judged"),
    "p": (on("performance/recall:max_drop", p=0.0001), "its p-value is not that of its interval"),
    "a check twice": (lambda data: checks(data).append(checks(data)[0]), "a check twice"),
    "a gate twice": (
        lambda data: data["models"][0]["gates"].append(data["models"][0]["gates"][0]),
        "a gate twice",
    ),
    "a model twice": (lambda data: data["models"].append(data["models"][0]), "a model twice"),
    "no candidate": (lambda data: data["models"][0].update(candidate=None), "no candidate"),
    "a baseline of no name": (
        lambda data: data["models"][0].update(baseline=None),
        "a baseline that is not named",
    ),
}


@pytest.mark.parametrize(("change", "why"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(honest, change, why):
    with pytest.raises(Refused, match=why):
        forged(honest, change)


def test_the_waivers_are_those_of_the_rules(honest, tmp_path):
    report, rules = honest
    waiver = {"rule": RED, "reason": "labels are late, they say", "owner": "@lead"}
    Path(tmp_path, "model-gates.waivers.yml").write_text(
        yaml.safe_dump({"version": 1, "waivers": [waiver | {"expires": "2026-12-01"}]})
    )
    config = (rules.root / "model-gates.yml").read_bytes()
    (tmp_path / "model-gates.yml").write_bytes(config)
    waiving, _ = of_folder(tmp_path / "model-gates.yml", on=DAY)
    again = rejudge(report, waiving, RUN, on=DAY)
    assert find(json.loads(again.model_dump_json()), RED)["effect"] == "none"
    assert again.waivers == (
        f"{RED} until 2026-12-01 by @lead – labels are late, they say (expires in 5 days)",
    )
    expired = rejudge(report, waiving, RUN, on=date(2026, 12, 2))
    assert find(json.loads(expired.model_dump_json()), RED)["effect"] == "block"


def of_task(project, task):
    """Another task on the same rows."""
    frame, _ = people()
    random = np.random.default_rng(5)
    if task == "regression":
        label = random.normal(50, 9, len(frame))
        guess = {
            n: label + random.normal(0, s, len(frame))
            for n, s in (("baseline", 3), ("candidate", 4))
        }
        files = {n: {"id": frame.id, "prediction": g} for n, g in guess.items()}
        metrics = {
            "mae": {"max_rise": 2.0, "max": 5.0},
            "max_error": {"max": 30.0},
            "r2": {"min": 0.2},
        }
        metrics |= {"median_ae": {"max": 9.0, "max_rise": 3.0}}
    else:
        label = random.integers(0, 3, len(frame))
        files = {}
        for name, seed in (("baseline", 1), ("candidate", 2)):
            wrong = np.random.default_rng(seed).random(len(frame)) < 0.2
            files[name] = {"id": frame.id, "prediction": np.where(wrong, (label + 1) % 3, label)}
        metrics = {"accuracy": {"min": 0.5, "max_drop": 0.2}, "f1_macro": {"max_drop": 0.3}}
    project.write("evaluation.parquet", frame.assign(defaulted=label))
    for name, columns in files.items():
        project.write(f"{name}.parquet", type(frame)(columns))
    project.set("task", task)
    project.set("gates", {"performance": {"metrics": metrics, "slices": ["region"]}})
    for path in project.store.parent.iterdir():
        path.rename(project.folder / "old")
    project.register()


SETTINGS = {
    "clusters": lambda p: p.set("data.cluster", "household"),
    "max_t": lambda p: p.config.update(defaults={"correction": "max_t", "confidence": 0.9}),
    "point": lambda p: p.config.update(defaults={"decide": "point", "mode": "warn"}),
    "nothing to compare": lambda p: (
        p.set("baseline", {"on_missing": "absolute", "alias": "none"}),
        p.store.rename(p.folder / "old"),
    ),
    "an anchor": lambda p: (
        p.set("baseline", {"anchor": "v1"}),
        p.set("gates.performance.metrics.roc_auc", {"max_drop_from_anchor": 0.2}),
    ),
    "inferred": lambda p: p.set("gates.data-schema", {"infer": "baseline", "only_columns": True}),
    "a candidate like the baseline": lambda p: p.write(
        "candidate.parquet", p.table("baseline.parquet")
    ),
    "multiclass": lambda p: of_task(p, "multiclass"),
    "regression": lambda p: of_task(p, "regression"),
    "a sketch": lambda p: (
        p.store.rename(p.folder / "old"),
        p.set("baseline", {"keep_predictions": False}),
        p.register(),
    ),
    "groups that are all too small": lambda p: p.set("gates.fairness.min_group", 10_000),
    "groups some of which are too small": lambda p: p.set("gates.fairness.min_group", 100),
    "unpaired": lambda p: (
        p.set("baseline", {"on_other_data": "unpaired"}),
        p.write("evaluation.parquet", p.table("evaluation.parquet").assign(age=30)),
    ),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_whatever_the_settings_an_honest_report_comes_back(project, setting):
    project.set("gates", copy.deepcopy(GATES))
    setting(project)
    done = project.run()
    report = load((done.out / "report.json").read_bytes())
    assert report.verdict is not None, done.stderr
    rules, _ = of_folder(project.path("model-gates.yml"), on=DAY)
    again = rejudge(report, rules, RUN, on=DAY)
    assert told(again) == told(report)
    assert again.policy.changes == ()


PIECES = (
    None,
    True,
    0,
    -1,
    10**14,
    10**400,
    1e99,
    -1e300,
    "",
    "pass",
    "error",
    "\u202e`|<!--",
    [],
    {},
)


def places(value, path=()):
    """Every place in a report."""
    yield path
    below = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in below:
        yield from places(one, (*path, key))


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_it_is_judged_or_refused(honest, data):
    """Never a crash, never more than the rules allow: what is red by its numbers stays red."""
    report, rules = honest
    raw = json.loads(report.model_dump_json(by_alias=True))
    raw["models"][0]["portrait"] = {}  # its thousands of points would hide all else
    everywhere = list(places(raw))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(everywhere))
        node = raw
        try:
            for key in path[:-1]:
                node = node[key]
            if path:
                node[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(PIECES)))
        except (KeyError, IndexError, TypeError):
            continue
    try:
        edited = load(json.dumps(raw).encode())
    except ValueError:
        return
    try:
        again = rejudge(edited, rules, RUN, on=DAY)
    except Refused:
        return
    asked = {c.id for g in report.models[0].gates for c in g.checks if not c.slice}
    got = {c.id for m in again.models for g in m.gates for c in g.checks}
    broken = again.error or any(g.error for m in again.models for g in m.gates)
    assert broken or asked <= got
    assert again.blocked
    assert "nobody vouches" in render(again)
