"""`init`, `validate`, `extras`, `schema` and `demo`: everything around a first run."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from gates.errors import ConfigError

DEFAULT = Path("model-gates.yml")


class Schema(StrEnum):
    """The files that have a schema."""

    CONFIG = "config"
    REPORT = "report"
    EVIDENCE = "evidence"


def validate(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")] = Path(
        "model-gates.yml"
    ),
) -> None:
    """Check a configuration without reading any data."""
    from gates.config import load

    found, source = load(config)
    typer.echo(f"{source.path}: valid, {len(found.models)} model(s)")
    for name, model in found.models.items():
        typer.echo(f"  {name}: {model.task.value}; gates: {', '.join(model.gates.configured())}")


def extras(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.")
    ] = DEFAULT,
    model: Annotated[list[str] | None, typer.Option(help="For this model alone.")] = None,
    gate: Annotated[list[str] | None, typer.Option(help="For this gate alone.")] = None,
) -> None:
    """Print the extras that a configuration needs, one a line: what an installer has to install."""
    from gates.cli.rules import PolicyFrom, base_commit, rules_of
    from gates.config import select
    from gates.extras import needed

    # By the same rules as `run` will go by: on a pull request, those of the base commit.
    commit = base_commit(ctx.obj.environ, config, PolicyFrom.AUTO, None)
    with TemporaryDirectory(prefix="model-gates-") as folder:
        found = rules_of(config, commit, Path(folder), datetime.now(UTC).date()).config
    for name in needed(select(found, tuple(model or ()), tuple(gate or ()))):
        typer.echo(name)


def schema(
    of: Annotated[Schema, typer.Argument(help="Which file's schema.")] = Schema.CONFIG,
    check: Annotated[
        bool, typer.Option("--check", help="Fail when the shipped schemas are out of date.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the shipped schemas anew (for contributors).")
    ] = False,
) -> None:
    """Print the JSON Schema of model-gates.yml, report.json or evidence.json."""
    current = _schemas()
    if not (check or write):
        typer.echo(current[of], nl=False)
        return
    for name, text in current.items():
        path = Path(__file__).parent.parent / "schemas" / f"{name.value}.schema.json"
        if write:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise ConfigError(
                "the shipped schema is out of date",
                where=str(path),
                hint="Run `model-gates schema --write` and commit the result.",
            )


def _schemas() -> dict[Schema, str]:
    from gates import attestation, config, report

    found = {
        Schema.CONFIG: config.json_schema(),
        Schema.REPORT: report.json_schema(),
        Schema.EVIDENCE: attestation.json_schema(),
    }
    return {
        name: json.dumps(one, indent=1, ensure_ascii=False) + "\n" for name, one in found.items()
    }


def init(
    predictions: Annotated[
        Path | None, typer.Option(help="A predictions file, to guess columns and limits from.")
    ] = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="The evaluation set, when the predictions lack labels.")
    ] = None,
    model: Annotated[str, typer.Option(help="What to call the model.")] = "my-model",
    config: Annotated[Path, typer.Option("--config", "-c", help="The file to write.")] = DEFAULT,
    github: Annotated[
        bool,
        typer.Option("--github", help="Write the workflow files, and print what else to set."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --github: overwrite workflow files.")
    ] = False,
) -> None:
    """Write a commented starter configuration from a predictions file, or the workflows."""
    if github:
        from gates.cli.github import write_workflows

        write_workflows(Path(), force=force)
    if predictions is None:
        if github:
            return
        raise ConfigError("Missing option '--predictions'", where="init", hint="Or `--github`.")
    if config.exists():
        raise ConfigError(
            "the file is there already", where=str(config), hint="Name another with `--config`."
        )
    from gates.atomic import write_atomic
    from gates.starter import starter

    text = starter(predictions, evaluation, model=model, beside=config.parent)
    write_atomic(config, text.encode())
    # What is printed can be pasted, whatever the files are called.
    chosen = "" if config == DEFAULT else f" --config {shlex.quote(str(config))}"
    file = shlex.quote(str(predictions))
    typer.echo(f"wrote {config}; read it, then:")
    typer.echo(f"  model-gates baseline register --predictions {file} --alias champion{chosen}")
    typer.echo(f"  model-gates run{chosen}")


def demo(
    out: Annotated[Path, typer.Option(help="Folder to play in.")] = Path("demo-out"),
) -> None:
    """Play the main job on real data: a candidate that is blocked, and one that passes."""
    from gates.demo.story import play

    raise typer.Exit(play(out, typer.echo))
