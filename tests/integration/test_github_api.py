"""Publishing against a GitHub on loopback that forgets nothing and can misbehave; no real sleep.

The numbers in brackets are those of the acceptance cases for the API (66 to 84).
"""

import itertools
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gates.errors import EnvironmentFault
from gates.github.client import MAX_ANSWER, MAX_PAGES, ApiFault, Client, Unsure
from gates.github.context import Job
from gates.github.repository import Repository
from gates.report import Verdict, dump
from reporters.publish import github_check, github_comment, github_status
from reporters.publish.conversation import BUDGETS, PAUSE_SECONDS
from reporters.publish.place import Place, Spot, When
from tests import reports
from tests.fake_github import BOT, HEAD, NOW, FakeClock, FakeGitHub

ROOT = Path(__file__).parents[2]
TOKEN = "ghs_secret0123456789"  # noqa: S105
STRANGER = {"login": "mallory", "id": 666}
OTHER_BOT = {"login": "dependabot[bot]", "id": 49699333}
MARKER = "<!-- model-gates:v1 id=default -->"
COMMENTS = "/issues/7/comments"
RUN = "https://github.com/acme/credit/actions/runs/5"


@pytest.fixture
def github():
    with FakeGitHub().serve() as served:
        yield served


class At:
    """One run: its clock, its client, and what it publishes."""

    def __init__(
        self,
        github,
        *,
        run=5,
        attempt=1,
        head=HEAD,
        name="acme/credit",
        url=RUN,
        limits=(),
        **chosen,
    ):
        self.clock = FakeClock()
        client = Client(api=github.url, token=TOKEN, clock=self.clock, **dict(limits))
        self.repository = Repository(client=client, name=name)
        job = Job(
            repository=name, api=github.url, url=url, run=run, attempt=attempt, head=head, pull=7
        )
        self.place = Place(job=job, connect=lambda: self.repository, **chosen)

    def comment(self, report=None):
        return github_comment.publish(report or reports.one_red(), self.place).said

    def check(self, report=None):
        return github_check.publish(report or reports.one_red(), self.place).said

    def status(self, report=None):
        return github_status.publish(report or reports.one_red(), self.place).said

    @property
    def waited(self):
        """Return the sleeps that are not the pause between two looks."""
        return [s for s in self.clock.slept if s != PAUSE_SECONDS]


def no_news():
    """A candidate that does what the baseline did."""
    same = reports.make_check(
        "performance/recall", {"max_drop": 0.01}, baseline=0.8, candidate=0.8, interval=(0.0, 0.0)
    )
    return reports.make_report(reports.make_model(reports.make_gate("performance", same)))


def stamped(github):
    """Return the run that each comment of ours says it is by."""
    return [
        int(n)
        for body in github.bodies()
        for n in re.findall(r"<!-- model-gates:run id=(\d+)", body)
    ]


# --- a comment that sticks ------------------------------------------------------------------------


def test_a_run_makes_one_comment_and_the_next_ones_keep_it_current(github):
    assert At(github, run=1).comment() == "comment: created"
    assert At(github, run=2).comment(reports.all_green()) == "comment: updated"
    assert At(github, run=3).comment() == "comment: updated"
    assert [method for method, _ in github.writes()] == ["POST", "PATCH", "PATCH"]
    assert stamped(github) == [3]
    assert github.bodies()[0].splitlines()[0] == MARKER


def test_a_comment_of_the_same_run_is_not_written_twice(github):
    At(github).comment()
    assert At(github).comment() == "comment: it is up to date"
    assert len(github.writes()) == 1


def test_each_configuration_has_a_comment_of_its_own(github):
    for slug in ("default", "credit/model-gates.yml", "--> <!-- x", "default"):
        At(github, slug=slug).comment()
    assert len({body.splitlines()[0] for body in github.bodies()}) == len(github.bodies()) == 3
    assert all(
        re.fullmatch(r"<!-- model-gates:v1 id=[a-z0-9-]+ -->", b.splitlines()[0])
        for b in github.bodies()
    )


@pytest.mark.parametrize(
    ("when", "story", "written"),
    [
        (When.OFF, reports.one_red, 0),
        (When.FAILURES, reports.one_red, 1),
        (When.FAILURES, reports.all_green, 0),
        (When.FAILURES, reports.inconclusive, 0),
        (When.CHANGES, reports.one_red, 1),
        (When.CHANGES, reports.inconclusive, 1),
        (When.CHANGES, reports.no_baseline, 1),
        (When.CHANGES, reports.bad_input, 1),
        (When.CHANGES, reports.all_green, 1),  # it passes, but is another model
        (When.ALWAYS, reports.all_green, 1),
    ],
)
def test_when_a_pull_request_gets_a_comment(github, when, story, written):
    At(github, when=when).comment(story())
    assert len(github.bodies()) == written


@pytest.mark.parametrize(
    ("when", "written"), [(When.CHANGES, 0), (When.FAILURES, 0), (When.ALWAYS, 1)]
)
def test_a_model_that_did_not_change_is_no_news(github, when, written):
    report = no_news()
    assert not report.blocked
    assert At(github, when=when).comment(report).startswith("comment: ")
    assert len(github.bodies()) == written


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/acme/credit/actions/runs/42", True),
        ("https://github.com/mallory/credit/actions/runs/42", False),
        ("https://evil.example/acme/credit/actions/runs/42", False),
        ("https://github.com/acme/credit/actions/runs/42/../..", False),
    ],
)
@pytest.mark.parametrize("own", [RUN, None])
def test_a_report_leads_to_runs_of_this_repository_only(github, url, shown, own):
    report = reports.one_red()
    ci = report.run.ci.model_copy(update={"url": url})
    report = report.model_copy(update={"run": report.run.model_copy(update={"ci": ci})})
    at = At(github, url=own)
    at.comment(report)
    at.check(report)
    pages = github.bodies()[0], github.checks[0]["output"]["summary"]
    assert [url in page for page in pages] == [shown and own is not None] * 2


