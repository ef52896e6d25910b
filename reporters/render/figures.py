"""Numbers as people read them: enough digits to tell two apart, a real minus sign, separators."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from gates.report import Check

DASH = "–"
MINUS = "−"
_MOST_PLACES = 6
_BARS = "▁▂▃▄▅▆▇█"


def places(check: Check) -> int:
    """Return how many decimals tell a check's numbers apart, from each other and from its limit."""
    shown = [x for x in (check.baseline, check.candidate, check.delta) if x is not None]
    ends = list(check.interval or ())
    biggest = max((abs(x) for x in [*shown, *ends]), default=1.0)
    wanted = 3 if biggest < 10 else max(0, 3 - math.floor(math.log10(biggest)))
    if check.delta:
        wanted = max(wanted, min(_places_for(check.delta, 2), 4), _places_for(check.delta, 1))
    judged = [check.delta if check.interval_of == "delta" else check.candidate, *ends]
    # A limit of 0.78 next to a candidate of "0.780" that fails would be read as a mistake of ours.
    gaps = [abs(abs(x) - abs(check.bound)) for x in judged if x is not None]
    wanted = max([wanted, *(_places_for(gap, 1) for gap in gaps if gap)])
    return min(wanted, _MOST_PLACES)


def _places_for(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value)) + 1e-9))


def number(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """Return a number with a real minus sign and thousands separators; a dash for none."""
    if value is None:
        return DASH
    digits = f"{abs(value):,.{decimals}f}" if abs(value) < 1e15 else f"{abs(value):.4g}"
    if not re.search(r"[1-9]", digits):
        return digits
    return (MINUS if value < 0 else "+" if sign else "") + digits


def exact(value: float) -> str:
    """Return a number as somebody wrote it: 0.02 rather than 0.020."""
    digits = f"{abs(value):,.12g}"
    return MINUS + digits if value < 0 else digits


def share(value: float) -> str:
    """Return a share of rows as a percentage that never rounds to everything or to nothing."""
    for decimals in range(1, _MOST_PLACES):
        percent = f"{100 * value:.{decimals}f}"
        if float(percent) not in (0.0, 100.0):
            return f"{percent} %"
    return "nearly 0 %" if value < 0.5 else "nearly 100 %"


def interval(check: Check) -> str:
    """Return the interval in brackets, signed where it is of a change; empty without one."""
    if check.interval is None:
        return ""
    decimals, sign = places(check), check.interval_of == "delta"
    low, high = (number(end, decimals, sign=sign) for end in check.interval)
    return f"[{low}, {high}]"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def roughly(count: int) -> str:
    """Return a count rounded up to two digits: an estimate that looks exact would be a lie."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // unit) * unit:,}"


def sparkline(values: Sequence[float]) -> str:
    """Return values as bars of eight heights, from the smallest to the largest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)
