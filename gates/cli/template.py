"""`--template`: a team's own blocks of the page, as the base commit has them on a pull request.

Who may write a comment with the job's token must not take its words from the change that it is
about; so a template holds once it is merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from gates.errors import ConfigError


def require_able(places: Sequence[str]) -> None:
    """Refuse a template for what is not filled from one."""
    from reporters.render.registry import MARKDOWN

    able = (*MARKDOWN, "github-comment", "gitlab-merge-request")
    without = [to for to in places if to not in able]
    if without:
        raise ConfigError(
            f"`{without[0]}` takes no template",
            where="--template",
            hint=f"These do: {', '.join(able)}.",
        )


def override(environ: Mapping[str, str], path: Path) -> str | None:
    """Return a template's text; None where the base commit has none yet.

    Raises ConfigError where it cannot be read.
    """
    from gates.github.context import proposal

    change = proposal(environ)
    if change is None:
        return _text(path)
    from gates.policy.base_commit import commit_of, located

    repository, inside = located(path)
    found = repository.entries(commit_of(repository, change), [inside])
    if not found or not found[0].plain:
        tell_missing(path)
        return None
    with TemporaryDirectory(prefix="model-gates-") as folder:
        copy = Path(folder) / "template"
        repository.unpack(found[0], copy)
        return _text(copy, shown=path)


def tell_missing(path: Path) -> None:
    """Say that the base commit has no such template, so that the page is ours."""
    typer.echo(f"template: the base commit has no {path.name} yet, so it has no say", err=True)


def decoded(raw: bytes, shown: Path) -> str:
    """Return the text of a template. ConfigError for what is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ConfigError("cannot read the template: it is not UTF-8", where=str(shown)) from error


def _text(path: Path, shown: Path | None = None) -> str:
    from reporters.render.template import MAX_OVERRIDE

    try:
        with path.open("rb") as opened:
            return decoded(opened.read(MAX_OVERRIDE + 1), shown or path)
    except OSError as error:
        raise ConfigError(
            f"cannot read the template: {error.strerror}", where=str(shown or path)
        ) from error
