"""The valve, on a real HAProxy with the configuration that we print."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gates.canary.counters import between, bucket, upper
from gates.canary.haproxy.config import Layout, config
from gates.canary.haproxy.counts import ROUNDING, _seconds
from gates.canary.haproxy.router import Admin, Lane, Lanes, Router
from gates.canary.haproxy.socket import ask, order
from gates.canary.sight import Health, Side
from gates.errors import EnvironmentFault
from tests.canary.bench import ROW, wait_until

needs_haproxy = pytest.mark.requires_real("haproxy")


@pytest.fixture
def valve(make_valve):
    made = make_valve()
    made.serve("stable")
    made.serve("canary")
    return made


@needs_haproxy
@pytest.mark.parametrize("percent", [0, 1, 5, 25, 50, 99, 100])
def test_the_canary_gets_its_share_to_the_request(valve, percent):
    valve.router.ensure_share(percent)
    answers = valve.users.load(500, threads=1)
    assert abs(answers.of("canary") - 5 * percent) <= 1
    assert answers.bad == 0
    assert valve.router.look().canary.share == percent / 100


@needs_haproxy
def test_many_users_at_once_change_no_share_by_more_than_a_point(valve):
    valve.router.ensure_share(25)
    answers = valve.users.load(500, threads=8)
    assert 120 <= answers.of("canary") <= 130


@needs_haproxy
def test_what_was_never_opened_gets_nothing_and_everything_is_whole(valve):
    assert valve.users.load(50).of("canary") == 0
    sight = valve.router.look()
    assert sight.whole
    assert sight.canary.health is Health.STARTING


def _cookie(valve):
    """Return the cookie that a user of the canary has."""
    for _ in range(200):
        client = http.client.HTTPConnection("127.0.0.1", valve.users.port, timeout=10)
        client.request("POST", "/predict", json.dumps(ROW))
        answer = client.getresponse()
        answer.read()
        client.close()
        if answer.headers["X-Served-By"] == "canary":
            return answer.headers["Set-Cookie"].split(";")[0]
    raise AssertionError("nobody was sent to the canary")


@pytest.fixture
def sticky(make_valve):
    made = make_valve(sticky="side")
    made.serve("stable")
    made.serve("canary")
    made.router.ensure_share(50)
    return made


@needs_haproxy
def test_a_weight_of_0_leaves_users_with_a_cookie_on_the_canary_and_going_out_does_not(sticky):
    mine = _cookie(sticky)
    assert sticky.users.load(20, cookie=mine).of("canary") == 20
    order(sticky.layout.socket, "set server scores/canary weight 0", 2)
    assert sticky.users.load(20, cookie=mine).of("canary") == 20
    assert sticky.router.look().canary.reachable
    order(sticky.layout.socket, "set server scores/canary state drain", 2)
    assert sticky.users.load(20, cookie=mine).of("canary") == 20
    assert sticky.router.look().canary.reachable

    sticky.router.ensure_out()
    answers = sticky.users.load(50, cookie=mine)
    assert (answers.of("canary"), answers.bad) == (0, 0)
    assert sticky.router.look().whole


@needs_haproxy
@pytest.mark.parametrize("forged", ["side=canary", "side=c", "side=2", "side=1"])
def test_nobody_gets_to_the_canary_with_a_cookie_of_their_own_making(sticky, forged):
    sticky.router.ensure_share(1)
    # Each answer comes with a good cookie, which this client ignores.
    assert sticky.users.load(100, threads=1, cookie=forged).of("canary") <= 2


@needs_haproxy
def test_a_reload_brings_everything_back_to_stable_and_is_seen_in_the_counters(valve):
    valve.router.ensure_share(50)
    valve.users.load(20)
    before = valve.router.counters()
    valve.proxy.reload()
    wait_until(lambda: valve.router.counters().epoch != before.epoch, "another worker")
    answers = valve.users.load(50)
    assert (answers.of("canary"), answers.bad) == (0, 0)
    assert valve.router.look().whole
    assert between(before, valve.router.counters()) is None


@needs_haproxy
def test_a_connection_from_before_a_reload_is_not_kept_on_the_canary(valve):
    valve.router.ensure_share(100)
    epoch = valve.router.counters().epoch
    client = http.client.HTTPConnection("127.0.0.1", valve.users.port, timeout=10)
    before = [_served_by(client) for _ in range(3)]
    valve.proxy.reload()
    wait_until(lambda: valve.router.counters().epoch != epoch, "another worker")
    # HAProxy shuts what is idle; whoever asks on it then connects anew, as every client does.
    after = [_served_by(client) for _ in range(5)]
    client.close()
    assert before == ["canary"] * 3
    assert after[1:] == ["stable"] * 4


def _served_by(client):
    """Return who answers a request on a connection that is kept; None if it was shut."""
    try:
        client.request("POST", "/predict", json.dumps(ROW))
        answer = client.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        client.close()
        return None
    return answer.headers["X-Served-By"]


@needs_haproxy
def test_after_a_crash_everything_goes_to_stable(valve):
    valve.router.ensure_share(50)
    before = valve.router.counters()
    valve.proxy.crash()
    with pytest.raises(EnvironmentFault, match="cannot talk to HAProxy"):
        replace(valve.router, timeout=0.3).look()
    valve.proxy.start()
    assert valve.users.load(50).of("canary") == 0
    after = valve.router.counters()
    assert after.epoch != before.epoch
    assert between(before, after) is None


@needs_haproxy
def test_answers_and_errors_are_counted_to_the_request(make_valve):
    valve = make_valve()
    valve.serve("stable")
    valve.serve("canary", errors=100)
    valve.router.ensure_share(50)
    before = valve.router.counters()
    answers = valve.users.load(400)
    window = between(before, valve.router.counters())
    assert window.requests == 400
    assert window.canary.requests == answers.of("canary") == 200
    assert (window.canary.errors, window.stable.errors) == (20, 0)
    assert answers.status(500) == 20
    for arm in (window.stable, window.canary):
        assert sum(arm.latency.values()) == arm.requests


@needs_haproxy
def test_latencies_are_what_the_server_took(make_valve):
    valve = make_valve()
    valve.serve("stable")
    valve.serve("canary", delay=0.05)
    valve.router.ensure_share(50)
    before = valve.router.counters()
    valve.users.load(60, threads=2)
    window = between(before, valve.router.counters())
    assert min(window.canary.latency) >= bucket(0.05) - 1
    assert upper(sorted(window.canary.latency)[len(window.canary.latency) // 2]) < 0.2
    assert min(window.stable.latency) < bucket(0.02)


@needs_haproxy
def test_an_answer_that_never_comes_is_an_error_of_its_side(make_valve):
    valve = make_valve(timeout=0.5)
    valve.serve("stable")
    valve.serve("canary", delay=2)
    valve.router.ensure_share(50)
    before = valve.router.counters()
    answers = valve.users.load(8)
    window = between(before, valve.router.counters())
    assert answers.status(504) == 4
    assert (window.canary.errors, window.canary.requests) == (4, 4)
    assert window.stable.errors == 0


@needs_haproxy
def test_a_canary_that_dies_costs_one_request_of_200_at_most_and_counts_as_bad(valve):
    valve.router.ensure_share(25)
    before = valve.router.counters()
    results = []
    users = threading.Thread(target=lambda: results.append(valve.users.load(200, pause=0.005)))
    users.start()
    time.sleep(0.1)
    valve.kill("canary")
    users.join()
    assert results[0].bad <= 1
    assert between(before, valve.router.counters()).canary.errors >= 1
    assert valve.router.look().canary.health is Health.FAILING


@needs_haproxy
def test_with_everything_on_the_canary_stable_takes_over_when_it_dies(valve):
    valve.router.ensure_share(100)
    before = valve.router.counters()
    valve.kill("canary")
    wait_until(lambda: not valve.router.lanes().canary.up, "HAProxy has seen that it is gone")
    answers = valve.users.load(20)
    assert (answers.of("stable"), answers.bad) == (20, 0)
    assert between(before, valve.router.counters()).stable.requests == 20


@needs_haproxy
def test_a_canary_that_does_not_answer_is_not_opened(valve):
    valve.kill("canary")
    with pytest.raises(EnvironmentFault, match="checks of the canary side fail"):
        valve.router.ensure_share(25)
    assert valve.router.look().whole
    assert valve.users.load(40).bad == 0


@needs_haproxy
def test_the_canary_is_left_open_while_stable_is_down_and_shut_when_it_is_up_again(valve):
    valve.router.ensure_share(25)
    valve.kill("stable")
    wait_until(lambda: not valve.router.lanes().stable.up, "HAProxy has seen that it is gone")
    for again in (valve.router.ensure_out, lambda: valve.router.ensure_share(50)):
        with pytest.raises(EnvironmentFault, match="checks of the stable side fail"):
            again()
    assert valve.users.load(20).of("canary") == 20
    valve.serve("stable")
    valve.router.ensure_out()
    assert valve.router.look().whole


@needs_haproxy
def test_with_both_down_the_canary_is_shut_all_the_same(valve):
    valve.router.ensure_share(25)
    valve.kill("stable")
    valve.kill("canary")
    wait_until(
        lambda: not any((valve.router.lanes().stable.up, valve.router.lanes().canary.up)), "seen"
    )
    with pytest.raises(EnvironmentFault, match="stable side fail"):
        valve.router.ensure_out()
    valve.serve("stable")
    assert valve.router.look().whole


@needs_haproxy
def test_stable_is_set_aside_only_while_the_canary_has_everything(valve):
    valve.router.ensure_share(50)
    with pytest.raises(EnvironmentFault, match="does not carry all"):
        valve.router.set_aside()
    valve.router.ensure_share(100)
    valve.router.set_aside()
    sight = valve.router.look()
    assert not sight.stable.reachable
    # What it was when it was last checked: the guard may rely on it.
    assert sight.stable.health is Health.READY
    valve.router.bring_back()
    sight = valve.router.look()
    assert (sight.stable.share, sight.stable.reachable, sight.canary.share) == (0.0, True, 1.0)
    valve.router.ensure_out()
    assert valve.router.look().whole


@needs_haproxy
def test_stable_in_maintenance_is_opened_only_after_a_check_of_its_own(valve):
    valve.router.ensure_share(100)
    valve.router.set_aside()
    valve.kill("stable")
    with pytest.raises(EnvironmentFault, match="stable side fail"):
        valve.router.ensure_out()
    answers = valve.users.load(40)
    assert (answers.of("canary"), answers.bad) == (40, 0)


@needs_haproxy
def test_the_canary_stays_open_while_what_was_opened_beside_it_is_not_checked_yet(make_valve):
    """What leaves maintenance counts as up until its first check, be there nobody at all."""
    valve = make_valve(check_every=1.5)
    valve.serve("stable")
    valve.serve("canary")
    valve.router.ensure_share(100)
    valve.router.set_aside()
    valve.kill("stable")
    valve.router.bring_back()
    with pytest.raises(EnvironmentFault, match="checks of the stable side fail"):
        valve.router.ensure_out()
    answers = valve.users.load(20)
    assert (answers.of("canary"), answers.bad) == (20, 0)


@needs_haproxy
def test_a_stable_side_that_missed_one_check_is_no_reason_to_wait(make_valve):
    valve = make_valve(check_every=5.0)
    valve.serve("canary")
    valve.serve("stable")
    valve.router.ensure_share(25)
    valve.servers["stable"].send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: valve.router.lanes().stable.missed, "it missed one check", 15)
    finally:
        valve.servers["stable"].send_signal(signal.SIGCONT)
    began = time.monotonic()
    valve.router.ensure_out()
    assert time.monotonic() - began < 2
    assert valve.router.lanes().share(Side.STABLE) == 1.0


@needs_haproxy
def test_what_a_person_does_by_hand_is_seen(valve):
    valve.router.ensure_share(50)
    order(valve.layout.socket, "set server scores/canary weight 150", 2)
    assert valve.router.look().canary.share == 0.75


@needs_haproxy
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("set server scores/nobody weight 1", "No such server"),
        ("set server scores/canary weight 257", "between 0 and 256"),
        ("set server nothing/canary weight 1", "No such backend"),
        ("turn it off", "Unknown command"),
    ],
)
def test_what_haproxy_says_is_an_error_though_it_has_no_status(valve, command, said):
    with pytest.raises(EnvironmentFault, match=said):
        order(valve.layout.socket, command, 2)


@needs_haproxy
def test_a_backend_without_the_two_servers_is_refused(valve):
    for router in (
        replace(valve.router, backend="nothing"),
        replace(valve.router, canary="nobody"),
    ):
        with pytest.raises(EnvironmentFault, match="has no server"):
            router.look()
        with pytest.raises(EnvironmentFault):
            router.counters()


@pytest.fixture
def mute(tmp_path):
    """Return the path of a socket that takes connections, and a way to say what it answers."""
    path, answer, done = tmp_path / "s", [b""], threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    listener.settimeout(0.05)

    def answering():
        while not done.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            with client:
                client.recv(1000)
                while answer[0] == b"drip" and not done.is_set():
                    client.sendall(b"x")
                    time.sleep(0.05)
                while not answer[0] and not done.is_set():
                    time.sleep(0.02)
                client.sendall(answer[0])

    thread = threading.Thread(target=_quiet(answering))
    thread.start()
    yield str(path), answer
    done.set()
    thread.join()
    listener.close()


def _quiet(run):
    def inner():
        try:
            run()
        except OSError:
            return

    return inner


@pytest.mark.parametrize("answer", [b"", b"drip"])
def test_a_socket_that_never_has_an_answer_is_an_error_in_time(mute, answer):
    path, answers = mute
    answers[0] = answer
    router = Router(socket=path, backend="scores", timeout=0.4)
    for attempt in (
        router.look,
        router.counters,
        router.ensure_out,
        lambda: router.ensure_share(5),
    ):
        began = time.monotonic()
        with pytest.raises(EnvironmentFault, match="did not answer within"):
            attempt()
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "answer", [b"\n", b"what?\n", b"1\n# srv_name srv_id\nstable 1\ncanary 2\n\n"]
)
def test_an_answer_that_is_no_table_is_an_error(mute, answer):
    path, answers = mute
    answers[0] = answer
    router = Router(socket=path, backend="scores", timeout=0.4)
    for attempt in (router.look, router.counters, router.ensure_out):
        with pytest.raises(EnvironmentFault):
            attempt()


def test_a_socket_that_is_not_there_is_an_error_in_time(tmp_path):
    router = Router(socket=str(tmp_path / "none"), backend="scores", timeout=0.3)
    began = time.monotonic()
    with pytest.raises(EnvironmentFault, match="No such file"):
        router.look()
    assert time.monotonic() - began < 1


def test_what_a_person_reads_of_a_refusal_is_one_plain_line(mute):
    path, answers = mute
    answers[0] = b"\x1b[31mno\x07 way\nsecond line\n"
    with pytest.raises(EnvironmentFault) as refused:
        order(path, "set server a/b weight 1", 1)
    assert "`set server a/b weight 1`: [31mno? way" in refused.value.message.replace("?[", "[")
    assert "second" not in refused.value.message


@pytest.mark.parametrize(
    ("stable", "canary", "share"),
    [
        ((100, "ready"), (0, "maint"), 0.0),
        ((100, "ready"), (25, "maint"), 0.0),
        ((75, "ready"), (25, "ready"), 0.25),
        ((75, "ready"), (25, "drain"), 0.0),
        ((0, "ready"), (100, "ready"), 1.0),
        ((100, "maint"), (1, "ready"), 1.0),
        ((0, "ready"), (0, "ready"), 0.0),
        ((256, "ready"), (1, "ready"), 1 / 257),
    ],
)
def test_a_share_is_of_what_takes_part(stable, canary, share):
    lanes = Lanes(
        stable=Lane(weight=stable[0], admin=Admin(stable[1]), up=True),
        canary=Lane(weight=canary[0], admin=Admin(canary[1]), up=False),
    )
    assert lanes.share(Side.CANARY) == share


@pytest.mark.parametrize(
    "took", [0, 1, 63, 127, 128, 129, 255, 1000, 49_999, 1_000_003, 99_999_999]
)
def test_a_latency_is_known_to_one_per_cent(took):
    # As the rules of the configuration do it: `and` with a mask that is wider for larger numbers.
    key = took
    for power, cut in ROUNDING:
        if key >= 1 << power:
            key &= ~((1 << cut) - 1)
    assert _seconds(key) * 1e6 == pytest.approx(took, rel=0.01, abs=0.5)


LAYOUT = Layout(
    socket="/run/model-gates-test/haproxy.sock",
    bind="127.0.0.1:1",
    backend="scores",
    stable="127.0.0.1:2",
    canary="127.0.0.1:3",
)


@needs_haproxy
@pytest.mark.parametrize(
    "layout",
    [
        LAYOUT,
        replace(LAYOUT, health="/health", sticky="side"),
        replace(LAYOUT, idempotent=False, timeout=0.25, names=("blue", "green")),
    ],
)
def test_haproxy_takes_the_configuration_without_a_word(layout, real, tmp_path):
    path = tmp_path / "haproxy.cfg"
    path.write_text(config(layout))
    environment = {**os.environ, "MODEL_GATES_COOKIE_KEY": "x"}
    checked = subprocess.run(
        [real("haproxy"), "-c", "-f", path],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_configuration_has_the_canary_shut_and_no_secret():
    text = config(replace(LAYOUT, sticky="side"))
    assert "server canary 127.0.0.1:3 weight 0 disabled" in text
    assert "mode 600 level admin" in text
    assert 'dynamic-cookie-key "${MODEL_GATES_COOKIE_KEY}"' in text


def test_what_may_have_been_carried_out_is_not_sent_again_unless_that_is_harmless():
    assert "retry-on conn-failure empty-response" in config(LAYOUT)
    assert "empty-response" not in config(replace(LAYOUT, idempotent=False))


@needs_haproxy
def test_each_request_is_a_line_of_json_that_tells_nothing_of_it(valve):
    valve.users.load(5, path="/predict?name=secret")
    wait_until(lambda: len(_logged(valve)) == 5, "five lines")
    assert {line["server"] for line in _logged(valve)} == {"stable"}
    assert {line["status"] for line in _logged(valve)} == {200}
    assert "secret" not in (valve.folder / "haproxy.log").read_text()


def _logged(valve):
    lines = (valve.folder / "haproxy.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@needs_haproxy
def test_only_its_owner_can_move_the_traffic(valve):
    assert Path(valve.layout.socket).stat().st_mode & 0o777 == 0o600
    assert "Pid" in ask(valve.layout.socket, "show info", 2)
