"""The predictors there are, by the key that names them under `candidate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from gates.predictors.command import Command
from gates.predictors.files import Files

# The first whose key is there is meant: a command names the file that it writes, too.
PREDICTORS: dict[str, type[Command | Files]] = {"command": Command, "predictions": Files}


def _meant(candidate: object) -> str:
    """Return the tag of the predictor that is meant; what has no known key is read as a file."""
    keys = candidate if isinstance(candidate, dict) else (getattr(candidate, "kind", None),)
    return f"by {next((key for key in PREDICTORS if key in keys), Files.kind)}"


# A tag is none of the keys, so that the path of an error is that of the file.
Predictor = Annotated[
    Annotated[Command, Tag("by command")] | Annotated[Files, Tag("by predictions")],
    Discriminator(_meant),
]
