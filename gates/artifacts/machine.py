"""The unpickler's machine on symbols: its stack and memo hold what is known of each value.

Nothing is imported, made or called. What is known is exact, as every unpickler of Python has it, or
it is not known; a name that is put together from what is not known is refused and never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from gates.artifacts import dtypes
from gates.artifacts.budget import Budget
from gates.artifacts.dtypes import DTYPE, Global, Made
from gates.artifacts.opcodes import DATA, TEXT, Argument, Broken, Unknown, Unproven

WRAPPER: Final = Global("joblib.numpy_pickle", "NumpyArrayWrapper")
_STORAGE = "storage"
# The classes of text, and what returns none whatever it is given.
_TEXTS = frozenset({"str", "unicode", "basestring"})
_NO_TEXT = frozenset(
    {
        DTYPE,
        *(Global(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
        *(Global(f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        Global("numpy.random._pickle", "__randomstate_ctor"),
        Global("sklearn.tree._tree", "Tree"),
    }
)
_NUMBER = re.compile(rb"[0-9A-Za-z]+")


class Elements(Unknown):
    """A list, a set or a bytearray: what is in it is not kept."""


class Mapping(dict[str, Any]):
    """A dict's entries with keys of known text; `odd` if another key might be equal to one."""

    odd = False


@dataclass(kw_only=True)
class Machine:
    """One unpickler; `array` is the joblib array whose bytes follow, if the last step made one.

    `joblib` says that an array's wrapper becomes an array, `torch` that persistent ids are tensors.
    A `twin` reads what another machine reads, and keeps nothing in values that both hold.
    """

    budget: Budget
    named: set[Global]
    joblib: bool = False
    torch: bool = False
    twin: bool = False
    stack: list[Any] = field(default_factory=list)
    marks: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    array: Made | None = None

    def step(self, name: str, arg: Argument) -> None:
        """Carry out one opcode. Raises Broken or Unproven."""
        self.array = None
        self.budget.step()
        _STEPS[name](self, arg)

    def copy(self) -> Machine:
        """Return a twin that goes on from here."""
        held = len(self.memo) + len(self.stack) + sum(map(len, self.marks))
        self.budget.step(held // 16 + 1)
        return Machine(
            budget=self.budget,
            named=self.named,
            torch=self.torch,
            twin=True,
            stack=list(self.stack),
            marks=[list(below) for below in self.marks],
            memo=dict(self.memo),
        )

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)
        self.budget.hold(len(self.stack) + len(self.memo))

    def pop(self) -> Any:
        """Take the top of the stack; never from below a mark."""
        if not self.stack:
            raise Broken("an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        """Return the top of the stack."""
        if not self.stack:
            raise Broken("an empty stack")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        """Take everything down to the last mark, and the mark."""
        if not self.marks:
            raise Broken("no mark")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def name(self, module: str, attribute: str) -> Global:
        """Return a global, and note that it was named."""
        named = Global(module, attribute)
        self.named.add(named)
        self.budget.hold(len(self.named))
        return named


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


def _plain(items: list[Any]) -> list[Any]:
    """Return items that may go into a container, or be an argument.

    Two classes may not: given to a constructor they would make, unseen, an array whose bytes are
    skipped here and not by joblib (or the other way round), or a data type nobody looked at.
    """
    for item in items:
        if item in (WRAPPER, DTYPE):
            raise Unproven(f"{item} as a value")
    return items


def _tuple(machine: Machine, _: Argument) -> None:
    machine.push(tuple(_plain(machine.since_mark())))


def _tuple_of(machine: Machine, _: Argument, size: int) -> None:
    items = [machine.pop() for _ in range(size)]
    machine.push(tuple(reversed(_plain(items))))


def _elements(machine: Machine, _: Argument) -> None:
    _plain(machine.since_mark())
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
    _plain([machine.pop()])
    _filled(machine.top(), Elements)


def _appends(machine: Machine, _: Argument) -> None:
    items, target = _plain(machine.since_mark()), machine.top()
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
    _plain(items)
    if not isinstance(target, Mapping) or machine.twin:
        return
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) is str:
            target[key] = value
        elif key is not None and type(key) is not int:
            target.odd = True


# --- globals and calls -----------------------------------------------------------------------


def _global(machine: Machine, arg: Any) -> None:
    machine.push(_named(machine, arg))


def _named(machine: Machine, arg: tuple[bytes, bytes]) -> Global:
    try:
        module, name = (part.decode() for part in arg)
    except UnicodeDecodeError:
        raise Broken("a name that is not UTF-8") from None
    return machine.name(module, name)


def _stack_global(machine: Machine, _: Argument) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is str and type(module) is str:
        machine.push(machine.name(module, name))
        return
    if any(one == TEXT or (isinstance(one, Made) and one.text) for one in (name, module)):
        raise Unproven("a global whose name is not written out")
    raise Broken("a global whose name is no text")


def _extension(_: Machine, __: Argument) -> None:
    raise Unproven("an extension code, which stands for a global that is named elsewhere")


def _inst(machine: Machine, arg: Any) -> None:
    called = _named(machine, arg)
    args = machine.since_mark()
    _call(machine, called, tuple(_plain(args)))


def _obj(machine: Machine, _: Argument) -> None:
    args = machine.since_mark()
    if not args:
        raise Broken("no class to make an object of")
    _call(machine, args[0], tuple(_plain(args[1:])))


def _reduce(machine: Machine, _: Argument) -> None:
    args, called = machine.pop(), machine.pop()
    _call(machine, called, args)


def _newobj(machine: Machine, _: Argument) -> None:
    args, called = machine.pop(), machine.pop()
    if called == WRAPPER and args == ():
        machine.push(Made(WRAPPER, (), text=False))
        return
    _call(machine, called, args, new=True)


def _newobj_ex(machine: Machine, _: Argument) -> None:
    _plain([machine.pop()])
    args, called = machine.pop(), machine.pop()
    _call(machine, called, args)


def _call(machine: Machine, called: Any, args: Any, *, new: bool = False) -> None:
    """Push what a call returns. Only a global is ever called, so that its name says what runs.

    With `new` it is `called.__new__`, which gives text for a class of text alone.
    """
    if isinstance(called, Made) or called == WRAPPER:
        raise Unproven("a call of something that was made by a call")
    if not isinstance(called, Global):
        raise Broken("a call of something that is not callable")
    _plain([args])
    text = called.name in _TEXTS if new else called not in _NO_TEXT
    machine.push(Made(called, args, text=text))


def _build(machine: Machine, _: Argument) -> None:
    state, target = machine.pop(), machine.top()
    if not isinstance(target, Made):
        raise Unproven("a state for something that is not an object")
    _plain([state])
    if target.of == DTYPE:
        dtypes.layout(target, state)
    if machine.twin:
        return
    if target.of in (DTYPE, WRAPPER):
        if target.state is not None:
            raise Unproven("a state that is given twice")
        target.state = state
    if machine.joblib and target.of == WRAPPER:
        # What joblib puts in its place is the array.
        machine.stack[-1] = DATA
        machine.array = target


def _persistent(machine: Machine, _: Argument) -> None:
    pid = machine.pop()
    if not machine.torch:
        raise Broken("a persistent id")
    if not isinstance(pid, tuple) or pid[:1] != (_STORAGE,):
        raise Unproven("a persistent id that is not a tensor's storage")
    machine.push(Made(Global("torch", "storage"), (), text=False))


def _persistent_text(_: Machine, __: Argument) -> None:
    raise Broken("a persistent id")


def _buffer(_: Machine, __: Argument) -> None:
    raise Broken("a buffer that is kept elsewhere")


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
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    "INST": _inst,
    "OBJ": _obj,
    "REDUCE": _reduce,
    "NEWOBJ": _newobj,
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "PERSID": _persistent_text,
    "NEXT_BUFFER": _buffer,
    "READONLY_BUFFER": _buffer,
}
