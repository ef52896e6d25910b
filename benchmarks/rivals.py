"""What people use today, on the same work: `python -m benchmarks.rivals NAME FOLDER`.

A rival that resamples is timed for a few replicates and its thousand are extrapolated: each takes
as long as the one before. Reading the files and imports are not in its seconds.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.workload import CATEGORIES, METRICS, SCORES, SENSITIVE

if TYPE_CHECKING:
    from collections.abc import Callable

REPLICATES = 1000
MEASURED = 2
COLUMNS = (*CATEGORIES, *SENSITIVE)
MODELS = ("baseline", "candidate")


def sklearn_loop(folder: Path) -> dict[str, Any]:
    """Resample rows; take every metric of both models, overall and in each value of a column."""
    frame = _frame(folder)
    definitions = _definitions()
    rng = np.random.default_rng(1)
    parts = {c: [frame[c] == value for value in np.unique(frame[c])] for c in COLUMNS}
    overall = sliced = 0.0
    for _ in range(MEASURED):
        drawn = rng.integers(0, len(frame["y"]), len(frame["y"]))
        overall += _timed(partial(_all_metrics, frame, definitions, drawn))
        for masks in parts.values():
            for mask in masks:
                index = drawn[mask[drawn]]
                sliced += _timed(partial(_all_metrics, frame, definitions, index))
    return _extrapolated(overall + sliced) | {
        "overall_only_s": round(overall / MEASURED * REPLICATES, 1)
    }


def fairlearn_frames(folder: Path) -> dict[str, Any]:
    """Ask MetricFrame for intervals, one column at a time; it knows one model and no pairs."""
    from fairlearn.metrics import MetricFrame

    frame = _frame(folder)
    spent = 0.0
    for column in COLUMNS:
        for metrics, outputs in _frames():
            build = partial(
                MetricFrame,
                metrics=metrics,
                y_true=frame["y"],
                y_pred=frame[f"candidate.{outputs}"],
                sensitive_features=frame[column],
            )
            plain = _timed(build)
            spent += _timed(partial(build, n_boot=MEASURED, ci_quantiles=[0.025, 0.975])) - plain
    return _extrapolated(spent * len(MODELS)) | {"measured_models": 1}


def duckdb_aggregation(folder: Path) -> dict[str, Any]:
    """Count cells and sum losses per value of each column: points without AUC, no interval."""
    import duckdb

    columns = ", ".join(f"({name})" for name in COLUMNS)
    loss = "sum(-ln(CASE WHEN y = 1 THEN {0} ELSE 1 - {0} END)), sum(({0} - y) ** 2)"
    losses = ", ".join(loss.format(f"{model}.score") for model in MODELS)
    joined = " ".join(f"JOIN '{folder}/{m}.parquet' {m} USING (user_id)" for m in MODELS)
    cell = "y, baseline.prediction, candidate.prediction"
    query = f"""
        SELECT {", ".join(COLUMNS)}, count(*), {losses}, {cell}
        FROM '{folder}/evaluation.parquet' {joined}
        GROUP BY {cell}, GROUPING SETS ({columns}, ())"""  # noqa: S608  (our own names)
    with duckdb.connect() as connection:
        return {"seconds": round(_timed(lambda: connection.execute(query).fetchall()), 3)}


RIVALS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "sklearn": sklearn_loop,
    "fairlearn": fairlearn_frames,
    "duckdb": duckdb_aggregation,
}


def _all_metrics(frame: dict[str, Any], definitions: dict[str, Any], index: Any) -> None:
    truth = frame["y"][index]
    for model in MODELS:
        outputs = {o: frame[f"{model}.{o}"][index] for o in ("prediction", "score")}
        for name in METRICS:
            definitions[name](truth, outputs["score" if name in SCORES else "prediction"])


def _definitions() -> dict[str, Any]:
    from sklearn import metrics as sk

    return {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "precision": sk.precision_score,
        "recall": sk.recall_score,
        "f1": sk.f1_score,
        "mcc": sk.matthews_corrcoef,
        "roc_auc": sk.roc_auc_score,
        "average_precision": sk.average_precision_score,
        "log_loss": sk.log_loss,
        "brier": sk.brier_score_loss,
    }


def _frames() -> list[tuple[dict[str, Any], str]]:
    """Return the metrics of scores and those of predictions: a frame takes one output."""
    every = _definitions()
    scores = {name: every[name] for name in SCORES}
    return [(scores, "score"), ({n: every[n] for n in METRICS if n not in SCORES}, "prediction")]


def _frame(folder: Path) -> dict[str, Any]:
    from pyarrow import parquet

    # A copy: numpy hands a column that it does not own to pandas as read-only.
    table = parquet.read_table(folder / "evaluation.parquet", columns=["y", *COLUMNS])
    frame = {n: np.array(table[n].to_numpy(zero_copy_only=False)) for n in table.column_names}
    for model in MODELS:
        outputs = parquet.read_table(folder / f"{model}.parquet", columns=["prediction", "score"])
        frame |= {f"{model}.{name}": outputs[name].to_numpy() for name in outputs.column_names}
    return frame


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _extrapolated(spent: float) -> dict[str, Any]:
    return {
        "seconds": round(spent / MEASURED * REPLICATES, 1),
        "measured_replicates": MEASURED,
        "extrapolated_to": REPLICATES,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(RIVALS[sys.argv[1]](Path(sys.argv[2]))))
