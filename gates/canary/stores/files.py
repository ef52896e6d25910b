"""A store in a folder of the target's own disk: the journal, the lease, and word to abort.

```
journal.jsonl      the latest rollout          lease.json   who holds it; its token only ever grows
earlier/NAME.jsonl those before                abort.json   somebody asked for an abort
alive-TOKEN.lock   held while the process lives that took the lease
state.lock         held while any of these is read and written
act.lock           held while something is done to the site
```

Locks are the kernel's (flock): they end with their process, however it ends. Standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, Final

from gates.atomic import write_atomic
from gates.canary import chain
from gates.canary.faults import Fenced, Locked
from gates.canary.site import Lease
from gates.errors import EnvironmentFault

MAX_JOURNAL: Final = 16 * 1024 * 1024
_POLL = 0.02
# The locks that say that this process lives, each with its open file.
_LIVES: dict[Path, int] = {}
_PATIENCE = 10.0


@dataclass(frozen=True, kw_only=True)
class FileStore:
    """Keeps a deployment's journal and lease in `folder`; `patience` is the wait for a lock, in s.

    The folder must be on a disk of the machine that everybody who writes runs on.
    """

    folder: Path
    patience: float = _PATIENCE

    def read(self) -> bytes:
        """Return the journal of the latest rollout; empty where there was none."""
        return self._bytes(self._journal)

    def earlier(self) -> Iterator[bytes]:
        """Yield the journals of the rollouts before, the newest first."""
        for path in sorted(self._earlier.glob("*.jsonl"), reverse=True):
            yield self._bytes(path)

    def begin(self, line: bytes, token: int) -> None:
        """Begin a journal with its first line, and put the one before away."""
        with self._lock("state"):
            self._mine(token)
            if self._journal.exists():
                number = sum(1 for _ in self._earlier.glob("*.jsonl")) + 1
                with self._disk(self._earlier):
                    self._earlier.mkdir(exist_ok=True)
                    self._journal.rename(self._earlier / f"{number:06}.jsonl")
            (self.folder / "abort.json").unlink(missing_ok=True)
            write_atomic(self._journal, line)

    def append(self, line: bytes, token: int) -> bool:
        """Add a line, durably; return False if it does not follow from the last one."""
        with self._lock("state"):
            self._mine(token)
            raw = self.read()
            whole = chain.follows(raw, line, str(self._journal))
            if whole is None:
                return False
            self._extend(len(whole) - len(line), line)
            return True

    def lease(self) -> Lease | None:
        """Return the lease as it stands; None where nobody holds the deployment."""
        with self._lock("state"):
            return self._held()

    def acquire(self, holder: str, ttl: float, *, over: int | None = None) -> Lease:
        """Take the deployment; raises Locked if somebody holds it who is not to be pushed aside."""
        with self._lock("state"):
            held = self._held()
            if held is not None and held.token != over:
                raise Locked(
                    f"another rollout holds this deployment: {held.holder}",
                    where=str(self.folder),
                    hint="See what it does with `model-gates canary status`; end it with "
                    "`model-gates canary abort`.",
                )
            lease = Lease(token=self._token() + 1, holder=holder, beat=0, ttl=ttl)
            self._write(lease)
            self._live(lease)
            return lease

    def orphaned(self, lease: Lease) -> bool:
        """Return whether the process that took this lease has ended, as the kernel knows."""
        try:
            handle = os.open(self._alive(lease), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life, with `lease.ttl` from now on."""
        with self._lock("state"):
            renewed = replace(lease, beat=self._mine(lease.token).beat + 1)
            self._write(renewed)
            return renewed

    def release(self, lease: Lease) -> None:
        """Let go; what is not ours any more stays."""
        with self._lock("state"):
            held = self._held()
            if held is not None and held.token == lease.token:
                self._write(replace(held, holder=""))
                self._let_die(lease)

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """Hold others off while something is done; raises Fenced when the lease is not ours."""
        with self._lock("act"):
            with self._lock("state"):
                self._mine(lease.token)
            yield

    def ask_abort(self, reason: str) -> None:
        """Leave word that whoever holds the rollout is to abort it."""
        with self._lock("state"):
            write_atomic(self.folder / "abort.json", json.dumps({"reason": reason}).encode())

    def asked_abort(self) -> str | None:
        """Return the reason of an abort that was asked for since the journal began."""
        raw = self._bytes(self.folder / "abort.json")
        if not raw:
            return None
        found = self._json(raw, "abort.json")
        return str(found.get("reason") or "no reason given")

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def _earlier(self) -> Path:
        return self.folder / "earlier"

    def _alive(self, lease: Lease) -> Path:
        return self.folder / f"alive-{lease.token}.lock"

    def _live(self, lease: Lease) -> None:
        """Hold a lock for as long as this process lives; without one, nobody knows of its end."""
        for old in self.folder.glob("alive-*.lock"):
            old.unlink(missing_ok=True)
        with suppress(OSError):
            handle = os.open(self._alive(lease), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _LIVES[self._alive(lease)] = handle

    def _let_die(self, lease: Lease) -> None:
        handle = _LIVES.pop(self._alive(lease), None)
        if handle is not None:
            os.close(handle)
        self._alive(lease).unlink(missing_ok=True)

    def _extend(self, keep: int, line: bytes) -> None:
        """Write a line behind the first `keep` bytes; leave the journal as it was if that fails."""
        if keep + len(line) > chain.room(line, MAX_JOURNAL):
            raise EnvironmentFault(
                f"the journal would have more than {MAX_JOURNAL:,} bytes",
                where=str(self._journal),
                hint="Abort this rollout, and start another.",
            )
        # Unbuffered: what a full disk refused is not to be tried again when the file is closed.
        with self._disk(self._journal), self._journal.open("r+b", buffering=0) as file:
            file.truncate(keep)
            file.seek(keep)
            try:
                _write_through(file, line)
            except OSError:
                file.truncate(keep)
                raise

    def _held(self) -> Lease | None:
        found = self._lease_file()
        return Lease(**found) if found and found["holder"] else None

    def _token(self) -> int:
        found = self._lease_file()
        return int(found["token"]) if found else 0

    def _mine(self, token: int) -> Lease:
        held = self._held()
        if held is None or held.token != token:
            by = f" by {held.holder}" if held else ""
            raise Fenced(
                f"this rollout was taken over{by}: nothing more is done from here",
                where=str(self.folder),
                hint="See where it stands with `model-gates canary status`.",
            )
        return held

    def _lease_file(self) -> dict[str, Any]:
        raw = self._bytes(self.folder / "lease.json")
        return self._json(raw, "lease.json") if raw else {}

    def _write(self, lease: Lease) -> None:
        write_atomic(self.folder / "lease.json", json.dumps(asdict(lease)).encode())

    def _json(self, raw: bytes, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads(raw))
        except (ValueError, TypeError) as error:
            raise EnvironmentFault(
                "this file is not as it was written",
                where=str(self.folder / name),
                hint="Look at both sides by hand, then remove it.",
            ) from error

    def _bytes(self, path: Path) -> bytes:
        with self._disk(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return b""

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        path = self.folder / f"{name}.lock"
        with self._disk(path):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._wait_for(handle, path)
            yield
        finally:
            os.close(handle)

    def _wait_for(self, handle: int, path: Path) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EnvironmentFault(
                        f"another process has not let go of this for {self.patience:g} s",
                        where=str(path),
                        hint="See with `fuser` who holds it open.",
                    ) from None
                time.sleep(_POLL)
            else:
                return

    @contextmanager
    def _disk(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentFault(
                f"cannot keep the rollout's state: {error.strerror or error}",
                where=str(path),
                hint="Check that the folder is there, can be written to, and has free space.",
            ) from error


def _write_through(file: FileIO, line: bytes) -> None:
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())
