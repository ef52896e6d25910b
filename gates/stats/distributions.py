"""Sum up a sample as a `Distribution`, and count another one in the bins of that."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from gates.fields import bounded
from gates.record import Distribution
from gates.stats.arrays import Counts, Floats, Numbers
from gates.stats.distances import Counted, Placed

# Quantiles of the reference: KS and Wasserstein are known to within about one of them.
MOST_BINS = 200
# What PSI and its like are computed on, of numbers.
FEW_BINS = 10
MOST_CATEGORIES = 50
_SLACK = 1e-9


def of_numbers(values: Floats, *, nulls: int, least: int, design: float) -> Distribution:
    """Return how finite numbers are distributed; no bin has fewer rows than `least`, or it has 0.

    A number that is alone in its bin has edges on both sides, so that what comes to lie between two
    such numbers is seen.
    """
    edges = np.array(_edges(values, max(least, 1)), dtype=np.float64)
    placed = _placed(values, edges)
    finite = [None if math.isnan(mean) else float(mean) for mean in placed.means]
    return Distribution(
        kind="numbers",
        nulls=nulls,
        counts=tuple(int(count) for count in placed.counts),
        design=design,
        edges=tuple(float(edge) for edge in edges),
        means=tuple(finite),
        spread=placed.spread,
        sd=float(np.std(values)) if len(values) else None,
    )


def of_categories(
    codes: Numbers, names: Sequence[str], *, nulls: int, least: int, design: float
) -> Distribution:
    """Return how texts are distributed: `codes` (n,) are places in `names`, -1 for no value."""
    found = _by_name(codes, names)
    common = [name for name, count in found.most_common(MOST_CATEGORIES) if count >= max(least, 1)]
    named = sorted(common)
    return Distribution(
        kind="categories",
        nulls=nulls,
        counts=(*(found[name] for name in named), found.total() - sum(found[n] for n in named)),
        design=design,
        categories=tuple(named),
    )


def numbers_in(reference: Distribution, values: Floats, design: float) -> tuple[Placed, Placed]:
    """Return the reference, and finite numbers counted in its bins."""
    edges = np.array(reference.edges, dtype=np.float64)
    means = [math.nan if mean is None else mean for mean in reference.means]
    old = Placed(
        counts=np.array(reference.counts, dtype=np.float64),
        units=reference.rows / reference.design,
        edges=edges,
        means=np.array(means, dtype=np.float64),
        spread=reference.spread,
    )
    return old, _placed(values, edges, design)


def categories_in(
    reference: Distribution, codes: Numbers, names: Sequence[str], design: float
) -> tuple[Counted, Counted]:
    """Return the reference, and texts counted by its categories; the last bin is of all others."""
    found = _by_name(codes, names)
    counts = [found[name] for name in reference.categories]
    now = np.array([*counts, found.total() - sum(counts)], dtype=np.float64)
    old = np.array(reference.counts, dtype=np.float64)
    return (
        Counted(counts=old, units=reference.rows / reference.design),
        Counted(counts=now, units=float(now.sum()) / design),
    )


def coarse(reference: Counted, now: Counted) -> tuple[Counted, Counted]:
    """Return the same in about `FEW_BINS` bins of like size, by the reference's counts.

    Where the reference has no row there is one bin for all: whatever is there is new.
    """
    target = reference.n / FEW_BINS
    codes, held, group = np.zeros(len(reference.counts), dtype=np.intp), 0.0, 1
    for place in np.flatnonzero(reference.counts):
        codes[place], held = group, held + reference.counts[place]
        if held >= target * (1.0 - _SLACK):
            held, group = 0.0, group + 1
    if 0.0 < held < target / 2.0 and group > 1:
        codes[codes == group] = group - 1
    old, new = (
        np.bincount(codes, weights=one.counts).astype(np.float64) for one in (reference, now)
    )
    return Counted(counts=old, units=reference.units), Counted(counts=new, units=now.units)


def _edges(values: Floats, least: int) -> list[float]:
    """Return the upper end of every bin but the last, rising."""
    target = max(least, math.ceil(len(values) / MOST_BINS))
    edges: list[float] = []
    held, left = 0, len(values)
    for number, count in zip(*_counted(values), strict=True):
        before, held, left = held, held + count, left - count
        if held < target:
            continue
        alone = count >= target and (before == 0 or before >= least)
        below = float(np.nextafter(number, -np.inf))
        if alone and (not edges or below > edges[-1]):
            edges.append(below)
        # What is left above has to be a bin, too; where nothing is, only a lone number has an end.
        if left >= least or (left == 0 and alone):
            edges.append(number)
            held = 0
    return edges


def _counted(values: Floats) -> tuple[list[float], list[int]]:
    numbers, counts = np.unique(values, return_counts=True)
    return numbers.tolist(), counts.tolist()


def _placed(values: Floats, edges: Floats, design: float = 1.0) -> Placed:
    codes = np.searchsorted(edges, values, side="left")
    counts = np.bincount(codes, minlength=len(edges) + 1).astype(np.float64)
    sums = np.bincount(codes, weights=values, minlength=len(edges) + 1)
    with np.errstate(invalid="ignore"):
        means = np.where(counts > 0.0, sums / np.maximum(counts, 1.0), np.nan)
    spread = float(np.mean(np.abs(values - means[codes]))) if len(values) else 0.0
    return Placed(
        counts=counts, units=len(values) / design, edges=edges, means=means, spread=spread
    )


def _by_name(codes: Numbers, names: Sequence[str]) -> Counter[str]:
    counts: Counts = np.bincount(codes[codes >= 0], minlength=len(names))
    found: Counter[str] = Counter()
    for name, count in zip(names, counts.tolist(), strict=True):
        found[bounded(name)] += count
    return found
