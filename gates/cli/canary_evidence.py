"""What lets a candidate into a rollout: a record that holds for it, against what really serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gates.errors import InputError, Refused

if TYPE_CHECKING:
    from gates.attestation import Statement
    from gates.canary.preflight import Baseline
    from gates.canary.settings import Deployment
    from gates.canary.sight import Pinned


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be deployed, by which record, and under which policy."""

    settings: Deployment
    record: Path
    policy: Path
    candidate: Pinned
    stable: Pinned


def checked(asked: Asked, environ: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Return what a journal keeps of the evidence. Raises Refused with every reason there is."""
    from gates.cli.evidence import read_record
    from gates.digest import sha256
    from reporters.render.escape import plain

    statement = read_record(asked.record)
    reasons = [*_objections(asked, statement, environ, now), *_refusals(asked, statement)]
    if reasons:
        raise Refused(
            "this candidate may not be rolled out here",
            where=str(asked.record),
            hint="Let the gates judge it on the protected branch, against the baseline that "
            "serves, and roll it out with the record of that run.",
            details=tuple(plain(reason) for reason in reasons),
        )
    facts = statement.predicate.facts
    return {
        "record": sha256(asked.record),
        "made": facts.started,
        "commit": facts.commit or "",
        "url": statement.predicate.url or "",
    }


def judged_digest(held: str | None, candidate: Pinned) -> str:
    """Return the digest by which a candidate is asked for, as a record that holds `held` names it.

    An image is judged by its own, or by that of the model's file or folder in it. The place where
    it runs tells a folder's without the name of the algorithm, which is then the record's.
    """
    if held == candidate.digest or candidate.artifact is None:
        return candidate.digest
    digits = candidate.artifact.partition(":")[2]
    return held if held and held.partition(":")[2] == digits else candidate.artifact


def _objections(
    asked: Asked, statement: Statement, environ: Mapping[str, str], now: datetime
) -> list[str]:
    from gates.authorise import TRUSTED, Deploy, objections
    from gates.cli.durations import seconds
    from gates.github.context import default_branch, in_actions
    from gates.yaml_source import load

    here = environ if in_actions(environ) else {}
    held = statement.artifacts.get(asked.settings.model)
    candidate = asked.candidate
    deploy = Deploy(
        digest=judged_digest(held, candidate),
        model=asked.settings.model,
        policy=load(asked.policy).digest,
        repository=here.get("GITHUB_REPOSITORY"),
        ref=default_branch(here),
        events=TRUSTED if here else (*TRUSTED, "local"),
        max_age=timedelta(
            seconds=seconds(asked.settings.evidence.max_age, "hd", "evidence: max_age")
        ),
        strict=asked.settings.evidence.strict,
    )
    return objections(statement, deploy, now)


def _refusals(asked: Asked, statement: Statement) -> Iterator[str]:
    from gates.canary.preflight import refusals

    trusted = asked.settings.evidence.baseline == "trust"
    baseline = None if trusted else _baseline(asked, statement)
    return refusals(asked.candidate, asked.stable, baseline)


def _baseline(asked: Asked, statement: Statement) -> Baseline:
    from gates.attestation import BASELINE
    from gates.canary.preflight import Baseline
    from gates.config import load

    name = asked.settings.model
    config, _ = load(asked.policy)
    model = config.models.get(name)
    if model is None:
        raise InputError(
            f"the model `{name}` of the deployment is not configured",
            where=str(asked.policy),
            hint=f"There are: {', '.join(config.models)}.",
        )
    wanted = f"model/{name}/baseline"
    judged = next(
        (
            f"sha256:{one.digest[BASELINE]}"
            for one in statement.predicate.configuration
            if one.name == wanted and BASELINE in one.digest
        ),
        None,
    )
    alias = model.baseline.alias
    try:
        record = model.baseline.open(name, asked.policy.parent).find(alias).record
    except InputError:
        return Baseline(alias=alias, judged=judged, registered=None, artifact=None)
    return Baseline(
        alias=alias, judged=judged, registered=record.digest, artifact=record.content.artifact
    )
