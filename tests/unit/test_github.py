"""The GitHub leaf: what the environment says, and files that no value can break out of."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.attestation import Origin
from gates.errors import EnvironmentFault, Refused
from gates.fields import run_page
from gates.github.commands import (
    command,
    escape_data,
    escape_property,
    write_outputs,
    write_summary,
)
from gates.github.context import (
    Job,
    Proposal,
    ci_info,
    default_branch,
    finished_run,
    git_info,
    in_actions,
    job,
    on_default_branch,
    origin,
    proposal,
)
from gates.report import CiInfo, GitInfo
from tests.hostile import HOSTILE

JOB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/credit",
    "GITHUB_RUN_ID": "42",
    "GITHUB_SHA": "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "GITHUB_REF": "refs/pull/7/merge",
}


def without(*names):
    return {name: value for name, value in JOB.items() if name not in names}


# --- what the environment says -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"GITHUB_ACTIONS": "true"}, True),
        ({"GITHUB_ACTIONS": "false"}, False),
        ({"GITHUB_ACTIONS": ""}, False),
        ({"CI": "true"}, False),
    ],
)
def test_a_job_is_known_by_its_variable(environ, expected):
    assert in_actions(environ) is expected


def test_a_job_has_the_address_of_its_run():
    url = "https://github.com/acme/credit/actions/runs/42"
    assert ci_info(JOB) == CiInfo(provider="github", url=url)


def test_a_server_of_ones_own_is_linked_to():
    enterprise = JOB | {"GITHUB_SERVER_URL": "https://git.example"}
    assert ci_info(enterprise).url == "https://git.example/acme/credit/actions/runs/42"


@pytest.mark.parametrize("missing", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_half_an_address_is_none(missing):
    assert ci_info(without(missing)) == CiInfo(provider="github", url=None)
    assert ci_info(JOB | {missing: ""}).url is None


def test_outside_of_a_job_there_is_no_ci():
    assert ci_info(without("GITHUB_ACTIONS")) is None
    assert ci_info({}) is None


def test_a_repository_with_a_long_name_has_no_address():
    assert ci_info(JOB | {"GITHUB_REPOSITORY": "acme/" + "x" * 10_000}).url is None


RUN = "https://github.com/acme/credit/actions/runs/42"


@pytest.mark.parametrize(
    "url",
    [
        RUN,
        "http://git.example:8080/acme_corp/.github/actions/runs/1",
        "https://127.0.0.1:9/a/b..c/actions/runs/0",
    ],
)
def test_the_page_of_a_run_can_be_linked_to(url):
    assert run_page(url) == CiInfo(provider="github", url=url).link == url


@pytest.mark.parametrize(
    "url",
    [
        *HOSTILE,
        *(RUN + end for end in ("\n", " ", ")", "/", "?x", "#x", "/../..", "x", "[", "`")),
        *(RUN.replace("credit", name) for name in ("..", ".", "", "a/b", "a b", "größe", "(x)")),
        *(RUN.replace("acme", name) for name in ("..", "", "a.b", "@x", "a%2f")),
        *(
            RUN.replace("github.com", host)
            for host in ("", "x@y", "[::1]", "-", "a:b", "evil)", "a_b")
        ),
        *(RUN.replace("https", scheme) for scheme in ("javascript", "ftp", "HTTPS", "")),
        RUN.replace("42", "9" * 21),
        None,
    ],
)
def test_what_is_no_page_of_a_run_is_not_linked_to(url):
    assert run_page(url) is None
    assert CiInfo(provider="github", url=url and url[:2000]).link is None


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("name", ["GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"])
def test_a_hostile_variable_makes_no_address(name, value):
    assert ci_info(JOB | {name: value}).url is None


def test_git_is_what_the_job_says():
    assert git_info(JOB) == GitInfo(sha=JOB["GITHUB_SHA"], ref="refs/pull/7/merge")
    assert git_info({}) == GitInfo()
    assert git_info({"GITHUB_SHA": ""}) == GitInfo()
    assert git_info({"GITHUB_SHA": "not a commit"}) == GitInfo()


def test_a_long_ref_is_cut_to_what_a_report_may_hold():
    assert len(git_info({"GITHUB_REF": "x" * 10_000}).ref) == 200


# --- where a job stands --------------------------------------------------------------------------

SHA = "ad1b6a4c0c9b8b5a3d2e1f00112233445566aa77"


def with_event(tmp_path, event):
    path = tmp_path / "event.json"
    path.write_text(event if isinstance(event, str) else json.dumps(event), "utf-8")
    return JOB | {"GITHUB_EVENT_PATH": str(path)}


def test_a_job_without_an_event_stands_at_its_commit():
    assert job(
        JOB | {"GITHUB_RUN_ATTEMPT": "2", "GITHUB_API_URL": "https://git.example/api/v3"}
    ) == Job(
        repository="acme/credit",
        api="https://git.example/api/v3",
        url="https://github.com/acme/credit/actions/runs/42",
        run=42,
        attempt=2,
        head=JOB["GITHUB_SHA"],
    )
    assert job({"GITHUB_REPOSITORY": "a/b"}) == Job(repository="a/b", api="https://api.github.com")


@pytest.mark.parametrize(
    ("event", "pull", "head"),
    [
        ({"pull_request": {"number": 7, "head": {"sha": SHA}}}, 7, SHA),
        ({"merge_group": {"head_sha": SHA}}, None, SHA),
        ({"workflow_run": {"head_sha": SHA, "pull_requests": [{"number": 7}]}}, None, SHA),
        ({"pull_request": {"number": "7; rm", "head": {"sha": "$(id)"}}}, None, None),
        ({"pull_request": {"number": True, "head": {"sha": SHA + "\n"}}}, None, None),
        ({"pull_request": {"number": -1, "head": "x"}}, None, None),
        ({"pull_request": {"number": 0, "head": None}}, None, None),
        ({"pull_request": {"number": 10**15, "head": []}}, None, None),
        ({"pull_request": ["number"]}, None, None),
        ([], None, None),
        ("not json", None, None),
        ("[" * 100_000, None, None),
        ("", None, None),
    ],
)
def test_of_an_event_only_numbers_and_commits_are_taken(tmp_path, event, pull, head):
    found = job(with_event(tmp_path, event))
    assert (found.pull, found.head) == (pull, head or JOB["GITHUB_SHA"])


BASE = "b" * 40
PULL = {"pull_request": {"head": {"sha": SHA}, "base": {"sha": BASE}}}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request", PULL),
        ("pull_request_review", PULL),
        ("pull_request_review_comment", PULL),
        ("merge_group", {"merge_group": {"head_sha": SHA, "base_sha": BASE}}),
    ],
)
def test_a_change_that_is_not_merged_has_a_head_and_a_base(tmp_path, name, event):
    here = with_event(tmp_path, event) | {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name}
    assert proposal(here) == Proposal(head=SHA, base=BASE, merge=JOB["GITHUB_SHA"])
    assert proposal(here | {"GITHUB_ACTIONS": ""}) is None
    for other in ("push", "schedule", "workflow_run", "workflow_dispatch", ""):
        assert proposal(here | {"GITHUB_EVENT_NAME": other}) is None
    with pytest.raises(Refused, match="gives the code of a pull request the rights"):
        proposal(here | {"GITHUB_EVENT_NAME": "pull_request_target"})


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"pull_request": {"head": {"sha": SHA}}},
        {"pull_request": {"head": {"sha": SHA}, "base": {"sha": "main"}}},
        {"pull_request": {"head": {"sha": f"{SHA}\n"}, "base": {"sha": BASE}}},
        "not json",
    ],
)
def test_a_change_whose_commits_are_not_known_is_a_fault(tmp_path, event):
    here = with_event(tmp_path, event) | {"GITHUB_ACTIONS": "true"}
    with pytest.raises(EnvironmentFault, match="does not say which commits"):
        proposal(here | {"GITHUB_EVENT_NAME": "pull_request"})


FOLLOWED = {
    "id": 42,
    "run_attempt": 3,
    "head_sha": SHA,
    "head_branch": 'zzz";echo${IFS}"hello";#',
    "head_repository": {"owner": {"login": "fork"}},
    "event": "pull_request",
    "run_started_at": "2026-11-26T08:00:00Z",
}


def test_a_run_that_is_followed_says_whose_it_is(tmp_path):
    found = finished_run(with_event(tmp_path, {"workflow_run": FOLLOWED}))
    assert (found.run, found.attempt, found.head, found.owner) == (42, 3, SHA, "fork")
    assert found.branch == FOLLOWED["head_branch"], "it is asked for, and never run"
    assert job(with_event(tmp_path, {"workflow_run": FOLLOWED | {"id": 41}})).run == 41
    bare = {key: FOLLOWED[key] for key in FOLLOWED if key not in ("run_attempt", "run_started_at")}
    assert finished_run(with_event(tmp_path, {"workflow_run": bare})).attempt == 0


@pytest.mark.parametrize("missing", ["id", "head_sha", "head_branch", "head_repository", "event"])
def test_a_run_that_does_not_say_it_is_a_fault(tmp_path, missing):
    event = {"workflow_run": {key: FOLLOWED[key] for key in FOLLOWED if key != missing}}
    with pytest.raises(EnvironmentFault, match="does not say which run"):
        finished_run(with_event(tmp_path, event))


@pytest.mark.parametrize(
    ("event", "sha", "base"),
    [
        ({"pull_request": {"head": {"sha": SHA}, "base": {"sha": BASE}}}, SHA, BASE),
        ({"pull_request": {"head": {"sha": SHA}, "base": {"sha": "main"}}}, SHA, None),
        ({"merge_group": {"head_sha": SHA, "base_sha": BASE}}, SHA, BASE),
        ({"workflow_run": {"head_sha": SHA}}, SHA, None),
        ({"before": BASE, "after": SHA, "ref": "refs/heads/main"}, None, None),  # a push
        ({"pull_request": {"head": {"sha": SHA.upper()}, "base": BASE}}, None, None),
        ([], None, None),
    ],
)
def test_the_commit_is_the_one_that_people_know(tmp_path, event, sha, base):
    """GITHUB_SHA of a pull request is a merge of GitHub's own, which is on no branch."""
    found = git_info(with_event(tmp_path, event))
    assert (found.sha, found.base_sha) == (sha or JOB["GITHUB_SHA"], base)
    assert found.sha == job(with_event(tmp_path, event)).head


