"""The folder store: real files, a real lock, and damage of every kind."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from gates.baselines import registry
from gates.baselines.local import Move, Store, slug
from gates.baselines.registry import Options
from gates.errors import ConfigError, EnvironmentFault, InputError, Refused
from gates.record import Content, Evaluated, Predicted, Registration

DIGEST = "sha256:" + "0" * 64
MADE = Registration(at="2026-01-02T03:04:05Z", by="ana", tool="model-gates 0")
BY = {"by": "ana", "at": "2026-01-02T03:04:05Z"}


def content_of(path, model="credit"):
    sha256 = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    return Content(
        model=model,
        task="binary",
        label="défaut",
        evaluation=Evaluated(digest=DIGEST, rows=3, columns=("id", "défaut")),
        predictions=Predicted(digest=sha256, sha256=sha256, rows=3),
        metrics_version=1,
        metrics={"roc_auc": {"value": 1.0, "n": 3}, "brier": {"value": 1 / 3, "n": 3}},
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "baselines", "credit")


@pytest.fixture
def add(store, tmp_path):
    """Register a baseline whose predictions are these bytes."""

    def register(data, alias="champion"):
        path = tmp_path / "new.parquet"
        path.write_bytes(data)
        return store.register(content_of(path, store.model), path, MADE, alias=alias)

    return register


def in_store(store):
    return sorted(p.name for p in store.folder.iterdir() if p.name != ".lock")


def edit(path, change):
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")


# --- registering and finding


def test_a_registered_baseline_is_found_whole(store, add):
    record, new = add(b"PAR1 one")
    assert new
    assert record.version == 1
    assert record.digest == record.content.digest
    found = store.find("champion")
    assert (found.record, found.ref) == (record, "champion")
    assert found.kept.read_bytes() == b"PAR1 one"
    folder = f"v0001-{record.digest[7:19]}"
    assert found.kept == store.folder / folder / "predictions.parquet"
    assert in_store(store) == ["aliases.json", folder]
    assert store.verify() == []


def test_versions_count_up_and_the_alias_follows(store, add):
    records = [add(data)[0] for data in (b"a", b"b", b"c")]
    assert [record.version for record in records] == [1, 2, 3]
    assert store.versions() == records
    assert store.aliases() == {"champion": 3}
    assert [(m.version, m.previous) for m in store.moves()] == [(1, None), (2, 1), (3, 2)]
    assert store.verify() == []


def test_the_same_content_again_is_the_same_version_and_still_moves_the_alias(store, add):
    first, _ = add(b"a")
    add(b"b")
    again, new = add(b"a")
    assert (again, new) == (first, False)
    assert [record.version for record in store.versions()] == [1, 2]
    assert store.aliases() == {"champion": 1}
    before = (store.folder / "aliases.json").read_bytes()
    assert add(b"a") == (first, False)
    assert (store.folder / "aliases.json").read_bytes() == before, "no move, no line in the log"


def test_without_an_alias_none_moves(store, add):
    add(b"a", alias=None)
    assert store.aliases() == {}
    assert store.moves() == []
    assert not (store.folder / "aliases.json").exists()
    assert store.verify() == []


@pytest.mark.parametrize(
    "template",
    ["champion", "v2", "2", "v0002", "{digest}", "{digest:.13}", "{digest:.11}", "{hex:.8}"],
)
def test_every_kind_of_reference(store, add, template):
    add(b"a")
    record, _ = add(b"b")
    ref = template.format(digest=record.digest, hex=record.digest[7:].upper())
    assert store.find(ref).record == record
    assert store.find(ref).ref == ref


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "v3",
        "0",
        "99999999999",
        "٢",
        "challenger",
        "sha256:",
        "sha256:zz",
        "../v1",
        "abcdef",
        "v",
    ],
)
def test_an_unknown_reference_says_what_there_is(store, add, ref):
    add(b"a")
    with pytest.raises(InputError) as caught:
        store.find(ref)
    assert caught.value.exit_code == 3
    assert "names no baseline of 'credit'" in caught.value.message
    assert caught.value.where == str(store.folder)
    assert "champion, v1" in caught.value.hint


def test_a_misspelt_alias_gets_a_guess_and_a_wrong_long_digest_none(store, add):
    record, _ = add(b"a")
    with pytest.raises(InputError) as caught:
        store.find("champoin")
    assert caught.value.hint == "Did you mean 'champion'? There are: champion, v1."
    wrong = record.digest[:20] + ("0" if record.digest[20] != "0" else "1")
    with pytest.raises(InputError, match="names no baseline"):
        store.find(wrong)


def test_a_digest_too_short_to_tell_two_versions_apart(store, add, tmp_path):
    path, seen, twins = tmp_path / "search", {}, None
    for number in range(5000):
        path.write_bytes(str(number).encode())
        start = content_of(path).digest[:11]
        if twins := start in seen and (seen[start], number):
            break
        seen[start] = number
    for data in (b"x", *(str(number).encode() for number in twins)):
        add(data, alias=None)
    with pytest.raises(InputError, match="names several baselines") as caught:
        store.find(start)
    assert caught.value.hint == "There are: v2, v3."


def test_nothing_registered_says_how_to_register_and_makes_no_folder(tmp_path):
    store = Store(tmp_path / "none", "credit default")
    for ask in (lambda: store.find("champion"), lambda: store.point("champion", "v1", **BY)):
        with pytest.raises(InputError) as caught:
            ask()
        assert caught.value.message == "no baseline is registered for the model 'credit default'"
        assert "baseline register --model 'credit default' --predictions FILE" in caught.value.hint
    assert (store.versions(), store.aliases(), store.moves(), store.verify()) == ([], {}, [], [])
    assert not store.root.exists()


def test_predictions_other_than_described_are_refused_and_leave_nothing(store, add, tmp_path):
    add(b"a")
    path = tmp_path / "p.parquet"
    path.write_bytes(b"b")
    content = content_of(path)
    path.write_bytes(b"changed")
    before = in_store(store)
    with pytest.raises(InputError, match="not the one that was measured"):
        store.register(content, path, MADE, alias="champion")
    assert in_store(store) == before
    assert store.aliases() == {"champion": 1}


def test_a_baseline_of_another_model_is_not_taken(store, tmp_path):
    path = tmp_path / "p.parquet"
    path.write_bytes(b"b")
    with pytest.raises(InputError, match="another model"):
        store.register(content_of(path, "other"), path, MADE, alias=None)
    assert not store.root.exists()


def test_records_hold_their_bytes_and_digest(store, add):
    record, _ = add(b"a")
    path = store.folder / f"v0001-{record.digest[7:19]}" / "record.json"
    assert json.loads(path.read_bytes()) == record.model_dump(mode="json")
    assert path.read_bytes().endswith(b"\n")
    assert "défaut" in path.read_text("utf-8")


# --- aliases


def test_an_alias_is_moved_and_moved_back_and_the_log_shows_both(store, add):
    add(b"a")
    record, _ = add(b"b", alias=None)
    there = store.point("champion", "v2", by="ana", at="t1")
    back = store.point("champion", "v1", by="bo", at="t2")
    assert (there.version, there.previous) == (2, 1)
    assert (back.version, back.previous, back.by, back.at) == (1, 2, "bo", "t2")
    assert store.moves()[-2:] == [there, back]
    sealed = store.folder / f"v0002-{record.digest[7:19]}" / "record.json"
    assert there.record == "sha256:" + hashlib.sha256(sealed.read_bytes()).hexdigest()
    assert store.find("champion").record.version == 1
    assert store.verify() == []


def test_aliases_are_independent_and_can_follow_each_other(store, add):
    add(b"a", alias="champion")
    add(b"b", alias="challenger")
    assert store.point("shadow", "challenger", **BY).version == 2
    assert store.aliases() == {"challenger": 2, "champion": 1, "shadow": 2}


def test_pointing_where_it_points_is_not_a_move(store, add):
    add(b"a")
    moves = store.moves()
    same = store.point("champion", "v1", **BY)
    assert (same.version, same.previous) == (1, 1)
    assert store.moves() == moves


@pytest.mark.parametrize(
    "alias",
    ["", "v1", "17", "deadbeef", "sha256:abcd", "../x", "a/b", "a b", "é", "-x", "a" * 65, "a\n"],
)
def test_an_alias_that_could_be_something_else_is_refused(store, add, alias):
    add(b"a")
    with pytest.raises(ConfigError, match="can not be an alias"):
        store.point(alias, "v1", **BY)
    with pytest.raises(ConfigError, match="can not be an alias"):
        add(b"b", alias=alias)
    assert len(store.versions()) == 1


def test_an_alias_that_was_taken_away_is_gone_and_can_come_back(store, add):
    add(b"a")
    gone = {
        "at": "t",
        "by": "x",
        "alias": "champion",
        "version": None,
        "previous": 1,
        "record": None,
    }

    def take_away(data):
        data["moves"].append(gone)
        data["aliases"] = {}

    edit(store.folder / "aliases.json", take_away)
    assert store.aliases() == {}
    assert store.moves()[-1] == Move(**gone)
    assert store.point("champion", "v1", **BY).previous is None
    assert store.verify() == []


# --- tampering


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def in_record(**paths):
    def damage(path):
        def change(data):
            for place, value in paths.items():
                *outer, last = place.split("__")
                spot = data
                for key in outer:
                    spot = spot[key]
                spot[last] = value

        edit(path, change)

    return damage


def recomputed(**paths):
    """Change the content and give the record the digest that fits."""

    def damage(path):
        in_record(**paths)(path)
        content = json.loads(path.read_text("utf-8"))["content"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        in_record(digest="sha256:" + hashlib.sha256(text.encode()).hexdigest())(path)

    return damage


def as_link(path):
    outside = path.parents[3] / "elsewhere"
    path.rename(outside)
    path.symlink_to(outside)


def as_folder(path):
    path.unlink()
    path.mkdir()


R, P, A = "record.json", "predictions.parquet", "aliases.json"


DIGEST_WRONG = "does not match its own digest"
PLACE_WRONG = "belongs to another version or model"
EDITED = "edited after an alias was pointed at it"
NOT_PLAIN = "missing or not a regular file"
NOT_JSON = "is not JSON"
ASTRAY = "pointers that its own log does not lead to"
DAMAGE = {
    "predictions: one bit": (P, flip, "not what was registered"),
    "predictions: emptied": (P, lambda p: p.write_bytes(b""), "not what was registered"),
    "predictions: cut": (
        P,
        lambda p: p.write_bytes(p.read_bytes()[:-1]),
        "not what was registered",
    ),
    "predictions: longer": (
        P,
        lambda p: p.write_bytes(p.read_bytes() + b"x"),
        "not what was registered",
    ),
    "predictions: gone": (P, Path.unlink, NOT_PLAIN),
    "predictions: a link": (P, as_link, NOT_PLAIN),
    "predictions: a folder": (P, as_folder, NOT_PLAIN),
    "predictions: a pipe": (P, lambda p: (p.unlink(), os.mkfifo(p)), NOT_PLAIN),
    "record: a metric": (R, in_record(content__metrics__roc_auc__value=0.5), DIGEST_WRONG),
    "record: a count": (R, in_record(content__predictions__rows=4), DIGEST_WRONG),
    "record: a new key": (R, in_record(content__extra=1), DIGEST_WRONG),
    "record: its digest": (R, in_record(digest="sha256:" + "1" * 64), DIGEST_WRONG),
    "record: no digest": (R, in_record(digest=None), DIGEST_WRONG),
    "record: no content": (R, in_record(content=None), DIGEST_WRONG),
    "record: a list": (R, lambda p: p.write_bytes(b"[]"), DIGEST_WRONG),
    "record: content and digest": (R, recomputed(content__task="regression"), PLACE_WRONG),
    "record: its number": (R, in_record(version=2), PLACE_WRONG),
    "record: no number": (R, in_record(version=0), "is not a baseline's record"),
    "record: no registration": (R, in_record(registered=None), "is not a baseline's record"),
    "record: who registered it": (R, in_record(registered__by="mallory"), EDITED),
    "record: a space": (R, lambda p: p.write_bytes(p.read_bytes() + b" "), EDITED),
    "record: cut": (R, lambda p: p.write_bytes(p.read_bytes()[:-9]), NOT_JSON),
    "record: not text": (R, lambda p: p.write_bytes(b"\xff\xfe\xfd"), NOT_JSON),
    "record: too deep": (R, lambda p: p.write_bytes(b"[" * 200_000), NOT_JSON),
    "record: emptied": (R, lambda p: p.write_bytes(b""), NOT_JSON),
    "record: gone": (R, Path.unlink, NOT_PLAIN),
    "record: a link": (R, as_link, NOT_PLAIN),
    "aliases: a pointer": (A, in_record(aliases__champion=7), ASTRAY),
    "aliases: no pointers": (A, in_record(aliases={}), ASTRAY),
    "aliases: one more": (A, in_record(aliases__other=1), ASTRAY),
    "aliases: no log": (A, in_record(moves=[]), ASTRAY),
    "aliases: a line gone": (A, lambda p: edit(p, lambda d: d["moves"].pop(0)), ASTRAY),
    "aliases: a stray key": (
        A,
        lambda p: edit(p, lambda d: d["moves"][0].update(x=1)),
        "not an alias log",
    ),
    "aliases: nobody": (
        A,
        lambda p: edit(p, lambda d: d["moves"][0].update(by=None)),
        "not an alias log",
    ),
    "aliases: odd schema": (A, in_record(schema="new"), "not an alias log"),
    "aliases: a list": (A, lambda p: p.write_bytes(b"[]"), "not an alias log"),
    "aliases: cut": (A, lambda p: p.write_bytes(p.read_bytes()[:-9]), NOT_JSON),
    "aliases: merge conflict": (
        A,
        lambda p: p.write_bytes(b"<<<<<<< HEAD\n" + p.read_bytes()),
        NOT_JSON,
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused_by_name_and_noted(store, add, case):
    file, damage, message = DAMAGE[case]
    add(b"PAR1 one " * 9)
    add(b"PAR1 two " * 9)
    store.point("champion", "v1", **BY)
    store.point("champion", "v2", **BY)
    damage(store.folder / A if file == A else store.find("v1").kept.with_name(file))
    with pytest.raises(Refused, match=message) as caught:
        store.find("v1")
    assert caught.value.exit_code == 5
    assert file in caught.value.where
    assert "baseline verify" in caught.value.hint
    problems = store.verify()
    assert len(problems) == 1
    assert message in problems[0]
    assert file in problems[0]


def test_damage_to_one_version_spares_the_others(store, add):
    first, _ = add(b"a")
    add(b"b")
    (store.folder / f"v0001-{first.digest[7:19]}" / P).write_bytes(b"x")
    assert store.find("champion").record.version == 2
    with pytest.raises(Refused):
        add(b"a")
    with pytest.raises(Refused):
        store.point("champion", "v1", **BY)
    assert store.aliases() == {"champion": 2}


def test_a_broken_log_stops_a_writer_before_it_writes(store, add):
    add(b"a")
    (store.folder / A).write_bytes(b"{")
    with pytest.raises(Refused, match="is not JSON"):
        add(b"b")
    assert len(store.versions()) == 1


def test_a_record_copied_from_another_model_is_refused(store, add, tmp_path):
    record, _ = add(b"a")
    other = Store(store.root, "other")
    other.root.joinpath("other").mkdir()
    store.folder.joinpath(f"v0001-{record.digest[7:19]}").rename(
        other.folder / f"v0001-{record.digest[7:19]}"
    )
    with pytest.raises(Refused, match="belongs to another version or model"):
        other.find("v1")


def test_verify_names_gaps_dangling_aliases_twins_and_strays(store, add):
    for data in (b"a", b"b", b"c", b"d"):
        add(data, alias=None)
    add(b"b")
    names = [store.folder / f"v{r.version:04d}-{r.digest[7:19]}" for r in store.versions()]
    for path in (names[0], names[1]):
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()
    twin = store.folder / "v0004-0123456789ab"
    twin.mkdir()
    (names[2] / "notes.txt").write_text("x")
    (store.folder / "v1").mkdir()
    (store.folder / "v0009-0123456789ab").symlink_to(names[2])
    (store.folder / ".DS_Store").write_text("x")
    assert store.verify() == [
        f"{store.folder}/v0003-{names[2].name[6:]}/notes.txt: is not part of the store",
        f"{store.folder}/v0009-0123456789ab: is not part of the store",
        f"{store.folder}/v1: is not part of the store",
        f"{store.folder}: no version between v0 and v2",
        f"{store.folder}: version 2 is missing, yet an alias was pointed at it",
        f"{store.folder}: version 4 is there twice",
    ]
    with pytest.raises(Refused, match="version 2 is missing"):
        store.find("champion")


def test_a_far_number_is_one_gap_and_no_long_wait(store, add):
    add(b"a")
    (store.folder / "v999999999-0123456789ab").mkdir()
    (store.folder / "v0000-0123456789ab").mkdir()
    stray, gap, missing = store.verify()
    assert stray == f"{store.folder}/v0000-0123456789ab: is not part of the store"
    assert gap == f"{store.folder}: no version between v1 and v999999999"
    assert "record.json is missing" in missing


def test_a_number_is_never_given_twice(store, add):
    add(b"a")
    add(b"b")
    gone = store.find("v2").kept.parent
    for inner in gone.iterdir():
        inner.unlink()
    gone.rmdir()
    assert add(b"c", alias=None)[0].version == 3


def test_a_newer_schema_asks_for_an_upgrade(store, add):
    add(b"a")
    path = store.find("v1").kept.with_name(R)
    original = path.read_bytes()
    in_record(content__schema_version=2)(path)
    for ask in (lambda: store.find("v1"), store.versions):
        with pytest.raises(
            InputError, match=r"record\.json was written by a newer version"
        ) as caught:
            ask()
        assert caught.value.hint == "Upgrade Model Gates."
    assert len(store.verify()) == 1
    path.write_bytes(original)
    in_record(schema=2)(store.folder / A)
    with pytest.raises(InputError, match=r"aliases\.json was written by a newer version"):
        store.aliases()


def test_line_ends_that_git_changed_are_not_damage(store, add):
    add(b"a")
    for path in (store.folder / A, store.find("v1").kept.with_name(R)):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert store.verify() == []


# --- names


HOSTILE = [
    "../x",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "CON",
    "con",
    "nul",
    "com1",
    "lpt9",
    "Credit",
    "credit default",
    "crédit",
    "信用",
    "a\0b",
    "a\nb",
    "x" * 65,
    "x" * 10_000,
    "trailing.",
    "-dash",
    "$(id)",
    "C:",
    "a--b",
    "\ud800",
    "🙂",
]


@pytest.mark.parametrize("model", HOSTILE, ids=ascii)
def test_a_hostile_name_stays_inside_and_is_safe_everywhere(tmp_path, model):
    name = slug(model)
    assert name.isascii()
    assert name == name.lower()
    assert len(name) <= 64
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-_")
    assert Store(tmp_path, model).folder.parent == tmp_path
    assert "--" in name


@pytest.mark.parametrize("model", ["credit-default", "a", "fraud_v2", "console", "com10", "x" * 64])
def test_a_plain_name_stays_as_it_is(model):
    assert slug(model) == model


def test_no_two_names_share_a_folder():
    names = [*HOSTILE, *(slug(model) for model in HOSTILE), "credit", "CREDIT", "credit-default"]
    assert len({slug(name) for name in set(names)}) == len(set(names))


def test_a_hostile_name_works_end_to_end(tmp_path):
    store = Store(tmp_path / "s", "../Crédit | x")
    path = tmp_path / "p.parquet"
    path.write_bytes(b"a")
    store.register(content_of(path, store.model), path, MADE, alias="champion")
    assert store.find("champion").record.content.model == "../Crédit | x"
    assert store.verify() == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.parquet", "s"]


# --- the surroundings


def test_a_file_where_a_folder_should_be_is_an_environment_fault(tmp_path):
    (tmp_path / "file").write_text("x")
    path = tmp_path / "p.parquet"
    path.write_bytes(b"a")
    for root in (tmp_path / "file", tmp_path / "file" / "deeper"):
        store = Store(root, "credit")
        register = lambda store=store: store.register(content_of(path), path, MADE, alias=None)  # noqa: E731
        for ask in (register, store.versions, store.verify, lambda store=store: store.find("v1")):
            with pytest.raises(EnvironmentFault) as caught:
                ask()
            assert caught.value.exit_code == 4
            assert str(root) in caught.value.where


def test_predictions_that_can_not_be_read_are_an_environment_fault(store, add, tmp_path):
    path = tmp_path / "p.parquet"
    path.write_bytes(b"a")
    content = content_of(path)
    path.unlink()
    with pytest.raises(EnvironmentFault) as caught:
        store.register(content, path, MADE, alias=None)
    assert caught.value.where == str(path)
    assert in_store(store) == []


def test_a_read_only_folder_is_an_environment_fault(store, add):
    add(b"a")
    store.folder.chmod(0o555)
    if os.access(store.folder, os.W_OK):
        pytest.skip("this user can write anywhere")
    try:
        with pytest.raises(EnvironmentFault, match="can not be used"):
            add(b"b")
    finally:
        store.folder.chmod(0o755)
    assert store.verify() == []


@pytest.mark.parametrize("signed", ["ci-bot, process 7 on host-1", None])
def test_a_held_lock_names_the_holder(store, add, signed):
    add(b"a")
    impatient = Store(store.root, store.model, patience=0.2)
    taken, done = threading.Event(), threading.Event()

    def hold():
        with FileLock(store.folder / ".lock"):
            if signed:
                (store.folder / ".lock-holder").write_text(signed)
            taken.set()
            done.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    taken.wait(30)
    try:
        with pytest.raises(EnvironmentFault) as caught:
            impatient.point("champion", "v1", **BY)
    finally:
        done.set()
        other.join()
    assert caught.value.message == f"the store is being written to by {signed or 'someone else'}"
    assert "0.2 s" in caught.value.hint
    assert store.find("champion").record.version == 1, "readers need no lock"
    assert add(b"b")[0].version == 2


def test_the_holder_signs_while_it_writes_and_leaves_no_trace(store):
    (store.folder / ".staging-dead").mkdir(parents=True)
    with store._writing("ana"):
        signed = (store.folder / ".lock-holder").read_text("utf-8")
        assert in_store(store) == [".lock-holder"], "a full disk is relieved first"
    assert signed.startswith(f"ana, process {os.getpid()} on ")
    assert in_store(store) == []


def test_leftovers_are_ignored_by_readers_and_removed_by_the_next_writer(store, add):
    add(b"a")
    before = in_store(store)
    staging = store.folder / ".staging-0011"
    staging.mkdir()
    (staging / R).write_text("{")
    (store.folder / ".aliases.json.tmp1").write_text("{")
    (store.folder / ".lock-holder").write_text("dead")
    assert store.find("champion").record.version == 1
    assert store.verify() == []
    store.point("champion", "v1", **BY)
    assert in_store(store) == before


WRITER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from test_baselines_local import MADE, content_of
from gates.baselines.local import Store

root, own = Path(sys.argv[3]), sys.argv[4]
for i in range(3):
    path = root.parent / f"{own}-{i}"
    path.write_bytes(f"{own}-{i}".encode())
    Store(root, "credit").register(content_of(path), path, MADE, alias="champion")
"""


