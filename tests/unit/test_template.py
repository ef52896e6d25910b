"""A team's own template: it replaces blocks, and can neither unescape, nor hide, nor forge."""

import pytest

from gates.errors import ConfigError
from reporters.render import markdown
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
