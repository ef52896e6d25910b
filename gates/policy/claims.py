"""Whether the numbers of a check can be true together: what no run of ours would have written.

That they can does not make them true. Whoever runs a change's own code may write any number; these
rules hold what is written to its own arithmetic, so that a verdict follows from what is shown.
"""

from __future__ import annotations

import math

from gates.report import Check, Decide, Verb
from gates.stats.score_intervals import wilson

# Of both models' numbers a report keeps 12 digits, and of their difference.
_ROUNDING = 1e-9
_P_ROUNDING = 1e-4
# Rates over all rows of a check: their counts follow from value and n, and so does the interval.
_OVER_ALL_ROWS = frozenset({"accuracy", "selection_rate"})
_WILSON = "wilson"
# Methods that bring a p-value of their own; of the others it is that of the interval.
_OWN_P = frozenset(
    {
        *(_WILSON, "tango", "influence", "influence+2", "influence, wilson", "influence, mover"),
        *("fieller", "mover ratio", "sketch", "sketch ratio"),
        *("unpaired", "unpaired newcombe", "unpaired ratio"),
        *("noncentral chi2", "dkw"),
    }
)
_SAMPLED = ", sampled"
# What our own code calls its methods; another name is a stranger's text, and is not shown.
METHODS = frozenset(
    {
        *("point", "great_expectations", "identical", "block bootstrap", "exact", "content"),
        *("pairwise score", "pairwise influence", "groupwise exact", "groupwise influence"),
        *("multinomial bootstrap", "absolute newcombe"),
        *("paired mover", *_OWN_P, *(method + _SAMPLED for method in _OWN_P)),
    }
)


def contradiction(check: Check, rows: int | None, *, whole: bool, clustered: bool) -> str | None:
    """Return why the numbers of a check can not all be true, or None if they can.

    `rows` is how many rows were judged, where that is known; `whole`, whether this is about all.
    """
    return (
        _of_delta(check)
        or _of_interval(check)
        or _of_rows(check, rows, whole=whole)
        or (None if clustered else _of_rate(check))
    )


def own_p(check: Check) -> float | None:
    """Return the p-value that a check brings, if its method is one that has its own."""
    return check.p if check.method.removesuffix(_SAMPLED) in _OWN_P else None


def contradicts_p(claimed: Check, settled: Check) -> bool:
    """Return whether the p-value says something else than the interval that is shown."""
    if claimed.p is None or settled.p is None or claimed.decide is Decide.POINT:
        return False
    return not math.isclose(claimed.p, settled.p, rel_tol=_P_ROUNDING, abs_tol=_P_ROUNDING)


def _of_delta(check: Check) -> str | None:
    if check.baseline is None or check.candidate is None:
        return None if check.delta is None else "it has a change, and not both of its values"
    if check.delta is None:
        return "it has two values, and no change"
    if not _close(check.delta, check.candidate - check.baseline, check.candidate, check.baseline):
        return "its change is not the candidate's value less the baseline's"
    return None


def _of_interval(check: Check) -> str | None:
    of = "delta" if check.verb.needs_baseline else "candidate"
    if check.interval_of != of:
        return f"its limit is on the {of}, its interval is not"
    if check.interval is None:
        return None
    value, (low, high) = check.delta if of == "delta" else check.candidate, check.interval
    if value is None or check.problem is not None:
        return "it has an interval, and no value that it is of"
    if low > high:
        return "the ends of its interval are the wrong way round"
    # Every method of ours keeps the value within: also those of a disparity, whose bounds are put
    # on each of its gaps, and those by resampling, which are widened to it.
    within = low <= value <= high
    if not within and not any(_close(end, value, *_values(check)) for end in (low, high)):
        return "its interval does not hold its own value"
    return None


def _of_rows(check: Check, rows: int | None, *, whole: bool) -> str | None:
    if rows is None:
        return None
    if check.n > rows:
        return "it is on more rows than were judged"
    if whole and check.n != rows and check.problem is None:
        return "it is on fewer rows than were judged"
    return None


def _of_rate(check: Check) -> str | None:
    """Hold the interval of a rate over all rows to its counts (Wilson's, which they make)."""
    rate = check.metric in _OVER_ALL_ROWS and check.verb in (Verb.MIN, Verb.MAX)
    if not rate or check.interval is None or check.candidate is None or check.n == 0:
        return None
    if not 0.0 <= check.candidate <= 1.0:
        return "its rate is none"
    hits = round(check.candidate * check.n)
    if not _close(check.candidate, hits / check.n):
        return "its rate is of no whole number of rows"
    ends = wilson(hits, check.n, confidence=check.confidence)
    if not all(_close(*pair) for pair in zip(check.interval, ends, strict=True)):
        return "its interval is not that of its rate on so many rows"
    return None


def _values(check: Check) -> tuple[float, ...]:
    return tuple(v for v in (check.candidate, check.baseline) if v is not None)


def _close(one: float, other: float, *scale: float) -> bool:
    most = max(1e-3, abs(one), abs(other), *map(abs, scale))
    return abs(one - other) <= _ROUNDING * most
