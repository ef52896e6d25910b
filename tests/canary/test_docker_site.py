"""One Docker host, with an engine, a proxy, images and users that are real."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gates.artifacts.manifest import digest_of
from gates.canary.counters import between
from gates.canary.haproxy.socket import order
from gates.canary.sight import Health
from gates.demo.image import tar
from gates.errors import ConfigError, EnvironmentFault, InputError, Refused
from tests.canary import images
from tests.canary.bench import wait_until

pytestmark = pytest.mark.requires_real("dockerd", "haproxy")
KILLED = Path(__file__).parent / "killed.py"


def test_a_quarter_of_the_requests_reaches_the_canary(bench):
    good, other = bench.serve("good"), bench.canary("good-v2", share=25)
    answers = bench.load(500)
    sight = bench.site.look()
    assert (sight.stable.digest, sight.canary.digest) == (good.digest, other.digest)
    assert (sight.stable.health, sight.canary.health) == (Health.READY, Health.READY)
    assert (sight.stable.share, sight.canary.share) == (0.75, 0.25)
    assert 120 <= answers.of("canary") <= 130
    assert answers.bad == 0


def test_a_new_canary_is_ready_and_no_user_reaches_it(bench):
    bench.serve("good")
    bench.canary("good-v2")
    sight = bench.site.look()
    assert sight.whole
    assert sight.canary.health is Health.READY
    assert bench.load(50).of("canary") == 0


def test_what_serves_is_told_by_its_bytes_and_those_of_its_model(bench, tmp_path):
    pinned = bench.serve("good")
    (tmp_path / "model.json").write_bytes(images.model_file("good"))
    assert pinned.artifact == digest_of(tmp_path / "model.json")
    assert bench.site.stable() == pinned
    assert pinned.digest == bench.docker.inspect_image(bench.images["good"])["Id"]
    assert list(bench.containers()) == [f"mg-{bench.name}-stable-{pinned.digest[7:19]}"]


def test_a_folder_has_the_digest_that_it_has_on_disk(make_bench, tmp_path):
    bench = make_bench(artifact="/model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_bytes(images.model_file("biased"))
    assert bench.pin("biased").artifact == digest_of(tmp_path / "model")


def test_a_tag_that_was_moved_is_another_thing(bench):
    tag = f"{images.REPOSITORY}:moving"
    bench.docker.tag(bench.images["good"], images.REPOSITORY, "moving", force=True)
    before = bench.site.pin(tag)
    bench.docker.tag(bench.images["biased"], images.REPOSITORY, "moving", force=True)
    after = bench.site.pin(tag)
    assert before.image == after.image
    assert before.digest != after.digest
    assert before.artifact != after.artifact

    # And what was pinned is what runs, whatever the tag says by now.
    bench.serve("good-v2")
    bench.site.ensure_canary(before)
    assert bench.site.look().canary.digest == before.digest


@pytest.mark.parametrize("name", ["model-gates-test:none", "sha256:" + "0" * 64])
def test_an_image_that_is_not_there_is_refused_and_never_pulled(bench, name):
    with pytest.raises(InputError, match="no such image, and nothing is pulled"):
        bench.site.pin(name)


def test_a_model_that_is_not_in_the_image_is_refused(make_bench):
    bench = make_bench(artifact="/model/other.onnx")
    with pytest.raises(InputError, match="no such file or folder"):
        bench.pin("good")
    assert bench.containers() == {}


def test_where_nothing_serves_there_is_no_stable_side(bench):
    with pytest.raises(InputError, match="no container serves"):
        bench.site.stable()
    sight = bench.site.look()
    assert (sight.stable.health, sight.canary.health) == (Health.ABSENT, Health.ABSENT)
    assert not sight.whole


def test_the_same_canary_again_changes_nothing_and_another_takes_its_place(bench):
    bench.serve("good")
    pinned = bench.canary("good-v2", share=25)
    before = bench.docker.containers()
    bench.site.ensure_canary(pinned)
    assert [one["Id"] for one in bench.docker.containers()] == [one["Id"] for one in before]
    assert bench.site.look().canary.share == 0.25

    other = bench.pin("biased")
    bench.site.ensure_canary(other)
    sight = bench.site.look()
    assert (sight.canary.digest, sight.canary.share, sight.canary.reachable) == (
        other.digest,
        0,
        False,
    )
    assert len(bench.containers()) == 2


def test_what_has_our_name_and_is_not_ours_is_left_alone(bench):
    bench.serve("good")
    pinned = bench.pin("good-v2")
    name = f"mg-{bench.name}-canary-{pinned.digest[7:19]}"
    theirs = bench.docker.create_container(bench.images["good"], name=name)["Id"]
    with pytest.raises(Refused, match="another container has the name"):
        bench.site.ensure_canary(pinned)
    assert bench.docker.inspect_container(theirs)["State"]["Status"] == "created"


def test_of_many_who_start_the_same_canary_there_is_one(bench):
    bench.serve("good")
    pinned, failed = bench.pin("good-v2"), []

    def start():
        try:
            bench.options.site(bench.name).ensure_canary(pinned)
        except EnvironmentFault as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.site.ensure_canary(pinned)
    assert sum("canary" in name for name in bench.containers()) == 1
    bench.wait(lambda sight: sight.canary.health is Health.READY, "it is ready")


def test_a_canary_that_cannot_start_fails_with_its_exit_code_and_gets_no_traffic(bench):
    bench.serve("good")
    bench.site.ensure_canary(bench.pin("crash-at-start"))
    sight = bench.wait(lambda seen: seen.canary.restarts >= 2, "it was started again twice")
    assert sight.canary.health is Health.FAILING
    assert "ended with exit code 3" in sight.canary.reason
    sight = bench.wait(lambda seen: seen.canary.digest is None, "the engine has given up")
    assert (sight.canary.restarts, sight.canary.health) == (3, Health.FAILING)
    with pytest.raises(EnvironmentFault, match="does not run"):
        bench.site.ensure_share(25)
    assert bench.load(40).bad == 0
    assert bench.site.look().whole


def test_a_canary_that_dies_later_is_seen_and_stable_serves_all(bench):
    bench.serve("good")
    bench.canary("crash-later", share=25)
    sight = bench.wait(lambda seen: seen.canary.health is Health.FAILING, "it crashed")
    assert sight.stable.health is Health.READY
    bench.wait(lambda seen: seen.canary.restarts >= 1, "it was started again")


def test_what_never_answers_is_starting_at_first_and_failing_then(make_bench):
    bench = make_bench(
        health={"path": "/health", "start": 3.0},
        container={"stop": 1.0},
    )
    bench.site.ensure_stable(bench.site.pin(_asleep(bench)))
    assert bench.site.look().stable.health is Health.STARTING
    sight = bench.wait(lambda seen: seen.stable.health is Health.FAILING, "it had its time")
    assert sight.stable.reason == "it runs, and does not answer"


def test_one_late_answer_aborts_nothing_and_many_do(make_bench):
    """HAProxy does not check in that time: it is our own question that is answered late."""
    bench = make_bench(health={"path": "/health", "start": 0.1, "timeout": 0.3})
    bench.serve("good")
    bench.canary("good-v2", share=25)
    order(bench.socket, f"disable health {bench.layout.backend}/canary", 2)
    with _frozen(bench, "canary"):
        late = bench.site.look().canary
        assert (late.health, late.reason) == (Health.STARTING, "it did not answer once")
    assert bench.site.look().canary.health is Health.READY
    with _frozen(bench, "canary"):
        began = time.monotonic()
        sight = bench.wait(lambda seen: seen.canary.health is Health.FAILING, "it is down", 10)
        assert time.monotonic() - began >= 2
        assert sight.canary.reason == "it runs, and does not answer"
        assert sight.stable.health is Health.READY


def test_what_haproxy_says_is_down_too_fails_at_once(make_bench):
    bench = make_bench(health={"path": "/health", "start": 0.1, "timeout": 0.3})
    bench.serve("good")
    bench.canary("good-v2", share=25)
    with _frozen(bench, "canary"):
        wait_until(lambda: not bench.site._router.lanes().canary.up, "HAProxy has seen it")
        assert bench.options.site(bench.name).look().canary.health is Health.FAILING


@contextlib.contextmanager
def _frozen(bench, role):
    """Have a container's process stand still, as on a machine that is too busy."""
    one = next(one for one in bench.docker.containers() if role in one["Names"][0])
    top = bench.docker.top(one["Id"])
    pids = [int(row[top["Titles"].index("PID")]) for row in top["Processes"]]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _asleep(bench):
    return images.variant(bench.docker, bench.images["good"], "asleep", asleep=True)


