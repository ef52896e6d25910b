"""What reading a model file may cost at most, and a stream that counts what it gives.

A small file can ask for gigabytes. What costs more than this is too large to judge (exit 3); it is
not called hostile, and never clean.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import IO, Any, cast

from gates.errors import InputError

MIB = 1 << 20
_CHUNK = MIB
_LINE = 64 * 1024


class Cut(Exception):
    """The bytes end before what they announce."""


@dataclass(kw_only=True)
class Budget:
    """What is left for one artifact; whoever reads takes from it."""

    opcodes: int = 5_000_000
    values: int = 1_000_000
    unpacked: int = 4096 * MIB
    members: int = 20_000
    text: int = 128 * MIB

    def step(self, count: int = 1) -> None:
        """Take opcodes, fields or nodes, whatever a format is made of."""
        self.opcodes -= count
        if self.opcodes < 0:
            raise _beyond("more steps than are read")

    def unpack(self, count: int) -> None:
        """Take bytes that came out of a compressed stream."""
        self.unpacked -= count
        if self.unpacked < 0:
            raise _beyond("it unpacks to more bytes than are read")

    def member(self) -> None:
        """Take a member of an archive."""
        self.members -= 1
        if self.members < 0:
            raise _beyond("more members than are read")

    def hold(self, count: int) -> None:
        """Say how many values are held at once."""
        if count > self.values:
            raise _beyond("more values at once than are held")

    def whole(self, count: int) -> None:
        """Say how many bytes of text are read at once."""
        if count > self.text:
            raise _beyond(f"more than {self.text // MIB} MiB of text to read at once")


def _beyond(what: str) -> InputError:
    return InputError(
        f"too large to judge: {what}",
        hint="Save the model in a format without code: skops, safetensors, ONNX.",
    )


class Stream:
    """Bytes to be read once, in order; raises Cut where they end too early."""

    def __init__(self, file: IO[bytes]) -> None:
        buffered = isinstance(file, io.BufferedReader)
        self._file: io.BufferedReader[Any] = (
            cast("io.BufferedReader[Any]", file)
            if buffered
            else io.BufferedReader(cast("io.RawIOBase", file), _CHUNK)
        )
        self.position = 0

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes; for few of them."""
        data = self._file.read(count)
        self.position += len(data)
        if len(data) < count:
            raise Cut
        return data

    def line(self) -> bytes:
        """Return the bytes up to a newline, and leave the newline out."""
        data = self._file.readline(_LINE)
        self.position += len(data)
        if not data.endswith(b"\n"):
            raise Cut
        return data[:-1]

    def skip(self, count: int) -> None:
        """Pass over bytes, however many they are said to be."""
        while count > 0:
            data = self._file.read(min(count, _CHUNK))
            if not data:
                raise Cut
            self.position += len(data)
            count -= len(data)

    def ended(self) -> bool:
        """Return whether all is read."""
        return not self._file.peek(1)
