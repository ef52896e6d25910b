"""Compare with a baseline whose rows are not here: by its sketch, or by its stored numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.builtin.parts import Part
    from gates.stats.intervals import Interval
    from gates.stats.measured import Measured
    from gates.stats.sketch import Entry

_ELSEWHERE = "the baseline has no stored number for these rows of its own data"
_NOT_HELD = (
    "no rows of it are kept, and the sketch that is does not hold this metric on these rows: "
    "register it again with this configuration"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What a gate measures of the baseline: a metric, at a β, on some rows (all: None).

    `values` are those of the slice, and `place` is its name, as in a rule id.
    """

    metric: str
    beta: float = 1.0
    place: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    index: NDArray[np.intp] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """The baseline's stored value, the interval of the change from it, or why there is none."""

    value: float | None = None
    interval: Interval | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocked:
    """Both models on the same rows, comparable by blocks alone: those are the `clusters`."""

    candidate: Measured
    baseline: Measured
    clusters: NDArray[np.int64]


def stored(part: Part, metric: str, beta: float, candidate: Measured | None) -> Stored:
    """Return what is known of the baseline on these rows, compared in the best way it allows."""
    from gates.stats.intervals import paired
    from gates.stats.sketch import ENOUGH_BLOCKS

    evidence = part.evidence
    entry = _entry(part, metric, beta)
    both = blocked(part, metric, beta)
    if entry and both and len(entry.sums) >= ENOUGH_BLOCKS:
        confidence = evidence.policy.confidence
        interval = paired(
            both.baseline, both.candidate, confidence=confidence, clusters=both.clusters
        )
        return Stored(value=entry.value, interval=interval and replace(interval, method="sketch"))
    value, se = (entry.value, entry.se) if entry else _fact(part, metric, beta)
    if value is None:
        return Stored(problem=_ELSEWHERE if evidence.sketch is None else _NOT_HELD)
    return Stored(value=value, interval=_unpaired(part, candidate, value, se))


def blocked(part: Part, metric: str, beta: float) -> Blocked | None:
    """Return both models on these rows, made comparable by blocks; None where they are not."""
    from gates.stats.metrics import Undefined, measure
    from gates.stats.sketch import blocks_of, unfolded

    entry = _entry(part, metric, beta)
    if entry is None:
        return None
    hashes = part.evidence.hashes
    hashes = hashes if part.index is None else hashes[part.index]
    baseline = unfolded(entry, hashes)
    try:
        candidate = measure(metric, part.models[0], beta=beta)
    except Undefined:
        return None
    if baseline is None:
        return None
    return Blocked(candidate=candidate, baseline=baseline, clusters=blocks_of(hashes))


def _entry(part: Part, metric: str, beta: float) -> Entry | None:
    from gates.stats.sketch import rows_key

    sketch = part.evidence.sketch
    return sketch.find(metric, beta, rows_key(part.index, part.evidence.rows)) if sketch else None


def _fact(part: Part, metric: str, beta: float) -> tuple[float | None, float | None]:
    """Return the value and error that a record holds of the whole of its own evaluation set."""
    record = part.evidence.record
    fact = record.content.metrics.get(metric) if record else None
    # A record has the metrics as the catalogue names them, and so F-beta at β = 1.
    if fact is None or part.index is not None or beta != 1.0:
        return None, None
    return fact.value, fact.se


def _unpaired(
    part: Part, candidate: Measured | None, value: float, se: float | None
) -> Interval | None:
    """Return the interval of the change as if between two samples: wider than a paired one.

    Newcombe's for a rate, whose stored error tells how many rows it is of; else both errors add up
    in squares. A rate of 0 or 1 has a stored error of 0, which is no knowledge: it has none.
    """
    from gates.stats.intervals import Interval, single
    from gates.stats.score_intervals import newcombe, normal_quantile, wilson

    confidence = part.evidence.policy.confidence
    if candidate is None or se is None:
        return None
    own = single(candidate, confidence=confidence, clusters=part.clusters)
    if own is None:
        return None
    if candidate.rate is not None and part.clusters is None:
        if se == 0.0:
            return None
        size = round(value * (1.0 - value) / se**2)
        theirs = wilson(round(value * size), size, confidence=confidence)
        low, high = newcombe(candidate.value, (own.low, own.high), value, theirs)
        return Interval(low=low, high=high, method="unpaired newcombe")
    z = normal_quantile(confidence)
    half = z * math.hypot((own.high - own.low) / (2 * z), se)
    delta = candidate.value - value
    return Interval(low=delta - half, high=delta + half, method="unpaired")
