"""How often an evaluation set has been asked: every answer tells a little of what is in it.

Candidates that are tuned until a gate lets them through fit the evaluation set, and their numbers
there grow kinder than the truth. How kind, is bounded by how much the answers told: with I nats of
answers on n rows, and a measure between 0 and 1, by sqrt(2 I / n) / 2 in expectation (Russo & Zou
2016). I is taken as the entropy of the verdicts times their number, as if they were independent;
read the bound as an indicator, and a large one as "time for a fresh evaluation set".
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from gates.atomic import write_atomic
from gates.baselines.files import LEDGER, as_json, damaged, disk, parse_json
from gates.fields import Digest, Model, Name
from gates.report import Verdict

_SPREAD = 0.5


class Answer(Model):
    """One candidate that was judged on an evaluation set, and what it was told."""

    at: Name
    candidate: Digest
    verdict: Verdict
    blocked: bool


class _Page(Model):
    schema_version: Literal[1] = Field(default=1, alias="schema")
    answers: dict[Digest, tuple[Answer, ...]] = Field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """The answers of one model's evaluation sets, kept beside its baselines."""

    folder: Path

    def answers(self, evaluation: str) -> tuple[Answer, ...]:
        """Return what an evaluation set has been asked so far, the oldest first."""
        return self._page().answers.get(evaluation, ())

    def evaluations(self) -> dict[str, tuple[Answer, ...]]:
        """Return the answers of every evaluation set, by its digest."""
        return dict(self._page().answers)

    def enter(self, evaluation: str, answer: Answer) -> tuple[Answer, ...]:
        """Enter an answer and return all of them; a candidate that asks again learns nothing new.

        The caller holds the store's lock. Raises EnvironmentFault when the disk refuses.
        """
        page = self._page()
        known = page.answers.get(evaluation, ())
        same = (answer.candidate, answer.verdict)
        if any((one.candidate, one.verdict) == same for one in known):
            return known
        answers = page.answers | {evaluation: (*known, answer)}
        written = _Page(answers=answers).model_dump(mode="json", by_alias=True)
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self.folder / LEDGER, as_json(written))
        return answers[evaluation]

    def _page(self) -> _Page:
        path = self.folder / LEDGER
        if not path.exists():
            return _Page()
        try:
            return _Page.model_validate(parse_json(path))
        except ValidationError as error:
            raise damaged(path, f"{LEDGER} is not a ledger") from error


def nats(answers: tuple[Answer, ...]) -> float:
    """Return how much the answers told at most: their number times their entropy, in nats."""
    counts = Counter((one.verdict, one.blocked) for one in answers)
    shares = [count / len(answers) for count in counts.values()]
    return len(answers) * sum(-share * math.log(share) for share in shares) + 0.0


def optimism(answers: tuple[Answer, ...], rows: int) -> float:
    """Return by how much a mean of numbers in [0, 1] may be too kind after these answers."""
    return _SPREAD * math.sqrt(2 * nats(answers) / rows) if answers and rows else 0.0
