"""How many times longer one quantile is than another, with limits that hold over all looks.

What is known are counts in buckets of which each is the same factor longer than the one before, so
that a ratio is a number of buckets. A value is within a quantile or beyond it: that is a Bernoulli
answer whose rate is known, and so each arm has an exact test martingale for every bucket that its
quantile may lie in (Howard & Ramdas 2022, theorem 2, for a quantile fixed beforehand). The product
of both arms' is one for a pair of buckets. A ratio is ruled out when every pair that has it is.

Exact for independent values of any distribution, ties included, and to the bucket: a limit is never
too narrow, and at most two buckets too wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.sequential import above, concentration

if TYPE_CHECKING:
    import numpy.typing as npt

    from gates.stats.arrays import Floats

    Ints = npt.NDArray[np.intp]

_STAKE = 0.8


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Which quantile, how sure, and at how many values of one arm the evidence is to be strongest.

    Each limit by itself is ever wrong with a probability of at most `alpha`.
    """

    quantile: float
    alpha: float
    focus: float

    @property
    def wanted(self) -> float:
        """Return the log evidence that rules out."""
        return -math.log(self.alpha)


@dataclass(frozen=True, kw_only=True, eq=False)
class Arms:
    """Counts of both arms by bucket, from bucket `first` on: the new one's, and the base's."""

    first: int
    new: Floats
    base: Floats

    def times(self, multiple: float) -> Arms:
        """Return so many times the counts."""
        return Arms(first=self.first, new=self.new * multiple, base=self.base * multiple)

    def quantile(self, of: Floats, share: float) -> int | None:
        """Return the bucket of a quantile; None where there are no values."""
        reached = np.cumsum(of) >= share * of.sum()
        return self.first + int(np.argmax(reached)) if of.sum() else None


def arms(new: Mapping[int, int], base: Mapping[int, int]) -> Arms:
    """Return counts in one row of buckets, from those of buckets that hold any."""
    numbers = [*new, *base] or [0]
    first, size = min(numbers), max(numbers) - min(numbers) + 1
    rows = np.zeros((2, size))
    for row, counts in zip(rows, (new, base), strict=True):
        for number, count in counts.items():
            row[number - first] = count
    return Arms(first=first, new=rows[0], base=rows[1])


def limits(found: Arms, ask: Ask) -> tuple[int | None, int | None]:
    """Return the ratio's lower and upper limit, in buckets: the ratio is beyond neither.

    None where there is no limit.
    """
    farthest = len(found.new) + 1
    steps = range(-farthest, farthest + 1)
    # The longer a ratio, the less speaks for a longer one: the place is found by halving.
    low = _first(steps, lambda step: longer(found, step, ask) < ask.wanted)
    high = _first(steps, lambda step: shorter(found, step, ask) >= ask.wanted)
    return (low - 1 if low > steps[0] else None, high if high <= steps[-1] else None)


def longer(found: Arms, step: int, ask: Ask) -> float:
    """Return the log evidence that the ratio is greater than `step` buckets.

    Wherever the base's quantile is thought to lie: it lies lower, or the new one's lies beyond that
    and `step` more.
    """
    places = _places(found, step)
    return float(
        np.min(_within(found.base, places - 1, ask) + _past(found.new, places + step, ask))
    )


def shorter(found: Arms, step: int, ask: Ask) -> float:
    """Return the log evidence that the ratio is less than `step` buckets."""
    places = _places(found, step)
    return float(
        np.min(_past(found.base, places, ask) + _within(found.new, places + step - 1, ask))
    )


def _places(found: Arms, step: int) -> Ints:
    """Return all buckets in which the base's quantile may lie; further off nothing changes."""
    return np.arange(min(0, -step) - 1, len(found.new) + max(0, -step) + 2)


def _within(counts: Floats, places: Ints, ask: Ask) -> Floats:
    """Return the log evidence that the quantile lies no higher than in each bucket."""
    return _evidence(_upto(counts, places), counts.sum(), ask.quantile, ask)


def _past(counts: Floats, places: Ints, ask: Ask) -> Floats:
    """Return the log evidence that the quantile lies higher than in each bucket."""
    hits = counts.sum() - _upto(counts, places)
    return _evidence(hits, counts.sum(), 1.0 - ask.quantile, ask)


def _evidence(hits: Floats, size: float, rate: float, ask: Ask) -> Floats:
    worth = concentration(ask.focus, alpha=ask.alpha)
    found = above(hits, np.asarray(size), np.asarray(rate), worth=worth)
    # A part is staked, the rest kept: where one arm speaks against it, the other need not make up.
    return np.logaddexp(found + math.log(_STAKE), math.log1p(-_STAKE))


def _upto(counts: Floats, places: Ints) -> Floats:
    sums = np.concatenate(([0.0], np.cumsum(counts)))
    return np.asarray(sums[np.clip(places + 1, 0, len(counts))])


def _first(steps: range, holds: Callable[[int], bool]) -> int:
    """Return the first step from which on a condition holds; the end where it never does."""
    low, high = 0, len(steps)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(steps[middle]) else (middle + 1, high)
    return steps[0] + low
