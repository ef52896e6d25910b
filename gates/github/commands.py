"""What a step tells the runner: outputs, the job summary, annotations; nothing can break out.

The rules of escaping are those of actions/toolkit (command.ts, file-command.ts).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from gates.errors import EnvironmentFault


def write_outputs(environ: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Set a step's outputs. No value can end early or set another one: the delimiter is random."""
    lines = []
    for name, value in outputs.items():
        delimiter = f"end-{secrets.token_hex(16)}"
        lines += [f"{name}<<{delimiter}", value, delimiter]
    _append(environ, "GITHUB_OUTPUT", "\n".join(lines) + "\n")


def write_summary(environ: Mapping[str, str], markdown: str) -> None:
    """Add to the job summary; GitHub drops a summary over 1 MiB whole, so it is fitted before."""
    _append(environ, "GITHUB_STEP_SUMMARY", markdown + "\n")


def command(name: str, text: str, **properties: str | int | None) -> str:
    """Return a workflow command as one line, such as an annotation; None leaves a property out."""
    given = {key: value for key, value in properties.items() if value is not None}
    options = ",".join(f"{key}={escape_property(str(value))}" for key, value in given.items())
    return f"::{name}{' ' if options else ''}{options}::{escape_data(text)}"


def escape_data(text: str) -> str:
    """Return text that can not end a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Return text that can not end a property of a workflow command, either."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _append(environ: Mapping[str, str], variable: str, text: str) -> None:
    target = environ.get(variable)
    if not target:
        raise EnvironmentFault(
            f"{variable} is not set",
            where="--github",
            hint="Use `--github` inside a GitHub Actions job only.",
        )
    try:
        with Path(target).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise EnvironmentFault(f"cannot write: {error.strerror}", where=variable) from error
