"""Part the evaluation set into groups, and measure rates and disparities between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gates.builtin.checks import Numbers, Pair, measure_part, no_baseline, pair_numbers
from gates.builtin.parts import Part
from gates.builtin.stored import Blocked, blocked
from gates.errors import GatesError
from gates.fields import bounded
from gates.picture import GroupRate
from gates.report import Family, Verb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.evidence import Evidence, Slice
    from gates.stats.catalogue import Disparity
    from gates.stats.disparity import Spreading
    from gates.stats.intervals import Interval
    from gates.stats.metrics import Measured, Rows

_AGREEMENT = 1e-9


@dataclass(frozen=True, kw_only=True)
class _Side:
    """What one model's rates by group came to: a disparity, or why there is none."""

    rates: Mapping[str, list[Measured]] = field(default_factory=dict)
    clusters: Sequence[NDArray[np.integer[Any]] | None] = ()
    spreading: Spreading | None = None
    problem: str | None = None

    @property
    def value(self) -> float | None:
        """Return the disparity as Fairlearn has it."""
        return self.spreading.value if self.spreading else None


@dataclass(frozen=True, kw_only=True, eq=False)
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

    @cached_property
    def groups(self) -> tuple[Part, ...]:
        """Return each group's rows, which all rates share: they are counted once."""
        return tuple(Part(evidence=self.evidence, index=part.index) for part in self.parts)

    def of_size(self, least: int) -> Parted:
        """Return the same without the groups that have fewer rows than `least`."""
        parts = tuple(part for part in self.parts if len(part.index) >= least)
        return self if len(parts) == len(self.parts) else replace(self, parts=parts)

    def against(self, verb: Verb) -> Parted:
        """Return the same as it is held against what a limit is on a change from."""
        evidence = self.evidence.against(verb)
        return self if evidence is self.evidence else replace(self, evidence=evidence)

    def disparity(self, found: Disparity, beta: float) -> dict[bool, Numbers]:
        """Return the numbers of a disparity: on its own (False), and of its change (True)."""
        # A gap's method does not tell of its two sides, so both are measured on all rows.
        measured = {
            rate: [measure_part(part, rate, beta=beta, some=False) for part in self.groups]
            for rate in found.rates
        }
        candidate = self._side(found, measured, "candidate", beta)
        if self.evidence.record is None:
            change = no_baseline(self.rows, candidate.value)
        else:
            change = self._change(found, measured, candidate, beta)
        own = Numbers(
            n=self.rows,
            baseline=change.baseline,
            candidate=candidate.value,
            interval=candidate.spreading.interval if candidate.spreading else None,
            problem=candidate.problem,
        )
        return {False: own, True: change}

    def _change(
        self, found: Disparity, measured: Mapping[str, list[Pair]], candidate: _Side, beta: float
    ) -> Numbers:
        if self.evidence.sketch is not None:
            baseline, candidate = self._by_blocks(found, candidate, beta)
        elif self.evidence.baseline is None:
            baseline = _Side(problem="its rows are not these, so its groups can not be compared")
        else:
            baseline = self._side(found, measured, "baseline", beta)
        problem = candidate.problem
        if problem is None and baseline.problem is not None:
            problem = f"Under the baseline: {baseline.problem}"
        return Numbers(
            n=self.rows,
            baseline=baseline.value,
            candidate=candidate.value,
            interval=self._interval(found, baseline, candidate),
            problem=problem,
        )

    def _by_blocks(self, found: Disparity, candidate: _Side, beta: float) -> tuple[_Side, _Side]:
        """Return the baseline's disparity by the blocks of its sketch, and the candidate's rates.

        The candidate's own disparity stays what it is by its rows.
        """
        both = {rate: [blocked(part, rate, beta) for part in self.groups] for rate in found.rates}
        held = {rate: [one for one in listed if one is not None] for rate, listed in both.items()}
        groups = len(self.groups)
        missing = groups - min(len(listed) for listed in held.values())
        if missing or candidate.problem:
            why = f"its sketch has no sums for {missing} of {groups} groups (too small, or new)"
            return _Side(problem=why), candidate
        baseline = self._side(found, held, "baseline", beta)
        rates = {rate: [one.candidate for one in listed] for rate, listed in held.items()}
        return baseline, replace(candidate, rates=rates, clusters=baseline.clusters)

    def _interval(self, found: Disparity, baseline: _Side, candidate: _Side) -> Interval | None:
        from gates.stats.disparity_change import change_interval, gap_changes
        from gates.stats.intervals import Interval

        if baseline.spreading is None or candidate.spreading is None:
            return None
        if self.evidence.identical:
            return Interval(low=0.0, high=0.0, method="identical")
        changes = gap_changes(
            found.spread,
            baseline.rates,
            candidate.rates,
            candidate.clusters,
            confidence=self.evidence.policy.confidence,
        )
        return change_interval(baseline.spreading, candidate.spreading, changes)

    def _side(
        self,
        found: Disparity,
        measured: Mapping[str, Sequence[Pair | Blocked]],
        which: str,
        beta: float,
    ) -> _Side:
        """Return the disparity of one model. What is undefined becomes a problem, in words."""
        from gates.stats.disparity import spreading
        from gates.stats.metrics import Undefined

        rates: dict[str, list[Measured]] = {}
        for rate, pairs in measured.items():
            rates[rate] = [one for pair in pairs if (one := getattr(pair, which)) is not None]
            if missing := len(pairs) - len(rates[rate]):
                return _Side(problem=f"{rate} is undefined in {missing} of {len(pairs)} groups")
        clusters = [pair.clusters for pair in measured[found.rates[0]]]
        try:
            spread = spreading(found, rates, clusters, confidence=self.evidence.policy.confidence)
        except Undefined as undefined:
            return _Side(problem=undefined.reason)
        self._agree(found, spread.value, which, beta)
        return _Side(rates=rates, clusters=clusters, spreading=spread)

    def _agree(self, found: Disparity, ours: float, which: str, beta: float) -> None:
        """Hold our number against Fairlearn's own: a difference is a bug of ours."""
        from gates.stats.definitions import fairlearn_value

        if getattr(self.evidence, which) is None:
            return  # only a sketch is left of its rows
        rows, codes = self._coded(found, 0 if which == "candidate" else 1)
        theirs = fairlearn_value(found.name, rows, codes, beta=beta)
        if not math.isclose(ours, theirs, rel_tol=_AGREEMENT, abs_tol=_AGREEMENT):
            raise GatesError(
                f"{found.name} came out as {ours!r}, Fairlearn says {theirs!r}",
                hint="Please report this: it is a bug in Model Gates.",
            )

    def _coded(self, found: Disparity, model: int) -> tuple[Rows, NDArray[np.intp]]:
        """Return a model's rows in groups, as cells where those say it all, and their groups."""
        import numpy as np

        from gates.stats.cells import together
        from gates.stats.metrics import goes_by_cell

        by_cell = all(goes_by_cell(rate) for rate in found.rates)
        listed = [(part.cells if by_cell else part.models)[model] for part in self.groups]
        return together(listed), np.repeat(np.arange(len(listed)), [len(rows) for rows in listed])


def group_rates(parted: Parted, rates: tuple[str, ...], min_group: int) -> Iterator[GroupRate]:
    """Yield each rate of each group; of groups below the privacy floor only the name."""
    evidence = parted.evidence
    for part, group in zip(parted.parts, parted.groups, strict=True):
        withheld = len(part.index) < evidence.policy.min_count
        small = len(part.index) < min_group
        for rate in rates:
            pair = measure_part(group, rate, some=False)
            interval = pair_numbers(evidence, pair, Verb.MIN).interval
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
                interval=(interval.low, interval.high) if interval else None,
                note=note,
            )