def test_a_canary_that_is_killed_costs_one_request_of_200_at_most(bench):
    bench.serve("good")
    bench.canary("good-v2", share=25)
    before, results = bench.site.counters(), []
    users = threading.Thread(target=lambda: results.append(bench.load(200, pause=0.005)))
    users.start()
    time.sleep(0.1)
    canary = next(one for one in bench.docker.containers() if "canary" in one["Names"][0])
    os.kill(bench.docker.inspect_container(canary["Id"])["State"]["Pid"], signal.SIGKILL)
    users.join()
    assert results[0].bad <= 1
    assert between(before, bench.site.counters()).canary.errors >= 1


def test_errors_and_latencies_are_right_to_the_request(bench):
    bench.serve("good")
    bench.canary("errors", share=50)
    before = bench.site.counters()
    answers = bench.load(400)
    window = between(before, bench.site.counters())
    assert (window.canary.requests, window.stable.requests) == (
        answers.of("canary"),
        answers.of("stable"),
    )
    assert (window.canary.errors, window.stable.errors) == (answers.status(500), 0)
    assert answers.status(500) == 10
    assert sum(window.canary.latency.values()) == window.canary.requests


def _promote(bench, model):
    pinned = bench.canary(model, share=100)
    bench.site.ensure_stable(pinned)
    bench.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
    return pinned


