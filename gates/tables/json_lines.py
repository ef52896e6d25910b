"""Read JSON Lines: one object per line, its keys the columns; an absent key is a missing value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from gates.errors import InputError
from gates.fields import bounded
from gates.tables.budget import too_many_rows
from gates.tables.canonical import Kind
from gates.tables.text_kinds import RawText

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gates.tables.duck import Session

MAX_LINE = 64 * 1024**2
_BATCH = 20_000
_NONE = type(None)
_KINDS = {str: Kind.TEXT, bool: Kind.BOOLEAN, int: Kind.NUMBER, float: Kind.NUMBER}


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs: a plain dict would hide that a key stands twice."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs)


def read_json_lines(session: Session, path: Path, name: str) -> RawText:
    """Return a JSON Lines file as text fields, loaded into the engine batch by batch."""
    table = session.fresh("lines")
    seen: dict[str, set[Kind]] = {}
    rows = 0
    for batch in _batches(path, name):
        rows += len(batch)
        if rows > session.budget.rows:
            raise too_many_rows(rows, name, session.budget)
        try:
            _add_columns(session, table, batch, seen)
            if len(seen) > session.budget.columns:
                break  # what opens the file refuses it, with the count
            _insert(session, table, batch, seen)
        except UnicodeEncodeError:
            raise InputError(
                "a text holds half of a Unicode surrogate pair",
                where=bounded(name),
                hint="Write the file as UTF-8, without \\ud800-style escapes that stand alone.",
            ) from None
    if not seen:
        raise InputError(
            "the file has no columns: it holds no object with a key", where=bounded(name)
        )
    allowed = tuple(_allowed(kinds) for kinds in seen.values())
    return RawText(names=tuple(seen), fields=session.connection.table(table), allowed=allowed)


def _batches(path: Path, name: str) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), start=1):
            if line.strip():
                batch.append(_object(line, f"{bounded(name)}, line {number}"))
                size += len(line)
            if len(batch) == _BATCH or size >= MAX_LINE:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _add_columns(
    session: Session, table: str, batch: list[dict[str, Any]], seen: dict[str, set[Kind]]
) -> None:
    """Give each key that was not met before a field; earlier rows have no value there."""
    for row in batch:
        if row.keys() <= seen.keys():
            continue
        for key in row:
            if key not in seen and len(seen) <= session.budget.columns:
                key.encode()  # a name that is no text is refused as such a value is
                verb = f"ALTER TABLE {table} ADD COLUMN" if seen else f"CREATE TABLE {table}"
                field = f"c{len(seen)} VARCHAR"
                session.connection.execute(f"{verb} {field}" if seen else f"{verb} ({field})")
                seen[key] = set()


def _object(line: str, where: str) -> dict[str, Any]:
    """Return the object on one line; keys that stand twice are refused, as nobody knows which."""
    try:
        pairs = _DECODER.decode(line)
    except (ValueError, RecursionError):
        raise InputError(
            "the line is not valid JSON", where=where, hint="Write one JSON object per line."
        ) from None
    if not isinstance(pairs, _Pairs):
        raise InputError(
            "the line is not a JSON object",
            where=where,
            hint='Write one object per line, such as {"id": 7}, and no array around them.',
        )
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise InputError(f"the key `{bounded(twice)}` stands twice in one object", where=where)
    return row


def _insert(
    session: Session, table: str, batch: list[dict[str, Any]], seen: dict[str, set[Kind]]
) -> None:
    if not seen:
        return  # objects without a key
    arrays = []
    for key, kinds in seen.items():
        values = [row.get(key) for row in batch]
        # By type and not by value: a million rows hold few types.
        kinds.update(_KINDS.get(type_, Kind.OTHER) for type_ in set(map(type, values)) - {_NONE})
        arrays.append(pa.array(_texts(values), pa.string()))
    rows = pa.table(arrays, [f"c{i}" for i in range(len(arrays))])
    session.connection.from_arrow(rows).insert_into(table)


def _texts(values: list[Any]) -> list[str | None]:
    """Return JSON values as text: numbers so that they read back the same, `true` and `false`."""
    if all(value is None or isinstance(value, str) for value in values):
        return values
    return [None if value is None else _text(value) for value in values]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    # Of a nested value only its presence is kept.
    return repr(value) if isinstance(value, int | float) else ""


def _allowed(seen: set[Kind]) -> frozenset[Kind]:
    """Return what a JSON column may be: JSON tells "39" from 39, and knows no dates."""
    if Kind.OTHER in seen:
        return frozenset({Kind.OTHER})
    if seen == {Kind.NUMBER}:
        return frozenset({Kind.INTEGER, Kind.NUMBER})
    if seen == {Kind.TEXT}:
        return frozenset({Kind.TEMPORAL})
    return frozenset(seen) & {Kind.BOOLEAN} if len(seen) == 1 else frozenset()
