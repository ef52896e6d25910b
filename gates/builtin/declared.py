"""What a configuration alone says of the checks that a gate will make.

Who is handed the checks of a run that nobody vouches for holds them against these: which there must
be, by which limit each is decided, and who acts on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gates.fields import bounded
from gates.report import Decide, Family, Mode, OnInconclusive, Verb

if TYPE_CHECKING:
    from gates.evidence import Policy
    from gates.limits import Policies

MAX_PLACE = 400


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One question, before anything was measured.

    With `each`, every value of these columns has a check of its own, and which values there are
    only the data tell. With `free`, so do the places, and with no `bound` the limit (what was
    inferred from a baseline). `whole` is on all rows; one that is not `of_rows` counts others.
    `optional` may be left out by policy, and one that is `rare` is only there where it is needed.
    One that is `remembered` is held against what the baseline remembers, though its limit is not on
    a change; one that is `strict` is an error without a number, also where a slice would not be.
    """

    gate: str
    metric: str
    verb: Verb
    bound: float | None
    family: Family
    decide: Decide
    mode: Mode
    on_inconclusive: OnInconclusive
    place: str = ""
    slice: Mapping[str, str] | None = None
    each: tuple[str, ...] = ()
    sensitive: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    whole: bool = False
    of_rows: bool = True
    optional: bool = False
    rare: bool = False
    free: bool = False
    remembered: bool = False
    strict: bool = False

    def id(self, place: str | None = None) -> str:
        """Return the stable rule id, at a place of its own or at another."""
        at = self.place if place is None else place
        return f"{self.gate}/{self.metric}:{self.verb.value}" + (f"@{at}" if at else "")


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a metric is asked about, as `Declared` has it."""

    family: Family
    place: str = ""
    slice: Mapping[str, str] | None = None
    each: tuple[str, ...] = ()
    sensitive: tuple[str, ...] | None = None
    whole: bool = False


def place_of(values: Mapping[str, str]) -> str:
    """Return the part of a rule id behind the `@`, of the rows that have these values."""
    return bounded(",".join(f"{k}={v}" for k, v in values.items()), MAX_PLACE)


def declared(
    named: tuple[str, str],
    given: Mapping[Verb, float],
    policies: tuple[Policies, ...],
    policy: Policy,
    spot: Spot,
) -> Iterator[Declared]:
    """Yield the questions of a gate about a metric (`named`) in one place, one per limit."""
    for verb, bound in given.items():
        yield Declared(
            gate=named[0],
            metric=named[1],
            verb=verb,
            bound=bound,
            family=spot.family,
            decide=next((p.decide for p in policies if p.decide), policy.decide),
            mode=next((p.mode for p in policies if p.mode), policy.mode),
            on_inconclusive=next(
                (p.on_inconclusive for p in policies if p.on_inconclusive), policy.on_inconclusive
            ),
            place=spot.place,
            slice=spot.slice,
            each=spot.each,
            sensitive=spot.sensitive,
            whole=spot.whole,
        )