def test_a_promotion_costs_no_user_an_answer_and_leaves_one_container(bench):
    bench.serve("good")
    pinned = bench.canary("good-v2", share=50)
    results = []
    users = threading.Thread(target=lambda: results.append(bench.load(1500, pause=0.01)))
    users.start()
    assert _promote(bench, "good-v2") == pinned
    bench.site.ensure_out()
    bench.site.ensure_removed()
    users.join()
    assert results[0].bad == 0
    sight = bench.site.look()
    assert sight.whole
    assert (sight.stable.digest, sight.canary.health) == (pinned.digest, Health.ABSENT)
    (name,) = bench.containers()
    # It has to come back with the machine.
    policy = bench.docker.inspect_container(name)["HostConfig"]["RestartPolicy"]["Name"]
    assert policy == "unless-stopped"
    assert bench.site.stable() == replace(pinned, image=bench.images["good-v2"])


def test_the_way_back_starts_the_very_container_that_served_before(bench):
    old = bench.serve("good")
    before = bench.docker.containers()[0]["Id"]
    _promote(bench, "good-v2")
    assert any(name.startswith(f"mg-{bench.name}-kept-") for name in bench.containers())

    bench.site.ensure_stable(old)
    bench.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
    bench.site.ensure_out()
    bench.site.ensure_removed()
    assert bench.site.look().whole
    (left,) = bench.docker.containers(all=True)
    assert (left["Id"], left["Names"]) == (before, [f"/mg-{bench.name}-stable-{old.digest[7:19]}"])


def test_the_way_back_is_the_same_container_when_options_were_changed_meanwhile(bench):
    old = bench.serve("good")
    before = bench.docker.containers()[0]["Id"]
    bench.canary("good-v2", share=100)
    options = bench.options.container.model_copy(update={"memory_mib": 512})
    later = bench.options.model_copy(update={"container": options}).site(bench.name)
    new = bench.pin("good-v2")
    # One attempt with the options of before was killed when it had made the container.
    assert _killed(bench, "ensure_stable", 4, bench.images["good-v2"])
    name = f"mg-{bench.name}-stable-{new.digest[7:19]}"
    assert bench.containers()[name] == "created"
    later.ensure_stable(new)
    bench.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
    assert bench.docker.inspect_container(name)["HostConfig"]["Memory"] == 512 << 20

    later.ensure_stable(old)
    bench.wait(lambda seen: seen.stable.health is Health.READY, "it is back")
    running = {one["Id"] for one in bench.docker.containers()}
    assert before in running


@pytest.fixture
def adopted(make_bench):
    """Return a deployment whose stable side a person started, to come back always."""
    bench = make_bench(stable_container="by-hand")
    port = bench.layout.stable.rpartition(":")[2]
    host = bench.docker.create_host_config(network_mode="host", restart_policy={"Name": "always"})
    bench.docker.create_container(
        bench.images["good"], name="by-hand", environment={"PORT": port}, host_config=host
    )
    bench.docker.start("by-hand")
    bench.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
    return bench


