"""Counters from Prometheus: what is plainly a count is read, and a doubt is a fault, never a 0."""

import json
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from pydantic import ValidationError

from gates.canary.counters import between, bucket, upper
from gates.canary.meters.prometheus import Prometheus
from gates.canary.meters.registry import METERS
from gates.errors import ConfigError, EnvironmentFault
from tests.canary.model_server import free_port

AT = 1435781451.781
EDGES = ("0.1", "0.5", "2.5", "+Inf")


def series(value, **labels):
    return {"metric": labels, "value": [AT, value]}


def vector(*found, **more):
    return {"status": "success", "data": {"resultType": "vector", "result": list(found)}} | more


def histogram(*counts, edges=EDGES):
    pairs = zip(edges, counts, strict=True)
    return vector(*(series(str(count), le=edge) for edge, count in pairs))


def healthy():
    return {
        "requests:web-stable": vector(series("1000")),
        "errors:web-stable": vector(series("10")),
        "latency:web-stable": histogram(900, 990, 1000, 1000),
        "started:web-stable": vector(series("1.7e+09", pod="a"), series("1.7e+09", pod="b")),
        "requests:web-canary": vector(series("100")),
        "errors:web-canary": vector(series("0")),
        "latency:web-canary": histogram(50, 90, 95, 100),
        "started:web-canary": vector(series("1700000100.25", pod="c")),
    }


