"""Turn what a replay came to into findings: numbers, intervals, limits, and a verdict for each.

A share of rows is a binomial one and gets Wilson's interval; a mean gets Student's t, of the rows'
own numbers; a ratio of times is the mean of their logarithms, so that a slow moment of either side
weighs alike. Both sides saw the same rows, so all of these are of pairs. As everywhere, an interval
that is wholly beyond a limit fails, one wholly within passes, and any other is inconclusive. Where
both sides gave the same outputs for every row, nothing moved, and the interval is [0, 0].
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gates.canary.judgement import Finding
from gates.report import Effect, Mode, Verdict
from gates.stats.intervals import single
from gates.stats.measured import of_mean
from gates.stats.score_intervals import normal_quantile, wilson, wilson_at

if TYPE_CHECKING:
    from gates.canary.replay.replay import Replay
    from gates.canary.replay.tally import Pair, Tally
    from gates.report import Report
    from gates.stats.arrays import Floats

_SCHEMA, _ROWS = "replay/schema:max", "replay/rows:min"
_NO_PAIRS = "No row was answered by both sides."
_NOT_CANARY = "That is not the canary's fault."
_FEW = 3
_WHAT = {
    "disagreement": "The share of rows that are predicted otherwise is",
    "score_shift": "Scores move on average by",
    "latency": "The canary's times are as a multiple of the stable side's",
}
_WITHIN = {
    Verdict.PASS: "wholly within the limit.",
    Verdict.FAIL: "wholly beyond the limit.",
    Verdict.INCONCLUSIVE: "across the limit: these rows cannot tell.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Number:
    """A number with its interval, and how that was made; None where the rows do not tell."""

    value: float
    interval: tuple[float, float] | None
    method: str
    n: int


def findings(options: Replay, tally: Tally) -> tuple[Finding, ...]:
    """Return what is found, the gravest kind of question first."""
    return tuple(_findings(options, tally))


def comparable(found: Sequence[Finding]) -> bool:
    """Return whether there are enough answers of one shape for gates to judge."""
    told = {one.id: one.verdict for one in found}
    return all(told[name] is Verdict.PASS for name in (_SCHEMA, _ROWS))


def of_report(report: Report) -> Finding:
    """Return what the gates say of the canary's answers; their own policy decides what blocks."""
    checks = [check for model in report.models for gate in model.gates for check in gate.checks]
    bad = [check.id for check in checks if check.effect is Effect.BLOCK]
    verdict, reason = Verdict.PASS, "The gates do not block the canary's answers."
    if report.error is not None or any(model.error for model in report.models):
        verdict, reason = Verdict.ERROR, "The gates could not judge the answers; see their report."
    elif report.blocked:
        verdict = Verdict.FAIL
        reason = f"The gates block the canary's answers: {_few(bad) or 'see their report'}."
    return Finding(id="replay/gates", verdict=verdict, reason=reason, n=len(checks))


def unjudged(why: str) -> Finding:
    """Return the word that no gate has judged the answers; it is shown and decides nothing."""
    return Finding(id="replay/gates", verdict=Verdict.SKIPPED, reason=why, mode=Mode.REPORT)


def _findings(options: Replay, tally: Tally) -> Iterator[Finding]:
    yield _schema(tally)
    yield _failures(options, tally)
    yield _volume(options, tally)
    level = options.confidence
    if (moved := options.disagreement) is not None:
        number = _disagreement(tally.pairs, options.tolerance, level)
        yield _decided("replay/disagreement:max", moved.max, number)
    if (shift := options.score_shift) is not None:
        yield _decided("replay/score_shift:max", shift.max, _shift(tally.pairs, level))
    if (slower := options.latency) is not None:
        yield _decided("replay/latency:max_ratio", slower.max_ratio, _ratio(tally, level))


def _schema(tally: Tally) -> Finding:
    amiss, heard = tally.amiss.total(), len(tally.times)
    said = [
        *tally.differences,
        *([f"in {_requests(amiss)}, {_told(tally.amiss)}"] if amiss else []),
    ]
    verdict, reason = Verdict.PASS, "Both sides' answers are of one shape."
    if tally.unclear:
        verdict, reason = Verdict.ERROR, f"{tally.unclear} {_NOT_CANARY}"
    elif said:
        verdict, reason = Verdict.FAIL, f"The canary's answers are of another shape: {_all(said)}."
    elif not heard:
        verdict, reason = Verdict.INCONCLUSIVE, _NO_PAIRS
    return Finding(
        id=_SCHEMA,
        verdict=verdict,
        reason=reason,
        n=heard + amiss,
        value=float(len(said)),
        limit=0.0,
    )


def _failures(options: Replay, tally: Tally) -> Finding:
    failed, most = tally.failed.total(), options.failures.max
    tried = tally.asked - tally.unheard.total()
    verdict, reason = Verdict.PASS, "The canary answered wherever the stable side did."
    if failed:
        verdict = Verdict.FAIL if failed > most else Verdict.PASS
        reason = f"The stable side alone answered {_requests(failed)}: {_told(tally.failed)}."
    elif not tried:
        verdict = Verdict.INCONCLUSIVE
        reason = f"The stable side answered nothing: {_told(tally.unheard)}. {_NOT_CANARY}"
    return Finding(
        id="replay/failures:max",
        verdict=verdict,
        reason=reason,
        n=tried,
        value=float(failed),
        limit=float(most),
    )


