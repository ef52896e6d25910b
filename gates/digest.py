"""Digests of files: what a run notes down of a file, and what is checked again later."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gates.errors import InputError

_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Return the digest of a file's bytes. Raises InputError when it can not be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(path, error) from error
    return "sha256:" + digest.hexdigest()


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot read the file: {error.strerror}", where=str(path))
