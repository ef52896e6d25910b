"""Whose rules apply: those of the work tree, or of the commit that a change is based on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gates.errors import ConfigError

if TYPE_CHECKING:
    from gates.policy.rules import Rules


class PolicyFrom(StrEnum):
    """Where the rules are read from."""

    AUTO = "auto"
    BASE = "base"
    WORKTREE = "worktree"


def base_commit(
    environ: Mapping[str, str], config: Path, policy: PolicyFrom, base: str | None
) -> str | None:
    """Return the commit whose rules apply; None for those of the work tree."""
    from gates.github.context import proposal

    change = proposal(environ)
    if policy is PolicyFrom.WORKTREE:
        return None
    if change is None and base is None:
        if policy is PolicyFrom.AUTO:
            return None
        raise ConfigError(
            "nothing says which commit is the base",
            where="--policy base",
            hint="Name it, such as `--base origin/main`.",
        )
    from gates.policy.base_commit import commit_named, commit_of, located

    repository, _ = located(config)
    if base is not None:
        return commit_named(repository, base)
    assert change is not None  # noqa: S101  (else a base was named)
    return commit_of(repository, change)


def rules_of(config: Path, commit: str | None, folder: Path, today: date) -> Rules:
    """Return the rules of a commit, unpacked into a folder, or those of the work tree."""
    if commit is None:
        from gates.policy.rules import of_folder

        return of_folder(config, on=today)[0]
    from gates.policy.base_commit import rules_of_base

    return rules_of_base(config, commit, folder, on=today)
