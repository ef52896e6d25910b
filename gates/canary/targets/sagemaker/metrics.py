"""How many requests each variant answered, how badly and how fast, from CloudWatch.

What CloudWatch has is late, and not equally late for all. So that nothing late reads as a pass:

- A request is counted by the very datum that says whether it failed: SageMaker sends 0 or 1 to
  `Invocation5XXErrors` for each. Its number of samples is the requests, its sum the errors.
- Only whole minutes are read that ended `settle` seconds ago, by the clock of AWS; and all of them
  anew each time, since the beginning. What came later still is in the next look.
- No datum is no request, and a judgement on too few is none.
- The beginning is the endpoint's last change: what was sent by other weights is not mixed in.

Requests that got no answer at all are in `InvocationModelErrors` alone, and counted as errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any, Final

from gates.canary.aws import calling
from gates.canary.counters import Arm, bucket
from gates.errors import EnvironmentFault

_PERIOD: Final = 60
_MICRO: Final = 1e6
# Microseconds, each 5 % above the one before: 1 ms to the minute after which SageMaker gives up.
# With eight counts these fit into one call for two variants, which may have 500 queries.
EDGES: Final = (0, *(round(1000 * 1.05**n) for n in range(227)))
_QUERIES = 500
_PAGES = 50


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Reads the counts of an endpoint's variants; `settle` is in seconds.

    With `latency`, how long the model took is read too: to 5 %, in buckets that CloudWatch counts.
    """

    client: Any
    endpoint: str
    settle: int
    latency: bool

    def read(self, variants: tuple[str, ...], since: datetime, now: datetime) -> dict[str, Arm]:
        """Return each variant's counts from `since` on; all zero where no minute has settled."""
        start = _minute(since + timedelta(seconds=_PERIOD - 1))
        end = _minute(now - timedelta(seconds=self.settle))
        if end <= start:
            return dict.fromkeys(variants, Arm())
        queries = [query for name in variants for query in self._queries(name)]
        sums = self._sums(queries, start, end)
        return {name: self._arm(name, sums) for name in variants}

    def _queries(self, variant: str) -> Iterator[tuple[str, str, str]]:
        """Yield variant, metric and statistic of everything that is asked of one variant."""
        yield variant, "Invocation5XXErrors", "SampleCount"
        for metric in ("Invocation5XXErrors", "Invocation4XXErrors", "InvocationModelErrors"):
            yield variant, metric, "Sum"
        if self.latency:
            for low, high in pairwise(EDGES):
                yield variant, "ModelLatency", f"TC({low}:{high})"

    def _arm(self, variant: str, sums: dict[tuple[str, str, str], float]) -> Arm:
        answered = sums[variant, "Invocation5XXErrors", "SampleCount"]
        bad = sums[variant, "Invocation5XXErrors", "Sum"]
        refused = sums[variant, "Invocation4XXErrors", "Sum"]
        every = sums[variant, "InvocationModelErrors", "Sum"]
        unanswered = max(0, round(every - refused - bad))
        counts: dict[int, int] = {}
        for low, high in pairwise(EDGES) if self.latency else ():
            count = round(sums[variant, "ModelLatency", f"TC({low}:{high})"])
            number = bucket(high / _MICRO)
            counts[number] = counts.get(number, 0) + count
        return Arm(
            requests=round(answered) + unanswered,
            errors=round(bad) + unanswered,
            refused=round(refused),
            latency={number: count for number, count in counts.items() if count},
        )

    def _sums(
        self, queries: list[tuple[str, str, str]], start: datetime, end: datetime
    ) -> dict[tuple[str, str, str], float]:
        sums = dict.fromkeys(queries, 0.0)
        for first in range(0, len(queries), _QUERIES):
            asked = {f"q{n}": query for n, query in enumerate(queries[first : first + _QUERIES])}
            for name, value in self._pages(asked, start, end):
                sums[asked[name]] += value
        return sums

    def _pages(
        self, asked: dict[str, tuple[str, str, str]], start: datetime, end: datetime
    ) -> Iterator[tuple[str, float]]:
        request: dict[str, Any] = {
            "MetricDataQueries": [self._query(name, query) for name, query in asked.items()],
            "StartTime": start,
            "EndTime": end,
        }
        missing = set(asked)
        for _ in range(_PAGES):
            with calling(f"endpoint {self.endpoint}", "read the metrics"):
                page = self.client.get_metric_data(**request)
            for result in page["MetricDataResults"]:
                if result.get("StatusCode") == "Complete":
                    missing.discard(result["Id"])
                for value in result["Values"]:
                    yield result["Id"], self._count(value)
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        if missing:
            raise self._fault("CloudWatch did not give all of the counts")

    def _query(self, name: str, query: tuple[str, str, str]) -> dict[str, Any]:
        variant, metric, stat = query
        dimensions = [
            {"Name": "EndpointName", "Value": self.endpoint},
            {"Name": "VariantName", "Value": variant},
        ]
        named = {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions}
        return {"Id": name, "MetricStat": {"Metric": named, "Period": _PERIOD, "Stat": stat}}

    def _count(self, value: float) -> float:
        if not math.isfinite(value) or value < 0:
            raise self._fault("CloudWatch has a count that is none")
        return value

    def _fault(self, message: str) -> EnvironmentFault:
        return EnvironmentFault(
            message, where=f"endpoint {self.endpoint}", hint="Nothing is judged by part of them."
        )


def clock_of(answer: dict[str, Any]) -> datetime:
    """Return the time that AWS put on an answer: the runner's own clock decides nothing."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError) as error:
        raise EnvironmentFault(
            "an answer of AWS has no time on it",
            where="SageMaker",
            hint="Whatever stands between here and AWS must leave the header `Date` in place.",
        ) from error


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
