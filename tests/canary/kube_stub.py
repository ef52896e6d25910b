"""A Kubernetes API of our own on loopback: it keeps and refuses objects as a cluster does.

Every object that is written is held against the published schemas (tests/contracts). A failed
`test` of a JSON Patch answers 422, as kube-apiserver does; a kind's status is changed through its
subresource alone; `generation` counts changes of the rest. What a controller would do is done by
functions in `controllers`, asked after each change (tests/canary/kube_controllers.py).
"""

import copy
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

from tests.canary.kube_patch import apply, forget, merge

CONTRACT = Path(__file__).parents[1] / "contracts" / "kubernetes-api.json"
TOKEN = "t0ken-that-no-message-may-hold"  # noqa: S105  (of no use to anybody)
NAMESPACE = "prod"
# What has a status of its own in the API; in a ConfigMap or a Lease there is none.
WITH_STATUS = {"deployments", "pods", "httproutes", "rollouts", "inferenceservices", "revisions"}
_PATH = re.compile(
    r"/(?P<group>api/v1|apis/[^/]+/[^/]+)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<part>status))?)?\Z"
)


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, code, reason, message="", name=None):
        super().__init__(message)
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": {"name": name} if name else {},
            "code": code,
        }


@dataclass
class Fault:
    """What to do to the next `times` requests whose method and path match.

    `do` is called before the request takes effect, with the lock held by nobody. With a `status` it
    is refused, with `text` in words that are no JSON; with `hang` it is never answered; with `lost` it takes effect, and the connection is
    reset; `said` is the message of the refusal, with {authorization} for the header that came.
    """

    method: str
    path: str
    do: object = None
    status: int | None = None
    said: str = ""
    text: str | None = None
    hang: bool = False
    lost: bool = False
    times: int = 1


