"""Whether the canary is slower than the stable side, by more than a factor."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, Strict

from gates.canary.counters import RATIO, upper
from gates.canary.judgement import Ends, Finding
from gates.canary.look import Look, figures, spent
from gates.report import Mode, Model, Verdict

if TYPE_CHECKING:
    from gates.canary.counters import Window
    from gates.stats.quantile_ratio import Arms, Ask

Quantile = Annotated[float, Strict(), Field(ge=0.05, le=0.999)]
Ratio = Annotated[float, Strict(), Field(ge=1, le=100)]
_ID = "canary/latency:max_ratio"
_FOCUS = 400.0


class Latency(Model):
    """How many times as long as the stable side the canary may take, at a quantile.

    Of answers that were timed, of this step alone: how long an answer takes depends on how many
    there are. Latencies are known to 2 %, and limits on their ratio to 4 %.
    """

    quantile: Quantile = Field(default=0.95, description="Which: 0.95 is the slowest in twenty.")
    max_ratio: Ratio = Field(
        default=1.3, description="At most so many times the stable side's quantile."
    )
    mode: Literal[Mode.ENFORCE, Mode.REPORT] = Field(
        default=Mode.ENFORCE, description="enforce; or report, which is shown and does not count."
    )

    def judge(self, look: Look, alpha: float) -> Finding:
        """Return whether the ratio is within the limit; never a pass where nothing was timed."""
        from gates.stats.quantile_ratio import Ask, arms, limits

        window = look.compared
        found = arms(window.canary.latency, window.stable.latency)
        ask = Ask(quantile=self.quantile, alpha=spent(alpha, len(look.earlier)), focus=_FOCUS)
        if not (found.new.sum() and found.base.sum()):
            verdict, why = Verdict.INCONCLUSIVE, "no answers of both sides were timed"
            return self._finding(window, found, None, verdict, why)
        low, high = (None if step is None else RATIO**step for step in limits(found, ask))
        limit, ends = self.max_ratio, (low, high)
        said = f"{_times(low, 'any')} to {_times(high, 'any')}"
        if low is not None and low >= limit:
            return self._finding(window, found, ends, Verdict.FAIL, f"{said}, beyond {limit:g} ×")
        if high is not None and high <= limit:
            return self._finding(window, found, ends, Verdict.PASS, f"{said}, within {limit:g} ×")
        needed = None if look.full else _needed(found, limit, ask)
        finding = self._finding(
            window, found, ends, Verdict.INCONCLUSIVE, f"{said}, across {limit:g} ×"
        )
        return replace(finding, n_needed=needed)

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


def _needed(found: Arms, limit: float, ask: Ask) -> int | None:
    """Return how many more timed answers of the canary decide, if all goes on like this."""
    from gates.stats.quantile_ratio import more

    # Up for a limit that is to be exceeded; a ratio near it is decided by no number.
    times = more(found, math.ceil(round(math.log(limit) / math.log(RATIO), 9)), ask)
    return None if times is None else max(1, math.ceil(found.new.sum() * (times - 1.0)))


def _times(ratio: float | None, otherwise: str) -> str:
    return otherwise if ratio is None else f"{ratio:.2f} ×"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value * 1000:.3g} ms"
