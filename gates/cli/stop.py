"""Being told to stop: Ctrl-C, or what a runner sends when its job is cancelled.

What a signal raises does not always arrive. DuckDB looks for signals while it works, and makes a
`RuntimeError` of whatever was raised; a boundary that turns crashes into results would then take it
for one, and the run would go on. So that we were told is kept, and asked again at every boundary.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """We were told to stop; no `except Exception` is to hold it up."""


@dataclass(kw_only=True)
class Stop:
    """Whether this process was told to stop, and by which signal."""

    signal: int | None = None

    def listen(self) -> None:
        """Take the signals from here on, whatever a parent had arranged for them."""
        for number in _SIGNALS:
            signal.signal(number, self._told)

    def check(self) -> None:
        """Raise if we were told to stop."""
        if self.signal is not None:
            raise Stopped

    def code(self, otherwise: int) -> int:
        """Return the exit code: the signal's, as a shell counts, if we were told to stop."""
        return otherwise if self.signal is None else 128 + self.signal

    def _told(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        raise Stopped