@pytest.mark.parametrize("when", [When.FAILURES, When.CHANGES, When.ALWAYS])
def test_a_red_comment_turns_green_again(github, when):
    At(github, run=1, when=when).comment()
    At(github, run=2, when=when).comment(reports.all_green())
    assert stamped(github) == [2]
    assert "✅" in github.bodies()[0].splitlines()[2]


def test_outside_of_a_pull_request_nothing_is_asked(github):
    at = At(github)
    place = Place(job=Job(repository="acme/credit", api=github.url), connect=at.place.connect)
    said = github_comment.publish(reports.one_red(), place).said
    assert said == "comment skipped: this run is not about a pull request"
    assert github.calls == []


# --- the token (66) -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words", "hint"),
    [
        (401, "Bad credentials", "not valid"),
        (403, "Resource not accessible by integration", "read-only token"),
        (403, "Repository is blocked", "read-only token"),
        (404, "Not Found", "that the token may see them"),
        (409, "Conflict", "at the same time: try again"),
        (422, "Validation Failed", "takes no such content"),
    ],
)
def test_a_write_that_is_refused_is_told_at_once(github, status, words, hint):
    github.fail("POST", COMMENTS, status, {"message": words}, times=9)
    at = At(github)
    with pytest.raises(ApiFault) as caught:
        at.comment()
    assert caught.value.exit_code == 4
    assert f"answered {status} {words}" in str(caught.value)
    assert hint in caught.value.hint
    # Only what is refused for its content is tried again, shorter.
    assert len(github.writes()) == (len(BUDGETS) if status == 422 else 1)
    assert at.waited == []


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_conflict_is_a_fault_and_not_forced(github, method):
    At(github, run=1).comment()
    if method == "DELETE":
        github.add_comment(github.bodies()[0])
    github.calls.clear()
    github.fail(method, "/issues/comments/", 409, {"message": "Conflict"}, times=9)
    with pytest.raises(ApiFault, match="answered 409 Conflict"):
        At(github, run=2).comment()
    assert [m for m, _ in github.writes()] == [method]


def test_the_token_is_in_no_repr_and_no_error(github):
    at = At(github)
    github.fail("POST", COMMENTS, 403, {"message": f"no {TOKEN} here"})
    with pytest.raises(ApiFault) as caught:
        at.comment()
    assert TOKEN not in str(caught.value)
    assert "***" in str(caught.value)
    assert TOKEN not in repr(at.repository)
    assert TOKEN not in repr(at.place)


@pytest.mark.parametrize("token", ["", "two words", "tok\nen", "tok\r\nX: y", "größe", "x" * 2001])
def test_a_token_that_no_header_can_hold_is_refused_unseen(token):
    with pytest.raises(EnvironmentFault) as caught:
        Client(api="https://api.github.com", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "api",
    [
        "http://api.github.com",
        "http://127.0.0.1.evil.example",
        "https://user:pass@api.github.com",
        "ftp://api.github.com",
        "api.github.com",
        "https://",
        "https://api.github.com?x=1",
        "",
    ],
)
def test_an_address_that_would_show_the_token_is_refused(api):
    with pytest.raises(EnvironmentFault, match="no https address"):
        Client(api=api, token=TOKEN)


# --- limits (67, 68, 69, 84) ----------------------------------------------------------------------


def test_a_retry_after_is_obeyed(github):
    github.fail("POST", COMMENTS, 403, {"message": "slow down"}, headers={"Retry-After": "2"})
    at = At(github)
    assert at.comment() == "comment: created"
    assert at.clock.slept == [2.0, PAUSE_SECONDS]
    assert len(github.bodies()) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(429, {}), (403, {"message": "You have exceeded a secondary rate limit."})],
)
def test_without_a_word_how_long_it_waits_a_minute_then_two(github, status, body):
    github.fail("GET", COMMENTS, status, body, times=2)
    at = At(github)
    assert at.comment() == "comment: created"
    assert at.waited == [60.0, 120.0]


def test_it_gives_up_within_its_budget(github):
    github.fail("GET", COMMENTS, 429, times=99)
    at = At(github)
    with pytest.raises(ApiFault, match=r"answered 429, after 3 tries; .* 240 s") as caught:
        at.comment()
    assert caught.value.status == 429
    assert sum(at.clock.slept) <= 200


def test_it_does_not_sleep_for_an_hour(github):
    spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 3600)}
    github.fail("GET", "/pulls/7", 403, {"message": "API rate limit exceeded"}, headers=spent)
    at = At(github)
    with pytest.raises(ApiFault, match="the next would be in 3,601 s"):
        at.comment()
    assert at.clock.slept == []


def test_a_reset_is_read_by_the_servers_clock(github):
    """The clock of this machine stands at 1970; only the answer's own Date makes sense of it."""
    soon = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(NOW + 20)}
    github.fail("GET", "/pulls/7", 403, {"message": "API rate limit exceeded"}, headers=soon)
    at = At(github)
    at.comment()
    assert at.waited == [21.0]


