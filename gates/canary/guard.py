"""The dead-man's switch: when nobody renews the lease, everything goes back to the stable side.

It runs on the target, where it outlives the runner, and asks no clock but its own monotonic one: a
lease is dead when its `beat` has not changed for its `ttl`. And where the router counts, it does
not wait for that with a canary that is broken by any measure (`hard_stop`): a rollout may be held
for a day, and nobody else looks then. Standard library only, so that `pack` can make one file of it
that runs wherever there is a Python.
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from gates.canary import chain
from gates.canary.counters import Counters
from gates.canary.faults import Locked
from gates.canary.hard_stop import Answers
from gates.canary.sight import Health, Sight
from gates.canary.site import Lease, Store
from gates.errors import GatesError

HOLDER: Final = "guard"
_MOMENT = (1980, 1, 1, 0, 0, 0)
_TRIES = 5
# Seconds between two looks at the counters.
_EVERY = 5.0
# Without a sign of life for this long (s), a rollout is held or its runner hangs. Until then the
# runner judges by itself: it has the better tests, and its verdict is the one that people read.
_QUIET = 20.0


class Valve(Protocol):
    """What a guard needs of a site."""

    def look(self) -> Sight:
        """Return what stands there."""
        ...

    def ensure_out(self) -> None:
        """Send everything to the stable side."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A valve that counts what goes through it; not every one does."""

    def counters(self) -> Counters:
        """Return both sides' counts."""
        ...


@dataclass(kw_only=True)
class Guard:
    """Watches one deployment; call `watch` every second or so. It never raises an Exception.

    `said` is told what a person should know, in one line.
    """

    store: Store
    valve: Valve
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    said: Callable[[str], None] = field(default=lambda _: None)
    _seen: tuple[int, int] | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)
    _answers: Answers = field(default_factory=Answers, init=False)
    _counted: float | None = field(default=None, init=False)
    _why: str = field(default="an earlier guard had begun to roll back", init=False)

    def watch(self) -> None:
        """Look at the lease and the counters once, and roll back if it has to be."""
        try:
            self._watch()
        except GatesError as error:
            self.said(str(error))
        except Exception as error:  # noqa: BLE001  (whoever guards must not fall over)
            self.said(f"{type(error).__name__}: {error}")

    def _watch(self) -> None:
        lease = self.store.lease()
        if lease is None:
            self._seen = None
        elif lease.holder == HOLDER:
            # Ours from before: killed, the router did not answer, or somebody was in an act.
            self._roll_back(lease)
        elif (quiet := self._quiet(lease)) > lease.ttl:
            self._take_over(lease, f"no sign of life from {lease.holder} for {lease.ttl:g} s")
        elif why := self._hopeless(quiet):
            self._take_over(lease, why)

    def _quiet(self, lease: Lease) -> float:
        """Return for how long there was no sign of life, in seconds."""
        if self._seen is None or self._seen[0] != lease.token:
            self._answers, self._counted = Answers(), None
        sign = (lease.token, lease.beat)
        if sign != self._seen:
            self._seen, self._since = sign, self.clock()
        return self.clock() - self._since

    def _hopeless(self, quiet: float) -> str:
        """Return why the canary cannot wait for the end of a lease; empty if it can."""
        self._count(self._since + quiet)
        why = self._answers.why()
        if not why or quiet < _QUIET:
            return ""
        sight = self.valve.look()
        ready = sight.stable.health is Health.READY and sight.stable.reachable
        return why if ready and sight.canary.reachable else ""

    def _count(self, now: float) -> None:
        due = self._counted is None or now - self._counted >= _EVERY
        if due and isinstance(self.valve, Counting):
            self._counted = now
            # Without counts there is still the lease.
            with suppress(Exception):
                self._answers.add(now, self.valve.counters())

    def _take_over(self, lease: Lease, why: str) -> None:
        self.said(f"{why}: rolling back")
        self._why = why
        try:
            mine = self.store.acquire(HOLDER, lease.ttl, over=lease.token)
        except Locked:
            return
        except GatesError as error:
            # A full disk is no reason to leave users on the canary.
            self.said(str(error))
            self._shut()
            return
        self._roll_back(mine)

    def _roll_back(self, lease: Lease) -> None:
        """Roll back and say so in the journal; what does not succeed is tried again later.

        At once, and once more when nobody is in the middle of an act: one that was stalled in it
        opens the valve again when it wakes.
        """
        if self._shut() is None:
            return
        with self.store.fenced(lease):
            sight = self._shut()
        if sight is not None and sight.whole:
            self._note(lease, sight)
            self.store.release(lease)
            self.said("rolled back: everything goes to the stable side")

    def _shut(self) -> Sight | None:
        """Send everything to the stable side, without waiting for whoever was cut off."""
        if self.valve.look().stable.health is not Health.READY:
            # With the stable side away, the canary is all there is: better that than nothing.
            self.said("the stable side is not ready: the canary is left where it is")
            return None
        self.valve.ensure_out()
        return self.valve.look()

    def _note(self, lease: Lease, sight: Sight) -> None:
        for _ in range(_TRIES):
            raw = self.store.read()
            records = chain.read(raw, "journal").records
            if not records:
                return
            last = records[-1]
            record = replace(
                last,
                seq=last.seq + 1,
                kind="guard",
                act="return",
                by=HOLDER,
                at=self.now().isoformat(timespec="seconds"),
                token=lease.token,
                body={
                    "stable": sight.stable.digest,
                    "canary_share": sight.canary.share,
                    "why": f"{self._why}: the guard sent everything to the stable side",
                },
                prev=last.hash,
            )
            if self.store.append(record.line(), lease.token):
                return


# Everything that the guard of an embedded target needs, and nothing else.
_MODULES: Final = (
    "gates/__init__.py",
    "gates/errors.py",
    "gates/atomic.py",
    *(
        f"gates/canary/{name}.py"
        for name in (
            "__init__",
            "chain",
            "counters",
            "faults",
            "stores/__init__",
            "stores/files",
            "guard",
            "hard_stop",
            "haproxy/__init__",
            "haproxy/router",
            "haproxy/counts",
            "haproxy/socket",
            "sight",
            "site",
        )
    ),
)
_MAIN = "from gates.canary.guard import main\nmain()\n"


def pack(path: Path) -> None:
    """Write the guard as one file that `python3 -I` can run; the same bytes each time."""
    root = Path(__file__).parents[2]
    with zipfile.ZipFile(path, "w") as archive:
        for name in _MODULES:
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), (root / name).read_bytes())
        archive.writestr(zipfile.ZipInfo("__main__.py", _MOMENT), _MAIN)


def main() -> None:
    """Guard what the settings file says, which is the first argument, until told to stop."""
    from gates.canary.haproxy.router import Router
    from gates.canary.stores.files import FileStore

    settings: dict[str, Any] = json.loads(Path(sys.argv[1]).read_bytes())
    folder = Path(settings["state"])
    guard = Guard(
        store=FileStore(folder=folder),
        valve=Router(**settings["router"]),
        said=lambda line: print(line, flush=True),  # noqa: T201  (a container's log)
    )
    number = 0
    while True:
        guard.watch()
        number += 1
        with suppress(OSError):
            (folder / "guard.alive").write_text(str(number))
        time.sleep(settings.get("every", 1.0))
