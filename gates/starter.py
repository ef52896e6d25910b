"""Propose a first `model-gates.yml` from a predictions file: what `model-gates init` writes.

First the meaning of the columns is guessed, by name and by what they hold; then the rows are read
as a run would read them, and limits are proposed that so many rows can decide. Every guess carries
its reason as a comment, `TODO` marks what a person must say, and what is found nowhere is refused.
"""

from __future__ import annotations

import math
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.assemble import Question, assemble
from gates.config import validate
from gates.errors import ConfigError, InputError
from gates.evidence import Columns, Data, Evidence, Policy, Slice, Source, label_text
from gates.report import Task, bounded, significant
from gates.stats.catalogue import METRICS, Better, Needs
from gates.stats.intervals import single
from gates.stats.metrics import Undefined, measure
from gates.stats.power import (
    ASSUMED_CORRELATION,
    ASSUMED_DISCORDANCE,
    Aim,
    expected_variance,
    paired_rate_variance,
    round_out,
    round_up,
    rows_needed,
    smallest_margin,
)
from gates.tables import Engine, Kind, Table
from gates.where import parse as parse_where
from gates.yaml_source import PLAIN
from gates.yaml_source import parse as parse_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gates.record import ColumnProfile

MOST_CATEGORIES = 12
_MOST_CLASSES, _MOST_COLUMNS, _MOST_SLICES, _FEW_CLUSTERS = 50, 60, 3, 50
_SMALLEST_GROUP = 50
_LEAST_CORRELATION = 0.3
_WIDEST_SLICE_LIMIT, _WIDEST_FAIR_LIMIT = 0.1, 0.5
_AIM = Aim(confidence=Policy().confidence)
_DISCORDANT = paired_rate_variance(ASSUMED_DISCORDANCE)
_SLICE_ROWS = rows_needed(_DISCORDANT, 0.05, _AIM)
_GROUP_ROWS = rows_needed(_DISCORDANT, 0.1, _AIM)

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

