"""The one sentence a reviewer reads first: the decision, and the main reason for it."""

from __future__ import annotations

from gates.report import Check, Effect, ErrorInfo, GateResult, ModelReport, Report, Verb
from reporters.render import figures, words
from reporters.render.escape import Name, Said, cut
from reporters.render.rows import excess, holds, is_share
from reporters.render.words import Tone

# By `error.kind`; the exit code of each is documented in the README.
KINDS = {
    "config": "the configuration or the command line is wrong",
    "input": "the data, the predictions, the model or the baseline cannot be used",
    "environment": "something around the run failed",
    "refused": "refused for safety",
    "bug": "a bug in Model Gates",
}
NO_RULES: Said = ("blocked, whatever it found: the base commit has no rules yet to judge by",)
CLAIMED = (
    "Numbers are those of the pull request's own run, and nobody vouches for them; rules and "
    "verdicts are made from the base commit. They are recomputed in the merge queue."
)
_MAX_REASON = 160
_SIGNS = {Verb.MIN: "≥ ", Verb.MAX: "≤ "}


def headline(report: Report) -> tuple[Tone, Said]:
    """Return the decision with its main reason, and how it is to be shown."""
    if report.error is not None:
        return Tone.ERROR, ("no verdict was reached: ", KINDS[report.error.kind])
    if report.selection and not report.models and not report.blocked:
        since = Name(report.selection.since[:12])
        return Tone.SKIPPED, ("no model has changed since ", since, "; nothing was judged")
    if not report.models:
        return Tone.ERROR if report.blocked else Tone.SKIPPED, ("no model was judged",)
    tone, said = _blocked(report) if report.blocked else _open(report)
    if tone is Tone.PASS and any(map(_left_out, report.models)):
        tone = Tone.UNDECIDED  # what should have been compared was not: no clean pass
    return tone, (*said, *_uncompared(report.models))


def _blocked(report: Report) -> tuple[Tone, Said]:
    blocked = [model for model in report.models if _blocks(model)] or list(report.models)
    if report.policy is not None and report.policy.blocks and not _blocks(blocked[0]):
        return Tone.FAIL, NO_RULES
    first = min(blocked, key=lambda model: _main_tone(model).rank)
    reason = _main_reason(first)
    if len(blocked) > 1:
        count = f"{len(blocked):,} of {len(report.models):,} models are blocked; first "
        return Tone.FAIL, (count, Name(first.model), ": ", *reason)
    others = f" (1 of {len(report.models):,} models)" if len(report.models) > 1 else ""
    return Tone.FAIL, (Name(first.model), f" is blocked{others}: ", *reason)


def _open(report: Report) -> tuple[Tone, Said]:
    """Return the sentence of a run that is not blocked, whatever it warns of."""
    checks = [(g.gate, c) for m in report.models for g in m.gates for c in g.checks]
    tones = [words.tone(check) for _, check in checks]
    who: Said = (
        (Name(report.models[0].model), " is not blocked")
        if len(report.models) == 1
        else (f"none of {len(report.models):,} models is blocked",)
    )
    flagged = [i for i, t in enumerate(tones) if t in (Tone.ERROR, Tone.WARN)]
    if flagged:
        gate, check = checks[flagged[0]]
        warns = "warns" if check.effect is Effect.WARN else "reports"
        return Tone.WARN, (*who, ", but ", *said(gate, check), f": this only {warns}")
    doubts = tones.count(Tone.UNDECIDED)
    total = figures.plural(len(tones), "check")
    if doubts:
        return Tone.UNDECIDED, (*who, f"; {doubts:,} of {total} could not be decided")
    passed = tones.count(Tone.PASS)
    if Tone.WAIVED in tones:
        waived = f"{passed:,} of {total} passed, {tones.count(Tone.WAIVED):,} waived"
        return Tone.WAIVED, (*who, f": {waived}")
    if passed < len(tones):
        return Tone.PASS, (*who, f": {passed:,} of {total} passed")
    every = "its check" if passed == 1 else f"all {passed:,} checks"
    return Tone.PASS, (*who[:1], f" passes {every}") if len(report.models) == 1 else (
        f"all {len(report.models):,} models pass {every}",
    )


