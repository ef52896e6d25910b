"""What is open in a repository, one setting after the other."""

from dataclasses import replace

import pytest

from gates.github.repository import Protection
from gates.protection.diagnosis import Facts, diagnosed
from gates.protection.policy_files import policy_files
from gates.protection.rules import Rule, classic
from gates.protection.ruleset import CHECK, owned, ruleset
from gates.protection.workflows import workflows

CONFIG = b"""
version: 1
models:
  credit:
    task: binary
    data: {id: id, label: label}
    candidate: {predictions: p.csv}
    baseline: {store: baselines}
    gates: {data-schema: {suite: expectations/holdout.json}}
"""
RULES = {rule["type"]: rule.get("parameters", {}) for rule in ruleset()["rules"]}
FILES = {str(path): text for path, text in workflows().items()}
CLOSED = Facts(
    branch="main",
    rules=tuple(Rule(kind=kind, parameters=found) for kind, found in RULES.items()),
    policy=policy_files(CONFIG),
    expected=tuple(FILES),
    workflows=FILES,
    owners=owned(policy_files(CONFIG), "@lead"),
    token="read",  # noqa: S106
    token_approves=False,
    fork_approval="first_time_contributors",
)


def rules(kind, **changed):
    """Return the rules with one of them changed, or with `None` left out."""
    found = {name: parameters for name, parameters in RULES.items() if name != kind}
    if changed:
        found[kind] = {**RULES[kind], **changed}
    return {"rules": tuple(Rule(kind=kind, parameters=one) for kind, one in found.items())}


def bypassed(*who, kinds=tuple(RULES)):
    """Return the rules, of which those of some kinds may be bypassed; by `None`, nobody knows."""
    by = None if who == (None,) else who
    held = [(kind, found, by if kind in kinds else ()) for kind, found in RULES.items()]
    return {"rules": tuple(Rule(kind=k, parameters=p, bypass=b) for k, p, b in held)}


def check(**one):
    return rules("required_status_checks", required_status_checks=[one])


def test_what_init_prints_closes_everything():
    assert [finding.what for finding in diagnosed(CLOSED) if finding.is_open] == []


OPEN = [
    ({"workflows": {}}, {".github/workflows/model-gates.yml is on main", "-comment.yml is", "job"}),
    ({"workflows": dict.fromkeys(FILES, "jobs: {}")}, {f"job `{CHECK}`"}),
    (rules("required_status_checks"), {"is required", "only GitHub Actions"}),
    (check(context="other", integration_id=15368), {"is required", "only GitHub Actions"}),
    (check(context=CHECK), {"only GitHub Actions"}),
    (check(context=CHECK, integration_id=1), {"only GitHub Actions"}),
    (rules("pull_request"), {"by a pull request", "owners have to", "what was seen"}),
    (rules("pull_request", require_code_owner_review=False), {"owners have to"}),
    (
        rules(
            "pull_request", dismiss_stale_reviews_on_push=False, require_last_push_approval=False
        ),
        {"what was seen"},
    ),
    (rules("non_fast_forward"), {"history"}),
    (bypassed("Team 7 (always)"), {"bypass"}),
    (bypassed("Team 7 (always)", kinds=["pull_request"]), {"bypass"}),
    (bypassed("Team 7 (always)", kinds=["required_status_checks"]), {"bypass"}),
    (bypassed("Team 7 (always)", kinds=["deletion", "non_fast_forward"]), set()),
    (bypassed(None), {"bypass"}),
    ({"rules": (*bypassed("Team 7 (always)")["rules"], *CLOSED.rules)}, set()),
    ({"owners": None}, {"files have owners"}),
    (
        {"owners": "/.github/ @lead\n/model-gates.* @lead\n/.model-gates/ @lead"},
        {"holdout.json", "baselines/"},
    ),
    ({"owners": f"{CLOSED.owners}/model-gates.yml\n"}, {"model-gates.yml has an owner"}),
    ({"owner_errors": 2}, {"CODEOWNERS has no error"}),
    ({"token": "write"}, {"only read"}),
    ({"token": None}, {"only read"}),
    ({"token_approves": True}, {"approves"}),
    ({"token_approves": None}, {"approves"}),
    ({"fork_approval": "first_time_contributors_new_to_github"}, {"somebody looks"}),
    ({"fork_approval": None}, set()),
]


