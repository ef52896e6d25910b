"""What every gate, predictor, store and renderer owes the rest; a new one adds one row here."""

import inspect
import json
import re
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ValidationError

from gates.artifacts.manifest import manifest_of
from gates.assemble import Reference, assemble
from gates.baselines.registry import STORES, open_store
from gates.builtin.artifact import Artifact
from gates.builtin.data_schema import DataSchema
from gates.builtin.drift import Drift
from gates.builtin.fairness import Fairness
from gates.builtin.performance import Performance
from gates.builtin.registry import GATES
from gates.builtin.samples import Asked
from gates.config import Config, json_schema
from gates.decide import settle
from gates.errors import ConfigError, InputError
from gates.evidence import Comparison, Evidence, Source
from gates.limits import Problem
from gates.predictors.registry import PREDICTORS
from gates.record import Record
from gates.register import Candidate, register
from gates.report import Effect, GateResult, ModelReport, Report, Task, Verb, Verdict, dump, load
from gates.runner import question
from gates.tables import Engine
from reporters.render.registry import RENDERERS
from tests import reports

# --- one row for each unit -------------------------------------------------------------------

GATE_EXAMPLES = {
    "data-schema": DataSchema(columns={"age": {"min": 0, "nullable": False}}, infer="baseline"),
    "performance": Performance(
        metrics={
            "recall": {"min": 0.1, "max_drop": 0.5},
            "log_loss": {"max_ratio": 3.0},
        },
        slices=["region", ["region", "sex"], {"name": "young", "where": "age < 40"}],
    ),
    "fairness": Fairness(
        sensitive=["sex", ["region", "sex"]],
        min_group=5,
        metrics={
            "demographic_parity_difference": {"max": 0.9, "max_rise": 0.9},
            "recall": {"max_drop_any_group": 0.9},
        },
    ),
    "drift": Drift(
        columns={
            "age": {"psi": {"max": 0.9}, "ks": {"max": 0.9}, "wasserstein": {"max": 9.0}},
            "region": {"js_distance": {"max": 0.9}, "cramers_v": {"max": 0.9}},
            "sex": {},
        },
        score={"psi": {"max": 9.0}},
        prediction={"total_variation": {"max": 0.9}},
    ),
    "artifact": Artifact(allow=["ours.scaling.Scaler"]),
}
# A gate of the candidate's own files holds nothing against a baseline.
ALONE = {"artifact"}
PREDICTOR_EXAMPLES = {
    "predictions": {"predictions": "out/candidate.parquet"},
    "command": {
        "command": [sys.executable, "-c", "open('out/candidate.parquet', 'w')"],
        "predictions": "out/candidate.parquet",
    },
}
STORE_EXAMPLES = {"a folder": "baselines"}
# A badge is one word, and Code Quality knows only what is amiss: neither names every model and gate.
SHORT = {"badge", "badge-svg", "gitlab-codequality"}
STORIES = {
    name: story
    for name, story in vars(reports).items()
    if inspect.isfunction(story)
    and story.__annotations__.get("return") is Report
    and not any(p.default is p.empty for p in inspect.signature(story).parameters.values())
}


@pytest.mark.parametrize(
    ("registry", "examples"),
    [(GATES, GATE_EXAMPLES), (PREDICTORS, PREDICTOR_EXAMPLES), (STORES, STORE_EXAMPLES)],
    ids=["gates", "predictors", "stores"],
)
def test_every_unit_has_its_row_here(registry, examples):
    assert list(registry) == list(examples)


# --- a small evidence ------------------------------------------------------------------------

CONFIG = Config.model_validate(
    {
        "version": 1,
        "models": {
            "tiny": {
                "task": "binary",
                "data": {"evaluation": "evaluation.parquet", "id": "id", "label": "label"},
                "candidate": {"predictions": "candidate.parquet", "artifact": "model.json"},
                "gates": dict(GATE_EXAMPLES),
            }
        },
    }
)


def write_tables(folder, rows=80):
    chance = np.random.default_rng(1)
    label = np.arange(rows) % 2
    evaluation = pd.DataFrame(
        {
            "id": np.arange(rows),
            "label": label,
            "age": chance.integers(18, 80, rows),
            "region": chance.choice(["north", "south"], rows),
            "sex": chance.choice(["f", "m"], rows),
        }
    )
    evaluation.to_parquet(folder / "evaluation.parquet")
    (folder / "model.json").write_text('{"coefficients": [0.5]}')
    for name in ("candidate", "baseline"):
        score = np.clip(0.25 + 0.5 * label + chance.normal(0, 0.2, rows), 0.01, 0.99)
        outputs = pd.DataFrame({"id": evaluation["id"], "score": score})
        outputs.to_parquet(folder / f"{name}.parquet")