def test_a_forbidden_thing_is_not_asked_for_again(github):
    github.fail(
        "GET", "/pulls/7", 403, {"message": "no"}, headers={"X-RateLimit-Remaining": "17"}, times=9
    )
    with pytest.raises(ApiFault, match="answered 403 no"):
        At(github).comment()
    assert len(github.calls) == 1


# --- what breaks (70, 83) -------------------------------------------------------------------------

BROKEN = {
    "500": {"status": 500, "body": {"message": "oops"}},
    "502": {"status": 502, "body": b"<html>Bad gateway</html>"},
    "503": {"status": 503},
    "reset": {},
    "reset mid-body": {"half": True},
    "html with 201": {"status": 201, "body": b"<html>hello</html>"},
    "nothing with 201": {"status": 201, "body": b""},
    "half a JSON": {"status": 201, "body": b'{"id": 1, "bo'},
}


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "lost"])
@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_post_that_broke_is_not_made_twice(github, how, after):
    github.fail("POST", COMMENTS, after=after, **how)
    assert At(github).comment() in ("comment: created", "comment: it is up to date")
    assert stamped(github) == [5]
    assert [method for method, _ in github.writes()] == ["POST"] * (1 if after else 2)


@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_post_that_never_works_is_a_fault(github, how):
    github.fail("POST", COMMENTS, times=99, **how)
    with pytest.raises(Unsure):
        At(github).comment()
    assert github.bodies() == []


@pytest.mark.parametrize(
    "how", [BROKEN[name] for name in ("500", "502", "503", "reset", "reset mid-body")]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", COMMENTS), ("GET", "/pulls/7"), ("PATCH", "/issues/comments/")]
)
def test_what_can_be_repeated_is_repeated(github, method, path, how):
    At(github, run=1).comment()
    github.fail(method, path, times=2, **how)
    at = At(github, run=2)
    assert at.comment() == "comment: updated"
    assert at.clock.slept == [1.0, 2.0, PAUSE_SECONDS]
    assert stamped(github) == [2]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>Sign in</html>", "20 bytes (text/html) where JSON was expected"),
        (200, b"", "answered with nothing where JSON was expected"),
        (200, b'{"number":', "where JSON was expected"),
        (200, b"[" * 100_000, "where JSON was expected"),
        (200, b'["not", "a pull"]', "something else than was asked for"),
        (
            200,
            b'{"number": 1, "state": "open", "head": {"sha": 3}, "base": {"sha": "a", "ref": "b"}}',
            "(at `head.sha`)",
        ),
    ],
)
def test_an_answer_that_is_no_answer_is_a_fault(github, status, body, said):
    github.fail("GET", "/pulls/7", status, body, headers={"Content-Type": "text/html"})
    with pytest.raises(EnvironmentFault) as caught:
        At(github).comment()
    assert said in str(caught.value)
    assert "GITHUB_API_URL" in caught.value.hint
    assert github.writes() == []


def test_an_answer_without_an_end_is_not_read_to_its_end(github):
    github.fail("GET", "/pulls/7", 200, b" " * (MAX_ANSWER + 1))
    with pytest.raises(ApiFault, match="has more than"):
        At(github).comment()


# Half a second is haste, and yet enough for an answer of a machine that is busy.
HASTE = {"limits": {"timeout": (5.0, 0.5)}}


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", COMMENTS, "updated"),
        ("GET", "/pulls/7", "updated"),
        ("PATCH", "/issues/comments/", "it is up to date"),  # it was carried out
    ],
)
def test_an_answer_that_is_slow_is_not_waited_for(github, method, path, said):
    At(github, run=1).comment()
    github.fail(method, path, delay=1.5)
    at = At(github, run=2, **HASTE)
    assert at.comment() == f"comment: {said}"
    assert at.waited == [1.0]
    assert stamped(github) == [2]
    assert [method for method, _ in github.writes()] == ["POST", "PATCH"]


def test_a_post_whose_answer_is_slow_is_not_made_twice(github):
    github.fail("POST", COMMENTS, after=True, delay=1.5)
    assert At(github, **HASTE).comment() == "comment: it is up to date"
    assert [method for method, _ in github.writes()] == ["POST"]


def test_an_api_that_is_always_slow_is_a_fault(github):
    github.fail("GET", "/pulls/7", delay=1.0, times=9)
    with pytest.raises(ApiFault, match=r"the connection broke \(ReadTimeout\), after 4 tries"):
        At(github, **HASTE).comment()


def test_an_answer_that_drips_is_not_waited_for(github):
    at = At(github, limits={"budget": 10.0})
    github.fail("GET", "/pulls/7", do=lambda: setattr(at.clock, "now", at.clock.now + 11))
    with pytest.raises(ApiFault, match="TimeoutError"):
        at.comment()


def test_nobody_there_is_a_fault():
    with FakeGitHub().serve() as gone:
        at = At(gone)
    with pytest.raises(ApiFault, match=r"the connection broke \(ConnectionError\), after 4 tries"):
        at.comment()
    assert at.clock.slept == [1.0, 2.0, 4.0]


# --- pull requests and comments that are gone (71, 72) --------------------------------------------


def test_a_comment_deleted_under_us_is_made_anew(github):
    At(github, run=1).comment()
    github.fail("PATCH", "/issues/comments/", do=github.comments.clear, after=True, status=404)
    assert At(github, run=2).comment() == "comment: created"
    assert stamped(github) == [2]


