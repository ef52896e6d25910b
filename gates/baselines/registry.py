"""Which kinds of store there are: what `store:` starts with, and the class that keeps it."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, StrictStr

from gates.baselines import local
from gates.errors import ConfigError
from gates.fields import Model, bounded

FOLDER = "a folder"
STORES: dict[str, type[local.Store]] = {
    FOLDER: local.Store,
}

# Two letters at least, or a Windows drive would be a scheme; `git+branch` has no colon.
_SCHEME = re.compile(r"(?i:(git)\+|([a-z][a-z0-9+.-]+):)")


class Options(Model):
    """Where baselines are kept."""

    store: StrictStr = Field(
        default=".model-gates/baselines", description="Folder of the registered baselines."
    )

    def open(self, model: str, root: Path) -> local.Store:
        """Return the store of one model; a relative folder begins at `root`."""
        return open_store(self.store, model, start=root)


def open_store(store: str, model: str, *, start: Path | None = None) -> local.Store:
    """Return the store that a configuration names; a relative folder begins at `start`.

    Nothing is read or written yet. Raises ConfigError for a kind of store that there is not.
    """
    kind = kind_of(store)
    if kind not in STORES:
        raise ConfigError(
            f"there is no store of the kind {bounded(kind)!r}",
            hint=f"There is: {', '.join(STORES)}. A folder with a colon in its name starts with ./",
        )
    if not store.strip() or "\0" in store:
        raise ConfigError(
            "the store is not the name of a folder", hint="Leave it out for the default."
        )
    return STORES[kind]((start or Path()) / store, model)


def kind_of(store: str) -> str:
    """Return the kind of store that a name is of, whether or not there is such a kind."""
    scheme = _SCHEME.match(store)
    return (scheme[1] or scheme[2]).lower() if scheme else FOLDER
