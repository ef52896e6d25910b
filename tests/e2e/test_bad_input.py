"""Everything that can be wrong with what comes in: an exit code, a message, a place, no leak.

One row of `CASES` is one way to break the good project of `conftest.py`. Rows hold canaries; no
output may show one, whatever went wrong.
"""

import codecs
import gzip
import io
import json
import os
import shutil
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gates

CANARY = "canary7f3a"
NUMBER = "731200"
SECRET = f"ghp_{CANARY}secret"
# Made once: that the schema is one itself is asked in tests/unit/test_report.py.
SCHEMA = jsonschema.Draft202012Validator(
    json.loads(Path(gates.__file__).with_name("schemas").joinpath("report.schema.json").read_text())
)

CONFIG, EVALUATION, CANDIDATE = "model-gates.yml", "evaluation.parquet", "candidate.parquet"
STORED = ("v0001-", "predictions.parquet")


@dataclass(frozen=True)
class Case:
    """How to break the project, and what must come of it: exit code, words, and the place."""

    name: str
    broken: object
    code: int
    words: tuple[str, ...]
    where: str
    arguments: tuple[str, ...] = ()


def case(name, broken, code, words, where, *arguments):
    """`broken` is given the project; what it returns is ignored."""
    words = (words,) if isinstance(words, str) else words
    return Case(name, broken, code, words, where, arguments)


# --- how things are broken -------------------------------------------------------------------


def config(content):
    """The configuration file, with exactly this text or these bytes; a Path stays unwritten."""

    def broken(project):
        raw = content if isinstance(content, bytes) else content.encode()
        project.path(CONFIG).write_bytes(raw)

    return broken


def key(path, value):
    """A key of the model's configuration, set."""
    return lambda project: project.set(path, value)


def limits(**metrics):
    return key("gates.performance.metrics", metrics)


def written(before, after):
    """The configuration's text, with a part of it replaced."""

    def broken(project):
        text = project.path(CONFIG).read_text()
        assert before in text
        project.path(CONFIG).write_text(text.replace(before, after, 1))

    return broken


def cell(name, column, value, row=7):
    return lambda project: project.cell(name, column, value, row)


def frame(name, change):
    """A table, changed by a function of its frame."""
    return lambda project: project.write(name, change(project.table(name)))


def csv(stem, change):
    """A table as CSV, its bytes changed by a function."""

    def broken(project):
        path = project.csv(stem)
        path.write_bytes(change(path.read_bytes()))

    return broken


def line(number, change):
    """A function of a file's bytes that changes one line; 1 is the header."""

    def changed(raw):
        lines = raw.splitlines(keepends=True)
        lines[number - 1] = change(lines[number - 1])
        return b"".join(lines)

    return changed


def zipped(members):
    """An archive; a name in it may lead out."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def raw(name, change):
    """A file's bytes, changed by a function, or replaced."""

    def broken(project):
        path = project.path(name)
        path.write_bytes(change(path.read_bytes()) if callable(change) else change)

    return broken


def instead(name, make):
    """Something else under the name of a file: a folder, a pipe, a loop of links."""

    def broken(project):
        project.path(name).unlink()
        make(project.path(name))

    return broken


def both(*steps):
    def broken(project):
        for step in steps:
            step(project)

    return broken


def repeated_column(project):
    table = pq.read_table(project.path(CANDIDATE))
    pq.write_table(table.append_column("score", table["score"]), project.path(CANDIDATE))


def bomb(project):
    """A few kilobytes of Parquet that are five gigabytes of text."""
    rows, text = 5300, pa.array([CANARY * 100_000])
    ids = [str(i) for i in range(rows)]
    note = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), text)
    half = pa.array(np.arange(rows) % 2)
    columns = {"id": ids, "defaulted": half, "sex": half, "note": note}
    pq.write_table(pa.table(columns), project.path(EVALUATION), compression="zstd")
    pq.write_table(pa.table({"id": ids, "prediction": half}), project.path(CANDIDATE))
    assert project.path(EVALUATION).stat().st_size < 200_000
    project.set("gates", {"performance": {"metrics": {"recall": {"min": 0.5}}}})


def endless(project):
    """A small file that declares more rows than anybody has."""
    part = pa.table({"id": pa.nulls(10**7)})
    with pq.ParquetWriter(project.path(CANDIDATE), part.schema, compression="zstd") as writer:
        for _ in range(11):
            writer.write_table(part)
    assert project.path(CANDIDATE).stat().st_size < 300_000


def leading_zeros(project):
    """Ids that are text with leading zeros here, and numbers there."""
    numbers = [int(NUMBER) * 10**5 + i for i in range(300)]
    project.cell(EVALUATION, "id", [f"00{n}" for n in numbers], row=None)
    project.cell(CANDIDATE, "id", numbers, row=None)


def multiclass(change=None):
    """The project with three classes; `change` is given the frame of the predictions."""

    def broken(project):
        kinds = np.array(["blue", "green", "red"])[np.arange(300) % 3]
        project.cell(EVALUATION, "defaulted", kinds, row=None)
        scores = {f"score_{k}": np.where(kinds == k, 0.6, 0.2) for k in ("blue", "green", "red")}
        ids = project.table(EVALUATION)["id"]
        predicted = pd.DataFrame({"id": ids, "prediction": kinds, **scores})
        project.write(CANDIDATE, change(predicted) if change else predicted)
        project.set("task", "multiclass")
        project.set("gates", {"performance": {"metrics": {"log_loss": {"max": 5.0}}}})

    return broken


