"""Put the evidence together: open, join by id, check, compare with the registered baseline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gates.entities import unclustered
from gates.errors import InputError
from gates.evidence import (
    BASELINE,
    CANDIDATE,
    Comparison,
    Data,
    Evidence,
    Policy,
    Source,
    other_data,
    other_question,
)
from gates.fields import bounded
from gates.outputs import Truth, no_truth, output_columns, read_rows, read_truth
from gates.record import Content, Record
from gates.report import Task
from gates.stats.metrics import Rows
from gates.stats.sketch import ROWS_PER_BLOCK
from gates.tables import Engine, Table
from gates.tables.sketches import read_sketch

_TO_COMPARE = {
    "baseline": "Register the baseline again on this evaluation set; or give the baseline model's "
    "predictions on it with `baseline: {on_other_data: re-evaluate, predictions: FILE}`; "
    "or accept a weaker comparison with `on_other_data: unpaired`.",
    "anchor": "Register the anchor again on this evaluation set, or move its alias; "
    "or accept a weaker comparison with `on_other_data: unpaired`.",
}


_UNLABELLED = "Not every row has a label, and no gate of this run asks for it."


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be judged, before anything is opened; `policy_root` as in `Evidence`.

    `unlabelled` says that no gate looks at the labels, so that rows may come without.
    """

    root: Path
    task: Task
    data: Data
    policy: Policy
    candidate: Source
    evaluation: Path | None
    columns: tuple[str, ...] = ()
    policy_root: Path | None = None
    unlabelled: bool = False


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A registered version to hold the candidate against; `name` says whether as the anchor.

    `predictions` are those of its model: the stored ones, or `fresh` ones on other data; where they
    may not be kept, the file of their sketch. With `unpaired`, an evaluation set that is not the
    version's is compared with its stored numbers instead of being refused. `remembered` says that
    no gate looks at rows of the version's model: what it remembers of its own data is asked for,
    and other data are what that is for.
    """

    record: Record
    predictions: Source | Path
    name: Literal["baseline", "anchor"] = "baseline"
    fresh: bool = False
    unpaired: bool = False
    remembered: bool = False


def assemble(
    engine: Engine,
    question: Question,
    reference: Reference | None,
    anchor: Reference | None = None,
) -> Evidence:
    """Return the evidence for one model. Raises InputError for whatever can not be judged."""
    data, task = question.data, question.task
    candidate = engine.open(question.candidate.path, text=(data.id,))
    roles = output_columns(task, candidate, question.candidate.columns)
    outputs = tuple(roles.values())
    own = outputs if question.evaluation is None else ()
    evaluation, joined, roles = _judged_rows(engine, question, candidate, roles)
    labelled = data.label in joined.columns
    if labelled:
        scored = tuple(r.removeprefix("score_") for r in roles if r.startswith("score_"))
        truth = read_truth(task, joined, data, scored)
    else:
        known = reference.record.content.classes if reference else ()
        truth = no_truth(task, joined, data, roles, known)
    rows = read_rows(task, joined, truth, roles, question.candidate)
    evidence = Evidence(
        root=question.root,
        policy_root=question.policy_root,
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
        labelled=labelled,
        notes=(
            *(_suspicions(rows) if labelled else (_UNLABELLED,)),
            *unclustered(evaluation, data, (*outputs, *question.columns)),
        ),
    )
    compared = _held_against(evidence, reference) if reference else evidence
    if anchor is not None:
        held = _held_against(evidence, anchor)
        told = held.notes[len(evidence.notes) :]
        compared = replace(compared, anchor=held, notes=(*compared.notes, *told))
    return compared


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
    evaluation = candidate
    if question.evaluation is not None:
        evaluation = engine.open(question.evaluation, text=(data.id,))
    named = [data.id, *([data.cluster] if data.cluster else [])]
    if not question.unlabelled or _is_labelled(evaluation, data.label):
        named.append(data.label)
    evaluation.require_columns(named, "named under `data`")
    if data.cluster is not None:
        evaluation.require_present(data.cluster, "what rows belong together by")
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


def _is_labelled(evaluation: Table, label: str) -> bool:
    """Return whether every row has a label."""
    if label not in evaluation.columns:
        return False
    return evaluation.describe([label])[label].nulls == 0


def _held_against(evidence: Evidence, reference: Reference) -> Evidence:
    """Return the evidence with one reference in it, compared in the best way that is possible."""
    kept = reference.predictions
    if reference.fresh and isinstance(kept, Source):
        return _paired(evidence, reference, kept)
    content = reference.record.content
    question = other_question(content, evidence.data, evidence.task)
    if question:
        raise _not_comparable(evidence, reference, question)
    differs = other_data(content, evidence.evaluation) or _other_blocks(content, evidence.data)
    if differs and reference.remembered:
        return _remembered(evidence, reference, differs)
    if differs and not reference.unpaired:
        raise _not_comparable(evidence, reference, differs)
    if differs:
        return _unpaired(evidence, reference, differs)
    if isinstance(kept, Source):
        return _paired(evidence, reference, kept)
    return _sketched(evidence, reference, kept)


def _other_blocks(content: Content, data: Data) -> str | None:
    """Return why the blocks of a sketch are not those that would be made now."""
    by = bounded(data.cluster or data.id)
    if content.sketch is None or content.sketch.by == by:
        return None
    return f"its sketch has rows in blocks by {content.sketch.by!r}, they now belong by {by!r}"


def _not_comparable(evidence: Evidence, reference: Reference, why: str) -> InputError:
    return InputError(
        f"the registered {reference.name} v{reference.record.version} is not comparable: {why}",
        where=evidence.evaluation.name,
        hint=_TO_COMPARE[reference.name],
    )


def _unpaired(evidence: Evidence, reference: Reference, differs: str) -> Evidence:
    held = " with the anchor" if reference.name == "anchor" else ""
    note = f"Compared{held} without pairing, by stored numbers: {differs}."
    return replace(
        evidence,
        record=reference.record,
        comparison=Comparison.UNPAIRED,
        notes=(*evidence.notes, note),
    )


def _remembered(evidence: Evidence, reference: Reference, differs: str) -> Evidence:
    note = (
        f"These are other data than the {reference.name}'s, as they may be where no gate of a run "
        f"compares row by row: {differs}."
    )
    return replace(
        evidence,
        record=reference.record,
        comparison=Comparison.UNPAIRED,
        notes=(*evidence.notes, note),
    )


def _sketched(evidence: Evidence, reference: Reference, path: Path) -> Evidence:
    note = (
        f"No rows of the {reference.name} are kept: changes are decided by its sums over blocks of "
        f"about {ROWS_PER_BLOCK} rows, paired with the candidate's over the same blocks."
    )
    return replace(
        evidence,
        record=reference.record,
        sketch=read_sketch(path),
        comparison=Comparison.SKETCH,
        notes=(*evidence.notes, note),
    )


def _paired(evidence: Evidence, reference: Reference, source: Source) -> Evidence:
    data = evidence.data
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
    same = f"The candidate's outputs are the {reference.name}'s, row for row: nothing changed."
    return replace(paired, notes=(*paired.notes, same)) if paired.identical else paired
