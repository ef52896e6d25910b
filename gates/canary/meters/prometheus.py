"""Both sides' counters, read from a Prometheus server.

All queries of one reading are evaluated at one time by the server's own clock: that at which the
first of them was. Its clock and ours need not agree.

**Latency is right to one bucket.** A classic histogram says how many requests took at most `le`
seconds, for a handful of edges. Ours are finer, so each request counts as slow as the upper edge
of its bucket, on either side. Two sides in the same bucket are equally fast, and a quantile that
has just passed an edge looks as if it had gone to the next: choose edges around what you expect,
no further apart than what you would tolerate. Beyond the last edge nobody knows how slow: there,
the stable side's requests count as that edge and the canary's as twice as slow, so a canary is
never faster than it may be.

**Resets.** Sums over processes hide that one of them began again at 0. With `started`, each change
in the set of processes, or in when they began, is a new beginning, and the window it falls in is
thrown away. Without it, only a sum that went down is noticed.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Self
from urllib.parse import urlencode

from pydantic import AfterValidator, Field, Strict, StrictStr, model_validator

from gates.canary.counters import Arm, Counters, bucket
from gates.canary.exchange import NoAnswer, Request, exchange, usable
from gates.canary.headers import Headers, filled
from gates.canary.meters.samples import Doubtful, Sample, count, only, vector
from gates.canary.sight import Side
from gates.errors import EnvironmentFault
from gates.fields import Model

SIDE = "{side}"
_MOST_BYTES = 4 * 1024**2
# What is a part is asked for before its whole: between two questions, counters only grow.
_QUERIES = ("latency", "errors", "refused", "requests", "started")
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_BEYOND = {Side.STABLE: 1.0, Side.CANARY: 2.0}


def _address(url: str) -> str:
    if not usable(url):
        raise ValueError("expected an address such as http://prometheus:9090, without credentials")
    return url.rstrip("/")


def _per_side(query: str) -> str:
    # Both sides would get the same numbers, and the canary would look as good as the stable one.
    if SIDE not in query:
        raise ValueError(f"expected `{SIDE}` in the query, where the sides differ")
    return query


def _label(text: str) -> str:
    if not text.isprintable() or any(sign in text for sign in '"\\`{}'):
        raise ValueError("expected a label's value, without quotes, braces or backslashes")
    return text


Query = Annotated[StrictStr, Field(min_length=1, max_length=4000), AfterValidator(_per_side)]
LabelText = Annotated[StrictStr, Field(min_length=1, max_length=200), AfterValidator(_label)]
Seconds = Annotated[float, Strict(), Field(gt=0, le=60, allow_inf_nan=False)]


class Prometheus(Model):
    """Counters of both sides, by queries in which `{side}` stands for either's own label."""

    url: Annotated[StrictStr, AfterValidator(_address)] = Field(
        description="Address of the server, such as http://127.0.0.1:9090."
    )
    stable: LabelText = Field(description="What `{side}` is in the queries of the stable side.")
    canary: LabelText = Field(description="What `{side}` is in the queries of the canary.")
    requests: Query = Field(
        description="PromQL: all requests, a counter, such as "
        '`sum(http_requests_total{service="{side}"})`.'
    )
    errors: Query = Field(description="PromQL: those answered with a 5xx, or not at all.")
    refused: Query | None = Field(
        default=None,
        description="PromQL: those answered with a 4xx; without it none are known, nor judged.",
    )
    latency: Query | None = Field(
        default=None,
        description="PromQL: a classic histogram in seconds, by `le`: "
        '`sum by (le) (http_seconds_bucket{service="{side}"})`.',
    )
    started: Query | None = Field(
        default=None,
        description="PromQL: when each process began: "
        '`process_start_time_seconds{service="{side}"}`; so a restart is noticed.',
    )
    headers: Headers = Field(default_factory=dict)
    timeout: Seconds = Field(default=5.0, description="Seconds for each query.")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.stable == self.canary:
            raise ValueError("`stable` and `canary` are the same: it would be held against itself")
        return self

    def counters(self, environ: Mapping[str, str]) -> Counters:
        """Return the counts of both sides, at one time.

        Raises EnvironmentFault for whatever is not plainly a count, and never takes it for 0.
        """
        headers, at = filled(self.headers, environ), None
        found: dict[Side, dict[str, tuple[Sample, ...]]] = {side: {} for side in Side}
        for side in Side:
            for name in _QUERIES:
                query = getattr(self, name)
                if query is not None:
                    question = query.replace(SIDE, getattr(self, side.value))
                    with _blamed(name, side):
                        samples = self._samples(question, at, headers)
                    found[side][name] = samples
                    at = at or samples[0].at
        # Other queries count other things.
        epoch = hashlib.sha256(repr((self, [_beginnings(found[s]) for s in Side])).encode())
        return Counters(
            epoch=epoch.hexdigest()[:16],
            stable=_arm(found[Side.STABLE], Side.STABLE),
            canary=_arm(found[Side.CANARY], Side.CANARY),
        )

    def _samples(
        self, query: str, at: str | None, headers: Mapping[str, str]
    ) -> tuple[Sample, ...]:
        asked = {"query": query, "timeout": f"{self.timeout:g}s", **({"time": at} if at else {})}
        # Thanos would leave out what it cannot reach; Prometheus does not know the word.
        url = f"{self.url}/api/v1/query?{urlencode(asked | {'partial_response': 'false'})}"
        request = Request(url=url, headers=headers, timeout=self.timeout, most=_MOST_BYTES)
        try:
            answer = exchange(request)
        except NoAnswer as error:
            raise Doubtful(f"no answer: {error}", f"Is there a Prometheus at {self.url}?") from None
        if answer.status != HTTPStatus.OK:
            refused = answer.status in _REFUSED
            hint = "Try the query on the server's own page." if refused else ""
            raise Doubtful(f"the server answered with status {answer.status}", hint)
        return vector(answer.body)


