"""What was found about a canary: one finding per question, and what they say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gates.fields import MAX_TEXT, bounded
from gates.report import Mode, Verdict

# None stands for an end that is not known: an interval may be open.
Ends = tuple[float | None, float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """One side's counts, and what was measured on them: a rate, a quantile in seconds."""

    requests: int
    errors: int
    value: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One question about a canary, and the answer.

    `id` is `canary/<metric>:<verb>`, or `canary/<what>` where there is no limit. `code` is one word
    for machines (`low_traffic`). `value` is what is held against `limit`, with the interval in
    which it lies; `n` is how many canary requests that rests on, `n_needed` about how many more
    decide it if all goes on like this: None where no number would, or none is needed. A `mode` of
    `report` is shown and does not count.
    """

    id: str
    verdict: Verdict
    reason: str
    code: str = ""
    mode: Mode = Mode.ENFORCE
    stable: Figures | None = None
    canary: Figures | None = None
    value: float | None = None
    interval: Ends | None = None
    limit: float | None = None
    method: str = ""
    n: int | None = None
    n_needed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no number: nothing that is compared with it would come out true."""
        sides = [side.value for side in (self.stable, self.canary) if side]
        numbers = (self.value, self.limit, *(self.interval or ()), *sides)
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError(f"{self.id}: a number that is not finite")

    @property
    def counts(self) -> bool:
        """Return whether it has a say in the verdict."""
        return self.mode is not Mode.REPORT


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the findings say together, and in one sentence why."""

    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...]
    code: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the judgement as it stands in a journal."""
        return asdict(self) | {"findings": [asdict(finding) for finding in self.findings]}


def together(findings: Sequence[Finding]) -> Judgement:
    """Return the judgement: as bad as the worst finding that counts, and a pass only if all pass.

    What was skipped has not passed, and nothing that counts is nothing that was shown.
    """
    counted = [finding for finding in findings if finding.counts]
    bad = [finding for finding in counted if finding.verdict is not Verdict.PASS]
    if not bad:
        verdict = Verdict.PASS if counted else Verdict.INCONCLUSIVE
        reason = "every limit is kept" if counted else "nothing was asked that counts"
        return Judgement(verdict=verdict, reason=reason, findings=tuple(findings))
    # A canary that failed goes, whatever else could not be told.
    failed = [finding for finding in bad if finding.verdict is Verdict.FAIL]
    first = (failed or sorted(bad, key=lambda finding: -finding.verdict.rank))[0]
    skipped = first.verdict is Verdict.SKIPPED
    return Judgement(
        verdict=Verdict.INCONCLUSIVE if skipped else first.verdict,
        reason=bounded(first.reason, MAX_TEXT),
        findings=tuple(findings),
        code=first.code,
    )
