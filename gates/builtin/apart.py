"""How far a column is from its reference, by each of the distances in the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.record import Distribution
from gates.stats.catalogue import DISTANCES

if TYPE_CHECKING:
    from gates.builtin.samples import Sample
    from gates.evidence import Policy
    from gates.stats.distances import Counted, Distance, Placed

NULLS = "null_change"


def apart(metric: str, reference: Distribution, now: Sample, policy: Policy) -> Distance:
    """Return how far a sample is from its reference. Raises Undefined where that says nothing."""
    from gates.stats import distances

    require_comparable(metric, reference, now)
    level, seed = policy.confidence, policy.seed
    if metric == NULLS:
        return distances.share_change(_nulls(reference), _nulls(now), level)
    if metric == "ks":
        return distances.ks(*_placed(reference, now), level)
    if metric == "wasserstein":
        scale = reference.sd or 1.0
        return distances.wasserstein(*_placed(reference, now), level, seed, scale=scale)
    counted = _counted(reference, now)
    if metric == "total_variation":
        return distances.total_variation(*counted, level, seed)
    by_chi2 = {
        "psi": distances.psi,
        "js_distance": distances.js_distance,
        "cramers_v": distances.cramers_v,
    }
    return by_chi2[metric](*counted, level)


def require_comparable(metric: str, reference: Distribution, now: Sample) -> None:
    """Raise Undefined, with a reason, where a distance would say nothing."""
    from gates.stats.measured import Undefined

    if metric == NULLS:
        return
    if not reference.rows:
        raise Undefined("the reference has no value here")
    if not now.rows:
        raise Undefined("no row has a value here")
    if reference.kind != now.kind:
        raise Undefined(f"these are {now.kind}, and the reference has {reference.kind}")
    if DISTANCES[metric].ordered and reference.kind != "numbers":
        raise Undefined(f"{metric} is of numbers, and these are categories")
    if metric == "wasserstein" and not reference.sd:
        raise Undefined("the reference is constant, and its standard deviation is what to count in")
    if len(reference.counts) == 1:
        few = "number" if reference.kind == "numbers" else "category"
        raise Undefined(f"no {few} of the reference has rows enough to be told from the others")


def strangers(reference: Distribution, now: Sample) -> int:
    """Return how many rows have a category that the reference has not, or does not name."""
    if reference.kind != "categories" or now.kind != "categories":
        return 0
    return int(_counted(reference, now)[1].counts[-1])


def _nulls(one: Distribution | Sample) -> tuple[float, float]:
    """Return the share of rows without a value, and how many independent rows there are."""
    rows = one.rows + one.nulls
    return one.nulls / rows, rows / one.design


def _placed(reference: Distribution, now: Sample) -> tuple[Placed, Placed]:
    import numpy as np

    from gates.stats.distributions import numbers_in

    numbers = np.zeros(0) if now.numbers is None else now.numbers
    return numbers_in(reference, numbers, now.design)


def _counted(reference: Distribution, now: Sample) -> tuple[Counted, Counted]:
    """Return both in the bins of PSI and its like: of few quantiles, or of categories."""
    import numpy as np

    from gates.stats.distributions import categories_in, coarse

    if reference.kind == "numbers":
        return coarse(*_placed(reference, now))
    codes = np.zeros(0, dtype=np.int64) if now.codes is None else now.codes
    return categories_in(reference, codes, now.names, now.design)