def test_a_closed_pull_request_is_left_alone(github):
    github.pulls[7]["state"] = "closed"
    assert At(github).comment() == "comment skipped: pull request #7 is closed"
    assert github.writes() == []


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_locked_pull_request_is_left_alone(github, method):
    if method != "POST":
        At(github, run=1).comment()
    if method == "DELETE":
        github.add_comment(github.bodies()[0])
    locked = {"message": "Unable to create comment because issue is locked."}
    github.fail(method, "/comments", 403, locked, times=9)
    at = At(github, run=2)
    assert at.comment() == "comment skipped: pull request #7 is locked"
    assert at.waited == []


def test_who_writes_to_a_locked_conversation_is_told_why(github):
    github.fail("POST", COMMENTS, 403, {"message": "Issue is locked"})
    with pytest.raises(ApiFault, match="answered 403 Issue is locked") as caught:
        At(github).repository.create_comment(7, "x")
    assert "conversation is locked" in caught.value.hint
    assert "permission" not in caught.value.hint


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/pulls/7"), ("GET", COMMENTS), ("POST", COMMENTS)]
)
def test_a_pull_request_that_is_gone_is_left_alone(github, method, path):
    """What was deleted, or converted to a discussion, answers with 410."""
    github.fail(method, path, 410, {"message": "This issue was deleted"})
    said = At(github).comment()
    assert said == "comment skipped: pull request #7 is gone: deleted, or converted"
    assert github.bodies() == []


def test_a_pull_request_that_was_never_there_is_a_fault(github):
    """It may also be there, and not be shown to this token."""
    github.fail("GET", "/pulls/7", 404, {"message": "Not Found"})
    with pytest.raises(ApiFault, match="answered 404 Not Found") as caught:
        At(github).comment()
    assert "that the token may see them" in caught.value.hint


# --- length (73) ----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [65_535, 65_536])
def test_the_fake_takes_what_github_takes(github, length):
    At(github).repository.create_comment(7, "🎉" * length)
    assert len(github.bodies()[0]) == length


def test_the_fake_refuses_what_github_refuses(github):
    with pytest.raises(ApiFault, match="Body is too long") as caught:
        At(github).repository.create_comment(7, "x" * 65_537)
    assert caught.value.status == 422


@pytest.mark.parametrize("names", ["plain", "🎉" * 40])
def test_the_largest_report_fits(github, names):
    checks = [
        reports.make_check(
            f"performance/recall@{names}={i}",
            {"max_drop": 0.01},
            baseline=0.9,
            candidate=0.5,
            interval=(-0.5, -0.3),
        )
        for i in range(500)
    ]
    At(github).comment(
        reports.make_report(reports.make_model(reports.make_gate("performance", *checks)))
    )
    assert len(github.writes()) == 1
    assert len(github.bodies()[0].encode()) <= BUDGETS[0]


def test_what_a_server_finds_too_long_is_said_shorter(github):
    github.max_comment = 2_500
    assert At(github).comment(reports.many_red()) == "comment: created"
    sizes = [len(call.body["body"]) for call in github.calls if call.method == "POST"]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 2_500 < sizes[-2]
    assert "report.json" in github.bodies()[0]


def test_what_is_always_too_long_is_a_fault(github):
    github.max_comment = 10
    with pytest.raises(ApiFault, match="too long"):
        At(github).comment()


# --- pages and hosts (74, 81, 82) -----------------------------------------------------------------


def test_ours_is_found_on_the_third_page(github):
    for number in range(249):
        github.add_comment(f"comment {number}", STRANGER)
    At(github, run=1).comment()
    github.calls.clear()
    assert At(github, run=2).comment() == "comment: updated"
    pages = [c.query.get("page", "1") for c in github.calls if c.path.endswith(COMMENTS)]
    assert pages[:3] == ["1", "2", "3"]
    assert {c.query["per_page"] for c in github.calls if c.path.endswith(COMMENTS)} == {"100"}


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/x",
        "https://evil.example/x",
        "//evil.example/x",
        "http://127.0.0.1:1/x",
        "http://127.0.0.1@evil.example/x",
        "http://evil.example\\@{host}/x",
        "http://user@{host}/x",
        "ftp://{host}/x",
        "https://{host}/x",
        "http://{host}9999/x",
        "http://[::1/x",
    ],
)
@pytest.mark.parametrize("by", ["Link", "Location"])
def test_no_other_host_is_asked(github, target, by):
    target = target.replace("{host}", github.url.removeprefix("http://"))
    with FakeGitHub().serve() as evil:
        target = target.replace("evil.example", evil.url.removeprefix("http://"))
        if by == "Link":
            github.fail("GET", COMMENTS, 200, [], headers={"Link": f'<{target}>; rel="next"'})
        else:
            github.fail("GET", COMMENTS, 301, {}, headers={"Location": target})
        with pytest.raises(EnvironmentFault, match="pointed to another host"):
            At(github).comment()
        assert evil.calls == []
    assert github.writes() == []


