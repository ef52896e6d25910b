"""How often a canary is judged rightly: `python -m benchmarks.canary [--rollouts 1000]`.

Rollouts are simulated request by request, as counts: each look brings 50 more canary requests, and
as many stable ones as the share asks for. What is held against the limit is what the verdict is
held to (gates.stats), for all rollouts and looks at once. Other methods stand beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from gates.canary.analysis.analysis import Analysis
from gates.canary.analysis.latency import Latency
from gates.canary.analysis.look import risk
from gates.canary.counters import RATIO, Arm, Window
from gates.stats.rate_rise import FOCUS, Strata, fitted
from gates.stats.sequential import above, concentration, normal_bound, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gates.stats.arrays import Floats

    Hits = NDArray[np.bool_]

SEED = 20261126
LOOKS, EACH, LEAST = 20, 50, 100
SHARES, RATES = (0.05, 0.25, 0.5), (0.001, 0.01, 0.05)
OPTIONS = Analysis()
LIMIT, REFUSALS, ALPHA = 0.005, 0.02, OPTIONS.alpha


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What both sides are like, how the traffic is shared, and how often one looks."""

    stable: float
    canary: float
    share: float
    looks: int = LOOKS
    each: int = EACH

    def drawn(self, rollouts: int, seed: int) -> Strata:
        """Return the counts up to each look, (rollouts, looks, 1)."""
        rng = np.random.default_rng((SEED, seed, self.looks, round(self.share * 1000)))
        base = round(self.each * (1.0 - self.share) / self.share)
        shape = (rollouts, self.looks)
        errors = np.cumsum(rng.binomial(self.each, self.canary, shape), axis=1)
        before = np.cumsum(rng.binomial(base, self.stable, shape), axis=1)
        looked = np.broadcast_to(np.arange(1, self.looks + 1), shape)
        counts = (errors, looked * self.each, before, looked * base)
        names = ("errors", "size", "before", "base")
        return Strata(
            **{
                name: count[..., None].astype(float)
                for name, count in zip(names, counts, strict=True)
            }
        )


def sequential(
    strata: Strata,
    alpha: float = risk(ALPHA, 0).whole,
    least: int = LEAST,
    limit: float = LIMIT,
) -> Hits:
    """Return at which looks ours would abort: the rise lies beyond the limit."""
    bound = normal_bound(strata.time / unit(FOCUS, alpha=alpha), alpha=alpha)
    enough = strata.size.sum(axis=-1) >= least
    return np.asarray((fitted(strata).root(limit) > bound) & enough)


def newcombe(strata: Strata, alpha: float = 0.01) -> Hits:
    """Newcombe's hybrid score (1998, method 10), one-sided, at each look."""
    z = NormalDist().inv_cdf(1.0 - alpha)
    low, _ = _wilson(strata.errors, strata.size, z)
    _, high = _wilson(strata.before, strata.base, z)
    rate, base = strata.errors / strata.size, strata.before / strata.base
    lower = rate - base - np.hypot(rate - low, high - base)
    return np.asarray(((lower > LIMIT) & (strata.size >= LEAST))[..., 0])


def union(strata: Strata, alpha: float = ALPHA) -> Hits:
    """Two exact beta-binomial confidence sequences, at half of alpha each, one less the other."""
    base = strata.base * np.ones_like(strata.errors)
    low = _exact(strata.errors, strata.size, alpha / 2.0, 200.0)
    high = 1.0 - _exact(base - strata.before, base, alpha / 2.0, float(base[0, 3, 0]))
    return np.asarray(((low - high > LIMIT) & (strata.size >= LEAST))[..., 0])


def z_test(strata: Strata) -> Hits:
    """Return where the counts so far differ at 5 %, with the pooled z-test."""
    rate, base = strata.errors / strata.size, strata.before / strata.base
    pooled = (strata.errors + strata.before) / (strata.size + strata.base)
    spread = np.sqrt(pooled * (1.0 - pooled) * (1.0 / strata.size + 1.0 / strata.base))
    worse = rate - base > NormalDist().inv_cdf(0.95) * spread
    return np.asarray((worse & (strata.size >= LEAST))[..., 0])


