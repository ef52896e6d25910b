"""Istio: the weights of a VirtualService's destinations.

Istio says nowhere what each proxy has taken over (`status` is off unless an operator turns it on),
so the weights in the object are what can be known; its own complaints are heeded where there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from gates.canary.targets.kubernetes.cluster import Cluster, Kind, Object
from gates.canary.targets.kubernetes.router import (
    Careful,
    Weights,
    command,
    share_of,
    shut,
    sides,
)
from gates.errors import EnvironmentFault, GatesError, InputError
from gates.fields import Model, bounded

VIRTUAL_SERVICE: Final = Kind(
    group="apis/networking.istio.io/v1", plural="virtualservices", name="VirtualService"
)


class Istio(Model):
    """A VirtualService of Istio splits the traffic between two Services, or two subsets of one."""

    virtualservice: StrictStr = Field(description="Name of the VirtualService.")
    route: StrictInt | StrictStr | None = Field(
        default=None,
        description="The entry of `http` that splits, by place (from 0) or by name; all that have "
        "both sides, if left out.",
    )
    stable_service: StrictStr = Field(description="Service of what serves.")
    canary_service: StrictStr = Field(
        description="Service of the canary; the same, where subsets tell the sides apart."
    )
    stable_subset: StrictStr | None = Field(
        default=None, description="Subset of what serves, as the DestinationRule names it."
    )
    canary_subset: StrictStr | None = Field(default=None, description="Subset of the canary.")

    @model_validator(mode="after")
    def _two_sides(self) -> Self:
        stable = (self.stable_service, self.stable_subset)
        if stable == (self.canary_service, self.canary_subset):
            raise ValueError("both sides are the same: tell them apart by Service or by subset")
        return self

    def router(self, cluster: Cluster, settle: float) -> Virtual:
        """Return the router; nothing is asked yet, and nothing is waited for (`settle`)."""
        del settle
        names = (
            _name(self.stable_service, self.stable_subset),
            _name(self.canary_service, self.canary_subset),
        )
        return Virtual(cluster=cluster, name=self.virtualservice, route=self.route, names=names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Virtual:
    """One VirtualService; a side's name is that of its Service, and of its subset."""

    cluster: Cluster
    name: str
    route: int | str | None
    names: tuple[str, str]

    def share(self) -> tuple[float, str]:
        """Return the canary's part of the traffic, as the object has it, and Istio's complaint."""
        found = self.cluster.get(VIRTUAL_SERVICE, self.name)
        return share_of(self._rules(found)), complaint(found)

    def split(self, percent: int, *, force: bool) -> None:
        """Send this part to the canary."""
        where = self.cluster.where(VIRTUAL_SERVICE, self.name)
        careful = Careful(percent=percent, force=force, where=where)
        changed = self.cluster.change(
            VIRTUAL_SERVICE, self.name, lambda found: careful.decide(self._rules(found))
        )
        why = complaint(changed)
        if why:
            raise EnvironmentFault(
                why,
                where=where,
                hint=f"See `istioctl analyze -n {self.cluster.namespace}`.",
            )

    def by_hand(self) -> tuple[str, ...]:
        """Return the command that sends everything to the stable side."""
        rules: tuple[Weights, ...] = ()
        with suppress(GatesError):
            rules = self._rules(self.cluster.get(VIRTUAL_SERVICE, self.name))
        return (command(self.cluster, VIRTUAL_SERVICE, self.name, shut(rules)),)

    def _rules(self, found: Object) -> tuple[Weights, ...]:
        spec = found["spec"]
        for protocol in ("tcp", "tls"):
            if any(self._names(one) for one in spec.get(protocol) or ()):
                raise self._unlike(f"its `{protocol}` entries send to one of the sides")
        routes = list(enumerate(spec.get("http") or ()))
        ours = tuple(
            self._ours(place, one)
            for place, one in routes
            if self._names(one) and self._chosen(place, one)
        )
        if not ours:
            raise self._unlike(f"no `http` entry splits between {' and '.join(self.names)}")
        for place, one in routes:
            if not self._chosen(place, one) and self.names[1] in self._names(one):
                raise self._unlike(f"`http` entry {place} sends to {self.names[1]}, too")
        return ours

    def _ours(self, place: int, entry: Mapping[str, Any]) -> Weights:
        destinations = entry["route"]
        # One destination alone gets everything, whatever it says.
        default = 100 if len(destinations) == 1 else 0
        backends: dict[str, list[tuple[tuple[str | int, ...], int]]] = {}
        for number, one in enumerate(destinations):
            path = ("spec", "http", place, "route", number, "weight")
            weight = int(one.get("weight", default))
            backends.setdefault(self._destination(one), []).append((path, weight))
        weights = sides(backends, self.names)
        if weights is None:
            raise self._unlike(f"`http` entry {place} has others than the two sides, or one twice")
        return weights

    def _chosen(self, place: int, entry: Mapping[str, Any]) -> bool:
        return self.route is None or self.route in (place, entry.get("name"))

    def _names(self, entry: Mapping[str, Any]) -> frozenset[str]:
        found = frozenset(self._destination(one) for one in entry.get("route") or ())
        return found & frozenset(self.names)

    def _destination(self, one: Mapping[str, Any]) -> str:
        destination = one.get("destination") or {}
        host = str(destination.get("host") or "")
        name, _, rest = host.partition(".")
        local = f"{self.cluster.namespace}.svc."
        here = rest in ("", self.cluster.namespace, local[:-1]) or rest.startswith(local)
        return _name(name if here else host, destination.get("subset"))

    def _unlike(self, why: str) -> InputError:
        return InputError(
            f"this VirtualService cannot split the traffic: {why}",
            where=self.cluster.where(VIRTUAL_SERVICE, self.name),
            hint="docs/canary-kubernetes.md shows what it has to look like.",
        )


def complaint(found: Object) -> str:
    """Return what Istio says is wrong with an object, where it says so; empty if nothing is."""
    wrong = [
        str((one.get("type") or {}).get("code") or one.get("level"))
        for one in (found.get("status") or {}).get("validationMessages") or ()
        if one.get("level") in ("ERROR", 3)
    ]
    return f"Istio complains of it: {bounded(', '.join(wrong), 200)}" if wrong else ""


def _name(service: str, subset: str | None) -> str:
    return service if subset is None else f"{service} ({subset})"
