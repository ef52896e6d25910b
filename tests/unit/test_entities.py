"""A note where rows may belong together: only of what is named as an id and repeats."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gates.entities import unclustered
from gates.evidence import Data
from gates.tables import Budget, Engine

ROWS = 2_400
CHANCE = np.random.default_rng(5)
REPEATED = np.arange(ROWS) % 812
DATA = Data(id="row_id", label="y")


def noted(columns, *, data=DATA, known=(), from_file=None, budget=None):
    rows = len(next(iter(columns.values())))
    frame = pd.DataFrame({"row_id": range(rows), "y": np.arange(rows) % 2, **columns})
    path = Path("evaluation")
    if from_file is not None:
        path = from_file / "evaluation.parquet"
        frame.to_parquet(path)
    with Engine(budget, frames={Path("evaluation"): frame}) as engine:
        return unclustered(engine.open(path), data, known)


@pytest.fixture(params=["a frame", "a file"])
def folder(request, tmp_path):
    return tmp_path if request.param == "a file" else None


@pytest.mark.parametrize(
    "name",
    ["customer_id", "customerId", "CustomerID", "user", "Patient", "session-uuid", "account key", "document", "id", "uid", "email"],
)  # fmt: skip
def test_what_is_named_as_an_id_and_repeats_is_spoken_of(folder, name):
    (note,) = noted({name: REPEATED}, from_file=folder)
    assert note == (
        f"`{name}` has 812 different values in 2,400 rows: if rows of one {name} belong together, "
        f"set `data.cluster: {name}`, or intervals are too narrow."
    )


@pytest.mark.parametrize(
    "columns",
    [
        {"customer_id": np.arange(ROWS)},
        {"customer_id": np.arange(ROWS) // 1.1 // 1},
        {"customer_id": np.arange(ROWS) % int(0.85 * ROWS)},
        {"customer_id": np.arange(ROWS) % 49},
        {"customer_id": np.arange(ROWS) % 3},
        {"region": REPEATED},
        {"idea": REPEATED},
        {"paid": REPEATED},
        {"monkey": REPEATED},
        {"users": REPEATED},
        {"id_type": REPEATED},
        {"customer_id": np.array([1.5, 2.5])[REPEATED % 2]},
        {"customer_id": pd.Timestamp("2024-01-01") + pd.to_timedelta(REPEATED, unit="D")},
        {"_": REPEATED},
    ],
    ids=map(str, range(14)),
)
def test_nothing_else_is_spoken_of(folder, columns):
    assert noted(columns, from_file=folder) == ()


def test_few_customers_of_many_rows_are_the_worst_case():
    """Three hundred customers in ten thousand rows, as measured in the field."""
    (note,) = noted({"customer_id": np.arange(10_000) % 300})
    assert note.startswith("`customer_id` has 300 different values in 10,000 rows")


def test_a_missing_id_makes_floats_of_whole_numbers(folder):
    ids = REPEATED.astype(float)
    ids[0] = np.nan
    (note,) = noted({"customer_id": ids}, from_file=folder)
    assert "different values" in note
    ids[0], ids[1] = np.nan, -0.5
    assert noted({"customer_id": ids}, from_file=folder) == ()


def test_small_tables_hold_categories():
    assert noted({"shop_id": np.arange(100) % 30}) == ()
    assert noted({"shop_id": np.arange(100) % 50}) != ()


def test_a_column_whose_part_is_known_is_not_spoken_of(folder):
    columns = {"customer_id": REPEATED, "shop_id": REPEATED}
    assert len(noted(columns, from_file=folder)) == 2
    (note,) = noted(columns, known=["customer_id"], from_file=folder)
    assert note.startswith("`shop_id`")
    assert noted(columns, data=Data(id="customer_id", label="shop_id"), from_file=folder) == ()
    clustered = Data(id="row_id", label="y", cluster="customer_id")
    assert noted(columns, data=clustered, from_file=folder) == ()


def test_few_are_spoken_of():
    assert len(noted({f"a{i}_id": REPEATED for i in range(9)})) == 3


def test_a_suspicion_never_refuses_a_table(folder):
    """A missing value, or a text too long for any gate, is no matter of a note."""
    texts = pd.Series([f"{i:05}" * 20 for i in REPEATED])
    texts[0] = None
    (note,) = noted({"document": texts}, from_file=folder, budget=Budget(cell=50))
    assert "812 different values" in note
