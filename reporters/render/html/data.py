"""What changed in the data since the baseline was registered, as far as the report knows it."""

from __future__ import annotations

from dataclasses import dataclass

from gates.report import DataInfo, ModelReport, Task
from reporters.render import figures

BAR = 108.0
_PLACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One number about the data, then and now; the bars are lengths up to `BAR`, if it has any."""

    about: str
    then: str
    now: str
    change: str
    bars: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The data beside what the baseline was registered on; if that is the same, without rows."""

    same: str
    rows: tuple[Moved, ...]


def data(model: ModelReport) -> Data | None:
    """Return what is known of both data sets; nothing, where one of them is not known."""
    now = model.data.get("evaluation")
    then = model.baseline.data if model.baseline else None
    if now is None or then is None:
        return None
    same = f"{figures.plural(now.rows, 'row')}, {figures.plural(now.columns, 'column')}"
    if now.label_rate is not None:
        same += f", {_label(model.task)} {_said(now.label_rate, model.task)}"
    rows = () if now.digest == then.digest else _rows(model.task, then, now)
    return Data(same=same, rows=rows)


def _rows(task: Task, then: DataInfo, now: DataInfo) -> tuple[Moved, ...]:
    counts = (("rows", then.rows, now.rows), ("columns", then.columns, now.columns))
    found = [
        Moved(
            about=about,
            then=f"{was:,}",
            now=f"{is_now:,}",
            change=figures.number(is_now - was, 0, sign=True),
            bars=_bars(was, is_now),
        )
        for about, was, is_now in counts
    ]
    if now.label_rate is None and then.label_rate is None:
        return tuple(found)
    label = Moved(
        about=_label(task),
        then=_said(then.label_rate, task),
        now=_said(now.label_rate, task),
        change=_change(then.label_rate, now.label_rate, task),
        bars=_bars(then.label_rate, now.label_rate),
    )
    return (*found, label)


def _label(task: Task) -> str:
    return "mean label" if task is Task.REGRESSION else "positive labels"


def _said(rate: float | None, task: Task) -> str:
    if rate is None or task is Task.REGRESSION:
        return figures.number(rate, _PLACES)
    return figures.share(rate) if 0 < rate < 1 else f"{rate:.0%}"


def _change(then: float | None, now: float | None, task: Task) -> str:
    if then is None or now is None:
        return figures.DASH
    if task is Task.REGRESSION:
        return figures.number(now - then, _PLACES, sign=True)
    return figures.number(100 * (now - then), 1, sign=True) + " points"


def _bars(then: float | None, now: float | None) -> tuple[str, str] | None:
    """Return two lengths from zero; of what is not known or is below zero, none."""
    if then is None or now is None or min(then, now) < 0 or max(then, now) == 0:
        return None
    longest = max(then, now)
    return f"{BAR * then / longest:.1f}", f"{BAR * now / longest:.1f}"
