"""model-gates.yml: what is refused, where and in which words; and that all that is offered works.

In the wrong configurations ▸ stands where the error has to point; it is not part of the file.
"""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from gates.config import Config, json_schema, load, select, validate
from gates.errors import ConfigError
from gates.evidence import Policy
from gates.report import Decide, Mode, OnInconclusive, Task, Verb
from gates.stats.catalogue import METRICS, disparity, group_verbs, metrics_for, verbs
from gates.yaml_source import parse
from tests.hostile import HOSTILE

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "gates" / "schemas" / "config.schema.json"
NAME = "model-gates.yml"
MARK = "▸"

GOOD = """\
version: 1
models:
  credit:
    task: binary
    data: {id: application_id, label: defaulted}
    candidate: {predictions: out/predictions.parquet}
    gates:
      performance: {metrics: {recall: {min: 0.5}}}
"""


def change(old, new):
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def gates(text, task="binary"):
    return change(
        "      performance: {metrics: {recall: {min: 0.5}}}\n", f"      {text}\n"
    ).replace("task: binary", f"task: {task}")


def performance(metrics, task="binary"):
    """The configuration with these metrics, and what else `metrics` closes with `}` to hold."""
    return gates(f"performance: {{metrics: {{{metrics}}}}}", task)


def fairness(metrics, task="binary"):
    return gates(f"fairness: {{sensitive: [sex], metrics: {{{metrics}}}}}", task)


def by_command(command):
    """The configuration with a command, and what else stands in the candidate behind it."""
    return change("{predictions", f"{{command: {command}, predictions")


def sliced(slices):
    return performance(f"recall: {{max_drop: 0.1}}}}, slices: {slices}").replace("}}\n", "}\n")


def beside(block):
    """The configuration with one more block of the model."""
    return change("    gates:\n", f"    {block}\n    gates:\n")


def unmarked(text):
    """The file without its marks, and the places that they were at."""
    *before, rest = text.split(MARK)
    plain, places = "", []
    for part in before:
        plain += part
        line, column = plain.count("\n") + 1, len(plain) - plain.rfind("\n")
        places.append(f"{NAME}:{line}:{column}")
    return plain + rest, places


def read(text):
    return validate(parse(text.encode(), NAME))


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.exit_code == 2
    return caught.value


# --- wrong: one problem each ---------------------------------------------------------------------

SENSELESS = "makes no sense for `{}`, which is better {}; use {}"
# The first of the limits that do make sense; the rest follow in the order of the alphabet.
HIGHER, LOWER = "max_drop", "max, max_ratio, max_rise"
NOT_A_NUMBER = "expected a number, got {}"

