"""Headers whose values are secrets: a configuration names environment variables, never values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

from gates.errors import ConfigError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
# What says how a message is framed and for whom it is; another value would change what is asked.
_OURS = ("content-length", "content-type", "expect", "host", "te", "trailer", "upgrade")
_HOPS = ("accept-encoding", "connection", "transfer-encoding")


def _named(headers: dict[str, str]) -> dict[str, str]:
    for name, variable in headers.items():
        if not _NAME.fullmatch(name) or name.lower() in (*_OURS, *_HOPS):
            raise ValueError(f"`{name[:100]}` is not the name of a header that may be set")
        if not _VARIABLE.fullmatch(variable):
            raise ValueError(f"expected the name of an environment variable for `{name}`")
    return headers


Headers = Annotated[
    dict[StrictStr, StrictStr],
    AfterValidator(_named),
    Field(description="Headers to send, each with the environment variable that holds its value."),
]


def filled(headers: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers with their values. Raises ConfigError for one that is not there."""
    found = {}
    for name, variable in headers.items():
        value = environ.get(variable, "")
        if not value or not value.isascii() or not value.isprintable():
            said = "holds a character that no header may have" if value else "is not set"
            raise ConfigError(
                f"the environment variable `{variable}` {said}",
                where=f"headers: {name}",
                hint="Pass it to this step, such as from a secret.",
            )
        found[name] = value
    return found
