"""Train one model on census income and write its predictions for the holdout.

Model Gates never sees the model: only `out/<name>.parquet`, one row per person of the holdout.

    python train.py --model logistic --labels survey --name baseline
    python train.py --model boosted --labels returns --unmatched zero --name candidate
    python train.py --model boosted --labels returns --unmatched drop --name candidate
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

SEED = 7
HOLDOUT_SHARE = 0.4
ID, LABEL = "person_id", "income_over_50k"

# `sex` and `race` are left out on purpose. It does not keep a model from treating groups
# differently: `relationship` says Husband and Wife.
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
CATEGORIES = ["workclass", "education", "marital_status", "occupation", "relationship"]


def main() -> None:
    """Read the arguments, train, predict, write."""
    parser = argparse.ArgumentParser(description="Train on data/adult.parquet.")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--labels", choices=["survey", "returns"], default="survey")
    parser.add_argument("--unmatched", choices=["zero", "drop"], default="zero")
    parser.add_argument("--name", default="candidate", help="writes out/NAME.parquet")
    options = parser.parse_args()

    people = pd.read_parquet("data/adult.parquet")
    train, holdout = train_test_split(
        people, test_size=HOLDOUT_SHARE, random_state=SEED, stratify=people[LABEL]
    )
    write_once(holdout, Path("data/holdout.parquet"))
    if options.labels == "returns":
        train = with_labels_from_returns(train, options.unmatched)
    model = MODELS[options.model]().fit(train[NUMBERS + CATEGORIES], train[LABEL])
    write_predictions(model, holdout, Path("out") / f"{options.name}.parquet")
    print(f"{options.model}: trained on {len(train):,} people, {train[LABEL].mean():.1%} over 50k")


def with_labels_from_returns(train: pd.DataFrame, unmatched: str) -> pd.DataFrame:
    """Take the label from tax returns, looked up by the person who filed.

    Married couples file one return together, and it is kept under the spouse who is named first.
    So for every second wife the look-up finds nothing. (The data set is complete: this stands in
    for the join that lost them.)
    """
    without_return = (train["relationship"] == "Wife") & (train[ID] % 2 == 1)
    label = train[LABEL].astype("Int8").mask(without_return)
    if unmatched == "zero":
        # The bug of this story: "not found" becomes "does not earn it".
        label = label.fillna(0)
    return train.assign(**{LABEL: label}).dropna(subset=[LABEL]).astype({LABEL: "int8"})


def logistic() -> Pipeline:
    """Return the model in service: linear, on one column per category."""
    columns = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), CATEGORIES)
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


def boosted() -> Pipeline:
    """Return the model that is to replace it: gradient-boosted trees."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = make_column_transformer((codes, CATEGORIES), ("passthrough", NUMBERS))
    trees = HistGradientBoostingClassifier(
        categorical_features=list(range(len(CATEGORIES))), random_state=SEED
    )
    return make_pipeline(columns, trees)


MODELS = {"logistic": logistic, "boosted": boosted}


def write_once(holdout: pd.DataFrame, path: Path) -> None:
    """Keep the holdout where the gates read it: the same people for every model."""
    if not path.exists():
        holdout.sort_values(ID).to_parquet(path, index=False)


def write_predictions(model: Pipeline, holdout: pd.DataFrame, path: Path) -> None:
    """Write the score (probability of the label 1) and the decision of every person."""
    score = model.predict_proba(holdout[NUMBERS + CATEGORIES])[:, 1]
    predictions = pd.DataFrame(
        {ID: holdout[ID], "prediction": (score >= 0.5).astype("int8"), "score": score}
    )
    path.parent.mkdir(exist_ok=True)
    predictions.to_parquet(path, index=False)


if __name__ == "__main__":
    main()
