"""Say what the report itself shows about why a check is red. Only evidence: nothing is guessed.

Each rule looks at counts and rates that stand in the report and answers with a sentence, or with
nothing. A reader is told where to look; the verdict does not rest on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gates.picture import Curves, Flip, GroupRate
from gates.report import Check, GateResult, ModelReport, Verb, Verdict
from reporters.render import figures, words
from reporters.render.escape import Name, Said
from reporters.render.words import Tone

MOST = 3
# Below these, a difference is what any two models show.
_RATE_MOVED = 0.01
_LIFT = 1.5
_FEW_ROWS = 10
_SHRUNK = 0.8
_FEW_VERSIONS = 3
_MOST_VERSIONS = 20
_RANKING = ("roc_auc", "average_precision")
# Metrics that a threshold moves, whatever the scores are worth.
_OF_PREDICTIONS = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        "f1",
        "false_negative_rate",
        "false_positive_rate",
        "fbeta",
        "mcc",
        "precision",
        "recall",
        "selection_rate",
        "specificity",
        "true_negative_rate",
        "true_positive_rate",
    }
)


def causes(model: ModelReport, gate: GateResult, check: Check) -> list[Said]:
    """Return what the report shows about a check that fails, the likeliest first."""
    if words.tone(check) not in (Tone.FAIL, Tone.WARN):
        return []
    found = (
        *_already_so(check),
        *_other_data(model),
        *_rows_then(model, check),
        *_group_that_moved(gate, check),
        *_threshold(model, check),
        *_selected_in_group(gate, check),
        *_slice_that_broke(model, check),
        *_only_here(gate, check),
        *_trend(model, check),
    )
    return list(found)[:MOST]


def _already_so(check: Check) -> Iterator[Said]:
    """Say that the baseline breaks an absolute limit as well: the candidate did not do it."""
    if check.verb.needs_baseline or check.baseline is None:
        return
    lower = check.verb is Verb.MIN
    if check.baseline < check.bound if lower else check.baseline > check.bound:
        was = figures.number(check.baseline, figures.places(check))
        yield (f"The baseline is beyond this limit, too ({was}): it did not begin here.",)


def _rows_then(model: ModelReport, check: Check) -> Iterator[Said]:
    """Say that a slice has fewer rows than when the baseline was registered."""
    then = model.baseline.slices.get(check.id.partition("@")[2]) if model.baseline else None
    if check.slice and then and check.n <= _SHRUNK * then:
        yield (f"This slice has {check.n:,} rows; the baseline was registered on {then:,} of it.",)


def _other_data(model: ModelReport) -> Iterator[Said]:
    now = model.data.get("evaluation")
    before = model.baseline.data if model.baseline else None
    if now is None or before is None or now.digest == before.digest:
        return
    rows = f"{before.rows:,} rows then, {now.rows:,} now"
    yield (f"The evaluation data is not what the baseline was registered on ({rows}).",)
    if now.label_rate is None or before.label_rate is None:
        return
    if model.task == "binary" and abs(now.label_rate - before.label_rate) >= _RATE_MOVED:
        was, now_is = figures.share(before.label_rate), figures.share(now.label_rate)
        yield (f"The share of positive labels moved from {was} to {now_is}.",)


def _threshold(model: ModelReport, check: Check) -> Iterator[Said]:
    """Tell a moved threshold from a worse ranking: only the second needs another model."""
    before, now = (_selected(one) for one in (model.portrait.baseline, model.portrait.candidate))
    if before is None or now is None or check.slice or check.sensitive:
        return
    if check.metric not in _OF_PREDICTIONS:
        return
    if abs(now - before) < _RATE_MOVED or not _ranks_as_well(model):
        return
    was, now_is = figures.share(before), figures.share(now)
    shares = f"{now_is} of the rows, the baseline for {was}"
    advice = "and ranks them no worse: look at the threshold first."
    yield (f"The candidate predicts the positive class for {shares}, {advice}",)


def _selected_in_group(gate: GateResult, check: Check) -> Iterator[Said]:
    """Say how often a group is predicted the positive class, where its rate of errors moved."""
    for rate in gate.groups:
        if rate.group != check.slice or rate.metric != "selection_rate" or rate.note:
            continue
        if rate.baseline is None or rate.candidate is None or check.metric == rate.metric:
            continue
        if abs(rate.candidate - rate.baseline) >= _RATE_MOVED:
            was, now_is = figures.share(rate.baseline), figures.share(rate.candidate)
            yield (f"The positive class is predicted for {now_is} of these rows, before {was}.",)


def _selected(curves: Curves | None) -> float | None:
    """Return the share of rows that a binary model predicts the positive class for."""
    if curves is None or len(curves.confusion) != 2:
        return None
    total = sum(map(sum, curves.confusion))
    return sum(row[1] for row in curves.confusion) / total if total else None


def _ranks_as_well(model: ModelReport) -> bool:
    """Return whether a ranking metric was held against the baseline, and passed."""
    ranking = [
        check
        for gate in model.gates
        for check in gate.checks
        if check.metric in _RANKING and check.verb.needs_baseline and not check.slice
    ]
    return bool(ranking) and all(check.verdict is Verdict.PASS for check in ranking)


def _group_that_moved(gate: GateResult, check: Check) -> Iterator[Said]:
    """Say whose rate moved, where a disparity between groups did."""
    if not check.sensitive or check.slice:
        return
    moved = [
        (abs(rate.candidate - rate.baseline), rate)
        for rate in gate.groups
        if rate.sensitive == check.sensitive
        and rate.note is None
        and rate.candidate is not None
        and rate.baseline is not None
    ]
    if len(moved) < 2:
        return
    moved.sort(key=lambda pair: -pair[0])
    most, rate = moved[0]
    others = max((size for size, one in moved if one.group != rate.group), default=0.0)
    if most >= _LIFT * others:
        yield (*_moved(rate), f"; no other group moved by more than {others:.3f}.")


def _moved(rate: GroupRate) -> Said:
    before, now = (figures.number(one, 3) for one in (rate.baseline, rate.candidate))
    metric = words.metric(rate.metric)
    return (Name(words.pairs(rate.group)), " moved most: ", metric, f" {before} → {now}")


def _slice_that_broke(model: ModelReport, check: Check) -> Iterator[Said]:
    """Name the slice with more than its share of the rows that were right and are wrong now."""
    flips = model.portrait.flips
    if check.slice or check.sensitive or flips is None or not flips.overall.broken:
        return
    lifted = [(_surplus(flips.overall, one), one) for one in flips.slices]
    surplus, worst = max(lifted, key=lambda pair: pair[0], default=(0.0, flips.overall))
    if surplus <= 0.0 or worst.slice is None or worst.broken is None:
        return
    broken = figures.share(worst.broken / flips.overall.broken)
    rows = figures.share(worst.rows / flips.overall.rows)
    yield (
        Name(words.pairs(worst.slice)),
        f" is {rows} of the rows and {broken} of those that were right and are wrong now.",
    )


def _surplus(overall: Flip, one: Flip) -> float:
    """Return how many more rows of a slice broke than its size explains; 0 if that is little."""
    if not one.broken or one.broken < _FEW_ROWS or not overall.broken:
        return 0.0
    expected = overall.broken * one.rows / overall.rows
    return one.broken - expected if one.broken >= _LIFT * expected else 0.0


def _only_here(gate: GateResult, check: Check) -> Iterator[Said]:
    """Say whether all rows moved as this slice did."""
    if not check.slice:
        return
    whole = next(
        (
            c
            for c in gate.checks
            if not c.slice and (c.metric, c.verb) == (check.metric, check.verb)
        ),
        None,
    )
    if whole is None or whole.delta is None or check.delta is None:
        return
    change = figures.number(whole.delta, figures.places(whole), sign=True)
    if whole.verdict is Verdict.PASS:
        yield (f"Over all rows it passes ({change}): this slice is where to look.",)
    elif whole.delta * check.delta > 0:
        yield (f"Over all rows it moved the same way ({change}): it is not this slice alone.",)


def _trend(model: ModelReport, check: Check) -> Iterator[Said]:
    """Show how a metric went over the registered versions that were judged on these rows."""
    data = model.data.get("evaluation")
    if check.slice or check.sensitive or check.candidate is None or data is None:
        return
    points = [
        (point.version, point.metrics[check.metric])
        for point in model.portrait.history
        if point.data == data.digest and check.metric in point.metrics
    ][-_MOST_VERSIONS:]
    if len(points) >= _FEW_VERSIONS:
        line = figures.sparkline([value for _, value in points] + [check.candidate])
        yield (f"Versions {points[0][0]} to {points[-1][0]}, then this candidate: {line}",)
