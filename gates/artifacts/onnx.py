"""ONNX: the operators a model is made of, and the files that its weights lie in.

Walked on the wire format of protocol buffers, along the few fields that matter. The standard
operators compute. One of another domain is whatever a library makes of it: it is named, and judged
like a global of a pickle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from gates.artifacts.budget import Budget, Cut, Stream
from gates.artifacts.dtypes import Global
from gates.artifacts.opcodes import Broken, Unproven
from gates.errors import Refused
from gates.fields import bounded

_MOST_DEEP = 60
_LONGEST = 4096
STANDARD: Final = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}
)

# By message: the fields that are messages themselves, and the texts that are kept (onnx.proto).
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "entry": {},
}  # fmt: skip
_TEXTS: Final[dict[str, dict[int, str]]] = {
    "node": {4: "name", 7: "domain"},
    "function": {1: "name", 10: "domain"},
    "entry": {1: "key", 2: "value"},
}


@dataclass(kw_only=True)
class Found:
    """What a model names: operators that are not standard, and files beside it."""

    operators: set[Global] = field(default_factory=set)
    functions: set[Global] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)
    graphs: int = 0

    @property
    def named(self) -> frozenset[Global]:
        """Return the operators that neither the standard nor the model itself defines."""
        return frozenset(self.operators - self.functions)


def walked(stream: Stream, size: int, budget: Budget) -> Found | None:
    """Return what a model names; None for what is no model of ONNX.

    Raises Refused for one that names files by paths out of its folder.
    """
    found = Found()
    try:
        _message(_Walk(stream=stream, budget=budget, found=found), "model", size, 0)
    except (Broken, Cut):
        return None
    except Unproven as why:
        raise _refused(str(why)) from None
    if not found.graphs:
        return None
    for location in found.locations:
        if _leads_out(location):
            raise _refused(f"its data are at a path that leads out of it: {bounded(location)!r}")
    return found


def _leads_out(location: str) -> bool:
    odd = any(sign in location for sign in "\\:\0")
    return odd or not location or location.startswith("/") or ".." in location.split("/")


@dataclass(kw_only=True)
class _Walk:
    stream: Stream
    budget: Budget
    found: Found


def _message(walk: _Walk, kind: str, end: int, depth: int) -> None:
    if depth > _MOST_DEEP:
        raise Unproven("graphs within graphs, deeper than is read")
    stream, texts = walk.stream, dict[str, str]()
    walk.found.graphs += kind == "graph"
    while stream.position < end:
        walk.budget.step()
        tag = _varint(stream)
        number, wire = tag >> 3, tag & 7
        below, kept = _MESSAGES[kind].get(number), _TEXTS.get(kind, {}).get(number)
        if wire != 2:
            if below or kept or number == 0:
                raise Broken("a field of another type")
            _pass_over(stream, wire)
            continue
        stop = _varint(stream) + stream.position
        if stop > end:
            raise Broken("a field that is longer than what it is in")
        if below:
            _message(walk, below, stop, depth + 1)
        elif kept:
            texts[kept] = _text(stream, stop - stream.position)
            _entered(walk.found, kind, texts)
        else:
            stream.skip(stop - stream.position)
    if stream.position > end:
        raise Broken("a field that is longer than what it is in")
    if kind in ("node", "function"):
        _named(walk.found, kind, Global(texts.get("domain", ""), texts.get("name", "")))


def _named(found: Found, kind: str, operator: Global) -> None:
    if kind == "function":
        found.functions.add(operator)
    elif operator.module not in STANDARD:
        found.operators.add(operator)


def _entered(found: Found, kind: str, texts: dict[str, str]) -> None:
    """Note a place, whichever of its two texts came last: a parser keeps the last of each."""
    if kind == "entry" and texts.get("key") == "location" and "value" in texts:
        found.locations.add(texts["value"])


def _pass_over(stream: Stream, wire: int) -> None:
    if wire == 0:
        _varint(stream)
    elif wire in (1, 5):
        stream.skip(8 if wire == 1 else 4)
    else:
        raise Broken("a field of a type that is not in use")


def _varint(stream: Stream) -> int:
    number = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)[0]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF
    raise Broken("a number without an end")


def _text(stream: Stream, length: int) -> str:
    if length > _LONGEST:
        raise Unproven("a name that is too long")
    try:
        return stream.read(length).decode()
    except UnicodeDecodeError:
        raise Broken("a name that is not UTF-8") from None


def _refused(why: str) -> Refused:
    return Refused(
        f"an ONNX model that is not accepted: {why}",
        hint="Keep its data in files of the same folder, or save it as one file.",
    )
