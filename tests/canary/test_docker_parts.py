"""What of the Docker target is decided without an engine."""

import contextlib
import io
import socket
import tarfile
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from gates.artifacts.manifest import digest_of
from gates.canary.haproxy.config import config
from gates.canary.sight import Health, Pinned
from gates.canary.targets.docker.artifact import digest
from gates.canary.targets.docker.crew import Names, crew
from gates.canary.targets.docker.engine import Container, Engine, _moment
from gates.canary.targets.docker.health import Asked, answers, health
from gates.canary.targets.docker.options import ContainerOptions, Docker, split
from gates.canary.targets.docker.run import _environment, _host, fingerprint, matches
from gates.canary.targets.registry import TARGETS
from gates.errors import EnvironmentFault, InputError, Refused

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ROUTER = {"socket": "/run/s", "backend": "b"}
NAMES = Names(deployment="credit")


def one(name, status="running", role=None, **more):
    labels = {} if role is None else {"deployment": "credit", "role": role}
    found = {"id": name, "name": name, "image": "sha256:" + "a" * 64, "called": "i"}
    return Container(**{**found, "status": status, "labels": labels, **more})


@pytest.mark.parametrize(
    ("container", "answers", "expected"),
    [
        (None, True, Health.ABSENT),
        (one("a"), True, Health.READY),
        (one("a", health="healthy"), True, Health.READY),
        (one("a", health="unhealthy"), True, Health.FAILING),
        (one("a", health="starting"), True, Health.STARTING),
        (one("a", started=NOW - timedelta(seconds=5)), False, Health.STARTING),
        (one("a", started=NOW - timedelta(seconds=15)), False, Health.FAILING),
        # A clock that was set back does not make it old.
        (one("a", started=NOW + timedelta(hours=1)), False, Health.STARTING),
        (one("a"), False, Health.STARTING),
        (one("a", "created"), False, Health.STARTING),
        (one("a", "paused"), True, Health.FAILING),
        (one("a", "restarting"), False, Health.FAILING),
        (one("a", "exited"), True, Health.FAILING),
        (one("a", "dead"), False, Health.FAILING),
    ],
)
def test_a_container_is_ready_only_if_it_runs_and_answers(container, answers, expected):
    state, reason = health(container, now=NOW, answers=answers, patience=10)
    assert state is expected
    assert bool(reason) == (expected in (Health.STARTING, Health.FAILING))


def test_one_late_answer_is_no_failure_of_what_had_its_time_to_start():
    old = one("a", started=NOW - timedelta(hours=1))
    seen = health(old, now=NOW, answers=False, patience=10, sure=False)
    assert seen == (Health.STARTING, "it did not answer once")
    for gone in (one("a", "exited"), one("a", "restarting"), one("a", health="unhealthy")):
        assert health(gone, now=NOW, answers=False, patience=10, sure=False)[0] is Health.FAILING


class Answering:
    """A container that answers as it is told, at so many seconds; `asked` counts."""

    def __init__(self):
        self.time, self.asked, self.next = 0.0, 0, []

    def __call__(self):
        self.asked += 1
        return self.next.pop(0)


@pytest.fixture
def asking():
    told = Answering()
    return told, Asked(clock=lambda: told.time)


def look(asking, at, *answers, whom="a"):
    """Return whether it answers, whether that is sure, and what it was not asked for."""
    told, asked = asking
    told.time, told.next = at, list(answers)
    return asked.ask(whom, told), asked.in_vain, told.next


def test_the_first_miss_is_asked_again_and_what_answers_then_is_well(asking):
    assert look(asking, 0, True) == (True, False, [])
    assert look(asking, 1, False, True) == (True, False, [])
    assert look(asking, 9, False, True) == (True, False, [])


def test_three_misses_in_a_row_over_two_seconds_are_sure(asking):
    assert look(asking, 0, False, False) == (False, False, [])
    assert look(asking, 0.5, False, True) == (False, False, [True]), "at most one more a look"
    assert look(asking, 1.9, False) == (False, False, [])
    assert look(asking, 2.0, False) == (False, True, [])
    assert look(asking, 3.0, True) == (True, False, [])
    assert look(asking, 9.0, False, False) == (False, False, [])


def test_two_misses_are_not_sure_however_long_they_lie_apart(asking):
    look(asking, 0, False, False)
    told, asked = asking
    told.time = 100
    assert not asked.in_vain


def test_another_container_has_missed_nothing_yet(asking):
    look(asking, 0, False, False)
    look(asking, 5, False)
    assert look(asking, 6, False, False, whom="b") == (False, False, [])


def test_why_a_container_ended_is_said_in_our_words():
    ended = one("a", "exited", exit_code=137, out_of_memory=True, restarts=3)
    assert health(ended, now=NOW, answers=False, patience=1)[1] == (
        "it was out of memory, and was started again 3 times; its log: docker logs a"
    )


