"""Say in words what to do about a limit that these rows cannot decide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gates.power.answer import CheckPower, Standing
from gates.report import Family, Verb
from gates.stats.power import round_out
from reporters.render.figures import exact, roughly


def advice(check: CheckPower) -> str | None:
    """Return what to do about one check; None where its limit is decided, or rests on none."""
    if check.standing is Standing.UNKNOWN:
        return "collect rows here, or leave it out"
    if check.standing is not Standing.CANNOT:
        return None
    return together([check])


def together(checks: Sequence[CheckPower]) -> str:
    """Return what to do about checks that differ only in the slice or group that they are of."""
    ways = [_other_limit(checks), _more_rows(checks), _fewer_parts(checks[0])]
    return ", or ".join(way for way in ways if way)


def proposed(check: CheckPower) -> float | None:
    """Return the limit to write instead: the smallest that is decided, in two digits."""
    if check.smallest_limit is None or check.smallest_margin is None:
        return None
    if check.verb in (Verb.MIN, Verb.MAX):
        # A hundredth of the distance is finer than anybody means a floor or a ceiling.
        step = 10.0 ** (math.floor(math.log10(check.smallest_margin)) - 1)
        turn = math.floor if check.verb is Verb.MIN else math.ceil
        return float(f"{turn(check.smallest_limit / step) * step:.12g}")
    if check.verb is Verb.MAX_RATIO:
        return 1.0 + round_out(check.smallest_limit - 1.0)
    return round_out(check.smallest_limit)


def _other_limit(checks: Sequence[CheckPower]) -> str:
    limits = [proposed(check) for check in checks]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(limits):
        return ""
    verb = checks[0].verb
    widest = min(known) if verb is Verb.MIN else max(known)
    word = {Verb.MIN: "lower", Verb.MAX: "raise"}.get(verb, "widen")
    sliced = checks[0].gate == "performance" and checks[0].family is not Family.OVERALL
    where = " in slices" if sliced else ""
    return f"{word} `{verb.value}`{where} to {exact(widest)}"


def _more_rows(checks: Sequence[CheckPower]) -> str:
    factors = [check.rows_needed / check.n for check in checks if check.rows_needed]
    if len(factors) < len(checks):
        return ""
    if len(checks) == 1:
        return f"collect rows ({roughly(checks[0].rows_needed or 0)} in place of {checks[0].n:,})"
    return f"collect rows ({max(factors):.2g} times as many decide all of them)"


def _fewer_parts(check: CheckPower) -> str:
    if check.gate == "fairness":
        return "leave small groups out by a higher `min_group`"
    if check.gate == "drift":
        return ""  # a column is no slice, and is not merged with another
    return "merge slices" if check.family is not Family.OVERALL else ""
