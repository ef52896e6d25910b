"""The rules of the base commit: what a pull request changes in them is told, and not applied.

They are read from git's objects into a folder outside of the workspace: the configuration, its
waivers, the suites it names, and the registered baselines. Data are the pull request's own, and
held to the baseline's by digest. A base commit without a configuration has no say: then the pull
request's own rules judge it, and block it, unless the base commit lists the file in `BOOTSTRAP`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath

from gates.baselines.local import Store
from gates.baselines.registry import FOLDER, kind_of
from gates.config import Config, ModelConfig
from gates.errors import ConfigError, EnvironmentFault
from gates.git import Repository, repository
from gates.github.context import Proposal
from gates.policy import baselines
from gates.policy.changes import few
from gates.policy.proposed import Proposed, proposed
from gates.policy.rules import Rules, of_folder
from gates.report import PolicyInfo
from gates.waivers import WAIVERS_NAME

BOOTSTRAP = PurePosixPath(".model-gates/bootstrap")
MAX_RULES = 8 * 1024 * 1024  # of one file; what reads it has its own, lower limit
_SHALLOW = (
    "Check out with `fetch-depth: 2`, which brings the base commit of a pull request; where the "
    "head itself is checked out, and in a merge queue, with `fetch-depth: 0`."
)


def commit_of(repo: Repository, proposal: Proposal) -> str:
    """Return the base commit of a change; EnvironmentFault where the clone does not have it.

    GitHub checks a pull request out as the merge of its head into the base branch, so the first
    parent of that merge is the base that it is judged against. Else it is what the event says.
    """
    named = proposal.base
    if proposal.merge is not None and repo.commit(proposal.merge):
        parents = repo.parents(proposal.merge)
        if len(parents) == 2 and parents[1] == proposal.head:
            named = parents[0]
    return commit_named(repo, named)


def commit_named(repo: Repository, revision: str) -> str:
    """Return the full sha of a base commit; EnvironmentFault where it is not here."""
    found = repo.commit(revision)
    if found is None:
        raise EnvironmentFault(
            f"the base commit {revision[:12]} is not in this clone, so its rules cannot be read",
            where=str(repo.top),
            hint=_SHALLOW,
        )
    return found


def located(path: Path) -> tuple[Repository, PurePosixPath]:
    """Return the repository that a file belongs to, and its path there: as it is written.

    No link on the way is followed, for a pull request may have put it there.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  (`resolve` would follow links)
    beside = next(folder for folder in (path, *path.parents) if folder.is_dir())
    repo = repository(beside)
    for folder in reversed(path.parents):
        if folder.resolve() == repo.top.resolve():
            inside = _within(PurePosixPath(), path.relative_to(folder).as_posix())
            if inside is not None:
                return repo, inside
    raise ConfigError(
        "this is no file below the top folder of its repository, so no commit has it",
        where=str(path),
        hint="Name it by its place in the repository.",
    )


def rules_of_base(path: Path, commit: str, into: Path, *, on: date) -> Rules:
    """Return the rules that a commit has for a configuration file, read into an empty folder.

    Raises ConfigError for what is wrong with them, EnvironmentFault for what git cannot read.
    """
    repo, inside = located(path)
    base = _Base(repository=repo, commit=commit, into=into)
    if not base.take(inside):
        return _bootstrap(base, path, inside, on)
    base.take(inside.parent / WAIVERS_NAME)
    shown = f"{commit[:12]}:" + "".join(f"{part}/" for part in inside.parent.parts)
    rules, source = of_folder(into / inside, on=on, shown=shown)
    suites = suites_of(rules.config, inside.parent)
    for suite in suites.values():
        base.take(suite)
    config = _with_baselines(base, rules.config, inside.parent, path.parent)
    what = Proposed(
        path=path,
        into=into / inside,
        base=source,
        on=on,
        suites={name: (into / suite, path.parent / name) for name, suite in suites.items()},
        stores=_stores(config, rules.root, path.parent),
    )
    lines = (*proposed(what), *_data(base, rules.config, inside.parent))
    info = PolicyInfo(source="base", digest=source.digest, changes=few(lines))
    return replace(rules, config=config, info=info)


@dataclass(frozen=True, kw_only=True)
class _Base:
    """A commit, and the folder that its files are read into."""

    repository: Repository
    commit: str
    into: Path

    def take(self, path: PurePosixPath) -> bool:
        """Read one file of the rules, if the commit has it; ConfigError if it is no plain file."""
        found = self.repository.entries(self.commit, [path])
        if not found:
            return False
        entry = found[0]
        if not entry.plain or entry.path != path or entry.size > MAX_RULES:
            raise ConfigError(
                "this is a link, a folder or too large, and no file of rules",
                where=f"{self.commit[:12]}:{path}",
                hint="Commit a plain file there.",
            )
        self.repository.unpack(entry, self.into / path)
        return True

    def brought(self, path: PurePosixPath) -> bool:
        """Return whether the change itself has something at a path, or leads elsewhere from it."""
        above = [folder for folder in path.parents if folder.parts]
        found = self.repository.entries("HEAD", [path, *above], deep=False)
        return any(entry.path == path or not entry.folder for entry in found)


