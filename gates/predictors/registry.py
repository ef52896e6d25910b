"""The predictors there are, by the key that names them under `candidate`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from gates.predictors.command import Command
from gates.predictors.files import Files

PREDICTORS: dict[str, type[Command | Files]] = {"predictions": Files, "command": Command}


def _meant(candidate: object) -> str:
    """Return the tag of the predictor that knows most of the keys; of two, the first."""
    if isinstance(candidate, Command | Files):
        return f"by {candidate.kind}"
    keys = set(candidate) if isinstance(candidate, dict) else set()
    return f"by {max(PREDICTORS, key=lambda kind: len(keys & set(PREDICTORS[kind].model_fields)))}"


# A tag is none of the keys, so that the path of an error is that of the file.
Predictor = Annotated[
    Annotated[Files, Tag("by predictions")] | Annotated[Command, Tag("by command")],
    Discriminator(_meant),
]
