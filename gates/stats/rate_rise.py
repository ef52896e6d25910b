"""How much higher one rate is than another, with limits that hold however often one looks.

Two streams of independent answers, each right or wrong, in one or more strata: parts of the time in
which both shared the traffic in one proportion, but between which the rates of both may have moved.
A rise that is the same in all strata is compared within each, so that a canary that got its traffic
at a bad hour is not held against a stable side that got most of its own at a good one (Simpson's
paradox of a ramp-up; Crook, Frasca, Kohavi & Longbotham 2009).

The distance of a rise from the data is the signed root of the profile likelihood ratio: the rates
are free, the rise is held. It is a standard normal one for many answers, and for few errors its
exponent is still the right one (Chernoff), where those of Wald's and of Wilson's are not. Between
looks it moves as a Gaussian martingale does in the time n m / (n + m), summed over strata, and so
`normal_bound` stands in for a quantile: an asymptotic confidence sequence.

Measured (benchmarks/canary.py): with a canary just at the limit, 200 looks, shares from 1 to 90 %
and rates from 0.01 to 30 %, at most 3 % of the rollouts are aborted where alpha allows 4.5 %; by
Newcombe's one-sided interval at 1 % a look, 20 looks, up to 9 %.

Exact ones were tried and left. The union of two beta-binomial sequences adds both arms' widths
instead of their squares: 5 % errors against 1 % took 300 to 800 canary requests where this took 200
to 300. Two streams in one test martingale, against the likeliest rates, took 300 to 550: what the
unknown rate of the stable side costs there is about what an alpha of 5 % is worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.sequential import normal_bound, unit

if TYPE_CHECKING:
    from gates.stats.arrays import Bools, Floats

# Answers of one side at which the evidence is to be strongest; see `sequential`.
FOCUS = 200.0
_HALVINGS = 48
_MOST = 2.0**40
_ENDS = np.array([1.0, -1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Strata:
    """Counts of shape (…, strata), as floats: `errors` of `size`, and `before` of `base`.

    The rise is errors / size - before / base. Of several strata, each has answers of both sides. No
    count is negative.
    """

    errors: Floats
    size: Floats
    before: Floats
    base: Floats

    @property
    def time(self) -> Floats:
        """Return the information, as so many answers of one side where the other has no end."""
        both = self.size + self.base
        return np.asarray(np.sum(self.size * self.base / np.maximum(both, 1.0), axis=-1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """Strata with their likeliest rise (…), and how likely that one is."""

    strata: Strata
    rise: Floats
    likelihood: Floats

    def root(self, rise: Floats | float) -> Floats:
        """Return how many standard errors the data lie above a rise (…), within (-1, 1)."""
        at = np.asarray(rise, dtype=float)
        likely = _likelihood(self.strata, at, _constrained(self.strata, at))
        distance = np.sqrt(np.maximum(2.0 * (self.likelihood - likely), 0.0))
        return np.asarray(np.where(at <= self.rise, distance, -distance))


def fitted(strata: Strata) -> Fitted:
    """Return the likeliest rise, the same in all strata; 0 where nothing is known."""
    rise, base = _best(strata)
    return Fitted(strata=strata, rise=rise, likelihood=_likelihood(strata, rise, base))


def limits(found: Fitted, *, alpha: float, focus: float) -> tuple[float, float]:
    """Return the lower and upper limit of the rise, each of them wrong ever with this alpha.

    For one set of strata (k,). -1 and 1 are the limits where nothing is known.
    """
    bound = normal_bound(found.strata.time / unit(focus, alpha=alpha), alpha=alpha)
    if not np.isfinite(bound):
        return -1.0, 1.0
    # The lower limit is the last rise, from below, above which the data lie too far.
    low, high = _bisected(lambda at: found.root(at) > _ENDS * bound, shape=(2,))
    return float(low), float(high)


def more(found: Fitted, rise: float, *, alpha: float, focus: float) -> float | None:
    """Return how many times the data decide on which side of a rise the truth is.

    1 where they do so already. None where no multiple would: they are as likely on either side.
    Counts that are all multiplied lie as much further away as the root of the multiple.
    """
    distance = abs(float(found.root(rise)))
    time = found.strata.time / unit(focus, alpha=alpha)

    def decided(times: float) -> bool:
        return distance * math.sqrt(times) >= float(normal_bound(time * times, alpha=alpha))

    return multiple(decided)


def multiple(decided: Callable[[float], bool]) -> float | None:
    """Return the least multiple of the data that decides; None where not even a huge one does."""
    if decided(1.0):
        return 1.0
    if not decided(_MOST):
        return None
    low, high = 0.0, math.log2(_MOST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if decided(2.0**middle) else (middle, high)
    return float(2.0**high)


def _best(strata: Strata) -> tuple[Floats, Floats]:
    """Return the likeliest rise (…), and with it the rates of the base (…, strata)."""
    if strata.size.shape[-1] == 1:
        base = strata.before / np.maximum(strata.base, 1.0)
        rise = (strata.errors / np.maximum(strata.size, 1.0) - base)[..., 0]
        known = (strata.size * strata.base)[..., 0] > 0.0
        return np.where(known, rise, 0.0), base
    shape = strata.size.shape[:-1]
    rise = _bisected(lambda at: _slope(strata, at) > 0.0, shape=shape)
    return rise, _constrained(strata, rise)


def _constrained(strata: Strata, rise: Floats) -> Floats:
    """Return the likeliest rates of the base (…, strata) under a rise.

    The root of a cubic (Miettinen & Nurminen 1985, appendix), to which two of Newton's steps give
    back what cancels in its closed form.
    """
    at = rise[..., None]
    low, high = np.maximum(0.0, -at), np.minimum(1.0, 1.0 - at)
    found = np.clip(_root_of_cubic(strata, at), low, high)
    for _ in range(2):
        slope = np.add(*_scores(strata, at, found))
        bend = _bend(strata.errors, strata.size, found + at)
        bend = bend + _bend(strata.before, strata.base, found)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = found + slope / bend
        found = np.clip(np.where(np.isfinite(moved), moved, found), low, high)
    return np.asarray(found)


def _root_of_cubic(strata: Strata, at: Floats) -> Floats:
    size, base, before = strata.size, strata.base, strata.before
    both = np.maximum(size + base, 1.0)
    hits = strata.errors + before
    square = ((size + 2.0 * base) * at - both - hits) / (3.0 * both)
    linear = ((base * at - both - 2.0 * before) * at + hits) / both
    constant = before * at * (1.0 - at) / both
    turned = square**3 - square * linear / 2.0 + constant / 2.0
    radius = np.where(turned < 0.0, -1.0, 1.0) * np.sqrt(np.maximum(square**2 - linear / 3.0, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(radius == 0.0, 0.0, turned / radius**3)
    angle = (np.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3.0
    return np.asarray(2.0 * radius * np.cos(angle) - square)


def _slope(strata: Strata, rise: Floats) -> Floats:
    """Return the slope of the profile likelihood, which falls with the rise."""
    at = rise[..., None]
    own, other = _scores(strata, at, _constrained(strata, rise))
    # The two cancel, unless the canary's rate is held at 0 or 1: then it is the base that moves.
    held = np.where(at < 0.0, np.minimum(own + other, 0.0), np.maximum(own + other, 0.0))
    return np.asarray(np.sum(own - held, axis=-1))


def _scores(strata: Strata, at: Floats, base: Floats) -> tuple[Floats, Floats]:
    return (
        _score(strata.errors, strata.size, base + at),
        _score(strata.before, strata.base, base),
    )


def _score(hits: Floats, size: Floats, rate: Floats) -> Floats:
    """Return the slope of the log likelihood of a rate; a rate that is ruled out is far off."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(hits > 0.0, hits / rate, 0.0)
        down = np.where(size > hits, (size - hits) / (1.0 - rate), 0.0)
    return up - down


