"""What is closed and what is open, decided from what a repository says of itself: pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gates.protection.codeowners import owners
from gates.protection.rules import Rule
from gates.protection.ruleset import ACTIONS_APP, CHECK, OWNERS_FILE

_INIT = "`model-gates init --github` prints a ruleset that does."
_ADMIN = "(Only an administrator's token is told.)"
_LAX_APPROVAL = "first_time_contributors_new_to_github"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read of a repository; what could not be read is None.

    `rules` are those that hold for the branch; `policy` are the files that say what a candidate is
    held to; `workflows` their texts by path, of those that are there.
    """

    branch: str
    rules: tuple[Rule, ...]
    policy: tuple[str, ...]
    expected: tuple[str, ...]
    workflows: Mapping[str, str]
    owners: str | None = None
    owner_errors: int = 0
    token: str | None = None
    token_approves: bool | None = None
    fork_approval: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that has to be so; `closed` is None where it could not be read.

    One that is not `needed` is told and does not count.
    """

    what: str
    closed: bool | None
    to_do: str
    needed: bool = True

    @property
    def is_open(self) -> bool:
        """Return whether somebody has to do something: what cannot be seen is not closed."""
        return self.needed and self.closed is not True


def diagnosed(facts: Facts) -> tuple[Finding, ...]:
    """Return everything that has to be so, in the order in which to mend it."""
    return (
        *_files(facts),
        *_checks(facts),
        *_reviews(facts),
        _bypassed(facts),
        *_owned(facts),
        *_actions(facts),
    )


def _files(facts: Facts) -> Iterator[Finding]:
    for path in facts.expected:
        yield Finding(
            what=f"{path} is on {facts.branch}",
            closed=path in facts.workflows,
            to_do="`model-gates init --github` writes it: commit and merge it.",
        )
    named = any(CHECK in text for text in facts.workflows.values())
    yield Finding(
        what=f"a workflow has the job `{CHECK}`",
        closed=named,
        to_do="A skipped job is green to a required check: take over an example's job `required`.",
    )


def _checks(facts: Facts) -> Iterator[Finding]:
    found = [
        check
        for parameters in _rules(facts, "required_status_checks")
        for check in _ours(parameters)
    ]
    yield Finding(
        what=f"the check `{CHECK}` is required",
        closed=bool(found),
        to_do=f"Require it for {facts.branch}. {_INIT}",
    )
    yield Finding(
        what="only GitHub Actions can report it",
        closed=any(check.get("integration_id") == ACTIONS_APP for check in found),
        to_do=f"Pin the check to its source, integration_id {ACTIONS_APP}: else any app can report "
        "it, and anyone who may set a commit status.",
    )


def _reviews(facts: Facts) -> Iterator[Finding]:
    rules = _rules(facts, "pull_request")
    yield Finding(
        what="every change comes by a pull request",
        closed=bool(rules),
        to_do=f"Require a pull request before merging. {_INIT}",
    )
    yield Finding(
        what="code owners have to approve",
        closed=any(rule.get("require_code_owner_review") is True for rule in rules),
        to_do="Require review from code owners.",
    )
    yield Finding(
        what="an approval is for what was seen",
        closed=any(
            rule.get("dismiss_stale_reviews_on_push") is True
            or rule.get("require_last_push_approval") is True
            for rule in rules
        ),
        to_do="Dismiss stale approvals when new commits are pushed.",
    )
    yield Finding(
        what="history is not rewritten",
        closed=bool(_rules(facts, "non_fast_forward")),
        to_do="Block force pushes.",
    )


def _bypassed(facts: Facts) -> Finding:
    """Hold what blocks a merge to being for everybody: a rule that some may bypass is their choice.

    Where two rules ask for the same, the one that nobody may bypass is enough.
    """
    checks = [rule for rule in facts.rules if any(_ours(rule.parameters))]
    reviews = [rule for rule in facts.rules if rule.kind == "pull_request"]
    loose = [
        rule
        for rules in (checks, reviews)
        if not any(rule.bypass == () for rule in rules)
        for rule in rules
    ]
    known = dict.fromkeys(name for rule in loose for name in rule.bypass or ())
    who = f"Now these may: {', '.join(known)}." if known else "Who may is told to who may write it."
    return Finding(
        what="nobody may bypass the check or the review",
        closed=not loose if known or not loose else None,
        to_do=f"Empty the bypass list; under classic protection, hold administrators to it. {who}",
        needed=bool(checks or reviews),
    )


def _owned(facts: Facts) -> Iterator[Finding]:
    if facts.owners is None:
        yield Finding(
            what="the policy's files have owners",
            closed=False,
            to_do=f"Write {OWNERS_FILE}; `model-gates init --github` prints its lines.",
        )
        return
    for path in facts.policy:
        yield Finding(
            what=f"{path} has an owner",
            # Of a folder, it is about what would be in it.
            closed=bool(owners(facts.owners, f"{path}_" if path.endswith("/") else path)),
            to_do=f"Give it one at the end of CODEOWNERS: `/{path} @your-org/ml-leads`.",
        )
    yield Finding(
        what="CODEOWNERS has no error",
        closed=facts.owner_errors == 0,
        to_do="A line with an error owns nothing: GitHub shows them on the file's page.",
    )


def _actions(facts: Facts) -> Iterator[Finding]:
    yield Finding(
        what="a job's token may only read, unless it says more",
        closed=None if facts.token is None else facts.token == "read",  # noqa: S105
        to_do=f"Settings, Actions, General, Workflow permissions: read. {_ADMIN}",
    )
    yield Finding(
        what="no workflow approves pull requests",
        closed=None if facts.token_approves is None else not facts.token_approves,
        to_do="The same page: do not allow GitHub Actions to create and approve pull requests.",
    )
    strict = None if facts.fork_approval is None else facts.fork_approval != _LAX_APPROVAL
    yield Finding(
        what="somebody looks before a stranger's workflow runs",
        closed=strict,
        to_do="The same page: approval for all who contribute for the first time, at least.",
        needed=strict is not None,
    )


def _rules(facts: Facts, kind: str) -> list[Mapping[str, Any]]:
    return [rule.parameters for rule in facts.rules if rule.kind == kind]


def _ours(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the required checks of a rule that are ours."""
    found = parameters.get("required_status_checks", ())
    return [check for check in found if check.get("context") == CHECK]