def test_an_event_that_is_not_there_is_no_fault():
    assert job(JOB | {"GITHUB_EVENT_PATH": "no/such/file"}).pull is None


def test_a_pull_request_that_is_named_comes_first(tmp_path):
    event = {"pull_request": {"number": 7, "head": {"sha": SHA}}}
    assert job(with_event(tmp_path, event), pull=9).pull == 9


@pytest.mark.parametrize("sha", ["", "abc", SHA.upper(), SHA + "0", "../../user"])
def test_what_is_no_commit_is_none(sha):
    assert job(JOB | {"GITHUB_SHA": sha}).head is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "acme",
        "acme/",
        "/credit",
        "a/b/c",
        "../credit",
        "acme/..",
        "a/b?x",
        "a b/c",
        "a/b\n",
        "ä/b",
    ],
)
def test_what_is_no_repository_is_a_fault(name):
    with pytest.raises(EnvironmentFault) as caught:
        job(JOB | {"GITHUB_REPOSITORY": name})
    assert caught.value.where == "GITHUB_REPOSITORY"


# --- where a run came from -----------------------------------------------------------------------

WORKFLOW = "acme/credit/.github/workflows/push-main.yml@refs/heads/main"
RUN = JOB | {
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_WORKFLOW_REF": WORKFLOW,
}


