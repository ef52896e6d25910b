"""Rows that are alike, together: those that two models treat alike, and those of one group.

A metric of predicted classes sees of a row its label and its prediction; a comparison of two models
sees both predictions. Binary, that is 8 different rows however many there are: cells, which stand
for the rows they count (`Rows.weight`) and go through the same metrics and intervals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gates.stats.measured import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gates.stats.arrays import Counts, Numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Each row's label and predictions as one number (n,), below classes ** (1 + models)."""

    code: Numbers
    classes: int
    models: int

    def of(self, index: Numbers | None = None) -> tuple[Rows, ...]:
        """Return each model's cells on these rows (all: None), without scores, in one order."""
        code = self.code if index is None else self.code[index]
        cell, rows = _counted(code, self.classes ** (1 + self.models))
        predictions = [cell // self.classes**i % self.classes for i in range(self.models)]
        label = cell // self.classes**self.models
        return tuple(
            Rows(label=label, prediction=prediction, classes=self.classes, weight=rows)
            for prediction in predictions
        )


def cells(models: Sequence[Rows]) -> Cells:
    """Return the cells of models that were asked about the same rows."""
    classes = models[0].classes
    code = models[0].label.astype(_smallest(classes ** (1 + len(models))))
    for rows in reversed(models):
        code *= classes
        code += rows.prediction.astype(code.dtype)
    return Cells(code=code, classes=classes, models=len(models))


def together(parts: Sequence[Rows]) -> Rows:
    """Return the entries of several parts as one, in the order of the parts."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(rows, name) for rows in parts])
        for name in ("label", "prediction", "score", "weight")
        if getattr(parts[0], name) is not None
    }
    return replace(parts[0], rank=None, **columns)


def grouped(columns: Sequence[Numbers]) -> list[Numbers]:
    """Return the row numbers of each combination of codes that occurs, in the codes' order.

    `columns` are codes (n,); one below 0 is no value, and such rows are in no group. All groups
    together take the memory of one column: they are stretches of one array.
    """
    code = _narrow(columns[0])
    for column in columns[1:]:
        both = code.astype(np.int64) * (int(column.max()) + 1) + column
        code = _narrow(np.where((code < 0) | (column < 0), -1, both))
    order = np.argsort(code, kind="stable")
    rows = np.bincount(code + 1)
    ends = np.cumsum(rows)
    return [order[end - size : end] for size, end in zip(rows[1:], ends[1:], strict=True) if size]


def _narrow(code: Numbers) -> Numbers:
    """Return codes in the same order in 16 bits, if they fit: numpy sorts those in linear time."""
    most = np.iinfo(np.int16).max
    if code.max() > most:
        found, code = np.unique(code, return_inverse=True)
        code -= int(found[0] < 0)
    return code.astype(np.int16) if code.max() <= most else code


def _counted(code: Numbers, width: int) -> tuple[Numbers, Counts]:
    """Return the codes that occur, ascending, and how often."""
    if width > len(code):
        found, rows = np.unique(code, return_counts=True)
        return found.astype(np.intp), rows
    counted = np.bincount(code, minlength=width)
    found = np.flatnonzero(counted)
    return found, counted[found]


def _smallest(width: int) -> np.dtype[np.signedinteger]:
    """Return the smallest type that holds codes below `width`: fewer bytes to go through."""
    return np.min_scalar_type(-width)
