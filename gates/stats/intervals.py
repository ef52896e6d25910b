"""Intervals of one model's metric, and of the paired difference between two models.

Proportions get a score interval (Wilson, Tango). Everything else gets the delta method on its
influence, with Student's t while there are few independent units, and with clusters summed first;
ROC AUC and average precision, which end at 1, take that as the size of a proportion. Where a metric
says how it is resampled, it gets the block bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.bootstrap import METHOD, change_interval, own_interval
from gates.stats.measured import count_of
from gates.stats.measured_sides import (
    FEW_DISCORDANT,
    FEW_OF_A_CLASS,
    deviation_of,
    ranked_side,
    together_of,
    with_pseudo_rows,
)
from gates.stats.score_intervals import normal_p, tango, tango_p, wilson, wilson_p
from gates.stats.sides import difference, p_of
from gates.stats.units import FEW_UNITS, Deviation, beyond, error_of, quantile

if TYPE_CHECKING:
    from gates.stats.arrays import Numbers
    from gates.stats.measured import Measured

__all__ = ["FEW_DISCORDANT", "FEW_OF_A_CLASS", "FEW_UNITS", "Interval", "paired", "single"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided interval, the method that made it, and what that says of any value.

    `p` takes a value and returns 1 - the confidence at which the interval just reaches it. Beyond
    `confidence` a score interval does not shrink like a normal one, nor does Student's t.
    """

    low: float
    high: float
    method: str
    p: Callable[[float], float] | None = field(default=None, repr=False, compare=False)


def single(
    measured: Measured,
    *,
    confidence: float,
    clusters: Numbers | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Interval | None:
    """Return the interval of one model's metric, clipped to [low, high].

    `clusters` are codes (n,) of rows that belong together. None means that these rows hold no
    information on the error: one unit, no variation at all, or a metric without a way to tell.
    """
    if measured.rate is not None and clusters is None:
        counts = measured.rate.counts()
        bottom, top = wilson(*counts, confidence=confidence)
        return Interval(low=bottom, high=top, method="wilson", p=partial(wilson_p, *counts))
    if measured.resampled is not None:
        found = own_interval(measured, confidence=confidence, clusters=clusters)
        return _told(_resampled(found), low, high)
    if measured.influence is None:
        return None
    if measured.trials is not None:
        return _told(_ranked(measured, confidence, clusters), low, high)
    deviation = deviation_of(measured, measured.influence, clusters)
    return _told(_around(measured.value, deviation, measured.unit, confidence), low, high)


def paired(
    baseline: Measured,
    candidate: Measured,
    *,
    confidence: float,
    clusters: Numbers | None = None,
    same: bool = False,
) -> Interval | None:
    """Return the interval of candidate - baseline, measured on the same rows in the same order.

    None means what it means for `single`: a change without spread tells something only where both
    models gave the `same` outputs on all of these rows.
    """
    if clusters is None:
        interval = _paired_rates(baseline, candidate, confidence)
        if interval is not None:
            return interval
    if baseline.resampled is not None and candidate.resampled is not None:
        found = change_interval(baseline, candidate, confidence=confidence, clusters=clusters)
        return _change(_resampled(found), same=same)
    if baseline.influence is None or candidate.influence is None:
        return None
    if candidate.trials is not None:
        return _change(_ranked_change(baseline, candidate, confidence, clusters), same=same)
    units = [m.unit for m in (baseline, candidate) if m.unit is not None]
    deviation = deviation_of(candidate, candidate.influence - baseline.influence, clusters)
    change = candidate.value - baseline.value
    return _change(_around(change, deviation, max(units, default=None), confidence), same=same)


def _told(interval: Interval | None, low: float | None, high: float | None) -> Interval | None:
    """Return the interval clipped; no variation in the sample is not certainty, but None."""
    if interval is None or interval.low == interval.high:
        return None
    return _clipped(interval, low, high)


def _change(interval: Interval | None, *, same: bool) -> Interval | None:
    """Return the interval, or None if a change without spread is not one between equals."""
    if interval is None or interval.low < interval.high:
        return interval
    return interval if same and interval.low == 0.0 else None


def _resampled(found: tuple[float, float] | None) -> Interval | None:
    return None if found is None else Interval(low=found[0], high=found[1], method=METHOD)


def _paired_rates(baseline: Measured, candidate: Measured, confidence: float) -> Interval | None:
    """Return Tango's interval if both are rates of the same rows."""
    first, second = baseline.rate, candidate.rate
    if first is None or second is None or not np.array_equal(first.of, second.of):
        return None
    lost = count_of(first.hits & ~second.hits & first.of, first.weight)
    won = count_of(second.hits & ~first.hits & first.of, first.weight)
    size = count_of(first.of, first.weight)
    low, high = tango(lost, won, size, confidence=confidence)
    return Interval(low=low, high=high, method="tango", p=partial(tango_p, lost, won, size))


def _around(
    value: float, deviation: Deviation, unit: float | None, confidence: float
) -> Interval | None:
    """Return value ± quantile · standard error, or None without at least two units."""
    error = error_of(deviation)
    if error is None:
        return None
    variance, widened = with_pseudo_rows(error.variance, unit, deviation.rows)
    arm = math.sqrt(variance)
    half = quantile(confidence, error.freedom) * arm
    return Interval(
        low=value - half,
        high=value + half,
        method="influence+2" if widened else "influence",
        p=partial(_p_value, value, arm, error.freedom),
    )


def _ranked(measured: Measured, confidence: float, clusters: Numbers | None) -> Interval | None:
    """Return Wilson's interval of a value of ranks, as of so many answers as it is as good as."""
    side = ranked_side(measured, measured, clusters)
    if side is None:
        return None
    low, high = side.ends(quantile(confidence, side.freedom))
    p = partial(p_of, side.ends, side.value, partial(beyond, side.freedom))
    return Interval(low=low, high=high, method="influence, wilson", p=p)


def _ranked_change(
    baseline: Measured, candidate: Measured, confidence: float, clusters: Numbers | None
) -> Interval | None:
    """Return the interval of the change of a value of ranks, from the limits of either model.

    The variance of the change, DeLong's, tells how far the two are correlated. On its own it is
    nothing for two models that both separate the classes, and too little for few rows.
    """
    known = together_of(baseline, candidate, clusters)
    if known is None:
        return None
    old = ranked_side(baseline, candidate, clusters, known.baseline)
    new = ranked_side(candidate, candidate, clusters, known.candidate)
    if old is None or new is None:
        return None
    limits, freedom = partial(difference, old, new, known.correlation), known.freedom
    low, high = limits(quantile(confidence, freedom))
    p = partial(p_of, limits, candidate.value - baseline.value, partial(beyond, freedom))
    return Interval(low=low, high=high, method="influence, mover", p=p)


def _p_value(value: float, error: float, freedom: float, at: float) -> float:
    """Return the two-sided p-value of `at`, by the distribution that `quantile` takes."""
    if error == 0.0:
        return normal_p(value - at, 0.0)
    return beyond(freedom, (value - at) / error)


def _clipped(interval: Interval, low: float | None, high: float | None) -> Interval:
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    return replace(interval, low=max(interval.low, bottom), high=min(interval.high, top))
