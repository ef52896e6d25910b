"""Propose the limits that so many rows can decide: the gates `performance` and `fairness`."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from gates.builtin.checks import measure_pair
from gates.evidence import Evidence, Policy, Slice
from gates.power.expected import expected
from gates.report import Task
from gates.starter.guess import Meaning
from gates.starter.yaml_text import entry, flow, remark, scalar, shown
from gates.stats.catalogue import METRICS, Better, Needs
from gates.stats.intervals import single
from gates.stats.metrics import Undefined, measure
from gates.stats.power import (
    ASSUMED,
    ASSUMED_CORRELATION,
    ASSUMED_DISCORDANCE,
    Aim,
    expected_variance,
    gap_arm,
    paired_rate_variance,
    round_out,
    round_up,
    rows_needed,
    smallest_margin,
    variance_of,
)
from gates.where import parse as parse_where

_SMALLEST_GROUP = 50
_WIDEST_SLICE_LIMIT, _WIDEST_FAIR_LIMIT = 0.1, 0.5
_MOST_SLICES = 3
_AIM = Aim(confidence=Policy().confidence)
_DISCORDANT = paired_rate_variance(ASSUMED_DISCORDANCE)
_SLICE_ROWS = rows_needed(_DISCORDANT, 0.05, _AIM)
_GROUP_ROWS = rows_needed(_DISCORDANT, 0.1, _AIM)
_HEADLINE = {
    Task.BINARY: ("roc_auc", "log_loss", "accuracy", "recall"),
    Task.MULTICLASS: ("accuracy", "balanced_accuracy", "log_loss"),
    Task.REGRESSION: ("mae", "rmse", "r2"),
}
# A fairness metric, the rates it is made of, and the limit that is proposed for it.
_FAIR = {
    Task.BINARY: (
        ("demographic_parity_difference", ("selection_rate",), "max_rise"),
        ("equalized_odds_difference", ("true_positive_rate", "false_positive_rate"), "max_rise"),
        ("false_negative_rate", ("false_negative_rate",), "max_rise_any_group"),
    ),
    Task.MULTICLASS: (
        ("accuracy_difference", ("accuracy",), "max_rise"),
        ("accuracy", ("accuracy",), "max_drop_any_group"),
    ),
    Task.REGRESSION: (
        ("mae_difference", ("mae",), "max_rise"),
        ("mae", ("mae",), "max_rise_any_group"),
    ),
}


def performance(meaning: Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `performance` gate: floors below today's values, and decidable changes."""
    slices, parts, notes = _slices(meaning, evidence)
    known = [_metric(evidence, name, parts) for name in _HEADLINE[meaning.task]]
    if not any(text for text, _ in known):
        yield from remark(3, "No limit on performance: " + " ".join(why for _, why in known))
        return
    yield from remark(
        3,
        f"`min` and `max` stand just outside of today's {_AIM.confidence:.0%} interval. A limit on "
        f"change is the smallest round number that these rows decide {_AIM.power:.0%} of the time "
        f"when nothing changed, if two models differ in {ASSUMED_DISCORDANCE:.0%} of the rows "
        f"(rates) or are correlated by {ASSUMED_CORRELATION} (all else).",
    )
    yield from ("      performance:", "        metrics:")
    for text, why in known:
        yield from entry(5, text, why) if text else remark(5, why)
    if any("slices: {max" in text for text, _ in known):
        yield from ("        slices:", *(f"          - {text}" for text in slices))
    for note in notes:
        yield from remark(4, note)
    yield ""


def _metric(evidence: Evidence, name: str, parts: Sequence[Slice]) -> tuple[str, str]:
    """Return the line for one metric and its reason; only a reason where nothing can be said."""
    metric, rows = METRICS[name], evidence.candidate
    if metric.needs is Needs.SCORE and rows.score is None:
        return "", f"{name} needs scores, and these predictions have none."
    try:
        measured = measure(name, rows)
    except Undefined as undefined:
        return "", f"{name} is undefined here: {undefined.reason}."
    span = {"low": metric.low, "high": metric.high}
    own = single(measured, confidence=_AIM.confidence, clusters=evidence.clusters, **span)
    variance = expected_variance(measured, evidence.clusters)
    if own is None or variance is None:
        return "", f"{name} is {measured.value:.4g} here, and these rows do not tell how surely."
    change = smallest_margin(variance, evidence.rows, _AIM)
    higher = metric.better is Better.HIGHER
    limits: dict[str, Any] = {}
    floor = math.floor(own.low * 100) / 100
    if higher and (metric.low is None or floor > metric.low):
        limits["min"] = floor
    if not higher:
        limits["max"] = round_out(own.high)
    key = "max_drop" if higher else "max_rise"
    limits[key] = min(round_up(change), metric.high or math.inf)
    if parts:
        limits["slices"] = _in_slices(evidence, name, parts, key)
    why = f"now {measured.value:.4g}; {evidence.rows:,} rows can decide a {key[4:]} of {change:.2g}"
    if metric.high == 1 and limits[key] > 0.02:
        why += f", and 0.02 takes {rows_needed(variance, 0.02, _AIM):,}"
    return f"{name}: {flow(limits)}", why