def test_a_container_that_a_person_started_is_taken_over_and_brought_back(adopted):
    before = adopted.docker.inspect_container("by-hand")["Id"]
    old = adopted.site.stable()
    assert (old.image, old.artifact) == (adopted.images["good"], adopted.pin("good").artifact)
    _promote(adopted, "good-v2")
    assert adopted.containers()[f"mg-{adopted.name}-kept-by-hand"] == "exited"

    adopted.site.ensure_stable(old)
    adopted.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
    adopted.site.ensure_out()
    adopted.site.ensure_removed()
    assert adopted.site.look().whole
    assert adopted.containers() == {"by-hand": "running"}
    assert adopted.docker.inspect_container("by-hand")["Id"] == before


def test_a_container_that_a_person_started_goes_once_the_new_one_serves(adopted):
    pinned = _promote(adopted, "good-v2")
    adopted.site.ensure_out()
    adopted.site.ensure_removed()
    assert list(adopted.containers()) == [f"mg-{adopted.name}-stable-{pinned.digest[7:19]}"]


def test_stable_is_not_replaced_unless_the_canary_carries_everything(bench):
    old = bench.serve("good")
    new = bench.canary("good-v2", share=50)
    with pytest.raises(EnvironmentFault, match="does not carry all"):
        bench.site.ensure_stable(new)
    sight = bench.site.look()
    assert (sight.stable.digest, sight.stable.health) == (old.digest, Health.READY)
    assert bench.load(40).bad == 0


def test_what_is_kept_stays_while_the_new_stable_side_does_not_answer(bench):
    bench.serve("good")
    bench.canary("good-v2", share=100)
    bench.site.ensure_stable(bench.pin("crash-at-start"))
    bench.wait(lambda seen: seen.stable.health is Health.FAILING, "the new one crashes")
    with pytest.raises(EnvironmentFault, match="stable side fail"):
        bench.site.ensure_out()
    with pytest.raises(EnvironmentFault, match="may still reach the canary"):
        bench.site.ensure_removed()
    answers = bench.load(40)
    assert (answers.of("canary"), answers.bad) == (40, 0)
    assert any("kept" in name for name in bench.containers())


def _killed(bench, act, number, *image):
    """Do something in a process that is killed before a step; return whether it came that far."""
    path = bench.proxy.folder / "options.json"
    path.write_text(bench.options.model_dump_json())
    argv = [sys.executable, KILLED, path, bench.name, act, number, *image]
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, cwd=root, check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode != 0


def _always_healthy(bench):
    """Return whether users get an answer, and nothing but answers."""
    return bench.load(12, threads=2).bad == 0


@pytest.mark.slow
def test_a_kill_between_any_two_steps_of_a_replacement_is_mended_by_doing_it_again(bench):
    old = bench.serve("good")
    new = bench.canary("good-v2", share=100)
    number = 1
    while _killed(bench, "ensure_stable", number, bench.images["good-v2"]):
        assert _always_healthy(bench), number
        bench.site.ensure_stable(new)
        sight = bench.wait(lambda seen: seen.stable.health is Health.READY, "it is ready")
        assert sight.stable.digest == new.digest, number
        assert _always_healthy(bench), number
        # And from there back, for the next round.
        _killed(bench, "ensure_stable", number, bench.images["good"])
        assert _always_healthy(bench), number
        bench.site.ensure_stable(old)
        sight = bench.wait(lambda seen: seen.stable.health is Health.READY, "it is back")
        assert sight.stable.digest == old.digest, number
        assert len(bench.containers()) == 2, (number, bench.containers())
        number += 1
    assert number > 8


@pytest.mark.slow
def test_a_kill_between_any_two_steps_of_a_start_is_mended_by_doing_it_again(bench):
    bench.serve("good")
    number, new = 1, bench.pin("good-v2")
    while _killed(bench, "ensure_canary", number, bench.images["good-v2"]):
        assert bench.site.look().whole
        bench.site.ensure_canary(new)
        bench.wait(lambda seen: seen.canary.health is Health.READY, "it is ready")
        assert len(bench.containers()) == 2
        bench.site.ensure_removed()
        number += 1
    assert number > 4


