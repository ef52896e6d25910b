"""Decide whether an evidence record lets a deploy put an artifact in place. Pure, and light.

Everything is asked of the record and of what the deploy knows by itself: the bytes in its hands,
the policy that is required now, where it trusts runs to come from. No answer is an answer of no.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gates.attestation import Facts, Origin, Statement

# Runs on code that is on a protected branch, or that the merge queue is about to put there.
TRUSTED: Final = ("push", "merge_group", "workflow_dispatch", "schedule")
# What a run outside of GitHub Actions counts as.
LOCAL: Final = "local"
MAX_AGE: Final = timedelta(days=7)
# How far the clocks of two machines may be apart.
_SKEW = timedelta(minutes=5)
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """What is to be deployed, and what a record has to say for that; None asks nothing.

    `rollback` puts back what has served before: an old record and an older policy will do.
    `strict` takes no warning, no waiver and no check that was skipped.
    """

    digest: str
    model: str | None = None
    report: str | None = None
    policy: str | None = None
    repository: str | None = None
    ref: str | None = None
    workflow: str | None = None
    commit: str | None = None
    events: tuple[str, ...] = TRUSTED
    max_age: timedelta = MAX_AGE
    rollback: bool = False
    strict: bool = False


def objections(record: Statement, deploy: Deploy, now: datetime) -> list[str]:
    """Return every reason why the record does not authorise the deploy; none when it does."""
    facts = record.predicate.facts
    return [
        *_to_the_artifact(record, deploy),
        *_to_the_result(record, deploy),
        *_to_the_place(facts, deploy),
        *_to_the_event(facts.origin, deploy),
        *_to_the_policy(record, deploy),
        *_to_the_age(facts, deploy, now),
        *_to_the_report(record, deploy),
    ]


def judged_as(record: Statement, deploy: Deploy) -> list[str]:
    """Return the models whose artifact is the one that is to be deployed."""
    named = {deploy.model} if deploy.model is not None else set(record.artifacts)
    return [
        model
        for model, digest in record.artifacts.items()
        if model in named and digest == deploy.digest
    ]


def event_of(origin: Origin | None) -> str:
    """Return what started the run."""
    return LOCAL if origin is None else origin.event


def _to_the_artifact(record: Statement, deploy: Deploy) -> Iterator[str]:
    if judged_as(record, deploy):
        return
    held = record.artifacts
    if deploy.model is not None:
        held = {model: digest for model, digest in held.items() if model == deploy.model}
    if not held:
        of = f" of the model `{deploy.model}`" if deploy.model is not None else ""
        yield f"it holds no artifact{of}: a run notes down the file that `candidate.artifact` names"
        return
    known = ", ".join(f"{short(digest)} ({model})" for model, digest in held.items())
    yield f"the artifact is {short(deploy.digest)}, and what was judged is {known}"


def _to_the_result(record: Statement, deploy: Deploy) -> Iterator[str]:
    predicate, facts = record.predicate, record.predicate.facts
    failed = predicate.failed_tests
    if facts.error is not None:
        kind, code = facts.error.kind, facts.error.exit_code
        yield f"the run ended in an error (`{kind}`, exit code {code}) and decided nothing"
    elif predicate.result == "FAILED" or facts.blocked or facts.verdict is None or failed:
        first = f": {facts.counts.failed} failed, `{failed[0]}` first" if failed else ""
        yield f"the candidate was blocked{first}"
    if facts.gates:
        yield f"only some of the gates were run: {', '.join(facts.gates)}"
    if deploy.strict and predicate.result == "WARNED":
        yield "not every check passed, and --strict takes no warning, waiver or skipped check"


def _to_the_place(facts: Facts, deploy: Deploy) -> Iterator[str]:
    repository, branch, workflow = _place(facts.origin)
    if deploy.repository is not None and _folded(repository) != _folded(deploy.repository):
        yield f"it comes from {_told('repository', repository)}, not {deploy.repository}"
    if deploy.ref is not None and branch != deploy.ref:
        yield f"it comes from {_told('branch', branch)}, not {deploy.ref}"
    if deploy.workflow is not None and workflow != deploy.workflow:
        yield f"it comes from {_told('workflow', workflow)}, not {deploy.workflow}"
    if deploy.commit is not None and facts.commit != deploy.commit:
        yield f"it judged {_told('commit', facts.commit)}, not {deploy.commit}"


def _to_the_event(origin: Origin | None, deploy: Deploy) -> Iterator[str]:
    event = event_of(origin)
    if event not in deploy.events:
        where = "outside of GitHub Actions" if event == LOCAL else f"on `{event}`"
        yield f"it was run {where}; only {', '.join(deploy.events)} can authorise a deploy"
    if origin is not None and origin.fork:
        yield "it was run on a fork's code"
    if event == "merge_group" and deploy.commit is None:
        yield "what a merge queue judged may never have been merged: say with --commit what was"


def _to_the_policy(record: Statement, deploy: Deploy) -> Iterator[str]:
    policy, origin = record.policy, record.predicate.facts.origin
    if policy is None:
        yield "it names no policy"
        return
    digest = f"sha256:{policy.digest.get('sha256')}"
    if deploy.policy is not None and not deploy.rollback and digest != deploy.policy:
        now = f"the one that is required now is {short(deploy.policy)}"
        yield f"it was held to another policy: {short(digest)}, where {now}"
    source = (policy.annotations or {}).get("source")
    # Elsewhere the policy of a working tree is one that the change itself brought along.
    trusted = event_of(origin) in (*TRUSTED, LOCAL)
    if source != "base" and not (source == "worktree" and trusted):
        yield f"its policy comes from `{source}`, which nobody has approved"


def _to_the_age(facts: Facts, deploy: Deploy, now: datetime) -> Iterator[str]:
    try:
        age = now - datetime.fromisoformat(facts.started)
    except (ValueError, TypeError):
        yield "it does not say when it was made"
        return
    if age < -_SKEW:
        yield f"it was made in the future, at {facts.started}"
    elif age > deploy.max_age + _SKEW and not deploy.rollback:
        yield f"it has expired: made {_days(age)} ago, and good for {_days(deploy.max_age)}"


def _to_the_report(record: Statement, deploy: Deploy) -> Iterator[str]:
    if deploy.report is not None and deploy.report != record.report:
        yield f"report.json is {short(deploy.report)}, and it tells of {short(record.report)}"


def _place(origin: Origin | None) -> tuple[str | None, str | None, str | None]:
    """Return the repository, the branch that it is about, and the workflow."""
    if origin is None:
        return None, None, None
    return origin.repository, origin.target or origin.ref, origin.workflow_file


def _told(what: str, found: str | None) -> str:
    return f"no known {what}" if found is None else f"the {what} {found}"


def _folded(name: str | None) -> str | None:
    """Return a repository's name as GitHub compares it."""
    return name and name.casefold()


def short(digest: str | None) -> str:
    """Return a digest with as many digits as tell it from another."""
    algorithm, _, digits = (digest or "").partition(":")
    return f"{algorithm}:{digits[:_SHOWN]}" if digits else "none"


def _days(time: timedelta) -> str:
    hours = time // timedelta(hours=1)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"
