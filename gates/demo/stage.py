"""Where a rollout is played: images, a container that serves, an HAProxy; and all of it gone after.

Everything that is made has a name that no other play has, and is found by it again. Nothing else
is touched.
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gates.demo.image import add_layer, import_python
from gates.demo.means import Means
from gates.errors import EnvironmentFault
from gates.process import passed_on

if TYPE_CHECKING:
    from docker import APIClient

REPOSITORY = "model-gates-demo"
SERVER = ("server/serve.py", "model/model.joblib", "server/age_groups.csv")
_COMMAND = ("python3", "-u", "/server/serve.py", "/model/model.joblib")
_LABEL = "model-gates."
_SECONDS = 300
_START = 120.0
_STOP = 10.0
_POLL = 0.1
_ROUNDS = 20
_AFTERWARDS = 2.0


class Elsewhere(Exception):
    """What the engine runs is not reached from here: it runs on another machine or network."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One play's own names, ports and places. `out` is the folder of the project."""

    means: Means
    out: Path
    folder: Path
    mark: str
    users: int
    stable: int
    canary: int

    @property
    def deployment(self) -> str:
        """Return the name of the deployment."""
        return f"income-{self.mark}"

    @property
    def container(self) -> str:
        """Return the name of the container that serves before there is any rollout."""
        return f"{REPOSITORY}-{self.mark}"

    def image(self, which: str) -> str:
        """Return the name of an image."""
        return f"{REPOSITORY}:{which}-{self.mark}"

    def make_image(self, which: str, model: str, age_groups: str | None = None) -> None:
        """Put the server and a model on the base, with a table of age groups if there is one."""
        places = [self.out / "serve.py", self.out / "out" / f"{model}.joblib"]
        command = list(_COMMAND)
        if age_groups is not None:
            places.append(self.out / "age_groups" / f"{age_groups}.csv")
            command += ["--age-groups", f"/{SERVER[2]}"]
        files = {name: path.read_bytes() for name, path in zip(SERVER, places, strict=False)}
        with _faults():
            add_layer(self._engine, self.image("base"), self.image(which), files, command)

    def make_base(self) -> int:
        """Make an image of Python and scikit-learn; return its size in bytes."""
        with _faults():
            try:
                made = import_python(self._engine, self.image("base"), ("scikit-learn",))
            except BaseException:
                # The engine may still be at it, and what it makes has to be found by `clear`.
                time.sleep(_AFTERWARDS)
                raise
            return int(self._engine.inspect_image(made)["Size"])

    def serve(self, which: str) -> None:
        """Start a container from an image as a person would, and wait until it answers.

        Raises Elsewhere where it runs and cannot be reached.
        """
        with _faults():
            host = self._engine.create_host_config(network_mode="host", init=True)
            made = self._engine.create_container(
                self.image(which),
                name=self.container,
                environment={"PORT": str(self.stable)},
                labels={f"{REPOSITORY}.play": self.mark},
                host_config=host,
            )["Id"]
            self._engine.start(made)
            if _answers(self.stable, lambda: self._runs(made)):
                return
            if self._runs(made):
                raise Elsewhere
            said = self._engine.logs(made, tail=5).decode(errors="replace")
        raise EnvironmentFault("the container with the server ended", details=(said.strip(),))

    def clear(self) -> None:
        """Remove every container and image that is this play's, each by its Id or whole name."""
        with _faults(f"What is left there is called …-{self.mark}."):
            for _ in range(_ROUNDS):
                if not self._cleared():
                    break
        self._engine.close()

    def _cleared(self) -> int:
        """Remove what is there now, and return how much that was."""
        labels = (f"{_LABEL}deployment={self.deployment}", f"{REPOSITORY}.play={self.mark}")
        containers = {
            one["Id"]
            for label in labels
            for one in self._engine.containers(all=True, filters={"label": label})
        }
        for one in containers:
            with suppress(_errors().NotFound):
                self._engine.remove_container(one, force=True, v=True)
        images = self._images()
        for name in images:
            with suppress(_errors().NotFound):
                self._engine.remove_image(name)
        return len(containers) + len(images)

    def _images(self) -> list[str]:
        """Return the names of this play's images, the base last: the others lie on it."""
        end = f"-{self.mark}"
        listed = self._engine.images(name=REPOSITORY)
        names = [name for one in listed for name in one["RepoTags"] or () if name.endswith(end)]
        return sorted(names, key=lambda name: (name == self.image("base"), name))

    def _runs(self, container: str) -> bool:
        return bool(self._engine.inspect_container(container)["State"]["Running"])

    @cached_property
    def _engine(self) -> APIClient:
        import docker

        return docker.APIClient(base_url=self.means.engine, version="auto", timeout=_SECONDS)


@contextmanager
def stage(means: Means, out: Path) -> Iterator[Stage]:
    """Have a place to play in; whatever happens, nothing of it is left."""
    with ExitStack() as stack:
        # Short, for it is in the name of a socket; a word that paths and engines take.
        folder = Path(tempfile.mkdtemp(prefix="mg-demo-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        users, stable, canary = _free_ports(3)
        found = Stage(
            means=means,
            out=out,
            folder=folder,
            mark=secrets.token_hex(3),
            users=users,
            stable=stable,
            canary=canary,
        )
        stack.callback(found.clear)
        yield found


@contextmanager
def haproxy(here: Stage, config: Path) -> Iterator[None]:
    """Have HAProxy run with a configuration for as long as the block lasts."""
    log = here.folder / "haproxy.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [here.means.haproxy, "-db", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=passed_on(),
            start_new_session=True,
        )
    try:
        if not _listens(here.users, lambda: process.poll() is None):
            tail = log.read_text(errors="replace").splitlines()[-5:]
            raise EnvironmentFault("HAProxy does not start", details=tuple(tail))
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int, runs: Callable[[], bool]) -> bool:
    """Return whether a server on loopback comes to answer while it runs."""

    def asked() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()

    return _within(_START, asked, runs)


def _listens(port: int, runs: Callable[[], bool]) -> bool:
    def asked() -> bool:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    return _within(_STOP, asked, runs)


def _within(seconds: float, asked: Callable[[], bool], runs: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and runs():
        with suppress(OSError, http.client.HTTPException):
            if asked():
                return True
        time.sleep(_POLL)
    return False


def _free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextmanager
def _faults(hint: str | None = None) -> Iterator[None]:
    """Turn what the engine's client raises into ours."""
    import requests

    try:
        yield
    except (_errors().DockerException, requests.RequestException) as error:
        raise EnvironmentFault(f"the Docker engine refused: {error}", hint=hint) from error


def _errors() -> Any:
    import docker.errors

    return docker.errors
