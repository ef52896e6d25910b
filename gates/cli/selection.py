"""Which part of a configuration a run is about: what was named, and what has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gates.config import Config
    from gates.report import Selection


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was named on the command line; what is empty leaves nothing out."""

    models: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    since: str | None = None


def selected(config: Config, path: Path, asked: Asked) -> tuple[Config, Selection | None]:
    """Return the part of the configuration at `path` that is to be judged.

    With it comes which models were left out because nothing of theirs changed, if that was asked.
    """
    from gates.config import select
    from gates.git import changed_since
    from gates.report import Selection, bounded
    from gates.touched import touched

    config = select(config, asked.models, asked.gates)
    if asked.since is None:
        return config, None
    sha, files = changed_since(path.parent, asked.since)
    about = config.models if files is None else touched(config, path.name, files)
    kept = {name: model for name, model in config.models.items() if name in about}
    left_out = tuple(bounded(name) for name in config.models if name not in kept)
    selection = Selection(since=sha, left_out=left_out)
    return config.model_copy(update={"models": kept}), selection
