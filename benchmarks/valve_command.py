"""An abort as a person gives it: `model-gates canary abort`, a process, on a real Docker engine.

Needs `dockerd`, and root to start it. The engine is one of the benchmark's own.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.valve import SHARE, asking, haproxy, placed
from benchmarks.valve_told import FEW, aborted, spread
from gates.canary.faults import EXIT_ABORTED, EXIT_HELD
from gates.canary.targets.docker.options import Docker
from tests.canary import engine, images
from tests.canary.bench import Bench, Proxy, Users, written
from tests.canary.rollouts import Ended, Rollouts, ended, project

if TYPE_CHECKING:
    from docker import APIClient

    from benchmarks.valve_told import Answer, Mark

# The rollout is held at its only step, for a person: who then aborts it.
SETTINGS = {
    "steps": [SHARE],
    "bake": 0.5,
    "max_bake": 60.0,
    "looks": 1,
    "min_requests": FEW,
    "finish": "hold",
    "analysis": {
        "error_rate": {"max_rise": 0.5, "critical": 0.9},
        "latency": {"max_ratio": 50.0, "mode": "report"},
    },
}


def by_command(rounds: int) -> dict[str, object]:
    """Return what `aborted` does, from the start of the process (`call` is all of it).

    `start` is what a process takes that only shows the help of the command.
    """
    with _rollouts() as rollouts:
        canary = int(rollouts.bench.layout.canary.rpartition(":")[2])
        answers: list[Answer] = []
        marks: list[Mark] = []
        starts: list[float] = []
        for _ in range(rounds):
            with asking(rollouts.bench.proxy.port, "--connections=16", "--pause=0.01") as watched:
                _held(rollouts.start("good-v2"))
                marks.append(_abort(rollouts))
                starts.append(_start(rollouts))
            answers += watched.answers
        return aborted(answers, marks, canary) | {"start_ms": spread(starts)}


def _abort(rollouts: Rollouts) -> Mark:
    began = time.monotonic()
    told = ended(rollouts.begin("abort"))
    gone = time.monotonic()
    if told.code != EXIT_ABORTED:
        raise SystemExit(f"the abort ended with {told.code}:\n{told.stderr}")
    time.sleep(0.5)
    return began, gone, time.monotonic()


def _start(rollouts: Rollouts) -> float:
    began = time.monotonic()
    ended(rollouts.begin("abort", "--help"))
    return time.monotonic() - began


def _held(told: Ended) -> None:
    if told.code != EXIT_HELD:
        raise SystemExit(f"the rollout is not held, but ended with {told.code}:\n{told.stderr}")


@contextmanager
def _rollouts() -> Iterator[Rollouts]:
    import docker

    program = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if program is None or not engine.allowed():
        raise SystemExit("aborts by command need dockerd, and root")
    folder = Path(tempfile.mkdtemp(prefix="mgb-", dir="/tmp"))
    with engine.running(program) as address:
        client = docker.APIClient(base_url=address, version="auto", timeout=60)
        bench = _bench(address, client, folder)
        try:
            bench.proxy.start()
            bench.serve("good")
            (folder / "project").mkdir()
            judged = project(folder / "project", models=("good-v2",))
            yield Rollouts(
                bench=bench, project=judged, folder=folder / "rollouts", settings=SETTINGS
            )
        finally:
            bench.proxy.stop()
            for one in client.containers(all=True):
                client.remove_container(one["Id"], force=True)
            client.close()
            shutil.rmtree(folder, ignore_errors=True)


def _bench(address: str, client: APIClient, folder: Path) -> Bench:
    layout = placed(folder)
    written(layout, folder)
    target = Docker.model_validate(
        {
            "engine": address,
            "router": {"socket": layout.socket, "backend": layout.backend},
            "stable": layout.stable,
            "canary": layout.canary,
            "health": {"path": "/health", "start": 20.0},
            "container": {"stop": 3.0},
            "artifact": "/model/model.json",
            "state": str(folder / "state"),
        }
    )
    return Bench(
        name="scores",
        site=target.site("scores"),
        options=target,
        layout=layout,
        images=images.build(client),
        docker=client,
        state=folder / "state",
        users=Users(layout=layout),
        proxy=Proxy(program=haproxy(), folder=folder, port=int(layout.bind.rpartition(":")[2])),
    )
