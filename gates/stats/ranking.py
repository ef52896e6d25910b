"""Metrics of the order that scores put rows in: ROC AUC and average precision.

Scores enter only through comparisons. Rows of equal score form one step, and a step's counts are
all that is needed, so the cost is one sort.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from gates.stats.measured import Bools, Floats, Measured, Numbers, Rows, Undefined
from gates.stats.probability import probabilities


class _Steps(NamedTuple):
    """Counts at each distinct score, ascending, and the step each row is on."""

    step: Numbers
    positive: Floats
    every: Floats


class _Area(NamedTuple):
    """An area or a mean of areas, and the influence of each row on it."""

    value: float
    influence: Floats


def roc_auc(rows: Rows) -> Measured:
    """Measure the chance that a positive outranks a negative, ties counting half.

    The influence is DeLong's placement values (DeLong, DeLong & Clarke-Pearson 1988), found by
    ranks as in Sun & Xu 2014. Raises Undefined if there is only one class.
    """
    score = probabilities(rows)[:, 1]
    positive = rows.label == 1
    area = _area(positive, score)
    return Measured(value=area.value, influence=area.influence, strata=positive.astype(np.intp))


def average_precision(rows: Rows) -> Measured:
    """Measure the step-wise area under the precision-recall curve; ties are one step.

    Raises Undefined without a positive label.
    """
    score = probabilities(rows)[:, 1]
    positive = rows.label == 1
    n, positives = len(rows), np.count_nonzero(positive)
    if positives == 0:
        raise Undefined("no positive labels")
    steps = _steps(positive, score)
    reached = _from_above(steps.every)
    precision = _from_above(steps.positive) / reached
    value = float(steps.positive @ precision / positives)
    # A row also moves the precision of every step at or below its own score: gain as a positive
    # there, loss as one more row there.
    gain = np.cumsum(steps.positive / reached)
    loss = np.cumsum(steps.positive * precision / reached)
    own = positive * (precision - value + gain)[steps.step] - loss[steps.step]
    return Measured(value=value, influence=own * (n / positives))


def roc_auc_ovr_macro(rows: Rows) -> Measured:
    """Measure the plain mean over classes of the AUC of that class against the rest."""
    return _one_against_rest(rows, weighted=False)


def roc_auc_ovr_weighted(rows: Rows) -> Measured:
    """Measure the mean over classes of the AUC against the rest, by share of labels."""
    return _one_against_rest(rows, weighted=True)


def roc_auc_ovo_macro(rows: Rows) -> Measured:
    """Measure the plain mean over pairs of classes of their AUC (Hand & Till 2001)."""
    return _one_against_one(rows, weighted=False)


def roc_auc_ovo_weighted(rows: Rows) -> Measured:
    """Measure the mean over pairs of classes of their AUC, by the share of labels in the pair."""
    return _one_against_one(rows, weighted=True)


def _one_against_rest(rows: Rows, *, weighted: bool) -> Measured:
    score = _of_every_class(rows)
    members = [rows.label == c for c in range(rows.classes)]
    areas = [_area(inside, score[:, c]) for c, inside in enumerate(members)]
    return _mean_area(areas, members, weighted=weighted)


def _one_against_one(rows: Rows, *, weighted: bool) -> Measured:
    score = _of_every_class(rows)
    pairs = list(combinations(range(rows.classes), 2))
    members = [(rows.label == a) | (rows.label == b) for a, b in pairs]
    areas = [
        _pair_area(rows.label, score, pair, inside)
        for pair, inside in zip(pairs, members, strict=True)
    ]
    return _mean_area(areas, members, weighted=weighted)


def _pair_area(label: Numbers, score: Floats, pair: tuple[int, int], inside: Bools) -> _Area:
    """Return the mean of both ways round, as an area of all rows: others have no influence."""
    ways = [_area(label[inside] == c, score[inside, c]) for c in pair]
    influence = np.zeros(len(label))
    influence[inside] = sum(way.influence for way in ways) / 2 / np.mean(inside)
    return _Area(sum(way.value for way in ways) / 2, influence)


def _mean_area(areas: list[_Area], members: list[Bools], *, weighted: bool) -> Measured:
    """Return the mean of areas; when weighted, by the share of rows that are members of each."""
    shares = [float(np.mean(inside)) if weighted else 1.0 for inside in members]
    total = sum(shares)
    value = sum(s * area.value for s, area in zip(shares, areas, strict=True)) / total
    influence = np.zeros(len(members[0]))
    for share, area, inside in zip(shares, areas, members, strict=True):
        influence += share / total * area.influence
        if weighted:
            # Every row is in equally many members, so the total of the shares does not move.
            influence += (area.value - value) / total * inside
    return Measured(value=value, influence=influence)


def _of_every_class(rows: Rows) -> Floats:
    score = probabilities(rows)
    missing = rows.classes - len(np.unique(rows.label))
    if missing:
        raise Undefined(f"{missing:,} of {rows.classes:,} classes have no rows")
    return score


def _area(positive: Bools, score: Floats) -> _Area:
    """Return the area under the ROC curve."""
    n, positives = len(positive), int(np.count_nonzero(positive))
    negatives = n - positives
    if positives == 0 or negatives == 0:
        raise Undefined("only one class")
    steps = _steps(positive, score)
    negative = steps.every - steps.positive
    # A row's placement: the share of the other class on its wrong side, half of those level.
    outranked = (np.cumsum(negative) - negative / 2) / negatives
    outranking = (_from_above(steps.positive) - steps.positive / 2) / positives
    value = float(steps.positive @ outranked / positives)
    placed = np.where(
        positive,
        (outranked[steps.step] - value) * (n / positives),
        (outranking[steps.step] - value) * (n / negatives),
    )
    return _Area(value, placed)


def _steps(positive: Bools, score: Floats) -> _Steps:
    _, step, every = np.unique(score, return_inverse=True, return_counts=True)
    counted = np.bincount(step, weights=positive, minlength=len(every))
    return _Steps(step, counted.astype(np.float64), every.astype(np.float64))


def _from_above(counts: Floats) -> Floats:
    """Return how many rows have this score or a higher one."""
    return np.cumsum(counts[::-1])[::-1]
