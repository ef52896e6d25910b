"""One namespace of a cluster: objects read, and changed only as they were read.

Every change is a JSON Patch that begins with a `test` of the object's resourceVersion, so that what
somebody else did in between is never overwritten unseen. An API server answers a failed `test`
with 422 and a lost race in its own store with 409: both are the same to us.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gates.canary.targets.kubernetes.api import (
    JSON_PATCH,
    MERGE_PATCH,
    Answer,
    Api,
    Operations,
    pointer,
)
from gates.errors import EnvironmentFault, InputError

Object = Mapping[str, Any]
T = TypeVar("T")

_TRIES: Final = 6
_LONGEST_PAUSE: Final = 2.0
_LOST: Final = (409, 422)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of object, where the API has it: `group` is its path, version included."""

    group: str
    plural: str
    name: str

    @property
    def version(self) -> str:
        """Return its `apiVersion`."""
        return self.group.partition("/")[2]


CONFIG_MAP: Final = Kind(group="api/v1", plural="configmaps", name="ConfigMap")
POD: Final = Kind(group="api/v1", plural="pods", name="Pod")
DEPLOYMENT: Final = Kind(group="apis/apps/v1", plural="deployments", name="Deployment")
LEASE: Final = Kind(group="apis/coordination.k8s.io/v1", plural="leases", name="Lease")
ENDPOINT_SLICE: Final = Kind(
    group="apis/discovery.k8s.io/v1", plural="endpointslices", name="EndpointSlice"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """The objects of one namespace."""

    api: Api
    namespace: str

    def find(self, kind: Kind, name: str) -> Object | None:
        """Return an object; None where there is none of the name."""
        path = self.path(kind, name)
        answer = self.api.ask("GET", path)
        # A 404 without a Status is that of a server, or a path, that knows no such kind.
        if answer.status == 404 and _is_absent(answer, name):
            return None
        return self._taken(answer, "GET", path)

    def get(self, kind: Kind, name: str) -> Object:
        """Return an object; raises InputError where there is none of the name."""
        found = self.find(kind, name)
        if found is None:
            raise InputError(
                f"there is no {kind.name} of this name",
                where=f"{kind.name} {self.namespace}/{name}",
                hint=f"See what there is with `kubectl -n {self.namespace} get {kind.plural}`.",
            )
        return found

    def select(self, kind: Kind, labels: Mapping[str, str]) -> tuple[Object, ...]:
        """Return all objects with these labels."""
        from urllib.parse import quote

        selector = quote(",".join(f"{key}={value}" for key, value in sorted(labels.items())))
        items: list[Object] = []
        after = ""
        while True:
            path = f"{self.path(kind)}?labelSelector={selector}&limit=500{after}"
            found = self._taken(self.api.ask("GET", path), "GET", path)
            items += found.get("items") or ()
            token = (found.get("metadata") or {}).get("continue")
            if not token:
                return tuple(items)
            after = f"&continue={quote(token)}"

    def create(self, kind: Kind, name: str, fields: Object) -> Object | None:
        """Create an object; None where there is one of the name already."""
        metadata = {"name": name, "namespace": self.namespace, **fields.get("metadata", {})}
        body = {"apiVersion": kind.version, "kind": kind.name, **fields, "metadata": metadata}
        path = self.path(kind)
        answer = self.api.ask("POST", path, body)
        if answer.status == 409 and answer.reason == "AlreadyExists":
            return None
        return self._taken(answer, "POST", path)

    def change(
        self, kind: Kind, name: str, decide: Callable[[Object], Operations], *, part: str = ""
    ) -> Object:
        """Change an object as `decide` says of what it finds, and return it as it is then.

        `decide` is asked again when somebody else was faster; it may raise. `part` is a subresource
        such as status. Raises EnvironmentFault when others are faster every time.
        """
        for attempt in range(_TRIES):
            found = self.get(kind, name)
            operations = decide(found)
            if not operations:
                return found
            changed = self._patched(kind, name, found, operations, part)
            if changed is not None:
                return changed
            time.sleep(min(_LONGEST_PAUSE, 0.05 * 2**attempt))
        raise EnvironmentFault(
            f"somebody else changed this {_TRIES} times while we were about to",
            where=self.where(kind, name),
            hint="Find out who (metadata.managedFields says), and let one of the two be in charge.",
        )

    def swap(
        self, kind: Kind, found: Object, operations: Operations, *, part: str = ""
    ) -> Object | None:
        """Change an object if it still is as it was found; None if it is not."""
        return self._patched(kind, found["metadata"]["name"], found, operations, part)

    def merge(self, kind: Kind, name: str, fields: Object, *, part: str = "") -> Object:
        """Set fields of an object, whoever else changes it; for what a controller tells apart."""
        path = self.path(kind, name, part)
        answer = self.api.ask("PATCH", path, fields, kind=MERGE_PATCH)
        return self._taken(answer, "PATCH", path)

    def remove(self, kind: Kind, name: str) -> None:
        """Have an object gone; what depends on it goes, too."""
        path = self.path(kind, name)
        answer = self.api.ask("DELETE", path, {"propagationPolicy": "Background"})
        if not (answer.status == 404 and _is_absent(answer, name)):
            self._taken(answer, "DELETE", path)

    def path(self, kind: Kind, name: str = "", part: str = "") -> str:
        """Return where the API has a kind, or an object of it."""
        parts = (kind.group, "namespaces", self.namespace, kind.plural, name, part)
        return "/" + "/".join(one for one in parts if one)

    def where(self, kind: Kind, name: str) -> str:
        """Return what a message calls an object."""
        return f"{kind.name} {self.namespace}/{name}"

    def _patched(
        self, kind: Kind, name: str, found: Object, operations: Operations, part: str
    ) -> Object | None:
        version = found["metadata"]["resourceVersion"]
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        path = self.path(kind, name, part)
        answer = self.api.ask("PATCH", path, [test, *operations], kind=JSON_PATCH)
        if answer.status in _LOST:
            # A 422 may as well mean that the new object is not valid: then nobody was faster.
            now = self.get(kind, name)
            if now["metadata"]["resourceVersion"] != version or answer.status == 409:
                return None
        return self._taken(answer, "PATCH", path)

    def _taken(self, answer: Answer, method: str, path: str) -> Object:
        if 200 <= answer.status < 300:
            return answer.body
        raise self.api.fault(answer, method, path)


def waited(look: Callable[[], T | None], seconds: float) -> T | None:
    """Return what `look` returns as soon as it is something; None if it is not in time."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        found = look()
        if found is not None or time.monotonic() >= deadline:
            return found
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(_LONGEST_PAUSE, 2 * pause)


def annotated(found: Object, name: str, value: str | None) -> list[dict[str, Any]]:
    """Return the operations that set an annotation, or take it away where `value` is None."""
    there = (found.get("metadata") or {}).get("annotations")
    if value is None:
        gone = {"op": "remove", "path": pointer("metadata", "annotations", name)}
        return [gone] if name in (there or {}) else []
    if there is None:
        return [{"op": "add", "path": "/metadata/annotations", "value": {name: value}}]
    return [{"op": "add", "path": pointer("metadata", "annotations", name), "value": value}]


def annotation(found: Object, name: str) -> str | None:
    """Return an annotation's value."""
    value = ((found.get("metadata") or {}).get("annotations") or {}).get(name)
    return None if value is None else str(value)


def _is_absent(answer: Answer, name: str) -> bool:
    details = answer.body.get("details") or {}
    return answer.reason == "NotFound" and details.get("name") == name
