"""Which files an artifact consists of, and the one digest that stands for all their bytes.

Light on purpose: a deploy job that knows nothing of models asks for the digest, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gates.errors import GatesError, InputError, Refused
from gates.fields import bounded

MAX_FILES = 10_000
_CHUNK = 1 << 20
_MOST_DEEP = 50
_REAL = "Put the file itself there: what a link points at can be changed without a trace."


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of an artifact; `name` is its path from the artifact's folder, with slashes."""

    path: Path
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All files of an artifact, by name; `single` says that it is one file and no folder."""

    path: Path
    files: tuple[File, ...]
    single: bool

    @property
    def digest(self) -> str:
        """Return the digest of one file's bytes, as `sha256sum` prints it, or of the whole list."""
        if self.single:
            return self.files[0].sha256
        listed = [[file.name, file.size, file.sha256] for file in self.files]
        text = json.dumps(listed, ensure_ascii=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Return how many bytes there are in all."""
        return sum(file.size for file in self.files)


def digest_of(path: Path) -> str:
    """Return the digest of an artifact, a file or a folder.

    Raises InputError for what can not be read, Refused for links and for what is no plain file.
    """
    return manifest_of(path).digest


def manifest_of(path: Path, *, start: Path | None = None) -> Manifest:
    """Return the manifest of an artifact; from `start` down, no step to it may be a link either.

    Raises as `digest_of` does.
    """
    for step in _steps(path, start):
        if step.is_symlink():
            raise Refused("a link on the way to the artifact", where=str(step), hint=_REAL)
    try:
        single = not stat.S_ISDIR(path.lstat().st_mode)
        found = [(path, path.name)] if single else sorted(_below(path), key=lambda one: one[1])
    except OSError as error:
        raise _unreadable(path, error) from error
    if not found:
        raise InputError(
            "the artifact is a folder without a file in it",
            where=str(path),
            hint="Write the model before the gates run, or name the folder it is in.",
        )
    files = tuple(_entered(one, name) for one, name in found)
    return Manifest(path=path, files=files, single=single)


def opened(path: Path) -> BinaryIO:
    """Open a plain file of an artifact, and nothing that was put in its place."""
    # Neither a link nor a FIFO that would be waited for; Windows has no such flags.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, os.O_RDONLY | flags)
    except OSError as error:
        raise _unreadable(path, error) from error
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise _irregular(path)
    return file


def _steps(path: Path, start: Path | None) -> tuple[Path, ...]:
    """Return the folders between the start and the artifact, and the artifact itself."""
    if start is None or not path.is_relative_to(start):
        return (path,)
    between = [folder for folder in path.parents if start in folder.parents]
    return (*reversed(between), path)


def _below(folder: Path, depth: int = 0, prefix: str = "") -> Iterator[tuple[Path, str]]:
    """Yield every file in a folder, with its name from the top."""
    if depth > _MOST_DEEP:
        raise InputError(f"folders more than {_MOST_DEEP} deep", where=bounded(folder))
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= MAX_FILES:
                raise InputError(f"more than {MAX_FILES:,} files in it", where=bounded(folder))
            name = prefix + entry.name
            if entry.is_symlink():
                raise Refused("a link in the artifact", where=bounded(entry.path), hint=_REAL)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), depth + 1, name + "/")
            else:
                yield Path(entry.path), _plain(name)


def _plain(name: str) -> str:
    """Return a name that every system writes alike; Refused for half of a character."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            "a file's name is not UTF-8", where=bounded(name), hint="Give it another name."
        ) from error
    return name


def _entered(path: Path, name: str) -> File:
    digest, size = hashlib.sha256(), 0
    with opened(path) as file:
        try:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        except OSError as error:
            raise _unreadable(path, error) from error
    return File(path=path, name=name, size=size, sha256="sha256:" + digest.hexdigest())


def _unreadable(path: Path, error: OSError) -> GatesError:
    if path.is_symlink():
        return Refused("a link in the artifact", where=bounded(path), hint=_REAL)
    return InputError(
        f"cannot read the artifact: {error.strerror or error}",
        where=bounded(path),
        hint="`candidate.artifact` names the model's file or folder.",
    )


def _irregular(path: Path) -> Refused:
    return Refused(
        "neither a file nor a folder", where=bounded(path), hint="Take it out of the artifact."
    )