def _left_out(model: ModelReport) -> bool:
    """Return whether limits on a change were left out for want of a baseline."""
    checks = (check for gate in model.gates for check in gate.checks)
    return model.baseline is None and any(c.skip and c.verb.needs_baseline for c in checks)


def _uncompared(models: tuple[ModelReport, ...]) -> Said:
    """Return the warning that an absolute limit alone was held against a model."""
    bare = [model for model in models if model.baseline is None and model.anchor is None]
    if not bare:
        return ()
    if len(bare) == len(models):
        return ("; nothing was compared: no baseline",)
    return ("; ", plural_models(len(bare)), " compared with nothing: no baseline")


def plural_models(count: int) -> str:
    """Return how many models something happened to."""
    return f"{count:,} {'model was' if count == 1 else 'models were'}"


def _blocks(model: ModelReport) -> bool:
    return any(_broken(gate) for gate in model.gates) or bool(_blocking(model)) or not model.gates


def _broken(gate: GateResult) -> bool:
    return gate.error is not None or not gate.checks


def _blocking(model: ModelReport) -> list[tuple[str, Check]]:
    """Return the checks that block, the worst first, and among equals the furthest beyond."""
    found = [(g.gate, c) for g in model.gates for c in g.checks if c.effect is Effect.BLOCK]
    return sorted(found, key=lambda pair: (words.tone(pair[1]).rank, -excess(pair[1])))


def _main_tone(model: ModelReport) -> Tone:
    blocking = _blocking(model)
    return words.tone(blocking[0][1]) if blocking else Tone.ERROR


def _main_reason(model: ModelReport) -> Said:
    blocking = _blocking(model)
    broken = [gate for gate in model.gates if _broken(gate)]
    more = len(blocking) + len(broken) - 1
    if blocking:
        reason = said(*blocking[0])
    elif broken:
        reason = not_run(broken[0].gate, broken[0].error)
    else:
        return ("nothing was decided",)
    return (*reason, f", and {more:,} more") if more else reason


def not_run(gate: str, error: ErrorInfo | None) -> Said:
    """Return that a gate did not run, and why."""
    why = _clause(error.message) if error else "it made no checks"
    return ("the ", Name(gate), " gate did not run: ", why)


def _clause(sentence: str) -> str:
    return cut(sentence, _MAX_REASON).removesuffix(".")


def said(gate: str, check: Check) -> Said:
    """Return what a check found, as half a sentence: metric, rows, change and limit."""
    about: Said = (words.metric(check.metric), *words.where(check))
    shown = words.tone(check)
    if shown is Tone.UNDECIDED:
        return (*about, " is undecided: ", *words.undecided(check))
    if shown is Tone.ERROR:
        return (*about, " has no number: ", _clause(check.reason))
    if is_share(gate, check):
        return (gate, ": ", *about, f" {_held(check.candidate or 0.0)}")
    return (*about, f" {_moved(check)} ({_short_limit(check)})")


def _held(value: float) -> str:
    return holds(value) if value in (0.0, 1.0) else f"holds in only {holds(value)}"


def _moved(check: Check) -> str:
    decimals = figures.places(check)
    if not check.verb.needs_baseline or check.delta is None:
        return f"is {figures.number(check.candidate, decimals)}"
    size = figures.number(abs(check.delta), decimals)
    verb = "rose" if check.delta > 0 else "fell"
    if check.verb is Verb.MAX_RATIO and check.baseline and check.candidate is not None:
        return f"{verb} {figures.number(check.candidate / check.baseline, 2)}-fold"
    since = " since the anchor" if check.verb.needs_anchor else ""
    return f"{verb} by {size}{since}"


def _short_limit(check: Check) -> str:
    bound = figures.exact(check.bound)
    return f"limit {_SIGNS.get(check.verb, '')}{bound}"
