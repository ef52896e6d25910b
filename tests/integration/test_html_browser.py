"""The HTML report in a real browser: accessible, inert, and at home on a telephone and on paper."""

import importlib.resources
from functools import cache

import pytest
from playwright.sync_api import sync_playwright

from reporters.render.html.page import render
from tests.hostile import HOSTILE
from tests.reports import STORIES, everything
from tests.unit.test_html import hostile_portrait

pytestmark = pytest.mark.requires_real("chromium")

PAGES = STORIES | {
    "everything": lambda: everything(checks=10),
    "hostile": lambda: hostile_portrait("<b onclick=x()>" * 9),
}
AXE = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html} ${n.failureSummary}`));
}"""
# What somebody else's markup would have brought along, and what the page's own never has.
FOREIGN = """() => [...document.querySelectorAll("*")].filter(e =>
  ["SCRIPT", "IMG", "IFRAME", "OBJECT", "EMBED", "FORM", "INPUT", "LINK", "BASE", "image", "a",
   "foreignObject", "animate", "set"].includes(e.tagName)
  || (e.tagName === "A" && !e.getAttribute("href").startsWith("#m"))
  || [...e.attributes].some(a => a.name.startsWith("on"))).map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def browser(real):
    with sync_playwright() as playwright:
        # A container's root may not use Chromium's own sandbox; the page is ours.
        running = playwright.chromium.launch(
            executable_path=real("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


@cache
def written(story):
    return render(PAGES[story]())


@cache
def axe():
    folder = importlib.resources.files("axe_playwright_python")
    return (folder / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture
def opened(browser, tmp_path):
    """Open a page from disk, offline, and fail on whatever it asks for, says or throws."""
    contexts = []

    def open_page(text, *, width=1280, scheme="light"):
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
        )
        page = context.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: asked.append(message.text))
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        page.goto(path.as_uri())
        contexts.append((context, asked, path.as_uri()))
        return page

    yield open_page
    for context, asked, own in contexts:
        context.close()
        assert asked == [own]


def no_violations(page):
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    # The page's own policy forbids scripts: axe comes through the debugger, as a screen reader would.
    page.evaluate(axe())
    return page.evaluate(AXE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("story", PAGES)
def test_nothing_for_axe_to_complain_about(opened, story, scheme):
    assert no_violations(opened(written(story), scheme=scheme)) == []


def test_a_telephone_s_cards_are_still_a_table(opened):
    page = opened(written("mixed"), width=375)
    assert no_violations(page) == []
    table = page.get_by_role("group", name="Checks that need a look").get_by_role("table")
    assert table.get_by_role("rowheader").first.inner_text() == "MCC"
    assert table.get_by_role("columnheader").first.inner_text() == "Check"


def test_the_rates_of_a_group_are_in_sight_on_a_telephone(opened):
    page = opened(written("everything"), width=375)
    table = page.get_by_role("group", name="Rates by group").first.get_by_role("table")
    row = table.get_by_role("row").nth(1)
    assert row.get_by_role("rowheader").inner_text() == "sex=Female"
    named = row.locator(".head")
    assert named.all_inner_texts() == ["false negative rate", "selection rate"]
    for part in (*row.locator("svg").all(), *named.all()):
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 375
    page.set_viewport_size({"width": 1280, "height": 800})
    assert not named.first.is_visible()
    assert table.locator(".ends").first.is_visible()


def test_axe_would_have_found_something(opened):
    broken = (
        written("one_red")
        .replace('<html lang="en">', "<html>")
        .replace("--muted: #59626e", "--muted: #bbb")
    )
    found = " ".join(no_violations(opened(broken)))
    assert "html-has-lang" in found
    assert "color-contrast" in found


@pytest.mark.parametrize("story", PAGES)
def test_no_page_scrolls_sideways(opened, story):
    page = opened(written(story), width=375)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    for width in (375, 800):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_browser_finds_nothing_of_theirs(opened, hostile):
    page = opened(render(hostile_portrait(hostile)))
    assert page.evaluate(FOREIGN) == []
    assert page.evaluate("document.querySelectorAll('h1').length") == 1


def test_charts_do_not_cut_each_other(opened):
    page = opened(written("portrayed"))
    clips = page.evaluate(
        "[...document.querySelectorAll('[clip-path]')].map(e => [e.ownerSVGElement.contains("
        "document.querySelector(e.getAttribute('clip-path').slice(4, -1)))])"
    )
    assert all(own for (own,) in clips)
    boxes = page.evaluate(
        "[...document.querySelectorAll('figure > svg')].map(e => e.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == 6
    assert all(box["width"] > 200 and box["height"] > 80 for box in boxes)


def test_colours_follow_the_scheme(opened):
    drawn = {}
    for scheme in ("light", "dark"):
        page = opened(written("portrayed"), scheme=scheme)
        drawn[scheme] = page.evaluate(
            "['figure svg text', 'figure svg path[stroke*=candidate]', 'body'].map(s => {"
            "const c = getComputedStyle(document.querySelector(s));"
            "return [c.fill, c.stroke, getComputedStyle(document.documentElement).backgroundColor]})"
        )
    for light, dark in zip(drawn["light"], drawn["dark"], strict=True):
        assert light != dark


def test_every_part_can_be_reached_by_keyboard(opened):
    page = opened(written("one_red"))
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"DIV", "SUMMARY", "PRE"} <= reached
    page.locator("summary", has_text="passing checks").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("rowheader", name="ROC AUC").first.is_visible()


def test_paper_is_light_and_shows_what_was_folded(opened):
    page = opened(written("portrayed"), scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert (
        page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(255, 255, 255)"
    )
    heights = page.evaluate(
        "[...document.querySelectorAll('details.part > .scroll')].map(e => e.offsetHeight)"
    )
    assert heights
    assert all(heights)
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
