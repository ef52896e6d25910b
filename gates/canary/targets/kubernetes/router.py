"""What splits the traffic between two Services, and how a weight there is changed and believed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gates.canary.targets.kubernetes.api import pointer
from gates.canary.targets.kubernetes.cluster import Cluster, Kind, Object
from gates.errors import EnvironmentFault


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The weights of both sides in one rule, and where in the object they stand."""

    stable: int
    canary: int
    stable_path: tuple[str | int, ...]
    canary_path: tuple[str | int, ...]

    @property
    def share(self) -> float:
        """Return the canary's part; 0 where nobody gets anything."""
        total = self.stable + self.canary
        return self.canary / total if total else 0.0


class Router(Protocol):
    """Splits the traffic; `service` is how it calls a side."""

    def share(self) -> tuple[float, str]:
        """Return the canary's part of the traffic, and why it may not be in effect; empty if it is.

        A doubt is told and not raised: the way back has to be open then, more than ever.
        """
        ...

    def split(self, percent: int, *, force: bool) -> None:
        """Send this part to the canary, and return when that is in effect.

        Raises EnvironmentFault when somebody else changed the weights meanwhile, unless it is to
        be forced, and when what was set is not taken over in time.
        """
        ...

    def by_hand(self) -> tuple[str, ...]:
        """Return the command that sends everything to the stable side."""
        ...


def share_of(rules: tuple[Weights, ...]) -> float:
    """Return the most that any rule sends to the canary: one that does is one too many."""
    return max(rule.share for rule in rules)


def reweighted(rules: tuple[Weights, ...], percent: int) -> list[dict[str, Any]]:
    """Return the operations that give the canary this part in each rule; none where it has it."""
    return [
        {"op": "add", "path": pointer(*path), "value": weight}
        for rule in rules
        if (rule.stable, rule.canary) != (100 - percent, percent)
        for path, weight in ((rule.stable_path, 100 - percent), (rule.canary_path, percent))
    ]


@dataclass(kw_only=True)
class Careful:
    """Decides on the weights of an object once, and again only if nobody else touched them.

    To be asked by `Cluster.change`, which asks again after each change by somebody else.
    """

    percent: int
    force: bool
    where: str
    _first: tuple[tuple[int, int], ...] | None = None

    def decide(self, rules: tuple[Weights, ...]) -> list[dict[str, Any]]:
        """Return the operations. Raises EnvironmentFault where the weights changed meanwhile."""
        found = tuple((rule.stable, rule.canary) for rule in rules)
        if self._first is None:
            self._first = found
        if found != self._first and not self.force:
            raise EnvironmentFault(
                f"somebody else changed the weights while we were about to: {told(self._first)} "
                f"became {told(found)}",
                where=self.where,
                hint="GitOps or a person is in charge there, too. Stop that, or let it ignore the "
                "weights (docs/canary-kubernetes.md); nothing was overwritten.",
            )
        return reweighted(rules, self.percent)


def told(rules: tuple[tuple[int, int], ...]) -> str:
    """Return the weights of each rule as text: stable:canary."""
    return ", ".join(f"{stable}:{canary}" for stable, canary in rules)


def sides(
    backends: Mapping[str, list[tuple[tuple[str | int, ...], int]]], names: tuple[str, str]
) -> Weights | None:
    """Return the weights of a rule whose backends are the two sides, each once, and nothing else.

    `backends` has for each name where its weights stand, and the weights.
    """
    stable, canary = (backends.get(name) or [] for name in names)
    if len(stable) != 1 or len(canary) != 1 or len(backends) != 2:
        return None
    return Weights(
        stable=stable[0][1],
        canary=canary[0][1],
        stable_path=stable[0][0],
        canary_path=canary[0][0],
    )


def command(
    cluster: Cluster, kind: Kind, name: str, operations: Iterator[Mapping[str, Any]]
) -> str:
    """Return the kubectl command that changes an object, or, with nothing known, opens it."""
    ready = list(operations)
    start = f"kubectl -n {shlex.quote(cluster.namespace)}"
    if not ready:
        return f"{start} edit {kind.plural}/{shlex.quote(name)}"
    patch = json.dumps(ready, separators=(",", ":"))
    return f"{start} patch {kind.plural}/{shlex.quote(name)} --type=json -p {shlex.quote(patch)}"


def shut(rules: tuple[Weights, ...]) -> Iterator[Object]:
    """Yield what a person's command has to do: the same as ours, whatever the weights are now."""
    for rule in rules:
        for path, weight in ((rule.stable_path, 100), (rule.canary_path, 0)):
            yield {"op": "add", "path": pointer(*path), "value": weight}
