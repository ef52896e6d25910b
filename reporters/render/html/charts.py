"""The charts of a model as Vega-Lite specifications: plain dictionaries with their data in them.

Vega-Lite, because it is kept by others, says what is drawn rather than how, and is drawn by
vl-convert when the page is written: the page needs no script to be looked at. Altair would only
write the same dictionaries, and bring a data-frame library along. Colours are the page's own
variables, so that one drawing serves light, dark and paper. No name from outside reaches a chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gates.picture import CalibrationBin, HistoryPoint
from reporters.render.html.svg import Spec

# The size of a whole chart in pixels, and the room that its axes have: given rather than measured,
# because measuring text takes most of the time of a drawing.
WIDTH = 280
HEIGHT = 220
_ROOM = {"left": 46, "right": 10, "top": 10, "bottom": 40}
CANDIDATE, BASELINE = "candidate", "baseline"
Points = Sequence[tuple[float, float]]
Datum = dict[str, Any]

_SHORT = 150
_THOUSANDS = 10_000
_NARROWEST = 0.02
_COLOR = {"candidate": "var(--candidate)", "baseline": "var(--baseline)"}
_AXIS = {
    "domain": False,
    "gridColor": "var(--grid)",
    "labelColor": "var(--muted)",
    "labelFontSize": 11.5,
    "labelPadding": 6,
    "labelOverlap": True,
    "tickCount": 4,
    "ticks": False,
    "titleColor": "var(--muted)",
    "titleFontSize": 11.5,
    "titleFontWeight": "normal",
    "titlePadding": 8,
}
_CONFIG = {
    "aria": False,
    "axis": _AXIS,
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": None},
}
_UNIT = {"domain": [0, 1], "nice": False}
_HALVES = {"values": [0, 0.5, 1]}


def roc(candidate: Points, baseline: Points) -> Spec:
    """Return the receiver operating characteristic of both models."""
    return _curves(candidate, baseline, "false positive rate", "true positive rate", diagonal=True)


def precision_recall(candidate: Points, baseline: Points) -> Spec:
    """Return the precision of both models by their recall."""
    return _curves(candidate, baseline, "recall", "precision", diagonal=False)


def distribution(
    edges: Sequence[float], candidate: Sequence[int], baseline: Sequence[int], *, of: str
) -> Spec:
    """Return the share of rows between neighbouring edges, as two outlines."""
    values = [
        {"x": x, "y": count / (sum(counts) or 1), "of": of_model}
        for of_model, counts in ((BASELINE, baseline), (CANDIDATE, candidate))
        if counts
        for x, count in zip(edges, (*counts, counts[-1]), strict=True)
    ]
    x = _axis("x", of, {"domain": [edges[0], edges[-1]], "nice": False})
    y = _axis("y", "share of rows", {"zero": True}, format=".0%")
    line = _line(values, x, y, interpolate="step-after")
    area = {**line, "mark": {"type": "area", "interpolate": "step-after", "fillOpacity": 0.12}}
    area["encoding"] = {**x, "y": {**y["y"], "stack": None}, **_hue("fill")}
    return _sized([area, line], HEIGHT)


def calibration(candidate: Sequence[CalibrationBin], baseline: Sequence[CalibrationBin]) -> Spec:
    """Return how many rows were positive by mean score, with intervals; the diagonal is right."""
    values = [
        {"x": b.score, "y": b.observed, "low": b.interval[0], "high": b.interval[1], "of": of}
        for of, bins in ((BASELINE, baseline), (CANDIDATE, candidate))
        for b in bins
    ]
    x, y = _unit("x", "mean score"), _unit("y", "share of positives")
    ends = {"y": {**y["y"], "field": "low"}, "y2": {"field": "high"}}
    bars = {
        "data": {"values": values},
        "mark": {"type": "rule", "opacity": 0.45, "strokeWidth": 1.5},
        "encoding": {**x, **ends, **_hue("stroke")},
    }
    dots = {
        "data": {"values": values},
        "mark": {"type": "point", "size": 30, "strokeWidth": 1.5, "opacity": 1},
        "encoding": {**x, **y, **_hue("stroke"), **_filled("of", CANDIDATE)},
    }
    return _sized([_diagonal(), bars, _line(values, x, y, width=1.2), dots], HEIGHT)


def history(points: Sequence[HistoryPoint], metric: str, now: float, data: str) -> Spec:
    """Return a metric over the registered versions; `data` is the digest of today's rows."""
    values: list[Datum] = []
    for one in points:
        full = BASELINE if one.data == data else ""
        values.append(
            {"at": f"v{one.version}", "y": one.metrics[metric], "of": BASELINE, "full": full}
        )
    values.append({"at": "now", "y": now, "of": CANDIDATE, "full": CANDIDATE})
    at = {
        "field": "at",
        "type": "ordinal",
        "sort": None,
        "axis": {"labelAngle": 0, "title": None, "grid": False},
    }
    short = {"format": ".3~s"} if max(abs(one["y"]) for one in values) >= _THOUSANDS else {}
    scale = {"domain": _wide(one["y"] for one in values), "nice": True, "padding": 6}
    x, y = {"x": at}, _axis("y", None, scale, **short)
    way = {
        "data": {"values": values},
        "mark": {"type": "line", "stroke": "var(--baseline)", "strokeWidth": 1.5},
        "encoding": {**x, **y},
    }
    dots = {
        "data": {"values": values},
        "mark": {"type": "point", "size": 44, "strokeWidth": 1.8, "opacity": 1},
        "encoding": {**x, **y, **_hue("stroke"), **_filled("full", BASELINE, CANDIDATE)},
    }
    return _sized([way, dots], _SHORT, {**_ROOM, "bottom": 24})


