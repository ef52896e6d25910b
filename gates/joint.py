"""Say of a gate's checks what replicates of their whole family say of them (max-T).

Holm counts fifty slices as fifty questions, also where they are nearly the same rows. Where the
configuration asks for `correction: max_t`, each check gets a second adjusted p-value that knows how
far the questions are one; `gates.decide` takes it where it lies between p and Holm's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gates.builtin.checks import measure_pair
from gates.fields import significant
from gates.report import Family, GateResult, Verb

if TYPE_CHECKING:
    from gates.builtin.stored import Compared
    from gates.evidence import Evidence
    from gates.report import Check
    from gates.stats.arrays import Floats
    from gates.stats.measured import Measured

    Sums = dict[tuple[str, str], tuple[Floats | None, Floats | None, Floats | None]]


def jointly(evidence: Evidence, result: GateResult, compared: Iterable[Compared]) -> GateResult:
    """Return a settled result with `p_joint` in every check that has a p; settle it again.

    `compared` are the rows that the gate measured its metrics on, each with its place.
    """
    from gates.stats.joint import max_t

    sums: Sums = {(one.metric, one.place): _sums(evidence, one) for one in compared}
    checks = list(result.checks)
    for family in Family:
        asked = [i for i, c in enumerate(checks) if c.family is family and c.p is not None]
        if len(asked) < 2:
            continue
        adjusted = max_t(
            [checks[i].p or 0.0 for i in asked],
            [_of(checks[i], sums) for i in asked],
            seed=evidence.policy.seed,
        )
        for i, p in zip(asked, adjusted, strict=True):
            checks[i] = checks[i].model_copy(update={"p_joint": significant(p)})
    return result.model_copy(update={"checks": tuple(checks)})


def _of(check: Check, sums: Sums) -> Floats | None:
    """Return the sums of what a check holds against its limit; None where nobody has them."""
    place = check.id.partition("@")[2]
    own, change, from_anchor = sums.get((check.metric, place), (None, None, None))
    if check.verb in (Verb.MIN, Verb.MAX):
        return own
    return from_anchor if check.verb.needs_anchor else change


def _sums(evidence: Evidence, one: Compared) -> tuple[Floats | None, Floats | None, Floats | None]:
    """Return block sums of the candidate's influence, and of its change from both references."""
    candidate, baseline = _measured(evidence, one)
    anchor = None if evidence.anchor is None else _measured(evidence.anchor, one)[1]
    own = _blocked(evidence, one, candidate, None)
    change = None if baseline is None else _blocked(evidence, one, candidate, baseline)
    return own, change, None if anchor is None else _blocked(evidence, one, candidate, anchor)


def _measured(evidence: Evidence, one: Compared) -> tuple[Measured | None, Measured | None]:
    # By rows: what an influence belongs to must be the same for every question.
    pair = measure_pair(evidence, one.metric, one.index, beta=one.beta)
    return pair.candidate, pair.baseline


def _blocked(
    evidence: Evidence, one: Compared, candidate: Measured | None, other: Measured | None
) -> Floats | None:
    import numpy as np

    from gates.stats.joint import BLOCKS

    if candidate is None or candidate.influence is None:
        return None
    influence = candidate.influence
    if other is not None:
        if other.influence is None:
            return None
        influence = influence - other.influence
    blocks = evidence.hashes % BLOCKS
    blocks = blocks if one.index is None else blocks[one.index]
    return np.bincount(blocks, weights=influence, minlength=BLOCKS).astype(np.float64)
