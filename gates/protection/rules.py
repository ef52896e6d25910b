"""The rules that hold for a branch, set by rulesets or by classic protection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gates.github.repository import Protection, Repository

_ADMINISTRATORS = "administrators (classic protection is not enforced for them)"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule with its parameters, as rulesets name both, and who may go around it.

    `bypass` is None where that could not be read.
    """

    kind: str
    parameters: Mapping[str, Any]
    bypass: tuple[str, ...] | None = ()


def rules_of(repository: Repository, branch: str) -> tuple[Rule, ...]:
    """Return the rules that hold for a branch, as the API tells them."""
    found = tuple(repository.rules(branch))
    bypass = {
        number: repository.ruleset_bypass(number)
        for number in {rule.ruleset_id for rule in found}
        if number is not None
    }
    listed = (
        Rule(
            kind=rule.type,
            parameters=rule.parameters,
            bypass=None if rule.ruleset_id is None else bypass[rule.ruleset_id],
        )
        for rule in found
    )
    return (*listed, *classic(repository.protection(branch)))


def classic(protection: Protection | None) -> Iterator[Rule]:
    """Yield what a classic protection holds a branch to, in the words of rulesets."""
    if protection is None:
        return
    admins = () if protection.enforce_admins.enabled else (_ADMINISTRATORS,)
    if not protection.allow_force_pushes.enabled:
        yield Rule(kind="non_fast_forward", parameters={}, bypass=admins)
    if (checks := protection.required_status_checks) is not None:
        listed = [{"context": c.context, "integration_id": c.app_id} for c in checks.checks]
        yield Rule(
            kind="required_status_checks",
            parameters={"required_status_checks": listed},
            bypass=admins,
        )
    if (reviews := protection.required_pull_request_reviews) is not None:
        allowed = reviews.bypass_pull_request_allowances
        yield Rule(
            kind="pull_request",
            parameters={
                "require_code_owner_review": reviews.require_code_owner_reviews,
                "dismiss_stale_reviews_on_push": reviews.dismiss_stale_reviews,
                "require_last_push_approval": reviews.require_last_push_approval,
            },
            bypass=(
                *admins,
                *_named("user", allowed.users, "login"),
                *_named("team", allowed.teams, "slug"),
                *_named("app", allowed.apps, "slug"),
            ),
        )


def _named(what: str, found: Iterable[Mapping[str, Any]], key: str) -> Iterator[str]:
    return (f"{what} {one.get(key, '?')}" for one in found)
