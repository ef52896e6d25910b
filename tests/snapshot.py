"""Compare whole texts with the files under `tests/snapshots/`, as people see them.

`MODEL_GATES_UPDATE_SNAPSHOTS=1 pytest …` writes them anew; read the diff before committing it.
"""

import difflib
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def assert_snapshot(name: str, text: str) -> None:
    """Fail with a readable diff when `text` is not what the file holds."""
    path = FOLDER / name
    if os.environ.get("MODEL_GATES_UPDATE_SNAPSHOTS") == "1":
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    diff = difflib.unified_diff(
        expected.splitlines(), text.splitlines(), f"snapshots/{name}", "now", lineterm=""
    )
    assert text == expected, "\n".join(diff)