def window(strata: Strata) -> Hits:
    """Return where the errors since the last look are 2 points more: "in any window"."""
    rate, base = (
        np.diff(hits, axis=1, prepend=0.0) / np.diff(size, axis=1, prepend=0.0)
        for hits, size in ((strata.errors, strata.size), (strata.before, strata.base))
    )
    return np.asarray((rate - base > 0.02)[..., 0])


METHODS: dict[str, Callable[[Strata], Hits]] = {
    "sequential": sequential,
    "newcombe 1 %": newcombe,
    "z at 5 %": z_test,
    "2 pp in a window": window,
}


def aborted(hits: Hits, each: int = EACH) -> dict[str, float | None]:
    """Return the share of rollouts that are aborted, and the median request at which they are."""
    any_look = hits.any(axis=1)
    at = np.where(any_look, (hits.argmax(axis=1) + 1.0) * each, math.inf)
    median = float(np.median(at))
    return {
        "aborted": round(float(any_look.mean()), 5),
        "median": median if math.isfinite(median) else None,
    }


def ramp(rollouts: int, rates: tuple[float, ...], rise: float = 0.0) -> dict[str, float]:
    """Return aborts of a ramp in which both sides' rate changes with the step, pooled and ours.

    Each step has 8 looks at 5, 25 and 50 %. Ours asks all steps, each for itself, and this alone.
    """
    parts = [
        Traffic(stable=rate, canary=rate + rise, share=share, looks=8).drawn(rollouts, 100 + number)
        for number, (share, rate) in enumerate(zip(SHARES, rates, strict=True))
    ]
    pooled = ours = np.zeros(rollouts, dtype=bool)
    for number, part in enumerate(parts):
        earlier = [_last(one) for one in parts[:number]]
        strata = _beside([*earlier, part])
        ours = ours | sequential(strata).any(axis=1)
        if number:
            ours = ours | sequential(part, risk(ALPHA, number).alone).any(axis=1)
        pooled = pooled | sequential(_pooled(strata)).any(axis=1)
    return {"by step": float(ours.mean()), "pooled": float(pooled.mean())}


def slower(rollouts: int, share: float, factor: float) -> dict[str, float | None]:
    """Return aborts of a canary whose latencies, log-normal, are so many times as long.

    The first look's answers are left out, as those of a canary that is still cold are.
    """
    rng = np.random.default_rng((SEED, 7, round(share * 1000), round(factor * 10)))
    base, limit = round(EACH * (1.0 - share) / share), Latency()
    ask = limit.ask(ALPHA, 0)
    hits = np.zeros((rollouts, LOOKS), dtype=bool)
    for rollout in range(rollouts):
        timed = []
        for look in range(1, LOOKS):
            timed.append(Window(canary=_timed(rng, EACH, factor), stable=_timed(rng, base, 1.0)))
            middle = (len(timed) + 1) // 2
            halves = (_sum(timed[:middle]), _sum(timed[middle:]))
            hits[rollout, look] = all(limit.beyond(half, ask) for half in halves)
            if hits[rollout, look]:
                break
    return aborted(hits)


def _timed(rng: np.random.Generator, size: int, times: float) -> Arm:
    drawn = 0.02 * times * np.exp(0.5 * rng.normal(size=size))
    numbers = np.ceil(np.log(drawn / 1e-4) / math.log(RATIO)).astype(int)
    buckets, counts = np.unique(numbers, return_counts=True)
    latency = dict(zip(buckets.tolist(), counts.tolist(), strict=True))
    return Arm(requests=size, latency=latency)


def _sum(windows: list[Window]) -> Window:
    return reduce(add, windows, Window())


