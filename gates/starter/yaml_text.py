"""YAML that reads back as what was meant, whatever a column is called."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

from gates.fields import bounded
from gates.yaml_source import PLAIN

_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*", re.ASCII)


def flow(value: object) -> str:
    """Write a value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def scalar(value: object) -> str:
    """Write text, a number or a truth value so that it reads back as just that."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else scalar(float(value))
    text = str(value)
    special = any(re.fullmatch(kind.pattern, text) for kind in PLAIN)
    return text if _PLAIN_TEXT.fullmatch(text) and not special else f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """Escape what could end a quoted text or a line, or hide in it."""
    return "".join(
        f"\\{c}" if c in '"\\' else c if c.isprintable() else f"\\U{ord(c):08x}" for c in text
    )


def shown(column: str) -> str:
    """Return a name for a comment."""
    return f"`{bounded(escaped(column), 60)}`"


def is_key(name: str) -> bool:
    """Return whether a name can be a key: short, and seen for what it is."""
    return 0 < len(name) <= 100 and name.isprintable()


def entry(depth: int, text: str, why: str) -> list[str]:
    """Return a line with its reason behind it, or above it where that would be too long."""
    beside = f"{'  ' * depth + text:<36}  # {why}"
    return [beside] if len(beside) <= 100 else [*remark(depth, why), "  " * depth + text]


def remark(depth: int, text: str) -> list[str]:
    """Return a comment, wrapped."""
    lead = "  " * depth + "# "
    return textwrap.wrap(
        text, 100, initial_indent=lead, subsequent_indent=lead, break_long_words=False
    )
