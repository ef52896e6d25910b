"""The second waist: what a run found, as frozen data. `report.json` is this and nothing else.

Enums, numbers and bounded strings only; never Markdown, never a row's value. Reporters read these
classes and nothing more. Importing this module loads nothing heavier than pydantic.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from gates.errors import EXIT_BLOCKED, EXIT_BUG, EXIT_OK, GatesError
from gates.fields import (
    MAX_TEXT,
    Count,
    Digest,
    Model,
    Name,
    Number,
    Place,
    Text,
    bounded,
    run_page,
)
from gates.picture import GroupRate, Portrait

SCHEMA_VERSION: Literal[1] = 1
MAX_BYTES = 8 * 1024 * 1024


class Verdict(StrEnum):
    """What a check, gate, model or run found; the order is from harmless to worst."""

    SKIPPED = "skipped"
    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Return the place in the order; the worst is the highest."""
        return list(Verdict).index(self)


class Effect(StrEnum):
    """What policy makes of a verdict."""

    NONE = "none"
    WARN = "warn"
    BLOCK = "block"


class Mode(StrEnum):
    """How a gate or a check acts on a verdict that is not a pass."""

    ENFORCE = "enforce"
    WARN = "warn"
    REPORT = "report"


class OnInconclusive(StrEnum):
    """What an undecided check counts as."""

    WARN = "warn"
    FAIL = "fail"


class Decide(StrEnum):
    """Whether the interval or the plain number is held against the limit."""

    INTERVAL = "interval"
    POINT = "point"


class Correction(StrEnum):
    """How the questions of a family are counted together."""

    HOLM = "holm"
    MAX_T = "max_t"


class Verb(StrEnum):
    """The kinds of limit; one per direction, so that nobody guesses a sign."""

    MIN = "min"
    MAX = "max"
    MAX_DROP = "max_drop"
    MAX_RISE = "max_rise"
    MAX_RATIO = "max_ratio"
    MAX_RISE_ANY_GROUP = "max_rise_any_group"
    MAX_DROP_ANY_GROUP = "max_drop_any_group"
    MAX_DROP_FROM_ANCHOR = "max_drop_from_anchor"
    MAX_RISE_FROM_ANCHOR = "max_rise_from_anchor"

    @property
    def needs_baseline(self) -> bool:
        """Return whether the limit is on a change rather than on the candidate alone."""
        return self not in (Verb.MIN, Verb.MAX)

    @property
    def is_floor(self) -> bool:
        """Return whether it is a smaller number that breaks the limit."""
        return self is Verb.MIN or self in _DROPS

    @property
    def needs_anchor(self) -> bool:
        """Return whether the change is from the anchor rather than from the baseline."""
        return self in (Verb.MAX_DROP_FROM_ANCHOR, Verb.MAX_RISE_FROM_ANCHOR)


_DROPS = frozenset({Verb.MAX_DROP, Verb.MAX_DROP_ANY_GROUP, Verb.MAX_DROP_FROM_ANCHOR})


