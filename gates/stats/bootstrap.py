"""The block bootstrap: intervals for metrics that have no slope to linearise.

Rows are put into at most `MOST_BLOCKS` blocks by a hash of their id or cluster; few rows, or few
clusters, are a block each. What a metric is made of is summed by block once, so that a thousand
resamples are one product of matrices: weights (replicates, blocks) times sums (blocks, bins).
Both models get the same weights, which is what makes their difference a paired one.

Weights are exponential, those of the Bayesian bootstrap (Rubin 1981) but for a factor that every
metric here cancels: unlike multinomial counts they leave no group empty. Limits are percentiles of
the replicates, at a level widened by Student's t below `FEW_UNITS` blocks (Hesterberg 2015, "What
teachers should know about the bootstrap": the expanded percentile interval).

An extreme (a maximum) has no interval here either: the bootstrap is inconsistent for it (Bickel &
Freedman 1981).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from gates.stats.measured import Undefined

if TYPE_CHECKING:
    from gates.stats.arrays import Counts, Floats, Numbers
    from gates.stats.measured import Measured, Rows

METHOD = "block bootstrap"
MOST_BLOCKS = 2048
REPLICATES = 1000
FEW_UNITS = 50
# What asking a metric again and again may cost: rows times resamples, and the fewest that will do.
MOST_MEASURED = 50_000_000
FEWEST_REPLICATES = 200
# So much finer than blocks that few clusters seldom share a number.
_FINE = 64 * MOST_BLOCKS

Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Draws:
    """What is drawn: rows with equal `hashes` (n,) together, or else every row; and from where."""

    hashes: Numbers | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """The block of each row (n,), how many there are, and the seed of their weights.

    `unit` is the mean number of rows that belong together; a block may have several such units.
    """

    of_row: Numbers
    number: int
    seed: int
    unit: float = 1.0

    def generator(self) -> np.random.Generator:
        """Return the generator from which everything about these blocks is drawn."""
        return np.random.default_rng(self.seed)

    @cached_property
    def _weights(self) -> Floats:
        return self.generator().standard_exponential((REPLICATES, self.number + 1))

    @property
    def weights(self) -> Floats:
        """Return the blocks' weights (replicates, blocks), of mean 1; the same for both models."""
        return self._weights[:, :-1]

    @property
    def unknown(self) -> Floats:
        """Return the weight of one unit more (replicates, 1), in rows."""
        return self._weights[:, -1:] * self.unit

    def sums(self, codes: Numbers, bins: int, column: Floats | None = None) -> Floats:
        """Return the sums of a column (None: the number of rows) by block and bin."""
        flat = np.bincount(self.of_row * bins + codes, column, minlength=self.number * bins)
        return flat.reshape(self.number, bins).astype(np.float64)


