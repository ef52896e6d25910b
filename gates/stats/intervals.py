"""Intervals of one model's metric, and of the paired difference between two models.

Proportions get a score interval (Wilson, Tango). Everything else gets the delta method on its
influence, with Student's t while there are few independent units, and with clusters summed first;
or, where a metric says how it is resampled, the block bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.bootstrap import METHOD, change_interval, own_interval
from gates.stats.measured import count_of, size_of
from gates.stats.score_intervals import (
    normal_p,
    normal_quantile,
    tango,
    tango_p,
    wilson,
    wilson_p,
)

if TYPE_CHECKING:
    from gates.stats.arrays import Counts, Floats, Numbers
    from gates.stats.measured import Measured

FEW_UNITS = 50
FEW_DISCORDANT = 30


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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Deviation:
    """How each row moves an estimate, and what the rows' dependence is known to be."""

    influence: Floats
    clusters: Numbers | None
    strata: Numbers | None
    unit: float | None
    weight: Counts | None


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
    deviation = _Deviation(
        influence=measured.influence,
        clusters=clusters,
        strata=measured.strata,
        unit=measured.unit,
        weight=measured.weight,
    )
    return _told(_around(measured.value, deviation, confidence), low, high)


def paired(
    baseline: Measured,
    candidate: Measured,
    *,
    confidence: float,
    clusters: Numbers | None = None,
) -> Interval | None:
    """Return the interval of candidate - baseline, measured on the same rows in the same order.

    Two outputs that are alike in every row give [0, 0], or what a score interval gives. None means
    what it means for `single`.
    """
    if clusters is None:
        interval = _paired_rates(baseline, candidate, confidence)
        if interval is not None:
            return interval
    if baseline.resampled is not None and candidate.resampled is not None:
        return _change(
            _resampled(
                change_interval(baseline, candidate, confidence=confidence, clusters=clusters)
            )
        )
    if baseline.influence is None or candidate.influence is None:
        return None
    units = [m.unit for m in (baseline, candidate) if m.unit is not None]
    deviation = _Deviation(
        influence=candidate.influence - baseline.influence,
        clusters=clusters,
        strata=candidate.strata,
        unit=max(units, default=None),
        weight=candidate.weight,
    )
    return _change(_around(candidate.value - baseline.value, deviation, confidence))


def _told(interval: Interval | None, low: float | None, high: float | None) -> Interval | None:
    """Return the interval clipped; no variation in the sample is not certainty, but None."""
    if interval is None or interval.low == interval.high:
        return None
    return _clipped(interval, low, high)


def _change(interval: Interval | None) -> Interval | None:
    """Return the interval, or None if a change without spread is not one between equals."""
    if interval is not None and interval.low == interval.high != 0.0:
        return None
    return interval


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


def _around(value: float, deviation: _Deviation, confidence: float) -> Interval | None:
    """Return value ± quantile · standard error, or None without at least two units."""
    summed = _summed(deviation)
    if summed is None:
        return None
    squares, units = summed
    method = "influence" if deviation.strata is None or deviation.clusters is not None else "delong"
    squares, widened = _with_pseudo_rows(squares, deviation.unit)
    error = math.sqrt(squares) / size_of(deviation.influence, deviation.weight)
    half = _quantile(confidence, units) * error
    return Interval(
        low=value - half,
        high=value + half,
        method="influence+2" if widened else method,
        p=partial(_p_value, value, error, units),
    )


def _summed(deviation: _Deviation) -> tuple[float, int] | None:
    """Return the sum of squares over independent units, unbiased by centring; and their number.

    Units are clusters (CR1: Liang & Zeger 1986 times G / (G - 1)), or else rows. AUC is centred
    within each class, so each class loses a degree of freedom (DeLong et al. 1988).
    """
    squares, sizes = _by_stratum(deviation)
    if sizes.min() < 2:
        return None
    return float(np.sum(squares * (sizes / (sizes - 1)))), int(sizes.sum())


def _by_stratum(deviation: _Deviation) -> tuple[Floats, Floats]:
    """Return each stratum's sum of squares over its units, and how many units it has."""
    influence, weight, strata = deviation.influence, deviation.weight, deviation.strata
    if deviation.clusters is not None:
        moved = influence if weight is None else influence * weight
        of_cluster = np.bincount(deviation.clusters, weights=moved)
        units = np.count_nonzero(np.bincount(deviation.clusters))
        return np.array([np.sum(of_cluster**2)]), np.array([float(units)])
    squares = influence**2 if weight is None else influence**2 * weight
    if strata is None:
        return np.array([np.sum(squares)]), np.array([float(size_of(influence, weight))])
    sizes: Floats = np.bincount(strata, weights=weight).astype(np.float64)
    sums: Floats = np.bincount(strata, weights=squares).astype(np.float64)
    return sums[sizes > 0.0], sizes[sizes > 0.0]


def _with_pseudo_rows(squares: float, unit: float | None) -> tuple[float, bool]:
    """Add two pseudo rows, a win and a loss, to a metric of counts that has few discordant rows.

    Where few rows decide, their spread understates the error, and with none it is zero. One row for
    each side is what Bonett & Price 2012 add to a difference of paired proportions (Agresti & Min
    2005 half as much); here it is lifted to any metric of counts by its `unit`, the most that one
    row can move it. The rows are counted by the same measure: for accuracy squares / unit² is the
    number of discordant rows. Conservative in simulation (see the tests); there is no proof.
    """
    if unit is None or squares >= FEW_DISCORDANT * unit**2:
        return squares, False
    return squares + 2.0 * unit**2, True


def _quantile(confidence: float, units: int) -> float:
    """Return the normal quantile, or Student's t with units - 1 degrees of freedom if few."""
    if units >= FEW_UNITS:
        return normal_quantile(confidence)
    # Only small samples pay for this import.
    from scipy.special import stdtrit

    return float(stdtrit(units - 1, 0.5 + confidence / 2.0))


def _p_value(value: float, error: float, units: int, at: float) -> float:
    """Return the two-sided p-value of `at`, by the distribution that `_quantile` takes."""
    if units >= FEW_UNITS or error == 0.0:
        return normal_p(value - at, error**2)
    from scipy.special import stdtr

    return float(2.0 * stdtr(units - 1, -abs(value - at) / error))


def _clipped(interval: Interval, low: float | None, high: float | None) -> Interval:
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    return replace(interval, low=max(interval.low, bottom), high=min(interval.high, top))
