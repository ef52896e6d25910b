"""What has to hold before a rollout touches anything. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gates.canary.sight import Health, Pinned, Sight


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The registered baseline that the evidence compares with; `artifact` is its model's digest.

    `judged` is the digest of the record that the evidence names, `registered` of the one that the
    alias points at now; None where there is none.
    """

    alias: str
    judged: str | None
    registered: str | None
    artifact: str | None


def refusals(candidate: Pinned, stable: Pinned, baseline: Baseline | None) -> Iterator[str]:
    """Yield why the evidence is not about what would really happen; None checks no baseline.

    A candidate is only known to be no worse than the baseline. If something else serves, that says
    nothing about what users would notice.
    """
    if baseline is None:
        return
    if baseline.registered is None:
        yield f"no baseline is registered as `{baseline.alias}`"
    elif baseline.judged != baseline.registered:
        yield (
            f"the candidate was held against {_short(baseline.judged)}, and `{baseline.alias}` is "
            f"{_short(baseline.registered)} by now: judge it again"
        )
    elif baseline.artifact is None:
        yield (
            f"the baseline `{baseline.alias}` does not say which model it is: register it with "
            "`--artifact`, or set `evidence: {baseline: trust}`"
        )
    elif baseline.artifact not in (stable.digest, stable.artifact):
        runs = stable.artifact or stable.digest
        yield (
            f"what serves is {_short(runs)}, and the baseline that the candidate was held against "
            f"is {_short(baseline.artifact)}"
        )
    if candidate.digest == stable.digest:
        yield "the candidate is what serves already"


def obstacles(sight: Sight) -> Iterator[str]:
    """Yield why a rollout cannot begin on a site as it is."""
    stable, canary = sight.stable, sight.canary
    if stable.health is not Health.READY:
        why = f": {stable.reason}" if stable.reason else ""
        yield f"the stable side is {stable.health}{why}"
    if not stable.reachable:
        yield "the stable side is out of rotation"
    if canary.share or canary.reachable:
        yield f"the canary side has {canary.share:.1%} of the traffic, and no rollout gave it that"


def _short(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:19]
