"""The rules that a branch needs, as GitHub's API takes them, and who has to own what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# The job of the workflows that runs always, and is red unless there is a verdict.
CHECK = "model-gates-required"
# GitHub's own number for the app that reports what GitHub Actions ran.
ACTIONS_APP = 15368
OWNERS_FILE = ".github/CODEOWNERS"
OWNERS_PLACES = (OWNERS_FILE, "CODEOWNERS", "docs/CODEOWNERS")


def ruleset() -> dict[str, Any]:
    """Return the body of `POST /repos/{owner}/{repo}/rulesets`, for the default branch."""
    return {
        "name": "model-gates",
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": [],
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {
                "type": "pull_request",
                "parameters": {
                    "required_approving_review_count": 1,
                    "require_code_owner_review": True,
                    "dismiss_stale_reviews_on_push": True,
                    "require_last_push_approval": True,
                    "required_review_thread_resolution": False,
                },
            },
            {
                "type": "required_status_checks",
                "parameters": {
                    "strict_required_status_checks_policy": True,
                    "required_status_checks": [{"context": CHECK, "integration_id": ACTIONS_APP}],
                },
            },
        ],
    }


def owned(policy: Iterable[str], owner: str) -> str:
    """Return lines for CODEOWNERS; they go last, because there the last match counts."""
    paths = [*(path for path in policy if not path.startswith(".github/")), ".github/"]
    return "".join(f"/{path} {owner}\n" for path in paths)
