"""The sandbox in which a page's template is filled: whatever it is given, it escapes.

A team may replace named blocks by a template of its own (`{% extends "report.md.j2" %}`). That text
decides how the page looks and nothing else: it sees the report and our words, no file, no function
that acts; the marker by which a comment is known again is not in its hands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gates.errors import ConfigError
from reporters.render import escape
from reporters.render.escape import Name

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

PAGE = "report.md.j2"
MARKER = "<!-- model-gates:v1"
MAX_OVERRIDE = 64 * 1024
_OURS = "<!-- model-gates:"


def sandboxed() -> SandboxedEnvironment:
    """Return an environment that escapes every value, and knows no way around that."""
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def inert(value: Any) -> Markup:
        if isinstance(value, StrictUndefined):
            str(value)  # raises, and says which name it was
        # Markup is what a macro returns: escaped already, value by value.
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
        template = environment.from_string(text)
    except TemplateSyntaxError as error:
        raise _refused(f"line {error.lineno}: {error.message}") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error
    first = body[0] if body else None
    if not isinstance(first, nodes.Extends) or first.template != nodes.Const(PAGE):
        raise _refused(f'it does not begin with `{{% extends "{PAGE}" %}}`')
    return template


def drawn(template: Template, context: dict[str, Any], marker: str) -> str:
    """Return a page: the marker, then what the template makes of `context`, then the state."""
    from jinja2 import TemplateError

    try:
        body = template.render(context)
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
    if _OURS in body:
        raise _refused(f"it writes `{_OURS}`, by which our own comments are known")
    page = f"{marker}\n{body.strip()}\n\n{context['state']}"
    return re.sub(r"\n{3,}", "\n\n", page).strip() + "\n"


def _refused(why: str) -> ConfigError:
    return ConfigError(
        f"the template cannot be used: {why}",
        where="--template",
        hint=f'Begin with `{{% extends "{PAGE}" %}}` and replace blocks of it, such as `footer`.',
    )