def test_a_model_is_shut_in(make_bench):
    bench = make_bench(container={"memory_mib": 256, "cpus": 0.5, "read_only": True, "stop": 3.0})
    bench.serve("good")
    (name,) = bench.containers()
    host = bench.docker.inspect_container(name)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["Memory"], host["NanoCpus"], host["ReadonlyRootfs"]) == (
        256 << 20,
        500_000_000,
        True,
    )
    assert not host["Binds"]
    assert not host["Privileged"]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_a_variable_is_passed_on_by_name_and_never_written_down(make_bench, monkeypatch):
    monkeypatch.setenv("SCORES_TOKEN", "s3cret")
    bench = make_bench(container={"environment": ["SCORES_TOKEN"], "stop": 3.0})
    bench.serve("good")
    (name,) = bench.containers()
    found = bench.docker.inspect_container(name)["Config"]
    assert "SCORES_TOKEN=s3cret" in found["Env"]
    assert "s3cret" not in json.dumps(found["Labels"])
    assert "s3cret" not in repr(bench.site)

    monkeypatch.delenv("SCORES_TOKEN")
    with pytest.raises(ConfigError, match="`SCORES_TOKEN` is not set") as refused:
        bench.site.ensure_canary(bench.pin("good-v2"))
    assert "s3cret" not in str(refused.value)


def test_without_an_engine_users_can_still_be_sent_to_stable(make_bench):
    bench = make_bench()
    bench.serve("good")
    bench.canary("good-v2", share=50)
    blind = bench.options.model_copy(update={"engine": "unix:///run/model-gates-test/none.sock"})
    site = blind.site(bench.name)
    for attempt in (site.look, site.stable, lambda: site.pin("x")):
        with pytest.raises(EnvironmentFault, match="Docker engine does not answer"):
            attempt()
    site.ensure_out()
    assert bench.site.look().whole


def test_what_a_person_is_told_to_type_works(bench):
    bench.serve("good")
    bench.canary("good-v2", share=50)
    *_, command = bench.site.by_hand()
    orders = command.split("'")[1]
    for one in orders.split("; "):
        order(bench.socket, one, 2)
    assert bench.site.look().whole


def test_the_guard_sends_everything_back_when_the_runner_is_gone(bench):
    bench.serve("good")
    bench.canary("good-v2")
    lease = bench.site.store.acquire("a runner", 2.0)
    bench.site.ensure_guard(on=True)
    bench.site.ensure_share(50)
    for _ in range(8):
        time.sleep(0.4)
        lease = bench.site.store.renew(lease)
    assert bench.site.look().canary.share == 0.5

    wait_until(lambda: bench.site.look().whole, "the guard has shut the canary", 15)
    assert bench.load(40).of("canary") == 0


def test_the_guard_has_the_journal_and_the_valve_and_nothing_else(bench):
    bench.serve("good")
    bench.site.ensure_guard(on=True)
    name = f"mg-{bench.name}-guard"
    before = bench.docker.inspect_container(name)
    host = before["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert (host["CapDrop"], host["ReadonlyRootfs"]) == (["ALL"], True)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    mounted = {mount["Destination"]: mount["RW"] for mount in before["Mounts"]}
    sockets = str(Path(bench.socket).parent)
    assert mounted == {sockets: False, str(bench.state): True, "/model-gates": False}

    bench.site.ensure_guard(on=True)
    assert bench.docker.inspect_container(name)["Id"] == before["Id"]
    bench.site.ensure_guard(on=False)
    bench.site.ensure_guard(on=False)
    assert name not in bench.containers()


def test_the_guard_shuts_the_valve_of_a_proxy_that_was_reloaded_and_opened_again(bench):
    bench.serve("good")
    bench.canary("good-v2")
    bench.site.store.acquire("a runner", 3.0)
    bench.site.ensure_guard(on=True)
    epoch = bench.site.counters().epoch
    bench.proxy.reload()
    wait_until(lambda: bench.site.counters().epoch != epoch, "another worker")
    wait_until(lambda: bench.site.look().stable.health is Health.READY, "it is checked")
    bench.site.ensure_share(50)
    wait_until(lambda: bench.site.look().whole, "the guard has shut the canary", 15)


def test_a_guard_without_a_python_is_no_guard(make_bench):
    bench = make_bench(guard_image="model-gates-test-nothing:latest")
    bench.docker.import_image_from_data(
        tar({"empty": b""}), repository="model-gates-test-nothing", tag="latest"
    )
    bench.serve("good")
    with pytest.raises(EnvironmentFault, match="no sign of life") as failed:
        bench.site.ensure_guard(on=True)
    assert "exit code 127" in failed.value.message
    assert "guard_image" in failed.value.hint
    assert bench.containers()[f"mg-{bench.name}-guard"] == "exited"
