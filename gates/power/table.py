"""What both texts say alike: the sentence, the order, the cells, and what to do."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from gates.power.advice import together
from gates.power.answer import CheckPower, ModelPower, PowerReport, Standing
from gates.report import Family, Verb
from reporters.render.escape import Name, Said
from reporters.render.figures import DASH, exact, number, plural, roughly

WORDS = {
    Standing.CANNOT: ("?", "CAN NOT DECIDE"),
    Standing.UNKNOWN: ("?", "NOTHING TO DECIDE BY"),
    Standing.DECIDES: ("✔", "DECIDES"),
    Standing.POINT: ("-", "NO INTERVAL"),
}
HEADS = ("check", "limit", "rows", "decides", "needs", "chance", "fails")
LEGEND = (
    "decides: the smallest limit on a change that passes with that power if nothing changed, and "
    "for `min` and `max` the limit that today's value is shown to meet · needs: the rows that "
    "decide the configured limit · chance: of deciding it on these rows · fails: the true change, "
    "or value, from which a fail is found after correction · ~ approximate"
)


def summary(report: PowerReport) -> Said:
    """Return the one line that says how it stands."""
    by_interval = [c for c in report.checks if c.standing is not Standing.POINT]
    rows = sorted({model.rows for model in report.models})
    these = f"on these {rows[0]:,} rows" if len(rows) == 1 else "on these rows"
    asked = f"(power {100 * report.power:g} %"
    asked += f", a drop of {exact(report.drop)} is to pass)" if report.drop else ")"
    if not by_interval:
        return (f"No check rests on an interval: rows decide nothing here {asked}",)
    if not report.undecided:
        all_of = plural(len(by_interval), "check decides its limit", "checks decide their limits")
        return (f"{all_of} {these} {asked}",)
    whole = plural(len(by_interval), "check")
    their = "its limit" if report.undecided == 1 else "their limits"
    return (f"{report.undecided:,} of {whole} can not decide {their} {these} {asked}",)


def ordered(model: ModelPower) -> list[CheckPower]:
    """Return the checks that a reader is shown: first those with the least chance of a decision."""
    rank = list(Standing)
    shown = [c for c in model.checks if c.standing is not Standing.POINT or c.chance is not None]
    return sorted(
        shown, key=lambda c: (rank.index(c.standing), 0.0 if c.chance is None else c.chance)
    )


def counted(model: ModelPower) -> str | None:
    """Return what is not in the table: checks by a count or share, as those of a schema are."""
    left_out = len(model.checks) - len(ordered(model))
    if not left_out:
        return None
    rest = plural(left_out, "check rests", "checks rest")
    return f"{rest} on no interval: rows make no difference to them."


def cells(check: CheckPower) -> tuple[Said, ...]:
    """Return a row of the table, in the order of `HEADS`."""
    mark = "~" if check.approximate and check.smallest_limit is not None else ""
    needed = DASH if check.rows_needed is None else roughly(check.rows_needed)
    return (
        (Name(check.id),),
        (exact(check.bound),),
        (f"{check.n:,}",),
        (mark + _figure(check, check.smallest_limit),),
        (needed if check.standing is Standing.CANNOT else "",),
        (DASH if check.chance is None else percent(check.chance),),
        (mark + _figure(check, check.fails_from),),
    )


def percent(chance: float) -> str:
    """Return a probability without the decimals that it does not have."""
    if chance > 0.99:
        return "> 99 %"
    return "< 1 %" if chance < 0.01 else f"{100 * chance:.0f} %"


def to_do(model: ModelPower) -> Iterator[Said]:
    """Yield what to do, once for all slices or groups of one limit."""
    alike: dict[tuple[str, str, Verb, Family, float], list[CheckPower]] = defaultdict(list)
    for check in ordered(model):
        if check.standing is Standing.CANNOT:
            key = (check.gate, check.metric, check.verb, check.family, check.bound)
            alike[key].append(check)
    for checks in alike.values():
        if len(checks) == 1:
            yield (Name(checks[0].id), f": {together(checks)}")
        else:
            question = checks[0].id.partition("@")[0]
            yield (Name(question), f" in {len(checks)} places: {together(checks)}")


def reasons(checks: Sequence[CheckPower]) -> Iterator[Said]:
    """Yield why there is nothing to decide by, check by check."""
    for check in checks:
        if check.standing is Standing.UNKNOWN:
            yield (Name(check.id), ": ", check.reason)


def _figure(check: CheckPower, value: float | None) -> str:
    """Return a limit in two digits; an absolute one in two of the distance that it is known to."""
    if value is None:
        return DASH if check.smallest_margin is None else "none"
    scale = value - 1.0 if check.verb is Verb.MAX_RATIO else value
    if check.verb in (Verb.MIN, Verb.MAX):
        scale = check.smallest_margin or value
    decimals = 1 - math.floor(math.log10(abs(scale))) if scale else 2
    return number(value, max(0, min(6, decimals)))
