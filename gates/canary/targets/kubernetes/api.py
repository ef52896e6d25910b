"""Requests to a Kubernetes API: plain JSON in and out, each with a deadline, none with a secret.

The official client finds the cluster and the credentials (kubeconfig, exec plugins, a pod's own
account) and keeps the connections. Objects stay plain JSON: what a version of the client's models
does not know would be lost on the way back otherwise.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gates.errors import ConfigError, EnvironmentFault
from gates.fields import bounded

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
_MAX_ANSWER: Final = 32 * 1024 * 1024
_MAX_SAID: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an API answered: the status of HTTP, and an object of JSON."""

    status: int
    body: Mapping[str, Any]

    @property
    def reason(self) -> str:
        """Return the API's own word for it, such as AlreadyExists."""
        return str(self.body.get("reason") or "")


@dataclass(frozen=True, kw_only=True)
class Api:
    """One cluster. `timeout` is the longest that a request may take, in seconds.

    `configuration` and `pool` are the official client's: it renews a token when asked for it.
    """

    configuration: Any = field(repr=False)
    pool: Any = field(repr=False)
    timeout: float

    @property
    def host(self) -> str:
        """Return the cluster's address."""
        return str(self.configuration.host).rstrip("/")

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
    ) -> Answer:
        """Send one request and return the answer, refusals included; it is never sent twice.

        Raises EnvironmentFault where there is no answer, or none that can be understood.
        """
        status, text = self._sent(method, path, body, kind)
        try:
            found = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            # "404 page not found": a path, and so a kind of object, that there is not.
            found = {} if status >= 400 else None
        if not isinstance(found, dict):
            raise EnvironmentFault(
                f"the Kubernetes API answered {status} with something that is no object of JSON",
                where=f"{method} {path}",
                hint="Check that the cluster's address is that of an API server.",
            )
        return Answer(status=status, body=found)

    def fault(self, answer: Answer, method: str, path: str) -> EnvironmentFault:
        """Return what to raise for a refusal: the API's own words, without any credential."""
        said = self._without_secrets(str(answer.body.get("message") or ""))
        return EnvironmentFault(
            f"the Kubernetes API answered {answer.status} {bounded(answer.reason, 60)}".rstrip(),
            where=f"{method} {path}",
            details=(bounded(" ".join(said.split()), _MAX_SAID),) if said else (),
            hint=_HINTS.get(answer.status),
        )

    def _sent(self, method: str, path: str, body: object, kind: str) -> tuple[int, bytes]:
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self.timeout
        headers = {"Accept": "application/json", "User-Agent": "model-gates"}
        data = None
        if body is not None:
            headers["Content-Type"] = kind
            data = json.dumps(body).encode()
        try:
            response = self.pool.request(
                method,
                self.host + path,
                body=data,
                headers=headers | dict(self._credentials()),
                timeout=Timeout(total=self.timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                return int(response.status), _read(response, deadline)
            finally:
                response.close()
        # Neither the library's words nor its chain: a header that it refuses is quoted there.
        except TimeoutError:
            raise self._silent(method, path, f"no answer within {self.timeout:g} s") from None
        except (HTTPError, OSError, ValueError) as error:
            raise self._silent(method, path, type(error).__name__) from None

    def _silent(self, method: str, path: str, why: str) -> EnvironmentFault:
        return EnvironmentFault(
            f"the Kubernetes API cannot be reached ({why})",
            where=f"{method} {path}",
            hint=f"Check with `kubectl get --raw /readyz` that {bounded(self.host, 200)} answers "
            "from here.",
        )

    def _credentials(self) -> Iterator[tuple[str, str]]:
        for setting in self.configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                yield setting["key"], setting["value"]

    def _without_secrets(self, text: str) -> str:
        for _, value in self._credentials():
            for secret in {value, value.partition(" ")[2]} - {""}:
                text = text.replace(secret, "(withheld)")
        return text


_HINTS: Final = {
    401: "The credentials are not accepted (any more): see `kubectl auth whoami`.",
    403: "The account may not do this: docs/canary-kubernetes.md has the Role that it needs.",
    404: "See with `kubectl api-resources` that the cluster has this kind of object.",
    413: "The object is too large for the cluster.",
    429: "The API server is busy: try again.",
}


def connect(
    *, kubeconfig: str | None, context: str | None, in_cluster: bool, timeout: float
) -> Api:
    """Return the API of a cluster; nothing is sent yet.

    Raises EnvironmentFault where the extra is missing, ConfigError where the cluster or its
    credentials cannot be made out.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise EnvironmentFault(
            "the target kubernetes needs the extra of that name",
            hint="pip install 'model-gates[kubernetes]'",
        ) from error
    configuration = client.Configuration()
    configuration.retries = False
    try:
        if in_cluster:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        pool = client.ApiClient(configuration).rest_client.pool_manager
    # Whatever a kubeconfig, its plugins and certificates can bring up. Parsers quote what they
    # stumble over, which may be a token: only the kind of error is told.
    except Exception as error:  # noqa: BLE001
        raise ConfigError(
            f"cannot make out the cluster and its credentials ({type(error).__name__})",
            where="inside the cluster" if in_cluster else (kubeconfig or "the default kubeconfig"),
            hint="Check it with `kubectl config view --minify` and `kubectl auth whoami`.",
        ) from None
    return Api(configuration=configuration, pool=pool, timeout=timeout)


def _read(response: Any, deadline: float) -> bytes:
    """Return the whole body, unless it trickles in past the deadline or has no end."""
    parts: list[bytes] = []
    size = 0
    # read1 returns what has come; read waits until there is as much as was asked for.
    while part := response.read1(65536, decode_content=True):
        size += len(part)
        if size > _MAX_ANSWER:
            raise ValueError("too large")
        if time.monotonic() > deadline:
            raise TimeoutError
        parts.append(part)
    return b"".join(parts)


def pointer(*parts: str | int) -> str:
    """Return a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


Operations = Sequence[Mapping[str, Any]]
