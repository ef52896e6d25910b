"""Comparisons that are not differences on the same rows: with a stored number, and by a ratio.

A limit on candidate / baseline is decided by the change: its interval is that of the ratio, put on
the scale of the baseline that was measured, baseline · (ratio - 1). That the baseline is measured,
too, is in the interval of the ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from gates.stats.intervals import Interval
from gates.stats.measured_sides import side_of, together_of
from gates.stats.score_intervals import normal_quantile
from gates.stats.sides import Ends, Side, difference, p_of, ratio
from gates.stats.units import FEW_UNITS, beyond, student, student_beyond

if TYPE_CHECKING:
    from collections.abc import Callable

    from gates.stats.arrays import Numbers
    from gates.stats.measured import Measured


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is stored of a baseline: its value, its standard error, and of how many rows.

    An error of 0, as of a rate or an area of 1, is no knowledge.
    """

    value: float
    error: float | None
    n: int


def unpaired(
    baseline: Known, candidate: Measured, *, confidence: float, clusters: Numbers | None = None
) -> Interval | None:
    """Return the interval of candidate - baseline, as of two samples.

    Newcombe's 1998 (method 10) where the value is a share: the stored error tells of how many
    answers. Else Welch's. None where the error of either is not known.
    """
    sides = _sides(baseline, candidate, confidence, clusters)
    if sides is None:
        return None
    method = "unpaired newcombe" if sides[1].answers is not None else "unpaired"
    return _interval(partial(difference, *sides, 0.0), sides, _welch(*sides), confidence, method)


def unpaired_ratio(
    baseline: Known, candidate: Measured, *, confidence: float, clusters: Numbers | None = None
) -> Interval | None:
    """Return the interval of baseline · (ratio - 1), as of two samples."""
    sides = _sides(baseline, candidate, confidence, clusters)
    if sides is None or baseline.value <= 0.0:
        return None
    limits = partial(_by_ratio, *sides, 0.0)
    return _interval(limits, sides, _welch(*sides), confidence, "unpaired ratio")


def paired_ratio(
    baseline: Measured, candidate: Measured, *, confidence: float, clusters: Numbers | None = None
) -> Interval | None:
    """Return the interval of baseline · (ratio - 1), both measured on the same rows.

    None where the baseline may be 0, or these rows do not tell of an error.
    """
    old, new = (
        side_of(one, confidence=confidence, clusters=clusters) for one in (baseline, candidate)
    )
    together = together_of(baseline, candidate, clusters)
    if old is None or new is None or baseline.value <= 0.0:
        return None
    # Where nothing is known of how they are correlated they are taken not to be: too wide, if not.
    rho = together.correlation if together else 0.0
    even = new.answers is None and candidate.resampled is None
    # Both errors are of the same rows, so none of the two is known better.
    freedom = min(old.freedom, new.freedom)
    freedom = math.inf if freedom + 1.0 >= FEW_UNITS else freedom
    method = "fieller" if even else "mover ratio"
    return _interval(partial(_by_ratio, old, new, rho), (old, new), freedom, confidence, method)


def _by_ratio(baseline: Side, candidate: Side, correlation: float, z: float) -> Ends:
    """Return the limits of a ratio as a change from the baseline that was measured."""
    low, high = ratio(baseline, candidate, correlation, z)
    return baseline.value * (low - 1.0), baseline.value * (high - 1.0)


def _sides(
    baseline: Known, candidate: Measured, confidence: float, clusters: Numbers | None
) -> tuple[Side, Side] | None:
    """Return both sides, the stored one with limits of the same kind as the measured one."""
    value, error = baseline.value, baseline.error
    new = side_of(candidate, confidence=confidence, clusters=clusters)
    if new is None or not error:
        return None
    if new.answers is None:
        if new.below + new.above == 0.0:
            return None
        return Side(value=value, below=error, above=error, freedom=baseline.n - 1.0), new
    size = value * (1.0 - value) / error**2
    return Side(value=value, below=error, above=error, answers=size), new


def _welch(baseline: Side, candidate: Side) -> float:
    """Return the degrees of freedom of two errors that add up in squares (Welch 1947)."""
    if candidate.answers is not None:
        return candidate.freedom if candidate.freedom + 1.0 < FEW_UNITS else math.inf
    old, new = (((one.below + one.above) / 2.0) ** 2 for one in (baseline, candidate))
    return (old + new) ** 2 / (old**2 / baseline.freedom + new**2 / candidate.freedom)


def _interval(
    limits: Callable[[float], Ends],
    sides: tuple[Side, Side],
    freedom: float,
    confidence: float,
    method: str,
) -> Interval | None:
    """Return the interval by Student's t, also of many degrees of freedom; None for no limits."""
    many = math.isinf(freedom)
    low, high = limits(normal_quantile(confidence) if many else student(confidence, freedom))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return None
    tail = partial(beyond if many else student_beyond, freedom)
    p = partial(p_of, limits, sides[1].value - sides[0].value, tail)
    return Interval(low=low, high=high, method=method, p=p)
