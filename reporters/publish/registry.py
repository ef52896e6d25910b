"""The publishers, by the name that `--to` takes."""

from __future__ import annotations

from collections.abc import Callable

from gates.report import Report
from reporters.publish import (
    github_annotations,
    github_check,
    github_comment,
    github_status,
    gitlab,
)
from reporters.publish.place import Outcome, Place

PUBLISHERS: dict[str, Callable[[Report, Place], Outcome]] = {
    "github-annotations": github_annotations.publish,
    "github-check": github_check.publish,
    "github-comment": github_comment.publish,
    "github-status": github_status.publish,
    "gitlab-merge-request": gitlab.publish,
}

# What can be begun before there is a report.
BEGINNERS: dict[str, Callable[[Place], Outcome]] = {"github-check": github_check.announce}

# What stays as it is until the next report; where there is none, it is told so.
LASTING = frozenset({"github-check", "github-comment", "github-status", "gitlab-merge-request"})

# What is published through GitLab's API, from a job of GitLab CI.
ON_GITLAB = frozenset({"gitlab-merge-request"})
