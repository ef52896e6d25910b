"""Which container plays which part in a deployment; pure, from what an engine lists.

A container's part is its label, which cannot be changed; that it is kept for the way back is in its
name, which can: mg-DEPLOYMENT-kept-NAME was NAME before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gates.canary.targets.docker.engine import Container


class Role(StrEnum):
    """What a container of ours is there for."""

    STABLE = "stable"
    CANARY = "canary"
    GUARD = "guard"
    READER = "reader"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The names that containers of a deployment have."""

    deployment: str

    @property
    def stem(self) -> str:
        """Return the beginning of them all: with letters that an engine takes, and yet unique."""
        plain = re.sub(r"[^A-Za-z0-9_.-]", "-", self.deployment)
        if plain == self.deployment:
            return f"mg-{plain}-"
        return f"mg-{plain}-{hashlib.sha256(self.deployment.encode()).hexdigest()[:8]}-"

    def of(self, role: Role, digest: str = "") -> str:
        """Return the name of a container that runs a digest, or of the one in its role."""
        return f"{self.stem}{role}" + (f"-{digest.removeprefix('sha256:')[:12]}" if digest else "")

    @property
    def kept(self) -> str:
        """Return the beginning of the names of what is kept for the way back."""
        return f"{self.stem}kept-"

    def original(self, name: str) -> str:
        """Return the name that a container had before it was kept."""
        return name.removeprefix(self.kept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Every container of a deployment, by the part that it plays.

    `stable` is what holds the stable side's address, or did last; `spare` are others of that side
    that were made and not started, or have ended; `kept` is for the way back.
    """

    stable: Container | None
    spare: tuple[Container, ...]
    kept: tuple[Container, ...]
    canaries: tuple[Container, ...]
    guard: Container | None
    readers: tuple[Container, ...]

    @property
    def canary(self) -> Container | None:
        """Return the canary: the one that runs, if any does."""
        return next(iter(sorted(self.canaries, key=lambda one: not one.running)), None)

    @property
    def stables(self) -> tuple[Container, ...]:
        """Return all of the stable side, the best to go on with first."""
        first = () if self.stable is None else (self.stable,)
        rest = (*self.kept, *self.spare)
        return (*first, *(one for one in rest if one is not self.stable))


def crew(found: Iterable[Container], adopted: Container | None, names: Names) -> Crew:
    """Return who is who; `adopted` is a container that somebody else started, by its name."""
    ours = {one.id: one for one in found}
    stables = {one.id: one for one in ours.values() if _is(one, Role.STABLE)}
    if adopted is not None:
        stables.setdefault(adopted.id, adopted)
    order = sorted(stables.values(), key=lambda one: (_rank(one, names), one.name))
    stable = order[0] if order and _rank(order[0], names) < _IDLE else None
    kept = tuple(one for one in order if one.name.startswith(names.kept))
    guards = [one for one in ours.values() if _is(one, Role.GUARD)]
    return Crew(
        stable=stable,
        spare=tuple(one for one in order if one is not stable and one not in kept),
        kept=kept,
        canaries=tuple(one for one in ours.values() if _is(one, Role.CANARY)),
        guard=guards[0] if guards else None,
        readers=tuple(one for one in ours.values() if _is(one, Role.READER)),
    )


_IDLE = 3


def _rank(one: Container, names: Names) -> int:
    """Return how surely a container is the one that serves; from `_IDLE` on it is not."""
    kept = one.name.startswith(names.kept)
    if one.running:
        return 1 if kept else 0
    return _IDLE if kept or one.status == "created" else 2


def _is(one: Container, role: Role) -> bool:
    return one.labels.get("role") == role