def test_where_a_run_came_from():
    assert origin(RUN) == Origin(
        repository="acme/credit",
        ref="refs/heads/main",
        workflow=WORKFLOW,
        run=42,
        attempt=2,
        event="push",
        fork=False,
    )
    assert origin({name: value for name, value in RUN.items() if name != "GITHUB_ACTIONS"}) is None


def test_a_queue_says_which_branch_it_merges_into(tmp_path):
    event = {"merge_group": {"base_ref": "refs/heads/main"}}
    found = origin(RUN | with_event(tmp_path, event) | {"GITHUB_EVENT_NAME": "merge_group"})
    assert (found.event, found.target, found.fork) == ("merge_group", "refs/heads/main", False)


OURS, FORKS = {"full_name": "Acme/Credit"}, {"full_name": "mallory/credit"}
SOURCES = [
    ("pull_request", {"pull_request": {"head": {"repo": OURS}}}, False),
    ("pull_request", {"pull_request": {"head": {"repo": FORKS}}}, True),
    ("pull_request_target", {"pull_request": {"head": {"repo": FORKS}}}, True),
    ("workflow_run", {"workflow_run": {"head_repository": OURS}}, False),
    ("workflow_run", {"workflow_run": {"head_repository": FORKS}}, True),
    # A fork that was deleted, and an event that cannot be read.
    ("pull_request", {"pull_request": {"head": {"repo": None}}}, True),
    ("pull_request", {"pull_request": {"head": {"repo": {"full_name": 1}}}}, True),
    ("pull_request", [], True),
    ("push", {"pull_request": {"head": {"repo": FORKS}}}, False),
]


@pytest.mark.parametrize(("name", "event", "fork"), SOURCES)
def test_whose_code_it_may_be(tmp_path, name, event, fork):
    found = origin(RUN | with_event(tmp_path, event) | {"GITHUB_EVENT_NAME": name})
    assert (found.event, found.fork) == (name, fork)


