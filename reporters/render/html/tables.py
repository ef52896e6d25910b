"""Tables that only this page has room for: slices by metric, changed predictions, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gates.picture import Curves, Flip
from gates.report import Check, ModelReport
from reporters.render import figures, words
from reporters.render.escape import Name, Said
from reporters.render.rows import SHARES
from reporters.render.words import Tone

MOST_SLICES = 100
MOST_FLIPS = 50
BAR = 56.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """A row for each slice, the worst first, and a cell for each metric and kind of limit."""

    heads: tuple[tuple[Said, str], ...]
    rows: tuple[tuple[Name, str, tuple[tuple[Tone, str] | None, ...]], ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipRow:
    """One slice's changed predictions; the bars are lengths between 0 and `BAR`."""

    about: Name | str
    rows: str
    changed: str
    fixed: str
    broken: str
    fixed_bar: str
    broken_bar: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Rows by label and prediction; a shade is the share of its label's rows, in percent."""

    classes: tuple[Name, ...]
    rows: tuple[tuple[Name, tuple[tuple[str, str, str, bool], ...]], ...]


def slice_table(model: ModelReport) -> SliceTable | None:
    """Return the slices of a model side by side; of fewer than two, none."""
    checks = [
        check
        for gate in model.gates
        if gate.gate != SHARES
        for check in gate.checks
        if check.slice and not check.sensitive
    ]
    kinds = list(dict.fromkeys((check.metric, check.verb) for check in checks))
    slices: dict[str, dict[tuple[str, str], Check]] = {}
    for check in checks:
        slices.setdefault(words.pairs(check.slice or {}), {})[check.metric, check.verb] = check
    if len(slices) < 2:
        return None
    ranked = sorted(slices, key=lambda name: _badness(list(slices[name].values())))
    heads = {(c.metric, c.verb): ((words.metric(c.metric),), words.limit(c)) for c in checks}
    return SliceTable(
        heads=tuple(heads[kind] for kind in kinds),
        rows=tuple(
            (
                Name(name),
                f"{max(check.n for check in slices[name].values()):,}",
                tuple(_cell(slices[name].get(kind)) for kind in kinds),
            )
            for name in ranked[:MOST_SLICES]
        ),
        more=len(ranked[MOST_SLICES:]),
    )


def _badness(checks: Sequence[Check]) -> tuple[int, int]:
    tones = [words.tone(check) for check in checks]
    worst = min(tones, key=lambda tone: tone.rank)
    return worst.rank, -tones.count(worst)


def _cell(check: Check | None) -> tuple[Tone, str] | None:
    if check is None:
        return None
    of_change = check.interval_of == "delta"
    value = check.delta if of_change else check.candidate
    return words.tone(check), figures.number(value, figures.places(check), sign=of_change)


def flip_rows(model: ModelReport) -> tuple[list[FlipRow], int]:
    """Return what changed by slice, where most was broken on balance first, and how many more."""
    flips = model.portrait.flips
    if flips is None:
        return [], 0
    ranked = sorted(flips.slices, key=_loss, reverse=True)
    shown = [flips.overall, *ranked[:MOST_FLIPS]]
    top = max((_part(part, one) for one in shown for part in (one.fixed, one.broken)), default=0.0)
    return [_flip(one, top or 1.0) for one in shown], len(ranked[MOST_FLIPS:])


def _loss(flip: Flip) -> float:
    if flip.broken is None:
        return _part(flip.changed, flip)
    return _part(flip.broken - (flip.fixed or 0), flip)


def _part(count: int | None, flip: Flip) -> float:
    return (count or 0) / (flip.rows or 1)


def _flip(flip: Flip, top: float) -> FlipRow:
    return FlipRow(
        about=Name(words.pairs(flip.slice)) if flip.slice else "all rows",
        rows=f"{flip.rows:,}",
        changed=_counted(flip.changed, flip),
        fixed=_counted(flip.fixed, flip),
        broken=_counted(flip.broken, flip),
        fixed_bar=f"{BAR * _part(flip.fixed, flip) / top:.1f}",
        broken_bar=f"{BAR * _part(flip.broken, flip) / top:.1f}",
    )


def _counted(count: int | None, flip: Flip) -> str:
    if count is None:
        return figures.DASH
    share = _part(count, flip)
    return f"{count:,} [{figures.share(share) if 0 < share < 1 else f'{share:.0%}'}]"


def confusion(model: ModelReport) -> Confusion | None:
    """Return the candidate's rows by label and prediction, and how many more than before."""
    ours, theirs = model.portrait.candidate, model.portrait.baseline
    if ours is None or not ours.confusion:
        return None
    before = theirs if theirs and theirs.classes == ours.classes else None
    return Confusion(
        classes=tuple(map(Name, ours.classes)),
        rows=tuple(
            (Name(label), _predicted(ours, before, place))
            for place, label in enumerate(ours.classes)
        ),
    )


def _predicted(
    ours: Curves, before: Curves | None, label: int
) -> tuple[tuple[str, str, str, bool], ...]:
    """Return a label's cells: count, change, shade, and whether the prediction is right."""
    counts = ours.confusion[label]
    old = before.confusion[label] if before and before.confusion else None
    return tuple(
        (
            f"{count:,}",
            figures.number(count - old[place], 0, sign=True) if old else "",
            f"{100 * count / (sum(counts) or 1):.0f}",
            place == label,
        )
        for place, count in enumerate(counts)
    )