def main() -> None:
    """Print a JSON line for each situation."""
    rollouts = _options().rollouts
    started = time.perf_counter()
    for share, rate in product(SHARES, RATES):
        _tell("healthy", Traffic(stable=rate, canary=rate, share=share), rollouts * 4, METHODS)
    for share, rate in product(SHARES, (0.03, 0.05)):
        traffic = Traffic(stable=0.01, canary=rate, share=share)
        _tell("worse", traffic, rollouts, METHODS | {"exact union": union})
    both = {"sequential": sequential, "newcombe 1 %": newcombe}
    for share, rate in product(SHARES, RATES):
        traffic = Traffic(stable=rate, canary=rate + LIMIT, share=share)
        _tell("at the limit", traffic, rollouts, both)
    for share, rate in product((0.01, *SHARES, 0.9), (0.0001, 0.01, 0.3)):
        traffic = Traffic(stable=rate, canary=rate + LIMIT, share=share, looks=200, each=20)
        hits = sequential(traffic.drawn(max(1, rollouts // 4), 3), least=20)
        _say("at the limit, 200 looks", {"stable": rate, "share": share}, aborted(hits, 20))
    for share, rate, rise in product(SHARES, (0.01, 0.1, 0.3), (0.0, REFUSALS, 0.1)):
        traffic = Traffic(stable=rate, canary=rate + rise, share=share)
        hits = sequential(traffic.drawn(rollouts, 4), limit=REFUSALS)
        _say("refusals", {"stable": rate, "rise": rise, "share": share}, aborted(hits))
    for rates, rise in product(((0.01, 0.01, 0.01), (0.01, 0.03, 0.06)), (0.0, LIMIT)):
        found = ramp(max(1, rollouts // 4), rates, rise)
        _say("ramp", {"rates": rates, "rise": rise}, found)
    for share, times in product(SHARES, (1.0, 1.25, 2.0)):
        found = slower(max(1, rollouts // 10), share, times)
        _say("latency", {"share": share, "times": times}, found)
    print(f"# {time.perf_counter() - started:.0f} s")


def _tell(
    what: str, traffic: Traffic, rollouts: int, methods: Mapping[str, Callable[[Strata], Hits]]
) -> None:
    drawn = traffic.drawn(rollouts, 1)
    found = {name: aborted(method(drawn)) for name, method in methods.items()}
    _say(what, {"stable": traffic.stable, "canary": traffic.canary, "share": traffic.share}, found)


def _say(what: str, which: dict[str, object], found: dict[str, object]) -> None:
    print(json.dumps({"what": what, **which, **found}), flush=True)


def _wilson(hits: Floats, size: Floats, z: float) -> tuple[Floats, Floats]:
    centre = (hits + z * z / 2.0) / (size + z * z)
    half = z * np.sqrt(hits * (size - hits) / size + z * z / 4.0) / (size + z * z)
    return centre - half, centre + half


def _exact(hits: Floats, size: Floats, alpha: float, focus: float) -> Floats:
    """Return the lower limits of a one-sided beta-binomial confidence sequence."""
    low, high = np.full(hits.shape, 1e-9), np.clip(hits / size, 2e-9, 1.0 - 1e-9)
    worth = concentration(focus, alpha=alpha)
    for _ in range(30):
        middle = (low + high) / 2.0
        out = above(hits, size, middle, worth=worth) >= -math.log(alpha)
        low, high = np.where(out, middle, low), np.where(out, high, middle)
    return np.where(hits > 0.0, low, 0.0)


def _last(strata: Strata) -> Strata:
    """Return the counts at the end of a step, for each look of the next."""
    return Strata(**{name: counts[:, -1:, :] for name, counts in strata.__dict__.items()})


def _beside(parts: list[Strata]) -> Strata:
    """Return several steps as strata of one another, at the looks of the last."""
    shape = parts[-1].errors.shape
    return Strata(
        **{
            name: np.concatenate(
                [np.broadcast_to(part.__dict__[name], shape) for part in parts], axis=-1
            )
            for name in parts[-1].__dict__
        }
    )


def _pooled(strata: Strata) -> Strata:
    return Strata(
        **{name: counts.sum(axis=-1, keepdims=True) for name, counts in strata.__dict__.items()}
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000, help="rollouts of each situation")
    return parser.parse_args()


if __name__ == "__main__":
    main()
