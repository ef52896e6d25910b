"""What was measured of a model, as a side of a comparison: its limits, and its part in the other's.

Which limits a value has depends on what it is: a rate Wilson's, a value of ranks Wilson's too (of
as many answers as it is as good as), any other those of its influence or of its resamples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.bootstrap import own_interval
from gates.stats.measured import size_of
from gates.stats.score_intervals import normal_quantile
from gates.stats.sides import Side, answers
from gates.stats.units import Deviation, Error, correlation, error_of, smallest

if TYPE_CHECKING:
    from gates.stats.arrays import Floats, Numbers
    from gates.stats.measured import Measured

FEW_DISCORDANT = 30
# With fewer rows of a class, nothing that there is to say of ranks is worth deciding by.
FEW_OF_A_CLASS = 5


def side_of(
    measured: Measured, *, confidence: float, clusters: Numbers | None = None
) -> Side | None:
    """Return a model's value with its limits, or None where these rows do not tell of its error."""
    if measured.rate is not None and clusters is None:
        _, size = measured.rate.counts()
        arm = math.sqrt(max(0.0, measured.value * (1.0 - measured.value)) / size)
        return Side(value=measured.value, below=arm, above=arm, answers=size)
    if measured.resampled is not None:
        found = own_interval(measured, confidence=confidence, clusters=clusters)
        return None if found is None else _of_ends(measured.value, found, confidence)
    if measured.trials is not None:
        return ranked_side(measured, measured, clusters)
    if measured.influence is None:
        return None
    error = error_of(deviation_of(measured, measured.influence, clusters))
    if error is None:
        return None
    rows = size_of(measured.influence, measured.weight)
    variance, _ = with_pseudo_rows(error.variance, measured.unit, rows)
    arm = math.sqrt(variance)
    return Side(value=measured.value, below=arm, above=arm, freedom=error.freedom)


def _of_ends(value: float, ends: tuple[float, float], confidence: float) -> Side:
    z = normal_quantile(confidence)
    return Side(value=value, below=(value - ends[0]) / z, above=(ends[1] - value) / z)


def ranked_side(
    measured: Measured, rows: Measured, clusters: Numbers | None, error: Error | None = None
) -> Side | None:
    """Return a value of ranks with its limits; None where a class is too small.

    `rows` is what was measured of these rows in full: of a stored baseline there is less. `error`
    is that of the value, where somebody worked it out already.
    """
    if measured.influence is None or rows.trials is None:
        return None
    if rows.strata is not None and smallest(rows.strata, rows.weight) < FEW_OF_A_CLASS:
        return None
    error = error or error_of(deviation_of(rows, measured.influence, clusters))
    if error is None:
        return None
    least = rows.trials / _design_effect(rows, clusters)
    size = answers(measured.value, error.variance, least)
    arm = math.sqrt(error.variance)
    return Side(value=measured.value, below=arm, above=arm, freedom=error.freedom, answers=size)


@dataclass(frozen=True, kw_only=True)
class Together:
    """The errors of two models' values and of their change, on the same rows."""

    baseline: Error
    candidate: Error
    change: Error

    @property
    def correlation(self) -> float:
        """Return how far the two values are correlated."""
        return correlation(self.baseline.variance, self.candidate.variance, self.change.variance)

    @property
    def freedom(self) -> float:
        """Return the fewest degrees of freedom among them."""
        return min(one.freedom for one in (self.baseline, self.candidate, self.change))


def together_of(
    baseline: Measured, candidate: Measured, clusters: Numbers | None
) -> Together | None:
    """Return the errors of two models on the same rows; None where there are none to be had."""
    if baseline.influence is None or candidate.influence is None:
        return None
    old, new, change = (
        error_of(deviation_of(candidate, moved, clusters))
        for moved in (
            baseline.influence,
            candidate.influence,
            candidate.influence - baseline.influence,
        )
    )
    if old is None or new is None or change is None:
        return None
    return Together(baseline=old, candidate=new, change=change)


def deviation_of(measured: Measured, influence: Floats, clusters: Numbers | None) -> Deviation:
    """Return an influence on the rows that a metric was measured on."""
    return Deviation(
        influence=influence, clusters=clusters, strata=measured.strata, weight=measured.weight
    )


def _design_effect(measured: Measured, clusters: Numbers | None) -> float:
    """Return by how much clusters widen the variance: at least 1, and their size if none shows."""
    if clusters is None or measured.influence is None:
        return 1.0
    together, alone = (
        error_of(deviation_of(measured, measured.influence, codes)) for codes in (clusters, None)
    )
    if together is None or alone is None:
        return 1.0
    if alone.variance == 0.0:
        return len(clusters) / np.count_nonzero(np.bincount(clusters))
    return max(1.0, together.variance / alone.variance)


def with_pseudo_rows(variance: float, unit: float | None, rows: int) -> tuple[float, bool]:
    """Add two pseudo rows, a win and a loss, to a metric of counts that has few discordant rows.

    Where few rows decide, their spread understates the error, and with none it is zero. One row for
    each side is what Bonett & Price 2012 add to a difference of paired proportions (Agresti & Min
    2005 half as much); here it is lifted to any metric of counts by its `unit`, the most that one
    row can move it. The rows are counted by the same measure: for accuracy squares / unit² is the
    number of discordant rows. Conservative in simulation (see the tests); there is no proof.
    """
    if unit is None:
        return variance, False
    one = (unit / rows) ** 2
    if variance >= FEW_DISCORDANT * one:
        return variance, False
    return variance + 2.0 * one, True
