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
# A terminal that is closed, and what some runners send first; `nohup` has it ignored.
_HANG_UP = getattr(signal, "SIGHUP", None)


class Stopped(BaseException):
    """We were told to stop; no `except Exception` is to hold it up."""


@dataclass(kw_only=True)
class Stop:
    """Whether this process was told to stop, and by which signal.

    `once` is for what has something to bring to an end first: it is interrupted once, and told of
    no further signal. `answered` says that it has, and that its own exit code tells the rest.
    """

    signal: int | None = None
    once: bool = False
    answered: bool = False

    def listen(self) -> None:
        """Take the signals from here on, whatever a parent had arranged for them."""
        for number in _SIGNALS:
            signal.signal(number, self._told)
        if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
            signal.signal(_HANG_UP, self._told)

    def rest(self) -> None:
        """Hear no signal any more: what was to be brought to an end is at its end.

        Python itself would put its handlers back as it ends, and a late signal would then kill a
        process that has an exit code to give.
        """
        self.answered = True
        for number in (*_SIGNALS, *(() if _HANG_UP is None else (_HANG_UP,))):
            signal.signal(number, signal.SIG_IGN)

    def check(self) -> None:
        """Raise if we were told to stop."""
        if self.signal is not None:
            raise Stopped

    def code(self, otherwise: int) -> int:
        """Return the exit code: the signal's, as a shell counts, if we were told to stop."""
        unasked = self.signal is None or self.answered
        return otherwise if unasked else 128 + (self.signal or 0)

    def _told(self, number: int, _frame: FrameType | None) -> None:
        if self.once and self.signal is not None:
            return
        self.signal = number
        raise Stopped
