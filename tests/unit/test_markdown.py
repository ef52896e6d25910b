"""Whole pages as a reviewer sees them, hostile pages, and pages cut to fit."""

import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.errors import ConfigError
from gates.github.commands import write_summary
from gates.report import (
    PolicyInfo,
    RunInfo,
    dump,
)
from reporters.render import markdown
from reporters.render.markdown import render
from reporters.render.registry import RENDERERS
from tests import reports
from tests.hostile import HOSTILE, hostile_report
from tests.page import html, shape
from tests.reports import STORIES
from tests.snapshot import assert_snapshot


@cache
def calm():
    return shape(render(hostile_report("calm")))


@pytest.mark.parametrize("story", STORIES)
def test_whole_pages(story):
    assert_snapshot(f"{story}.md", render(STORIES[story]()))


def test_a_page_cut_to_fit():
    page = render(reports.many_red(400), budget=20_000)
    assert_snapshot("truncated.md", page)
    assert "and 350 more in `report.json`" in page
    assert "… and 380 checks more that block" in page


@pytest.mark.parametrize("story", STORIES)
def test_pages_are_whole_html(story):
    page = render(STORIES[story]())
    found = html(page)
    assert found.count("<details>") == found.count("</details>") == page.count("<details>")
    for row in re.findall(r"<tr>(.*?)</tr>", found, re.DOTALL):
        assert row.count("</t") in (3, 4, 6, 7)
    assert "<p>|" not in found
    assert "\\[" not in page


def test_all_green_is_three_lines_and_one_fold():
    head, _, fold = render(reports.all_green()).partition("<details>")
    assert [line[:12] for line in head.splitlines() if line] == [
        "<!-- model-g",
        "## ✅ Model g",
        "**9 passed**",
    ]
    assert "<details>" not in fold


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_change_no_structure(hostile):
    assert shape(render(hostile_report(hostile))) == calm()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_name_changes_no_structure(value):
    page = render(hostile_report(value))
    assert shape(page) == calm()
    assert page.count("<!--") == page.count("-->") == 1


@pytest.mark.parametrize("hostile", HOSTILE)
def test_errors_are_hostile_too(hostile):
    error = ConfigError(hostile, where=hostile or " ", hint=hostile or " ", details=(hostile,))
    calm = ConfigError("x", where="x", hint="x", details=("x",))
    assert shape(render(reports.of_error(error))) == shape(render(reports.of_error(calm)))


@pytest.mark.parametrize("budget", [1_000, 3_000, 10_000, 65_000, 1_000_000])
@pytest.mark.parametrize("hostile", ["é" * 200, "`|" * 100, "@#1 " * 50])
def test_every_page_fits_its_budget(budget, hostile):
    model = hostile_report(hostile).models[0]
    report = reports.make_report(*[model] * 12)
    page = render(report, budget=budget)
    assert len(page.encode()) <= max(budget, 2_000)
    assert page.startswith("<!-- model-gates:v1 id=default -->\n## ❌ Model gate: ")
    assert page.count("<details>") == page.count("</details>")
    assert budget == 1_000_000 or "report.json" in page


def test_sections_go_in_a_fixed_order():
    report = reports.one_red()
    whole = render(report)
    seen = []
    for budget in range(len(whole.encode()), 900, -50):
        page = render(report, budget=budget)
        shown = [part for part in ("Rates by group", "passing check", "note") if f"{part}</" in page
                 or f"{part}s</" in page]  # fmt: skip
        if shown not in seen:
            seen.append(shown)
    assert seen == [
        ["Rates by group", "passing check", "note"],
        ["passing check", "note"],
        ["note"],
        [],
    ]


