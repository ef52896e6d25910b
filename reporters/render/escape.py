"""Make what came from outside inert, per channel: the one door through which a value enters text.

A phrase (`Said`) is a tuple of sentences and `Name`s. Nothing in it is trusted: `md` puts a name
in a code span and escapes a sentence; `plain` cleans both for a terminal. GitHub and GitLab look
for mentions, references and links in the text *after* Markdown has decoded entities and
backslashes, and leave only code alone; so a word that could become one of them, on either, is put
in a code span too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

MAX_NAME = 200
EMPTY = "(empty)"
_FINGERPRINT = 8


@dataclass(frozen=True, slots=True)
class Name:
    """A name from outside: a model, a column with its group, a rule id, a digest, a path."""

    text: str


Said = tuple[str | Name, ...]

_WHITESPACE = re.compile(r"\s+")
# Controls, formats (bidi, zero width) and lone surrogates: nobody can see them.
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})
# Letters and marks that draw nothing, so that their general category does not give them away; and
# the two code points that no XML may hold.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff")
# Found in raw text by whoever looks for our marker or counts our sections, code span or not.
_TAG = re.compile(r"<(?=!--|/?(?:details|summary)\b)", re.IGNORECASE)
_COMMENT_END = re.compile(r"(?<=-)(-!?)>")
_RISKY = re.compile(
    r"[@$]|://|www\.|#\d|:[\w+-]+:|\b(?:[A-Z][A-Z0-9]*|gh)-\d|\b[0-9a-f]{7,40}\b"
    # GitLab's own: merge requests, epics, milestones, labels, alerts, marks of a change, contents.
    r'|[!&%~][\w"]|\^alert|\*iteration:|\[\[|\[\w+:|\[-|\{\+|\[toc\b|^/\w',
    re.IGNORECASE,
)
_SPECIAL = re.compile(r"[\\`*~\[\]]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
# An interval is our own use of brackets and stays readable, unless what follows makes it a link.
_INTERVAL = r"\[(?:[-+−\d.,e ]+|(?:[\d.]+ % )?interval)(?<!-)\](?![^ .,;)])"
# A reason names columns and options as `this`; what stands between becomes a code span anew.
_TOKEN = re.compile(rf"(?P<interval>{_INTERVAL})|`(?P<name>[^`]+)`|[^ `]+|`| +")
_UNBROKEN = re.compile(rf"{_INTERVAL}|[≤≥] ")
_NO_BREAK = "\N{NO-BREAK SPACE}"
# What would begin a list, a heading or a rule at the start of a line.
_BLOCK_START = re.compile(r"^( *\d{0,9})((?<=\d)[.)](?= |$)|(?<!\d)[-+=#](?=[-+=# ]|$))")


def clean(value: str) -> str:
    """Return `value` on one line, without characters that nobody sees or that turn text round."""
    spaced = _WHITESPACE.sub(" ", value)
    if spaced.isascii() and spaced.isprintable():
        return spaced
    return "".join(
        c
        for c in spaced
        if c not in _BLANK and (c == " " or unicodedata.category(c) not in _UNSEEN)
    )


def cut(value: str, limit: int = MAX_NAME) -> str:
    """Return `value` in at most `limit` characters; what was cut off leaves a fingerprint."""
    if len(value) <= limit:
        return value
    return f"{value[: limit - _FINGERPRINT - 2]}…~{_fingerprint(value)}"


def name(value: str) -> str:
    """Return a name as people may see it on any channel: clean, bounded and never empty."""
    return clean(cut(value)).strip() or EMPTY


def code(value: str) -> str:
    """Return a name as a Markdown code span that nothing in the name can close."""
    shown = _defused(name(value))
    runs = [len(run) for run in re.findall(r"`+", shown)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


@lru_cache(maxsize=8192)
def text(sentence: str) -> str:
    """Return a sentence as Markdown text that shows the same characters and does nothing."""
    joined = _joined(_token(token) for token in _TOKEN.finditer(clean(sentence)))
    return _BLOCK_START.sub(r"\1\\\2", joined)


def md(value: Said | Name | str | int) -> str:
    """Return any value of a report as inert Markdown: the one filter of the templates.

    Never empty: a list item without text would turn the line above it into a heading.
    """
    if isinstance(value, int):
        return f"{value:,}"
    pieces = value if isinstance(value, tuple) else (value,)
    # Sentences that touch are escaped as one: half a link is harmless, two halves are not.
    runs = groupby(pieces, key=lambda piece: isinstance(piece, Name))
    written = _joined(
        _joined(code(plain(name)) for name in run) if named else text(plain(tuple(run)))
        for named, run in runs
    )
    return written if written.strip() else EMPTY


@lru_cache(maxsize=8192)
def cell(value: Said | Name | str | int) -> str:
    """Return `md` for a table: a cell holds every pipe, or the columns after it would shift.

    Numbers do not break over lines within an interval, or between a comparison and its limit.
    """
    kept = _UNBROKEN.sub(lambda match: match[0].replace(" ", _NO_BREAK), md(value))
    return kept.replace("|", "\\|")


def plain(value: Said | Name | str) -> str:
    """Return any value as clean text for a terminal: no control or escape sequence survives."""
    if isinstance(value, tuple):
        return "".join(plain(piece) for piece in value)
    return name(value.text) if isinstance(value, Name) else clean(value)


def slug(value: str) -> str:
    """Return `value` as lower-case letters, digits and dashes, unlike that of any other value."""
    bare = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:40]
    if bare and bare == value:
        return bare
    return f"{bare}-{_fingerprint(value)}".strip("-")


def _fingerprint(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_FINGERPRINT]


def _token(token: re.Match[str]) -> str:
    if token["name"]:
        return code(token["name"])
    word = token[0]
    if token["interval"]:
        return word
    if _RISKY.search(word):
        return code(word)
    escaped = word.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", escaped)


def _joined(parts: Iterable[str]) -> str:
    """Return the parts as one; two code spans that touched would open and close each other."""
    whole = ""
    for part in parts:
        whole += (" " if whole.endswith("`") and part.startswith("`") else "") + part
    return whole


def _defused(value: str) -> str:
    """Return `value` with a look-alike where it would open or close a section or a comment."""
    return _COMMENT_END.sub(r"\1›", _TAG.sub("‹", value))
