"""The store: one of many wins, nothing is half written, and whoever lost is kept out."""

import os
import subprocess
import sys
import threading

import pytest

from gates.canary import chain
from gates.canary.chain import Record
from gates.canary.faults import Fenced, Locked
from gates.canary.stores.files import FileStore
from gates.errors import EnvironmentFault


def line(store, token, why="so", *, first=False):
    records = chain.read(store.read(), "j").records
    return Record(
        seq=1 if first else len(records) + 1, rollout="credit-1", kind="note", act="", by="ann", at="now",
        token=token, body={"why": why}, prev=records[-1].hash if records else chain.START,
    ).line()  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return FileStore(folder=tmp_path / "credit", patience=1)


@pytest.fixture
def begun(store):
    lease = store.acquire("ann", 60)
    store.begin(line(store, lease.token, first=True), lease.token)
    return lease


def test_nobody_holds_what_is_new(store):
    assert store.lease() is None
    assert store.read() == b""
    assert store.asked_abort() is None
    assert list(store.earlier()) == []


def test_the_second_is_locked_out_and_told_by_whom(store):
    store.acquire("ann", 60)
    with pytest.raises(Locked, match="ann") as caught:
        store.acquire("bob", 60)
    assert caught.value.exit_code == 11


def test_of_many_that_start_at_once_one_wins(store):
    won, lost = [], []

    def start(number):
        try:
            won.append(store.acquire(f"process {number}", 60))
        except Locked:
            lost.append(number)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)


def test_a_token_never_comes_again(store):
    first = store.acquire("ann", 60)
    store.release(first)
    assert store.lease() is None
    assert store.acquire("bob", 60).token == first.token + 1


def test_who_was_pushed_aside_can_do_nothing_any_more(store, begun):
    taken = store.acquire("guard", 60, over=begun.token)
    with pytest.raises(Fenced, match="guard"):
        store.append(line(store, begun.token), begun.token)
    with pytest.raises(Fenced):
        store.renew(begun)
    with pytest.raises(Fenced), store.fenced(begun):
        pytest.fail("nothing may be done here")
    store.release(begun)
    assert store.lease() == taken


def test_only_the_holder_that_was_meant_is_pushed_aside(store, begun):
    store.acquire("bob", 60, over=begun.token)
    with pytest.raises(Locked, match="bob"):
        store.acquire("eve", 60, over=begun.token)


def test_a_sign_of_life_is_a_new_beat(store, begun):
    assert store.renew(begun).beat == begun.beat + 1
    assert store.lease().beat == 1


def test_two_writers_do_not_write_the_same_place(store, begun):
    one, two = line(store, begun.token, "one"), line(store, begun.token, "two")
    assert store.append(one, begun.token) is True
    assert store.append(two, begun.token) is False
    assert [r.body["why"] for r in chain.read(store.read(), "j").records] == ["so", "one"]


def test_what_a_crash_tore_is_written_over(store, begun):
    journal = store.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"act":"shi')
    assert store.append(line(store, begun.token, "whole"), begun.token)
    found = chain.read(journal.read_bytes(), "j")
    assert [r.body["why"] for r in found.records] == ["so", "whole"]
    assert found.torn == b""


def test_a_new_rollout_puts_the_one_before_away_and_forgets_its_abort(store, begun):
    store.ask_abort("enough")
    assert store.asked_abort() == "enough"
    before = store.read()
    store.begin(line(store, begun.token, first=True), begun.token)
    assert list(store.earlier()) == [before]
    assert store.asked_abort() is None
    store.begin(line(store, begun.token, first=True), begun.token)
    assert list(store.earlier())[1] == before


def test_while_one_acts_another_waits_and_is_told_in_the_end(store, begun):
    other = FileStore(folder=store.folder, patience=0.1)
    with (
        store.fenced(begun),
        pytest.raises(EnvironmentFault, match="not let go"),
        other.fenced(begun),
    ):
        pytest.fail("two act at once")


def test_a_killed_process_holds_nothing(store, begun):
    code = (
        "import os, sys; from pathlib import Path; from gates.canary.stores.files import FileStore;"
        "store = FileStore(folder=Path(sys.argv[1]));"
        "held = store.fenced(store.lease()); held.__enter__(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(store.folder)], check=False, timeout=60)
    assert ended.returncode == -9
    with store.fenced(begun):
        pass


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path):
    """A disk of 64 KiB, filled: a line that does not fit is not there, and the next one is whole."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        store = FileStore(folder=disk / "credit")
        lease = store.acquire("ann", 60)
        store.begin(line(store, lease.token, first=True), lease.token)
        before = store.read()
        _fill(disk)
        with pytest.raises(EnvironmentFault, match="No space left"):
            store.append(line(store, lease.token, "x" * 9000), lease.token)
        assert store.read() == before
        (disk / "filler").unlink()
        assert store.append(line(store, lease.token, "x" * 9000), lease.token)
        assert len(chain.read(store.read(), "j").records) == 2
        store.release(lease)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(disk):
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EnvironmentFault, match="cannot keep the rollout's state"):
        FileStore(folder=tmp_path / "file" / "credit").acquire("ann", 60)


def test_a_lease_that_somebody_scribbled_on_is_said(store, begun):
    (store.folder / "lease.json").write_text("mine now")
    with pytest.raises(EnvironmentFault, match="not as it was written"):
        store.renew(begun)


def test_the_kernel_knows_of_a_holder_that_ended(store):
    code = (
        "import os, sys; from pathlib import Path; from gates.canary.stores.files import FileStore;"
        "FileStore(folder=Path(sys.argv[1])).acquire('ann', 60); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.folder)], check=False, timeout=60)
    assert store.orphaned(store.lease())
    mine = store.acquire("bob", 60, over=store.lease().token)
    assert not store.orphaned(mine)
    store.release(mine)
    assert list(store.folder.glob("alive-*")) == []