def test_pages_without_an_end_are_not_followed_for_ever(github):
    more = {"Link": f'<{github.url}/repos/acme/credit{COMMENTS}?page=2>; rel="next"'}
    github.fail("GET", COMMENTS, 200, [], headers=more, times=10_000)
    with pytest.raises(ApiFault, match=f"more than {MAX_PAGES} pages"):
        At(github).comment()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_renamed_repository_is_followed(github, status):
    for method in ("GET", "POST"):
        moved = {"Location": f"{github.url}/repos/acme/renamed{COMMENTS}"}
        github.fail(method, f"acme/credit{COMMENTS}", status, {"message": "Moved"}, headers=moved)
    assert At(github).comment() == "comment: created"
    posts = [call for call in github.calls if call.method == "POST"]
    assert [call.path for call in posts] == [
        f"/repos/acme/{n}{COMMENTS}" for n in ("credit", "renamed")
    ]
    assert posts[0].body == posts[1].body


@pytest.mark.parametrize("location", ["", "{url}/repos/acme/credit/pulls/7"])
def test_a_move_that_leads_nowhere_is_a_fault(github, location):
    there = {"Location": location.replace("{url}", github.url)} if location else {}
    github.fail("GET", "/pulls/7|^/$", 301, {}, headers=there, times=99)
    with pytest.raises(EnvironmentFault):
        At(github).comment()
    assert len(github.calls) <= 5


def test_an_enterprise_server_has_a_path():
    with FakeGitHub(prefix="/api/v3").serve() as github:
        for number in range(150):
            github.add_comment(f"comment {number}", STRANGER)
        assert At(github).comment() == "comment: created"
        assert At(github).check() == "check run: failure"
        assert At(github).status() == "commit status: failure"
        assert At(github, run=6).comment() == "comment: updated"


def test_no_address_is_built_in_but_the_default():
    files = [*(ROOT / "gates" / "github").glob("*.py"), *(ROOT / "reporters").rglob("*.py")]
    named = {
        file.name
        for file in files
        if re.search(r"^\w.*=.*api\.github\.com", file.read_text(), re.MULTILINE)
    }
    assert named == {"context.py"}


# --- whose comment it is (75 to 78) ---------------------------------------------------------------


@pytest.mark.parametrize("author", [STRANGER, OTHER_BOT, {**BOT, "login": "github-actions"}])
def test_a_comment_of_somebody_else_is_not_touched(github, author):
    At(github, run=1).comment()
    theirs = github.bodies()[0].replace("id=1 ", f"id={10**12} ")
    github.comments.clear()
    github.add_comment(theirs, author)
    assert At(github, run=2).comment() == "comment: created"
    assert At(github, run=3).comment() == "comment: updated"
    assert github.bodies()[0] == theirs
    assert stamped(github) == [10**12, 3]


@pytest.mark.parametrize("quoted", ["> {}", "see below\n\n{}", " {}", "<details>\n{}</details>"])
def test_a_quote_of_our_comment_is_not_ours(github, quoted):
    At(github, run=1).comment()
    quote = quoted.replace("{}", github.bodies()[0])
    github.comments.clear()
    github.add_comment(quote)
    assert At(github, run=2).comment() == "comment: created"
    assert github.bodies()[0] == quote


def test_an_account_that_is_gone_is_nobody(github):
    comment = github.add_comment(f"{MARKER}\nx", STRANGER)
    page = [{"id": comment["id"], "html_url": "https://x", "user": None, "body": f"{MARKER}\nx"}]
    github.fail("GET", COMMENTS, 200, page, times=2)
    assert At(github).comment() == "comment: created"


def test_a_token_that_is_not_valid_is_a_fault(github):
    github.fail("GET", "/user", 401, ["Bad credentials"])
    with pytest.raises(ApiFault, match="answered 401") as caught:
        At(github).comment()
    assert "not valid" in caught.value.hint


def test_somebodys_own_token_writes_as_them(github):
    github.viewer = github.writer = {"login": "Lead", "id": 12}
    github.add_comment(f"{MARKER}\nby the bot", BOT)
    github.add_comment(f"{MARKER}\nby who has taken the name", {"login": "lead", "id": 13})
    At(github, run=1).comment()
    assert At(github, run=2).comment() == "comment: updated"
    assert len(github.bodies()) == 3


@pytest.mark.parametrize("author", [None, "gatekeeper[bot]"])
def test_an_app_of_ones_own_leaves_one_comment(github, author):
    """It can not ask who it is; it learns it from what it wrote, or is told."""
    github.writer = {"login": "gatekeeper[bot]", "id": 77}
    for run in (1, 2, 3):
        At(github, run=run, author=author).comment()
    assert stamped(github) == [3]
    assert [m for m, _ in github.writes()].count("POST") == (3 if author is None else 1)


def test_of_two_of_ours_the_newest_stays(github):
    At(github, run=1).comment()
    first = github.bodies()[0]
    github.add_comment(first.replace("id=1 ", "id=2 "))
    github.add_comment(f"{MARKER}\nof a version that left no stamp")
    assert At(github, run=3).comment() == "comment: updated"
    assert stamped(github) == [3]
    assert len(github.bodies()) == 1
    assert github.comments[0]["id"] == 102


# --- runs in another order (79, 80) ---------------------------------------------------------------


def test_an_older_run_that_ends_last_changes_nothing(github):
    At(github, run=9).comment()
    assert At(github, run=8).comment(reports.all_green()) == "comment: a newer run has written it"
    assert stamped(github) == [9]


def test_a_run_on_an_older_commit_changes_nothing(github):
    said = At(github, run=99, head="b" * 40).comment()
    assert said == "comment skipped: pull request #7 has a newer commit"
    assert github.writes() == []


