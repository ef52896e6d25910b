"""How many rows decide a limit, and which limit so many rows can decide.

A limit is passed when the whole two-sided interval lies within it. With a true change of `drop`
towards the limit, that happens with probability `power` once the margin that is left is
z(confidence) + z(power) standard errors wide:

    rows = (z(confidence) + z(power))² · variance / (margin - drop)²

(the normal approximation of Nam 1997 and Liu, Hsueh, Hsieh & Chen 2002 for paired rates; the same
equation for anything that behaves like a mean). `variance` is always per row of the whole set. A
sum over independent clusters has a larger one: the design effect is in it, not beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.intervals import FEW_DISCORDANT
from gates.stats.score_intervals import normal_quantile, wilson

if TYPE_CHECKING:
    from gates.stats.arrays import Floats, Numbers
    from gates.stats.measured import Measured

# What is taken for granted while only one of the two models is known. A linear model and boosted
# trees differ in 0.03 to 0.08 of the rows and are correlated by 0.3 to 0.9 (census, cancer, wine
# and diabetes data of UCI and scikit-learn); a retrained model of the same kind is nearer.
ASSUMED_DISCORDANCE = 0.1
ASSUMED_CORRELATION = 0.7

_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class Aim:
    """How surely a limit is to be decided.

    `confidence` is that of the two-sided interval, so a pass at 0.95 is a one-sided test at 0.025.
    `drop` is the true change towards the limit that must still pass.
    """

    confidence: float
    power: float = 0.8
    drop: float = 0.0

    @property
    def errors(self) -> float:
        """Return how many standard errors the margin beyond `drop` must be wide."""
        return normal_quantile(self.confidence) + NormalDist().inv_cdf(self.power)


def rows_needed(variance: float, margin: float, aim: Aim) -> int:
    """Return how many rows decide `margin`. Raises ValueError if not even endless rows would."""
    room = margin - aim.drop
    if room <= 0.0:
        raise ValueError("the margin is no wider than the change that is to pass")
    return max(1, math.ceil(aim.errors**2 * variance / room**2 - _SLACK))


def smallest_margin(variance: float, rows: int, aim: Aim) -> float:
    """Return the smallest margin that `rows` > 0 rows decide."""
    return aim.drop + aim.errors * math.sqrt(variance / rows)


def paired_rate_variance(discordance: float, drop: float = 0.0) -> float:
    """Return the variance of (right in one model) - (right in the other), two paired rates.

    `discordance` is the share of rows where exactly one model is right; `drop` the difference.
    """
    return discordance - drop**2


def value_variance(influence: Floats, clusters: Numbers | None = None) -> float:
    """Return the variance per row of one model's metric, from its influence (n,).

    `clusters` are codes (n,) of rows that belong together; they are summed first, with CR1's factor
    (Liang & Zeger 1986). Infinite for a single unit: it says nothing about its own error.
    """
    parts = influence if clusters is None else np.bincount(clusters, weights=influence)
    units = len(influence) if clusters is None else len(np.unique(clusters))
    if units < 2:
        return math.inf
    return float(np.sum(parts**2)) / len(influence) * units / (units - 1)


def paired_variance(
    candidate: Floats, baseline: Floats | None = None, clusters: Numbers | None = None
) -> float:
    """Return the variance per row of candidate - baseline, from the influences (n,) of a metric.

    Without the baseline's it is the variance of the difference between two models alike in spread
    and correlated by `ASSUMED_CORRELATION`: 2 · (1 - correlation) · variance of one.
    """
    if baseline is None:
        return 2.0 * (1.0 - ASSUMED_CORRELATION) * value_variance(candidate, clusters)
    return value_variance(candidate - baseline, clusters)


def expected_variance(measured: Measured, clusters: Numbers | None = None) -> float | None:
    """Return the variance per row to expect of the change to a model not yet known.

    For a rate whose rows do not depend on the model it rests on `ASSUMED_DISCORDANCE`, else on
    `ASSUMED_CORRELATION`. None where these rows hold no information on the metric's error.
    """
    influence = measured.influence
    if influence is None:
        return None
    if measured.rate is None:
        variance = paired_variance(influence, clusters=clusters)
        variance += _pseudo_rows(variance, len(influence), measured.unit)
    else:
        hits, size = measured.rate.counts()
        low, high = wilson(hits, size, confidence=0.95)
        # Two models that err in 1 % of rows differ in at most 2 %. Wilson: luck may make it 0.
        discordance = min(ASSUMED_DISCORDANCE, 2.0 * high, 2.0 * (1.0 - low))
        effect = _design_effect(influence, clusters)
        variance = paired_rate_variance(discordance) * len(influence) / size * effect
    return variance if 0.0 < variance < math.inf else None


def round_up(value: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `value` > 0."""
    exponent = math.floor(math.log10(value))
    # From its decimal text, so that 2.5e-3 is the number a person would write.
    steps = (float(f"{step}e{exponent}") for step in _ROUND)
    return next(step for step in steps if step >= value * (1.0 - _SLACK))


def round_out(value: float) -> float:
    """Return the smallest number of two significant digits that is at least `value` > 0."""
    exponent = math.floor(math.log10(value)) - 1
    digits = math.ceil(value / 10.0**exponent * (1.0 - _SLACK))
    return float(f"{digits}e{exponent}")


def _pseudo_rows(variance: float, rows: int, unit: float | None) -> float:
    """Return what the interval of a metric of counts will add while few rows differ."""
    few = unit is not None and variance * rows < FEW_DISCORDANT * unit**2
    return 2.0 * (unit or 0.0) ** 2 / rows if few else 0.0


def _design_effect(influence: Floats, clusters: Numbers | None) -> float:
    """Return by how much clusters widen the variance; never below 1, which would be luck."""
    alone = value_variance(influence)
    if clusters is None or not 0.0 < alone < math.inf:
        return 1.0
    return max(1.0, value_variance(influence, clusters) / alone)
