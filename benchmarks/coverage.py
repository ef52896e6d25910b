"""How often intervals of disparities are right: `python -m benchmarks.coverage [--samples 400]`.

Samples of two models are drawn whose rates by group are known, and the limit is put at the truth.
Ours stands beside the percentile bootstrap that resamples rows, of both models together, around the
widest gap. Every cell of the grid is simulated; the worst of each column are simulated again with
other seeds and ten times the samples, since the worst of many is partly bad luck.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.stats.catalogue import disparity
from gates.stats.disparity import spreading
from gates.stats.disparity_change import change_interval, gap_changes
from gates.stats.measured import Measured, of_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Rates = tuple[float, ...]
    Samples = Iterator[tuple[float, tuple[float, float] | None]]

SEED = 20240607
CONFIDENCE = 0.95
REPLICATES = 400
WORST, AGAIN = 3, 10
SIZES = (50, 200, 1000)
GROUPS = (2, 3, 5, 10)
# The rows in which just one model is right, beyond those that the change itself takes.
DISCORDANT = (0.02, 0.1)
# Whether a row is right under the (baseline, candidate), by cell.
RIGHT = np.array([(1, 1), (1, 0), (0, 1), (0, 0)], dtype=bool)
ACCURACY = disparity("accuracy_difference")

# Each pattern: what a number of groups has before and after. The last group is the odd one.
PATTERNS: dict[str, Callable[[int], tuple[Rates, Rates]]] = {
    "level and stays": lambda k: (_level(0.9, k), _level(0.9, k)),
    "level at .5 and stays": lambda k: (_level(0.5, k), _level(0.5, k)),
    "level, all fall": lambda k: (_level(0.99, k), _level(0.94, k)),
    "level, all rise": lambda k: (_level(0.94, k), _level(0.99, k)),
    "level, one falls": lambda k: (_level(0.9, k), _odd(0.9, 0.85, k)),
    "gap stays": lambda k: (_odd(0.9, 0.8, k), _odd(0.9, 0.8, k)),
    "gap widens": lambda k: (_odd(0.9, 0.8, k), _odd(0.9, 0.75, k)),
    "gap narrows": lambda k: (_odd(0.9, 0.8, k), _odd(0.9, 0.85, k)),
    "gap closes": lambda k: (_odd(0.9, 0.8, k), _level(0.9, k)),
    "gap turns over": lambda k: (_odd(0.9, 0.85, k), _odd(0.85, 0.9, k)),
    "another falls behind": lambda k: (_odd(0.99, 0.94, k), (0.89, *_odd(0.99, 0.94, k)[1:])),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the grid: a pattern of so many groups, each of so many rows."""

    pattern: str
    groups: int
    size: int
    discordant: float

    @property
    def rates(self) -> tuple[Rates, Rates]:
        """Return each group's true rate, before and after."""
        return PATTERNS[self.pattern](self.groups)

    def drawn(self, samples: int, seed: int) -> Counts:
        """Return counts of rows (samples, groups, 4) in the cells of `RIGHT`."""
        rng = np.random.default_rng((SEED, seed, self.groups, self.size))
        shares = [_shares(b, a, self.discordant) for b, a in zip(*self.rates, strict=True)]
        return np.stack([rng.multinomial(self.size, s, size=samples) for s in shares], axis=1)


@dataclass(frozen=True, kw_only=True)
class Right:
    """How often an interval said the truth is exceeded, was not reached, or held it; its bias."""

    fail: float
    passed: float
    cover: float
    bias: float
    width: float


def main() -> None:
    """Print a JSON line for each cell and method, and then the worst of them."""
    options = _options()
    for asked in options.what:
        methods = {"ours": OURS[asked], "bootstrap": BOOTSTRAP[asked]}
        grid = _grid(asked)
        started = time.perf_counter()
        found = {cell: _line(asked, cell, methods, options.samples, 0) for cell in grid}
        for method, column in product(methods, ("fail", "passed", "cover")):
            ascending = sorted(grid, key=lambda c: found[c][method][column])
            cells = ascending[:WORST] if column == "cover" else ascending[-WORST:][::-1]
            print(f"# {asked}, {method}: the worst {column}, again")
            for cell in cells:
                again = options.samples * AGAIN
                _line(asked, cell, {method: methods[method]}, again, 1)
        for method in methods:
            biases = [found[cell][method]["bias"] for cell in grid]
            print(f"# {asked}, {method}: bias from {min(biases)} to {max(biases)}")
        print(f"# {asked}: {len(grid)} cells in {time.perf_counter() - started:.0f} s")


