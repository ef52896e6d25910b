"""The words that every channel shares: how a metric, a limit and a verdict are said.

Whatever holds a name from outside is a `Said`, for `escape` to write.
"""

from __future__ import annotations

import re
from enum import StrEnum

from gates.report import BaselineInfo, Check, Decide, Effect, GateResult, ModelReport, Verb, Verdict
from reporters.render.escape import Name, Said
from reporters.render.figures import exact, plural, roughly


class Tone(StrEnum):
    """How a check, a gate or a run is shown, the worst first; each channel has its own symbols."""

    ERROR = "error"
    FAIL = "fail"
    WARN = "warn"
    UNDECIDED = "undecided"
    WAIVED = "waived"
    SKIPPED = "skipped"
    PASS = "pass"  # noqa: S105  (a verdict, not a password)

    @property
    def rank(self) -> int:
        """Return the place in the order; the worst is 0."""
        return list(Tone).index(self)


def tone(check: Check) -> Tone:
    """Return how a check is shown: its verdict, and what policy and waivers make of it."""
    if check.verdict in (Verdict.PASS, Verdict.SKIPPED):
        return Tone(check.verdict.value)
    if check.waiver:
        return Tone.WAIVED
    if check.verdict is Verdict.INCONCLUSIVE:
        return Tone.UNDECIDED
    if check.verdict is Verdict.FAIL and check.effect is not Effect.BLOCK:
        return Tone.WARN
    return Tone(check.verdict.value)


# --- limits ----------------------------------------------------------------------------------

_LIMITS = {
    Verb.MIN: "≥ {}",
    Verb.MAX: "≤ {}",
    Verb.MAX_DROP: "drop ≤ {}",
    Verb.MAX_RISE: "rise ≤ {}",
    Verb.MAX_RATIO: "ratio ≤ {}",
    # The check is one group's; the limit holds for each.
    Verb.MAX_DROP_ANY_GROUP: "drop ≤ {}",
    Verb.MAX_RISE_ANY_GROUP: "rise ≤ {}",
    Verb.MAX_DROP_FROM_ANCHOR: "drop from the anchor ≤ {}",
    Verb.MAX_RISE_FROM_ANCHOR: "rise from the anchor ≤ {}",
}


def limit(check: Check) -> str:
    """Return the limit in words; one that is held against the plain number says so."""
    return _LIMITS[check.verb].format(exact(check.bound)) + (
        " (point)" if check.decide is Decide.POINT else ""
    )


# --- names -----------------------------------------------------------------------------------

_SPOKEN = {
    "ae": "absolute error",
    "auc": "AUC",
    "brier": "Brier score",
    "cramers": "Cramér's",
    "f1": "F1",
    "fbeta": "F-beta",
    "js": "Jensen-Shannon",
    "ks": "KS",
    "mae": "MAE",
    "mape": "MAPE",
    "mcc": "MCC",
    "mib": "MiB",
    "mse": "MSE",
    "ovo": "one-vs-one",
    "ovr": "one-vs-rest",
    "psi": "PSI",
    "r2": "R²",
    "rmse": "RMSE",
    "roc": "ROC",
    "v": "V",
    "wasserstein": "Wasserstein",
}


def metric(name: str) -> str | Name:
    """Return a metric's name in plain words, or as it stands when it is not one of ours."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return Name(name)
    return " ".join(_SPOKEN.get(word, word) for word in name.split("_"))


def where(check: Check) -> Said:
    """Return which rows a check is about, with its preposition; empty for all of them."""
    if check.slice:
        return (" for ", Name(pairs(check.slice)))
    if check.sensitive:
        return (" by ", Name(" × ".join(check.sensitive)))
    if check.columns:
        return (" of ", Name(", ".join(check.columns)))
    return ()


def pairs(values: dict[str, str]) -> str:
    """Return a slice or a group as `column=value`, in the order given."""
    return ", ".join(f"{column}={value}" for column, value in values.items())


def short(digest: str) -> Name:
    """Return the first twelve hex digits of a digest."""
    return Name(digest.removeprefix("sha256:")[:12])


# --- verdicts --------------------------------------------------------------------------------

_FAILS = {
    Verb.MIN: "too low",
    Verb.MAX: "too high",
    Verb.MAX_DROP: "dropped too far",
    Verb.MAX_RISE: "rose too far",
    Verb.MAX_RATIO: "grew too much",
    Verb.MAX_DROP_ANY_GROUP: "dropped too far",
    Verb.MAX_RISE_ANY_GROUP: "rose too far",
    Verb.MAX_DROP_FROM_ANCHOR: "dropped too far from the anchor",
    Verb.MAX_RISE_FROM_ANCHOR: "rose too far from the anchor",
}


def verdict(check: Check, *, direction: bool = True) -> Said:
    """Return a check's verdict in a few words, with what policy makes of it when that differs."""
    match tone(check):
        case Tone.WAIVED:
            found = "fails" if check.verdict is Verdict.FAIL else check.verdict.value
            return (f"{found}, waived: ", check.waiver or "")
        case Tone.SKIPPED:
            return ("skipped: ", check.reason)
        case Tone.PASS:
            return ("passes",)
        case Tone.UNDECIDED:
            return (*undecided(check), _policy(check))
        case Tone.ERROR:
            return ("error: ", check.reason, _policy(check))
        case _:
            how = f": {_FAILS[check.verb]}" if direction else ""
            return (f"fails{_policy(check)}{how}",)


