"""Config → evidence → gates → report: the line, for every selected model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from gates import __version__
from gates.artifacts.manifest import Manifest, manifest_of
from gates.asked import entered
from gates.assemble import Question, assemble
from gates.baselines.local import Registered, Store
from gates.builtin.stored import Compared
from gates.config import Config, Gate, ModelConfig
from gates.decide import blocked, crashed, settle, verdict_of
from gates.errors import EXIT_BUG, GatesError
from gates.evidence import Comparison, Evidence, Source
from gates.fields import bounded
from gates.joint import jointly
from gates.picture import Portrait
from gates.portrait import label_rate, label_rate_before, portrait
from gates.references import Found, find, references
from gates.report import (
    BaselineInfo,
    CandidateInfo,
    Correction,
    DataInfo,
    ErrorInfo,
    GateResult,
    ModelReport,
    PolicyInfo,
    Report,
    RunInfo,
    ToolInfo,
    Verdict,
    worst,
)
from gates.tables import Engine
from gates.waivers import Waiver, applied

Progress = Callable[[str, str, str], None]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: what to judge, from which folder, and whom to tell how far it is.

    `policy_root` is the folder of suites and baselines, where that is not `root`, the one of data.
    `frames` are tables in memory that stand for files, by the path that the configuration names.
    `on_output` hears what a command of the user's printed before it failed.
    """

    config: Config
    root: Path
    policy: PolicyInfo
    info: RunInfo
    progress: Progress
    on_crash: Callable[[Exception], None]
    on_output: Callable[[str], None] = lambda _: None
    policy_root: Path | None = None
    waivers: tuple[Waiver, ...] = ()
    day: date = date.min
    frames: Mapping[str, Any] = field(default_factory=dict)

    def store(self, name: str) -> Store:
        """Return the store that keeps a model's baselines."""
        return store(self.config.models[name], name, self.policy_root or self.root)


def run(asked: Run) -> Report:
    """Judge every model and return the report. Never raises for what one model or gate does."""
    durations: dict[str, float] = {}
    models = []
    for name, model in asked.config.models.items():
        started = time.perf_counter()
        models.append(_judged(asked, name, model))
        durations[bounded(name)] = round(time.perf_counter() - started, 3)
    waived = applied(models, asked.waivers, on=asked.day)
    return Report(
        tool=ToolInfo(version=__version__),
        verdict=None if all(model.error for model in models) else verdict_of(models),
        blocked=blocked(waived.models, asked.policy),
        error=next((model.error for model in models if model.error), None),
        run=asked.info.model_copy(update={"durations": durations}),
        models=waived.models,
        policy=asked.policy,
        waivers=waived.told,
    )


def question(config: Config, model: ModelConfig, root: Path, candidate: Source) -> Question:
    """Return what is to be judged for one model."""
    evaluation = model.data.evaluation
    return Question(
        root=root,
        task=model.task,
        data=model.data,
        policy=config.policy(model),
        candidate=candidate,
        evaluation=root / evaluation if evaluation else None,
        columns=tuple(
            dict.fromkeys(c for gate in model.gates.configured().values() for c in gate.reads)
        ),
    )


def store(model: ModelConfig, name: str, root: Path) -> Store:
    """Return the store that keeps a model's baselines."""
    return model.baseline.open(name, root)


def _judged(asked: Run, name: str, model: ModelConfig) -> ModelReport:
    report = ModelReport(model=name, task=model.task, verdict=Verdict.ERROR)
    judged = _guarded(asked, lambda: _judge(asked, report, model))
    if isinstance(judged, ErrorInfo):
        return report.model_copy(update={"error": judged})
    return judged


def _judge(asked: Run, report: ModelReport, model: ModelConfig) -> ModelReport:
    found = find(model, asked.store(report.model))
    frames = {asked.root / path: frame for path, frame in asked.frames.items()}
    with Engine(frames=frames) as engine:
        candidate = model.candidate.fetch(asked.root)
        asking = question(asked.config, model, asked.root, candidate)
        truth = any(gate.needs_truth for gate in model.gates.configured().values())
        asking = replace(asking, policy_root=asked.policy_root, unlabelled=not truth)
        evidence = assemble(engine, asking, *references(model, found, asked.root))
        evidence = replace(evidence, artifact=_artifact(model, asked.root))
        report = report.model_copy(update={"notes": candidate.notes})
        judged = _filled(asked, report, model, evidence, found)
    if not model.baseline.ledger:
        return judged
    return entered(judged, model, asked.store(report.model), at=asked.info.started)


