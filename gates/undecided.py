"""What would decide a check that these rows cannot decide: more of them, or a wider limit.

Pure and light, like `gates.decide`, which asks. `model-gates power` has the same equations for what
may be chosen there, the power and a true change; here the power is 0.8, and nothing has changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from gates.fields import significant
from gates.report import Check, Verb
from gates.stats.catalogue import DISTANCES, disparity, possible

_POWER = 0.8
_MOST_ROWS = 10**9
_SLACK = 1e-9
_CANNOT_TELL = "The interval reaches across the limit: these rows cannot tell."


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How many rows would decide, which limit these rows can decide, and both in words."""

    rows: int | None
    limit: float | None
    reason: str


def wanted(check: Check, value: float, limit: float) -> Wanted:
    """Return what would decide a check whose interval reaches across its limit.

    `value` is what is judged and `limit` what it is held against, on the same scale. A limit on a
    change is decided for a candidate that has not changed, with a probability of 0.8, when it is
    arm · (1 + z(0.8) / z(confidence)) away from 0; `min` and `max` when they are as far from the
    value; and an arm shrinks with √n (Nam 1997; Liu, Hsueh, Hsieh & Chen 2002).
    """
    low, high = check.interval or (value, value)
    # Turned so that larger is worse, as in `gates.decide`.
    sign = -1.0 if check.verb.is_floor else 1.0
    low, high = sorted((sign * low, sign * high))
    value, limit = sign * value, sign * limit
    change = check.interval_of == "delta"
    below, above = arms(check, value - low, high - value)
    at = 0.0 if change else value
    room, arm = limit - at, above
    if room < 0.0 and not change:
        room, arm = -room, below  # to be found as a fail
    stretch = _stretch(check.confidence)
    rows = _rows(check.n, stretch * arm, room)
    tightest = _limit(check, at + stretch * above, sign=sign)
    more = rows if rows is not None and rows > check.n and not _of_two(check) else None
    return Wanted(rows=more, limit=tightest, reason=_said(check, room, rows, tightest))


def arms(check: Check, below: float, above: float) -> tuple[float, float]:
    """Return an interval's arms; those of a disparity may reach one way only, by its bounds."""
    if disparity(check.metric) is None:
        return below, above
    half = (below + above) / 2.0
    return max(below, half), max(above, half)


def rows_to_convince(check: Check, p_adjusted: float, questions: int) -> int | None:
    """Return how many rows would keep a fail through the correction, if the value stayed.

    The correction multiplies p by a number of questions, so p must be as many times smaller.
    """
    if not check.p or check.n == 0 or _of_two(check):
        return None
    # An adjusted p of 1 was cut there, and tells the number of questions no more.
    times = p_adjusted / check.p if p_adjusted < 1.0 else questions
    normal = NormalDist()
    z, seen = (-normal.inv_cdf(p / 2.0) for p in ((1.0 - check.confidence) / times, check.p))
    return _rows(check.n, z, seen) if seen > 0.0 else None


def _of_two(check: Check) -> bool:
    """Return whether a second sample, which does not grow with this one, is half of the error."""
    return check.metric in DISTANCES


def roughly(rows: int) -> str:
    """Return a number of rows in two digits: an estimate that looks exact would be a lie."""
    return f"{_outwards(rows, down=False):,.0f}"


def _stretch(confidence: float) -> float:
    normal = NormalDist()
    return 1.0 + normal.inv_cdf(_POWER) / normal.inv_cdf(0.5 + confidence / 2.0)


def _rows(n: int, far: float, room: float) -> int | None:
    """Return with how many rows `far` shrinks to `room`, as 1/√n; None where none are enough."""
    # Compared before it is squared: next to the limit the square is beyond any float.
    if n == 0 or room <= 0.0 or far * math.sqrt(n) > room * math.sqrt(_MOST_ROWS):
        return None
    return math.ceil(n * (far / room) ** 2 - _SLACK)


def _limit(check: Check, turned: float, *, sign: float) -> float | None:
    """Return a limit of the check's own kind; None where its metric cannot get so far."""
    found = sign * turned if check.interval_of == "candidate" else turned
    if check.verb is Verb.MAX_RATIO:
        found = 1.0 + turned / check.baseline if check.baseline else math.inf
    reached = math.isfinite(found) and possible(check.metric, check.verb, found)
    return significant(found) if reached else None


def _said(check: Check, room: float, rows: int | None, tightest: float | None) -> str:
    change = check.interval_of == "delta"
    said = [_CANNOT_TELL]
    if change and rows is not None and rows <= check.n:
        said.append("They could if nothing had changed: this candidate is too near the limit.")
        return " ".join(said)
    if rows is not None and rows > check.n and _of_two(check):
        times = f"{_outwards(rows / check.n, down=False):,.3g}"
        said.append(
            f"With about {times} times as many rows, here and in the reference, they could."
        )
    elif rows is not None and rows > check.n:
        provided = "if nothing has changed" if change else "if the value stays where it is"
        said.append(f"About {roughly(rows)} rows would, {provided}.")
    if change and room <= 0.0:
        said.append("No number of rows can show that nothing has changed.")
    if tightest is not None:
        shown = _outwards(tightest, down=check.verb is Verb.MIN)
        said.append(f"The tightest limit that these rows can decide is about {shown:g}.")
    return " ".join(said)


def _outwards(limit: float, *, down: bool) -> float:
    """Return a number with two digits, rounded to the side on which it can still be decided."""
    if limit == 0.0:
        return limit
    digits = 1 - math.floor(math.log10(abs(limit)))
    scaled = limit * 10.0**digits
    return float(f"{(math.floor(scaled) if down else math.ceil(scaled)) / 10.0**digits:.12g}")
