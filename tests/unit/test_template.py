"""A team's own template: it replaces blocks, and can neither unescape, nor hide, nor forge."""

import resource
import signal

import pytest

from gates.errors import ConfigError
from reporters.render import markdown
from reporters.render.confined import confined
from reporters.render.template import MAX_OVERRIDE
from tests import hostile, reports
from tests.page import html, tags

HEAD = '{% extends "report.md.j2" %}\n'


def render(body, report=None):
    return markdown.render(report or reports.one_red(), override=HEAD + body)


def test_a_block_is_replaced_and_the_rest_stays():
    page = render("{% block footer %}\nAsk [the platform team](https://x.example).\n{% endblock %}")
    plain = markdown.render(reports.one_red())
    assert "[the platform team](https://x.example)" in page
    assert page.splitlines()[:2] == plain.splitlines()[:2]
    assert set(plain.splitlines()) <= set(page.splitlines())


def test_a_block_can_be_left_empty_and_its_old_text_kept():
    assert "🛠" not in render("{% block details %}{% endblock %}")
    assert "🛠" in render("{% block details %}Mine. {{ super() }}{% endblock %}")


@pytest.mark.parametrize("name", hostile.HOSTILE)
def test_values_are_escaped_in_it_too(name):
    model = reports.make_model(model=name[:200] or "m")
    page = render(
        "{% block footer %}{{ report.models[0].model | name }}{% endblock %}",
        reports.make_report(model),
    )
    assert tags(html(page))[-1] != "script"
    assert page.count("<!-- model-gates") == 1
    calm = render(
        "{% block footer %}{{ report.models[0].model | name }}{% endblock %}", calm_report()
    )
    assert tags(html(page)) == tags(html(calm))


def calm_report():
    return reports.make_report(reports.make_model(model="`@calm`"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with"),
        ("{% block footer %}{% endblock %}", "does not begin with"),
        ('{% extends "other.j2" %}', "does not begin with"),
        ("{% extends name %}", "does not begin with"),
        (HEAD + "{% block footer %}", "line 2"),
        (HEAD + "{% block footer %}{{ nothing }}{% endblock %}", "UndefinedError"),
        (HEAD + "{% block footer %}{{ command | safe }}{% endblock %}", "line 2"),
        (HEAD + "{% block footer %}{{ ''.__class__ }}{% endblock %}", "SecurityError"),
        (HEAD + "{% block footer %}{{ 1 // 0 }}{% endblock %}", "ZeroDivisionError"),
        (HEAD + "{% block footer %}{{ range(10**9) | list }}{% endblock %}", "OverflowError"),
        (HEAD + '{% block footer %}{% include "../../x" %}{% endblock %}', "TemplateNotFound"),
        (HEAD + "{% block footer %}<!-- model-gates:v1 -->{% endblock %}", "our own comments"),
        (HEAD + "{% block footer %}<!-- mod{{ '' }}el-gates:v1 -->{% endblock %}", ""),
        (HEAD + "x" * MAX_OVERRIDE, "larger than 64 KiB"),
        (HEAD + "{% block footer %}" + "{{ " + "(" * 5000 + "{% endblock %}", ""),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(text, why):
    if "mod{{" in text:
        text = text.replace("{{ '' }}", "{#-#}")
    with pytest.raises(ConfigError) as caught:
        markdown.render(reports.one_red(), override=text)
    assert caught.value.exit_code == 2
    assert why in str(caught.value)


def test_the_marker_is_not_in_its_hands():
    page = markdown.render(
        reports.one_red(), override=HEAD + "{% block models %}{% endblock %}", marker="income"
    )
    assert page.startswith("<!-- model-gates:v1 id=income -->\n## ❌ Model gate:")


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{% for i in range(20000) %}0123456789{% endfor %}", "does not fit into a page of 65,000"),
        ("{{ 'a' * 20000000 }}", "a text of 20,000,000 characters"),
        ("{{ 'a' * 2000000000 }}", "it took more than 512 MiB"),
        ("{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('0123456789abcdef') }}", "it took more"),
        ("one <!-- two", "does not end, and hides what follows"),
        ("--> <!-- <!", "does not end, and hides what follows"),
    ],
)
def test_it_has_bounds(body, why):
    with pytest.raises(ConfigError) as caught:
        render("{% block footer %}" + body + "{% endblock %}")
    assert why in str(caught.value)


def test_it_does_not_go_on_for_ever():
    def refused(why):
        return ConfigError(why)

    limit = signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(ConfigError, match="it took more than"):
        spin(refused)
    assert limit == (signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def spin(refused):
    with confined(refused, seconds=0.2):
        while True:
            pass


def test_a_comment_of_its_own_that_ends_is_fine():
    assert "<!-- ours -->" in render("{% block footer %}<!-- ours -->{% endblock %}")


def test_a_page_that_fits_with_less_of_the_report_is_cut():
    page = render("{% block footer %}" + "x" * 60_000 + "{% endblock %}", reports.many_red(400))
    assert "x" * 60_000 in page
    assert len(page.encode()) <= markdown.COMMENT_BYTES
    assert "Shortened to fit" in page
