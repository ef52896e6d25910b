"""Whether the canary is slower than the stable side, by more than a factor and some time.

**What it supposes, and where that is wrong.** The limits hold over all looks for latencies that are
independent of one another. Real ones are not: a busy machine, a pause for garbage or a cold cache
makes a hundred answers slow in a row, and to the arithmetic these are a hundred witnesses. Three
things keep a healthy canary from failing by that. Its first answers at a new share are not timed
(gates.canary.bake). What is slower by less than `min_rise` is not slower, whatever the ratio. And a
canary fails only if two parts of the step, one after the other, each show it by themselves: the
earlier one is a beginning of the step, so it keeps the chance of an error at alpha for independent
latencies, and the later one can only make that less. A slow spell that lies in one half fails
nobody; one that lasts, and is on the canary's side alone, still does.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from gates.canary.analysis.look import Look, figures, spent
from gates.canary.counters import RATIO, bucket, upper
from gates.canary.judgement import Ends, Finding
from gates.fields import Model
from gates.report import Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gates.canary.counters import Window
    from gates.stats.quantile_ratio import Arms, Ask

Quantile = Annotated[float, Strict(), Field(ge=0.05, le=0.999)]
Ratio = Annotated[float, Strict(), Field(ge=1, le=100)]
Rise = Annotated[float, Strict(), Field(ge=0, le=600, allow_inf_nan=False)]
_ID = "canary/latency:max_ratio"
_FOCUS = 400.0


class Latency(Model):
    """How many times as long as the stable side the canary may take, at a quantile.

    Of answers that were timed, of this step alone: how long an answer takes depends on how many
    there are. Latencies are known to 2 %, and limits on their ratio to 4 %.

    A quantile is moved as the latencies are: so the longest that is allowed is the quantile of the
    stable side's latencies, each made as much longer as it may be.
    """

    quantile: Quantile = Field(default=0.95, description="Which: 0.95 is the slowest in twenty.")
    max_ratio: Ratio = Field(
        default=1.3, description="At most so many times the stable side's quantile."
    )
    min_rise: Rise = Field(
        default=0.01, description="What is slower by less than so many seconds never fails."
    )
    mode: Literal[Mode.ENFORCE, Mode.REPORT] = Field(
        default=Mode.ENFORCE, description="enforce; or report, which is shown and does not count."
    )

    def judge(self, look: Look, alpha: float) -> Finding:
        """Return whether the ratio is within the limit; never a pass where nothing was timed."""
        from gates.stats.quantile_ratio import arms, limits

        first, second = look.halves
        ask = self.ask(alpha, look.number)
        # With all of the traffic, both halves are held against the same answers, which count once.
        whole = replace(first + second, stable=first.stable) if look.full else first + second
        found = arms(whole.canary.latency, whole.stable.latency)
        if not (found.new.sum() and found.base.sum()):
            verdict, why = Verdict.INCONCLUSIVE, "no answers of both sides were timed"
            return self._finding(whole, found, None, verdict, why)
        low, high = (None if step is None else RATIO**step for step in limits(found, ask))
        ends, allowed = (low, high), f"{self.max_ratio:g} × and {self.min_rise * 1000:g} ms"
        said = f"{_times(low, 'any')} to {_times(high, 'any')}"
        beyond = self.beyond(whole, ask)
        if beyond and self.beyond(first, ask) and self.beyond(second, ask):
            why = f"{said}, beyond {allowed} in both halves of the step"
            return self._finding(whole, found, ends, Verdict.FAIL, why)
        if self.within(whole, ask):
            why = f"{said}, not beyond {allowed}"
            return self._finding(whole, found, ends, Verdict.PASS, why)
        why = (
            f"beyond {allowed}, but not in each half of the step" if beyond else f"across {allowed}"
        )
        why = f"{said}, {why}"
        finding = self._finding(whole, found, ends, Verdict.INCONCLUSIVE, why)
        return replace(finding, n_needed=None if look.full else self._needed(whole, ask))

    def ask(self, alpha: float, step: int) -> Ask:
        """Return how sure one has to be at a step, counted from 0."""
        from gates.stats.quantile_ratio import Ask

        return Ask(quantile=self.quantile, alpha=spent(alpha, step), focus=_FOCUS)

    def beyond(self, window: Window, ask: Ask) -> bool:
        """Return whether the canary took longer than it may, by what is in one window."""
        from gates.stats.quantile_ratio import longer

        return longer(self._held(window, _longest), 0, ask) >= ask.wanted

    def within(self, window: Window, ask: Ask) -> bool:
        """Return whether the canary took no longer than it may, by what is in one window."""
        from gates.stats.quantile_ratio import shorter

        return shorter(self._held(window, _shortest), 0, ask) >= ask.wanted

    def _held(self, window: Window, end: Callable[[int], float]) -> Arms:
        """Return the canary's latencies beside the stable side's, as long as it may take."""
        from gates.stats.quantile_ratio import arms

        return arms(window.canary.latency, self._allowed(window.stable.latency, end))

    def _allowed(
        self, latency: Mapping[int, int], end: Callable[[int], float]
    ) -> Mapping[int, int]:
        moved: Counter[int] = Counter()
        for number, count in latency.items():
            seconds = end(number)
            # A hair less: what lies on an edge belongs to the bucket below it.
            most = max(seconds * self.max_ratio, seconds + self.min_rise) * (1.0 - 1e-9)
            moved[bucket(most)] += count
        return moved

    def _needed(self, window: Window, ask: Ask) -> int | None:
        """Return how many more timed answers of the canary decide, if all goes on like this."""
        from gates.stats.quantile_ratio import longer, shorter
        from gates.stats.rate_rise import multiple

        most, least = self._held(window, _longest), self._held(window, _shortest)

        def decided(times: float) -> bool:
            half = longer(most.times(times / 2.0), 0, ask)
            return max(half, shorter(least.times(times), 0, ask)) >= ask.wanted

        times = multiple(decided)
        n = sum(window.canary.latency.values())
        return None if times is None else max(1, math.ceil(n * (times - 1.0)))

    def _finding(
        self, window: Window, found: Arms, ends: Ends | None, verdict: Verdict, why: str
    ) -> Finding:
        places = (found.quantile(of, self.quantile) for of in (found.new, found.base))
        canary, stable = (None if place is None else upper(place) for place in places)
        at = f"p{self.quantile * 100:g}"
        return Finding(
            id=_ID,
            verdict=verdict,
            reason=f"{at}: {_seconds(canary)} against {_seconds(stable)}: {why}",
            code="" if verdict is Verdict.PASS else "latency",
            mode=self.mode,
            stable=figures(window.stable, stable),
            canary=figures(window.canary, canary),
            value=canary / stable if canary and stable else None,
            interval=ends,
            limit=self.max_ratio,
            method="sequential",
            n=int(found.new.sum()),
        )


def _longest(number: int) -> float:
    return upper(number)


def _shortest(number: int) -> float:
    return upper(number - 1) if number else 0.0


def _times(ratio: float | None, otherwise: str) -> str:
    return otherwise if ratio is None else f"{ratio:.2f} ×"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value * 1000:.3g} ms"
