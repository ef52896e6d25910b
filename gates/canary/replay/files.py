"""The two predictions files of a replay: one row for each that both sides answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.errors import EnvironmentFault
from gates.tables.writer import write_parquet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gates.canary.replay.answers import Told
    from gates.canary.replay.rows import Rows
    from gates.canary.replay.tally import Tally

ID = "id"


def write_predictions(folder: Path, tally: Tally, rows: Rows) -> tuple[Path, Path]:
    """Write the canary's and the stable side's answers as predictions files; return where they are.

    Their columns are `id`, `prediction`, and `score` or a `score_<class>` for each class. Raises
    EnvironmentFault when the disk refuses.
    """
    ids = np.array([rows.ids[pair.place] for pair in tally.pairs], dtype=object)
    sides = {
        "candidate.parquet": [pair.canary for pair in tally.pairs],
        "baseline.parquet": [pair.stable for pair in tally.pairs],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, told in sides.items():
            write_parquet(folder / name, {ID: ids, **_columns(told, tally.classes)})
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write the predictions: {error.strerror or 'the disk refused'}",
            where=str(folder),
            hint="Check that the folder can be written to, and has free space.",
        ) from None
    candidate, baseline = (folder / name for name in sides)
    return candidate, baseline


def _columns(told: list[Told], classes: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    columns = {"prediction": _typed([one.prediction for one in told])}
    for place, name in enumerate(classes):
        column = f"score_{name}" if name else "score"
        columns[column] = np.array([one.score[place] for one in told], dtype=np.float64)
    return columns


def _typed(values: list[Any]) -> NDArray[Any]:
    """Return predictions as one type: they are all of a kind, or whole numbers among others."""
    if isinstance(values[0], str):
        return np.array(values, dtype=object)
    if isinstance(values[0], bool):
        return np.array(values, dtype=np.bool_)
    whole = all(isinstance(one, int) for one in values)
    return np.array(values, dtype=np.int64 if whole else np.float64)
