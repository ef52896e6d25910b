"""How a disparity between groups changed from one model to the other, on the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.arrays import Bools
from gates.stats.catalogue import Spread
from gates.stats.disparity import BETWEEN, bounded_interval, gaps_of
from gates.stats.intervals import Interval, paired
from gates.stats.mover import Limits, limits_of, moved_ratios, negative, stacked

if TYPE_CHECKING:
    from gates.stats.disparity import ByGroup, Clusters, Spreading

_TIE = 1e-12


def change_interval(before: Spreading, after: Spreading, changes: Limits) -> Interval | None:
    """Return the interval of after - before, two models' disparities on the same rows.

    `changes` are the limits of each gap's change, which bound that of the widest. At least: the
    change of the gap that was widest before. At most: the change of any gap that may be the widest
    now. Where the widest gap is another one now, the two models' own bounds may say more: MOVER's
    lower limit of their difference, as if of different rows, and the upper bound now less the lower
    one before.

    The difference of the two values itself is biased, up or down, where groups are level under one
    of the models. Simulated with limits at the true change (`python -m benchmarks.coverage`: 2 to
    10 groups of 50 to 1000 rows), a paired bootstrap around it fails up to .82 of candidates whose
    level groups all fall alike, and passes up to .34 where one of them falls. This fails .03 at
    most and passes .03 (.05 where two level groups part). The price is width, power against a
    widest gap that is new, and that a fall may be understated: where a gap closed, the lower limit
    lies above the truth in .05.

    None where nothing bounds the change.
    """
    was_widest = _widest(before)
    may_be_widest = after.gaps.high >= after.bounds[0]
    low = max(float(changes.low[was_widest].min()), _apart(before, after))
    high = min(float(changes.high[may_be_widest].max()), after.bounds[1] - before.bounds[0])
    # Gaps that did not move at all, between two models that differ elsewhere, are no certainty.
    return None if low == high else bounded_interval(after.kind, (low, high), "paired mover")


def gap_changes(
    kind: Spread, before: ByGroup, after: ByGroup, clusters: Clusters, *, confidence: float
) -> Limits:
    """Return the limits of the change of every gap, in the order of `Spreading.gaps`."""
    parts = []
    for rate, measured in before.items():
        found = [
            # Equal losses on every row of a group are those of one model, as far as it goes.
            paired(*models, confidence=confidence, clusters=codes, same=True)
            for *models, codes in zip(measured, after[rate], clusters, strict=True)
        ]
        old, new = (np.array([one.value for one in m]) for m in (measured, after[rate]))
        moved = limits_of(new - old, found, -math.inf, math.inf)
        ratio = kind is Spread.RATIO
        parts.append(negative(moved_ratios(moved, old, new)) if ratio else gaps_of(kind, moved))
    return stacked(parts)


def _apart(before: Spreading, after: Spreading) -> float:
    """Return the least that the disparity rose by, going by the two models' own bounds."""
    arms = after.widest - after.bounds[0], before.bounds[1] - before.widest
    was, now = (one.gaps.value >= one.widest - _TIE for one in (before, after))
    # The same rows make two models alike, which only narrows the limits; but where a group has
    # changed ends, what widened one gap narrowed the other, and the arms add up in full.
    turned = after.kind in BETWEEN and np.any(
        (was.any(-1) & now.any(-2)) | (was.any(-2) & now.any(-1))
    )
    return after.widest - before.widest - (sum(arms) if turned else math.hypot(*arms))


def _widest(spread: Spreading) -> Bools:
    """Return which gaps are the widest, and which of these may truly be the other way round."""
    found = spread.gaps.value >= spread.widest - _TIE
    if spread.kind in BETWEEN:
        # Else a gap that closes or turns over would look like one that opens.
        found |= np.swapaxes(found, -1, -2) & (spread.gaps.high >= spread.bounds[0])
    return found