def registered(folder, store):
    new = Candidate(
        predictions=Source(path=folder / "baseline.parquet"),
        artifact=None,
        alias="champion",
        by="ana",
        at="2026-01-02T03:04:05Z",
        git_sha=None,
    )
    return register(CONFIG, "tiny", store, folder, new)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A good evidence for a binary model, paired with a registered baseline."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tables(folder)
    store = open_store("baselines", "tiny", start=folder)
    registered(folder, store)
    found, model = store.find("champion"), CONFIG.models["tiny"]
    reference = Reference(record=found.record, predictions=Source(path=found.kept, id="id"))
    with Engine() as engine:
        asked = question(CONFIG, model, folder, model.candidate.fetch(folder))
        assembled = assemble(engine, asked, reference)
        yield replace(assembled, artifact=manifest_of(folder / "model.json"))


def test_the_evidence_is_as_good_as_it_gets(evidence):
    assert isinstance(evidence, Evidence)
    assert evidence.comparison is Comparison.PAIRED


# --- gates -----------------------------------------------------------------------------------

VERBS = "|".join(verb.value for verb in Verb)
MANUAL = ("What it measures:", "When it lies:", "How to fix a fail:")


@pytest.fixture(params=GATES)
def gate(request):
    return GATE_EXAMPLES[request.param]


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_its_options(name):
    unit = GATES[name]
    assert issubclass(unit, BaseModel)
    assert unit.gate == name
    assert unit.model_config["frozen"] is True
    assert unit.model_config["extra"] == "forbid"
    option = next(iter(unit.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(GATE_EXAMPLES[name], option, None)
    with pytest.raises(ValidationError, match="extra_forbidden"):
        unit.model_validate({**GATE_EXAMPLES[name].model_dump(exclude_none=True), "zzz": 1})


@pytest.mark.parametrize("name", GATES)
def test_a_gate_has_its_manual(name):
    manual = inspect.getdoc(GATES[name])
    first, blank, *_ = manual.splitlines()
    assert re.fullmatch(r"[A-Z][a-z]+ .*\.", first), "an imperative sentence"
    assert blank == ""
    places = [manual.index(part) for part in MANUAL]
    assert places == sorted(places)
    assert inspect.getdoc(GATES[name].judge)


@pytest.mark.parametrize("name", GATES)
def test_a_gate_stands_in_the_schema_of_the_configuration(name):
    definitions = json_schema()["$defs"]
    assert name in definitions["Gates"]["properties"]
    options = definitions[GATES[name].__name__]
    assert set(options["properties"]) == set(GATES[name].model_fields)
    assert options["additionalProperties"] is False
    shipped = Path(inspect.getfile(Config)).with_name("schemas") / "config.schema.json"
    assert name in json.loads(shipped.read_text())["$defs"]["Gates"]["properties"]


def test_a_gate_says_what_it_needs(gate):
    assert gate.needs_baseline is (gate.gate not in ALONE)
    assert isinstance(gate.reads, tuple)
    assert gate.pairs is (gate.gate in ("performance", "fairness"))
    assert gate.needs_truth is (gate.gate in ("performance", "fairness"))
    assert isinstance(gate.remembers, Asked)
    assert set(gate.reads) <= {"age", "region", "sex"}
    assert list(inspect.signature(gate.judge).parameters) == ["evidence"]


@pytest.mark.parametrize("task", Task)
def test_a_gate_names_every_problem_by_the_key_it_is_at(gate, task):
    problems = list(gate.problems(task))
    assert all(isinstance(problem, Problem) for problem in problems)
    assert all(problem.message for problem in problems)
    assert {problem.path[0] for problem in problems} <= set(type(gate).model_fields)
    if task is Task.BINARY:
        assert not problems


def test_a_gate_measures_and_does_not_decide(gate, evidence):
    result = gate.judge(evidence)
    assert isinstance(result, GateResult)
    assert result.gate == gate.gate
    assert result.summary
    assert result.hint
    assert result.checks
    assert result.verdict is Verdict.ERROR
    for check in result.checks:
        undecided = (check.verdict, check.effect, check.reason)
        assert undecided == (Verdict.ERROR, Effect.BLOCK, "This check was never decided.")


def test_the_ids_of_a_gates_checks_are_rule_ids(gate, evidence):
    checks = gate.judge(evidence).checks
    ids = [check.id for check in checks]
    assert len(set(ids)) == len(ids)
    for check in checks:
        rule = re.fullmatch(rf"([a-z-]+)/([a-z0-9_]+):({VERBS})(@[^@]+)?", check.id)
        assert rule, check.id
        assert rule.groups()[:3] == (gate.gate, check.metric, check.verb.value)
        assert bool(rule[4]) or (check.slice is None and check.sensitive is None)


def test_all_that_a_gate_measured_can_be_decided_and_told(gate, evidence):
    settled = settle(gate.judge(evidence))
    assert all("never decided" not in check.reason for check in settled.checks)
    assert settled.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    model = ModelReport(model="tiny", task=Task.BINARY, verdict=settled.verdict, gates=(settled,))
    report = reports.make_report(model)
    assert load(dump(report)) == report
    for name in RENDERERS.keys() - SHORT:
        assert gate.gate in RENDERERS[name](report)


def test_a_gate_judges_alike_twice(gate, evidence):
    assert gate.judge(evidence) == gate.judge(evidence)


# --- predictors ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_predictor_is_its_options_and_fetches(name, tmp_path):
    unit = PREDICTORS[name]
    assert unit.kind == name
    assert name in unit.model_fields, "the key that tells which predictor is meant"
    assert "artifact" in unit.model_fields, "the model that made the predictions"
    assert unit.model_config["frozen"] is True
    assert unit.model_config["extra"] == "forbid"
    assert inspect.getdoc(unit)
    assert inspect.getdoc(unit.fetch)
    predictor = unit.model_validate(PREDICTOR_EXAMPLES[name])
    source = predictor.fetch(tmp_path)
    assert isinstance(source, Source)
    assert predictor.there(tmp_path) == replace(source, notes=())
    assert source.path.is_relative_to(tmp_path)


# --- stores ----------------------------------------------------------------------------------

STORE_METHODS = {
    "register": ["content", "kept", "registration", "alias"],
    "find": ["ref"],
    "versions": [],
    "aliases": [],
    "moves": [],
    "point": ["alias", "ref", "by", "at"],
    "answer": ["evaluation", "answer", "by"],
    "verify": [],
}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    write_tables(tmp_path)
    return open_store(STORE_EXAMPLES[request.param], "tiny", start=tmp_path)


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("method", STORE_METHODS)
def test_a_store_has_these_methods(kind, method):
    function = getattr(STORES[kind], method)
    assert list(inspect.signature(function).parameters) == ["self", *STORE_METHODS[method]]
    assert inspect.getdoc(function)
    assert inspect.getdoc(STORES[kind])


def test_an_empty_store_says_so(store):
    assert (store.versions(), store.aliases(), store.moves(), store.verify()) == ([], {}, [], [])
    with pytest.raises(InputError, match="no baseline is registered") as caught:
        store.find("champion")
    assert "baseline register" in caught.value.hint


def test_a_store_gives_back_what_it_was_given(store, tmp_path):
    record = registered(tmp_path, store)
    assert isinstance(record, Record)
    assert record.digest == record.content.digest
    for ref in ("champion", "v1", "1", record.digest, record.digest[7:19]):
        found = store.find(ref)
        assert (found.record, found.ref) == (record, ref)
        assert len(pd.read_parquet(found.kept)) == record.content.predictions.rows == 80
    assert store.versions() == [record]
    assert store.aliases() == {"champion": 1}
    assert [(move.alias, move.version, move.previous) for move in store.moves()] == [
        ("champion", 1, None)
    ]
    assert store.verify() == []


def test_a_store_keeps_the_same_content_once(store, tmp_path):
    assert registered(tmp_path, store) == registered(tmp_path, store)
    assert len(store.versions()) == len(store.moves()) == 1


def test_there_is_no_store_of_a_kind_nobody_wrote(tmp_path):
    with pytest.raises(ConfigError, match="no store of the kind 'nope'"):
        open_store("nope://x", "tiny", start=tmp_path)


# --- renderers -------------------------------------------------------------------------------


def test_the_stories_were_found():
    assert {"all_green", "one_red", "mixed", "bad_input", "two_models"} <= set(STORIES)


@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_takes_a_report_and_nothing_else_it_needs(name):
    render = RENDERERS[name]
    first, *others = inspect.signature(render).parameters.values()
    assert first.annotation in ("Report", Report)
    assert all(parameter.default is not parameter.empty for parameter in others)
    assert inspect.signature(render).return_annotation in ("str", str)


@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_says_what_it_does(name):
    render = RENDERERS[name]
    assert inspect.getdoc(render.func if isinstance(render, partial) else render)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("name", RENDERERS)
def test_a_renderer_renders_every_story(name, story):
    report = STORIES[story]()
    before = dump(report)
    text = RENDERERS[name](report)
    assert isinstance(text, str)
    assert text.strip()
    assert text == RENDERERS[name](STORIES[story]()), "the same report, the same text"
    assert dump(report) == before
    for model in report.models if name not in SHORT else ():
        assert model.model in text
    assert "Traceback" not in text
    assert " object at 0x" not in text
