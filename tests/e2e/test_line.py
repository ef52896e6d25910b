"""The whole line on real data, for each task: register, run, pass; then a worse candidate, fail.

Every number of a report is held against scikit-learn and Fairlearn, called here on the same files.
"""

import json
from pathlib import Path

import fairlearn.metrics as fairlearn
import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets, metrics
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gates
from gates.stats.catalogue import METRICS, NAMED_DISPARITIES, Better, Spread, disparity, metrics_for

# Made once: that the schema is one itself is asked in tests/unit/test_report.py.
SCHEMA = jsonschema.Draft202012Validator(
    json.loads(Path(gates.__file__).with_name("schemas").joinpath("report.schema.json").read_text())
)
TOLERANCE = 1e-9
GROUP = "group"
HOLDOUT, CANDIDATE, BASELINE = "holdout.parquet", "candidate.parquet", "baseline.parquet"

# Two features each, so that models are wrong now and then, in every group.
DATA = {
    "binary": (datasets.load_breast_cancer, ["mean texture", "mean smoothness"]),
    "multiclass": (datasets.load_wine, ["alcohol", "flavanoids"]),
    "regression": (datasets.load_diabetes, ["bmi", "bp"]),
}


# --- what scikit-learn says, from labels, predictions and scores -----------------------------


def of_classes(score, **options):
    return lambda y, prediction, _: score(y, prediction, **options)


def of_scores(score, **options):
    return lambda y, _, scores: score(y, scores, **options)


def averaged(**scores):
    return {
        f"{name}_{average}": of_classes(score, average=average)
        for name, score in scores.items()
        for average in ("macro", "weighted", "micro")
    }


def error_of(y, scores):
    """Kumar's debiased calibration error, of scores without ties."""
    squares = []
    for places in np.array_split(np.argsort(scores), 15):
        share = np.mean(y.to_numpy()[places])
        bias = share * (1 - share) / (len(places) - 1)
        squares.append(len(places) * ((np.mean(scores[places]) - share) ** 2 - bias))
    return max(0.0, sum(squares) / len(y)) ** 0.5


BOTH = {
    "accuracy": of_classes(metrics.accuracy_score),
    "balanced_accuracy": of_classes(metrics.balanced_accuracy_score),
    "mcc": of_classes(metrics.matthews_corrcoef),
}
SAYS = {
    "binary": {
        **BOTH,
        "precision": of_classes(metrics.precision_score),
        "recall": of_classes(metrics.recall_score),
        "f1": of_classes(metrics.f1_score),
        "fbeta": of_classes(metrics.fbeta_score, beta=1),
        "specificity": of_classes(metrics.recall_score, pos_label=0),
        "true_positive_rate": of_classes(fairlearn.true_positive_rate),
        "true_negative_rate": of_classes(fairlearn.true_negative_rate),
        "false_positive_rate": of_classes(fairlearn.false_positive_rate),
        "false_negative_rate": of_classes(fairlearn.false_negative_rate),
        "selection_rate": of_classes(fairlearn.selection_rate),
        "roc_auc": of_scores(metrics.roc_auc_score),
        "average_precision": of_scores(metrics.average_precision_score),
        "log_loss": of_scores(metrics.log_loss),
        "brier": of_scores(metrics.brier_score_loss),
        "calibration_error": lambda y, _, scores: error_of(y, scores),
    },
    "multiclass": {
        **BOTH,
        **averaged(
            precision=metrics.precision_score, recall=metrics.recall_score, f1=metrics.f1_score
        ),
        "log_loss": of_scores(metrics.log_loss),
        "brier": of_scores(metrics.brier_score_loss, labels=[0, 1, 2]),
        **{
            f"roc_auc_{way}_{average}": of_scores(
                metrics.roc_auc_score, multi_class=way, average=average
            )
            for way in ("ovr", "ovo")
            for average in ("macro", "weighted")
        },
    },
    "regression": {
        "mae": of_classes(metrics.mean_absolute_error),
        "mse": of_classes(metrics.mean_squared_error),
        "rmse": of_classes(metrics.root_mean_squared_error),
        "mape": of_classes(metrics.mean_absolute_percentage_error),
        "median_ae": of_classes(metrics.median_absolute_error),
        "p90_ae": lambda label, guess, _: np.quantile(abs(label - guess), 0.9),
        "max_error": of_classes(metrics.max_error),
        "r2": of_classes(metrics.r2_score),
    },
}


