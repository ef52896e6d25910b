"""The journal and the lease in S3: one object, changed by compare-and-swap alone."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from moto import mock_aws

from gates.canary.chain import START, Record, read
from gates.canary.faults import Fenced, Locked
from gates.canary.stores.s3 import MAX_JOURNAL, S3Store
from gates.errors import EnvironmentFault
from tests.canary.sagemaker_cloud import session

BUCKET = "rollouts"


@pytest.fixture
def s3():
    with mock_aws():
        client = session().client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def store(s3):
    return S3Store(client=s3, bucket=BUCKET, folder="model-gates/credit", patience=0.2)


class Interrupted:
    """A client whose next write is preceded, or followed, by something else, or answers nothing."""

    def __init__(self, client):
        self.client, self.before, self.after, self.puts = client, [], [], 0
        self.serial = threading.Lock()

    def get_object(self, **request):
        with self.serial:
            return self.client.get_object(**request)

    def put_object(self, **request):
        self.puts += 1
        if self.before:
            self.before.pop(0)()
        with self.serial:
            answer = self.client.put_object(**request)
        if self.after:
            self.after.pop(0)()
        return answer


def line(number, prev=START, token=1, body=None):
    return Record(
        seq=number, rollout="r", kind="note", act="start", by="ci", at="2026-11-26T12:00:00+00:00",
        token=token, prev=prev, body=body or {},
    )  # fmt: skip


def begun(store):
    lease = store.acquire("first", 60)
    first = line(1)
    store.begin(first.line(), lease.token)
    return lease, first


def test_nothing_there_is_nothing_held(store):
    assert store.read() == b""
    assert store.lease() is None
    assert store.asked_abort() is None
    assert list(store.earlier()) == []


def test_a_journal_grows_line_by_line_and_is_a_chain(store):
    lease, first = begun(store)
    second = line(2, first.hash)
    assert store.append(second.line(), lease.token)
    assert read(store.read(), "journal").records == (first, second)


def test_a_line_that_does_not_follow_is_not_added(store):
    lease, _ = begun(store)
    before = store.read()
    assert not store.append(line(2, "f" * 64).line(), lease.token)
    assert store.read() == before


def test_who_comes_second_is_told_who_holds_it(store):
    store.acquire("first", 60)
    with pytest.raises(Locked, match="first"):
        store.acquire("second", 60)


def test_only_the_holder_that_was_seen_is_pushed_aside(store):
    first = store.acquire("first", 60)
    second = store.acquire("guard", 60, over=first.token)
    assert second.token == first.token + 1
    with pytest.raises(Locked):
        store.acquire("third", 60, over=first.token)


def test_who_was_pushed_aside_can_write_nothing_more(store):
    lease, first = begun(store)
    store.acquire("guard", 60, over=lease.token)
    before = store.read()
    with pytest.raises(Fenced, match="guard"):
        store.append(line(2, first.hash).line(), lease.token)
    with pytest.raises(Fenced):
        store.renew(lease)
    with pytest.raises(Fenced):
        store.begin(line(1).line(), lease.token)
    with pytest.raises(Fenced), store.fenced(lease):
        pytest.fail("it was not ours")
    assert store.read() == before


def test_a_lease_taken_between_read_and_write_is_noticed(store, s3):
    lease, first = begun(store)
    client = Interrupted(s3)
    stale = S3Store(client=client, bucket=BUCKET, folder=store.folder)
    client.before = [lambda: store.acquire("guard", 60, over=lease.token)]
    with pytest.raises(Fenced, match="guard"):
        stale.append(line(2, first.hash).line(), lease.token)
    assert read(store.read(), "journal").records == (first,)


def test_two_that_append_at_once_do_not_lose_a_line(store, s3):
    lease, first = begun(store)
    second, other = line(2, first.hash), line(2, first.hash, body={"other": True})
    client = Interrupted(s3)
    slow = S3Store(client=client, bucket=BUCKET, folder=store.folder)
    client.before = [lambda: store.append(other.line(), lease.token)]
    assert not slow.append(second.line(), lease.token)
    assert read(store.read(), "journal").records == (first, other)


def test_a_write_whose_answer_was_lost_is_not_made_twice(store, s3):
    lease, first = begun(store)
    client = Interrupted(s3)
    repeated = S3Store(client=client, bucket=BUCKET, folder=store.folder)
    second = line(2, first.hash)
    key = f"{store.folder}/state"

    def again():
        # As the client of AWS does: the same bytes, the same condition, which holds no more.
        tag = s3.head_object(Bucket=BUCKET, Key=key)["ETag"]
        raise s3.exceptions.ClientError({"Error": {"Code": "PreconditionFailed"}}, f"Put {tag}")

    client.after = [again]
    assert repeated.append(second.line(), lease.token)
    assert read(store.read(), "journal").records == (first, second)
    assert client.puts == 1


def test_an_acquisition_whose_answer_was_lost_is_ours_even_if_another_wrote_since(store, s3):
    client = Interrupted(s3)
    repeated = S3Store(client=client, bucket=BUCKET, folder=store.folder)

    def again():
        store.ask_abort("since then")
        raise s3.exceptions.ClientError({"Error": {"Code": "PreconditionFailed"}}, "Put")

    client.after = [again]
    lease = repeated.acquire("first", 60)
    assert (lease.token, store.lease().holder) == (1, "first")
    assert store.asked_abort() == "since then"


def test_of_many_that_try_at_once_one_wins(s3):
    client = Interrupted(s3)
    store = S3Store(client=client, bucket=BUCKET, folder="model-gates/credit")

    def attempt(number):
        try:
            return store.acquire(f"run {number}", 60)
        except Locked:
            return None

    with ThreadPoolExecutor(8) as pool:
        won = [lease for lease in pool.map(attempt, range(16)) if lease]
    assert [lease.token for lease in won] == [1]
    assert store.lease().holder == won[0].holder


def test_a_store_that_ignores_conditions_is_not_trusted_with_a_lock(s3):
    class Careless(Interrupted):
        def put_object(self, **request):
            return self.client.put_object(
                **{key: value for key, value in request.items() if not key.startswith("If")}
            )

    store = S3Store(client=Careless(s3), bucket=BUCKET, folder="model-gates/credit")
    with pytest.raises(EnvironmentFault, match="ignores the conditions"):
        store.acquire("first", 60)


def test_a_sign_of_life_counts_up_and_brings_its_own_ttl(store):
    lease = store.acquire("first", 60)
    again = store.renew(lease)
    assert (again.beat, again.ttl) == (1, 60)
    assert store.lease() == again


def test_what_was_let_go_is_free_and_its_token_stays_behind(store):
    lease = store.acquire("first", 60)
    store.release(lease)
    assert store.lease() is None
    assert store.acquire("second", 60).token == lease.token + 1
    store.release(lease)
    assert store.lease().holder == "second"


def test_word_to_abort_is_left_by_anybody_and_ends_with_the_next_rollout(store):
    lease, first = begun(store)
    store.ask_abort("errors rise")
    assert store.asked_abort() == "errors rise"
    store.append(line(2, first.hash).line(), lease.token)
    assert store.asked_abort() == "errors rise"
    store.begin(line(1, body={"next": True}).line(), lease.token)
    assert store.asked_abort() is None


def test_earlier_journals_are_kept_the_newest_first(store):
    lease, _ = begun(store)
    for number in range(3):
        store.begin(line(1, body={"rollout": number}).line(), lease.token)
    bodies = [read(raw, "earlier").records[0].body for raw in store.earlier()]
    assert bodies == [{"rollout": 1}, {"rollout": 0}, {}]


def test_what_is_done_holds_another_off_until_it_is_done(store):
    lease = store.acquire("first", 60)
    with store.fenced(lease):
        guard = store.acquire("guard", 60, over=lease.token)
        with store.fenced(guard):
            pass  # the first one is waited for, and then taken for dead
    state = json.loads(store._bytes(f"{store.folder}/state")[0].split(b"\n")[0])
    assert state["acting"] == 0


def test_a_damaged_object_is_no_empty_journal(store, s3):
    store.acquire("first", 60)
    s3.put_object(Bucket=BUCKET, Key=f"{store.folder}/state", Body=b"{not json")
    with pytest.raises(EnvironmentFault, match="not as it was written"):
        store.read()


def test_a_journal_beyond_its_limit_is_not_written(store, s3):
    lease, first = begun(store)
    prev = first.hash
    raw = first.line()
    number = 1
    while len(raw) < MAX_JOURNAL:
        number += 1
        record = line(number, prev, body={"pad": "x" * 60_000})
        raw, prev = raw + record.line(), record.hash
    *head, last = raw.splitlines(keepends=True)
    state, tag = store._bytes(f"{store.folder}/state")
    whole = state.split(b"\n")[0] + b"\n" + b"".join(head)
    s3.put_object(Bucket=BUCKET, Key=f"{store.folder}/state", Body=whole, IfMatch=tag)
    with pytest.raises(EnvironmentFault, match="more than"):
        store.append(last, lease.token)


def test_a_bucket_that_is_not_there_is_a_fault_and_no_empty_journal(s3):
    store = S3Store(client=s3, bucket="no-such-bucket", folder="x")
    with pytest.raises(EnvironmentFault, match="NoSuchBucket"):
        store.read()
