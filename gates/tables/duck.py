"""One DuckDB connection, shut in: a memory limit, a folder of its own, no extension, no network.

What DuckDB says of a file it cannot read quotes the file's rows, so its texts stop here: an error
leaves as one of ours, with our own words.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from gates.errors import EnvironmentFault, InputError
from gates.fields import bounded
from gates.tables.budget import long_cell, over_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gates.tables.budget import Budget


class Session:
    """Own the connection and the folder it spills to; both are gone after `close`.

    Files are reached through links in that folder: no path of a user's, with its quotes and
    wildcards, becomes part of a statement.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._count = 0
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="model-gates-")
        except OSError as error:
            raise EnvironmentFault(
                f"cannot make a temporary folder: {error.strerror}",
                hint="Set TMPDIR to a folder that can be written to.",
            ) from None
        self.connection = duckdb.connect(":memory:", config=self._settings())
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET lock_configuration = true")

    def _settings(self) -> dict[str, Any]:
        return {
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "extension_directory": str(Path(self._folder.name, "extensions")),
            "memory_limit": f"{self.budget.memory // 1024}KiB",
            "preserve_insertion_order": "true",
            # A Python variable that happens to be called like a column is no table.
            "python_enable_replacements": "false",
            "temp_directory": str(Path(self._folder.name, "spill")),
        }

    def close(self) -> None:
        """Give back memory and disk."""
        self.connection.close()
        self._folder.cleanup()

    def fresh(self, prefix: str) -> str:
        """Return a name that no other object of this connection has."""
        self._count += 1
        return f"{prefix}_{self._count}"

    def link(self, path: Path) -> str:
        """Return, as an SQL literal, a path of our own making that leads to `path`."""
        link = Path(self._folder.name, self.fresh("file"))
        link.symlink_to(path)
        return "'" + str(link).replace("'", "''") + "'"

    def relation(self, sql: str) -> duckdb.DuckDBPyRelation:
        """Return a query as a relation; nothing is read yet but what names and types need."""
        return self.connection.sql(sql)

    def stored(self, relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Return the rows of `relation`, in their order, computed once and kept."""
        name = self.fresh("stored")
        relation.create(name)
        return self.connection.table(name).set_alias(name)

    @contextmanager
    def registered(self, view: str, table: pa.Table) -> Iterator[None]:
        """Let statements see an Arrow table under the name `view`, for as long as this lasts."""
        self.connection.register(view, table)
        try:
            yield
        finally:
            self.connection.unregister(view)

    def dictionary(self, values: Sequence[str]) -> str:
        """Return the name of a type whose values are these texts, each known by its position."""
        name, view = self.fresh("dictionary"), self.fresh("values")
        with self.registered(view, pa.table({"v": pa.array(values, pa.string())})):
            self.connection.execute(f"CREATE TYPE {name} AS ENUM (FROM {view})")
        return name

    def require_small(
        self, relation: duckdb.DuckDBPyRelation, fields: Sequence[str], name: str
    ) -> None:
        """Raise InputError if the texts in `fields` are over the budget of a cell, or of memory.

        Their lengths are summed as they stream by: a dictionary hides how large they are.
        """
        if not fields:
            return
        wanted = ", ".join(f"max(strlen({field})), sum(strlen({field}))" for field in fields)
        with self.reading(name):
            (found,) = relation.aggregate(wanted).fetchall()
        longest = max(size or 0 for size in found[::2])
        if longest > self.budget.cell:
            raise long_cell(longest, name, self.budget)
        if sum(size or 0 for size in found[1::2]) > self.budget.memory:
            raise over_memory(name, self.budget)

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Turn what DuckDB and Arrow raise while `name` is read into errors of ours."""
        try:
            yield
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException):
            raise  # our own statement is wrong: a bug, which must not read as a fault of the data
        except (duckdb.OutOfMemoryException, MemoryError):
            raise over_memory(name, self.budget) from None
        except duckdb.Error as error:
            raise _fault(str(error), name) from None


def _fault(text: str, name: str) -> InputError | EnvironmentFault:
    """Tell a full or failing disk from a damaged file; both reach us as DuckDB's I/O errors."""
    if re.match(r"IO Error: .*(No space left|[Cc]ould not write|Input/output error)", text):
        return EnvironmentFault(
            "the disk failed or is full",
            where=bounded(name),
            hint="Make room where temporary files are kept, or point TMPDIR elsewhere.",
        )
    return InputError(
        "the file is damaged: some of its contents cannot be read",
        where=bounded(name),
        hint="Write it again, and compare its sha256 with the one at its source.",
    )