_HEADLINE = {
    Task.BINARY: ("roc_auc", "log_loss", "accuracy", "recall"),
    Task.MULTICLASS: ("accuracy", "balanced_accuracy", "log_loss"),
    Task.REGRESSION: ("mae", "rmse", "r2"),
}
# A fairness metric, the rates it is made of, and the limit that is proposed for it.
_FAIR = {
    Task.BINARY: (
        ("demographic_parity_difference", ("selection_rate",), "max_rise"),
        ("equalized_odds_difference", ("true_positive_rate", "false_positive_rate"), "max_rise"),
        ("false_negative_rate", ("false_negative_rate",), "max_rise_any_group"),
    ),
    Task.MULTICLASS: (
        ("accuracy_difference", ("accuracy",), "max_rise"),
        ("accuracy", ("accuracy",), "max_drop_any_group"),
    ),
    Task.REGRESSION: (
        ("mae_difference", ("mae",), "max_rise"),
        ("mae", ("mae",), "max_rise_any_group"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Seen:
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
class _Meaning:
    """What the configuration says of the columns; `why` has the comments, by key."""

    task: Task
    data: Data
    columns: Columns
    why: Mapping[str, str]
    sensitive: tuple[str, ...]
    text: tuple[str, ...]
    ages: tuple[str, ...]


def starter(predictions: Path, evaluation: Path | None, *, model: str, beside: Path) -> str:
    """Return the text of a configuration that is to stand in the folder `beside`.

    Raises InputError for files that a run would refuse, and where no id, label or output is found.
    """
    if not _is_key(model) or {"/", "\\"} & set(model):
        raise ConfigError("this can not be the name of a model", where="--model")
    with Engine() as engine:
        seen = _look(engine, predictions, evaluation)
        meaning = _meaning(seen)
        question = Question(
            root=beside,
            task=meaning.task,
            data=meaning.data,
            policy=Policy(),
            candidate=Source(path=predictions, columns=meaning.columns),
            evaluation=evaluation,
            columns=(*meaning.sensitive, *meaning.text, *meaning.ages),
        )
        evidence = assemble(engine, question, None)
        lines = [
            *_head(model, meaning, seen, beside),
            *_schema(seen, meaning, evidence),
            *_performance(meaning, evidence),
            *_fairness(meaning, evidence),
        ]
    text = "\n".join(lines) + "\n"
    # A proposal that the next command refuses would be worse than none.
    validate(parse_yaml(text.encode(), "the proposed configuration"))
    return text


# --- What the columns mean -----------------------------------------------------------------------


def _look(engine: Engine, predictions: Path, evaluation: Path | None) -> _Seen:
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
    return _Seen(
        engine=engine,
        predictions=table,
        evaluation=other,
        profile=other.describe(),
        prediction=prediction,
        score=score,
        by_class=by_class if several else {},
        said=_values(table, prediction, table.describe([prediction])) if prediction else None,
    )


def _meaning(seen: _Seen) -> _Meaning:
    """Guess every column's part; raise InputError where nothing speaks for any."""
    why: dict[str, str] = {}
    id_ = _id(seen, why)
    label = _label(seen, id_, why)
    task = _task(seen, label, why)
    positive = _positive(seen, id_, label, why) if task is Task.BINARY else 1
    rest = [column for column in seen.inputs if column not in (id_, label)]
    cluster = next((c for c in rest if _is_cluster(seen, c)), None)
    few = [
        c for c in rest if _is_key(c) and 2 <= (seen.profile[c].distinct or 0) <= MOST_CATEGORIES
    ]
    sensitive = tuple(c for c in few if _speaks(c, _SENSITIVE) and c != cluster)
    numbers = [c for c in rest if seen.kind(c) in (Kind.INTEGER, Kind.NUMBER) and _is_key(c)]
    return _Meaning(
        task=task,
        data=Data(evaluation=None, id=id_, label=label, positive=positive, cluster=cluster),
        columns=_columns(seen, task, positive),
        why=why,
        sensitive=sensitive,
        text=tuple(c for c in few if seen.kind(c) is Kind.TEXT and c not in sensitive),
        ages=tuple(c for c in numbers if "age" in _words(c) and _is_age(seen.profile[c])),
    )


def _id(seen: _Seen, why: dict[str, str]) -> str:
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


def _label(seen: _Seen, id_: str, why: dict[str, str]) -> str:
    """Return the column with the truth: called so, or else the one that goes with the output."""
    free = [c for c in seen.inputs if c != id_ and seen.kind(c) not in (Kind.OTHER, Kind.TEMPORAL)]
    fitting = [c for c in free if _fits(seen, c)]
    exact = [c for name in _LABEL.split() for c in fitting if _plain(c) == name]
    named = [*exact, *(c for c in fitting if _speaks(c, _LABEL_WORDS) and c not in exact)]
    if named:
        others = ", ".join(map(_named, named[1:4]))
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


def _fits(seen: _Seen, column: str) -> bool:
    """Return whether the predictions can be guesses at this column."""
    named = _values(seen.evaluation, column, seen.profile)
    classes = seen.kind(column) in (Kind.TEXT, Kind.BOOLEAN) or len(named or ()) == 2
    if not classes:
        return seen.prediction is not None or bool(named and named <= {*seen.by_class})
    return named is not None and (seen.said is None or seen.said <= named or _is_share(seen))


def _task(seen: _Seen, label: str, why: dict[str, str]) -> Task:
    """Return the task by the kind and the number of the labels."""
    named = _values(seen.evaluation, label, seen.profile)
    if named and len(named) == 1:
        raise InputError(
            f"every row has the same label in {_named(label)}",
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


def _positive(seen: _Seen, id_: str, label: str, why: dict[str, str]) -> int | str | bool:
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


def _columns(seen: _Seen, task: Task, positive: object) -> Columns:
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


def _correlation(seen: _Seen, id_: str, column: str) -> float:
    codes, _, output = _beside(seen, id_, column, seen.score or seen.prediction)
    if output is None or not (codes.std() and output.std()):
        return 0.0
    return float(np.corrcoef(codes, output)[0, 1])


def _beside(
    seen: _Seen, id_: str, column: str, output: str | None
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


def _is_share(seen: _Seen) -> bool:
    """Return whether `prediction` holds probabilities: no whole numbers, between 0 and 1."""
    name = seen.prediction
    if name is None or seen.score or seen.predictions.kinds[name] is not Kind.NUMBER:
        return False
    values = seen.predictions.numbers(name)
    return bool(np.all((values >= 0) & (values <= 1)) and np.any(values % 1))


def _is_unique(seen: _Seen, column: str, *tables: Table) -> bool:
    try:
        for table in tables:
            seen.engine.ordered(table.select([column]), id=column)
    except InputError:
        return False
    return True


def _is_cluster(seen: _Seen, column: str) -> bool:
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


# --- What is proposed ----------------------------------------------------------------------------


def _head(model: str, meaning: _Meaning, seen: _Seen, beside: Path) -> Iterator[str]:
    """Yield the lines down to the gates: the model, its data and where predictions are."""
    data, why = meaning.data, meaning.why
    predictions = _place(Path(seen.predictions.name), beside)
    yield f"# What a candidate of {_named(model)} must meet to replace the model in service."
    yield "# A first proposal by `model-gates init`: read it, and mend what it guessed wrong."
    yield "# `model-gates validate` checks it; `model-gates schema` prints all that may stand here."
    yield from ("version: 1", "", "models:", f"  {_scalar(model)}:")
    yield from _entry(2, f"task: {meaning.task.value}", why["task"])
    yield from ("", "    data:")
    if seen.apart:
        yield f"      evaluation: {_scalar(_place(Path(seen.evaluation.name), beside))}"
    yield from _entry(3, f"id: {_scalar(data.id)}", why["id"])
    yield from _entry(3, f"label: {_scalar(data.label)}", why["label"])
    if meaning.task is Task.BINARY:
        yield from _entry(3, f"positive: {_scalar(data.positive)}", why["positive"])
    if data.cluster:
        reason = "named like an id, and values repeat: rows with the same are not independent"
        yield from _entry(3, f"cluster: {_scalar(data.cluster)}", reason)
    yield from ("", "    candidate:")
    yield from _entry(
        3, f"predictions: {_scalar(predictions)}", "what each candidate predicts is written here"
    )
    if meaning.columns != Columns():
        yield f"      columns: {_flow(meaning.columns.model_dump(exclude_defaults=True))}"
    yield from ("", "    baseline:", "      store: .model-gates/baselines", "      alias: champion")
    yield from ("", "    gates:")


def _schema(seen: _Seen, meaning: _Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `data-schema` gate: what each column holds now, loosely."""
    named = (meaning.data.id, meaning.data.label)
    columns = sorted(evidence.data_columns, key=lambda c: c not in named)
    kept = [column for column in columns if _is_key(column)][:_MOST_COLUMNS]
    yield from _note(
        3, "Is it the table that the limits below were made for? (pip extra data-schema)"
    )
    yield "      data-schema:"
    yield f"        rows: {{min: {_fewer(evidence.rows)}}}"
    if kept:
        yield "        columns:"
    for column in kept:
        yield f"          {_scalar(column)}: {_flow(_rule(seen, meaning, column))}"
    if len(kept) < len(columns):
        left = len(columns) - len(kept)
        yield from _note(5, f"{left} more columns are not listed: add those that matter.")
    yield ""


def _rule(seen: _Seen, meaning: _Meaning, column: str) -> dict[str, Any]:
    """Return what is expected of a column."""
    profile, kind = seen.profile[column], seen.kind(column)
    rows = seen.evaluation.rows
    if column == meaning.data.id:
        # Without a type: a run reads the ids of a text file as text.
        return {"nullable": False, "unique": True}
    if kind is Kind.OTHER or profile.nulls == rows:
        return {"required": True}
    rule: dict[str, Any] = {"type": "datetime" if kind is Kind.TEMPORAL else kind.value}
    if profile.nulls == 0:
        rule["nullable"] = False
    else:
        rule["max_null_share"] = min(1.0, math.ceil(100 * profile.nulls / rows + 5) / 100)
    if column == meaning.data.label and meaning.task is not Task.REGRESSION:
        names = seen.evaluation.codes(column)[1]
        whole = kind is not Kind.TEXT and all(re.fullmatch(r"-?[0-9]{1,15}", n) for n in names)
        if kind is Kind.TEXT or whole:
            rule["in"] = [int(name) for name in names] if whole else list(names)
    elif kind is Kind.TEXT and profile.values and len(profile.values) <= MOST_CATEGORIES:
        rule["in"] = list(profile.values)
    elif profile.low is not None and profile.high is not None:
        rule |= _loose(profile.low, profile.high, whole=kind is Kind.INTEGER)
    return rule


def _fewer(rows: int) -> int:
    """Return a round number a little below a count."""
    step = max(1, 10 ** (len(str(rows)) - 2))
    return max(1, int(0.95 * rows / step) * step)


def _loose(low: float, high: float, *, whole: bool) -> dict[str, float]:
    """Return a range a tenth wider at either end, in round numbers, and not below 0 anew."""
    spread = (high - low) or abs(low) or 1.0
    step = 10.0 ** (math.floor(math.log10(spread)) - 1)
    step = max(1.0, step) if whole else step
    bottom = math.floor((low - spread / 10) / step) * step
    top = math.ceil((high + spread / 10) / step) * step
    bottom = max(0.0, bottom) if low >= 0 else bottom
    ends = {"min": significant(bottom), "max": significant(top)}
    return {key: int(end) if whole else end for key, end in ends.items()}


def _performance(meaning: _Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `performance` gate: floors below today's values, and decidable changes."""
    slices, parts, notes = _slices(meaning, evidence)
    known = [_metric(evidence, name, parts) for name in _HEADLINE[meaning.task]]
    yield from _note(
        3,
        f"`min` and `max` stand just outside of today's {_AIM.confidence:.0%} interval. A limit on "
        f"change is the smallest round number that these rows decide {_AIM.power:.0%} of the time "
        f"when nothing changed, if two models differ in {ASSUMED_DISCORDANCE:.0%} of the rows "
        f"(rates) or are correlated by {ASSUMED_CORRELATION} (all else).",
    )
    yield from ("      performance:", "        metrics:")
    for text, why in known:
        yield from _entry(5, text, why) if text else _note(5, why)
    in_slices = any("slices: {max" in text for text, _ in known)
    if in_slices:
        yield "        slices:"
        for text in slices:
            yield f"          - {text}"
    for note in notes:
        yield from _note(4, note)
    yield ""


def _metric(evidence: Evidence, name: str, parts: Sequence[Slice]) -> tuple[str, str]:
    """Return the line for one metric and its reason; only a reason where nothing can be said."""
    metric, rows = METRICS[name], evidence.candidate
    if metric.needs is Needs.SCORE and rows.score is None:
        return "", f"{name} needs scores, and these predictions have none."
    try:
        measured = measure(name, rows)
    except Undefined as undefined:
        return "", f"{name} is undefined here: {undefined.reason}."
    span = {"low": metric.low, "high": metric.high}
    own = single(measured, confidence=_AIM.confidence, clusters=evidence.clusters, **span)
    variance = expected_variance(measured, evidence.clusters)
    if own is None or variance is None:
        return "", f"{name} is {measured.value:.4g} here, and these rows do not tell how surely."
    change = smallest_margin(variance, evidence.rows, _AIM)
    higher = metric.better is Better.HIGHER
    limits: dict[str, Any] = {}
    floor = math.floor(own.low * 100) / 100
    if higher and (metric.low is None or floor > metric.low):
        limits["min"] = floor
    if not higher:
        limits["max"] = round_out(own.high)
    key = "max_drop" if higher else "max_rise"
    limits[key] = min(round_up(change), metric.high or math.inf)
    if parts:
        limits["slices"] = _in_slices(evidence, name, parts, key)
    why = f"now {measured.value:.4g}; {evidence.rows:,} rows can decide a {key[4:]} of {change:.2g}"
    if metric.high == 1 and limits[key] > 0.02:
        why += f", and 0.02 takes {rows_needed(variance, 0.02, _AIM):,}"
    return f"{name}: {_flow(limits)}", why


def _in_slices(evidence: Evidence, name: str, parts: Sequence[Slice], key: str) -> dict[str, float]:
    """Return the limit that every slice can decide, or none when one of them hardly can."""
    widest = max(_margin(evidence, name, part) or math.inf for part in parts)
    most = _WIDEST_SLICE_LIMIT if METRICS[name].high is not None else sys.float_info.max
    return {key: round_up(widest)} if widest <= most else {}


def _margin(evidence: Evidence, name: str, part: Slice) -> float | None:
    """Return the smallest change of a metric that the rows of a part can decide."""
    clusters = None if evidence.clusters is None else evidence.clusters[part.index]
    try:
        variance = expected_variance(measure(name, evidence.candidate.take(part.index)), clusters)
    except Undefined:
        return None
    return None if variance is None else smallest_margin(variance, len(part.index), _AIM)


def _slices(meaning: _Meaning, evidence: Evidence) -> tuple[list[str], list[Slice], list[str]]:
    """Return the slices with enough rows in every part, those parts, and what was left out."""
    texts: list[str] = []
    parts: list[Slice] = []
    notes: list[str] = []
    for text, found in _possible_slices(meaning, evidence):
        least = min((len(part.index) for part in found), default=0)
        if least < _SLICE_ROWS or len(texts) >= _MOST_SLICES:
            reason = f"its smallest part has {least:,} rows; {_SLICE_ROWS} can decide 0.05"
            notes.append(f"Another slice: {text} ({reason}).")
        else:
            texts.append(text)
            parts += found
    return texts, parts, notes


def _possible_slices(
    meaning: _Meaning, evidence: Evidence
) -> Iterator[tuple[str, tuple[Slice, ...]]]:
    for column in meaning.text:
        yield _scalar(column), evidence.groups((column,))
    for column in meaning.ages:
        name = column if column.isidentifier() else f"col({column!r})"
        for title, condition in (("under 30", f"{name} < 30"), ("60 and over", f"{name} >= 60")):
            part = evidence.where(title, parse_where(condition))
            yield _flow({"name": f"{column} {title}"[-100:], "where": condition}), (part,)


def _fairness(meaning: _Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `fairness` gate for the sensitive columns that have groups large enough."""
    groups = {column: evidence.groups((column,)) for column in meaning.sensitive}
    wanted = {column: _min_group(evidence, parts) for column, parts in groups.items()}
    min_group = max((size for size in wanted.values() if size), default=_SMALLEST_GROUP)
    judged = {
        column: [part for part in groups[column] if len(part.index) >= min_group]
        for column, size in wanted.items()
        if size
    }
    judged = {column: parts for column, parts in judged.items() if len(parts) > 1}
    for column in meaning.sensitive:
        if column not in judged:
            yield from _note(
                3,
                f"{_named(column)} looks sensitive, but has not two groups of {_GROUP_ROWS} rows"
                " (of each class): too few to decide 0.1.",
            )
    lines = [_fair_metric(evidence, rule, judged.values()) for rule in _FAIR[meaning.task]]
    if not judged or not any(lines):
        yield from _note(
            3,
            "TODO: should groups of people fare alike? Name their columns under `fairness:`, "
            "`sensitive:` (`model-gates schema` has the metrics).",
        )
        return
    yield from _note(
        3,
        "Do groups fare alike, and no worse than under the model in service? Add `max` for what "
        "the difference itself may be, and [a, b] for intersections. (pip extra fairness)",
    )
    yield from ("      fairness:", f"        sensitive: {_flow(list(judged))}")
    yield from _entry(4, f"min_group: {min_group}", "smaller ones are named and not judged")
    yield from ("        metrics:", *(f"          {line}" for line in lines if line))


def _min_group(evidence: Evidence, parts: Sequence[Slice]) -> int | None:
    """Return the size from which groups have enough rows, of each class; None below two groups."""
    label = evidence.candidate.label
    enough: list[int] = []
    too_few = [_SMALLEST_GROUP - 1]
    for part in parts:
        size = len(part.index)
        positive = np.count_nonzero(label[part.index] == 1)
        least = min(positive, size - positive) if evidence.task is Task.BINARY else size
        (enough if least >= _GROUP_ROWS else too_few).append(size)
    return max(too_few) + 1 if sum(size > max(too_few) for size in enough) > 1 else None


def _fair_metric(
    evidence: Evidence, rule: tuple[str, tuple[str, ...], str], judged: Iterable[Sequence[Slice]]
) -> str:
    """Return the line for one fairness metric, or "" where these rows can decide nothing."""
    name, rates, verb = rule
    widest = 0.0
    for parts in judged:
        for rate in rates:
            margins = sorted(_margin(evidence, rate, part) or math.inf for part in parts)
            # A difference is between two groups: their errors add up, in squares.
            widest = max(widest, math.hypot(*margins[-1 if verb.endswith("group") else -2 :]))
    if not 0.0 < widest < math.inf:
        return ""
    limit = round_up(widest)
    too_wide = METRICS[rates[0]].high is not None and limit > _WIDEST_FAIR_LIMIT
    return "" if too_wide else f"{name}: {_flow({verb: limit})}"


# --- YAML that reads back as what was meant, whatever a column is called -------------------------

_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*", re.ASCII)


def _flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    """Write text, a number or a truth value so that it reads back as just that."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else _scalar(float(value))
    text = str(value)
    special = any(re.fullmatch(kind.pattern, text) for kind in PLAIN)
    return text if _PLAIN_TEXT.fullmatch(text) and not special else f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Escape what could end a quoted text or a line, or hide in it."""
    return "".join(
        f"\\{c}" if c in '"\\' else c if c.isprintable() else f"\\U{ord(c):08x}" for c in text
    )


def _named(column: str) -> str:
    """Return a name for a comment."""
    return f"`{bounded(_escaped(column), 60)}`"


def _is_key(name: str) -> bool:
    """Return whether a name can be a key: short, and seen for what it is."""
    return 0 < len(name) <= 100 and name.isprintable()


def _entry(depth: int, text: str, why: str) -> list[str]:
    """Return a line with its reason behind it, or above it where that would be too long."""
    beside = f"{'  ' * depth + text:<36}  # {why}"
    return [beside] if len(beside) <= 100 else [*_note(depth, why), "  " * depth + text]


def _note(depth: int, text: str) -> list[str]:
    """Return a comment, wrapped."""
    lead = "  " * depth + "# "
    return textwrap.wrap(
        text, 100, initial_indent=lead, subsequent_indent=lead, break_long_words=False
    )


def _place(path: Path, beside: Path) -> str:
    """Return a path as the configuration has it: relative when it is below the folder."""
    full, folder = path.resolve(), beside.resolve()
    return (full.relative_to(folder) if full.is_relative_to(folder) else full).as_posix()
