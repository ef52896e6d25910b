"""Quantiles of what a row is: their value, a rough influence, and honest intervals.

The interval of a quantile is that of order statistics, since resampling does nothing else: where
rows are independent, the share of the population up to the i-th of n sorted rows is
Beta(i, n + 1 - i), and so are sums of exponential weights, once a row of no known size is added
that may be anywhere (or a cluster of rows). It counts as lowest for the lower limit and as largest
for the upper one, which keeps both on the safe side, with ties as well. In simulation
(tests/unit/test_bootstrap.py) it holds where rounded errors make the slope meaningless.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

import numpy as np

from gates.stats.bootstrap import FEW_UNITS, Blocks, Draws, Ends, ends
from gates.stats.measured import Measured, mean_of

if TYPE_CHECKING:
    from gates.stats.arrays import Counts, Floats

_BINS = 256
# Beyond so many standard errors no replicate ends; where one does, there is no limit.
_REACH = 6.0


def of_quantile(values: Floats, share: float, weight: Counts | None = None) -> Measured:
    """Measure numpy's (linear) quantile of a per-row number.

    The influence is the sparsity (one over the density there) times the share minus whether a row
    is below: Siddiqui's 1960 difference quotient of sample quantiles with Hall & Sheather's 1988
    bandwidth (Koenker, Quantile Regression, 2005, section 3.4.1). It serves where sums are all that
    is kept of a model; intervals are resampled.
    """
    every = values if weight is None else np.repeat(values, weight)
    value = float(np.quantile(every, share))
    # sign() puts rows exactly at the quantile on neither side; centring mends an uneven split.
    side = np.sign(values - value) / 2.0
    return Measured(
        value=value,
        influence=_sparsity(every, share) * (side - mean_of(side, weight)),
        weight=weight,
        resampled=Quantile(values=every, share=share),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantile:
    """A quantile of `values` (n,), resampled."""

    values: Floats
    share: float
    draws: Draws = field(default_factory=Draws)

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    def own(self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the quantile."""
        low, high = self.replicates(blocks, (1.0, 0.0))
        return ends(low, high, tail)

    def change(self, baseline: Self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the change of the quantile."""
        (new,), (old,) = (one.replicates(blocks, (0.5,)) for one in (self, baseline))
        # Beyond the largest row nothing is known, not even beside another such one.
        unknown = np.isinf(new) | np.isinf(old)
        found = np.where(unknown, np.nan, np.where(unknown, 0.0, new) - np.where(unknown, 0.0, old))
        return ends(found, found, tail)

    def replicates(self, blocks: Blocks, lowest: Sequence[float]) -> list[Floats]:
        """Return the quantile of each resample, with so much of the unknown row counted lowest."""
        edges = self._edges(blocks)
        codes = np.searchsorted(edges, self.values)
        below = blocks.weights @ np.cumsum(blocks.sums(codes, len(edges) + 1), axis=1)
        unknown = blocks.unknown
        wanted = self.share * (below[:, -1:] + unknown)
        reached = np.append(edges, np.inf)
        return [
            reached[np.count_nonzero(below[:, :-1] + part * unknown < wanted, axis=1)]
            for part in lowest
        ]

    def _edges(self, blocks: Blocks) -> Floats:
        """Return ascending values between which no replicate need be told apart."""
        ordered = np.sort(self.values)
        first, last = 0, len(ordered) - 1
        if blocks.number >= FEW_UNITS:
            middle, reach = self.share * last, _REACH * self._error(blocks) + 1.0
            first, last = max(0, int(middle - reach)), min(last, int(middle + reach) + 1)
        places = np.linspace(first, last, min(_BINS, last - first + 1)).astype(np.intp)
        return np.unique(ordered[places])

    def _error(self, blocks: Blocks) -> float:
        """Return the standard error of how many rows are up to the quantile, or more than that."""
        value = np.quantile(self.values, self.share, method="inverted_cdf")
        # With ties the two differ, and one alone may be without any spread.
        sides = (self.values <= value, self.values < value)
        found = [np.bincount(blocks.of_row, side - self.share) for side in sides]
        least = self.size * self.share * (1.0 - self.share)
        return math.sqrt(max(least, *(float(np.sum(off**2)) for off in found)))


def _sparsity(values: Floats, share: float) -> float:
    """Return the derivative of the quantile function at `share`."""
    n = len(values)
    normal = NormalDist()
    z = normal.inv_cdf(share)
    slope = 1.5 * normal.pdf(z) ** 2 / (2.0 * z**2 + 1.0)
    # z^(2/3) at z = 1.96; the cap keeps both quantiles inside the sample.
    bandwidth = min(1.96 ** (2 / 3) * slope ** (1 / 3) * n ** (-1 / 3), _most(share, n))
    if bandwidth <= 0.0:
        return 0.0
    below, above = np.quantile(values, [share - bandwidth, share + bandwidth])
    return float((above - below) / (2.0 * bandwidth))


def _most(share: float, n: int) -> float:
    return min(share, 1.0 - share) - 0.5 / n
