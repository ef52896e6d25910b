"""A GitHub of our own on loopback: it remembers, it holds everything against the real contract.

Every request that arrives, and every answer that was not asked to be a fault, is validated with
GitHub's own description of its API (tests/contracts). What breaks it is in `problems`, and a test
that leaves any there has failed: `FakeGitHub.serve` raises at its end.
"""

import base64
import json
import re
import socket
import struct
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

CONTRACT = Path(__file__).parent / "contracts" / "github-api.json"
SERVER = "https://api.github.com"
DATE = "Sat, 21 Nov 2026 08:00:00 GMT"
NOW = 1795248000
BOT = {"login": "github-actions[bot]", "id": 41898282}
HEAD = "ad1b6a4c0c9b8b5a3d2e1f00112233445566aa77"
BASE = "ba5e" * 10
MAX_COMMENT = 65_536
MAX_DESCRIPTION = 140


@cache
def contract():
    """Return the contract's validator, and its plain text."""
    text = json.loads(CONTRACT.read_text("utf-8"), object_hook=_nullable)
    return OpenAPI.from_dict(text), text


def _nullable(schema):
    """Let a nullable enum be null, as GitHub means it: to the letter, OpenAPI 3.0 forbids it."""
    if schema.get("nullable") is True and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 1000.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Fault:
    """What to do to the next `times` requests that match.

    `after` lets the request take effect first; `do` is called before it does, and `before` where it
    never does; without a status the connection is reset, and with `half` it is so in the middle of
    the answer. With a `delay`, in seconds that do pass, the answer is as it should be, but late.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict = field(default_factory=dict)
    body: object = None
    times: int = 1
    after: bool = False
    half: bool = False
    do: object = None
    before: object = None
    delay: float = 0.0

    @property
    def answers(self):
        """Return whether the request is answered as if nothing were wrong, in the end."""
        watches = bool(self.do) and not self.after
        return self.status is None and not self.half and (bool(self.delay) or watches)

    def matches(self, method, path):
        return self.times > 0 and method == self.method and re.search(self.path, path)


@dataclass
class Call:
    """A request as it arrived."""

    method: str
    path: str
    query: dict
    headers: dict
    body: object


@dataclass
class FakeGitHub:
    """The state of one repository, `acme/credit`, whatever its name is asked as."""

    prefix: str = ""
    viewer: dict | None = None  # an app's token may not ask who it is
    writer: dict = field(default_factory=lambda: dict(BOT))
    max_comment: int = MAX_COMMENT
    comments: list = field(default_factory=list)
    checks: list = field(default_factory=list)
    statuses: list = field(default_factory=list)
    deployments: list = field(default_factory=list)  # each with its `statuses`
    pulls: dict = field(default_factory=lambda: {7: {"head": HEAD, "state": "open"}})
    branches: dict = field(default_factory=lambda: {"main": BASE})
    files: dict = field(default_factory=dict)  # by commit and path
    rulesets: list = field(default_factory=list)
    settings: dict = field(default_factory=dict)  # what only an administrator is told
    faults: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: int = 100

    @contextmanager
    def serve(self, wrap=None):
        """Answer until the end of the block; then nothing may have broken the contract."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        if wrap:
            server.socket = wrap(server.socket)
        port = server.server_address[1]
        self.url = f"{'https' if wrap else 'http'}://127.0.0.1:{port}{self.prefix}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        assert self.problems == []

    def fail(self, method, path, status=None, body=None, **how):
        """Spoil what comes next; see Fault."""
        self.faults.append(Fault(method, path, status, body=body, **how))

    def add_comment(self, body, user=None, pull=7):
        """Write a comment as somebody would, the bot unless said."""
        with self.lock:
            return self._comment(pull, body, user or self.writer)

    def bodies(self, pull=7):
        return [comment["body"] for comment in self.comments if comment["pull"] == pull]

    def writes(self):
        return [
            (c.method, c.path.removeprefix("/repos/acme/credit"))
            for c in self.calls
            if c.method != "GET"
        ]

    # --- what another API of the same kind does otherwise (fake_gitlab.py) ------------------------

    def routes(self):
        return ROUTES

    def validate_request(self, call, raw):
        _validate_request(self, call, raw)

    def validate_response(self, call, raw, status, body):
        _validate_response(self, call, raw, status, body)

    # --- what the API does: each returns a status and what to answer with --------------------------

    def answer(self, call):
        """Do what was asked."""
        for method, pattern, does in self.routes():
            found = re.fullmatch(pattern, call.path)
            if method == call.method and found:
                with self.lock:
                    return does(self, call, *found.groups())
        return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com"}, {}

    def user(self, call):
        if self.viewer is None:
            return 403, _error("Resource not accessible by integration"), {}
        return 200, _like("public-user", {**self.viewer, "user_view_type": "public"}), {}

    def pull(self, call, number):
        found = self.pulls.get(int(number))
        if found is None:
            return 404, _error("Not Found"), {}
        shown = {"number": int(number), "state": found["state"]}
        shown["changed_files"] = len(found.get("files", []))
        return 200, _pull_of("pull-request", shown, found), {}

    def pull_files(self, call, number):
        """As GitHub: what it changes, 3,000 files at most; the state has names, or pairs of them."""
        shown = []
        for name in self.pulls[int(number)].get("files", [])[:3000]:
            old, new = name if isinstance(name, tuple) else (None, name)
            named = {"filename": new, **({"previous_filename": old} if old else {})}
            shown.append(_like("diff-entry", named))
        return self._page(call, shown)

    def list_pulls(self, call):
        """As GitHub: those that are open, from the branch of that owner."""
        shown = [
            _pull_of("pull-request-simple", {"number": number, "state": "open"}, found)
            for number, found in self.pulls.items()
            if found["state"] == "open"
            and call.query["head"] == found.get("from", "fork:candidate")
        ]
        return self._page(call, shown)

    def ref(self, call, branch):
        commit = {**_sample_of("git-ref")["object"], "sha": self.branches[branch]}
        return 200, {**_sample_of("git-ref"), "object": commit}, {}

    def contents(self, call, path):
        """A file of a commit, in lines of base64 as GitHub sends it; a larger one without."""
        found = self.files.get((call.query["ref"], path))
        if found is None:
            return 404, _error("Not Found"), {}
        if isinstance(found, list):
            return 200, found, {}
        shown = {"type": "file", "size": len(found), "encoding": "base64", "content": _lines(found)}
        if len(found) > 1_000_000:
            shown |= {"encoding": "none", "content": ""}
        return 200, _like("content-file", shown), {}

    def repository(self, call):
        return 200, _like("full-repository", {"default_branch": "main"}), {}

    def create_ruleset(self, call):
        self.rulesets.append(call.body)
        shown = {"name": call.body["name"], "enforcement": call.body["enforcement"]}
        return 201, _like("repository-ruleset", {"id": len(self.rulesets), **shown}), {}

    def ruleset(self, call, number):
        """As GitHub: who may bypass it is told to who may write it, here an administrator."""
        found = self.rulesets[int(number) - 1]
        shown = {key: found[key] for key in ("name", "enforcement")}
        if self.settings:
            shown["bypass_actors"] = found.get("bypass_actors", [])
        return 200, _like("repository-ruleset", {"id": int(number), **shown}), {}

    def protection(self, call, branch):
        found = self.settings.get("protection", {}).get(unquote(branch))
        if found is None:
            return 404, _error("Branch not protected"), {}
        return 200, found, {}

    def list_rules(self, call, branch):
        """As GitHub: the rules alone, of whichever ruleset they are."""
        of = {"ruleset_source_type": "Repository", "ruleset_source": "acme/credit"}
        shown = [
            {**rule, **of, "ruleset_id": number}
            for number, ruleset in enumerate(self.rulesets, start=1)
            for rule in ruleset["rules"]
        ]
        return self._page(call, shown)

    def owner_errors(self, call):
        return 200, {"errors": self.settings.get("owner_errors", [])}, {}

    def workflow_token(self, call):
        return 200, self.settings["workflow_token"], {}

    def fork_approval(self, call):
        return 200, self.settings["fork_approval"], {}

    def list_comments(self, call, number):
        found = [_comment_of(c) for c in self.comments if c["pull"] == int(number)]
        return self._page(call, found)

    def create_comment(self, call, number):
        if int(number) not in self.pulls:
            return 404, _error("Not Found"), {}
        if len(call.body["body"]) > self.max_comment:
            return 422, _too_long(self.max_comment), {}
        return 201, _comment_of(self._comment(int(number), call.body["body"], self.writer)), {}

    def update_comment(self, call, number):
        found = self._find(self.comments, number)
        if found is None:
            return 404, _error("Not Found"), {}
        if len(call.body["body"]) > self.max_comment:
            return 422, _too_long(self.max_comment), {}
        found["body"] = call.body["body"]
        return 200, _comment_of(found), {}

    def delete_comment(self, call, number):
        found = self._find(self.comments, number)
        if found is None:
            return 404, _error("Not Found"), {}
        self.comments.remove(found)
        return 204, None, {}

    def create_check(self, call):
        self.last += 1
        check = {"id": self.last, "external_id": None, "conclusion": None, "history": []}
        self.checks.append(check)
        return 201, self._checked(check, call.body), {}

    def update_check(self, call, number):
        found = self._find(self.checks, number)
        if found is None:
            return 404, _error("Not Found"), {}
        return 200, self._checked(found, call.body), {}

    def list_checks(self, call, sha):
        named = call.query.get("check_name")
        found = [
            c for c in self.checks if c["head_sha"] == sha and c["name"] == (named or c["name"])
        ]
        status, page, headers = self._page(call, [_like("check-run", _plain(c)) for c in found])
        return status, {"total_count": len(found), "check_runs": page}, headers

    def create_status(self, call, sha):
        self.statuses.append({"sha": sha, **call.body})
        return 201, _like("status", call.body), {}

    def list_deployments(self, call):
        """As GitHub: the newest first, of an environment and a task."""
        asked = {key: call.query[key] for key in ("environment", "task") if key in call.query}
        found = [
            _deployment_of(one)
            for one in reversed(self.deployments)
            if all(one[key] == value for key, value in asked.items())
        ]
        return self._page(call, found)

    def create_deployment(self, call):
        if call.body.get("auto_merge", True) or call.body.get("required_contexts") != []:
            return 409, _error("Conflict: Commit status checks failed"), {}
        if len(call.body.get("description") or "") > MAX_DESCRIPTION:
            return 422, _error("description is too long (maximum is 140 characters)"), {}
        self.last += 1
        one = {"task": "deploy", "environment": "production", "payload": "", **call.body}
        self.deployments.append({**one, "id": self.last, "statuses": []})
        return 201, _deployment_of(self.deployments[-1]), {}

    def create_deployment_status(self, call, number):
        found = self._find(self.deployments, number)
        if found is None:
            return 404, _error("Not Found"), {}
        if len(call.body.get("description", "")) > MAX_DESCRIPTION:
            return 422, _error("description is too long (maximum is 140 characters)"), {}
        found["statuses"].append(call.body)
        return 201, _like("deployment-status", call.body), {}

    # --- state ---------------------------------------------------------------------------------------

    def _comment(self, pull, body, user):
        self.last += 1
        comment = {"id": self.last, "pull": pull, "body": body, "user": dict(user)}
        self.comments.append(comment)
        return comment

    def _checked(self, check, body):
        check |= body
        check["history"].append((body.get("status"), body.get("conclusion")))
        return _like("check-run", _plain(check))

    def _find(self, things, number):
        return next((thing for thing in things if thing["id"] == int(number)), None)

    def _page(self, call, found):
        size, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
        rest = found[(page - 1) * size :]
        query = {**call.query, "page": page + 1}
        link = f'<{self.url}{call.path}?{urlencode(query)}>; rel="next", <{self.url}/x>; rel="last"'
        return 200, rest[:size], {"Link": link} if len(rest) > size else {}


