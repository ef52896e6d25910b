"""Hand a replay's answers to the gates: the canary's as candidate, the stable side's as baseline.

Both sides' answers are of the same rows at the same time, so what the gates compare is what serves
against what would. They judge by the model's own limits. Nothing is registered for good: the
baseline stands in a folder that is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gates.errors import ConfigError, GatesError
from gates.fields import bounded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gates.canary.replay.replay import Replay
    from gates.config import Config, ModelConfig
    from gates.policy.rules import Rules
    from gates.report import Report, RunInfo
    from gates.tables import Table

ALIAS = "stable"
_EVALUATION, _CANDIDATE, _BASELINE = "requests.parquet", "canary.parquet", "stable.parquet"
_STORE = "baselines"
# These judge a table or a file, which a replay leaves as it is; any other gate judges answers.
_OTHERS = ("data-schema", "artifact")


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """By which rules a replay's answers are judged, and where the report goes.

    `root` is the folder that a relative `requests` begins at.
    """

    rules: Rules
    model: str
    options: Replay
    root: Path
    out: Path
    info: RunInfo
    on_crash: Callable[[Exception], None] = lambda _: None


def judge_of(bridge: Bridge) -> Callable[[Path, Path], Report | None]:
    """Return what `gates.canary.replay.replay.World.judge` asks for.

    Raises ConfigError where the model is not configured, or its label would be sent to it.
    """
    config = bridge.rules.config.models.get(bridge.model)
    if config is None:
        raise ConfigError(
            f"there is no model `{bounded(bridge.model)}` in the configuration of the gates",
            where="deployments: model",
            hint=f"There are: {', '.join(bridge.rules.config.models)}.",
        )
    if config.data.id != bridge.options.id:
        raise ConfigError(
            f"the gates pair rows by `{bounded(config.data.id)}`, the replay by "
            f"`{bounded(bridge.options.id)}`",
            where="replay: id",
            hint="Name the same column in both.",
        )
    options, label = bridge.options, config.data.label
    sent = label not in options.leave_out if options.features is None else label in options.features
    if sent:
        # With it, a model could answer whatever pleases the gates.
        raise ConfigError(
            f"the label `{bounded(label)}` would be sent to the model",
            where="replay",
            hint="Name it under `leave_out`.",
        )
    return lambda candidate, baseline: _judged(bridge, config, candidate, baseline)


def _judged(bridge: Bridge, model: ModelConfig, candidate: Path, baseline: Path) -> Report | None:
    from gates.decide import refused

    try:
        with TemporaryDirectory(prefix="model-gates-") as folder:
            root = Path(folder)
            if not _tables(bridge, model, root, (candidate, baseline)):
                return None
            report = _run(bridge, model, root)
    except GatesError as error:
        report = refused(error, bridge.info)
    _write(report, bridge.out)
    return report


def _tables(bridge: Bridge, model: ModelConfig, root: Path, answers: tuple[Path, Path]) -> bool:
    """Write the rows that have a label, and both sides' answers; return whether there are any."""
    from gates.canary.replay.files import ID
    from gates.canary.replay.rows import BUDGET
    from gates.tables import Engine

    data = model.data
    with Engine(BUDGET) as engine:
        requests = engine.open(bridge.root / bridge.options.requests, text=(data.id,))
        if data.label not in requests.columns:
            return False
        canary, stable = (engine.open(path, text=(ID,)) for path in answers)
        answered = set(canary.text(ID))
        labels = zip(requests.text(data.id), requests.text(data.label), strict=True)
        kept = {id_ for id_, label in labels if label is not None and id_ in answered}
        if not kept:
            return False
        _copy(requests, data.id, kept, (_needed(bridge, model), root / _EVALUATION))
        for table, name in ((canary, _CANDIDATE), (stable, _BASELINE)):
            _copy(table, ID, kept, ({data.id: ID, **_same(table, ID)}, root / name))
    return True


def _needed(bridge: Bridge, model: ModelConfig) -> dict[str, str]:
    """Return the columns of the requests that the gates will ask for, each by its own name."""
    from gates.runner import question

    data = model.data
    source = model.candidate.there(bridge.root)
    asked = question(bridge.rules.config, _applying(model), bridge.root, source).columns
    named = (data.id, data.label, *([data.cluster] if data.cluster else []), *asked)
    return {name: name for name in named}


