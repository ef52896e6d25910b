"""Intervals of one model's metric, and of the paired difference between two models.

Proportions get a score interval (Wilson, Tango). Everything else gets the delta method on its
influence, with Student's t while there are few independent units, and with clusters summed first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.score_intervals import normal_quantile, tango, wilson

if TYPE_CHECKING:
    from gates.stats.measured import Floats, Measured, Numbers

FEW_UNITS = 50
FEW_DISCORDANT = 30


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided interval, and the method that made it."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Deviation:
    """How each row moves an estimate, and what the rows' dependence is known to be."""

    influence: Floats
    clusters: Numbers | None
    strata: Numbers | None
    unit: float | None


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
    information on the error: one unit, no variation at all, or a metric without an influence.
    """
    if measured.rate is not None and clusters is None:
        bottom, top = wilson(*measured.rate.counts(), confidence=confidence)
        return Interval(low=bottom, high=top, method="wilson")
    if measured.influence is None:
        return None
    deviation = _Deviation(
        influence=measured.influence, clusters=clusters, strata=measured.strata, unit=measured.unit
    )
    interval = _around(measured.value, deviation, confidence)
    # No variation in the sample is not certainty: it would be an interval of no width.
    if interval is None or interval.low == interval.high:
        return None
    return _clipped(interval, low, high)


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
    if baseline.influence is None or candidate.influence is None:
        return None
    units = [m.unit for m in (baseline, candidate) if m.unit is not None]
    deviation = _Deviation(
        influence=candidate.influence - baseline.influence,
        clusters=clusters,
        strata=candidate.strata,
        unit=max(units, default=None),
    )
    interval = _around(candidate.value - baseline.value, deviation, confidence)
    # A change that is the same in every row, or between two scores without spread, is no certainty.
    if interval is not None and interval.low == interval.high != 0.0:
        return None
    return interval


def _paired_rates(baseline: Measured, candidate: Measured, confidence: float) -> Interval | None:
    """Return Tango's interval if both are rates of the same rows."""
    first, second = baseline.rate, candidate.rate
    if first is None or second is None or not np.array_equal(first.of, second.of):
        return None
    lost = int(np.count_nonzero(first.hits & ~second.hits & first.of))
    won = int(np.count_nonzero(second.hits & ~first.hits & first.of))
    size = int(np.count_nonzero(first.of))
    low, high = tango(lost, won, size, confidence=confidence)
    return Interval(low=low, high=high, method="tango")


def _around(value: float, deviation: _Deviation, confidence: float) -> Interval | None:
    """Return value ± quantile · standard error, or None without at least two units."""
    summed = _summed(deviation)
    if summed is None:
        return None
    squares, units = summed
    method = "influence" if deviation.strata is None or deviation.clusters is not None else "delong"
    squares, widened = _with_pseudo_rows(squares, deviation.unit)
    error = math.sqrt(squares) / len(deviation.influence)
    half = _quantile(confidence, units) * error
    return Interval(
        low=value - half, high=value + half, method="influence+2" if widened else method
    )


def _summed(deviation: _Deviation) -> tuple[float, int] | None:
    """Return the sum of squares over independent units, unbiased by centring; and their number.

    Units are clusters (CR1: Liang & Zeger 1986 times G / (G - 1)), or else rows. AUC is centred
    within each class, so each class loses a degree of freedom (DeLong et al. 1988).
    """
    parts: Numbers = deviation.influence
    units = len(parts)
    sizes: Numbers = np.array([units])
    if deviation.clusters is not None:
        parts = np.bincount(deviation.clusters, weights=parts)
        units = len(np.unique(deviation.clusters))
        sizes = np.array([units])
    elif deviation.strata is not None:
        sizes = np.bincount(deviation.strata)[deviation.strata]
    if sizes.min() < 2:
        return None
    return float(np.sum(parts**2 * (sizes / (sizes - 1)))), units


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


def _clipped(interval: Interval, low: float | None, high: float | None) -> Interval:
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    return Interval(
        low=max(interval.low, bottom), high=min(interval.high, top), method=interval.method
    )