def _bend(hits: Floats, size: Floats, rate: Floats) -> Floats:
    """Return how fast `_score` falls."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(hits > 0.0, hits / rate**2, 0.0)
        down = np.where(size > hits, (size - hits) / (1.0 - rate) ** 2, 0.0)
    return np.asarray(up + down)


def _likelihood(strata: Strata, rise: Floats, base: Floats) -> Floats:
    from scipy.special import xlog1py, xlogy

    rate = np.clip(base + np.asarray(rise)[..., None], 0.0, 1.0)
    own = xlogy(strata.errors, rate) + xlog1py(strata.size - strata.errors, -rate)
    other = xlogy(strata.before, base) + xlog1py(strata.base - strata.before, -base)
    return np.asarray(np.sum(own + other, axis=-1))


def _bisected(rising: Callable[[Floats], Bools], *, shape: tuple[int, ...]) -> Floats:
    """Return where, from -1 to 1, a condition that holds at the low end ceases to."""
    bottom, top = np.full(shape, -1.0), np.full(shape, 1.0)
    for _ in range(_HALVINGS):
        middle = (bottom + top) / 2.0
        up = rising(middle)
        bottom, top = np.where(up, middle, bottom), np.where(up, top, middle)
    return np.asarray((bottom + top) / 2.0)
