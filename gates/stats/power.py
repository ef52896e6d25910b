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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.intervals import single
from gates.stats.measured import size_of
from gates.stats.measured_sides import ranked_side
from gates.stats.score_intervals import normal_quantile, wilson
from gates.stats.sides import difference
from gates.stats.units import quantile

if TYPE_CHECKING:
    from gates.stats.arrays import Numbers
    from gates.stats.measured import Measured

# What is taken for granted while only one of the two models is known. A linear model and boosted
# trees differ in 0.03 to 0.08 of the rows and are correlated by 0.3 to 0.9 (census, cancer, wine
# and diabetes data of UCI and scikit-learn); a retrained model of the same kind is nearer.
ASSUMED_DISCORDANCE = 0.1
ASSUMED_CORRELATION = 0.7


@dataclass(frozen=True, kw_only=True)
class Assumed:
    """How two models differ of which only one is known.

    `discordance` is the share of rows in which exactly one is right, `correlation` that of what
    each row contributes to a metric that is no such rate.
    """

    discordance: float = ASSUMED_DISCORDANCE
    correlation: float = ASSUMED_CORRELATION


ASSUMED = Assumed()
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


def variance_of(arm: float, rows: int, confidence: float) -> float:
    """Return the variance per row behind an interval, from one of its arms.

    Whatever made the interval wide is in it: clusters, few units, pseudo rows.
    """
    return rows * (arm / normal_quantile(confidence)) ** 2


def arm_of(variance: float, rows: int, confidence: float) -> float:
    """Return the arm of the interval that `rows` > 0 rows of this variance give."""
    return normal_quantile(confidence) * math.sqrt(variance / rows)


def chance(variance: float, rows: int, room: float, *, errors: float = 0.0) -> float:
    """Return how probably an estimate is within `room`, by `errors` standard errors at least."""
    error = math.sqrt(variance / rows)
    return NormalDist().cdf(room / error - errors) if error > 0.0 else float(room >= 0.0)


def widening(ways: int, aim: Aim) -> float:
    """Return how much wider a margin must be that the worst of `ways` numbers has to keep.

    All of them keep it with the power asked for if each does with its `ways`-th root, were they
    independent; they are not, which errs to the safe side.
    """
    each = NormalDist().inv_cdf(aim.power ** (1.0 / ways))
    return (normal_quantile(aim.confidence) + each) / aim.errors


def gap_arm(arms: Sequence[float], aim: Aim, *, rates: int = 1) -> float:
    """Return the arm to reckon with for the widest gap between groups, from those of the groups.

    A gap is between two groups, whose errors add up in squares: here the two of whom least is
    known. Where groups are level any pair, either way round and in any rate, may come out widest.
    Where one gap is the widest by far, this is too careful, by up to a third for three groups.
    """
    pairs = len(arms) * (len(arms) - 1)
    return math.hypot(*sorted(arms)[-2:]) * widening(pairs * rates, aim)


def expected_variance(
    measured: Measured,
    clusters: Numbers | None = None,
    *,
    assumed: Assumed = ASSUMED,
    confidence: float = 0.95,
) -> float | None:
    """Return the variance per row to expect of the change to a model not yet known.

    For a rate whose rows do not depend on the model it rests on the discordance that is assumed,
    else on the correlation: 2 · (1 - correlation) · variance of one. `clusters` are codes (n,) of
    rows that belong together. None where these rows hold no information on the metric's error.
    """
    influence = measured.influence
    if influence is None:
        return None
    rows = size_of(influence, measured.weight)
    if measured.trials is not None:
        arm = _arm_of_ranks(measured, clusters, assumed.correlation, confidence)
        return None if arm is None else variance_of(arm, rows, confidence)
    if measured.rate is None:
        spread = math.sqrt(2.0 * (1.0 - assumed.correlation))
        arm = _arm(replace(measured, influence=influence * spread), clusters, confidence)
        return None if arm is None else variance_of(arm, rows, confidence)
    hits, size = measured.rate.counts()
    low, high = wilson(hits, size, confidence=0.95)
    # Two models that err in 1 % of rows differ in at most 2 %. Wilson: luck may make it 0.
    discordance = min(assumed.discordance, 2.0 * high, 2.0 * (1.0 - low))
    variance = paired_rate_variance(discordance) * rows / size
    effect = 1.0 if clusters is None else _design_effect(measured, clusters, confidence)
    return None if effect is None else variance * effect


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


def _arm(measured: Measured, clusters: Numbers | None, confidence: float) -> float | None:
    """Return the arm of the interval around a value; None where there is no such interval."""
    around = replace(measured, value=0.0, rate=None, resampled=None)
    found = single(around, confidence=confidence, clusters=clusters)
    return None if found is None else found.high


def _arm_of_ranks(
    measured: Measured, clusters: Numbers | None, correlation: float, confidence: float
) -> float | None:
    """Return the arm of the change to a model that ranks as well; None for too few rows."""
    side = ranked_side(measured, measured, clusters)
    if side is None:
        return None
    return difference(side, side, correlation, quantile(confidence, side.freedom))[1]


def _design_effect(measured: Measured, clusters: Numbers, confidence: float) -> float | None:
    """Return by how much clusters widen the variance; never below 1, which would be luck.

    None for a single cluster: it says nothing about its own error.
    """
    if len(np.unique(clusters)) < 2:
        return None
    one = replace(measured, unit=None)
    alone, together = (_arm(one, codes, confidence) for codes in (None, clusters))
    return 1.0 if alone is None or together is None else max(1.0, (together / alone) ** 2)