class Resampled(Protocol):
    """How a metric's value comes of its rows, so that it can be had of resampled ones."""

    @property
    def draws(self) -> Draws:
        """Return what is drawn."""

    @property
    def size(self) -> int:
        """Return the number of rows."""

    def own(self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the value, each with about `tail` beyond; infinite for none."""

    def change(self, baseline: Self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the value minus the baseline's, which is of the same rows."""


def drawn(measured: Measured, hashes: Numbers, *, seed: int, metric: str) -> Measured:
    """Return the same, to be resampled by these hashes (n,) of the rows' ids or clusters."""
    if measured.resampled is None:
        return measured
    text = f"{seed}/{metric}".encode()
    each = _repeated(hashes, measured.weight)
    draws = Draws(hashes=each, seed=int.from_bytes(hashlib.sha256(text).digest()[:8]))
    return replace(measured, resampled=replace(measured.resampled, draws=draws))  # type: ignore[type-var]


def own_interval(
    measured: Measured, *, confidence: float, clusters: Numbers | None = None
) -> Ends | None:
    """Return the interval of one model's metric; None where the rows are too few for one."""
    found = measured.resampled
    if found is None:
        return None
    blocks = blocks_of(found.draws, found.size, _repeated(clusters, measured.weight))
    tail = tail_of(confidence, blocks.number)
    return None if tail is None else _around(measured.value, found.own(blocks, tail))


def change_interval(
    baseline: Measured,
    candidate: Measured,
    *,
    confidence: float,
    clusters: Numbers | None = None,
) -> Ends | None:
    """Return the interval of candidate - baseline; None where the rows are too few for one."""
    old, new = baseline.resampled, candidate.resampled
    if old is None or new is None:
        return None
    blocks = blocks_of(new.draws, new.size, _repeated(clusters, candidate.weight))
    tail = tail_of(confidence, blocks.number)
    if tail is None:
        return None
    return _around(candidate.value - baseline.value, new.change(old, blocks, tail))


def _repeated(column: Numbers | None, weight: Counts | None) -> Numbers | None:
    """Return a column of entries as one of rows, which is what is resampled."""
    return column if column is None or weight is None else np.repeat(column, weight)


def blocks_of(draws: Draws, rows: int, clusters: Numbers | None = None) -> Blocks:
    """Return the blocks of so many rows: by their hashes, else by cluster, else one by one.

    Where the hashes are known, the result does not depend on the order of the rows.
    """
    unit = 1.0 if clusters is None else rows / np.count_nonzero(np.bincount(clusters))
    keys = draws.hashes if draws.hashes is not None else clusters
    if keys is None and rows <= MOST_BLOCKS:
        return Blocks(of_row=np.arange(rows), number=rows, seed=draws.seed)
    if keys is None:
        keys = np.random.default_rng(draws.seed).integers(0, MOST_BLOCKS, rows)
    elif rows > MOST_BLOCKS:
        fine = keys % _FINE
        few = np.count_nonzero(np.bincount(fine)) <= MOST_BLOCKS
        keys = fine if few else keys % MOST_BLOCKS
    found, of_row = np.unique(keys, return_inverse=True)
    return Blocks(of_row=of_row, number=len(found), seed=draws.seed, unit=unit)


def tail_of(confidence: float, units: int) -> float | None:
    """Return the share of replicates beyond each limit; None for a single unit, which tells none.

    Percentiles of few units are too narrow as a mean's normal interval is, without its n / (n - 1)
    and Student's t: so the level is that at which the normal interval would be as wide.
    """
    if units < 2:
        return None
    tail = (1.0 - confidence) / 2.0
    if units >= FEW_UNITS:
        return tail
    from scipy.special import stdtrit

    wide = float(stdtrit(units - 1, 1.0 - tail)) * math.sqrt(units / (units - 1))
    return NormalDist().cdf(-wide)


def ends(low: Floats, high: Floats, tail: float) -> Ends:
    """Return the limits that leave `tail` of the replicates beyond them, or a little less.

    A replicate that is undefined is beyond both: it is never left out.
    """
    rank = max(0, math.floor(tail * (len(low) + 1)) - 1)
    below = np.sort(np.where(np.isnan(low), -np.inf, low))
    above = np.sort(np.where(np.isnan(high), np.inf, high))
    return float(below[rank]), float(above[len(above) - 1 - rank])


def _around(value: float, found: Ends) -> Ends | None:
    """Return limits with the value between them; None if there is none on one side."""
    low, high = min(value, found[0]) + 0.0, max(value, found[1]) + 0.0
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Remeasured:
    """Any metric whose own function says what it is of rows with a weight (`Rows.weight`).

    Blocks are drawn as often as chance has it (multinomial), and the metric is measured again each
    time. What that costs has a limit, `MOST_MEASURED`; beyond it there is no interval.
    """

    rows: Rows
    measure: Callable[[Rows], Measured]
    draws: Draws = field(default_factory=Draws)

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return self.rows.size

    def own(self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the value."""
        found = self._replicates(blocks)
        return ends(found, found, tail)

    def change(self, baseline: Self, blocks: Blocks, tail: float) -> Ends:
        """Return limits of the change."""
        found = self._replicates(blocks) - baseline._replicates(blocks)
        return ends(found, found, tail)

    def _replicates(self, blocks: Blocks) -> Floats:
        """Return the metric of each resample, nan where it has no value there."""
        number = min(REPLICATES, MOST_MEASURED // self.size)
        if number < FEWEST_REPLICATES:
            return np.full(1, np.nan)
        rows = self.rows.written_out()
        shares = np.full(blocks.number, 1.0 / blocks.number)
        drawn_blocks = blocks.generator().multinomial(blocks.number, shares, size=number)
        found = [self._value(_weighted(rows, times[blocks.of_row])) for times in drawn_blocks]
        expected = self._value(_weighted(rows, drawn_blocks[0][blocks.of_row]).written_out())
        if not np.isclose(found[0], expected, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise ValueError("the metric does not heed Rows.weight, so it cannot be resampled")
        return np.array(found)

    def _value(self, rows: Rows) -> float:
        try:
            return self.measure(rows).value
        except Undefined:
            return math.nan


def _weighted(rows: Rows, times: Numbers) -> Rows:
    """Return rows, each as often as it was drawn."""
    inside = times > 0
    return replace(rows.take(inside), weight=times[inside])
