"""What a rollout needs of this machine, and how to get what is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

_SOCKET = "unix:///var/run/docker.sock"
_SECONDS = 10.0
# Where Debian puts it, which is on root's PATH only.
_ALSO = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, kw_only=True)
class Means:
    """Where a Docker engine of this very machine listens, and the program HAProxy."""

    engine: str
    haproxy: str


def means(environ: Mapping[str, str], also: Sequence[str] = _ALSO) -> Means | str:
    """Return what there is, or one sentence that says what is missing and how to get it.

    `also` are folders of programs beside those on PATH.
    """
    engine = environ.get("DOCKER_HOST") or _SOCKET
    path = ":".join((environ.get("PATH", ""), *also))
    haproxy = shutil.which("haproxy", path=path)
    missing = list(_missing(engine, haproxy))
    if haproxy is None or missing:
        return f"To see that, this machine still needs {_and(missing)}."
    return Means(engine=engine, haproxy=haproxy)


def _missing(engine: str, haproxy: str | None) -> Iterator[str]:
    if sys.platform != "linux":
        yield "Linux, for the containers run the Python that runs this"
        return
    if haproxy is None:
        yield "the program `haproxy` (`apt-get install haproxy`, or your system's like)"
    if find_spec("docker") is None:
        yield "the extra `docker` (`pip install 'model-gates[docker]'`)"
        return
    trouble = _trouble(engine)
    if trouble is not None:
        yield trouble


def _trouble(engine: str) -> str | None:
    """Return what is wrong with an engine, None for one that will do."""
    if not engine.startswith("unix://"):
        return f"a Docker engine of its own, where DOCKER_HOST names another's ({engine})"
    try:
        info = _asked(engine)
    except PermissionError:
        return f"leave to use the Docker engine at {engine} (`usermod -aG docker YOU`, or root)"
    except OSError:
        return (
            f"a Docker engine, for none answers at {engine} (install and start Docker, or set "
            "DOCKER_HOST to where yours listens)"
        )
    if info.get("OSType") != "linux" or info.get("KernelVersion") != platform.release():
        return f"a Docker engine that is not in a virtual machine, as the one at {engine} is"
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        return f"a Docker engine that is not rootless, as the one at {engine} is"
    return None


def _asked(engine: str) -> dict[str, Any]:
    """Return what an engine says of itself. Raises OSError where it says nothing."""
    import socket

    import docker

    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(_SECONDS)
        knock.connect(engine.removeprefix("unix://"))
    client = docker.APIClient(base_url=engine, version="1.41", timeout=_SECONDS)
    try:
        found: dict[str, Any] = client.info()
    except docker.errors.DockerException as error:
        raise OSError(str(error)) from error
    finally:
        client.close()
    return found


def _and(parts: list[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
