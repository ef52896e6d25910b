"""The guard closes the valve when nobody gives a sign of life, and never otherwise."""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gates.canary import chain, guard
from gates.canary.chain import Record
from gates.canary.counters import Arm, Counters
from gates.canary.faults import Fenced
from gates.canary.guard import HOLDER, Guard
from gates.canary.sight import Health, Seen, Sight
from gates.canary.stores.files import FileStore
from gates.errors import EnvironmentFault
from tests.canary.bench import wait_until

STABLE = Seen(digest="sha256:old", health=Health.READY, share=0.75, reachable=True)
CANARY = Seen(digest="sha256:new", health=Health.READY, share=0.25, reachable=True)


@dataclass
class Valve:
    """A site in memory; `broken` makes it fail, `stuck` makes it do nothing."""

    sight: Sight = field(default_factory=lambda: Sight(stable=STABLE, canary=CANARY))
    broken: bool = False
    stuck: bool = False
    shut: int = 0

    def look(self):
        if self.broken:
            raise EnvironmentFault("the router does not answer")
        return self.sight

    def ensure_out(self):
        self.shut += 1
        if not self.stuck:
            self.sight = Sight(
                stable=replace(self.sight.stable, share=1.0),
                canary=replace(self.sight.canary, share=0.0, reachable=False),
            )


@dataclass
class CountingValve(Valve):
    """One that counts: `answer` adds answers, and errors among them, to either side."""

    epoch: str = "1"
    arms: dict = field(default_factory=lambda: {"stable": Arm(), "canary": Arm()})
    mute: Exception | None = None

    def answer(self, side, requests, errors=0):
        self.arms[side] += Arm(requests=requests, errors=errors, latency={7: requests})

    def counters(self):
        if self.mute:
            raise self.mute
        return Counters(epoch=self.epoch, **self.arms)


@dataclass
class Scene:
    store: FileStore
    valve: Valve
    guard: Guard
    lease: object
    time: list
    said: list

    def later(self, seconds):
        self.time[0] += seconds
        self.guard.watch()

    def last(self):
        return chain.read(self.store.read(), "j").records[-1]


@pytest.fixture
def scene(tmp_path):
    return staged(tmp_path, Valve(), 60.0)


@pytest.fixture
def held(tmp_path):
    """Return a rollout that waits for a person, for up to a day, with a valve that counts."""
    scene = staged(tmp_path, CountingValve(), 86_400.0)
    scene.later(30)
    return scene


def staged(tmp_path, valve, ttl):
    store = FileStore(folder=tmp_path / "s", patience=0.1)
    time, said = [1000.0], []
    lease = store.acquire("ann", ttl)
    store.begin(
        Record(
            seq=1, rollout="credit-1", kind="plan", act="", by="ann", at="now", token=lease.token
        ).line(),
        lease.token,
    )
    watcher = Guard(store=store, valve=valve, clock=lambda: time[0], said=said.append)
    watcher.watch()
    return Scene(store, valve, watcher, lease, time, said)


def test_it_waits_for_as_long_as_the_lease_lasts(scene):
    scene.later(59.9)
    assert scene.valve.shut == 0


def test_it_rolls_back_when_the_lease_is_dead_and_says_so(scene):
    scene.later(60.1)
    assert scene.valve.sight.whole
    last = chain.read(scene.store.read(), "j").records[-1]
    assert (last.kind, last.by, last.body["stable"]) == ("guard", HOLDER, "sha256:old")
    assert scene.store.lease() is None


def test_a_sign_of_life_begins_the_time_anew(scene):
    lease = scene.lease
    for _ in range(5):
        lease = scene.store.renew(lease)
        scene.later(50)
    assert scene.valve.shut == 0
    scene.later(60.1)
    assert scene.valve.sight.whole


def test_whoever_comes_back_too_late_is_kept_out(scene):
    scene.later(61)
    with pytest.raises(Fenced):
        scene.store.renew(scene.lease)


def test_it_leaves_alone_what_nobody_holds(scene):
    scene.store.release(scene.lease)
    scene.later(1000)
    assert scene.valve.shut == 0


def test_it_does_not_send_users_to_a_stable_side_that_is_away(scene):
    stable = replace(STABLE, health=Health.FAILING)
    scene.valve.sight = replace(scene.valve.sight, stable=stable)
    scene.later(61)
    assert scene.valve.shut == 0
    scene.valve.sight = replace(scene.valve.sight, stable=STABLE)
    scene.later(1)
    assert scene.valve.sight.whole
    assert scene.store.lease() is None


def test_it_tries_again_until_the_router_answers(scene):
    scene.valve.broken = True
    scene.later(61)
    scene.later(1)
    assert scene.valve.shut == 0
    scene.valve.broken = False
    scene.later(1)
    assert scene.valve.sight.whole


def test_it_does_not_take_its_own_word_for_it(scene):
    scene.valve.stuck = True
    scene.later(61)
    assert scene.store.lease().holder == HOLDER
    assert len(chain.read(scene.store.read(), "j").records) == 1
    scene.valve.stuck = False
    scene.later(1)
    assert scene.store.lease() is None


