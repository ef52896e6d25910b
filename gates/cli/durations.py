"""Times as people type them: a whole number and a unit, such as 330m or 7d."""

from __future__ import annotations

import re

from gates.errors import ConfigError

_UNITS = {"s": ("seconds", 1), "m": ("minutes", 60), "h": ("hours", 3600), "d": ("days", 86_400)}


def seconds(text: str, units: str, where: str) -> int:
    """Return how long a time is; `units` are the letters that it may end in. Raises ConfigError."""
    match = re.fullmatch(rf"([1-9][0-9]{{0,4}})([{units}])", text)
    if match is None:
        names = " or ".join(_UNITS[unit][0] for unit in units)
        raise ConfigError(f"expected a number of {names}", where=where, hint=f"Say 7{units[-1]}.")
    return int(match[1]) * _UNITS[match[2]][1]
