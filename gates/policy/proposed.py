"""Hold the work tree's rules against those of the base commit, and say what it would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from gates import config, waivers, yaml_source
from gates.baselines.local import Store
from gates.errors import GatesError
from gates.expectations.suite import read_document
from gates.policy.changes import of_baselines, of_config, of_suite, of_waivers
from gates.waivers import WAIVERS_NAME
from gates.yaml_source import Source

Pair = tuple[Path, Path]


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """What to compare: the work tree's configuration `path`, and the base commit's `into`.

    `suites` are pairs of files by name, `stores` pairs of stores by model; the base's come first.
    """

    path: Path
    into: Path
    base: Source
    on: date
    suites: Mapping[str, Pair] = field(default_factory=dict)
    stores: Mapping[str, tuple[Store, Store]] = field(default_factory=dict)


def proposed(what: Proposed) -> Iterator[str]:
    """Yield what the work tree would change, file by file."""
    yield from _config(what)
    yield from _waivers(what)
    for name, (base, here) in what.suites.items():
        yield from _suite(name, base, here)
    for model, stores in what.stores.items():
        yield from _said(f"the baselines of `{model}`", partial(_stores, model, *stores))


def _config(what: Proposed) -> Iterator[str]:
    def lines() -> Iterator[str]:
        source = yaml_source.load(what.path, shown=what.path.name)
        yield from of_config(what.base.data, source.data)
        config.validate(source)

    if not _there(what.path):
        yield f"`{what.path.name}`: removed, not applied"
        return
    yield from _said(f"the configuration `{what.path.name}`", lines)


def _waivers(what: Proposed) -> Iterator[str]:
    base, here = (folder / WAIVERS_NAME for folder in (what.into.parent, what.path.parent))

    def lines() -> Iterator[str]:
        both = (yaml_source.load(one).data if _there(one) else {} for one in (base, here))
        yield from of_waivers(*both)
        if _there(here):
            waivers.load(here, on=what.on, shown=WAIVERS_NAME)

    yield from _said(f"the waivers `{WAIVERS_NAME}`", lines)


def _suite(name: str, base: Path, here: Path) -> Iterator[str]:
    if not base.exists():
        return
    if not _there(here):
        yield f"`{name}`: removed, not applied"
        return
    if base.read_bytes() == here.read_bytes():
        return
    yield from _said(
        f"the suite `{name}`",
        lambda: of_suite(name, *(read_document(one, name) for one in (base, here))),
    )


def _stores(model: str, base: Store, here: Store) -> Iterator[str]:
    old, new = ({one.version: one.digest for one in s.versions()} for s in (base, here))
    yield from of_baselines(model, (base.aliases(), here.aliases()), (old, new))


def _said(what: str, lines: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Yield the lines, or why there are none to tell: what is proposed decides nothing."""
    try:
        yield from lines()
    except GatesError as error:
        place = f" ({error.where})" if error.where else ""
        yield f"{what} as proposed can not be used, and is not applied: {error.message}{place}"


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
