"""Answer a table's questions with DuckDB, in the process: nothing is read before it is asked for.

Columns stay in the file: every answer is one streaming pass over the columns that it is about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
import pyarrow as pa

from gates.tables import profiles
from gates.tables.canonical import Kind, block_of, hash_sums, row_hash, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from duckdb import DuckDBPyRelation
    from numpy.typing import NDArray

    from gates.record import ColumnProfile
    from gates.tables.canonical import Column
    from gates.tables.duck import Session

_ROUGHLY = 1.25


@dataclass(frozen=True, kw_only=True, eq=False)
class DuckRows:
    """The rows of a file as a relation.

    `parts` are the same rows in shares that DuckDB reads side by side; `costly` are files that have
    to be parsed whole for each question; `measured` are the fields known to be within budget.
    """

    name: str
    rows: int
    session: Session = field(repr=False)
    relation: DuckDBPyRelation = field(repr=False)
    parts: tuple[DuckDBPyRelation, ...] = field(repr=False, default=())
    costly: bool = False
    measured: set[str] = field(repr=False, default_factory=set)

    def require_small(self, columns: Sequence[Column]) -> None:
        """Sum the lengths as they stream by: a dictionary hides how large texts are."""
        texts = dict.fromkeys(c.field for c in columns if c.kind is Kind.TEXT)
        new = [name for name in texts if name not in self.measured]
        self.session.require_small(self.relation, new, self.name)
        self.measured.update(new)

    def values(self, expression: nw.Expr) -> NDArray[Any]:
        """Let narwhals translate the expression."""
        frame = nw.from_native(self.relation)
        with self.session.reading(self.name):
            found = frame.select(value=expression).collect()["value"]
        return np.asarray(found.to_numpy())

    def text(self, column: Column) -> pa.ChunkedArray:
        """Return one column of texts."""
        return self._sql(text_of(column))

    def categories(self, column: Column, limit: int | None) -> list[str] | int:
        """Fetch no more than one value over the limit, and count only then."""
        with self.session.reading(self.name):
            distinct = self.relation.project(f"{text_of(column)} AS v").distinct()
            distinct = distinct.filter("v IS NOT NULL")
            found = distinct if limit is None else distinct.limit(limit + 1)
            values = sorted(value for (value,) in found.fetchall())
            if limit is None or len(values) <= limit:
                return values
            return self._one_number(f"count(DISTINCT {text_of(column)})")

    def codes(self, column: Column, categories: Sequence[str]) -> NDArray[np.int32]:
        """Let the engine's own dictionary type find the places."""
        if not categories:
            return np.full(self.rows, -1, dtype=np.int32)
        name = self.session.dictionary(categories)
        code = f"coalesce(enum_code(({text_of(column)})::{name})::INTEGER, -1)"
        return np.asarray(self._sql(code).to_numpy(), dtype=np.int32)

    def blocks(self, column: Column, count: int) -> NDArray[np.int64]:
        """Return a column of blocks."""
        return np.asarray(self._sql(block_of(column, count)).to_numpy(), dtype=np.int64)

    def hash_total(self, columns: Sequence[Column]) -> int:
        """Hash the shares side by side: their sums do not depend on an order."""
        with self.session.reading(self.name):
            hashed = [
                part.project(f"{row_hash(columns)} AS h") for part in self.parts or (self.relation,)
            ]
            together = hashed[0]
            for part in hashed[1:]:
                together = together.union(part)
            ((upper, lower),) = together.aggregate(hash_sums("h")).fetchall()
        return (int(upper) << 64) + int(lower)

    def distinct(self, column: Column, least: int, most: int) -> int | None:
        """Count only where an estimate, which is a few percent off, leaves it open."""
        with self.session.reading(self.name):
            estimate = self._one_number(f"approx_count_distinct({column.field})")
            if not least / _ROUGHLY <= estimate <= most * _ROUGHLY:
                return None
            # By hash, for texts of any length; two in 2^64 that share one would not matter here.
            count = self._one_number(
                f"count(DISTINCT hash({column.field})) FILTER ({column.field} IS NOT NULL)"
            )
        return count if least <= count <= most else None

    def profile(self, columns: Mapping[str, Column]) -> dict[str, ColumnProfile]:
        """Return what each column holds."""
        with self.session.reading(self.name):
            return profiles.profile(self.relation, columns)

    def pandas(self, columns: Sequence[Column]) -> pd.DataFrame:
        """Return the columns through Arrow."""
        wanted = [
            nw.col(c.field).cast(nw.Float64) if c.type.startswith("DECIMAL") else nw.col(c.field)
            for c in columns
        ]
        frame = nw.from_native(self.relation)
        with self.session.reading(self.name):
            return frame.select(*wanted).collect().to_pandas()

    def sorted(self, keys: pa.ChunkedArray) -> tuple[NDArray[np.intp], pa.ChunkedArray]:
        """Let DuckDB sort: it uses every processor, and the disk where memory is short."""
        view = self.session.fresh("keys")
        places = np.arange(len(keys), dtype=np.int64)
        with (
            self.session.reading(self.name),
            self.session.registered(view, pa.table({"k": keys, "p": places})),
        ):
            found = self.session.relation(f"FROM {view} ORDER BY k").to_arrow_table()
        order = np.asarray(found.column("p").to_numpy(), dtype=np.intp)
        return order, found.column("k").cast(pa.large_string())

    def kept(self, columns: Sequence[Column]) -> Self:
        """Store what would otherwise be parsed again for each question; leave the rest on disk."""
        if not self.costly:
            return self
        self.require_small(columns)
        fields = ", ".join(dict.fromkeys(column.field for column in columns))
        with self.session.reading(self.name):
            stored = self.session.stored(self.relation.project(fields))
        return replace(self, relation=stored, parts=(), costly=False)

    def _one_number(self, aggregate: str) -> int:
        ((found,),) = self.relation.aggregate(aggregate).fetchall()
        return int(found)

    def _sql(self, expression: str) -> pa.ChunkedArray:
        """Return one column that narwhals has no expression for."""
        with self.session.reading(self.name):
            return self.relation.project(f"{expression} AS v").to_arrow_table().column(0)
