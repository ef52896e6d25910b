"""Guess what the columns of a predictions file and an evaluation set mean.

By name where there is one and by what they hold where not; every guess has its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gates.errors import InputError
from gates.evidence import Columns, Data, label_text
from gates.fields import bounded
from gates.report import Task
from gates.starter.yaml_text import is_key, shown
from gates.tables import Engine, Kind, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gates.record import ColumnProfile

MOST_CATEGORIES = 12
_MOST_CLASSES, _FEW_CLUSTERS = 50, 50
_LEAST_CORRELATION = 0.3
# Names in snake case, the likeliest first; words of a name, in any order.
_PREDICTION = "prediction pred y_pred predicted predicted_label predicted_class y_hat yhat"
_SCORE = "score y_score proba probability prob y_proba y_prob score_1 proba_1 prob_1"
_SCORES = re.compile(r"(?i)((?:(?:y|pred|predicted)_)?(?:score|proba|prob|probability))_(.+)")
_LABEL = "label target y_true ground_truth actual outcome y class income_over_50k"
_LABEL_WORDS = "label target outcome defaulted churned fraud converted survived"
_ID_WORDS = "id uuid guid key index idx userid customerid patientid rowid"
_SENSITIVE = (
    "sex gender race ethnicity ethnic religion disability disabled nationality citizenship "
    "marital pregnant veteran"
)
_POSITIVE = "1 true yes y t positive pos"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The opened tables (without an evaluation set both are one) and what the model said."""

    engine: Engine
    predictions: Table
    evaluation: Table
    profile: Mapping[str, ColumnProfile]
    prediction: str | None
    score: str | None
    by_class: Mapping[str, str]
    said: frozenset[str] | None

    @property
    def apart(self) -> bool:
        """Return whether labels and outputs are in two files."""
        return self.evaluation is not self.predictions

    @property
    def inputs(self) -> list[str]:
        """Return the columns of the evaluation set that are not what the model said."""
        outputs = {self.prediction, self.score, *self.by_class.values()}
        taken = set() if self.apart else outputs
        return [c for c in self.evaluation.columns if c not in taken and "\0" not in c]

    def kind(self, column: str) -> Kind:
        """Return what an input holds."""
        return self.evaluation.kinds[column]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What the configuration says of the columns; `why` has the comments, by key."""

    task: Task
    data: Data
    columns: Columns
    why: Mapping[str, str]
    sensitive: tuple[str, ...]
    text: tuple[str, ...]
    ages: tuple[str, ...]


def look(engine: Engine, predictions: Path, evaluation: Path | None) -> Seen:
    """Open the files and find what the model said."""
    table = engine.open(predictions)
    other = engine.open(evaluation) if evaluation else table
    parts = {name: match for name in table.columns if (match := _SCORES.fullmatch(name))}
    prefix = next((match[1] for match in parts.values()), "")
    by_class = {match[2]: name for name, match in parts.items() if match[1] == prefix}
    several = len(by_class) > 1
    prediction = _first(table.columns, _PREDICTION)
    score = None if several else _first(table.columns, _SCORE)
    if not (prediction or score or several):
        raise InputError(
            "no column is called like a prediction",
            where=bounded(table.name),
            hint="Call it `prediction`, a probability `score`, one for each class `score_<class>`.",
        )
    return Seen(
        engine=engine,
        predictions=table,
        evaluation=other,
        profile=other.describe(),
        prediction=prediction,
        score=score,
        by_class=by_class if several else {},
        said=_values(table, prediction, table.describe([prediction])) if prediction else None,
    )


def guess(seen: Seen) -> Meaning:
    """Guess every column's part; raise InputError where nothing speaks for any."""
    why: dict[str, str] = {}
    id_ = _id(seen, why)
    label = _label(seen, id_, why)
    task = _task(seen, label, why)
    positive = _positive(seen, id_, label, why) if task is Task.BINARY else 1
    rest = [column for column in seen.inputs if column not in (id_, label)]
    cluster = next((c for c in rest if _is_cluster(seen, c)), None)
    few = [c for c in rest if is_key(c) and 2 <= (seen.profile[c].distinct or 0) <= MOST_CATEGORIES]
    sensitive = tuple(c for c in few if _speaks(c, _SENSITIVE) and c != cluster)
    numbers = [c for c in rest if seen.kind(c) in (Kind.INTEGER, Kind.NUMBER) and is_key(c)]
    return Meaning(
        task=task,
        data=Data(evaluation=None, id=id_, label=label, positive=positive, cluster=cluster),
        columns=_columns(seen, task, positive),
        why=why,
        sensitive=sensitive,
        text=tuple(c for c in few if seen.kind(c) is Kind.TEXT and c not in sensitive),
        ages=tuple(c for c in numbers if "age" in _words(c) and _is_age(seen.profile[c])),
    )


