"""Read a strict subset of YAML and remember where every key and every value stands.

A policy file must read the same to a person, to this program, and to any other. So what YAML
readers take differently, or silently, is refused: duplicate keys, anchors, tags, `no` for false,
characters that hide a line from a reviewer. The accepted scalars are the table `PLAIN` below.

Every refusal is a ConfigError with file, line and column. None shows a value: it may be a secret.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import math
import re
import stat
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gates.errors import ConfigError
from gates.fields import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import yaml

KeyPath = tuple[str | int, ...]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A position in a file; both numbers count from 1, as editors do."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A configuration file as plain Python (keys are always str) with the position of everything.

    `path` is the name to show to a person; `digest` is of the bytes as they were read. `marks` has
    the position of every key and list item, `value_marks` that of every value; `()` is the root.
    """

    path: str
    digest: str
    data: dict[str, Any]
    marks: Mapping[KeyPath, Mark]
    value_marks: Mapping[KeyPath, Mark]

    def place(self, path: KeyPath, *, of: Literal["key", "value"] = "value") -> str:
        """Return `file:line:column` of a key or a value.

        What is not in the file is placed at its nearest ancestor's key, where it would be added.
        """
        ancestors = (self.marks.get(path[:end]) for end in range(len(path), -1, -1))
        value = self.value_marks.get(path) if of == "value" else None
        mark = value or next((mark for mark in ancestors if mark), None)
        return f"{self.path}:{mark}" if mark else self.path


def load(path: Path, *, shown: str | None = None) -> Source:
    """Read a configuration file; `shown` is its name in messages.

    Raises ConfigError when it is missing, unreadable, or not in the accepted language.
    """
    name = shown or str(path)
    return parse(_read(path, name), name)


def parse(raw: bytes, shown: str) -> Source:
    """Read a configuration from its bytes.

    Raises ConfigError, and nothing else, whatever the bytes are.
    """
    tree = _Tree(shown=shown, events=_events(_decode(raw, shown), shown))
    data = tree.document()
    if data is None:
        raise ConfigError("The file is empty.", where=shown, hint=_STARTER)
    if not isinstance(data, dict):
        message = "The top of the file must be a mapping of keys to values."
        raise _refusal(shown, tree.marks[()], message, "Start with `version: 1`.")
    return Source(
        path=shown,
        digest=f"sha256:{hashlib.sha256(raw).hexdigest()}",
        data=data,
        marks=tree.marks,
        value_marks=tree.value_marks,
    )


def key_path(path: KeyPath) -> str:
    """Return a path as a person writes it: `models.credit.slices[2]`; odd keys are quoted."""
    return "".join(_step(part) for part in path).removeprefix(".")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "did you mean `x`?" for the known word nearest to a misspelt one, or ""."""
    # Comparing is quadratic in the length, and a key may be as long as the file.
    close = difflib.get_close_matches(word[:100], sorted(known), n=1)
    return f"did you mean `{close[0]}`?" if close else ""


# --- What a plain (unquoted) scalar may be -------------------------------------------------------


@dataclass(frozen=True)
class Plain:
    """One kind of plain scalar: what it is called, how it looks, and how it is read.

    Without `read` the kind is refused: YAML 1.1 and 1.2, or YAML and people, differ on its meaning.
    """

    name: str
    pattern: str
    read: Callable[[str], Any] | None = None
    hint: str = "Write a plain decimal number, or quote it if it is text."


_NOT_FINITE = Plain(
    "a number that is not finite",
    r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    hint="Write a finite number, or leave the key out.",
)

# The first match counts. Everything else is text, and so is everything in quotes: `1e3` (YAML 1.1
# says so), and dates, which YAML would turn into objects; who needs a date parses the text.
PLAIN = (
    Plain("null", r"|~|null|Null|NULL", lambda _: None),
    Plain("true", r"true|True|TRUE", lambda _: True),
    Plain("false", r"false|False|FALSE", lambda _: False),
    Plain("a whole number", r"[-+]?(0|[1-9][0-9]{0,17})", int),  # always fits 64 bits
    Plain("a decimal number", r"[-+]?((0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", float),
    _NOT_FINITE,
    Plain(
        "a switch word (yes, no, on, off)",
        r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF",
        hint="Write true or false, or quote it if it is text.",
    ),
    Plain("a whole number of more than 18 digits", r"[-+]?[1-9][0-9]{18,}"),
    Plain("a number with a leading zero", r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"),
    Plain("a hexadecimal, octal or binary number", r"[-+]?0(x[0-9a-fA-F_]+|o[0-7]+|b[01_]+)"),
    Plain("a number in base sixty", r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
    Plain(
        "a number with underscores",
        r"(?=.*_)[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?",
    ),
)


# --- From the file to its text -------------------------------------------------------------------

_STARTER = "`model-gates init` writes a starter configuration."
_SAVE = "Save it as UTF-8 text."

# What YAML forbids, and what shows a reviewer something else than the parser reads: line breaks
# that only some programs break at (a setting could hide in a comment), and bidirectional controls.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]"
    r"|\r(?!\n)"
)


def _read(path: Path, shown: str) -> bytes:
    """Read at most one byte more than is allowed; a pipe or a device could last for ever."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError("There is no such file.", where=shown, hint=_STARTER) from None
    except OSError as error:
        message = f"The file cannot be read: {error.strerror}."
        raise ConfigError(message, where=shown, hint="Check the permissions.") from None
    raise ConfigError("This is not a file.", where=shown, hint="Name the YAML file itself.")


