"""`verify-evidence`, and the record that `run` leaves for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gates.cli.durations import seconds
from gates.errors import ConfigError, InputError, Refused

if TYPE_CHECKING:
    from gates.attestation import Statement
    from gates.authorise import Deploy
    from gates.report import Report

_DIGEST = re.compile(r"(?:sha256|modelGatesFolderV1):[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_EXAMPLES = {"--ref": "refs/heads/main", "--digest": "sha256:…", "--commit": "all 40 hex digits"}


RecordOption = Annotated[Path, typer.Option(help="The evidence.json of the run that judged it.")]
ArtifactOption = Annotated[
    Path | None, typer.Option(help="The file or folder that is to be deployed.")
]
DigestOption = Annotated[
    str | None, typer.Option(help="In place of the file: its digest, or an image's.")
]
ModelOption = Annotated[str | None, typer.Option(help="Which model it must be; may be left out.")]
ReportOption = Annotated[
    Path | None, typer.Option(help="The report.json that the record must belong to.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The policy that is required now.")
]
RepositoryOption = Annotated[
    str | None, typer.Option(help="owner/name; in GitHub Actions, the job's own.")
]
RefOption = Annotated[
    str | None,
    typer.Option(help="Such as refs/heads/main; in GitHub Actions, the default branch."),
]
WorkflowOption = Annotated[
    str | None, typer.Option(help="Such as .github/workflows/push-main.yml.")
]
CommitOption = Annotated[str | None, typer.Option(help="The commit that must have been judged.")]
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Which runs count; may be repeated (push, merge_group, workflow_dispatch and "
        "schedule; `local` is a run outside of GitHub Actions)."
    ),
]
AgeOption = Annotated[str, typer.Option(help="How old a record may be, such as 12h or 7d.")]
RollbackOption = Annotated[
    bool, typer.Option("--rollback", help="Take an old record, and one of an older policy.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Take no warning, waiver or skipped check.")
]
PredicateOption = Annotated[
    Path | None, typer.Option(help="When the record holds, write its predicate here, to sign.")
]


def verify_evidence(
    ctx: typer.Context,
    record: RecordOption,
    artifact: ArtifactOption = None,
    digest: DigestOption = None,
    model: ModelOption = None,
    report: ReportOption = None,
    config: ConfigOption = None,
    repository: RepositoryOption = None,
    ref: RefOption = None,
    workflow: WorkflowOption = None,
    commit: CommitOption = None,
    event: EventOption = None,
    max_age: AgeOption = "7d",
    rollback: RollbackOption = False,
    strict: StrictOption = False,
    predicate: PredicateOption = None,
) -> None:
    """Exit with 0 if a record authorises the deploy of an artifact, and with 5 if not."""
    from gates.atomic import write_atomic
    from gates.attestation import bare_predicate
    from gates.authorise import TRUSTED, Deploy, objections
    from gates.digest import sha256
    from gates.github.context import default_branch, in_actions
    from gates.yaml_source import load
    from reporters.render.escape import plain

    environ = ctx.obj.environ
    here = environ if in_actions(environ) else {}
    deploy = Deploy(
        digest=_digest(artifact, digest),
        model=model,
        report=None if report is None else sha256(report),
        policy=None if config is None else load(config).digest,
        repository=repository or here.get("GITHUB_REPOSITORY"),
        ref=_matching("--ref", re.compile(r"refs/\S+"), ref) or default_branch(here),
        workflow=workflow,
        commit=_matching("--commit", _COMMIT, commit),
        events=tuple(event or TRUSTED),
        max_age=timedelta(seconds=seconds(max_age, "hd", "--max-age")),
        rollback=rollback,
        strict=strict,
    )
    found = read_record(record)
    reasons = objections(found, deploy, ctx.obj.now())
    if reasons:
        raise Refused(
            "this record does not authorise the deploy",
            where=str(record),
            hint="Let the gates judge what is to be deployed, on the protected branch, and deploy "
            "it with the record of that run.",
            details=tuple(plain(reason) for reason in reasons),
        )
    if predicate is not None:
        write_atomic(predicate, bare_predicate(found))
    _tell(found, deploy)


def discard_evidence(out: Path) -> None:
    """Remove the record of an earlier run: one that is killed leaves none."""
    from gates.attestation import FILE

    with suppress(FileNotFoundError, NotADirectoryError):
        (out / FILE).unlink()


def write_evidence(
    environ: Mapping[str, str], report: Report, out: Path, gates: tuple[str, ...]
) -> None:
    """Write the evidence record of a run beside its report."""
    from gates.atomic import write_atomic
    from gates.attestation import FILE, record
    from gates.github.context import origin
    from gates.report import dump

    write_atomic(out / FILE, record(report, dump(report), origin=origin(environ), gates=gates))


def read_record(path: Path) -> Statement:
    """Return the record in a file. Raises InputError, or Refused where it was changed."""
    from gates.attestation import MAX_BYTES, read

    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read the record: {error.strerror}", where=str(path)) from error
    if len(raw) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES:,} bytes: not a record", where=str(path))
    try:
        return read(raw)
    except (InputError, Refused) as error:
        error.where = str(path)
        raise


def _digest(artifact: Path | None, digest: str | None) -> str:
    from gates.artifacts.manifest import manifest_of
    from gates.attestation import FOLDER

    if (artifact is None) is (digest is None):
        raise ConfigError(
            "say what is to be deployed: one file or folder, or one digest",
            where="--artifact",
            hint="`--artifact PATH`, or `--digest sha256:…` for what is no file here.",
        )
    if artifact is not None:
        manifest = manifest_of(artifact)
        digits = manifest.digest.removeprefix("sha256:")
        return manifest.digest if manifest.single else f"{FOLDER}:{digits}"
    return _matching("--digest", _DIGEST, digest) or ""


def _matching(option: str, pattern: re.Pattern[str], value: str | None) -> str | None:
    if value is None or pattern.fullmatch(value):
        return value
    raise ConfigError(f"expected {_EXAMPLES[option]}", where=option)


def _tell(record: Statement, deploy: Deploy) -> None:
    """Say in one line what holds, then what was waived, then what nobody asked for."""
    from gates.authorise import event_of, judged_as, short
    from reporters.render.escape import plain

    facts = record.predicate.facts
    counts, origin = facts.counts, facts.origin
    checks = ", ".join(
        f"{number:,} {what}"
        for what, number in (
            ("passed", counts.passed),
            ("warned", counts.warned - counts.waived),
            ("waived", counts.waived),
            ("skipped", counts.skipped),
        )
        if number > 0
    )
    where = [origin.repository, origin.target or origin.ref] if origin else []
    parts = (*where, event_of(origin), facts.started, record.predicate.url)
    place = ", ".join(part for part in parts if part)
    models = ", ".join(judged_as(record, deploy))
    typer.echo(plain(f"evidence holds for {models} {short(deploy.digest)}: {checks} ({place})"))
    for waiver in facts.waivers:
        typer.echo(plain(f"waived: {waiver}"))
    asked = {
        "--config": None if deploy.rollback else deploy.policy,
        "--report": deploy.report,
        "--repository": deploy.repository,
        "--ref": deploy.ref,
        "--workflow": deploy.workflow,
        "--commit": deploy.commit,
    }
    unasked = [option for option, value in asked.items() if value is None]
    if unasked:
        typer.echo(f"not asked for: {', '.join(unasked)}", err=True)
