"""What a file is by its content, and every global it names. A file's name proves nothing.

A file is first read as a pickle, whatever else it may be: the loader might do so, too.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import IO

from gates.artifacts import onnx, packed, safetensors, texts, zips
from gates.artifacts.arrays import MAGIC as ARRAY
from gates.artifacts.arrays import globals_of_array
from gates.artifacts.budget import Budget, Stream
from gates.artifacts.dtypes import Global
from gates.artifacts.formats import Format
from gates.artifacts.machine import WRAPPER
from gates.artifacts.pickles import globals_of, is_pickle
from gates.artifacts.skops import SCHEMA, globals_of_arrays, globals_of_skops
from gates.artifacts.torch_zip import PICKLE, globals_of_torch
from gates.artifacts.zips import Archive
from gates.errors import Refused

_HDF5 = b"\x89HDF\r\n\x1a\n"
_OLD_JOBLIB = b"ZF"
_HEAD = 16
_ANOTHER = "Export the model to a format without code: skops, safetensors, ONNX."


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds: its format, None for nothing known; the globals, the files it names."""

    format: Format | None
    named: frozenset[Global] = frozenset()
    beside: frozenset[str] = frozenset()


def content_of(file: IO[bytes], name: str, budget: Budget) -> Content:
    """Return what a file holds.

    Raises Refused for what can not be inspected, InputError for what is too large to be.
    """
    size = file.seek(0, 2)
    head = _at(file, 0)
    if is_pickle(_stream(file), budget):
        return _pickled(globals_of(_stream(file), budget), Format.PICKLE)
    if head.startswith(_OLD_JOBLIB):
        raise Refused("a file of joblib before 0.10", hint="Dump it again with a newer joblib.")
    if head.startswith((zips.MAGIC, b"PK\x05\x06")):
        return _archived(Archive(file, budget), budget)
    _hold_nothing_hidden(file, size)
    if head.startswith(ARRAY):
        return Content(format=Format.NUMPY, named=globals_of_array(_stream(file), budget))
    inner = packed.unpacked(file, head, budget)
    if inner is not None:
        file.seek(0)
        return _pickled(globals_of(Stream(inner), budget), Format.JOBLIB)
    if safetensors.looks_like(head):
        safetensors.hold(_stream(file))
        return Content(format=Format.SAFETENSORS)
    return _text(file, name, size, budget) or _operators(file, size, budget)


def _stream(file: IO[bytes]) -> Stream:
    file.seek(0)
    return Stream(file)


def _at(file: IO[bytes], offset: int) -> bytes:
    file.seek(offset)
    return file.read(_HEAD)


def _pickled(named: frozenset[Global], plain: Format) -> Content:
    return Content(format=Format.JOBLIB if WRAPPER in named else plain, named=named)


def _hold_nothing_hidden(file: IO[bytes], size: int) -> None:
    """Hold that there is no second file in it that another reader would find.

    An archive is found from its end, and HDF5 begins at a power of two.
    """
    offset = 0
    while offset < size:
        if _at(file, offset).startswith(_HDF5):
            raise Refused("HDF5, in which a layer of Keras can be code", hint=_ANOTHER)
        offset = offset * 2 or 512
    file.seek(0)
    if zipfile.is_zipfile(file):
        raise Refused("an archive that is appended to something else", hint=_ANOTHER)


def _archived(archive: Archive, budget: Budget) -> Content:
    """Return what an archive holds, by the members that the formats are known by."""
    names = tuple(archive.members)
    if SCHEMA in names:
        return Content(format=Format.SKOPS, named=globals_of_skops(archive, budget))
    if any(name.rpartition("/")[2] == PICKLE for name in names):
        return Content(format=Format.TORCH, named=globals_of_torch(archive, budget))
    if all(name.endswith(".npy") for name in names):
        return Content(format=Format.NUMPY, named=globals_of_arrays(archive, budget))
    if "config.json" in names:
        raise Refused("an archive of Keras, in which a layer can be code", hint=_ANOTHER)
    raise zips.refused("it is of no kind that is known")


def _text(file: IO[bytes], name: str, size: int, budget: Budget) -> Content | None:
    file.seek(0)
    if not texts.is_text(file):
        return None
    texts.hold_no_source(name, _at(file, 0))
    file.seek(0)
    json = texts.is_json(file, size, budget)
    return Content(format=Format.JSON if json else Format.TEXT)


def _operators(file: IO[bytes], size: int, budget: Budget) -> Content:
    found = onnx.walked(_stream(file), size, budget)
    if found is None:
        return Content(format=None)
    return Content(format=Format.ONNX, named=found.named, beside=frozenset(found.locations))