_ANY = r"/repos/[^/]+/[^/]+"
ROUTES = (
    ("GET", "/user", FakeGitHub.user),
    ("GET", _ANY, FakeGitHub.repository),
    ("POST", rf"{_ANY}/rulesets", FakeGitHub.create_ruleset),
    ("GET", rf"{_ANY}/rulesets/(\d+)", FakeGitHub.ruleset),
    ("GET", rf"{_ANY}/branches/([^/]+)/protection", FakeGitHub.protection),
    ("GET", rf"{_ANY}/rules/branches/(.+)", FakeGitHub.list_rules),
    ("GET", rf"{_ANY}/codeowners/errors", FakeGitHub.owner_errors),
    ("GET", rf"{_ANY}/actions/permissions/workflow", FakeGitHub.workflow_token),
    ("GET", rf"{_ANY}/actions/permissions/fork-pr-contributor-approval", FakeGitHub.fork_approval),
    ("GET", rf"{_ANY}/pulls", FakeGitHub.list_pulls),
    ("GET", rf"{_ANY}/pulls/(\d+)", FakeGitHub.pull),
    ("GET", rf"{_ANY}/pulls/(\d+)/files", FakeGitHub.pull_files),
    ("GET", rf"{_ANY}/git/ref/heads/(.+)", FakeGitHub.ref),
    ("GET", rf"{_ANY}/contents/(.+)", FakeGitHub.contents),
    ("GET", rf"{_ANY}/issues/(\d+)/comments", FakeGitHub.list_comments),
    ("POST", rf"{_ANY}/issues/(\d+)/comments", FakeGitHub.create_comment),
    ("PATCH", rf"{_ANY}/issues/comments/(\d+)", FakeGitHub.update_comment),
    ("DELETE", rf"{_ANY}/issues/comments/(\d+)", FakeGitHub.delete_comment),
    ("POST", rf"{_ANY}/check-runs", FakeGitHub.create_check),
    ("PATCH", rf"{_ANY}/check-runs/(\d+)", FakeGitHub.update_check),
    ("GET", rf"{_ANY}/commits/([0-9a-f]+)/check-runs", FakeGitHub.list_checks),
    ("POST", rf"{_ANY}/statuses/([0-9a-f]+)", FakeGitHub.create_status),
    ("GET", rf"{_ANY}/deployments", FakeGitHub.list_deployments),
    ("POST", rf"{_ANY}/deployments", FakeGitHub.create_deployment),
    ("POST", rf"{_ANY}/deployments/(\d+)/statuses", FakeGitHub.create_deployment_status),
)


