"""Bring the rows of two tables together by their id, and refuse where that is not one to one.

Only the ids are looked at: what is found is an order of rows, and columns stay where they are. Ids
are compared as canonical text, never by position, and no message shows one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gates.errors import InputError
from gates.fields import bounded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXACT_FLOAT = 2**53
_TEXT_HINT = "Store the id as text."
# What usually keeps two ids apart, and what undoes it.
_CAUSES: tuple[tuple[str, Callable[[pa.Array], pa.Array]], ...] = (
    ("leading or trailing spaces", lambda keys: pc.utf8_trim(keys, characters=" ")),
    ("the case of letters", pc.utf8_lower),
    (
        "`.0` at the end, as when an id was stored as a float",
        lambda keys: pc.replace_substring_regex(keys, "[.]0+$", ""),
    ),
    ("leading zeros", lambda keys: pc.replace_substring_regex(keys, "^0+([0-9])", "\\1")),
)
Sort = Callable[[pa.ChunkedArray], "tuple[NDArray[np.intp], pa.ChunkedArray]"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One table of a pair: its name, its id, the ids' texts row by row, and how to sort them.

    `lossy` is how many of them are floats beyond the last whole number that a float tells apart.
    """

    name: str
    id_name: str
    texts: pa.ChunkedArray
    sort: Sort
    lossy: int = 0

    def error(self, message: str, hint: str | None = None) -> InputError:
        """Return an error about this side's id."""
        where = f"{bounded(self.name)}, column `{bounded(self.id_name)}`"
        return InputError(message, where=where, hint=hint)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """A side whose ids name one row each, and the order that sorts them."""

    side: Side
    order: NDArray[np.intp]

    def matched(self, other: Side) -> Keys:
        """Return the other side in the same order. Raises InputError unless it has the same ids."""
        if self.side.texts.equals(other.texts):
            return Keys(side=other, order=self.order)  # most files are written in one order
        order, found = _sorted(other)
        mine = self.side.texts.take(pa.array(self.order))
        if not mine.equals(found):
            raise _mismatch(self.side, other)
        return Keys(side=other, order=order)


def keyed(side: Side) -> Keys:
    """Return the order of one side.

    Raises InputError for ids that are missing, stand twice, or are floats that lost digits.
    """
    return Keys(side=side, order=_sorted(side)[0])


def _sorted(side: Side) -> tuple[NDArray[np.intp], pa.ChunkedArray]:
    if side.lossy:
        message = f"{side.lossy:,} ids are floats of 2^53 or more, where neighbours are one number"
        raise side.error(message, _TEXT_HINT)
    if side.texts.null_count:
        raise side.error(f"{side.texts.null_count:,} rows have no id", "Give every row an id.")
    order, texts = side.sort(side.texts)
    repeated = pc.sum(pc.equal(texts[1:], texts[:-1])).as_py() or 0
    if repeated:
        message = f"{repeated:,} of {len(texts):,} rows repeat an id that stood before"
        raise side.error(message, "An id must name one row: remove the duplicates.")
    return order, texts


def _mismatch(left: Side, right: Side) -> InputError:
    alone = [_without(left.texts, right.texts), _without(right.texts, left.texts)]
    return InputError(
        f"the ids do not match: {len(alone[0]):,} of {bounded(left.name)} are not in"
        f" {bounded(right.name)}, and {len(alone[1]):,} the other way round",
        where=f"columns `{bounded(left.id_name)}` and `{bounded(right.id_name)}`",
        hint=_cause(*alone),
    )


def _without(keys: pa.ChunkedArray, others: pa.ChunkedArray) -> pa.ChunkedArray:
    return keys.filter(pc.invert(pc.is_in(keys, value_set=others)))


def _cause(one: pa.ChunkedArray, two: pa.ChunkedArray) -> str:
    """Return what would make ids match that do not, if it is one of the usual causes."""
    for cause, undone in _CAUSES:
        again = pc.unique(undone(one))
        shared = pc.sum(pc.is_in(again, value_set=pc.unique(undone(two)))).as_py()
        if shared:
            return f"{shared:,} of them differ only by {cause}. Write them alike on both sides."
    return "Both files must hold the same rows; pairing by position is never done."
