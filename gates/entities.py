"""Warn of rows that may belong together although the configuration says nothing of it.

Several rows of one customer are less evidence than as many customers: intervals that take them for
independent are too narrow. Only a column that is named as an id and repeats is spoken of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gates.fields import bounded
from gates.tables import Kind

if TYPE_CHECKING:
    from collections.abc import Collection

    from gates.evidence import Data
    from gates.tables import Table

_LAST_WORD = re.compile("(user|customer|patient|account|session)?id|[ug]?uid|guid|key")
_NAME = re.compile(
    "user|customer|patient|session|document|account|client|member|subject|person|household|student"
    "|device|visitor|email"
)
# As different values among the rows: fewer is a category, more is nearly one row each.
_LEAST, _MOST_SHARE = 50, 0.8
_TOLD = 3


def unclustered(evaluation: Table, data: Data, known: Collection[str]) -> tuple[str, ...]:
    """Return a note for each column that looks like an id of several rows.

    `known` are the columns whose part is known: outputs, slices, sensitive ones.
    """
    if data.cluster is not None:
        return ()
    taken = {data.id, data.label, *known}
    named = [name for name in evaluation.columns if name not in taken and _is_named_so(name)]
    notes = (_note(evaluation, name) for name in named)
    return tuple(note for note in notes if note)[:_TOLD]


def _note(evaluation: Table, column: str) -> str | None:
    if evaluation.kinds[column] not in (Kind.INTEGER, Kind.TEXT, Kind.NUMBER):
        return None
    rows = evaluation.rows
    count = evaluation.distinct(column, _LEAST, int(_MOST_SHARE * rows))
    if count is None or not _is_whole(evaluation, column):
        return None
    name = bounded(column)
    return (
        f"`{name}` has {count:,} different values in {rows:,} rows: if rows of one {name} belong "
        f"together, set `data.cluster: {name}`, or intervals are too narrow."
    )


def _is_named_so(column: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).casefold()
    *_, last = re.findall(r"[^\W_]+", words) or [""]
    return bool(_LAST_WORD.fullmatch(last) or _NAME.fullmatch(words))


def _is_whole(evaluation: Table, column: str) -> bool:
    """Return whether a column may hold ids: one missing makes whole numbers a column of floats."""
    if evaluation.kinds[column] is not Kind.NUMBER:
        return True
    profile = evaluation.describe((column,))[column]
    ends = (profile.low, profile.high)
    return profile.nulls > 0 and all(end is not None and end == int(end) for end in ends)
