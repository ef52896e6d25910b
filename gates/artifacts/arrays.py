"""NumPy's own files: the header is read, objects in the array are a pickle."""

from __future__ import annotations

import ast
from typing import Any, Final

from gates.artifacts.budget import Budget, Cut, Stream
from gates.artifacts.dtypes import Global, Layout, count, of_code
from gates.artifacts.opcodes import Unproven
from gates.artifacts.pickles import globals_of
from gates.errors import Refused

MAGIC: Final = b"\x93NUMPY"
_LONGEST = 10_000
_LENGTHS = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
_KEYS = {"descr", "fortran_order", "shape"}


def globals_of_array(stream: Stream, budget: Budget) -> frozenset[Global]:
    """Return the globals that an array file names: none, unless it holds objects.

    Raises Refused for what can not be read to its end.
    """
    try:
        layout, elements = _header(stream)
        if layout.objects:
            return globals_of(stream, budget)
        stream.skip(layout.size * elements)
    except Cut:
        raise _refused("it ends in the middle") from None
    except Unproven as why:
        raise _refused(str(why)) from None
    if not stream.ended():
        raise _refused("there is more behind its end")
    return frozenset()


def _header(stream: Stream) -> tuple[Layout, int]:
    if stream.read(len(MAGIC)) != MAGIC:
        raise Unproven("it is none")
    width = _LENGTHS.get(stream.read(2))
    if width is None:
        raise Unproven("a version that is not known")
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST:
        raise Unproven("its header is too long")
    try:
        header = ast.literal_eval(stream.read(length).decode("utf-8").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise Unproven("its header can not be read") from None
    if not isinstance(header, dict) or set(header) != _KEYS:
        raise Unproven("its header can not be read")
    return _described(header["descr"]), count(header["shape"])


def _described(descr: Any, depth: int = 0) -> Layout:
    """Return the layout of a type as a header has it: a code, or a list of fields."""
    if not isinstance(descr, list) or depth > 10:
        return of_code(descr)
    size, objects = 0, False
    for part in descr:
        if not isinstance(part, tuple) or len(part) not in (2, 3):
            raise Unproven("its fields can not be read")
        inner = _described(part[1], depth + 1)
        size += inner.size * count(part[2] if len(part) == 3 else ())
        objects = objects or inner.objects
    return Layout(size, objects=objects)


def _refused(why: str) -> Refused:
    return Refused(
        f"a NumPy file that can not be inspected: {why}", hint="Write it again with `numpy.save`."
    )
