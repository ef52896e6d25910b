"""Start a program: the one place where that happens.

It gets no secret, no shell and no more time than it was given, and nothing of its process group
outlives the call (POSIX). `run` is for programs we trust, such as git; a user's command is shut in
further, by `gates.cage`.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from gates.errors import EnvironmentFault
from gates.fields import bounded

MAX_OUTPUT = 1024 * 1024

# An allow-list, because nobody knows the name of the next secret. Proxies are not on it: their
# addresses often hold a password.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "VIRTUAL_ENV", "SYSTEMROOT"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("TMPDIR", "TEMP", "TMP"),
)

_POLL_SECONDS = 0.05
# As much as a pipe can hold, so that one read takes all that a program left in it.
_PIPE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Start:
    """What to start, where, and all of the environment that it sees.

    `feed` is its standard input, no more than a pipe holds; `fds` are left open in it; `patience`
    is how many seconds it has to end when asked to, before it is made to.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    feed: bytes = b""
    fds: tuple[int, ...] = ()
    patience: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that ended: its exit code (−n when signal n ended it) and what it printed."""

    returncode: int
    output: str
    in_time: bool = True


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    keep: tuple[str, ...] = (),
) -> Finished:
    """Run a program in `cwd` to its end; return its exit code and output, whatever they are.

    `timeout` is in seconds. The program sees `PASSED_ON` and the variables named in `keep` of our
    environment, and `env`. Its standard error goes where its standard output goes; of more than
    `MAX_OUTPUT` bytes the last are kept. Raises EnvironmentFault for a program that can not be
    started, or does not end in time.
    """
    seen = environment(os.environ, keep) | dict(env or {})
    finished = finish(Start(argv=argv, cwd=cwd, env=seen), timeout=timeout)
    if not finished.in_time:
        raise EnvironmentFault(
            f"`{bounded(argv[0])}` did not end within {timeout:g} s and was stopped",
            hint="Give it more time, or less to do.",
        )
    return finished


def finish(start: Start, *, timeout: float) -> Finished:
    """Run a program until it ends or its time is up; return what it came to."""
    process = _start(start)
    tail = _Tail()
    in_time = False
    try:
        in_time = _watch(process, tail, time.monotonic() + timeout)
    finally:
        _stop(process, tail, patience=0 if in_time else start.patience)
    return Finished(returncode=process.returncode, output=tail.text(), in_time=in_time)


def passed_on(keep: tuple[str, ...] = ()) -> dict[str, str]:
    """Return `environment` of our own environment."""
    return environment(os.environ, keep)


def environment(ours: Mapping[str, str], keep: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a program gets to see of our environment."""
    return {name: ours[name] for name in (*PASSED_ON, *keep) if name in ours}


def _start(start: Start) -> subprocess.Popen[bytes]:
    # Said apart, because the system's own error is the same as for a program that is not there.
    if not start.cwd.is_dir():
        raise EnvironmentFault(
            "there is no such folder", where=str(start.cwd), hint="Make it, or name another."
        )
    try:
        process = subprocess.Popen(
            list(start.argv),
            cwd=start.cwd,
            env=start.env,
            stdin=subprocess.PIPE if start.feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=start.fds,
            start_new_session=True,
        )
    except OSError as error:
        raise cannot_start(start.argv, error.strerror or str(error)) from error
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(start.feed)
    return process


def cannot_start(argv: Sequence[str], why: str) -> EnvironmentFault:
    """Return the error for a program that the system would not start."""
    return EnvironmentFault(
        f"cannot start `{bounded(argv[0])}`: {why}",
        hint="Check that it is installed, to be found on PATH, and executable.",
    )


def _watch(process: subprocess.Popen[bytes], tail: _Tail, deadline: float) -> bool:
    """Collect output until the program ends; return whether it did so before the deadline."""
    with selectors.DefaultSelector() as ready:
        ready.register(_pipe(process), selectors.EVENT_READ)
        while not _ended(process):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            # Ends are looked for as well as output: a grandchild may hold the pipe open.
            wait = min(left, _POLL_SECONDS)
            if not ready.get_map():
                time.sleep(wait)
            elif ready.select(wait) and not tail.read(_pipe(process)):
                ready.unregister(_pipe(process))
    return True


def _stop(process: subprocess.Popen[bytes], tail: _Tail, *, patience: float) -> None:
    """End whatever is left of the group, and take what is left in the pipe without waiting."""
    if patience:
        process.terminate()
        _watch(process, tail, time.monotonic() + patience)
    # Before the program is reaped: until then nobody else can have been given its number.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with _pipe(process) as pipe, selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        # Once: a grandchild that fled the group may go on writing for ever.
        if ready.select(0):
            tail.read(pipe)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the program has ended, and leave it unreaped."""
    how = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, how) is not None


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdout)  # it is there: PIPE was asked for


@dataclass(kw_only=True)
class _Tail:
    """The last bytes of an output, and how many there were before them."""

    kept: bytearray = field(default_factory=bytearray)
    left_out: int = 0

    def read(self, pipe: IO[bytes]) -> bool:
        """Take what the pipe has ready; return False at its end."""
        chunk = os.read(pipe.fileno(), _PIPE_BYTES)
        self.kept += chunk
        excess = max(0, len(self.kept) - MAX_OUTPUT)
        del self.kept[:excess]
        self.left_out += excess
        return bool(chunk)

    def text(self) -> str:
        """Return the output as text, beginning with how much of it is missing."""
        text = self.kept.decode("utf-8", errors="replace")
        if self.left_out:
            return f"[the first {self.left_out:,} bytes of output were left out]\n{text}"
        return text
