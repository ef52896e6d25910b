"""What a registered baseline is: an immutable record, addressed by its content.

Stores (`gates.baselines`) keep and find records; evidence reads them. The digest covers everything
that decides a comparison; who registered it, when, and under which number it is kept do not.
"""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gates.fields import Count, Digest, Model, Name, Number, Place
from gates.report import Task

# What the id is called in every stored file of predictions.
ID = "id"

# Held against values of data, and so never rounded.
Exact = Annotated[float, Field(allow_inf_nan=False)]


class ColumnProfile(Model):
    """What one column of the evaluation data looked like: bounded, no single row's value."""

    kind: Name
    nulls: Count
    distinct: Count | None = None
    low: Number | None = None
    high: Number | None = None
    mean: Number | None = None
    values: tuple[Name, ...] | None = None


class Evaluated(Model):
    """The rows a baseline was judged on; `digest` is of the canonical content of `columns`."""

    digest: Digest
    rows: Count
    columns: tuple[str, ...]
    profile: dict[str, ColumnProfile] = Field(default_factory=dict)


class Predicted(Model):
    """The baseline's predictions: `digest` of their content, `sha256` of the stored file."""

    digest: Digest
    sha256: Digest
    rows: Count


class Sketched(Model):
    """What is kept where predictions may not be: sums over blocks of rows, about 20 rows to one.

    `by` is the column whose hash makes the blocks, `blocks` their number for the whole set.
    """

    digest: Digest
    sha256: Digest
    by: Name
    blocks: Count
    entries: Count


class Distribution(Model):
    """How a column's values were distributed, in bins or by category; null is no value.

    `counts` are of the bins (edges[i - 1], edges[i]] of numbers, the outer ones without an end; or
    of `categories`, and behind them of all that are too rare to be named. A bin has no fewer rows
    than `privacy.min_count`, or none, so that no edge tells of one row. `spread` is the mean
    distance of a row from its bin's mean, `design` how many rows are worth one independent row.
    """

    kind: Literal["numbers", "categories"]
    nulls: Count
    counts: tuple[Count, ...] = Field(min_length=1)
    design: float = Field(ge=1, allow_inf_nan=False)
    edges: tuple[Exact, ...] = ()
    means: tuple[Number | None, ...] = ()
    spread: Number = 0.0
    sd: Number | None = None
    categories: tuple[Name, ...] = ()

    @property
    def rows(self) -> int:
        """Return how many rows have a value."""
        return sum(self.counts)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        numbers = self.kind == "numbers"
        ends = len(self.edges if numbers else self.categories) + 1
        rising = all(low < high for low, high in pairwise(self.edges))
        if len(self.counts) != ends or len(self.means) != ends * numbers or not rising:
            raise ValueError("edges, counts and means of a distribution do not fit together")
        return self


class Remembered(Model):
    """The distributions that drift is held against: of the data, and of the model's outputs."""

    columns: dict[str, Distribution] = Field(default_factory=dict)
    outputs: dict[Literal["score", "prediction"], Distribution] = Field(default_factory=dict)


class MetricFact(Model):
    """One metric on the whole evaluation set: its value, standard error and number of rows."""

    value: Number
    se: Number | None = None
    n: Count


class Registration(Model):
    """Who put the record there, when and with what."""

    at: Name
    by: Name
    git_sha: Name | None = None
    tool: Name
    libraries: dict[Name, Name] = Field(default_factory=dict)


class Content(Model):
    """Everything that decides a comparison with this baseline: its predictions, or a sketch."""

    schema_version: Literal[1] = 1
    model: Name
    task: Task
    label: Name
    positive: Name | None = None
    classes: tuple[Name, ...] = ()
    evaluation: Evaluated
    predictions: Predicted | None = None
    sketch: Sketched | None = None
    artifact: Digest | None = None
    metrics_version: int
    metrics: dict[Name, MetricFact] = Field(default_factory=dict)
    # Rows of each slice that a gate compared, so that a later run can say which one shrank.
    slices: dict[Place, Count] = Field(default_factory=dict)
    remembered: Remembered = Remembered()

    @model_validator(mode="after")
    def _keeps_one(self) -> Self:
        if (self.predictions is None) is (self.sketch is None):
            raise ValueError("a baseline is kept as predictions or as a sketch")
        return self

    @property
    def kept(self) -> Predicted | Sketched:
        """Return what is known of the file beside the record."""
        kept = self.predictions or self.sketch
        assert kept is not None  # noqa: S101  (held by `_keeps_one`)
        return kept

    @property
    def digest(self) -> str:
        """Return the sha256 of the canonical JSON of this content."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Record(Model):
    """One registered version of a model's baseline."""

    version: int = Field(ge=1)
    digest: Digest
    content: Content
    registered: Registration
