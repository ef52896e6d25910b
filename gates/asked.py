"""Enter what a candidate was told into the ledger, and say when an evaluation set is worn out."""

from __future__ import annotations

from gates.baselines.ledger import Answer, optimism
from gates.baselines.local import Store
from gates.config import ModelConfig
from gates.decide import blocked
from gates.errors import GatesError
from gates.fields import bounded
from gates.report import LedgerInfo, ModelReport, Verb

_WHO = "model-gates run"
_FRACTION = (0.0, 1.0)


def entered(judged: ModelReport, model: ModelConfig, store: Store, *, at: str) -> ModelReport:
    """Return the report with what the ledger says after this answer; its verdict is what it was.

    A ledger that cannot be read or written becomes a note: it warns, and judges nobody.
    """
    data = judged.data.get("evaluation")
    if data is None or judged.candidate is None:
        return judged
    answer = Answer(
        at=at,
        candidate=judged.candidate.digest,
        verdict=judged.verdict,
        blocked=blocked([judged]),
    )
    try:
        answers = store.answer(data.digest, answer, by=_WHO)
    except GatesError as error:
        note = f"What this run told of the evaluation set is not in the ledger: {error.message}."
        return _with_note(judged, note)
    info = LedgerInfo(asked=len(answers), optimism=optimism(answers, data.rows))
    judged = judged.model_copy(update={"ledger": info})
    limit = smallest_change(model)
    if limit is None or info.optimism <= limit:
        return judged
    return _with_note(judged, _worn_out(info, limit))


def smallest_change(model: ModelConfig) -> float | None:
    """Return the smallest limit on a change of a number between 0 and 1, if there is one."""
    limits = [limit for gate in model.gates.configured().values() for limit in gate.limits()]
    changes = [
        limit.bound
        for limit in limits
        if limit.verb.needs_baseline
        and limit.verb is not Verb.MAX_RATIO
        and limit.span == _FRACTION
    ]
    return min(changes, default=None)


def _worn_out(info: LedgerInfo, limit: float) -> str:
    return (
        f"This evaluation set has now answered for {info.asked:,} candidates. Each answer tells a "
        f"little of what is in it, and whoever tunes by the answers fits it: numbers between 0 and "
        f"1 may be too kind by up to about {info.optimism:.3f}, which is more than the smallest "
        f"limit on a change ({limit:g}). It is time for a fresh evaluation set."
    )


def _with_note(judged: ModelReport, note: str) -> ModelReport:
    return judged.model_copy(update={"notes": (*judged.notes, bounded(note, 2000))})