# --- projects --------------------------------------------------------------------------------


def fitted(task, features, labels, strength):
    model = Ridge(1 / strength) if task == "regression" else LogisticRegression(C=strength)
    return make_pipeline(StandardScaler(), model).fit(features, labels)


def predicted(task, model, features, ids):
    columns = {"id": ids, "prediction": model.predict(features)}
    if task == "binary":
        columns["score"] = model.predict_proba(features)[:, 1]
    if task == "multiclass":
        scores = model.predict_proba(features)
        columns |= {f"score_{label}": scores[:, i] for i, label in enumerate(model.classes_)}
    return pd.DataFrame(columns)


def limits_of(name, found=None):
    """A limit on the value and one on the change, both so wide that nothing is beyond them."""
    if found and found.spread is Spread.RATIO:
        return {"min": 0.0, "max_drop": 1.0}
    metric = METRICS[found.rates[0] if found else name]
    wide = 1e6 if metric.high is None else 1.0
    if (found or metric).better is Better.LOWER:
        return {"max": wide, "max_rise": wide}
    return {"min": -1e6 if metric.low is None else metric.low, "max_drop": wide}


def disparities(task):
    """Every disparity there is for a task."""
    stems = [*metrics_for(task), *(NAMED_DISPARITIES if task == "binary" else ())]
    spreads = ("difference", "ratio", "group_min", "group_max")
    named = {f"{stem}_{spread}" for stem in stems for spread in spreads}
    # Debiased it is 0 in both of these small groups, so that there is no ratio.
    named = sorted(named - {"calibration_error_ratio"})
    # Of these there are no intervals in a group, and r2 has no ratio that means anything.
    odd = {"max_error", "r2"}
    found = {name: disparity(name) for name in named if name.rpartition("_")[0] not in odd}
    return {name: one for name, one in found.items() if one and one.rates[0] not in odd}


def configured(task):
    every = {name: limits_of(name) for name in metrics_for(task)}
    spread = {name: limits_of(name, found) for name, found in disparities(task).items()}
    return {
        "version": 1,
        "models": {
            task: {
                "task": task,
                "data": {"evaluation": HOLDOUT, "id": "id", "label": "target"},
                "candidate": {"predictions": CANDIDATE},
                "gates": {
                    "data-schema": {"infer": "baseline"},
                    "performance": {"metrics": every},
                    "fairness": {"sensitive": [GROUP], "min_group": 10, "metrics": spread},
                },
            }
        },
    }


@pytest.fixture(scope="module", params=DATA)
def template(request, tmp_path_factory, new_project):
    """A project with two models of a real data set, the weaker one registered as the baseline."""
    task = request.param
    load, features = DATA[task]
    data = load(as_frame=True).frame
    held = np.random.default_rng(5).random(len(data)) < 0.6
    rows = data[held].reset_index(drop=True)
    rows.insert(0, "id", [f"r{i}" for i in rows.index])
    rows[GROUP] = np.where(np.arange(len(rows)) % 2, "odd", "even")
    project = new_project(tmp_path_factory.mktemp(task), configured(task))
    project.write(HOLDOUT, rows)
    for name, strength in ((CANDIDATE, 1.0), (BASELINE, 0.05)):
        model = fitted(task, data.loc[~held, features], data.loc[~held, "target"], strength)
        project.write(name, predicted(task, model, rows[features], rows["id"]))
    project.register(BASELINE)
    return project


@pytest.fixture
def project(template, tmp_path):
    return template.copied(tmp_path / "project")


@pytest.fixture(scope="module")
def good(template):
    return template.run()


def rows_of(project, name):
    """A model's rows beside their labels: frame, and the scores as scikit-learn takes them."""
    rows = project.table(HOLDOUT).merge(project.table(name), on="id")
    scores = rows.filter(regex="^score").to_numpy()
    return rows, scores[:, 0] if scores.shape[1] == 1 else scores


# --- a good candidate ------------------------------------------------------------------------


def test_register_run_and_pass(good):
    assert good.code == 0, good.stdout
    report = good.report
    SCHEMA.validate(report)
    assert [g["gate"] for g in report["models"][0]["gates"]] == [
        "data-schema",
        "performance",
        "fairness",
    ]
    undecided = {rule for rule, check in good.checks.items() if check["verdict"] != "pass"}
    # The one metric that no interval is known of.
    assert all(rule.startswith("performance/max_error") for rule in undecided)


