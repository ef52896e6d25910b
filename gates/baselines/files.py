"""The files behind a store: where they stand, how they are read, and how they reach the disk.

What is read back is verified before it is believed; what is written is whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import ValidationError

from gates.errors import EnvironmentFault, InputError, Refused
from gates.record import Content, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD, ALIASES, LEDGER = "record.json", "aliases.json", "ledger.json"
PREDICTIONS, SKETCH = "predictions.parquet", "sketch.parquet"
STAGING, HOLDER = ".staging-", ".lock-holder"

_PLAIN = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
_FOLDER = re.compile(r"v([0-9]{4}|[1-9][0-9]{4,8})-([0-9a-f]{12})")

_RESTORE = (
    "Restore it from version control or a backup (a Git LFS pointer has to be pulled first); "
    "`model-gates baseline verify` lists all that is wrong."
)


@contextmanager
def disk(where: Path | None = None) -> Iterator[None]:
    """Turn what the operating system refuses into an EnvironmentFault with a place."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"the baseline store can not be used: {error.strerror or error}",
            where=str(error.filename or where or "baseline store"),
            hint="Check that the folder exists, can be written to, and has free space.",
        ) from error


def slug(model: str) -> str:
    """Return a folder name for a model that is safe on every file system and unlike any other's.

    A plain lower-case name stays; any other gets `--` and a hash, which no plain name can hold.
    """
    if _PLAIN.fullmatch(model) and len(model) <= 64 and not _RESERVED.fullmatch(model):
        return model
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower())[:40].strip("-") or "model"
    return f"{readable}--{hashlib.sha256(model.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def read_record(folder: Path, model: str) -> Record:
    """Return the record in a version's folder once its content and its place are verified."""
    path = folder / RECORD
    data = parse_json(path)
    match data:
        case {"content": {"schema_version": int(schema)}} if schema > 1:
            raise newer(path)
        case {"content": content, "digest": str(digest)} if digest == canonical(content):
            pass
        case _:
            raise damaged(path, f"{RECORD} does not match its own digest")
    try:
        record = Record.model_validate(data)
    except ValidationError as error:
        raise damaged(path, f"{RECORD} is not a baseline's record") from error
    place = (f"v{record.version:04d}-{record.digest[7:19]}", record.content.model)
    if place != (folder.name, model):
        raise damaged(path, f"{RECORD} belongs to another version or model")
    return record


def kept_file(content: Content) -> str:
    """Return the name of the file beside a record: the predictions, or the sketch of them."""
    return PREDICTIONS if content.sketch is None else SKETCH


def canonical(content: object) -> str:
    """Return the digest of a content as written: a field added later changes no old digest."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def seal(path: Path) -> str:
    """Return the sha256 of a text file, blind to the line ends that Git on Windows puts in."""
    return "sha256:" + hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def parse_json(path: Path) -> Any:
    """Return the JSON in a file; Refused when it is none."""
    try:
        return json.loads(regular_file(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"{path.name} is not JSON") from error


def regular_file(path: Path) -> Path:
    """Return the path of a plain file; links, pipes and devices lead out of the store, or hang."""
    if path.is_symlink() or not path.is_file():
        raise damaged(path, f"{path.name} is missing or not a regular file")
    return path


def write_through(path: Path, source: BinaryIO) -> str:
    """Write a new file through to the disk and return the sha256 of what was written."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := source.read(1024 * 1024):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return "sha256:" + digest.hexdigest()


def sync(folder: Path) -> None:
    """Make a rename in a folder outlast a power cut, where the system can sync a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove a writer's passing files, a killed one's too; the caller holds the lock."""
    for path in listed(folder):
        if path.name.startswith(STAGING):
            shutil.rmtree(path)
        elif path.name.startswith((HOLDER, f".{ALIASES}.", f".{LEDGER}.")):
            path.unlink()


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing when there is no folder."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def version_of(path: Path) -> int | None:
    """Return the number of a version's folder; None for anything else, a link to one included."""
    match = _FOLDER.fullmatch(path.name)
    return int(match[1]) if match and path.is_dir() and not path.is_symlink() else None


def as_json(data: object) -> bytes:
    """Return readable JSON whose bytes depend on nothing but the data."""
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def damaged(path: Path, message: str) -> Refused:
    """Return the error for what is not as it was registered."""
    return Refused(message, where=str(path), hint=_RESTORE)


def newer(path: Path) -> InputError:
    """Return the error for a file of a later version of Model Gates."""
    message = f"{path.name} was written by a newer version of Model Gates"
    return InputError(message, where=str(path), hint="Upgrade Model Gates.")
