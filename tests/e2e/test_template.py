"""`report --template`: a team's own blocks on the page, and what is refused."""

import pytest

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