WRONG = {
    # a verb against the metric's direction
    "max of higher": (
        performance("recall: {max: ▸0.1}"),
        "metrics.recall.max: `max` " + SENSELESS.format("recall", "when higher", HIGHER),
    ),
    "max_rise of higher": (
        performance("roc_auc: {max_rise: ▸0.1}"),
        "roc_auc.max_rise: `max_rise` " + SENSELESS.format("roc_auc", "when higher", HIGHER),
    ),
    "max_ratio of higher": (
        performance("f1: {max_ratio: ▸1.1}"),
        "`max_ratio` " + SENSELESS.format("f1", "when higher", HIGHER),
    ),
    "min of lower": (
        performance("log_loss: {min: ▸0.1}"),
        "`min` " + SENSELESS.format("log_loss", "when lower", LOWER),
    ),
    "max_drop of lower": (
        performance("brier: {max_drop: ▸0.1}"),
        "`max_drop` " + SENSELESS.format("brier", "when lower", LOWER),
    ),
    "max_drop of an error": (
        performance("mae: {max_drop: ▸0.1}", "regression"),
        "`max_drop` " + SENSELESS.format("mae", "when lower", LOWER),
    ),
    "max_ratio of neither": (
        performance("selection_rate: {max_ratio: ▸1.2}"),
        "`max_ratio` " + SENSELESS.format("selection_rate", "neither way", "max, max_drop"),
    ),
    "in slices too": (
        performance("recall: {max_drop: 0.1, slices: {max: ▸0.2}}"),
        "metrics.recall.slices.max: `max` makes no sense for `recall`",
    ),
    "min of a difference": (
        fairness("demographic_parity_difference: {min: ▸0.1}"),
        "`min` " + SENSELESS.format("demographic_parity_difference", "when lower", LOWER),
    ),
    "max_drop of a difference": (
        fairness("equalized_odds_difference: {max_drop: ▸0.1}"),
        "`max_drop` makes no sense for `equalized_odds_difference`",
    ),
    "max of a ratio": (
        fairness("demographic_parity_ratio: {max: ▸0.8}"),
        "`max` " + SENSELESS.format("demographic_parity_ratio", "when higher", HIGHER),
    ),
    "max_rise of a ratio": (
        fairness("equal_opportunity_ratio: {max_rise: ▸0.1}"),
        "`max_rise` makes no sense for `equal_opportunity_ratio`",
    ),
    "max_ratio of a ratio": (
        fairness("recall_ratio: {max_ratio: ▸1.1}"),
        "`max_ratio` makes no sense for `recall_ratio`",
    ),
    "max of the smallest of a rate": (
        fairness("recall_group_min: {max: ▸0.9}"),
        "`max` " + SENSELESS.format("recall_group_min", "when higher", HIGHER),
    ),
    "any group of a difference": (
        fairness("recall_difference: {max_rise_any_group: ▸0.1}"),
        "`max_rise_any_group` " + SENSELESS.format("recall_difference", "when lower", LOWER),
    ),
    "rise of a good rate": (
        fairness("recall: {max_rise_any_group: ▸0.1}"),
        "`max_rise_any_group` " + SENSELESS.format("recall", "when higher", "max_drop_any_group"),
    ),
    "drop of a bad rate": (
        fairness("false_negative_rate: {max_drop_any_group: ▸0.1}"),
        "`max_drop_any_group` "
        + SENSELESS.format("false_negative_rate", "when lower", "max_rise_any_group"),
    ),
    "overall limit of a rate": (
        fairness("false_negative_rate: {max_rise: ▸0.1}"),
        "`max_rise` makes no sense for `false_negative_rate`",
    ),
    "any group in performance": (
        performance("recall: {▸max_rise_any_group: 0.2}"),
        "metrics.recall.max_rise_any_group: unknown key",
    ),
    # what is not a number, or not one that can be
    "1e3": (
        performance("log_loss: {max_rise: ▸1e3}"),
        NOT_A_NUMBER.format("text; write 1000 without quotes or an exponent"),
    ),
    "1e-5": (
        performance("recall: {max_drop: ▸1e-5}"),
        NOT_A_NUMBER.format("text; write 0.00001 without quotes or an exponent"),
    ),
    "quoted": (
        performance('recall: {max_drop: ▸"0.1"}'),
        NOT_A_NUMBER.format("text; write 0.1 without quotes"),
    ),
    "yes": (performance("recall: {max_drop: ▸yes}"), "This is a switch word"),
    "true": (performance("recall: {max_drop: ▸true}"), NOT_A_NUMBER.format("true/false")),
    ".nan": (performance("recall: {max_drop: ▸.nan}"), "a number that is not finite"),
    "-.inf": (performance("recall: {min: ▸-.inf}"), "a number that is not finite"),
    "1.0e999": (performance("recall: {min: ▸1.0e999}"), "a number that is not finite"),
    "a list": (performance("recall: {min: ▸[0.1]}"), NOT_A_NUMBER.format("a list")),
    "negative": (performance("recall: {max_drop: ▸-0.01}"), "greater than or equal to 0"),
    "negative rise": (fairness("recall_difference: {max_rise: ▸-0.1}"), "greater than or equal"),
    "ratio of nothing": (performance("log_loss: {max_ratio: ▸0}"), "greater than 0"),
    "beta of nothing": (performance("fbeta: {min: 0.1, beta: ▸0}"), "greater than 0"),
    "percent": (
        performance("roc_auc: {min: ▸78}"),
        "78 can never be reached: `roc_auc` is at most 1; did you mean 0.78?",
    ),
    "percent of change": (
        performance("recall: {max_drop: ▸2}"),
        "max_drop: 2 can never be reached: `recall` ",
    ),
    "percent of a disparity": (
        fairness("demographic_parity_ratio: {min: ▸80}"),
        "`demographic_parity_ratio` is at most 1; did you mean 0.8?",
    ),
    "beyond a range that is not a share": (
        performance("brier: {max: ▸5}"),
        "5 can never be reached: `brier` is at most 2",
    ),
    "below the range": (
        performance("recall: {min: ▸-0.5}"),
        "-0.5 says nothing: `recall` is never below 0",
    ),
    "below the range of mcc": (performance("mcc: {min: ▸-2}"), "`mcc` is never below -1"),
    "a difference below nothing": (
        fairness("mcc_difference: {max: ▸-0.1}"),
        "-0.1 says nothing: `mcc_difference` is never below 0",
    ),
    # metrics
    "no such metric": (
        performance("recal: ▸{max_drop: 0.1}"),
        "metrics.recal: `recal` is not a metric; did you mean `recall`?",
    ),
    "of another task": (
        performance("mae: ▸{max_rise: 0.1}"),
        "metrics.mae: `mae` is not for this task",
    ),
    "of another task, fairness": (
        fairness("false_negative_rate: ▸{max_rise_any_group: 0.1}", "regression"),
        "`false_negative_rate` is not for this task",
    ),
    "no such disparity": (
        fairness("equalized_odd_difference: ▸{max: 0.1}"),
        "is not a metric; did you mean `equalized_odds_difference`?",
    ),
    "a disparity without its kind": (
        fairness("demographic_parity: ▸{max: 0.1}"),
        "`demographic_parity` is not a metric; did you mean `demographic_parity_",
    ),
    "a disparity of another task": (
        fairness("selection_rate_difference: ▸{max: 0.1}", "regression"),
        "`selection_rate_difference` is not a metric",
    ),
    "a metric without a limit": (
        performance("recall: ▸{mode: warn}"),
        "`recall` has no limit; give it one, such as `max_drop`",
    ),
    "a disparity without a limit": (
        fairness("recall_difference: ▸{}"),
        "`recall_difference` has no limit; give it one, such as `max_rise`",
    ),
    "a metric of nothing": (performance("recall:▸ "), "expected keys and values, got nothing"),
    "a limit of nothing": (
        performance("recall: {min: 0.5, max_drop:▸ }"),
        "metrics.recall.max_drop: expected a value, got nothing",
    ),
    "beta elsewhere": (
        performance("recall: {min: 0.1, beta: ▸2}"),
        "metrics.recall.beta: `beta` belongs to `fbeta` alone",
    ),
    "beta elsewhere, fairness": (
        fairness("recall: {max_drop_any_group: 0.1, beta: ▸2}"),
        "metrics.recall.beta: `beta` belongs to `fbeta` alone",
    ),
    # slices and groups
    "no limit for the slices": (
        gates("performance: {metrics: {recall: {min: 0.5}}, slices: ▸[region]}"),
        "slices are declared, but no metric has a limit that holds in slices",
    ),
    "limits on change, but none in slices": (
        gates("performance: {metrics: {recall: {max_drop: 0.1, slices: {}}}, slices: ▸[region]}"),
        "slices are declared, but no metric",
    ),
    "slices as text": (sliced("▸region"), "slices: expected a list, got text"),
    "a number as slice": (
        sliced("[▸3]"),
        "slices[0]: expected text or a list or keys and values, got a number",
    ),
    "a number in a slice": (sliced("[[a, ▸3]]"), "slices[0][1]: expected text, got a number"),
    "a condition without a condition": (sliced("[▸{name: x}]"), "slices[0].where: this key is"),
    "a condition that cannot be read": (
        sliced("[region, {name: x, where: ▸'age <'}]"),
        "slices[1].where: character 1 of `age <`: the slice condition cannot be read",
    ),
    "an intersection of nothing": (sliced("[▸[]]"), "slices[0]: "),
    "an intersection with itself": (sliced("[▸[sex, sex]]"), "slices[0]: "),
    "a slice twice": (sliced("[sex, ▸sex]"), "slices[1]: "),
    "a group of nothing": (
        gates("fairness: {sensitive: [▸[]], metrics: {recall_difference: {max: 0.1}}}"),
        "sensitive[0]: ",
    ),
    "no group": (
        gates("fairness: {sensitive: ▸[], metrics: {recall_difference: {max: 0.1}}}"),
        "sensitive: this is empty; give it at least 1",
    ),
    "groups as text": (
        gates("fairness: {sensitive: ▸sex, metrics: {recall_difference: {max: 0.1}}}"),
        "sensitive: expected a list, got text",
    ),
    "groups missing": (
        gates("▸fairness: {metrics: {recall_difference: {max: 0.1}}}"),
        "fairness.sensitive: this key is required",
    ),
    "groups of one": (
        gates("fairness: {sensitive: [s], min_group: ▸1, metrics: {recall_ratio: {min: 0.1}}}"),
        "min_group: input should be greater than or equal to 2",
    ),
    # misspelt keys, from the top to the bottom
    "unknown key at the top": (
        GOOD + "▸defalts: {seed: 3}\n",
        "defalts: unknown key; did you mean `defaults`?",
    ),
    "unknown key of the defaults": (
        GOOD + "defaults: {▸confidance: 0.9}\n",
        "defaults.confidance: unknown key; did you mean `confidence`?",
    ),
    "unknown key of a model": (
        beside("▸privcy: {min_count: 5}"),
        "models.credit.privcy: unknown key; did you mean `privacy`?",
    ),
    "unknown key of the data": (
        change("label: defaulted", "label: defaulted, ▸clusters: c"),
        "data.clusters: unknown key; did you mean `cluster`?",
    ),
    "unknown key of the columns": (
        change("parquet}", "parquet, columns: {▸scores: s}}"),
        "candidate.columns.scores: unknown key; did you mean `score`?",
    ),
    "unknown key of the baseline": (
        beside("baseline: {▸allias: v2}"),
        "baseline.allias: unknown key; did you mean `alias`?",
    ),
    "unknown gate": (
        gates("▸churn: {}"),
        "gates.churn: unknown key; known here: artifact, data-schema, drift, fairness, performance",
    ),
    "a gate by its name in Python": (
        gates("▸data_schema: {rows: {min: 1}}"),
        "gates.data_schema: unknown key; did you mean `data-schema`?",
    ),
    "unknown key of a gate": (
        gates("performance: {metrics: {recall: {max_drop: 0.1}}, ▸slice: [a]}"),
        "performance.slice: unknown key; did you mean `slices`?",
    ),
    "unknown key of a limit": (
        performance("recall: {▸maxdrop: 0.1}"),
        "metrics.recall.maxdrop: unknown key; did you mean `max_drop`?",
    ),
    "unknown key in slices": (
        performance("recall: {slices: {▸max_dorp: 0.1}}"),
        "metrics.recall.slices.max_dorp: unknown key; did you mean `max_drop`?",
    ),
    # the frame
    "another version": (change("version: 1", "version: ▸2"), "version: expected 1"),
    "version true": (change("version: 1", "version: ▸true"), "version: expected 1"),
    "version 1.0": (change("version: 1", "version: ▸1.0"), "version: expected 1"),
    "version as text": (change("version: 1", "version: ▸'1'"), "version: expected 1"),
    "no version": ("▸" + change("version: 1\n", ""), "version: this key is required"),
    "no models": ("version: 1\nmodels: ▸{}\n", "models: this is empty; give it at least 1"),
    "a model that is a path": (
        change("  credit:", "  ▸a/b:"),
        'models."a/b": this name has a character that is not allowed, such as / or \\',
    ),
    "a model without a name": (change("  credit:", '  ▸"":'), "at least 1 character"),
    "models as a list": ("version: 1\nmodels: ▸[]\n", "expected keys and values, got a list"),
    "no such task": (
        change("binary", "▸ranking"),
        "task: expected 'binary', 'multiclass' or 'regression'",
    ),
    "a label that is a number": (change("defaulted", "▸3"), "label: expected text, got a number"),
    "a positive that is a fraction": (
        change("defaulted", "defaulted, positive: ▸1.5"),
        "positive: expected a whole number or text or true or false, got a number",
    ),
    "a candidate that is text": (
        change("{predictions: out/predictions.parquet}", "▸out.csv"),
        "candidate: expected keys and values, got text",
    ),
    "a threshold with an exponent": (
        change("parquet}", "parquet, threshold: ▸5e-1}"),
        "write 0.5 without quotes or an exponent",
    ),
    "no gates": (
        gates("x: y").replace("gates:\n      x: y", "gates: ▸{}"),
        "no gate is configured",
    ),
    "empty gates": (
        gates("x: y").replace("gates:\n      x: y", "gates:▸"),
        "gates: expected keys and values, got nothing",
    ),
    "a gate that was begun": (
        gates("performance:▸\n      data-schema: {rows: {min: 1}}"),
        "gates.performance: expected a value, got nothing",
    ),
    "a gate that expects nothing": (gates("data-schema: ▸{}"), "nothing is expected; give `suite`"),
    "a gate upside down": (gates("data-schema: {rows: {min: 5, max: ▸2}}"), "`max` is below `min`"),
    "re-evaluate without predictions": (
        beside("baseline: ▸{on_other_data: re-evaluate}"),
        "`on_other_data: re-evaluate` and `predictions` belong together",
    ),
    "predictions without re-evaluate": (
        beside("baseline: ▸{predictions: fresh.csv}"),
        "`on_other_data: re-evaluate` and `predictions` belong together",
    ),
    "no such policy": (
        beside("baseline: {on_missing: ▸ignore}"),
        "on_missing: expected 'fail' or 'absolute'",
    ),
    "privacy of nobody": (beside("privacy: {min_count: ▸0}"), "greater than or equal to 1"),
    "paths as text": (beside("paths: ▸models/**"), "paths: expected a list, got text"),
    # a command
    "a command as text": (
        by_command("▸python predict.py --top 3"),
        'command: expected a list of words, because no shell reads it: [python, predict.py, --top, "3"]',
    ),
    "a command that no shell would read either": (
        by_command('▸"python \'predict.py"'),
        "because no shell reads it: [python, predict.py]",
    ),
    "a command of nothing": (by_command("▸[]"), "command: this is empty; give it at least 1"),
    "a command with a number": (
        by_command("[python, ▸3]"),
        "candidate.command[1]: expected text, got a number",
    ),
    "a command with an empty word": (by_command('[python, ▸""]'), "at least 1 character"),
    "a command that says not where": (
        change("candidate: {predictions: out/predictions.parquet}", "▸candidate: {command: [a]}"),
        "candidate.predictions: this key is required",
    ),
    "options of a command without one": (
        change("parquet}", "parquet, timeout: 3}").replace("candidate", "▸candidate"),
        "candidate.command: this key is required",
    ),
    "a misspelt command": (
        change("{predictions", "{▸comand: [python], predictions"),
        "candidate.comand: unknown key; did you mean `command`?",
    ),
    "a misspelt option of a command": (
        by_command("[a], ▸time_out: 3"),
        "candidate.time_out: unknown key; did you mean `timeout`?",
    ),
    "a command's file beside the configuration": (
        by_command("[a]").replace("out/predictions", "▸predictions"),
        "candidate.predictions: expected a file in a folder of its own",
    ),
    "a command's file elsewhere": (
        by_command("[a]").replace("out/", "▸/tmp/out/"),
        "candidate.predictions: expected a file in a folder of its own",
    ),
    "a command's file above": (
        by_command("[a]").replace("out/", "▸out/../../"),
        "candidate.predictions: expected a file in a folder of its own",
    ),
    "a command with no time": (by_command("[a], timeout: ▸0"), "greater than 0"),
    "a command with all the time": (by_command("[a], timeout: ▸99999"), "than or equal to 86400"),
    "a command with no memory": (by_command("[a], memory_mib: ▸1"), "than or equal to 64"),
    "a command with a network of text": (
        by_command('[a], network: ▸"no"'),
        "network: expected true or false, got text",
    ),
    "a variable with its value": (
        by_command('[a], env: [▸"KEY=secret"]'),
        "env[0]: expected the name of a variable, without its value",
    ),
    "a variable of the runner's": (
        by_command("[a], env: [KEY, ▸GITHUB_TOKEN]"),
        "env[1]: ACTIONS_, GITHUB_, RUNNER_…: these are the runner's own, and not passed on",
    ),
    "data where a command may write": (
        by_command("[a]").replace("{id", "{evaluation: ▸./out/x.csv, id"),
        "data.evaluation: a candidate's command may change what is in `out`",
    ),
    "a store where a command may write": (
        by_command("[a]").replace("    gates:", "    baseline: {store: ▸out/store}\n    gates:"),
        "baseline.store: a candidate's command may change what is in `out`",
    ),
    # policy
    "confidence in percent": (GOOD + "defaults: {confidence: ▸95}\n", "less than 1"),
    "confidence without doubt": (GOOD + "defaults: {confidence: ▸1.0}\n", "less than 1"),
    "confidence of a coin": (GOOD + "defaults: {confidence: ▸0.05}\n", "equal to 0.5"),
    "confidence true": (GOOD + "defaults: {confidence: ▸true}\n", "got true/false"),
    "seed below": (GOOD + "defaults: {seed: ▸-1}\n", "greater than or equal to 0"),
    "seed as a fraction": (GOOD + "defaults: {seed: ▸1.5}\n", "expected a whole number"),
    "seed true": (GOOD + "defaults: {seed: ▸true}\n", "a whole number, got true/false"),
    "mode": (GOOD + "defaults: {mode: ▸enforced}\n", "expected 'enforce', 'warn' or 'report'"),
    "mode of a metric": (
        performance("recall: {min: 0.1, mode: ▸of}"),
        "metrics.recall.mode: expected 'enforce', 'warn' or 'report'",
    ),
    "on_inconclusive": (GOOD + "defaults: {on_inconclusive: ▸block}\n", "'warn' or 'fail'"),
    "decide": (GOOD + "defaults: {decide: ▸intervall}\n", "'interval' or 'point'"),
    "empty defaults": (GOOD + "defaults:▸\n", "expected keys and values, got nothing"),
}


