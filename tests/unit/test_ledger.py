"""The ledger: what is counted, what is not, and the bound that follows."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from gates.asked import entered, smallest_change
from gates.baselines.files import LEDGER
from gates.baselines.ledger import Answer, Ledger, nats, optimism
from gates.baselines.local import Store
from gates.config import validate
from gates.errors import EnvironmentFault, Refused
from gates.report import PolicyInfo, RunInfo, Verdict
from gates.runner import Run, run
from gates.yaml_source import parse

SET, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def answer(number, verdict=Verdict.PASS, *, blocked=False):
    candidate = f"sha256:{number:064x}"
    return Answer(at="2026-01-01", candidate=candidate, verdict=verdict, blocked=blocked)


def test_answers_are_kept_by_evaluation_set(tmp_path):
    ledger = Ledger(tmp_path / "store")
    assert ledger.answers(SET) == ()
    ledger.enter(SET, answer(1))
    entered = ledger.enter(SET, answer(2, Verdict.FAIL, blocked=True))
    ledger.enter(OTHER, answer(3))
    assert Ledger(tmp_path / "store").answers(SET) == entered
    assert [one.verdict for one in entered] == [Verdict.PASS, Verdict.FAIL]
    assert len(ledger.answers(OTHER)) == 1


def test_a_candidate_that_asks_again_learns_nothing(tmp_path):
    ledger = Ledger(tmp_path)
    first = ledger.enter(SET, answer(1))
    before = (tmp_path / LEDGER).read_bytes()
    assert ledger.enter(SET, answer(1)) == first
    assert (tmp_path / LEDGER).read_bytes() == before
    assert len(ledger.enter(SET, answer(1, Verdict.FAIL))) == 2


def test_a_damaged_ledger_is_refused_not_forgotten(tmp_path):
    (tmp_path / LEDGER).write_text('{"schema": 1, "answers": 3}')
    with pytest.raises(Refused, match="not a ledger"):
        Ledger(tmp_path).answers(SET)


def test_a_disk_that_refuses_is_the_environments_fault(tmp_path):
    (tmp_path / "store").write_text("a file, where a folder has to be")
    with pytest.raises(EnvironmentFault):
        Ledger(tmp_path / "store").enter(SET, answer(1))


def test_the_same_answer_every_time_tells_nothing():
    assert nats(tuple(answer(i) for i in range(50))) == 0.0
    assert optimism(tuple(answer(i) for i in range(50)), 1000) == 0.0
    assert optimism((), 1000) == 0.0


def test_a_coin_tells_one_bit_a_throw():
    verdicts = [Verdict.PASS, Verdict.FAIL] * 20
    answers = tuple(answer(i, verdict) for i, verdict in enumerate(verdicts))
    assert nats(answers) == pytest.approx(40 * math.log(2))
    assert optimism(answers, 10_000) == pytest.approx(0.5 * math.sqrt(80 * math.log(2) / 10_000))


# --- in a run --------------------------------------------------------------------------------

CONFIG = """\
version: 1
models:
  m:
    task: binary
    data: {evaluation: data.parquet, id: id, label: y}
    candidate: {predictions: p0.parquet}
    baseline: {ledger: true, store: store}
    gates:
      performance: {metrics: {accuracy: {min: 0.7}}}