def _handler(github):  # noqa: C901  (a class with its small methods)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *arguments):
            pass

        def date_time_string(self, timestamp=None):
            return DATE

        def handle(self):
            # Who resets a connection, as some tests do, has no more to be told.
            try:
                super().handle()
            except (ConnectionError, ValueError):
                self.close_connection = True

        def _serve(self):
            call, raw = self._read()
            fault = next((f for f in github.faults if f.matches(call.method, call.path)), None)
            if fault is None:
                github.validate_request(call, raw)
                status, body, headers = github.answer(call)
                github.validate_response(call, raw, status, body)
                return self._send(status, _bytes(body), headers)
            fault.times -= 1
            for happens in (fault.before, fault.do):
                if happens:
                    happens()
            status, body, headers = (
                github.answer(call) if fault.after or fault.do or fault.delay else (0, None, {})
            )
            time.sleep(fault.delay)
            if fault.answers:
                return self._send(status, _bytes(body), headers)
            if fault.status is None:
                return self._reset(b'{"id": 1, "body": "' if fault.half else b"")
            sent = body if fault.body is None else fault.body
            return self._send(fault.status, _bytes(sent), {**headers, **fault.headers})

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

        def _read(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            path = url.path.removeprefix(github.prefix)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            body = json.loads(raw) if raw else None
            call = Call(self.command, path, query, dict(self.headers), body)
            if not url.path.startswith(f"{github.prefix}/"):
                github.problems.append(f"{self.command} {self.path} is beside {github.prefix}")
            github.calls.append(call)
            return call, raw

        def _send(self, status, body, headers):
            self.send_response(status)
            given = {"Content-Type": "application/json; charset=utf-8", **headers}
            for name, value in given.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reset(self, body):
            """End the connection as a crash would; with a body, in the middle of it."""
            if body:
                self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n" + body)
                self.wfile.flush()
            # No lingering: what follows is a reset and not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

    return Handler


def _bytes(body):
    if isinstance(body, bytes):
        return body
    return b"" if body is None else json.dumps(body).encode()


# --- the contract ---------------------------------------------------------------------------------


def _request(call, raw):
    return MockRequest(
        SERVER,
        call.method.lower(),
        _one_piece(call.path),
        args=call.query,
        headers=call.headers,
        data=raw or None,
        content_type="application/json",
    )


def _one_piece(path):
    """Return a path in which what may hold slashes has none, as the validator wants it."""
    start, found, rest = re.match(
        r"(.*?)(/(?:contents|git/ref|rules/branches)/|$)(.*)", path
    ).groups()
    return start + found + rest.replace("/", "~")


def _validate_request(github, call, raw):
    sent = call.headers
    if not sent.get("Authorization", "").startswith("Bearer "):
        github.problems.append(f"{call.method} {call.path}: no token")
    if raw and sent.get("Content-Type") != "application/json":
        github.problems.append(f"{call.method} {call.path}: {sent.get('Content-Type')}")
    _note(github, call, lambda: contract()[0].validate_request(_request(call, raw)))


def _validate_response(github, call, raw, status, body):
    operation = _operation(call)
    if operation is None or str(status) not in operation["responses"]:
        if not (status == 404 and call.method != "GET"):  # the contract leaves some of them out
            github.problems.append(f"{call.method} {call.path}: no answer {status} in the contract")
        return
    answer = MockResponse(_bytes(body), status)
    _note(github, call, lambda: contract()[0].validate_response(_request(call, raw), answer))


def _note(github, call, check):
    try:
        check()
    except OpenAPIError as error:
        github.problems.append(f"{call.method} {call.path}: {error!r} {error.__cause__!r}")


def _operation(call):
    for pattern, methods in contract()[1]["paths"].items():
        # What may hold slashes: a path in the repository, a ref, and a branch.
        whole = re.sub(r"\{(path|ref|branch)\}$", ".+", pattern)
        known = re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", whole), call.path)
        if known and call.method.lower() in methods:
            return methods[call.method.lower()]
    return None


# --- answers --------------------------------------------------------------------------------------


def _error(message):
    return {
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": "400",
    }


def _too_long(most):
    said = f"Body is too long (maximum is {most} characters)"
    errors = [
        {"resource": "IssueComment", "code": "unprocessable", "field": "data", "message": said}
    ]
    return {**_error("Validation Failed"), "errors": errors}


def _comment_of(comment):
    shown = {key: comment[key] for key in ("id", "body")}
    shown["html_url"] = f"https://github.com/acme/credit/pull/7#issuecomment-{comment['id']}"
    return {**_like("issue-comment", shown), "user": _like("simple-user", comment["user"])}


def _deployment_of(one):
    shown = {key: one[key] for key in ("id", "ref", "task", "environment", "payload")}
    return _like("deployment", {**shown, "description": one.get("description")})


def _pull_of(schema, shown, found):
    answer = _like(schema, shown)
    answer["head"]["sha"] = found["head"]
    answer["base"]["ref"] = found.get("base", "main")
    return answer


def _lines(raw):
    text = base64.b64encode(raw).decode()
    return "".join(f"{text[i : i + 60]}\n" for i in range(0, len(text), 60))


def _sample_of(schema):
    return _sample({"$ref": f"#/components/schemas/{schema}"})


def _plain(check):
    known = ("id", "name", "head_sha", "external_id", "status", "conclusion")
    return {key: check[key] for key in known if check.get(key) is not None}


def _like(schema, values):
    """Return what GitHub would answer: every required field, and in it what we know."""
    return {**_sample({"$ref": f"#/components/schemas/{schema}"}), **values}


def _sample(schema):
    """Return the smallest value that a schema allows."""
    if "$ref" in schema:
        return _sample(contract()[1]["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return _sample(schema[several][0])
    kind = schema.get("type", "object")
    if kind == "object":
        parts = schema.get("properties", {})
        return {key: _sample(parts[key]) for key in schema.get("required", []) if key in parts}
    formats = {
        "uri": "https://example.org/x",
        "date-time": "2026-11-21T08:00:00Z",
        "email": "a@example.org",
    }
    plain = {"integer": 1, "number": 1.5, "boolean": False, "array": []}
    return plain.get(kind, formats.get(schema.get("format"), "x"))