def _same(table: Table, but: str) -> dict[str, str]:
    return {name: name for name in table.columns if name != but}


def _copy(table: Table, id_: str, kept: set[str], to: tuple[dict[str, str], Path]) -> None:
    """Write some rows of a table; `to` has the columns, new name to old, and the file."""
    import numpy as np

    from gates.tables.writer import write_parquet

    columns, path = to
    table.require_columns(tuple(columns.values()), "asked for by the gates")
    rows = np.flatnonzero([one in kept for one in table.text(id_)])
    write_parquet(path, {new: _values(table, old, rows) for new, old in columns.items()})


def _values(table: Table, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return some values of a column in a type that a file keeps them as."""
    import numpy as np

    from gates.canary.replay.rows import value
    from gates.tables import Kind

    kind = table.kinds[name]
    if kind is Kind.NUMBER:
        return table.numbers(name)[rows]
    if kind is Kind.TEMPORAL:
        return table.pandas([name])[name].to_numpy()[rows]
    return np.array([value(kind, text) for text in table.text(name)[rows]], dtype=object)


def _applying(model: ModelConfig) -> ModelConfig:
    """Return the model with the gates that judge answers, and none of their limits on an anchor.

    The anchor's answers to these rows are nobody's to have.
    """
    gates = {name: gate for name, gate in model.gates.configured().items() if name not in _OTHERS}
    kept = {name: _unanchored(gate) for name, gate in gates.items()}
    left = {name: gate for name, gate in kept.items() if next(iter(gate.limits()), None)}
    fields = {field: left.get(field.replace("_", "-")) for field in type(model.gates).model_fields}
    return model.model_copy(update={"gates": model.gates.model_copy(update=fields)})


def _unanchored(options: Any) -> Any:
    """Return a gate's options without the limits on a change from an anchor."""
    from gates.fields import Model
    from gates.report import Verb

    if isinstance(options, dict):
        found = {key: _unanchored(one) for key, one in options.items()}
        return {key: one for key, one in found.items() if not _without_limits(one)}
    if isinstance(options, Model):
        anchored = {verb.value: None for verb in Verb if verb.needs_anchor}
        held = {n: getattr(options, n) for n in type(options).model_fields if n not in anchored}
        below = {n: _unanchored(one) for n, one in held.items() if isinstance(one, dict | Model)}
        gone = {name: None for name in anchored if name in type(options).model_fields}
        return options.model_copy(update=below | gone)
    return options


def _without_limits(options: Any) -> bool:
    from gates.limits import Bounds

    if not isinstance(options, Bounds):
        return False
    below = (getattr(options, name) for name in type(options).model_fields)
    return not any(one.given() for one in (options, *below) if isinstance(one, Bounds))


def _replayed(bridge: Bridge, model: ModelConfig) -> Config:
    """Return the configuration for what a replay left in a folder."""
    from gates.config import Baseline
    from gates.predictors.files import Files

    judged = _applying(model).model_copy(
        update={
            "data": model.data.model_copy(update={"evaluation": _EVALUATION}),
            "candidate": Files(predictions=_CANDIDATE),
            "baseline": Baseline(store=_STORE, alias=ALIAS),
            "paths": (),
        }
    )
    return bridge.rules.config.model_copy(update={"models": {bridge.model: judged}})


def _run(bridge: Bridge, model: ModelConfig, root: Path) -> Report:
    from gates.baselines.local import Store
    from gates.evidence import Source
    from gates.register import Candidate, register
    from gates.runner import Run, run

    rules, config = bridge.rules, _replayed(bridge, model)
    stable = Candidate(
        predictions=Source(path=root / _BASELINE),
        artifact=None,
        alias=ALIAS,
        by="canary replay",
        at=bridge.info.started,
        git_sha=None,
    )
    register(config, bridge.model, Store(root / _STORE, bridge.model), root, stable)
    asked = Run(
        config=config,
        root=root,
        policy_root=root,
        policy=rules.info,
        info=bridge.info,
        progress=lambda *_: None,
        on_crash=bridge.on_crash,
        waivers=rules.waivers,
        day=datetime.fromisoformat(bridge.info.started).date(),
    )
    return run(asked)


def _write(report: Report, out: Path) -> None:
    from gates.atomic import write_atomic
    from gates.cli.show import rendered
    from gates.report import dump

    write_atomic(out / "report.json", dump(report))
    write_atomic(out / "report.md", rendered(report, "markdown").encode())
