"""safetensors: a JSON header that says where each tensor is, and nothing but tensors behind it."""

from __future__ import annotations

import math
from typing import Any, Final

from gates.artifacts.budget import MIB, Cut, Stream
from gates.artifacts.json_text import parsed
from gates.artifacts.opcodes import Unproven
from gates.errors import Refused

LARGEST_HEADER: Final = 16 * MIB
_METADATA = "__metadata__"
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


def looks_like(head: bytes) -> bool:
    """Return whether a file begins as these do: a length, and a brace."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LARGEST_HEADER


def hold(stream: Stream) -> None:
    """Hold a file to the format. Raises Refused for tensors that overlap, or leave a gap."""
    try:
        _hold(stream)
    except Cut:
        raise _refused("it ends in the middle") from None
    except Unproven as why:
        raise _refused(str(why)) from None


def _hold(stream: Stream) -> None:
    header = parsed(stream.read(int.from_bytes(stream.read(8), "little")))
    end = 0
    for start, stop in sorted(_place(one) for name, one in header.items() if name != _METADATA):
        if start != end:
            raise Unproven("tensors overlap, or have bytes between them")
        end = stop
    if not _is_text(header.get(_METADATA, {})):
        raise Unproven("its metadata is not text")
    stream.skip(end)
    if not stream.ended():
        raise Unproven("there are bytes behind its tensors")


def _place(tensor: Any) -> tuple[int, int]:
    """Return where a tensor begins and ends; it is as long as its shape says."""
    match tensor:
        case {
            "dtype": str(dtype),
            "shape": [*shape],
            "data_offsets": [int(start), int(stop)],
            **rest,
        } if not rest and dtype in _BITS and all(type(n) is int and n >= 0 for n in shape):
            if 0 <= start <= stop and (stop - start) * 8 == math.prod(shape) * _BITS[dtype]:
                return start, stop
    raise Unproven("a tensor whose place, type and shape do not agree")


def _is_text(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(isinstance(one, str) for one in metadata.values())


def _refused(why: str) -> Refused:
    return Refused(
        f"a safetensors file that can not be inspected: {why}",
        hint="Write it again with `safetensors.save_file`.",
    )
