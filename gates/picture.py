"""The pictures of a report: what a reader may look at beside the checks, as frozen data.

Counts and rates over many rows. `gates.portrait` draws them; no verdict rests on one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gates.fields import Count, Digest, Model, Name, Number, Text

MAX_FLIPS = 200
MAX_IDS = 20
MAX_POINTS = 201
MAX_HISTORY = 50


class GroupRate(Model):
    """One metric of one group, for the reader; too small a group has its numbers withheld.

    `interval` is the candidate's own, at the confidence of the run.
    """

    sensitive: tuple[Name, ...]
    group: dict[Name, Name]
    metric: Name
    n: Count | None
    baseline: Number | None = None
    candidate: Number | None = None
    interval: tuple[Number, Number] | None = None
    note: Text | None = None


class Flip(Model):
    """How many rows of a set two models answer differently; `slice` is None for all rows.

    `fixed` were wrong under the baseline and are right now, `broken` the other way round; both are
    None for regression, where an answer is not right or wrong.
    """

    slice: dict[Name, Name] | None = None
    rows: Count
    changed: Count
    fixed: Count | None = None
    broken: Count | None = None


class Flips(Model):
    """Which predictions changed; `broken_ids` only if the configuration declares ids public."""

    overall: Flip
    slices: Annotated[tuple[Flip, ...], Field(max_length=MAX_FLIPS)] = ()
    broken_ids: Annotated[tuple[Name, ...], Field(max_length=MAX_IDS)] = ()


class CalibrationBin(Model):
    """Rows of neighbouring scores: their mean score, and how many were positive, with interval."""

    score: Number
    observed: Number
    interval: tuple[Number, Number]
    n: Count


class Curves(Model):
    """What one model's outputs look like, for who would rather look than read.

    `roc` holds (false positive rate, true positive rate), `precision_recall` (recall, precision).
    `histogram` counts scores (binary) or errors (regression) between neighbouring `edges`;
    `confusion` counts rows by label (outer) and prediction, in the order of `classes`.
    """

    roc: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=MAX_POINTS)] = ()
    precision_recall: Annotated[
        tuple[tuple[Number, Number], ...], Field(max_length=MAX_POINTS)
    ] = ()
    calibration: Annotated[tuple[CalibrationBin, ...], Field(max_length=MAX_POINTS)] = ()
    edges: Annotated[tuple[Number, ...], Field(max_length=MAX_POINTS)] = ()
    histogram: Annotated[tuple[Count, ...], Field(max_length=MAX_POINTS)] = ()
    classes: Annotated[tuple[Name, ...], Field(max_length=MAX_POINTS)] = ()
    confusion: Annotated[tuple[tuple[Count, ...], ...], Field(max_length=MAX_POINTS)] = ()


class HistoryPoint(Model):
    """One registered version: when, on which data, and the value of each metric."""

    version: Count
    registered_at: Name
    data: Digest
    metrics: dict[Name, Number]


class Portrait(Model):
    """What a reader may look at beside the checks; no verdict rests on it."""

    flips: Flips | None = None
    candidate: Curves | None = None
    baseline: Curves | None = None
    history: Annotated[tuple[HistoryPoint, ...], Field(max_length=MAX_HISTORY)] = ()
