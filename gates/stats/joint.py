"""Many questions on the same rows, corrected together: step-down max-T.

Slices overlap and metrics agree, so that the largest of many statistics is smaller than that of as
many independent ones. Holm's correction does not know it; max-T reads it off the data (Westfall &
Young 1993, algorithm 2.8; with Gaussian multipliers in place of permutations, Chernozhukov,
Chetverikov & Kato 2013).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gates.stats.arrays import Floats

BLOCKS = 2048
DRAWS = 20_000
_AT_ONCE = 2_000
_SMALLEST_P = 1e-300


def max_t(
    p_values: Sequence[float], sums: Sequence[Floats | None], *, seed: int, draws: int = DRAWS
) -> list[float]:
    """Return adjusted p-values (m,), in the order given, that hold for all m questions together.

    `p_values` are two-sided, of statistics that are about normal. `sums` (m times G, or None) are
    each statistic's influence in the same G blocks of independent rows: their correlation is that
    of the statistics. A question without sums may depend on the others in any way, and is added
    to them as Bonferroni would. The Monte Carlo error of an adjusted p is sqrt(p (1 - p) / draws).
    """
    order = np.argsort(p_values, kind="stable")
    ascending = np.array([max(p_values[i], _SMALLEST_P) for i in order])
    limits = np.array([-NormalDist().inv_cdf(p / 2.0) for p in ascending])
    known = [sums[i] for i in order]
    places = [i for i, one in enumerate(known) if one is not None and np.any(one)]
    joint = np.zeros(len(order))
    if places:
        factor = _factor(np.array([known[i] for i in places]))
        # One more than was seen: no draw at all is not a p of 0.
        joint = (_beyond(factor, places, limits, seed=seed, draws=draws) + 1.0) / (draws + 1.0)
    without = len(order) - np.arange(len(order)) - _left(places, len(order))
    adjusted = np.maximum.accumulate(np.minimum(1.0, joint + without * ascending))
    found = np.empty(len(order))
    found[order] = adjusted
    return [float(p) for p in found]


def _left(places: Sequence[int], size: int) -> Floats:
    """Return how many of `places` are at each rank or behind it (size,)."""
    has = np.zeros(size)
    has[list(places)] = 1.0
    return np.cumsum(has[::-1])[::-1]


def _factor(sums: Floats) -> Floats:
    """Return F (m, r) with F Fᵀ the correlation of the rows of `sums` (m, G)."""
    scaled = sums / np.sqrt(np.sum(sums**2, axis=1, keepdims=True))
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)), dtype=np.float64)


def _beyond(
    factor: Floats, places: Sequence[int], limits: Floats, *, seed: int, draws: int
) -> Floats:
    """Return in how many draws the largest statistic at or behind each rank reaches its limit."""
    generator = np.random.default_rng(seed)
    beyond = np.zeros(len(limits))
    for start in range(0, draws, _AT_ONCE):
        normal = generator.standard_normal((min(_AT_ONCE, draws - start), factor.shape[1]))
        every = np.zeros((len(normal), len(limits)))
        every[:, places] = np.abs(normal @ factor.T)
        behind = np.maximum.accumulate(every[:, ::-1], axis=1)[:, ::-1]
        beyond += np.count_nonzero(behind >= limits, axis=0)
    return beyond
