"""What every metric takes and gives back: rows in; a value and each row's influence out.

The influence of row i is n · d(metric)/d(weight of row i), taken at equal weights. One vector per
metric and model is all the delta method needs: the standard error of the metric, of a paired
difference, and of either under clustering are sums over it (Hampel 1974; statistics of any smooth
functional behave like the mean of its influence).

Rows that are alike need not be repeated: an entry may stand for several rows (`weight`). Whatever
is measured then is what it would be with the rows written out, so a table of millions may come as
a few cells.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.arrays import Bools, Counts, Floats, Numbers

if TYPE_CHECKING:
    from gates.stats.bootstrap import Resampled
    from gates.stats.steps import Steps


class Undefined(Exception):
    """A metric has no value on these rows; `reason` says why, in plain words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """One model's outputs beside the truth: n rows, in as many entries or fewer.

    `label` and `prediction` are 0 and 1 (1 is the positive class), class codes below `classes`, or
    numbers (regression). `score` is the probability of the positive class (n,), or of every
    class (n, classes). `weight` says how many equal rows an entry stands for, at least 1; without
    it each is one. `rank` is the order of the scores (n,), where somebody worked it out already.
    """

    label: Numbers
    prediction: Numbers
    score: Floats | None = None
    classes: int = 2
    weight: Counts | None = None
    rank: Numbers | None = None

    def __post_init__(self) -> None:
        """Refuse columns of different lengths, which numpy would sometimes broadcast."""
        given = (self.label, self.prediction, self.score, self.weight, self.rank)
        if len({len(column) for column in given if column is not None}) > 1:
            raise ValueError("label, prediction, score, weight and rank differ in length")
        if self.weight is not None and np.any(self.weight < 1):
            raise ValueError("an entry that stands for no row must be left out")

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.label)

    @property
    def size(self) -> int:
        """Return the number of rows that the entries stand for."""
        return size_of(self.label, self.weight)

    @cached_property
    def steps(self) -> Steps:
        """Return the rows by ascending score; worked out once for all metrics that rank."""
        from gates.stats.steps import steps_of

        if self.score is None or self.score.ndim > 1:
            raise Undefined("no score column to rank by")
        return steps_of(self.label == 1, self.score, weight=self.weight, rank=self.rank)

    def ranked(self) -> Rows:
        """Return the same rows with the order of their scores, which every part then inherits."""
        from gates.stats.steps import ranks

        if self.score is None or self.score.ndim > 1:
            return self
        return replace(self, rank=ranks(self.score))

    def take(self, places: Numbers | slice) -> Rows:
        """Return the entries at these places, or where a mask is true."""
        columns = ("label", "prediction", "score", "weight", "rank")
        given = {name: getattr(self, name) for name in columns}
        return replace(self, **{name: c[places] for name, c in given.items() if c is not None})

    def agree(self, other: Rows) -> bool:
        """Return whether another model's outputs on the same rows are equal to these."""
        if self.score is None or other.score is None:
            scores = self.score is other.score
        else:
            scores = np.array_equal(self.score, other.score)
        return scores and np.array_equal(self.prediction, other.prediction)

    def written_out(self) -> Rows:
        """Return the same with an entry for every row, for who knows no weights."""
        if self.weight is None:
            return self
        every = np.repeat(np.arange(len(self)), self.weight)
        return replace(self.take(every), weight=None)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rate:
    """A proportion, row by row: `hits` among `of`.

    Two rates are compared as paired proportions only where `of` is the same rows in both, which
    holds whenever the denominator does not depend on the model.
    """

    hits: Bools
    of: Bools
    weight: Counts | None = None

    def counts(self) -> tuple[int, int]:
        """Return the number of hits and the number of rows they are among."""
        return count_of(self.hits & self.of, self.weight), count_of(self.of, self.weight)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A metric's value, and what an interval around it can be made of.

    `influence` (entries,) has mean zero over the rows; it is None where there is no slope. Where
    the slope is not what to go by, `resampled` says how the value comes of resampled rows. `unit`
    is the most that one row moves the influence by being got right rather than wrong, for metrics
    that count rows. `strata` tells which rows are centred apart from the others, one degree of
    freedom for either (AUC). `trials` is for a value between 0 and 1 that is no count: how many
    yes-or-no answers its rows are taken to be worth while they do not tell (see `sides.answers`).
    `weight` is that of the rows it was measured on.
    """

    value: float
    influence: Floats | None
    rate: Rate | None = None
    unit: float | None = None
    strata: Bools | None = None
    trials: float | None = None
    weight: Counts | None = None
    resampled: Resampled | None = None


def of_mean(values: Numbers, weight: Counts | None = None) -> Measured:
    """Measure the mean of a per-row loss."""
    mean = mean_of(values, weight)
    return Measured(value=mean, influence=values - mean, weight=weight)


def of_rate(hits: Bools, of: Bools, *, when_empty: str, weight: Counts | None = None) -> Measured:
    """Measure the share of `hits` among `of`; raise Undefined(when_empty) if `of` has no row."""
    rate = Rate(hits=hits, of=of, weight=weight)
    right, size = rate.counts()
    if size == 0:
        raise Undefined(when_empty)
    value, unit = right / size, size_of(of, weight) / size
    influence = np.where(of, hits - value, 0.0) * unit
    return Measured(value=value, influence=influence, rate=rate, unit=unit, weight=weight)


def size_of(column: Numbers, weight: Counts | None) -> int:
    """Return how many rows a column has, written out."""
    return len(column) if weight is None else int(weight.sum())


def count_of(mask: Numbers, weight: Counts | None) -> int:
    """Return for how many rows a mask is true."""
    return int(np.count_nonzero(mask) if weight is None else weight[mask].sum())


def mean_of(values: Numbers, weight: Counts | None) -> float:
    """Return the mean over rows."""
    return float(np.mean(values) if weight is None else np.average(values, weights=weight))


def count(number: int, one: str, many: str) -> str:
    """Return a count with its noun, for a reason."""
    return f"{number:,} {one if number == 1 else many}"


def refuse_rows(bad: Numbers, reason: str, weight: Counts | None = None) -> None:
    """Raise Undefined, with how many rows, if any row is bad."""
    number = count_of(bad, weight)
    if number:
        raise Undefined(f"{reason} in {count(number, 'row', 'rows')}")
