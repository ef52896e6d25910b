"""The commit a folder stands at, as git says; a folder outside of any repository has none."""

from __future__ import annotations

from pathlib import Path

from gates.errors import EnvironmentFault
from gates.process import run

_PATIENCE = 10.0


def head(folder: Path) -> str | None:
    """Return the full sha of the checked-out commit, or None where git knows of none."""
    try:
        finished = run(["git", "rev-parse", "HEAD"], cwd=folder, timeout=_PATIENCE)
    except EnvironmentFault:
        # No git, or no such folder: what is judged does not depend on it.
        return None
    return finished.output.strip() if finished.returncode == 0 else None
