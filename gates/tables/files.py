"""Open a table's file: by its suffix, checked against its first bytes, within a budget.

Only a regular file is opened, and every refusal says what is accepted. In the engine the columns
are called `c0, c1, …` by position: names from outside, with their quotes, dots and capitals that
DuckDB would not tell apart, never become SQL.
"""

from __future__ import annotations

import codecs
import hashlib
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from gates.errors import EnvironmentFault, InputError
from gates.fields import bounded
from gates.tables.budget import long_cell, over_memory, too_many_rows
from gates.tables.canonical import Column, column_of, normalised
from gates.tables.csv_files import csv_error, header, read_csv
from gates.tables.duck import Session
from gates.tables.json_lines import read_json_lines
from gates.tables.text_kinds import RawText, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_CHUNK = 4 * 1024**2
_WORTH_SHARING = 20_000
_ACCEPTED = "Accepted are .parquet, .csv, .tsv, .jsonl, .ndjson, .arrow and .feather."
_CONTAINERS = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
_PARQUET_MAGIC = b"PAR1"
_ARROW_MAGIC = b"ARROW1"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A regular file, and the name by which errors call it."""

    path: Path
    name: str
    text: tuple[str, ...] = ()

    def error(self, message: str, hint: str | None = None, place: str = "") -> InputError:
        """Return an error about this file."""
        return InputError(message, where=bounded(self.name) + place, hint=hint)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file as the engine sees it.

    `parts` are its rows in shares that can be read side by side. Of a text file, every text is
    known to be within budget; CSV is parsed again for every question.
    """

    names: tuple[str, ...]
    fields: duckdb.DuckDBPyRelation
    rows: int
    parts: tuple[duckdb.DuckDBPyRelation, ...] = ()
    measured: bool = False
    costly: bool = False

    def columns(self) -> dict[str, Column]:
        """Return each name's column."""
        types = [str(type_) for type_ in self.fields.types]
        return {
            name: column_of(f"c{i}", type_)
            for i, (name, type_) in enumerate(zip(self.names, types, strict=True))
        }


def open_file(session: Session, path: Path, text: Sequence[str]) -> tuple[Opened, str]:
    """Return the table in `path`, and the sha256 of the file.

    Raises InputError for a file that cannot be used, EnvironmentFault where the disk refuses.
    """
    source = Source(path=path, name=str(path), text=tuple(text))
    reader = _READERS.get(path.suffix.lower())
    source = _regular(source)
    if reader is None:
        raise source.error(f"the suffix `{bounded(path.suffix)}` is not accepted", _ACCEPTED)
    try:
        digest = _fingerprint(source, is_text=reader in _TEXT_READERS)
        with session.reading(source.name):
            opened = reader(session, source)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot read the file: {error.strerror or 'the disk refused'}",
            where=bounded(source.name),
            hint="Check its permissions and the disk.",
        ) from None
    if opened.rows == 0:
        raise source.error("the table has 0 rows", "Write at least one row below the header.")
    return opened, digest


def _regular(source: Source) -> Source:
    """Follow links to the end; what is there must be a plain file, not a device or a folder."""
    try:
        path = source.path.resolve(strict=True)
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise source.error("the file does not exist", "Check the path.") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        reason = getattr(error, "strerror", None) or "links in a loop"
        raise EnvironmentFault(f"cannot open: {reason}", where=bounded(source.name)) from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise source.error(f"is {what}, not a regular file", _ACCEPTED)
    return Source(path=path, name=source.name, text=source.text)


