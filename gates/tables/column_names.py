"""Guess which column was meant by a name that is not there."""

from __future__ import annotations

import difflib
import unicodedata
from typing import TYPE_CHECKING

from gates.fields import bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

_LISTED = 10


def meant(name: str, known: Sequence[str]) -> str:
    """Return a hint: the column that differs only in its writing, the most alike, or the list."""
    for other in known:
        if _plain(other) == _plain(name):
            return (
                f"There is `{bounded(other)}`, which differs only by case, spaces or Unicode form."
                " Write it exactly so."
            )
    alike = difflib.get_close_matches(name, known, n=1)
    if alike:
        return f"Did you mean `{bounded(alike[0])}`?"
    listed = ", ".join(f"`{bounded(other, 40)}`" for other in known[:_LISTED])
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    return f"The columns are {listed}{more}."


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFC", name).casefold().split())
