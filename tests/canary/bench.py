"""A deployment to try things on: an HAProxy and an engine that are real, and users who ask.

Everything is on loopback, and every loop of requests is bounded.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gates.canary.haproxy.config import config

ROW = {"income": 1.2, "age": 40, "debt": 0.7}
_PATIENCE = 30
_SERVER = Path(__file__).parent / "served" / "server.py"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What users got: how often each status from each side; "none" is HAProxy, or nobody."""

    counts: Counter
    seconds: list = field(default_factory=list)

    def of(self, side):
        """Return how many answers came from a side."""
        return sum(count for (by, _), count in self.counts.items() if by == side)

    def status(self, *codes):
        """Return how many answers had one of these status codes (0: no answer at all)."""
        return sum(count for (_, code), count in self.counts.items() if code in codes)

    @property
    def bad(self):
        """Return how many users got no 200."""
        return sum(count for (_, code), count in self.counts.items() if code != 200)


@dataclass(frozen=True, kw_only=True)
class Users:
    """Whoever asks through the router: at most so often, on connections that are kept."""

    layout: object

    @property
    def port(self):
        return _port(self.layout.bind)

    def load(self, count, *, threads=4, cookie=None, path="/predict", pause=0.0):
        """Ask `count` times on `threads` connections, and return what came back."""
        share = [count // threads + (number < count % threads) for number in range(threads)]
        results = [Answers(counts=Counter()) for _ in share]
        workers = [
            threading.Thread(target=self._ask, args=(number, into, cookie, path, pause))
            for number, into in zip(share, results, strict=True)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(120)
        return Answers(
            counts=sum((one.counts for one in results), Counter()),
            seconds=[took for one in results for took in one.seconds],
        )

    def _ask(self, count, into, cookie, path, pause):
        with contextlib.closing(_client(self.port)) as client:
            for _ in range(count):
                started = time.monotonic()
                into.counts[self._one(client, path, cookie)] += 1
                into.seconds.append(time.monotonic() - started)
                time.sleep(pause)

    def _one(self, client, path, cookie):
        headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
        try:
            client.request("POST", path, json.dumps(ROW), headers)
            answer = client.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            client.close()
            return "none", 0
        ports = {_port(self.layout.stable): "stable", _port(self.layout.canary): "canary"}
        return ports.get(int(answer.headers.get("X-Served-At") or 0), "none"), answer.status


@dataclass(kw_only=True)
class Proxy:
    """An HAProxy as a master and its worker; `reload` is what a person's reload does."""

    program: str
    folder: Path
    port: int
    process: subprocess.Popen | None = None

    def start(self):
        with (self.folder / "haproxy.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-W", "-f", str(self.folder / "haproxy.cfg")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "MODEL_GATES_COOKIE_KEY": "a key of the tests"},
            )
        wait_until(lambda: _open(self.port), "HAProxy listens")

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)

    def crash(self):
        """Kill the master; its worker ends with it."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not _open(self.port), "HAProxy is gone")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


@dataclass(kw_only=True)
class Valve:
    """An HAProxy, and two servers without an engine: what the router's own tests need."""

    layout: object
    folder: Path
    proxy: Proxy
    users: Users
    servers: dict = field(default_factory=dict)

    @property
    def router(self):
        from gates.canary.haproxy.router import Router

        return Router(socket=self.layout.socket, backend=self.layout.backend)

    def serve(self, side, **model):
        """Have a model answer on a side, and wait until HAProxy has seen it where it looks."""
        address = getattr(self.layout, side)
        path = self.folder / f"{side}.json"
        path.write_text(json.dumps({"name": side, **model}))
        self.servers[side] = subprocess.Popen(
            [sys.executable, str(_SERVER)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PORT": str(_port(address)), "MODEL_FILE": str(path)},
        )
        wait_until(lambda: _open(_port(address)), f"{side} listens")
        if side == "stable":
            wait_until(lambda: self.router.lanes().stable.up, "HAProxy has seen it")

    def kill(self, side):
        """End a server as a machine that fails would."""
        server = self.servers.pop(side)
        server.kill()
        server.wait()

    def stop(self):
        self.proxy.stop()
        for side in tuple(self.servers):
            self.kill(side)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One deployment. `images` are names by model, `docker` is an API client."""

    name: str
    site: object
    options: object
    layout: object
    images: dict
    docker: object
    state: Path
    users: Users
    proxy: Proxy

    @property
    def socket(self):
        return self.layout.socket

    def pin(self, model):
        """Return what an image is, by its bytes."""
        return self.site.pin(self.images[model])

    def serve(self, model="good"):
        """Have a model as the stable side, and wait until it is ready."""
        pinned = self.pin(model)
        self.site.ensure_stable(pinned)
        self.wait(lambda sight: sight.stable.health == "ready", "the stable side is ready")
        return pinned

    def canary(self, model, share=0):
        """Have a model as the canary with a share of the traffic, and wait until it is ready."""
        pinned = self.pin(model)
        self.site.ensure_canary(pinned)
        self.wait(lambda sight: sight.canary.health == "ready", "the canary is ready")
        if share:
            self.site.ensure_share(share)
        return pinned

    def wait(self, holds, what, seconds=_PATIENCE):
        """Return the first sight of which something holds."""
        seen = []

        def looked():
            seen.append(self.site.look())
            return holds(seen[-1])

        wait_until(looked, what, seconds, lambda: seen[-1:])
        return seen[-1]

    def load(self, count, **how):
        """Ask `count` times, and return what came back; see `Users.load`."""
        return self.users.load(count, **how)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.proxy.port}"

    def containers(self):
        """Return the names of all containers there are, and how they are."""
        return {
            one["Names"][0].lstrip("/"): one["State"] for one in self.docker.containers(all=True)
        }


def written(layout, folder):
    """Write a layout's configuration where `Proxy` reads it."""
    (folder / "haproxy.cfg").write_text(config(layout))


def free_port():
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds, what, seconds=_PATIENCE, shown=lambda: ""):
    """Return once something holds; it fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} {shown()}")
        time.sleep(0.05)


def _client(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def _open(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _port(address):
    return int(address.rpartition(":")[2])