def _in_slices(evidence: Evidence, name: str, parts: Sequence[Slice], key: str) -> dict[str, float]:
    """Return the limit that every slice can decide, or none when one of them hardly can."""
    widest = max(_margin(evidence, name, part) for part in parts)
    most = _WIDEST_SLICE_LIMIT if METRICS[name].high is not None else sys.float_info.max
    return {key: round_up(widest)} if widest <= most else {}


def _margin(evidence: Evidence, name: str, part: Slice) -> float:
    """Return the smallest change of a metric that the rows of a part can decide; else infinity."""
    held = expected(measure_pair(evidence, name, part.index), ASSUMED, _AIM.confidence)
    if held.arm is None:
        return math.inf
    rows = len(part.index)
    return smallest_margin(variance_of(held.arm, rows, _AIM.confidence), rows, _AIM)


def _slices(meaning: Meaning, evidence: Evidence) -> tuple[list[str], list[Slice], list[str]]:
    """Return the slices with enough rows in every part, those parts, and what was left out."""
    texts: list[str] = []
    parts: list[Slice] = []
    notes: list[str] = []
    for text, found in _possible_slices(meaning, evidence):
        least = min((len(part.index) for part in found), default=0)
        if least < _SLICE_ROWS or len(texts) >= _MOST_SLICES:
            reason = f"its smallest part has {least:,} rows; {_SLICE_ROWS} can decide 0.05"
            notes.append(f"Another slice: {text} ({reason}).")
        else:
            texts.append(text)
            parts += found
    return texts, parts, notes


def _possible_slices(
    meaning: Meaning, evidence: Evidence
) -> Iterator[tuple[str, tuple[Slice, ...]]]:
    for column in meaning.text:
        yield scalar(column), evidence.groups((column,))
    for column in meaning.ages:
        name = column if column.isidentifier() else f"col({column!r})"
        for title, condition in (("under 30", f"{name} < 30"), ("60 and over", f"{name} >= 60")):
            part = evidence.where(title, parse_where(condition))
            yield flow({"name": f"{column} {title}"[-100:], "where": condition}), (part,)


def fairness(meaning: Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `fairness` gate for the sensitive columns that have groups large enough."""
    groups = {column: evidence.groups((column,)) for column in meaning.sensitive}
    wanted = {column: _min_group(evidence, parts) for column, parts in groups.items()}
    min_group = max((size for size in wanted.values() if size), default=_SMALLEST_GROUP)
    judged = {
        column: [part for part in groups[column] if len(part.index) >= min_group]
        for column, size in wanted.items()
        if size
    }
    judged = {column: parts for column, parts in judged.items() if len(parts) > 1}
    for column in meaning.sensitive:
        if column not in judged:
            yield from remark(
                3,
                f"{shown(column)} looks sensitive, but has not two groups of {_GROUP_ROWS} rows"
                " (of each class): too few to decide 0.1.",
            )
    lines = [_fair_metric(evidence, rule, judged.values()) for rule in _FAIR[meaning.task]]
    if not judged or not any(lines):
        yield from remark(
            3,
            "TODO: should groups of people fare alike? Name their columns under `fairness:`, "
            "`sensitive:` (`model-gates schema` has the metrics).",
        )
        return
    yield from remark(
        3,
        "Do groups fare alike, and no worse than under the model in service? Add `max` for what "
        "the difference itself may be, and [a, b] for intersections. (pip extra fairness)",
    )
    yield from ("      fairness:", f"        sensitive: {flow(list(judged))}")
    yield from entry(4, f"min_group: {min_group}", "smaller ones stay undecided")
    yield from ("        metrics:", *(f"          {line}" for line in lines if line))


def _min_group(evidence: Evidence, parts: Sequence[Slice]) -> int | None:
    """Return the size from which groups have enough rows, of each class; None below two groups."""
    label = evidence.candidate.label
    enough: list[int] = []
    too_few = [_SMALLEST_GROUP - 1]
    for part in parts:
        size = len(part.index)
        positive = np.count_nonzero(label[part.index] == 1)
        least = min(positive, size - positive) if evidence.task is Task.BINARY else size
        (enough if least >= _GROUP_ROWS else too_few).append(size)
    return max(too_few) + 1 if sum(size > max(too_few) for size in enough) > 1 else None


def _fair_metric(
    evidence: Evidence, rule: tuple[str, tuple[str, ...], str], judged: Iterable[Sequence[Slice]]
) -> str:
    """Return the line for one fairness metric, or "" where these rows can decide nothing."""
    name, rates, verb = rule
    widest = 0.0
    for parts in judged:
        for rate in rates:
            margins = [_margin(evidence, rate, part) for part in parts]
            each = verb.endswith("group")
            apart = max(margins) if each else gap_arm(margins, _AIM, rates=len(rates))
            widest = max(widest, apart)
    if not 0.0 < widest < math.inf:
        return ""
    limit = round_up(widest)
    too_wide = METRICS[rates[0]].high is not None and limit > _WIDEST_FAIR_LIMIT
    return "" if too_wide else f"{name}: {flow({verb: limit})}"
