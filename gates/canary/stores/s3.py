"""A store in one object of S3: journal and lease together, changed only by compare-and-swap.

```
PREFIX/DEPLOYMENT/state            a line of JSON (who holds it, token, beat), then the journal
PREFIX/DEPLOYMENT/earlier/N.jsonl  the journals of the rollouts before
```

S3 is consistent: what was written is what the next one reads. A write with `If-Match` is refused
(412, or 409 while another is under way) if the object is another by then, and `If-None-Match: *` if
there is one. So of many that try at once one wins, and since token and journal are one object, who
was pushed aside can not add a line. Each write carries a mark of its own: an answer that got lost,
and a repetition by the client, are told from another's write.

What S3 has not is a lock that ends with its process. `fenced` marks the object, waits for the mark
of another for `patience` seconds, and then takes that one for dead.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from gates.canary import chain
from gates.canary.aws import calling, code_of
from gates.canary.faults import Fenced, Locked
from gates.canary.site import Lease
from gates.errors import EnvironmentFault

MAX_JOURNAL: Final = 4 * 1024 * 1024
_TRIES = 20
_PAUSE = 0.05
_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_GONE = frozenset({"NoSuchKey", "404"})


@dataclass(frozen=True, kw_only=True)
class State:
    """The object's content. `holder` is empty where nobody holds the deployment.

    `acting` is the token of who does something to the site just now, 0 for nobody; `begun` counts
    rollouts; `claim` is the mark of the acquisition, `write` that of the latest write.
    """

    token: int = 0
    holder: str = ""
    beat: int = 0
    ttl: float = 0.0
    acting: int = 0
    abort: str | None = None
    begun: int = 0
    claim: str = ""
    write: str = ""
    journal: bytes = b""

    @property
    def lease(self) -> Lease | None:
        """Return the lease, None where nobody holds it."""
        if not self.holder:
            return None
        return Lease(token=self.token, holder=self.holder, beat=self.beat, ttl=self.ttl)


@dataclass(frozen=True, kw_only=True)
class S3Store:
    """Keeps a deployment's journal and lease under `folder` (no slash at its end) of a bucket."""

    client: Any
    bucket: str
    folder: str
    patience: float = 10.0

    def read(self) -> bytes:
        """Return the journal of the latest rollout; empty where there was none."""
        return self._state()[0].journal

    def earlier(self) -> Iterator[bytes]:
        """Yield the journals of the rollouts before, the newest first."""
        for number in range(self._state()[0].begun - 1, 0, -1):
            raw = self._bytes(self._earlier(number))
            if raw is not None:
                yield raw[0]

    def begin(self, line: bytes, token: int) -> None:
        """Begin a journal with its first line, and put the one before away."""

        def decide(state: State) -> State | None:
            self._mine(state, token)
            if state.journal == line:
                return None
            if state.journal:
                self._keep(state)
            return replace(state, journal=line, begun=state.begun + 1, abort=None)

        self._change(decide)

    def append(self, line: bytes, token: int) -> bool:
        """Add a line; return False if it does not follow from the last one."""
        added = True

        def decide(state: State) -> State | None:
            nonlocal added
            self._mine(state, token)
            added = True
            if line in state.journal.splitlines(keepends=True):
                return None  # ours already: it was the answer that got lost
            whole = chain.follows(state.journal, line, self._where)
            if whole is None:
                added = False
                return None
            return replace(state, journal=self._bounded(whole, line))

        self._change(decide)
        return added

    def lease(self) -> Lease | None:
        """Return the lease as it stands; None where nobody holds the deployment."""
        return self._state()[0].lease

    def acquire(self, holder: str, ttl: float, *, over: int | None = None) -> Lease:
        """Take the deployment; raises Locked if somebody holds it who is not to be pushed aside."""
        claim = uuid.uuid4().hex

        def decide(state: State) -> State | None:
            if state.claim == claim:
                return None
            if state.holder and state.token != over:
                raise self._locked(state)
            return replace(
                state, token=state.token + 1, holder=holder, beat=0, ttl=ttl, claim=claim
            )

        taken = self._change(decide)
        self._prove()
        return Lease(token=taken.token, holder=holder, beat=taken.beat, ttl=ttl)

    def orphaned(self, _lease: Lease) -> bool:
        """Return that nobody knows: a process elsewhere ends unseen."""
        return False

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life, with `lease.ttl` from now on."""

        def decide(state: State) -> State:
            held = self._mine(state, lease.token)
            return replace(state, beat=held.beat + 1, ttl=lease.ttl)

        return replace(lease, beat=self._change(decide).beat)

    def release(self, lease: Lease) -> None:
        """Let go; what is not ours any more stays."""

        def decide(state: State) -> State | None:
            ours = state.holder and state.token == lease.token
            return replace(state, holder="", acting=0) if ours else None

        self._change(decide)

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """Hold others off while something is done; raises Fenced when the lease is not ours."""
        self._enter(lease.token)
        try:
            yield
        finally:
            self._change(lambda state: self._left(state, lease.token))

    def ask_abort(self, reason: str) -> None:
        """Leave word that whoever holds the rollout is to abort it."""
        self._change(lambda state: replace(state, abort=reason or "no reason given"))

    def asked_abort(self) -> str | None:
        """Return the reason of an abort that was asked for since the journal began."""
        return self._state()[0].abort

    @property
    def _key(self) -> str:
        return f"{self.folder}/state"

    @property
    def _where(self) -> str:
        return f"s3://{self.bucket}/{self._key}"

    def _earlier(self, number: int) -> str:
        return f"{self.folder}/earlier/{number:06}.jsonl"

    def _enter(self, token: int) -> None:
        deadline = time.monotonic() + self.patience
        waited = False
        while True:
            late = time.monotonic() > deadline

            def decide(state: State, *, late: bool = late) -> State | None:
                self._mine(state, token)
                free = state.acting in (0, token)
                return replace(state, acting=token) if free or late else None

            if self._change(decide).acting == token:
                return
            # The first look is soon after: most acts take less than a second.
            time.sleep(_PAUSE if not waited else min(1.0, self.patience / 10))
            waited = True

    @staticmethod
    def _left(state: State, token: int) -> State | None:
        return replace(state, acting=0) if state.acting == token else None

    def _mine(self, state: State, token: int) -> Lease:
        held = state.lease
        if held is None or held.token != token:
            by = f" by {held.holder}" if held else ""
            raise Fenced(
                f"this rollout was taken over{by}: nothing more is done from here",
                where=self._where,
                hint="See where it stands with `model-gates canary status`.",
            )
        return held

    def _locked(self, state: State) -> Locked:
        return Locked(
            f"another rollout holds this deployment: {state.holder}",
            where=self._where,
            hint="See what it does with `model-gates canary status`; end it with "
            "`model-gates canary abort`.",
        )

    def _bounded(self, journal: bytes, line: bytes) -> bytes:
        if len(journal) > chain.room(line, MAX_JOURNAL):
            raise EnvironmentFault(
                f"the journal would have more than {MAX_JOURNAL:,} bytes",
                where=self._where,
                hint="Abort this rollout, and start another.",
            )
        return journal

    def _change(self, decide: Callable[[State], State | None]) -> State:
        """Put what `decide` makes of the state in its place, if it is still the same by then.

        `decide` is asked again whenever another was faster; None from it changes nothing.
        """
        mark = uuid.uuid4().hex
        for number in range(_TRIES):
            state, tag = self._state()
            if state.write == mark:
                return state
            wanted = decide(state)
            if wanted is None:
                return state
            wanted = replace(wanted, write=mark)
            if self._swap(self._key, _raw(wanted), tag):
                return wanted
            time.sleep(_PAUSE * min(number, 10))
        raise EnvironmentFault(
            f"others were faster {_TRIES} times: nothing was written",
            where=self._where,
            hint="See who writes there all the time.",
        )

    def _state(self) -> tuple[State, str | None]:
        found = self._bytes(self._key)
        if found is None:
            return State(), None
        header, _, journal = found[0].partition(b"\n")
        try:
            return State(**json.loads(header), journal=journal), found[1]
        except (ValueError, TypeError) as error:
            raise EnvironmentFault(
                "this object is not as it was written",
                where=self._where,
                hint="Look at both sides by hand, then move it away.",
            ) from error

    def _bytes(self, key: str) -> tuple[bytes, str] | None:
        """Return an object and its entity tag; None where there is none."""
        from botocore.exceptions import ClientError

        with calling(f"s3://{self.bucket}/{key}", "read the rollout's state"):
            try:
                found = self.client.get_object(Bucket=self.bucket, Key=key)
                return found["Body"].read(), str(found["ETag"])
            except ClientError as error:
                if code_of(error) in _GONE:
                    return None
                raise

    def _swap(self, key: str, raw: bytes, tag: str | None) -> bool:
        """Write an object if it is still the one with this tag; None means that there is none."""
        from botocore.exceptions import ClientError

        condition = {"IfNoneMatch": "*"} if tag is None else {"IfMatch": tag}
        with calling(f"s3://{self.bucket}/{key}", "write the rollout's state"):
            try:
                self.client.put_object(Bucket=self.bucket, Key=key, Body=raw, **condition)
            except ClientError as error:
                if code_of(error) in _LOST | _GONE:
                    return False
                raise
            return True

    def _keep(self, state: State) -> None:
        # Refused where it is there already: a crash came between this and the new journal.
        self._swap(self._earlier(state.begun), state.journal, None)

    def _prove(self) -> None:
        """Raise unless conditions are really held to: some stores that speak S3 ignore them."""
        probe = f"{self.folder}/probe"
        self._swap(probe, b"written to be refused\n", None)
        for tag in (None, '"00000000000000000000000000000000"'):
            if self._swap(probe, b"written to be refused\n", tag):
                raise EnvironmentFault(
                    "this store ignores the conditions of a write: it can not keep a lock",
                    where=f"s3://{self.bucket}/{probe}",
                    hint="Use a bucket of Amazon S3, or a store with conditional writes.",
                )


def _raw(state: State) -> bytes:
    header = {name: value for name, value in vars(state).items() if name != "journal"}
    return json.dumps(header).encode() + b"\n" + state.journal
