"""The options that several gates share: limits on a metric, and what acts on the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, Strict

from gates.fields import Model, bounded
from gates.report import Decide, Mode, OnInconclusive, Verb
from gates.stats.catalogue import METRICS, Better
from gates.yaml_source import suggestion

Finite = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Tolerance = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with a gate's options that types can not express, and the key it is at."""

    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One configured limit: the key it is at, and the range of what it is held against."""

    path: tuple[str | int, ...]
    verb: Verb
    bound: float
    span: tuple[float | None, float | None]


class Policies(Model):
    """What acts on a result; what is not given comes from the gate, then from `defaults`."""

    mode: Mode | None = Field(default=None, description="enforce, warn or report.")
    on_inconclusive: OnInconclusive | None = Field(
        default=None, description="What an undecided check counts as: warn or fail."
    )
    decide: Decide | None = Field(
        default=None, description="interval, or point for plain comparison."
    )


class Bounds(Model):
    """Limits on one metric: on the candidate's own value, and on its change from the baseline."""

    min: Finite | None = Field(default=None, description="The candidate's value is at least this.")
    max: Finite | None = Field(default=None, description="The candidate's value is at most this.")
    max_drop: Tolerance | None = Field(
        default=None, description="The value falls by at most this from the baseline's."
    )
    max_rise: Tolerance | None = Field(
        default=None, description="The value rises by at most this from the baseline's."
    )
    max_ratio: Positive | None = Field(
        default=None, description="Candidate / baseline is at most this."
    )
    max_drop_from_anchor: Tolerance | None = Field(
        default=None, description="The value falls by at most this from the anchor's."
    )
    max_rise_from_anchor: Tolerance | None = Field(
        default=None, description="The value rises by at most this from the anchor's."
    )

    def given(self) -> dict[Verb, float]:
        """Return the limits that were set, by verb, in the order of `Verb`."""
        values = {verb: getattr(self, verb.value, None) for verb in Verb}
        return {verb: value for verb, value in values.items() if value is not None}


def column_problems(key: str, listed: Iterable[tuple[str, ...]]) -> Iterator[Problem]:
    """Yield what is wrong with sets of columns: none in one, one twice, or one set twice.

    Two equal sets would give two checks one rule id, and be counted as two questions.
    """
    seen: set[frozenset[str]] = set()
    for index, columns in enumerate(listed):
        if not columns or "" in columns or len(set(columns)) < len(columns):
            yield Problem(path=(key, index), message="name one or more different columns")
        elif frozenset(columns) in seen:
            yield Problem(path=(key, index), message="this is listed twice")
        seen.add(frozenset(columns))


def bound_problems(
    name: str,
    given: dict[Verb, float],
    better: Better,
    allowed: frozenset[Verb],
    span: tuple[float | None, float | None],
) -> Iterator[Problem]:
    """Yield what is wrong with the limits of a metric that improves that way, within that range."""
    low, high = span
    for verb, bound in given.items():
        if verb not in allowed:
            words = ", ".join(sorted(v.value for v in allowed))
            way = "neither way" if better is Better.NEITHER else f"when {better.value}"
            yield Problem(
                path=(verb.value,),
                message=f"`{verb.value}` makes no sense for `{name}`, which is better {way}; "
                f"use {words}",
            )
        elif verb is Verb.MAX_RATIO:
            continue
        elif (most := _most(verb, low, high)) is not None and bound > most:
            what = "is" if verb in (Verb.MIN, Verb.MAX) else "changes by"
            yield Problem(
                path=(verb.value,),
                message=f"{bound:g} can never be reached: `{name}` {what} at most {most:g}"
                + (f"; did you mean {bound / 100:g}?" if most == 1 and bound <= 100 else ""),
            )
        elif verb in (Verb.MIN, Verb.MAX) and low is not None and bound < low:
            yield Problem(
                path=(verb.value,),
                message=f"{bound:g} says nothing: `{name}` is never below {low:g}",
            )


def _most(verb: Verb, low: float | None, high: float | None) -> float | None:
    """Return the highest value within a range, or for a limit on change its width."""
    if verb in (Verb.MIN, Verb.MAX) or high is None:
        return high
    return None if low is None else high - low


def limits_at(
    path: tuple[str | int, ...], given: dict[Verb, float], reach: tuple[float | None, float | None]
) -> Iterator[Limit]:
    """Yield the limits that were set below one key."""
    for verb, bound in given.items():
        yield Limit(path=(*path, verb.value), verb=verb, bound=bound, span=reach)


def unknown_metric(name: str, known: Iterable[str]) -> str:
    """Return the message for a metric nobody knows, or that this task does not have."""
    elsewhere = name in METRICS
    what = "is not for this task" if elsewhere else "is not a metric"
    close = suggestion(name, known)
    return f"`{bounded(name)}` {what}" + (f"; {close}" if close else "")
