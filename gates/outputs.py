"""Read labels and model outputs from tables into arrays; refuse what can not be judged.

Binary labels become 0 and 1 (1 is `positive`), classes become codes, regression stays numbers.
Errors say how many rows and which column, never what a row holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.errors import InputError
from gates.evidence import Columns, Data, Source, label_text
from gates.fields import bounded
from gates.report import Task
from gates.stats.metrics import Rows
from gates.tables import Kind, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUM_TOLERANCE = 1e-3
# Where the labels hold one class only, predictions of the other one are still no strangers.
_OPPOSITES = {"1": "0", "0": "1", "true": "false", "false": "true"}
_FINITE = float(np.finfo(np.float64).max)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The labels of the judged rows, coded, and the names of the classes behind the codes."""

    label: NDArray[np.generic]
    classes: tuple[str, ...] = ()


def output_columns(task: Task, table: Table, columns: Columns) -> dict[str, str]:
    """Return the columns of a predictions file by role: `prediction`, `score`, `score_<class>`.

    Raises InputError when a model of this task could not be judged by what is there.
    """
    found: dict[str, str] = {}
    if columns.prediction in table.columns:
        found["prediction"] = columns.prediction
    if task is Task.BINARY and columns.score in table.columns:
        found["score"] = columns.score
    if task is Task.MULTICLASS:
        prefix = columns.score + "_"
        found |= {
            f"score_{name.removeprefix(prefix)}": name
            for name in table.columns
            if name.startswith(prefix)
        }
    if not found:
        wanted = f"{columns.prediction!r}" + {
            Task.BINARY: f" or {columns.score!r}",
            Task.MULTICLASS: f" or {columns.score + '_<class>'!r}",
            Task.REGRESSION: "",
        }.get(task, "")
        raise InputError(
            f"the predictions have no column {wanted}",
            where=table.name,
            hint="Name the columns under `candidate.columns: {prediction: …, score: …}`.",
        )
    _require_usable(task, table, found)
    return found


def _require_usable(task: Task, table: Table, found: dict[str, str]) -> None:
    for role, column in found.items():
        table.require_present(column, "predictions")
        if role != "prediction":
            table.require_between(column, 0.0, 1.0, "scores")
        elif task is Task.REGRESSION:
            table.require_between(column, -_FINITE, _FINITE, "predictions")


def read_truth(task: Task, joined: Table, data: Data, scored: tuple[str, ...]) -> Truth:
    """Return the coded labels. `scored` are the classes a model gives scores for (multiclass)."""
    joined.require_present(data.label, "labels")
    if task is Task.REGRESSION:
        joined.require_between(data.label, -_FINITE, _FINITE, "labels")
        return Truth(label=joined.numbers(data.label))
    codes, names = joined.codes(data.label)
    if task is Task.MULTICLASS:
        return _recoded(codes, names, tuple(sorted({*names, *scored})))
    positive = label_text(data.positive)
    if len(names) > 2:
        raise InputError(
            f"label column {bounded(data.label)!r} has {len(names):,} different values: a binary "
            "task has two",
            where=joined.name,
            hint="Mend the labels, or say `task: multiclass`, or `task: regression`.",
        )
    if positive not in names and len(names) != 1:
        raise InputError(
            f"`positive: {positive}` is not a value of the label column {bounded(data.label)!r}",
            where=joined.name,
            hint=f"The column is {joined.kinds[data.label].value}. Set `data.positive` to its "
            "positive value.",
        )
    other = _OPPOSITES.get(positive, f"not {positive}")
    negative = next((name for name in names if name != positive), other)
    return _recoded(codes, names, (negative, positive))


def no_truth(
    task: Task, joined: Table, data: Data, roles: dict[str, str], known: tuple[str, ...]
) -> Truth:
    """Return what stands for labels that are not there: no class, and no number.

    The classes are those that are `known` of the baseline, or else of the outputs. No metric can be
    made of it by mistake: counts refuse the code -1, and NaN is in every sum.
    """
    if task is Task.REGRESSION:
        return Truth(label=np.full(joined.rows, np.nan))
    label = np.full(joined.rows, -1, dtype=np.int32)
    if known:
        return Truth(label=label, classes=known)
    names = joined.codes(roles["prediction"])[1] if "prediction" in roles else ()
    if task is Task.MULTICLASS:
        scored = [role.removeprefix("score_") for role in roles if role.startswith("score_")]
        return Truth(label=label, classes=tuple(sorted({*names, *scored})))
    positive = label_text(data.positive)
    other = _OPPOSITES.get(positive, f"not {positive}")
    return Truth(label=label, classes=(next((n for n in names if n != positive), other), positive))


def _recoded(codes: NDArray[np.int32], names: tuple[str, ...], classes: tuple[str, ...]) -> Truth:
    places = np.array([classes.index(name) for name in names], dtype=np.int32)
    return Truth(label=places[codes], classes=classes)


def read_rows(
    task: Task, joined: Table, truth: Truth, roles: dict[str, str], source: Source
) -> Rows:
    """Return one model's outputs beside the truth; `roles` name the columns of the joined table."""
    if task is Task.REGRESSION:
        return Rows(label=truth.label, prediction=joined.numbers(roles["prediction"]))
    score = _scores(task, joined, truth, roles, source)
    if "prediction" in roles:
        prediction = _predicted(joined, truth, roles["prediction"], source)
    elif task is Task.BINARY:
        prediction = np.asarray(score >= source.threshold, dtype=np.int32)  # type: ignore[operator]
    else:
        prediction = np.argmax(score, axis=1).astype(np.int32)  # type: ignore[arg-type]
    return Rows(
        label=truth.label, prediction=prediction, score=score, classes=max(2, len(truth.classes))
    )


def _scores(
    task: Task, joined: Table, truth: Truth, roles: dict[str, str], source: Source
) -> NDArray[np.float64] | None:
    if task is Task.BINARY:
        return joined.numbers(roles["score"]) if "score" in roles else None
    if not any(role.startswith("score_") for role in roles):
        return None
    missing = [name for name in truth.classes if f"score_{name}" not in roles]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(truth.classes)} classes in the labels have no score column",
            where=str(source.path),
            hint="Give one `score_<class>` column for every class, or only `prediction`.",
        )
    score = np.column_stack([joined.numbers(roles[f"score_{name}"]) for name in truth.classes])
    off = np.abs(score.sum(axis=1) - 1.0) > _SUM_TOLERANCE
    if off.any():
        raise InputError(
            f"the scores of {off.sum():,} of {len(off):,} rows do not add up to 1",
            where=str(source.path),
            hint="Scores are probabilities: one column for each class, adding up to 1.",
        )
    return score


def _predicted(joined: Table, truth: Truth, column: str, source: Source) -> NDArray[np.int32]:
    codes, names = joined.codes(column)
    known = {name: place for place, name in enumerate(truth.classes)}
    places = np.array([known.get(name, -1) for name in names], dtype=np.int32)
    strangers = int((places[codes] < 0).sum())
    if strangers:
        number = joined.kinds[column] is Kind.NUMBER
        raise InputError(
            f"{strangers:,} of {len(codes):,} predictions are not one of the label's classes",
            where=f"{source.path}, column {bounded(source.columns.prediction)!r}",
            hint="Predictions use the same values as the label."
            + (" Probabilities belong in the `score` column." if number else ""),
        )
    return places[codes]
