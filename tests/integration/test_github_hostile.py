"""Hostile names as they come to stand on GitHub: comment, check run and status, read back from there."""

import re
from functools import cache
from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reporters.publish.place import Spot, When
from reporters.publish.sticky import ours, stamped
from tests.fake_github import FakeGitHub
from tests.hostile import HOSTILE, MARKER, hostile_report
from tests.integration.test_github_api import At
from tests.page import ALIVE, html, shape

# What GitHub closes an issue by, and what would make a page of ours another one's.
KEYWORD = re.compile(
    r"\b(?:clos|fix|resolv)(?:e[sd]?|s|ed)?\b\s*:?\s*(?:#|gh-|\S+/\S+#)\d", re.IGNORECASE
)
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.fixture(scope="module")
def github():
    with FakeGitHub().serve() as served:
        yield served


def posted(github, name):
    """Publish a report with that name everywhere; return what GitHub has of it by then."""
    github.comments.clear()
    github.checks.clear()
    github.statuses.clear()
    at = At(github, when=When.ALWAYS, find=lambda *_: Spot(path="model-gates.yml", line=3))
    report = hostile_report(name)
    assert at.comment(report) == "comment: created"
    assert at.check(report) == "check run: failure"
    assert at.status(report) == "commit status: failure"
    return github.bodies()[0], github.checks[0], github.statuses[0]


def around(page):
    """Return the text of a page that GitHub looks for references in: all but code."""
    bare = re.sub(r"<pre.*?</pre>|<code>.*?</code>|<!--.*?-->", " ", html(page), flags=re.DOTALL)
    return unescape(re.sub(r"<[^>]*>", " ", bare))


@cache
def calm():
    with FakeGitHub().serve() as github:
        body, check, _ = posted(github, "calm")
    levels = [one["annotation_level"] for one in check["output"]["annotations"]]
    return shape(body), shape(check["output"]["summary"]), levels


def assert_inert(github, name):
    body, check, status = posted(github, name)
    summary, annotations = check["output"]["summary"], check["output"]["annotations"]
    shapes = shape(body), shape(summary), [one["annotation_level"] for one in annotations]
    assert shapes == calm()
    for page in (body, summary):
        assert ALIVE.findall(around(page)) == []
        assert KEYWORD.findall(around(page)) == []
        assert page.splitlines()[0] == f"<!-- {MARKER} -->"
    assert body.count("<!--") == body.count("-->") == 3, "marker, stamp and state"
    assert summary.count("<!--") == summary.count("-->") == 1
    (comment,) = at_home(github)
    assert stamped(comment).run == 5
    texts = [check["output"]["title"], status["description"]]
    texts += [one[part] for one in annotations for part in ("title", "message")]
    for text in texts:
        assert text.strip()
        assert not UNSEEN.search(text)
    assert {(one["path"], one["start_line"]) for one in annotations} == {("model-gates.yml", 3)}
    assert len(status["description"]) <= 140


def at_home(github):
    """Return the comments that the next run takes for its own."""
    at = At(github)
    return ours(at.repository.comments(7), at.repository.viewer(), f"<!-- {MARKER} -->", "-")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_comes_alive_on_github(github, hostile):
    assert_inert(github, hostile)


nasty = st.text(st.sampled_from("`|\\<>!-[]()_*~#@:/&$1aA \n\u200b\u202e\t.w=+"), max_size=40)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(nasty)
def test_no_text_comes_alive_on_github(github, value):
    assert_inert(github, value)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_page_with_hostile_names_is_kept_current(github, hostile):
    """No name makes a comment of ours look like somebody else's, or like a newer run's."""
    posted(github, hostile)
    said = At(github, run=6, when=When.ALWAYS).comment(hostile_report(hostile))
    assert said == "comment: updated"
    assert len(github.bodies()) == 1


def test_the_tests_can_tell():
    assert ALIVE.findall(around("see @org/team and www.evil.example")) == ["@o", "www."]
    assert KEYWORD.findall(around("closes #1, Fixes: acme/credit#9"))
    assert not KEYWORD.findall(around("`closes #1`"))
