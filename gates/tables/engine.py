"""Open tables, pair them by id, and ask of them the few things that gates need.

Gates see columns by name, numpy arrays and plain numbers. Nothing is read before it is asked for,
and only the columns that are named. A NaN is a missing value, as null is. What differs between
engines stands behind `Backend`; a refusal, and its words, are the same on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import narwhals as nw
import numpy as np
import pyarrow as pa

from gates.errors import InputError
from gates.fields import bounded
from gates.tables import pairing, slices
from gates.tables.budget import Budget
from gates.tables.canonical import Column, Kind, content_digest, is_wide
from gates.tables.column_names import meant
from gates.tables.duck import Session
from gates.tables.duck_rows import DuckRows
from gates.tables.files import open_file
from gates.tables.frames import open_frame
from gates.tables.text_kinds import NUMBER_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from gates.record import ColumnProfile
    from gates.tables.backend import Backend
    from gates.where import Where

__all__ = ["Budget", "Column", "Engine", "Kind", "Table"]

_NUMERIC = (Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN)


class Engine:
    """Open files with one shut-in DuckDB connection; a context manager that gives back its memory.

    `frames` are tables that are in memory already (pandas, Polars, Arrow), by the path they stand
    for: they are never written, and what they hold is computed where they are. Tables are usable as
    long as their engine is open.
    """

    def __init__(
        self, budget: Budget | None = None, *, frames: Mapping[Path, Any] | None = None
    ) -> None:
        self._session = Session(budget or Budget())
        self._frames = dict(frames or {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def open(self, path: Path, *, text: Sequence[str] = ()) -> Table:
        """Return the table in a file; in text formats, the columns in `text` stay as written.

        Raises InputError for a file that cannot be used, EnvironmentFault where the disk refuses.
        """
        if path in self._frames:
            rows, fields = open_frame(self._frames[path], str(path), self._session.budget)
            return _opened(rows, fields, None)
        opened, digest = open_file(self._session, path, text)
        columns = opened.columns()
        found = DuckRows(
            name=str(path),
            rows=opened.rows,
            session=self._session,
            relation=opened.fields,
            parts=opened.parts,
            costly=opened.costly,
            measured={column.field for column in columns.values()} if opened.measured else set(),
        )
        return _opened(found, columns, digest)

    def pair(
        self, left: Table, right: Table, *, left_id: str, right_id: str, columns: Mapping[str, str]
    ) -> Table:
        """Return left's columns and right's, under the new names of `columns` {new: old}, by id.

        Rows are ordered by the canonical text of the id. Raises InputError unless the ids of both
        sides are present, unique and the same, and the new names are new.
        """
        right.require_columns(list(columns.values()), "the columns to join")
        for new in columns:
            if new in left.places:
                message = f"`{bounded(new)}` is in both tables that are joined"
                raise InputError(message, where=bounded(left.name), hint="Rename one of them.")
        right.require_columns([right_id], "a column to read")
        ordered = self.ordered(left, id=left_id)
        found = right.select([right_id, *columns.values()]).kept()
        keys = ordered.keys[left_id].matched(found.side(right_id))
        joined = {new: found.places[old].taken(keys.order) for new, old in columns.items()}
        return replace(ordered, places={**ordered.places, **joined}, digests={})

    def ordered(self, table: Table, *, id: str) -> Table:  # noqa: A002  (the configuration's word)
        """Return the table with its rows ordered by the canonical text of a unique id."""
        if id in table.keys and id in table.places:
            return table
        found = table.kept()
        keys = pairing.keyed(found.side(id))
        places = {name: place.taken(keys.order) for name, place in found.places.items()}
        return replace(found, sha256=None, places=places, keys={id: keys}, digests={})


def _opened(rows: Backend, columns: Mapping[str, Column], sha256: str | None) -> Table:
    places = {name: Place(of=rows, name=name, column=column) for name, column in columns.items()}
    return Table(name=rows.name, rows=rows.rows, sha256=sha256, places=places)


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where the values of a column are: in which rows, under which name there, in which order."""

    of: Backend
    name: str
    column: Column
    order: NDArray[np.intp] | None = None

    def taken(self, order: NDArray[np.intp]) -> Place:
        """Return the same column with its rows in another order."""
        return replace(self, order=order if self.order is None else self.order[order])

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values that are in the order of the file as this column is to be seen."""
        return values if self.order is None else values[self.order]


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """A table: its size and kinds are known, its values stay where they are until asked for.

    `sha256` is of the bytes of the file it was read from ("sha256:…"), None for any other table.
    `keys` are the ids that the rows of a joined table are ordered by.
    """

    name: str
    rows: int
    sha256: str | None
    places: Mapping[str, Place] = field(repr=False)
    keys: Mapping[str, pairing.Keys] = field(repr=False, default_factory=dict)
    digests: dict[tuple[str, ...], str] = field(repr=False, default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, in the file's order."""
        return tuple(self.places)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """Return what each column holds."""
        return {name: place.column.kind for name, place in self.places.items()}

    def select(self, names: Sequence[str]) -> Table:
        """Return the table with these columns only."""
        self.require_columns(names, "the columns to keep")
        return replace(self, places={name: self.places[name] for name in names})

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column of numbers or truth values as float64, NaN where it has no value.

        Raises InputError for text, and for whole numbers that a float64 cannot hold.
        """
        found = self._numeric(column)
        if is_wide(found.column):
            hint = "Store them as text if they are names."
            most = pairing.EXACT_FLOAT
            self._refuse(
                column,
                lambda value: (value > most) | (value < -most),
                "a whole number beyond 2^53",
                hint,
            )
        values = found.of.values(nw.col(found.column.field).cast(nw.Float64))
        return found.arranged(np.asarray(values, dtype=np.float64))

    def text(self, column: str) -> NDArray[np.object_]:
        """Return the canonical text of each value, None where there is none."""
        (found,) = self._usable([column])
        texts = found.of.text(found.column).to_numpy(zero_copy_only=False)
        return found.arranged(np.asarray(texts, dtype=object))

    def codes(
        self, column: str, *, limit: int | None = None
    ) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return each row's category as a position in the sorted categories, -1 for no value.

        Raises InputError when there are more categories than `limit`.
        """
        (found,) = self._usable([column])
        categories = found.of.categories(found.column, limit)
        if isinstance(categories, int):
            message = f"`{bounded(column)}` has {categories:,} different values, over {limit:,}"
            raise self._error(message, "Group the values, or choose another column.")
        return found.arranged(found.of.codes(found.column, categories)), tuple(categories)

    def mask(self, where: Where) -> NDArray[np.bool_]:
        """Return which rows are in a slice; a row where that is unknown is not."""
        self._usable(where.columns)
        found = self._one_file(where.columns)
        columns = {name: place.column for name, place in self.places.items()}
        expression = slices.expression(where, columns, self.name)
        return found.arranged(np.asarray(found.of.values(expression), dtype=np.bool_))

    def blocks(self, column: str, count: int) -> NDArray[np.int64]:
        """Return each row's block in 0…count-1, by the md5 of the value's canonical text.

        Equal values share a block, on every engine and in every run.
        """
        (found,) = self._usable([column])
        self.require_present(column, "what rows are put into blocks by")
        return found.arranged(found.of.blocks(found.column, count))

    def digest(self, columns: Sequence[str]) -> str:
        """Return "sha256:…" of the content of some columns of one file.

        It is the same for any order of rows and columns, any file format and physical type.
        """
        names = tuple(sorted(set(columns)))
        if names not in self.digests:
            columns_ = [place.column for place in self._usable(names)]
            total = self._one_file(names).of.hash_total(columns_)
            self.digests[names] = content_digest(names, self.rows, total)
        return self.digests[names]

    def describe(self, columns: Sequence[str] | None = None) -> dict[str, ColumnProfile]:
        """Return the profile of some columns of one file, or of all."""
        names = self.columns if columns is None else columns
        self.require_columns(names, "the columns to describe")
        found = self._one_file(names)
        return found.of.profile({name: self.places[name].column for name in names})

    def distinct(self, column: str, least: int, most: int) -> int | None:
        """Return how many different values a column has, None if not between `least` and `most`."""
        place = self.places[column]
        return place.of.distinct(place.column, least, most)

    def pandas(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of one file as a pandas frame, decimals as floats."""
        names = list(dict.fromkeys(columns))
        found = self._usable(names)
        frame = self._one_file(names).of.pandas([place.column for place in found])
        frame.columns = names
        return frame

    def require_columns(self, names: Sequence[str], what: str) -> None:
        """Raise InputError, with a guess at what was meant, unless all these columns exist."""
        absent = [name for name in dict.fromkeys(names) if name not in self.places]
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

    def kept(self) -> Table:
        """Return the table with all its columns quick to read again and again."""
        quick = {
            of: of.kept([place.column for place in self.places.values() if place.of is of])
            for of in dict.fromkeys(place.of for place in self.places.values())
        }
        places = {name: replace(p, of=quick[p.of]) for name, p in self.places.items()}
        return replace(self, places=places)

    def side(self, id_name: str) -> pairing.Side:
        """Return this table as one side of a pair."""
        (place,) = self._usable([id_name])
        texts = place.of.text(place.column).cast(pa.large_string())
        if place.order is not None:
            texts = texts.take(pa.array(place.order))
        lossy = 0
        if place.column.type == "DOUBLE":
            lossy = self._count(place, lambda value: value.abs() >= pairing.EXACT_FLOAT)
        return pairing.Side(
            name=self.name, id_name=id_name, texts=texts, sort=place.of.sorted, lossy=lossy
        )

    def _usable(self, names: Sequence[str]) -> list[Place]:
        """Return columns that exist, hold what a gate can use, and fit in the budget."""
        self.require_columns(names, "a column to read")
        for name in names:
            if self.places[name].column.kind is Kind.OTHER:
                message = f"`{bounded(name)}` holds lists, structures or bytes"
                raise self._error(message, "Store one number, text or date per row in it.")
        found = [self.places[name] for name in names]
        for of in dict.fromkeys(place.of for place in found):
            of.require_small([place.column for place in found if place.of is of])
        return found

    def _one_file(self, names: Sequence[str]) -> Place:
        """Return a place that stands for all of these columns: the same rows in the same order."""
        first, *others = [self.places[name] for name in names]
        for other in others:
            if other.of is not first.of:
                message = f"`{bounded(first.name)}` and `{bounded(other.name)}` are of two files"
                raise self._error(message, "Write both columns into one file.")
        return first

    def _numeric(self, column: str) -> Place:
        (found,) = self._usable([column])
        kind = found.column.kind
        if kind is Kind.TEXT:
            hint = "Write every value as a number, and leave the field empty where there is none."
            wrong = "text that is no number"
            self._refuse(
                column, lambda value: ~value.str.contains(f"^({NUMBER_SHAPE})$"), wrong, hint
            )
        if kind not in _NUMERIC:
            message = f"`{bounded(column)}` holds {kind} where numbers are needed"
            raise self._error(message, "Store it as numbers.")
        return found

    def _count(self, place: Place, flag: Callable[[nw.Expr], nw.Expr]) -> int:
        """Return for how many rows `flag` is true."""
        true = flag(nw.col(place.column.field)).fill_null(value=False)
        return int(place.of.values(true.cast(nw.Int64).sum())[0])

    def _refuse(
        self, column: str, flag: Callable[[nw.Expr], nw.Expr], problem: str, hint: str
    ) -> None:
        """Raise InputError if `flag` is true of a row; say how many, and which is the first."""
        place = self.places[column]
        count = self._count(place, flag)
        if count == 0:
            return
        true = place.of.values(flag(nw.col(place.column.field)).fill_null(value=False))
        first = int(np.argmax(true)) + 1  # as the file has them
        rows = "1 row has" if count == 1 else f"{count:,} rows have"
        name = bounded(place.name)
        raise InputError(
            f"{rows} {problem} in `{name}`; the first is row {first:,}",
            where=f"{bounded(place.of.name)}, column `{name}`, row {first}",
            hint=hint,
        )

    def _error(self, message: str, hint: str) -> InputError:
        return InputError(message, where=bounded(self.name), hint=hint)