def _volume(options: Replay, tally: Tally) -> Finding:
    pairs, least = len(tally.pairs), min(options.min_rows, tally.rows)
    verdict, reason = Verdict.PASS, f"Both sides answered {pairs:,} of {tally.rows:,} rows."
    if pairs < least:
        verdict = Verdict.INCONCLUSIVE
        reason = f"Both sides answered {pairs:,} of {tally.rows:,} rows, too few to tell by."
    if tally.unheard:
        missing = f"The stable side did not answer {_requests(tally.unheard.total())}"
        reason += f" {missing}: {_told(tally.unheard)}. {_NOT_CANARY}"
    return Finding(
        id=_ROWS,
        verdict=verdict,
        reason=reason,
        n=tally.rows,
        value=float(pairs),
        limit=float(least),
    )


def _decided(name: str, limit: float, number: _Number | None) -> Finding:
    verdict = Verdict.INCONCLUSIVE
    if number is None or number.interval is None:
        reason = _NO_PAIRS if number is None else "There are too few rows for an interval."
        n = 0 if number is None else number.n
        return Finding(id=name, verdict=verdict, reason=reason, n=n, limit=limit)
    low, high = number.interval
    if low > limit:
        verdict = Verdict.FAIL
    elif high <= limit:
        verdict = Verdict.PASS
    what = name.removeprefix("replay/").partition(":")[0]
    return Finding(
        id=name,
        verdict=verdict,
        reason=f"{_WHAT[what]} {number.value:.3g} ({low:.3g} to {high:.3g}), {_WITHIN[verdict]}",
        n=number.n,
        value=number.value,
        interval=number.interval,
        method=number.method,
        limit=limit,
    )


def _disagreement(pairs: tuple[Pair, ...], tolerance: float, confidence: float) -> _Number | None:
    """Return the share of rows that the two predict otherwise (Wilson 1927)."""
    if not pairs:
        return None
    other, n = sum(_differ(pair, tolerance) for pair in pairs), len(pairs)
    if _identical(pairs):
        return _Number(value=0.0, interval=(0.0, 0.0), method="identical", n=n)
    interval = wilson(other, n, confidence=confidence)
    return _Number(value=other / n, interval=interval, method="wilson", n=n)


def _differ(pair: Pair, tolerance: float) -> bool:
    one, other = pair.stable.prediction, pair.canary.prediction
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if numbers and not isinstance(one, bool) and not isinstance(other, bool):
        return not abs(one - other) <= tolerance  # type: ignore[operator]
    return one != other


def _identical(pairs: tuple[Pair, ...]) -> bool:
    return all(pair.stable == pair.canary for pair in pairs)


def _shift(pairs: tuple[Pair, ...], confidence: float) -> _Number | None:
    """Return how far scores move on average: |Δ|, for several classes half the sum of these.

    That half sum is the distance in total variation, the least share of answers that would have to
    be drawn otherwise.
    """
    if not pairs:
        return None
    n = len(pairs)
    if _identical(pairs):
        return _Number(value=0.0, interval=(0.0, 0.0), method="identical", n=n)
    scores = [np.array([getattr(p, side).score for p in pairs]) for side in ("stable", "canary")]
    if scores[0].shape != scores[1].shape:
        return None
    moved = np.abs(scores[1] - scores[0]).sum(axis=1)
    return _mean(moved if scores[0].shape[1] == 1 else moved / 2.0, confidence)


def _mean(values: Floats, confidence: float) -> _Number:
    """Return a mean of numbers from 0 up with its interval."""
    n, value = len(values), float(np.mean(values))
    found = single(of_mean(values), confidence=confidence, low=0.0)
    if found is not None:
        return _Number(value=value, interval=(found.low, found.high), method=found.method, n=n)
    if float(np.max(values)) <= 1.0:
        # No spread: of all numbers from 0 to 1 with this mean, 0 and 1 vary the most.
        interval = wilson_at(value * n, n, normal_quantile(confidence))
        return _Number(value=value, interval=interval, method="wilson, bound", n=n)
    return _Number(value=value, interval=None, method="", n=n)


def _ratio(tally: Tally, confidence: float) -> _Number | None:
    """Return the geometric mean of canary's time / stable's, over the requests both answered."""
    if not tally.times:
        return None
    logs = np.array([math.log(canary / stable) for stable, canary in tally.times])
    mean, n = float(np.mean(logs)), len(logs)
    found = single(of_mean(logs), confidence=confidence)
    interval = None if found is None else (math.exp(found.low), math.exp(found.high))
    return _Number(value=math.exp(mean), interval=interval, method="influence of logs", n=n)


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _told(troubles: Counter[str]) -> str:
    return _all([f"{what} ({count:,})" for what, count in troubles.most_common(_FEW)])


def _all(parts: list[str]) -> str:
    return "; ".join(parts)


def _few(names: list[str]) -> str:
    return ", ".join(names[:_FEW]) + (", …" if len(names) > _FEW else "")
