"""What Prometheus answers to an instant query, read strictly: a doubt is a fault, and never a 0."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE)
_EXACT = 2.0**53
_MOST_SERIES = 10_000


class Doubtful(Exception):
    """An answer that cannot be counted by; `reason` says why, in words of ours alone."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One series at one time: its labels, the server's time as it was written, and its value."""

    labels: Mapping[str, str]
    at: str
    value: float


def vector(body: bytes) -> tuple[Sample, ...]:
    """Return the samples of an instant query, at least one. Raises Doubtful for anything else."""
    data = _data(_parsed(body))
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind != "vector":
        raise Doubtful("the query gives no instant vector", "Leave the range `[…]` out of it.")
    if not isinstance(result, list) or len(result) > _MOST_SERIES:
        raise Doubtful("the answer is not what Prometheus's API describes")
    if not result:
        raise Doubtful(
            "there is no such series",
            "A counter that appears only with its first event can be written `… or vector(0)`.",
        )
    return tuple(_sample(one) for one in result)


def only(samples: tuple[Sample, ...]) -> Sample:
    """Return the one sample there is."""
    if len(samples) != 1:
        raise Doubtful(f"there are {len(samples):,} series for one count", "Sum them: `sum(…)`.")
    return samples[0]


def count(sample: Sample) -> int:
    """Return a counter's value: a whole number, as long as a float holds it exactly."""
    value = sample.value
    if not math.isfinite(value) or value < 0.0 or value > _EXACT:
        raise Doubtful("the value is not a count (NaN, infinite, negative, or beyond 2^53)")
    if value != math.floor(value):
        raise Doubtful(
            "the value is not a whole number",
            "Ask for the counter as it is: without `rate`, `increase` or a division.",
        )
    return int(value)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Doubtful("the answer is not JSON") from None
    if not isinstance(found, dict):
        raise Doubtful("the answer is not what Prometheus's API describes")
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _data(found: Mapping[str, Any]) -> Mapping[str, Any]:
    if found.get("status") != "success":
        raise Doubtful("the query was refused", "Try it on the server's own page.")
    if found.get("warnings"):
        # "Errors that do not inhibit the request execution": some of the data may be missing.
        raise Doubtful("the server warns that its answer may be incomplete")
    data = found.get("data")
    if not isinstance(data, dict):
        raise Doubtful("the answer is not what Prometheus's API describes")
    return data


def _sample(found: Any) -> Sample:
    if isinstance(found, dict) and "histogram" in found:
        raise Doubtful(
            "the query gives a native histogram", "Ask for the classic one, with its `_bucket`s."
        )
    match found:
        case {"metric": dict(labels), "value": [int() | float() as at, str(text)]}:
            if not all(isinstance(one, str) for pair in labels.items() for one in pair):
                raise Doubtful("the answer is not what Prometheus's API describes")
            return Sample(labels=labels, at=repr(at), value=_value(text))
    raise Doubtful("the answer is not what Prometheus's API describes")


def _value(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if text in ("NaN", "+Inf", "-Inf", "Inf"):
        return math.nan
    raise Doubtful("the answer is not what Prometheus's API describes")