def test_one_that_was_killed_in_the_middle_goes_on_where_it_was(scene):
    scene.valve.stuck = True
    scene.later(61)
    scene.valve.stuck = False
    again = Guard(store=scene.store, valve=scene.valve, clock=lambda: 0.0)
    again.watch()
    assert scene.valve.sight.whole


def test_a_clock_that_starts_anew_rolls_nothing_back(scene):
    """A guard that was started again has seen nothing yet, whatever its clock says."""
    again = Guard(store=scene.store, valve=scene.valve, clock=lambda: 5e9)
    again.watch()
    again.watch()
    assert scene.valve.shut == 0


def test_a_holder_that_was_stalled_in_an_act_cannot_open_the_valve_behind_the_guard(scene):
    """It is shut at once, and again once the act is over; only then nobody watches any more."""
    with scene.store.fenced(scene.lease):
        scene.later(61)
        assert scene.valve.sight.whole, "nobody waits for whoever is stalled"
        assert scene.store.lease().holder == HOLDER
        assert scene.last().kind == "plan"
        # It wakes, in the middle of `ensure_share`.
        scene.valve.sight = Sight(stable=STABLE, canary=CANARY)
    scene.later(1)
    assert scene.valve.sight.whole
    assert scene.last().kind == "guard"
    assert scene.store.lease() is None
    with pytest.raises(Fenced), scene.store.fenced(scene.lease):
        pytest.fail("the holder from before may not go on")


def test_what_goes_wrong_in_it_neither_ends_it_nor_sets_its_clock_back(scene):
    scene.valve.look = _bug
    scene.later(61)
    scene.later(1)
    assert "KeyError" in scene.said[-1]
    del scene.valve.look
    scene.later(1)
    assert scene.valve.sight.whole


def test_a_lease_that_cannot_be_read_for_once_does_not_set_its_clock_back(scene):
    store, scene.guard.store = scene.guard.store, None
    scene.later(59)
    scene.guard.store = store
    scene.later(2)
    assert scene.valve.sight.whole


def _bug():
    raise KeyError("share")


def test_a_held_canary_that_answers_nothing_but_errors_is_sent_back(held):
    held.valve.answer("stable", 60)
    held.valve.answer("canary", 20, errors=20)
    held.later(6)
    assert held.valve.sight.whole
    assert held.store.lease() is None
    last = held.last()
    assert (last.kind, last.body["stable"], last.body["canary_share"]) == ("guard", "sha256:old", 0)
    why = "the canary answered each of its last 20 requests with an error"
    assert last.body["why"] == f"{why}: the guard sent everything to the stable side"
    assert f"{why}: rolling back" in held.said


def test_a_guard_that_comes_when_the_lease_is_dead_says_that(scene):
    scene.later(61)
    why = "no sign of life from ann for 60 s: the guard sent everything to the stable side"
    assert scene.last().body["why"] == why


@pytest.mark.parametrize(
    ("canary", "errors", "stable", "stables", "stopped"),
    [
        (19, 19, 60, 0, False),
        (20, 19, 60, 0, False),
        (49, 48, 60, 0, False),
        # Above 25 points more than the stable side, and no less.
        (100, 26, 300, 0, True),
        (100, 25, 300, 0, False),
        (100, 60, 100, 40, False),
        (100, 66, 100, 40, True),
        # With the stable side asked by nobody, there is nothing to excuse it.
        (50, 13, 0, 0, True),
        (1000, 1000, 1000, 1000, True),
    ],
)
def test_what_is_too_bad_to_ask_anybody(held, canary, errors, stable, stables, stopped):
    held.valve.answer("stable", stable, errors=stables)
    held.valve.answer("canary", canary, errors=errors)
    held.later(6)
    assert held.valve.sight.whole is stopped


def test_thousands_of_good_answers_do_not_hide_the_bad_ones_after_them(held):
    held.valve.answer("canary", 1_000_000)
    held.later(6)
    assert held.valve.shut == 0
    for _ in range(10):
        held.valve.answer("stable", 30)
        held.valve.answer("canary", 10, errors=4)
        held.later(6)
    assert held.valve.sight.whole
    assert "40 %" in held.last().body["why"]


def test_few_users_are_enough_if_it_fails_them_all(held):
    held.valve.answer("canary", 25)
    held.later(600)
    for _ in range(19):
        held.valve.answer("canary", 1, errors=1)
        held.later(600)
    assert held.valve.shut == 0
    held.valve.answer("canary", 1, errors=1)
    held.later(600)
    assert held.valve.sight.whole


def test_counts_from_before_a_reset_are_of_no_use(held):
    held.valve.answer("canary", 19, errors=19)
    held.later(6)
    held.valve.epoch = "2"
    held.valve.arms = {"stable": Arm(), "canary": Arm(requests=900, errors=900)}
    held.later(6)
    assert held.valve.shut == 0
    held.valve.answer("canary", 20, errors=20)
    held.later(6)
    assert held.valve.sight.whole


