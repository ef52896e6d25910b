"""Signs of life: the lease is renewed for as long as whoever holds it gets on with its work.

A thread renews it, and only up to a moment that the work itself keeps pushing on. So a rollout that
hangs loses its lease like one that was killed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from gates.canary.faults import Fenced
from gates.canary.site import Lease, Store
from gates.errors import GatesError

# Several signs of life have to go missing before a lease is dead.
_BEATS = 4


@dataclass(kw_only=True)
class Pulse:
    """Renews `lease` while its `with` block gets on; `allow` says for how long it may take."""

    store: Store
    lease: Lease
    clock: Callable[[], float] = time.monotonic
    _until: float = field(default=0.0, init=False)
    _lost: Fenced | None = field(default=None, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Self:
        self.allow(self.lease.ttl)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def allow(self, seconds: float) -> None:
        """Let what comes next take this long; raises Fenced when somebody took the lease over."""
        if self._lost is not None:
            raise self._lost
        self._until = self.clock() + seconds

    def last(self, ttl: float) -> None:
        """Renew once more, for `ttl` seconds without a sign of life, and then no longer."""
        self._stop.set()
        self._thread.join()
        self.lease = self.store.renew(replace(self.lease, ttl=ttl))

    def _beat(self) -> None:
        while not self._stop.wait(self.lease.ttl / _BEATS):
            if self.clock() < self._until:
                self._renew()

    def _renew(self) -> None:
        try:
            self.lease = self.store.renew(self.lease)
        except Fenced as error:
            self._lost = error
            self._stop.set()
        except GatesError:
            # A disk or an API that fails now and then: the next beat may go through in time.
            return
