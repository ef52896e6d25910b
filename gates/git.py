"""The commit a folder stands at, and what changed up to it, as git says."""

from __future__ import annotations

import posixpath
from pathlib import Path

from gates.errors import EnvironmentFault
from gates.process import Finished, run
from gates.report import bounded

_PATIENCE = 10.0
_DIFF_PATIENCE = 60.0
# What git's own configuration could add: a program to compare with, a file left out.
_DIFF = (
    *("git", "-c", "core.fsmonitor=false", "diff", "--name-only", "-z", "--merge-base"),
    *("--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none"),
)
_CUT = "[the first "  # how `gates.process` begins an output that is not whole


def head(folder: Path) -> str | None:
    """Return the full sha of the checked-out commit, or None where git knows of none."""
    try:
        finished = run(["git", "rev-parse", "HEAD"], cwd=folder, timeout=_PATIENCE)
    except EnvironmentFault:
        # No git, or no such folder: what is judged does not depend on it.
        return None
    return finished.output.strip() if finished.returncode == 0 else None


def changed_since(folder: Path, revision: str) -> tuple[str, tuple[str, ...] | None]:
    """Return the full sha of a revision, and the files that changed since history parted from it.

    The files are relative to `folder`, with slashes, those outside of it included, and what is
    changed and not committed too; None when they are too many to be told. Raises EnvironmentFault
    where git cannot tell.
    """
    words = ("git", "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    sha = _lines(run(words, cwd=folder, timeout=_PATIENCE), revision)[0]
    found = run(("git", "rev-parse", "--show-prefix"), cwd=folder, timeout=_PATIENCE)
    prefix = _lines(found, revision)[0]
    top = posixpath.relpath(".", prefix) if prefix else "."
    argv = (*_DIFF, sha)
    finished = run(argv, cwd=folder, timeout=_DIFF_PATIENCE)
    if finished.returncode != 0:
        raise _unknown(finished, revision)
    if finished.output.startswith(_CUT):
        return sha, None
    names = (name for name in finished.output.split("\0") if name)
    return sha, tuple(_relative(name, prefix, top) for name in names)


def _relative(name: str, prefix: str, top: str) -> str:
    """Return a path below the top folder as seen from a folder below it."""
    if not prefix:
        return name
    return name[len(prefix) :] if name.startswith(prefix) else f"{top}/{name}"


def _lines(finished: Finished, revision: str) -> list[str]:
    if finished.returncode != 0:
        raise _unknown(finished, revision)
    return finished.output.splitlines() or [""]


def _unknown(finished: Finished, revision: str) -> EnvironmentFault:
    said = " ".join(finished.output.split()[-40:])
    return EnvironmentFault(
        f"git cannot tell what changed since `{bounded(revision)}`: {bounded(said)}",
        where="--changed-since",
        hint="Check out the whole history: `actions/checkout` with `fetch-depth: 0`.",
    )