@dataclass
class KubeStub:
    """A cluster's objects, by plural and name, in one namespace."""

    objects: dict = field(default_factory=dict)
    controllers: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    # Fields that this cluster's version does not know, and drops without a word, by plural.
    unknown: dict = field(default_factory=dict)
    lock: object = field(default_factory=threading.RLock)
    closing: object = field(default_factory=threading.Event)
    version: int = 100
    settling: bool = False
    address: str = ""

    def put(self, plural, fields, *, status=None):
        """Put an object there, as a person or a controller would."""
        with self.lock:
            name = fields["metadata"]["name"]
            there = self.objects.get((plural, name))
            merged = copy.deepcopy(fields) | ({"status": status} if status is not None else {})
            if there is not None and status is None and "status" in there:
                merged.setdefault("status", there["status"])
            self._store(plural, name, merged, there)
            self.settle()
            return self.get(plural, name)

    def get(self, plural, name):
        with self.lock:
            return copy.deepcopy(self.objects.get((plural, name)))

    def all(self, plural):
        with self.lock:
            return [
                copy.deepcopy(found) for (kind, _), found in self.objects.items() if kind == plural
            ]

    def drop(self, plural, name):
        with self.lock:
            return self.objects.pop((plural, name), None)

    def edit(self, plural, name, change):
        """Change an object in place, whoever does so; `change` gets the object."""
        with self.lock:
            found = self.get(plural, name)
            change(found)
            self._store(plural, name, found, self.objects[plural, name])
            self.settle()

    def settle(self):
        """Let the controllers do what is theirs, until nothing changes any more."""
        if self.settling:
            return  # what a controller changed is looked at in the next round
        self.settling = True
        try:
            for _ in range(50):
                before = self.version
                for controller in self.controllers:
                    controller(self)
                if self.version == before:
                    return
            raise AssertionError("the controllers do not come to rest")
        finally:
            self.settling = False

    def writes(self):
        return [one for one in self.requests if one[0] != "GET"]

    @contextmanager
    def serve(self):
        stub = self

        class Handler(_Handler):
            pass

        Handler.stub = stub
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.address = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                self.closing.set()
                server.shutdown()
                thread.join()

    def kubeconfig(self, path, *, token=TOKEN):
        """Write a kubeconfig for this cluster, and return its path."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stub", "cluster": {"server": self.address}}],
            "users": [{"name": "runner", "user": {"token": token}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "runner"}}],
            "current-context": "stub",
        }
        path.write_text(json.dumps(config))
        return str(path)

    def answer(self, method, target, headers, body):
        url = urlsplit(target)
        found = _PATH.match(unquote(url.path))
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if found is None or found["namespace"] != NAMESPACE:
            raise Refusal(404, "", "404 page not found")
        plural, name, part = found["plural"], found["name"], found["part"]
        with self.lock:
            if method == "GET" and name is None:
                return self._listed(plural, parse_qs(url.query))
            if method == "POST":
                return self._created(plural, body)
            if (plural, name) not in self.objects:
                raise Refusal(404, "NotFound", f'{plural} "{name}" not found', name)
            if method == "GET":
                return self.get(plural, name)
            if method == "DELETE":
                self._deleted(plural, name)
                return {"kind": "Status", "status": "Success"}
            return self._patched(plural, name, part, headers["content-type"], body)

    def _listed(self, plural, query):
        wanted = dict(
            pair.split("=", 1)
            for text in query.get("labelSelector", [])
            for pair in text.split(",")
        )
        items = [
            found
            for found in self.all(plural)
            if wanted.items() <= (found["metadata"].get("labels") or {}).items()
        ]
        # Pages of two: whoever reads the first alone sees too little.
        start, size = int(query.get("continue", ["0"])[0]), 2
        rest = {"continue": str(start + size)} if start + size < len(items) else {}
        return {"kind": "List", "metadata": rest, "items": items[start : start + size]}

    def _created(self, plural, body):
        name = body["metadata"]["name"]
        if (plural, name) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists', name)
        fields = {key: value for key, value in body.items() if key != "status"}
        self._store(plural, name, fields, None)
        self.settle()
        return self.get(plural, name)

    def _deleted(self, plural, name):
        del self.objects[plural, name]
        self.version += 1
        self.settle()

    def _patched(self, plural, name, part, kind, body):
        there = self.objects[plural, name]
        after = copy.deepcopy(there)
        if kind == "application/json-patch+json":
            try:
                for one in body:
                    apply(after, one)
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise Refusal(422, "Invalid", f"the server rejected the patch: {error}") from None
        elif kind == "application/merge-patch+json":
            after = merge(after, body)
        else:
            raise Refusal(415, "UnsupportedMediaType", kind)
        if after["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified", name)
        if plural in WITH_STATUS:
            kept = there if part is None else after
            base = after if part is None else there
            after = {key: value for key, value in base.items() if key != "status"}
            if "status" in kept:
                after["status"] = kept["status"]
        if after != there:
            self._store(plural, name, after, there)
            self.settle()
        return self.get(plural, name)

    def _store(self, plural, name, fields, there):
        for path in self.unknown.get(plural, ()):
            forget(fields, path)
        metadata = fields["metadata"] = {"namespace": NAMESPACE, **fields["metadata"]}
        metadata["uid"] = there["metadata"]["uid"] if there else f"uid-{plural}-{name}"
        old = {} if there is None else there
        changed = {key: fields.get(key) for key in fields if key not in ("metadata", "status")} != {
            key: old.get(key) for key in old if key not in ("metadata", "status")
        }
        if plural not in ("configmaps", "leases"):
            metadata["generation"] = old.get("metadata", {}).get("generation", 0) + int(changed)
        validate(fields)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self.objects[plural, name] = fields


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or each answer waits for an ACK
    stub = None

    def log_message(self, *_):
        pass

    def _handle(self):
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        body = json.loads(raw) if raw else None
        stub, path = self.stub, unquote(urlsplit(self.path).path)
        fault = self._fault(path)
        with stub.lock:
            stub.requests.append((self.command, path, body))
        try:
            if fault is not None and fault.do is not None:
                fault.do(stub)
            if fault is not None and fault.hang:
                stub.closing.wait(60)
                self._reset()
                return
            self._admit(fault, length)
            headers = {key.lower(): value for key, value in self.headers.items()}
            code, answer = 200, stub.answer(self.command, self.path, headers, body)
        except Refusal as refusal:
            code, answer = refusal.code, refusal.body
        if fault is not None and fault.text is not None:
            code, answer = fault.status, fault.text
        if fault is not None and fault.lost:
            self._reset()
            return
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _admit(self, fault, length):
        if fault is not None and fault.status is not None:
            said = fault.said.replace("{authorization}", self.headers["authorization"])
            raise Refusal(fault.status, "Refused", said)
        if length > 3 * 1024 * 1024:
            raise Refusal(413, "RequestEntityTooLarge", "limit is 3145728")

    def _fault(self, path):
        with self.stub.lock:
            for fault in self.stub.faults:
                if fault.times and fault.method == self.command and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def _reset(self):
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815  (http.server's names)


@cache
def _validator(kind):
    contract = json.loads(CONTRACT.read_text("utf-8"))
    if kind not in contract["kinds"]:
        return None
    schema = {**contract["kinds"][kind], "$defs": contract["$defs"]}
    return jsonschema.Draft7Validator(_as_draft7(schema))


def _as_draft7(schema):
    # A $ref beside other words would hide them; the root is either the one or the other.
    if "$ref" in schema:
        return {"allOf": [{"$ref": schema["$ref"]}], "$defs": schema["$defs"]}
    return schema


def validate(found):
    """Refuse an object as the API does that knows its schema; and one over 1 MiB of data."""
    validator = _validator(found["kind"])
    if validator is not None:
        wrong = [
            f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in validator.iter_errors(found)
        ]
        if wrong:
            raise Refusal(422, "Invalid", "; ".join(wrong)[:1000], found["metadata"]["name"])
    size = sum(len(value.encode()) for value in found.get("data", {}).values())
    if found["kind"] == "ConfigMap" and size > 1024 * 1024:
        raise Refusal(422, "Invalid", "Too long: must have at most 1048576 bytes")
    if found["kind"] == "Lease" and found["spec"].get("holderIdentity") == "":
        raise Refusal(422, "Invalid", "spec.holderIdentity: must not be empty")
