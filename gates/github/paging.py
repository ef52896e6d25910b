"""Which addresses may be asked next: those of the API's own host, and no other.

A `Link` or a `Location` comes from the other side. The token goes with every request, so of such
an address only path and query are used, behind our own origin; one that names another host is
refused, whichever of two URL parsers would have been right about it.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urljoin, urlsplit

from requests.utils import parse_header_links

from gates.errors import EnvironmentFault

_PORTS = {"http": 80, "https": 443}
_PLAIN = re.compile(r"[!-~]+")
_ELSEWHERE = "Check GITHUB_API_URL, and what stands between this machine and GitHub."


def next_page(link: str | None, base: str) -> str | None:
    """Return the address of the next page, or None on the last one."""
    found = parse_header_links(link) if link else []
    target = next((one.get("url", "") for one in found if one.get("rel") == "next"), None)
    return None if target is None else same_host(target, base)


def same_host(target: str, base: str) -> str:
    """Return `target` on the host of `base`.

    Raises EnvironmentFault when it is on another one, or is not plainly an address.
    """
    ours = urlsplit(base)
    try:
        joined = urlsplit(urljoin(base, target))
        there, here = _origin(joined), _origin(ours)
    except ValueError:
        there, here = None, _origin(ours)
    if there != here or "\\" in target or not _PLAIN.fullmatch(target):
        raise EnvironmentFault(
            "the API pointed to another host, and nothing was sent there",
            where=base,
            hint=_ELSEWHERE,
        )
    query = f"?{joined.query}" if joined.query else ""
    return f"{ours.scheme}://{ours.netloc}{joined.path}{query}"


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    if url.username is not None or url.password is not None:
        raise ValueError
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
