"""Where a check's number and interval lie beside its limit: the drawing in a table's row.

The limit is always in the middle and beyond it is always to the right, whether a metric may not
fall or may not rise. Checks of one metric and one kind of limit share a scale, so that a slice can
be held against the whole; the few that are far wider than the rest are cut at the edge. A number
without an interval has no drawing: nothing would say how far is far.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from gates.report import Check, Verb

WIDTH = 120.0
_MARGIN = 6.0
_WIDEST = 3.0
_FALLS = frozenset({Verb.MIN, Verb.MAX_DROP, Verb.MAX_DROP_ANY_GROUP, Verb.MAX_DROP_FROM_ANCHOR})

Scale = tuple[str, Verb, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Places between 0 and `WIDTH` as SVG takes them; `zero` is where nothing would change."""

    point: str
    low: str
    high: str
    zero: str | None = None
    cut_low: bool = False
    cut_high: bool = False


def marks(checks: Iterable[Check]) -> dict[str, Mark]:
    """Return the drawings of those checks that have an interval and a limit, by rule id."""
    found = {check.id: (check, spans) for check in checks if (spans := _beyond(check))}
    reach: dict[Scale, list[float]] = {}
    for check, spans in found.values():
        reach.setdefault(_scale(check), []).append(max(map(abs, spans[1:])))
    extents = {
        scale: min(max(sizes), _WIDEST * median(sizes)) or 1.0 for scale, sizes in reach.items()
    }
    return {
        rule: _mark(check, spans, extents[_scale(check)]) for rule, (check, spans) in found.items()
    }


def threshold(check: Check) -> float | None:
    """Return the limit in the units of what is held against it, as `gates.decide` does."""
    if check.verb is Verb.MAX_RATIO:
        above = check.baseline is not None and check.baseline > 0
        return (check.bound - 1.0) * (check.baseline or 0.0) if above else None
    return -check.bound if check.verb in _FALLS - {Verb.MIN} else check.bound


def _scale(check: Check) -> Scale:
    return check.metric, check.verb, check.interval_of


def _beyond(check: Check) -> tuple[float, ...]:
    """Return how far beyond the limit lie no change, the number, and the ends of its interval."""
    value = check.delta if check.interval_of == "delta" else check.candidate
    limit = threshold(check)
    if value is None or limit is None or check.interval is None:
        return ()
    sign = -1.0 if check.verb in _FALLS else 1.0
    ends = sorted(sign * (end - limit) for end in check.interval)
    return (-sign * limit, sign * (value - limit), *ends)


def _mark(check: Check, spans: tuple[float, ...], extent: float) -> Mark:
    zero, point, low, high = (_place(span, extent) for span in spans)
    changed = check.interval_of == "delta" and abs(spans[0]) <= extent
    return Mark(
        point=point,
        low=low,
        high=high,
        zero=zero if changed else None,
        cut_low=spans[2] < -extent,
        cut_high=spans[3] > extent,
    )


def _place(span: float, extent: float) -> str:
    place = WIDTH / 2 + max(-1.0, min(1.0, span / extent)) * (WIDTH / 2 - _MARGIN)
    return f"{place:.1f}"
