"""A Docker engine, as far as a rollout needs one: containers and images, and one kind of error.

Nothing is ever pulled: what runs is what was looked at, by its Id.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from gates.errors import EnvironmentFault, InputError, Refused
from gates.fields import bounded

LABEL: Final = "model-gates."
_CONFLICT: Final = 409
_MISSING: Final = 404
_PATIENCE: Final = 3.0
_POLL: Final = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container as it is found; `image` is the Id of what runs, `called` its image's name.

    `health` is the engine's own check's word, empty where the image has none. `labels` are those
    of ours, without their common beginning.
    """

    id: str
    name: str
    image: str
    called: str
    status: str
    labels: Mapping[str, str] = field(default_factory=dict)
    health: str = ""
    restarts: int = 0
    exit_code: int = 0
    out_of_memory: bool = False
    started: datetime | None = None
    policy: str = ""

    @property
    def running(self) -> bool:
        """Return whether its process runs, or is about to be started again."""
        return self.status in ("running", "restarting", "paused")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine at an address such as unix:///run/docker.sock; `timeout` is of each call (s)."""

    address: str
    timeout: float = 15.0

    def image(self, name: str) -> Mapping[str, Any]:
        """Return what the engine knows of an image; raises InputError if it does not have it."""
        with self._call(f"cannot look at the image {bounded(name)}", missing=_no_image(name)):
            found: Mapping[str, Any] = self._api.inspect_image(name)
        return found

    def containers(self, deployment: str) -> tuple[Container, ...]:
        """Return all containers with a deployment's label, running or not."""
        label = f"{LABEL}deployment={deployment}"
        with self._call("cannot list the containers"):
            listed = self._api.containers(all=True, filters={"label": label})
        found = (self.container(one["Id"]) for one in listed)
        return tuple(one for one in found if one is not None)

    def container(self, name: str) -> Container | None:
        """Return a container by its name or Id; None where there is no such thing."""
        with self._call(f"cannot look at the container {bounded(name)}"):
            try:
                return _container(self._api.inspect_container(name))
            except self._errors.NotFound:
                return None

    def create(self, name: str, image: str, host: Mapping[str, Any], **spec: Any) -> Container:
        """Return a container of this name, made anew or, if ours and the same, as it is there.

        Raises Refused where the name belongs to something else.
        """
        labels = {LABEL + key: value for key, value in spec.pop("labels").items()}
        with self._call(f"cannot create the container {name}", missing=_no_image(image)):
            try:
                settings = self._api.create_host_config(**host)
                self._api.create_container(
                    image, name=name, labels=labels, host_config=settings, **spec
                )
            except self._errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
        found = self._made(name)
        ours = {LABEL + key: value for key, value in found.labels.items()}
        if not labels.items() <= ours.items():
            raise Refused(
                "another container has the name that this one is to have",
                where=name,
                hint=f"Look at it, then remove it: docker rm {name}",
            )
        return found

    def _made(self, name: str) -> Container:
        """Return a container that was made; by another, it has its name before it is there."""
        deadline = time.monotonic() + _PATIENCE
        while (found := self.container(name)) is None:
            if time.monotonic() > deadline:
                raise EnvironmentFault(
                    "a container that was made is not there",
                    where=name,
                    hint="Another process takes it away: is a second rollout under way?",
                )
            time.sleep(_POLL)
        return found

    def start(self, one: Container) -> None:
        """Start a container; nothing happens if it runs."""
        with self._call(f"cannot start the container {one.name}"):
            self._api.start(one.id)

    def stop(self, one: Container, grace: float) -> None:
        """Stop a container, by force after `grace` seconds."""
        with self._call(f"cannot stop the container {one.name}"):
            self._api.stop(one.id, timeout=round(grace))

    def rename(self, one: Container, name: str) -> None:
        """Give a container a name."""
        if one.name != name:
            with self._call(f"cannot rename the container {one.name}"):
                self._api.rename(one.id, name)

    def remove(self, one: Container) -> None:
        """Remove a container, running or not; of ours, the nameless volumes too. Gone is fine."""
        gone = contextlib.suppress(self._errors.NotFound)
        with self._call(f"cannot remove the container {one.name}"), gone:
            self._api.remove_container(one.id, force=True, v="role" in one.labels)

    def unless_stopped(self, one: Container) -> None:
        """Have a container come back after the machine does, unless it was stopped on purpose."""
        if one.policy != "unless-stopped":
            with self._call(f"cannot change the container {one.name}"):
                self._api.update_container(one.id, restart_policy={"Name": "unless-stopped"})

    def archive(self, one: Container, path: str) -> Iterator[bytes]:
        """Yield the tar file of a path in a container; raises InputError if it is not there."""
        missing = InputError(
            "the image has no such file or folder",
            where=path,
            hint="`artifact` names the model's own file or folder in the image.",
        )
        with self._call(f"cannot read {bounded(path)}", missing=missing):
            chunks, _ = self._api.get_archive(one.id, path)
            yield from chunks

    def now(self) -> datetime:
        """Return the engine's own time: its clock is the one that started the containers."""
        with self._call("cannot ask the engine for its time"):
            return _moment(str(self._api.info()["SystemTime"]))

    @cached_property
    def _api(self) -> Any:
        import docker

        return docker.APIClient(base_url=self.address, version="auto", timeout=self.timeout)

    @property
    def _errors(self) -> Any:
        import docker.errors

        return docker.errors

    def _knock(self) -> None:
        """Raise OSError where nobody listens; the client leaves a socket open then."""
        scheme, _, path = self.address.partition("://")
        if scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self.timeout)
                connection.connect(path)

    @contextlib.contextmanager
    def _call(self, failed: str, missing: InputError | None = None) -> Iterator[None]:
        """Turn what the client raises into ours; `missing` is for what is not there."""
        import docker.errors
        import requests

        try:
            self._knock()
            yield
        except docker.errors.APIError as error:
            if missing is not None and error.status_code == _MISSING:
                raise missing from error
            said = bounded(error.explanation or "no reason given")
            raise EnvironmentFault(f"{failed}: {said!r}", where=self.address) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise EnvironmentFault(
                f"{failed}: the Docker engine does not answer",
                where=self.address,
                hint="`engine` is where it listens, such as unix:///run/docker.sock; whoever "
                "starts this must be allowed to use it.",
            ) from error