def test_a_run_on_the_newest_commit_replaces_one_of_a_higher_number(github):
    At(github, run=99).comment()
    github.pulls[7]["head"] = "c" * 40
    assert At(github, run=8, head="c" * 40).comment() == "comment: updated"
    assert stamped(github) == [8]


def test_of_two_of_ours_the_one_on_the_newest_commit_stays(github):
    At(github, run=99).comment()
    github.pulls[7]["head"] = "c" * 40
    github.add_comment(github.bodies()[0].replace("id=99 ", "id=8 ").replace(HEAD, "c" * 40))
    assert At(github, run=9, head="c" * 40).comment() == "comment: updated"
    assert [comment["id"] for comment in github.comments] == [102]
    assert stamped(github) == [9]


def pushed(github, run=8, story=reports.one_red):
    """Push a commit, and let its run do all that it has to do."""
    github.pulls[7]["head"] = "c" * 40
    At(github, run=run, head="c" * 40).comment(story())


THROTTLED = {"status": 429, "headers": {"Retry-After": "30"}}
LATE = {"throttled": THROTTLED, "broken": {"status": 502}, "reset": {}}


@pytest.mark.parametrize("before", [True, False], ids=["an old comment", "no comment yet"])
@pytest.mark.parametrize(("method", "path"), [("GET", COMMENTS), ("GET", "/user")])
def test_a_run_that_had_to_wait_leaves_the_comment_of_a_newer_commit(github, method, path, before):
    if before:
        At(github, run=1).comment()
    github.fail(method, path, do=lambda: pushed(github), **THROTTLED)
    said = At(github, run=99).comment(reports.all_green())
    assert said == "comment: pull request #7 has a newer commit"
    assert stamped(github) == [8]


@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_an_update_that_had_to_wait_is_not_made_over_a_newer_one(github, how):
    At(github, run=1).comment()
    github.fail("PATCH", "/issues/comments/", before=lambda: pushed(github), **how)
    at = At(github, run=99)
    assert at.comment(reports.all_green()) == "comment: pull request #7 has a newer commit"
    assert stamped(github) == [8]
    assert at.waited == [30.0 if how is THROTTLED else 1.0]


def test_an_update_that_had_to_wait_is_not_made_over_a_newer_run(github):
    At(github, run=1).comment()
    github.fail(
        "PATCH", "/issues/comments/", before=lambda: At(github, run=99).comment(), **THROTTLED
    )
    assert At(github, run=8).comment(reports.all_green()) == "comment: a newer run has written it"
    assert stamped(github) == [99]


@pytest.mark.parametrize(
    ("story", "written"), [(reports.one_red, [8]), (no_news, [])], ids=["news", "no news"]
)
@pytest.mark.parametrize("how", LATE.values(), ids=LATE)
def test_a_comment_that_had_to_wait_is_not_made_on_an_older_commit(github, how, story, written):
    github.fail("POST", COMMENTS, before=lambda: pushed(github, story=story), **how)
    assert At(github, run=99).comment() == "comment: pull request #7 has a newer commit"
    assert stamped(github) == written


def test_what_a_newer_commit_wrote_is_not_taken_for_a_double(github):
    At(github, run=1).comment()
    github.add_comment(github.bodies()[0])
    github.fail("DELETE", "/issues/comments/", before=lambda: pushed(github), **THROTTLED)
    assert At(github, run=99).comment() == "comment: pull request #7 has a newer commit"
    assert stamped(github) == [8]


def test_a_write_that_had_to_wait_is_made_if_nothing_came_between(github):
    At(github, run=1).comment()
    github.fail("PATCH", "/issues/comments/", **THROTTLED)
    assert At(github, run=2).comment() == "comment: updated"
    assert stamped(github) == [2]


@pytest.mark.parametrize(("run", "attempt", "told"), [(1, 1, False), (1, 2, True), (2, 1, True)])
def test_another_attempt_says_what_changed_since_the_last(github, run, attempt, told):
    At(github, run=1).comment()
    At(github, run=run, attempt=attempt).comment(reports.all_green())
    assert ("Since the last push" in github.bodies()[0]) == told


@pytest.mark.parametrize(("inner", "outer"), [(6, 5), (5, 6)])
def test_two_first_runs_at_once_leave_one_comment(github, inner, outer):
    """The inner run does all it has to do between the look of the outer one and its POST."""
    github.fail("POST", COMMENTS, do=lambda: At(github, run=inner).comment(reports.all_green()))
    At(github, run=outer).comment()
    assert stamped(github) == [6]


def test_two_jobs_of_one_run_do_not_fight(github):
    one, other = At(github), At(github)
    one.clock.sleep = lambda _: other.comment(reports.all_green())
    assert one.comment() == "comment: created"
    assert [method for method, _ in github.writes()] == ["POST", "PATCH"]
    assert stamped(github) == [5]


def test_what_another_run_has_removed_is_gone(github):
    At(github, run=1).comment()
    double = github.add_comment(github.bodies()[0])
    github.fail("DELETE", "/issues/comments/", 404, do=lambda: github.comments.remove(double))
    assert At(github, run=2).comment() == "comment: updated"
    assert stamped(github) == [2]


def test_a_double_that_can_not_be_removed_is_a_fault(github):
    At(github, run=1).comment()
    github.add_comment(github.bodies()[0])
    github.fail("DELETE", "/issues/comments/", 403, {"message": "no"})
    with pytest.raises(ApiFault, match="answered 403 no"):
        At(github, run=2).comment()


