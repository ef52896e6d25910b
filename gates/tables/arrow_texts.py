"""Write Arrow values as the texts that `canonical` has DuckDB write: byte for byte the same.

Rows here are in memory already and rarely many, so plain Python where Arrow writes otherwise.
"""

from __future__ import annotations

import hashlib
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gates.tables.canonical import Column

_BATCH = 50_000
_EMPTY, _COLON = (pa.scalar(text, pa.large_string()) for text in ("", ":"))
_DIGITS = Context(prec=80)


def texts(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Return the canonical text of each value; null stays null."""
    if column.type == "DOUBLE":
        return _each(values, number_text)
    if column.type.startswith("DECIMAL"):
        return _each(values, _long_text if values.type.precision > 18 else _decimal_text)
    if column.type == "TIMESTAMP":
        moments = pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ").cast(pa.large_string())
        days = values.cast(pa.date32(), safe=False).cast(pa.large_string())
        midnight = pc.ends_with(moments, "T00:00:00.000000Z")
        return pc.if_else(midnight, days, moments)
    return values.cast(pa.large_string())


def block(text: str, count: int) -> int:
    """Return the first 60 bits of a text's md5, modulo `count`."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16) % count


def hash_total(columns: Sequence[pa.ChunkedArray]) -> int:
    """Return the sum of the md5 of all rows, each the texts of its columns with their lengths."""
    parts = [part for column in columns for part in (_length(column), pc.fill_null(column, _EMPTY))]
    total = 0
    for batch in pa.table(parts, [f"p{i}" for i in range(len(parts))]).to_batches(_BATCH):
        for row in pc.binary_join_element_wise(*batch.columns, _EMPTY):
            digest = hashlib.md5(row.as_buffer(), usedforsecurity=False).digest()
            total += int.from_bytes(digest, "big")
    return total


def _length(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return each text's length in bytes and a colon; a dash where there is none."""
    length = pc.binary_length(column).cast(pa.large_string())
    return pc.fill_null(pc.binary_join_element_wise(length, _COLON, _EMPTY), "-")


def _each(values: pa.ChunkedArray, text: Callable[..., str]) -> pa.ChunkedArray:
    found: Iterator[str | None] = (None if v is None else text(v) for v in values.to_pylist())
    return pa.chunked_array([pa.array(found, pa.large_string())])


def number_text(value: float) -> str:
    """Write a whole number without a point, anything else as its shortest exact decimal."""
    whole = abs(value) < 1e38 and value.is_integer()
    return str(int(value)) if whole else repr(value)


def _long_text(value: Decimal) -> str:
    """Do the same for a decimal of 19 digits and more, which DuckDB holds as two numbers.

    Where it is whole, the double is their sum, rounded twice and so not always the nearest one.
    """
    if value.as_tuple().exponent:
        return _decimal_text(value)
    upper, lower = divmod(int(value), 2**64)
    if upper == -1:
        return _decimal_text(value, -float(2**64 - 1 - lower) - 1.0)
    return _decimal_text(value, float(lower) + upper * 2.0**64)


def _decimal_text(value: Decimal, double: float | None = None) -> str:
    """Write what a double holds as that double; only digits beyond it stand by themselves."""
    double = float(value) if double is None else double
    same = Decimal(repr(double)).quantize(value, ROUND_HALF_UP, _DIGITS)
    if same == value:
        return number_text(double)
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
