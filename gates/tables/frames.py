"""Answer a table's questions about a data frame in memory: pandas, Polars, Arrow, as narwhals can.

It is held as Arrow, which has a null and exact types where pandas has `object`; numbers that pandas
keeps as floats for want of a null (1.0, NaN) are the kind "number", and their texts are still `1`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gates.errors import InputError
from gates.fields import MAX_NAME, bounded
from gates.record import ColumnProfile
from gates.tables.arrow_texts import block, hash_total, texts
from gates.tables.budget import Budget, long_cell, over_memory, too_many_rows
from gates.tables.canonical import Column, Kind, column_of
from gates.tables.profiles import EXACT_DISTINCT, MAX_VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

_MOST = 2**63 - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameRows:
    """The rows of a frame, as Arrow with the fields `c0…`."""

    name: str
    rows: int
    held: pa.Table = field(repr=False)
    budget: Budget = field(repr=False)

    def require_small(self, columns: Sequence[Column]) -> None:
        """Take the lengths of the texts: a dictionary has hidden how large they are."""
        found = [pc.binary_length(self._of(c)) for c in columns if c.kind is Kind.TEXT]
        longest = max((pc.max(sizes).as_py() or 0 for sizes in found), default=0)
        if longest > self.budget.cell:
            raise long_cell(longest, self.name, self.budget)
        if sum(pc.sum(sizes).as_py() or 0 for sizes in found) > self.budget.memory:
            raise over_memory(self.name, self.budget)

    def values(self, expression: nw.Expr) -> NDArray[Any]:
        """Let narwhals compute the expression."""
        frame = cast("nw.DataFrame[Any]", nw.from_native(self.held, eager_only=True))
        found = frame.select(value=expression)["value"].to_arrow()
        return np.asarray(found.to_numpy(zero_copy_only=False))

    def text(self, column: Column) -> pa.ChunkedArray:
        """Return one column of texts."""
        return texts(self._of(column), column)

    def categories(self, column: Column, limit: int | None) -> list[str] | int:
        """Return the different texts in order, which is that of their bytes, too."""
        found = pc.unique(self.text(column).drop_null())
        return len(found) if limit is not None and len(found) > limit else sorted(found.to_pylist())

    def codes(self, column: Column, categories: Sequence[str]) -> NDArray[np.int32]:
        """Look each text up."""
        names = pa.array(categories, pa.large_string())
        found = pc.fill_null(pc.index_in(self.text(column), value_set=names), -1)
        return np.asarray(found.to_numpy(), dtype=np.int32)

    def blocks(self, column: Column, count: int) -> NDArray[np.int64]:
        """Hash each text."""
        found = (block(text, count) for text in self.text(column).to_pylist())
        return np.fromiter(found, dtype=np.int64, count=self.rows)

    def hash_total(self, columns: Sequence[Column]) -> int:
        """Hash each row."""
        return hash_total([self.text(column) for column in columns])

    def distinct(self, column: Column, least: int, most: int) -> int | None:
        """Count: nothing has to be read for it."""
        count: int = pc.count_distinct(self.text(column)).as_py()
        return count if least <= count <= most else None

    def profile(self, columns: Mapping[str, Column]) -> dict[str, ColumnProfile]:
        """Return what each column holds."""
        return {name: self._profile(column) for name, column in columns.items()}

    def pandas(self, columns: Sequence[Column]) -> pd.DataFrame:
        """Return the columns with the types that a file of them would have had."""
        found = {}
        for column in columns:
            values = self._of(column)
            if column.type == "UBIGINT":
                values = values.cast(pa.uint64())
            elif pa.types.is_decimal(values.type):
                values = values.cast(pa.float64())
            found[column.field] = values
        frame: pd.DataFrame = pa.table(found).to_pandas()
        return frame

    def sorted(self, keys: pa.ChunkedArray) -> tuple[NDArray[np.intp], pa.ChunkedArray]:
        """Let Arrow sort."""
        order = pc.sort_indices(keys)
        return np.asarray(order.to_numpy(), dtype=np.intp), keys.take(order)

    def kept(self, columns: Sequence[Column]) -> Self:  # noqa: ARG002  (memory keeps all of them)
        """Return the same rows."""
        return self

    def _of(self, column: Column) -> pa.ChunkedArray:
        return self.held.column(column.field)

    def _profile(self, column: Column) -> ColumnProfile:
        held = self._of(column)
        nulls, kind = held.null_count, column.kind
        if kind is Kind.OTHER:
            return ColumnProfile(kind=kind.value, nulls=nulls)
        found = pc.unique(self.text(column).drop_null()).to_pylist()
        few = 0 < len(found) <= MAX_VALUES and kind in (Kind.TEXT, Kind.BOOLEAN)
        short = few and all(len(value) <= MAX_NAME for value in found)
        low, high, mean = _range(held) if kind in (Kind.INTEGER, Kind.NUMBER) else (None,) * 3
        return ColumnProfile(
            kind=kind.value,
            nulls=nulls,
            distinct=len(found) if len(found) <= EXACT_DISTINCT else None,
            low=low,
            high=high,
            mean=mean,
            values=tuple(sorted(found)) if short else None,
        )


def _range(values: pa.ChunkedArray) -> tuple[float | None, float | None, float | None]:
    """Return the least, the greatest and the mean of the finite numbers."""
    numbers = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return None, None, None
    try:
        mean = math.fsum(finite) / len(finite)
    except OverflowError:
        mean = None  # as an engine's sum is infinite
    return float(finite.min()), float(finite.max()), mean


def open_frame(frame: Any, name: str, budget: Budget) -> tuple[FrameRows, dict[str, Column]]:
    """Return a frame's rows and columns. Raises InputError for what could not stand in a file."""
    names = _names(frame, name)
    found = cast("nw.DataFrame[Any]", nw.from_native(frame, eager_only=True))
    if not len(found):
        raise _error(name, "the table has 0 rows", "Give it at least one row.")
    if len(found) > budget.rows:
        raise too_many_rows(len(found), name, budget)
    held: dict[str, pa.ChunkedArray] = {}
    columns: dict[str, Column] = {}
    for place, title in enumerate(names):
        try:
            values, type_ = _normalised(_chunked(found[:, place].to_arrow()))
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            # Arrow's own words quote a value.
            message = f"column `{bounded(title)}` mixes types, or holds what no file of ours could"
            raise _error(name, message, "Give every column one type.") from None
        columns[title] = column_of(f"c{place}", type_)
        held[f"c{place}"] = values
    return FrameRows(name=name, rows=len(found), held=pa.table(held), budget=budget), columns


