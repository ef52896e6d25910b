"""Rates by group as a table that is its own picture: how far each group moved stands in its cell.

The cells of one metric share a scale, whose ends stand in the head of their column, so that a group
is held against the others by looking down. Every group that has numbers is drawn: such a drawing
costs next to nothing, where a chart for each metric cost more than the rest of the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gates.picture import GroupRate
from gates.report import GateResult
from reporters.render import figures, words
from reporters.render.escape import Name, Said
from reporters.render.groups import GroupTable, group_tables

WIDTH = 120.0
MOST_SHOWN = 12
_MARGIN = 6.0
# A narrower scale would show what any two groups differ by as a gap.
_NARROWEST = 0.1
_PLACES = 3

Scale = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where a rate was and where it is, between 0 and `WIDTH` as SVG takes it."""

    baseline: str | None
    candidate: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A metric, and the ends of its scale; without anything to draw there are none."""

    metric: Said
    ends: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group: how many rows it has, what holds for all of it, and each metric as it is drawn."""

    group: Name
    n: str
    note: str
    cells: tuple[tuple[Said, Way | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The rates of one sensitive set; of many groups, those that moved most are `shown`."""

    sensitive: Name
    heads: tuple[Head, ...]
    shown: tuple[GroupRow, ...]
    folded: tuple[GroupRow, ...]


def rates(gate: GateResult) -> Iterator[Rates]:
    """Yield the rates of each sensitive set, in the order in which the gate gives them."""
    sets: dict[str, list[GroupRate]] = {}
    for rate in gate.groups:
        sets.setdefault(" × ".join(rate.sensitive), []).append(rate)
    for table in group_tables(gate):
        yield _rates(table, sets[table.sensitive.text])


def _rates(table: GroupTable, found: list[GroupRate]) -> Rates:
    metrics = list(dict.fromkeys(rate.metric for rate in found))
    scales = {metric: _scale(r for r in found if r.metric == metric) for metric in metrics}
    groups: dict[str, dict[str, GroupRate]] = {}
    for rate in found:
        groups.setdefault(words.pairs(rate.group), {})[rate.metric] = rate
    rows = [
        _row(group, n, cells, [(groups[group.text].get(m), scales[m]) for m in metrics])
        for group, n, cells in table.rows
    ]
    if len(rows) > MOST_SHOWN:
        rows.sort(key=_moved, reverse=True)
    return Rates(
        sensitive=table.sensitive,
        heads=tuple(
            Head(metric=said, ends=_ends(scales[metric]))
            for metric, said in zip(metrics, table.metrics, strict=True)
        ),
        shown=tuple(rows[:MOST_SHOWN]),
        folded=tuple(rows[MOST_SHOWN:]),
    )


def _row(
    group: Name, n: str, cells: tuple[Said, ...], found: list[tuple[GroupRate | None, Scale | None]]
) -> GroupRow:
    """Return one group's row; a note that all its rates have is said once."""
    notes = {rate.note for rate, _ in found if rate}
    (note,) = notes if len(notes) == 1 else (None,)
    said = [_without(cell, note) for cell in cells] if note else cells
    ways = (_way(rate, scale) if rate and scale else None for rate, scale in found)
    return GroupRow(group=group, n=n, note=note or "", cells=tuple(zip(said, ways, strict=True)))


def _without(cell: Said, note: str) -> Said:
    number, *noted = cell
    if noted:
        return (str(number).removesuffix("; "),)
    return (figures.DASH,) if number == note else cell


def _scale(found: Iterable[GroupRate]) -> Scale | None:
    """Return from where to where one metric of a set is drawn."""
    values = [v for rate in found for v in (rate.baseline, rate.candidate) if v is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    short = max(0.0, _NARROWEST * max(abs(low), abs(high)) - (high - low)) / 2
    return low - short, high + short


def _ends(scale: Scale | None) -> tuple[str, str] | None:
    if scale is None:
        return None
    return figures.number(scale[0], _PLACES), figures.number(scale[1], _PLACES)


def _way(rate: GroupRate, scale: Scale) -> Way | None:
    if rate.baseline is None and rate.candidate is None:
        return None
    return Way(baseline=_place(rate.baseline, scale), candidate=_place(rate.candidate, scale))


def _place(value: float | None, scale: Scale) -> str | None:
    if value is None:
        return None
    low, high = scale
    return f"{_MARGIN + (value - low) / ((high - low) or 1.0) * (WIDTH - 2 * _MARGIN):.1f}"


def _moved(row: GroupRow) -> float:
    """Return how far apart the two points of a group are at most, as it is drawn."""
    return max(
        (
            abs(float(way.candidate) - float(way.baseline))
            for _, way in row.cells
            if way and way.candidate and way.baseline
        ),
        default=-1.0,
    )
