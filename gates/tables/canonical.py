"""One text for each value, whatever file and physical type it came in.

`39` as int32, int64, double or decimal is `39`; both zeros are `0`; a date is ISO, a timestamp ISO
in UTC with microseconds (midnight is its date); a NaN is a missing value, as null is. On these
texts rest the pairing of rows, categories, blocks and the digest of a table's content.

The hash is md5 because DuckDB and Spark both have it built in, so that blocks and digests agree
between engines. It is no security boundary: against tampering, files are pinned by sha256.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Kind(StrEnum):
    """What a column holds, as far as a gate cares."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TEMPORAL = "temporal"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as the engine knows it: its field there, its type there, and its kind."""

    field: str
    type: str
    kind: Kind


_SMALL = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
_WIDE = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT")
_KINDS = {
    **dict.fromkeys((*_SMALL, *_WIDE), Kind.INTEGER),
    "DOUBLE": Kind.NUMBER,
    "VARCHAR": Kind.TEXT,
    "BOOLEAN": Kind.BOOLEAN,
    "DATE": Kind.TEMPORAL,
    "TIMESTAMP": Kind.TEMPORAL,
}


def column_of(field: str, type_: str) -> Column:
    """Return the column for a type that `normalised` leaves."""
    kind = Kind.NUMBER if type_.startswith("DECIMAL") else _KINDS.get(type_, Kind.OTHER)
    return Column(field=field, type=type_, kind=kind)


def normalised(field: str, type_: str) -> str:
    """Return the expression that reads a column in the few types the rest of the code knows."""
    if type_ in ("FLOAT", "DOUBLE"):
        # In DuckDB NaN equals itself and is above every number: it would slip past any maximum.
        # Not by `nullif`: Parquet's statistics leave NaN out, and the optimizer, which believes
        # them, folds that away.
        return f"CASE WHEN isfinite({field}) OR isinf({field}) THEN {field}::DOUBLE END"
    if type_.startswith("TIMESTAMPTZ") or type_ == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({field}::TIMESTAMPTZ))"
    if type_.startswith("TIMESTAMP"):
        return f"{field}::TIMESTAMP"
    if type_.startswith("ENUM") or type_ in ("UUID", "TIME", '"NULL"', "NULL"):
        return f"{field}::VARCHAR"
    return field


def is_wide(column: Column) -> bool:
    """Return whether the column can hold whole numbers that a float64 cannot."""
    return column.type in _WIDE


def text_of(column: Column) -> str:
    """Return the expression for the canonical text of a column; null stays null."""
    field = column.field
    if column.type == "VARCHAR":
        return field
    if column.type == "DOUBLE":
        return _text_of_double(field)
    if column.type.startswith("DECIMAL"):
        return _text_of_decimal(column)
    if column.type == "TIMESTAMP":
        # As 39.0 is 39, midnight is its date: pandas has no other type for a day.
        midnight = f"{field} = date_trunc('day', {field})"
        moment = f"strftime({field}, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return f"CASE WHEN {midnight} THEN {field}::DATE::VARCHAR ELSE {moment} END"
    return f"{field}::VARCHAR"


def _text_of_decimal(column: Column) -> str:
    """Write what a double holds as that double; only digits beyond it stand by themselves."""
    field, (width, scale) = column.field, _digits(column)
    type_, plain = column.type, f"{field}::VARCHAR"
    if scale:
        plain = f"rtrim(rtrim({plain}, '0'), '.')"
    if scale == width:
        # Without a digit before the point, DuckDB writes `.5`, and reads no `1e-09`.
        type_ = f"DECIMAL({min(width + 1, 38)},{scale})"
        plain = f"regexp_replace({plain}, '^(-?)[.]', '\\10.')"
    same = f"TRY_CAST({field}::DOUBLE::VARCHAR AS {type_}) = {field}"
    double = _text_of_double(f"{field}::DOUBLE")
    return f"CASE WHEN {same} THEN {double} ELSE {plain} END"


def _text_of_double(value: str) -> str:
    """Write a whole number without a point, anything else as its shortest exact decimal."""
    whole = f"abs({value}) < 1e38 AND {value} = trunc({value})"
    return f"CASE WHEN {whole} THEN ({value})::HUGEINT::VARCHAR ELSE ({value})::VARCHAR END"


def _digits(column: Column) -> tuple[int, int]:
    """Return how many digits a decimal has, and how many of them behind the point."""
    found = re.findall(r"\d+", column.type)
    return int(found[0]), int(found[1])


def block_of(column: Column, count: int) -> str:
    """Return the expression for a value's block: the first 60 bits of its md5, modulo `count`."""
    return f"(('0x' || md5({text_of(column)})[1:15])::BIGINT % {int(count)})::INTEGER"


def row_hash(columns: Iterable[Column]) -> str:
    """Return the expression for a row's md5 over its texts.

    Each text is preceded by its length in bytes, so that no shift between neighbours and no
    missing value can pass for another row.
    """
    # `concat` leaves out a null, so that the text is copied once.
    parts = (
        f"coalesce(strlen({text})::VARCHAR || ':', '-'), {text}"
        for text in (text_of(column) for column in columns)
    )
    return f"md5(concat({', '.join(parts)}))"


def hash_sums(field: str) -> str:
    """Return the aggregates of a row hash: the sums of its upper and lower 64 bits."""
    return ", ".join(f"sum(('0x' || {field}[{part}])::UBIGINT)" for part in ("1:16", "17:32"))


def content_digest(names: Sequence[str], rows: int, total: int) -> str:
    """Return "sha256:…" over what identifies a content: its column names, rows and hash sum.

    A sum does not depend on the order of rows and, unlike xor, counts a row that stands twice.
    """
    text = json.dumps([rows, list(names), f"{total % 2**128:032x}"], ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
