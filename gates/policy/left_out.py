"""Which models a run may have left out, and what is said of one that is missing: pure."""

from __future__ import annotations

from collections.abc import Collection

from gates.fields import bounded
from gates.policy.rules import Rules
from gates.report import ErrorInfo, Report, RunInfo, Selection

_ALL = "Run every gate of the base commit's configuration on the pull request."
_SOME = "Judge every model that the pull request is about (`--changed-since` does)."
_MANY = "Judge all models, without `--changed-since`, where a pull request changes so much."


def selection_of(
    report: Report, rules: Rules, run: RunInfo, needed: Collection[str] | None
) -> Selection | None:
    """Return which models are missing and may be: those that neither run nor GitHub asks for.

    `needed` are the models that the change is about, as GitHub tells it; None where it does not.
    """
    if report.selection is None or needed is None:
        return None
    there = {model.model for model in report.models}
    may = [name for name in rules.config.models if name not in needed and name not in there]
    left_out = tuple(name for name in map(bounded, may) if name in report.selection.left_out)
    return Selection(since=run.git.base_sha or "", left_out=left_out)


def missing_model(report: Report, needed: Collection[str] | None) -> ErrorInfo:
    """Return the error of a model that is not in the report and has to be."""
    if report.selection is None:
        return missing("model")
    if needed is None:
        told = "The run has left this model out, and GitHub does not list all that has changed."
        return _refusal(told, _MANY)
    return _refusal("The run has left this model out, and the pull request is about it.", _SOME)


def missing(what: str) -> ErrorInfo:
    """Return the error of a model or a gate that the rules declare and the report has not."""
    return _refusal(f"This {what} is declared by the rules, and is not in the report.", _ALL)


def _refusal(message: str, hint: str) -> ErrorInfo:
    return ErrorInfo(kind="refused", exit_code=5, message=message, hint=hint)
