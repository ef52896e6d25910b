"""Build reports for tests: real checks, decided by `gates.decide`, in the stories people meet."""

from datetime import date
from typing import Any

from gates.decide import blocked, crashed, settle, verdict_of
from gates.errors import GatesError, InputError
from gates.picture import CalibrationBin, Curves, Flip, Flips, GroupRate, HistoryPoint, Portrait
from gates.report import (
    BaselineInfo,
    CandidateInfo,
    Check,
    CiInfo,
    DataInfo,
    Effect,
    ErrorInfo,
    Family,
    GateResult,
    GitInfo,
    ModelReport,
    PolicyInfo,
    Report,
    RunInfo,
    ToolInfo,
    worst,
)
from gates.waivers import Waiver, applied

DIGEST = "sha256:" + "9f3e0a1b2c3d4e5f" * 4


def make_check(rule: str, limit: dict[str, float], **fields: Any) -> Check:
    """A check with its id, measured but not decided; `delta` follows from the two values."""
    gate_metric, _, at = rule.partition("@")
    metric = gate_metric.partition("/")[2]
    verb = next(iter(limit))
    base, cand = fields.get("baseline"), fields.get("candidate")
    if base is not None and cand is not None:
        fields.setdefault("delta", cand - base)
    if "=" in at:
        fields.setdefault("slice", {at.partition("=")[0]: at.partition("=")[2]})
        fields.setdefault("family", Family.SLICES)
    fields.setdefault("interval_of", "candidate" if verb in ("min", "max") else "delta")
    return Check(
        id=f"{gate_metric}:{verb}" + (f"@{at}" if at else ""),
        metric=metric,
        limit=limit,
        **{"confidence": 0.95, "method": "paired bootstrap", "n": 16281} | fields,
    )


def make_gate(gate: str, *checks: Check, **fields: Any) -> GateResult:
    """A gate's result, settled as the runner settles it."""
    return settle(GateResult(gate=gate, checks=checks, **fields))


