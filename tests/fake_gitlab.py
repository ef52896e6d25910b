"""A GitLab of our own on loopback, for the notes on a merge request; it misbehaves as fake_github does.

Written after GitLab's documentation of its API; every request and answer is held against what is
written down of it in tests/contracts.
"""

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from tests.fake_github import HEAD, FakeGitHub

CONTRACT = Path(__file__).parent / "contracts" / "gitlab-api.json"
SERVER = "https://gitlab.com"
OWNER = {"id": 51, "username": "project_5_bot_9f3e"}


@cache
def contract():
    return OpenAPI.from_dict(json.loads(CONTRACT.read_text("utf-8")))


@dataclass
class FakeGitLab(FakeGitHub):
    """The state of project 5 with merge request !7; `comments` are its notes."""

    prefix: str = "/api/v4"
    writer: dict = field(default_factory=lambda: dict(OWNER))
    pulls: dict = field(default_factory=lambda: {7: {"head": HEAD, "state": "opened"}})

    def routes(self):
        return ROUTES

    def validate_request(self, call, raw):
        if not call.headers.get("PRIVATE-TOKEN") or "Authorization" in call.headers:
            self.problems.append(f"{call.method} {call.path}: the token is not where it belongs")
        self._note(call, lambda: contract().validate_request(_request(call, raw)))

    def validate_response(self, call, raw, status, body):
        answer = MockResponse(b"" if body is None else json.dumps(body).encode(), status)
        self._note(call, lambda: contract().validate_response(_request(call, raw), answer))

    def writes(self):
        return [
            (c.method, c.path.removeprefix("/projects/5/merge_requests"))
            for c in self.calls
            if c.method != "GET"
        ]

    # --- what the API does ------------------------------------------------------------------------

    def user(self, call):
        return 200, _person(self.writer), {}

    def merge_request(self, call, number):
        found = self.pulls.get(int(number))
        if found is None:
            return 404, {"message": "404 Not found"}, {}
        shown = {"id": 9_000, "iid": int(number), "project_id": 5, "discussion_locked": None}
        return 200, {**shown, "state": found["state"], "sha": found["head"]}, {}

    def list_notes(self, call, number):
        found = [_note(c) for c in self.comments if c["pull"] == int(number)]
        # As GitLab, the newest first unless asked otherwise.
        return self._page(call, found if call.query.get("sort") == "asc" else found[::-1])

    def create_note(self, call, number):
        return 201, _note(self._comment(int(number), call.body["body"], self.writer)), {}

    def update_note(self, call, number, note):
        found = self._find(self.comments, note)
        if found is None:
            return 404, {"message": "404 Note Not Found"}, {}
        found["body"] = call.body["body"]
        return 200, _note(found), {}

    def delete_note(self, call, number, note):
        found = self._find(self.comments, note)
        if found is None:
            return 404, {"message": "404 Note Not Found"}, {}
        self.comments.remove(found)
        return 204, None, {}

    def _note(self, call, check):
        try:
            check()
        except OpenAPIError as error:
            self.problems.append(f"{call.method} {call.path}: {error!r} {error.__cause__!r}")


_HERE = r"/projects/5/merge_requests/(\d+)"
ROUTES = (
    ("GET", "/user", FakeGitLab.user),
    ("GET", _HERE, FakeGitLab.merge_request),
    ("GET", rf"{_HERE}/notes", FakeGitLab.list_notes),
    ("POST", rf"{_HERE}/notes", FakeGitLab.create_note),
    ("PUT", rf"{_HERE}/notes/(\d+)", FakeGitLab.update_note),
    ("DELETE", rf"{_HERE}/notes/(\d+)", FakeGitLab.delete_note),
)


def stamped(gitlab):
    """Return the pipeline and the job that each note of ours says it is by."""
    found = (re.findall(r"<!-- model-gates:run id=(\d+) attempt=(\d+)", b) for b in gitlab.bodies())
    return [(int(run), int(attempt)) for one in found for run, attempt in one]


def _request(call, raw):
    return MockRequest(
        SERVER,
        call.method.lower(),
        call.path,
        args=call.query,
        headers=call.headers,
        data=raw or None,
        content_type="application/json",
    )


def _person(user):
    return {"name": "A bot", "state": "active", **user}


def _note(comment):
    at = "2026-11-21T08:00:00Z"
    return {
        "id": comment["id"],
        "body": comment["body"],
        "author": _person(comment["user"]),
        "created_at": at,
        "updated_at": at,
        "system": comment.get("system", False),
        "noteable_id": 9_000,
        "noteable_type": "MergeRequest",
        "noteable_iid": comment["pull"],
        "project_id": 5,
        "resolvable": False,
        "confidential": False,
        "internal": False,
    }