def test_writers_at_the_same_time_get_consecutive_versions(store):
    here = Path(__file__)
    argv = [sys.executable, "-c", WRITER, str(here.parents[2]), str(here.parent), str(store.root)]
    writers = [
        subprocess.Popen([*argv, str(number)], stderr=subprocess.PIPE) for number in range(8)
    ]
    for writer in writers:
        _, stderr = writer.communicate(timeout=120)
        assert (writer.returncode, stderr) == (0, b"")
    assert [record.version for record in store.versions()] == list(range(1, 25))
    assert len({record.digest for record in store.versions()}) == 24
    assert len(store.moves()) == 24
    assert store.aliases() == {"champion": 24}
    assert store.verify() == []


# --- the registry


def test_a_plain_path_is_a_folder_store_relative_to_the_start(tmp_path):
    opened = registry.open_store("a/b", "credit", start=tmp_path)
    assert opened == Store(tmp_path / "a" / "b", "credit")
    assert registry.open_store("a/b", "credit").root == Path("a/b")
    assert registry.open_store(str(tmp_path), "credit", start=Path("x")).root == tmp_path
    assert Options().open("credit", tmp_path).root == tmp_path / ".model-gates" / "baselines"


@pytest.mark.parametrize(
    "path", ["C:\\models", "./a:b", ".model-gates/baselines", "gitlab", "a/b:c"]
)
def test_what_only_looks_like_a_scheme_is_a_folder(path):
    assert registry.open_store(path, "credit").root == Path(path)


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        ("s3://user:secret@bucket/x", "s3"),
        ("S3://bucket", "s3"),
        ("mlflow:credit", "mlflow"),
        ("git+main", "git"),
        ("git+ssh://host/x", "git"),
        ("file:///x", "file"),
    ],
)
def test_a_kind_of_store_that_there_is_not(store, kind):
    with pytest.raises(ConfigError) as caught:
        registry.open_store(store, "credit")
    assert caught.value.message == f"there is no store of the kind {kind!r}"
    assert caught.value.hint.startswith("There is: a folder.")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("store", ["", "  ", "a\0b"])
def test_a_store_that_names_no_folder(store):
    with pytest.raises(ConfigError, match="not the name of a folder"):
        registry.open_store(store, "credit")