def _id(seen: Seen, why: dict[str, str]) -> str:
    """Return the column that pairs rows: named like one, there in both files, and unique."""
    shared = [c for c in seen.inputs if c in seen.predictions.columns]
    usable = [c for c in shared if seen.kind(c) in (Kind.INTEGER, Kind.TEXT)]
    named = sorted((c for c in usable if _speaks(c, _ID_WORDS)), key=lambda c: len(_words(c)))
    only = shared if seen.apart and len(shared) == 1 else []
    for column in dict.fromkeys([*named, *(c for c in only if c in usable)]):
        if _is_unique(seen, column, seen.evaluation, seen.predictions):
            named_so = "named like an id" if column in named else "the one column in both files"
            why["id"] = f"{named_so}, and no value occurs twice; it pairs rows, never by position"
            return column
    both = ", in both files," if seen.apart else ""
    raise InputError(
        f"no column{both} is called like an id and has a different value in every row",
        where=bounded(seen.predictions.name),
        hint="Name the column that identifies a row `id` or `<something>_id`, and write it again.",
    )


def _label(seen: Seen, id_: str, why: dict[str, str]) -> str:
    """Return the column with the truth: called so, or else the one that goes with the output."""
    free = [c for c in seen.inputs if c != id_ and seen.kind(c) not in (Kind.OTHER, Kind.TEMPORAL)]
    fitting = [c for c in free if _fits(seen, c)]
    exact = [c for name in _LABEL.split() for c in fitting if _plain(c) == name]
    named = [*exact, *(c for c in fitting if _speaks(c, _LABEL_WORDS) and c not in exact)]
    if named:
        others = ", ".join(map(shown, named[1:4]))
        why["label"] = "called like a label" + (f"; TODO: or is it {others}?" if others else "")
        return named[0]
    two = [c for c in fitting if seen.profile[c].distinct == 2 and seen.profile[c].nulls == 0]
    strength = {column: abs(_correlation(seen, id_, column)) for column in two}
    best = max(strength, key=lambda c: strength[c], default="")
    if best and strength[best] >= _LEAST_CORRELATION:
        why["label"] = (
            f"TODO: is it? Of the columns with two values it goes best with what the model said "
            f"(correlation {strength[best]:.2f})"
        )
        return best
    raise InputError(
        "no column is called like a label, and none with two values goes with the predictions",
        where=bounded(seen.evaluation.name),
        hint="Call the column with the truth `label` or `target`"
        + (". " if seen.apart else ", or give the file that has it with `--evaluation`. ")
        + "In a classification its values are those of the predictions.",
    )


def _fits(seen: Seen, column: str) -> bool:
    """Return whether the predictions can be guesses at this column."""
    named = _values(seen.evaluation, column, seen.profile)
    classes = seen.kind(column) in (Kind.TEXT, Kind.BOOLEAN) or len(named or ()) == 2
    if not classes:
        return seen.prediction is not None or bool(named and named <= {*seen.by_class})
    return named is not None and (seen.said is None or seen.said <= named or _is_share(seen))


def _task(seen: Seen, label: str, why: dict[str, str]) -> Task:
    """Return the task by the kind and the number of the labels."""
    named = _values(seen.evaluation, label, seen.profile)
    if named and len(named) == 1:
        raise InputError(
            f"every row has the same label in {shown(label)}",
            where=bounded(seen.evaluation.name),
            hint="Use an evaluation set in which the classes occur.",
        )
    if named and len(named) == 2:
        why["task"] = "the label has two values"
        return Task.BINARY
    if named and (named <= {*seen.by_class} or (seen.said and seen.said <= named)):
        why["task"] = f"the label has {len(named)} values, and the predictions are of them"
        return Task.MULTICLASS
    why["task"] = "the label is a number, of many values or others than the predictions"
    return Task.REGRESSION