def test_every_number_of_performance_is_scikit_learns(template, good):
    task = template.model["task"]
    assert set(SAYS[task]) == set(metrics_for(task)), "every metric of the catalogue is held"
    for side, name in (("candidate", CANDIDATE), ("baseline", BASELINE)):
        rows, scores = rows_of(template, name)
        for metric, says in SAYS[task].items():
            expected = says(rows["target"], rows["prediction"], scores)
            (check,) = [
                c
                for i, c in good.checks.items()
                if i.startswith(f"performance/{metric}:max_") and c["interval_of"] == "delta"
            ]
            assert check[side] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE), metric
            assert check["n"] == len(rows)


def test_a_change_is_candidate_minus_baseline(good):
    for check in good.checks.values():
        if check["interval_of"] == "delta":
            low, high = check["interval"] or (-np.inf, np.inf)
            assert check["delta"] == pytest.approx(check["candidate"] - check["baseline"], rel=1e-8)
            assert low <= check["delta"] <= high, check["id"]


def between_groups(task, name, rows, scores):
    """What Fairlearn says of a disparity."""
    spread = disparity(name).spread.value
    stem = name.removesuffix(f"_{spread}")
    if stem in NAMED_DISPARITIES:
        asked = getattr(fairlearn, name)
        return asked(rows["target"], rows["prediction"], sensitive_features=rows[GROUP])

    def measured(y, numbers):
        at = np.asarray(numbers)
        part = rows.iloc[at]
        return SAYS[task][stem](part["target"], part["prediction"], scores[at])

    frame = fairlearn.MetricFrame(
        metrics=measured,
        y_true=rows["target"],
        y_pred=np.arange(len(rows)),
        sensitive_features=rows[GROUP],
    )
    return getattr(frame, spread)()


def test_every_number_of_fairness_is_fairlearns(template, good):
    task = template.model["task"]
    for side, name in (("candidate", CANDIDATE), ("baseline", BASELINE)):
        rows, scores = rows_of(template, name)
        for metric in disparities(task):
            expected = between_groups(task, metric, rows, scores)
            (check,) = [
                c
                for c in good.gate("fairness")["checks"]
                if c["metric"] == metric and c["interval_of"] == "delta"
            ]
            assert check[side] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE), metric


def test_the_rates_of_each_group_are_those_of_its_rows(template, good):
    task = template.model["task"]
    groups = good.gate("fairness")["groups"]
    assert {rate["group"][GROUP] for rate in groups} == {"even", "odd"}
    for side, name in (("candidate", CANDIDATE), ("baseline", BASELINE)):
        rows, scores = rows_of(template, name)
        for rate in groups:
            at = np.flatnonzero(rows[GROUP] == rate["group"][GROUP])
            part = rows.iloc[at]
            expected = SAYS[task][rate["metric"]](part["target"], part["prediction"], scores[at])
            assert rate["n"] == len(part)
            assert rate[side] == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


# --- a worse candidate, gate by gate ---------------------------------------------------------

HEADLINE = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mae"}


def tight(name):
    """A limit on the change that a model as good as the baseline keeps."""
    lower = METRICS[name].better is Better.LOWER
    return {"max_rise" if lower else "max_drop": 5.0 if name == "mae" else 0.05}


def spoil(project, at):
    """Give the rows in `at` each other's outputs: there the model is right by chance only."""
    frame = project.table(CANDIDATE)
    mixed = np.arange(len(frame))
    mixed[at] = np.random.default_rng(2).permutation(at)
    outputs = frame.drop(columns="id").iloc[mixed].reset_index(drop=True)
    project.write(CANDIDATE, pd.concat([frame["id"], outputs], axis=1))


def failed(outcome):
    return {rule for rule, check in outcome.checks.items() if check["verdict"] == "fail"}


def test_a_model_that_got_worse_fails_performance(project):
    metric = HEADLINE[project.model["task"]]
    project.set("gates", {"performance": {"metrics": {metric: tight(metric)}}})
    project.set("candidate.predictions", BASELINE)
    assert project.run().code == 0
    project.set("candidate.predictions", CANDIDATE)
    spoil(project, np.arange(len(project.table(CANDIDATE))))
    outcome = project.run()
    assert (outcome.code, outcome.report["verdict"]) == (1, "fail")
    (check,) = outcome.checks.values()
    assert failed(outcome) == {check["id"]}
    assert check["effect"] == "block"
    assert abs(check["delta"]) > 0.05


