"""Score intervals of proportions: right at 0 and 1, and with few rows, where Wald's are not."""

from __future__ import annotations

import math
from statistics import NormalDist

_HALVINGS = 60


def normal_quantile(confidence: float) -> float:
    """Return z such that a standard normal lies within ±z with this probability."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def wilson(hits: int, size: int, *, confidence: float) -> tuple[float, float]:
    """Return Wilson's 1927 interval of `hits` out of `size` > 0 (method 3 of Newcombe 1998)."""
    return wilson_at(hits, size, normal_quantile(confidence))


def wilson_at(hits: float, size: float, z: float) -> tuple[float, float]:
    """Return Wilson's limits at z standard errors, of counts that may be fractions."""
    square = z**2
    centre = (hits + square / 2.0) / (size + square)
    half = math.sqrt(square * (hits * (size - hits) / size + square / 4.0)) / (size + square)
    # The formula's ends at 0 and 1 are exact; its arithmetic is not.
    low = 0.0 if hits == 0 else centre - half
    high = 1.0 if hits == size else centre + half
    return low, high


def wilson_p(hits: int, size: int, at: float) -> float:
    """Return the two-sided p-value of a proportion `at`: Wilson's interval just reaches it."""
    return normal_p(hits - size * at, size * at * (1.0 - at))


def tango(lost: int, won: int, size: int, *, confidence: float) -> tuple[float, float]:
    """Return Tango's 1998 score interval of (won - lost) / size, a paired difference.

    `won` rows are hits of the second model alone, `lost` of the first alone; `size` > 0. Valid for
    no discordant rows and for one row; recommended by Fagerland, Lydersen & Laake 2014.
    """
    z = normal_quantile(confidence)
    # The lower end is the upper end of the comparison read the other way round.
    low, high = -_tango_upper(won, lost, size, z), _tango_upper(lost, won, size, z)
    return low, high


def tango_p(lost: int, won: int, size: int, at: float) -> float:
    """Return the two-sided p-value of a difference `at`: Tango's interval just reaches it."""
    if at * size < won - lost:
        lost, won, at = won, lost, -at
    return normal_p(*_tango_distance(lost, won, size, at))


def normal_p(distance: float, variance: float) -> float:
    """Return the two-sided p-value of a distance whose variance is known."""
    if distance == 0.0 or variance == 0.0:
        return float(distance == 0.0)
    return 2.0 * NormalDist().cdf(-abs(distance) / math.sqrt(variance))


def _tango_upper(lost: int, won: int, size: int, z: float) -> float:
    """Return the largest difference that the score test at z does not reject, by bisection."""
    inside, outside = (won - lost) / size, 1.0
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        distance, variance = _tango_distance(lost, won, size, middle)
        if distance > z * math.sqrt(variance):
            outside = middle
        else:
            inside = middle
    return (inside + outside) / 2.0


def _tango_distance(lost: int, won: int, size: int, difference: float) -> tuple[float, float]:
    """Return how many rows the observed difference is below `difference`, and their variance.

    The variance is the one that holds if `difference` is true: `loss` is the constrained maximum
    likelihood estimate of the chance of a lost row, the root of a quadratic.
    """
    linear = (2.0 * size - won + lost) * difference - won - lost
    constant = -lost * difference * (1.0 - difference)
    root = math.sqrt(max(0.0, linear**2 - 8.0 * size * constant))
    # Of the two forms of the same root, the one that does not subtract equals.
    loss = (root - linear) / (4.0 * size) if linear < 0.0 else _safe(-2.0 * constant, root + linear)
    variance = size * max(0.0, 2.0 * loss + difference * (1.0 - difference))
    return size * difference - (won - lost), variance


def _safe(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0
