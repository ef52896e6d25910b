"""A report as a badge: a small SVG of our own, or the JSON that shields.io draws one from.

It holds no name from outside but in the picture's title. Symbol and word say what the colour says.
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape, quoteattr

from gates.report import Report
from reporters.render.escape import plain
from reporters.render.headline import headline
from reporters.render.words import Tone

LABEL = "model gates"
# Word, our colour (white text on it has a contrast of 4.5 or more), shields.io's name for it.
STATES = {
    Tone.ERROR: ("✗ error", "#82071e", "critical"),
    Tone.FAIL: ("✗ blocked", "#cf222e", "red"),
    Tone.WARN: ("! passed, warns", "#9a6700", "orange"),
    Tone.UNDECIDED: ("? undecided", "#57606a", "yellow"),
    Tone.WAIVED: ("~ passed, waived", "#9a6700", "orange"),
    Tone.SKIPPED: ("– nothing judged", "#57606a", "lightgrey"),
    Tone.PASS: ("✓ passed", "#1a7f37", "brightgreen"),
}
# About the advance widths of DejaVu Sans at 11 pixels; `textLength` makes any font keep to them.
_WIDE = dict.fromkeys("ijl", 3.06) | dict.fromkeys(" ,t!", 3.9) | dict.fromkeys("fr", 4.2)
_WIDE |= {"m": 10.72, "w": 9.0, "✓": 9.2, "✗": 9.2, "–": 5.5, "~": 9.2}
_USUAL = 6.6
_PAD = 6


def render_svg(report: Report) -> str:
    """Return the badge as a self-contained SVG; its title has the whole headline."""
    tone, sentence = headline(report)
    message, colour, _ = STATES[tone]
    left, right = (text_width(text) + 2 * _PAD for text in (LABEL, message))
    title = plain(("Model gates: ", *sentence))
    curve = f"M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z"
    # No ids: several badges may stand on one page. The letters need not be read out a second time.
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" \
aria-label={quoteattr(title)}>
<title>{escape(title)}</title>
<rect width="{left + right}" height="20" rx="3" fill="#3d444d"/>
<path d="{curve}" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,'DejaVu Sans',Geneva,sans-serif" font-size="11" \
aria-hidden="true">
{_text(_PAD, LABEL)}
{_text(left + _PAD, message)}
</g>
</svg>
"""


def render_endpoint(report: Report) -> str:
    """Return the JSON of a shields.io endpoint badge, to be served as it is.

    `isError` keeps whoever embeds the badge from painting a red one green.
    """
    tone, _ = headline(report)
    message, _, colour = STATES[tone]
    found = {
        "schemaVersion": 1,
        "label": LABEL,
        "message": message,
        "color": colour,
        "isError": tone in (Tone.ERROR, Tone.FAIL),
        "cacheSeconds": 300,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def text_width(text: str) -> int:
    """Return how many pixels a text of ours takes at 11 pixels."""
    return round(sum(_WIDE.get(letter, _USUAL) for letter in text))


def _text(x: int, text: str) -> str:
    return f'<text x="{x}" y="14" textLength="{text_width(text)}">{escape(text)}</text>'
