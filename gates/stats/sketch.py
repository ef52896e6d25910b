"""A baseline without its rows: its influence summed over blocks of rows, and what that decides.

What a paired comparison needs of a model is not its outputs but their sum of influence in each of
G blocks of rows, a block being a hash of the row's id or cluster. With S the sums of either model
and m the rows of a block,

    SE²(candidate − baseline) = Σ_b ((S_candidate,b − S_baseline,b) / (n − m_b))² · (G − 1) / G

which is the error of a paired comparison with blocks for clusters (`units.py`), for any metric that
has an influence. Its own relative error is about 1 / √(2G): 2 % for 2,048 blocks.

Privacy: each set of rows has blocks of its own, about `ROWS_PER_BLOCK` rows to one, so that no
stored number is of one row, also in a small slice. It is an aggregate and no more than that: who
has the labels and many overlapping slices can narrow down what the model said about a row.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gates.stats.arrays import Floats, Numbers
from gates.stats.measured import Measured
from gates.stats.units import Deviation, error_of

ROWS_PER_BLOCK = 20
MOST_BLOCKS = 2048
# With fewer, Student's t makes of the sums an interval that is wider than one without pairing.
ENOUGH_BLOCKS = 4
HASHES = 2**31 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Entry:
    """One metric of the baseline on one set of rows: what is left of it.

    `rows` names the rows by their places (see `rows_key`), `place` is for people. `sums` (G,) are
    of the influence; empty where the metric has none, or where the rows are too few.
    """

    metric: str
    beta: float
    rows: str
    place: str
    n: int
    value: float
    se: float | None
    unit: float | None
    sums: Floats

    @property
    def key(self) -> tuple[str, float, str]:
        """Return what the entry is found by."""
        return self.metric, self.beta, self.rows


class Sketch:
    """The entries of one baseline."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = {entry.key: entry for entry in entries}

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Return the entries in a fixed order."""
        return tuple(self._entries[key] for key in sorted(self._entries))

    @property
    def digest(self) -> str:
        """Return "sha256:…" of everything that the entries hold."""
        content = hashlib.sha256()
        for one in self.entries:
            told = (*one.key, one.place, one.n, one.value, one.se, one.unit, len(one.sums))
            content.update(repr(told).encode() + one.sums.astype("<f8").tobytes())
        return "sha256:" + content.hexdigest()

    def find(self, metric: str, beta: float, rows: str) -> Entry | None:
        """Return the entry of a metric on these rows, if the sketch holds one."""
        return self._entries.get((metric, beta, rows))


def rows_key(index: Numbers | None, rows: int) -> str:
    """Return a name of a set of rows, out of `rows`, that no other set has; None: all of them.

    A slice is known by its rows and not by its name: a condition that was edited finds nothing.
    """
    if index is None:
        return ""
    inside = np.zeros(rows, dtype=np.bool_)
    inside[index] = True
    return hashlib.sha256(np.packbits(inside).tobytes()).hexdigest()


def block_count(rows: int) -> int:
    """Return how many blocks so many rows are summed in: 0 where the rows are too few."""
    blocks = min(MOST_BLOCKS, rows // ROWS_PER_BLOCK)
    return blocks if blocks > 1 else 0


def blocks_of(hashes: Numbers) -> Numbers:
    """Return the block of each row of a set, from the hash of its cluster or id in 0…HASHES-1."""
    return hashes % max(1, block_count(len(hashes)))


def block_sums(measured: Measured, hashes: Numbers) -> Floats:
    """Return the sums of influence by block; empty where there are none to be had."""
    blocks = block_count(len(hashes))
    if measured.influence is None or blocks == 0:
        return np.empty(0, dtype=np.float64)
    sums = np.zeros(blocks, dtype=np.float64)
    found = _summed(blocks_of(hashes), measured.influence)
    sums[: len(found)] = found
    return sums


def standard_error(measured: Measured, clusters: Numbers | None) -> float | None:
    """Return the standard error of a metric, clusters taken together; None where none is known."""
    if measured.influence is None:
        return None
    if clusters is None:
        return math.sqrt(float(np.sum(measured.influence**2))) / len(measured.influence)
    error = error_of(Deviation(influence=measured.influence, clusters=clusters))
    return None if error is None else math.sqrt(error.variance)


def _summed(codes: Numbers, values: Floats) -> Floats:
    return np.bincount(codes, weights=values).astype(np.float64)


def unfolded(entry: Entry, hashes: Numbers) -> Measured | None:
    """Return an entry as if measured on its rows, each given an even share of its block's sum.

    Sums over whole blocks are those of the rows, so whoever takes `blocks_of` for clusters computes
    the formula above; by rows the result means nothing. None where the entry has no sums.
    """
    if len(entry.sums) == 0:
        return None
    blocks = blocks_of(hashes)
    sizes = np.bincount(blocks, minlength=len(entry.sums))
    return Measured(
        value=entry.value, influence=(entry.sums / np.maximum(sizes, 1))[blocks], unit=entry.unit
    )
