"""A store in the cluster: the lease in a Lease, the journal in a ConfigMap.

```
Lease      NAME               who holds the deployment; leaseTransitions is the fencing token
ConfigMap  NAME-journal       the latest rollout, and word to abort it
ConfigMap  NAME-journal-N     those before, for as long as there are not too many
```

Both change only as they were read: an object is replaced if its resourceVersion still is the same.
Who takes the lease over leaves its token in the journal, too: from then on a line of the one before
is refused, even if that one had looked at the lease a moment earlier. What a cluster has not is a
lock that ends with its process: `fenced` marks the lease, and the mark of another is taken for dead
after `patience` seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from gates.canary import chain
from gates.canary.faults import Fenced, Locked
from gates.canary.site import Lease
from gates.canary.targets.kubernetes.cluster import (
    CONFIG_MAP,
    LEASE,
    Cluster,
    Object,
    annotated,
    annotation,
)
from gates.canary.targets.kubernetes.lease import (
    created,
    lease_of,
    marked,
    number_of,
    renewed,
    taken_over,
    token_of,
)
from gates.errors import EnvironmentFault, InputError
from gates.fields import bounded

# A ConfigMap takes 1 MiB, its metadata not counted; what is beyond is refused before it is sent.
MAX_JOURNAL: Final = 1024 * 1024 - 64 * 1024
_KEPT: Final = 20
_TRIES: Final = 8
_PAUSE: Final = 0.05
_TOKEN: Final = "model-gates.io/token"  # noqa: S105  (the fencing token)
_ACTING: Final = "model-gates.io/acting"
_BEGUN: Final = "model-gates.io/begun"
_OF: Final = "model-gates.io/journal-of"
_REASON: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesStore:
    """Keeps a deployment's journal and lease in a namespace, under a name.

    `patience` is how long the mark of another is respected, in s: longer than any request takes.
    """

    cluster: Cluster
    name: str
    patience: float = 15.0

    def read(self) -> bytes:
        """Return the journal of the latest rollout; empty where there was none."""
        found = self.cluster.find(CONFIG_MAP, self._journal)
        return _lines(found) if found else b""

    def earlier(self) -> Iterator[bytes]:
        """Yield the journals of the rollouts before, the newest first."""
        for found in self._earlier():
            yield _lines(found)

    def begin(self, line: bytes, token: int) -> None:
        """Begin a journal with its first line, and put the one before away."""
        for _ in self._tries():
            self._mine(self._lease(), token)
            found = self.cluster.find(CONFIG_MAP, self._journal)
            if found is None:
                fields = _first(line, token)
                if self.cluster.create(CONFIG_MAP, self._journal, fields) is not None:
                    return
                continue
            self._not_later(found, token)
            if _lines(found) == line:
                return  # ours already: it was the answer that got lost
            number = int(number_of(found, _BEGUN)) + 1
            if _lines(found):
                self._put_away(found, number)
            operations = [
                *annotated(found, _TOKEN, str(token)),
                {"op": "add", "path": "/metadata/annotations/model-gates.io~1begun"}
                | {"value": str(number)},
                {"op": "add", "path": "/data", "value": {"journal": line.decode("ascii")}},
            ]
            if self.cluster.swap(CONFIG_MAP, found, operations) is not None:
                self._prune()
                return

    def append(self, line: bytes, token: int) -> bool:
        """Add a line, durably; return False if it does not follow from the last one."""
        for _ in self._tries():
            self._mine(self._lease(), token)
            found = self.cluster.get(CONFIG_MAP, self._journal)
            self._not_later(found, token)
            raw = _lines(found)
            if line in raw.splitlines(keepends=True):
                return True  # ours already: it was the answer that got lost
            whole = chain.follows(raw, line, self._where)
            if whole is None:
                return False
            self._fits(len(whole), line)
            added = {"op": "add", "path": "/data/journal", "value": whole.decode("ascii")}
            operations = [added, *self._claimed(found, token)]
            if self.cluster.swap(CONFIG_MAP, found, operations) is not None:
                return True
        return False

    def lease(self) -> Lease | None:
        """Return the lease as it stands; None where nobody holds the deployment."""
        found = self.cluster.find(LEASE, self.name)
        return lease_of(found) if found else None

    def acquire(self, holder: str, ttl: float, *, over: int | None = None) -> Lease:
        """Take the deployment; raises Locked if somebody holds it who is not to be pushed aside."""
        for _ in self._tries():
            found = self.cluster.find(LEASE, self.name)
            if found is None:
                lease = Lease(token=1, holder=bounded(holder, 200), beat=0, ttl=ttl)
                taken = self.cluster.create(LEASE, self.name, created(lease))
            else:
                self._free(found, over)
                token = token_of(found) + 1
                lease = Lease(token=token, holder=bounded(holder, 200), beat=0, ttl=ttl)
                taken = self.cluster.swap(LEASE, found, taken_over(found, lease))
            if taken is not None:
                return self._stamped(lease)
        raise self._contended()

    def orphaned(self, _lease: Lease) -> bool:
        """Return that nobody knows: a process elsewhere ends unseen."""
        return False

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life, with `lease.ttl` from now on."""

        def decide(found: Object) -> list[dict[str, Any]]:
            beat = self._mine(found, lease.token).beat + 1
            return renewed(found, replace(lease, beat=beat))

        return self._mine(self._changed(decide), lease.token)

    def release(self, lease: Lease) -> None:
        """Let go; what is not ours any more stays."""

        def decide(found: Object) -> list[dict[str, Any]]:
            held = lease_of(found)
            ours = held is not None and held.token == lease.token
            # Taken away rather than emptied: the API takes no empty name of a holder.
            gone = {"op": "remove", "path": "/spec/holderIdentity"}
            return [gone, *annotated(found, _ACTING, None)] if ours else []

        with suppress(InputError):
            self.cluster.change(LEASE, self.name, decide)

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """Hold others off while something is done; raises Fenced when the lease is not ours."""
        mark = f"{lease.token} {uuid.uuid4().hex}"
        self._enter(lease, mark)
        try:
            yield
        finally:
            # A mark that stays costs the next one its patience, and nothing else.
            with suppress(EnvironmentFault, InputError):
                self.cluster.change(
                    LEASE,
                    self.name,
                    lambda found: (
                        annotated(found, _ACTING, None)
                        if annotation(found, _ACTING) == mark
                        else []
                    ),
                )

    def ask_abort(self, reason: str) -> None:
        """Leave word that whoever holds the rollout is to abort it."""
        said = {"op": "add", "path": "/data/abort", "value": bounded(reason, _REASON)}
        self.cluster.change(CONFIG_MAP, self._journal, lambda _: [said])

    def asked_abort(self) -> str | None:
        """Return the reason of an abort that was asked for since the journal began."""
        found = self.cluster.find(CONFIG_MAP, self._journal)
        reason = ((found or {}).get("data") or {}).get("abort")
        return None if reason is None else str(reason) or "no reason given"

    @property
    def _journal(self) -> str:
        return f"{self.name}-journal"

    @property
    def _where(self) -> str:
        return self.cluster.where(CONFIG_MAP, self._journal)

    def _tries(self) -> Iterator[int]:
        """Yield a few times; raises EnvironmentFault when others were faster every time."""
        for attempt in range(_TRIES):
            yield attempt
            time.sleep(_PAUSE * 2**attempt)
        raise self._contended()

    def _lease(self) -> Object:
        found = self.cluster.find(LEASE, self.name)
        if found is None:
            raise self._fenced(None)
        return found

    def _changed(self, decide: Callable[[Object], list[dict[str, Any]]]) -> Object:
        try:
            return self.cluster.change(LEASE, self.name, decide)
        except InputError:
            raise self._fenced(None) from None

    def _mine(self, found: Object, token: int) -> Lease:
        held = lease_of(found)
        if held is None or held.token != token:
            raise self._fenced(held)
        return held

    def _not_later(self, found: Object, token: int) -> None:
        """Raise Fenced where a later holder has left its token in the journal."""
        if number_of(found, _TOKEN) > token:
            raise self._fenced(self.lease())

    def _free(self, found: Object, over: int | None) -> None:
        held = lease_of(found)
        if held is not None and held.token != over:
            raise Locked(
                f"another rollout holds this deployment: {bounded(held.holder, 200)}",
                where=self.cluster.where(LEASE, self.name),
                hint="See what it does with `model-gates canary status`; end it with "
                "`model-gates canary abort`.",
            )

    def _stamped(self, lease: Lease) -> Lease:
        """Shut the journal to whoever held the lease before.

        Where that fails the lease stays taken: a deployment that nobody holds is one that no guard
        watches, and this one will be taken over when no sign of life follows.
        """
        if self.cluster.find(CONFIG_MAP, self._journal) is not None:
            self.cluster.change(
                CONFIG_MAP, self._journal, lambda found: self._claimed(found, lease.token)
            )
        return lease

    def _claimed(self, found: Object, token: int) -> list[dict[str, Any]]:
        later = number_of(found, _TOKEN) < token
        return annotated(found, _TOKEN, str(token)) if later else []

    def _enter(self, lease: Lease, mark: str) -> None:
        seen, since = "", time.monotonic()

        def decide(found: Object) -> list[dict[str, Any]]:
            nonlocal seen, since
            self._mine(found, lease.token)
            other = annotation(found, _ACTING) or ""
            if other != seen:
                seen, since = other, time.monotonic()
            ours = not other or other.partition(" ")[0] == str(lease.token)
            if ours or time.monotonic() - since > self.patience:
                return marked(found, {_ACTING: mark})
            return []

        while annotation(self._changed(decide), _ACTING) != mark:
            time.sleep(_PAUSE)

    def _put_away(self, found: Object, number: int) -> None:
        name = f"{self._journal}-{number:06}"
        data = {"journal": _lines(found).decode("ascii")}
        fields = {"metadata": {"labels": {_OF: self.name}}, "data": data}
        if self.cluster.create(CONFIG_MAP, name, fields) is None:
            # From a try that ended half-way, after which a line may have been added.
            there = {"op": "add", "path": "/data", "value": data}
            self.cluster.change(CONFIG_MAP, name, lambda _: [there])

    def _earlier(self) -> list[Object]:
        found = self.cluster.select(CONFIG_MAP, {_OF: self.name})
        return sorted(found, key=lambda one: str(one["metadata"]["name"]), reverse=True)

    def _prune(self) -> None:
        # Housekeeping: what fails now is done after the next rollout.
        with suppress(EnvironmentFault):
            for found in self._earlier()[_KEPT:]:
                self.cluster.remove(CONFIG_MAP, found["metadata"]["name"])

    def _fits(self, size: int, line: bytes) -> None:
        if size > chain.room(line, MAX_JOURNAL):
            raise EnvironmentFault(
                f"the journal would have more than {MAX_JOURNAL:,} bytes",
                where=self._where,
                hint="Abort this rollout, and start another.",
            )

    def _fenced(self, held: Lease | None) -> Fenced:
        by = f" by {bounded(held.holder, 200)}" if held else ""
        return Fenced(
            f"this rollout was taken over{by}: nothing more is done from here",
            where=self.cluster.where(LEASE, self.name),
            hint="See where it stands with `model-gates canary status`.",
        )

    def _contended(self) -> EnvironmentFault:
        return EnvironmentFault(
            "others changed the rollout's state each time that we were about to",
            where=self.cluster.where(LEASE, self.name),
            hint="Try again.",
        )


def _lines(found: Object) -> bytes:
    return str((found.get("data") or {}).get("journal") or "").encode()


def _first(line: bytes, token: int) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {_TOKEN: str(token), _BEGUN: "0"}},
        "data": {"journal": line.decode("ascii")},
    }
