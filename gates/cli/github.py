"""`init --github` and `doctor --github`: what a repository must set, and whether it has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.errors import ConfigError

if TYPE_CHECKING:
    from gates.github.repository import Repository
    from gates.protection.diagnosis import Facts, Finding

_OWNER = "@your-org/ml-leads"
_SIGNS = {True: "✔", False: "✘", None: "?"}


def write_workflows(folder: Path, *, force: bool) -> None:
    """Write the two workflow files, and print what has to be set on GitHub beside them."""
    from gates.atomic import write_atomic
    from gates.protection.policy_files import policy_files
    from gates.protection.ruleset import OWNERS_FILE, owned, ruleset
    from gates.protection.workflows import workflows

    texts = {folder / path: text for path, text in workflows().items()}
    there = [str(path) for path in texts if path.exists() or path.is_symlink()]
    if there and not force:
        raise ConfigError(
            "the file is there already",
            where=there[0],
            hint="Compare them, or overwrite what is there with `--force`.",
        )
    for path, text in texts.items():
        write_atomic(path, text.encode())
    config = folder / "model-gates.yml"
    policy = policy_files(config.read_bytes() if config.is_file() else None)
    typer.echo("\n".join(f"wrote {path}" for path in texts))
    typer.echo(
        "\nPut your own step in place of `./predict.sh`, and the action's full commit behind @."
    )
    typer.echo(f"\nAt the end of {OWNERS_FILE}, with your own owners:\n")
    typer.echo(owned(policy, _OWNER))
    typer.echo(
        "As ruleset.json, for `gh api --method POST repos/OWNER/NAME/rulesets --input FILE`:\n"
    )
    typer.echo(json.dumps(ruleset(), indent=1))
    typer.echo("\nThen look: `model-gates doctor --github --repository OWNER/NAME`.")


def doctor(
    ctx: typer.Context,
    github: Annotated[
        bool, typer.Option("--github", help="Look at the repository's settings, by the API.")
    ] = False,
    repository: Annotated[
        str | None, typer.Option(help="owner/name; in GitHub Actions, the job's own.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="The default is the default branch.")] = None,
    config: Annotated[
        str, typer.Option("--config", "-c", help="The configuration, as the repository has it.")
    ] = "model-gates.yml",
) -> None:
    """Say what is open in a repository's protection; exit with 0 when nothing is, else with 1."""
    from gates.protection.diagnosis import diagnosed

    if not github:
        raise ConfigError("there is one thing to look at", where="doctor", hint="Add `--github`.")
    facts = _facts(_repository(ctx.obj.environ, repository), branch, config)
    found = diagnosed(facts)
    for finding in found:
        typer.echo(_line(finding))
    count = sum(finding.is_open for finding in found)
    typer.echo(f"{facts.branch}: {f'{count} open' if count else 'all closed'}")
    raise typer.Exit(1 if count else 0)


def _line(finding: Finding) -> str:
    from reporters.render.escape import plain

    to_do = "" if finding.closed else f": {finding.to_do}"
    return plain((f"{_SIGNS[finding.closed]} {finding.what}{to_do}",))


def _repository(environ: Mapping[str, str], name: str | None) -> Repository:
    from gates.cli.publish import connect
    from gates.github.context import job
    from gates.github.service import GITHUB

    asked = {"GITHUB_REPOSITORY": name} if name else {}
    return connect(environ, job({**environ, **asked}), GITHUB)


def _facts(repository: Repository, branch: str | None, config: str) -> Facts:
    """Return what the API tells of a repository."""
    from gates.protection.diagnosis import Facts
    from gates.protection.policy_files import policy_files
    from gates.protection.rules import rules_of
    from gates.protection.ruleset import OWNERS_PLACES
    from gates.protection.workflows import FILES

    branch = branch or repository.default_branch()
    texts = {str(path): repository.file(str(path), branch) for path in FILES.values()}
    places = (repository.file(place, branch) for place in OWNERS_PLACES)
    owners = next((raw for raw in places if raw is not None), None)
    token = repository.workflow_token()
    return Facts(
        branch=branch,
        rules=rules_of(repository, branch),
        policy=policy_files(repository.file(config, branch), config),
        expected=tuple(texts),
        workflows={path: raw.decode(errors="replace") for path, raw in texts.items() if raw},
        owners=None if owners is None else owners.decode(errors="replace"),
        owner_errors=repository.owner_errors(branch) if owners is not None else 0,
        token=None if token is None else token.default_workflow_permissions,
        token_approves=None if token is None else token.can_approve_pull_request_reviews,
        fork_approval=repository.fork_approval(),
    )