def _no_image(name: str) -> InputError:
    return InputError(
        "the engine has no such image, and nothing is pulled",
        where=bounded(name),
        hint="Pull it on the target before the rollout, by its digest: docker pull NAME@sha256:…",
    )


def _container(found: Mapping[str, Any]) -> Container:
    state, config = found["State"], found["Config"]
    labels = config.get("Labels") or {}
    policy = found["HostConfig"].get("RestartPolicy") or {}
    return Container(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        image=found["Image"],
        called=config["Image"],
        status=state["Status"],
        labels={k[len(LABEL) :]: v for k, v in labels.items() if k.startswith(LABEL)},
        health=(state.get("Health") or {}).get("Status", ""),
        restarts=found.get("RestartCount", 0),
        exit_code=state.get("ExitCode", 0),
        out_of_memory=bool(state.get("OOMKilled")),
        started=_moment(state["StartedAt"]) if state.get("StartedAt") else None,
        policy=policy.get("Name", ""),
    )


def _moment(text: str) -> datetime:
    """Return a time of the engine's, whose nanoseconds Python has no place for."""
    whole, dot, rest = text.partition(".")
    if not dot:
        return datetime.fromisoformat(text)
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    zone = rest[len(digits) :] or "+00:00"
    return datetime.fromisoformat(
        f"{whole}.{digits[:6].ljust(6, '0')}{zone.replace('Z', '+00:00')}"
    )