def _decode(raw: bytes, shown: str) -> str:
    """Turn bytes into text in which lines end in nothing but LF or CR LF."""
    if len(raw) > MAX_BYTES:
        hint = "Put data into files that the configuration names."
        raise ConfigError("The file is larger than 256 KiB.", where=shown, hint=hint)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError("The file is UTF-16, not UTF-8.", where=shown, hint=_SAVE)
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        raise _refusal(shown, _mark_at_end(before), "This byte is not UTF-8.", _SAVE) from None
    if "\0" in text:
        raise ConfigError("The file is binary: it has NUL bytes.", where=shown, hint=_SAVE)
    if found := _HIDDEN.search(text):
        message = f"The file has the invisible character U+{ord(found[0]):04X}."
        hint = 'Delete it, or write it as an escape in "…" quotes.'
        raise _refusal(shown, _mark_at_end(text[: found.start()]), message, hint)
    return text


def _mark_at_end(text: str) -> Mark:
    return Mark(line=text.count("\n") + 1, column=len(text) - text.rfind("\n"))


# --- From text to events: PyYAML's parser, which is iterative, and never its constructors --------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Event:
    """A parser event: `kind` is PyYAML's name for it without "Event"."""

    kind: str
    mark: Mark
    text: str = ""
    plain: bool = False


_STEPS = {"MappingStart": 1, "SequenceStart": 1, "MappingEnd": -1, "SequenceEnd": -1}
_ANCHORS = ("Anchors and aliases (& and *) are not accepted.", "Write the value out where it is.")
_TAGS = ("Tags (!) are not accepted.", "Remove the tag; quote the value if it is text.")
_QUOTE = (
    "Quote text that holds `: ` or ` #` or starts with one of @ % & * ! | > { [ or a backtick; "
    "indent with spaces."
)


def _events(text: str, shown: str) -> Iterator[_Event]:
    """Yield events lazily, so that a refused one stops the reading there."""
    import yaml

    loader = yaml.SafeLoader(text)
    depth = 0
    try:
        while True:  # the reader asks for nothing after StreamEnd
            event = _admit(loader.get_event(), shown)  # type: ignore[no-untyped-call]
            depth += _STEPS.get(event.kind, 0)
            if depth > MAX_DEPTH:
                message = f"This is nested more than {MAX_DEPTH} levels deep."
                raise _refusal(shown, event.mark, message, "Flatten it.")
            yield event
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, shown) from None
    except (ValueError, OverflowError):
        # PyYAML lets these out for an escape beyond Unicode and for a giant %YAML version.
        mark = _mark(loader.get_mark())
        raise _refusal(shown, mark, "This escape or directive is not valid.", _QUOTE) from None


def _admit(event: Any, shown: str) -> _Event:
    """Refuse anchors, aliases and tags of every kind."""
    kind = type(event).__name__.removesuffix("Event")
    mark = _mark(event.start_mark)
    # An alias has an anchor too: the one that it names.
    if getattr(event, "anchor", None) is not None:
        raise _refusal(shown, mark, *_ANCHORS)
    if getattr(event, "tag", None) is not None:
        raise _refusal(shown, mark, *_TAGS)
    if kind != "Scalar":
        return _Event(kind=kind, mark=mark)
    return _Event(kind=kind, mark=mark, text=event.value, plain=event.implicit[0])


def _mark(mark: Any) -> Mark:
    return Mark(line=mark.line + 1, column=mark.column + 1)


