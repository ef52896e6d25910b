"""Describe the columns of a table in a few bounded numbers, for a baseline to remember."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gates.fields import MAX_NAME
from gates.record import ColumnProfile
from gates.tables.canonical import Column, Kind, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyRelation

EXACT_DISTINCT = 10_000
MAX_VALUES = 50
_AT_ONCE = 50


def profile(relation: DuckDBPyRelation, columns: Mapping[str, Column]) -> dict[str, ColumnProfile]:
    """Return what each column holds: kind, missing values, range, and the values if few.

    One pass, and one more over the columns that may have few enough values to count them exactly:
    an estimate would differ between engines. Numbers that are not finite are left out of the range.
    """
    names = list(columns)
    result: dict[str, ColumnProfile] = {}
    for start in range(0, len(names), _AT_ONCE):
        part = {name: columns[name] for name in names[start : start + _AT_ONCE]}
        result.update(_profile(relation, part))
    return result


def _profile(relation: DuckDBPyRelation, part: Mapping[str, Column]) -> dict[str, ColumnProfile]:
    wanted = [f"count(*) - count({c.field}), {_spread(c)}, {_range(c)}" for c in part.values()]
    (row,) = relation.aggregate(", ".join(wanted)).fetchall()
    facts = {name: row[5 * i : 5 * i + 5] for i, name in enumerate(part)}
    # The estimate is a few percent off: twice the bound is surely beyond it.
    countable = {n: c for n, c in part.items() if 0 <= facts[n][1] <= 2 * EXACT_DISTINCT}
    distinct = _distinct(relation, countable)
    return {
        name: _one(relation, column, facts[name], distinct.get(name))
        for name, column in part.items()
    }


def _spread(column: Column) -> str:
    if column.kind is Kind.OTHER:
        return "-1"
    return f"approx_count_distinct({column.field})"


def _range(column: Column) -> str:
    if column.kind not in (Kind.INTEGER, Kind.NUMBER):
        return "NULL, NULL, NULL"
    value = f"{column.field}::DOUBLE"
    finite = f"CASE WHEN isfinite({value}) THEN {value} END"
    # favg compensates rounding, so that the order of threads does not show in 12 digits.
    return f"min({finite}), max({finite}), favg({finite})"


def _distinct(relation: DuckDBPyRelation, columns: Mapping[str, Column]) -> dict[str, int]:
    if not columns:
        return {}
    wanted = ", ".join(f"count(DISTINCT {column.field})" for column in columns.values())
    (row,) = relation.aggregate(wanted).fetchall()
    counts = zip(columns, row, strict=True)
    return {name: count for name, count in counts if count <= EXACT_DISTINCT}


def _one(
    relation: DuckDBPyRelation, column: Column, facts: tuple[Any, ...], distinct: int | None
) -> ColumnProfile:
    nulls, _, low, high, mean = facts
    values = None
    if column.kind in (Kind.TEXT, Kind.BOOLEAN) and distinct and distinct <= MAX_VALUES:
        values = _values(relation, column)
    return ColumnProfile(
        kind=column.kind.value,
        nulls=nulls,
        distinct=distinct,
        low=low,
        high=high,
        mean=mean if mean is not None and math.isfinite(mean) else None,
        values=values,
    )


def _values(relation: DuckDBPyRelation, column: Column) -> tuple[str, ...] | None:
    """Return the set of values, in order; of long texts, which are no categories, nothing."""
    present = relation.filter(f"{column.field} IS NOT NULL")
    rows = present.project(f"{text_of(column)} AS v").distinct().fetchall()
    values = sorted(value for (value,) in rows)
    return tuple(values) if all(len(value) <= MAX_NAME for value in values) else None
