"""What the fields of a report are made of: text of bounded length, rounded numbers, digests.

Other frozen models than the report's are made of them, too. Importing this loads nothing heavier
than pydantic.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

MAX_NAME = 200
MAX_TEXT = 2000
_RUN_PAGE = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?(?::[0-9]{1,5})?"
    r"/[\w-]{1,100}/(?!\.{1,2}/)[\w.-]{1,100}/actions/runs/[0-9]{1,20}",
    re.ASCII,
)


def significant(value: float) -> float:
    """Round to 12 significant digits, so that thread counts cannot change the bytes."""
    return float(f"{value:.12g}") + 0.0


def bounded(text: object, limit: int = MAX_NAME) -> str:
    """Return a name cut to `limit` characters, safe to put in a report.

    What was cut ends in an ellipsis and a hash, so that names that begin alike stay apart.
    """
    # Half a surrogate pair, from a path that is not UTF-8, could not be written to any report.
    string = str(text).encode(errors="replace").decode()
    if len(string) <= limit:
        return string
    digest = hashlib.sha256(string.encode()).hexdigest()[:8]
    return f"{string[: limit - 9]}…{digest}"


def run_page(url: str | None) -> str | None:
    """Return an address if it is plainly that of a run of GitHub Actions, else None.

    No character of it ends a link of Markdown or HTML. Whose server it is, it cannot know.
    """
    return url if url and _RUN_PAGE.fullmatch(url) else None


Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(significant)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, StringConstraints(max_length=MAX_NAME)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
# What stands behind the `@` of a rule id.
Place = Annotated[str, StringConstraints(max_length=400)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class Model(BaseModel):
    """The settings every part of the report shares: frozen, and strangers are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
