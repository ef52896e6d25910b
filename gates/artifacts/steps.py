"""What every opcode does to the machine; those that call something are in `calls`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from gates.artifacts import calls
from gates.artifacts.dtypes import Global, Made
from gates.artifacts.machine import Elements, Machine, Mapping, plain
from gates.artifacts.opcodes import DATA, TEXT, Argument, Broken, Unproven

_NUMBER = re.compile(rb"[0-9A-Za-z]+")


def step(machine: Machine, name: str, arg: Argument) -> None:
    """Carry out one opcode. Raises Broken or Unproven."""
    machine.array = None
    machine.budget.step()
    _STEPS[name](machine, arg)


def _constant(machine: Machine, _: Argument, value: Any) -> None:
    machine.push(value)


def _argument(machine: Machine, arg: Argument) -> None:
    machine.push(arg)


def _nothing(_: Machine, __: Argument) -> None:
    """Leave all as it is: a frame changes no value."""


def _proto(_: Machine, arg: Any) -> None:
    if arg > 5:
        raise Broken("a protocol that there is not")


def _mark(machine: Machine, _: Argument) -> None:
    machine.marks.append(machine.stack)
    machine.stack = []
    machine.budget.hold(len(machine.marks) + len(machine.memo))


def _pop(machine: Machine, _: Argument) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()


def _pop_mark(machine: Machine, _: Argument) -> None:
    machine.since_mark()


def _stop(machine: Machine, _: Argument) -> None:
    machine.pop()


def _dup(machine: Machine, _: Argument) -> None:
    machine.push(machine.top())


# --- plain values ----------------------------------------------------------------------------


def _int(machine: Machine, arg: Any) -> None:
    if arg in (b"00", b"01"):
        machine.push(arg == b"01")
        return
    try:
        machine.push(int(arg, 0))
    except ValueError:
        # C reads 0777 where Python stops.
        if not _NUMBER.fullmatch(arg):
            raise Broken("not a number") from None
        machine.push(DATA)


def _long(machine: Machine, arg: Any) -> None:
    try:
        machine.push(int(arg.removesuffix(b"L"), 0))
    except ValueError:
        raise Broken("not a number") from None


def _float(machine: Machine, arg: Any) -> None:
    try:
        float(arg)
    except ValueError:
        raise Broken("not a number") from None
    machine.push(DATA)


def _string(machine: Machine, arg: Any) -> None:
    if len(arg) < 2 or arg[:1] not in b"'\"" or arg[-1:] != arg[:1]:
        raise Broken("a string without quotes")
    # What it decodes to is for whoever loads it to say.
    machine.push(TEXT)


def _unicode(machine: Machine, arg: Any) -> None:
    try:
        machine.push(arg.decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        raise Broken("text that can not be decoded") from None


# --- memo ------------------------------------------------------------------------------------


def _index(arg: Any) -> int:
    try:
        index = int(arg)
    except ValueError:
        raise Broken("not a number") from None
    if index < 0:
        raise Broken("a negative place in the memo")
    return index


def _get(machine: Machine, arg: Argument) -> None:
    index = _index(arg)
    if index not in machine.memo:
        raise Broken("nothing at that place in the memo")
    machine.push(machine.memo[index])


def _put(machine: Machine, arg: Argument) -> None:
    index = _index(arg)
    # An unpickler makes room for as many values as the index says.
    machine.budget.hold(index)
    machine.memo[index] = machine.top()


def _memoize(machine: Machine, _: Argument) -> None:
    machine.memo[len(machine.memo)] = machine.top()


# --- containers ------------------------------------------------------------------------------


def _tuple(machine: Machine, _: Argument) -> None:
    machine.push(tuple(plain(machine.since_mark())))


def _tuple_of(machine: Machine, _: Argument, size: int) -> None:
    items = [machine.pop() for _ in range(size)]
    machine.push(tuple(reversed(plain(items))))


def _elements(machine: Machine, _: Argument) -> None:
    plain(machine.since_mark())
    machine.push(Elements())


def _empty_elements(machine: Machine, _: Argument) -> None:
    machine.push(Elements())


def _empty_dict(machine: Machine, _: Argument) -> None:
    machine.push(Mapping())


def _dict(machine: Machine, _: Argument) -> None:
    items = machine.since_mark()
    machine.push(Mapping())
    _set(machine, items)


def _append(machine: Machine, _: Argument) -> None:
    plain([machine.pop()])
    _filled(machine.top(), Elements)


def _appends(machine: Machine, _: Argument) -> None:
    items, target = plain(machine.since_mark()), machine.top()
    # With nothing to put in, C does not look into what.
    if items:
        _filled(target, Elements)


def _setitem(machine: Machine, _: Argument) -> None:
    value = machine.pop()
    _set(machine, [machine.pop(), value])


def _setitems(machine: Machine, _: Argument) -> None:
    _set(machine, machine.since_mark())


def _filled(target: Any, kind: type) -> None:
    """Say whether a container can be filled: a plain one, or an object, by its own method."""
    if isinstance(target, Global):
        raise Unproven("a class that is filled as if it were a list")
    if not isinstance(target, kind | Made):
        raise Broken("it can not be filled")


def _set(machine: Machine, items: list[Any]) -> None:
    target = machine.top()
    if not items:
        return
    _filled(target, (Mapping | Elements))  # type: ignore[arg-type]
    if len(items) % 2:
        raise Broken("a key without a value")
    plain(items)
    if not isinstance(target, Mapping) or machine.twin:
        return
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is str:
            target[key] = value
        elif key is not None and type(key) is not int:
            target.odd = True


_STEPS: Final[dict[str, Callable[[Machine, Any], None]]] = {
    "PROTO": _proto,
    "FRAME": _nothing,
    "STOP": _stop,
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _dup,
    "NONE": partial(_constant, value=None),
    "NEWTRUE": partial(_constant, value=True),
    "NEWFALSE": partial(_constant, value=False),
    "INT": _int,
    "LONG": _long,
    "FLOAT": _float,
    "STRING": _string,
    "UNICODE": _unicode,
    "BINSTRING": partial(_constant, value=TEXT),
    "SHORT_BINSTRING": partial(_constant, value=TEXT),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"), _argument),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _argument),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _argument),
    "BYTEARRAY8": _empty_elements,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    "MEMOIZE": _memoize,
    "TUPLE": _tuple,
    "EMPTY_TUPLE": partial(_tuple_of, size=0),
    "TUPLE1": partial(_tuple_of, size=1),
    "TUPLE2": partial(_tuple_of, size=2),
    "TUPLE3": partial(_tuple_of, size=3),
    "LIST": _elements,
    "FROZENSET": _elements,
    "EMPTY_LIST": _empty_elements,
    "EMPTY_SET": _empty_elements,
    "EMPTY_DICT": _empty_dict,
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "GLOBAL": calls.named_global,
    "STACK_GLOBAL": calls.stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), calls.extension),
    "INST": calls.inst,
    "OBJ": calls.obj,
    "REDUCE": calls.reduce,
    "NEWOBJ": calls.newobj,
    "NEWOBJ_EX": calls.newobj_ex,
    "BUILD": calls.build,
    "BINPERSID": calls.persistent,
    "PERSID": calls.persistent_text,
    "NEXT_BUFFER": calls.buffer,
    "READONLY_BUFFER": calls.buffer,
}