def make_model(*gates: GateResult, model: str = "income", **fields: Any) -> ModelReport:
    """One model with a baseline and evaluation data."""
    defaults: dict[str, Any] = {
        "task": "binary",
        "candidate": CandidateInfo(ref="out/candidate.parquet", digest=DIGEST, rows=16281),
        "baseline": BaselineInfo(
            ref="champion",
            version=17,
            digest="sha256:" + "c" * 64,
            registered_at="2026-11-02T09:30:00Z",
            git_sha="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ),
        "data": {"evaluation": DataInfo(digest="sha256:" + "a1b2c3d4" * 8, rows=16281, columns=12)},
        "verdict": worst([gate.verdict for gate in gates]),
    }
    return ModelReport(model=model, gates=gates, **defaults | fields)


def make_report(*models: ModelReport, **fields: Any) -> Report:
    """A whole run, blocked or not as `gates.decide` says."""
    defaults: dict[str, Any] = {
        "tool": ToolInfo(version="0.1.0"),
        "verdict": verdict_of(models) if models else None,
        "blocked": blocked(models),
        "run": RunInfo(
            started="2026-11-21T08:00:00Z",
            config="model-gates.yml",
            git=GitInfo(sha="d670460b4b4aece5915caf5c68d12f560a9fe3e4"),
            ci=CiInfo(provider="github", url="https://github.com/acme/credit/actions/runs/42"),
        ),
        "policy": PolicyInfo(source="base", digest="sha256:" + "7e" * 32),
    }
    return Report(models=models, **defaults | fields)


# --- gates -----------------------------------------------------------------------------------


def good_performance() -> GateResult:
    return make_gate(
        "performance",
        make_check(
            "performance/roc_auc",
            {"min": 0.88},
            baseline=0.9132,
            candidate=0.9204,
            interval=(0.9158, 0.9249),
        ),
        make_check(
            "performance/roc_auc",
            {"max_drop": 0.005},
            baseline=0.9132,
            candidate=0.9204,
            interval=(0.0051, 0.0093),
        ),
        make_check(
            "performance/log_loss",
            {"max_rise": 0.01},
            baseline=0.3127,
            candidate=0.3022,
            interval=(-0.0131, -0.0079),
        ),
        make_check(
            "performance/recall@region=north",
            {"max_drop": 0.02},
            baseline=0.612,
            candidate=0.631,
            interval=(-0.004, 0.042),
            n=3118,
        ),
        summary="ROC AUC rose by 0.007.",
    )


def good_schema() -> GateResult:
    return make_gate(
        "data-schema", *(share(name) for name in ("columns_exist", "age_in_range", "no_nulls"))
    )


def share(metric: str, held: float = 1.0, limit: float = 1.0, n: int = 16281) -> Check:
    return make_check(
        f"data-schema/{metric}", {"min": limit}, candidate=held, decide="point", n=n, method="count"
    )


def rates() -> tuple[GroupRate, ...]:
    found = {"Female": (5421, 0.281, 0.312), "Male": (10860, 0.305, 0.291)}
    numbers = [
        GroupRate(
            sensitive=("sex",),
            group={"sex": sex},
            metric=metric,
            n=n,
            baseline=b * part,
            candidate=c * part,
            interval=(c * part - 0.012, c * part + 0.012),
        )
        for metric, part in (("false_negative_rate", 1.0), ("selection_rate", 0.6))
        for sex, (n, b, c) in found.items()
    ]
    small = GroupRate(
        sensitive=("sex",),
        group={"sex": "not stated"},
        metric="false_negative_rate",
        n=None,
        note="fewer than 10 rows: withheld",
    )
    return (*numbers, small)


def fairness(*, harmed: bool) -> GateResult:
    change = {"candidate": 0.312, "interval": (0.022, 0.040)}
    if not harmed:
        change = {"candidate": 0.279, "interval": (-0.012, 0.008)}
    return make_gate(
        "fairness",
        make_check(
            "fairness/false_negative_rate@sex=Female",
            {"max_rise_any_group": 0.02},
            baseline=0.281,
            sensitive=("sex",),
            n=5421,
            **change,
        ),
        make_check(
            "fairness/equalized_odds_difference",
            {"max": 0.10},
            baseline=0.061,
            candidate=0.064,
            interval=(0.048, 0.081),
            sensitive=("sex",),
        ),
        groups=rates(),
        hint="Compare the rates by group; look at how many rows of the group were trained on.",
        notes=("Group `race = Other` has 8 rows: its numbers are withheld.",),
    )


def undecided() -> GateResult:
    return make_gate(
        "performance",
        make_check(
            "performance/f1@region=north",
            {"max_drop": 0.02},
            baseline=0.70,
            candidate=0.687,
            interval=(-0.131, 0.105),
            n=87,
        ),
        make_check(
            "performance/roc_auc@region=south",
            {"max_drop": 0.02},
            n=31,
            problem="The slice has one class only.",
        ),
        make_check(
            "performance/roc_auc",
            {"max_drop": 0.005},
            baseline=0.9132,
            candidate=0.9204,
            interval=(0.0051, 0.0093),
        ),
    )


# --- stories ---------------------------------------------------------------------------------


def all_green() -> Report:
    return make_report(make_model(good_schema(), good_performance(), fairness(harmed=False)))


def one_red() -> Report:
    return make_report(make_model(good_schema(), good_performance(), fairness(harmed=True)))


def many_red(count: int = 40) -> Report:
    checks = [
        make_check(
            f"performance/recall@branch=branch {i:02}",
            {"max_drop": 0.01},
            baseline=0.80,
            candidate=0.75 - i / 1000,
            interval=(-0.08 - i / 1000, -0.02 - i / 1000),
            n=900 + i,
        )
        for i in range(count)
    ]
    hint = "Train on rows of the branches that fell, or raise the limit on purpose."
    return make_report(make_model(good_schema(), make_gate("performance", *checks, hint=hint)))


def inconclusive() -> Report:
    return make_report(make_model(good_schema(), undecided()))


def no_baseline() -> Report:
    gate = make_gate(
        "performance",
        make_check(
            "performance/roc_auc", {"min": 0.88}, candidate=0.9204, interval=(0.9158, 0.9249)
        ),
        make_check(
            "performance/roc_auc",
            {"max_drop": 0.005},
            candidate=0.9204,
            skip=True,
            problem="No baseline is registered: nothing was compared.",
        ),
    )
    return make_report(make_model(good_schema(), gate, baseline=None))


def of_error(error: GatesError) -> Report:
    return make_report(blocked=True, error=ErrorInfo.of(error), policy=None)


def bad_input() -> Report:
    return of_error(
        InputError(
            "the ids of the candidate and of the evaluation data do not match",
            where="out/candidate.parquet, column application_id",
            hint="Write one row per id of the evaluation data, with the same type.",
            details=("212 ids are missing", "3 ids appear twice: rows 17, 90 and 1,204"),
        )
    )


def mixed() -> Report:
    """Everything at once: red that blocks, red that warns, waived, skipped, an error, a crash."""
    odd = make_gate(
        "performance",
        make_check(
            "performance/recall",
            {"max_drop": 0.01},
            baseline=0.812,
            candidate=0.794,
            interval=(-0.026, -0.0101),
        ),
        make_check(
            "performance/log_loss",
            {"max_ratio": 1.05},
            baseline=0.30,
            candidate=0.36,
            interval=(0.04, 0.08),
            mode="warn",
        ),
        make_check(
            "performance/precision", {"min": 0.7}, candidate=0.6997, decide="point", mode="report"
        ),
        make_check("performance/mcc", {"min": 0.5}, problem="The predictions hold one class only."),
        make_check(
            "performance/brier",
            {"max_rise": 0.01},
            skip=True,
            problem="No score column; `on_missing: skip` is set.",
        ),
    )
    late = make_check("performance/f1", {"min": 0.9}, candidate=0.85, interval=(0.84, 0.86))
    waived = settle(GateResult(gate="performance", checks=(late,))).checks[0]
    text = "until 2026-12-01 by @lead, MLG-31"
    waived = waived.model_copy(update={"waiver": text, "effect": Effect.NONE})
    odd = odd.model_copy(update={"checks": (*odd.checks, waived)})
    schema = make_gate("data-schema", share("age_in_range", 0.9931), share("columns_exist", 0.0))
    error = ErrorInfo(
        kind="bug",
        exit_code=70,
        message="the gate stopped on an unexpected error",
        where="gates/builtin/fairness.py",
        hint="Run again with --debug and open an issue.",
    )
    return make_report(make_model(schema, odd, crashed("fairness", error)))


def two_models() -> Report:
    green = make_model(good_schema(), good_performance(), model="churn")
    red = make_model(good_schema(), fairness(harmed=True), notes=("Compared unpaired.",))
    return make_report(green, red)


# --- portraits: what the HTML report draws ---------------------------------------------------


def curves(power: float) -> Curves:
    """Smooth curves of a binary model; the smaller the power, the better the model."""
    steps = [i / 50 for i in range(51)]
    bins = [
        CalibrationBin(score=s, observed=s**power, interval=(s**power * 0.95, s**power), n=1628)
        for s in (0.05 + i / 10 for i in range(10))
    ]
    return Curves(
        roc=tuple((x, x**power) for x in steps),
        precision_recall=tuple((x, 1.0 - x / 2 * power) for x in steps),
        calibration=tuple(bins),
        edges=tuple(i / 20 for i in range(21)),
        histogram=tuple(round(1500 * (1 - i / 20) ** (1 / power)) for i in range(20)),
        classes=("no", "yes"),
        confusion=((11_000 + round(900 * power), 1_435), (round(1_500 * power), 2_100)),
    )


def portrait() -> Portrait:
    """Every picture of a binary model: two models, twelve slices, seven versions."""
    slices = [
        Flip(slice={"region": f"r{i:02}"}, rows=900 + i, changed=40 + i, fixed=15 + i, broken=25)
        for i in range(12)
    ]
    versions = [
        HistoryPoint(
            version=11 + i,
            registered_at=f"2026-{i + 4:02}-02T09:30:00Z",
            data="sha256:" + ("a1b2c3d4" if i > 2 else "5e6f7a8b") * 8,
            metrics={"roc_auc": 0.89 + i / 250, "log_loss": 0.34 - i / 250},
        )
        for i in range(7)
    ]
    flips = Flips(
        overall=Flip(rows=16281, changed=753, fixed=402, broken=351),
        slices=tuple(slices),
        broken_ids=("A-17", "A-90"),
    )
    return Portrait(
        flips=flips, candidate=curves(0.2), baseline=curves(0.25), history=tuple(versions)
    )


def portrayed() -> Report:
    """A blocked model with all that there is to look at."""
    gates = good_schema(), good_performance(), fairness(harmed=True)
    return make_report(make_model(*gates, portrait=portrait()))


def everything(checks: int = 200, groups: int = 24) -> Report:
    """A blocked model with as many checks and groups as asked for, and all there is to look at."""
    numbers = [
        GroupRate(
            sensitive=("region",),
            group={"region": f"r{i:02}"},
            metric=metric,
            n=500 + i,
            baseline=0.3,
            candidate=0.3 + i / 200,
        )
        for i in range(groups)
        for metric in ("selection_rate", "false_negative_rate", "false_positive_rate")
    ]
    fair = fairness(harmed=True)
    fair = fair.model_copy(update={"groups": (*fair.groups, *numbers)})
    (model,) = many_red(checks).models
    gates = (*model.gates, good_performance().model_copy(update={"gate": "more"}), fair)
    return make_report(
        make_model(*gates, portrait=portrait(), baseline=since(rows=15_060, label_rate=0.236))
    )


def since(**data: Any) -> BaselineInfo:
    """A baseline that was registered on other data than today's."""
    known = DataInfo(**{"digest": DIGEST, "rows": 16281, "columns": 12} | data)
    (model,) = all_green().models
    assert model.baseline
    return model.baseline.model_copy(update={"data": known})


def portrayed_regression() -> Report:
    """A model of numbers: no classes, answers that are near rather than right."""
    flips = Flips(
        overall=Flip(rows=400, changed=399),
        slices=(Flip(slice={"region": "north"}, rows=90, changed=90),),
    )
    edges = tuple(float(i) for i in range(-5, 6))
    drawn = [Curves(edges=edges, histogram=(1, 4, 20, 60, 110, 115, 62, 19, 6, 3)) for _ in "ab"]
    check = make_check(
        "performance/rmse",
        {"max_rise": 100.0},
        baseline=12_345.6,
        candidate=12_399.9,
        interval=(-20.0, 130.0),
        n=400,
    )
    points = [
        HistoryPoint(version=1, registered_at="2026-04-02", data=DIGEST, metrics={"rmse": 13_000.0})
    ]
    drawn_portrait = Portrait(
        flips=flips, candidate=drawn[0], baseline=drawn[1], history=tuple(points)
    )
    gate = make_gate("performance", check)
    return make_report(make_model(gate, task="regression", portrait=drawn_portrait))


def fifty_slices() -> Report:
    """Fifty slices by two metrics; every fifth falls."""
    checks = [
        make_check(
            f"performance/{metric}@branch=branch {i:02}",
            {"max_drop": 0.02},
            baseline=0.80,
            candidate=0.80 - (0.06 if i % 5 == 0 else 0.0),
            interval=(-0.066, -0.054) if i % 5 == 0 else (-0.01, 0.01),
            n=300 + i,
        )
        for metric in ("recall", "precision")
        for i in range(50)
    ]
    return make_report(make_model(good_schema(), make_gate("performance", *checks)))


def twelve_models() -> Report:
    """A repository of many models; the last is blocked."""
    models = [
        make_model(good_schema(), good_performance(), model=f"model-{i:02}", portrait=portrait())
        for i in range(11)
    ]
    return make_report(*models, make_model(fairness(harmed=True), model="model-11"))


def waived() -> Report:
    """A red check that somebody answers for until a day, and what is told of waivers."""
    model = make_model(good_schema(), fairness(harmed=True))
    (red,) = (c for gate in model.gates for c in gate.checks if c.effect is Effect.BLOCK)
    waiver = Waiver(
        rule=red.id, reason="labels are late, MLG-31", owner="@lead", expires="2026-12-01"
    )
    found = applied([model], [waiver], on=date(2026, 11, 21))
    return make_report(*found.models, waivers=found.told)


STORIES = {
    "all_green": all_green,
    "one_red": one_red,
    "forty_red": many_red,
    "inconclusive": inconclusive,
    "no_baseline": no_baseline,
    "bad_input": bad_input,
    "two_models": two_models,
    "mixed": mixed,
    "waived": waived,
    "fifty_slices": fifty_slices,
    "twelve_models": twelve_models,
    "portrayed": portrayed,
    "portrayed_regression": portrayed_regression,
}
