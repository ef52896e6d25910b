"""Two models side by side: from the limits of each, those of their difference and of their ratio.

MOVER for two estimates that are correlated because they are of the same rows (Zou & Donner 2008):
the distance from a value to its limit stands in for its standard error at that end, so lopsided
limits give a lopsided change. For a ratio it is Fieller's interval where the limits are even
(Donner & Zou 2012). `mover.py` has the same for groups, which are not correlated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gates.stats.score_intervals import wilson_at

Ends = tuple[float, float]

_HALVINGS = 50
_FARTHEST = 40.0


@dataclass(frozen=True, kw_only=True)
class Side:
    """One model's value, and its limits at any number of standard errors.

    `below` and `above` are its standard errors to either side; `freedom` is what those were
    estimated with. `answers` is for a value between 0 and 1: how many yes-or-no answers it is as
    good as, a whole number or not. It then has Wilson's limits.
    """

    value: float
    below: float
    above: float
    freedom: float = math.inf
    answers: float | None = None

    def ends(self, z: float) -> Ends:
        """Return the limits at z standard errors."""
        if self.answers is None:
            return self.value - z * self.below, self.value + z * self.above
        return wilson_at(self.value * self.answers, self.answers, z)


def answers(value: float, variance: float, least: float) -> float:
    """Return how many yes-or-no answers a share is as good as, whose variance was estimated.

    A variance that rests on few rows is too small more often than not, and nothing where none of
    them is out of order. So one answer more is taken, of the variance that the share of `least`
    answers would have, and weighed against the errors (or, if fewer, the successes) that were
    seen; and the larger of the two variances counts. Chosen by simulation (benchmarks/ranks.py).
    """
    spread = max(0.0, value * (1.0 - value))
    found = variance / spread if spread else 0.0
    seen = least * max(0.0, min(value, 1.0 - value))
    return 1.0 / max(found, (seen * found + 1.0 / least) / (seen + 1.0))


def difference(baseline: Side, candidate: Side, correlation: float, z: float) -> Ends:
    """Return the limits of candidate - baseline at z standard errors."""
    (old_low, old_high), (low, high) = baseline.ends(z), candidate.ends(z)
    change = candidate.value - baseline.value
    below = _joined(candidate.value - low, old_high - baseline.value, correlation)
    above = _joined(high - candidate.value, baseline.value - old_low, correlation)
    return change - below, change + above


def ratio(baseline: Side, candidate: Side, correlation: float, z: float) -> Ends:
    """Return the limits of candidate / baseline, two values of which none is below 0.

    Each is the ratio R at which a limit of candidate - R · baseline is 0. Infinite where the
    baseline may be 0.
    """
    (old_low, old_high), (low, high) = baseline.ends(z), candidate.ends(z)
    values = baseline.value, candidate.value
    near, root, _ = _equation(*values, old_high, max(0.0, low), correlation)
    lower = near / root if root > 0.0 else 0.0
    _, root, far = _equation(*values, old_low, high, correlation)
    return lower, root / far if old_low > 0.0 and far > 0.0 else math.inf


def p_of(
    limits: Callable[[float], Ends], value: float, tail: Callable[[float], float], at: float
) -> float:
    """Return the p-value of `at`: the tail beyond as many errors as limits need to reach it."""
    if at == value:
        return 1.0
    inside, outside = 0.0, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        low, high = limits(middle)
        if low <= at <= high:
            outside = middle
        else:
            inside = middle
    return tail(inside)


def _joined(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2.0 * correlation * one * other))


def _equation(
    baseline: float, candidate: float, old_end: float, end: float, correlation: float
) -> tuple[float, float, float]:
    """Return the constant, the root and the leading coefficient of the equation of a limit R.

    (candidate - R · baseline)² = a² + R² b² - 2 R a b · correlation, with the distances a and b to
    the ends.
    """
    a, b = abs(candidate - end), abs(baseline - old_end)
    near, far = candidate**2 - a**2, baseline**2 - b**2
    middle = candidate * baseline - correlation * a * b
    return near, middle + math.sqrt(max(0.0, middle**2 - near * far)), far
