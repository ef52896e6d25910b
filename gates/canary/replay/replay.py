"""The same requests to both sides, before any user meets the canary.

The stable side and the canary are asked directly, past the router, with rows that were recorded or
held out. Whatever differs between two answers to one row differs because of the model, so a few
hundred rows tell more than days of traffic, and no traffic is needed.

`http://canary/predict ◀─┬─ row ─┬─▶ http://stable/predict`, either of them first in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, Strict, StrictInt, StrictStr, StringConstraints, model_validator

from gates.canary.headers import Headers, filled
from gates.canary.judgement import Finding, Judgement, together
from gates.canary.replay.paths import ValuePath, per_row
from gates.canary.sight import Endpoints
from gates.fields import Model
from gates.report import Verdict

if TYPE_CHECKING:
    from gates.report import Report

Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
# Hands two predictions files, the canary's and the stable side's, to whoever can judge them.
Judge = Callable[[Path, Path], "Report | None"]


class AtMost(Model):
    """A limit on a share of the rows."""

    max: Share = Field(description="At most this share of the rows.")


class Shift(Model):
    """A limit on how far scores move."""

    max: Positive = Field(description="At most this, on average over the rows, up or down.")


class Slower(Model):
    """A limit on the time that an answer takes."""

    max_ratio: Positive = Field(description="At most this many times the stable side's.")


class Failures(Model):
    """A limit on requests that the canary alone does not answer."""

    max: Annotated[StrictInt, Field(ge=0)] = Field(
        default=0, description="At most so many, where the stable side answered."
    )


class Replay(Model):
    """Recorded or held-out rows, sent to both sides; and how far the answers may differ.

    Every column is sent but the id and what is in `leave_out`; put the label there. Whole numbers,
    numbers and truth values are sent as JSON has them, dates as ISO text, missing values as null.
    """

    requests: StrictStr = Field(
        description="Table of rows to send: Parquet, CSV, JSON Lines or Arrow."
    )
    id: StrictStr = Field(description="Column that names a row.")
    rows: Annotated[StrictInt, Field(ge=1, le=100_000)] = Field(
        default=500, description="How many rows at most, chosen by a hash of the id."
    )
    seed: StrictInt = Field(default=7, ge=0, description="Another seed chooses other rows.")
    features: tuple[StrictStr, ...] | None = Field(
        default=None, description="Columns to send; else all but the id and `leave_out`."
    )
    leave_out: tuple[StrictStr, ...] = Field(
        default=(), description="Columns that are not sent, such as the label."
    )
    path: Annotated[str, Strict(), StringConstraints(pattern=r"^/[!-~]{0,499}$")] = Field(
        default="/predict", description="Where both sides answer."
    )
    body: Literal["row", "instances", "inputs"] = Field(
        default="row",
        description="row: one object; instances: KServe v1; inputs: v2, a tensor for each column.",
    )
    batch: Annotated[StrictInt, Field(ge=1, le=10_000)] = Field(
        default=1, description="Rows in one request (not for `body: row`)."
    )
    prediction: ValuePath = Field(
        default="prediction", description="Where the answer has it, as in `predictions.*.label`."
    )
    score: ValuePath | None = Field(
        default=None,
        description="Where the answer has the score: a number, one for each class by name, or a "
        "list of them in the order of `classes`.",
    )
    classes: tuple[StrictStr, ...] = Field(
        default=(), description="Names of the classes, where scores are a list."
    )
    headers: Headers = Field(default_factory=dict)
    timeout: Annotated[Positive, Field(le=300)] = Field(
        default=10.0, description="Seconds for one whole answer."
    )
    deadline: Annotated[Positive, Field(le=21_600)] = Field(
        default=600.0, description="Seconds for all of them."
    )
    concurrency: Annotated[StrictInt, Field(ge=1, le=64)] = Field(
        default=4, description="Rows (or batches) on their way at a time."
    )
    max_answer: Annotated[StrictInt, Field(ge=100, le=64 * 1024**2)] = Field(
        default=1024**2, description="Bytes that one answer may have."
    )
    min_rows: Annotated[StrictInt, Field(ge=1)] = Field(
        default=100, description="Rows that both must have answered, if the table has as many."
    )
    tolerance: Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="Numbers that differ by no more than this agree."
    )
    confidence: Annotated[float, Strict(), Field(ge=0.5, lt=1)] = Field(
        default=0.95, description="Level of every interval."
    )
    failures: Failures = Failures()
    disagreement: AtMost | None = Field(
        default=None, description="Limit on the share of rows that are predicted otherwise."
    )
    score_shift: Shift | None = Field(
        default=None, description="Limit on how far scores move (half the sum over classes)."
    )
    latency: Slower | None = Field(
        default=None, description="Limit on the ratio of times, as the geometric mean over rows."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        paths = [path for path in (self.prediction, self.score) if path is not None]
        if self.body == "row" and (self.batch != 1 or any(per_row(path) for path in paths)):
            raise ValueError("`body: row` sends one row: leave out `batch`, and `*` from the paths")
        if self.body != "row" and not all(per_row(path) for path in paths):
            raise ValueError(
                f"`body: {self.body}` sends many rows: say with `*` where each one's value "
                "is, such as `predictions.*`"
            )
        if self.score_shift is not None and self.score is None:
            raise ValueError("`score_shift` needs `score`: where an answer has it")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is named twice in `classes`")
        return self


@dataclass(frozen=True, kw_only=True)
class World:
    """What a replay has around it.

    `root` is where a relative `requests` begins, `out` the folder for both predictions files.
    `judge` is handed these; it returns None where they cannot be judged, as without labels. `tick`
    is called at least once a second meanwhile; what it raises ends the replay.
    """

    root: Path
    out: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    judge: Judge | None = None
    tick: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay found. No row's values or ids are in it, but for the two files."""

    judgement: Judgement
    candidate: Path | None = None
    baseline: Path | None = None
    report: Report | None = None

    @property
    def verdict(self) -> Verdict:
        """Return what the findings say together."""
        return self.judgement.verdict

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return one finding for each question."""
        return self.judgement.findings


def replay(endpoints: Endpoints, options: Replay, world: World) -> Replayed:
    """Send the same rows to both sides and return how the answers differ.

    Raises InputError for requests that cannot be used, ConfigError for a secret that is not there,
    and what `world.tick` raises. What either server does is never an error: it is what is found.
    """
    from gates.canary.replay.files import write_predictions
    from gates.canary.replay.findings import comparable, findings, of_report, unjudged
    from gates.canary.replay.rows import read_rows
    from gates.canary.replay.sending import send
    from gates.canary.replay.tally import tally

    headers = filled(options.headers, world.environ)
    rows = read_rows(options, world.root)
    counted = tally(options, rows, send(endpoints, options, rows, headers, world.tick))
    found = findings(options, counted)
    if not comparable(found):
        why = "There are no answers of one shape to enough rows: no gate judged them."
        return Replayed(judgement=together((*found, unjudged(why))))
    candidate, baseline = write_predictions(world.out, counted, rows)
    written = Replayed(judgement=together(found), candidate=candidate, baseline=baseline)
    if world.judge is None:
        return written
    report = world.judge(candidate, baseline)
    why = "The rows have no label: no gate judged the answers."
    last = unjudged(why) if report is None else of_report(report)
    return replace(written, judgement=together((*found, last)), report=report)
