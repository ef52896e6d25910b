"""Deploy to one Docker host behind HAProxy; the embedded target, and the default one.

```yaml
target:
  docker:
    router: {socket: /run/haproxy/model-gates.sock, backend: credit}
    stable: 127.0.0.1:8081          # where either side listens, on this machine
    canary: 127.0.0.1:8082
    health: {path: /health}
    container: {port_variable: PORT, memory_mib: 1024}
    artifact: /model/model.onnx     # what the evidence is about, in the image
```

`model-gates canary haproxy-config` prints the HAProxy configuration that goes with it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)

from gates.canary.haproxy.config import Layout
from gates.fields import Model

if TYPE_CHECKING:
    from gates.canary.targets.docker.site import DockerSite

_ADDRESS = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")


def _address(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError("expected an address with a port: 127.0.0.1:8081")
    return text


Address = Annotated[str, Strict(), AfterValidator(_address)]
Word = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]
Variable = Annotated[str, Strict(), StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")]
Inside = Annotated[str, Strict(), StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]{0,300}$")]
Route = Annotated[str, Strict(), StringConstraints(pattern=r"^/[A-Za-z0-9_.~/?=&%:+-]{0,300}$")]
# The kernel's limit on the name of a socket.
SocketPath = Annotated[str, Strict(), StringConstraints(pattern=r"^/[A-Za-z0-9_./-]{1,106}$")]
Seconds = Annotated[float, Strict(), Field(gt=0, le=3600, allow_inf_nan=False)]


class Routing(Model):
    """The HAProxy that shares the traffic out; what is below `timeout` is for its own file."""

    socket: SocketPath = Field(description="Its `stats socket`, with `level admin`: a path.")
    backend: Word = Field(description="The backend with both servers.")
    stable: Word = Field(default="stable", description="The stable side's server in it.")
    canary: Word = Field(default="canary", description="The canary's server in it.")
    timeout: Seconds = Field(
        default=2.0, description="How long it may take to answer a command, in s."
    )
    bind: Address = Field(default="127.0.0.1:8080", description="Where users come in.")
    answer: Seconds = Field(default=30.0, description="How long a model may take, in s.")
    idempotent: StrictBool = Field(
        default=True,
        description="false: a request that may have been carried out is never sent again.",
    )
    sticky: Word | None = Field(
        default=None, description="A cookie that keeps users on their side; a hash with a key."
    )


class HealthCheck(Model):
    """How a container shows that it can be sent requests."""

    path: Route | None = Field(
        default=None, description="Answers a GET with a 200; without it, a connection is enough."
    )
    start: Seconds = Field(default=60.0, description="How long it may take to start, in s.")
    timeout: Seconds = Field(default=1.0, description="How long one answer may take, in s.")


class ContainerOptions(Model):
    """How both sides' containers are run; always without privileges, and without capabilities."""

    network: Literal["host", "bridge"] = Field(
        default="host", description="host: it listens there itself; bridge: a port is published."
    )
    port_variable: Variable = Field(
        default="PORT", description="Tells the server, in its environment, where to listen."
    )
    port: StrictInt | None = Field(
        default=None, ge=1, le=65535, description="For bridge: the port it listens on inside."
    )
    environment: tuple[Variable, ...] = Field(
        default=(), description="Variables that it gets from ours, by name."
    )
    command: tuple[StrictStr, ...] = Field(
        default=(), description="In place of the image's own command."
    )
    user: StrictStr | None = Field(default=None, description="In place of the image's own user.")
    memory_mib: StrictInt | None = Field(default=None, ge=8, description="Memory at most, in MiB.")
    cpus: Annotated[float, Strict(), Field(gt=0, le=1024)] | None = Field(
        default=None, description="Processors at most."
    )
    processes: StrictInt = Field(default=1024, ge=1, description="Processes and threads at most.")
    read_only: StrictBool = Field(
        default=False, description="true: it can write to /tmp, and nowhere else."
    )
    stop: Seconds = Field(default=10.0, description="How long it may take to end, in s.")


class Docker(Model):
    """One Docker host: two containers behind an HAProxy on the same machine.

    The stable side is the container that serves when a rollout begins, be it ours from the last
    one, or one that a person started (`stable_container`). It is kept, stopped, until the canary
    has been taken away again, so that going back starts that very container.

    What you should know: users whose request is under way when a side is stopped have `stop`
    seconds to get their answer, if the server ends in good order on SIGTERM. A container that is
    put aside with the restart policy `always` gets `unless-stopped`, or it would wake with the
    engine. What has served and was promoted gets that, too.
    """

    engine: StrictStr = Field(
        default="unix:///var/run/docker.sock", description="Where the engine listens."
    )
    router: Routing
    stable: Address = Field(default="127.0.0.1:8081", description="The stable side's address.")
    canary: Address = Field(default="127.0.0.1:8082", description="The canary's address.")
    container: ContainerOptions = ContainerOptions()
    health: HealthCheck = HealthCheck()
    artifact: Inside | None = Field(
        default=None, description="The model's file or folder in the image, as in the evidence."
    )
    state: StrictStr | None = Field(
        default=None,
        description="Where the journal is kept: /var/lib/model-gates/DEPLOYMENT by default.",
    )
    guard_image: StrictStr | None = Field(
        default=None, description="An image with Python 3.11 for the guard: stable's by default."
    )
    stable_container: Word | None = Field(
        default=None, description="The name of a container that a person started and that serves."
    )

    def site(self, name: str) -> DockerSite:
        """Return the site of a deployment; nothing is asked of it yet."""
        from gates.canary.targets.docker.site import DockerSite

        return DockerSite(name=name, options=self)

    def layout(self) -> Layout:
        """Return what the HAProxy configuration is made from (gates.canary.haproxy.config)."""
        router = self.router
        return Layout(
            socket=router.socket,
            bind=router.bind,
            backend=router.backend,
            stable=self.stable,
            canary=self.canary,
            names=(router.stable, router.canary),
            health=self.health.path,
            idempotent=router.idempotent,
            sticky=router.sticky,
            timeout=router.answer,
        )

    def folder(self, name: str) -> Path:
        """Return where a deployment's journal is kept."""
        return Path(self.state or f"/var/lib/model-gates/{name}")


def split(address: str) -> tuple[str, int]:
    """Return the host and the port of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
