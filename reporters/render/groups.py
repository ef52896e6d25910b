"""Rates by group as tables: one per sensitive set, a row per group, a column per metric."""

from __future__ import annotations

from dataclasses import dataclass

from gates.picture import GroupRate
from gates.report import GateResult
from reporters.render import figures, words
from reporters.render.escape import Name, Said

WITHHELD = "withheld"
_PLACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """The rates of one sensitive set; every row has as many cells as there are metrics."""

    sensitive: Name
    metrics: tuple[Said, ...]
    rows: tuple[tuple[Name, str, tuple[Said, ...]], ...]


def group_tables(gate: GateResult) -> list[GroupTable]:
    """Return a gate's rates by group, in the order in which the gate gives them."""
    sets: dict[tuple[str, ...], list[GroupRate]] = {}
    for rate in gate.groups:
        sets.setdefault(rate.sensitive, []).append(rate)
    return [_table(sensitive, rates) for sensitive, rates in sets.items()]


def _table(sensitive: tuple[str, ...], rates: list[GroupRate]) -> GroupTable:
    metrics = list(dict.fromkeys(rate.metric for rate in rates))
    groups: dict[str, dict[str, GroupRate]] = {}
    for rate in rates:
        groups.setdefault(words.pairs(rate.group), {})[rate.metric] = rate
    return GroupTable(
        sensitive=Name(" × ".join(sensitive)),
        metrics=tuple((words.metric(metric),) for metric in metrics),
        rows=tuple(_group(group, found, metrics) for group, found in groups.items()),
    )


def _group(
    group: str, found: dict[str, GroupRate], metrics: list[str]
) -> tuple[Name, str, tuple[Said, ...]]:
    """Return one group's row; a rate over fewer rows than the group has says over how many."""
    sizes = [rate.n for rate in found.values() if rate.n is not None]
    n = max(sizes, default=None)
    cells = tuple(_cell(found[m], n) if m in found else (figures.DASH,) for m in metrics)
    return Name(group), WITHHELD if n is None else f"{n:,}", cells


def _cell(rate: GroupRate, n: int | None) -> Said:
    if rate.baseline is None and rate.candidate is None:
        return (rate.note or WITHHELD,)
    shown = figures.number(rate.candidate, _PLACES)
    if rate.baseline is not None:
        shown = f"{figures.number(rate.baseline, _PLACES)} → {shown}"
    if rate.interval is not None:
        low, high = (figures.number(end, _PLACES) for end in rate.interval)
        shown = f"{shown} [{low}, {high}]"
    if rate.n is not None and rate.n != n:
        shown += f" (n {rate.n:,})"
    return (f"{shown}; ", rate.note) if rate.note else (shown,)
