"""The opcodes that name, call or change something: the ones by which a pickle does harm."""

from __future__ import annotations

from typing import Any

from gates.artifacts import dtypes
from gates.artifacts.dtypes import DTYPE, Global, Made
from gates.artifacts.machine import WRAPPER, Machine, plain
from gates.artifacts.opcodes import DATA, TEXT, Argument, Broken, Unproven

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


def named_global(machine: Machine, arg: Any) -> None:
    """Push the global that two lines name."""
    machine.push(_named(machine, arg))


def _named(machine: Machine, arg: tuple[bytes, bytes]) -> Global:
    try:
        module, name = (part.decode() for part in arg)
    except UnicodeDecodeError:
        raise Broken("a name that is not UTF-8") from None
    return machine.name(module, name)


def stack_global(machine: Machine, _: Argument) -> None:
    """Push the global that two texts on the stack name."""
    name, module = machine.pop(), machine.pop()
    if type(name) is str and type(module) is str:
        machine.push(machine.name(module, name))
        return
    if any(one == TEXT or (isinstance(one, Made) and one.text) for one in (name, module)):
        raise Unproven("a global whose name is not written out")
    raise Broken("a global whose name is no text")


def extension(_: Machine, __: Argument) -> None:
    """Refuse a code: what it stands for was said elsewhere."""
    raise Unproven("an extension code, which stands for a global that is named elsewhere")


def inst(machine: Machine, arg: Any) -> None:
    """Push an object of the class that two lines name."""
    called = _named(machine, arg)
    args = machine.since_mark()
    _call(machine, called, tuple(plain(args)))


def obj(machine: Machine, _: Argument) -> None:
    """Push an object of the class at the mark."""
    args = machine.since_mark()
    if not args:
        raise Broken("no class to make an object of")
    _call(machine, args[0], tuple(plain(args[1:])))


def reduce(machine: Machine, _: Argument) -> None:
    """Push what a call returns."""
    args, called = machine.pop(), machine.pop()
    _call(machine, called, args)


def newobj(machine: Machine, _: Argument) -> None:
    """Push a new object of a class, made by its `__new__`."""
    args, called = machine.pop(), machine.pop()
    if called == WRAPPER and args == ():
        machine.push(Made(WRAPPER, (), text=False))
        return
    _call(machine, called, args, new=True)


def newobj_ex(machine: Machine, _: Argument) -> None:
    """Push a new object, made with named arguments."""
    plain([machine.pop()])
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
    plain([args])
    text = called.name in _TEXTS if new else called not in _NO_TEXT
    machine.push(Made(called, args, text=text))


def build(machine: Machine, _: Argument) -> None:
    """Give an object its state; of an array of joblib, its bytes follow."""
    state, target = machine.pop(), machine.top()
    if not isinstance(target, Made):
        raise Unproven("a state for something that is not an object")
    plain([state])
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


def persistent(machine: Machine, _: Argument) -> None:
    """Push what a persistent id stands for: a tensor's storage, or nothing that is known."""
    pid = machine.pop()
    if not machine.torch:
        raise Broken("a persistent id")
    if not isinstance(pid, tuple) or pid[:1] != (_STORAGE,):
        raise Unproven("a persistent id that is not a tensor's storage")
    machine.push(Made(Global("torch", "storage"), (), text=False))


def persistent_text(_: Machine, __: Argument) -> None:
    """Stop at an id in the old form, as an unpickler without a door for it does."""
    raise Broken("a persistent id")


def buffer(_: Machine, __: Argument) -> None:
    """Stop at a buffer that only the loader could give."""
    raise Broken("a buffer that is kept elsewhere")
