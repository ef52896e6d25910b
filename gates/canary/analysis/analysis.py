"""Judge a canary by its counts, as often as one likes, without blaming it for chance.

The order is: what fails it whatever its numbers are · what is not its fault · whether there are
counts · whether they are enough, and dealt out as they should be · errors · refusals · latency.
Three answers: `fail` goes back, `pass` goes on, and everything in between waits or asks a person.

All limits are held by evidence that is valid over the whole rollout, however many looks there are
(gates.stats.rate_rise, gates.stats.quantile_ratio), for requests that are independent of one
another; `latency` says what is done about those that are not. Measured over 20 looks of 50 canary
requests each (benchmarks/canary.py): a healthy canary is aborted for its errors in at most 0.6 %
of the rollouts, at rates of 0.1, 1 and 5 % and shares of 5, 25 and 50 %. 5 % errors against 1 %
are caught in 100, 99.7 and 98.9 % at these shares, after 200, 200 and 300 canary requests
(medians). Newcombe's interval at 1 % a look would be sooner (100, 150 and 250 requests), and abort
up to 2.6 % of the healthy ones; so it is not the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, Strict, model_validator

from gates.canary.analysis.error_rate import ErrorRate, Method, RefusalRate
from gates.canary.analysis.latency import Latency
from gates.canary.analysis.look import Look
from gates.canary.analysis.standing import (
    broken,
    hopeless,
    idle,
    lost,
    misrouted,
    stable_fault,
    unmeasured,
    unwell,
)
from gates.canary.judgement import Judgement, together
from gates.fields import Model
from gates.report import Mode

if TYPE_CHECKING:
    from gates.canary.bake import Baked
    from gates.canary.plan import Plan
    from gates.canary.sight import Sight

Alpha = Annotated[float, Strict(), Field(gt=0, le=0.2, allow_inf_nan=False)]


class Analysis(Model):
    """What a canary is held to while users meet it."""

    error_rate: ErrorRate | None = Field(default=ErrorRate(), description="Limit on errors.")
    refusal_rate: RefusalRate | None = Field(
        default=RefusalRate(), description="Limit on refusals, which are answers of the 400s."
    )
    latency: Latency | None = Field(
        default=Latency(), description="Limit on latency; `mode: report` where a meter has none."
    )
    alpha: Alpha = Field(
        default=0.05,
        description="How probably a canary that is just at a limit may be aborted by chance, over "
        "the whole rollout and for each limit. One at the stable side's own rate is so far less.",
    )
    method: Method = Field(
        default="sequential",
        description="Of rates: sequential; or newcombe, an interval for one look, which errs more "
        "with each.",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        asked = (self.error_rate, self.latency)
        if not any(one and one.mode is not Mode.REPORT for one in asked):
            raise ValueError("nothing is judged: enforce `error_rate` or `latency`")
        return self

    def judge(self, baked: Baked, share: int, sight: Sight, plan: Plan) -> Judgement:
        """Return what can be said of a rollout so far; `share` is in percent."""
        return judge(
            Look(
                step=baked.step,
                share=share / 100.0,
                sight=sight,
                digest=plan.candidate.digest,
                min_requests=plan.min_requests,
                earlier=baked.earlier,
                timed=baked.timed,
                gaps=baked.gaps,
                why=baked.why,
                resets=baked.resets,
            ),
            self,
        )


def judge(look: Look, options: Analysis) -> Judgement:
    """Return what can be said of a canary at one look; pure."""
    for question in (broken, unwell, unmeasured, hopeless):
        finding = question(look)
        if finding:
            return together([finding])
    errors = options.error_rate
    if errors and errors.stable_is_worse(look, options.alpha):
        return together([stable_fault(look)])
    asked = [one for one in (errors, options.refusal_rate) if one]
    rates = [one.judge(look, options.alpha, options.method) for one in asked]
    # So many errors need no more requests, and a canary that is down now and then gets fewer.
    critical = any(one.is_critical(rate) for one, rate in zip(asked, rates, strict=True))
    standing = None if critical else idle(look) or misrouted(look)
    if standing:
        return together([standing])
    speed = options.latency.judge(look, options.alpha) if options.latency else None
    return together([*rates, *(one for one in (speed, lost(look)) if one)])
