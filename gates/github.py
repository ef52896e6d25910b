"""The GitHub leaf: what a job's environment says, and the files it wants written.

The REST client comes here, too. Nothing else in the program knows GitHub.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from gates.errors import EnvironmentFault
from gates.report import CiInfo, GitInfo, bounded


def in_actions(environ: Mapping[str, str]) -> bool:
    """Return whether this process is a step of a GitHub Actions job."""
    return environ.get("GITHUB_ACTIONS") == "true"


def ci_info(environ: Mapping[str, str]) -> CiInfo | None:
    """Return which CI runs this, with the address of the run, or None outside of one."""
    if not in_actions(environ):
        return None
    server, repository = environ.get("GITHUB_SERVER_URL"), environ.get("GITHUB_REPOSITORY")
    run = environ.get("GITHUB_RUN_ID")
    url = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None
    return CiInfo(provider="github", url=url and bounded(url, 2000))


def git_info(environ: Mapping[str, str]) -> GitInfo:
    """Return where in history the job stands, as its environment says."""
    return GitInfo(
        sha=_name(environ.get("GITHUB_SHA")),
        ref=_name(environ.get("GITHUB_REF")),
    )


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


def escape_data(text: str) -> str:
    """Return text that can not end a workflow command (the rules of actions/toolkit)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


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


def _name(value: str | None) -> str | None:
    return bounded(value) if value else None
