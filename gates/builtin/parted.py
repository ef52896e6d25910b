"""Part the evaluation set into groups, and measure rates and disparities between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gates.builtin.checks import Numbers, Pair, measure_pair, no_baseline
from gates.errors import GatesError
from gates.limits import span
from gates.report import Family, GroupRate, bounded
from gates.stats.catalogue import METRICS, Disparity, Spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.evidence import Evidence, Slice
    from gates.stats.intervals import Interval
    from gates.stats.metrics import Measured

_AGREEMENT = 1e-9
_REPLICATES = 1000


@dataclass(frozen=True, kw_only=True)
class Parted:
    """The evaluation set, parted into the groups of one sensitive set."""

    evidence: Evidence
    columns: tuple[str, ...]
    parts: tuple[Slice, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the sensitive columns as they stand in a report."""
        return tuple(bounded(column) for column in self.columns)

    @property
    def place(self) -> str:
        """Return the part of a rule id behind the `@`."""
        return ",".join(self.names)

    @property
    def family(self) -> Family:
        """Return which questions the disparities of this set are corrected with."""
        return Family.OVERALL if len(self.columns) == 1 else Family.INTERSECTIONS

    @property
    def rows(self) -> int:
        """Return how many rows are in a group."""
        return sum(len(part.index) for part in self.parts)

    def of_size(self, least: int) -> Parted:
        """Return the same without the groups that have fewer rows than `least`."""
        parts = tuple(part for part in self.parts if len(part.index) >= least)
        return Parted(evidence=self.evidence, columns=self.columns, parts=parts)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Return how often each replicate draws each block: one set for all metrics of this set."""
        from gates.stats.bootstrap import block_weights

        blocks = int(self.evidence.blocks.max()) + 1
        return block_weights(blocks, _REPLICATES, self.evidence.policy.seed)

    def disparity(self, found: Disparity, beta: float) -> dict[bool, Numbers]:
        """Return the numbers of a disparity: on its own (False), and of its change (True)."""
        pairs = {
            rate: [measure_pair(self.evidence, rate, part.index, beta=beta) for part in self.parts]
            for rate in found.rates
        }
        problem = self._problem(pairs, "candidate_problem")
        own = self._disparity_of(found, pairs, "candidate", beta) if not problem else None
        if self.evidence.record is None:
            change = no_baseline(self.rows, own.value if own else None)
        else:
            change = self._change(found, pairs, problem, own, beta)
        numbers = Numbers(
            n=self.rows,
            baseline=change.baseline,
            candidate=own.value if own else None,
            interval=_interval(self.evidence, found, own.value, own.replicates) if own else None,
            problem=problem,
        )
        return {False: numbers, True: change}

    def _problem(self, pairs: Mapping[str, list[Pair]], which: str) -> str | None:
        if len(self.parts) < 2:
            return f"{len(self.parts)} group(s) have enough rows: there is nothing to compare"
        for rate, measured in pairs.items():
            reasons = [reason for pair in measured if (reason := getattr(pair, which))]
            if reasons:
                return f"{rate} is undefined in {len(reasons)} of {len(measured)} groups"
        return None

    def _change(
        self,
        found: Disparity,
        pairs: Mapping[str, list[Pair]],
        problem: str | None,
        own: Spreading | None,
        beta: float,
    ) -> Numbers:
        candidate = own.value if own else None
        if self.evidence.baseline is None:
            problem = problem or "the baseline's rows are not these: its groups can not be compared"
        problem = problem or self._problem(pairs, "baseline_problem")
        if problem or own is None:
            return Numbers(n=self.rows, candidate=candidate, problem=problem)
        theirs = self._disparity_of(found, pairs, "baseline", beta)
        from gates.stats.bootstrap import spread_interval

        interval = spread_interval(
            own.value - theirs.value,
            own.replicates - theirs.replicates,
            confidence=self.evidence.policy.confidence,
            low=None,
            high=None,
        )
        return Numbers(n=self.rows, baseline=theirs.value, candidate=own.value, interval=interval)

    def _disparity_of(
        self, found: Disparity, pairs: Mapping[str, list[Pair]], which: str, beta: float
    ) -> Spreading:
        import numpy as np

        from gates.stats.bootstrap import disparity as spread_of
        from gates.stats.bootstrap import group_replicates

        measured: dict[str, list[Measured]] = {
            rate: [getattr(pair, which) for pair in listed] for rate, listed in pairs.items()
        }
        values = {
            rate: np.array([one.value for one in listed]) for rate, listed in measured.items()
        }
        replicates = {
            rate: group_replicates(
                [part.index for part in self.parts], listed, self.evidence.blocks, self.weights
            )
            for rate, listed in measured.items()
        }
        spreading = Spreading(
            value=float(spread_of(found, values)), replicates=spread_of(found, replicates)
        )
        self._agree(found, spreading.value, which, beta)
        return spreading

    def _agree(self, found: Disparity, ours: float, which: str, beta: float) -> None:
        """Hold our number against Fairlearn's own: a difference is a bug of ours."""
        import numpy as np

        from gates.stats.definitions import fairlearn_value

        rows = self.evidence.candidate if which == "candidate" else self.evidence.baseline
        if rows is None:
            return
        index = np.concatenate([part.index for part in self.parts])
        codes = np.repeat(np.arange(len(self.parts)), [len(part.index) for part in self.parts])
        theirs = fairlearn_value(found.name, rows.take(index), codes, beta=beta)
        if not math.isclose(ours, theirs, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
            raise GatesError(
                f"{found.name} came out as {ours!r}, Fairlearn says {theirs!r}",
                hint="Please report this: it is a bug in Model Gates.",
            )


@dataclass(frozen=True, kw_only=True)
class Spreading:
    """A disparity of one model: its value, and its replicates under the joint bootstrap."""

    value: float
    replicates: NDArray[np.float64]


def _interval(
    evidence: Evidence, found: Disparity, value: float, replicates: NDArray[np.float64]
) -> Interval:
    from gates.stats.bootstrap import spread_interval

    metric = METRICS[found.rates[0]]
    low, high = span(metric)
    if found.spread is Spread.DIFFERENCE:
        low, high = 0.0, None if high is None or low is None else high - low
    elif found.spread is Spread.RATIO:
        low, high = 0.0, 1.0
    return spread_interval(
        value, replicates, confidence=evidence.policy.confidence, low=low, high=high
    )


def group_rates(parted: Parted, rates: tuple[str, ...], min_group: int) -> Iterator[GroupRate]:
    """Yield each rate of each group; of groups below the privacy floor only the name."""
    evidence = parted.evidence
    for part in parted.parts:
        withheld = len(part.index) < evidence.policy.min_count
        small = len(part.index) < min_group
        for rate in rates:
            pair = measure_pair(evidence, rate, part.index)
            note = pair.candidate_problem or (
                f"fewer than {min_group} rows: not judged" if small else None
            )
            yield GroupRate(
                sensitive=parted.names,
                group={bounded(k): bounded(v) for k, v in part.values.items()},
                metric=rate,
                n=None if withheld else len(part.index),
                baseline=None if withheld else pair.stored,
                candidate=pair.candidate.value if pair.candidate else None,
                note=note,
            )
