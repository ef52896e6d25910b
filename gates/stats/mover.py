"""MOVER: limits on a gap between two groups from the limits of each (Zou & Donner 2008).

The distance from a value to its lower and its upper limit stand in for its standard error at either
end ("method of variance estimates recovery"), so a lopsided interval gives a lopsided gap. From
Wilson intervals the difference is Newcombe's hybrid score (1998, method 10). Every function takes
the limits of k groups and returns those of their ordered pairs, (k, k). The diagonal is no gap: its
values are such that no bound on the widest takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.arrays import Floats

if TYPE_CHECKING:
    from gates.stats.intervals import Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Values of any shape, each with a lower and an upper limit; ±inf where nothing is known."""

    value: Floats
    low: Floats
    high: Floats

    @property
    def down(self) -> Floats:
        """Return how far each lower limit is from its value."""
        return self.value - self.low

    @property
    def up(self) -> Floats:
        """Return how far each upper limit is from its value."""
        return self.high - self.value


def limits_of(values: Floats, found: Sequence[Interval | None], low: float, high: float) -> Limits:
    """Return values with the intervals found for them; [low, high] where none was."""
    return Limits(
        value=values,
        low=np.array([one.low if one else low for one in found]),
        high=np.array([one.high if one else high for one in found]),
    )


def negative(limits: Limits) -> Limits:
    """Return the limits of the negative values."""
    return Limits(value=-limits.value, low=-limits.high, high=-limits.low)


def stacked(parts: Sequence[Limits]) -> Limits:
    """Return several sets of limits as one, on a new first axis."""
    return Limits(
        value=np.stack([part.value for part in parts]),
        low=np.stack([part.low for part in parts]),
        high=np.stack([part.high for part in parts]),
    )


def differences(groups: Limits) -> Limits:
    """Return p[i] - p[j] for each ordered pair."""
    one = np.ones((1, len(groups.value)))
    return _contrasts(groups, one, one)


def ratios(groups: Limits) -> Limits:
    """Return p[i] / p[j] for each ordered pair; no p may be negative.

    MOVER-R (Donner & Zou 2012; Newcombe 2016): the limits are the ratios R at which a limit of
    p[i] - R · p[j] is 0. Unlike the logarithm it bears p = 0: without an upper limit where p[j] may
    be 0, and with an infinite ratio where it is (0 / 0 too, since no smallest ratio is that one).
    """
    p, q = groups.value[:, None], groups.value[None, :]
    down, up = np.maximum(groups.low, 0.0), groups.high
    near, far = (down * (2.0 * groups.value - down))[:, None], (up * (2.0 * q - up))
    with np.errstate(divide="ignore", invalid="ignore"):
        # The smaller root of far · R² - 2pq · R + near, in the form that never divides by `far`.
        root = np.sqrt(np.maximum((p * q) ** 2 - near * far, 0.0))
        low = _known(near / (p * q + root), 0.0)
        # Turned upside down, a ratio's lower limit is the upper limit of its reciprocal.
        return _pairs(np.where(q == 0.0, np.inf, p / q), low, 1.0 / low.T, np.inf)


def moved_ratios(changes: Limits, before: Floats, after: Floats) -> Limits:
    """Return the change of p[i] / p[j] for each ordered pair, from the groups' own changes.

    a[i] / a[j] - b[i] / b[j] is exactly (change[i] - b[i] / b[j] · change[j]) / a[j]. The two
    weights are taken as known: their error enters only multiplied by a change.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        own = 1.0 / after[None, :]
        other = before[:, None] / before[None, :] * own
        return _contrasts(changes, own, other)


def _contrasts(groups: Limits, own: Floats, other: Floats) -> Limits:
    """Return own · p[i] - other · p[j], where no weight is negative."""
    value = own * groups.value[:, None] - other * groups.value[None, :]
    low = value - np.hypot(own * groups.down[:, None], other * groups.up[None, :])
    high = value + np.hypot(own * groups.up[:, None], other * groups.down[None, :])
    return _pairs(value, _known(low, -np.inf), _known(high, np.inf), -np.inf)


def _known(limits: Floats, otherwise: float) -> Floats:
    return np.where(np.isnan(limits), otherwise, limits)


def _pairs(value: Floats, low: Floats, high: Floats, diagonal: float) -> Limits:
    for table in (value, low, high):
        np.fill_diagonal(table, diagonal)
    return Limits(value=value, low=low, high=high)