def regression(change=None, label=None):
    """The project with a number to predict; rows without one of the labels, if `label` is given."""

    def broken(project):
        truth = np.linspace(1.0, 9.0, 300)
        project.cell(EVALUATION, "defaulted", truth if label is None else label(truth), row=None)
        ids = project.table(EVALUATION)["id"]
        predicted = pd.DataFrame({"id": ids, "prediction": truth + 0.1})
        project.write(CANDIDATE, change(predicted) if change else predicted)
        project.set("task", "regression")
        project.set("gates", {"performance": {"metrics": {"mae": {"max": 5.0}}}})

    return broken


def in_row(column, value, row=7):
    """A function of a frame that puts a value into one cell."""

    def changed(rows):
        values = list(rows[column])
        return rows.assign(**{column: [*values[:row], value, *values[row + 1 :]]})

    return changed


def with_value(value):
    return lambda truth: [*truth[:7], value, *truth[8:]]


def version(project):
    (folder,) = project.store.glob("v0001-*")
    return folder


def stored(name, change):
    """A file of the registered version, changed."""

    def broken(project):
        path = version(project) / name
        path.write_bytes(change(path.read_bytes()))

    return broken


def flipped(raw_bytes):
    middle = len(raw_bytes) // 2
    return raw_bytes[:middle] + bytes([raw_bytes[middle] ^ 1]) + raw_bytes[middle + 1 :]


ABSOLUTE = key("gates", {"performance": {"metrics": {"roc_auc": {"min": 0.6}}}})
ALIASES = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) or 1}]\n" for i in range(9))
MINIMAL = "version: 1\nmodels: {}\n"

# --- the configuration and the command line (cases 1–13) -------------------------------------

# One case, one line: it is read as a table.
# fmt: off
BAD_CONFIG = [
    case("no configuration", lambda p: p.path(CONFIG).unlink(), 2, ("no such file", "model-gates init"), CONFIG),
    case("empty", config(""), 2, "file is empty", CONFIG),
    case("only comments", config(f"# {SECRET}\n"), 2, "file is empty", CONFIG),
    case("a list", config("- version: 1\n"), 2, "must be a mapping", f"{CONFIG}:1:1"),
    case("syntax", config(f"version: 1\ntoken: {SECRET}\nmodels: [\n"), 2, "", f"{CONFIG}:4:1"),
    case("tab", config("version: 1\nmodels:\n\tcredit: 1\n"), 2, "", f"{CONFIG}:3:1"),
    case("duplicate key", written("max_drop: 0.1\n", "max_drop: 0.1\n            max_drop: 0.9\n"), 2, ("max_drop", "twice", "line 1"), f"{CONFIG}:17:13"),
    case("unknown key", key("candidate.treshold", 0.5), 2, ("unknown key", "did you mean `threshold`?"), f"{CONFIG}:11:7"),
    case("unknown gate", key("gates.fairnes", {}), 2, ("unknown key", "did you mean `fairness`?"), CONFIG),
    case("unknown metric", limits(roc_acu={"min": 0.5}), 2, ("roc_acu", "did you mean `roc_auc`?"), CONFIG),
    case("metric of another task", limits(rmse={"max": 0.5}), 2, "`rmse` is not for this task", CONFIG),
    case("unknown verb", limits(roc_auc={"max_dorp": 0.5}), 2, "did you mean `max_drop`?", CONFIG),
    case("verb against the metric", limits(roc_auc={"max_rise": 0.1}), 2, "makes no sense for `roc_auc`", CONFIG),
    case("limit out of reach", limits(roc_auc={"min": 80.0}), 2, ("at most 1", "did you mean 0.8?"), CONFIG),
    case("no limit", limits(roc_auc={}), 2, "has no limit", CONFIG),
    case("exponent as text", written("max_drop: 0.1", "max_drop: 1e3"), 2, ("expected a number, got text", "without quotes or an exponent"), f"{CONFIG}:16:23"),
    case("nan", written("max_drop: 0.1", "max_drop: .nan"), 2, "not finite", f"{CONFIG}:16:23"),
    case("infinite", written("max_drop: 0.1", "max_drop: .inf"), 2, "not finite", f"{CONFIG}:16:23"),
    case("negative", limits(roc_auc={"max_drop": -0.1}), 2, "greater than or equal to 0", CONFIG),
    case("true as a limit", limits(roc_auc={"max_drop": True}), 2, "expected a number, got true/false", CONFIG),
    case("yes", written("max_drop: 0.1", "max_drop: yes"), 2, "switch word", f"{CONFIG}:16:23"),
    case("leading zero", written("max_drop: 0.1", "max_drop: 012"), 2, "leading zero", f"{CONFIG}:16:23"),
    case("alias bomb", config(ALIASES), 2, "Anchors and aliases", f"{CONFIG}:1:"),
    case("recursive alias", config("models: &a [*a]\n"), 2, "Anchors and aliases", f"{CONFIG}:1:9"),
    case("100,000 brackets", config("models: " + "[" * 100_000), 2, "more than 20 levels", f"{CONFIG}:1:"),
    case("200,000 digits", config("version: " + "9" * 200_000), 2, "more than 18 digits", f"{CONFIG}:1:10"),
    case("python tag", config("models: !!python/object/apply:os.system ['touch pwned']\n"), 2, "Tags (!)", f"{CONFIG}:1:9"),
    case("300 kB", config(MINIMAL + "#" * 300_000), 2, "larger than 256 KiB", CONFIG),
    case("binary", config(b"version: 1\x00\x01"), 2, "binary", CONFIG),
    case("UTF-16", config("version: 1".encode("utf-16")), 2, "UTF-16", CONFIG),
    case("Latin-1", config("version: 1\n# é\n".encode("latin-1")), 2, "not UTF-8", f"{CONFIG}:2:3"),
    case("a folder", instead(CONFIG, Path.mkdir), 2, "not a file", CONFIG),
    case("a pipe", instead(CONFIG, os.mkfifo), 2, "not a file", CONFIG),
    case("no models", config(MINIMAL), 2, "at least 1", f"{CONFIG}:2:9"),
    case("no gates", key("gates", {}), 2, "no gate is configured", CONFIG),
    case("version of the future", written("version: 1", "version: 2"), 2, "expected 1", f"{CONFIG}:1:10"),
    case("unknown task", key("task", "binray"), 2, "expected 'binary', 'multiclass' or 'regression'", f"{CONFIG}:4:11"),
    case("broken slice condition", key("gates.performance.slices", [{"name": "young", "where": "age = 25"}]), 2, "==", CONFIG),
    case("condition that calls", key("gates.performance.slices", [{"name": "x", "where": "__import__('os').abort()"}]), 2, "", CONFIG),
    case("re-evaluate without predictions", key("baseline.on_other_data", "re-evaluate"), 2, "belong together", CONFIG),
    case("store that is not there", key("baseline.store", "s3://bucket/x"), 2, "no store of the kind 's3'", ""),
    case("unknown model", lambda p: None, 2, ("no model `credti`", "did you mean `credit`?"), "--model", "--model", "credti"),
    case("unknown gate asked for", lambda p: None, 2, ("no gate `fairnes`", "did you mean `fairness`?"), "--gate", "--gate", "fairnes"),
    case("gate that no model has", lambda p: None, 2, "none of the models has a gate called data-schema", "", "--gate", "data-schema"),
]

