"""Bring the rows of two tables together by their id, and refuse where that is not one to one.

Ids are compared as canonical text, never by position, and no message shows one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import narwhals as nw

from gates.errors import InputError
from gates.report import bounded
from gates.tables.canonical import Column, Kind, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from duckdb import DuckDBPyRelation

    from gates.tables.duck import Session

EXACT_FLOAT = 2**53
_TEXT_HINT = "Store the id as text."
# What usually keeps two ids apart, as an expression that undoes it.
_CAUSES = (
    ("leading or trailing spaces", "trim(key)"),
    ("the case of letters", "lower(key)"),
    ("`.0` at the end, as when an id was stored as a float", r"regexp_replace(key, '[.]0+$', '')"),
    ("leading zeros", "regexp_replace(key, '^0+([0-9])', '\\1')"),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One table of a pair: its name, its rows in the engine, its id and the columns to keep."""

    name: str
    rows: DuckDBPyRelation
    id_name: str
    id: Column
    keep: Mapping[str, Column]

    def error(self, message: str, hint: str | None = None) -> InputError:
        """Return an error about this side's id."""
        where = f"{bounded(self.name)}, column `{bounded(self.id_name)}`"
        return InputError(message, where=where, hint=hint)


def keyed(session: Session, side: Side) -> DuckDBPyRelation:
    """Return the kept columns with the id's text as `key`, computed once; `key` is unique.

    Raises InputError for ids that are missing, stand twice, or are floats that lost digits.
    """
    if side.id.kind is Kind.NUMBER and side.id.type == "DOUBLE":
        (lossy,) = _row(side.rows, f"count(*) FILTER (abs({side.id.field}) >= {EXACT_FLOAT})")
        if lossy:
            message = f"{lossy:,} ids are floats of 2^53 or more, where neighbours are one number"
            raise side.error(message, _TEXT_HINT)
    kept = [column.field for column in side.keep.values()]
    stored = session.stored(side.rows.project(", ".join([f"{text_of(side.id)} AS key", *kept])))
    rows, present, distinct = _row(stored, "count(*), count(key), count(DISTINCT key)")
    if present < rows:
        raise side.error(f"{rows - present:,} rows have no id", "Give every row an id.")
    if distinct < rows:
        message = f"{rows - distinct:,} of {rows:,} rows repeat an id that stood before"
        raise side.error(message, "An id must name one row: remove the duplicates.")
    return stored


def joined(session: Session, left: Side, right: Side) -> DuckDBPyRelation:
    """Return left's columns `c0…` followed by right's, one row per id, ordered by the id's text."""
    one, two = keyed(session, left), keyed(session, right)
    frames = nw.from_native(one), _renamed(two, right.keep.values(), start=len(left.keep))
    _match(left, right, *frames)
    fields = [f"c{i}" for i in range(len(left.keep) + len(right.keep))]
    first = _renamed(one, left.keep.values(), start=0)
    pairs = first.join(frames[1], on="key", how="inner").sort("key").select(fields)
    return _kept(session, nw.to_native(pairs), one, two)


def ordered(session: Session, side: Side) -> DuckDBPyRelation:
    """Return one table's kept columns as `c0…`, ordered by the id's text."""
    rows = keyed(session, side)
    fields = [f"c{i}" for i in range(len(side.keep))]
    frame = _renamed(rows, side.keep.values(), start=0).sort("key").select(fields)
    return _kept(session, nw.to_native(frame), rows)


def _kept(session: Session, result: DuckDBPyRelation, *parts: DuckDBPyRelation) -> DuckDBPyRelation:
    """Return the result, computed; what it was made from is dropped."""
    stored = session.stored(result)
    for part in parts:
        session.drop(part)
    return stored


def _renamed(
    relation: DuckDBPyRelation, columns: Iterable[Column], *, start: int
) -> nw.LazyFrame[Any]:
    fields = enumerate((column.field for column in columns), start)
    renamed = (nw.col(field).alias(f"c{i}") for i, field in fields)
    return nw.from_native(relation).select(nw.col("key"), *renamed)


def _match(left: Side, right: Side, first: nw.LazyFrame[Any], second: nw.LazyFrame[Any]) -> None:
    """Raise InputError unless both sides hold the same ids."""
    only_left = first.join(second, on="key", how="anti").select("key")
    only_right = second.join(first, on="key", how="anti").select("key")
    alone = [nw.to_native(side) for side in (only_left, only_right)]
    counts = [_row(side, "count(*)")[0] for side in alone]
    if any(counts):
        raise InputError(
            f"the ids do not match: {counts[0]:,} of {bounded(left.name)} are not in"
            f" {bounded(right.name)}, and {counts[1]:,} the other way round",
            where=f"columns `{bounded(left.id_name)}` and `{bounded(right.id_name)}`",
            hint=_cause(alone),
        )


def _cause(alone: Sequence[DuckDBPyRelation]) -> str:
    """Return what would make ids match that do not, if it is one of the usual causes."""
    for cause, undone in _CAUSES:
        one, two = (side.project(f"{undone} AS key").distinct() for side in alone)
        (again,) = _row(one.intersect(two), "count(*)")
        if again:
            return f"{again:,} of them differ only by {cause}. Write them alike on both sides."
    return "Both files must hold the same rows; pairing by position is never done."


def _row(relation: DuckDBPyRelation, wanted: str) -> tuple[Any, ...]:
    (row,) = relation.aggregate(wanted).fetchall()
    return tuple(row)
