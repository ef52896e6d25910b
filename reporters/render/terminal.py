"""What is written for a terminal, as text: nothing in it is read as markup."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def printed(write: Callable[[Console], None], *, width: int, color: bool) -> str:
    """Return what `write` prints, in lines of at most `width` columns, with ANSI if `color`."""
    from rich.console import Console

    sink = io.StringIO()
    console = Console(
        file=sink,
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
    write(console)
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines()) + "\n"
