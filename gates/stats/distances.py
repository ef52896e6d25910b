"""How far two samples are apart in how they are distributed, with an interval: pure numbers.

At ten million rows every difference is significant, and at fifty none is, so a distance is held
against a limit, not against 0 (a minimum-effect test). Each distance is of two rows of counts over
the same bins, which were made of the reference alone.

- PSI, the Jensen-Shannon distance (base 2) and Cramér's V: divided by 1/n + 1/m, the divergence is
  near a noncentral chi² with its true value for noncentrality (Yurdakul 2018; Potgieter et al.
  2023, arXiv:2307.11878; Smithson 2003 for V), which is inverted.
- KS: the Dvoretzky-Kiefer-Wolfowitz radius of either sample (Massart 1990).
- total variation, Wasserstein-1: the triangle inequality. The distance is off by at most that of
  both samples from their own distributions, whose quantile is drawn (multinomial bootstrap; for
  Wasserstein del Barrio, Giné & Matrán 1999). Wider than need be where all mass moves one way.

`units` are how many independent rows a sample is worth: fewer than it has, where it has clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gates.stats.arrays import Bools, Floats
from gates.stats.intervals import Interval
from gates.stats.score_intervals import normal_quantile, wilson_at

CHI2 = "noncentral chi2"
DKW = "dkw"
DRAWN = "multinomial bootstrap"
NEWCOMBE = "absolute newcombe"
_DRAWS = 2000
_RELATIVE = 1e-12
_LN2 = math.log(2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """One sample in bins: `counts` (B,), and how many independent `units` they are worth."""

    counts: Floats
    units: float

    @property
    def n(self) -> float:
        """Return the number of rows."""
        return float(self.counts.sum())

    @property
    def shares(self) -> Floats:
        """Return the share of each bin."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def smoothed(self) -> Floats:
        """Return the shares with half a row more in each bin (Jeffreys' prior)."""
        more = self.counts + 0.5
        return np.asarray(more / more.sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Placed(Counted):
    """The same of numbers: bin i is (edges[i - 1], edges[i]], the outer ones reach to infinity.

    `means` (B,) are those of the rows in a bin, NaN for none; `spread` is the mean distance of a
    row from the mean of its bin.
    """

    edges: Floats
    means: Floats
    spread: float


@dataclass(frozen=True, kw_only=True)
class Distance:
    """A distance and its interval."""

    value: float
    interval: Interval


def psi(reference: Counted, now: Counted, confidence: float) -> Distance:
    """Return the population stability index, Σ (q - p) ln(q / p): Jeffreys' divergence."""
    old, new = _both(reference, now)
    value = float(np.sum((new - old) * np.log(new / old)))
    return _by_chi2(value, _Shown(), reference, now, confidence)


def js_distance(reference: Counted, now: Counted, confidence: float) -> Distance:
    """Return the Jensen-Shannon distance to base 2: the root of the divergence, from 0 to 1."""
    old, new = reference.shares, now.shares
    middle = (old + new) / 2.0
    nats = (_relative(old, middle) + _relative(new, middle)) / 2.0
    # Next to 0 the divergence is an eighth of the chi² distance (Csiszár & Shields 2004).
    shown = _Shown(factor=1.0 / (8.0 * _LN2), power=0.5, most=1.0)
    return _by_chi2(8.0 * max(0.0, nats), shown, reference, now, confidence)


def cramers_v(reference: Counted, now: Counted, confidence: float) -> Distance:
    """Return Cramér's V of the 2 × B table in which both samples weigh alike: from 0 to 1.

    By their own sizes, one row beside many could never be far off: V would say that all is well.
    """
    old, new = reference.shares, now.shares
    middle = (old + new) / 2.0
    there = middle > 0.0
    apart = float(np.sum((new - old)[there] ** 2 / middle[there]))
    return _by_chi2(apart, _Shown(factor=0.25, power=0.5, most=1.0), reference, now, confidence)


def total_variation(reference: Counted, now: Counted, confidence: float, seed: int) -> Distance:
    """Return half the sum of the differences between shares: how much of the mass has moved."""

    def half(difference: Floats) -> Floats:
        return np.asarray(np.abs(difference).sum(axis=-1) / 2.0)

    value = float(half(now.shares - reference.shares))
    old, new = _samples(reference, now, seed)
    off = half((new - now.smoothed) - (old - reference.smoothed))
    arm = float(np.quantile(off, (1.0 + confidence) / 2.0))
    return Distance(value=value, interval=_around(value, arm, arm, high=1.0, method=DRAWN))


def ks(reference: Placed, now: Placed, confidence: float) -> Distance:
    """Return the largest difference of cumulative shares at the edges of the bins.

    Between two edges it may be larger: as far as it could be, the interval reaches further up.
    """
    old, new = (np.concatenate(([0.0], np.cumsum(one.shares))) for one in (reference, now))
    value = float(np.max(np.abs(new - old)))
    reach = 1.0 / math.sqrt(reference.units) + 1.0 / math.sqrt(now.units)
    arm = math.sqrt(math.log(4.0 / (1.0 - confidence)) / 2.0) * reach
    inside = ~_single(reference.edges)
    most = np.maximum(new[1:] - old[:-1], old[1:] - new[:-1])[inside]
    between = max(0.0, float(np.max(most, initial=0.0)) - value)

    def p(at: float) -> float:
        return min(1.0, 4.0 * math.exp(-2.0 * (abs(value - at) / reach) ** 2))

    return Distance(
        value=value, interval=_around(value, arm, arm + between, high=1.0, method=DKW, p=p)
    )


def wasserstein(
    reference: Placed, now: Placed, confidence: float, seed: int, *, scale: float
) -> Distance:
    """Return Wasserstein-1 over `scale`: the mean way that mass has to move.

    The area between the two cumulative shares is known in each bin from masses and means, unless
    they cross within: then it may be larger by what rows are apart from the mean of their bin, and
    the interval reaches that much further up.
    """
    edges = reference.edges
    widths = np.diff(edges)
    # What a row adds to the area within its own bin: its distance to the bin's upper edge.
    old, new = (_to_the_edge(one, reference) for one in (reference, now))

    def way(before: Floats, after: Floats) -> Floats:
        within = after * new - before * old
        above = np.cumsum(after - before, axis=-1)[..., : len(widths)] * widths
        within[..., 1 : len(edges)] += above
        return np.asarray(np.abs(within).sum(axis=-1) / scale)

    value = float(way(reference.shares, now.shares))
    drawn = _samples(reference, now, seed)
    off = way(drawn[0] - reference.smoothed, drawn[1] - now.smoothed)
    arm = float(np.quantile(off, (1.0 + confidence) / 2.0))
    between = (reference.spread + now.spread) / scale
    return Distance(value=value, interval=_around(value, arm, arm + between, method=DRAWN))


def share_change(
    reference: tuple[float, float], now: tuple[float, float], confidence: float
) -> Distance:
    """Return how far a share has moved, either way; each is (share, units).

    The interval is Newcombe's of the difference (1998, method 10), folded at 0.
    """
    z = normal_quantile(confidence)
    (p, n), (q, m) = reference, now
    (low_p, high_p), (low_q, high_q) = wilson_at(p * n, n, z), wilson_at(q * m, m, z)
    change = q - p
    low = change - math.hypot(q - low_q, high_p - p)
    high = change + math.hypot(high_q - q, p - low_p)
    nearest = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    furthest = min(1.0, max(abs(low), abs(high)))
    interval = Interval(low=min(nearest, abs(change)), high=furthest, method=NEWCOMBE)
    return Distance(value=abs(change), interval=interval)


# --- shared ----------------------------------------------------------------------------------


def _both(reference: Counted, now: Counted) -> tuple[Floats, Floats]:
    """Return both shares over the bins that anybody is in; no share is 0."""
    there = (reference.counts + now.counts) > 0.0
    sides = [one.counts[there] for one in (reference, now)]
    if any(np.any(side == 0.0) for side in sides):
        sides = [side + 0.5 for side in sides]
    return sides[0] / sides[0].sum(), sides[1] / sides[1].sum()


def _relative(shares: Floats, to: Floats) -> float:
    there = shares > 0.0
    return float(np.sum(shares[there] * np.log(shares[there] / to[there])))


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """How a divergence is reported: as (factor · divergence) ^ power, and never above `most`."""

    factor: float = 1.0
    power: float = 1.0
    most: float = math.inf

    def of(self, divergence: float) -> float:
        """Return the distance that is reported."""
        return min(self.most, float((self.factor * divergence) ** self.power))

    def back(self, distance: float) -> float:
        """Return the divergence behind a distance."""
        return float(distance ** (1.0 / self.power) / self.factor)


def _by_chi2(
    divergence: float, shown: _Shown, reference: Counted, now: Counted, confidence: float
) -> Distance:
    """Return the distance and interval of a divergence that is near chi² over 1/n + 1/m.

    A match that is better than two samples of one distribution would have is luck: the upper end is
    that of the expected match.
    """
    bins = int(np.count_nonzero(reference.counts + now.counts))
    freedom = max(1, bins - 1)
    error = 1.0 / reference.units + 1.0 / now.units
    found, tail = divergence / error, (1.0 - confidence) / 2.0
    low = _noncentrality(found, freedom, 1.0 - tail)
    high = _noncentrality(max(found, float(freedom)), freedom, tail)

    def p(at: float) -> float:
        return _chi2_p(found, freedom, shown.back(at) / error)

    value = shown.of(divergence)
    interval = Interval(
        low=min(value, shown.of(low * error)),
        high=max(value, shown.of(high * error)),
        method=CHI2,
        p=p,
    )
    return Distance(value=value, interval=interval)


def _noncentrality(found: float, freedom: int, below: float) -> float:
    """Return the noncentrality under which a share of `below` is at most what was found."""
    from scipy.optimize import brentq
    from scipy.stats import ncx2

    def over(noncentrality: float) -> float:
        return float(ncx2.cdf(found, freedom, noncentrality)) - below

    if over(0.0) <= 0.0:
        return 0.0
    outside = max(1.0, found)
    while over(outside) > 0.0:
        outside *= 2.0
    return float(brentq(over, 0.0, outside, rtol=_RELATIVE))


def _chi2_p(found: float, freedom: int, noncentrality: float) -> float:
    """Return the two-sided p-value of a noncentrality: the interval just reaches it."""
    from scipy.stats import ncx2

    above = float(ncx2.sf(found, freedom, noncentrality))
    below = float(ncx2.cdf(max(found, float(freedom)), freedom, noncentrality))
    return min(1.0, 2.0 * min(above, below))


def _samples(reference: Counted, now: Counted, seed: int) -> tuple[Floats, Floats]:
    """Return shares (draws, B) of as many independent rows as there are, of either sample."""
    chance = np.random.default_rng(seed)
    old, new = (
        chance.multinomial(size, one.smoothed, size=_DRAWS) / size
        for one in (reference, now)
        if (size := max(1, int(one.units)))
    )
    return old, new


def _single(edges: Floats) -> Bools:
    """Return which bins (one more than edges) hold one number and no other."""
    alone = np.zeros(len(edges) + 1, dtype=np.bool_)
    alone[1:-1] = np.nextafter(edges[1:], -np.inf) <= edges[:-1]
    return alone


def _to_the_edge(one: Placed, reference: Placed) -> Floats:
    """Return how far the mean of each bin is below its upper edge, above the last: below 0.

    A bin without rows has the mean of the reference's there, or is taken to be at its edge.
    """
    edges = reference.edges if len(reference.edges) else np.zeros(1)
    upper = np.append(edges, edges[-1])[-len(one.counts) :]
    known = np.where(np.isnan(one.means), reference.means, one.means)
    return np.where(np.isnan(known), 0.0, upper - known)


def _around(
    value: float,
    below: float,
    above: float,
    *,
    method: str,
    high: float = math.inf,
    p: Callable[[float], float] | None = None,
) -> Interval:
    low, top = max(0.0, value - below), min(high, value + above)
    return Interval(low=low, high=max(value, top), method=method, p=p)
