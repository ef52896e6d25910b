"""How often intervals of ROC AUC and average precision are wrong: `python -m benchmarks.ranks`.

Samples of two models whose scores are normal in each class, with the limit at the truth. Printed is
how often an interval lies above the truth (what should not pass passes) and below it (a false
fail), of the candidate's own value and of the change. Ours stands beside DeLong's, which is the
influence's with the normal quantile.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gates.stats.intervals import paired, single
from gates.stats.measured import Measured, Rows
from gates.stats.measured_sides import deviation_of
from gates.stats.metrics import measure
from gates.stats.score_intervals import normal_quantile
from gates.stats.units import error_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gates.stats.intervals import Interval

    Ends = tuple[float, float] | None

SEED = 20240607
CONFIDENCE = 0.95
MANY = 400_000
METRICS = ("roc_auc", "average_precision")
# Rows of either class; how far models part them, baseline and candidate; what scores share.
CLASSES = ((5, 45), (5, 195), (10, 90), (10, 190), (20, 980), (50, 950), (30, 30), (200, 200))
MODELS = (
    ((1.0, 1.0), 0.5),
    ((1.2, 1.0), 0.95),
    ((2.3, 2.3), 0.5),
    ((2.3, 2.0), 0.9),
    ((4.0, 2.3), 0.5),
)


def main() -> None:
    """Print a JSON line for each setting and metric, and then the worst of each column."""
    options = _options()
    started, worst = time.perf_counter(), {}
    for name, classes, (gaps, share) in product(METRICS, CLASSES, MODELS):
        found = _wrong(name, classes, gaps, share, options.samples)
        line = {"metric": name, "classes": classes, "gaps": gaps, "share": share}
        print(json.dumps(line | found), flush=True)
        for key, value in found.items():
            worst[name, key] = max(value, worst.get((name, key), 0.0))
    for (name, key), value in worst.items():
        print(f"# {name}, {key}: at most {value}")
    print(f"# {options.samples} samples of each in {time.perf_counter() - started:.0f} s")


def drawn(
    rng: np.random.Generator, classes: Sequence[int], gaps: Sequence[float], share: float
) -> list[Rows]:
    """Return two models that part the classes by so many standard deviations of their scores."""
    label = np.repeat([1, 0], classes)
    common, own = rng.normal(size=len(label)), rng.normal(size=(2, len(label)))
    models = []
    for gap, noise in zip(gaps, own, strict=True):
        z = gap * label + math.sqrt(share) * common + math.sqrt(1.0 - share) * noise
        models.append(Rows(label=label, prediction=label, score=1.0 / (1.0 + np.exp(-z / 2.0))))
    return models


def _wrong(
    name: str, classes: Sequence[int], gaps: Sequence[float], share: float, samples: int
) -> dict[str, float]:
    """Return how often each interval lies above and below the truth."""
    rng = np.random.default_rng((SEED, *classes))
    many = [MANY * size // sum(classes) for size in classes]
    before, after = (measure(name, rows).value for rows in drawn(rng, many, gaps, share))
    truth = {"own": after, "change": after - before}
    counts: dict[str, float] = {}
    for _ in range(samples):
        models = [measure(name, rows) for rows in drawn(rng, classes, gaps, share)]
        ours = {
            "own": _ends(single(models[1], confidence=CONFIDENCE)),
            "change": _ends(paired(*models, confidence=CONFIDENCE)),
        }
        for method, found in (("ours", ours), ("delong", _delong(*models))):
            for of, ends in found.items():
                low, high = ends or (-math.inf, math.inf)
                above, below = f"{method} {of} above", f"{method} {of} below"
                counts[above] = counts.get(above, 0.0) + (low > truth[of] + 1e-12)
                counts[below] = counts.get(below, 0.0) + (high < truth[of] - 1e-12)
    return {key: round(count / samples, 4) for key, count in counts.items()}


def _delong(baseline: Measured, candidate: Measured) -> dict[str, Ends]:
    change = candidate.influence - baseline.influence  # type: ignore[operator]
    value = candidate.value - baseline.value
    found: dict[str, Ends] = {}
    for of, at, moved in (
        ("own", candidate.value, candidate.influence),
        ("change", value, change),
    ):
        error = error_of(deviation_of(candidate, moved, None))  # type: ignore[arg-type]
        half = normal_quantile(CONFIDENCE) * math.sqrt(error.variance) if error else math.inf
        found[of] = (at - half, at + half)
    return found


def _ends(interval: Interval | None) -> Ends:
    return None if interval is None else (interval.low, interval.high)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description=__doc__)
    parser.add_argument("--samples", type=int, default=1000, help="samples of each setting")
    return parser.parse_args()


if __name__ == "__main__":
    main()
