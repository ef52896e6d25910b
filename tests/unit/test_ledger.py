"""The ledger: what is counted, what is not, and the bound that follows."""

import math

import pytest

from gates.baselines.ledger import LEDGER, Answer, Ledger, nats, optimism
from gates.errors import EnvironmentFault, Refused
from gates.report import Verdict

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
