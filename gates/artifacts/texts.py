"""Text and JSON: what carries no code, but for source files and the configurations of Keras."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath
from typing import IO, Any

from gates.artifacts.budget import MIB, Budget
from gates.artifacts.json_text import parsed
from gates.artifacts.opcodes import Unproven
from gates.errors import Refused

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_SOURCE = {".bat", ".cmd", ".jl", ".js", ".ps1", ".pth", ".py", ".pyw", ".r", ".sh"}


def is_text(file: IO[bytes]) -> bool:
    """Return whether a file is UTF-8 and has no control character but white space."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while data := file.read(MIB):
            if _CONTROL.search(data):
                return False
            decoder.decode(data)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def is_json(file: IO[bytes], size: int, budget: Budget) -> bool:
    """Return whether a text is JSON. Raises Refused for JSON of Keras, which may hold code."""
    if file.read(MIB).lstrip()[:1] not in (b"{", b"["):
        return False
    budget.whole(size)
    file.seek(0)
    try:
        data = parsed(file.read())
    except Unproven:
        return False
    if _is_keras(data, budget):
        raise Refused(
            "a configuration of Keras, in which a layer can be code",
            hint="Export the model to ONNX.",
        )
    return True


def hold_no_source(name: str, head: bytes) -> None:
    """Hold that a text is no program. Raises Refused for one that is, by its name or its head."""
    if PurePosixPath(name).suffix.lower() in _SOURCE or head.startswith(b"#!"):
        raise Refused(
            "source code: what loads the model may run it",
            hint="Leave code out of the artifact; install it where the model is loaded.",
        )


def _is_keras(data: Any, budget: Budget) -> bool:
    waiting = [data]
    while waiting:
        budget.step()
        node = waiting.pop()
        if isinstance(node, dict):
            if {"class_name", "config"} <= node.keys():
                return True
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return False
