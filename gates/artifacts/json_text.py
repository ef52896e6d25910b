"""JSON from a model file: whole, of bounded size and depth, without a key given twice."""

from __future__ import annotations

import json
from typing import Any

from gates.artifacts.opcodes import Unproven


def parsed(raw: bytes) -> Any:
    """Return the data in a text, numbers left out. Raises Unproven for what is no plain JSON."""
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_float=_left_out, parse_int=_number)
    except (ValueError, RecursionError):
        raise Unproven("JSON that can not be read") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _left_out(_: str) -> None:
    return None


def _number(text: str) -> int | None:
    return int(text) if len(text) < 20 else None
