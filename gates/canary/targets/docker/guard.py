"""The guard of a Docker host: a container that has the journal and the valve, and nothing else.

It has no network, no capability and a file system that it cannot write to. It comes back when the
machine does, and it outlives the runner: that is what it is for.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gates.atomic import write_atomic
from gates.canary import guard
from gates.canary.haproxy.router import Router
from gates.canary.sight import Pinned
from gates.canary.targets.docker.crew import Names, Role
from gates.canary.targets.docker.engine import Container, Engine
from gates.canary.targets.docker.run import labels
from gates.errors import EnvironmentFault

_HOME: Final = "/model-gates"
_COMMAND: Final = ["python3", "-I", f"{_HOME}/guard.pyz", f"{_HOME}/guard.json"]
_PATIENCE: Final = 20.0
_POLL: Final = 0.05
_MEMORY: Final = 256 << 20


@dataclass(frozen=True, kw_only=True)
class GuardHouse:
    """Where a guard stands: what it watches, what it closes, and whose Python it runs with."""

    engine: Engine
    names: Names
    state: Path
    router: Router

    def ensure(self, present: Container | None, image: Callable[[], Pinned]) -> None:
        """Have the guard run, and see it move; raises EnvironmentFault where it does not."""
        fingerprint = self._write()
        if present is not None and not _as_new(present, fingerprint):
            self.engine.remove(present)
            present = None
        before = self._sign()
        one = present or self._create(image(), fingerprint)
        if one.status == "created":
            self._try_to_start(one)
        self._see_it_move(one, before)

    def remove(self, present: Container | None) -> None:
        """Have no guard."""
        if present is not None:
            self.engine.remove(present)

    def _write(self) -> str:
        """Write what the guard is made of, and return what changes with it."""
        folder = self.state / "guard"
        folder.mkdir(parents=True, exist_ok=True)
        settings = json.dumps({"state": str(self.state), "router": asdict(self.router)})
        packed = folder / "guard.pyz"
        fresh = folder / f".guard.{os.getpid()}"
        guard.pack(fresh)
        content = fresh.read_bytes()
        fresh.unlink()
        write_atomic(packed, content)
        write_atomic(folder / "guard.json", settings.encode())
        return hashlib.sha256(content + settings.encode()).hexdigest()[:12]

    def _create(self, pinned: Pinned, fingerprint: str) -> Container:
        spec: dict[str, Any] = {
            "labels": labels(self.names.deployment, Role.GUARD, pinned, options=fingerprint),
            "entrypoint": _COMMAND,
            # As us: what we may open of HAProxy and the journal, it may open.
            "user": f"{os.getuid()}:{os.getgid()}",
            "healthcheck": {"test": ["NONE"]},
        }
        name = self.names.of(Role.GUARD)
        return self.engine.create(name, pinned.digest, self._host(), **spec)

    def _host(self) -> dict[str, Any]:
        # The folder, not the socket: HAProxy puts a new socket in its place when it reloads.
        sockets = Path(self.router.socket).parent
        binds = {
            str(sockets): {"bind": str(sockets), "mode": "ro"},
            str(self.state): {"bind": str(self.state), "mode": "rw"},
            str(self.state / "guard"): {"bind": _HOME, "mode": "ro"},
        }
        return {
            "binds": binds,
            "network_mode": "none",
            "restart_policy": {"Name": "unless-stopped"},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "group_add": [str(group) for group in os.getgroups()],
            "read_only": True,
            "mem_limit": _MEMORY,
            "pids_limit": 16,
            "init": True,
        }

    def _try_to_start(self, one: Container) -> None:
        try:
            self.engine.start(one)
        except EnvironmentFault as error:
            self.engine.remove(one)
            raise EnvironmentFault(
                f"the guard cannot be started: {error.message}",
                where=one.name,
                hint=_HINT,
            ) from error

    def _sign(self) -> bytes:
        try:
            return (self.state / "guard.alive").read_bytes()
        except OSError:
            return b""

    def _see_it_move(self, one: Container, before: bytes) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self._sign() in (before, b""):
            now = self.engine.container(one.id)
            ended = now is None or now.restarts > 0 or not now.running
            if ended or time.monotonic() > deadline:
                # It would be started again for ever; its log stays.
                self.engine.stop(one, 1)
                code = "" if now is None or not ended else f" (exit code {now.exit_code})"
                raise EnvironmentFault(
                    f"the guard shows no sign of life{code}",
                    where=f"docker logs {one.name}",
                    hint=_HINT,
                )
            time.sleep(_POLL)


def _as_new(present: Container, fingerprint: str) -> bool:
    """Return whether a guard is the one that is wanted, and was never started again.

    An engine waits longer and longer before it starts again what ended: such a one is made anew.
    """
    moves = present.status == "created" or (present.running and not present.restarts)
    return moves and present.labels.get("options") == fingerprint


_HINT: Final = (
    "It needs an image with Python 3.11 or newer as `python3`: name one with `guard_image`. "
    "Without a guard, nothing rolls back once this command is gone."
)