@contextmanager
def _blamed(name: str, side: Side) -> Iterator[None]:
    """Say of a doubt which query of which side it is about."""
    try:
        yield
    except Doubtful as doubt:
        raise EnvironmentFault(
            f"Prometheus gives no count that can be relied on: {doubt.reason}",
            where=f"metrics.prometheus.{name}, {side} side",
            hint=doubt.hint or None,
        ) from None


def _arm(found: Mapping[str, tuple[Sample, ...]], side: Side) -> Arm:
    with _blamed("requests", side):
        requests = count(only(found["requests"]))
    with _blamed("errors", side):
        errors = _part(found["errors"], "errors", requests)
    with _blamed("refused", side):
        most = requests - errors
        refused = _part(found["refused"], "refusals", most) if "refused" in found else 0
    with _blamed("latency", side):
        latency = _latency(found["latency"], _BEYOND[side]) if "latency" in found else {}
    return Arm(requests=requests, errors=errors, refused=refused, latency=latency)


def _part(samples: tuple[Sample, ...], of: str, most: int) -> int:
    found = count(only(samples))
    if found > most:
        raise Doubtful(f"there are more {of} than requests", "Do both count the same?")
    return found


def _beginnings(found: Mapping[str, tuple[Sample, ...]]) -> list[tuple[list[tuple[str, str]], str]]:
    """Return which processes there are and when each began, in one order."""
    return sorted((sorted(one.labels.items()), repr(one.value)) for one in found.get("started", ()))


def _latency(samples: Sequence[Sample], beyond: float) -> Mapping[int, int]:
    """Return how many requests fall into each of our buckets; `beyond` lengthens the last edge."""
    below = dict(sorted((_edge(sample), count(sample)) for sample in samples))
    edges = list(below)
    if len(below) != len(samples):
        raise Doubtful("an edge `le` stands twice", "Sum the series: `sum by (le) (…)`.")
    if len(edges) < 2 or edges[-1] != math.inf:
        raise Doubtful("the histogram has no buckets up to `+Inf`", "Ask for `…_bucket`.")
    edges[-1] = edges[-2] * beyond
    counts: Counter[int] = Counter()
    for edge, more, less in zip(edges, below.values(), (0, *below.values()), strict=False):
        if more < less:
            raise Doubtful("a bucket has more requests than a longer one")
        counts[bucket(edge)] += more - less
    return MappingProxyType({number: n for number, n in sorted(counts.items()) if n})


def _edge(sample: Sample) -> float:
    try:
        edge = float(sample.labels["le"])
    except (KeyError, ValueError):
        raise Doubtful("a series has no edge `le`", "Group by it: `sum by (le) (…)`.") from None
    if math.isnan(edge) or edge <= 0.0:
        raise Doubtful("an edge `le` is not above 0")
    return edge