def test_a_name_no_shell_line_can_hold_is_left_out_of_the_command():
    def command(model, config):
        report = reports.make_report(
            reports.make_model(reports.good_performance(), model=model),
            run=RunInfo(started="", config=config),
        )
        return re.search(r"```console\n(.*)\n```", render(report))[1]

    assert command("income", "a b.yml") == "model-gates run --config 'a b.yml' --model income"
    assert command("$(id)", "x.yml") == "model-gates run --config x.yml --model '$(id)'"
    for name in ("a\nb", "```", "--help", "<!-- x", "</details>", "x" * 200 + "y", ""):
        report = hostile_report("calm")
        model = report.models[0].model_copy(update={"model": name})
        page = render(report.model_copy(update={"models": (model,)}))
        assert "\nmodel-gates run --config calm\n" in page


def test_the_marker_is_a_slug():
    assert render(reports.all_green(), marker="--> @x").startswith("<!-- model-gates:v1 id=x-")


def test_changes_of_policy_are_in_the_open():
    policy = PolicyInfo(source="base", digest=reports.DIGEST, changes=("`max_drop` 0.01 → 0.9",))
    page = render(reports.all_green().model_copy(update={"policy": policy}))
    assert "the rules of the base commit were applied" in page
    assert page.index("`max_drop` 0.01 → 0.9") < page.index("<details>")


def test_the_summary_holds_what_a_comment_cannot():
    report = reports.many_red(600)
    comment, summary = RENDERERS["markdown"](report), RENDERERS["github-summary"](report)
    assert len(comment.encode()) <= markdown.COMMENT_BYTES < len(summary.encode())
    assert "Shortened to fit" in comment
    assert "Shortened" not in summary


@pytest.mark.parametrize("count", [2000, 9000])
def test_a_summary_that_github_would_drop_is_cut_before(tmp_path, count):
    """Above 1 MiB the runner uploads nothing, and the step is green all the same."""
    fitted = RENDERERS["github-summary"](reports.many_red(count))
    write_summary({"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}, fitted)
    assert 2**17 < (tmp_path / "summary").stat().st_size < 2**20
    assert ("Shortened to fit" in fitted) is (count == 9000)


def test_json_comes_back_as_it_was():
    report = reports.mixed()
    assert RENDERERS["json"](report) == dump(report).decode()


RUN = "https://github.com/acme/credit/actions/runs/42"


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        (RUN, True),
        ("https://ghe.acme.example:8443/a/b.c/actions/runs/1", True),
        (RUN + ") [x](https://evil.example", False),
        ("javascript:alert(1)//a/b/actions/runs/1", False),
        ("https://evil.example/?x=/a/b/actions/runs/1", False),
        ("https://evil.example/@acme/b/actions/runs/1", False),
        ("https://x@evil.example/a/b/actions/runs/1", False),
        ("https://github.com/acme/credit/actions/runs/42\n# x", False),
    ],
)
def test_the_run_is_linked_if_it_is_one(url, linked):
    report = reports.one_red()
    ci = report.run.ci.model_copy(update={"url": url})
    report = report.model_copy(update={"run": report.run.model_copy(update={"ci": ci})})
    page = render(report)
    assert (f"[run]({url})" in page) is linked
    assert html(page).count("<a ") == linked


def test_of_many_models_those_that_pass_take_a_line_each():
    page = render(reports.twelve_models())
    assert page.index("### ❌ `model-11`") < page.index("### ✅ 11 models passed")
    assert len(re.findall(r"^- `model-\d\d`: 7 passed", page, re.MULTILINE)) == 11
    assert page.count("\n## ") == 1
    # What a reviewer does not need gives way before anything of the model that is blocked.
    short = render(reports.twelve_models(), budget=12_000)
    assert "Rates by group" in short
    assert "Their checks and data" not in short
    assert "left out are models that passed" in short


def test_how_to_go_on_stays_longer_than_the_list():
    page = render(reports.many_red(400), budget=30_000)
    assert "model-gates run --config" in page
    assert "reason: " in page
    assert re.search(r"… and 3\d\d more in `report.json`", page)


def test_what_a_report_never_had_was_not_left_out():
    assert "rates by group" not in render(reports.many_red(400), budget=20_000)
    assert "rates by group" in render(reports.one_red(), budget=4_500)