_WORDS = {
    Tone.ERROR: "error",
    Tone.FAIL: "fails",
    Tone.WARN: "fails",
    Tone.UNDECIDED: "undecided",
    Tone.WAIVED: "waived",
    Tone.SKIPPED: "skipped",
    Tone.PASS: "passes",
}


def word(check: Check) -> str:
    """Return a check's verdict in a word, with what policy makes of it when that differs."""
    shown = tone(check)
    said = shown in (Tone.WAIVED, Tone.SKIPPED, Tone.PASS)
    return _WORDS[shown] + ("" if said else _policy(check))


def undecided(check: Check) -> Said:
    """Return why nobody can tell, and how many more rows would decide it."""
    alpha = 1.0 - check.confidence
    if check.problem:
        return ("cannot tell: ", check.problem)
    if check.p is not None and check.p_adjusted is not None and check.p <= alpha < check.p_adjusted:
        return ("may be chance: one of many questions asked together",)
    if check.n_needed is not None and check.n_needed > check.n:
        return (f"not enough rows to tell: about {roughly(check.n_needed)} would decide it",)
    if check.interval is None:
        return ("cannot tell: ", check.reason)
    # Rows enough for a candidate that has not changed: it is this one's number.
    near = check.verb.needs_baseline and check.smallest_limit is not None
    if near and (check.smallest_limit or 0.0) <= check.bound:
        return ("too near the limit to tell",)
    return ("not enough rows to tell",)


def _policy(check: Check) -> str:
    if check.verdict is Verdict.INCONCLUSIVE:
        return {Effect.BLOCK: " (blocks)", Effect.NONE: " (reported only)"}.get(check.effect, "")
    return {Effect.WARN: " (warns only)", Effect.NONE: " (reported only)"}.get(check.effect, "")


# --- counts ----------------------------------------------------------------------------------

_COUNTED = {
    Tone.PASS: "passed",
    Tone.FAIL: "failed",
    Tone.WARN: "failed",
    Tone.ERROR: "could not be computed",
    Tone.UNDECIDED: "inconclusive",
    Tone.WAIVED: "waived",
    Tone.SKIPPED: "skipped",
}


def counts(gates: tuple[GateResult, ...]) -> str:
    """Return how many checks had which verdict, and how many gates did not run."""
    kinds = [_kind(check) for gate in gates for check in gate.checks]
    # In the order of the list above: what passed first, then the worst.
    order = sorted(set(kinds), key=lambda kind: (list(_COUNTED).index(kind[0]), kind[1]))
    parts = [f"{kinds.count(k):,} {_COUNTED[k[0]]}{k[1]}" for k in order]
    broken = sum(gate.error is not None or not gate.checks for gate in gates)
    if broken:
        parts.append(plural(broken, "gate did not run", "gates did not run"))
    return " · ".join(parts) or "no checks"


def _kind(check: Check) -> tuple[Tone, str]:
    """Return how a check is counted: its tone, and what a fail that blocks nothing does instead."""
    shown = tone(check)
    return shown, _policy(check) if shown is Tone.WARN else ""


def unwell(gate: GateResult) -> bool:
    """Return whether a gate's hint has something to say: it tells how to mend what is red."""
    red = (Verdict.FAIL, Verdict.ERROR)
    return any(check.verdict in red and not check.waiver for check in gate.checks)


def provenance(model: ModelReport) -> list[Said]:
    """Return what was compared with what, on which rows: the parts of one line."""
    parts: list[Said] = []
    if model.candidate:
        parts.append(("candidate ", Name(model.candidate.ref), " ", short(model.candidate.digest)))
    if model.candidate and model.candidate.artifact:
        parts.append(("artifact ", short(model.candidate.artifact)))
    if model.baseline:
        base = model.baseline
        parts.append(
            ("baseline ", Name(base.ref), f" v{base.version}{since(base)} ", short(base.digest)),
        )
    else:
        parts.append(("no baseline",))
    if model.anchor:
        anchor = model.anchor
        parts.append(
            (
                "anchor ",
                Name(anchor.ref),
                f" v{anchor.version}{since(anchor)} ",
                short(anchor.digest),
            ),
        )
    if model.candidate:
        parts.append((plural(model.candidate.rows, "row"),))
    parts += [(f"{label} data ", short(info.digest)) for label, info in model.data.items()]
    return parts


def since(registered: BaselineInfo) -> str:
    """Return the day a version was registered; empty where the report does not say one."""
    day = registered.registered_at[:10]
    return f" of {day}" if re.fullmatch(r"\d{4}-\d\d-\d\d", day) else ""
