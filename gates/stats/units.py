"""Independent units, rows or clusters: how far a sum over them is off, and who knows that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.measured import count_of, size_of
from gates.stats.score_intervals import normal_quantile

if TYPE_CHECKING:
    from gates.stats.arrays import Bools, Counts, Floats, Numbers

FEW_UNITS = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class Deviation:
    """How each row moves an estimate, and what the rows' dependence is known to be."""

    influence: Floats
    clusters: Numbers | None = None
    strata: Bools | None = None
    weight: Counts | None = None

    @property
    def rows(self) -> int:
        """Return how many rows these are."""
        return size_of(self.influence, self.weight)


@dataclass(frozen=True, kw_only=True)
class Error:
    """The variance of an estimate, and the degrees of freedom that it was estimated with."""

    variance: float
    freedom: float


def error_of(deviation: Deviation) -> Error | None:
    """Return the error of an estimate, or None without at least two units (in each stratum).

    Units are clusters, or else rows. Ranks are centred within each class, so each class loses a
    degree of freedom (DeLong et al. 1988), and the smaller one says how well its part is known.
    """
    if deviation.clusters is not None:
        return _of_clusters(deviation, deviation.clusters)
    squares, sizes = _by_stratum(deviation)
    if sizes.min() < 2:
        return None
    summed = float(np.sum(squares * (sizes / (sizes - 1))))
    return Error(variance=summed / deviation.rows**2, freedom=float(sizes.min()) - 1.0)


def _of_clusters(deviation: Deviation, clusters: Numbers) -> Error | None:
    """Return the error by the jackknife that leaves out one cluster at a time.

    Of clusters of equal size it is Liang & Zeger's 1986 times G / (G - 1). Where few clusters have
    most of the rows, their own sums draw the estimate after them, and that would be too small
    (CR3: Bell & McCaffrey 2002; MacKinnon, Nielsen & Webb 2023). The degrees of freedom are those
    of as many clusters of equal size as theirs are worth, also in each stratum. Chosen by
    simulation (see the tests): Satterthwaite's by the sums' own moments are no better, and tell of
    rates with few discordant rows what the two pseudo rows tell already.
    """
    influence, weight = deviation.influence, deviation.weight
    sums = np.bincount(clusters, weights=influence if weight is None else influence * weight)
    sizes = np.bincount(clusters, weights=weight).astype(np.float64)
    units = np.count_nonzero(sizes)
    if units < 2:
        return None
    total = sizes.sum()
    moved = sums / (total - sizes)
    worth = min(effective(sizes), _least_effective(deviation, clusters))
    variance = float(np.sum(moved**2)) * (units - 1) / units
    return Error(variance=variance, freedom=max(1.0, worth - 1.0))


def effective(sizes: Numbers) -> float:
    """Return how many clusters of equal size these are worth (Kish 1965)."""
    return float(np.sum(sizes)) ** 2 / float(np.sum(sizes**2))


def _least_effective(deviation: Deviation, clusters: Numbers) -> float:
    """Return the same of the clusters of the stratum that has the fewest; inf without strata."""
    if deviation.strata is None:
        return math.inf
    weight = np.ones(len(clusters)) if deviation.weight is None else deviation.weight
    inside = deviation.strata
    each = [np.bincount(clusters, weights=weight * one) for one in (inside, ~inside)]
    return min(effective(sizes) for sizes in each if sizes.any())


def smallest(strata: Bools, weight: Counts | None) -> float:
    """Return how many rows the smaller stratum has that has any."""
    return float(min(size for size in _sizes(strata, weight) if size))


def _sizes(strata: Bools, weight: Counts | None) -> tuple[int, int]:
    inside = count_of(strata, weight)
    return size_of(strata, weight) - inside, inside


def _by_stratum(deviation: Deviation) -> tuple[Floats, Floats]:
    """Return each stratum's sum of squares over its rows, and how many rows it has."""
    influence, weight, strata = deviation.influence, deviation.weight, deviation.strata
    squares = influence**2 if weight is None else influence**2 * weight
    if strata is None:
        return np.array([np.sum(squares)]), np.array([float(size_of(influence, weight))])
    sizes = np.array(_sizes(strata, weight), dtype=np.float64)
    # Products with 0 and 1: a choice row by row takes several times as long.
    sums = np.array([np.sum(squares * ~strata), np.sum(squares * strata)])
    return sums[sizes > 0.0], sizes[sizes > 0.0]


def quantile(confidence: float, freedom: float) -> float:
    """Return the normal quantile, or Student's t where there are few degrees of freedom."""
    if freedom + 1.0 >= FEW_UNITS:
        return normal_quantile(confidence)
    return student(confidence, freedom)


def student(confidence: float, freedom: float) -> float:
    """Return the quantile of Student's t."""
    # Only small samples pay for this import.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2.0))


def beyond(freedom: float, z: float) -> float:
    """Return the two-sided p-value of z standard errors, by the distribution of `quantile`."""
    if freedom + 1.0 >= FEW_UNITS:
        return 2.0 * NormalDist().cdf(-abs(z))
    return student_beyond(freedom, z)


def student_beyond(freedom: float, z: float) -> float:
    """Return the two-sided p-value of z by Student's t."""
    from scipy.special import stdtr

    return float(2.0 * stdtr(freedom, -abs(z)))


def correlation(one: float, other: float, difference: float) -> float:
    """Return the correlation of two estimates from their variances and that of the difference."""
    scale = math.sqrt(one * other)
    return max(-1.0, min(1.0, (one + other - difference) / (2.0 * scale))) if scale else 0.0
