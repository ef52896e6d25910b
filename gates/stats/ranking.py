"""Metrics of the order that scores put rows in: ROC AUC and average precision.

Scores enter only through comparisons, so all that is needed is the rows in their order
(`steps.py`), and the cost is one sort for both metrics.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gates.stats.arrays import Bools, Counts, Floats
from gates.stats.measured import Measured, Rows, Undefined, mean_of
from gates.stats.probability import probabilities
from gates.stats.steps import PositiveSteps, Steps, positive_steps, ranks, steps_of


class _Area(NamedTuple):
    """An area or a mean of areas, the influence of each row on it, and its trials.

    Those of one area are the harmonic mean of the classes' rows. Its variance is then larger than
    that of most models (Hanley & McNeil 1982), and the largest there can be is at most twice that
    (Birnbaum & Klose 1957).
    """

    value: float
    influence: Floats
    trials: float


def roc_auc(rows: Rows) -> Measured:
    """Measure the chance that a positive outranks a negative, ties counting half.

    The influence is DeLong's placement values (DeLong, DeLong & Clarke-Pearson 1988), found by
    ranks as in Sun & Xu 2014. Raises Undefined if there is only one class.
    """
    rows = _of_positive(rows)
    area = _area(rows.steps)
    return Measured(
        value=area.value,
        influence=area.influence,
        strata=rows.label == 1,
        trials=area.trials,
        weight=rows.weight,
    )


def average_precision(rows: Rows) -> Measured:
    """Measure the step-wise area under the precision-recall curve; ties are one step.

    Raises Undefined without a positive label.
    """
    rows = _of_positive(rows)
    steps = rows.steps
    positives = int(steps.positives_reached[-1])
    if positives == 0:
        raise Undefined("no positive labels")
    # From a step upwards: rows, and the share of positives among them.
    above = rows.size - steps.every_reached + steps.every
    precision = (positives - steps.positives_reached + steps.positives) / above
    value = float(np.sum(steps.positives * precision)) / positives
    # A row also moves the precision of every step at or below its own score: gain as a positive
    # there, loss as one more row there.
    pull = steps.positives / above
    gain = np.cumsum(pull)
    pull *= precision
    loss = np.cumsum(pull)
    precision += gain
    precision -= value
    own = steps.positive * steps.spread(precision)
    own -= steps.spread(loss)
    own *= rows.size / positives
    return Measured(
        value=value,
        influence=steps.placed(own),
        strata=rows.label == 1,
        # As of a share of the positives (Boyd, Eng & Page 2013).
        trials=float(positives),
        weight=rows.weight,
    )


def ranked_positives(rows: Rows) -> PositiveSteps:
    """Return the steps with a positive, of rows without weights: all that a value here needs."""
    rows = _of_positive(rows)
    score = probabilities(rows)
    return positive_steps(rows.label, ranks(score) if rows.rank is None else rows.rank)


def roc_auc_value(found: PositiveSteps) -> float:
    """Return what `roc_auc` comes to, without an influence."""
    negatives = found.rows - found.positives
    if found.positives == 0 or negatives == 0:
        raise Undefined("only one class")
    # Pairs in the right order, and twice those: whole numbers, and exact.
    below = found.every_below - found.positives_below
    level = found.on_step_every - found.on_step
    won = 2 * int(np.sum(found.on_step * below)) + int(np.sum(found.on_step * level))
    return won / (2 * found.positives * negatives)


def average_precision_value(found: PositiveSteps) -> float:
    """Return what `average_precision` comes to, without an influence."""
    if found.positives == 0:
        raise Undefined("no positive labels")
    above = found.positives - found.positives_below
    precision = above / (found.rows - found.every_below)
    return float(np.sum(found.on_step * precision)) / found.positives


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
    areas = [
        _area(steps_of(inside, score[:, c], weight=rows.weight)) for c, inside in enumerate(members)
    ]
    return _mean_area(areas, members, rows.weight, weighted=weighted)


def _one_against_one(rows: Rows, *, weighted: bool) -> Measured:
    score = _of_every_class(rows)
    pairs = list(combinations(range(rows.classes), 2))
    members = [(rows.label == a) | (rows.label == b) for a, b in pairs]
    areas = [
        _pair_area(rows, score, pair, inside) for pair, inside in zip(pairs, members, strict=True)
    ]
    return _mean_area(areas, members, rows.weight, weighted=weighted)


def _pair_area(rows: Rows, score: Floats, pair: tuple[int, int], inside: Bools) -> _Area:
    """Return the mean of both ways round, as an area of all rows: others have no influence."""
    label = rows.label[inside]
    weight = None if rows.weight is None else rows.weight[inside]
    ways = [_area(steps_of(label == c, score[inside, c], weight=weight)) for c in pair]
    influence = np.zeros(len(rows))
    influence[inside] = sum(way.influence for way in ways) / 2 / mean_of(inside, rows.weight)
    return _Area(sum(way.value for way in ways) / 2, influence, ways[0].trials)


def _mean_area(
    areas: list[_Area], members: list[Bools], weight: Counts | None, *, weighted: bool
) -> Measured:
    """Return the mean of areas; when weighted, by the share of rows that are members of each."""
    shares = [mean_of(inside, weight) if weighted else 1.0 for inside in members]
    total = sum(shares)
    value = sum(s * area.value for s, area in zip(shares, areas, strict=True)) / total
    influence = np.zeros(len(members[0]))
    # As if the areas erred together, which is what they do at worst.
    error = sum(s / total / area.trials**0.5 for s, area in zip(shares, areas, strict=True))
    for share, area, inside in zip(shares, areas, members, strict=True):
        influence += share / total * area.influence
        if weighted:
            # Every row is in equally many members, so the total of the shares does not move.
            influence += (area.value - value) / total * inside
    return Measured(value=value, influence=influence, trials=error**-2, weight=weight)


def _of_positive(rows: Rows) -> Rows:
    """Return rows whose one score is that of the positive class."""
    score = probabilities(rows)
    return rows if score.ndim == 1 else replace(rows, score=score[:, 1])


def _of_every_class(rows: Rows) -> Floats:
    score = probabilities(rows)
    if score.ndim == 1:
        score = np.column_stack((1.0 - score, score))
    missing = rows.classes - len(np.unique(rows.label))
    if missing:
        raise Undefined(f"{missing:,} of {rows.classes:,} classes have no rows")
    return score


def _area(steps: Steps) -> _Area:
    """Return the area under the ROC curve."""
    n, positives = int(steps.every_reached[-1]), int(steps.positives_reached[-1])
    negatives = n - positives
    if positives == 0 or negatives == 0:
        raise Undefined("only one class")
    # How many rank below a row, half of those level: positives, and negatives.
    ones = steps.positives_reached - steps.positives / 2
    zeros = steps.every_reached - steps.every / 2
    zeros -= ones
    value = float(np.sum(steps.positives * zeros)) / positives / negatives
    # A row's placement is the share of the other class on its wrong side; worked out in place,
    # for fresh memory costs more than the arithmetic.
    zeros -= value * negatives
    zeros *= n / positives / negatives
    ones -= (1.0 - value) * positives
    ones *= -n / positives / negatives
    zeros -= ones
    # Of a positive the first, of a negative the second: a product is faster than a choice that
    # the processor cannot foresee.
    placed = steps.positive * steps.spread(zeros)
    placed += steps.spread(ones)
    return _Area(value, steps.placed(placed), 2.0 * positives * negatives / n)
