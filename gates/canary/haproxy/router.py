"""The valve: an HAProxy with two servers in one backend, moved over its run-time socket.

A weight of 0 is not the end of requests: whoever has a cookie for a server is sent there all the
same, and while it drains, too (measured with 2.6). Only `maint` ends them. And what is set here is
forgotten when HAProxy reloads, so its file has to have the canary shut (`haproxy_config`).

Standard library only: the guard has this, and nothing else, to close the valve with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gates.canary.counters import Counters
from gates.canary.haproxy.counts import counters, stat_rows
from gates.canary.haproxy.socket import ask, order
from gates.canary.sight import Health, Seen, Side, Sight
from gates.errors import EnvironmentFault

MOST_WEIGHT: Final = 256
# HAProxy's management guide, "show servers state": bits of srv_admin_state.
_MAINT: Final = 0x01 | 0x02 | 0x20 | 0x40
_DRAIN: Final = 0x08 | 0x10
_STOPPED: Final = "0"
_MISSED: Final = "2"
_PASSED: Final = ("3", "4")
_POLL: Final = 0.02


class Admin(StrEnum):
    """What a person or a program decided for a server, whatever its checks say."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One server as HAProxy has it.

    `up` is what its checks say; in `maint`, where there are none, what the last of them said.
    `missed` tells that the last one failed, and was not yet the one too many.
    """

    weight: int
    admin: Admin
    up: bool
    missed: bool = False

    @property
    def open(self) -> bool:
        """Return whether it takes part in the sharing out of new requests."""
        return self.admin is Admin.READY and self.weight > 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Lanes:
    """Both servers, seen at one time."""

    stable: Lane
    canary: Lane

    def share(self, side: Side) -> float:
        """Return the part of new requests that a side was given, from 0 to 1.

        What the checks say is left out: a server that fails one has not been given another share.
        """
        stable = self.stable.weight if self.stable.open else 0
        canary = self.canary.weight if self.canary.open else 0
        mine = stable if side is Side.STABLE else canary
        return mine / (stable + canary) if mine else 0.0


@dataclass(frozen=True, kw_only=True)
class Router:
    """A backend and its two servers; `timeout` is of each command, `patience` of a check (s)."""

    socket: str
    backend: str
    stable: str = "stable"
    canary: str = "canary"
    timeout: float = 2.0
    patience: float = 5.0

    def lanes(self) -> Lanes:
        """Return both servers as they are; raises EnvironmentFault if one is not there."""
        rows = _rows(ask(self.socket, f"show servers state {self.backend}", self.timeout))
        found = {row.get("srv_name", ""): row for row in rows}
        missing = [name for name in (self.stable, self.canary) if name not in found]
        if missing:
            raise EnvironmentFault(
                f"HAProxy's backend `{self.backend}` has no server `{missing[0]}`",
                where=self.socket,
                hint="`model-gates canary haproxy-config` prints a configuration that has both.",
            )
        return Lanes(stable=_lane(found[self.stable]), canary=_lane(found[self.canary]))

    def look(self) -> Sight:
        """Return what the router knows: not which bytes answer, but whether they are sent any."""
        lanes = self.lanes()
        return Sight(
            stable=_seen(lanes.stable, lanes.share(Side.STABLE)),
            canary=_seen(lanes.canary, lanes.share(Side.CANARY)),
        )

    def counters(self) -> Counters:
        """Return both sides' counts since HAProxy's worker began."""
        return counters(self.socket, self.backend, (self.stable, self.canary), self.timeout)

    def ensure_share(self, percent: int) -> None:
        """Send this part of new requests to the canary, once both sides are up by their checks.

        At 0 it is shut. Two weights that add up to 100 make every whole per cent exact.
        """
        if percent == 0:
            self.ensure_out()
            return
        lanes = self.lanes()
        if percent < 100:
            self._have(lanes.stable, self.stable, Side.STABLE)
        self._have(lanes.canary, self.canary, Side.CANARY)
        self._weigh(self.canary, percent)
        self._weigh(self.stable, 100 - percent)

    def ensure_out(self) -> None:
        """Send everything to the stable side, users with a cookie for the canary included.

        Raises EnvironmentFault where the stable side is not up; the canary is left open then if it
        is: better that than nothing.
        """
        lanes = self.lanes()
        try:
            self._have(lanes.stable, self.stable, Side.STABLE)
        except EnvironmentFault:
            if not (lanes.canary.up and lanes.canary.admin is not Admin.MAINT):
                self._weigh(self.stable, 100)
                self._shut()
            raise
        self._weigh(self.stable, 100)
        self._shut()

    def set_aside(self) -> None:
        """Send nobody to the stable side any more; refused unless the canary has everything."""
        lanes = self.lanes()
        if lanes.share(Side.CANARY) != 1.0 or not lanes.canary.up:
            raise EnvironmentFault(
                "the canary does not carry all of the traffic, so the stable side stays",
                where=self.socket,
                hint="See where the rollout stands with `model-gates canary status`.",
            )
        self._order(self.stable, "state maint")
        self._wait(lambda: self._busy() == 0)

    def bring_back(self) -> None:
        """Have the stable side checked again, without giving it a part of new requests."""
        if self.lanes().stable.admin is not Admin.READY:
            self._weigh(self.stable, 0)
            self._order(self.stable, "state ready")

    def _shut(self) -> None:
        self._weigh(self.canary, 0)
        self._order(self.canary, "state maint")

    def _have(self, lane: Lane, server: str, side: Side) -> None:
        """Have a server open to traffic; raises EnvironmentFault if its checks fail."""
        if lane.admin is not Admin.READY:
            self._open(server, side)
        elif not lane.up or not (lane.missed or self._stays_up(server)):
            raise self._down(side)

    def _stays_up(self, server: str) -> bool:
        """Return whether a server is up that counts as up: opened just now, it was not checked."""
        self._wait(lambda: self._checked(server) is not None)
        return self._checked(server) is not False

    def _open(self, server: str, side: Side) -> None:
        """Take a server out of `maint`, and wait for a check: until then, it counts as up."""
        self._weigh(server, 0)
        self._order(server, "state ready")
        if not self._wait(lambda: self._checked(server) is not None) or not self._checked(server):
            if side is Side.CANARY:
                self._shut()
            raise self._down(side)

    def _checked(self, server: str) -> bool | None:
        """Return what the checks say by now; None while the first one is under way."""
        row = self._stat(server)
        status = row.get("status", "")
        if status.startswith("UP "):
            return None
        return status in ("UP", "DRAIN", "no check")

    def _busy(self) -> int:
        return int(self._stat(self.stable).get("scur") or 0)

    def _stat(self, server: str) -> dict[str, str]:
        text = ask(self.socket, "show stat -1 4 -1", self.timeout)
        for row in stat_rows(text):
            if (row["pxname"], row["svname"]) == (self.backend, server):
                return row
        return {}

    def _wait(self, done: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + self.patience
        while not done():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL)
        return True

    def _weigh(self, server: str, weight: int) -> None:
        self._order(server, f"weight {weight}")

    def _order(self, server: str, what: str) -> None:
        order(self.socket, f"set server {self.backend}/{server} {what}", self.timeout)

    def _down(self, side: Side) -> EnvironmentFault:
        return EnvironmentFault(
            f"HAProxy's checks of the {side.value} side fail, so it gets no traffic",
            where=f"{self.backend}/{self.stable if side is Side.STABLE else self.canary}",
            hint="Ask it for its health by hand, and look at its log.",
        )


def _rows(text: str) -> list[dict[str, str]]:
    """Return the table that `show servers state` prints: a version, a head line, the rows."""
    lines = [line for line in text.splitlines() if line.strip()]
    head = next((line[1:].split() for line in lines if line.startswith("#")), [])
    return [dict(zip(head, line.split(), strict=False)) for line in lines if len(line.split()) > 1]


def _lane(row: dict[str, str]) -> Lane:
    try:
        bits, weight = int(row["srv_admin_state"]), int(row["srv_uweight"])
        stopped, result = row["srv_op_state"] == _STOPPED, row["srv_check_result"]
    except (KeyError, ValueError) as error:
        raise EnvironmentFault(
            "HAProxy describes its servers in a way that is not known here",
            hint="Versions from 2.4 on are understood.",
        ) from error
    admin = Admin.MAINT if bits & _MAINT else Admin.DRAIN if bits & _DRAIN else Admin.READY
    up = result in _PASSED if admin is Admin.MAINT else not stopped
    return Lane(weight=weight, admin=admin, up=up, missed=up and result == _MISSED)


def _seen(lane: Lane, share: float) -> Seen:
    reachable = lane.admin is not Admin.MAINT
    down = Health.FAILING if reachable else Health.STARTING
    return Seen(
        digest=None,
        health=Health.READY if lane.up else down,
        share=share,
        reachable=reachable,
        reason="" if lane.up else "HAProxy's checks fail" if reachable else "not checked in maint",
    )