def test_a_comment_that_never_settles_is_a_fault(github):
    at = At(github)
    at.clock.sleep = lambda _: github.comments.clear()
    with pytest.raises(EnvironmentFault, match="still changing after 10 looks"):
        at.comment()


class Turns:
    """Lets several runs take one step each in a given order; a pause is longer than any step."""

    def __init__(self, schedule):
        self.schedule, self.waiting, self.paused = schedule, {}, set()
        self.changed = threading.Condition()

    def play(self, runs):
        threads = {
            name: threading.Thread(target=self._run, args=(name, run)) for name, run in runs.items()
        }
        for thread in threads.values():
            thread.start()
        self.alive = alive = set(threads)
        choice = itertools.cycle(self.schedule)
        while alive:
            with self.changed:
                assert self.changed.wait_for(lambda: self.alive <= self.waiting.keys(), 20)
                alive -= {name for name in alive if self.waiting[name] == "end"}
                # Whoever sleeps goes on only when all who are awake have taken their steps.
                awake = [n for n in sorted(alive) if self.waiting[n] == "step"] or sorted(alive)
                if awake:
                    name = awake[next(choice) % len(awake)]
                    self.waiting.pop(name)
                    self.changed.notify_all()
        for thread in threads.values():
            thread.join()

    def step(self, name, what="step"):
        with self.changed:
            self.waiting[name] = what
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: name not in self.waiting, 20)

    def _run(self, name, run):
        try:
            run()
        finally:
            with self.changed:
                self.waiting[name] = "end"
                self.changed.notify_all()


@pytest.mark.parametrize("before", [False, True], ids=["no comment yet", "an old comment"])
@pytest.mark.parametrize("schedule", list(itertools.product(range(3), repeat=3)), ids=str)
def test_whatever_the_order_three_runs_leave_one_comment_by_the_newest(github, schedule, before):
    if before:
        At(github, run=1).comment()
    turns, runs = Turns(schedule), {}
    for number in (11, 12, 13):
        at = At(github, run=number)
        _take_turns(at, turns, number)
        runs[number] = at.comment
    turns.play(runs)
    assert stamped(github) == [13]


def _take_turns(at, turns, name):
    """Make every request of a run wait for its turn, and every sleep for that of all others."""
    send, session = at.repository.client._session.send, at.repository.client._session

    def step(request, **how):
        turns.step(name)
        return send(request, **how)

    session.send = step
    at.clock.sleep = lambda seconds: turns.step(name, "pause")


# --- check runs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "conclusion"),
    [
        (reports.all_green, "success"),
        (reports.one_red, "failure"),
        (reports.inconclusive, "neutral"),
        (reports.bad_input, "failure"),
        (reports.mixed, "failure"),
        (reports.many_red, "failure"),
    ],
)
def test_a_check_run_is_begun_and_concluded(github, story, conclusion):
    assert At(github).check(story()) == f"check run: {conclusion}"
    (check,) = github.checks
    assert check["history"] == [("in_progress", None), ("completed", conclusion)]
    assert (check["head_sha"], check["name"]) == (HEAD, "Model gates")
    assert check["details_url"] == RUN
    assert check["output"]["summary"].startswith(MARKER)


def test_an_undecided_check_that_policy_blocks_is_no_neutral(github):
    undecided = reports.make_check(
        "performance/recall",
        {"max_drop": 0.01},
        baseline=0.8,
        candidate=0.79,
        interval=(-0.03, 0.01),
        on_inconclusive="fail",
    )
    report = reports.make_report(reports.make_model(reports.make_gate("performance", undecided)))
    assert report.verdict == "inconclusive"
    At(github).check(report)
    assert github.checks[0]["conclusion"] == "failure"


@pytest.mark.parametrize(
    ("story", "changed"),
    [(reports.bad_input, {}), (reports.mixed, {"verdict": Verdict.PASS})],
)
def test_a_report_that_contradicts_itself_is_a_failure(github, story, changed):
    At(github).check(story().model_copy(update={"blocked": False} | changed))
    assert github.checks[0]["conclusion"] == "failure"


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "lost"])
@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_check_run_is_begun_once(github, how, after):
    github.fail("POST", "/check-runs", after=after, **how)
    assert At(github).check() == "check run: failure"
    assert len(github.checks) == 1
    assert github.checks[0]["conclusion"] == "failure"


def test_a_check_run_that_can_not_be_begun_is_a_fault(github):
    github.fail("POST", "/check-runs", 502, times=99)
    with pytest.raises(Unsure):
        At(github).check()


def test_a_check_run_begun_before_the_gates_is_the_one_that_is_concluded(github):
    at = At(github)
    github_check.begin(at.repository, at.place, HEAD)
    assert github.checks[0]["status"] == "in_progress"
    at.check()
    assert len(github.checks) == 1
    At(github, run=6).check()
    assert len(github.checks) == 2


def test_a_page_that_is_refused_does_not_keep_a_check_run_open(github):
    github.fail("PATCH", "/check-runs/", 422, {"message": "Invalid request"})
    At(github).check()
    (check,) = github.checks
    assert check["conclusion"] == "failure"
    assert check["output"] == dict.fromkeys(("title", "summary"), check["output"]["title"])