"""
AT = "2026-01-02T03:04:05Z"


@pytest.fixture
def folder(tmp_path):
    """Candidates of which each is right in one row of 100 fewer: some pass, some do not."""
    index = np.arange(100)
    label = index % 2
    pd.DataFrame({"id": index, "y": label}).to_parquet(tmp_path / "data.parquet")
    for number in range(45):
        prediction = np.where(index < number, 1 - label, label)
        outputs = pd.DataFrame({"id": index, "prediction": prediction})
        outputs.to_parquet(tmp_path / f"p{number}.parquet")
    return tmp_path


def configured(*changes):
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return validate(parse(text.encode(), "model-gates.yml"))


def crashed(error):
    raise error


def judged(folder, number=0, *changes):
    asked = Run(
        config=configured(("p0.", f"p{number}."), *changes),
        root=folder,
        policy=PolicyInfo(digest="sha256:" + "0" * 64),
        info=RunInfo(started=AT),
        progress=lambda *_: None,
        on_crash=crashed,
    )
    return run(asked).models[0]


def kept(folder):
    return Store(folder / "store", "m").ledger.evaluations()


def test_a_run_writes_nothing_but_its_report_unless_asked(folder):
    model = judged(folder, 0, ("ledger: true, ", ""))
    assert model.ledger is None
    assert not (folder / "store").exists()


def test_a_run_enters_what_it_told(folder):
    model = judged(folder, 0)
    assert (model.ledger.asked, model.ledger.optimism) == (1, 0.0)
    assert judged(folder, 44).verdict is Verdict.FAIL
    ((data, answers),) = kept(folder).items()
    assert data == model.data["evaluation"].digest
    assert answers[0] == Answer(
        at=AT, candidate=model.candidate.digest, verdict=Verdict.PASS, blocked=False
    )
    assert (answers[1].verdict, answers[1].blocked) == (Verdict.FAIL, True)
    assert Store(folder / "store", "m").verify() == []


def test_the_same_candidate_counts_once_and_gets_the_same_report(folder):
    first = judged(folder, 3)
    assert judged(folder, 3) == first
    assert judged(folder, 3).ledger.asked == 1
    assert judged(folder, 4).ledger.asked == 2


def test_another_evaluation_set_has_a_page_of_its_own(folder):
    judged(folder, 0)
    data = pd.read_parquet(folder / "data.parquet")
    data.assign(more=1).to_parquet(folder / "data.parquet")
    assert judged(folder, 1).ledger.asked == 1
    assert len(kept(folder)) == 2


CHANGE = ("{min: 0.7}", "{min: 0.7, max_drop: 0.05}")
WITHOUT_BASELINE = ("store: store", "store: store, on_missing: absolute")


def test_a_set_that_was_asked_too_often_is_worn_out(folder):
    worn = [judged(folder, number, CHANGE, WITHOUT_BASELINE) for number in (0, 44, 1, 43, 2, 42, 3)]
    told = ["time for a fresh evaluation set" in " ".join(model.notes) for model in worn]
    over = [model.ledger.optimism > 0.05 for model in worn]
    assert told == over
    assert (told[0], told[-1]) == (False, True)
    note = worn[-1].notes[-1]
    assert "answered for 7 candidates" in note
    assert f"up to about {worn[-1].ledger.optimism:.3f}" in note
    assert "(0.05)" in note
    ((_, answers),) = kept(folder).items()
    assert worn[-1].ledger.optimism == pytest.approx(optimism(answers, 100))


DISPARITIES = "recall_difference: {max_rise: 0.04}, log_loss_difference: {max_rise: 0.01}"
FAIRNESS = "}}\n      fairness: {sensitive: [s], metrics: {" + DISPARITIES


@pytest.mark.parametrize(
    ("metrics", "smallest"),
    [
        ("accuracy: {min: 0.7}", None),
        ("accuracy: {max_drop: 0.05}, recall: {max_drop: 0.02}", 0.02),
        ("accuracy: {max_drop: 0.05, slices: {max_drop: 0.01}}", 0.01),
        ("accuracy: {max_drop: 0.05}, log_loss: {max_rise: 0.001, max_ratio: 0.1}", 0.05),
        ("mcc: {max_drop: 0.001}", None),
        ("false_positive_rate: {max_ratio: 0.01}", None),
        (f"accuracy: {{max_drop: 0.05}}{FAIRNESS}", 0.04),
    ],
)
def test_only_changes_of_numbers_between_0_and_1_are_held_against_it(metrics, smallest):
    config = configured(("accuracy: {min: 0.7}", metrics))
    assert smallest_change(config.models["m"]) == smallest


@pytest.mark.parametrize("damage", ["a file for a folder", "no ledger", "locked"])
def test_a_ledger_that_can_not_be_written_changes_no_verdict(folder, damage):
    good = judged(folder, 0)
    place = folder / "store" / "m"
    if damage == "no ledger":
        (place / LEDGER).write_text(json.dumps({"schema": 1, "answers": 3}))
        model = judged(folder, 0)
    elif damage == "locked":
        config, store = configured().models["m"], Store(folder / "store", "m", patience=0.01)
        with FileLock(place / ".lock"):
            model = entered(good.model_copy(update={"ledger": None}), config, store, at=AT)
    else:
        (folder / "elsewhere").write_text("a file, where a folder has to be")
        model = judged(folder, 0, ("store: store", "store: elsewhere"))
    assert model.verdict is good.verdict
    assert model.gates == good.gates
    assert model.ledger is None
    assert "is not in the ledger" in model.notes[-1]


def test_what_was_not_judged_is_not_entered(folder):
    (folder / "p0.parquet").unlink()
    model = judged(folder, 0)
    assert model.error is not None
    assert not (folder / "store").exists()
    assert entered(model, configured().models["m"], Store(folder / "store", "m"), at=AT) == model


def test_a_damaged_ledger_is_a_problem_of_the_store(folder):
    judged(folder, 0)
    (folder / "store" / "m" / LEDGER).write_text("{}}")
    (problem,) = Store(folder / "store", "m").verify()
    assert LEDGER in problem


def test_what_a_killed_writer_left_is_swept_away(folder):
    judged(folder, 0)
    left = folder / "store" / "m" / f".{LEDGER}.dead"
    left.write_text("{")
    judged(folder, 1)
    assert not left.exists()
