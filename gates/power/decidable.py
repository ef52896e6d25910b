"""Turn a measured check into what it can decide: numbers in, numbers out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.decide import threshold
from gates.fields import bounded, significant
from gates.power.answer import Basis, CheckPower, Standing
from gates.report import Check, Decide, Verb
from gates.stats.catalogue import DISTANCES, disparity, possible
from gates.stats.power import (
    ASSUMED,
    Aim,
    Assumed,
    chance,
    rows_needed,
    smallest_margin,
    variance_of,
)
from gates.stats.score_intervals import normal_quantile
from gates.undecided import arms

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_ROWS = 10**12
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How surely limits are to be decided, and what is taken for granted of an unknown model."""

    power: float = 0.8
    drop: float = 0.0
    assumed: Assumed = ASSUMED


@dataclass(frozen=True, kw_only=True)
class _Turned:
    """A check turned so that larger is worse: where it is taken to be, its limit and its arms.

    `at` is the truth that must be told: the change that is to pass, or the candidate's own value.
    `above` is the arm that a pass must keep within the limit, `below` the one a fail must lift
    beyond it.
    """

    at: float
    limit: float
    above: float
    below: float
    back: Callable[[float], float]

    @property
    def room(self) -> float:
        """Return how far the truth is within the limit; negative beyond it."""
        return self.limit - self.at


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """How far from a limit the truth must be for these rows to tell."""

    variance: float
    rows: int
    aim: Aim

    @property
    def margin(self) -> float:
        """Return the smallest distance that is decided."""
        return smallest_margin(self.variance, self.rows, self.aim)

    def chance(self, room: float) -> float:
        """Return how probably a distance is decided."""
        z = normal_quantile(self.aim.confidence)
        return chance(self.variance, self.rows, room, errors=z)

    def needed(self, room: float) -> int | None:
        """Return how many rows decide a distance; None where no number of them does."""
        # Compared before it is squared: next to the limit the square is beyond any float.
        if math.sqrt(self.variance) * self.aim.errors >= room * math.sqrt(_MOST_ROWS):
            return None
        return rows_needed(self.variance, room, self.aim)


def decidable(check: Check, asked: Asked, *, basis: Basis, questions: int = 1) -> CheckPower:
    """Return what a check can decide on its rows, as one of `questions` asked together.

    A pass of a limit on change is decided with the power asked for when the limit is at least
    `drop` + arm · (1 + z(power) / z(confidence)): the estimate falls with that probability where
    the whole interval is within. A fail needs the other arm, and Holm's correction; its first step
    is taken (one true fail among `questions`), and the later ones are milder.
    """
    known = CheckPower(
        id=check.id,
        gate=bounded(check.id.partition("/")[0]),
        metric=check.metric,
        limit=check.limit,
        decide=check.decide,
        family=check.family,
        n=check.n,
        standing=Standing.UNKNOWN,
        confidence=check.confidence,
        candidate=check.candidate,
        questions=questions,
    )
    turned = _turned(check, asked)
    if isinstance(turned, str):
        point = check.decide is Decide.POINT and check.problem is None
        standing = Standing.POINT if point else Standing.UNKNOWN
        return known.model_copy(update={"standing": standing, "reason": turned})
    found = {
        "basis": basis,
        "method": check.method,
        "approximate": disparity(check.metric) is not None,
    }
    known = known.model_copy(update=found)
    if check.decide is Decide.POINT:
        return _by_point(known, check, turned)
    return _by_interval(known, check, turned, asked)


def _turned(check: Check, asked: Asked) -> _Turned | str:
    """Return the check turned, or why no interval is held against its limit."""
    point = check.decide is Decide.POINT
    change = check.interval_of == "delta"
    value, limit = (check.delta if change else check.candidate), threshold(check)
    if check.problem:
        return check.problem
    if value is None or limit is None:
        return "decided by a count, without an interval" if point else "there is no number"
    if check.interval is None or check.n == 0:
        return "decided by the plain number" if point else "these rows give no interval"
    sign = -1.0 if check.verb.is_floor else 1.0
    low, high = sorted(sign * end for end in check.interval)
    below, above = arms(check, sign * value - low, high - sign * value)

    def back(turned: float) -> float:
        if check.verb is Verb.MAX_RATIO:
            return 1.0 + turned / (check.baseline or math.nan)
        return turned if change else sign * turned

    return _Turned(
        at=asked.drop if change else sign * value,
        # A limit on change is a distance: the sign of the change is turned, and the limit is not.
        limit=sign * limit,
        above=above,
        below=below,
        back=back,
    )


def _by_point(known: CheckPower, check: Check, turned: _Turned) -> CheckPower:
    variance = variance_of(turned.above, check.n, check.confidence)
    return known.model_copy(
        update={
            "standing": Standing.POINT,
            "chance": significant(chance(variance, check.n, turned.room)),
            "reason": "decided by the plain number, whatever its error",
        }
    )


def _by_interval(known: CheckPower, check: Check, turned: _Turned, asked: Asked) -> CheckPower:
    n, confidence = check.n, check.confidence
    change = check.interval_of == "delta"
    to_pass = _Reach(
        variance=variance_of(turned.above, n, confidence),
        rows=n,
        aim=Aim(confidence=confidence, power=asked.power),
    )
    to_fail = _Reach(
        variance=variance_of(turned.below, n, confidence),
        rows=n,
        aim=Aim(confidence=1.0 - (1.0 - confidence) / known.questions, power=asked.power),
    )
    # A value beyond an absolute limit is to be found as a fail; a change that is to pass, never.
    reach, room = to_pass, turned.room
    if room < 0.0 and not change:
        reach, room = to_fail, -room
    decides = room >= reach.margin * (1.0 - _SLACK)
    return known.model_copy(
        update={
            "standing": Standing.DECIDES if decides else Standing.CANNOT,
            "smallest_margin": significant(reach.margin + (asked.drop if change else 0.0)),
            "smallest_limit": _possible(check, turned.back(turned.at + to_pass.margin)),
            # A distance is between two samples: more rows of the one alone may never do.
            "rows_needed": None if decides or check.metric in DISTANCES else reach.needed(room),
            "chance": significant(reach.chance(room)),
            "fails_from": _possible(check, turned.back(turned.limit + to_fail.margin)),
        }
    )


def _possible(check: Check, limit: float) -> float | None:
    """Return a limit that the metric can reach, else None."""
    reached = math.isfinite(limit) and possible(check.metric, check.verb, limit)
    return significant(limit) if reached else None