@pytest.mark.parametrize(("text", "fragment"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_refused_at_its_place(text, fragment):
    plain, (place,) = unmarked(text)
    error = refusal(plain)
    assert error.where == place
    assert fragment in error.message
    assert error.details == ()


def test_the_place_is_file_line_and_column():
    error = refusal(performance("recall: {max: 0.1}"))
    assert error.where == "model-gates.yml:8:45"
    assert str(error).startswith(
        "model-gates.yml:8:45: models.credit.gates.performance.metrics.recall.max: `max` makes"
    )
    assert "`model-gates schema`" in str(error)


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "-Infinity", "plenty"])
def test_text_that_is_no_finite_number_is_not_proposed_as_one(text):
    error = refusal(performance(f"recall: {{max_drop: {text}}}"))
    assert error.message.endswith("recall.max_drop: expected a number, got text")


def test_a_name_that_cannot_be_is_not_its_own_suggestion():
    message = refusal(fairness("demographic_parity_group_min: {min: 0.1}")).message
    assert "`demographic_parity_group_min` is not a metric" in message
    assert "did you mean `demographic_parity_group_min`?" not in message


# --- wrong: several problems at once ------------------------------------------------------------

SEVERAL = {
    "types": (
        """\
version: ▸3
models:
  credit:
    task: ▸bin
    data: {id: application_id, label: ▸3}
    candidate: {predictions: out/predictions.parquet}
    gates:
      performance: {metrics: {recall: {▸mni: 0.5}}}
defaults: {seed: ▸-2}
""",
        ["version: expected 1", "task: expected", "label: expected text", "mean `min`?", "seed: "],
    ),
    "a misspelt key that is required": (
        change("data: {id: application_id, label:", "▸data: {id: application_id, ▸lable:"),
        ["data.label: this key is required", "data.lable: unknown key; did you mean `label`?"],
    ),
    "a misspelt key of a condition": (
        sliced("[▸{name: x, ▸were: 'age < 2'}]"),
        ["slices[0].where: this key is required", "slices[0].were: unknown key"],
    ),
    "limits of two models": (
        GOOD.replace("min: 0.5", "max: ▸0.5")
        + """\
  other:
    task: regression
    data: {id: a, label: b}
    candidate: {predictions: p.csv}
    baseline: ▸{on_other_data: re-evaluate}
    gates:
      performance: {metrics: {r2: {min: ▸7}, mae: ▸{}}}
      fairness: {sensitive: [s], metrics: {recall: ▸{max_drop_any_group: 1}}}
""",
        ["credit.gates", "r2.min: 7 can", "`mae` has no", "not for this task", "belong together"],
    ),
}