@pytest.mark.parametrize(("changed", "told"), OPEN, ids=range(len(OPEN)))
def test_what_is_open_is_told(changed, told):
    found = [finding.what for finding in diagnosed(replace(CLOSED, **changed)) if finding.is_open]
    assert len(found) == len(told)
    assert all(any(words in what for what in found) for words in told)


def test_every_open_thing_says_what_to_do():
    nothing = Facts(
        branch="main", rules=(), policy=CLOSED.policy, expected=CLOSED.expected, workflows={}
    )
    assert [
        finding for finding in diagnosed(nothing) if finding.is_open and not finding.to_do
    ] == []


def test_who_may_bypass_is_named_and_who_is_not_told_is_not_closed():
    def found(**changed):
        (one,) = (f for f in diagnosed(replace(CLOSED, **changed)) if "bypass" in f.what)
        return one.closed, one.to_do.partition("it. ")[2]

    assert found(**bypassed("Team 7 (always)", "DeployKey (always)")) == (
        False,
        "Now these may: Team 7 (always), DeployKey (always).",
    )
    assert found(**bypassed(None)) == (None, "Who may is told to who may write it.")


def protection(**changed):
    """Return a classic protection as the API tells it."""
    return Protection.model_validate(
        {
            "required_status_checks": {"checks": [{"context": CHECK, "app_id": 15368}]},
            "required_pull_request_reviews": {
                "require_code_owner_reviews": True,
                "dismiss_stale_reviews": True,
            },
            "enforce_admins": {"enabled": True},
            "allow_force_pushes": {"enabled": False},
            **changed,
        }
    )


CLASSIC = [
    ({}, set()),
    ({"enforce_admins": {"enabled": False}}, {"bypass"}),
    ({"allow_force_pushes": {"enabled": True}}, {"history"}),
    ({"required_status_checks": None}, {"is required", "only GitHub Actions"}),
    (
        {"required_status_checks": {"checks": [{"context": CHECK, "app_id": None}]}},
        {"only GitHub Actions"},
    ),
    ({"required_pull_request_reviews": None}, {"by a pull request", "owners", "what was seen"}),
    (
        {
            "required_pull_request_reviews": {
                "require_code_owner_reviews": False,
                "dismiss_stale_reviews": False,
            }
        },
        {"owners have to", "what was seen"},
    ),
    (
        {
            "required_pull_request_reviews": {
                "require_code_owner_reviews": True,
                "dismiss_stale_reviews": True,
                "bypass_pull_request_allowances": {"teams": [{"slug": "leads"}]},
            }
        },
        {"bypass"},
    ),
]


@pytest.mark.parametrize(("changed", "told"), CLASSIC, ids=range(len(CLASSIC)))
def test_classic_protection_counts_as_rulesets_do(changed, told):
    facts = replace(CLOSED, rules=tuple(classic(protection(**changed))))
    found = [finding.what for finding in diagnosed(facts) if finding.is_open]
    assert len(found) == len(told)
    assert all(any(words in what for what in found) for words in told)


def test_without_classic_protection_there_is_nothing_of_it():
    assert list(classic(None)) == []


def test_what_the_configuration_names_is_policy():
    assert policy_files(CONFIG, "ml/model-gates.yml")[:4] == (
        "ml/model-gates.yml",
        "ml/model-gates.waivers.yml",
        "ml/expectations/holdout.json",
        "ml/baselines/",
    )
