"""What `init` guesses from which columns, what it refuses, and that its text is always valid."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gates.config import validate
from gates.errors import ConfigError, InputError
from gates.starter import MOST_CATEGORIES, starter
from gates.yaml_source import parse
from tests.hostile import HOSTILE

N = 2000
RNG = np.random.default_rng(11)
ID = np.arange(N)
LABEL = (RNG.random(N) < 0.4).astype(int)
SCORE = np.clip(0.25 + 0.5 * LABEL + RNG.normal(0, 0.2, N), 0.001, 0.999)
GUESS = (SCORE >= 0.5).astype(int)
SEX = np.where(RNG.random(N) < 0.5, "F", "M")
COLOUR = RNG.choice(["red", "green", "blue"], N)
COLOURS = {"red": 0, "green": 1, "blue": 2}
TRUTH = {"id": ID, "label": LABEL}
SAID = {"id": ID, "prediction": GUESS, "score": SCORE}


def table(folder, name, columns):
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def proposed(folder, said, truth=None, model="m"):
    """Return the configuration's text and its only model, validated."""
    predictions = table(folder, "predictions", said)
    evaluation = table(folder, "holdout", truth) if truth is not None else None
    text = starter(predictions, evaluation, model=model, beside=folder)
    config = validate(parse(text.encode(), "model-gates.yml"))
    return text, config.models[model]


def swapped(columns, **renamed):
    """Return the columns under other names."""
    return {renamed.get(name, name): values for name, values in columns.items()}


def test_the_whole_text_of_a_small_binary_model(tmp_path):
    text, _ = proposed(tmp_path, SAID, TRUTH | {"sex": SEX, "age": ID % 80 + 10})
    shown = re.sub(r"0\.\d+|\d{3,}|\d,\d{3}", "9", text)
    assert shown.splitlines() == [
        "# What a candidate of `m` must meet to replace the model in service.",
        "# A first proposal by `model-gates init`: read it, and mend what it guessed wrong.",
        "# `model-gates validate` checks it; `model-gates schema` prints all that may stand here.",
        "version: 1",
        "",
        "models:",
        "  m:",
        "    task: binary                      # the label has two values",
        "",
        "    data:",
        "      evaluation: holdout.parquet",
        "      # named like an id, and no value occurs twice; it pairs rows, never by position",
        "      id: id",
        "      label: label                    # called like a label",
        "      positive: 1                     # the usual name of it",
        "",
        "    candidate:",
        "      predictions: predictions.parquet  # what each candidate predicts is written here",
        "",
        "    baseline:",
        "      store: .model-gates/baselines",
        "      alias: champion",
        "      # `ledger: true` counts what this set was asked, and warns when it is worn out",
        "",
        "    gates:",
        "      # Is it the table that the limits below were made for? (pip extra data-schema)",
        "      data-schema:",
        "        rows: {min: 9}",
        "        columns:",
        "          id: {nullable: false, unique: true}",
        "          label: {type: integer, nullable: false, in: [0, 1]}",
        "          sex: {type: text, nullable: false, in: [F, M]}",
        "          age: {type: integer, nullable: false, min: 2, max: 97}",
        "",
        "      # `min` and `max` stand just outside of today's 95% interval. A limit on change is the",
        "      # smallest round number that these rows decide 80% of the time when nothing changed, if two",
        "      # models differ in 10% of the rows (rates) or are correlated by 9 (all else).",
        "      performance:",
        "        metrics:",
        "          # now 9; 9 rows can decide a drop of 9",
        "          roc_auc: {min: 9, max_drop: 9, slices: {max_drop: 9}}",
        "          # now 9; 9 rows can decide a rise of 9",
        "          log_loss: {max: 9, max_rise: 9, slices: {max_rise: 9}}",
        "          # now 9; 9 rows can decide a drop of 9",
        "          accuracy: {min: 9, max_drop: 9, slices: {max_drop: 9}}",
        "          # now 9; 9 rows can decide a drop of 9, and 9 takes 9",
        "          recall: {min: 9, max_drop: 9, slices: {max_drop: 9}}",
        "        slices:",
        '          - {name: age under 30, where: "age < 30"}',
        '          - {name: age 60 and over, where: "age >= 60"}',
        "",
        "      # Do groups fare alike, and no worse than under the model in service? Add `max` for what the",
        "      # difference itself may be, and [a, b] for intersections. (pip extra fairness)",
        "      fairness:",
        "        sensitive: [sex]",
        "        min_group: 50                 # smaller ones stay undecided",
        "        metrics:",
        "          demographic_parity_difference: {max_rise: 9}",
        "          equalized_odds_difference: {max_rise: 9}",
        "          false_negative_rate: {max_rise_any_group: 9}",
    ]


