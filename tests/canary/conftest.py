"""A real engine for the session, and for each test a deployment of its own on it.

```python
@pytest.mark.requires_real("dockerd", "haproxy")
def test_something(bench):
    bench.serve("good")                      # the stable side
    bench.canary("errors", share=25)
    answers = bench.load(200)                # by side and status
    assert answers.of("canary") == 50
    bench.site.ensure_out()
```

`make_bench(sticky="mg", ...)` makes one with other options; see `Bench` in bench.py for the rest.
"""

import contextlib
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.canary import engine, images, rollouts
from tests.canary.bench import Bench, Proxy, Users, Valve, free_port, written

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def dockerd(real):
    """Return the address of a Docker engine of our own."""
    program = real("dockerd")
    if not engine.allowed():
        needed = os.environ.get("MODEL_GATES_REQUIRE_REAL") == "1"
        (pytest.fail if needed else pytest.skip)("dockerd: only root may start it")
    with engine.running(program) as address:
        yield address


@pytest.fixture(scope="session")
def docker_client(dockerd):
    """Return an API client of that engine."""
    import docker

    client = docker.APIClient(base_url=dockerd, version="auto", timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="session")
def model_images(docker_client):
    """Return the names of the images by model."""
    return images.build(docker_client)


@pytest.fixture
def make_bench(dockerd, docker_client, model_images, real):
    """Return a function that makes a deployment: `layout` of HAProxy, then options of Docker."""
    made = []

    def make(*, layout=(), **options):
        made.append(_bench(dockerd, docker_client, model_images, real("haproxy"), layout, options))
        return made[-1]

    yield make
    for one in made:
        _clear(one)


@pytest.fixture
def make_valve(real):
    """Return a function that makes an HAProxy before two servers that are plain processes."""
    made = []

    def make(**layout):
        folder = Path(tempfile.mkdtemp(prefix="mgv-", dir="/tmp"))
        shape = _layout(folder, layout)
        proxy = _proxy(real("haproxy"), folder, shape)
        made.append(Valve(layout=shape, folder=folder, proxy=proxy, users=Users(layout=shape)))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        shutil.rmtree(one.folder, ignore_errors=True)


@pytest.fixture
def bench(make_bench):
    """Return a deployment on which nothing runs yet."""
    return make_bench()


def _layout(folder, more):
    from gates.canary.haproxy.config import Layout

    (folder / "sockets").mkdir()
    shape = {
        "socket": str(folder / "sockets" / "haproxy.sock"),
        "bind": f"127.0.0.1:{free_port()}",
        "backend": "scores",
        "stable": f"127.0.0.1:{free_port()}",
        "canary": f"127.0.0.1:{free_port()}",
        "health": "/health",
        "timeout": 5.0,
        "check_every": 0.5,
    }
    return Layout(**{**shape, **dict(more)})


def _proxy(program, folder, layout):
    written(layout, folder)
    proxy = Proxy(program=program, folder=folder, port=int(layout.bind.rpartition(":")[2]))
    proxy.start()
    return proxy


def _bench(address, client, names, program, layout, options):
    from gates.canary.targets.docker.options import Docker

    # Short, because the names of sockets are.
    folder = Path(tempfile.mkdtemp(prefix="mgb-", dir="/tmp"))
    shape = _layout(folder, layout)
    target = Docker.model_validate(
        {
            "engine": address,
            "router": {"socket": shape.socket, "backend": shape.backend},
            "stable": shape.stable,
            "canary": shape.canary,
            "health": {"path": "/health", "start": 20.0},
            "container": {"stop": 3.0},
            "artifact": "/model/model.json",
            "state": str(folder / "state"),
            **options,
        }
    )
    name = f"scores-{next(_NUMBERS)}"
    return Bench(
        name=name,
        site=target.site(name),
        options=target,
        layout=shape,
        images=names,
        docker=client,
        state=folder / "state",
        users=Users(layout=shape),
        proxy=_proxy(program, folder, shape),
    )


def _clear(bench):
    with contextlib.suppress(Exception):
        bench.proxy.stop()
    for one in bench.docker.containers(all=True):
        bench.docker.remove_container(one["Id"], force=True)
    shutil.rmtree(bench.proxy.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """Return a project whose candidates were judged."""
    return rollouts.project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def deploy(make_bench, judged, tmp_path):
    """Return a function that makes a deployment on which `good` serves; settings as in the file."""

    def make(*, layout=(), **settings):
        bench = make_bench(layout=layout)
        bench.serve("good")
        return rollouts.Rollouts(
            bench=bench, project=judged, folder=tmp_path / bench.name, settings=settings
        )

    return make
