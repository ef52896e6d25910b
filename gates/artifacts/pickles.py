"""Which globals a pickle names, found by reading it. Nothing is unpickled.

A pickle is judged by every name in it, whatever becomes of it. A file of joblib is a pickle with
the bytes of arrays between its opcodes; it is read as joblib reads it and, since nobody knows who
will load it, as `pickle.load` would.
"""

from __future__ import annotations

import re
from typing import Final

from gates.artifacts.budget import Budget, Cut, Stream
from gates.artifacts.dtypes import Global, Made, joblib_array
from gates.artifacts.machine import Machine
from gates.artifacts.opcodes import Argument, Broken, Unproven, next_opcode
from gates.artifacts.steps import step
from gates.errors import Refused
from gates.fields import bounded

_MOST_PADDING = 16
_MOST_NAMES = 20
# What could be the name of a module, and its attribute, on somebody's disk. Text that begins with
# a `c` reads as a global of two lines; a sentence is no name.
_PLAUSIBLE: Final = re.compile(r"[\w.-]+")
_HINT: Final = "Save it again, or in a format without code: skops, safetensors, ONNX."


def globals_of(stream: Stream, budget: Budget, *, torch: bool = False) -> frozenset[Global]:
    """Return every global that the pickles in a stream name.

    Raises Refused for what can not be read to its end, InputError for what is too large to read.
    """
    named: set[Global] = set()
    try:
        while True:
            machine = Machine(budget=budget, named=named, torch=torch, joblib=not torch)
            _judged(stream, machine)
            if stream.ended():
                return frozenset(named)
    except Cut:
        raise _refused("it ends in the middle", named) from None
    except (Broken, Unproven) as why:
        raise _refused(str(why), named) from None


def is_pickle(stream: Stream, budget: Budget) -> bool:
    """Return whether an unpickler would import anything from these bytes, or read them to the end.

    What stops it before that is no pickle: it is text, or another format.
    """
    named: set[Global] = set()
    try:
        ended = _probed(stream, budget, named)
    except (Broken, Cut):
        ended = False
    except Unproven:
        return True
    if named:
        return all(_PLAUSIBLE.fullmatch(part) for one in named for part in (one.module, one.name))
    return ended


def _probed(stream: Stream, budget: Budget, named: set[Global]) -> bool:
    """Read to the first name, or to the end; return whether the end was reached."""
    machine = Machine(budget=budget, named=named)
    while not named:
        name, arg = next_opcode(stream)
        step(machine, name, arg)
        if name == "STOP":
            if stream.ended():
                return True
            machine = Machine(budget=budget, named=named)
    return False


def _judged(stream: Stream, machine: Machine, twin: Machine | None = None) -> None:
    """Carry out one pickle; the twin reads the same, until it stops with an error."""
    frame = 0
    name = ""
    while name != "STOP":
        name, arg = next_opcode(stream)
        if name == "FRAME":
            _outside(stream, frame)
            frame = stream.position + int(arg)  # type: ignore[arg-type]
        step(machine, name, arg)
        twin = _along(twin, name, arg)
        if machine.array is not None:
            _outside(stream, frame)
            _array(stream, machine, machine.array)
    _outside(stream, frame)


def _outside(stream: Stream, frame: int) -> None:
    """Hold that a frame has ended: one unpickler reads it whole, another knows no frames."""
    if stream.position < frame:
        raise Unproven("a frame that does not end where it says")


def _along(twin: Machine | None, name: str, arg: Argument) -> Machine | None:
    if twin is None:
        return None
    try:
        step(twin, name, arg)
    except Broken:
        return None
    return twin


def _array(stream: Stream, machine: Machine, array: Made) -> None:
    """Pass over the bytes of an array; objects are a pickle of their own."""
    layout, count = joblib_array(array)
    if not layout.objects:
        # No opcode is as small as the padding's length: `pickle.load` stops at it.
        padding = stream.read(1)[0]
        if padding > _MOST_PADDING:
            raise Unproven("a joblib array without padding")
        stream.skip(padding + layout.size * count)
        return
    # `pickle.load` would go on with the same stack and memo.
    twin = machine.copy()
    twin.stack[-1] = array
    _judged(stream, Machine(budget=machine.budget, named=machine.named), twin)


def _refused(why: str, named: set[Global]) -> Refused:
    names = sorted(map(str, named))[:_MOST_NAMES]
    return Refused(
        f"a pickle that can not be inspected: {why}",
        hint=_HINT,
        details=tuple(f"names {bounded(name)}" for name in names),
    )
