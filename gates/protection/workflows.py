"""The workflow files that `init --github` writes: the examples, as they ship in the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

# By the name of the example: where a repository has it.
FILES: Mapping[str, PurePosixPath] = {
    "pull-request.yml": PurePosixPath(".github/workflows/model-gates.yml"),
    "comment.yml": PurePosixPath(".github/workflows/model-gates-comment.yml"),
}
TEMPLATES = Path(__file__).parent / "workflows"


def workflows() -> dict[PurePosixPath, str]:
    """Return what to write, by path; the files name each other as they are called there."""
    return {path: _named((TEMPLATES / name).read_text("utf-8")) for name, path in FILES.items()}


def _named(text: str) -> str:
    for name, path in FILES.items():
        text = text.replace(f"`{name}`", f"`{path.name}`")
    return text
