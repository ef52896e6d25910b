"""Which models a change is about: in a repository of many, only those have to be judged.

In doubt a model is judged. It is left out only if it has `paths`, and nothing that they match, no
file that its configuration names and nothing of the policy has changed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any

from gates.config import Config, ModelConfig
from gates.waivers import WAIVERS_NAME


def touched(config: Config, config_name: str, files: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the models that a change is about.

    `files` are what changed, relative to the folder of the configuration, with slashes.
    """
    changed = frozenset(files)
    if changed & {config_name, WAIVERS_NAME}:
        return tuple(config.models)
    return tuple(name for name, model in config.models.items() if _is_about(name, model, changed))


def matches(pattern: str, file: str) -> bool:
    """Return whether a glob pattern matches a file, or a folder that the file is in.

    `*` and `?` stand for what is within one name, `**` for any number of folders.
    """
    return bool(_regex(pattern).fullmatch(file))


def _is_about(name: str, model: ModelConfig, changed: frozenset[str]) -> bool:
    if not model.paths:
        return True
    rules = [_regex(pattern) for pattern in model.paths]
    # The store holds the baselines of all models, each in a folder of its own.
    own = {*_named(model.model_dump(mode="json")), posixpath.join(model.baseline.store, name)}
    own.discard(model.baseline.store)
    folders = {posixpath.normpath(text) for text in own if text}
    # What stands where a folder is looked for is a link or a submodule, and brings all below it.
    around = {above for place in folders.union(map(_start, model.paths)) for above in _above(place)}
    return not around.isdisjoint(changed) or any(
        any(rule.fullmatch(file) for rule in rules) or not folders.isdisjoint(_above(file))
        for file in changed
    )


def _start(pattern: str) -> str:
    """Return the folder that a pattern looks into, as far as it names one."""
    return re.split(r"[*?]", posixpath.normpath(pattern))[0].rpartition("/")[0]


def _named(value: Any) -> Iterator[str]:
    """Yield every text of a configuration; some are files, and a new option's may be, too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _named(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named(part)


def _above(file: str) -> Iterator[str]:
    """Yield a path and the folders above it."""
    while file and file != "/":
        yield file
        file = posixpath.dirname(file)


def _regex(pattern: str) -> re.Pattern[str]:
    text = ""
    for name in posixpath.normpath(pattern).split("/"):
        if name == "**":
            # Once is as good as many times, and quicker to find out.
            text = text.removesuffix("(?:[^/]+/)*") + "(?:[^/]+/)*"
        else:
            text += re.escape(name).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") + "/"
    # With a slash behind the file, a folder's pattern matches all that is in it.
    return re.compile(f"{text.removesuffix('/')}(?:/.*)?" if text.endswith("/") else f"{text}.+")
