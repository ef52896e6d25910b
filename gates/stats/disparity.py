"""Disparities between groups: the value and its interval.

A disparity is the widest of many gaps, and the widest gap of a sample is wider than the truth: five
equal groups of 100 rows at a rate of .3 are .11 apart on average. A bootstrap around it inherits
that bias, so bounds are put on every gap instead, by MOVER (Zou & Donner 2008): the interval of a
difference from the intervals of its two sides, which is Newcombe's hybrid score (1998, method 10)
where those are Wilson's. Groups are taken as independent of each other: where clusters reach across
groups and their rows are alike, the bounds are wider than they need be.

Here every disparity is the *largest* of its gaps: of p[i] - p[j]; of -p[i] / p[j] for a ratio,
which is smallest where it is worst; of -p for the smallest group. The sign is turned back last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.arrays import Numbers
from gates.stats.catalogue import METRICS, Disparity, Spread
from gates.stats.exact import clopper_pearson
from gates.stats.intervals import Interval, single
from gates.stats.measured import Measured, Undefined
from gates.stats.mover import Limits, differences, limits_of, negative, ratios, stacked

if TYPE_CHECKING:
    ByGroup = Mapping[str, Sequence[Measured]]
    Clusters = Sequence[Numbers | None]

_TURNED = frozenset({Spread.RATIO, Spread.GROUP_MIN})
BETWEEN = frozenset({Spread.DIFFERENCE, Spread.RATIO})


@dataclass(frozen=True, kw_only=True, eq=False)
class Spreading:
    """One model's gaps, each with its own limits, and the bounds on the widest of them."""

    kind: Spread
    gaps: Limits
    bounds: tuple[float, float]
    method: str
    counted: float | None = None

    @property
    def widest(self) -> float:
        """Return the disparity, turned so that larger is worse."""
        return float(np.max(self.gaps.value))

    @property
    def value(self) -> float:
        """Return the disparity as Fairlearn has it; of counts, without an error of rounding."""
        if self.counted is not None:
            return self.counted
        return 0.0 - self.widest if self.kind in _TURNED else self.widest

    @property
    def interval(self) -> Interval | None:
        """Return the interval of the disparity, or None where nothing bounds it."""
        return bounded_interval(self.kind, self.bounds, self.method)


def spreading(d: Disparity, rates: ByGroup, clusters: Clusters, *, confidence: float) -> Spreading:
    """Return a disparity and its bounds from its rates by group, and the groups' clusters.

    Of two rates the worse counts, Fairlearn's `agg="worst_case"`. The lower bound (*some* gap is
    beyond it) is the largest of the gaps' lower limits at a confidence that holds for all of them
    together (Šidák 1967). The upper bound (*no* gap is beyond it) is the largest of their upper
    limits, which needs no correction (intersection-union test, Berger 1982). The interval holds the
    value and does not share its bias. Raises Undefined where there is no disparity.
    """
    _require_defined(d, rates)
    groups = len(clusters)
    questions = len(rates) * (groups * (groups - 1) // 2 if d.spread in BETWEEN else groups)
    gaps, strict = (
        stacked([gaps_of(d.spread, _sides(d, n, m, clusters, level)) for n, m in rates.items()])
        for level in (confidence, confidence ** (1.0 / questions))
    )
    low, high = _reach(d)
    return Spreading(
        kind=d.spread,
        gaps=gaps,
        bounds=(max(low, float(strict.low.max())), min(high, float(gaps.high.max()))),
        method=_method(d, rates, clusters),
        counted=_counted_ratio(rates) if d.spread is Spread.RATIO else None,
    )


def _counted_ratio(rates: ByGroup) -> float | None:
    """Return the smallest ratio between rates of counts, as integers have it; None for others.

    The four-fifths rule sits on a boundary: 6 of 10 against 45 of 60 is exactly 4/5, and rounded
    twice it falls below.
    """
    ratios = []
    for measured in rates.values():
        counts = [one.rate.counts() for one in measured if one.rate is not None]
        shares = [Fraction(hits, size) for hits, size in counts]
        if len(shares) < len(measured):
            return None
        ratios.append(min(shares) / max(shares))
    return float(min(ratios))


def gaps_of(kind: Spread, groups: Limits) -> Limits:
    """Return the gaps whose largest is the disparity, or that of groups' changes."""
    match kind:
        case Spread.DIFFERENCE:
            return differences(groups)
        case Spread.RATIO:
            return negative(ratios(groups))
        case Spread.GROUP_MIN:
            return negative(groups)
        case _:
            return groups


def bounded_interval(kind: Spread, bounds: tuple[float, float], method: str) -> Interval | None:
    """Return bounds on the largest gap as an interval, None if they do not bound it."""
    low, high = (0.0 - bounds[1], 0.0 - bounds[0]) if kind in _TURNED else bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Interval(low=low, high=high, method=method)


def _require_defined(d: Disparity, rates: ByGroup) -> None:
    for rate, measured in rates.items():
        if len(measured) < 2:
            raise Undefined(
                f"{len(measured)} group(s) have enough rows: there is nothing to compare"
            )
        values = np.array([one.value for one in measured])
        if d.spread is Spread.RATIO and np.any(values < 0.0):
            raise Undefined(f"{rate} is negative in a group, so that a ratio says nothing")
        if d.spread is Spread.RATIO and not np.any(values):
            raise Undefined(f"{rate} is 0 in every group, so that there is no ratio")


def _sides(
    d: Disparity, rate: str, measured: Sequence[Measured], clusters: Clusters, level: float
) -> Limits:
    """Return each group's own limits; a group that has none may be anywhere in the rate's range."""
    pairs = zip(measured, clusters, strict=True)
    found = [_single(d.spread, one, codes, level) for one, codes in pairs]
    return limits_of(np.array([one.value for one in measured]), found, *_span(rate))


def _single(
    kind: Spread, measured: Measured, clusters: Numbers | None, level: float
) -> Interval | None:
    # In a gap the other side makes up for what Wilson's far tail lacks; a group alone has no other.
    if kind not in BETWEEN and measured.rate is not None and clusters is None:
        low, high = clopper_pearson(*measured.rate.counts(), confidence=level)
        return Interval(low=low, high=high, method="exact")
    return single(measured, confidence=level, clusters=clusters)


def _span(rate: str) -> tuple[float, float]:
    low, high = METRICS[rate].low, METRICS[rate].high
    return -math.inf if low is None else low, math.inf if high is None else high


def _reach(d: Disparity) -> tuple[float, float]:
    """Return the range of a disparity, turned as its gaps are."""
    low, high = _span(d.rates[0])
    return {
        Spread.DIFFERENCE: (0.0, high - low),
        Spread.RATIO: (-1.0, 0.0),
        Spread.GROUP_MIN: (-high, -low),
        Spread.GROUP_MAX: (low, high),
    }[d.spread]


def _method(d: Disparity, rates: ByGroup, clusters: Clusters) -> str:
    between = d.spread in BETWEEN
    rows = all(codes is None for codes in clusters)
    counts = rows and all(m.rate is not None for measured in rates.values() for m in measured)
    how = ("score" if between else "exact") if counts else "influence"
    return f"{'pairwise' if between else 'groupwise'} {how}"
