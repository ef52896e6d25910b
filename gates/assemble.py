"""Put the evidence together: open, join by id, check, compare with the registered baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gates.errors import InputError
from gates.evidence import (
    BASELINE,
    CANDIDATE,
    Comparison,
    Data,
    Evidence,
    Policy,
    Source,
    comparability,
)
from gates.outputs import Truth, output_columns, read_rows, read_truth
from gates.record import Record
from gates.report import Task
from gates.stats.metrics import Rows
from gates.tables import Engine, Table


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be judged, before anything is opened."""

    root: Path
    task: Task
    data: Data
    policy: Policy
    candidate: Source
    evaluation: Path | None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The registered baseline to hold the candidate against.

    `predictions` are those of the baseline model: the stored ones, or fresh ones on other data.
    `on_other_data` says what to do when the evaluation set is not the baseline's.
    """

    record: Record
    predictions: Source
    fresh: bool = False
    unpaired: bool = False


def assemble(engine: Engine, question: Question, reference: Reference | None) -> Evidence:
    """Return the evidence for one model. Raises InputError for whatever can not be judged."""
    data, task = question.data, question.task
    candidate = engine.open(question.candidate.path, text=(data.id,))
    roles = output_columns(task, candidate, question.candidate.columns)
    outputs = tuple(roles.values())
    own = outputs if question.evaluation is None else ()
    evaluation, joined, roles = _judged_rows(engine, question, candidate, roles)
    scored = tuple(r.removeprefix("score_") for r in roles if r.startswith("score_"))
    truth = read_truth(task, joined, data, scored)
    rows = read_rows(task, joined, truth, roles, question.candidate)
    evidence = Evidence(
        root=question.root,
        task=task,
        policy=question.policy,
        data=data,
        engine=engine,
        evaluation=evaluation,
        joined=joined,
        classes=truth.classes,
        candidate=rows,
        candidate_digest=candidate.digest((data.id, *outputs)),
        data_columns=tuple(name for name in evaluation.columns if name not in own),
        notes=_suspicions(rows),
    )
    return _with_baseline(evidence, reference) if reference else evidence


def _suspicions(rows: Rows) -> tuple[str, ...]:
    """Return what a reviewer should be told although nothing is wrong with the files."""
    if len(rows.label) > 1 and bool((rows.label == rows.prediction).all()):
        text = (
            "The candidate's predictions equal the label in every row: is the label in its "
            "features, or in the file by mistake?"
        )
        return (text,)
    return ()


def _judged_rows(
    engine: Engine, question: Question, candidate: Table, roles: dict[str, str]
) -> tuple[Table, Table, dict[str, str]]:
    """Return the evaluation table, the table joined with the candidate, and the roles in it."""
    data = question.data
    named = (data.id, data.label, *([data.cluster] if data.cluster else []))
    evaluation = candidate
    if question.evaluation is not None:
        evaluation = engine.open(question.evaluation, text=(data.id,))
    evaluation.require_columns(named, "named under `data`")
    evaluation.require_columns(question.columns, "a slice or a sensitive column")
    # Only what somebody named is joined: the rest of a wide table stays on disk.
    judged = dict.fromkeys((*named, *question.columns))
    if question.evaluation is None:
        judged |= dict.fromkeys(roles.values())
        return candidate, engine.ordered(candidate.select(list(judged)), id=data.id), roles
    candidate.require_columns((data.id,), "`data.id`, in the predictions")
    renamed = {role: f"{CANDIDATE}.{role}" for role in roles}
    joined = engine.pair(
        evaluation.select(list(judged)),
        candidate,
        left_id=data.id,
        right_id=data.id,
        columns={renamed[role]: column for role, column in roles.items()},
    )
    return evaluation, joined, renamed


def _with_baseline(evidence: Evidence, reference: Reference) -> Evidence:
    content = reference.record.content
    differs = comparability(content, evidence.data, evidence.task, evidence.evaluation)
    if differs and reference.unpaired:
        note = f"Compared without pairing, by stored numbers: {differs}."
        return replace(
            evidence,
            record=reference.record,
            comparison=Comparison.UNPAIRED,
            notes=(*evidence.notes, note),
        )
    if differs and not reference.fresh:
        raise InputError(
            f"the registered baseline v{reference.record.version} is not comparable: {differs}",
            where=evidence.evaluation.name,
            hint="Register the baseline again on this evaluation set; or give the baseline model's "
            "predictions on it with `baseline: {on_other_data: re-evaluate, predictions: FILE}`; "
            "or accept a weaker comparison with `on_other_data: unpaired`.",
        )
    return _paired(evidence, reference)


def _paired(evidence: Evidence, reference: Reference) -> Evidence:
    source, data = reference.predictions, evidence.data
    id_column = source.id or data.id
    table = evidence.engine.open(source.path, text=(id_column,))
    table.require_columns((id_column,), "the id, in the baseline's predictions")
    roles = output_columns(evidence.task, table, source.columns)
    renamed = {role: f"{BASELINE}.{role}" for role in roles}
    joined = evidence.engine.pair(
        evidence.joined,
        table,
        left_id=data.id,
        right_id=id_column,
        columns={renamed[role]: column for role, column in roles.items()},
    )
    # The same ids in the same order: the labels are those that the candidate was read with.
    truth = Truth(label=evidence.candidate.label, classes=evidence.classes)
    paired = replace(
        evidence,
        joined=joined,
        baseline=read_rows(evidence.task, joined, truth, renamed, source),
        record=reference.record,
        comparison=Comparison.PAIRED,
    )
    same = "The candidate's outputs are the baseline's, row for row: nothing changed."
    return replace(paired, notes=(*paired.notes, same)) if paired.identical else paired
