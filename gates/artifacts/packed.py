"""Compressed streams as joblib writes them, unpacked piece by piece within a budget."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, Any, Final

from gates.artifacts.budget import MIB, Budget, Cut
from gates.errors import Refused

_READ = 64 * 1024


def _gzip() -> Any:
    return zlib.decompressobj(31)


def _xz() -> Any:
    return lzma.LZMADecompressor(memlimit=256 * MIB)


# By the first bytes. LZ4 is not among them: nothing in Python's own library reads it.
PACKERS: Final[dict[bytes, Callable[[], Any]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": _xz,
    b"]\x00\x00": _xz,
    b"x\x01": zlib.decompressobj,
    b"x^": zlib.decompressobj,
    b"x\x9c": zlib.decompressobj,
    b"x\xda": zlib.decompressobj,
}


def unpacked(file: IO[bytes], head: bytes, budget: Budget) -> io.BufferedReader[Any] | None:
    """Return what is in a compressed file; None for one that is not compressed."""
    for magic, packer in PACKERS.items():
        if head.startswith(magic):
            return io.BufferedReader(_Unpacked(file, packer(), budget), _READ)
    return None


class _Unpacked(io.RawIOBase):
    """The bytes of one compressed stream, which is the whole of its file."""

    def __init__(self, file: IO[bytes], decoder: Any, budget: Budget) -> None:
        self._file = file
        self._decoder = decoder
        self._budget = budget
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            if self._decoder.eof:
                self._alone()
                return 0
            data = self._piece(len(buffer))
        self._budget.unpack(len(data))
        buffer[: len(data)] = data
        return len(data)

    def _piece(self, most: int) -> bytes:
        raw = self._rest
        # zlib hands back what it had no room for; the others keep it.
        if not raw and getattr(self._decoder, "needs_input", True):
            raw = self._file.read(_READ)
            if not raw:
                raise Cut
        try:
            data: bytes = self._decoder.decompress(raw, most)
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            raise _refused("a compressed file that can not be unpacked") from None
        self._rest = getattr(self._decoder, "unconsumed_tail", b"")
        return data

    def _alone(self) -> None:
        """Hold that nothing is behind the stream, which some would read on with and some not."""
        if self._decoder.unused_data or self._rest or self._file.read(1):
            raise _refused("a compressed file with more behind its end")


def _refused(why: str) -> Refused:
    return Refused(why, hint="Save the model again, with `compress=3` or uncompressed.")
