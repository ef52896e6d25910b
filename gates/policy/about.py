"""Which models a pull request is about, by what GitHub lists of it and not by what its run says."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath

from gates.config import Config
from gates.github.repository import Pull, Repository
from gates.touched import touched


def about(
    repository: Repository, pull: Pull, config: Config, path: PurePosixPath
) -> tuple[str, ...] | None:
    """Return the models of the base commit's configuration that have to be judged.

    `path` is the configuration's, in the repository. None where GitHub does not list all that the
    pull request changes: then none may be left out.
    """
    files = repository.changed_files(pull.number, pull.head.sha)
    if files is None:
        return None
    start = path.parent.as_posix()
    return touched(config, path.name, (posixpath.relpath(file, start) for file in files))
