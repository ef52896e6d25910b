"""Kill -9 while a baseline is registered or a report is written: the old state or the new, whole.

A real child process does the work and is killed by the kernel: from within, just before its n-th
call that changes the disk, for every n, so that each gap between two calls is tried; and from
outside, wherever it happens to be. The children of one test are forked by a process that has
imported what they need, and has done nothing yet.
"""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE

import pytest

from gates.baselines.ledger import Answer
from gates.baselines.local import Store
from gates.record import Content, Evaluated, Predicted, Registration, Sketched

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")

ROOT = Path(__file__).parents[2]
MADE = Registration(at="2026-01-02T03:04:05Z", by="ana", tool="model-gates 0")
MOST_CALLS = 200
NEW = b"new" * 1_000_000

# A profiler sees each call into C just before it happens: also the write to a file that has been
# opened, and so emptied. Nothing of the product is replaced.
KILLER = """
import json, os, signal, sys, traceback
from pathlib import Path

CHANGES = {"chmod", "fsync", "mkdir", "remove", "rename", "replace", "rmdir", "unlink", "write"}
calls = 0

def on_call(frame, event, function):
    global calls
    if event == "c_call" and function.__name__ in CHANGES:
        calls += 1
        if calls == AT:
            os.kill(os.getpid(), signal.SIGKILL)

def start():
    sys.setprofile(on_call)
"""

# For each line that it reads it forks a child, which does the work, and says how that ended.
FORK = """
for line in sys.stdin:
    AT, *arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            work(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

REGISTER = """
import filelock
from test_baseline_kill import MADE, described
from gates.baselines.local import Store

def work(root, path, kept):
    store, source = Store(Path(root), "credit"), Path(path)
    content = described(source, sketch=kept == "a sketch")
    start()
    store.register(content, source, MADE, alias="champion")
"""

REGISTER_IN_A_LOOP = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
from test_baseline_kill import MADE, described
from gates.baselines.local import Store

store, source = Store(Path(sys.argv[3]), "credit"), Path(sys.argv[4])
print("ready", flush=True)
for number in range(1_000_000):
    source.write_bytes(f"{sys.argv[5]} {number}".encode() * 50_000)
    store.register(described(source), source, MADE, alias="champion")
"""

REPORT = """
from gates.atomic import write_atomic

def work(path):
    start()
    write_atomic(Path(path), b"new" * 1_000_000)
"""

ANSWER = """
import filelock
from test_baseline_kill import SET, answer
from gates.baselines.local import Store

def work(root):
    store = Store(Path(root), "credit")
    start()
    store.answer(SET, answer(2), by="ana")
"""

SET = "sha256:" + "1" * 64


def answer(number):
    candidate = f"sha256:{number:064x}"
    return Answer(at="2026-01-02T03:04:05Z", candidate=candidate, verdict="pass", blocked=False)


def described(path, *, sketch=False):
    sha256 = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    kept = {"predictions": Predicted(digest=sha256, sha256=sha256, rows=3)}
    if sketch:
        kept = {"sketch": Sketched(digest=sha256, sha256=sha256, by="id", blocks=0, entries=1)}
    return Content(
        model="credit",
        task="binary",
        label="y",
        evaluation=Evaluated(digest="sha256:" + "0" * 64, rows=3, columns=("id", "y")),
        metrics_version=1,
        **kept,
    )


def register(store, path, data):
    path.write_bytes(data)
    return store.register(described(path), path, MADE, alias="champion")


@contextmanager
def killer(script):
    """Return a function: do the script's work until its n-th call; was it killed before its end?"""
    folders = [str(ROOT), str(Path(__file__).parent)]
    code = f"import sys; sys.path[:0] = {folders}\n{KILLER}\n{script}\n{FORK}"
    argv, pipes = [sys.executable, "-c", code], dict.fromkeys(("stdin", "stdout", "stderr"), PIPE)
    with subprocess.Popen(argv, text=True, **pipes) as parent:

        def killed(at, *arguments):
            print(json.dumps([at, *map(str, arguments)]), file=parent.stdin, flush=True)
            ended = parent.stdout.readline()
            if ended.strip() not in {"0", str(-signal.SIGKILL)}:
                parent.stdin.close()
                pytest.fail(f"a child ended with {ended!r}: {parent.stderr.read()}")
            return int(ended) != 0

        yield killed


def visible(store):
    return sorted(p.name for p in store.folder.iterdir() if p.name != ".lock")


