"""What every metric takes and gives back: rows in; a value and each row's influence out.

The influence of row i is n · d(metric)/d(weight of row i), taken at equal weights. One vector per
metric and model is all the delta method needs: the standard error of the metric, of a paired
difference, and of either under clustering are sums over it (Hampel 1974; statistics of any smooth
functional behave like the mean of its influence).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[Any]


class Undefined(Exception):
    """A metric has no value on these rows; `reason` says why, in plain words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """One model's outputs beside the truth, n rows.

    `label` and `prediction` are 0 and 1 (1 is the positive class), class codes below `classes`, or
    numbers (regression). `score` is the probability of the positive class (n,), or of every
    class (n, classes).
    """

    label: Numbers
    prediction: Numbers
    score: Floats | None = None
    classes: int = 2

    def __post_init__(self) -> None:
        """Refuse columns of different lengths, which numpy would sometimes broadcast."""
        scored = len(self.label) if self.score is None else len(self.score)
        if not len(self.label) == len(self.prediction) == scored:
            raise ValueError("label, prediction and score differ in length")

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index_or_mask: Numbers) -> Rows:
        """Return the rows at these places, or where this mask is true."""
        return replace(
            self,
            label=self.label[index_or_mask],
            prediction=self.prediction[index_or_mask],
            score=None if self.score is None else self.score[index_or_mask],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Rate:
    """A proportion, row by row: `hits` among `of`.

    Two rates are compared as paired proportions only where `of` is the same rows in both, which
    holds whenever the denominator does not depend on the model.
    """

    hits: Bools
    of: Bools

    def counts(self) -> tuple[int, int]:
        """Return the number of hits and the number of rows they are among."""
        return int(np.count_nonzero(self.hits & self.of)), int(np.count_nonzero(self.of))


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A metric's value, and what an interval around it can be made of.

    `influence` (n,) has mean zero; it is None where no interval exists. `unit` is the most that one
    row moves the influence by being got right rather than wrong, for metrics that count rows.
    `strata` are the classes whose rows are centred separately, one degree of freedom each (AUC).
    """

    value: float
    influence: Floats | None
    rate: Rate | None = None
    unit: float | None = None
    strata: Numbers | None = None


def of_mean(values: Numbers) -> Measured:
    """Measure the mean of a per-row loss."""
    mean = float(np.mean(values))
    return Measured(value=mean, influence=values - mean)


def of_rate(hits: Bools, of: Bools, *, when_empty: str) -> Measured:
    """Measure the share of `hits` among `of`; raise Undefined(when_empty) if `of` has no row."""
    rate = Rate(hits=hits, of=of)
    right, size = rate.counts()
    if size == 0:
        raise Undefined(when_empty)
    value, unit = right / size, len(of) / size
    influence = np.where(of, hits - value, 0.0) * unit
    return Measured(value=value, influence=influence, rate=rate, unit=unit)


def count(number: int, one: str, many: str) -> str:
    """Return a count with its noun, for a reason."""
    return f"{number:,} {one if number == 1 else many}"


def refuse_rows(bad: Numbers, reason: str) -> None:
    """Raise Undefined, with how many rows, if any row is bad."""
    number = int(np.count_nonzero(bad))
    if number:
        raise Undefined(f"{reason} in {count(number, 'row', 'rows')}")
