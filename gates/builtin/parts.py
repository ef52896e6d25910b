"""Some rows of the evaluation set, as both models see them; each view of them is made once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from gates.fields import bounded
from gates.report import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.evidence import Evidence
    from gates.stats.metrics import Measured, Rows
    from gates.stats.sampled import Many

_THREADS = 4
_FEW_CLUSTERS = 10.0

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """The rows of `index`, or all of them (None), for as long as somebody looks at them."""

    evidence: Evidence
    index: NDArray[np.intp] | None = None

    @property
    def size(self) -> int:
        """Return how many rows these are."""
        return self.evidence.rows if self.index is None else len(self.index)

    @property
    def withheld(self) -> bool:
        """Return whether these are too few for numbers on them to be shown."""
        return self.index is not None and self.size < self.evidence.policy.min_count

    @cached_property
    def models(self) -> tuple[Rows, ...]:
        """Return the candidate's rows and, where it has any, the baseline's."""
        every = slice(None) if self.index is None else self.index
        # All rows are views, too: what metrics work out on them must not outlive the part.
        return tuple(rows.take(every) for rows in self.evidence.models)

    @cached_property
    def identical(self) -> bool:
        """Return whether both models gave the same outputs on every one of these rows."""
        return len(self.models) == 2 and self.models[0].agree(self.models[1])

    @cached_property
    def many(self) -> tuple[Many, ...] | None:
        """Return the same with some rows that stand for all in an interval; None: no need."""
        from gates.stats.sampled import MANY, sampled

        # The sum over a cluster is that of all its rows.
        if self.size <= MANY or self.evidence.clusters is not None:
            return None
        return sampled(self.models)

    def sampled(self, metric: str) -> tuple[Measured, ...] | None:
        """Return both models' metric with the influence of some rows; None: it takes all."""
        from gates.stats.sampled import VALUES, measure_many

        if metric not in VALUES or self.many is None:
            return None
        return measure_many(metric, self.many)

    @cached_property
    def cells(self) -> tuple[Rows, ...]:
        """Return the same as cells with counts. Undefined for regression: it has no classes."""
        return self.evidence.cells.of(self.index)

    @cached_property
    def clusters(self) -> NDArray[np.int32] | None:
        """Return each row's cluster, or None where rows are independent."""
        clusters = self.evidence.clusters
        return clusters if self.index is None or clusters is None else clusters[self.index]

    @cached_property
    def anchored(self) -> Part | None:
        """Return the same rows as they are held against the anchor, if there is one."""
        anchor = self.evidence.anchor
        return None if anchor is None else Part(evidence=anchor, index=self.index)


def few_clusters(evidence: Evidence) -> tuple[str, ...]:
    """Return a note where so few clusters decide that their intervals are hardly worth reading."""
    import numpy as np

    from gates.stats.units import effective

    if evidence.clusters is None:
        return ()
    sizes = np.bincount(evidence.clusters)
    worth = effective(sizes)
    if worth >= _FEW_CLUSTERS:
        return ()
    note = (
        f"{bounded(evidence.data.cluster)}: rows of few clusters decide. "
        f"{np.count_nonzero(sizes):,} clusters are worth {worth:.1f} of equal size, so intervals "
        "are wide."
    )
    return (note,)


def prepare(evidence: Evidence) -> None:
    """Work out what all parts share, and ask the engine for it, before threads would at once."""
    _ = evidence.models, evidence.clusters
    if evidence.task is not Task.REGRESSION:
        _ = evidence.cells
    if evidence.sketch is not None:
        _ = evidence.hashes


def in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield the result for each item, in their order; whatever is raised is raised here.

    The work is numpy's, which lets other threads go on meanwhile. Each holds one item's arrays in
    memory, so there are few.
    """
    with ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, items)
