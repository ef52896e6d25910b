"""The work that everything here is measured on: one evaluation set, two models, one configuration.

20 numeric, 5 categorical and 3 sensitive columns; the candidate is a little worse than the
baseline everywhere and clearly worse for one group. Same size, same bytes: the seed is fixed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frame = dict[str, NDArray[Any]]

SEED = 20240607
NUMERIC = tuple(f"num_{i:02d}" for i in range(20))
CATEGORIES = {"cat_0": 4, "cat_1": 6, "cat_2": 8, "cat_3": 10, "cat_4": 5}
SENSITIVE = {
    "sex": ("F", "M"),
    "race": ("A", "B", "C", "D", "E"),
    "age_band": ("18-25", "26-35", "36-50", "51-65", "66+"),
}
# With the 45 values of the 8 columns: 50 slices, each row in about 10 of them.
CONDITIONS = {
    "low": "num_00 < -1",
    "high": "num_00 > 1",
    "both up": "num_01 > 0 and num_02 > 0",
    "young F": 'sex == "F" and age_band in ("18-25", "26-35")',
    "corner": "num_03 > 0.5 or num_04 < -0.5",
}
SCORES = ("roc_auc", "average_precision", "log_loss", "brier")
LOSSES = ("log_loss", "brier")
METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "mcc", *SCORES)
TOLERANCE = 0.01


def write(folder: Path, rows: int) -> None:
    """Write evaluation set, both models' predictions and `model-gates.yml` for this many rows."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = data(rows)
    models = {"baseline": predictions(frame, 0.0), "candidate": predictions(frame, 0.15)}
    _parquet(folder / "evaluation.parquet", frame)
    for name, outputs in models.items():
        _parquet(folder / f"{name}.parquet", {"user_id": frame["user_id"], **outputs})
    # JSON is YAML, and nothing has to be learnt to write it.
    config = json.dumps(configuration(), indent=2)
    (folder / "model-gates.yml").write_text(config, encoding="utf-8")


def data(rows: int) -> Frame:
    """Return the evaluation set's columns, each (rows,)."""
    rng = np.random.default_rng(SEED)
    frame: Frame = {"user_id": np.arange(rows)}
    frame |= {name: rng.normal(size=rows) for name in NUMERIC}
    for name, size in CATEGORIES.items():
        values = np.array([f"{name}_{i}" for i in range(size)])
        frame[name] = values[rng.integers(0, size, rows)]
    for name, members in SENSITIVE.items():
        frame[name] = np.array(members)[rng.integers(0, len(members), rows)]
    frame["y"] = (rng.random(rows) < _chance(frame)).astype(np.int8)
    return frame


def predictions(frame: Frame, noise: float) -> Frame:
    """Return one model's score and prediction; `noise` is how much worse than the best it is."""
    rng = np.random.default_rng(SEED + round(1000 * noise))
    odds = np.log(_chance(frame) / (1.0 - _chance(frame)))
    off = 0.6 + noise + 3.0 * noise * ((frame["sex"] == "F") & (frame["race"] == "C"))
    score = 1.0 / (1.0 + np.exp(-(odds + off * rng.normal(size=len(odds)))))
    return {"score": score, "prediction": (score >= 0.5).astype(np.int8)}


def configuration() -> dict[str, Any]:
    """Return the configuration: 10 metrics overall and in 50 slices, and fairness."""
    metrics = {m: {"max_rise" if m in LOSSES else "max_drop": TOLERANCE} for m in METRICS}
    columns = (*CATEGORIES, *SENSITIVE)
    conditions = [{"name": name, "where": where} for name, where in CONDITIONS.items()]
    fairness = {
        "sensitive": [*SENSITIVE, ["sex", "race"]],
        "metrics": {
            "demographic_parity_difference": {"max": 0.5, "max_rise": 0.02},
            "equalized_odds_difference": {"max_rise": 0.02},
            "false_negative_rate": {"max_rise_any_group": 0.02},
        },
    }
    model = {
        "task": "binary",
        "data": {"evaluation": "evaluation.parquet", "id": "user_id", "label": "y"},
        "candidate": {"predictions": "candidate.parquet"},
        "gates": {
            "performance": {"metrics": metrics, "slices": [*columns, *conditions]},
            "fairness": fairness,
        },
    }
    return {"version": 1, "models": {"credit": model}}


def _chance(frame: Frame) -> NDArray[np.float64]:
    odds = 0.9 * frame["num_00"] + 0.6 * frame["num_01"] - 0.5 * frame["num_02"] - 0.7
    chance: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
    return chance


def _parquet(path: Path, columns: Frame) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({name: pa.array(v) for name, v in columns.items()}), path)
