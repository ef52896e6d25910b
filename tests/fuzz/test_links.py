"""The parser of `Link` and `Location`: whatever an API sends, nobody else is asked next."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gates.errors import EnvironmentFault
from gates.github.paging import next_page, same_host
from tests.fuzz.bounds import soon

BASE = "https://github.example:8443/api/v3"
PIECES = [
    "https://github.example:8443", "https://github.example", "http://github.example:8443", BASE,
    "//evil.example", "https://evil.example", "@evil.example", "github.example:8443@evil.example",
    "/repos/a/b?page=2", "?page=2", "..", ".", "/", "\\", ":", "@", "#", "%2e", "%00", "[::1]", "[", "]",
    "\t", "\n", "\r", "\0", " ", "é", "。", "\u2100", "javascript:", "file:///etc/passwd", ":99999", ":x",
]  # fmt: skip
addresses = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.text(max_size=40)
parts = st.sampled_from(["<", ">", ";", ",", '"', "=", "rel=next", 'rel="next"', "rel='next'", " "])
headers = (
    st.lists(parts | addresses, max_size=8).map("".join)
    | addresses.map(lambda address: f'<{address}>; rel="next"')
    | st.text(max_size=80)
)


def assert_ours(target):
    """What is asked next is on the API's own host, as the client that asks would read it."""
    there, here = urlsplit(target), urlsplit(BASE)
    assert (there.scheme, there.netloc) == (here.scheme, here.netloc)
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    assert "\\" not in target


@given(addresses)
@example("https://github.example:8443/api?page=2")
def test_no_address_leads_to_another_host(target):
    with soon():
        try:
            found = same_host(target, BASE)
        except EnvironmentFault as error:
            assert "evil.example" not in f"{error}"  # noqa: PT017  (an address may be right)
        else:
            assert_ours(found)


@given(headers)
@example('<https://github.example:8443/api/v3?page=2>; rel="next"')
@example(";")
@example("<>;=")
def test_no_header_leads_to_another_host(link):
    with soon():
        try:
            found = next_page(link, BASE)
        except EnvironmentFault:
            return
        if found is not None:
            assert_ours(found)


def test_the_address_of_a_next_page_is_found():
    link = f'<{BASE}/a?page=1>; rel="prev", <{BASE}/a?page=3>; rel="next"'
    assert next_page(link, BASE) == f"{BASE}/a?page=3"
    with pytest.raises(EnvironmentFault, match="another host"):
        next_page('<https://evil.example/a>; rel="next"', BASE)
