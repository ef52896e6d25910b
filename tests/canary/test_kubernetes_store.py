"""Journal and lease in a cluster: one of many wins, and whoever lost is kept out."""

import threading
import time
from dataclasses import replace

import pytest

from gates.canary import chain
from gates.canary.chain import Record
from gates.canary.faults import Fenced, Locked
from gates.canary.stores.kubernetes import MAX_JOURNAL, KubernetesStore
from gates.canary.targets.kubernetes.api import connect
from gates.canary.targets.kubernetes.cluster import Cluster
from gates.errors import EnvironmentFault, InputError, Refused
from tests.canary.kube_stub import NAMESPACE, Fault, KubeStub


def line(store, token, why="so", *, first=False):
    records = () if first else chain.read(store.read(), "j").records
    prev = records[-1].hash if records else chain.START
    said = {"kind": "note", "act": "", "by": "ann", "at": "now", "body": {"why": why}}
    return Record(seq=len(records) + 1, rollout="r", token=token, prev=prev, **said).line()


def whys(store):
    return [record.body["why"] for record in chain.read(store.read(), "j").records]


@pytest.fixture
def stub():
    with KubeStub().serve() as serving:
        yield serving


@pytest.fixture
def store(stub, tmp_path):
    kubeconfig = stub.kubeconfig(tmp_path / "kubeconfig")
    api = connect(kubeconfig=kubeconfig, context=None, in_cluster=False, timeout=3.0)
    cluster = Cluster(api=api, namespace=NAMESPACE)
    return KubernetesStore(cluster=cluster, name="mg-credit", patience=0.5)


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
    assert caught.value.where == "Lease prod/mg-credit"


def test_of_many_that_start_at_once_one_wins(store):
    won, lost = [], []

    def start(number):
        try:
            won.append(store.acquire(f"process {number}", 60))
        except Locked:
            lost.append(number)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 19)


def test_of_many_that_take_over_at_once_one_wins(store, begun):
    won, lost = [], []

    def start(number):
        try:
            won.append(store.acquire(f"process {number}", 60, over=begun.token))
        except Locked:
            lost.append(number)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    assert won[0].token == begun.token + 1


def test_the_lease_is_one_that_others_can_read(stub, store):
    store.acquire("ann", 7.5)
    spec = stub.get("leases", "mg-credit")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("ann", 8)
    assert spec["leaseTransitions"] == 1
    assert store.lease().ttl == 7.5


def test_a_token_never_comes_again(store):
    first = store.acquire("ann", 60)
    store.release(first)
    assert store.lease() is None
    assert store.acquire("bob", 60).token == first.token + 1


def test_who_was_pushed_aside_can_do_nothing_any_more(store, begun):
    taken = store.acquire("guard", 60, over=begun.token)
    with pytest.raises(Fenced, match="guard"):
        store.append(line(store, begun.token), begun.token)
    with pytest.raises(Fenced, match="guard"):
        store.begin(line(store, begun.token, first=True), begun.token)
    with pytest.raises(Fenced):
        store.renew(begun)
    with pytest.raises(Fenced), store.fenced(begun):
        pytest.fail("nothing may be done here")
    store.release(begun)
    assert store.lease() == taken
    assert whys(store) == ["so"]


def test_a_lease_that_is_stolen_between_looking_and_writing_keeps_the_line_out(stub, store, begun):
    """The one who is pushed aside has seen its own lease a moment before it writes."""
    stolen = []

    def steal(_):
        stolen.append(store.acquire("guard", 60, over=begun.token))

    late = line(store, begun.token, "late")
    stub.faults.append(Fault("PATCH", "mg-credit-journal", do=steal))
    with pytest.raises(Fenced, match="guard"):
        store.append(late, begun.token)
    assert stolen
    assert whys(store) == ["so"]


def test_a_lease_that_somebody_deletes_is_nobodys(stub, store, begun):
    stub.drop("leases", "mg-credit")
    with pytest.raises(Fenced):
        store.append(line(store, begun.token), begun.token)
    with pytest.raises(Fenced):
        store.renew(begun)
    with pytest.raises(Fenced), store.fenced(begun):
        pytest.fail("nothing may be done here")
    store.release(begun)


def test_only_the_holder_that_was_meant_is_pushed_aside(store, begun):
    store.acquire("bob", 60, over=begun.token)
    with pytest.raises(Locked, match="bob"):
        store.acquire("eve", 60, over=begun.token)


