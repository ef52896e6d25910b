"""Rows by ascending score. Rows of equal score form one step, and are never told apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gates.stats.arrays import Bools, Counts, Floats, Numbers

_BITS = 32
_PLACE = (1 << _BITS) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """The order of n entries, and how many rows and positives are on each of S steps.

    `order` (n,) holds places of entries, `positive` (n,) their labels in that order, and
    `entries` (S,) how many of them share a step; None where no two do, so that S is n.
    """

    order: Numbers
    positive: Bools
    entries: Numbers | None
    every: Counts
    positives: Numbers

    # Counts are whole numbers because those add up several times faster than floats do.
    @cached_property
    def every_reached(self) -> Counts:
        """Return how many rows are on each step or below it (S,)."""
        return np.cumsum(self.every)

    @cached_property
    def positives_reached(self) -> Counts:
        """Return how many positives are on each step or below it (S,)."""
        return np.cumsum(self.positives)

    def spread(self, of_step: Floats) -> Floats:
        """Return what belongs to each step (S,) for each entry, in ascending order (n,)."""
        return of_step if self.entries is None else np.repeat(of_step, self.entries)

    def placed(self, ascending: Floats) -> Floats:
        """Return what stands in ascending order (n,) at each entry's own place."""
        own = np.empty_like(ascending)
        own[self.order] = ascending
        return own


@dataclass(frozen=True, kw_only=True, eq=False)
class PositiveSteps:
    """The steps that have a positive: as much of the order as the value of a metric needs.

    On each of them (arrays, or 1 where no two rows share a step) and below it: rows, positives.
    """

    rows: int
    positives: int
    on_step: Numbers
    on_step_every: Numbers
    positives_below: Numbers
    every_below: Numbers


def positive_steps(label: Numbers, rank: Numbers) -> PositiveSteps:
    """Return the steps with a positive (label 1) of rows with these ranks of their scores.

    Rank and label fit one small number, so this sorts half the bytes that places would take, and
    has nothing to look up or to put back.
    """
    key = rank.astype(np.uint32)
    key <<= 1
    key |= label == 1
    key.sort()
    positive = (key & 1).astype(np.bool_)
    key >>= 1
    at = np.flatnonzero(positive)
    first = _first(key)
    if first.all():
        one = np.ones(1, dtype=np.int64)
        return PositiveSteps(
            rows=len(key),
            positives=len(at),
            on_step=one,
            on_step_every=one,
            positives_below=np.arange(len(at)),
            every_below=at,
        )
    starts = np.flatnonzero(first)
    on_step = np.add.reduceat(positive, starts, dtype=np.int64)
    below = np.cumsum(on_step) - on_step
    some = on_step > 0
    every = np.diff(starts, append=len(key))
    return PositiveSteps(
        rows=len(key),
        positives=len(at),
        on_step=on_step[some],
        on_step_every=every[some],
        positives_below=below[some],
        every_below=starts[some],
    )


def ranks(score: Floats) -> Numbers:
    """Return each score's place among the distinct scores (n,), from 0."""
    order = np.argsort(score)
    rank = np.empty(len(score), dtype=np.int32)
    rank[order] = np.cumsum(_first(score[order])) - 1
    return rank


def steps_of(
    positive: Bools, score: Floats, *, weight: Counts | None = None, rank: Numbers | None = None
) -> Steps:
    """Return the steps of entries (n,); with `rank` of their scores that is one sort of integers.

    A number that holds rank and place together needs no second look-up after the sort, and plain
    sorts have vector instructions on every processor where sorts of places have not.
    """
    if rank is None:
        order = np.argsort(score)
        first = _first(score[order])
    else:
        both = (rank.astype(np.int64) << _BITS) | np.arange(len(rank))
        both.sort()
        order = both & _PLACE
        both >>= _BITS
        first = _first(both)
    return _counted(order, first, positive[order], None if weight is None else weight[order])


def _counted(order: Numbers, first: Bools, positive: Bools, weight: Counts | None) -> Steps:
    # One row each needs no counts of its own, and its label is its count of positives.
    every: Counts = np.broadcast_to(np.int64(1), len(order)) if weight is None else weight
    positives: Numbers = positive if weight is None else weight * positive
    entries = None
    if not first.all():
        starts = np.flatnonzero(first)
        entries = np.diff(starts, append=len(order))
        every = np.add.reduceat(every, starts)
        positives = np.add.reduceat(positives, starts, dtype=np.int64)
    return Steps(order=order, positive=positive, entries=entries, every=every, positives=positives)


def _first(ascending: Numbers) -> Bools:
    """Return which of ascending values differ from the one before."""
    first = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return first
