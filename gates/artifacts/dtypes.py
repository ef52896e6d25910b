"""NumPy's data types as a pickle or an array file writes them: how many bytes, and any objects.

A type is read in the one form that NumPy writes. Of a structured type with objects in it the flags
that a pickle sets could lie, and bytes of the file would be taken for pointers: it is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from gates.artifacts.opcodes import Unproven


@dataclass(frozen=True)
class Global:
    """Something that a pickle names: what a module has under a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """What a call of a global returns; `state` where it matters and was set.

    `text` says that it could be a string: then it could become a name that stands nowhere.
    """

    of: Global
    args: Any
    text: bool = True
    state: Any = None


@dataclass(frozen=True)
class Layout:
    """How many bytes an element has, and whether it is an object (then pickled, not written)."""

    size: int
    objects: bool = False


DTYPE: Final = Global("numpy", "dtype")
ARRAY_KEYS: Final = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap"})
_ALIGNMENT = "numpy_array_alignment_bytes"
_CODE = re.compile(r"[<>|=]?([biufcSUVmMO])(\d{1,9})?(\[[A-Za-z0-9]+\])?")
_FORM = "a data type that is not written as NumPy writes it"
_MOST_DEEP = 10
# NumPy's flags of an object; a type of plain bytes has none of those that speak of objects.
_OBJECT, _OBJECT_BITS = 63, 7


def layout(made: Any, state: Any, depth: int = 0) -> Layout:
    """Return the layout of a pickled type with a state. Raises Unproven for any other form."""
    if not isinstance(made, Made) or made.of != DTYPE or not isinstance(made.args, tuple):
        raise Unproven(_FORM)
    if not made.args or depth > _MOST_DEEP:
        raise Unproven(_FORM)
    found = of_code(made.args[0])
    if state is None:
        return found
    # (version, byte order, subarray, names, fields, size, alignment, flags[, metadata])
    if not isinstance(state, tuple) or len(state) not in (8, 9):
        raise Unproven(_FORM)
    _, _, subarray, _, fields, size, _, flags, *_ = state
    parts = list(_parts(fields))
    if isinstance(subarray, tuple) and len(subarray) == 2:
        parts.append(subarray[0])
    elif subarray is not None:
        raise Unproven(_FORM)
    inner = [layout(part, getattr(part, "state", None), depth + 1) for part in parts]
    if any(one.objects for one in inner) or (found.objects and parts):
        raise Unproven("a structured data type with objects in it")
    if type(size) is not int or size not in (-1, found.size):
        raise Unproven("a data type of two sizes")
    if size == -1 and parts:
        raise Unproven(_FORM)
    _hold_flags(found, flags)
    return found


def _hold_flags(found: Layout, flags: Any) -> None:
    """Hold that a type is flagged as what it is.

    NumPy believes them: numbers would be unpickled, or bytes of the file taken for pointers.
    """
    own = type(flags) is int and (flags == _OBJECT if found.objects else not flags & _OBJECT_BITS)
    if not own:
        raise Unproven("a data type whose flags are not its own")


def _parts(fields: Any) -> list[Any]:
    if fields is None:
        return []
    # By name: (type, offset) or (type, offset, title).
    if not isinstance(fields, dict) or getattr(fields, "odd", False):
        raise Unproven(_FORM)
    values = list(fields.values())
    if not all(isinstance(value, tuple) and value for value in values):
        raise Unproven(_FORM)
    return [value[0] for value in values]


def of_code(code: Any) -> Layout:
    """Return the layout of a type's code, such as f8, <U12 or O. Raises Unproven."""
    match = _CODE.fullmatch(code) if type(code) is str else None
    if match is None:
        raise Unproven(_FORM)
    kind, digits = match[1], match[2]
    if kind == "O":
        return Layout(8, objects=True)
    if digits is None:
        raise Unproven(_FORM)
    return Layout(int(digits) * (4 if kind == "U" else 1))


def joblib_array(wrapper: Made) -> tuple[Layout, int]:
    """Return the layout and the number of elements of the array whose bytes follow.

    Raises Unproven where the wrapper's state is not that which joblib writes, since version 1.2.
    """
    state = wrapper.state
    known = ARRAY_KEYS | {_ALIGNMENT}
    if not isinstance(state, dict) or getattr(state, "odd", False) or set(state) != known:
        raise Unproven("a joblib array that is not as joblib 1.2 or newer writes it")
    if type(state[_ALIGNMENT]) is not int:
        # Without padding the first byte of the array could be an opcode to `pickle.load`.
        raise Unproven("a joblib array without padding")
    made = state["dtype"]
    return layout(made, getattr(made, "state", None)), count(state["shape"])


def count(shape: Any) -> int:
    """Return how many elements an array of that shape has. Raises Unproven."""
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise Unproven("an array without a shape")
    return math.prod(shape)
