"""What users were told around an abort: who answered whom, and until when."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TypeAlias

# When an abort was called, when the call returned, and until when users were watched.
Mark: TypeAlias = tuple[float, float, float]
# With fewer answers than these, nothing was measured.
FEW = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a user got; times are monotonic seconds, `port` is of the server that answered."""

    asked: float
    answered: float
    port: int
    status: int


def answer(line: bytes) -> Answer:
    """Return what a line of benchmarks.users says."""
    asked, answered, port, status = line.split()
    return Answer(asked=float(asked), answered=float(answered), port=int(port), status=int(status))


def aborted(answers: list[Answer], marks: list[Mark], canary: int) -> dict[str, object]:
    """Return how long the canary went on answering after each call, in milliseconds.

    `last` is of requests that came after the call, 0 where it answered none of these;
    `in flight` of those, too, that it had when the call came.
    """
    last, flying, call, after, others = [], [], [], 0, 0
    for began, ended, until in marks:
        mine = [one for one in answers if one.port == canary and one.asked < until]
        new = [one for one in mine if one.asked >= began]
        last.append(max((one.answered - began for one in new), default=0.0))
        flying.append(
            max((one.answered - began for one in mine if one.answered > began), default=0)
        )
        call.append(ended - began)
        after += sum(one.asked > ended for one in new)
        asked = sum(ended < one.asked < until for one in answers)
        if asked < FEW or not any(began - 2.0 < one.answered < began for one in mine):
            raise SystemExit("no users, or none on the canary: nothing was measured")
        others += asked
    return {
        "rounds": len(marks),
        "last_ms": spread(last),
        "rounds_with_a_new_request": sum(one > 0 for one in last),
        "in_flight_ms": spread(flying),
        "call_ms": spread(call),
        "by_the_canary_after_the_return": after,
        "asked_after_the_return": others,
        "failed": sum(one.status != 200 for one in answers),
        "requests": len(answers),
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Return the median and the worst, in milliseconds."""
    median, worst = statistics.median(seconds), max(seconds)
    return {"median": round(median * 1000, 1), "worst": round(worst * 1000, 1)}