def _line(
    asked: str, cell: Cell, methods: dict[str, Any], samples: int, seed: int
) -> dict[str, dict[str, float]]:
    before, after = (max(rates) - min(rates) for rates in cell.rates)
    truth = after - before if asked == "change" else after
    drawn = cell.drawn(samples, seed)
    found = {name: asdict(_right(method(drawn), truth)) for name, method in methods.items()}
    line = {"of": asked, **asdict(cell), "truth": round(truth, 3), "samples": samples}
    print(json.dumps(line | found), flush=True)
    return found


def _right(samples: Samples, truth: float) -> Right:
    """Return how the intervals of some samples stand to the truth; none at all holds anything."""
    listed = list(samples)
    ends = np.array([interval or (-np.inf, np.inf) for _, interval in listed])
    # Two rates that are level differ by rounding.
    fail, passed = ends[:, 0] > truth + 1e-9, ends[:, 1] < truth - 1e-9
    known = np.isfinite(ends).all(axis=1)
    return Right(
        fail=round(float(fail.mean()), 4),
        passed=round(float(passed.mean()), 4),
        cover=round(float(1 - (fail | passed).mean()), 4),
        bias=round(float(np.mean([value for value, _ in listed]) - truth), 4),
        width=round(float(np.diff(ends[known]).mean()), 4),
    )


def our_value(drawn: Counts) -> Samples:
    """Yield the candidate's disparity in each sample, and its interval."""
    for groups in drawn:
        spread = spreading(ACCURACY, _rates(groups, 1), [None] * len(groups), confidence=CONFIDENCE)
        yield spread.value, (spread.interval.low, spread.interval.high)


def our_change(drawn: Counts) -> Samples:
    """Yield the change of the disparity in each sample, and its interval."""
    for groups in drawn:
        before, after = _rates(groups, 0), _rates(groups, 1)
        alone = [None] * len(groups)
        sides = [spreading(ACCURACY, r, alone, confidence=CONFIDENCE) for r in (before, after)]
        moved = gap_changes(ACCURACY.spread, before, after, alone, confidence=CONFIDENCE)
        interval = change_interval(*sides, moved)
        yield sides[1].value - sides[0].value, interval and (interval.low, interval.high)


def bootstrapped(drawn: Counts, *, change: bool) -> Samples:
    """Yield the mean of the replicates in each sample, and their percentile interval."""
    rng = np.random.default_rng(SEED)
    for groups in drawn:
        size = groups[0].sum()
        resampled = rng.multinomial(size, groups / size, size=(REPLICATES, len(groups)))
        found = np.ptp(resampled @ RIGHT / size, axis=1)
        values = found[:, 1] - found[:, 0] if change else found[:, 1]
        low, high = np.quantile(values, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
        yield float(values.mean()), (float(low), float(high))


OURS = {"value": our_value, "change": our_change}
BOOTSTRAP = {
    "value": lambda drawn: bootstrapped(drawn, change=False),
    "change": lambda drawn: bootstrapped(drawn, change=True),
}


def _rates(groups: Counts, model: int) -> dict[str, list[Measured]]:
    """Return a model's accuracy in each group, on cells with counts."""
    every = np.ones(len(RIGHT), dtype=bool)
    hits = RIGHT[:, model]
    return {"accuracy": [of_rate(hits, every, when_empty="", weight=rows) for rows in groups]}


def _grid(asked: str) -> list[Cell]:
    # What the value is does not depend on how it came about.
    seen: set[Any] = set()
    cells = []
    for pattern, groups, size, discordant in product(PATTERNS, GROUPS, SIZES, DISCORDANT):
        cell = Cell(pattern=pattern, groups=groups, size=size, discordant=discordant)
        before, after = cell.rates
        known = (sorted(after), size) if asked == "value" else (before, after, size, discordant)
        if _possible(cell) and repr(known) not in seen:
            seen.add(repr(known))
            cells.append(cell)
    return cells


def _possible(cell: Cell) -> bool:
    shares = [_shares(b, a, cell.discordant) for b, a in zip(*cell.rates, strict=True)]
    return min(min(share) for share in shares) >= 0.0


def _shares(before: float, after: float, discordant: float) -> Sequence[float]:
    """Return the shares of rows in the cells of `RIGHT`; what is in excess differs at random."""
    lost = max(0.0, before - after) + discordant / 2
    won = max(0.0, after - before) + discordant / 2
    return (before - lost, lost, won, 1.0 - before - won)


def _level(rate: float, groups: int) -> Rates:
    return (rate,) * groups


def _odd(rate: float, last: float, groups: int) -> Rates:
    return (*_level(rate, groups - 1), last)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="samples of each cell")
    parser.add_argument("--what", nargs="+", choices=OURS, default=list(OURS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
