"""Who owns a path, as GitHub reads a CODEOWNERS file."""

from __future__ import annotations

import re

_FOLDERS = "(?:.+/)?"


def owners(text: str, path: str) -> tuple[str, ...]:
    """Return the owners of a path: those of the last line that matches it, who may be none."""
    found: tuple[str, ...] = ()
    for line in text.splitlines():
        pattern, *names = _words(line)
        if pattern and matches(pattern, path):
            found = tuple(names)
    return found


def matches(pattern: str, path: str) -> bool:
    r"""Return whether a pattern matches a path.

    A pattern with a slash that is not its last character begins at the top, another one matches at
    any depth. What matches a folder matches all that is in it, but for `/*` at the end, which is
    for the files of that one folder.
    """
    body = pattern.strip("/")
    start = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    names = body.split("/")
    text = "".join(_segment(name) for name in names).removesuffix("/")
    if pattern.endswith("/"):
        end = "/.+"
    elif names[-1] == "**":
        text, end = text.removesuffix(_FOLDERS), ".+"
    elif names[-1] == "*" and len(names) > 1:
        end = ""
    else:
        end = "(?:/.+)?"
    return bool(re.fullmatch(start + text + end, path))


def _segment(name: str) -> str:
    if name == "**":
        return _FOLDERS
    return re.escape(name).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"


def _words(line: str) -> list[str]:
    """Return a line's words without its comment; a space that is escaped parts no words."""
    words = re.findall(r"(?:\\.|[^\s#\\]|(?<=\S)#)+", line.split(" #", maxsplit=1)[0].strip())
    if line.lstrip().startswith("#") or not words:
        return [""]
    return [words[0].replace("\\ ", " "), *words[1:]]