def test_what_another_holder_has_seen_is_of_no_use(held):
    held.valve.answer("canary", 19, errors=19)
    held.later(6)
    held.store.acquire("bea", 86_400.0, over=held.lease.token)
    held.later(6)
    held.valve.answer("canary", 1, errors=1)
    held.later(60)
    assert held.valve.shut == 0


def test_while_the_runner_gives_signs_of_life_it_judges_by_itself(held):
    for _ in range(8):
        held.valve.answer("canary", 30, errors=30)
        held.lease = held.store.renew(held.lease)
        held.later(15)
    held.later(19)
    assert held.valve.shut == 0
    held.later(2)
    assert held.valve.sight.whole


@pytest.mark.parametrize(
    "away", [{"health": Health.FAILING}, {"reachable": False}, {"health": Health.STARTING}]
)
def test_the_worst_canary_stays_while_the_stable_side_is_not_ready(held, away):
    held.valve.sight = replace(held.valve.sight, stable=replace(STABLE, **away))
    held.valve.answer("canary", 20, errors=20)
    held.later(6)
    assert held.valve.shut == 0
    assert held.store.lease().holder == "ann"
    held.valve.sight = replace(held.valve.sight, stable=STABLE)
    held.later(6)
    assert held.valve.sight.whole


def test_what_is_shut_already_is_left_to_whoever_holds_it(held):
    held.valve.ensure_out()
    held.valve.answer("canary", 20, errors=20)
    held.later(6)
    assert held.store.lease().holder == "ann"


@pytest.mark.parametrize("mute", [EnvironmentFault("no counters"), KeyError("x")])
def test_without_counters_there_is_still_the_lease(tmp_path, mute):
    scene = staged(tmp_path, CountingValve(mute=mute), 60.0)
    scene.later(59)
    assert (scene.valve.shut, scene.said) == (0, [])
    scene.later(2)
    assert scene.valve.sight.whole


def test_a_day_of_few_users_takes_no_memory(held):
    for _ in range(2000):
        held.valve.answer("stable", 3)
        held.later(6)
    for _ in range(200):
        held.valve.answer("canary", 1)
        held.later(600)
    assert len(held.guard._answers) < 70


@pytest.mark.requires_real("haproxy")
def test_a_held_rollout_behind_a_real_proxy_is_sent_back_when_it_fails(make_valve, tmp_path):
    valve, now = make_valve(), [0.0]
    valve.serve("stable")
    valve.serve("canary", errors=1000)
    valve.router.ensure_share(25)
    store = FileStore(folder=tmp_path)
    store.acquire("ann", 86_400.0)
    watcher = Guard(store=store, valve=valve.router, clock=lambda: now[0])
    watcher.watch()
    valve.users.load(76)
    now[0] = 30.0
    watcher.watch()
    assert not valve.router.look().whole, "19 are too few"
    valve.users.load(8)
    now[0] = 40.0
    watcher.watch()
    assert valve.router.look().whole
    answers = valve.users.load(40)
    assert (answers.of("canary"), answers.bad) == (0, 0)


def test_a_full_disk_is_no_reason_to_leave_users_on_the_canary(scene):
    scene.guard.store = _Full(folder=scene.store.folder)
    scene.later(61)
    assert scene.valve.sight.whole


class _Full(FileStore):
    def acquire(self, holder, ttl, *, over=None):
        raise EnvironmentFault("No space left on device")


def test_it_is_packed_in_one_file_that_needs_nothing_but_python(tmp_path):
    """Run apart from every installed package, it starts, and fails only for want of settings."""
    guard.pack(tmp_path / "guard.pyz")
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "guard.pyz"), str(tmp_path / "none.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "FileNotFoundError" in ended.stderr
    assert "ModuleNotFoundError" not in ended.stderr


def test_packed_it_runs_on_though_what_it_finds_makes_no_sense(tmp_path):
    """A lease that lacks a field is a bug of somebody's; the guard says so and looks again."""
    guard.pack(tmp_path / "guard.pyz")
    state = tmp_path / "state"
    state.mkdir()
    (state / "lease.json").write_text('{"token": 1, "holder": "ann"}')
    router = {"socket": str(tmp_path / "none.sock"), "backend": "b", "timeout": 0.1}
    settings = tmp_path / "guard.json"
    settings.write_text(json.dumps({"state": str(state), "router": router, "every": 0.05}))
    with (tmp_path / "said").open("wb") as said:
        running = subprocess.Popen(
            [sys.executable, "-I", "-S", str(tmp_path / "guard.pyz"), str(settings)],
            stdout=said,
            stderr=said,
        )
    try:
        wait_until(lambda: _number(state / "guard.alive") > 2, "it looks again and again", 30)
        assert running.poll() is None
    finally:
        running.kill()
        running.wait()
    assert "TypeError" in (tmp_path / "said").read_text()


def _number(path: Path):
    return int(path.read_text() or 0) if path.exists() else 0


def test_it_is_packed_into_the_same_bytes_each_time(tmp_path):
    guard.pack(tmp_path / "one.pyz")
    guard.pack(tmp_path / "two.pyz")
    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