@pytest.mark.parametrize("text", ["", " ", "a b", "x\n::error::pwned", "x" * 601, "refs/\u2028x"])
def test_what_is_no_place_is_not_told(text):
    names = ("GITHUB_REPOSITORY", "GITHUB_REF", "GITHUB_WORKFLOW_REF", "GITHUB_EVENT_NAME")
    found = origin(RUN | dict.fromkeys(names, text))
    assert (found.repository, found.ref, found.event) == (None, None, "unknown")
    assert found.workflow is None


@pytest.mark.parametrize(
    ("event", "ref"),
    [
        ({"repository": {"default_branch": "trunk"}}, "refs/heads/trunk"),
        ({"repository": {"default_branch": "a b"}}, None),
        ({"repository": {"default_branch": None}}, None),
        ({}, None),
    ],
)
def test_the_default_branch_is_what_the_event_says(tmp_path, event, ref):
    assert default_branch(RUN | with_event(tmp_path, event)) == ref


# --- outputs -------------------------------------------------------------------------------------


def as_the_runner_reads(text):
    """Return the outputs in a file as actions/runner does (FileCommandManager)."""
    found, lines = [], text.split("\n")
    assert lines.pop() == "", "the last line has to end"
    rest = iter(lines)
    for line in rest:
        if not line:
            continue
        name, heredoc, delimiter = line.partition("<<")
        if "=" in name or not heredoc:
            name, _, value = line.partition("=")
            found.append((name, value))
            continue
        assert name
        assert delimiter
        value = []
        for part in rest:
            if part == delimiter:
                break
            value.append(part)
        else:
            pytest.fail(f"no end of {name}")
        found.append((name, "\n".join(value)))
    return found


def written(tmp_path, *outputs):
    path = tmp_path / "output"
    for one in outputs:
        write_outputs({"GITHUB_OUTPUT": str(path)}, one)
    return path.read_bytes().decode()


VALUES = {
    "plain": "fail",
    "empty": "",
    "lines": "one\ntwo\n\nthree\n",
    "carriage returns": "one\r\ntwo\rthree",
    "another output": "x\nblocked=false\nverdict<<EOF\npass\nEOF",
    "a guessed delimiter": "x\nend-\nend-00000000000000000000000000000000\nblocked=false",
    "the delimiter of the toolkit": "x\nghadelimiter_1\nEOF\nblocked=false\n",
    "a start of its own": "<<EOF\nblocked<<EOF",
    "equals": "a=b",
    "separators": "one\u2028two\u0085three\x0b\x0c",
    "emoji": "größer 🎉",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_value_is_one_output_whatever_it_holds(tmp_path, value):
    outputs = {"verdict": value, "blocked": "true"}
    assert dict(as_the_runner_reads(written(tmp_path, outputs))) == outputs
    assert len(as_the_runner_reads(written(tmp_path, {}))) == 2


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_one_output(tmp_path, value):
    text = written(tmp_path, {"report": value, "blocked": "true"})
    assert as_the_runner_reads(text) == [("report", value), ("blocked", "true")]


@given(value=st.text(st.sampled_from("\n\r=<>end-0af \x00")))
def test_no_text_sets_another_output(tmp_path_factory, value):
    text = written(tmp_path_factory.mktemp("outputs"), {"report": value, "blocked": "true"})
    assert as_the_runner_reads(text) == [("report", value), ("blocked", "true")]


def test_a_delimiter_is_never_used_twice(tmp_path):
    same = dict.fromkeys("abcdefgh", "x")
    text = written(tmp_path, same, same)
    delimiters = [line.partition("<<")[2] for line in text.splitlines() if "<<" in line]
    assert len(set(delimiters)) == 16
    assert min(map(len, delimiters)) >= 32


def test_a_replayed_delimiter_sets_nothing(tmp_path):
    """Who has seen the file of one step knows nothing of the next."""
    seen = written(tmp_path, {"verdict": "pass"})
    path = tmp_path / "next"
    write_outputs({"GITHUB_OUTPUT": str(path)}, {"report": seen, "blocked": "true"})
    assert as_the_runner_reads(path.read_text()) == [("report", seen), ("blocked", "true")]


def test_outputs_are_added_to_what_is_there(tmp_path):
    text = written(tmp_path, {"a": "1"}, {"b": "2"})
    assert as_the_runner_reads(text) == [("a", "1"), ("b", "2")]


# --- summary -------------------------------------------------------------------------------------


def test_a_summary_is_added_to_what_is_there(tmp_path):
    path = tmp_path / "summary"
    path.write_text("before\n")
    for text in ("# One", "größer\n"):
        write_summary({"GITHUB_STEP_SUMMARY": str(path)}, text)
    assert path.read_bytes() == "before\n# One\ngrößer\n\n".encode()


def test_a_summary_is_written_byte_for_byte(tmp_path):
    path = tmp_path / "summary"
    write_summary({"GITHUB_STEP_SUMMARY": str(path)}, "a\r\nb")
    assert path.read_bytes() == b"a\r\nb\n"


# --- what is not there ---------------------------------------------------------------------------

WRITERS = {
    "GITHUB_OUTPUT": lambda environ: write_outputs(environ, {"verdict": "pass"}),
    "GITHUB_STEP_SUMMARY": lambda environ: write_summary(environ, "# hi"),
}


@pytest.mark.parametrize(("variable", "write"), WRITERS.items(), ids=WRITERS)
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_variable_is_a_fault_of_the_environment(variable, write, empty):
    with pytest.raises(EnvironmentFault) as caught:
        write(JOB | {variable: ""} if empty else JOB)
    assert caught.value.exit_code == 4
    assert caught.value.message == f"{variable} is not set"
    assert caught.value.where == "--github"
    assert "inside a GitHub Actions job" in caught.value.hint


@pytest.mark.parametrize(("variable", "write"), WRITERS.items(), ids=WRITERS)
@pytest.mark.parametrize("target", [".", "no/such/folder"])
def test_a_file_that_can_not_be_written_is_a_fault_of_the_environment(
    tmp_path, variable, write, target
):
    with pytest.raises(EnvironmentFault, match="cannot write: ") as caught:
        write({variable: str(tmp_path / target)})
    assert caught.value.exit_code == 4
    assert caught.value.where == variable


# --- workflow commands ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain: text, with :: and ,", "plain: text, with :: and ,"),
        ("100%", "100%25"),
        ("a\nb\r\nc", "a%0Ab%0D%0Ac"),
        ("%0A", "%250A"),
        ("\n::error::pwned", "%0A::error::pwned"),
        ("", ""),
    ],
)
def test_text_can_not_end_a_workflow_command(text, escaped):
    assert escape_data(text) == escaped