@pytest.mark.parametrize(("text", "fragments"), SEVERAL.values(), ids=SEVERAL)
def test_every_problem_is_named_at_once(text, fragments):
    plain, places = unmarked(text)
    error = refusal(plain)
    assert error.message == f"{len(places)} problems in the configuration"
    assert error.where == NAME
    assert sorted(line.partition(": ")[0] for line in error.details) == sorted(places)
    for fragment in fragments:
        assert sum(fragment in line for line in error.details) == 1, fragment


def test_no_more_than_a_screen_of_problems_is_shown():
    metrics = ", ".join(f"m{i}: {{min: 0.5}}" for i in range(50))
    error = refusal(performance(metrics))
    assert error.message == "50 problems in the configuration"
    assert len(error.details) == 20


# --- hostile names -------------------------------------------------------------------------------

BAD_NAMES = ["a/b", "../../etc/passwd", "a\\b", "", "x" * 101, "x" * 10_000, "a\nb", "\x1b[31mred"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_model_name_that_could_become_a_path_or_a_command_is_refused(name):
    error = refusal(change("  credit:", f"  {json.dumps(name)}:"))
    assert error.where.startswith(f"{NAME}:")
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 300


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_model_name_is_refused_or_kept_as_it_is(name):
    text = change("  credit:", f"  {json.dumps(name)}:")
    try:
        (kept,) = read(text).models
    except ConfigError as error:
        assert error.where.startswith(f"{NAME}:")  # noqa: PT017  (either way is right)
    else:
        assert kept == name
        assert len(name) <= 100
        assert not re.search(r"[\x00-\x1f\x7f/\\\u202a-\u202e\u2028]", name)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_metric_name_is_no_metric(name):
    error = refusal(performance(f"{json.dumps(name)}: {{min: 0.5}}"))
    assert error.where.startswith(f"{NAME}:8:")
    assert len(error.message) < 1000


# --- right: everything that is offered ----------------------------------------------------------


def unanchored(allowed):
    """The verbs that need nothing else configured."""
    return [verb for verb in Verb if verb in allowed and "anchor" not in verb.value]


def bound(verb):
    return 1.1 if verb is Verb.MAX_RATIO else 0.25


def offered():
    """Every metric of every task, and every verb that its direction allows."""
    for task in Task:
        for name in metrics_for(task):
            for verb in unanchored(verbs(METRICS[name].better)):
                yield task, name, verb


@pytest.mark.parametrize(
    ("task", "name", "verb"), list(offered()), ids=lambda value: getattr(value, "value", value)
)
def test_every_metric_takes_its_verbs_and_no_other(task, name, verb):
    config = read(performance(f"{name}: {{{verb.value}: {bound(verb)}}}", task.value))
    gate = config.models["credit"].gates.configured()["performance"]
    assert gate.metrics[name].given() == {verb: bound(verb)}
    assert gate.needs_baseline is (verb not in (Verb.MIN, Verb.MAX))


def forbidden():
    plain = [Verb.MIN, Verb.MAX, Verb.MAX_DROP, Verb.MAX_RISE, Verb.MAX_RATIO]
    for task in Task:
        for name in metrics_for(task):
            for verb in plain:
                if verb not in verbs(METRICS[name].better):
                    yield task, name, verb


@pytest.mark.parametrize(
    ("task", "name", "verb"), list(forbidden()), ids=lambda value: getattr(value, "value", value)
)
def test_every_metric_refuses_every_other_verb(task, name, verb):
    text, (place,) = unmarked(performance(f"{name}: {{{verb.value}: ▸0.25}}", task.value))
    error = refusal(text)
    assert error.where == place
    assert f"`{verb.value}` makes no sense for `{name}`" in error.message


SPREADS = ("difference", "ratio", "group_min", "group_max")
DISPARITIES = [
    *(
        (Task.BINARY, f"{stem}_{spread}")
        for stem in ("demographic_parity", "equalized_odds", "equal_opportunity")
        for spread in ("difference", "ratio")
    ),
    *(
        (task, f"{name}_{spread}")
        for task in Task
        for name in metrics_for(task)
        for spread in SPREADS
    ),
]


@pytest.mark.parametrize(("task", "name"), DISPARITIES)
def test_every_disparity_takes_its_verbs(task, name):
    limits = {verb.value: bound(verb) for verb in unanchored(verbs(disparity(name).better))}
    config = read(fairness(f"{name}: {json.dumps(limits)}", task.value))
    given = config.models["credit"].gates.configured()["fairness"].metrics[name].given()
    assert {verb.value: value for verb, value in given.items()} == limits


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task in Task for name in metrics_for(task)]
)
def test_every_plain_rate_is_watched_in_every_group(task, name):
    limits = {verb.value: 0.1 for verb in group_verbs(METRICS[name].better)}
    config = read(fairness(f"{name}: {json.dumps(limits)}", task.value))
    assert config.models["credit"].gates.configured()["fairness"].needs_baseline


