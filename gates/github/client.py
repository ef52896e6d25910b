"""The REST client: one request at a time, patient within a budget, and close with its token.

The token goes to the API's own host and nowhere else: no redirect and no `Link` leads it away, no
`.netrc` replaces it, and it is in no message, repr or log. A POST that broke may have been carried
out; it is never repeated here, but raises `Unsure`, so that the caller looks first.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from gates import __version__
from gates.errors import EnvironmentFault
from gates.fields import bounded
from gates.github.backoff import TRIES, Clock, broken_wait, quota_wait, throttled
from gates.github.paging import next_page, same_host
from gates.github.service import AGAIN, GITHUB, Service

BUDGET_SECONDS = 200.0  # twice the minute that GitHub asks for, the second time doubled
MAX_ANSWER = 32 * 1024 * 1024
MAX_PAGES = 100
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 307, 308})
_NONE = 0
TIMEOUT = (10.0, 30.0)  # to connect, and from one byte to the next
_MAX_MESSAGE = 300
_TOKEN = re.compile(r"[!-~]{1,2000}")
_USER_AGENT = f"model-gates/{__version__}"
_LOCKED = "The conversation is locked. Unlock it, or publish as a check run."


class ApiFault(EnvironmentFault):
    """The API did not do what was asked; `status` is its answer's, None where there was none."""

    def __init__(self, message: str, *, where: str, hint: str, status: int | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.status = status

    @property
    def locked(self) -> bool:
        """Return whether somebody has locked the conversation, which no permission opens."""
        return _is_locked(self.status, self.message)


class Overtaken(ApiFault):
    """A write had to wait, and by then it was not to be made any more."""


class Unsure(ApiFault):
    """A POST broke: whether it was carried out, only another look can tell."""


# Whether a write that had to wait is to be made all the same.
Still = Callable[[], bool]


def always() -> bool:
    """Return that it is: nothing could have overtaken it."""
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """What came back; with `status` 0 nothing whole did, and `body` says what broke."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def message(self) -> str:
        """Return what the API says is wrong; empty where it says nothing one could read."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(found, dict):
            return ""
        errors = found.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        detail = first.get("message") if isinstance(first, dict) else first
        said = (text for text in (found.get("message"), detail) if isinstance(text, str) and text)
        return ": ".join(said)


class _Token(AuthBase):
    """Puts the token on a request; as `auth`, so that no `.netrc` is looked up."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers[self._name] = self._value
        return request


class _Session(requests.Session):
    """Follows nothing by itself, and does not even look where an answer points."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none (`requests.SessionRedirectMixin`)."""


@dataclass(kw_only=True)
class Client:
    """Talks to one API until its budget of time is spent.

    `api` is its address: `https://api.github.com`, or `https://HOST/api/v3` of an enterprise
    server. Proxies and certificates are those that `requests` finds in the environment.
    """

    api: str
    token: str = field(repr=False)
    clock: Clock = time
    budget: float = BUDGET_SECONDS
    timeout: tuple[float, float] = TIMEOUT
    service: Service = GITHUB
    _session: requests.Session = field(init=False, repr=False)
    _deadline: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.api = self.api.rstrip("/")
        _check_address(self.api, self.service)
        if not _TOKEN.fullmatch(self.token):
            raise EnvironmentFault(
                "the token is empty, or holds a space, a line break or a character beyond ASCII",
                where=self.service.token,
                hint=f"Hand on a token as {self.service.name} showed it.",
            )
        self._session = _Session()
        name, before = self.service.sent_as
        self._session.auth = _Token(name, before + self.token)
        self._session.headers.update({**self.service.headers, "User-Agent": _USER_AGENT})
        self._deadline = self.clock.monotonic() + self.budget

    def get(self, path: str, **query: str | int) -> Any:
        """Return what is at a path."""
        return self._json(self._ask("GET", self._url(path, query)))

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Yield what is at a path page by page, as `Link` leads from one to the next."""
        url: str | None = self._url(path, {"per_page": 100, **query})
        for _ in range(MAX_PAGES):
            answer = self._ask("GET", url or "")
            yield self._json(answer)
            url = next_page(answer.headers.get("link"), self.api)
            if url is None:
                return
        raise self._fault(f"there are more than {MAX_PAGES} pages", hint="Nothing was written.")

    def post(self, path: str, body: dict[str, Any], still: Still = always) -> Any:
        """Create something and return it; raises Unsure when it may exist, or may not.

        Where a write had to wait, it is made only if it is `still` to be made; else Overtaken.
        """
        answer = self._ask("POST", self._url(path), body, still)
        try:
            return self._json(answer)
        except ApiFault as fault:
            raise self._unsure(fault.message) from fault

    def patch(self, path: str, body: dict[str, Any], still: Still = always) -> Any:
        """Change something and return it; `still` as for `post`."""
        return self._json(self._ask("PATCH", self._url(path), body, still))

    def put(self, path: str, body: dict[str, Any], still: Still = always) -> Any:
        """Change something, where the API calls it so, and return it; `still` as for `post`."""
        return self._json(self._ask("PUT", self._url(path), body, still))

    def delete(self, path: str, still: Still = always) -> None:
        """Remove something; what is gone already is gone. `still` as for `post`."""
        try:
            self._ask("DELETE", self._url(path), still=still)
        except ApiFault as fault:
            if fault.status not in (404, 410):
                raise

    def pause(self, seconds: float) -> None:
        """Let time pass, where there is time left."""
        self.clock.sleep(max(0.0, min(seconds, self._left())))

    def _ask(
        self, method: str, url: str, body: dict[str, Any] | None = None, still: Still = always
    ) -> _Answer:
        """Return an answer of the 200s; raise for every other one, in the end."""
        attempt = 0
        while True:
            answer = self._follow(method, url, body)
            if answer.status in range(200, 300):
                return answer
            why = self._said(answer)
            later = throttled(answer.status, answer.headers, answer.message)
            if not later and answer.status in range(300, 500):
                raise self._fault(why, status=answer.status)
            if not later and method == "POST":
                raise self._unsure(why)
            wait = quota_wait(answer.headers, attempt) if later else broken_wait(attempt)
            attempt += 1
            if attempt == TRIES or wait >= self._left():
                break
            self.clock.sleep(wait)
            if not still():
                raise Overtaken(f"{why}, and was overtaken", where=self._where, hint="")
        raise self._fault(
            f"{why}, after {attempt} tries; the next would be in {wait:,.0f} s, and "
            f"{max(0.0, self._left()):,.0f} of {self.budget:,.0f} s are left",
            status=answer.status,
            hint=AGAIN,
        )

    def _follow(self, method: str, url: str, body: dict[str, Any] | None) -> _Answer:
        """Make a request, and once more wherever the same host has moved it."""
        for _ in range(_MAX_REDIRECTS):
            answer = self._once(method, url, body)
            if answer.status not in _REDIRECTS:
                return answer
            url = same_host(answer.headers.get("location", ""), self.api)
        raise self._fault(f"was moved more than {_MAX_REDIRECTS} times")

    def _once(self, method: str, url: str, body: dict[str, Any] | None) -> _Answer:
        try:
            with self._session.request(
                method,
                url,
                json=body,
                timeout=self.timeout,
                allow_redirects=False,
                stream=True,
                # A proxy of the environment has no business on this machine's own loopback.
                proxies={"no_proxy": urlsplit(url).hostname or ""} if _is_loopback(url) else None,
            ) as response:
                return _Answer(
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=self._body(response),
                )
        except (requests.RequestException, HTTPError, OSError) as error:
            # Its text may hold more than a reader should see; what kind it is says enough.
            return _Answer(status=_NONE, body=type(error).__name__.encode())

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        # As it comes: who sends a byte a minute would never fill a larger piece.
        while piece := response.raw.read1(65_536, decode_content=True):
            body += piece
            if len(body) > MAX_ANSWER:
                raise self._fault(f"the answer has more than {MAX_ANSWER:,} bytes")
            if self._left() <= 0:
                raise TimeoutError
        return bytes(body)

    def _json(self, answer: _Answer) -> Any:
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            kind = bounded(answer.headers.get("content-type", "of no stated type"), 60)
            found = f"{len(answer.body):,} bytes ({kind})" if answer.body else "nothing"
            raise self._fault(
                f"answered with {found} where JSON was expected",
                status=answer.status,
                hint=f"Check {self.service.address}, and what answers in the API's place.",
            ) from error

    def _url(self, path: str, query: Mapping[str, str | int] | None = None) -> str:
        return self.api + path + (f"?{urlencode(query)}" if query else "")

    def _left(self) -> float:
        return self._deadline - self.clock.monotonic()

    def _said(self, answer: _Answer) -> str:
        """Return what went wrong in the API's own words: bounded, one line, without our token."""
        if answer.status == _NONE:
            return f"the connection broke ({answer.body.decode()})"
        words = " ".join(answer.message.replace(self.token, "***").split())
        words = bounded("".join(c for c in words if c.isprintable()), _MAX_MESSAGE)
        return f"answered {answer.status} {words}".strip()

    def _fault(self, message: str, *, status: int | None = None, hint: str = "") -> ApiFault:
        status = status or None
        hint = hint or _hint(self.service, status, message)
        return ApiFault(message, where=self._where, hint=hint, status=status)

    def _unsure(self, why: str) -> Unsure:
        return Unsure(why, where=self._where, hint=AGAIN)

    @property
    def _where(self) -> str:
        return f"{self.service.name} API at {self.api}"


def _is_locked(status: int | None, message: str) -> bool:
    return status == 403 and bool(re.search(r"\blocked\b", message))


def _hint(service: Service, status: int | None, message: str) -> str:
    if _is_locked(status, message):
        return _LOCKED
    return service.hints.get(status or _NONE, f"Check {service.address} and the network.")


def _check_address(api: str, service: Service) -> None:
    """Refuse an address that would show the token to others on the way."""
    url = urlsplit(api)
    plain = url.scheme == "https" or (url.scheme == "http" and _is_loopback(api))
    if not plain or not url.hostname or "@" in url.netloc or url.query or url.fragment:
        raise EnvironmentFault(
            "this is no https address of an API",
            where=service.address,
            hint=f"It looks like {service.looks_like}.",
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
