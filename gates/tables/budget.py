"""How large a table may be, and what is said of one that is larger."""

from __future__ import annotations

from dataclasses import dataclass

from gates.errors import InputError
from gates.fields import bounded


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a table may cost: rows, bytes of memory, bytes in one cell, columns."""

    rows: int = 100_000_000
    memory: int = 4 * 1024**3
    cell: int = 1024**2
    columns: int = 10_000


def long_cell(size: int, name: str, budget: Budget) -> InputError:
    """Return the error for a text that is longer than any cell may be."""
    return InputError(
        f"a cell of {size:,} bytes is over the limit of {budget.cell:,}",
        where=bounded(name),
        hint="Leave out columns with such long texts.",
    )


def over_memory(name: str, budget: Budget) -> InputError:
    """Return the error for a table that takes more memory than it is given."""
    return InputError(
        f"the table is over the memory budget of {budget.memory // 1024**2:,} MiB",
        where=bounded(name),
        hint="Leave out columns and rows that no gate needs, or raise the budget.",
    )


def too_many_rows(rows: int, name: str, budget: Budget) -> InputError:
    """Return the error for a file with more rows than it may have."""
    return InputError(
        f"the file has {rows:,} rows or more, over the budget of {budget.rows:,}",
        where=bounded(name),
        hint="Judge on a sample of the rows, or raise the budget.",
    )
