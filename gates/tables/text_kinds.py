"""Find the type of each column of a text file from all of its values.

The engine's own guesses are not used: they look at a sample, lose digits of long numbers, turn
`007` into 7 and differ between versions. Here a column is a number, truth value, date or time only
if every value is; else it is text, exactly as written. `NA`, `null` and `None` are text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gates.tables.canonical import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyRelation

_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True)
class RawText:
    """A text file as VARCHAR fields `c0…`, and the kinds each may turn out to be."""

    names: tuple[str, ...]
    fields: DuckDBPyRelation
    allowed: tuple[frozenset[Kind], ...]


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The file with a type for each field; the longest cell and the whole text, in bytes."""

    fields: DuckDBPyRelation
    rows: int
    longest: int
    total: int


@dataclass(frozen=True)
class _Rule:
    """A type a text column may have: its kind, and the shape every value must have."""

    type: str
    kind: Kind
    shape: str


_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
_WHOLE = "(0|[1-9][0-9]*)"
_FRACTION = f"{_WHOLE}?[.][0-9]+|{_WHOLE}[.]"
_SCIENTIFIC = f"({_FRACTION}|{_WHOLE})e[+-]?[0-9]+"
# A whole number of 16 digits and more may not survive as a float, and a leading zero never does.
NUMBER_SHAPE = f"(?i)-?(0|[1-9][0-9]{{0,14}}|{_FRACTION}|{_SCIENTIFIC}|inf|infinity)|nan"
_RULES = (
    _Rule("BIGINT", Kind.INTEGER, f"-?{_WHOLE}"),
    _Rule("DOUBLE", Kind.NUMBER, NUMBER_SHAPE),
    _Rule("BOOLEAN", Kind.BOOLEAN, "(?i)true|false"),
    _Rule("DATE", Kind.TEMPORAL, _DAY),
    _Rule("TIMESTAMPTZ", Kind.TEMPORAL, f"{_DAY}([T ]{_CLOCK})?"),
)
ANY = frozenset(rule.kind for rule in _RULES)


def typed(raw: RawText, text: Iterable[str]) -> Typed:
    """Look at every value once; return how to read each column, and the sizes met on the way.

    The columns in `text` stay as written.
    """
    as_text = set(text)
    candidates = [
        () if name in as_text else tuple(rule for rule in _RULES if rule.kind in allowed)
        for name, allowed in zip(raw.names, raw.allowed, strict=True)
    ]
    rows = longest = total = 0
    reads: list[str] = []
    for start in range(0, len(candidates), _AT_ONCE):
        part = list(enumerate(candidates))[start : start + _AT_ONCE]
        found = iter(_measure(raw.fields, part))
        rows = next(found)
        for index, rules in part:
            longest = max(longest, next(found) or 0)
            total += next(found) or 0
            # No value at all fits every shape, and says nothing: such a column stays text.
            fits = [rule for rule in rules if next(found)]
            nested = Kind.OTHER in raw.allowed[index]
            reads.append(_read(f"c{index}", fits[0].type if fits else "VARCHAR", nested=nested))
    fields = raw.fields.project(", ".join(reads))
    return Typed(fields=fields, rows=rows, longest=longest, total=total)


def _measure(
    fields: DuckDBPyRelation, part: Sequence[tuple[int, tuple[_Rule, ...]]]
) -> tuple[Any, ...]:
    """Return the number of rows; then, per column, longest cell, bytes, and what it all fits."""
    wanted = ["count(*)"]
    for index, rules in part:
        field = f"c{index}"
        wanted += [f"max(strlen({field}))", f"sum(strlen({field}))"]
        for rule in rules:
            # Not FILTER: DuckDB's cost of it grows with the square of the number of columns.
            fits = (
                f"CASE WHEN {field} <> '' THEN CASE"
                f" WHEN regexp_full_match({field}, '{rule.shape}')"
                f" THEN TRY_CAST({field} AS {rule.type}) IS NOT NULL ELSE false END END"
            )
            wanted.append(f"bool_and({fits})")
    (row,) = fields.aggregate(", ".join(wanted)).fetchall()
    return row


def _read(field: str, type_: str, *, nested: bool) -> str:
    if nested:
        # Of a kind no gate can use: whether there is a value is all that is kept.
        return f"CASE WHEN {field} IS NOT NULL THEN []::VARCHAR[] END AS {field}"
    if type_ == "VARCHAR":
        return field
    # Writers that quote everything write a missing number as `""`.
    return f"CAST(nullif({field}, '') AS {type_}) AS {field}"
