"""Write a first `model-gates.yml`: the model, its data, what the table looks like, the gates.

The text is parsed and validated before anybody sees it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gates.assemble import Question, assemble
from gates.config import validate
from gates.errors import ConfigError
from gates.evidence import Columns, Evidence, Policy, Source
from gates.fields import significant
from gates.report import Task
from gates.starter.guess import MOST_CATEGORIES, Meaning, Seen, guess, look
from gates.starter.limits import fairness, performance
from gates.starter.yaml_text import entry, flow, is_key, remark, scalar, shown
from gates.tables import Engine, Kind
from gates.yaml_source import parse as parse_yaml

_MOST_COLUMNS = 60


def starter(predictions: Path, evaluation: Path | None, *, model: str, beside: Path) -> str:
    """Return the text of a configuration that is to stand in the folder `beside`.

    Raises InputError for files that a run would refuse, and where no id, label or output is found.
    """
    if not is_key(model) or {"/", "\\"} & set(model):
        raise ConfigError("this can not be the name of a model", where="--model")
    with Engine() as engine:
        seen = look(engine, predictions, evaluation)
        meaning = guess(seen)
        question = Question(
            root=beside,
            task=meaning.task,
            data=meaning.data,
            policy=Policy(),
            candidate=Source(path=predictions, columns=meaning.columns),
            evaluation=evaluation,
            columns=(*meaning.sensitive, *meaning.text, *meaning.ages),
        )
        evidence = assemble(engine, question, None)
        lines = [
            *_head(model, meaning, seen, beside),
            *_schema(seen, meaning, evidence),
            *performance(meaning, evidence),
            *fairness(meaning, evidence),
        ]
    text = "\n".join(lines) + "\n"
    # A proposal that the next command refuses would be worse than none.
    validate(parse_yaml(text.encode(), "the proposed configuration"))
    return text


def _head(model: str, meaning: Meaning, seen: Seen, beside: Path) -> Iterator[str]:
    """Yield the lines down to the gates: the model, its data and where predictions are."""
    data, why = meaning.data, meaning.why
    predictions = _place(Path(seen.predictions.name), beside)
    yield f"# What a candidate of {shown(model)} must meet to replace the model in service."
    yield "# A first proposal by `model-gates init`: read it, and mend what it guessed wrong."
    yield "# `model-gates validate` checks it; `model-gates schema` prints all that may stand here."
    yield from ("version: 1", "", "models:", f"  {scalar(model)}:")
    yield from entry(2, f"task: {meaning.task.value}", why["task"])
    yield from ("", "    data:")
    if seen.apart:
        yield f"      evaluation: {scalar(_place(Path(seen.evaluation.name), beside))}"
    yield from entry(3, f"id: {scalar(data.id)}", why["id"])
    yield from entry(3, f"label: {scalar(data.label)}", why["label"])
    if meaning.task is Task.BINARY:
        yield from entry(3, f"positive: {scalar(data.positive)}", why["positive"])
    if data.cluster:
        reason = "named like an id, and values repeat: rows with the same are not independent"
        yield from entry(3, f"cluster: {scalar(data.cluster)}", reason)
    yield from ("", "    candidate:")
    yield from entry(
        3, f"predictions: {scalar(predictions)}", "what each candidate predicts is written here"
    )
    if meaning.columns != Columns():
        yield f"      columns: {flow(meaning.columns.model_dump(exclude_defaults=True))}"
    yield from ("", "    baseline:", "      store: .model-gates/baselines", "      alias: champion")
    yield from remark(
        3, "`ledger: true` counts what this set was asked, and warns when it is worn out"
    )
    yield from ("", "    gates:")


def _schema(seen: Seen, meaning: Meaning, evidence: Evidence) -> Iterator[str]:
    """Yield the `data-schema` gate: what each column holds now, loosely."""
    named = (meaning.data.id, meaning.data.label)
    columns = sorted(evidence.data_columns, key=lambda c: c not in named)
    kept = [column for column in columns if is_key(column)][:_MOST_COLUMNS]
    yield from remark(
        3, "Is it the table that the limits below were made for? (pip extra data-schema)"
    )
    yield "      data-schema:"
    yield f"        rows: {{min: {_fewer(evidence.rows)}}}"
    if kept:
        yield "        columns:"
    for column in kept:
        yield f"          {scalar(column)}: {flow(_rule(seen, meaning, column))}"
    if len(kept) < len(columns):
        left = len(columns) - len(kept)
        yield from remark(5, f"{left} more columns are not listed: add those that matter.")
    yield ""


def _rule(seen: Seen, meaning: Meaning, column: str) -> dict[str, Any]:
    """Return what is expected of a column."""
    profile, kind = seen.profile[column], seen.kind(column)
    rows = seen.evaluation.rows
    if column == meaning.data.id:
        # Without a type: a run reads the ids of a text file as text.
        return {"nullable": False, "unique": True}
    if kind is Kind.OTHER or profile.nulls == rows:
        return {"required": True}
    rule: dict[str, Any] = {"type": "datetime" if kind is Kind.TEMPORAL else kind.value}
    if profile.nulls == 0:
        rule["nullable"] = False
    else:
        rule["max_null_share"] = min(1.0, math.ceil(100 * profile.nulls / rows + 5) / 100)
    if column == meaning.data.label and meaning.task is not Task.REGRESSION:
        names = seen.evaluation.codes(column)[1]
        whole = kind is not Kind.TEXT and all(re.fullmatch(r"-?[0-9]{1,15}", n) for n in names)
        if kind is Kind.TEXT or whole:
            rule["in"] = [int(name) for name in names] if whole else list(names)
    elif kind is Kind.TEXT and profile.values and len(profile.values) <= MOST_CATEGORIES:
        rule["in"] = list(profile.values)
    elif profile.low is not None and profile.high is not None:
        rule |= _loose(profile.low, profile.high, whole=kind is Kind.INTEGER)
    return rule


def _fewer(rows: int) -> int:
    """Return a round number a little below a count."""
    step = int(10 ** max(0, len(str(rows)) - 2))
    return max(1, int(0.95 * rows / step) * step)


def _loose(low: float, high: float, *, whole: bool) -> dict[str, float]:
    """Return a range a tenth wider at either end, in round numbers, and not below 0 anew."""
    spread = (high - low) or abs(low) or 1.0
    step = 10.0 ** (math.floor(math.log10(spread)) - 1)
    step = max(1.0, step) if whole else step
    bottom = math.floor((low - spread / 10) / step) * step
    top = math.ceil((high + spread / 10) / step) * step
    bottom = max(0.0, bottom) if low >= 0 else bottom
    ends = {"min": significant(bottom), "max": significant(top)}
    return {key: int(end) if whole else end for key, end in ends.items()}


def _place(path: Path, beside: Path) -> str:
    """Return a path as the configuration has it: relative when it is below the folder."""
    full, folder = path.resolve(), beside.resolve()
    return (full.relative_to(folder) if full.is_relative_to(folder) else full).as_posix()
