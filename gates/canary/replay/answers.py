"""What a side answered, read strictly: prediction and score of each row, and the answer's shape."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from gates.canary.replay.paths import Astray, values

if TYPE_CHECKING:
    from gates.canary.replay.replay import Replay

Scalar = bool | int | float | str
_MOST_TEXT = 200
_MOST_CLASSES = 1000
_MOST_FIELDS = 2000
_MOST_DEPTH = 50
_MOST_INTEGER = 2**63
Keys = tuple[str, ...]


class Wrong(Exception):
    """An answer is not what it should be; `reason` says how, without a value of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was answered for one row; `score` has a number for each of the answer's classes."""

    prediction: Scalar = field(repr=False)
    score: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """One whole answer: its rows, the classes that scores are of, and its fields with their types.

    A field is its keys from the top, `[]` for what is in a list.
    """

    told: tuple[Told, ...]
    classes: tuple[str, ...]
    fields: Mapping[Keys, frozenset[str]] = field(repr=False)


def read(raw: bytes, options: Replay, rows: int) -> Heard:
    """Return what an answer says of each row. Raises Wrong where it does not say it plainly."""
    answer = _parsed(raw)
    predictions = [_scalar(one) for one in _found(answer, options.prediction, rows, "prediction")]
    scores, classes = _scores(answer, options, rows)
    return Heard(
        told=tuple(
            Told(prediction=prediction, score=score)
            for prediction, score in zip(predictions, scores, strict=True)
        ),
        classes=classes,
        fields=_fields(answer),
    )


def kind(value: Scalar) -> str:
    """Return what a prediction is, as a client in a typed language would see it."""
    match value:
        case bool():
            return "truth value"
        case int():
            return "whole number"
        case float():
            return "number"
    return "text"


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_constant=_no_json, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Wrong("it is not JSON") from None


def _no_json(_: str) -> NoReturn:
    # NaN and Infinity: Python's writer makes them, and no other language's reader takes them.
    raise ValueError


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _found(answer: Any, path: str, rows: int, what: str) -> list[Any]:
    try:
        return values(answer, path, rows)
    except Astray:
        raise Wrong(f"it has no {what} for each row at `{path}`") from None


def _scalar(value: Any) -> Scalar:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= _MOST_TEXT:
        return value
    if isinstance(value, int) and abs(value) < _MOST_INTEGER:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise Wrong("a prediction is no short text, finite number or truth value")


def _scores(
    answer: Any, options: Replay, rows: int
) -> tuple[list[tuple[float, ...]], tuple[str, ...]]:
    if options.score is None:
        return [()] * rows, ()
    found = _found(answer, options.score, rows, "score")
    named = [_by_class(one, options.classes) for one in found]
    if any(one.keys() != named[0].keys() for one in named):
        raise Wrong("the scores of two rows are of different classes")
    classes = tuple(sorted(named[0]))
    return [tuple(_number(one[name]) for name in classes) for one in named], classes


def _by_class(score: Any, classes: Sequence[str]) -> Mapping[str, Any]:
    """Return scores by class; the one score of a binary model has no name."""
    if isinstance(score, dict) and 0 < len(score) <= _MOST_CLASSES:
        return score
    if isinstance(score, list):
        if len(score) != len(classes):
            raise Wrong("a list of scores is not as long as `classes`")
        return dict(zip(classes, score, strict=True))
    return {"": score}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("a score is not a number")
    if not abs(value) < math.inf or abs(value) > _MOST_INTEGER:
        raise Wrong("a score is not a finite number")
    return float(value)


def _fields(answer: Any) -> Mapping[Keys, frozenset[str]]:
    found: dict[Keys, set[str]] = {}
    for keys, type_ in _walk(answer, ()):
        found.setdefault(keys, set()).add(type_)
        if len(found) > _MOST_FIELDS:
            raise Wrong(f"it has more than {_MOST_FIELDS:,} different fields")
    return {keys: frozenset(types) for keys, types in found.items()}


def _walk(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Yield each field and its JSON type; all numbers are one, as JSON has it."""
    if len(keys) > _MOST_DEPTH:
        raise Wrong(f"it is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, dict):
        yield keys, "object"
        for key, below in value.items():
            yield from _walk(below, (*keys, key))
    elif isinstance(value, list):
        yield keys, "list"
        for below in value:
            yield from _walk(below, (*keys, "[]"))
    elif value is None or isinstance(value, bool):
        yield keys, "null" if value is None else "truth value"
    else:
        yield keys, "text" if isinstance(value, str) else "number"
