"""Make a registered baseline out of predictions: the same reading, the same refusals as a run."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates import __version__
from gates.artifacts.manifest import digest_of
from gates.assemble import assemble
from gates.baselines.local import Store
from gates.builtin.checks import require_scores
from gates.builtin.parts import Part
from gates.builtin.samples import remembered
from gates.builtin.stored import Compared
from gates.config import Config, Gate
from gates.digest import sha256
from gates.evidence import Evidence, Source, label_text
from gates.fields import bounded
from gates.record import (
    ID,
    Content,
    Evaluated,
    MetricFact,
    Predicted,
    Record,
    Registration,
    Sketched,
)
from gates.report import Task
from gates.runner import question
from gates.stats.catalogue import METRICS, METRICS_VERSION, Needs, metrics_for
from gates.stats.sketch import (
    Entry,
    Sketch,
    block_count,
    block_sums,
    rows_key,
    standard_error,
)
from gates.tables import Engine
from gates.tables.sketches import write_sketch
from gates.tables.writer import write_parquet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIBRARIES = ("numpy", "duckdb", "scikit-learn", "pyarrow")
_MOST_SLICES = 1000


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is to become the baseline: predictions, the model file if known, and who says so."""

    predictions: Source
    artifact: Path | None
    alias: str | None
    by: str
    at: str
    git_sha: str | None


def register(config: Config, name: str, store: Store, root: Path, new: Candidate) -> Record:
    """Register predictions as a new version of a model's baseline and return its record.

    Registering the same content again returns the version that has it. Raises InputError for
    whatever a run would refuse, too.
    """
    model = config.models[name]
    with Engine() as engine, tempfile.TemporaryDirectory() as folder:
        asked = question(config, model, root, new.predictions)
        evidence = assemble(engine, asked, None)
        path = Path(folder) / "kept.parquet"
        gates = tuple(model.gates.configured().values())
        keep = model.baseline.keep_predictions
        content = Content(
            model=name,
            task=model.task,
            label=evidence.data.label,
            positive=label_text(evidence.data.positive) if model.task is Task.BINARY else None,
            classes=tuple(bounded(name) for name in evidence.classes),
            evaluation=Evaluated(
                digest=evidence.evaluation.digest(evidence.data_columns),
                rows=evidence.rows,
                columns=evidence.data_columns,
                profile=evidence.evaluation.describe(evidence.data_columns),
            ),
            predictions=_predictions(engine, evidence, path) if keep else None,
            sketch=None if keep else _sketch(gates, evidence, path),
            artifact=digest_of(new.artifact) if new.artifact else None,
            metrics_version=METRICS_VERSION,
            metrics=_facts(evidence),
            slices=_slices(gates, evidence),
            remembered=remembered((gate.remembers for gate in gates), evidence),
        )
        record, _ = store.register(content, path, _registration(new), alias=new.alias)
    return record


def _predictions(engine: Engine, evidence: Evidence, path: Path) -> Predicted:
    write_parquet(path, stored_columns(evidence))
    stored = engine.open(path, text=(ID,))
    return Predicted(digest=stored.digest(stored.columns), sha256=sha256(path), rows=stored.rows)


def _sketch(gates: tuple[Gate, ...], evidence: Evidence, path: Path) -> Sketched:
    sketch = sketched(gates, evidence)
    write_sketch(path, sketch)
    return Sketched(
        digest=sketch.digest,
        sha256=sha256(path),
        by=bounded(evidence.data.cluster or evidence.data.id),
        blocks=block_count(evidence.rows),
        entries=len(sketch.entries),
    )


def sketched(gates: tuple[Gate, ...], evidence: Evidence) -> Sketch:
    """Return what the gates will compare of this model, without a row of it.

    Raises InputError for a metric of scores where there are none.
    """
    asked = (one for gate in gates for one in gate.compared(evidence))
    return Sketch(entry for one in asked if (entry := _entry(evidence, one)) is not None)


def _entry(evidence: Evidence, asked: Compared) -> Entry | None:
    """Return one entry; None where the metric is undefined, or the rows are too few to tell of."""
    from gates.stats.metrics import Undefined, measure

    part = Part(evidence=evidence, index=asked.index)
    if part.withheld:
        return None
    require_scores(asked.metric, evidence)
    try:
        measured = measure(asked.metric, part.models[0], beta=asked.beta)
    except Undefined:
        return None
    hashes = evidence.hashes if asked.index is None else evidence.hashes[asked.index]
    return Entry(
        metric=asked.metric,
        beta=asked.beta,
        rows=rows_key(asked.index, evidence.rows),
        place=asked.place,
        n=part.size,
        value=measured.value,
        se=standard_error(measured, part.clusters),
        unit=measured.unit,
        sums=block_sums(measured, hashes),
    )


def stored_columns(evidence: Evidence) -> dict[str, NDArray[Any]]:
    """Return a model's outputs as columns with the names every stored baseline has."""
    import numpy as np

    rows = evidence.candidate
    columns: dict[str, NDArray[Any]] = {ID: evidence.joined.text(evidence.data.id)}
    if evidence.task is Task.REGRESSION:
        return columns | {"prediction": rows.prediction}
    columns["prediction"] = np.array(evidence.classes, dtype=object)[rows.prediction]
    if rows.score is not None and rows.score.ndim == 1:
        columns["score"] = rows.score
    elif rows.score is not None:
        columns |= {f"score_{name}": rows.score[:, i] for i, name in enumerate(evidence.classes)}
    return columns


def _facts(evidence: Evidence) -> dict[str, MetricFact]:
    """Return every metric of the task that is defined here, with its standard error."""
    from gates.stats.metrics import Undefined, measure

    facts = {}
    for name in metrics_for(evidence.task):
        if METRICS[name].needs is Needs.SCORE and evidence.candidate.score is None:
            continue
        try:
            measured = measure(name, evidence.candidate)
        except Undefined:
            continue
        se = standard_error(measured, evidence.clusters)
        facts[name] = MetricFact(value=measured.value, se=se, n=evidence.rows)
    return facts


def _slices(gates: tuple[Gate, ...], evidence: Evidence) -> dict[str, int]:
    """Return how many rows each compared slice has, unless it is too small to tell of."""
    sizes = {
        one.place: len(one.index)
        for gate in gates
        for one in gate.compared(evidence)
        if one.index is not None
    }
    kept = {place: n for place, n in sizes.items() if n >= evidence.policy.min_count}
    return dict(sorted(kept.items())[:_MOST_SLICES])


def _registration(new: Candidate) -> Registration:
    return Registration(
        at=new.at,
        by=bounded(new.by),
        git_sha=new.git_sha,
        tool=f"model-gates {__version__}",
        libraries={name: metadata.version(name) for name in _LIBRARIES},
    )
