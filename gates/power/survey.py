"""Config → evidence → gates → what each check can decide: the line of a run, without verdicts."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gates import __version__
from gates.assemble import assemble
from gates.baselines.local import Store
from gates.config import Config, Gate, ModelConfig
from gates.errors import GatesError, InputError
from gates.evidence import Comparison, Evidence, Source
from gates.fields import bounded
from gates.power.advice import advice
from gates.power.answer import Basis, CheckPower, ModelPower, PowerReport
from gates.power.decidable import Asked, decidable
from gates.power.expected import METHOD, filled
from gates.record import ID
from gates.references import Found, find, references
from gates.report import Check, Decide, Family, ToolInfo
from gates.runner import question, store
from gates.tables import Engine

_HOW = {
    Comparison.PAIRED: "candidate and baseline, paired by row",
    Comparison.SKETCH: "candidate and baseline, paired by blocks of its sketch",
    Comparison.UNPAIRED: "candidate and the baseline's stored numbers, unpaired",
    Comparison.NONE: "candidate alone",
}
_TO_MEASURE = (
    "Write the candidate's predictions there, or register the model in service with "
    "`model-gates baseline register`: one of the two is enough."
)


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """The evidence there is, how it came about, and what a reader must be told of that."""

    evidence: Evidence
    compared: str
    notes: tuple[str, ...]


def survey(config: Config, root: Path, asked: Asked) -> PowerReport:
    """Return what every check of every model can decide.

    Raises InputError for whatever a run would refuse, but for a model that is not there yet.
    """
    return PowerReport(
        tool=ToolInfo(version=__version__),
        power=asked.power,
        drop=asked.drop,
        discordance=asked.assumed.discordance,
        correlation=asked.assumed.correlation,
        models=tuple(
            _model(config, name, model, root, asked) for name, model in config.models.items()
        ),
    )


def _model(config: Config, name: str, model: ModelConfig, root: Path, asked: Asked) -> ModelPower:
    with tempfile.TemporaryDirectory() as folder, Engine() as engine:
        looked = _look(engine, config, name, root, Path(folder))
        checks: list[CheckPower] = []
        notes = list(looked.notes)
        for label, gate in model.gates.configured().items():
            try:
                measured = gate.judge(looked.evidence).checks
            except GatesError as error:
                if any(gate.limits()):
                    raise
                notes.append(f"{label} has no limit to decide, and is not listed: {error.message}")
                continue
            checks += _decided(gate, looked.evidence, measured, asked)
        rows = looked.evidence.rows
    if any(check.basis is Basis.ASSUMED for check in checks):
        notes.append(_assumption(asked))
    return ModelPower(
        model=name,
        task=model.task,
        rows=rows,
        compared=looked.compared,
        notes=tuple(bounded(note, 2000) for note in notes),
        checks=tuple(check.model_copy(update={"advice": advice(check)}) for check in checks),
    )


def _decided(
    gate: Gate, evidence: Evidence, measured: tuple[Check, ...], asked: Asked
) -> Iterator[CheckPower]:
    checks = filled(gate, evidence, measured, asked)
    families = Counter(check.family for check in checks if _is_question(check))
    for check in checks:
        basis = Basis.ASSUMED if check.method == METHOD else Basis.MEASURED
        yield decidable(check, asked, basis=basis, questions=_questions(families, check.family))


def _is_question(check: Check) -> bool:
    """Return whether a check has a p-value, and so is counted in its family's correction."""
    return check.decide is Decide.INTERVAL and check.interval is not None and not check.problem


def _questions(families: Counter[Family], family: Family) -> int:
    return max(1, families[family])


def _look(engine: Engine, config: Config, name: str, root: Path, folder: Path) -> _Looked:
    """Return the evidence as a run would have it, or with the one model that there is."""
    model = config.models[name]
    kept = store(model, name, root)
    candidate = model.candidate.there(root)
    if not candidate.path.exists():
        return _without_candidate(engine, config, name, root, folder)
    registered = bool(kept.versions())
    found = find(model, kept) if registered else Found(baseline=None, anchor=None)
    asking = question(config, model, root, candidate)
    evidence = assemble(engine, asking, *references(model, found, root))
    notes = evidence.notes
    needs = any(gate.needs_baseline for gate in model.gates.configured().values())
    if needs and not registered:
        notes = (*notes, "No baseline is registered: the candidate stands for both models.")
    if evidence.identical:
        notes = (*notes, "Two equal models tell nothing of how two others will differ.")
    return _Looked(evidence=evidence, compared=_HOW[evidence.comparison], notes=notes)


def _without_candidate(
    engine: Engine, config: Config, name: str, root: Path, folder: Path
) -> _Looked:
    """Return the evidence with the baseline in the candidate's place."""
    model = config.models[name]
    kept = store(model, name, root)
    there = model.candidate.predictions
    source = _baseline_source(model, kept, root)
    if source is None or model.data.evaluation is None:
        why = "and no baseline whose rows are kept" if source is None else "and no `evaluation` set"
        raise InputError(
            f"there is no candidate yet, {why}: nothing can be measured",
            where=there,
            hint=_TO_MEASURE if source is None else "Name the table with the labels: `evaluation`.",
        )
    asking = question(config, model, root, _as_candidate(source, model.data.id, folder))
    anchored = model.baseline.anchor is not None
    anchor = references(model, find(model, kept), root)[1] if anchored else None
    evidence = assemble(engine, asking, None, anchor)
    note = f"There is no candidate yet ({bounded(there)}): the baseline stands for both models."
    return _Looked(evidence=evidence, compared="baseline alone", notes=(*evidence.notes, note))


def _baseline_source(model: ModelConfig, kept: Store, root: Path) -> Source | None:
    """Return the baseline's predictions; None where there are none, or only a sketch of them."""
    if not kept.versions():
        return None
    baseline = kept.find(model.baseline.alias)
    reference = references(model, Found(baseline=baseline, anchor=None), root)[0]
    found = reference.predictions if reference else None
    return found if isinstance(found, Source) else None


def _as_candidate(source: Source, id_column: str, folder: Path) -> Source:
    """Return stored predictions as a candidate's, with the id called what `data.id` says."""
    if source.id is None or source.id == id_column:
        return source
    import pyarrow.parquet as pq

    table = pq.read_table(source.path)
    path = folder / "baseline.parquet"
    named = [id_column if name == ID else name for name in table.column_names]
    pq.write_table(table.rename_columns(named), path)
    return replace(source, path=path, id=None)


def _assumption(asked: Asked) -> str:
    assumed = asked.assumed
    return (
        "Assumed of the model that is not here: exactly one of the two is right in "
        f"{assumed.discordance:.3g} of the rows (rates; `--discordance`), and what a row adds is "
        f"correlated by {assumed.correlation:g} (all else). A disparity (~) is reckoned as if "
        "its groups were level, by the two of which least is known."
    )