@contextmanager
def server(answers):
    """Serve `/api/v1/query` as Prometheus documents it; an answer is JSON, bytes or a function."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = {name: one for name, (one,) in parse_qs(parts.query).items()}
            asked.append((parts.path, query, dict(self.headers)))
            found = answers[query["query"]]
            if callable(found):
                found(self)
                return
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    found = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_port}", asked
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def options(url, **given):
    return Prometheus(
        **{
            "url": url,
            "stable": "web-stable",
            "canary": "web-canary",
            "requests": "requests:{side}",
            "errors": "errors:{side}",
            "latency": "latency:{side}",
            "started": "started:{side}",
            "timeout": 1.0,
            **given,
        }
    )


def read(answers, **given):
    with server(answers) as (url, _):
        return options(url, **given).counters({})


def test_counts_are_read_for_both_sides():
    found = read(healthy())
    assert (found.stable.requests, found.stable.errors) == (1000, 10)
    assert (found.canary.requests, found.canary.errors) == (100, 0)
    assert found.stable.latency == {bucket(0.1): 900, bucket(0.5): 90, bucket(2.5): 10}


def test_refusals_are_counted_where_they_are_asked_for_and_nowhere_else():
    answers = healthy() | {
        "refused:web-stable": vector(series("7")),
        "refused:web-canary": vector(series("90")),
    }
    found = read(answers, refused="refused:{side}")
    assert (found.stable.refused, found.canary.refused) == (7, 90)
    assert read(healthy()).canary.refused == 0


def test_more_refusals_than_requests_that_were_no_errors_are_no_count():
    answers = healthy() | {
        "errors:web-canary": vector(series("20")),
        "refused:web-stable": vector(series("0")),
        "refused:web-canary": vector(series("81")),
    }
    with pytest.raises(EnvironmentFault, match="more refusals than requests") as caught:
        read(answers, refused="refused:{side}")
    assert caught.value.where == "metrics.prometheus.refused, canary side"


def test_a_request_counts_as_slow_as_its_bucket_and_beyond_the_last_against_the_canary():
    found = read(healthy())
    assert found.canary.latency == {
        bucket(0.1): 50,
        bucket(0.5): 40,
        bucket(2.5): 5,
        bucket(5.0): 5,
    }
    for number in found.canary.latency:
        assert any(edge <= upper(number) <= edge * 1.02 for edge in (0.1, 0.5, 2.5, 5.0))
    answers = healthy() | {"latency:web-stable": histogram(0, 0, 0, 1000)}
    assert read(answers).stable.latency == {bucket(2.5): 1000}


def test_everything_is_asked_at_the_servers_own_time():
    with server(healthy()) as (url, asked):
        options(url).counters({})
    (first, *others) = asked
    assert all(path == "/api/v1/query" for path, *_ in asked)
    assert "time" not in first[1]
    assert {query["time"] for _, query, _ in others} == {str(AT)}
    assert {query["partial_response"] for _, query, _ in asked} == {"false"}


def test_a_scalar_and_a_server_under_a_path_will_do():
    answers = healthy() | {
        "errors:web-canary": {
            "status": "success",
            "data": {"resultType": "scalar", "result": [AT, "3"]},
        }
    }
    with server(answers) as (url, asked):
        assert options(f"{url}/prometheus/").counters({}).canary.errors == 3
    assert asked[0][0] == "/prometheus/api/v1/query"


def _status(number):
    def answer(handler):
        handler.send_response(number)
        handler.end_headers()
        handler.wfile.write(b'{"status":"error","errorType":"bad_data","error":"secret"}')

    return answer


def _large(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" " * 2**20)


def _slow(handler):
    time.sleep(1.5)


def _redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


DOUBTS = {
    "empty": (vector(), "no such series"),
    "two series": (vector(series("1", pod="a"), series("2", pod="b")), "2 series for one count"),
    "NaN": (vector(series("NaN")), "not a count"),
    "infinite": (vector(series("+Inf")), "not a count"),
    "negative": (vector(series("-1")), "not a count"),
    "beyond": (vector(series("1e+300")), "not a count"),
    "a rate": (vector(series("0.25")), "not a whole number"),
    "warned": (vector(series("1"), warnings=["partial secret"]), "incomplete"),
    "an error": ({"status": "error", "errorType": "execution", "error": "secret"}, "refused"),
    "partial": ({"status": "partial", "data": {}}, "refused"),
    "a matrix": ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "vector"),
    "native": (vector({"metric": {}, "histogram": [AT, {}]}), "native histogram"),
    "a bare number": (vector({"metric": {}, "value": [AT, 1]}), "not what Prometheus's API"),
    "a word": (vector(series("many")), "not what Prometheus's API"),
    "no data": ({"status": "success"}, "not what Prometheus's API"),
    "a list": ([], "not what Prometheus's API"),
    "no JSON": (b"<html>", "not JSON"),
    "bare NaN": (b'{"status": "success", "data": NaN}', "not JSON"),
    "deep": (b"[" * 100_000, "not JSON"),
    "status 400": (_status(400), "status 400"),
    "status 401": (_status(401), "status 401"),
    "status 503": (_status(503), "status 503"),
    "large": (_large, "larger than allowed"),
    "slow": (_slow, "not whole within the time"),
    "redirect": (_redirect, "status 302"),
}


@pytest.mark.parametrize(("answer", "said"), DOUBTS.values(), ids=DOUBTS)
@pytest.mark.parametrize("query", ["requests:web-stable", "errors:web-canary"])
def test_a_doubt_is_a_fault_that_says_which_query(query, answer, said):
    with pytest.raises(EnvironmentFault, match=said) as error:
        read(healthy() | {query: answer})
    name, side = query.split(":web-")
    assert error.value.where == f"metrics.prometheus.{name}, {side} side"
    assert "secret" not in str(error.value)


HISTOGRAMS = {
    "empty": (vector(), "no such series"),
    "no le": (vector(series("1", pod="a")), "no edge"),
    "no number": (vector(series("1", le="x")), "no edge"),
    "no +Inf": (histogram(1, 2, 3, edges=EDGES[:3]), r"up to `\+Inf`"),
    "only +Inf": (histogram(3, edges=EDGES[3:]), r"up to `\+Inf`"),
    "twice": (histogram(1, 1, 2, 3, edges=("0.1", "0.10", "1", "+Inf")), "twice"),
    "falling": (histogram(5, 4, 5, 6), "more requests than a longer"),
    "NaN": (histogram(1, 2, 3, "NaN"), "not a count"),
    "below 0": (histogram(1, 2, 3, 4, edges=("-1", "0.5", "1", "+Inf")), "not above 0"),
    "an edge NaN": (histogram(1, 2, 3, 4, edges=("NaN", "0.5", "1", "+Inf")), "not above 0"),
}


@pytest.mark.parametrize(("answer", "said"), HISTOGRAMS.values(), ids=HISTOGRAMS)
def test_a_histogram_that_is_none_is_a_fault(answer, said):
    with pytest.raises(EnvironmentFault, match=said):
        read(healthy() | {"latency:web-canary": answer})


def test_more_errors_than_requests_are_a_fault():
    with pytest.raises(EnvironmentFault, match="more errors than requests"):
        read(healthy() | {"errors:web-canary": vector(series("101"))})


def test_nobody_there_is_a_fault():
    with pytest.raises(EnvironmentFault, match="no connection"):
        options(f"http://127.0.0.1:{free_port()}").counters({})


def test_latency_and_beginnings_may_be_left_out():
    answers = {name: one for name, one in healthy().items() if name[0] in "re"}
    found = read(answers, latency=None, started=None)
    assert found.canary.requests == 100
    assert not found.canary.latency


def test_a_restart_is_a_new_beginning_and_the_order_of_pods_is_not():
    first = read(healthy())
    same = read(
        healthy()
        | {"started:web-stable": vector(series("1.7e+09", pod="b"), series("1.7e+09", pod="a"))}
    )
    restarted = read(healthy() | {"started:web-canary": vector(series("1700000999", pod="c"))})
    gone = read(healthy() | {"started:web-stable": vector(series("1.7e+09", pod="a"))})
    # The stub's port is part of what is asked, so it is left out of the comparison here.
    with server(healthy()) as (url, _):
        one, other = options(url).counters({}), options(url).counters({})
    assert one.epoch == other.epoch
    assert len({one.epoch for one in (first, same, restarted, gone)}) == 4


def test_the_epoch_follows_the_processes_alone():
    answers = healthy()
    with server(answers) as (url, _):
        meter = options(url)
        epochs = [meter.counters({}).epoch]
        answers["started:web-stable"]["data"]["result"].reverse()
        answers["requests:web-canary"] = vector(series("200"))
        epochs.append(meter.counters({}).epoch)
        answers["started:web-canary"] = vector(series("1700000999", pod="c"))
        epochs.append(meter.counters({}).epoch)
    assert epochs[0] == epochs[1] != epochs[2]


def test_a_count_that_went_down_is_no_window():
    answers = healthy()
    with server(answers) as (url, _):
        meter = options(url, started=None)
        first = meter.counters({})
        answers["requests:web-canary"] = vector(series("150"))
        second = meter.counters({})
        answers["requests:web-canary"] = vector(series("20"))
        third = meter.counters({})
    assert between(first, second).canary.requests == 50
    assert between(second, third) is None


def test_headers_come_from_the_environment_by_name():
    given = {"headers": {"Authorization": "PROM_TOKEN"}}
    with server(healthy()) as (url, asked):
        meter = options(url, **given)
        meter.counters({"PROM_TOKEN": "Bearer s3cr3t"})
        assert {headers["Authorization"] for *_, headers in asked} == {"Bearer s3cr3t"}
        assert "s3cr3t" not in repr(meter)
        with pytest.raises(ConfigError, match="is not set"):
            meter.counters({})


WRONG = [
    {"requests": "sum(requests_total)"},
    {"stable": 'a"} or vector(1) #'},
    {"canary": "a\\"},
    {"url": "file:///etc/passwd"},
    {"url": "http://user:secret@127.0.0.1:9090"},
    {"url": "http://127.0.0.1:9090/?a=b"},
    {"url": "http://127.0.0.1:999999"},
    {"timeout": 0.0},
    {"timeout": float("inf")},
    {"headers": {"Host": "OTHER"}},
    {"query": "up"},
]


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_options_that_make_no_sense_are_refused(given):
    with pytest.raises(ValidationError):
        options(**{"url": "http://127.0.0.1:9090", **given})


def test_equal_sides_are_refused():
    # The canary would be held against itself, and never be worse.
    with pytest.raises(ValidationError, match="the same"):
        options("http://127.0.0.1:9090", stable="a", canary="a")


def test_every_meter_is_in_the_registry_and_says_what_its_options_mean():
    for meter in METERS.values():
        assert all(field.description for field in meter.model_fields.values())


# ── a real Prometheus ────────────────────────────────────────────────────────────────────────────

REAL = {
    "stable": "stable",
    "canary": "canary",
    "requests": 'sum(model_requests_total{job="{side}"})',
    "errors": 'sum(model_requests_total{job="{side}",code=~"5.."})',
    "latency": 'sum by (le) (model_seconds_bucket{job="{side}"})',
    "started": 'model_started_seconds{job="{side}"}',
    "timeout": 5.0,
}


class Side:
    """A process with counters on a port of its own, as a model server has them."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.requests = Counter("model_requests", "", ["code"], registry=self.registry)
        buckets = (0.1, 0.5, 2.5)
        self.seconds = Histogram("model_seconds", "", buckets=buckets, registry=self.registry)
        self.started = Gauge("model_started_seconds", "", registry=self.registry)
        self.started.set(1_700_000_000.5)
        self.server, self.thread = start_http_server(0, "127.0.0.1", registry=self.registry)

    def answer(self, code, seconds, times=1):
        for _ in range(times):
            self.requests.labels(code).inc()
            self.seconds.observe(seconds)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def scraped(tmp_path, real):
    """Start a Prometheus that scrapes two processes five times a second."""
    program, port = real("prometheus"), free_port()
    sides = {"stable": Side(), "canary": Side()}
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{s.server.server_port}"]}]}
        for name, s in sides.items()
    ]
    settings = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}}
    (tmp_path / "p.yml").write_text(json.dumps(settings | {"scrape_configs": jobs}))
    argv = [
        program,
        f"--config.file={tmp_path / 'p.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        yield Prometheus(url=f"http://127.0.0.1:{port}", **REAL), sides
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        for side in sides.values():
            side.close()


def settled(meter, wanted, seconds=20.0):
    """Return the counters once they are as wanted; faults until then are waited out."""
    until = time.monotonic() + seconds
    while True:
        try:
            found = meter.counters({})
            if wanted(found):
                return found
        except EnvironmentFault as error:
            found = error
        assert time.monotonic() < until, found
        time.sleep(0.1)


@pytest.mark.requires_real("prometheus")
def test_a_real_prometheus_counts_to_the_request(scraped):
    meter, sides = scraped
    sides["stable"].answer("200", 0.05, 90)
    sides["stable"].answer("500", 0.3, 10)
    sides["canary"].answer("200", 0.3, 19)
    sides["canary"].answer("503", 9.0)
    first = settled(meter, lambda c: (c.stable.requests, c.canary.requests) == (100, 20))
    assert (first.stable.errors, first.canary.errors) == (10, 1)
    assert first.stable.latency == {bucket(0.1): 90, bucket(0.5): 10}
    assert first.canary.latency == {bucket(0.5): 19, bucket(5.0): 1}
    sides["canary"].answer("200", 0.05, 7)
    second = settled(meter, lambda c: c.canary.requests == 27)
    window = between(first, second)
    assert (window.canary.requests, window.canary.errors) == (7, 0)
    assert window.canary.latency == {bucket(0.1): 7}
    assert window.stable.requests == 0
    sides["canary"].started.set(1_700_000_500)
    third = settled(meter, lambda c: c.epoch != second.epoch)
    assert between(second, third) is None


@pytest.mark.requires_real("prometheus")
def test_a_real_prometheus_has_nothing_to_say_of_what_is_not_there(scraped):
    meter, sides = scraped
    sides["stable"].answer("200", 0.05)
    sides["canary"].answer("200", 0.05)
    # No request has failed yet, so there is no such series: a fault, and not a 0 …
    settled(meter.model_copy(update={"errors": meter.requests}), lambda c: c.canary.requests == 1)
    with pytest.raises(EnvironmentFault, match="no such series") as error:
        meter.counters({})
    assert "or vector(0)" in error.value.hint
    # … unless the configuration says so, as the hint does.
    said = meter.model_copy(update={"errors": f"{meter.errors} or vector(0)"})
    assert said.counters({}).canary.errors == 0
    wrong = meter.model_copy(update={"errors": 'sum(model_requests_total{job="{side}"'})
    with pytest.raises(EnvironmentFault, match="status 400"):
        wrong.counters({})
    several = meter.model_copy(update={"errors": 'model_seconds_bucket{job="{side}"}'})
    with pytest.raises(EnvironmentFault, match="4 series"):
        several.counters({})
    rate = meter.model_copy(update={"errors": 'sum(model_requests_total{job="{side}"}) / 3'})
    with pytest.raises(EnvironmentFault, match="not a whole number"):
        rate.counters({})
    # A process that is gone is soon no series any more.
    sides["canary"].close()
    with pytest.raises(EnvironmentFault, match="no such series"):
        _asked_until_it_fails(said)
    sides["canary"] = Side()


def _asked_until_it_fails(meter, seconds=20.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        meter.counters({})
        time.sleep(0.1)
