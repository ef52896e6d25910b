"""Write columns as a Parquet file, in one canonical way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_parquet(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of equal length. Pages carry checksums, so that a flipped bit is noticed."""
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)