class Task(StrEnum):
    """What kind of prediction the model makes."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Family(StrEnum):
    """Which questions are corrected together, per gate and model."""

    OVERALL = "overall"
    SLICES = "slices"
    INTERSECTIONS = "intersections"


class ErrorInfo(Model):
    """Why a run or a gate could not reach a verdict."""

    kind: Literal["config", "input", "environment", "refused", "bug"]
    exit_code: Literal[2, 3, 4, 5, 70]
    message: Text
    where: Text | None = None
    hint: Text | None = None
    details: tuple[Text, ...] = ()

    @classmethod
    def of(cls, error: GatesError) -> ErrorInfo:
        """Return the reportable form of an error."""
        return cls(
            kind=error.kind,  # type: ignore[arg-type]
            exit_code=error.exit_code,  # type: ignore[arg-type]
            message=bounded(error.message, MAX_TEXT),
            where=error.where and bounded(error.where, MAX_TEXT),
            hint=error.hint and bounded(error.hint, MAX_TEXT),
            details=tuple(bounded(line, MAX_TEXT) for line in error.details[:50]),
        )


class Check(Model):
    """One number held against one limit.

    A gate fills in what it measured; `gates.decide` fills in the verdict. Until it has, a check is
    an error that blocks: what was never decided can not be read as a pass.
    """

    id: Annotated[str, StringConstraints(max_length=600)]
    metric: Name
    slice: dict[Name, Name] | None = None
    sensitive: tuple[Name, ...] | None = None
    columns: tuple[Name, ...] | None = None
    baseline: Number | None = None
    candidate: Number | None = None
    delta: Number | None = None
    interval: tuple[Number, Number] | None = None
    interval_of: Literal["delta", "candidate"]
    confidence: Number
    method: Name
    n: Count
    # Of an undecided check: how many rows would decide it, and what limit these rows can decide.
    n_needed: Count | None = None
    smallest_limit: Number | None = None
    family: Family = Family.OVERALL
    p: Number | None = None
    # What replicates of the whole family say of p (max-T), where that correction is configured.
    p_joint: Number | None = None
    p_adjusted: Number | None = None
    limit: Annotated[dict[Verb, Number], Field(min_length=1, max_length=1)]
    decide: Decide = Decide.INTERVAL
    mode: Mode = Mode.ENFORCE
    on_inconclusive: OnInconclusive = OnInconclusive.WARN
    # Why there is no number to hold against the limit; with `skip` set, that was stated policy.
    problem: Text | None = None
    skip: bool = False
    verdict: Verdict = Verdict.ERROR
    effect: Effect = Effect.BLOCK
    reason: Text = "This check was never decided."
    waiver: Text | None = None

    @property
    def verb(self) -> Verb:
        """Return the kind of limit."""
        return next(iter(self.limit))

    @property
    def bound(self) -> float:
        """Return the number of the limit."""
        return next(iter(self.limit.values()))


class GateResult(Model):
    """What one gate found for one model."""

    gate: Name
    verdict: Verdict = Verdict.ERROR
    summary: Text = ""
    hint: Text | None = None
    checks: tuple[Check, ...] = ()
    groups: tuple[GroupRate, ...] = ()
    notes: tuple[Text, ...] = ()
    error: ErrorInfo | None = None


class CandidateInfo(Model):
    """What was judged: `ref` as the configuration names it, `artifact` the model's own files.

    Of a file the artifact's digest is that of its bytes, of a folder that of the list of its files.
    """

    ref: Name
    digest: Digest
    rows: Count
    artifact: Digest | None = None
    artifact_is_folder: bool = False


class DataInfo(Model):
    """The rows a model was judged on; `label_rate` is the share of positives, or the mean."""

    digest: Digest
    rows: Count
    columns: Count
    label_rate: Number | None = None


class BaselineInfo(Model):
    """A registered version it was held against: the baseline, or the anchor.

    `data` is what that version was judged on when it was registered, `slices` how many rows of it
    each slice had then.
    """

    ref: Name
    version: int
    digest: Digest
    registered_at: Name
    git_sha: Name | None = None
    data: DataInfo | None = None
    slices: dict[Place, Count] = Field(default_factory=dict)


class LedgerInfo(Model):
    """How many answers the evaluation set has given, and how much too kind that may make them."""

    asked: Count
    optimism: Number


class ModelReport(Model):
    """Everything found about one model; `comparison` says what was left of the baseline."""

    model: Name
    task: Task
    verdict: Verdict
    candidate: CandidateInfo | None = None
    baseline: BaselineInfo | None = None
    anchor: BaselineInfo | None = None
    comparison: Literal["paired", "sketch", "unpaired"] | None = None
    ledger: LedgerInfo | None = None
    portrait: Portrait = Portrait()
    data: dict[Name, DataInfo] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()
    gates: tuple[GateResult, ...] = ()
    error: ErrorInfo | None = None


class GitInfo(Model):
    """Where in history the run stood."""

    sha: Name | None = None
    base_sha: Name | None = None
    ref: Name | None = None


class CiInfo(Model):
    """Which CI ran it."""

    provider: Name
    url: Text | None = None

    @property
    def link(self) -> str | None:
        """Return the address of the run where a page may link to it."""
        return run_page(self.url)


class RunInfo(Model):
    """The only part of a report that may differ between two runs on the same input."""

    started: Name
    durations: dict[Name, Number] = Field(default_factory=dict)
    config: Text | None = None
    sources: dict[Name, Text] = Field(default_factory=dict)
    git: GitInfo = GitInfo()
    ci: CiInfo | None = None
    python: Name = ""
    platform: Name = ""


class PolicyInfo(Model):
    """Which rules the candidate was held to, and what it proposes to change in them.

    `bootstrap` is a change that brings the first rules there are: it is judged by its own, and
    blocked all the same unless the base commit allowed it to begin.
    """

    source: Literal["worktree", "base", "bootstrap"] = "worktree"
    digest: Digest
    bootstrap_allowed: bool = False
    changes: tuple[Text, ...] = ()

    @property
    def blocks(self) -> bool:
        """Return whether nothing that is judged by these rules may pass."""
        return self.source == "bootstrap" and not self.bootstrap_allowed


class Selection(Model):
    """Which models were left out, because nothing of theirs has changed since a commit."""

    since: Name
    left_out: tuple[Name, ...] = ()


class ToolInfo(Model):
    """Who wrote the report."""

    name: Name = "model-gates"
    version: Name


class Report(Model):
    """A whole run. Serialise with `dump`, read back with `load`."""

    schema_version: Literal[1] = Field(default=SCHEMA_VERSION, alias="schema")
    tool: ToolInfo
    verdict: Verdict | None = None
    blocked: bool
    error: ErrorInfo | None = None
    run: RunInfo
    models: tuple[ModelReport, ...] = ()
    policy: PolicyInfo | None = None
    waivers: tuple[Text, ...] = ()
    selection: Selection | None = None
    # The numbers are those of a run that nobody vouches for; all else was derived from them anew.
    claimed: bool = False

    @property
    def exit_code(self) -> int:
        """Return the process's exit code: an error outranks a verdict, a bug outranks all."""
        errors = [self.error] if self.error else []
        errors += [m.error for m in self.models if m.error]
        errors += [g.error for m in self.models for g in m.gates if g.error]
        codes = [error.exit_code for error in errors]
        if EXIT_BUG in codes:
            return EXIT_BUG
        if codes:
            return codes[0]
        return EXIT_BLOCKED if self.blocked else EXIT_OK


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the worst of several verdicts; of none, `error`: nothing was decided."""
    return max(verdicts, key=lambda v: v.rank) if verdicts else Verdict.ERROR


def dump(report: Report) -> bytes:
    """Return the canonical bytes of a report: same report, same bytes."""
    data = report.model_dump(mode="json", by_alias=True)
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load(raw: bytes) -> Report:
    """Return the report in `raw`, validated against this schema."""
    return Report.model_validate_json(raw, strict=True)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `report.json`."""
    schema = Report.model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