def test_who_runs_is_the_stable_side_and_who_is_kept_is_known_by_name():
    found = [
        one("mg-credit-kept-by-hand", "exited", "stable"),
        one("mg-credit-stable-1", "exited", "stable"),
        one("mg-credit-stable-2", "created", "stable"),
        one("mg-credit-canary-2", "running", "canary"),
        one("mg-credit-guard", "running", "guard"),
        one("mg-credit-reader-9", "created", "reader"),
    ]
    seen = crew(found, None, NAMES)
    assert seen.stable is found[1]
    assert seen.spare == (found[2],)
    assert seen.kept == (found[0],)
    assert (seen.canary, seen.guard, seen.readers) == (found[3], found[4], (found[5],))


@pytest.mark.parametrize(
    ("statuses", "serving"),
    [
        ({"mg-credit-stable-1": "running", "mg-credit-kept-x": "exited"}, "mg-credit-stable-1"),
        # Renamed, and not stopped yet: it serves still.
        ({"mg-credit-stable-1": "created", "mg-credit-kept-x": "running"}, "mg-credit-kept-x"),
        ({"mg-credit-stable-1": "created", "mg-credit-kept-x": "exited"}, None),
        ({"mg-credit-stable-1": "running", "mg-credit-kept-x": "running"}, "mg-credit-stable-1"),
        ({}, None),
    ],
)
def test_who_serves_follows_from_what_is_there(statuses, serving):
    found = [one(name, status, "stable") for name, status in statuses.items()]
    stable = crew(found, None, NAMES).stable
    assert (stable and stable.name) == serving


def test_a_container_that_a_person_started_is_of_the_stable_side():
    theirs = one("by-hand")
    assert crew([], theirs, NAMES).stable is theirs
    assert crew([], None, NAMES).stable is None


def test_names_fit_an_engine_and_stay_apart():
    assert Names(deployment="credit").stem == "mg-credit-"
    odd, other = Names(deployment="crédit/eu").stem, Names(deployment="cr-dit-eu").stem
    assert odd.startswith("mg-cr-dit-eu-")
    assert odd != other
    assert NAMES.original(NAMES.kept + "by-hand") == "by-hand"
    assert NAMES.original("by-hand") == "by-hand"


def test_a_container_is_the_same_if_its_bytes_and_its_options_are():
    pinned = Pinned(image="i", digest="sha256:" + "a" * 64)
    now = fingerprint(ContainerOptions(), "127.0.0.1:1")
    assert now != fingerprint(ContainerOptions(memory_mib=64), "127.0.0.1:1")
    assert now != fingerprint(ContainerOptions(), "127.0.0.1:2")
    assert matches(one("a"), pinned, now)
    ours = one("a", labels={"options": now})
    assert matches(ours, pinned, now)
    assert not matches(ours, pinned, "other")
    assert not matches(ours, Pinned(image="i", digest="sha256:" + "b" * 64), now)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26T12:00:00Z", NOW),
        ("2026-11-26T12:00:00.123456789Z", NOW.replace(microsecond=123456)),
        ("2026-11-26T13:00:00.5+01:00", NOW.replace(microsecond=500000)),
        ("2026-11-26T11:00:00.000000001-01:00", NOW),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_engines_time_is_read(text, expected):
    assert _moment(text) == expected


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"stable": "8081"}, "stable"),
        ({"stable": "127.0.0.1:0"}, "stable"),
        ({"canary": "127.0.0.1:65536"}, "canary"),
        ({"artifact": "model.onnx"}, "artifact"),
        ({"artifact": "/a\nb"}, "artifact"),
        ({"stable_container": "a b"}, "stable_container"),
        ({"container": {"environment": ["A=1"]}}, "environment"),
        ({"container": {"network": "none"}}, "network"),
        ({"container": {"memory_mib": "256"}}, "memory_mib"),
        ({"health": {"path": "/a b\r\nX: y"}}, "path"),
        ({"health": {"path": "/a b"}}, "path"),
        ({"health": {"start": 0.0}}, "start"),
        ({"router": {"socket": "run/s", "backend": "b"}}, "socket"),
        ({"router": {"socket": "/s mode 666", "backend": "b"}}, "socket"),
        ({"router": {"socket": "/s", "backend": "a; set server"}}, "backend"),
        ({"password": "x"}, "password"),
    ],
)
def test_options_that_make_no_sense_are_refused(more, where):
    with pytest.raises(ValidationError, match=where):
        Docker.model_validate({"router": ROUTER, **more})


def test_options_have_words_for_everything_and_defaults_on_loopback():
    options = TARGETS["docker"].model_validate({"router": ROUTER})
    assert split(options.stable) == ("127.0.0.1", 8081)
    assert str(options.folder("credit")) == "/var/lib/model-gates/credit"
    assert split("[::1]:80") == ("::1", 80)


def test_the_proxys_file_follows_from_the_options():
    options = Docker.model_validate(
        {
            "router": {**ROUTER, "bind": "127.0.0.1:9", "idempotent": False, "sticky": "side"},
            "canary": "127.0.0.1:7",
            "health": {"path": "/up"},
        }
    )
    text = config(options.layout())
    for line in (
        "bind 127.0.0.1:9",
        "server stable 127.0.0.1:8081 weight 100",
        "server canary 127.0.0.1:7 weight 0 disabled",
        "option httpchk GET /up",
        "cookie side insert",
        "retry-on conn-failure\n",
    ):
        assert line in text


