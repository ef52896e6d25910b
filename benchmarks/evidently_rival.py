"""Evidently's classification report on the same two models, run by a Python that has it.

`PYTHON benchmarks/evidently_rival.py FOLDER`: points for both models on the whole set; it makes no
intervals, and no slices unless asked again for each. It stands alone: its environment is not ours.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset


def main(folder: Path) -> None:
    """Print the seconds that the report takes once the files are read."""
    truth = pd.read_parquet(folder / "evaluation.parquet", columns=["user_id", "y"])
    tables = [
        truth.merge(pd.read_parquet(folder / f"{model}.parquet"), on="user_id")
        for model in ("baseline", "candidate")
    ]
    started = time.perf_counter()
    roles = BinaryClassification(
        target="y", prediction_labels="prediction", prediction_probas="score", pos_label=1
    )
    definition = DataDefinition(classification=[roles])
    reference, current = (
        Dataset.from_pandas(table.drop(columns="user_id"), data_definition=definition)
        for table in tables
    )
    Report([ClassificationPreset()]).run(current, reference).dict()
    print(json.dumps({"seconds": round(time.perf_counter() - started, 3)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
