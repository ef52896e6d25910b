"""What is left of a crash for a bug report: where it was, never what the data held."""

from __future__ import annotations

import traceback
from pathlib import Path

from gates import __version__


def write_debug(path: Path | None, error: BaseException) -> None:
    """Write the frames of a crash to a file; without the messages, which may quote a row."""
    if path is None:
        return
    lines = [f"model-gates {__version__}"]
    seen: BaseException | None = error
    while seen is not None:
        lines.append(type(seen).__name__)
        lines += [
            f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}"
            for frame in traceback.extract_tb(seen.__traceback__)
        ]
        seen = seen.__cause__ or seen.__context__
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
