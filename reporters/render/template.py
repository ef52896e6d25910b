"""The sandbox in which a page's template is filled: whatever it is given, it escapes.

A team may replace named blocks by a template of its own (`{% extends "report.md.j2" %}`). That text
decides how the page looks and nothing else: it sees the report and our words, no file, no function
that acts; the marker by which a comment is known again is not in its hands.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gates.errors import ConfigError
from reporters.render import escape
from reporters.render.confined import confined
from reporters.render.escape import Name

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

PAGE = "report.md.j2"
MARKER = "<!-- model-gates:v1"
MAX_OVERRIDE = 64 * 1024
_OURS = "<!-- model-gates:"
_SLACK = 1024 * 1024
_LONGEST = 256 * 1024  # far beyond any value of a report
_LONGEST_PART = 2 * 1024 * 1024  # and beyond any page that a part of it could stand on


class _TooLongError(ValueError):
    """A value is longer than any of a report, or a part of a page than any page."""


def sandboxed() -> SandboxedEnvironment:
    """Return an environment that escapes every value, and knows no way around that."""
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def inert(value: Any) -> Markup:
        if isinstance(value, StrictUndefined):
            str(value)  # raises, and says which name it was
        # Markup is what a macro returns: escaped already, value by value.
        most = _LONGEST_PART if isinstance(value, Markup) else _LONGEST
        if isinstance(value, str) and len(value) > most:
            raise _TooLongError(f"a text of {len(value):,} characters")
        return value if isinstance(value, Markup) else Markup(escape.md(value))  # noqa: S704

    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("reporters.render", "templates"),
        autoescape=True,
        finalize=inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for way_around in ("safe", "forceescape", "tojson", "xmlattr", "urlize"):
        environment.filters.pop(way_around)
    environment.filters["cell"] = lambda value: Markup(escape.cell(value))  # noqa: S704
    environment.filters["name"] = lambda value: Name(str(value))
    return environment


def overridden(environment: SandboxedEnvironment, text: str) -> Template:
    """Return the page with the blocks that `text` replaces. ConfigError where that is not it."""
    from jinja2 import TemplateSyntaxError, nodes

    if len(text.encode()) > MAX_OVERRIDE:
        raise _refused(f"it is larger than {MAX_OVERRIDE // 1024} KiB")
    if _OURS in text:
        raise _refused(f"it holds `{_OURS}`, by which our own comments are known")
    try:
        body = environment.parse(text).body
        # What is constant is worked out here already.
        with confined(_refused):
            template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise _refused(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error
    first = body[0] if body else None
    if not isinstance(first, nodes.Extends) or first.template != nodes.Const(PAGE):
        raise _refused(f'it does not begin with `{{% extends "{PAGE}" %}}`')
    return template


def drawn(template: Template, context: dict[str, Any], marker: str, most: int) -> str | None:
    """Return a page: the marker, then what the template makes of `context`, then the state.

    None for a page of more than `most` bytes, of which no more is made than that.
    """
    from jinja2 import TemplateError

    body = None
    try:
        if template.name == PAGE:
            with suppress(_TooLongError):
                body = _filled(template, context, most)
        else:
            with confined(_refused):
                body = _filled(template, context, most)
    except (
        TemplateError,
        ArithmeticError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        if template.name == PAGE:
            raise
        raise _refused(f"it cannot be filled ({type(error).__name__}: {error})") from error
    if body is None:
        return None
    if _OURS in body:
        raise _refused(f"it writes `{_OURS}`, by which our own comments are known")
    if "<!--" in re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL):
        raise _refused("it begins a comment (`<!--`) that does not end, and hides what follows")
    page = f"{marker}\n{body.strip()}\n\n{context['state']}"
    page = re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"
    return page if len(page.encode()) <= most else None


def _filled(template: Template, context: dict[str, Any], most: int) -> str | None:
    pieces: list[str] = []
    # Blank lines that are joined later count for nothing, so twice as much may come.
    left = 2 * most + _SLACK
    for piece in template.generate(context):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            return None
    return "".join(pieces)


def too_long(most: int) -> ConfigError:
    """Return the error for a template whose shortest page does not fit."""
    return _refused(f"what it adds does not fit into a page of {most:,} bytes")


def _refused(why: str) -> ConfigError:
    return ConfigError(
        f"the template cannot be used: {why}",
        where="--template",
        hint=f'Begin with `{{% extends "{PAGE}" %}}` and replace blocks of it, such as `footer`.',
    )
