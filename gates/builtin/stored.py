"""Compare with a baseline whose rows are not here: by its sketch, or by its stored numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.builtin.parts import Part
    from gates.stats.comparisons import Known
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
    """The baseline's stored value, the interval of the change from it, or why there is none.

    `ratio` is that of the change for a limit on candidate / baseline.
    """

    value: float | None = None
    interval: Interval | None = None
    ratio: Interval | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocked:
    """Both models on the same rows, comparable by blocks alone: those are the `clusters`."""

    candidate: Measured
    baseline: Measured
    clusters: NDArray[np.int64]


def stored(part: Part, metric: str, beta: float, candidate: Measured | None) -> Stored:
    """Return what is known of the baseline on these rows, compared in the best way it allows."""
    from gates.stats.sketch import ENOUGH_BLOCKS

    evidence = part.evidence
    entry = _entry(part, metric, beta)
    both = blocked(part, metric, beta)
    if entry and both and len(entry.sums) >= ENOUGH_BLOCKS:
        return _by_blocks(both, evidence.policy.confidence)
    known = _held(entry) if entry else _fact(part, metric, beta)
    if known is None:
        return Stored(problem=_ELSEWHERE if evidence.sketch is None else _NOT_HELD)
    return _unpaired(part, candidate, known)


def _by_blocks(both: Blocked, confidence: float) -> Stored:
    """Return the comparison by blocks; blocks that are all alike are of one model."""
    import numpy as np

    from gates.stats.comparisons import paired_ratio
    from gates.stats.intervals import paired

    models = both.baseline, both.candidate
    old, new = (np.bincount(both.clusters, one.influence) for one in models)
    same = np.array_equal(old, new)
    change = paired(*models, confidence=confidence, clusters=both.clusters, same=same)
    ratio = paired_ratio(*models, confidence=confidence, clusters=both.clusters)
    return Stored(
        value=both.baseline.value,
        interval=change and replace(change, method="sketch"),
        ratio=ratio and replace(ratio, method="sketch ratio"),
    )


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


def _held(entry: Entry) -> Known:
    """Return what an entry holds beside its sums."""
    from gates.stats.comparisons import Known

    return Known(value=entry.value, error=entry.se, n=entry.n)


def _fact(part: Part, metric: str, beta: float) -> Known | None:
    """Return the value and error that a record holds of the whole of its own evaluation set."""
    from gates.stats.comparisons import Known

    record = part.evidence.record
    fact = record.content.metrics.get(metric) if record else None
    # A record has the metrics as the catalogue names them, and so F-beta at β = 1.
    if fact is None or part.index is not None or beta != 1.0:
        return None
    return Known(value=fact.value, error=fact.se, n=fact.n)


def _unpaired(part: Part, candidate: Measured | None, known: Known) -> Stored:
    """Return the comparison as if between two samples: wider than a paired one."""
    from gates.stats.comparisons import unpaired, unpaired_ratio

    if candidate is None:
        return Stored(value=known.value)
    confidence, clusters = part.evidence.policy.confidence, part.clusters
    return Stored(
        value=known.value,
        interval=unpaired(known, candidate, confidence=confidence, clusters=clusters),
        ratio=unpaired_ratio(known, candidate, confidence=confidence, clusters=clusters),
    )