def test_a_sign_of_life_is_a_new_beat_and_may_change_how_long_it_lasts(store, begun):
    renewed = store.renew(replace(begun, ttl=86400.0))
    assert (renewed.beat, renewed.ttl, renewed.token) == (1, 86400.0, begun.token)
    assert store.lease() == renewed


def test_two_writers_do_not_write_the_same_place(store, begun):
    one, two = line(store, begun.token, "one"), line(store, begun.token, "two")
    assert store.append(one, begun.token) is True
    assert store.append(two, begun.token) is False
    assert whys(store) == ["so", "one"]


def test_many_writers_lose_no_line(store, begun):
    def write(number):
        while not store.append(line(store, begun.token, f"{number}"), begun.token):
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(whys(store)) == ["0", "1", "2", "3", "so"]


def test_an_answer_that_gets_lost_leaves_the_line_once(stub, store, begun):
    added = line(store, begun.token, "once")
    stub.faults.append(Fault("PATCH", "journal", lost=True))
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        store.append(added, begun.token)
    assert store.append(added, begun.token) is True
    assert whys(store) == ["so", "once"]


def test_a_journal_that_somebody_edits_is_refused(stub, store, begun):
    def edit(found):
        found["data"]["journal"] = found["data"]["journal"].replace("so", "no")

    stub.edit("configmaps", "mg-credit-journal", edit)
    added = Record(
        seq=2, rollout="r", kind="note", act="", by="ann", at="now", token=begun.token
    ).line()
    with pytest.raises(Refused, match="does not follow"):
        store.append(added, begun.token)


def test_a_new_rollout_puts_the_one_before_away_and_forgets_its_abort(store, begun):
    store.ask_abort("enough")
    assert store.asked_abort() == "enough"
    assert store.append(line(store, begun.token, "more"), begun.token)
    before = store.read()
    store.begin(line(store, begun.token, "second", first=True), begun.token)
    assert store.asked_abort() is None
    assert list(store.earlier()) == [before]
    store.begin(line(store, begun.token, "third", first=True), begun.token)
    assert [len(one) > 0 for one in store.earlier()] == [True, True]
    assert list(store.earlier())[1] == before
    assert whys(store) == ["third"]


def test_a_beginning_that_ended_half_way_is_done_again(stub, store, begun):
    stub.faults.append(Fault("PATCH", "journal", status=500))
    with pytest.raises(EnvironmentFault, match="500"):
        store.begin(line(store, begun.token, "second", first=True), begun.token)
    assert store.append(line(store, begun.token, "meanwhile"), begun.token)
    before = store.read()
    store.begin(line(store, begun.token, "second", first=True), begun.token)
    assert list(store.earlier()) == [before]


def test_old_journals_are_let_go_and_the_newest_kept(store, begun):
    for number in range(23):
        store.begin(line(store, begun.token, f"{number}", first=True), begun.token)
    kept = [chain.read(one, "j").records[0].body["why"] for one in store.earlier()]
    assert kept == [f"{number}" for number in range(21, 1, -1)]


def test_a_journal_near_the_limit_is_refused_before_it_is_sent(store, begun):
    filling = "x" * 60_000
    for _ in range(15):
        assert store.append(line(store, begun.token, filling), begun.token)
    with pytest.raises(EnvironmentFault, match="would have more than"):
        store.append(line(store, begun.token, filling), begun.token)
    raw = store.read()
    # What ends a rollout has room all the same: 64 KiB are kept for it.
    assert MAX_JOURNAL - 2 * 64 * 1024 < len(raw) <= MAX_JOURNAL - 64 * 1024
    assert chain.read(raw, "j").torn == b""
    assert store.append(line(store, begun.token, "small"), begun.token)


def test_word_to_abort_needs_a_rollout(store):
    with pytest.raises(InputError, match="there is no ConfigMap"):
        store.ask_abort("enough")


def test_word_to_abort_does_not_hold_up_the_journal(stub, store, begun):
    stub.faults.append(Fault("PATCH", "journal", do=lambda _: store.ask_abort("enough")))
    assert store.append(line(store, begun.token, "one"), begun.token)
    assert store.asked_abort() == "enough"
    assert whys(store) == ["so", "one"]


