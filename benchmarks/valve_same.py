"""Rollouts of a canary that is what the stable side is, on a real HAProxy, as latencies go.

Both servers are new processes with the same model in every rollout, users come at once, and the
canary has 25 % of them. Each second is a look, and what the limit's own code says at it is noted;
beside that, what is said where nothing but the ratio counts, of all answers of the step at once.
"""

from __future__ import annotations

import time
from collections import Counter

from gates.canary.analysis.analysis import Analysis
from gates.canary.analysis.latency import Latency
from gates.canary.analysis.look import Look
from gates.canary.bake import Baked, Tally
from gates.canary.counters import Window
from gates.canary.sight import Health, Seen, Sight
from gates.report import Verdict
from tests.canary.bench import Valve

SHARE = 25
LOOKS, EVERY = 15, 1.0
_ALPHA = Analysis().alpha
_SEEN = Seen(digest=None, health=Health.READY, share=0.25, reachable=True)
_BARE = Latency(min_rise=0.0)


def rollout(one: Valve) -> tuple[list[Baked], Counter[str]]:
    """Return what each look at one step found, and what was said: ours, and the ratio alone."""
    one.router.ensure_share(SHARE)
    tally, found, said = Tally(read=one.router.counters), [], Counter[str]()
    tally.begin()
    for _ in range(LOOKS):
        time.sleep(EVERY)
        baked = tally.count()
        found.append(baked)
        verdict = Latency().judge(_look(baked), _ALPHA).verdict
        said["ours failed"] |= verdict is Verdict.FAIL
        said["ours passed at last"] = int(verdict is Verdict.PASS)
        said["ratio alone failed"] |= _BARE.beyond(baked.step, _BARE.ask(_ALPHA, 0))
    return found, said


def summed(looks: list[list[Baked]], said: list[Counter[str]]) -> dict[str, object]:
    """Return how many rollouts failed and passed, and how many answers they had (smallest)."""
    last: list[Window] = [found[-1].step for found in looks]
    return {
        "rollouts": len(said),
        **{name: sum(one[name] for one in said) for name in said[0]},
        "canary_requests_least": min(window.canary.requests for window in last),
        "errors": sum(window.canary.errors + window.stable.errors for window in last),
    }


def _look(baked: Baked) -> Look:
    return Look(
        step=baked.step,
        share=SHARE / 100,
        sight=Sight(stable=_SEEN, canary=_SEEN),
        digest="",
        min_requests=100,
        earlier=baked.earlier,
        timed=baked.timed,
    )