def _wide(values: Iterable[float]) -> list[float]:
    """Return the ends of a scale on which a change that is next to nothing looks like it."""
    ranked = sorted(values)
    low, high = ranked[0], ranked[-1]
    short = max(0.0, _NARROWEST * max(abs(low), abs(high)) - (high - low)) / 2
    return [low - short, high + short]


def _curves(candidate: Points, baseline: Points, x: str, y: str, *, diagonal: bool) -> Spec:
    values = [
        {"x": across, "y": up, "of": of, "at": at}
        for of, points in ((BASELINE, baseline), (CANDIDATE, candidate))
        for at, (across, up) in enumerate(points)
    ]
    line = _line(values, _unit("x", x), _unit("y", y))
    line["encoding"]["order"] = {"field": "at"}
    return _sized([*([_diagonal()] if diagonal else []), line], HEIGHT)


def _line(
    values: list[Datum], x: Datum, y: Datum, *, interpolate: str = "linear", width: float = 2
) -> Datum:
    """Return a line a model: the baseline's is dashed, so that nothing rests on colour."""
    dash = {"field": "of", "legend": None, "scale": _scale([[4, 3], [1, 0]])}
    return {
        "data": {"values": values},
        "mark": {"type": "line", "interpolate": interpolate, "strokeWidth": width},
        "encoding": {**x, **y, **_hue("stroke"), "strokeDash": dash},
    }


def _diagonal() -> Datum:
    return {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "stroke": "var(--rule)", "strokeWidth": 1},
        "encoding": {axis: {"field": axis, "type": "quantitative"} for axis in "xy"},
    }


def _axis(channel: str, title: str | None, scale: Datum, **axis: Any) -> Datum:
    shown = {"title": title, **axis}
    return {channel: {"field": channel, "type": "quantitative", "scale": scale, "axis": shown}}


def _unit(channel: str, title: str) -> Datum:
    return _axis(channel, title, _UNIT, **_HALVES)


def _hue(channel: str) -> Datum:
    colors = [_COLOR[BASELINE], _COLOR[CANDIDATE]]
    return {channel: {"field": "of", "type": "nominal", "legend": None, "scale": _scale(colors)}}


def _filled(field: str, *models: str) -> Datum:
    """Return a fill where a field names one of these models, and a hollow point elsewhere."""
    full = [{"test": {"field": field, "equal": of}, "value": _COLOR[of]} for of in models]
    return {"fill": {"condition": full, "value": "var(--surface)"}}


def _scale(values: list[Any]) -> Datum:
    return {"domain": [BASELINE, CANDIDATE], "range": values}


def _sized(layers: Iterable[Datum], height: int, room: dict[str, int] = _ROOM) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "autosize": "none",
        "config": _CONFIG,
        "height": height - room["top"] - room["bottom"],
        "layer": list(layers),
        "padding": room,
        "width": WIDTH - room["left"] - room["right"],
    }
