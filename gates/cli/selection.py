"""Which models a change is about: `run --changed-since`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gates.config import Config
    from gates.report import Selection


def touched_since(
    environ: Mapping[str, str], config: Config, path: Path, commit: str | None
) -> tuple[Config, Selection | None]:
    """Return the part of a configuration that a change since a commit is about.

    `path` is where the configuration stands in the work tree. With the part comes which models were
    left out, if that was asked. Of a pull request what its own head changes counts as well as what
    the merge does, though the base may have the same by now: GitHub lists it, and a job that judges
    the report anew will want it (gates.policy.about).
    """
    from gates.fields import bounded
    from gates.git import changed_since
    from gates.github.context import proposal
    from gates.report import Selection
    from gates.touched import touched

    if commit is None:
        return config, None
    change = proposal(environ)
    sha, files = changed_since(path.parent, commit, change.head if change else None)
    about = config.models if files is None else touched(config, path.name, files)
    kept = {name: model for name, model in config.models.items() if name in about}
    left_out = tuple(bounded(name) for name in config.models if name not in kept)
    selection = Selection(since=sha, left_out=left_out)
    return config.model_copy(update={"models": kept}), selection
