"""The rules of one run: a configuration, its waivers, and the folder that suites stand in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from gates import config, waivers
from gates.config import Config
from gates.report import PolicyInfo
from gates.waivers import WAIVERS_NAME, Waiver
from gates.yaml_source import Source


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a candidate is held to; `root` is the folder of suites and baselines."""

    config: Config
    waivers: tuple[Waiver, ...]
    info: PolicyInfo
    root: Path

    def with_config(self, config: Config) -> Rules:
        """Return the same rules for some of the models or gates."""
        return replace(self, config=config)


def of_folder(path: Path, *, on: date, shown: str | None = None) -> tuple[Rules, Source]:
    """Return the rules of a configuration file and of what is beside it, and its source.

    `shown` is what its folder is called in messages, where that is not its own name. Raises
    ConfigError for whatever is wrong with them.
    """
    name = None if shown is None else f"{shown}{path.name}"
    settings, source = config.load(path, shown=name)
    beside = path.parent / WAIVERS_NAME
    there = beside.exists() or beside.is_symlink()
    told = None if shown is None else f"{shown}{WAIVERS_NAME}"
    rules = Rules(
        config=settings,
        waivers=waivers.load(beside, on=on, shown=told) if there else (),
        info=PolicyInfo(digest=source.digest),
        root=path.parent,
    )
    return rules, source
