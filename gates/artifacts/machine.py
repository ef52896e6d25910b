"""The unpickler's machine on symbols: its stack and memo hold what is known of each value.

Nothing is imported, made or called. What is known is exact, as every unpickler of Python has it, or
it is not known; a name that is put together from what is not known is refused and never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from gates.artifacts.budget import Budget
from gates.artifacts.dtypes import DTYPE, Global, Made
from gates.artifacts.opcodes import Broken, Unknown, Unproven

WRAPPER: Final = Global("joblib.numpy_pickle", "NumpyArrayWrapper")


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


def plain(items: list[Any]) -> list[Any]:
    """Return items that may go into a container, or be an argument.

    Two classes may not: given to a constructor they would make, unseen, an array whose bytes are
    skipped here and not by joblib (or the other way round), or a data type nobody looked at.
    """
    for item in items:
        if item in (WRAPPER, DTYPE):
            raise Unproven(f"{item} as a value")
    return items
