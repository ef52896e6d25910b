"""Which rows are sent, and as what: chosen by a hash of the id, so the same ones each time."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.errors import ConfigError, InputError
from gates.fields import bounded
from gates.tables import Budget, Engine, Kind, Table

if TYPE_CHECKING:
    from gates.canary.replay.replay import Replay

BUDGET = Budget(rows=2_000_000, memory=1024**3, cell=64 * 1024, columns=2_000)
_FINITE = float(np.finfo(np.float64).max)
_TENSORS = {Kind.INTEGER: "INT64", Kind.NUMBER: "FP64", Kind.BOOLEAN: "BOOL"}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is sent, in the order of the hashes: each row's id and its values as JSON has them."""

    ids: tuple[str, ...] = field(repr=False)
    values: tuple[Mapping[str, Any], ...] = field(repr=False)
    kinds: Mapping[str, Kind]
    available: int

    def __len__(self) -> int:
        """Return how many rows are sent."""
        return len(self.ids)


def read_rows(options: Replay, root: Path) -> Rows:
    """Return the rows to send.

    Raises InputError for a table that cannot be used, such as one whose ids are not unique.
    """
    with Engine(BUDGET) as engine:
        table = engine.open(root / options.requests, text=(options.id,))
        sent = sent_columns(options, table.columns)
        table.require_columns((options.id, *sent), "named under `replay`")
        if not sent:
            raise ConfigError(
                "no column is left to be sent",
                where="replay",
                hint="Leave fewer columns out, or name some under `features`.",
            )
        table = engine.ordered(table.select([*dict.fromkeys((options.id, *sent))]), id=options.id)
        ids = table.text(options.id)
        chosen = _chosen(ids, options)
        columns = {name: _values(table, name, chosen, options) for name in sent}
        return Rows(
            ids=tuple(str(one) for one in ids[chosen]),
            values=tuple(
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ),
            kinds={name: table.kinds[name] for name in sent},
            available=table.rows,
        )


def sent_columns(options: Replay, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that both sides get to see."""
    if options.features is not None:
        return tuple(dict.fromkeys(options.features))
    return tuple(name for name in columns if name not in (options.id, *options.leave_out))


def body(options: Replay, rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, Kind]) -> bytes:
    """Return the request for some rows, as the configured protocol has it."""
    content: Any = rows[0]
    if options.body == "instances":
        content = {"instances": rows}
    elif options.body == "inputs":
        content = {"inputs": [_tensor(name, kind, rows) for name, kind in kinds.items()]}
    return json.dumps(content, allow_nan=False, ensure_ascii=False).encode()


def _tensor(name: str, kind: Kind, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "shape": [len(rows)],
        "datatype": _TENSORS.get(kind, "BYTES"),
        "data": [row[name] for row in rows],
    }


def _chosen(ids: Any, options: Replay) -> Any:
    """Return the places of the rows with the smallest hashes; ids are unique, so these are."""
    salt = f"{options.seed}:".encode()
    hashes = [hashlib.sha256(salt + one.encode(errors="surrogatepass")).digest() for one in ids]
    places = heapq.nsmallest(options.rows, range(len(hashes)), key=hashes.__getitem__)
    return np.asarray(places, dtype=np.intp)


def _values(table: Table, name: str, chosen: Any, options: Replay) -> list[Any]:
    """Return one column's values as JSON has them; a column at a time, for tables are long."""
    kind = table.kinds[name]
    values: list[Any]
    if kind is Kind.NUMBER:
        table.require_between(name, -_FINITE, _FINITE, "what is sent")
        values = [None if np.isnan(one) else float(one) for one in table.numbers(name)[chosen]]
    else:
        values = [value(kind, text) for text in table.text(name)[chosen]]
    if options.body == "inputs" and None in values:
        raise InputError(
            f"`{bounded(name)}` has rows without a value, which no v2 tensor can hold",
            where=bounded(table.name),
            hint="Leave the column or the rows out, or send `body: instances`.",
        )
    return values


def value(kind: Kind, text: str | None) -> int | bool | str | None:
    """Return what a canonical text stands for; a date stays its ISO text."""
    if text is None or kind not in (Kind.INTEGER, Kind.BOOLEAN):
        return text
    return int(text) if kind is Kind.INTEGER else text == "true"
