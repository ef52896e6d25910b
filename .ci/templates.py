"""Copy the examples that `init --github` writes into the package, or --check the copies."""

from __future__ import annotations

import sys
from pathlib import Path

from gates.protection.workflows import FILES, TEMPLATES

EXAMPLES = Path(__file__).parent.parent / "workflows-examples"


def main() -> int:
    """Copy, or check, and return the exit code."""
    stale = False
    for name in FILES:
        text, copy = (EXAMPLES / name).read_text("utf-8"), TEMPLATES / name
        if "--check" not in sys.argv:
            copy.write_text(text, "utf-8")
        elif not copy.is_file() or copy.read_text("utf-8") != text:
            sys.stderr.write(f"{copy} is not the example any more: run `make docs`.\n")
            stale = True
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
