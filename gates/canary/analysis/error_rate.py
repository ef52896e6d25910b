"""Whether the canary errs, or refuses, more than the stable side does, by more than a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, Strict, model_validator

from gates.canary.analysis.look import Look, Risk, figures, rate, risk
from gates.canary.judgement import Finding
from gates.fields import Model
from gates.report import Mode, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gates.canary.counters import Window

Method = Literal["sequential", "newcombe"]
Rise = Annotated[float, Strict(), Field(ge=0, lt=1, allow_inf_nan=False)]
# Answers of the canary at which evidence against one that stands alone is to be strongest.
_FOCUS = 100.0


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a rise: the likeliest, its limits, and what multiple would decide one."""

    rise: float
    low: float
    high: float
    method: str
    times: Callable[[float], float | None]


class ErrorRate(Model):
    """How many more errors the canary may answer with: 500s, and no answers.

    Passes when the interval of the rise lies within the limit, fails when it lies beyond. All steps
    are asked together, each beside the stable side's answers of the same time; a step that is worse
    by itself fails as well, and keeps the whole from passing. Where the stable side has answered
    nothing that is known, a canary never passes; it fails by itself if its rate alone is critical.
    """

    code: ClassVar[str] = "error_rate"
    noun: ClassVar[str] = "errors"

    max_rise: Rise = Field(
        default=0.005, description="At most so much above the stable side's rate: 0.005 is 0.5 pp."
    )
    critical: Rise = Field(
        default=0.05, description="A rise beyond this fails before `min_requests` have come."
    )
    mode: Literal[Mode.ENFORCE, Mode.REPORT] = Field(
        default=Mode.ENFORCE, description="enforce; or report, which is shown and does not count."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.critical < self.max_rise:
            raise ValueError("`critical` has to be at least `max_rise`")
        return self

    def judge(self, look: Look, alpha: float, method: Method) -> Finding:
        """Return whether the rise is within the limit; never a pass without counts of both."""
        compared = look.compared
        parts = _parts(method, alpha, look.number)
        if not (compared.canary.requests and compared.stable.requests):
            return self._single(look, compared, parts.alone if look.number else parts.whole)
        alone = _known(method, (compared,), parts.alone if look.number else parts.whole)
        if look.full:
            # What it rests on is not of the same time: it may fail only as a step by itself does.
            whole = _known(method, (compared,), parts.whole)
            return self._said(look, compared, _spliced(alone, whole))
        if not look.number or method == "newcombe":
            return self._said(look, compared, alone)
        if alone.low > self.max_rise:
            return self._said(look, compared, alone)
        whole = _known(method, (*look.earlier, look.step), parts.whole)
        return self._said(look, look.whole, whole, alone.rise)

    def is_critical(self, finding: Finding) -> bool:
        """Return whether a rise that counts is so high that no more requests are needed."""
        low = finding.interval[0] if finding.interval else None
        return finding.counts and low is not None and low > self.critical

    def stable_is_worse(self, look: Look, alpha: float) -> bool:
        """Return whether the stable side is the one that fails, as far beyond as is critical."""
        step = look.step
        if look.full or not (step.canary.requests and step.stable.requests):
            return False
        turned = type(step)(stable=step.canary, canary=step.stable)
        return _known("sequential", (turned,), alpha).low > self.critical

    def _single(self, look: Look, counted: Window, alpha: float) -> Finding:
        """Return what is found where one side has answered nothing: no rate is less than none."""
        from gates.stats.sequential import bernoulli

        undecided = self._finding(
            look, counted, None, Verdict.INCONCLUSIVE, "one side has answered nothing"
        )
        canary = counted.canary
        if not canary.requests:
            return undecided
        low, _ = bernoulli(canary.errors, canary.requests, alpha=alpha, focus=_FOCUS)
        if not low > self.critical:
            return undecided
        share = canary.errors / canary.requests
        why = (
            f"{canary.errors:,} of {canary.requests:,}, at least {low:.2%}: beyond "
            f"{self.critical:.2%} whatever the stable side, which has answered nothing, would do"
        )
        return replace(
            undecided,
            verdict=Verdict.FAIL,
            reason=f"{self.noun}: {why}",
            value=share,
            interval=(low, None),
            method="sequential, against none",
        )

    def _said(
        self, look: Look, counted: Window, known: Known, alone: float | None = None
    ) -> Finding:
        limit = self.max_rise
        rise = f"{known.rise:+.2%} ({known.low:+.2%} to {known.high:+.2%})"
        if known.low > limit:
            return self._finding(
                look, counted, known, Verdict.FAIL, f"{rise} is beyond {limit:.2%}"
            )
        if known.high > limit:
            return self._finding(
                look, counted, known, Verdict.INCONCLUSIVE, f"{rise} reaches across {limit:.2%}"
            )
        if alone is not None and alone > limit:
            why = f"all steps together are within {limit:.2%}, but this one is at {alone:+.2%}"
            return self._finding(look, counted, known, Verdict.INCONCLUSIVE, why)
        return self._finding(look, counted, known, Verdict.PASS, f"{rise} is within {limit:.2%}")

    def _finding(
        self, look: Look, counted: Window, known: Known | None, verdict: Verdict, why: str
    ) -> Finding:
        n = counted.canary.requests
        times = None
        if known is not None and verdict is Verdict.INCONCLUSIVE and not look.full:
            times = known.times(self.max_rise)
        # Where a multiple of 1 decides, it is the step by itself that keeps it from passing.
        needed = math.ceil(n * (times - 1.0)) if times is not None and times > 1.0 else None
        stable, canary = (
            f"{arm.errors:,} of {arm.requests:,}" for arm in (counted.stable, counted.canary)
        )
        return Finding(
            id=f"canary/{self.code}:max_rise",
            verdict=verdict,
            reason=f"{self.noun}: {canary} against {stable}: {why}",
            code="" if verdict is Verdict.PASS else self.code,
            mode=self.mode,
            stable=figures(counted.stable, rate(counted.stable)),
            canary=figures(counted.canary, rate(counted.canary)),
            value=known.rise if known else None,
            interval=(known.low, known.high) if known else None,
            limit=self.max_rise,
            method=known.method if known else "",
            n=n,
            n_needed=needed,
        )


class RefusalRate(ErrorRate):
    """How many more requests the canary may refuse: answers of the 400s.

    A model that takes no request any more says that users are wrong. Some of them always are, more
    or less in every hour: so its limits are wider.
    """

    code: ClassVar[str] = "refusal_rate"
    noun: ClassVar[str] = "refusals"

    max_rise: Rise = Field(
        default=0.02, description="At most so much above the stable side's rate: 0.02 is 2 pp."
    )
    critical: Rise = Field(
        default=0.25, description="A rise beyond this fails before `min_requests` have come."
    )

    def judge(self, look: Look, alpha: float, method: Method) -> Finding:
        """Return whether the rise is within the limit; in its counts, errors are refusals."""
        return super().judge(look.refusals, alpha, method)


def _parts(method: Method, alpha: float, step: int) -> Risk:
    """Return the parts of alpha; an interval for one look has it all, at each."""
    return risk(alpha, step) if method == "sequential" else Risk(whole=alpha, alone=alpha)


def _spliced(lower: Known, upper: Known) -> Known:
    return Known(
        rise=upper.rise,
        low=lower.low,
        high=upper.high,
        method=f"{upper.method}, against earlier answers",
        times=upper.times,
    )


def _known(method: Method, windows: Sequence[Window], alpha: float) -> Known:
    found = {"sequential": _sequential, "newcombe": _newcombe}
    return found[method](windows, alpha)


def _sequential(windows: Sequence[Window], alpha: float) -> Known:
    """Return the limits that hold however often one looks (gates.stats.rate_rise)."""
    import numpy as np

    from gates.stats.rate_rise import FOCUS, Strata, fitted, limits, more

    both = [(window.canary, window.stable) for window in windows]
    arms = [(canary, stable) for canary, stable in both if canary.requests and stable.requests]
    found = fitted(
        Strata(
            errors=np.array([float(canary.errors) for canary, _ in arms]),
            size=np.array([float(canary.requests) for canary, _ in arms]),
            before=np.array([float(stable.errors) for _, stable in arms]),
            base=np.array([float(stable.requests) for _, stable in arms]),
        )
    )
    low, high = limits(found, alpha=alpha, focus=FOCUS)
    times = partial(more, found, alpha=alpha, focus=FOCUS)
    return Known(rise=float(found.rise), low=low, high=high, method="sequential", times=times)


def _newcombe(windows: Sequence[Window], alpha: float) -> Known:
    """Return Newcombe's limits (1998, method 10): right for one look, and for no more."""
    from gates.stats.rate_rise import multiple
    from gates.stats.sides import Side, difference

    (window,) = windows
    stable, canary, z = window.stable, window.canary, NormalDist().inv_cdf(1.0 - alpha)

    def ends(times: float) -> tuple[float, float]:
        before, after = (
            Side(
                value=arm.errors / arm.requests, below=0.0, above=0.0, answers=arm.requests * times
            )
            for arm in (stable, canary)
        )
        return difference(before, after, 0.0, z)

    def decides(rise: float) -> float | None:
        return multiple(lambda times: not ends(times)[0] <= rise < ends(times)[1])

    rise = canary.errors / canary.requests - stable.errors / stable.requests
    low, high = ends(1.0)
    return Known(rise=rise, low=low, high=high, method="newcombe", times=decides)
