"""Draw what a reader may look at beside the checks: flips, curves, history. No verdict rests on it.

Counts and rates over many rows only; ids of rows stand in it where the configuration says that the
id column is public, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gates.fields import bounded
from gates.picture import (
    MAX_FLIPS,
    MAX_HISTORY,
    MAX_IDS,
    CalibrationBin,
    Curves,
    Flip,
    Flips,
    HistoryPoint,
    Portrait,
)
from gates.report import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.builtin.stored import Compared
    from gates.evidence import Evidence
    from gates.record import Record
    from gates.stats.metrics import Rows

_MOST_CLASSES = 20


def portrait(
    evidence: Evidence, compared: Iterable[Compared], versions: Sequence[Record]
) -> Portrait:
    """Return the picture of one model: `compared` names slices, `versions` are the registered."""
    if not evidence.labelled:
        return Portrait(history=tuple(_history(versions)))
    curves = _curves(evidence)
    return Portrait(
        flips=_flips(evidence, compared),
        candidate=curves[0],
        baseline=curves[1] if len(curves) > 1 else None,
        history=tuple(_history(versions)),
    )


def label_rate(evidence: Evidence) -> float | None:
    """Return the share of positive labels, or their mean; None where there is no such number."""
    if evidence.task is Task.MULTICLASS or not evidence.labelled:
        return None
    return float(evidence.candidate.label.mean())


def label_rate_before(record: Record) -> float | None:
    """Return the same of the rows that a version was judged on, where its profile tells."""
    content = record.content
    profile = content.evaluation.profile.get(content.label)
    if profile is None or profile.mean is None or content.task is Task.MULTICLASS:
        return None
    truth = (profile.low, profile.high, content.positive) == (0.0, 1.0, "1")
    return profile.mean if truth or content.task is Task.REGRESSION else None


def _history(versions: Sequence[Record]) -> Iterator[HistoryPoint]:
    for record in versions[-MAX_HISTORY:]:
        yield HistoryPoint(
            version=record.version,
            registered_at=record.registered.at,
            data=record.content.evaluation.digest,
            metrics={name: fact.value for name, fact in record.content.metrics.items()},
        )


def _flips(evidence: Evidence, compared: Iterable[Compared]) -> Flips | None:
    """Return which answers changed, or None where the baseline's are not there."""
    import numpy as np

    before, now = evidence.baseline, evidence.candidate
    if before is None:
        return None
    changed = before.prediction != now.prediction
    right = evidence.task is not Task.REGRESSION
    broken = changed & (before.prediction == before.label) if right else None
    fixed = changed & (now.prediction == now.label) if right else None
    masks = changed, fixed, broken
    found: dict[str, Flip] = {}
    for one in compared:
        enough = one.index is not None and len(one.index) >= evidence.policy.min_count
        if enough and one.place not in found:
            found[one.place] = _flip(masks, one.index, dict(one.values))
    # Of more slices than a report holds, those stay that people would ask about.
    most = sorted(found, key=lambda place: (-found[place].changed / found[place].rows, place))
    return Flips(
        overall=_flip(masks, None, None),
        slices=tuple(found[place] for place in most[:MAX_FLIPS]),
        broken_ids=() if broken is None else _public_ids(evidence, np.flatnonzero(broken)),
    )


def _flip(
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_] | None, NDArray[np.bool_] | None],
    index: NDArray[np.intp] | None,
    values: dict[str, str] | None,
) -> Flip:
    import numpy as np

    every = slice(None) if index is None else index
    changed, fixed, broken = (
        None if mask is None else int(np.count_nonzero(mask[every])) for mask in masks
    )
    return Flip(
        slice=values and {bounded(k): bounded(v) for k, v in values.items()},
        rows=len(masks[0][every]),
        changed=changed or 0,
        fixed=fixed,
        broken=broken,
    )


def _public_ids(evidence: Evidence, places: NDArray[np.intp]) -> tuple[str, ...]:
    if evidence.data.id not in evidence.policy.public or not len(places):
        return ()
    ids = evidence.joined.text(evidence.data.id)
    return tuple(bounded(ids[place]) for place in places[:MAX_IDS])


def _curves(evidence: Evidence) -> list[Curves]:
    """Return the curves of the candidate and, where its rows are there, of the baseline."""
    if evidence.task is Task.REGRESSION:
        return _errors(evidence.models)
    return [_classes(evidence, rows) for rows in evidence.models]


def _errors(models: Sequence[Rows]) -> list[Curves]:
    from gates.stats.curves import error_counts

    edges, counts = error_counts(models)
    return [Curves(edges=tuple(edges), histogram=tuple(one)) for one in counts]


def _classes(evidence: Evidence, rows: Rows) -> Curves:
    from gates.stats import curves

    confused: dict[str, tuple[object, ...]] = {}
    if len(evidence.classes) <= _MOST_CLASSES:
        table = tuple(tuple(row) for row in curves.confusion(rows))
        confused = {"classes": tuple(map(bounded, evidence.classes)), "confusion": table}
    if rows.score is None or rows.score.ndim > 1:
        return Curves.model_validate(confused)
    roc, precision_recall = curves.roc_and_precision_recall(rows)
    edges, counts = curves.score_counts(rows)
    bins = curves.calibration(rows, least=evidence.policy.min_count)
    return Curves.model_validate(
        {
            "roc": tuple(roc),
            "precision_recall": tuple(precision_recall),
            "calibration": tuple(
                CalibrationBin(score=mean, observed=share, interval=(low, high), n=n)
                for mean, share, low, high, n in bins
            ),
            "edges": tuple(edges),
            "histogram": tuple(counts),
            **confused,
        }
    )
