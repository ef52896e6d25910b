"""Read the registered baselines of a commit: every record, and the predictions that are needed."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from gates.baselines.files import PREDICTIONS, SKETCH
from gates.baselines.local import Store
from gates.errors import EnvironmentFault, GatesError
from gates.git import Entry, Repository

MAX_RECORDS = 256 * 1024 * 1024
MAX_KEPT = 8 * 1024 * 1024 * 1024
_KEPT = frozenset({PREDICTIONS, SKETCH})
_POINTER = re.compile(rb"version \S+/spec/v1\noid sha256:([0-9a-f]{64})\nsize \d+\n")
_MAX_POINTER = 1024


def take(repo: Repository, entries: Sequence[Entry], into: Path) -> None:
    """Read the records and aliases of a store, and leave the large files where they are."""
    small = [entry for entry in entries if entry.path.name not in _KEPT]
    _require(sum(entry.size for entry in small), MAX_RECORDS, repo)
    for entry in small:
        repo.unpack(entry, into / entry.path)


def take_kept(
    repo: Repository, entries: Sequence[Entry], into: Path, store: Store, reference: str
) -> None:
    """Read what is kept of one version; where there is none, whoever asks for it is told."""
    try:
        folder = store.folder_of(reference)
    except GatesError:
        return
    for entry in entries:
        path = into / entry.path
        if path.parent == folder and entry.path.name in _KEPT and not path.exists():
            _require(entry.size, MAX_KEPT, repo)
            repo.unpack(entry, path)
            _follow(path, repo.top / entry.path)


def _follow(path: Path, beside: Path) -> None:
    """Put a large file in the place of a pointer to it (Git LFS), if the work tree has that one.

    Whose file it is does not matter: it is the one whose digest the base commit states.
    """
    if path.stat().st_size > _MAX_POINTER or beside.is_symlink() or not beside.is_file():
        return
    pointer = _POINTER.fullmatch(path.read_bytes())
    if pointer is None:
        return
    copy = path.with_name(f".{path.name}.copy")
    shutil.copyfile(beside, copy)
    with copy.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found.encode() == pointer[1]:
        copy.replace(path)
    else:
        copy.unlink()


def _require(size: int, most: int, repo: Repository) -> None:
    if size > most:
        raise EnvironmentFault(
            f"the baselines of the base commit have {size:,} bytes, more than {most:,}",
            where=str(repo.top),
            hint="Keep baselines where `baseline.store` can name them outside of the repository.",
        )
