"""Read a report.json that somebody else may have written: one plain file, of bounded size."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gates.errors import InputError

if TYPE_CHECKING:
    from gates.report import Report

NAME = "report.json"
# Neither a link is followed nor a pipe waited for, where the system knows how not to.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def read(path: Path) -> Report:
    """Return the report in a file, or in a folder that holds nothing else.

    Raises InputError for a link, a pipe, a device, a folder with more in it, and for what is not
    there, is too large or is no report of our schema.
    """
    from pydantic import ValidationError

    from gates.report import MAX_BYTES, load

    if path.is_dir() and not path.is_symlink():
        names = [one.name for one in islice(path.iterdir(), 2)]
        if names != [NAME]:
            raise InputError(
                f"this folder holds something else than one `{NAME}`",
                where=str(path),
                hint=f"Hand on the report alone, as `{NAME}`.",
            )
        path /= NAME
    raw = _bytes(path, MAX_BYTES)
    if len(raw) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES:,} bytes: not a report", where=str(path))
    try:
        return load(raw)
    except ValidationError as error:
        raise InputError(
            f"not a report of schema 1: {error.error_count()} problem(s)",
            where=str(path),
            hint="`model-gates run --out DIR` writes DIR/report.json.",
        ) from error


def _bytes(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file, one more than `most` if it has more."""
    try:
        plain = not path.is_symlink() and stat.S_ISREG(path.lstat().st_mode)
        if plain:
            with os.fdopen(os.open(path, _FLAGS), "rb") as file:
                # Asked again of what was opened, which may be another file by now.
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return file.read(most + 1)
    except OSError as error:
        raise InputError(f"cannot read the report: {error.strerror}", where=str(path)) from error
    raise InputError(
        "this is a link, a pipe or a device, and no plain file",
        where=str(path),
        hint="Hand on the report itself.",
    )
