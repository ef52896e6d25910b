"""Turn a Vega-Lite specification into an <svg> that is safe and small inside a page.

The drawing is rebuilt from a list of elements and attributes that draw: nothing that links, loads,
styles or runs can get through, whatever the text in it says. Ids become the page's own, or the clip
paths of one chart would cut another.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

from markupsafe import Markup

from gates.errors import EnvironmentFault

Spec = dict[str, Any]

_ELEMENTS = frozenset({"svg", "g", "path", "line", "rect", "text", "tspan", "defs", "clipPath"})
_ATTRIBUTES = frozenset(
    {"d", "height", "transform", "viewBox", "width", "x", "x1", "x2", "y", "y1", "y2"}
    | {"fill", "fill-opacity", "opacity", "stroke", "stroke-dasharray", "stroke-linecap"}
    | {"stroke-miterlimit", "stroke-opacity", "stroke-width", "clip-path", "id"}
    | {"font-size", "font-style", "font-weight", "text-anchor"}
)
_DECIMALS = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_ID = re.compile(r"clip\d+")


def draw(spec: Spec, *, key: str, title: str, says: str) -> Markup:
    """Return a chart as SVG with a name and a description for who cannot see it.

    Raises EnvironmentFault where the extra is not installed.
    """
    root = ET.fromstring(_drawn(spec))  # noqa: S314  (written above by Vega, which escapes names)
    _keep(root)
    _rename(root, key)
    root.attrib |= {"role": "img", "aria-labelledby": f"{key}-t {key}-d"}
    for place, (tag, text) in enumerate((("title", title), ("desc", says))):
        label = ET.Element(tag, {"id": f"{key}-{tag[0]}"})
        label.text = text
        root.insert(place, label)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704  (rebuilt and escaped)


def _drawn(spec: Spec) -> str:
    try:
        import vl_convert
    except ImportError as error:
        raise EnvironmentFault(
            "the HTML report needs vl-convert, which can not be imported",
            where="--to html",
            hint='Install it with `pip install "model-gates[html]"`.',
        ) from error
    # No address is allowed: a chart has its data in it, and asks nobody for more.
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return svg


def _keep(element: ET.Element) -> None:
    """Keep of an element, in place, what draws; coordinates to a hundredth of a pixel."""
    element.tag = _local(element.tag)
    element.attrib = {
        name: _DECIMALS.sub(_rounded, value)
        for name, value in element.attrib.items()
        if name in _ATTRIBUTES
    }
    for child in list(element):
        if _local(child.tag) not in _ELEMENTS or child.get("display") == "none":
            element.remove(child)
            continue
        _keep(child)
        if _draws_nothing(child):
            element.remove(child)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _rounded(match: re.Match[str]) -> str:
    return f"{round(float(match[0]), 2) + 0.0:g}"


def _draws_nothing(element: ET.Element) -> bool:
    if element.tag in ("g", "defs"):
        return len(element) == 0
    if element.tag == "text":
        return not element.text
    # The root group says fill="none", so that what names no colour is not seen.
    painted = any(element.get(name, "none") != "none" for name in ("fill", "stroke"))
    return element.tag in ("path", "line") and not painted


def _rename(root: ET.Element, key: str) -> None:
    names: dict[str, str] = {}
    for element in root.iter():
        if old := element.get("id"):
            names[old] = f"{key}-c{len(names)}"
            element.set("id", names[old])
    for element in root.iter():
        if clip := element.get("clip-path"):
            element.set("clip-path", _ID.sub(lambda found: names[found[0]], clip))
