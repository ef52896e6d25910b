"""Make what came from outside inert in HTML: the one filter of the page's template."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup, escape

from reporters.render.escape import EMPTY, Name, Said, clean, name

# A reason names columns and options as `this`.
_QUOTED = re.compile(r"`([^`]+)`")


def markup(value: Any) -> Markup:
    """Return any value of a report as HTML that shows the same characters and does nothing.

    A name stands in <code>, which the style isolates: letters of a script that is read from right
    to left turn nothing round beside them.
    """
    if isinstance(value, Markup):
        return value  # a macro's or a chart's own, escaped value by value
    if isinstance(value, int):
        return Markup(f"{value:,}")  # noqa: S704  (digits and commas)
    if isinstance(value, tuple):
        return Markup().join(map(markup, value))
    return _code(value.text) if isinstance(value, Name) else _sentence(str(value))


def figure(value: str) -> Markup:
    """Return a number with its interval, if it has one, on a line below it."""
    number, bracket, interval = value.partition(" [")
    if not bracket:
        return markup(number)
    return Markup('{} <span class="interval">[{}</span>').format(number, interval)


def beside(value: str) -> Markup:
    """Return a count with its share, if it has one, beside it."""
    number, bracket, share = value.partition(" [")
    if not bracket:
        return markup(number)
    return Markup('{} <span class="muted">{}</span>').format(number, share.rstrip("]"))


def rate(value: Said) -> Markup:
    """Return a group's rate, with what is to be said of it on a line below."""
    number, *note = value
    if not note:
        return markup(number)
    below = Markup(' <span class="interval">{}</span>').format(markup(tuple(note)))
    return markup(str(number).removesuffix("; ")) + below


def _code(value: str) -> Markup:
    shown = name(value)
    return Markup("<code>{}</code>").format(shown) if shown != EMPTY else Markup("<i>(empty)</i>")


def _sentence(value: str) -> Markup:
    pieces = _QUOTED.split(clean(value))
    return Markup().join(
        _code(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    )