def _bootstrap(base: _Base, path: Path, inside: PurePosixPath, on: date) -> Rules:
    """Return the rules that a pull request brings where the base commit has none."""
    rules, _ = of_folder(path, on=on)
    return bootstrapped(rules, inside, base.into / BOOTSTRAP if base.take(BOOTSTRAP) else None)


def bootstrapped(rules: Rules, config: PurePosixPath, listed: Path | None) -> Rules:
    """Return a change's own rules, as those of a configuration that the base commit has not.

    `listed` is the base commit's file of those that may begin, where it has one.
    """
    allowed = listed is not None and str(config) in _listed(listed)
    how = (
        f"`{BOOTSTRAP}` there lets it begin"
        if allowed
        else f"it is blocked until it is merged, or until `{BOOTSTRAP}` there has it as a line"
    )
    change = f"`{config}` is not in the base commit: these are the change's own rules, and {how}."
    info = rules.info.model_copy(
        update={"source": "bootstrap", "bootstrap_allowed": allowed, "changes": few([change])}
    )
    return replace(rules, info=info)


def _listed(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def suites_of(config: Config, folder: PurePosixPath) -> dict[str, PurePosixPath]:
    """Return the suite files that a configuration names and the repository may have."""
    gates = [gate for model in config.models.values() for gate in model.gates.configured().values()]
    named = [suite for gate in gates if (suite := getattr(gate, "suite", None))]
    within = {name: _within(folder, name) for name in named}
    return {name: path for name, path in within.items() if path is not None}


def _with_baselines(base: _Base, config: Config, folder: PurePosixPath, data_root: Path) -> Config:
    """Read the baselines that the commit has; return the configuration with the others' places."""
    models = {}
    for name, model in config.models.items():
        store = model.baseline.store
        inside = _within(folder, store) if kind_of(store) == FOLDER else None
        kept = inside is not None and _take_baselines(base, name, model, inside)
        models[name] = model if kept else _elsewhere(model, data_root)
    return config.model_copy(update={"models": models})


def _take_baselines(base: _Base, name: str, model: ModelConfig, inside: PurePosixPath) -> bool:
    """Read what a model's checks need of its store; return False where it is no commit's.

    Records are read whole, predictions only of the versions that are asked for: those are large.
    """
    found = base.repository.entries(base.commit, [inside])
    entries = [entry for entry in found if entry.plain]
    if not entries:
        # A store that no commit has was brought by a step before this one, and stays where it is.
        return base.brought(inside)
    baselines.take(base.repository, entries, base.into)
    store = Store(base.into / inside, name)
    for reference in {model.baseline.alias, model.baseline.anchor} - {None}:
        baselines.take_kept(base.repository, entries, base.into, store, str(reference))
    return True


def _data(base: _Base, config: Config, folder: PurePosixPath) -> Iterator[str]:
    """Yield the data that the change commits anew: they are used, since only they can be judged."""
    for name, model in config.models.items():
        for what, file in (
            ("evaluation set", model.data.evaluation),
            ("baseline's predictions", model.baseline.predictions),
        ):
            inside = None if file is None else _within(folder, file)
            if inside is None:
                continue
            now = base.repository.entries("HEAD", [inside])
            if now and now != base.repository.entries(base.commit, [inside]):
                yield f"`{file}`, the {what} of `{name}`: the change's own is used"


def _elsewhere(model: ModelConfig, data_root: Path) -> ModelConfig:
    """Return a model with the place of its store made independent of where its rules are read."""
    store = model.baseline.store
    if kind_of(store) != FOLDER:
        return model
    update = {"store": str(Path.absolute(data_root / store))}
    return model.model_copy(update={"baseline": model.baseline.model_copy(update=update)})


def _within(folder: PurePosixPath, name: str) -> PurePosixPath | None:
    """Return a path of a configuration as one of the repository; None where it leads out of it."""
    if PurePosixPath(name).is_absolute():
        return None
    parts: list[str] = []
    for part in (folder / name).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _stores(config: Config, root: Path, data_root: Path) -> dict[str, tuple[Store, Store]]:
    """Return each model's store as the base commit has it, and as the work tree has it."""
    return {
        name: (model.baseline.open(name, root), model.baseline.open(name, data_root))
        for name, model in config.models.items()
        if kind_of(model.baseline.store) == FOLDER
    }
