"""What an engine owes a table: the few questions whose answers need its rows.

The seam between `Table`, which is the same everywhere, and DuckDB, frames in memory, or what comes
next. Which values are alike is not an engine's to choose: `canonical` says it for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    import narwhals as nw
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from gates.record import ColumnProfile
    from gates.tables.canonical import Column

__all__ = ["Backend"]


class Backend(Protocol):
    """The rows of one file or frame; what it returns has one entry per row, in their order."""

    @property
    def name(self) -> str:
        """Return what errors call it: a path."""
        ...

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        ...

    def require_small(self, columns: Sequence[Column]) -> None:
        """Raise InputError for texts over the budget of a cell, or of memory; look only once."""
        ...

    def values(self, expression: nw.Expr) -> NDArray[Any]:
        """Return the value of an expression over the fields, NaN where a number is missing."""
        ...

    def text(self, column: Column) -> pa.ChunkedArray:
        """Return the canonical text of each value, null where there is none."""
        ...

    def categories(self, column: Column, limit: int | None) -> list[str] | int:
        """Return the canonical texts there are, in order; only their number if over `limit`."""
        ...

    def codes(self, column: Column, categories: Sequence[str]) -> NDArray[np.int32]:
        """Return the place of each value's text in `categories`, -1 where there is no value."""
        ...

    def blocks(self, column: Column, count: int) -> NDArray[np.int64]:
        """Return the first 60 bits of the md5 of each value's text, modulo `count`."""
        ...

    def hash_total(self, columns: Sequence[Column]) -> int:
        """Return the sum over all rows of the md5 of a row, as `canonical.row_hash` writes it."""
        ...

    def distinct(self, column: Column, least: int, most: int) -> int | None:
        """Return the number of different values, None if it is not between `least` and `most`."""
        ...

    def profile(self, columns: Mapping[str, Column]) -> dict[str, ColumnProfile]:
        """Return what each column holds, in bounded numbers."""
        ...

    def pandas(self, columns: Sequence[Column]) -> pd.DataFrame:
        """Return some columns as a pandas frame, decimals as floats."""
        ...

    def sorted(self, keys: pa.ChunkedArray) -> tuple[NDArray[np.intp], pa.ChunkedArray]:
        """Return the order that sorts some texts by their bytes, and the texts in it."""
        ...

    def kept(self, columns: Sequence[Column]) -> Self:
        """Return the same rows, with these columns quick to read again and again."""
        ...