def _fingerprint(source: Source, *, is_text: bool) -> str:
    """Return the sha256 of the bytes; look on the way at what a text file must not hold."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with source.path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if offset == 0:
                _check_magic(source, chunk[:8], is_text=is_text)
            digest.update(chunk)
            if is_text:
                _check_text(source, chunk, offset, decoder)
            offset += len(chunk)
    if offset == 0:
        raise source.error("the file is empty (0 bytes): it has no columns")
    if is_text:
        _check_text(source, b"", offset, decoder)
    return f"sha256:{digest.hexdigest()}"


def _check_magic(source: Source, start: bytes, *, is_text: bool) -> None:
    for magic, kind in _CONTAINERS.items():
        if start.startswith(magic):
            raise source.error(f"the file is a {kind} archive", f"Unpack it first. {_ACCEPTED}")
    if is_text and start.startswith((_PARQUET_MAGIC, _ARROW_MAGIC)):
        kind = "Parquet" if start.startswith(_PARQUET_MAGIC) else "Arrow"
        raise source.error(f"the file holds {kind}, not text", "Give it the suffix of its content.")
    if is_text and start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise source.error("the file is UTF-16, from its first byte", "Write it as UTF-8.")


def _check_text(
    source: Source, chunk: bytes, offset: int, decoder: codecs.IncrementalDecoder
) -> None:
    nul = chunk.find(b"\0")
    if nul >= 0:
        nuls = chunk[:1000].count(b"\0")
        guess = "; it may be UTF-16" if nuls > len(chunk[:1000]) // 4 else ""
        place = f", byte {offset + nul}"
        raise source.error(f"the file has a NUL byte{guess}", "Write it as UTF-8 text.", place)
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        place = f", byte {offset - pending + error.start}"
        message = "the file is not UTF-8; it is likely Latin-1 or Windows-1252"
        raise source.error(message, "Write it as UTF-8.", place) from None


def _check_names(session: Session, source: Source, names: Sequence[str]) -> None:
    budget = session.budget.columns
    if len(names) > budget:
        raise source.error(f"the file has {len(names):,} columns or more, over {budget:,}")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            hint = "Rename one: nobody could say which is meant."
            raise source.error(f"two columns are called `{bounded(name)}`", hint)
        seen.add(name)


def _fields(count: int) -> str:
    return ", ".join(f"c{i}" for i in range(count))


def _normalise(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    pairs = zip(relation.columns, relation.types, strict=True)
    return relation.project(", ".join(f"{normalised(f, str(t))} AS {f}" for f, t in pairs))


def _parquet(session: Session, source: Source) -> Opened:
    link = session.link(source.path)
    facts = session.relation(f"FROM parquet_file_metadata({link}) SELECT num_rows, num_row_groups")
    ((rows, groups),) = facts.fetchall()
    if rows > session.budget.rows:
        # Said by the footer alone: a few bytes may claim any number of rows.
        raise too_many_rows(rows, source.name, session.budget)
    schema = session.relation(f"FROM parquet_schema({link}) SELECT name, num_children").fetchall()
    names = _top_level(schema)
    _check_names(session, source, names)
    read = f"read_parquet({link}, hive_partitioning=false"
    relation = session.relation(f"FROM {read}) AS t({_fields(len(names))})")
    taken = "file_row_number" in {name.casefold() for name in names}
    parts: tuple[duckdb.DuckDBPyRelation, ...] = ()
    if groups == 1 and rows > _WORTH_SHARING and not taken:
        parts = _shares(session, f"{read}, file_row_number=true)", len(names), rows // 2)
    return Opened(names=names, fields=_normalise(relation), rows=rows, parts=parts)


def _shares(
    session: Session, read: str, count: int, middle: int
) -> tuple[duckdb.DuckDBPyRelation, ...]:
    """Return the upper and the lower rows: DuckDB gives one row group to one thread."""
    fields = _fields(count)
    rows = f"FROM {read} AS t({fields}, place) SELECT {fields} WHERE place"
    sides = (f"{rows} < {middle}", f"{rows} >= {middle}")
    return tuple(_normalise(session.relation(side)) for side in sides)


def _top_level(schema: list[tuple[str, int | None]]) -> tuple[str, ...]:
    """Return the names one below the root of a schema that is listed depth first."""
    names = []
    below: list[int] = []  # how many children each open level still waits for
    for name, children in schema[1:]:
        if not below:
            names.append(name)
        else:
            below[-1] -= 1
        if children:
            below.append(children)
        while below and below[-1] == 0:
            below.pop()
    return tuple(names)


def _arrow(session: Session, source: Source) -> Opened:
    import pyarrow.dataset as ds

    try:
        rows, names = _validated(source)
        _check_names(session, source, names)
        if rows > session.budget.rows:
            raise too_many_rows(rows, source.name, session.budget)
        data = ds.dataset(str(source.path), format="ipc")
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        # Arrow calls a file that ends too early an I/O error; every byte was read a moment ago.
        hint = "Write an Arrow file (Feather version 2), not a stream, and write it whole."
        raise source.error("the file is not a whole Arrow IPC file", hint) from None
    view = session.fresh("arrow")
    session.connection.register(view, data)
    relation = session.relation(f"FROM {view} AS t({_fields(len(names))})")
    return Opened(names=names, fields=_normalise(relation), rows=rows)


def _validated(source: Source) -> tuple[int, tuple[str, ...]]:
    """Return the rows and names, having checked every offset: a wrong one is read as memory."""
    rows = 0
    with pa.OSFile(str(source.path)) as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            batch.validate(full=True)
            rows += batch.num_rows
        return rows, tuple(reader.schema.names)


def _csv(session: Session, source: Source) -> Opened:
    return _delimited(session, source, ",")


def _tsv(session: Session, source: Source) -> Opened:
    return _delimited(session, source, "\t")


def _delimited(session: Session, source: Source, delimiter: str) -> Opened:
    names = header(source.path, source.name, delimiter)
    _check_names(session, source, names)
    try:
        raw = read_csv(session, source.path, names, delimiter)
        return replace(_typed(session, source, raw), costly=True)
    except duckdb.Error as error:
        raise (csv_error(error, source.name) or error) from None


def _json_lines(session: Session, source: Source) -> Opened:
    return _typed(session, source, read_json_lines(session, source.path, source.name))


def _typed(session: Session, source: Source, raw: RawText) -> Opened:
    _check_names(session, source, raw.names)
    found = typed(raw, source.text)
    if found.rows > session.budget.rows:
        raise too_many_rows(found.rows, source.name, session.budget)
    if found.longest > session.budget.cell:
        raise long_cell(found.longest, source.name, session.budget)
    if found.total > session.budget.memory:
        raise over_memory(source.name, session.budget)
    fields = _normalise(found.fields)
    return Opened(names=raw.names, fields=fields, rows=found.rows, measured=True)


_READERS: dict[str, Callable[[Session, Source], Opened]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".arrow": _arrow,
    ".feather": _arrow,
}
_TEXT_READERS = (_csv, _tsv, _json_lines)
