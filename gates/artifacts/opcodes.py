"""The opcodes of pickle, and their arguments as the unpicklers of Python read them.

Read here and not by `pickletools`, which takes a whole argument into memory, and undoes escapes in
the names of globals that no unpickler undoes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gates.artifacts.budget import Stream

_LONGEST = 4096


class Broken(Exception):
    """Every unpickler stops here with an error: nothing behind this point is ever run."""


class Unproven(Exception):
    """An unpickler may go on here, and what it would do can not be told from the bytes."""


class Arg(Enum):
    """How an opcode's argument is written."""

    NONE = 0
    LINE = 1
    PAIR = 2
    UNSIGNED = 3
    SIGNED = 4
    BYTES = 5
    SIGNED_BYTES = 6
    TEXT = 7
    LONG = 8
    SIGNED_LONG = 9
    FLOAT = 10


# By byte: the name that `pickletools` gives it, how its argument is written, and in how many bytes
# its value, or its length, is.
OPCODES: Final[dict[bytes, tuple[str, Arg, int]]] = {
    b"(": ("MARK", Arg.NONE, 0),
    b".": ("STOP", Arg.NONE, 0),
    b"0": ("POP", Arg.NONE, 0),
    b"1": ("POP_MARK", Arg.NONE, 0),
    b"2": ("DUP", Arg.NONE, 0),
    b"F": ("FLOAT", Arg.LINE, 0),
    b"I": ("INT", Arg.LINE, 0),
    b"J": ("BININT", Arg.SIGNED, 4),
    b"K": ("BININT1", Arg.UNSIGNED, 1),
    b"L": ("LONG", Arg.LINE, 0),
    b"M": ("BININT2", Arg.UNSIGNED, 2),
    b"N": ("NONE", Arg.NONE, 0),
    b"P": ("PERSID", Arg.LINE, 0),
    b"Q": ("BINPERSID", Arg.NONE, 0),
    b"R": ("REDUCE", Arg.NONE, 0),
    b"S": ("STRING", Arg.LINE, 0),
    b"T": ("BINSTRING", Arg.SIGNED_BYTES, 4),
    b"U": ("SHORT_BINSTRING", Arg.BYTES, 1),
    b"V": ("UNICODE", Arg.LINE, 0),
    b"X": ("BINUNICODE", Arg.TEXT, 4),
    b"a": ("APPEND", Arg.NONE, 0),
    b"b": ("BUILD", Arg.NONE, 0),
    b"c": ("GLOBAL", Arg.PAIR, 0),
    b"d": ("DICT", Arg.NONE, 0),
    b"}": ("EMPTY_DICT", Arg.NONE, 0),
    b"e": ("APPENDS", Arg.NONE, 0),
    b"g": ("GET", Arg.LINE, 0),
    b"h": ("BINGET", Arg.UNSIGNED, 1),
    b"i": ("INST", Arg.PAIR, 0),
    b"j": ("LONG_BINGET", Arg.UNSIGNED, 4),
    b"l": ("LIST", Arg.NONE, 0),
    b"]": ("EMPTY_LIST", Arg.NONE, 0),
    b"o": ("OBJ", Arg.NONE, 0),
    b"p": ("PUT", Arg.LINE, 0),
    b"q": ("BINPUT", Arg.UNSIGNED, 1),
    b"r": ("LONG_BINPUT", Arg.UNSIGNED, 4),
    b"s": ("SETITEM", Arg.NONE, 0),
    b"t": ("TUPLE", Arg.NONE, 0),
    b")": ("EMPTY_TUPLE", Arg.NONE, 0),
    b"u": ("SETITEMS", Arg.NONE, 0),
    b"G": ("BINFLOAT", Arg.FLOAT, 8),
    b"\x80": ("PROTO", Arg.UNSIGNED, 1),
    b"\x81": ("NEWOBJ", Arg.NONE, 0),
    b"\x82": ("EXT1", Arg.UNSIGNED, 1),
    b"\x83": ("EXT2", Arg.UNSIGNED, 2),
    b"\x84": ("EXT4", Arg.SIGNED, 4),
    b"\x85": ("TUPLE1", Arg.NONE, 0),
    b"\x86": ("TUPLE2", Arg.NONE, 0),
    b"\x87": ("TUPLE3", Arg.NONE, 0),
    b"\x88": ("NEWTRUE", Arg.NONE, 0),
    b"\x89": ("NEWFALSE", Arg.NONE, 0),
    b"\x8a": ("LONG1", Arg.LONG, 1),
    b"\x8b": ("LONG4", Arg.SIGNED_LONG, 4),
    b"B": ("BINBYTES", Arg.BYTES, 4),
    b"C": ("SHORT_BINBYTES", Arg.BYTES, 1),
    b"\x8c": ("SHORT_BINUNICODE", Arg.TEXT, 1),
    b"\x8d": ("BINUNICODE8", Arg.TEXT, 8),
    b"\x8e": ("BINBYTES8", Arg.BYTES, 8),
    b"\x8f": ("EMPTY_SET", Arg.NONE, 0),
    b"\x90": ("ADDITEMS", Arg.NONE, 0),
    b"\x91": ("FROZENSET", Arg.NONE, 0),
    b"\x92": ("NEWOBJ_EX", Arg.NONE, 0),
    b"\x93": ("STACK_GLOBAL", Arg.NONE, 0),
    b"\x94": ("MEMOIZE", Arg.NONE, 0),
    b"\x95": ("FRAME", Arg.UNSIGNED, 8),
    b"\x96": ("BYTEARRAY8", Arg.BYTES, 8),
    b"\x97": ("NEXT_BUFFER", Arg.NONE, 0),
    b"\x98": ("READONLY_BUFFER", Arg.NONE, 0),
}


@dataclass(frozen=True)
class Unknown:
    """A value that was not kept: plain data, or text of which nothing is known."""

    is_text: bool = False


DATA = Unknown()
TEXT = Unknown(is_text=True)

Argument = int | str | bytes | tuple[bytes, bytes] | Unknown | None


def next_opcode(stream: Stream) -> tuple[str, Argument]:
    """Return the name and the argument of the opcode that comes next.

    Raises Broken for what is none, Cut where the bytes end within it.
    """
    name, arg, width = OPCODES.get(stream.read(1), ("", Arg.NONE, 0))
    if not name:
        raise Broken("an opcode that there is not")
    if arg is Arg.NONE:
        return name, None
    if arg is Arg.LINE:
        return name, stream.line()
    if arg is Arg.PAIR:
        return name, (stream.line(), stream.line())
    if arg is Arg.FLOAT:
        stream.skip(width)
        return name, DATA
    signed = arg in (Arg.SIGNED, Arg.SIGNED_BYTES, Arg.SIGNED_LONG)
    number = int.from_bytes(stream.read(width), "little", signed=signed)
    if arg in (Arg.SIGNED, Arg.UNSIGNED):
        return name, number
    return name, _counted(stream, arg, number)


def _counted(stream: Stream, arg: Arg, length: int) -> Argument:
    """Return what follows a length: short text and whole numbers, nothing else is of interest."""
    if length < 0:
        raise Broken("a negative length")
    if arg in (Arg.LONG, Arg.SIGNED_LONG) and length <= 8:
        return int.from_bytes(stream.read(length), "little", signed=True)
    if arg is not Arg.TEXT or length > _LONGEST:
        stream.skip(length)
        return TEXT if arg is Arg.TEXT else DATA
    try:
        return stream.read(length).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Broken("text that is not UTF-8") from error
