"""How a model's container is made: what it may do, what it is told, and how it is known again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from gates.canary.sight import Pinned
from gates.canary.targets.docker.crew import Names, Role
from gates.canary.targets.docker.engine import Container, Engine
from gates.errors import ConfigError
from gates.process import passed_on

if TYPE_CHECKING:
    from gates.canary.targets.docker.options import ContainerOptions

_RESTARTS = 3
_MIB = 1 << 20


def labels(deployment: str, role: Role, pinned: Pinned, **more: str) -> dict[str, str]:
    """Return what makes a container ours, and tells for what."""
    ours = {"deployment": deployment, "role": str(role), "digest": pinned.digest}
    return ours | {"image": pinned.image} | more


def matches(one: Container, pinned: Pinned, fingerprint: str) -> bool:
    """Return whether a container runs these bytes with these options; not ours is the former."""
    return one.image == pinned.digest and one.labels.get("options", fingerprint) == fingerprint


def fingerprint(options: ContainerOptions, address: str) -> str:
    """Return what changes with the options; of variables it has the names, never the values."""
    text = f"{address} {options.model_dump_json()}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def create(
    engine: Engine,
    names: Names,
    role: Role,
    pinned: Pinned,
    address: tuple[str, int],
    options: ContainerOptions,
) -> Container:
    """Return a side's container, made or found; it is not started."""
    host, port = address
    labelled = labels(
        names.deployment, role, pinned, options=fingerprint(options, f"{host}:{port}")
    )
    spec: dict[str, Any] = {
        "labels": labelled,
        "environment": _environment(options, port),
        "command": list(options.command) or None,
        "user": options.user,
    }
    if options.network == "bridge":
        spec["ports"] = [options.port or port]
    name = names.of(role, pinned.digest)
    return engine.create(name, pinned.digest, _host(options, host, port), **spec)


def _environment(options: ContainerOptions, port: int) -> dict[str, str]:
    ours = passed_on(options.environment)
    missing = [name for name in options.environment if name not in ours]
    if missing:
        raise ConfigError(
            f"the variable `{missing[0]}` is not set here, and the container is to have it",
            where="target.docker.container.environment",
            hint="Set it for this command, or take it out.",
        )
    inside = (options.port or port) if options.network == "bridge" else port
    return {options.port_variable: str(inside)} | {name: ours[name] for name in options.environment}


def _host(options: ContainerOptions, host: str, port: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "network_mode": options.network,
        # A crash loop is to end by itself; the stable side's policy is another one once it serves.
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": _RESTARTS},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": options.processes,
        "read_only": options.read_only,
        "init": True,
    }
    if options.read_only:
        found["tmpfs"] = {"/tmp": "rw,nosuid,nodev"}  # noqa: S108  (the container's own)
    if options.memory_mib is not None:
        found["mem_limit"] = found["memswap_limit"] = options.memory_mib * _MIB
    if options.cpus is not None:
        found["nano_cpus"] = round(options.cpus * 1e9)
    if options.network == "bridge":
        found["port_bindings"] = {options.port or port: (host, port)}
    return found
