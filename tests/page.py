"""Read Markdown as GitHub does, and say which elements came out."""

from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options


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