def _syntax_error(error: yaml.MarkedYAMLError, shown: str) -> ConfigError:
    """Word PyYAML's complaint; it names single characters and kinds of token, but whole tags."""
    where = _mark(error.problem_mark)
    if "tag" in f"{error.context} {error.problem}":
        return _refusal(shown, where, *_TAGS)
    began = error.context_mark
    context = f" ({error.context}, from line {began.line + 1} on)" if began else ""
    return _refusal(shown, where, f"This is not valid YAML: {error.problem}{context}.", _QUOTE)


# --- From events to plain Python with positions --------------------------------------------------

# Control, format (invisible, bidirectional), surrogate, and the two separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_UNUSABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """Build the data from the events; recursion is bounded, for `_events` bounds the depth."""

    shown: str
    events: Iterator[_Event]
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    value_marks: dict[KeyPath, Mark] = field(default_factory=dict)

    def document(self) -> Any:
        """Return the one document's value; None when there is no document."""
        next(self.events)  # StreamStart
        if next(self.events).kind == "StreamEnd":
            return None
        root = next(self.events)
        self.marks[()] = root.mark
        data = self.value(root, ())
        next(self.events)  # DocumentEnd
        if (after := next(self.events)).kind != "StreamEnd":
            message = "A second document starts here (`---`)."
            raise _refusal(self.shown, after.mark, message, "Keep one document per file.")
        return data

    def value(self, event: _Event, path: KeyPath) -> Any:
        """Return what starts with this event."""
        self.value_marks[path] = event.mark
        if event.kind == "MappingStart":
            return self.mapping(path)
        if event.kind == "SequenceStart":
            return self.sequence(path)
        return self.scalar(event, path)

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        """Return a mapping; a key that is there twice is refused, for the last would win."""
        result = {}
        while (event := next(self.events)).kind != "MappingEnd":
            key = self.key(event, path)
            inner = (*path, key)
            if first := self.marks.get(inner):
                message = f"This key is set twice: on line {first.line} and line {event.mark.line}."
                raise _refusal(self.shown, event.mark, message, "Keep one of them.", path=inner)
            self.marks[inner] = event.mark
            result[key] = self.value(next(self.events), inner)
        return result

    def sequence(self, path: KeyPath) -> list[Any]:
        """Return a list."""
        result: list[Any] = []
        while (event := next(self.events)).kind != "SequenceEnd":
            inner = (*path, len(result))
            self.marks[inner] = event.mark
            result.append(self.value(event, inner))
        return result

    def key(self, event: _Event, path: KeyPath) -> str:
        """Return a key, which must be visible text."""
        kind = _plain_kind(event)
        if event.kind != "Scalar":
            message, hint = "A key must be text, not a list or a mapping.", "Write `key: value`."
        elif event.plain and event.text == "<<":
            message, hint = "Merge keys (<<) are not accepted.", "Write the keys out."
        elif kind:
            message, hint = f"A key must be text; this one is {kind.name}.", "Quote the key."
        elif any(unicodedata.category(character) in _INVISIBLE for character in event.text):
            message, hint = "This key has an invisible character.", "Type the key anew."
        else:
            return event.text
        raise _refusal(self.shown, event.mark, message, hint, path=path)

    def scalar(self, event: _Event, path: KeyPath) -> Any:
        """Return a scalar as `PLAIN` reads it; quoted ones and block ones are text."""
        kind = _plain_kind(event)
        if kind is None:
            if _UNUSABLE.search(event.text):
                message = "This text has a NUL or half a surrogate pair."
                raise _refusal(self.shown, event.mark, message, "Remove the escape.", path=path)
            return event.text
        value = kind.read(event.text) if kind.read else None
        if value in (math.inf, -math.inf):
            kind = _NOT_FINITE  # looked decimal, but is too large: `1.0e999`
        if kind.read is None:
            message = f"This is {kind.name}, which is not accepted."
            raise _refusal(self.shown, event.mark, message, kind.hint, path=path)
        return value


def _plain_kind(event: _Event) -> Plain | None:
    """Return the kind in `PLAIN`, or None for text."""
    if not event.plain:
        return None
    return next((kind for kind in PLAIN if re.fullmatch(kind.pattern, event.text)), None)


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    shown = part if re.fullmatch(r"[\w-]+", part) else json.dumps(part, ensure_ascii=False)
    return f".{bounded(shown, 80)}"


def _refusal(shown: str, mark: Mark, message: str, hint: str, *, path: KeyPath = ()) -> ConfigError:
    """Return the error for a place in the file; it names the key path, never the value."""
    prefix = f"`{key_path(path)}`: " if path else ""
    return ConfigError(prefix + message, where=f"{shown}:{mark}", hint=hint)
