"""`baseline …`: register, list, show, point aliases, verify."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.errors import ConfigError, Refused
from gates.fields import bounded
from gates.yaml_source import suggestion

if TYPE_CHECKING:
    from gates.baselines.local import Store
    from gates.config import Config
    from gates.record import Content, Record

baseline_app = typer.Typer(
    help="Registered baselines: versions of a model that candidates are held against.",
    no_args_is_help=True,
)

ModelOption = Annotated[
    str | None, typer.Option(help="Which model; may be left out when there is one.")
]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
DEFAULT = Path("model-gates.yml")


@baseline_app.command()
def register(
    ctx: typer.Context,
    predictions: Annotated[
        Path, typer.Option(help="The model's predictions on the evaluation set.")
    ],
    model: ModelOption = None,
    alias: Annotated[str | None, typer.Option(help="Alias to point at the new version.")] = None,
    artifact: Annotated[
        Path | None, typer.Option(help="The model's file or folder, to keep its digest.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who registers it.")] = None,
    config: ConfigOption = DEFAULT,
    github: Annotated[
        bool, typer.Option("--github", help="Write step outputs; the default branch alone may.")
    ] = False,
) -> None:
    """Register predictions as a new version of a model's baseline."""
    from gates.evidence import Source
    from gates.git import head
    from gates.register import Candidate, register

    if github:
        _check_branch(ctx.obj.environ)
    settings, name, store = _open(config, model)
    options = settings.models[name].candidate
    new = Candidate(
        predictions=Source(path=predictions, columns=options.columns, threshold=options.threshold),
        artifact=artifact,
        alias=alias,
        by=by or _who(ctx.obj.environ),
        at=_now(),
        git_sha=ctx.obj.environ.get("GITHUB_SHA") or head(config.parent),
    )
    record = register(settings, name, store, config.parent, new)
    at = f", {alias} → v{record.version}" if alias else ""
    typer.echo(f"{name}: registered v{record.version} ({record.digest[:19]}){at}")
    if github:
        from gates.github.commands import write_outputs

        told = {"version": str(record.version), "digest": record.digest}
        write_outputs(ctx.obj.environ, told)


def _check_branch(environ: dict[str, str]) -> None:
    """Refuse to let what nobody has merged become what others are held against."""
    from gates.github.context import on_default_branch

    if not on_default_branch(environ):
        event, ref = (bounded(environ.get(f"GITHUB_{key}", "?")) for key in ("EVENT_NAME", "REF"))
        raise Refused(
            "a baseline is registered on the default branch, after the merge",
            where=f"event {event}, {ref}",
            hint="Run it on `push` to the default branch: workflows-examples/push-main.yml.",
        )


@baseline_app.command("list")
def list_versions(
    model: ModelOption = None,
    config: ConfigOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the registered versions and the aliases that point at them."""
    _, name, store = _open(config, model)
    records, aliases = store.versions(), store.aliases()
    asked = {data: len(answers) for data, answers in store.ledger.evaluations().items()}
    if as_json:
        listed = [json.loads(record.model_dump_json()) for record in records]
        found = {"model": name, "aliases": aliases, "versions": listed, "asked": asked}
        typer.echo(json.dumps(found, indent=1))
        return
    if not records:
        typer.echo(f"{name}: nothing is registered yet")
    for record in records:
        names = ", ".join(alias for alias, version in aliases.items() if version == record.version)
        typer.echo(_line(record) + (f"  ← {names}" if names else ""))
    for data, times in asked.items():
        candidates = "1 candidate" if times == 1 else f"{times:,} candidates"
        typer.echo(f"ledger: the evaluation set {data[:19]} has answered for {candidates}")


@baseline_app.command()
def show(
    ref: Annotated[str, typer.Argument(help="An alias, a version such as v3, or a digest.")],
    model: ModelOption = None,
    config: ConfigOption = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole record.")] = False,
) -> None:
    """Show one registered version: what it is, on what data, and its metrics."""
    _, _, store = _open(config, model)
    record = store.find(ref).record
    if as_json:
        typer.echo(record.model_dump_json(indent=1))
        return
    content = record.content
    typer.echo(_line(record))
    typer.echo(f"  task         {content.task.value}, label {content.label}")
    typer.echo(f"  data         {content.evaluation.rows:,} rows, {content.evaluation.digest[:19]}")
    typer.echo(f"  predictions  {_kept(content)}")
    typer.echo(f"  registered   by {record.registered.by} with {record.registered.tool}")
    for metric, fact in content.metrics.items():
        error = "" if fact.se is None else f" ± {fact.se:.4f} (standard error)"
        typer.echo(f"  {metric:22} {fact.value:.4f}{error}")


@baseline_app.command()
def alias(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The alias, such as champion.")],
    ref: Annotated[str, typer.Argument(help="What it is to point at: an alias, version, digest.")],
    model: ModelOption = None,
    by: Annotated[str | None, typer.Option(help="Who moves it.")] = None,
    config: ConfigOption = DEFAULT,
) -> None:
    """Point an alias at a version; every move is logged and can be taken back."""
    _, _, store = _open(config, model)
    move = store.point(name, ref, by=by or _who(ctx.obj.environ), at=_now())
    before = f"v{move.previous}" if move.previous else "nothing"
    typer.echo(f"{move.alias}: {before} → v{move.version}")


@baseline_app.command()
def verify(model: ModelOption = None, config: ConfigOption = DEFAULT) -> None:
    """Check that no registered version was changed since; exit with 5 if one was."""
    _, name, store = _open(config, model)
    problems = store.verify()
    if problems:
        raise Refused(
            f"{len(problems)} problem(s) in the registered baselines of {name}",
            where=str(store.folder),
            hint="Restore the folder from version control, or register the baseline again.",
            details=tuple(problems),
        )
    typer.echo(f"{name}: {len(store.versions())} version(s), all sound")


def _open(path: Path, model: str | None) -> tuple[Config, str, Store]:
    from gates.config import load

    config, source = load(path)
    name = model or next(iter(config.models))
    if name not in config.models:
        raise ConfigError(
            f"there is no model `{name}`",
            where=source.path,
            hint=suggestion(name, config.models) or f"There are: {', '.join(config.models)}.",
        )
    if model is None and len(config.models) > 1:
        raise ConfigError(
            "several models are configured",
            where=source.path,
            hint=f"Say which with `--model`: {', '.join(config.models)}.",
        )
    return config, name, config.models[name].baseline.open(name, path.parent)


def _kept(content: Content) -> str:
    if content.sketch is None:
        return content.kept.digest[:19]
    sketch = content.sketch
    return f"not kept; {sketch.entries:,} sums over blocks of rows, {sketch.digest[:19]}"


def _line(record: Record) -> str:
    sha = f", commit {record.registered.git_sha[:12]}" if record.registered.git_sha else ""
    rows = record.content.evaluation.rows
    return f"v{record.version}  {record.digest[:19]}  {record.registered.at}  {rows:,} rows{sha}"


def _who(environ: dict[str, str]) -> str:
    names = (environ.get(name) for name in ("GITHUB_ACTOR", "USER", "USERNAME", "LOGNAME"))
    return next((name for name in names if name), "unknown")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
