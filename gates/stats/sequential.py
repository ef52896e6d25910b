"""Evidence that may be looked at as often as one likes, and stopped at as soon as it is enough.

Each function returns the logarithm of a supermartingale that begins at 1, or a limit made of one:
where the hypothesis holds, it ever reaches log(1 / alpha) with a probability of at most alpha,
however many looks there are and whatever decides when to stop (Ville 1939). A test at a fixed size,
looked at again and again, has no such bound.

`focus` is the number of observations at which the evidence is to be strongest. It is a choice that
costs nothing in validity, and little in power within a factor of four.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gates.stats.arrays import Floats

_HALVINGS = 60
_STEPS = 30
_LEAST = 1e-3
# No rate is tried that is nearer to 0 or 1: its logarithm has to be a number.
_LEAST_RATE = 1e-12


def unit(focus: float, *, alpha: float, sides: int = 1) -> float:
    """Return the observations that make one unit of a normal mixture's time.

    Howard, Ramdas, McAuliffe & Sekhon 2021 (section 3.5), with the closed form of Waudby-Smith et
    al. 2024 (equation 161 of arXiv:2103.06476). One side is tuned as two of twice the alpha.
    """
    twice = -2.0 * math.log(alpha * (2.0 if sides == 1 else 1.0))
    return focus / (twice + math.log(twice + 1.0))


def normal_mixture(root: Floats, time: Floats, *, sides: int = 1) -> Floats:
    """Return the log evidence of standardised distances at so many units of time.

    A test martingale of Gaussian steps, mixed over drifts: normal ones, or their upper half for one
    side (Robbins 1970; Howard et al. 2021, propositions 5 and 6). Of anything else whose sums
    become normal it is an asymptotic confidence sequence (Waudby-Smith et al. 2024).
    """
    shrunk = root * np.sqrt(time / (1.0 + time))
    two = shrunk**2 / 2.0 - np.log1p(time) / 2.0
    if sides == 2:
        return np.asarray(two)
    from scipy.special import log_ndtr

    return np.asarray(two + math.log(2.0) + log_ndtr(shrunk))


def normal_bound(time: Floats, *, alpha: float, sides: int = 1) -> Floats:
    """Return the standardised distance at which `normal_mixture` reaches 1 / alpha, below 0.5.

    It stands where a normal quantile does in an interval for one look; infinite at time 0.
    """
    from scipy.special import log_ndtr

    wanted = np.log1p(time) / 2.0 - math.log(alpha)
    if sides == 2:
        return _stretched(np.sqrt(2.0 * wanted), time)
    wanted = wanted - math.log(2.0)
    found = np.sqrt(2.0 * wanted) + 1.0
    # Newton's method: the function is convex, and from above it never passes its root.
    for _ in range(_STEPS):
        tail = log_ndtr(found)
        slope = found + np.exp(-(found**2) / 2.0 - tail) / math.sqrt(2.0 * math.pi)
        found = found - (found**2 / 2.0 + tail - wanted) / slope
    return _stretched(found, time)


def _stretched(shrunk: Floats, time: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(shrunk * np.sqrt((1.0 + time) / time))


def concentration(focus: float, *, alpha: float, sides: int = 1) -> float:
    """Return how many observations a prior on rates is worth (Howard et al. 2021, appendix)."""
    return max(unit(focus, alpha=alpha, sides=sides) - 1.0, _LEAST)


def mismatch(counts: Sequence[float], shares: Sequence[float], prior: Sequence[float]) -> float:
    """Return the log evidence that counts do not come in these shares.

    The sequential test of sample ratio mismatch by Lindon & Malek 2022: multinomial draws against a
    Dirichlet prior. Of two counts it is the beta-binomial mixture of Howard et al. 2021. `shares`
    are within (0, 1) and sum to 1, and the prior is as strong as its sum in observations.
    """
    from scipy.special import gammaln

    drawn, before = np.asarray(counts, float), np.asarray(prior, float)
    rising = gammaln(before + drawn) - gammaln(before)
    total = gammaln(before.sum()) - gammaln(before.sum() + drawn.sum())
    return float(rising.sum() + total - drawn @ np.log(shares))


def above(hits: Floats, size: Floats, rate: Floats, *, worth: float) -> Floats:
    """Return the log evidence that hits among so many come at more than this rate, in (0, 1).

    A beta-binomial mixture over the greater rates (Howard et al. 2021, proposition 7, one-sided):
    the likelihood ratio rises with the hits, so it is valid for every smaller rate as well.
    """
    from scipy.special import betainc, betaln

    # I_rate(misses, hits) is the chance that the posterior puts beyond the rate.
    misses, prior = size - hits, (worth * (1.0 - rate), worth * rate)
    posterior = (misses + prior[0], hits + prior[1])
    with np.errstate(divide="ignore"):
        tail = np.log(betainc(*posterior, 1.0 - rate) / betainc(*prior, 1.0 - rate))
    likelihood = hits * np.log(rate) + misses * np.log1p(-rate)
    return np.asarray(betaln(*posterior) - betaln(*prior) + tail - likelihood)


def bernoulli(hits: int, size: int, *, alpha: float, focus: float) -> tuple[float, float]:
    """Return the confidence sequence of a rate, both sides together: hits out of `size` > 0."""
    worth, wanted = concentration(focus, alpha=alpha, sides=2), -math.log(alpha)

    def outside(rate: float) -> bool:
        shares = (rate, 1.0 - rate)
        prior = [worth * share for share in shares]
        return mismatch((hits, size - hits), shares, prior) >= wanted

    value = hits / size
    low = 0.0 if hits == 0 else _edge(outside, value, _LEAST_RATE)
    high = 1.0 if hits == size else _edge(outside, value, 1.0 - _LEAST_RATE)
    return low, high


def _edge(outside: Callable[[float], bool], inside: float, end: float) -> float:
    """Return where `outside` begins on the way from a value to an end."""
    for _ in range(_HALVINGS):
        middle = (inside + end) / 2.0
        if outside(middle):
            end = middle
        else:
            inside = middle
    return (inside + end) / 2.0
