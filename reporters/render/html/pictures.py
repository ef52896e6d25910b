"""What a reader of the page may look at: each chart with its title, its words and its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from gates.picture import CalibrationBin, Curves
from gates.report import ModelReport, Task
from reporters.render import figures, words
from reporters.render.escape import Said, plain
from reporters.render.html import charts
from reporters.render.html.charts import BASELINE, CANDIDATE, Points
from reporters.render.html.svg import Spec, draw

if TYPE_CHECKING:
    from markupsafe import Markup

MOST_HISTORY_CHARTS = 4
_PLACES = 3
_ALONG = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
_NOTHING = Curves()
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing, and the numbers in it as a table for who would rather read or cannot look."""

    title: Said
    svg: Markup
    heads: Cells
    rows: tuple[Cells, ...]


def looks(model: ModelReport, key: str) -> list[Chart]:
    """Return the charts of both models' outputs, as far as the report has them."""
    ours, theirs = model.portrait.candidate or _NOTHING, model.portrait.baseline or _NOTHING
    found: list[Chart] = []
    if any(ours.histogram):
        found.append(_distribution(model.task, ours, theirs, f"{key}-spread"))
    if ours.calibration:
        found.append(_calibration(ours.calibration, theirs.calibration, f"{key}-calibration"))
    if ours.roc:
        spec = charts.roc(ours.roc, theirs.roc)
        table = _along(ours.roc, theirs.roc, "False positive rate", "true positive rate")
        found.append(_drawn(f"{key}-roc", "ROC curve", spec, table))
    if ours.precision_recall:
        spec = charts.precision_recall(ours.precision_recall, theirs.precision_recall)
        table = _along(ours.precision_recall, theirs.precision_recall, "Recall", "precision")
        found.append(_drawn(f"{key}-pr", "Precision and recall", spec, table))
    return found


def history(model: ModelReport, key: str) -> list[Chart]:
    """Return a chart for each metric of the registered versions that this run measured too."""
    now: dict[str, float] = {
        check.metric: check.candidate
        for gate in model.gates
        for check in gate.checks
        if not (check.slice or check.sensitive) and check.candidate is not None
    }
    known = [m for m in now if any(m in point.metrics for point in model.portrait.history)]
    return [
        _history(model, metric, now[metric], f"{key}-h{place}")
        for place, metric in enumerate(known[:MOST_HISTORY_CHARTS])
    ]


def _distribution(task: Task, ours: Curves, theirs: Curves, key: str) -> Chart:
    of, title = ("error", "Errors") if task is Task.REGRESSION else ("score", "Scores")
    before = theirs.histogram if theirs.edges == ours.edges else ()
    spec = charts.distribution(ours.edges, ours.histogram, before, of=of)
    shown = before or (None,) * len(ours.histogram)
    rows = [
        (f"{_number(low)} to {_number(high)}", _count(base), _count(mine))
        for (low, high), mine, base in zip(pairwise(ours.edges), ours.histogram, shown, strict=True)
    ]
    return _drawn(key, title, spec, [(title, "Baseline rows", "Candidate rows"), *rows])


def _calibration(
    ours: Sequence[CalibrationBin], theirs: Sequence[CalibrationBin], key: str
) -> Chart:
    rows = [
        (
            model,
            _number(one.score),
            f"{_number(one.observed)} [{_number(one.interval[0])}, {_number(one.interval[1])}]",
            _count(one.n),
        )
        for model, bins in ((CANDIDATE, ours), (BASELINE, theirs))
        for one in bins
    ]
    heads = ("Model", "Mean score", "Share of positives [95 % interval]", "n")
    return _drawn(key, "Calibration", charts.calibration(ours, theirs), [heads, *rows])


def _history(model: ModelReport, metric: str, now: float, key: str) -> Chart:
    points = [point for point in model.portrait.history if metric in point.metrics]
    data = model.data["evaluation"].digest if "evaluation" in model.data else ""
    spec = charts.history(points, metric, now, data)
    rows = [
        (
            f"v{point.version}",
            point.registered_at,
            "the same" if point.data == data else "other rows",
            _number(point.metrics[metric]),
        )
        for point in points
    ]
    heads = ("Version", "Registered", "Data", "Value")
    table = [heads, *rows, ("candidate", "now", "the same", _number(now))]
    return _drawn(key, (words.metric(metric),), spec, table)


def _along(ours: Points, theirs: Points, x: str, y: str) -> list[Cells]:
    """Return a curve at a few places, as a table: its heads, then its rows."""
    rows = [(figures.exact(at), _number(_at(theirs, at)), _number(_at(ours, at))) for at in _ALONG]
    return [(x, f"Baseline {y}", f"Candidate {y}"), *rows]


def _at(points: Points, x: float) -> float | None:
    """Return a curve's value at `x`, straight between its points; of a step, the later."""
    found = None
    for (x0, y0), (x1, y1) in pairwise(points):
        if min(x0, x1) <= x <= max(x0, x1):
            found = y1 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return found


def _drawn(key: str, title: str | Said, spec: Spec, table: Iterable[Cells]) -> Chart:
    said = (title,) if isinstance(title, str) else title
    heads, *rows = table
    says = "Baseline and candidate. The numbers are in the table that goes with it."
    svg = draw(spec, key=key, title=plain(said), says=says)
    return Chart(title=said, svg=svg, heads=heads, rows=tuple(rows))


def _number(value: float | None) -> str:
    return figures.number(value, _PLACES)


def _count(value: int | None) -> str:
    return figures.DASH if value is None else f"{value:,}"
