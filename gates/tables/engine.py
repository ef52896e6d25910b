"""Open a table lazily on an engine, and ask of it the few things that gates need.

Everything that knows DuckDB, narwhals or Arrow stands in this module and those it imports: gates
see columns by name, numpy arrays and plain numbers. Nothing is read before it is asked for, and
only the columns that are named. A NaN is a missing value, as null is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

import narwhals as nw
import numpy as np

from gates.errors import InputError
from gates.report import bounded
from gates.tables import pairing, profiles, slices
from gates.tables.canonical import (
    Column,
    Kind,
    block_of,
    column_of,
    content_digest,
    hash_sums,
    is_wide,
    row_hash,
    text_of,
)
from gates.tables.column_names import meant
from gates.tables.duck import Budget, Session
from gates.tables.files import open_file
from gates.tables.text_kinds import NUMBER_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa
    from duckdb import DuckDBPyRelation
    from numpy.typing import NDArray

    from gates.record import ColumnProfile
    from gates.where import Where

__all__ = ["Budget", "Column", "Engine", "Kind", "Table"]

_NUMERIC = (Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN)


class Engine:
    """Own one shut-in DuckDB connection; a context manager that gives back memory and disk.

    Tables are usable as long as their engine is open.
    """

    def __init__(self, budget: Budget | None = None) -> None:
        self._session = Session(budget or Budget())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def open(self, path: Path, *, text: Sequence[str] = ()) -> Table:
        """Return the table in a file; in text formats, the columns in `text` stay as written.

        Raises InputError for a file that cannot be used, EnvironmentFault where the disk refuses.
        """
        opened, digest = open_file(self._session, path, text)
        columns = opened.columns()
        return Table(
            name=str(path),
            rows=opened.rows,
            sha256=digest,
            fields=columns,
            session=self._session,
            frame=nw.from_native(opened.fields),
            measured=set(columns) if opened.measured else set(),
        )

    def pair(
        self, left: Table, right: Table, *, left_id: str, right_id: str, columns: Mapping[str, str]
    ) -> Table:
        """Return left's columns and right's, under the new names of `columns` {new: old}, by id.

        Rows are ordered by the canonical text of the id. Raises InputError unless the ids of both
        sides are present, unique and the same, and the new names are new.
        """
        right.require_columns(list(columns.values()), "the columns to join")
        for new in columns:
            if new in left.fields:
                message = f"`{bounded(new)}` is in both tables that are joined"
                raise InputError(message, where=bounded(left.name), hint="Rename one of them.")
        renamed = {new: right.fields[old] for new, old in columns.items()}
        left_side = left.side(left_id, left.fields)
        right_side = right.side(right_id, renamed)
        with self._session.reading(f"{left.name} with {right.name}"):
            relation = pairing.joined(self._session, left_side, right_side)
        origins = {name: left.origin(name) for name in left.fields}
        origins |= {new: right.origin(old) for new, old in columns.items()}
        return self._arranged(left, relation, origins)

    def ordered(self, table: Table, *, id: str) -> Table:  # noqa: A002  (the configuration's word)
        """Return the table with its rows ordered by the canonical text of a unique id."""
        side = table.side(id, table.fields)
        with self._session.reading(table.name):
            relation = pairing.ordered(self._session, side)
        return self._arranged(table, relation, {name: table.origin(name) for name in table.fields})

    def _arranged(
        self, table: Table, relation: DuckDBPyRelation, origins: dict[str, Origin]
    ) -> Table:
        types = [str(type_) for type_ in relation.types]
        fields = {name: column_of(f"c{i}", types[i]) for i, name in enumerate(origins)}
        return replace(
            table,
            sha256=None,
            fields=fields,
            frame=nw.from_native(relation),
            measured=set(fields),
            origins=origins,
            digests={},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table on an engine: its size and kinds are known, its values stay there until asked for.

    `sha256` is of the bytes of the file it was read from ("sha256:…"), None for a joined table.
    `origins` says where a joined column came from, so that errors name a row of a person's file.
    """

    name: str
    rows: int
    sha256: str | None
    fields: Mapping[str, Column] = field(repr=False)
    session: Session = field(repr=False)
    frame: nw.LazyFrame[Any] = field(repr=False)
    measured: set[str] = field(repr=False)
    origins: Mapping[str, Origin] = field(repr=False, default_factory=dict)
    digests: dict[tuple[str, ...], str] = field(repr=False, default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, in the file's order."""
        return tuple(self.fields)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Return what each column holds."""
        return {name: column.kind for name, column in self.fields.items()}

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with these columns only; joining or ordering then copies no others."""
        self.require_columns(names, "the columns to keep")
        return replace(self, fields={name: self.fields[name] for name in names})

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers or truth values as float64, NaN where it has no value.

        Raises InputError for text, and for whole numbers that a float64 cannot hold.
        """
        found = self._numeric(column)
        if is_wide(found):
            hint = "Store them as text if they are names."
            most = pairing.EXACT_FLOAT
            self._refuse(
                column,
                lambda value: (value > most) | (value < -most),
                "a whole number beyond 2^53",
                hint,
            )
        values = self._collect(nw.col(found.field).cast(nw.Float64))
        return np.asarray(values.to_numpy(), dtype=np.float64)

    def integers(self, column: str) -> NDArray[np.int64]:
        """Return a column of whole numbers exactly, as int64; every row must have a value."""
        (found,) = self._usable([column])
        if found.kind is not Kind.INTEGER:
            message = f"`{bounded(column)}` holds {found.kind} where whole numbers are needed"
            raise self._error(message, "Store it as whole numbers.")
        self.require_present(column, "whole numbers")
        if is_wide(found):
            hint = "Store them as text."
            most = 2**63
            self._refuse(
                column,
                lambda value: (value >= most) | (value < -most),
                "a number beyond 64 bits",
                hint,
            )
        values = self._collect(nw.col(found.field).cast(nw.Int64))
        return np.asarray(values.to_numpy(), dtype=np.int64)

    def text(self, column: str) -> NDArray[np.object_]:
        """Return the canonical text of each value, None where there is none."""
        (found,) = self._usable([column])
        return np.asarray(self._sql(text_of(found)).to_numpy(zero_copy_only=False), dtype=object)

    def codes(
        self, column: str, *, limit: int | None = None
    ) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return each row's category as a position in the sorted categories, -1 for no value.

        Raises InputError when there are more categories than `limit`.
        """
        (found,) = self._usable([column])
        text = text_of(found)
        with self.session.reading(self.name):
            distinct = self._relation.project(f"{text} AS v").distinct().filter("v IS NOT NULL")
            count = distinct.aggregate("count(*)").fetchall()[0][0]
            if limit is not None and count > limit:
                message = f"`{bounded(column)}` has {count:,} different values, over {limit:,}"
                raise self._error(message, "Group the values, or choose another column.")
            categories = sorted(value for (value,) in distinct.fetchall())
            codes = self._encoded(text, categories)
        return codes, tuple(categories)

    def mask(self, where: Where) -> NDArray[np.bool_]:
        """Return which rows are in a slice; a row where that is unknown is not."""
        self._usable(where.columns)
        expression = slices.expression(where, self.fields, self.name)
        return np.asarray(self._collect(expression).to_numpy(), dtype=np.bool_)

    def blocks(self, column: str, count: int) -> NDArray[np.int64]:
        """Return each row's block in 0…count-1, by the md5 of the value's canonical text.

        Equal values share a block, on every engine and in every run.
        """
        (found,) = self._usable([column])
        self.require_present(column, "what rows are put into blocks by")
        return np.asarray(self._sql(block_of(found, count)).to_numpy(), dtype=np.int64)

    def digest(self, columns: Sequence[str]) -> str:
        """Return "sha256:…" of the content of some columns.

        It is the same for any order of rows and columns, any file format and physical type.
        """
        names = tuple(sorted(set(columns)))
        if names not in self.digests:
            found = self._usable(names)
            with self.session.reading(self.name):
                hashes = self._relation.project(f"{row_hash(found)} AS h")
                ((rows, upper, lower),) = hashes.aggregate(hash_sums("h")).fetchall()
            self.digests[names] = content_digest(names, rows, int(upper), int(lower))
        return self.digests[names]

    def describe(self, columns: Sequence[str] | None = None) -> dict[str, ColumnProfile]:
        """Return the profile of some columns, or of all."""
        names = self.columns if columns is None else columns
        self.require_columns(names, "the columns to describe")
        with self.session.reading(self.name):
            return profiles.profile(self._relation, {name: self.fields[name] for name in names})

    def pandas(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns as a pandas frame, decimals as floats."""
        names = list(dict.fromkeys(columns))
        found = self._usable(names)
        wanted = [
            nw.col(c.field).cast(nw.Float64) if c.type.startswith("DECIMAL") else nw.col(c.field)
            for c in found
        ]
        with self.session.reading(self.name):
            frame = self.frame.select(*wanted).collect().to_pandas()
        frame.columns = names
        return frame

    def require_columns(self, names: Sequence[str], what: str) -> None:
        """Raise InputError, with a guess at what was meant, unless all these columns exist."""
        absent = [name for name in dict.fromkeys(names) if name not in self.fields]
        if absent:
            message = f"there is no column `{bounded(absent[0])}` ({what})"
            details = tuple(f"`{bounded(name)}` is missing too" for name in absent[1:20])
            hint = meant(absent[0], self.columns)
            raise InputError(message, where=bounded(self.name), hint=hint, details=details)

    def require_present(self, column: str, what: str) -> None:
        """Raise InputError, with count and first row, if a row has no value (null or NaN)."""
        self.require_columns([column], what)
        hint = f"Every row needs a value here ({what}): fill it in, or leave the row out."
        self._refuse(column, lambda value: value.is_null(), "no value", hint)

    def require_between(self, column: str, low: float, high: float, what: str) -> None:
        """Raise InputError, with count and first row, if a value lies outside [low, high].

        Infinite values are outside of finite bounds; a missing value is no matter of this check.
        """
        self._numeric(column)
        finite = high == -low == np.finfo(np.float64).max
        self._refuse(
            column,
            lambda value: (value.cast(nw.Float64) < low) | (value.cast(nw.Float64) > high),
            "a value that is not finite" if finite else f"a value outside [{low:g}, {high:g}]",
            f"Values here ({what}) must be in range: correct them, or leave the rows out.",
        )

    def origin(self, column: str) -> Origin:
        """Return the table of a file, and its column, that a column came from."""
        return self.origins.get(column) or Origin(table=self, column=column)

    def side(self, id_name: str, keep: Mapping[str, Column]) -> pairing.Side:
        """Return this table as one side of a pair."""
        (key,) = self._usable([id_name])
        kept = {column.field for column in keep.values()}
        self._measure([name for name, column in self.fields.items() if column.field in kept])
        return pairing.Side(name=self.name, rows=self._relation, id_name=id_name, id=key, keep=keep)

    @property
    def _relation(self) -> DuckDBPyRelation:
        return cast("DuckDBPyRelation", nw.to_native(self.frame))

    def _usable(self, names: Sequence[str]) -> list[Column]:
        """Return columns that exist, hold what a gate can use, and fit in the budget."""
        self.require_columns(names, "a column to read")
        for name in names:
            if self.fields[name].kind is Kind.OTHER:
                message = f"`{bounded(name)}` holds lists, structures or bytes"
                raise self._error(message, "Store one number, text or date per row in it.")
        self._measure(names)
        return [self.fields[name] for name in names]

    def _measure(self, names: Sequence[str]) -> None:
        """Refuse texts that would not fit in memory, once, before any is kept."""
        texts = [self.fields[name].field for name in names if self.fields[name].kind is Kind.TEXT]
        new = [name for name in dict.fromkeys(texts) if name not in self.measured]
        self.session.require_small(self._relation, new, self.name)
        self.measured.update(new)

    def _numeric(self, column: str) -> Column:
        (found,) = self._usable([column])
        if found.kind is Kind.TEXT:
            hint = "Write every value as a number, and leave the field empty where there is none."
            wrong = "text that is no number"
            self._refuse(
                column, lambda value: ~value.str.contains(f"^({NUMBER_SHAPE})$"), wrong, hint
            )
        if found.kind not in _NUMERIC:
            message = f"`{bounded(column)}` holds {found.kind} where numbers are needed"
            raise self._error(message, "Store it as numbers.")
        return found

    def _collect(self, expression: nw.Expr) -> nw.Series[Any]:
        with self.session.reading(self.name):
            return self.frame.select(value=expression).collect()["value"]

    def _sql(self, expression: str) -> pa.ChunkedArray:
        """Return one column that narwhals has no expression for."""
        with self.session.reading(self.name):
            return self._relation.project(f"{expression} AS v").to_arrow_table().column(0)

    def _encoded(self, text: str, categories: Sequence[str]) -> NDArray[np.int32]:
        """Return positions in `categories`; the engine's own dictionary type finds them."""
        if not categories:
            return np.full(self.rows, -1, dtype=np.int32)
        name = self.session.dictionary(categories)
        code = f"coalesce(enum_code(({text})::{name})::INTEGER, -1)"
        return np.asarray(self._sql(code).to_numpy(), dtype=np.int32)

    def _refuse(
        self, column: str, flag: Callable[[nw.Expr], nw.Expr], problem: str, hint: str
    ) -> None:
        """Raise InputError if `flag` is true of a row; say how many, and which is the first."""
        count = int(self._flags(column, flag).sum())
        if count == 0:
            return
        origin = self.origin(column)
        first = int(origin.table._flags(origin.column, flag).argmax()) + 1  # noqa: SLF001
        rows = "1 row has" if count == 1 else f"{count:,} rows have"
        name = bounded(origin.column)
        raise InputError(
            f"{rows} {problem} in `{name}`; the first is row {first:,}",
            where=f"{bounded(origin.table.name)}, column `{name}`, row {first}",
            hint=hint,
        )

    def _flags(self, column: str, flag: Callable[[nw.Expr], nw.Expr]) -> NDArray[np.bool_]:
        value = nw.col(self.fields[column].field)
        return np.asarray(
            self._collect(flag(value).fill_null(value=False)).to_numpy(), dtype=np.bool_
        )

    def _error(self, message: str, hint: str) -> InputError:
        return InputError(message, where=bounded(self.name), hint=hint)


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """Where a joined column came from."""

    table: Table
    column: str
