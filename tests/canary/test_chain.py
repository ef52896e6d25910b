"""A journal tells when a line was changed, moved or taken out, and forgives what a crash left."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.canary import chain
from gates.canary.chain import Record
from gates.errors import Refused


def journal(count, body=None):
    raw, prev = b"", chain.START
    for seq in range(1, count + 1):
        record = Record(
            seq=seq, rollout="credit-1", kind="note", act="", by="ann", at="2026-01-01T00:00:00",
            token=1, body=body or {"why": f"the {seq}th"}, prev=prev,
        )  # fmt: skip
        raw, prev = raw + record.line(), record.hash
    return raw


def test_what_was_written_is_read():
    found = chain.read(journal(3), "j")
    assert [one.seq for one in found.records] == [1, 2, 3]
    assert found.head == found.records[-1].hash
    assert found.torn == b""


def test_an_empty_journal_holds_nothing():
    assert chain.read(b"", "j").head == chain.START


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_torn_last_line_is_dropped_and_shown(cut):
    whole = journal(3)
    found = chain.read(whole[:-cut], "j")
    assert len(found.records) == 2
    assert found.torn == journal(3)[len(journal(2)) : -cut]


def _changed(raw):
    return raw.replace(b"the 2th", b"the 9th")


def _moved(raw):
    one, two, three, _ = raw.split(b"\n")
    return b"\n".join([one, three, two, b""])


def _taken_out(raw):
    one, _, three, _ = raw.split(b"\n")
    return b"\n".join([one, three, b""])


def _resealed(raw):
    one, two, three, _ = raw.split(b"\n")
    found = json.loads(two)
    found.pop("hash")
    forged = Record(**{**found, "body": {"why": "another"}}).line().rstrip(b"\n")
    return b"\n".join([one, forged, three, b""])


def _spaced(raw):
    return raw.replace(b'"kind":"note"', b'"kind": "note"', 1)


@pytest.mark.parametrize("tamper", [_changed, _moved, _taken_out, _resealed, _spaced])
def test_a_journal_that_was_tampered_with_is_refused(tamper):
    with pytest.raises(Refused, match="does not follow"):
        chain.read(tamper(journal(3)), "j")


def test_a_first_line_that_is_torn_leaves_an_empty_journal():
    assert chain.read(journal(1)[:-5], "j").records == ()


def test_a_line_follows_only_upon_the_last():
    two, three = journal(2), journal(3)
    line = three[len(two) :]
    assert chain.follows(two, line, "j") == three
    assert chain.follows(journal(1), line, "j") is None
    assert chain.follows(three, line, "j") is None


def test_a_line_takes_the_place_of_what_was_torn():
    two, three = journal(2), journal(3)
    line = three[len(two) :]
    assert chain.follows(two + line[:17], line, "j") == three


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(junk):
    with suppress(Refused):
        chain.read(junk, "j")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_changed_byte_goes_unseen(at, value):
    raw = journal(3)
    at %= len(raw)
    changed = raw[:at] + bytes([value]) + raw[at + 1 :]
    if changed == raw:
        return
    try:
        found = chain.read(changed, "j")
    except Refused:
        return
    # The last line's own end: then it counts as torn.
    assert len(found.records) < 3
