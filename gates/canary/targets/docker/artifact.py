"""The digest of the model's own files in a container, without running it or writing a file.

The engine sends them as a tar file, which somebody else wrote: it is read as a stream, nothing is
unpacked, and what is neither a file nor a folder is refused.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final

from gates.artifacts.manifest import MAX_FILES, File, Manifest
from gates.errors import InputError, Refused
from gates.fields import bounded

MOST_BYTES: Final = 64 << 30
_CHUNK: Final = 1 << 20


def digest(chunks: Iterable[bytes], path: str, *, most: int = MOST_BYTES) -> str:
    """Return what `gates.artifacts.manifest.digest_of` would say of the path that was sent.

    Raises InputError for what is too large or cut off, Refused for links and special files.
    """
    stream = io.BufferedReader(_Chunks(chunks, most), _CHUNK)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            single, files = _files(archive, path)
    except tarfile.TarError as error:
        raise InputError("the engine sent no tar file that can be read", where=path) from error
    if not files:
        raise InputError("the artifact is a folder without a file in it", where=path)
    listed = tuple(sorted(files, key=lambda file: file.name))
    return Manifest(path=Path(path), files=listed, single=single).digest


def _files(archive: tarfile.TarFile, path: str) -> tuple[bool, list[File]]:
    """Return whether it is a single file, and all files by their names from the top."""
    files: list[File] = []
    single, top = False, ""
    for number, member in enumerate(archive):
        if number == 0:
            single, top = member.isreg(), member.name.rstrip("/")
        if member.isdir():
            continue
        if not member.isreg():
            raise Refused(
                "a link or a special file in the artifact",
                where=bounded(f"{path}: {member.name}"),
                hint="Put the file itself into the image.",
            )
        if len(files) >= MAX_FILES:
            raise InputError(f"more than {MAX_FILES:,} files in it", where=path)
        name = posixpath.basename(top) if single else posixpath.relpath(member.name, top)
        content = archive.extractfile(member)
        if content is not None:
            files.append(_entered(content, name, member.size))
    return single, files


def _entered(content: IO[bytes], name: str, size: int) -> File:
    hashed = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        hashed.update(chunk)
    return File(path=Path(name), name=name, size=size, sha256="sha256:" + hashed.hexdigest())


class _Chunks(io.RawIOBase):
    """Bytes that come in pieces, as a file; never more than `most` of them."""

    def __init__(self, chunks: Iterable[bytes], most: int) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = memoryview(b"")
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left -= len(chunk)
            if self._left < 0:
                raise InputError("the artifact has more bytes than are read")
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
