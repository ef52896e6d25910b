"""PyTorch's archives: one pickle, and the bytes of tensors that it names by number."""

from __future__ import annotations

import re
from typing import Final

from gates.artifacts.budget import Budget, Stream
from gates.artifacts.dtypes import Global
from gates.artifacts.pickles import globals_of
from gates.artifacts.zips import Archive
from gates.errors import Refused

PICKLE: Final = "data.pkl"
_OTHERS = re.compile(
    r"data/[0-9]+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)


def globals_of_torch(archive: Archive, budget: Budget) -> frozenset[Global]:
    """Return every global that a saved object of PyTorch names.

    Raises Refused for an archive with anything but tensors beside it: TorchScript is a program.
    """
    tops = {name.partition("/")[0] for name in archive.members}
    below = {name.partition("/")[2] for name in archive.members}
    if len(tops) > 1 or PICKLE not in below:
        raise _refused("it has more than one folder at its top")
    if any(one != PICKLE and not _OTHERS.fullmatch(one) for one in below):
        raise _refused("it holds more than tensors, as a TorchScript program does")
    with archive.open(f"{tops.pop()}/{PICKLE}") as member:
        return globals_of(Stream(member), budget, torch=True)


def _refused(why: str) -> Refused:
    return Refused(
        f"an archive of PyTorch that is not accepted: {why}",
        hint="Save the `state_dict`, or export the model to safetensors or ONNX.",
    )
