"""Count up what both sides answered: pairs, troubles, and where the shapes of answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gates.canary.replay.answers import Heard, Keys, Told, kind
from gates.canary.replay.sending import Exchanged, Reply
from gates.fields import bounded

if TYPE_CHECKING:
    from gates.canary.replay.replay import Replay
    from gates.canary.replay.rows import Rows

_FEW = 3
# A whole number is a number, too; the other way round a typed client breaks.
_ALSO = {"number": {"whole number"}}


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What both sides say of one row; `place` is the row's."""

    place: int
    stable: Told = field(repr=False)
    canary: Told = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a replay came to; requests may be of many rows.

    `failed` are requests that the canary alone did not answer, `amiss` those that it alone answered
    in a wrong shape, `unheard` those that the stable side did not answer in a right one.
    `differences` says how the canary's answers are of another shape, `unclear` why that cannot be
    told. Times are in seconds, one for each request that both answered.
    """

    asked: int
    rows: int
    pairs: tuple[Pair, ...] = field(repr=False)
    classes: tuple[str, ...]
    failed: Counter[str]
    amiss: Counter[str]
    unheard: Counter[str]
    differences: tuple[str, ...]
    unclear: str
    times: tuple[tuple[float, float], ...] = field(repr=False)


def tally(options: Replay, rows: Rows, found: Sequence[Exchanged]) -> Tally:
    """Return what the exchanges come to."""
    both = [(one, s, c) for one in found if (s := one.stable.heard) and (c := one.canary.heard)]
    failed, amiss, unheard = _troubles(found)
    pairs = [
        Pair(place=one.start + i, stable=stable, canary=canary)
        for one, s, c in both
        for i, (stable, canary) in enumerate(zip(s.told, c.told, strict=True))
    ]
    stable, canary = [s for _, s, _ in both], [c for _, _, c in both]
    return Tally(
        asked=len(found),
        rows=min(options.rows, rows.available),
        pairs=tuple(pairs),
        classes=stable[0].classes if stable else (),
        failed=failed,
        amiss=amiss,
        unheard=unheard,
        differences=tuple(_differences(stable, canary)) if stable else (),
        unclear=_unclear(found, stable),
        times=tuple((one.stable.seconds, one.canary.seconds) for one, _, _ in both),
    )


def _troubles(found: Sequence[Exchanged]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    failed: Counter[str] = Counter()
    amiss: Counter[str] = Counter()
    unheard: Counter[str] = Counter()
    for one in found:
        if one.stable.heard is None:
            # Whatever the canary does here, the stable side does no better.
            unheard[one.stable.trouble] += 1
        elif one.canary.heard is None:
            (amiss if one.canary.wrong else failed)[one.canary.trouble] += 1
    return failed, amiss, unheard


def _unclear(found: Sequence[Exchanged], stable: Sequence[Heard]) -> str:
    """Return why nothing can be said of shapes: the stable side itself has none to go by."""
    replies: list[Reply] = [one.stable for one in found]
    if not any(reply.heard for reply in replies) and any(reply.wrong for reply in replies):
        said = next(reply.trouble for reply in replies if reply.wrong)
        return f"The stable side's own answers are not as configured: {said}."
    kinds = _kinds(stable)
    if kinds and not _alike(kinds):
        return f"The stable side predicts {_listed(kinds)} by turns."
    if len({heard.classes for heard in stable}) > 1:
        return "The stable side's scores are of other classes from answer to answer."
    return ""


def _differences(stable: Sequence[Heard], canary: Sequence[Heard]) -> Iterator[str]:
    """Yield how the canary's answers are of another shape than the stable side's."""
    if any(c.classes != s.classes for s, c in zip(stable, canary, strict=True)):
        yield "scores are of other classes"
    mine, theirs = _kinds(canary), _kinds(stable)
    if not mine <= theirs | {also for one in theirs for also in _ALSO.get(one, ())}:
        yield f"predictions are {_listed(mine)} instead of {_listed(theirs)}"
    yield from _missing(stable, canary)
    yield from _other_types(stable, canary)


def _missing(stable: Sequence[Heard], canary: Sequence[Heard]) -> Iterator[str]:
    gone = [name for name in _always(stable) if not all(name in heard.fields for heard in canary)]
    # Of a field that is gone, what was below it goes without saying.
    top = [name for name in gone if not any(name[: len(o)] == o for o in gone if o != name)]
    if top:
        yield f"{_counted(top)} missing ({_few(top)})"


def _other_types(stable: Sequence[Heard], canary: Sequence[Heard]) -> Iterator[str]:
    theirs: dict[Keys, set[str]] = {}
    for heard in stable:
        for name, types in heard.fields.items():
            theirs.setdefault(name, set()).update(types)
    other = {
        name
        for heard in canary
        for name, types in heard.fields.items()
        if name in theirs and not types <= theirs[name]
    }
    if other:
        # Names that are not in every answer may be values: of those, only their number is told.
        named = sorted(other & set(_always(stable)))
        yield f"{_counted(other)} of another type" + (f" ({_few(named)})" if named else "")


def _always(heard: Sequence[Heard]) -> list[Keys]:
    """Return the fields that each of the answers has."""
    return sorted(frozenset.intersection(*(frozenset(one.fields) for one in heard)))


def _kinds(heard: Sequence[Heard]) -> set[str]:
    return {kind(told.prediction) for one in heard for told in one.told}


def _alike(kinds: set[str]) -> bool:
    return len(kinds) == 1 or kinds == {"number", "whole number"}


def _listed(kinds: set[str]) -> str:
    return " and ".join(f"{one}s" if one != "text" else one for one in sorted(kinds))


def _counted(names: Sequence[Keys] | set[Keys]) -> str:
    return "1 field is" if len(names) == 1 else f"{len(names):,} fields are"


def _few(names: Sequence[Keys]) -> str:
    shown = ", ".join(repr(bounded(".".join(name), 60)) for name in names[:_FEW])
    return shown + (", …" if len(names) > _FEW else "")