OTHERS = {
    "message": "Invalid app_id `1` - check run can only be modified by the GitHub App that created it."
}
REFUSED = {
    "403": {"status": 403, "body": OTHERS},
    "404": {"status": 404, "body": {"message": "Not Found"}},
    "409": {"status": 409},
    "502": {"status": 502, "times": 99},
    "reset": {"times": 99},
    "html": {"status": 200, "body": b"<html>"},
    "nonsense": {"status": 200, "body": ["no check run"]},
}


@pytest.mark.parametrize("how", REFUSED.values(), ids=REFUSED)
def test_a_check_run_that_can_not_be_changed_is_concluded_by_another(github, how):
    github.fail("PATCH", "/check-runs/", **how)
    assert At(github).check() == "check run: failure"
    first, second = github.checks
    assert (second["name"], second["external_id"]) == (first["name"], first["external_id"])
    assert second["history"] == [("completed", "failure")]
    assert second["output"]["summary"].startswith(MARKER)
    # From now on it is the newest that counts.
    github.faults.clear()
    At(github).check(reports.all_green())
    assert [check["conclusion"] for check in github.checks] == [None, "success"]


@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("how", BROKEN.values(), ids=BROKEN)
def test_a_conclusion_whose_answer_got_lost_is_a_conclusion(github, how, method):
    begun = At(github)
    github_check.begin(begun.repository, begun.place, HEAD)
    if method == "POST":
        github.fail("PATCH", "/check-runs/", 403, OTHERS)
    github.fail(method, "/check-runs", after=True, **how)
    assert At(github).check() == "check run: failure"
    assert len(github.checks) == (2 if method == "POST" else 1)
    assert github.checks[-1]["conclusion"] == "failure"


def test_a_page_that_is_refused_does_not_keep_another_check_run_open(github):
    github.fail("PATCH", "/check-runs/", 403, OTHERS)
    at = At(github)
    github_check.begin(at.repository, at.place, HEAD)
    github.fail("POST", "/check-runs", 422, {"message": "Invalid request"})
    at.check()
    (_, check) = github.checks
    assert check["output"] == dict.fromkeys(("title", "summary"), check["output"]["title"])


@pytest.mark.parametrize("how", [{"status": 403, "body": OTHERS}, {"status": 502}])
def test_a_check_run_that_stays_in_progress_is_said_to(github, how):
    at = At(github)
    github_check.begin(at.repository, at.place, HEAD)
    github.fail("PATCH", "/check-runs/", 403, {"message": "Resource not accessible by integration"})
    github.fail("POST", "/check-runs", times=99, **how)
    with pytest.raises(EnvironmentFault, match="still in progress, for it could not be") as caught:
        at.check()
    assert "not accessible by integration" in caught.value.message
    assert "Give the job the permission" in caught.value.hint


def test_a_check_run_annotates_the_line_of_the_rule(github):
    at = At(
        github, slug="credit", find=lambda model, gate, check: Spot(path="model-gates.yml", line=12)
    )
    at.check(reports.many_red())
    (check,) = github.checks
    found = check["output"]["annotations"]
    assert check["name"] == "Model gates: credit"
    assert {(a["path"], a["start_line"], a["end_line"]) for a in found} == {
        ("model-gates.yml", 12, 12)
    }
    assert len([a for a in found if a["annotation_level"] == "failure"]) == 10
    assert found[-1]["title"] == "31 more"
    assert len(check["output"]["summary"]) <= 65_535


# --- commit statuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "state"),
    [
        (reports.all_green, "success"),
        (reports.inconclusive, "success"),
        (reports.one_red, "failure"),
        (reports.bad_input, "failure"),
    ],
)
def test_a_commit_status_is_one_word_and_one_line(github, story, state):
    assert At(github).status(story()) == f"commit status: {state}"
    (status,) = github.statuses
    assert (status["sha"], status["state"], status["context"]) == (HEAD, state, "model-gates")
    assert 0 < len(status["description"]) <= 140
    assert status["target_url"] == RUN


def test_a_commit_status_that_broke_is_said_again(github):
    github.fail("POST", "/statuses/", 502, after=True)
    At(github, slug="credit").status()
    assert [status["context"] for status in github.statuses] == ["model-gates/credit"] * 2


def test_outside_of_a_job_there_is_no_run_to_point_to(github):
    At(github, url=None).check()
    At(github, url=None).status()
    assert "details_url" not in github.checks[0]
    assert "target_url" not in github.statuses[0]


@pytest.mark.parametrize("publisher", [github_check, github_status])
def test_without_a_commit_nothing_is_asked(github, publisher):
    at = At(github, head=None)
    assert "skipped" in publisher.publish(reports.one_red(), at.place).said
    assert github.calls == []


# --- a company's own certificate (81), on the real command line -----------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_of_ones_own_is_trusted_where_the_environment_says_so(tmp_path, trusted):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", key, "-out", cert)
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    (tmp_path / "report.json").write_bytes(dump(reports.one_red()))
    with FakeGitHub(prefix="/api/v3").serve(
        lambda s: context.wrap_socket(s, server_side=True)
    ) as github:
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "GITHUB_API_URL": github.url,
            "GITHUB_REPOSITORY": "acme/credit",
            "GITHUB_SHA": HEAD,
            "GITHUB_TOKEN": TOKEN,
        }
        environ |= {"REQUESTS_CA_BUNDLE": str(cert)} if trusted else {}
        command = [sys.executable, "-m", "gates", "report", "report.json", "--to", "github-status"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0
    assert len(github.statuses) == trusted
    if not trusted:
        assert "SSLError" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