def check_sound(store, old, new):
    """Hold the store against the records that may be there: the old ones, or the new one too."""
    there = [record.digest for record in store.versions()]
    assert there in (old, [*old, new])
    assert store.verify() == []
    if not store.aliases():
        assert not old
        return
    assert store.find("champion").record.digest in (*old[-1:], new)


def leave_behind(store):
    """Leave what an earlier kill may have left."""
    staging = store.folder / ".staging-dead"
    staging.mkdir()
    (staging / "record.json").write_text("{")
    (store.folder / ".aliases.json.dead").write_text("{")


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("nothing", "predictions"),
        ("a champion and leftovers", "predictions"),
        ("a champion and leftovers", "a sketch"),
    ],
)
def test_killed_at_every_call_of_register(tmp_path, before, kept):
    source, states = tmp_path / "p.parquet", set()
    with killer(REGISTER) as killed:
        for at in range(1, MOST_CALLS):
            store = Store(tmp_path / f"store-{at}", "credit")
            if before != "nothing":
                register(store, source, b"old" * 9)
                leave_behind(store)
            old = [record.digest for record in store.versions()]
            source.write_bytes(NEW)
            was_killed = killed(at, store.root, source, kept)

            content = described(source, sketch=kept == "a sketch")
            check_sound(store, old, content.digest)
            added = len(store.versions()) - len(old)
            states.add((added, store.aliases().get("champion", 0) - len(old)))
            if not was_killed:
                break
            again, made = store.register(content, source, MADE, alias="champion")
            assert (again.version, made) == (len(old) + 1, added == 0), "trying again makes it good"
            record, _ = register(store, source, b"next" * 9)
            assert record.version == len(old) + 2
            assert store.find("champion").record == record
            assert store.verify() == []
            assert not [name for name in visible(store) if name.startswith(".")], "leftovers stay"
    assert not was_killed, "the child never came to its end"
    assert at > 10, "the calls were not seen"
    # Untouched, the version there but not yet pointed at, and all of it: each was really met.
    assert states == {(0, 0), (1, 0), (1, 1)}


def test_killed_at_random_moments(tmp_path):
    store, source = Store(tmp_path / "store", "credit"), tmp_path / "p.parquet"
    chance = random.Random(7)  # noqa: S311  (any moment will do)
    register(store, source, b"first")
    for turn in range(12):
        before = store.versions()
        argv = [ROOT, Path(__file__).parent, store.root, tmp_path / "child.parquet", turn]
        child = subprocess.Popen(
            [sys.executable, "-c", REGISTER_IN_A_LOOP, *map(str, argv)], stdout=PIPE
        )
        assert child.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.0, 0.3))
        child.kill()
        child.communicate()

        after = store.versions()
        assert after[: len(before)] == before
        assert [record.version for record in after] == list(range(1, len(after) + 1))
        assert store.verify() == []
        assert store.aliases()["champion"] in (len(after) - 1, len(after))
        record, new = register(store, source, b"%d" % turn)
        assert (record.version, new) == (len(after) + 1, True)
        assert all(not name.startswith(".") for name in visible(store))
    assert len(store.versions()) > 1 + 12, "no child got as far as registering"


def test_killed_at_every_call_of_an_answer(tmp_path):
    states = set()
    with killer(ANSWER) as killed:
        for at in range(1, MOST_CALLS):
            store = Store(tmp_path / f"store-{at}", "credit")
            (first,) = store.answer(SET, answer(1), by="ana")
            was_killed = killed(at, store.root)
            answers = store.ledger.answers(SET)
            assert answers[:1] == (first,)
            states.add(len(answers))
            assert store.verify() == []
            if not was_killed:
                break
            assert len(store.answer(SET, answer(3), by="ana")) == len(answers) + 1
            assert not [name for name in visible(store) if name.startswith(".")], "leftovers stay"
    assert not was_killed, "the child never came to its end"
    assert at > 3, "the calls were not seen"
    assert states == {1, 2}


@pytest.mark.parametrize("old", [b"old" * 10, None])
def test_killed_at_every_call_of_writing_a_report(tmp_path, old):
    states = set()
    with killer(REPORT) as killed:
        for at in range(1, MOST_CALLS):
            path = tmp_path / str(at) / "report.json"
            path.parent.mkdir()
            if old:
                path.write_bytes(old)
            was_killed = killed(at, path)
            content = path.read_bytes() if path.exists() else None
            assert content in (old, NEW)
            states.add(content)
            if not was_killed:
                break
    assert not was_killed, "the child never came to its end"
    assert at > 3, "the calls were not seen"
    assert states == {old, NEW}
