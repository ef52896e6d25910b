"""The rules of a commit as GitHub's API shows them, for a job that checks nothing out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath

from gates.config import Config
from gates.errors import ConfigError, EnvironmentFault
from gates.github.repository import Repository
from gates.policy.base_commit import BOOTSTRAP, bootstrapped, suites_of
from gates.policy.changes import few
from gates.policy.proposed import Proposed, proposed
from gates.policy.rules import Rules, of_folder
from gates.waivers import WAIVERS_NAME


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whose rules are asked for: of the configuration at a path, as `base` and `head` have it."""

    repository: Repository
    config: PurePosixPath
    base: str
    head: str


def rules_from(asked: Question, into: Path, *, on: date) -> Rules:
    """Return the rules of the base commit, and what the head would change in them.

    Raises ConfigError for what is wrong with them, EnvironmentFault for what the API does not show.
    """
    base, head = into / "base", into / "head"
    if not _take(asked, asked.config, asked.base, base):
        return _bootstrap(asked, base, head, on)
    _take(asked, asked.config.parent / WAIVERS_NAME, asked.base, base)
    rules, source = of_folder(base / asked.config, on=on, shown=_shown(asked, asked.base))
    suites = _suites(asked, rules.config, asked.base, base)
    lines = _changes(asked, suites, into)
    what = Proposed(
        path=head / asked.config,
        into=base / asked.config,
        base=source,
        on=on,
        suites={name: (base / suite, head / suite) for name, suite in suites.items()},
    )
    changes = few([*lines, *([] if lines else proposed(what))])
    return replace(rules, info=rules.info.model_copy(update={"source": "base", "changes": changes}))


def _bootstrap(asked: Question, base: Path, head: Path, on: date) -> Rules:
    if not _take(asked, asked.config, asked.head, head):
        raise ConfigError(
            "there is no configuration, neither in the base commit nor in the pull request",
            where=str(asked.config),
            hint="Name it with `--config`, as the repository has it.",
        )
    _take(asked, asked.config.parent / WAIVERS_NAME, asked.head, head)
    rules, _ = of_folder(head / asked.config, on=on, shown=_shown(asked, asked.head))
    _suites(asked, rules.config, asked.head, head)
    listed = base / BOOTSTRAP if _take(asked, BOOTSTRAP, asked.base, base) else None
    return bootstrapped(rules, asked.config, listed)


def _changes(asked: Question, suites: dict[str, PurePosixPath], into: Path) -> list[str]:
    """Read the head's files; return why they can not be shown, where they can not."""
    wanted = (asked.config, asked.config.parent / WAIVERS_NAME, *suites.values())
    try:
        for path in wanted:
            _take(asked, path, asked.head, into / "head")
    except EnvironmentFault as error:
        return [f"what the change proposes can not be shown: {error.message} ({error.where})"]
    return []


def _suites(asked: Question, config: Config, sha: str, into: Path) -> dict[str, PurePosixPath]:
    suites = suites_of(config, asked.config.parent)
    for suite in suites.values():
        _take(asked, suite, sha, into)
    return suites


def _take(asked: Question, path: PurePosixPath, sha: str, into: Path) -> bool:
    """Write a file of a commit into a folder, if the commit has it."""
    raw = asked.repository.file(str(path), sha)
    if raw is None:
        return False
    target = into / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(raw)
    return True


def _shown(asked: Question, sha: str) -> str:
    return f"{sha[:12]}:" + "".join(f"{part}/" for part in asked.config.parent.parts)
