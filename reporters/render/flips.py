"""Which predictions changed, as a table: all rows, then the slices that lost most by it."""

from __future__ import annotations

from dataclasses import dataclass

from gates.picture import Flip
from gates.report import ModelReport
from reporters.render import figures, words
from reporters.render.escape import Name, Said

MOST_SLICES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipTable:
    """Flips in words; `judged` is whether an answer can be right or wrong (not in regression)."""

    title: str
    judged: bool
    rows: tuple[tuple[Said, ...], ...]
    more: int
    ids: Said


def flip_table(model: ModelReport) -> FlipTable | None:
    """Return how a model's answers changed, or None where nobody can tell or none did."""
    flips = model.portrait.flips
    if flips is None or not flips.overall.changed:
        return None
    judged = flips.overall.fixed is not None
    harmed = sorted(flips.slices, key=_net)
    shown = [flips.overall, *harmed[:MOST_SLICES]]
    return FlipTable(
        title=_title(flips.overall),
        judged=judged,
        rows=tuple(_row(flip, judged=judged) for flip in shown),
        more=len(flips.slices) - len(shown) + 1,
        ids=tuple(part for one in flips.broken_ids for part in (Name(one), " "))[:-1],
    )


def _net(flip: Flip) -> tuple[int, int]:
    """Return a place in the order: by what was gained, or where nobody can tell, what changed."""
    return (flip.fixed or 0) - (flip.broken or 0), -flip.changed


def _title(flip: Flip) -> str:
    changed = f"{_share(flip.changed, flip.rows)} of {flip.rows:,} predictions changed"
    if flip.fixed is None or flip.broken is None:
        return changed
    return f"{changed}: {flip.fixed:,} fixed, {flip.broken:,} broken"


def _row(flip: Flip, *, judged: bool) -> tuple[Said, ...]:
    about: Said = (Name(words.pairs(flip.slice)),) if flip.slice else ("all rows",)
    counts = [f"{flip.rows:,}", f"{flip.changed:,} ({_share(flip.changed, flip.rows)})"]
    if judged:
        fixed, broken = flip.fixed or 0, flip.broken or 0
        counts += [f"{fixed:,}", f"{broken:,}", figures.number(fixed - broken, 0, sign=True)]
    return (about, *((one,) for one in counts))


def _share(part: int, whole: int) -> str:
    return figures.share(part / whole) if part not in (0, whole) else f"{100 * part // whole} %"
