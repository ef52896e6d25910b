"""The guard closes the valve when nobody gives a sign of life, and never otherwise."""

import subprocess
import sys
from dataclasses import dataclass, field, replace

import pytest

from gates.canary import chain, guard
from gates.canary.chain import Record
from gates.canary.faults import Fenced
from gates.canary.file_store import FileStore
from gates.canary.guard import HOLDER, Guard
from gates.canary.sight import Health, Seen, Sight
from gates.errors import EnvironmentFault

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
class Scene:
    store: FileStore
    valve: Valve
    guard: Guard
    lease: object
    time: list

    def later(self, seconds):
        self.time[0] += seconds
        self.guard.watch()


@pytest.fixture
def scene(tmp_path):
    store, valve, time, said = FileStore(folder=tmp_path / "s"), Valve(), [1000.0], []
    lease = store.acquire("ann", 60.0)
    store.begin(
        Record(
            seq=1, rollout="credit-1", kind="plan", act="", by="ann", at="now", token=lease.token
        ).line(),
        lease.token,
    )
    watcher = Guard(store=store, valve=valve, clock=lambda: time[0], said=said.append)
    watcher.watch()
    return Scene(store, valve, watcher, lease, time)


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
    assert scene.valve.shut == 1


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


def test_it_is_packed_into_the_same_bytes_each_time(tmp_path):
    guard.pack(tmp_path / "one.pyz")
    guard.pack(tmp_path / "two.pyz")
    assert (tmp_path / "one.pyz").read_bytes() == (tmp_path / "two.pyz").read_bytes()