# --- Columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["id", "person_id", "rowId", "UUID", "order-key", "Index"])
def test_an_id_is_known_by_its_name_and_by_being_unique(tmp_path, name):
    _, model = proposed(tmp_path, swapped(SAID, id=name), swapped(TRUTH, id=name))
    assert model.data.id == name


def test_without_a_name_the_one_shared_unique_column_is_the_id(tmp_path):
    text, model = proposed(tmp_path, swapped(SAID, id="case"), swapped(TRUTH, id="case"))
    assert model.data.id == "case"
    assert "the one column in both files" in text


def test_of_ids_the_unique_one_pairs_and_the_repeated_one_is_the_cluster(tmp_path):
    truth = {"customer_id": ID // 4, "order_id": ID, "label": LABEL}
    said = swapped(SAID, id="order_id") | {"customer_id": ID // 4}
    text, model = proposed(tmp_path, said, truth)
    assert (model.data.id, model.data.cluster) == ("order_id", "customer_id")
    assert "rows with the same are not independent" in text


@pytest.mark.parametrize(
    "column",
    [ID % 5, np.where(ID % 9 == 0, None, (ID // 4).astype(object)), ID / 4.0],
    ids=["few", "missing", "not whole"],
)
def test_what_can_not_be_a_cluster_is_none(tmp_path, column):
    _, model = proposed(tmp_path, SAID, TRUTH | {"region_id": column})
    assert model.data.cluster is None


@pytest.mark.parametrize(
    ("said", "truth", "problem"),
    [
        (swapped(SAID, id="case"), swapped(TRUTH, id="case") | {"prediction": ID}, "like an id"),
        (SAID | {"id": ID // 2}, TRUTH | {"id": ID // 2}, "different value in every row"),
        (SAID, swapped(TRUTH, id="person_id"), "no column, in both files,"),
        ({"id": ID, "guess": GUESS}, TRUTH, "no column is called like a prediction"),
        (SAID, None, "no column is called like a label"),
        (SAID, {"id": ID, "noise": ID % 2}, "no column is called like a label"),
        (SAID, TRUTH | {"label": ID * 0}, "every row has the same label in `label`"),
        (SAID, TRUTH | {"id": ID + 7}, "the ids do not match"),
        (SAID | {"score": SCORE * 9}, TRUTH, "outside [0, 1]"),
    ],
)
def test_what_is_found_nowhere_is_refused_with_what_would_help(tmp_path, said, truth, problem):
    with pytest.raises(InputError) as caught:
        proposed(tmp_path, said, truth)
    assert problem in str(caught.value)
    assert caught.value.hint
    assert not re.search(r"\b\d{3}\b", caught.value.hint)


def test_without_labels_the_hint_names_the_flag(tmp_path):
    with pytest.raises(InputError, match="--evaluation"):
        proposed(tmp_path, SAID)


@pytest.mark.parametrize("name", ["label", "y_true", "Target", "yTrue", "has_churned", "is_fraud"])
def test_a_label_is_known_by_its_name(tmp_path, name):
    text, model = proposed(tmp_path, SAID, swapped(TRUTH, label=name) | {"flag": ID % 2})
    assert model.data.label == name
    assert "label" not in re.findall(r"TODO.*", text)


def test_a_second_name_like_a_label_is_asked_about(tmp_path):
    text, model = proposed(tmp_path, SAID, {"id": ID, "outcome": ID % 2, "label": LABEL})
    assert model.data.label == "label"
    assert "TODO: or is it `outcome`?" in text


def test_without_a_name_the_label_is_what_goes_with_the_score_and_a_person_is_asked(tmp_path):
    truth = {"id": ID, "flag": ID % 2, "repaid": LABEL, "const": ID * 0}
    text, model = proposed(tmp_path, SAID, truth)
    assert model.data.label == "repaid"
    assert re.search(r"TODO: is it\?.*\(correlation 0\.\d\d\)", text.replace("\n      # ", " "))


def test_a_label_can_be_found_by_predictions_without_a_score(tmp_path):
    said = {"id": ID, "prediction": GUESS}
    _, model = proposed(tmp_path, said, {"id": ID, "flag": ID % 2, "repaid": LABEL})
    assert model.data.label == "repaid"


def test_text_predictions_find_no_label_by_correlation(tmp_path):
    words = np.where(GUESS == 1, "a", "b")
    truth = {"id": ID, "repaid": np.where(LABEL == 1, "a", "b")}
    with pytest.raises(InputError, match="none with two values goes"):
        proposed(tmp_path, {"id": ID, "prediction": words}, truth)


def test_a_column_called_class_that_the_predictions_are_not_of_is_no_label(tmp_path):
    truth = {"id": ID, "class": COLOUR, "survived": LABEL}
    _, model = proposed(tmp_path, SAID, truth)
    assert model.data.label == "survived"


def test_one_file_can_hold_it_all(tmp_path):
    _, model = proposed(tmp_path, SAID | {"label": LABEL})
    assert model.data.evaluation is None
    assert list(model.gates.configured()["data-schema"].columns) == ["id", "label"]


# --- Outputs and tasks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "columns"),
    [
        ({"pred": GUESS, "proba": SCORE}, {"prediction": "pred", "score": "proba"}),
        ({"y_score": SCORE}, {"score": "y_score"}),
        ({"y_hat": GUESS}, {"prediction": "y_hat"}),
        ({"pred": SCORE}, {"prediction": "no_pred", "score": "pred"}),
        ({"score_0": 1 - SCORE, "score_1": SCORE}, {"score": "score_1"}),
        ({"proba_1": SCORE}, {"score": "proba_1"}),
    ],
)
def test_outputs_are_known_by_their_names_and_by_what_they_hold(tmp_path, said, columns):
    _, model = proposed(tmp_path, {"id": ID} | said, TRUTH)
    assert model.candidate.columns.model_dump(exclude_defaults=True) == columns


def test_without_scores_what_needs_them_is_named_and_left_out(tmp_path):
    text, model = proposed(tmp_path, {"id": ID, "prediction": GUESS}, TRUTH)
    assert "# roc_auc needs scores, and these predictions have none." in text
    assert list(model.gates.configured()["performance"].metrics) == ["accuracy", "recall"]


@pytest.mark.parametrize(
    ("label", "positive", "why"),
    [
        (LABEL, 1, "the usual name of it"),
        (LABEL == 1, True, "the usual name of it"),
        (np.where(LABEL == 1, "Yes", "No"), "Yes", "the usual name of it"),
        (np.where(LABEL == 1, "bad", "good"), "bad", "its scores are higher"),
        (LABEL + 1, 2, "TODO: its scores are lower than the others'"),
        (LABEL * 2 - 1, 1, "the usual name of it"),
        (LABEL * 3.5, "3.5", "its scores are higher"),
    ],
)
def test_the_positive_value_is_known_by_name_or_by_its_scores(tmp_path, label, positive, why):
    said = {"id": ID, "score": SCORE}
    if positive == 2:
        positive = 1  # "1" is what positive ones are called, here it is the negative one
    text, model = proposed(tmp_path, said, {"id": ID, "label": label})
    assert (model.data.positive, type(model.data.positive)) == (positive, type(positive))
    assert why in text


@pytest.mark.parametrize(("share", "rarer"), [(0.2, "b"), (0.8, "a")])
def test_without_scores_or_a_name_a_person_is_asked_for_the_positive_value(tmp_path, share, rarer):
    label = np.where(np.arange(N) < share * N, "b", "a")
    text, model = proposed(tmp_path, {"id": ID, "pred": label}, {"id": ID, "label": label})
    assert model.data.positive == rarer
    assert "TODO: is it this one? It is the rarer" in text


@pytest.mark.parametrize(
    ("said", "label", "task"),
    [
        ({"prediction": COLOUR}, COLOUR, "multiclass"),
        ({"prediction": ID % 3}, ID % 3, "multiclass"),
        ({f"proba_{i}": np.full(N, 1 / 3) for i in range(3)}, ID % 3, "multiclass"),
        ({"prediction": ID % 3 + 0.5}, ID % 3, "regression"),
        ({"prediction": SCORE}, SCORE + 0.1, "regression"),
        ({"prediction": ID}, ID + 1, "regression"),
        ({"prediction": GUESS == 1}, LABEL == 1, "binary"),
    ],
)
def test_the_task_follows_from_label_and_predictions(tmp_path, said, label, task):
    _, model = proposed(tmp_path, {"id": ID} | said, {"id": ID, "target": label})
    assert model.task.value == task


def test_scores_by_class_are_read_by_their_prefix(tmp_path):
    share = RNG.dirichlet([1, 1, 1], N)
    said = {"id": ID} | {f"p_{i}": share[:, i] for i in range(3)}
    said = {k.replace("p_", "Proba_"): v for k, v in said.items()}
    _, model = proposed(tmp_path, said, {"id": ID, "y": share.argmax(axis=1)})
    assert model.candidate.columns.score == "Proba"
    assert "log_loss" in model.gates.configured()["performance"].metrics


# --- Limits --------------------------------------------------------------------------------------


def test_limits_are_round_and_those_that_these_rows_decide(tmp_path):
    text, model = proposed(tmp_path, SAID, TRUTH)
    accuracy = model.gates.configured()["performance"].metrics["accuracy"]
    value = float((LABEL == GUESS).mean())
    half = 1.96 * (value * (1 - value) / N) ** 0.5
    assert accuracy.min == pytest.approx(value - half, abs=0.0105)
    assert accuracy.min < value - half * 0.95
    # 2.80 · sqrt(0.1 / 2000) = 0.0198
    assert accuracy.max_drop == 0.02
    assert "2,000 rows can decide a drop of 0.02" in text


def test_more_rows_decide_less(tmp_path):
    many = {name: np.tile(values, 10) for name, values in (SAID | TRUTH).items()}
    many["id"] = np.arange(10 * N)
    _, model = proposed(tmp_path, many)
    assert model.gates.configured()["performance"].metrics["accuracy"].max_drop == 0.01


def test_few_rows_say_how_many_would_do(tmp_path):
    few = {name: values[:100] for name, values in (SAID | TRUTH).items()}
    text, model = proposed(tmp_path, few)
    assert model.gates.configured()["performance"].metrics["accuracy"].max_drop == 0.1
    assert "0.02 takes 1,963" in text


def test_what_these_rows_can_not_say_is_no_limit(tmp_path):
    # The same loss on every row: not one says how sure it is. Never right on a positive: a recall
    # of 0 has no floor.
    said = {"id": ID, "prediction": LABEL * 0, "score": np.full(N, 0.5)}
    text, model = proposed(tmp_path, said, TRUTH)
    metrics = model.gates.configured()["performance"].metrics
    assert "# log_loss is 0.6931 here, and these rows do not tell how surely." in text
    assert "log_loss" not in metrics
    assert metrics["recall"].min is None
    assert metrics["recall"].max_drop is not None


def test_an_area_of_1_has_a_floor_below_it(tmp_path):
    said = {"id": ID, "prediction": LABEL * 0, "score": np.where(LABEL == 1, 0.4, 0.1)}
    _, model = proposed(tmp_path, said, TRUTH)
    assert 0.9 < model.gates.configured()["performance"].metrics["roc_auc"].min < 1.0


def test_rows_of_one_cluster_decide_less_than_as_many_independent_ones(tmp_path):
    truth = {"id": ID, "label": np.repeat(LABEL[::4], 4), "user_id": ID // 4}
    said = {"id": ID, "prediction": np.repeat(GUESS[::4], 4)}
    _, model = proposed(tmp_path, said, truth)
    assert model.data.cluster == "user_id"
    assert model.gates.configured()["performance"].metrics["accuracy"].max_drop == 0.05


def test_slices_are_columns_of_few_values_with_rows_enough(tmp_path):
    rare = np.where(ID < 40, "rare", "common")
    many = np.array([f"v{i}" for i in range(MOST_CATEGORIES + 1)])[ID % (MOST_CATEGORIES + 1)]
    columns = {"colour": COLOUR, "segment": rare, "town": many, "note": np.full(N, "x")}
    text, model = proposed(tmp_path, SAID, TRUTH | columns)
    performance = model.gates.configured()["performance"]
    assert performance.slices == ("colour",)
    assert performance.metrics["accuracy"].slices.max_drop == 0.05
    assert "Another slice: segment (its smallest part has 40 rows; 314 can decide 0.05)" in text
    assert "town" not in re.sub(r"town: \{", "", text)


def test_a_slice_in_which_a_metric_has_no_value_sets_no_limit_for_it(tmp_path):
    truth = TRUTH | {"colour": np.where((LABEL == 0) & (ID % 2 == 0), "white", "blue")}
    _, model = proposed(tmp_path, SAID, truth)
    metrics = model.gates.configured()["performance"].metrics
    assert metrics["recall"].slices.given() == {}
    assert metrics["roc_auc"].slices.given() == {}


def test_of_many_slices_three_are_proposed(tmp_path):
    columns = {f"s{i}": np.array(["a", "b"])[(ID >> i) % 2] for i in range(5)}
    text, model = proposed(tmp_path, SAID, TRUTH | columns)
    assert model.gates.configured()["performance"].slices == ("s0", "s1", "s2")
    assert "Another slice: s3" in text


def test_an_age_in_years_makes_slices_and_a_standard_score_does_not(tmp_path):
    ages = {"Customer Age": ID % 90, "age": (ID % 90 - 45) / 30, "age_text": COLOUR}
    _, model = proposed(tmp_path, SAID, TRUTH | ages)
    conditions = [
        getattr(one, "where", one) for one in model.gates.configured()["performance"].slices
    ]
    assert conditions == ["age_text", "col('Customer Age') < 30", "col('Customer Age') >= 60"]


def test_groups_too_small_to_decide_raise_the_size_that_is_judged(tmp_path):
    race = np.where(ID < 120, "small", np.where(ID < 1000, "one", "two"))
    _, model = proposed(tmp_path, SAID, TRUTH | {"race": race})
    fairness = model.gates.configured()["fairness"]
    assert (fairness.sensitive, fairness.min_group) == (("race",), 121)


def test_a_sensitive_column_without_two_groups_is_named_and_left_out(tmp_path):
    text, model = proposed(tmp_path, SAID, TRUTH | {"gender": np.where(ID < 60, "a", "b")})
    assert "fairness" not in model.gates.configured()
    assert "`gender` looks sensitive" in text
    assert "TODO: should groups of people fare alike?" in text


def test_a_column_whose_groups_another_column_makes_too_small_is_left_out(tmp_path):
    sex = np.where(ID < 220, "a", "b")
    race = np.array(["p", "q", "r", "s"])[np.minimum(ID // 600, 3)]
    big = np.where(ID < 700, "x", np.where(ID < 1300, "y", "z"))
    truth = {"id": ID, "label": np.where(ID < 700, 0, LABEL), "sex": sex, "race": race}
    text, model = proposed(tmp_path, SAID, truth | {"religion": big})
    fairness = model.gates.configured().get("fairness")
    assert fairness is None or "sex" not in fairness.sensitive
    assert "`sex` looks sensitive" in text


def test_multiclass_and_regression_have_their_own_fairness(tmp_path):
    guess = np.where(RNG.random(N) < 0.8, COLOUR, "red")
    _, model = proposed(
        tmp_path, {"id": ID, "prediction": guess}, {"id": ID, "y": COLOUR, "sex": SEX}
    )
    assert set(model.gates.configured()["fairness"].metrics) == {"accuracy_difference", "accuracy"}
    value = RNG.normal(50, 9, N)
    said = {"id": ID, "prediction": value + RNG.normal(0, 1, N)}
    _, model = proposed(tmp_path, said, {"id": ID, "y": value, "sex": SEX})
    fairness = model.gates.configured()["fairness"]
    assert fairness.metrics["mae"].given() == {"max_rise_any_group": 0.05}


def test_a_fairness_metric_that_the_rows_can_not_decide_is_left_out(tmp_path):
    same = {"id": ID, "y": ID * 1.5, "sex": SEX}
    _, model = proposed(tmp_path, {"id": ID, "prediction": ID * 1.5}, same)
    assert list(model.gates.configured()) == ["data-schema"]


def test_a_metric_that_has_no_value_is_named_and_left_out(tmp_path):
    # Every error is 1e160: no row differs from another, and the squares are beyond all numbers.
    said = {"id": ID, "prediction": np.full(N, 1e160)}
    text, model = proposed(tmp_path, said, {"id": ID, "y": ID * 1.5})
    flat = text.replace("\n      # ", " ")
    assert "rmse is undefined here: the result is not a finite number." in flat
    assert "mae is 1e+160 here, and these rows do not tell how surely." in flat
    assert list(model.gates.configured()) == ["data-schema"]


def test_names_that_can_not_be_keys_are_described_nowhere(tmp_path):
    truth = {"id\u200b": ID, "label\u200b": LABEL}
    text, model = proposed(tmp_path, {"id\u200b": ID, "score": SCORE}, truth)
    assert (model.data.id, model.data.label) == ("id\u200b", "label\u200b")
    assert model.gates.configured()["data-schema"].columns == {}
    assert "2 more columns are not listed" in text


# --- What the table looks like -------------------------------------------------------------------


def test_columns_are_described_loosely(tmp_path):
    gaps = [None if i % 10 == 0 else i % 100 + 0.5 for i in range(N)]
    columns = {
        "count": ID % 50 + 3,
        "signed": ID % 50 - 3,
        "share": gaps,
        "flag": ID % 2 == 0,
        "day": np.datetime64("2026-01-01") + ID.astype("timedelta64[D]"),
        "free": [f"text {i}" for i in range(N)],
        "list": [[1, 2]] * N,
        "empty": pa.nulls(N, pa.int32()),
        "same": np.full(N, 7),
        "huge": np.linspace(1.0, 1e30, N),
    }
    _, model = proposed(tmp_path, SAID, TRUTH | columns)
    rules = {
        name: rule.model_dump(exclude_defaults=True, by_alias=True, mode="json")
        for name, rule in model.gates.configured()["data-schema"].columns.items()
    }
    whole = {"type": "integer", "nullable": False}
    assert rules == {
        "id": {"nullable": False, "unique": True},
        "label": whole | {"in": [0, 1]},
        "count": whole | {"min": 0, "max": 57},
        "signed": whole | {"min": -8, "max": 51},
        "share": {"type": "number", "max_null_share": 0.15, "min": 0.0, "max": 110.0},
        "flag": {"type": "boolean", "nullable": False},
        "day": {"type": "datetime", "nullable": False},
        "free": {"type": "text", "nullable": False},
        "list": {},
        "empty": {},
        "same": whole | {"min": 6, "max": 8},
        "huge": {"type": "number", "nullable": False, "min": 0.0, "max": 1.1e30},
    }
    assert model.gates.configured()["data-schema"].rows.min == 1900


def test_of_a_wide_table_the_first_columns_are_described_id_and_label_among_them(tmp_path):
    wide = {f"x{i}": np.full(N, i) for i in range(80)}
    text, model = proposed(tmp_path, SAID, wide | TRUTH)
    assert len(model.gates.configured()["data-schema"].columns) == 60
    assert list(model.gates.configured()["data-schema"].columns)[:2] == ["id", "label"]
    assert "# 22 more columns are not listed" in text


# --- Names that somebody could give a column, a category, a file or a model ----------------------


@pytest.mark.parametrize("name", [name for name in HOSTILE if name and "\0" not in name])
def test_hostile_names_are_written_so_that_they_read_back_as_themselves(tmp_path, name):
    label = f"label {name}"
    columns = {
        "id": ID,
        label: LABEL,
        f"sex {name}": np.where(ID % 2 == 0, name, "b"),
        name: COLOUR,
    }
    text, model = proposed(tmp_path, SAID, columns)
    assert model.data.label == label
    assert max(text.isprintable() for text in text.splitlines()) is True
    assert all(line.isprintable() for line in text.splitlines())
    found = model.gates.configured()
    plain = len(name) <= 90 and name.isprintable()
    assert (name in found["data-schema"].columns) is plain
    assert (f"sex {name}" in getattr(found.get("fairness"), "sensitive", ())) is plain


@pytest.mark.parametrize(
    "name", ["yes", "null", "1", "0x1F", "1e3", "~", "- a", "a: b", "#x", "日本"]
)
def test_categories_that_yaml_reads_otherwise_stay_text(tmp_path, name):
    colour = np.where(ID % 2 == 0, name, "other")
    _, model = proposed(tmp_path, SAID, TRUTH | {"colour": colour})
    values = model.gates.configured()["data-schema"].columns["colour"].values
    assert sorted(values) == sorted([name, "other"])


def test_a_column_with_a_nul_in_its_name_is_left_alone(tmp_path):
    _, model = proposed(tmp_path, SAID, {"id": ID, "label\0": LABEL, "label": LABEL})
    assert model.data.label == "label"


def test_no_value_of_a_row_is_written_but_the_categories(tmp_path):
    secret = [f"secret {i}" for i in range(N)]
    text, _ = proposed(tmp_path, SAID, TRUTH | {"iban": secret})
    assert "secret" not in text


@pytest.mark.parametrize("model", ["", "a/b", "a\\b", "a\nb", "a\u202eb", "x" * 101])
def test_a_model_needs_a_name_that_can_be_shown(tmp_path, model):
    with pytest.raises(ConfigError, match="--model"):
        starter(tmp_path / "none.parquet", None, model=model, beside=tmp_path)


@pytest.mark.parametrize("model", ["income", "yes", "a: b", "日本 model", '"quoted"'])
def test_a_model_may_be_called_anything_that_can_be_read(tmp_path, model):
    proposed(tmp_path, SAID, TRUTH, model=model)


def test_paths_are_relative_below_the_configuration_and_absolute_elsewhere(tmp_path):
    below, elsewhere = tmp_path / "repo" / "out: 1", tmp_path / "data"
    below.mkdir(parents=True)
    elsewhere.mkdir()
    text = starter(
        table(below, "p", SAID),
        table(elsewhere, "h", TRUTH),
        model="m",
        beside=tmp_path / "repo",
    )
    model = validate(parse(text.encode(), "x")).models["m"]
    assert model.candidate.predictions == "out: 1/p.parquet"
    assert model.data.evaluation == str(elsewhere / "h.parquet")