RIGHT = {
    # the whole range of a metric is two wide, or has no end
    "mcc can fall by more than 1": performance("mcc: {max_drop: 1.5}"),
    "r2 can fall by more than 1": performance("r2: {max_drop: 1.5}", "regression"),
    "r2 can be below 0": performance("r2: {min: -3.0}", "regression"),
    "r2 can differ by more than 1": fairness("r2_difference: {max: 1.5}", "regression"),
    "mcc can differ by more than 1": fairness("mcc_difference: {max: 1.5}"),
    "an error has no end": performance("mae: {max: 12000, max_rise: 500}", "regression"),
    "a whole number is a number": performance("accuracy: {min: 1, max_drop: 0}"),
    "a neutral metric is held from both sides": performance("selection_rate: {min: 0.1, max: 0.2}"),
    "limits of its own in slices": sliced("[region]").replace(
        "max_drop: 0.1", "min: 0.7, slices: {min: 0.5}"
    ),
    "every kind of slice": sliced("[region, [sex, race], {name: young, where: 'age < 25'}]"),
    "groups of every kind": gates(
        "fairness: {sensitive: [sex, [sex, race]], metrics: {recall_ratio: {min: 0.8}}}"
    ),
    "a positive of each kind": change("defaulted", "defaulted, positive: 'yes'"),
    "a positive that is true": change("defaulted", "defaulted, positive: true"),
    "re-evaluate": beside("baseline: {on_other_data: re-evaluate, predictions: fresh.csv}"),
    "policies at every level": GOOD.replace("min: 0.5}}", "min: 0.5, mode: warn}}, mode: report")
    + "defaults: {confidence: 0.9, seed: 0, on_inconclusive: fail, decide: point}\n",
    "a schema": gates("data-schema: {columns: {age: {type: integer, min: 18}}, rows: {min: 5}}"),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_makes_sense_is_accepted(text):
    assert list(read(text).models) == ["credit"]


def test_a_file_is_loaded_with_its_digest(tmp_path):
    path = tmp_path / NAME
    path.write_text(GOOD)
    config, source = load(path)
    assert config.models["credit"].task is Task.BINARY
    assert source.path == str(path)
    assert re.fullmatch("sha256:[0-9a-f]{64}", source.digest)


def test_gates_come_in_the_order_of_the_registry():
    text = gates(
        "fairness: {sensitive: [s], metrics: {recall_difference: {max: 0.1}}}\n"
        "      performance: {metrics: {recall: {min: 0.5}}}\n"
        "      data-schema: {rows: {min: 1}}"
    )
    model = read(text).models["credit"]
    assert list(model.gates.configured()) == ["data-schema", "performance", "fairness"]


def test_what_was_not_said_has_the_documented_default():
    config = read(GOOD)
    model = config.models["credit"]
    assert config.policy(model) == Policy()
    assert model.data.positive == 1
    assert (model.baseline.alias, model.baseline.store) == ("champion", ".model-gates/baselines")
    assert (model.baseline.on_missing, model.baseline.on_other_data) == ("fail", "refuse")
    assert model.candidate.threshold == 0.5
    assert model.paths == ()


def test_the_defaults_become_the_policy():
    text = beside("privacy: {min_count: 25}")
    text += "defaults: {confidence: 0.9, seed: 1, mode: warn, on_inconclusive: fail, decide: point}"
    config = read(text)
    assert config.policy(config.models["credit"]) == Policy(
        confidence=0.9,
        seed=1,
        mode=Mode.WARN,
        on_inconclusive=OnInconclusive.FAIL,
        decide=Decide.POINT,
        min_count=25,
    )


# --- select --------------------------------------------------------------------------------------

TWO = GOOD + GOOD.partition("models:\n")[2].replace("credit", "churn").replace(
    "performance: {metrics: {recall: {min: 0.5}}}",
    "data-schema: {rows: {min: 1}}\n      performance: {metrics: {recall: {min: 0.5}}}",
)


def chosen(models=(), of=()):
    left = select(read(TWO), tuple(models), tuple(of)).models
    return {name: list(model.gates.configured()) for name, model in left.items()}


def test_nothing_named_is_everything():
    everything = {"credit": ["performance"], "churn": ["data-schema", "performance"]}
    assert chosen() == everything
    assert chosen(["churn", "credit"]) == everything


def test_only_what_is_named_is_kept():
    assert chosen(["churn"]) == {"churn": ["data-schema", "performance"]}
    assert chosen(["churn"], ["performance"]) == {"churn": ["performance"]}
    assert chosen(of=["performance"]) == {"credit": ["performance"], "churn": ["performance"]}


def test_a_model_without_the_gate_is_left_out():
    assert chosen(of=["data-schema"]) == {"churn": ["data-schema"]}


@pytest.mark.parametrize(
    ("models", "of", "where", "message", "hint"),
    [
        (["churm"], [], "--model", "there is no model `churm`", "did you mean `churn`?"),
        (["zzz"], [], "--model", "there is no model `zzz`", "There are: credit, churn."),
        (["churn", ""], [], "--model", "there is no model ``", "There are: credit, churn."),
        ([], ["fairnes"], "--gate", "there is no gate `fairnes`", "did you mean `fairness`?"),
        (
            [],
            ["x"],
            "--gate",
            "there is no gate",
            "data-schema, performance, fairness, drift, artifact.",
        ),
        ([], ["fairness"], None, "none of the models has a gate called fairness", "`gates:`"),
        (["credit"], ["data-schema"], None, "none of the models has a gate", "`--gate`"),
    ],
)
def test_what_is_not_there_can_not_be_selected(models, of, where, message, hint):
    with pytest.raises(ConfigError) as caught:
        chosen(models, of)
    assert caught.value.where == where
    assert message in caught.value.message
    assert hint in caught.value.hint


# --- JSON Schema ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    return Draft202012Validator(json.loads(SHIPPED.read_text()))


def as_data(text):
    return parse(text.encode(), NAME).data


def in_readme():
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in blocks if block.startswith("version: 1")]


