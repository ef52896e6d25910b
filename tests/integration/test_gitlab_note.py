"""A sticky note on a GitLab on loopback: what is kept current, and what is left alone.

That two runs agree, and what a broken POST does, is shared with GitHub, and mostly tested there.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gates.errors import EnvironmentFault
from gates.github.client import ApiFault, Client, Unsure
from gates.github.context import Job
from gates.github.repository import Repository
from gates.report import dump
from reporters.publish import gitlab as publisher
from reporters.publish.place import Place, When
from tests import reports
from tests.fake_github import HEAD, FakeClock
from tests.fake_gitlab import OWNER, FakeGitLab, stamped
from tests.hostile import HOSTILE, hostile_report
from tests.page import shape
from tests.unit.test_gitlab import alive

ROOT = Path(__file__).parents[2]
TOKEN = "glpat-secret0123456789"  # noqa: S105
STRANGER = {"id": 666, "username": "mallory"}
NOTES = "/merge_requests/7/notes"
MARKER = "<!-- model-gates:v1 id=default -->"
JOB = {
    "CI_PROJECT_ID": "5",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_COMMIT_SHA": HEAD,
    "CI_PIPELINE_ID": "5",
    "CI_JOB_ID": "31",
}


@pytest.fixture
def gitlab():
    with FakeGitLab().serve() as served:
        yield served


class At:
    """One job: its clock, its client, and what it publishes."""

    def __init__(self, gitlab, *, run=5, attempt=31, head=HEAD, **chosen):
        self.clock = FakeClock()
        client = Client(api=gitlab.url, token=TOKEN, clock=self.clock, service=publisher.GITLAB)
        self.repository = Repository(client=client, name="5")
        job = Job(repository="5", api=gitlab.url, run=run, attempt=attempt, head=head, pull=7)
        self.place = Place(job=job, connect=lambda: self.repository, **chosen)

    def note(self, report=None):
        return publisher.publish(report or reports.one_red(), self.place).said


def test_a_pipeline_makes_one_note_and_the_next_ones_keep_it_current(gitlab):
    assert At(gitlab, run=1).note() == "note: created"
    assert At(gitlab, run=2).note(reports.all_green()) == "note: updated"
    assert At(gitlab, run=2).note(reports.all_green()) == "note: it is up to date"
    assert [method for method, _ in gitlab.writes()] == ["POST", "PUT"]
    assert stamped(gitlab) == [(2, 31)]
    (body,) = gitlab.bodies()
    assert body.splitlines()[0] == MARKER
    assert "Since the last push" in body


def test_each_configuration_has_a_note_of_its_own(gitlab):
    for slug in ("default", "credit/model-gates.yml", "--> <!-- x", "default"):
        At(gitlab, slug=slug).note()
    assert len({body.splitlines()[0] for body in gitlab.bodies()}) == len(gitlab.bodies()) == 3


@pytest.mark.parametrize(
    ("when", "written"), [(When.OFF, 0), (When.FAILURES, 0), (When.CHANGES, 1), (When.ALWAYS, 1)]
)
def test_when_a_merge_request_gets_a_note(gitlab, when, written):
    At(gitlab, when=when).note(reports.all_green())
    assert len(gitlab.bodies()) == written


def test_ours_is_found_on_the_third_page(gitlab):
    for number in range(249):
        gitlab.add_comment(f"note {number}", STRANGER)
    At(gitlab, run=1).note()
    gitlab.calls.clear()
    assert At(gitlab, run=2).note() == "note: updated"
    pages = [c.query.get("page", "1") for c in gitlab.calls if c.path.endswith(NOTES)]
    assert pages[:3] == ["1", "2", "3"]


def test_the_token_goes_to_no_other_host(gitlab):
    gitlab.fail("GET", NOTES, 200, [], headers={"Link": '<https://evil.example/x>; rel="next"'})
    with pytest.raises(EnvironmentFault, match="another host"):
        At(gitlab).note()
    assert gitlab.writes() == []


@pytest.mark.parametrize("user", [STRANGER, {**STRANGER, "username": OWNER["username"]}])
def test_a_strangers_note_with_our_marker_is_theirs(gitlab, user):
    gitlab.add_comment(f"{MARKER}\nx", user)
    assert At(gitlab, run=1).note() == "note: created"
    assert At(gitlab, run=2).note() == "note: updated"
    assert gitlab.bodies()[0] == f"{MARKER}\nx"


def test_what_gitlab_notes_itself_is_not_ours(gitlab):
    gitlab.add_comment(f"{MARKER}\nx")["system"] = True
    assert At(gitlab).note() == "note: created"


def test_of_two_of_ours_the_newest_stays(gitlab):
    At(gitlab, run=1).note()
    gitlab.add_comment(gitlab.bodies()[0].replace("id=1 ", "id=2 "))
    assert At(gitlab, run=3).note() == "note: updated"
    assert stamped(gitlab) == [(3, 31)]


# --- another order ----------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "attempt"), [(9, 30), (8, 99)])
def test_an_older_pipeline_or_job_changes_nothing(gitlab, run, attempt):
    At(gitlab, run=9, attempt=31).note()
    said = At(gitlab, run=run, attempt=attempt).note(reports.all_green())
    assert said == "note: a newer run has written it"
    assert stamped(gitlab) == [(9, 31)]


def test_a_pipeline_on_an_older_commit_changes_nothing(gitlab):
    said = At(gitlab, run=99, head="b" * 40).note()
    assert said == "note skipped: merge request !7 has a newer commit"
    assert gitlab.writes() == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_note_that_had_to_wait_is_not_written_over_that_of_a_newer_commit(gitlab, method):
    def pushed():
        gitlab.pulls[7]["head"] = "c" * 40
        At(gitlab, run=8, head="c" * 40).note()

    if method == "PUT":
        At(gitlab, run=1).note()
    gitlab.fail(method, NOTES, 429, headers={"Retry-After": "30"}, before=pushed)
    said = At(gitlab, run=99).note(reports.all_green())
    assert said == "note: merge request !7 has a newer commit"
    assert stamped(gitlab) == [(8, 31)]


@pytest.mark.parametrize("state", ["closed", "merged", "locked"])
def test_a_merge_request_that_is_not_open_is_left_alone(gitlab, state):
    gitlab.pulls[7]["state"] = state
    assert At(gitlab).note() == f"note skipped: merge request !7 is {state}"
    assert gitlab.writes() == []


# --- what breaks ------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [True, False], ids=["carried out", "lost"])
@pytest.mark.parametrize("how", [{"status": 502}, {}, {"half": True}], ids=str)
def test_a_post_that_broke_is_not_made_twice(gitlab, how, after):
    gitlab.fail("POST", NOTES, after=after, **how)
    assert At(gitlab).note() in ("note: created", "note: it is up to date")
    assert stamped(gitlab) == [(5, 31)]


def test_a_post_that_never_works_is_a_fault(gitlab):
    gitlab.fail("POST", NOTES, 500, times=99)
    with pytest.raises(Unsure) as caught:
        At(gitlab).note()
    assert caught.value.where.startswith("GitLab API at http://127.0.0.1")


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, "401 Unauthorized", "check GITLAB_TOKEN"),
        (403, "403 Forbidden", "the scope `api`"),
        (404, "404 Not found", "that the token may see them"),
    ],
)
@pytest.mark.parametrize("path", ["/user", "/merge_requests/7$"])
def test_a_token_that_may_not_is_told_at_once(gitlab, path, status, said, hint):
    gitlab.fail("GET", path, status, {"message": said})
    with pytest.raises(ApiFault, match=f"answered {status} {said}") as caught:
        At(gitlab).note()
    assert hint in caught.value.hint
    assert gitlab.writes() == []


@pytest.mark.parametrize("answer", [{"id": 1}, [], {"id": "x", "username": "y"}])
def test_an_answer_that_is_no_answer_is_a_fault(gitlab, answer):
    gitlab.fail("GET", "/user", 200, answer)
    with pytest.raises(EnvironmentFault, match="something else than was asked for") as caught:
        At(gitlab).note()
    assert "CI_API_V4_URL" in caught.value.hint


def test_a_note_deleted_under_us_is_made_anew(gitlab):
    At(gitlab, run=1).note()
    gitlab.fail("PUT", NOTES, do=gitlab.comments.clear, after=True, status=404)
    assert At(gitlab, run=2).note() == "note: created"


def noted(gitlab, name):
    gitlab.comments.clear()
    assert At(gitlab).note(hostile_report(name)) == "note: created"
    return gitlab.bodies()[0]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_name_comes_alive_in_a_note(gitlab, hostile):
    body = noted(gitlab, hostile)
    assert alive(body) == []
    assert body.splitlines()[0] == MARKER
    assert body.count("<!--") == body.count("-->") == 3, "marker, stamp and state"
    assert shape(body) == shape(noted(gitlab, "calm"))


# --- where a job stands -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, {}),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "d" * 40}, {"head": "d" * 40}),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": ""}, {}),
        ({"CI_MERGE_REQUEST_PROJECT_ID": "6"}, {"repository": "6"}),
        ({"CI_MERGE_REQUEST_IID": ""}, {"pull": None}),
        ({"CI_MERGE_REQUEST_IID": "7/../8"}, {"pull": None}),
        ({"CI_COMMIT_SHA": "$(id)"}, {"head": None}),
        ({"CI_PIPELINE_ID": "x"}, {"run": 0}),
    ],
)
def test_a_job_says_where_it_stands(environ, found):
    expected = {"repository": "5", "run": 5, "attempt": 31, "head": HEAD, "pull": 7, "api": "x"}
    given = JOB | {"CI_API_V4_URL": "x"} | environ
    assert publisher.job(given) == Job(**expected | found)
    assert publisher.job(given, pull=9).pull == 9


@pytest.mark.parametrize("project", ["", "acme/credit", "5/..", "-1", "0"])
def test_what_is_no_project_is_a_fault(project):
    with pytest.raises(EnvironmentFault) as caught:
        publisher.job(JOB | {"CI_PROJECT_ID": project})
    assert caught.value.where == "CI_PROJECT_ID"


def test_outside_of_a_merge_request_nothing_is_asked(gitlab):
    place = Place(job=Job(repository="5", api=gitlab.url), connect=pytest.fail)
    said = publisher.publish(reports.one_red(), place).said
    assert said == "note skipped: this pipeline is not about a merge request"
    assert gitlab.calls == []


# --- the command line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "options", "code", "said"),
    [
        ({}, [], 0, "note: created\n"),
        ({"GITLAB_TOKEN": ""}, [], 0, "GITLAB_TOKEN: there is no token\n  Make a project access"),
        ({"GITLAB_TOKEN": ""}, ["--require-post"], 4, "GITLAB_TOKEN: there is no token"),
        ({"CI_PROJECT_ID": ""}, [], 0, "CI_PROJECT_ID: it is not set"),
        ({"CI_API_V4_URL": ""}, [], 0, "CI_API_V4_URL: this is no https address"),
    ],
)
def test_a_report_is_published(gitlab, tmp_path, environ, options, code, said):
    (tmp_path / "report.json").write_bytes(dump(reports.one_red()))
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GITLAB_TOKEN": TOKEN}
    given |= JOB | {"CI_API_V4_URL": gitlab.url} | environ
    command = [sys.executable, "-m", "gates", "report", "report.json", "--to=gitlab-merge-request"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert said in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert len(gitlab.bodies()) == (said == "note: created\n")
