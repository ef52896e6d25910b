"""How long to wait before a request is made again, or that it is not: pure, no clock in it.

GitHub's rules ("Best practices for using the REST API"): obey `retry-after`; else, with nothing
left of the quota, wait for its reset; else a minute at least, then longer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

TRIES = 4
_LEAST_WAIT = 60.0
_SECONDS = re.compile(r"[0-9]{1,12}")
_LIMITED = re.compile(r"rate limit|abuse detection", re.IGNORECASE)


class Clock(Protocol):
    """Time, handed in: a test does not wait."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    def sleep(self, seconds: float, /) -> None:
        """Let so many seconds pass."""


def throttled(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Return whether an answer says "not now" rather than "no"."""
    if status == 429:
        return True
    spent = headers.get("x-ratelimit-remaining") == "0"
    return status == 403 and ("retry-after" in headers or spent or bool(_LIMITED.search(message)))


def quota_wait(headers: Mapping[str, str], attempt: int) -> float:
    """Return how long a throttled caller has to wait; `attempt` counts from 0."""
    asked = _seconds(headers.get("retry-after"))
    if asked is not None:
        return asked
    reset, now = _seconds(headers.get("x-ratelimit-reset")), _server_time(headers)
    if headers.get("x-ratelimit-remaining") == "0" and reset is not None and now is not None:
        # By the server's own clock: that of this machine may be wrong. One more, for rounding.
        return max(0.0, reset - now) + 1.0
    return float(_LEAST_WAIT * 2**attempt)


def broken_wait(attempt: int) -> float:
    """Return how long to wait after a fault of the server or the line."""
    return float(2**attempt)


def _seconds(value: str | None) -> float | None:
    return float(value) if value and _SECONDS.fullmatch(value) else None


def _server_time(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError):
        return None
