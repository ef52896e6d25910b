"""`report --template`: a team's own blocks on the page, and what is refused."""

import pytest

from tests.e2e.proposals import opened

FOOTER = (
    '{% extends "report.md.j2" %}\n{% block footer %}\nAsk the platform team.\n{% endblock %}\n'
)


@pytest.fixture
def written(project):
    project.run()

    def write(text):
        path = project.path("team.md.j2")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def report(project, *arguments):
    return project.call("report", str(project.path("out") / "report.json"), *arguments)


@pytest.mark.parametrize("to", ["markdown", "gitlab-note", "github-summary"])
def test_every_markdown_takes_one(project, written, to):
    outcome = report(project, "--to", to, "--template", written(FOOTER))
    assert outcome.code == 0
    assert "\nAsk the platform team.\n" in outcome.stdout


def test_what_is_no_markdown_takes_none(project, written):
    outcome = report(project, "--to", "junit", "--template", written(FOOTER))
    assert outcome.code == 2
    assert "`junit` takes no template" in outcome.stderr
    assert "github-comment" in outcome.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\xff\xfe", "it is not UTF-8"),
        (FOOTER + "x" * 70_000, "larger than 64 KiB"),
        ("{{ 1 }}", "does not begin with"),
    ],
)
def test_what_cannot_be_used_is_said(project, written, text, why):
    outcome = report(project, "--to", "markdown", "--template", written(text))
    assert (outcome.code, outcome.stdout) == (2, "")
    assert why in outcome.stderr


def test_a_template_that_is_not_there(project, written):
    outcome = report(project, "--to", "markdown", "--template", str(project.path("none.j2")))
    assert outcome.code == 2
    assert "cannot read the template: No such file" in outcome.stderr


# --- on a pull request ----------------------------------------------------------------------------


def on_pull_request(project, text):
    """Render a report in the job of a pull request that writes this template."""
    pull = opened(project)
    project.path("team.md.j2").write_text(text)
    pull.propose()
    template = str(project.path("team.md.j2"))
    named = (str(project.path("out") / "report.json"), "--to", "markdown", "--template", template)
    return project.call("report", *named, environ=pull.environ())


def test_a_pull_request_cannot_put_its_own_words_into_the_page(project, written):
    written(FOOTER)
    outcome = on_pull_request(project, FOOTER.replace("Ask the platform team", "Approved by audit"))
    assert outcome.code == 0, outcome.stderr
    assert "Ask the platform team." in outcome.stdout
    assert "Approved by audit" not in outcome.stdout


def test_a_template_holds_once_it_is_merged(project, written):
    outcome = on_pull_request(project, FOOTER)
    assert outcome.code == 0, outcome.stderr
    assert "Ask the platform team." not in outcome.stdout
    assert "the base commit has no team.md.j2 yet" in outcome.stderr


def test_a_template_of_the_base_that_is_broken_is_said(project, written):
    written("{{ 1 }}")
    outcome = on_pull_request(project, FOOTER)
    assert outcome.code == 2
    assert "does not begin with" in outcome.stderr