@pytest.fixture
def deaf(tmp_path):
    """Return the path of a socket that takes connections and never answers."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(16)
    yield f"unix://{tmp_path}/s"
    listener.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_never_answers_is_an_error_in_time(deaf):
    engine = Engine(address=deaf, timeout=0.3)
    for attempt in (engine.now, lambda: engine.image("i"), lambda: engine.containers("credit")):
        began = time.monotonic()
        with pytest.raises(EnvironmentFault, match="engine does not answer"):
            attempt()
        assert time.monotonic() - began < 2


def test_an_address_that_is_none_is_an_error():
    with pytest.raises(EnvironmentFault, match="engine does not answer"):
        Engine(address="nonsense://x").now()


def test_for_a_bridge_a_port_of_loopback_leads_to_the_one_inside():
    options = ContainerOptions(network="bridge", port=9000)
    assert _host(options, "127.0.0.1", 8081)["port_bindings"] == {9000: ("127.0.0.1", 8081)}
    assert _environment(options, 8081) == {"PORT": "9000"}
    assert _environment(ContainerOptions(), 8081) == {"PORT": "8081"}


class Drip(threading.Thread):
    """A server that answers whoever connects with these pieces, a moment apart."""

    def __init__(self, *pieces, pause=0.0):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pieces, self.pause = pieces, pause
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            client, _ = self.listener.accept()
            with client:
                for piece in self.pieces:
                    client.sendall(piece)
                    time.sleep(self.pause)

    def stop(self):
        self.listener.close()
        self.join()


@pytest.mark.parametrize(
    ("pieces", "path", "expected"),
    [
        ((b"HTTP/1.1 200 OK\r\n\r\n",), "/", True),
        ((b"HTTP/1.1 2", b"04 x\r\n\r\n"), "/", True),
        ((b"HTTP/1.1 302 Found\r\n\r\n",), "/", True),
        ((b"HTTP/1.1 503 no\r\n\r\n",), "/", False),
        ((b"SSH-2.0\r\n",), "/", False),
        ((b"\xff\xfe\n",), "/", False),
        ((), "/", False),
        ((b"x" * 5000,), "/", False),
        ((), None, True),
    ],
)
def test_what_an_answer_is(pieces, path, expected):
    server = Drip(*pieces)
    assert answers(*server.listener.getsockname(), path, 1.0) is expected
    server.stop()


def test_a_server_that_drips_is_cut_off():
    server = Drip(*[b"x"] * 30, pause=0.05)
    began = time.monotonic()
    assert not answers(*server.listener.getsockname(), "/", 0.3)
    assert time.monotonic() - began < 1
    server.stop()


def packed(*members):
    """Return a tar file in pieces; a member is a name with bytes, None for a folder, or a type."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(data, bytes):
                info.size = len(data)
            else:
                info.type, info.linkname = data
            archive.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    raw = content.getvalue()
    return [raw[at : at + 700] for at in range(0, len(raw), 700)]


def test_a_stream_has_the_digest_of_the_same_files_on_disk(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.bin").write_bytes(b"x" * 5000)
    (folder / "deep" / "a.txt").write_bytes(b"")
    (folder / "B").write_bytes(b"1")
    sent = packed(
        ("model/", None), ("model/deep", None), ("model/deep/a.txt", b""), ("model/b.bin", b"x" * 5000),
        ("model/B", b"1"),
    )  # fmt: skip
    assert digest(sent, "/opt/model") == digest_of(folder)
    assert digest(packed(("b.bin", b"x" * 5000)), "/opt/b.bin") == digest_of(folder / "b.bin")


@pytest.mark.parametrize(
    "hostile",
    [
        ("model/l", (tarfile.SYMTYPE, "/etc/shadow")),
        ("model/l", (tarfile.LNKTYPE, "../../etc/shadow")),
        ("model/l", (tarfile.FIFOTYPE, "")),
        ("model/l", (tarfile.CHRTYPE, "")),
    ],
)
def test_what_is_neither_a_file_nor_a_folder_is_refused(hostile):
    with pytest.raises(Refused, match="a link or a special file"):
        digest(packed(("model", None), hostile), "/model")


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([b"no tar file at all" * 100], "no tar file"),
        (packed(("model", b"x" * 5000))[:3], "no tar file"),
        ([], "no tar file"),
        (packed(("model", None)), "without a file in it"),
    ],
)
def test_what_cannot_be_read_is_an_error(chunks, said):
    with pytest.raises(InputError, match=said):
        digest(chunks, "/model")


def test_more_bytes_than_are_read_are_an_error():
    with pytest.raises(InputError, match="more bytes than are read"):
        digest(packed(("model", b"x" * 50_000)), "/model", most=20_000)


def test_a_path_out_of_the_archive_touches_nothing_and_changes_the_digest(tmp_path):
    honest = digest(packed(("model", None), ("model/a", b"1")), "/model")
    assert digest(packed(("model", None), ("../../a", b"1")), "/model") != honest