def _filled(
    asked: Run,
    report: ModelReport,
    model: ModelConfig,
    evidence: Evidence,
    found: Found,
) -> ModelReport:
    gates = tuple(
        _gate(asked, report.model, name, gate, evidence)
        for name, gate in model.gates.configured().items()
    )
    evaluation = evidence.evaluation
    versions = asked.store(report.model).versions() if found.baseline else []
    drawn = _guarded(asked, lambda: portrait(evidence, _compared(model, evidence), versions))
    return report.model_copy(
        update={
            "verdict": worst([gate.verdict for gate in gates]),
            "candidate": CandidateInfo(
                ref=bounded(model.candidate.predictions),
                digest=evidence.candidate_digest,
                rows=evidence.rows,
                artifact=evidence.artifact.digest if evidence.artifact else None,
                artifact_is_folder=bool(evidence.artifact and not evidence.artifact.single),
            ),
            "baseline": found.baseline and _baseline_info(found.baseline),
            "anchor": found.anchor and _baseline_info(found.anchor),
            "comparison": _comparison(evidence),
            # A picture that cannot be drawn decides nothing; whoever looks for it is told.
            "portrait": Portrait() if isinstance(drawn, ErrorInfo) else drawn,
            "data": {
                "evaluation": DataInfo(
                    digest=evaluation.digest(evidence.data_columns),
                    rows=evaluation.rows,
                    columns=len(evidence.data_columns),
                    label_rate=label_rate(evidence),
                )
            },
            "notes": (
                *report.notes,
                *evidence.notes,
                *([drawn.message] if isinstance(drawn, ErrorInfo) else []),
            ),
            "gates": gates,
        }
    )


def _artifact(model: ModelConfig, root: Path) -> Manifest | None:
    """Return the candidate's own files. Raises as `manifest_of`: nobody may say what they are."""
    path = model.candidate.artifact
    return None if path is None else manifest_of(root / path, start=root)


def _compared(model: ModelConfig, evidence: Evidence) -> Iterator[Compared]:
    """Yield every slice and group that a gate looks at, again and again."""
    for gate in model.gates.configured().values():
        yield from gate.compared(evidence)


def _comparison(evidence: Evidence) -> str | None:
    return None if evidence.comparison is Comparison.NONE else evidence.comparison.value


def _baseline_info(found: Registered) -> BaselineInfo:
    record = found.record
    return BaselineInfo(
        ref=bounded(found.ref),
        version=record.version,
        digest=record.digest,
        registered_at=record.registered.at,
        git_sha=record.registered.git_sha,
        data=DataInfo(
            digest=record.content.evaluation.digest,
            rows=record.content.evaluation.rows,
            columns=len(record.content.evaluation.columns),
            label_rate=label_rate_before(record),
        ),
        slices=record.content.slices,
    )


def _gate(asked: Run, model: str, name: str, gate: Gate, evidence: Evidence) -> GateResult:
    asked.progress(model, name, "running")
    judged = _guarded(asked, lambda: _settled(gate, evidence))
    result = crashed(name, judged) if isinstance(judged, ErrorInfo) else judged
    asked.progress(model, name, result.verdict.value)
    return result


def _settled(gate: Gate, evidence: Evidence) -> GateResult:
    result = settle(gate.judge(evidence))
    if evidence.policy.correction is Correction.HOLM:
        return result
    return settle(jointly(evidence, result, gate.compared(evidence)))


def _guarded(asked: Run, work: Callable[[], Result]) -> Result | ErrorInfo:
    """Do the work of one model or gate; what goes wrong in it is its own and hides no other's."""
    try:
        return work()
    except GatesError as error:
        if error.output:
            asked.on_output(error.output)
        return ErrorInfo.of(error)
    except Exception as error:  # noqa: BLE001  (a boundary: a bug is reported, never a pass)
        asked.on_crash(error)
        return _bug(error)


def _bug(error: Exception) -> ErrorInfo:
    """Return a crash without its text, which may hold a value of a row."""
    return ErrorInfo(
        kind="bug",
        exit_code=EXIT_BUG,
        message=f"Model Gates crashed here ({type(error).__name__}). This is a bug of ours.",
        hint="Run again with `--debug FILE` and report it with that file.",
    )
