"""Zip archives, read only where every reader agrees on what is in them.

Readers differ in which of two directories, names, flags or sizes they believe, and some go on after
an error. So an archive with any such doubt is refused: it can not be said what was judged.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from typing import IO, Final

from gates.artifacts.budget import MIB, Budget
from gates.errors import Refused
from gates.fields import bounded

MAGIC: Final = b"PK\x03\x04"
_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_END_MAGIC, _LARGE_END_MAGIC = b"PK\x05\x06", b"PK\x06\x06"
# The end of a large archive, and where it is: PyTorch writes both, always.
_LARGE_END = 56 + 20
_CHUNK = MIB
# Names in UTF-8, sizes behind the data, and how hard it was compressed: nothing else.
_FLAGS = 0x0800 | 0x0008 | 0x0006
_SIZES_BEHIND = 0x0008
_DESCRIPTORS = (12, 16, 20, 24)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_NAME = 0x7075


class Archive:
    """The members of an archive, each of them read once to its end and found whole."""

    def __init__(self, file: IO[bytes], budget: Budget) -> None:
        self._file = file
        self._budget = budget
        try:
            self._zip = zipfile.ZipFile(file)
            self.members = {one.filename: one for one in self._zip.infolist()}
            for _ in self._zip.infolist():
                budget.member()
            self._layout()
            for name in self.members:
                self._drain(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, struct.error) as error:
            raise refused("it is damaged") from error
        except (NotImplementedError, RuntimeError, ValueError, UnicodeError) as error:
            raise refused("it is encrypted, or compressed in a way that is not read") from error

    def open(self, name: str) -> IO[bytes]:
        """Open a member; its bytes were counted and found whole."""
        return self._zip.open(name)

    def whole(self, name: str) -> bytes:
        """Return a member at once. Raises InputError for a large one."""
        self._budget.whole(self.members[name].file_size)
        with self.open(name) as member:
            return member.read()

    def _layout(self) -> None:
        """Hold that the members follow each other without gap, and the directory follows them."""
        infos = sorted(self._zip.infolist(), key=lambda info: info.header_offset)
        if not infos or len(self.members) < len(infos):
            raise refused("it is empty, or has two members of one name")
        end = 0
        gaps: tuple[int, ...] = (0,)
        for info in infos:
            if info.header_offset - end not in gaps:
                raise refused("members overlap, or have bytes between them")
            end = self._data_end(info)
            gaps = (0, *_DESCRIPTORS) if info.flag_bits & _SIZES_BEHIND else (0,)
        if self._zip.start_dir - end not in gaps:
            raise refused("there are bytes before its directory")
        self._end(len(infos))

    def _data_end(self, info: zipfile.ZipInfo) -> int:
        """Return where a member's bytes end, once both its headers say the same."""
        name = info.orig_filename
        parts = name.split("/")
        if "\0" in name or "\\" in name or name.startswith("/") or ".." in parts or ":" in name:
            raise refused("a member's name leads out of it")
        if _has_extra(info.extra, _OTHER_NAME):
            raise refused("a member has two names")
        self._file.seek(info.header_offset)
        header = _LOCAL.unpack(self._file.read(_LOCAL.size))
        magic, flags, method = header[0], int(header[2]), header[3]
        length, extra = int(header[9]), int(header[10])
        local = self._file.read(length)
        if magic != MAGIC or flags != info.flag_bits or method != info.compress_type:
            raise refused("a member's two headers differ")
        if flags & ~_FLAGS or method not in _METHODS:
            raise refused("a member is encrypted, or flagged as nothing that is read")
        if local != name.encode("utf-8" if flags & 0x0800 else "cp437"):
            raise refused("a member's two headers differ")
        if not flags & _SIZES_BEHIND and not _same_sizes(header, info):
            raise refused("a member's two headers differ")
        return info.header_offset + _LOCAL.size + length + extra + info.compress_size

    def _end(self, members: int) -> None:
        """Hold that the file ends with the directory's end, and that it says what was found."""
        self._file.seek(-_END.size, 2)
        position = self._file.tell()
        magic, _, _, _, count, size, offset, comment = _END.unpack(self._file.read(_END.size))
        if magic != _END_MAGIC or comment:
            raise refused("there are bytes behind its end")
        if count not in (members, 0xFFFF) or offset not in (self._zip.start_dir, 0xFFFFFFFF):
            raise refused("its end says something else than its directory")
        if 0xFFFFFFFF in (size, offset):
            return
        self._file.seek(offset + size)
        large = self._file.read(4) == _LARGE_END_MAGIC
        if position - (offset + size) != (_LARGE_END if large else 0):
            raise refused("its directory does not end where it says")

    def _drain(self, name: str) -> None:
        with self.open(name) as member:
            while data := member.read(_CHUNK):
                self._budget.unpack(len(data))


def _same_sizes(header: tuple[int, ...], info: zipfile.ZipInfo) -> bool:
    """Return whether the local header has the directory's sizes, or says they are elsewhere."""
    crc, packed, size = header[6:9]
    elsewhere = (0xFFFFFFFF, 0xFFFFFFFF)
    return crc == info.CRC and (packed, size) in ((info.compress_size, info.file_size), elsewhere)


def _has_extra(extra: bytes, wanted: int) -> bool:
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == wanted:
            return True
        extra = extra[4 + length :]
    return False


def refused(why: str) -> Refused:
    """Return the error for an archive that can not be inspected."""
    return Refused(
        f"an archive that can not be inspected: {bounded(why)}",
        hint="Write it again with the library that made it.",
    )