def _names(frame: Any, name: str) -> list[str]:
    names = list(getattr(frame, "column_names", frame.columns))
    strange = [title for title in names if not isinstance(title, str)]
    if strange:
        raise _error(name, "a column's name is no text", "Name every column with a text.")
    twice = [title for title in names if names.count(title) > 1]
    if twice:
        hint = "Rename one: nobody could say which is meant."
        raise _error(name, f"two columns are called `{bounded(twice[0])}`", hint)
    return names


def _chunked(values: Any) -> pa.ChunkedArray:
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _normalised(values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    """Return the values in one of the few types that the rest knows, and DuckDB's name of it."""
    is_, type_ = pa.types, values.type
    if is_.is_dictionary(type_):
        return _normalised(values.cast(type_.value_type))
    if is_.is_boolean(type_):
        return values, "BOOLEAN"
    if is_.is_uint64(type_):
        # Arrow compares it with a signed number only as far as that reaches.
        fits = (pc.max(values).as_py() or 0) <= _MOST
        return values.cast(pa.int64() if fits else pa.decimal128(20, 0)), "UBIGINT"
    if is_.is_integer(type_):
        return values, "BIGINT" if is_.is_int64(type_) else "INTEGER"
    if is_.is_floating(type_) or is_.is_decimal256(type_):
        numbers = values.cast(pa.float64())
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.float64()), numbers), "DOUBLE"
    if is_.is_decimal(type_):
        exact = pa.decimal128(type_.precision, type_.scale)
        return values.cast(exact), f"DECIMAL({type_.precision},{type_.scale})"
    if is_.is_date(type_):
        return values.cast(pa.date32()), "DATE"
    if is_.is_timestamp(type_):
        return _microseconds(values), "TIMESTAMP"
    if is_.is_string(type_) or is_.is_large_string(type_) or is_.is_null(type_):
        return values.cast(pa.large_string()), "VARCHAR"
    return values, "BLOB"


def _microseconds(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return moments in UTC; nanoseconds are rounded, halves away from zero, as DuckDB does."""
    if values.type.unit == "ns":
        count = values.cast(pa.int64())
        rounded = pc.add_checked(count, pc.multiply(pc.sign(count).cast(pa.int64()), 500))
        values = pc.divide(rounded, 1000).cast(pa.timestamp("us"))
    return values.cast(pa.timestamp("us"))


def _error(name: str, message: str, hint: str) -> InputError:
    return InputError(message, where=bounded(name), hint=hint)