def _positive(seen: Seen, id_: str, label: str, why: dict[str, str]) -> int | str | bool:
    """Return the label's value that a score is the probability of."""
    codes, names, score = _beside(seen, id_, label, seen.score)
    higher = None
    if score is not None:
        higher = names[int(score[codes == 1].mean() > score[codes == 0].mean())]
    called = next(
        (name for known in _POSITIVE.split() for name in names if name.casefold() == known), None
    )
    if called:
        why["positive"] = "the usual name of it"
        if higher not in (None, called):
            why["positive"] = (
                "TODO: its scores are lower than the others': of which value are they?"
            )
    elif higher:
        why["positive"] = "its scores are higher"
    else:
        why["positive"] = "TODO: is it this one? It is the rarer"
    found = called or higher or names[int((codes == 1).mean() <= 0.5)]
    if seen.kind(label) is Kind.BOOLEAN:
        return found == "true"
    whole = seen.kind(label) is not Kind.TEXT and re.fullmatch(r"-?[0-9]{1,15}", found)
    return int(found) if whole else found


def _columns(seen: Seen, task: Task, positive: object) -> Columns:
    """Return what the columns of the predictions are called."""
    score = seen.score
    prediction = seen.prediction or "prediction"
    if task is Task.BINARY and seen.by_class:
        score = seen.by_class.get(label_text(positive))
    elif seen.by_class:
        score = next(iter(seen.by_class.values())).removesuffix(f"_{next(iter(seen.by_class))}")
    elif task is Task.BINARY and _is_share(seen):
        # Decisions are then made of the score; no column of this name is read.
        score, prediction = seen.prediction, f"no_{prediction}"
    return Columns(prediction=prediction, score=score or "score")


def _correlation(seen: Seen, id_: str, column: str) -> float:
    codes, _, output = _beside(seen, id_, column, seen.score or seen.prediction)
    if output is None or not (codes.std() and output.std()):
        return 0.0
    return float(np.corrcoef(codes, output)[0, 1])


def _beside(
    seen: Seen, id_: str, column: str, output: str | None
) -> tuple[NDArray[np.int32], tuple[str, ...], NDArray[np.float64] | None]:
    """Return a column's codes, what they stand for, and a numeric output of the same rows."""
    table, name = seen.evaluation, output
    numeric = output and seen.predictions.kinds[output] in (Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN)
    if seen.apart and output:
        name = f"{id_}.{column}"  # longer than either, so it is a new name
        kept = table.select([id_, column])
        table = seen.engine.pair(
            kept, seen.predictions, left_id=id_, right_id=id_, columns={name: output}
        )
    codes, names = table.codes(column)
    return codes, names, table.numbers(name) if name and numeric else None


def _is_share(seen: Seen) -> bool:
    """Return whether `prediction` holds probabilities: no whole numbers, between 0 and 1."""
    name = seen.prediction
    if name is None or seen.score or seen.predictions.kinds[name] is not Kind.NUMBER:
        return False
    values = seen.predictions.numbers(name)
    return bool(np.all((values >= 0) & (values <= 1)) and np.any(values % 1))


def _is_unique(seen: Seen, column: str, *tables: Table) -> bool:
    try:
        for table in tables:
            seen.engine.ordered(table.select([column]), id=column)
    except InputError:
        return False
    return True


def _is_cluster(seen: Seen, column: str) -> bool:
    """Return whether a column is an id of something that has several rows."""
    profile = seen.profile[column]
    many = profile.distinct is None or profile.distinct >= _FEW_CLUSTERS
    usable = seen.kind(column) in (Kind.INTEGER, Kind.TEXT) and profile.nulls == 0
    named = _speaks(column, _ID_WORDS)
    return named and usable and many and not _is_unique(seen, column, seen.evaluation)


def _is_age(profile: ColumnProfile) -> bool:
    """Return whether the numbers can be years of age, and no standard scores."""
    low, high = profile.low, profile.high
    return low is not None and high is not None and 0 <= low <= 60 <= high <= 130


def _values(
    table: Table, column: str, profile: Mapping[str, ColumnProfile]
) -> frozenset[str] | None:
    """Return the values of a column if they are few."""
    distinct = profile[column].distinct
    few = distinct is not None and distinct <= _MOST_CLASSES
    return frozenset(table.codes(column)[1]) if few else None


def _first(columns: Sequence[str], known: str) -> str | None:
    named = {_plain(column): column for column in reversed(columns)}
    return next((named[name] for name in known.split() if name in named), None)


def _speaks(name: str, words: str) -> bool:
    return not {*words.split()}.isdisjoint(_words(name))


def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name in snake, kebab or camel case."""
    return tuple(re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).casefold()))


def _plain(name: str) -> str:
    return "_".join(_words(name))
