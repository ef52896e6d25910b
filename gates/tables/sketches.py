"""Write the sketch of a baseline as a Parquet file, and read it back: one row per entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gates.errors import Refused
from gates.stats.sketch import Entry, Sketch

_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("beta", pa.float64()),
        ("rows", pa.string()),
        ("place", pa.string()),
        ("n", pa.int64()),
        ("value", pa.float64()),
        ("se", pa.float64()),
        ("unit", pa.float64()),
        ("sums", pa.list_(pa.float64())),
    ]
)


def write_sketch(path: Path, sketch: Sketch) -> None:
    """Write the entries in their order. Pages carry checksums, so that a flipped bit is noticed."""
    columns = {
        name: pa.array(
            [getattr(entry, name) for entry in sketch.entries], type=_SCHEMA.field(name).type
        )
        for name in _SCHEMA.names
    }
    table = pa.table(columns, schema=_SCHEMA)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_sketch(path: Path) -> Sketch:
    """Return the entries in a file. Raises Refused for a file that holds something else."""
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _not_a_sketch(path) from error
    if table.schema != _SCHEMA:
        raise _not_a_sketch(path)
    rows = table.drop_columns(["sums"]).to_pylist()
    sums = table.column("sums").to_pylist()
    return Sketch(
        Entry(**row, sums=np.array(found, dtype=np.float64))
        for row, found in zip(rows, sums, strict=True)
    )


def _not_a_sketch(path: Path) -> Refused:
    hint = "Register the baseline again."
    return Refused("the file is not the sketch of a baseline", where=str(path), hint=hint)