# --- the data and the predictions (cases 23–46) ----------------------------------------------

BAD_DATA = [
    case("zero bytes", csv("evaluation", lambda _: b""), 3, ("0 bytes", "no columns"), "evaluation.csv"),
    case("header only", csv("evaluation", lambda b: b.splitlines(keepends=True)[0]), 3, "0 rows", "evaluation.csv"),
    case("blank header", csv("candidate", lambda _: b"\n\n"), 3, "no columns", "candidate.csv, line 1"),
    case("Latin-1 cell", csv("evaluation", line(9, lambda b: b.replace(b"@", "é".encode("latin-1")))), 3, ("not UTF-8", "Latin-1"), "evaluation.csv, byte "),
    case("UTF-16 table", csv("evaluation", lambda b: b.decode().encode("utf-16")), 3, "UTF-16", "evaluation.csv"),
    case("UTF-16 without a mark", csv("evaluation", lambda b: b.decode().encode("utf-16-le")), 3, ("NUL byte", "may be UTF-16"), "evaluation.csv, byte 1"),
    case("NUL byte", csv("evaluation", line(9, lambda b: b.replace(b"@", b"\0"))), 3, "NUL byte", "evaluation.csv, byte "),
    case("row too long", csv("evaluation", line(9, lambda b: b.rstrip() + f",{CANARY}\n".encode())), 3, "10 fields where the header has 9", "evaluation.csv, line 9"),
    case("row too short", csv("candidate", line(9, lambda b: b.rpartition(b",")[0] + b"\n")), 3, "2 fields where the header has 3", "candidate.csv, line 9"),
    case("open quote", csv("evaluation", line(9, lambda b: b'"' + b)), 3, "quote", "evaluation.csv"),
    case("duplicate column, CSV", csv("evaluation", line(1, lambda b: b.replace(b"region", b"sex"))), 3, "two columns are called `sex`", "evaluation.csv"),
    case("duplicate column, Parquet", repeated_column, 3, "two columns are called `score`", CANDIDATE),
    case("cell over a megabyte", cell(EVALUATION, "email", CANARY * 200_000), 3, "over the limit of 1,048,576", EVALUATION),
    case("mixed labels", cell(EVALUATION, "defaulted", ["0", "1", f"{CANARY}-yes"] * 100, row=None), 3, "3 different values: a binary task has two", EVALUATION),
    case("mixed labels, CSV", csv("evaluation", line(9, lambda b: b.rpartition(b",")[0] + f",{CANARY}\n".encode())), 3, "3 different values", "evaluation.csv"),
    case("third label", cell(EVALUATION, "defaulted", 2), 3, ("3 different values", "task: multiclass"), EVALUATION),
    case("label missing in a row", cell(EVALUATION, "defaulted", None), 3, "1 row has no value in `defaulted`; the first is row 8", f"{EVALUATION}, column `defaulted`, row 8"),
    case("score missing", cell(CANDIDATE, "score", np.nan), 3, "1 row has no value in `score`; the first is row 8", f"{CANDIDATE}, column `score`, row 8"),
    case("prediction missing", cell(CANDIDATE, "prediction", None), 3, "no value in `prediction`", f"{CANDIDATE}, column `prediction`, row 8"),
    case("infinite score", cell(CANDIDATE, "score", np.inf), 3, "outside [0, 1]", f"{CANDIDATE}, column `score`, row 8"),
    case("score above 1", cell(CANDIDATE, "score", float(NUMBER) + 0.5), 3, "1 row has a value outside [0, 1]", f"{CANDIDATE}, column `score`, row 8"),
    case("score below 0", cell(CANDIDATE, "score", -float(NUMBER)), 3, "outside [0, 1]", f"{CANDIDATE}, column `score`, row 8"),
    case("score in percent", frame(CANDIDATE, lambda f: f.assign(score=f.score * 100)), 3, "outside [0, 1]", CANDIDATE),
    case("score is text", cell(CANDIDATE, "score", [f"{CANARY}-{i}" for i in range(300)], row=None), 3, "text that is no number", f"{CANDIDATE}, column `score`, row 1"),
    case("unknown class predicted", cell(CANDIDATE, "prediction", ["0", f"{CANARY}-x"] * 150, row=None), 3, "150 of 300 predictions are not one of the label's classes", CANDIDATE),
    case("probabilities as predictions", frame(CANDIDATE, lambda f: f.assign(prediction=f.score)), 3, "Probabilities belong in the `score` column", CANDIDATE),
    case("no outputs", frame(CANDIDATE, lambda f: f[["id"]]), 3, ("no column 'prediction' or 'score'", "candidate.columns"), CANDIDATE),
    case("no score for a metric", frame(CANDIDATE, lambda f: f[["id", "prediction"]]), 3, ("roc_auc needs scores", "Add a `score` column"), ""),
    case("positive that is no label", key("data.positive", 2), 3, "`positive: 2` is not a value", EVALUATION),
    case("truncated Parquet", raw(CANDIDATE, lambda b: b[: len(b) // 2]), 3, "damaged", CANDIDATE),
    case("Parquet without its end", raw(EVALUATION, lambda b: b[:-8]), 3, "damaged", EVALUATION),
    case("magic only", raw(CANDIDATE, b"PAR1"), 3, "damaged", CANDIDATE),
    case("CSV called Parquet", raw(CANDIDATE, b"id,score\n1,0.5\n"), 3, "damaged", CANDIDATE),
    case("gzip", both(csv("evaluation", gzip.compress)), 3, ("gzip archive", "Unpack it first"), "evaluation.csv"),
    case("zip", both(csv("evaluation", lambda b: zipped({"../evaluation.csv": b}))), 3, "the file is a zip archive", "evaluation.csv"),
    case("zip of zips", raw(CANDIDATE, lambda b: zipped({"a.zip": zipped({"b": bytes(10**7)})})), 3, "the file is a zip archive", CANDIDATE),
    case("zip by its suffix", both(lambda p: p.path("evaluation.zip").write_bytes(zipped({"a.csv": b"id\n"})), key("data.evaluation", "evaluation.zip")), 3, "suffix `.zip`", "evaluation.zip"),
    case("link to what is no table", instead(CANDIDATE, lambda path: path.symlink_to("/etc/passwd")), 3, "damaged", CANDIDATE),
    case("suffix", both(lambda p: shutil.copy(p.path(EVALUATION), p.path("evaluation.xlsx")), key("data.evaluation", "evaluation.xlsx")), 3, ("suffix `.xlsx`", ".parquet"), "evaluation.xlsx"),
    case("Parquet bomb", bomb, 3, "over the memory budget", EVALUATION),
    case("huge declared rows", endless, 3, "110,000,000 rows or more", CANDIDATE),
    case("missing file", lambda p: p.path(CANDIDATE).unlink(), 3, "does not exist", CANDIDATE),
    case("folder", instead(CANDIDATE, Path.mkdir), 3, "is a folder", CANDIDATE),
    case("pipe", instead(EVALUATION, os.mkfifo), 3, "device, pipe or socket", EVALUATION),
    case("device", instead(EVALUATION, lambda path: path.symlink_to("/dev/zero")), 3, "device, pipe or socket", EVALUATION),
    case("loop of links", instead(EVALUATION, lambda path: path.symlink_to(path)), 4, "cannot open", EVALUATION),
    case("no id column", frame(CANDIDATE, lambda f: f.rename(columns={"id": "ID"})), 3, ("no column `id`", "There is `ID`, which differs only by case"), CANDIDATE),
    case("no label column", key("data.label", "defaultd"), 3, ("no column `defaultd`", "Did you mean `defaulted`?"), EVALUATION),
    case("duplicate ids", cell(CANDIDATE, "id", f"{CANARY}-0003"), 3, "1 of 300 rows repeat an id", f"{CANDIDATE}, column `id`"),
    case("duplicate ids in the data", cell(EVALUATION, "id", f"{CANARY}-0003"), 3, "1 of 300 rows repeat an id", f"{EVALUATION}, column `id`"),
    case("row without an id", cell(CANDIDATE, "id", None), 3, "1 rows have no id", f"{CANDIDATE}, column `id`"),
    case("ids missing in the predictions", frame(CANDIDATE, lambda f: f[2:]), 3, ("2 of ", "are not in", "0 the other way round"), "columns `id` and `id`"),
    case("ids missing in the data", frame(EVALUATION, lambda f: f[3:]), 3, "3 the other way round", "columns `id` and `id`"),
    case("ids with spaces", frame(CANDIDATE, lambda f: f.assign(id=f.id + " ")), 3, "only by leading or trailing spaces", "columns `id`"),
    case("ids of another type", leading_zeros, 3, "300 of them differ only by leading zeros", "columns `id`"),
    case("slice column missing", key("gates.performance.slices", ["regoin"]), 3, ("no column `regoin`", "Did you mean `region`?"), EVALUATION),
    case("sensitive column missing", key("gates.fairness.sensitive", ["Sex"]), 3, ("no column `Sex`", "There is `sex`"), EVALUATION),
    case("cluster column missing", key("data.cluster", "houshold"), 3, ("no column `houshold`", "Did you mean `household`?"), EVALUATION),
    case("cluster missing in a row", both(cell(EVALUATION, "household", None), key("data.cluster", "household"), ABSOLUTE), 3, "no value", EVALUATION),
    case("10,001 columns", csv("evaluation", line(1, lambda b: b.rstrip() + b"," + b",".join(b"c%d" % i for i in range(9_992)) + b"\n")), 3, "10,001 columns", "evaluation.csv"),
    case("ids that lost digits", lambda p: [p.cell(n, "id", np.arange(300) + 2.0**53, row=None) for n in (EVALUATION, CANDIDATE)], 3, "ids are floats of 2^53 or more", "column `id`"),
    case("too many values to slice by", key("gates.performance.slices", ["email"]), 3, "`email` has 300 different values, over 200", EVALUATION),
    case("too many groups", key("gates.fairness.sensitive", ["account"]), 3, "`account` has 300 different values, over 200", EVALUATION),
    case("condition across kinds", key("gates.performance.slices", [{"name": "x", "where": "age == 'old'"}]), 3, "age", EVALUATION),
    case("scores that do not add up", multiclass(lambda f: f.assign(score_red=0.9)), 3, "scores of 300 of 300 rows do not add up to 1", CANDIDATE),
    case("class without a score", multiclass(lambda f: f.drop(columns="score_red")), 3, "1 of 3 classes in the labels have no score column", CANDIDATE),
    case("class nobody knows", multiclass(in_row("prediction", f"{CANARY}-x")), 3, "1 of 300 predictions are not one of the label's classes", CANDIDATE),
    case("multiclass score missing", multiclass(in_row("score_red", np.nan)), 3, "no value in `score_red`", f"{CANDIDATE}, column `score_red`, row 8"),
    case("regression prediction missing", regression(in_row("prediction", np.nan)), 3, "no value in `prediction`", f"{CANDIDATE}, column `prediction`, row 8"),
    case("regression prediction infinite", regression(in_row("prediction", -np.inf)), 3, "not finite", f"{CANDIDATE}, column `prediction`, row 8"),
    case("regression prediction is text", regression(lambda f: f.assign(prediction=f"{CANARY}-x")), 3, "text that is no number", f"{CANDIDATE}, column `prediction`, row 1"),
    case("regression label missing", regression(label=with_value(np.nan)), 3, "no value in `defaulted`", f"{EVALUATION}, column `defaulted`, row 8"),
    case("regression label infinite", regression(label=with_value(np.inf)), 3, "not finite", f"{EVALUATION}, column `defaulted`, row 8"),
    case("regression label is text", regression(label=lambda truth: [f"{CANARY}-{v}" for v in truth]), 3, "text that is no number", f"{EVALUATION}, column `defaulted`, row 1"),
]

# --- the baseline and the surroundings -------------------------------------------------------

BAD_BASELINE = [
    case("one value changed", cell(EVALUATION, "age", 99), 3, ("not comparable", "the same columns hold other values", "re-evaluate"), EVALUATION),
    case("one row less", both(frame(EVALUATION, lambda f: f[1:]), frame(CANDIDATE, lambda f: f[1:])), 3, ("judged on 300 rows", "299"), EVALUATION),
    case("column dropped", frame(EVALUATION, lambda f: f.drop(columns="token")), 3, "had a column 'token'", EVALUATION),
    case("label renamed", both(frame(EVALUATION, lambda f: f.rename(columns={"defaulted": "bad"})), key("data.label", "bad")), 3, "its label is 'defaulted', this one is 'bad'", EVALUATION),
    case("positive changed", key("data.positive", 0), 3, "its positive label is '1', this one is '0'", EVALUATION),
    case("task changed", both(multiclass(), key("gates", {"performance": {"metrics": {"log_loss": {"max_rise": 1.0}}}})), 3, "registered for task 'binary', this is 'multiclass'", EVALUATION),
    case("nothing registered", lambda p: shutil.rmtree(p.store), 3, ("no baseline is registered", "model-gates baseline register --model credit"), "credit"),
    case("unknown alias", key("baseline.alias", "champoin"), 3, ("'champoin' names no baseline", "Did you mean 'champion'?"), "credit"),
    case("re-evaluation that is missing", both(key("baseline.on_other_data", "re-evaluate"), key("baseline.predictions", "gone.parquet")), 3, "does not exist", "gone.parquet"),
    case("stored predictions tampered with", stored("predictions.parquet", flipped), 5, "predictions.parquet is not what was registered", "predictions.parquet"),
    case("stored predictions gone", lambda p: (version(p) / "predictions.parquet").unlink(), 5, "missing or not a regular file", "predictions.parquet"),
    case("record tampered with", stored("record.json", lambda b: b.replace(b'"rows": 300', b'"rows": 301')), 5, "does not match its own digest", "record.json"),
    case("record re-signed by hand", stored("record.json", lambda b: b.replace(b'"by": "ana"', b'"by": "eve"')), 5, "edited after an alias was pointed at it", "record.json"),
    case("record is no JSON", stored("record.json", lambda b: b[:50]), 5, "is not JSON", "record.json"),
    case("alias moved by hand", lambda p: raw(p.store / "aliases.json", lambda b: b.replace(b'"champion": 1', b'"champion": 2'))(p), 5, "its own log does not lead to", "aliases.json"),
]
# fmt: on

CASES = BAD_CONFIG + BAD_DATA + BAD_BASELINE


def errors_in(report):
    """The errors of a report: of the run, or else of single gates."""
    if report["error"]:
        return [report["error"]]
    gates = [gate for model in report["models"] for gate in model["gates"]]
    return [gate["error"] for gate in gates if gate["error"]]


def check_nothing_leaked(outcome):
    everything = outcome.everything.lower()
    assert CANARY not in everything
    assert NUMBER not in everything
    assert "traceback" not in everything


KINDS = {2: "config", 3: "input", 4: "environment", 5: "refused"}


@pytest.mark.parametrize("bad", CASES, ids=[bad.name for bad in CASES])
def test_bad_input(project, bad):
    bad.broken(project)
    outcome = project.run_as_is(*bad.arguments)

    assert outcome.code == bad.code, outcome.everything
    report = outcome.report
    SCHEMA.validate(report)
    error, *_ = errors_in(report)
    assert (error["kind"], error["exit_code"]) == (KINDS[bad.code], bad.code)
    assert report["blocked"] is True
    assert report["verdict"] == (None if report["error"] else "error")
    told = " ".join([error["message"], error["hint"] or "", *error["details"]])
    shown = "".join((outcome.stdout + outcome.stderr).split())
    for words in bad.words:
        assert words in told
        assert "".join(words.split()) in shown
    assert bad.where in (error["where"] or "")
    assert "passes" not in outcome.stdout
    check_nothing_leaked(outcome)


def test_there_are_enough_cases_and_none_is_there_twice():
    assert len(CASES) >= 50
    assert len({bad.name for bad in CASES}) == len(CASES)


def test_the_good_project_passes_and_shows_no_row(project):
    outcome = project.run()
    assert outcome.code == 0
    assert outcome.report["verdict"] == "pass"
    SCHEMA.validate(outcome.report)
    check_nothing_leaked(outcome)


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_a_bad_run_is_told_on_stderr_in_every_format(project, form):
    project.path(CANDIDATE).unlink()
    outcome = project.run("--format", form)
    assert outcome.code == 3
    assert "the file does not exist" in outcome.stderr
    assert (outcome.stdout == outcome.markdown) is (form == "markdown")
    assert form != "json" or json.loads(outcome.stdout) == outcome.report


def test_a_bad_run_leaves_no_older_pass_behind(project):
    assert project.run().report["verdict"] == "pass"
    project.path(CANDIDATE).unlink()
    outcome = project.run()
    assert (outcome.code, outcome.report["verdict"]) == (3, None)
    assert "no verdict" in outcome.markdown


def test_a_python_tag_runs_nothing(project):
    config(f"models: !!python/object/apply:os.mkdir ['{project.path('pwned')}']\n")(project)
    assert project.run_as_is().code == 2
    assert not project.path("pwned").exists()


@pytest.mark.parametrize(
    "hostile",
    [
        ALIASES,
        "models: &a [*a]\n",
        "models: " + "[" * 100_000,
        "version: " + "9" * 200_000,
        "[" * 250_000,
    ],
    ids=["aliases", "recursion", "brackets", "digits", "only brackets"],
)
def test_a_hostile_configuration_costs_no_time(project, hostile):
    config(hostile)(project)
    started = time.process_time()
    assert project.run_as_is().code == 2
    assert time.process_time() - started < 1


def test_a_byte_order_mark_is_accepted(project):
    raw(CONFIG, lambda b: codecs.BOM_UTF8 + b)(project)
    assert project.run_as_is().code == 0


# --- what has no number is no pass (case 34) -------------------------------------------------


def one_class(project):
    project.cell(EVALUATION, "defaulted", 1, row=None)
    project.set("gates", {"performance": {"metrics": {"roc_auc": {"min": 0.0}}}})


def one_group(project):
    project.cell(EVALUATION, "sex", "f", row=None)
    metrics = {"demographic_parity_difference": {"max": 1.0}}
    project.set("gates", {"fairness": {"sensitive": ["sex"], "metrics": metrics}})


def no_group(project):
    project.cell(EVALUATION, "sex", None, row=None)
    metrics = {"demographic_parity_difference": {"max": 1.0}}
    project.set("gates", {"fairness": {"sensitive": ["sex"], "metrics": metrics}})


def nobody_is_positive(project):
    project.cell(CANDIDATE, "prediction", 0, row=None)
    project.set("gates", {"performance": {"metrics": {"precision": {"min": 0.0}}}})


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (one_class, "roc_auc is undefined here"),
        (one_group, "1 group(s) have enough rows: there is nothing to compare"),
        (no_group, "0 group(s) have enough rows: there is nothing to compare"),
        (nobody_is_positive, "precision is undefined here"),
    ],
)
def test_what_is_undefined_is_an_error_and_blocks(project, broken, reason):
    broken(project)
    outcome = project.run()
    assert outcome.code == 1, outcome.everything
    report = outcome.report
    assert (report["verdict"], report["blocked"], report["error"]) == ("error", True, None)
    (check,) = outcome.checks.values()
    assert (check["verdict"], check["effect"], check["candidate"]) == ("error", "block", None)
    assert check["reason"].startswith(reason)
    check_nothing_leaked(outcome)


@pytest.mark.parametrize(
    ("metric", "limit", "prepare"),
    [
        ("demographic_parity_ratio", {"min": 0.0}, nobody_is_positive),
        ("equalized_odds_ratio", {"min": 0.0}, nobody_is_positive),
        ("equal_opportunity_ratio", {"min": 0.0}, nobody_is_positive),
        ("precision_difference", {"max": 1.0}, nobody_is_positive),
        ("max_error_difference", {"max": 9.0}, regression()),
    ],
)
def test_a_disparity_without_a_number_or_an_interval_is_no_pass_and_no_crash(
    project, metric, limit, prepare
):
    prepare(project)
    project.set("gates", {"fairness": {"sensitive": ["sex"], "metrics": {metric: limit}}})
    outcome = project.run()
    (check,) = outcome.checks.values()
    assert check["verdict"] in ("inconclusive", "error")
    assert outcome.code == (1 if check["verdict"] == "error" else 0)


def test_in_a_slice_the_undefined_is_inconclusive_and_warns(project):
    rows = project.table(EVALUATION)
    rows.loc[rows.region == "north", "defaulted"] = 1
    project.write(EVALUATION, rows)
    project.set(
        "gates",
        {
            "performance": {
                "metrics": {"roc_auc": {"min": 0.0, "slices": {"min": 0.0}}},
                "slices": ["region"],
            }
        },
    )
    check = project.run().checks["performance/roc_auc:min@region=north"]
    assert (check["verdict"], check["effect"], check["candidate"]) == ("inconclusive", "warn", None)
    assert "undefined" in check["reason"]


# --- what is worth a word, and what is to stay hidden ----------------------------------------


def test_predictions_equal_to_the_label_are_remarked_upon(project):
    project.cell(CANDIDATE, "prediction", list(project.table(EVALUATION)["defaulted"]), row=None)
    outcome = project.run()
    assert "equal the label in every row" in " ".join(outcome.report["models"][0]["notes"])
    assert "equal the label" in outcome.markdown


def test_na_is_a_country_and_no_missing_value(project):
    regions = ["NA", "null", "None", "nan"] * 75
    project.cell(EVALUATION, "region", regions, row=None)
    project.csv("evaluation")
    project.set("gates.performance.metrics", {"recall": {"min": 0.1, "slices": {"min": 0.1}}})
    project.set("gates", {"performance": project.model["gates"]["performance"]})
    slices = {
        check["slice"]["region"]: check["n"]
        for check in project.run().checks.values()
        if check["slice"]
    }
    assert slices == dict.fromkeys(regions, 75)


def test_the_numbers_of_a_group_too_small_are_withheld(project):
    rows = project.table(EVALUATION)
    rows.loc[:8, "sex"] = "x"
    project.write(EVALUATION, rows)
    metrics = {
        "selection_rate": {"max_rise_any_group": 1.0},
        "demographic_parity_difference": {"max": 1.0},
    }
    project.set("gates", {"fairness": {"sensitive": ["sex"], "metrics": metrics, "min_group": 2}})
    project.set("baseline.on_missing", "absolute")
    shutil.rmtree(project.store)
    outcome = project.run()
    (small,) = [g for g in outcome.gate("fairness")["groups"] if g["group"] == {"sex": "x"}]
    assert (small["n"], small["baseline"], small["candidate"]) == (None, None, None)
    check = outcome.checks["fairness/selection_rate:max_rise_any_group@sex=x"]
    assert (check["baseline"], check["candidate"], check["interval"]) == (None, None, None)


@pytest.mark.parametrize(
    "suite",
    [{"email": {"regex": "^nobody$"}}, {"account": {"max": 5}}, {"region": {"in": ["east"]}}],
)
def test_a_failing_expectation_shows_counts_and_no_value(project, suite):
    project.set("gates", {"data-schema": {"columns": suite}})
    outcome = project.run()
    assert outcome.code == 1
    failed = [check for check in outcome.checks.values() if check["verdict"] == "fail"]
    assert [check["candidate"] for check in failed] == [0.0]
    check_nothing_leaked(outcome)


# --- the other commands ----------------------------------------------------------------------


@pytest.mark.parametrize("out", ["taken", "taken/below"])
def test_a_folder_that_can_not_be_written_is_the_environments_fault(project, out):
    project.path("taken").write_text("a file")
    outcome = project.run(out=out)
    assert outcome.code == 4
    assert "cannot write the file" in outcome.stderr
    assert "taken" in outcome.stderr
    assert outcome.report is None
    assert project.path("taken").read_text() == "a file"
    check_nothing_leaked(outcome)


FULL = """
import resource, signal, sys
sys.dont_write_bytecode = True  # or half of it would be left, for whoever comes next
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no such limit")
@pytest.mark.parametrize("there", [None, b'{"of": "an earlier run"}'])
def test_a_disk_that_is_full_leaves_nothing_half_written(project, there):
    """As near as a test comes to it: no file may grow beyond a page."""
    project.path("out").mkdir()
    if there:
        project.path("out/report.json").write_bytes(there)
    outcome = project.process(prelude=FULL)
    assert outcome.code == 4, outcome.stderr
    assert "cannot write the file: File too large" in outcome.stderr
    left = {path.name: path.read_bytes() for path in project.path("out").iterdir()}
    assert left == ({"report.json": there} if there else {})
    check_nothing_leaked(outcome)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "--format", "nope"), 2, "nope"),
        (("run", "--nope"), 2, "nope"),
        (("rum",), 2, "rum"),
        (("report", "gone.json"), 3, "cannot read the report"),
        (("report", __file__), 3, "not a report of schema 1"),
        (("baseline", "show", "champion", "--config", "gone.yml"), 2, "no such file"),
        (("validate", "--config", "gone.yml"), 2, "no such file"),
        (
            ("run", "--config", "gone.yml", "--out", "{out}", "--github"),
            4,
            "GITHUB_OUTPUT is not set",
        ),
    ],
)
def test_commands_that_make_no_sense(project, arguments, code, words):
    outcome = project.call(*(a.format(out=project.path("out")) for a in arguments))
    assert outcome.code == code
    assert words in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        (lambda p: p.path(CANDIDATE).unlink(), 3, "does not exist"),
        (cell(CANDIDATE, "score", np.nan), 3, "no value in `score`"),
        (cell(CANDIDATE, "id", f"{CANARY}-0003"), 3, "repeat an id"),
        (cell(EVALUATION, "defaulted", 2), 3, "3 different values"),
        (lambda p: raw(p.store / "aliases.json", lambda b: b[:40])(p), 5, "is not JSON"),
        (key("baseline.store", "model-gates.yml"), 4, "store can not be used"),
        (key("task", "binray"), 2, "expected 'binary'"),
    ],
)
def test_what_a_run_refuses_is_not_registered(project, broken, code, words):
    before = sorted(path.name for path in project.store.iterdir())
    broken(project)
    command = (
        "baseline",
        "register",
        "--predictions",
        project.path(CANDIDATE),
        "--config",
        project.path(CONFIG),
    )
    outcome = project.call(*map(str, command))
    assert outcome.code == code, outcome.stderr
    assert words in outcome.stderr
    assert sorted(path.name for path in project.store.iterdir()) == before
    check_nothing_leaked(outcome)


def test_rows_without_a_group_are_counted_and_told(project):
    rows = project.table(EVALUATION)
    rows.loc[:99, "sex"] = None
    project.write(EVALUATION, rows)
    metrics = {"demographic_parity_difference": {"max": 0.9}}
    project.set("gates", {"fairness": {"sensitive": ["sex"], "metrics": metrics}})
    (note,) = project.run().gate("fairness")["notes"]
    assert "100" in note
    assert "sex" in note


def test_slices_whose_names_begin_alike_have_ids_of_their_own(project):
    rows = project.table(EVALUATION)
    project.write(EVALUATION, rows.assign(region="x" * 250 + rows["region"]))
    project.set("gates", SLICED | {"performance": SLICED["performance"] | {"slices": ["region"]}})
    checks = project.run().gate("performance")["checks"]
    assert len({check["id"] for check in checks}) == len(checks) == 3


def test_names_of_any_length_make_an_id_that_fits(project):
    rows = project.table(EVALUATION)
    longer = dict.fromkeys(("a" * 250, "b" * 250, "c" * 250), "x" * 250 + rows["sex"])
    project.write(EVALUATION, rows.assign(**longer))
    project.set(
        "gates", SLICED | {"performance": SLICED["performance"] | {"slices": [list(longer)]}}
    )
    assert project.run().code == 0


SLICED = {"performance": {"metrics": {"recall": {"min": 0.1, "slices": {"min": 0.1}}}}}
