"""What a user's command printed before it failed: its last lines, for a person, and inert."""

from __future__ import annotations

import re

from reporters.render.escape import cut, plain

MAX_LINES = 40
MAX_WIDTH = 300


def quoted(output: str) -> str:
    """Return the end of an output as lines that no terminal and no CI runner obeys.

    A runner takes a line that begins with `::`, or has `##[` anywhere, for a command to itself.
    """
    lines = output.splitlines()
    shown = [_quoted(line) for line in lines[-MAX_LINES:]]
    count = f"last {MAX_LINES}" if len(lines) > MAX_LINES else f"{len(lines)}"
    return "\n".join([f"the command printed ({count} lines):", *shown])


def _quoted(line: str) -> str:
    return "  | " + re.sub("#(?=#)", "# ", cut(plain(line), MAX_WIDTH))