def test_a_model_that_is_not_good_enough_fails_performance(project):
    metric = HEADLINE[project.model["task"]]
    floor = {"max": 1.0} if metric == "mae" else {"min": 0.999}
    project.set("gates", {"performance": {"metrics": {metric: floor}}})
    outcome = project.run()
    assert (outcome.code, len(failed(outcome))) == (1, 1)


def test_a_model_that_got_worse_for_one_group_fails_fairness(project):
    metric = "mae" if project.model["task"] == "regression" else "accuracy"
    verb = f"{next(iter(tight(metric)))}_any_group"
    wide = 60.0 if metric == "mae" else 0.1
    limits = {f"{metric}_difference": {"max": wide}, metric: {verb: wide / 10}}
    project.set("gates", {"fairness": {"sensitive": [GROUP], "min_group": 10, "metrics": limits}})
    project.set("candidate.predictions", BASELINE)
    assert failed(project.run()) == set()
    project.set("candidate.predictions", CANDIDATE)
    spoil(project, np.flatnonzero(project.table(HOLDOUT)[GROUP] == "odd"))
    outcome = project.run()
    assert (outcome.code, outcome.report["verdict"]) == (1, "fail")
    assert f"fairness/{metric}:{verb}@{GROUP}=odd" in failed(outcome)
    assert f"fairness/{metric}:{verb}@{GROUP}=even" not in failed(outcome)


def test_other_data_fails_the_schema_that_was_inferred(project):
    project.write("serving.parquet", project.table(HOLDOUT))
    project.set("gates", {"data-schema": {"infer": "baseline", "data": "serving.parquet"}})
    outcome = project.run()
    assert (outcome.code, outcome.report["verdict"]) == (0, "pass")
    column = DATA[project.model["task"]][1][0]
    far = project.table(HOLDOUT)
    far[column] = far[column] * 100
    project.write("serving.parquet", far)
    outcome = project.run()
    assert (outcome.code, outcome.report["verdict"]) == (1, "fail")
    assert {rule.partition("@")[2] for rule in failed(outcome)} == {column}


# --- degenerate data: never a crash, never a pass without a number ---------------------------


def first_rows(count):
    def change(project):
        for name in (HOLDOUT, CANDIDATE, BASELINE):
            project.write(name, project.table(name)[:count])

    return change


def constant(project):
    frame = project.table(CANDIDATE)
    outputs = frame.drop(columns="id").iloc[[0] * len(frame)].reset_index(drop=True)
    project.write(CANDIDATE, pd.concat([frame["id"], outputs], axis=1))


def says(project, answer):
    """Let the candidate be certain of `answer`, a function of the labels."""
    frame = project.table(CANDIDATE)
    frame["prediction"] = answer(project.table(HOLDOUT)["target"])
    for column in frame.filter(regex="^score"):
        chosen = int(column.partition("_")[2] or 1)
        frame[column] = (frame["prediction"] == chosen).astype(float)
    project.write(CANDIDATE, frame)


def perfect(project):
    says(project, lambda label: label)


def always_wrong(project):
    classes = {"binary": 2, "multiclass": 3}.get(project.model["task"])
    # The squares of such a number are beyond what a float can hold.
    says(project, lambda label: (label + 1) % classes if classes else label * 0 + 1e300)


DEGENERATE = {
    "one row": first_rows(1),
    "three rows": first_rows(3),
    "constant": constant,
    "perfect": perfect,
    "always wrong": always_wrong,
}


@pytest.mark.parametrize("shape", DEGENERATE)
def test_degenerate_data_is_judged_without_a_crash(project, shape):
    del project.model["gates"]["data-schema"]
    fairness = project.model["gates"]["fairness"]
    few = ("accuracy", "brier", "equalized_odds", "false_positive_rate", "log_loss", "mae", "mse")
    kept = {name: limit for name, limit in fairness["metrics"].items() if name.startswith(few)}
    fairness |= {"min_group": 2, "metrics": kept}
    project.set("privacy.min_count", 1)
    DEGENERATE[shape](project)
    project.register(BASELINE)
    outcome = project.run()
    assert outcome.code in (0, 1), outcome.stdout
    for check in outcome.checks.values():
        assert (check["candidate"] is None) <= (check["verdict"] != "pass"), check["id"]
    assert outcome.report["verdict"] != "pass" or shape == "perfect"
