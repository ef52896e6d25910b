"""Read Markdown as GitHub does, and say which elements came out."""

import re
from html import unescape
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

from reporters.render.escape import cell, md


def html(markdown: str) -> str:
    """Raw HTML stays, as on GitHub before its sanitiser: whatever got through is to be seen."""
    return cmarkgfm.github_flavored_markdown_to_html(markdown, Options.CMARK_OPT_UNSAFE)


def tags(page: str) -> list[str]:
    """Every element in order; comments as `<!--`, attributes only where they could do harm."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            harmless = all(key in ("align", "lang") for key, _ in attrs)
            found.append(tag if harmless else f"{tag} {attrs}")

        def handle_comment(self, data):
            found.append("<!--")

    Reader().feed(page)
    return found


def shape(page):
    """The elements of a page but for code spans, of which a name may well have more than one."""
    return [
        tag for tag in tags(html(page)) if tag not in ("code", "pre", "pre [('lang', 'console')]")
    ]


TABLE = ["table", "thead", "tr", "th", "th", "th", "tbody", "tr", "td", "td", "td"]


# GitHub makes links of these in the finished page, anywhere but in code.
ALIVE = re.compile(r"@\w|#\d|\bgh-\d|\b[0-9a-f]{7,40}\b|www\.|://|:[\w+-]+:|\$\S", re.IGNORECASE)


def assert_inert(value):
    """A name or a phrase is text, in a table, in a heading and in a list."""
    table = html(f"|x|y|z|\n|-|-|-|\n| {cell(value)} | 0.71 | end |\n")
    assert [tag for tag in tags(table) if tag != "code"] == TABLE
    assert "<td>0.71</td>\n<td>end</td>" in table
    page = html(f"## x {md(value)} y\n\n- {md(value)}\n")
    assert [tag for tag in tags(page) if tag != "code"] == ["h2", "ul", "li"]
    around = re.sub(r"<code>.*?</code>", "", page)
    assert not ALIVE.search(unescape(re.sub(r"<[^>]*>", " ", around)))
