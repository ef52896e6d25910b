"""Gateway API: the weights of an HTTPRoute's backends, believed once its gateways have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field, StrictInt, StrictStr

from gates.canary.targets.kubernetes.cluster import Cluster, Kind, Object, waited
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

HTTP_ROUTE: Final = Kind(
    group="apis/gateway.networking.k8s.io/v1", plural="httproutes", name="HTTPRoute"
)
_NEEDED: Final = ("Accepted", "ResolvedRefs")
_PARENT: Final = ("group", "kind", "namespace", "name", "sectionName", "port")


class Gateway(Model):
    """An HTTPRoute of the Gateway API splits the traffic between two Services."""

    httproute: StrictStr = Field(description="Name of the HTTPRoute.")
    rule: StrictInt | StrictStr | None = Field(
        default=None,
        description="The rule that splits, by place (from 0) or by name; all that have both "
        "Services, if left out.",
    )
    stable_service: StrictStr = Field(description="Service of what serves.")
    canary_service: StrictStr = Field(description="Service of the canary.")

    def router(self, cluster: Cluster, settle: float) -> Route:
        """Return the router; nothing is asked yet."""
        names = (self.stable_service, self.canary_service)
        return Route(
            cluster=cluster, name=self.httproute, rule=self.rule, services=names, settle=settle
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One HTTPRoute; `settle` is how long its gateways may take to take a change over, in s."""

    cluster: Cluster
    name: str
    rule: int | str | None
    services: tuple[str, str]
    settle: float

    def share(self) -> tuple[float, str]:
        """Return the canary's part of the traffic, and why its gateways may not have it so."""
        route = self.cluster.get(HTTP_ROUTE, self.name)
        return share_of(self._rules(route)), unsettled(route)

    def split(self, percent: int, *, force: bool) -> None:
        """Send this part to the canary, and return when every gateway has taken it over."""
        careful = Careful(percent=percent, force=force, where=self._where)
        self.cluster.change(HTTP_ROUTE, self.name, lambda route: careful.decide(self._rules(route)))
        why = ["not asked yet"]

        def settled() -> bool | None:
            why[0] = unsettled(self.cluster.get(HTTP_ROUTE, self.name))
            return None if why[0] else True

        if waited(settled, self.settle) is None:
            raise self._fault(f"after {self.settle:g} s: {why[0]}")

    def by_hand(self) -> tuple[str, ...]:
        """Return the command that sends everything to the stable side."""
        rules: tuple[Weights, ...] = ()
        with suppress(GatesError):
            rules = self._rules(self.cluster.get(HTTP_ROUTE, self.name))
        return (command(self.cluster, HTTP_ROUTE, self.name, shut(rules)),)

    def _rules(self, route: Object) -> tuple[Weights, ...]:
        """Return the weights of each rule that is ours. Raises InputError where it is not clear."""
        rules = route["spec"].get("rules") or []
        found = [(place, rule) for place, rule in enumerate(rules) if self._names(rule)]
        ours = tuple(self._ours(place, rule) for place, rule in found if self._chosen(place, rule))
        if not ours:
            raise self._unlike(f"no rule of it splits between {' and '.join(self.services)}")
        others = [place for place, rule in found if not self._chosen(place, rule)]
        for place in others:
            if self.services[1] in self._names(rules[place]):
                raise self._unlike(f"rule {place} sends to {self.services[1]}, too")
        return ours

    def _ours(self, place: int, rule: Mapping[str, Any]) -> Weights:
        if rule.get("sessionPersistence"):
            # What a session does at weight 0 is up to the implementation.
            raise self._unlike(f"rule {place} keeps sessions on a side")
        backends: dict[str, list[tuple[tuple[str | int, ...], int]]] = {}
        for number, one in enumerate(rule["backendRefs"]):
            path = ("spec", "rules", place, "backendRefs", number, "weight")
            # The API's default is 1, and not 0.
            backends.setdefault(self._service(one), []).append((path, int(one.get("weight", 1))))
        weights = sides(backends, self.services)
        if weights is None:
            raise self._unlike(f"rule {place} has other backends than the two, or one twice")
        return weights

    def _chosen(self, place: int, rule: Mapping[str, Any]) -> bool:
        return self.rule is None or self.rule in (place, rule.get("name"))

    def _names(self, rule: Mapping[str, Any]) -> frozenset[str]:
        backends = rule.get("backendRefs") or ()
        return frozenset(self._service(one) for one in backends) & frozenset(self.services)

    def _service(self, backend: Mapping[str, Any]) -> str:
        """Return the name of a backend's Service; of another kind or namespace, no name of ours."""
        kind = (backend.get("group") or "", backend.get("kind") or "Service")
        here = (backend.get("namespace") or self.cluster.namespace) == self.cluster.namespace
        plain = kind == ("", "Service") and here
        return str(backend["name"]) if plain else f"{kind[1]} {backend['name']}"

    @property
    def _where(self) -> str:
        return self.cluster.where(HTTP_ROUTE, self.name)

    def _fault(self, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"whether the weights are in effect cannot be told: {why}",
            where=self._where,
            hint=f"See `kubectl -n {self.cluster.namespace} describe httproute {self.name}`.",
        )

    def _unlike(self, why: str) -> InputError:
        return InputError(
            f"this route cannot split the traffic: {why}",
            where=self._where,
            hint="docs/canary-kubernetes.md shows what it has to look like.",
        )


def unsettled(route: Object) -> str:
    """Return why a route is not in effect as it stands; empty if it is, with every parent."""
    return "; ".join(_unsettled(route))


def _unsettled(route: Object) -> Iterator[str]:
    parents = route["spec"].get("parentRefs") or ()
    if not parents:
        yield "it is attached to no gateway"
    reported = (route.get("status") or {}).get("parents") or ()
    for parent in parents:
        said = [one for one in reported if _key(one.get("parentRef") or {}) == _key(parent)]
        if not said:
            yield f"no controller has taken it over for {parent.get('name')}"
        for one in said:
            yield from _unmet(one, parent, int(route["metadata"].get("generation") or 0))


def _unmet(said: Object, parent: Object, generation: int) -> Iterator[str]:
    conditions = {one.get("type"): one for one in said.get("conditions") or ()}
    for name in _NEEDED:
        found = conditions.get(name)
        if found is None or int(found.get("observedGeneration") or 0) < generation:
            yield f"{parent.get('name')} has not looked at the latest change ({name})"
        elif found.get("status") != "True":
            yield f"{parent.get('name')} says {name}: {bounded(found.get('reason'), 60)}"


def _key(parent: Mapping[str, Any]) -> tuple[object, ...]:
    defaults = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    return tuple((defaults | dict(parent)).get(name) for name in _PARENT)
