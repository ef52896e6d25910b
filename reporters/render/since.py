"""What changed since the last report on the same pull request. Told, never judged by.

A comment carries what the next one needs in a hidden line: which checks were not a plain pass, and
their numbers. Whoever reads it back takes it from their own comment only; what cannot be read is
as if there had been none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from gates.report import Check, Report
from reporters.render import figures, words
from reporters.render.escape import Said
from reporters.render.words import Tone

MOST_CHECKS = 200
MOST_LINES = 5
_MAX_TEXT = 16_384
_MAX_BYTES = 65_536
_LINE = re.compile(r"<!-- model-gates:state v1 ([A-Za-z0-9_-]+=*) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a report leaves for the next one: by check, its tone and the number it was judged by."""

    open: dict[str, tuple[str, float | None]]
    total: int


def state_of(report: Report) -> State:
    """Return what the next report needs to know of this one."""
    checks = list(_checks(report))
    kept = [(key, check) for key, check in checks if words.tone(check) is not Tone.PASS]
    return State(
        open={key: (words.tone(check).value, _judged(check)) for key, check in kept[:MOST_CHECKS]},
        total=len(checks),
    )


def written(state: State) -> str:
    """Return a state as a hidden line that nothing in it can end."""
    packed = json.dumps({"open": state.open, "total": state.total}, separators=(",", ":"))
    text = base64.urlsafe_b64encode(zlib.compress(packed.encode(), 9)).decode()
    return f"<!-- model-gates:state v1 {text} -->" if len(text) <= _MAX_TEXT else ""


def read(page: str) -> State | None:
    """Return the state that a page of ours carries, or None if it has none that can be read."""
    found = _LINE.search(page)
    if found is None or len(found[1]) > _MAX_TEXT:
        return None
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.urlsafe_b64decode(found[1]), _MAX_BYTES)
        data = json.loads(raw)
        opened = {
            str(key): (Tone(tone).value, _number(n)) for key, (tone, n) in data["open"].items()
        }
        return State(open=opened, total=int(data["total"]))
    except (
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
        binascii.Error,
        zlib.error,
    ):
        return None


def changes(before: State, report: Report) -> list[Said]:
    """Return what a reader of the last report should know of this one, the worst first."""
    now = {key: check for key, check in _checks(report) if words.tone(check) is not Tone.PASS}
    newly = [
        (k, c) for k, c in now.items() if _failed(words.tone(c)) and not _failed_before(k, before)
    ]
    known = {key for key, _ in _checks(report)}
    mended = [key for key in before.open if _failed_before(key, before) and key in known]
    mended = [key for key in mended if key not in now or not _failed(words.tone(now[key]))]
    lines: list[Said] = []
    if newly:
        lines.append((f"{figures.plural(len(newly), 'check')} newly failing: ", *_listed(newly)))
    if mended:
        lines.append((f"{figures.plural(len(mended), 'check')} no longer failing.",))
    lines += _moved(before, now)
    return lines or [("nothing that a verdict shows.",)]


def _listed(checks: list[tuple[str, Check]]) -> Said:
    parts: list[Said] = [(words.metric(c.metric), *words.where(c)) for _, c in checks[:MOST_LINES]]
    said = tuple(piece for part in parts for piece in (*part, ", "))[:-1]
    more = len(checks) - len(parts)
    return (*said, f", and {more:,} more.") if more else (*said, ".")


def _moved(before: State, now: dict[str, Check]) -> list[Said]:
    """Say how the numbers went of what failed before and still does."""
    lines: list[Said] = []
    for key, check in now.items():
        was, value = before.open.get(key, ("", None))[1], _judged(check)
        if was is None or value is None or was == value or len(lines) == MOST_LINES:
            continue
        change = figures.number(value - was, figures.places(check), sign=True)
        if re.search(r"[1-9]", change):
            lines.append((words.metric(check.metric), *words.where(check), f" {change}."))
    return lines


def _checks(report: Report) -> Iterator[tuple[str, Check]]:
    for model in report.models:
        for gate in model.gates:
            for check in gate.checks:
                key = f"{model.model}\0{check.id}".encode()
                yield hashlib.sha256(key).hexdigest()[:12], check


def _judged(check: Check) -> float | None:
    return check.delta if check.interval_of == "delta" else check.candidate


def _failed(tone: Tone | str) -> bool:
    return tone in (Tone.FAIL, Tone.ERROR)


def _failed_before(key: str, before: State) -> bool:
    return key in before.open and _failed(before.open[key][0])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
