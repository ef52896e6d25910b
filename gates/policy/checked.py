"""Match the checks of a report with those that the rules ask for, and make them by the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gates.builtin.declared import Declared, place_of
from gates.config import ModelConfig
from gates.errors import Refused
from gates.evidence import Policy
from gates.fields import bounded, significant
from gates.policy.claims import METHODS, contradiction, contradicts_p, own_p
from gates.report import Check, Correction, Family

NOT_COMPARED = "No baseline is registered: nothing was compared."
NO_COLUMN = "Its column is not in the table, and the rules let it be."
NO_NUMBER = "The run says that there is no number here."
NOT_THERE = "It is declared by the rules, and is not in the report of the run."
LEFT_OUT = "The run has left it out, which the rules do not allow."
_FORGED = "No run of Model Gates writes that: look at what the pull request runs."


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the checks of one gate of one model are held against."""

    policy: Policy
    model: ModelConfig
    name: str
    asked: tuple[Declared, ...]
    rows: int | None = None
    bare: bool = False

    @property
    def clustered(self) -> bool:
        """Return whether rows belong together, so that rates have no interval of counts."""
        return self.model.data.cluster is not None


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The checks as the rules have them, and the ids of those that no rule asks for."""

    name: str
    checks: tuple[Check, ...]
    strangers: tuple[str, ...]
    claimed: dict[str, Check]

    def require_sound(self, settled: Iterable[Check]) -> None:
        """Refuse p-values that say something else than the intervals beside them."""
        for check in settled:
            claimed = self.claimed.get(check.id)
            if claimed is not None and contradicts_p(claimed, check):
                raise _forged(self.name, check.id, "its p-value is not that of its interval")


def checked(held: Held, found: Sequence[Check]) -> Checked:
    """Return the checks that the rules ask for, with the numbers found for them.

    One that is asked for and is not there is an error; one that nobody asks for is left out.
    """
    matched = [(check, one) for check in found if (one := _match(held.asked, check)) is not None]
    made = [_made(held, check, one) for check, one in matched]
    there = {check.id for check, _ in matched}
    missing = [_missing(held, one, place) for one, place in _absent(held.asked, matched)]
    comparable = {
        check.id: check
        for (check, one), new in zip(matched, made, strict=True)
        if check.limit == new.limit and check.p == new.p
    }
    return Checked(
        name=held.name,
        checks=(*made, *missing),
        strangers=tuple(check.id for check in found if check.id not in there),
        claimed=comparable,
    )


def _match(asked: Iterable[Declared], check: Check) -> Declared | None:
    """Return the question that a check answers: its rule id is made again, and must be its own."""
    for one in asked:
        if one.verb is not check.verb or one.metric != check.metric:
            continue
        if one.each:
            values = check.slice or {}
            if tuple(values) == one.each and check.id == one.id(place_of(values)):
                return one
        elif one.free:
            place = bounded(",".join(check.columns or ()), 400)
            if re.fullmatch(re.escape(one.id(place)) + r"(#[1-9][0-9]{0,3})?", check.id):
                return one
        elif check.id == one.id():
            return one
    return None


def _absent(
    asked: Sequence[Declared], matched: Sequence[tuple[Check, Declared]]
) -> Iterator[tuple[Declared, str]]:
    """Yield what was asked and is not there, with its place.

    Which values a column has is the data's to say. But a value that one question was asked of was
    there for all questions about that column, and a column has one value at least. Only groups may
    all be too small to be asked about; then a question of its own (a rare one) stays open.
    """
    places: dict[tuple[str, ...], dict[str, None]] = {}
    for check, one in matched:
        if one.each:
            places.setdefault(one.each, {})[place_of(check.slice or {})] = None
    there = {check.id for check, _ in matched}
    answered = {id(one) for _, one in matched}
    small = {one.sensitive for _, one in matched if one.rare}
    for one in asked:
        if one.each:
            some = {} if one.sensitive in small else {",".join(one.each): None}
            known = places.get(one.each, some)
            yield from ((one, place) for place in known if one.id(place) not in there)
        elif one.free:
            if not one.optional and id(one) not in answered:
                yield one, ""
        elif one.id() not in there and not one.rare:
            yield one, one.place


def _made(held: Held, check: Check, one: Declared) -> Check:
    """Return a check with its numbers, and all else from the rules. Refused if they contradict."""
    if check.confidence != held.policy.confidence and check.interval is not None:
        why = f"its interval is at {check.confidence:g}, and the rules ask for"
        raise _forged(held.name, check.id, f"{why} {held.policy.confidence:g}")
    remembered = check.candidate if one.remembered else None
    if held.bare and (check.baseline is not None or remembered is not None):
        raise _forged(held.name, check.id, "it is compared with a baseline that is not named")
    elsewhere = (one.columns and not one.strict) or one.free  # perhaps of another table
    rows = held.rows if one.of_rows and not elsewhere else None
    wrong = contradiction(check, rows, whole=one.whole, clustered=held.clustered)
    if wrong is None and one.rare and check.problem is None:
        wrong = "it is there only where something can not be told, and it says what it is"
    if wrong is not None:
        raise _forged(held.name, check.id, wrong)
    skip, problem = _why(held, check, one)
    limit = check.limit if one.bound is None else {one.verb: significant(one.bound)}
    joint = held.policy.correction is Correction.MAX_T and check.limit == limit
    return _bare(held, one, check.id).model_copy(
        update={
            "slice": check.slice if one.each else _plain(one),
            "columns": check.columns if one.free else one.columns,
            **{key: getattr(check, key) for key in ("baseline", "candidate", "delta", "interval")},
            "method": check.method if check.method in METHODS else "unknown",
            "n": check.n,
            "family": Family.OVERALL if _grave(one, problem) else one.family,
            "p": own_p(check) if check.limit == limit else None,
            "p_joint": check.p_joint if joint else None,
            "limit": limit,
            "skip": skip,
            "problem": problem,
        }
    )


def _why(held: Held, check: Check, one: Declared) -> tuple[bool, str | None]:
    """Return whether a check may be left out, and why it has no number, in words of ours."""
    if not check.skip:
        return False, None if check.problem is None else NO_NUMBER
    if one.optional and not one.free and check.candidate is None:
        return True, NO_COLUMN
    lacking = held.bare and held.model.baseline.on_missing == "absolute"
    compared = one.verb.needs_baseline or (one.remembered and check.candidate is None)
    if lacking and compared and check.baseline is None:
        return True, NOT_COMPARED
    return False, LEFT_OUT


def _grave(one: Declared, problem: str | None) -> bool:
    """Return whether it is an error that there is no number, whatever the family."""
    return problem == LEFT_OUT or (one.strict and problem is not None)


def _missing(held: Held, one: Declared, place: str) -> Check:
    # Of all rows, where what can not be had is an error: in a slice it would be mere doubt.
    return _bare(held, one, one.id(place)).model_copy(
        update={
            "family": Family.OVERALL,
            "problem": NOT_THERE,
            "columns": one.columns,
            "slice": _plain(one),
        }
    )


def _bare(held: Held, one: Declared, rule: str) -> Check:
    return Check(
        id=rule,
        metric=bounded(one.metric),
        sensitive=one.sensitive,
        interval_of="delta" if one.verb.needs_baseline else "candidate",
        confidence=held.policy.confidence,
        method="point",
        n=0,
        limit={one.verb: 1.0 if one.bound is None else one.bound},
        decide=one.decide,
        mode=one.mode,
        on_inconclusive=one.on_inconclusive,
    )


def _plain(one: Declared) -> dict[str, str] | None:
    return None if one.slice is None else dict(one.slice)


def _forged(model: str, rule: str, why: str) -> Refused:
    return Refused(
        f"the report of the run contradicts itself: {why}",
        where=f"{bounded(model)}: {bounded(rule)}",
        hint=_FORGED,
    )
