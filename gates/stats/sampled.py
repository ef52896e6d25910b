"""Metrics of scores on a great many rows: the value on all of them, its influence on some.

All that an interval takes from an influence is its sum of squares, and a quarter of a million rows
tell that as well as ten million: to a relative error of √((κ − 1) / m) / 2 in the standard error,
for m rows and a kurtosis of κ. What that comes to is estimated from the rows themselves, and where
it is too much (few rows decide, say, because two models differ on few) all rows are looked at.

Of each class one row out of every k neighbours is taken, by a hash of its place, and stands for all
k. So a rare class is taken whole, two models are looked at on the same rows, and a run that is
repeated takes the same ones. Not for clusters, whose sums are those of all their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from gates.stats import probability, ranking
from gates.stats.arrays import Counts, Floats, Numbers
from gates.stats.measured import Measured, Rows, Undefined
from gates.stats.metrics import measure
from gates.stats.steps import PositiveSteps

MANY = 2**20
FROM_EACH_CLASS = 2**17
# The standard error of an interval's half width, relative to it.
TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Many:
    """One model's rows, without weights, and `some` of them that stand for all."""

    rows: Rows
    some: Rows

    @cached_property
    def steps(self) -> PositiveSteps:
        """Return their order, as far as a value goes by it; worked out once."""
        return ranking.ranked_positives(self.rows)


VALUES: Mapping[str, Callable[[Many], float]] = MappingProxyType(
    {
        "roc_auc": lambda many: ranking.roc_auc_value(many.steps),
        "average_precision": lambda many: ranking.average_precision_value(many.steps),
        "log_loss": lambda many: probability.log_loss_value(many.rows),
        "brier": lambda many: probability.brier_value(many.rows),
    }
)


def sampled(models: Sequence[Rows]) -> tuple[Many, ...]:
    """Return what the models were asked about, each with the same rows to stand for all."""
    positive = models[0].label == 1
    found = [_thinned(np.flatnonzero(inside)) for inside in (positive, ~positive)]
    places = np.concatenate([place for place, _ in found])
    weight = np.concatenate([stands_for for _, stands_for in found])
    # Two ascending stretches: a stable sort only merges them.
    order = np.argsort(places, kind="stable")
    places, weight = places[order], weight[order]
    return tuple(Many(rows=m, some=replace(m.take(places), weight=weight)) for m in models)


def measure_many(metric: str, models: Sequence[Many]) -> tuple[Measured, ...] | None:
    """Measure a metric of `VALUES` for one or two models; None where some rows tell too little.

    The value is that of all rows. Influence, strata and weight belong to some of them.
    """
    try:
        values = [VALUES[metric](many) for many in models]
        found = [measure(metric, many.some) for many in models]
    except Undefined:
        return None
    moved = [np.asarray(one.influence) for one in found]
    if len(moved) > 1:
        moved.append(moved[1] - moved[0])
    if not all(_tells(one, np.asarray(models[0].some.weight)) for one in moved):
        return None
    return tuple(replace(one, value=value) for one, value in zip(found, values, strict=True))


def _thinned(places: Numbers) -> tuple[Numbers, Counts]:
    """Return one of every k places, and how many each stands for: k, but for the last stretch."""
    k = max(1, len(places) // FROM_EACH_CLASS)
    starts = np.arange(0, len(places), k)
    stands_for = np.minimum(k, len(places) - starts)
    return places[starts + _hashed(starts) % stands_for], stands_for


def _hashed(numbers: Counts) -> Counts:
    """Return numbers that have no pattern in common with the order of rows (SplitMix64)."""
    mixed = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(33)).astype(np.int64)


def _tells(influence: Floats, weight: Counts) -> bool:
    """Return whether the sum of squares of these rows is close enough to that of all."""
    squares = influence**2
    total = float(np.sum(squares * weight))
    # Rows that stand for themselves alone add no error.
    error = np.sqrt(np.sum(squares**2 * (weight * (weight - 1)))) / 2.0
    return total > 0.0 and bool(error <= TOLERANCE * total)
