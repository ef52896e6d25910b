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
CanaryOption = Annotated[
    Path | None, typer.Option(help="The deployments of a canary, such as model-gates.canary.yml.")
]


class Schema(StrEnum):
    """The files that have a schema."""

    CONFIG = "config"
    CANARY = "canary"
    REPORT = "report"
    EVIDENCE = "evidence"


def validate(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.")
    ] = DEFAULT,
    canary: CanaryOption = None,
) -> None:
    """Check a configuration without reading any data, or one of deployments, touching nothing.

    With `--canary` the gates' configuration is checked as well, where there is one: a deployment's
    model has to be in it.
    """
    if canary is None:
        _validate_gates(config)
        return
    _validate_canary(canary, config if config != DEFAULT or config.exists() else None)


def _validate_gates(config: Path) -> None:
    from gates.config import load

    found, source = load(config)
    typer.echo(f"{source.path}: valid, {len(found.models)} model(s)")
    for name, model in found.models.items():
        typer.echo(f"  {name}: {model.task.value}; gates: {', '.join(model.gates.configured())}")


def _validate_canary(canary: Path, policy: Path | None) -> None:
    from gates import config
    from gates.canary.settings import load

    found, source = load(canary)
    models = None if policy is None else config.load(policy)[0].models
    for name, one in found.deployments.items():
        if models is not None and one.model not in models:
            raise ConfigError(
                f"the model `{one.model}` is not configured in {policy}",
                where=f"{canary}: deployments.{name}.model",
                hint=f"There are: {', '.join(models)}.",
            )
    typer.echo(f"{source.path}: valid, {len(found.deployments)} deployment(s)")
    for name, one in found.deployments.items():
        shares = ", ".join(str(share) for share in one.steps)
        typer.echo(f"  {name}: {one.model} on {one.target_name}; steps: {shares} %")


def extras(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The configuration file.")
    ] = DEFAULT,
    model: Annotated[list[str] | None, typer.Option(help="For this model alone.")] = None,
    gate: Annotated[list[str] | None, typer.Option(help="For this gate alone.")] = None,
    canary: CanaryOption = None,
    targets_only: Annotated[
        bool,
        typer.Option(
            "--targets-only", help="Those of the deployments alone: enough to look, and to go back."
        ),
    ] = False,
) -> None:
    """Print the extras that a configuration needs, one a line: what an installer has to install."""
    from gates.extras import CORE

    # What sends traffic back is told before anything that a broken policy could stop.
    targets = () if canary is None else _of_targets(canary)
    for name in targets:
        typer.echo(name)
    if targets_only:
        for name in () if targets else (CORE,):
            typer.echo(name)
        return
    for name in _of_gates(ctx, config, tuple(model or ()), tuple(gate or ())):
        if not (targets and name == CORE):
            typer.echo(name)


def _of_targets(canary: Path) -> tuple[str, ...]:
    from gates.canary.settings import load

    return tuple(sorted({one.target_name for one in load(canary)[0].deployments.values()}))


def _of_gates(
    ctx: typer.Context, config: Path, models: tuple[str, ...], gates: tuple[str, ...]
) -> tuple[str, ...]:
    from gates.cli.rules import PolicyFrom, base_commit, rules_of
    from gates.config import select
    from gates.extras import needed

    # By the same rules as `run` will go by: on a pull request, those of the base commit.
    commit = base_commit(ctx.obj.environ, config, PolicyFrom.AUTO, None)
    with TemporaryDirectory(prefix="model-gates-") as folder:
        found = rules_of(config, commit, Path(folder), datetime.now(UTC).date()).config
    return needed(select(found, models, gates))


def schema(
    of: Annotated[Schema, typer.Argument(help="Which file's schema.")] = Schema.CONFIG,
    check: Annotated[
        bool, typer.Option("--check", help="Fail when the shipped schemas are out of date.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Write the shipped schemas anew (for contributors).")
    ] = False,
) -> None:
    """Print the JSON Schema of a configuration, a report.json or an evidence.json."""
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
    from gates.canary import settings

    found = {
        Schema.CONFIG: config.json_schema(),
        Schema.CANARY: settings.json_schema(),
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
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder to play in.")] = Path("demo-out"),
) -> None:
    """Play the main job on real data: a candidate that is blocked, and one that passes.

    Where there is a Docker engine and HAProxy, the one that passes is rolled out as well.
    """
    from gates.demo.rollouts import chapter
    from gates.demo.story import play

    # Told once is enough: a second Ctrl-C would keep what runs from being taken away.
    ctx.obj.stop.once = True
    raise typer.Exit(play(out, typer.echo, then=chapter(ctx.obj.environ)))