def test_the_shipped_schema_is_the_generated_one():
    generated = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    assert SHIPPED.read_text() == generated, "run `model-gates schema --write`"


def test_the_schema_is_a_schema(schema):
    Draft202012Validator.check_schema(schema.schema)
    assert schema.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_an_editor_accepts_what_we_accept(schema, text):
    schema.validate(as_data(text))


def test_the_demo_and_the_readme_are_right(schema):
    demo = (ROOT / "gates/demo/project/model-gates.yml").read_text()
    # Files of another kind have their own tests.
    blocks = [
        text
        for text in in_readme()
        if not re.search(r"^(waivers|deployments):", text, re.MULTILINE)
    ]
    assert blocks
    for text in (demo, *blocks):
        assert isinstance(read(text), Config)
        schema.validate(as_data(text))


EDITOR_REFUSES = [
    name
    for name in WRONG
    if name.startswith(("unknown key", "no such task", "no such policy", "groups"))
    or name in {"1e3", "quoted", "true", "negative", "another version", "no version", "no models"}
    or name in {"a gate by its name in Python", "slices as text", "a condition without a condition"}
]


@pytest.mark.parametrize("name", EDITOR_REFUSES)
def test_an_editor_refuses_it_as_well(schema, name):
    plain, _ = unmarked(WRONG[name][0])
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(as_data(plain))


def test_a_key_without_a_value_is_no_default():
    text = """\
version: 1
models:
  m:
    task: binary
    baseline: {anchor: }
    data: {id: i, label: l}
    candidate: {predictions: p.csv}
    gates:
      data-schema: {rows: {min: 5, max: }, columns: {age: {min: , max: 9}}}
"""
    with pytest.raises(ConfigError) as caught:
        validate(parse(text.encode(), "c.yml"))
    assert [line.partition(": ")[2] for line in caught.value.details] == [
        f"{key}: expected a value, got nothing; or leave it out"
        for key in (
            "models.m.baseline.anchor",
            "models.m.gates.data-schema.rows.max",
            "models.m.gates.data-schema.columns.age.min",
        )
    ]
