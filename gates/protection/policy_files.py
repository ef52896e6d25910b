"""Which files of a repository say what a candidate is held to."""

from __future__ import annotations

import posixpath

from gates.config import CONFIG_NAME, Config, validate
from gates.protection.ruleset import OWNERS_FILE
from gates.protection.workflows import FILES
from gates.waivers import WAIVERS_NAME
from gates.yaml_source import parse

_BOOTSTRAP = ".model-gates/bootstrap"


def policy_files(raw: bytes | None, path: str = CONFIG_NAME) -> tuple[str, ...]:
    """Return the files to be owned; `raw` is the configuration at `path`, if there is one.

    Raises ConfigError for one that is not valid.
    """
    folder = posixpath.dirname(path)
    named = () if raw is None else _named(validate(parse(raw, path)))
    beside = (_joined(folder, name) for name in (WAIVERS_NAME, *named))
    workflows = (str(file) for file in FILES.values())
    return tuple(dict.fromkeys((path, *beside, _BOOTSTRAP, *workflows, OWNERS_FILE)))


def _joined(folder: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(folder, name)) + ("/" if name.endswith("/") else "")


def _named(config: Config) -> tuple[str, ...]:
    """Return the suites, and the folders of the stores."""
    suites = (
        suite
        for model in config.models.values()
        for gate in model.gates.configured().values()
        if isinstance(suite := getattr(gate, "suite", None), str)
    )
    return (*suites, *(f"{model.baseline.store}/" for model in config.models.values()))
