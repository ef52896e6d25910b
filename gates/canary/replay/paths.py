"""Where a value stands in an answer: a dotted path, followed strictly.

`prediction` is a key; a number is a place in a list, as in `outputs.0.data`; `*` stands for each
row of the request, once in a path: `predictions.*.label`. A key with a dot in it has no path.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr

EACH = "*"
_PLACE = re.compile(r"[0-9]{1,4}")


class Astray(Exception):
    """A path leads nowhere in this answer."""


def _sound(path: str) -> str:
    steps = path.split(".")
    if not all(step.strip() for step in steps) or steps.count(EACH) > 1:
        raise ValueError("expected a path such as `prediction` or `predictions.*.label`")
    return path


ValuePath = Annotated[StrictStr, Field(min_length=1, max_length=200), AfterValidator(_sound)]


def per_row(path: str) -> bool:
    """Return whether a path has a value for each row of a request."""
    return EACH in path.split(".")


def values(answer: Any, path: str, rows: int) -> list[Any]:
    """Return the value of each row; of a path without `*`, the one value of the one row.

    Raises Astray where something is missing, or there are not as many values as rows.
    """
    before, star, after = _parted(path.split("."))
    found = _followed(answer, before)
    if not star:
        return [found]
    if not isinstance(found, list) or len(found) != rows:
        raise Astray
    return [_followed(one, after) for one in found]


def _parted(steps: list[str]) -> tuple[list[str], bool, list[str]]:
    if EACH not in steps:
        return steps, False, []
    at = steps.index(EACH)
    return steps[:at], True, steps[at + 1 :]


def _followed(found: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and _PLACE.fullmatch(step) and int(step) < len(found):
            found = found[int(step)]
        else:
            raise Astray
    return found
