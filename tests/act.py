"""Run a workflow with act, on this machine and without a container, and watch what it starts."""

import ipaddress
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "MODEL_GATES_TEST_RUN"
_SECONDS = 600.0


@dataclass(frozen=True)
class Job:
    """What act said about a job, what the job kept, what it had open and what it left running.

    `listened` is None unless the job was watched.
    """

    returncode: int
    lines: list
    kept: Path
    listened: set | None
    left: list

    def of(self, *step):
        """Return what was said by a step, given as its id and the ids of the steps within."""
        return [line for line in self.lines if line.get("stepID") == list(step)]

    def result(self, *step):
        """Return how a step itself ended, not what act does before and after it."""
        said = (line for line in self.of(*step) if line["stage"] == "Main")
        return next(line["stepResult"] for line in said if "stepResult" in line)

    def commands(self, *step):
        """Return the workflow commands of a step: pairs of a command and the line it stood on."""
        return [(line["command"], line["msg"]) for line in self.of(*step) if "command" in line]

    def outputs(self, *step):
        """Return the outputs of a step; of an action, those that it declares come first."""
        said = [line for line in self.of(*step) if line.get("command") == "set-output"]
        # Then act says once more, for the action, what its last step wrote: the first one counts.
        return {line["name"]: line["arg"] for line in reversed(said)}

    def summary(self, *step):
        said = self.of(*step)
        return next(line["content"] for line in said if line.get("command") == "summary")

    def verdict(self):
        return next(line["jobResult"] for line in self.lines if "jobResult" in line)

    def results(self):
        """Return how each job of the workflow ended, by the job's id."""
        return {line["jobID"]: line["jobResult"] for line in self.lines if "jobResult" in line}


def pull_request(repository):
    """Return the event of a pull request whose head is a repository's newest commit."""
    sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=repository, text=True).strip()
    refs = {
        "number": 17,
        "head": {"ref": "candidate", "sha": sha},
        "base": {"ref": "main", "sha": sha},
    }
    return "pull_request", {"pull_request": refs}


def run_act(program, repository, actions, *options, event=None, python=None, watched=False):
    """Run a repository's workflow on an event: its name and payload, of a pull request unless said.

    `actions` are the folders in which to find what the workflow uses, `options` more of act's own,
    `python` the folder of the Python that is there. What is kept with our stand-in for
    upload-artifact is beside the repository, as is act's log. A job is `watched`, which costs time,
    where somebody asks what it had open.
    """
    place = repository.parent
    kept, log = place / "kept", place / "act.log"
    kept.mkdir()
    with log.open("wb") as output:
        given = (program, repository, actions, *options)
        act = start_act(*given, event=event, python=python, to=output)
        listened = watch(act, str(place)) if watched else wait(act)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return Job(act.returncode, lines, kept, listened, started_by(str(place)))


def start_act(program, repository, actions, *options, to, event=None, python=None):
    """Start act in a process group of its own, so that it can be told to stop, and return it."""
    place = repository.parent
    name, payload = event or pull_request(repository)
    file = place / "event.json"
    file.write_text(json.dumps(payload), "utf-8")
    command = [
        # The cache server would listen on this machine's outward address.
        *(program, name, "--json", "--rm", "--no-cache-server"),
        *("--platform", "ubuntu-latest=-self-hosted", "--eventpath", file),
        *("--action-cache-path", place / "act"),
        *("--env", f"STUB_KEPT={place / 'kept'}"),
        *("--env", f"STUB_PYTHON={python or Path(sys.executable).parent}"),
        *(f"--local-repository={uses}={folder}" for uses, folder in actions.items()),
        *options,
    ]
    environment = os.environ | {MARK: str(place)}
    if python:
        environment["PATH"] = f"{python}{os.pathsep}{environment['PATH']}"
    return subprocess.Popen(
        command, cwd=repository, env=environment, stdout=to, start_new_session=True
    )


def wait(process):
    """Wait for a process, and end it if that takes too long."""
    try:
        process.wait(_SECONDS)
    finally:
        process.kill()
        process.wait()


def watch(process, mark):
    """Wait for a process; return the addresses on which it or its own ever accepted connections."""
    listened, deadline = set(), time.monotonic() + _SECONDS
    try:
        while process.poll() is None and time.monotonic() < deadline:
            listened |= listening(started_by(mark))
            time.sleep(0.2)
    finally:
        process.kill()
        process.wait()
    return listened


def started_by(mark):
    """Return the living processes that carry a mark in their environment, however deep."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


def listening(processes):
    """Return the addresses on which these processes accept connections."""
    sockets = set()
    for process in processes:
        with suppress(OSError):
            sockets |= {str(link.readlink()) for link in (process / "fd").iterdir()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    return {_address(row[1]) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}


def _address(text):
    """Return an address of /proc/net/tcp: hexadecimal words in this machine's byte order."""
    raw = bytes.fromhex(text.split(":")[0])
    step = 1 if sys.byteorder == "big" else -1
    words = (raw[at : at + 4][::step] for at in range(0, len(raw), 4))
    return ipaddress.ip_address(b"".join(words))