@given(st.text())
def test_what_is_escaped_is_one_line_and_comes_back(text):
    escaped = escape_data(text)
    assert "\n" not in escaped
    assert "\r" not in escaped
    assert escaped.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") == text


@pytest.mark.parametrize(
    ("properties", "line"),
    [
        ({}, "::error::a, b: c%0A"),
        ({"file": None, "line": 3}, "::error line=3::a, b: c%0A"),
        (
            {"file": "a,line=9::x", "title": "50%\n::"},
            "::error file=a%2Cline=9%3A%3Ax,title=50%25%0A%3A%3A::a, b: c%0A",
        ),
    ],
)
def test_a_command_is_one_line_with_its_properties(properties, line):
    assert command("error", "a, b: c\n", **properties) == line


@given(st.text(st.sampled_from("%:,\r\n=0AD")))
def test_a_property_can_not_end_and_comes_back(text):
    escaped = escape_property(text)
    assert not set(escaped) & set(":,\r\n")
    for code, character in {"%3A": ":", "%2C": ",", "%0A": "\n", "%0D": "\r", "%25": "%"}.items():
        escaped = escaped.replace(code, character)
    assert escaped == text


MAIN = {"repository": {"default_branch": "main"}}


@pytest.mark.parametrize(
    ("name", "ref", "event", "there"),
    [
        ("push", "refs/heads/main", MAIN, True),
        ("schedule", "refs/heads/main", {}, True),
        ("workflow_dispatch", "refs/heads/main", MAIN, True),
        ("workflow_dispatch", "refs/heads/other", MAIN, False),
        ("push", "refs/heads/main2", MAIN, False),
        ("push", "refs/tags/main", MAIN, False),
        ("push", "", MAIN, False),
        ("pull_request", "refs/pull/7/merge", MAIN, False),
        # The ref is the default branch's, and what is worked on need not be.
        ("pull_request_target", "refs/heads/main", MAIN, False),
        ("workflow_run", "refs/heads/main", MAIN, False),
        ("issue_comment", "refs/heads/main", MAIN, False),
        ("merge_group", "refs/heads/gh-readonly-queue/main/pr-7", MAIN, False),
    ],
)
def test_what_stands_on_the_default_branch(tmp_path, name, ref, event, there):
    environ = with_event(tmp_path, event) | {"GITHUB_EVENT_NAME": name, "GITHUB_REF": ref}
    assert on_default_branch(environ) is there