def test_while_one_acts_the_next_holder_waits_and_then_takes_it_for_dead(store, begun):
    with store.fenced(begun):
        taken = store.acquire("guard", 60, over=begun.token)
        began = time.monotonic()
        with store.fenced(taken):
            assert time.monotonic() - began >= 0.5
    with store.fenced(taken):
        pass


def test_the_next_holder_goes_on_as_soon_as_the_one_before_is_done(stub, store, begun):
    patient = replace(store, patience=30.0)
    within, done = threading.Event(), threading.Event()

    def act():
        with patient.fenced(begun):
            within.set()
            done.wait(10)

    thread = threading.Thread(target=act)
    thread.start()
    assert within.wait(10)
    taken = patient.acquire("guard", 60, over=begun.token)
    threading.Timer(0.3, done.set).start()
    began = time.monotonic()
    with patient.fenced(taken):
        assert time.monotonic() - began < 5
    thread.join()
    assert "model-gates.io/acting" not in stub.get("leases", "mg-credit")["metadata"]["annotations"]


def test_signs_of_life_go_on_while_something_is_done(store, begun):
    with store.fenced(begun):
        assert store.renew(begun).beat == 1


def test_an_annotation_that_somebody_breaks_is_a_fault_and_no_crash(stub, store, begun):
    def broken(found):
        found["metadata"]["annotations"]["model-gates.io/beat"] = "many"

    stub.edit("leases", "mg-credit", broken)
    with pytest.raises(EnvironmentFault, match="not as it was written"):
        store.lease()


def test_a_cluster_that_cannot_be_written_to_lets_nobody_in(stub, store, begun):
    stub.faults.append(Fault("PATCH", ".", status=500, times=50))
    with pytest.raises(EnvironmentFault, match="500"):
        store.append(line(store, begun.token), begun.token)
    with pytest.raises(EnvironmentFault, match="500"):
        store.acquire("guard", 60, over=begun.token)


def test_others_that_are_faster_every_time_are_named_as_that(stub, store, begun):
    number = iter(range(1000))

    def touch(name, plural):
        def change(stub):
            value = {"n": str(next(number))}
            stub.edit(plural, name, lambda found: found["metadata"].update(labels=value))

        return change

    journal = Fault("PATCH", "journal", do=touch("mg-credit-journal", "configmaps"), times=8)
    stub.faults.append(journal)
    with pytest.raises(EnvironmentFault, match="others changed the rollout's state each time"):
        store.append(line(store, begun.token, "one"), begun.token)
    assert whys(store) == ["so"]
    stub.faults.append(Fault("PATCH", "leases", do=touch("mg-credit", "leases"), times=8))
    with pytest.raises(EnvironmentFault, match="each time"):
        store.acquire("guard", 60, over=begun.token)
    assert store.lease().holder == "ann"


def test_who_takes_over_and_cannot_reach_the_journal_still_holds_the_lease(stub, store, begun):
    """Or nobody would, and no guard would watch what is left."""
    stub.faults.append(Fault("PATCH", "journal", status=500))
    with pytest.raises(EnvironmentFault, match="500"):
        store.acquire("guard", 60, over=begun.token)
    held = store.lease()
    assert (held.holder, held.token) == ("guard", begun.token + 1)
    with pytest.raises(Fenced):
        store.append(line(store, begun.token, "late"), begun.token)
    assert store.append(line(store, held.token, "mine"), held.token)
    kept = stub.get("configmaps", "mg-credit-journal")["metadata"]["annotations"]
    assert kept["model-gates.io/token"] == str(held.token)


def test_two_that_begin_the_first_journal_at_once(stub, store):
    lease = store.acquire("ann", 60)
    second = line(store, lease.token, "second", first=True)
    first = line(store, lease.token, "first", first=True)
    stub.faults.append(Fault("POST", "configmaps", do=lambda _: store.begin(first, lease.token)))
    store.begin(second, lease.token)
    assert whys(store) == ["second"]
    assert list(store.earlier()) == [first]


def test_a_beginning_whose_answer_got_lost_is_not_put_away(stub, store, begun):
    second = line(store, begun.token, "second", first=True)
    stub.faults.append(Fault("PATCH", "journal", lost=True))
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        store.begin(second, begun.token)
    store.begin(second, begun.token)
    assert whys(store) == ["second"]
    assert len(list(store.earlier())) == 1
