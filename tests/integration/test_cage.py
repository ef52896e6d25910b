"""The cage, tried from within: a command that attacks, beside the same attacks without a cage.

Every attack is first seen to work where nothing holds it back; else its failure would say nothing.
What a machine can not be asked for is skipped by the policy for real components.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from gates.cage.caged import Cage, Ended, Limits, caged
from gates.errors import EnvironmentFault
from tests.poor import poor

ROOT = Path(__file__).parents[2]
CANARY = "canary9d41"
FILES = ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH")
WHOLE = Cage(network=True, processes=True, files=True, memory=True)

# What it finds it writes to where it may write; it is told where everything is, and need not guess.
HOSTILE = """
import glob, json, os, pathlib, signal, socket, sys, time

told = json.loads(sys.argv[1])
found = {}


def attempt(name):
    def now(attack):
        try:
            found[name] = attack()
        except Exception as error:
            found[name] = type(error).__name__
    return now


@attempt("tcp")
def _():
    socket.create_connection(("127.0.0.1", told["port"]), timeout=2).sendall(b"here")
    return "reached"


@attempt("unix")
def _():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(told["unix"])
    return "reached"


@attempt("abstract")
def _():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\\0" + told["abstract"])
    return "reached"


@attempt("secrets")
def _():
    seen = []
    for name in glob.glob("/proc/[0-9]*/environ"):
        try:
            seen += [pathlib.Path(name).read_bytes()]
        except OSError:
            pass
    return sum(told["canary"].encode() in text for text in seen)


@attempt("known")
def _():
    return sorted(name for name in os.environ if name.startswith(("GITHUB", "ACTIONS", "SECRET")))


@attempt("written")
def _():
    written = 0
    for path in [*told["files"], os.path.abspath(__file__)]:
        try:
            with open(path, "a") as file:
                file.write("# PWNED=1\\n")
            written += 1
        except OSError:
            pass
    return written


@attempt("daemon")
def _():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (0, 1, 2):
                os.close(number)
            time.sleep(0.5)
            pathlib.Path("out/late").write_text("late")
        os._exit(0)
    return "begun"


@attempt("parent")
def _():
    if told["kill"]:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(0.1)
    return "still here"


pathlib.Path("out/found.json").write_text(json.dumps(found))
"""

# The gates' side of it, as a process that has secrets.
JUDGE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from gates.cage.caged import Limits, caged

ended = caged(sys.argv[1:], cwd=Path.cwd(), writes=[Path("out")], limits=Limits(seconds=20))
print(json.dumps(asdict(ended)))
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path


def shut_in(code, folder, *arguments, **limits):
    (folder / "command.py").write_text(code)
    argv = [sys.executable, "command.py", *arguments]
    return caged(argv, cwd=folder, writes=[folder / "out"], limits=Limits(**limits))


def listening(family, address):
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    server.setblocking(False)
    return closing(server)


def calls(server):
    """How many have called since somebody looked."""
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


@pytest.fixture
def attack(folder, tmp_path_factory):
    """Return a function that lets the hostile command loose behind `prefix`, and what it did."""
    elsewhere = tmp_path_factory.mktemp("runner")
    planted = {name: elsewhere / name.lower() for name in FILES}
    for path in planted.values():
        path.write_text("ours\n")
    command = folder / "command.py"
    unix, abstract = elsewhere / "socket", f"model-gates-{os.getpid()}-{time.monotonic_ns()}"
    environ = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **{name: str(path) for name, path in planted.items()},
        **dict.fromkeys(("GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "SECRET_OF_OURS"), CANARY),
        "PYTHONPATH": str(ROOT),
    }

    def let_loose(*prefix, kill=False):
        command.write_text(HOSTILE)
        tcp = listening(socket.AF_INET, ("127.0.0.1", 0))
        paths = listening(socket.AF_UNIX, str(unix)), listening(socket.AF_UNIX, f"\0{abstract}")
        with tcp as one, paths[0] as two, paths[1] as three:
            told = {
                "port": one.getsockname()[1],
                "unix": str(unix),
                "abstract": abstract,
                "canary": CANARY,
                "files": [str(path) for path in planted.values()],
                "kill": kill,
            }
            done = subprocess.run(
                [*prefix, sys.executable, "command.py", json.dumps(told)],
                cwd=folder,
                env=environ,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            called = [calls(server) for server in (one, two, three)]
        unix.unlink()
        time.sleep(1)
        texts = [path.read_text() for path in planted.values()]
        late = (folder / "out" / "late").exists()
        found = json.loads((folder / "out" / "found.json").read_text())
        return done, found, {"called": called, "texts": texts, "late": late}

    return let_loose


def test_without_a_cage_every_attack_works(attack):
    _, found, effects = attack()
    assert found["tcp"] == found["unix"] == found["abstract"] == "reached"
    assert found["secrets"] >= 1
    assert set(found["known"]) >= {*FILES, "GITHUB_TOKEN"}
    assert found["written"] == 4
    assert effects == {"called": [1, 1, 1], "texts": ["ours\n# PWNED=1\n"] * 3, "late": True}


@pytest.mark.requires_real("namespaces")
def test_in_the_cage_no_attack_has_an_effect(attack, folder):
    done, found, effects = attack(sys.executable, "-c", JUDGE, kill=True)
    assert done.stderr == ""
    ended = json.loads(done.stdout)
    assert ended["cage"] == asdict(WHOLE)
    assert (ended["returncode"], ended["stopped"]) == (0, None), ended["output"]
    assert effects == {"called": [0, 0, 0], "texts": ["ours\n"] * 3, "late": False}
    assert (folder / "command.py").read_text() == HOSTILE
    assert found == {
        "tcp": "ConnectionRefusedError",
        "unix": "ConnectionRefusedError",
        "abstract": "ConnectionRefusedError",
        "secrets": 0,
        "known": [],
        "written": 0,
        "daemon": "begun",
        "parent": "still here",
    }


@pytest.mark.requires_real("namespaces", "unshare")
def test_a_machine_that_can_not_shut_in_says_so_and_ends_the_daemon_all_the_same(attack):
    done, found, effects = attack(*poor(), sys.executable, "-c", JUDGE)
    ended = json.loads(done.stdout)
    assert ended["cage"] == asdict(Cage(memory=True)), "only what was in force"
    assert ended["returncode"] == 0
    assert found["tcp"] == "reached", "the network was there, as the result says"
    assert found["known"] == []
    assert not effects["late"]


@pytest.mark.requires_real("namespaces", "unshare")
def test_root_needs_no_user_namespace(attack):
    done, found, effects = attack(*poor("user"), sys.executable, "-c", JUDGE, kill=True)
    assert json.loads(done.stdout)["cage"] == asdict(WHOLE)
    assert (found["written"], found["secrets"], found["tcp"]) == (0, 0, "ConnectionRefusedError")
    assert effects == {"called": [0, 0, 0], "texts": ["ours\n"] * 3, "late": False}


@pytest.mark.requires_real("namespaces", "unshare")
def test_where_a_command_can_kill_what_keeps_it_that_is_no_success(folder):
    code = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    done = subprocess.run(
        [*poor(), sys.executable, "-c", JUDGE, sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "broke before the command ended" in done.stderr


# --- limits ----------------------------------------------------------------------------------


def test_one_that_sleeps_for_ever_is_stopped_in_time(folder):
    started = time.monotonic()
    ended = shut_in("print('begun', flush=True)\nimport time; time.sleep(600)", folder, seconds=1)
    assert time.monotonic() - started < 10
    assert ended.stopped == "time"
    assert ended.output == "begun\n"


def test_a_gigabyte_of_output_is_read_and_its_end_kept(folder):
    code = "import os\nfor _ in range(1024): os.write(1, b'x' * 1024**2)\nos.write(1, b'the end')"
    ended = shut_in(code, folder, seconds=60)
    assert ended.returncode == 0
    assert ended.output.endswith("xthe end")
    assert len(ended.output) < 1.1 * 1024**2


@pytest.mark.requires_real("namespaces")
def test_more_memory_than_allowed_is_not_to_be_had(folder):
    ended = shut_in("x = bytearray(600 * 1024**2)", folder, memory_mib=512)
    assert (ended.returncode, ended.stopped) == (1, None)
    assert ended.output.endswith("MemoryError\n")
    fits = shut_in("x = bytearray(200 * 1024**2)", folder, memory_mib=512)
    assert fits.returncode == 0


@pytest.mark.requires_real("namespaces")
def test_nor_by_several_together(folder):
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        x = b"x" * (100 * 1024**2)
        time.sleep(60)
time.sleep(60)
"""
    started = time.monotonic()
    ended = shut_in(code, folder, memory_mib=256, seconds=30)
    assert ended.stopped == "memory"
    assert time.monotonic() - started < 20


@pytest.mark.requires_real("namespaces")
def test_pages_that_workers_share_are_counted_once(folder):
    code = """
import os, time
x = b"x" * (100 * 1024**2)
workers = [os.fork() for _ in range(4)] if os.getpid() else []
time.sleep(0.4)
"""
    assert shut_in(code, folder, memory_mib=256).stopped is None


@pytest.mark.requires_real("namespaces")
def test_a_fork_bomb_is_put_out(folder):
    # Of 512 processes at most, for the sake of the machine, should nothing put it out.
    code = "import os, time\nfor _ in range(9): os.fork()\ntime.sleep(60)"
    started = time.monotonic()
    ended = shut_in(code, folder, processes=40, seconds=30)
    assert ended.stopped == "processes"
    assert time.monotonic() - started < 20
    assert running("command.py", folder) == []


def test_a_file_larger_than_allowed_is_not_written(folder):
    code = "with open('out/huge', 'wb') as file:\n while True: file.write(b'x' * 1024**2)"
    ended = shut_in(code, folder, file_mib=8)
    assert ended.returncode == 1
    assert "File too large" in ended.output
    assert (folder / "out" / "huge").stat().st_size == 8 * 1024**2


def test_a_crash_leaves_no_core(folder):
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    assert shut_in(code, folder).output == "(0, 0)\n"


# --- what an honest command has ---------------------------------------------------------------


def test_it_has_its_folder_a_temporary_one_and_what_it_was_given(folder, monkeypatch):
    monkeypatch.setenv("MODEL_URI", "models:/1")
    code = """
import os, pathlib, sys, tempfile
pathlib.Path("out/made").write_text("made")
with tempfile.NamedTemporaryFile() as file:
    file.write(b"x")
print(os.environ["MODEL_URI"], sys.stdin.read() == "")
sys.exit(3)
"""
    (folder / "command.py").write_text(code)
    argv = [sys.executable, "command.py"]
    ended = caged(
        argv, cwd=folder, writes=[folder / "out"], limits=Limits(), keep=("MODEL_URI", "NOT_SET")
    )
    assert (ended.returncode, ended.output) == (3, "models:/1 True\n")
    assert (folder / "out" / "made").read_text() == "made"


def test_it_can_have_workers_that_share_memory_and_talk_over_a_loopback(folder):
    code = """
import multiprocessing, socket

def double(x):
    return 2 * x

if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        print(pool.map(double, [1, 2]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
"""
    ended = shut_in(code, folder)
    assert (ended.returncode, ended.output) == (0, "[2, 4]\n")


@pytest.mark.requires_real("namespaces")
def test_with_the_network_on_it_has_the_network_and_the_rest_holds(folder):
    with listening(socket.AF_INET, ("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        ended = shut_in(code, folder, network=True)
        assert calls(server) == 1
    assert ended.cage == Cage(network=False, processes=True, files=True, memory=True)


def test_a_signal_that_ended_it_is_told(folder):
    assert shut_in("import os; os.kill(os.getpid(), 9)", folder).returncode == -signal.SIGKILL
    assert shut_in("import os; os.abort()", folder).returncode == -signal.SIGABRT


def test_nothing_in_its_folder_is_imported_to_shut_it_in(folder):
    for name in ("json.py", "sitecustomize.py", "usercustomize.py", "gates.py"):
        (folder / name).write_text("open('out/imported', 'w')\nraise SystemExit('imported')")
    ended = caged(["true"], cwd=folder, writes=[folder / "out"], limits=Limits())
    assert (ended.returncode, ended.output) == (0, "")
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("program", ["no-such-program-here", "./command.py", "/etc"])
def test_a_command_that_can_not_be_started(program, folder):
    (folder / "command.py").write_text("no script, and not executable")
    with pytest.raises(EnvironmentFault, match="cannot start `") as caught:
        caged([program], cwd=folder, writes=[folder / "out"], limits=Limits())
    assert program in caught.value.message
    assert "PATH" in caught.value.hint


# --- what is left ----------------------------------------------------------------------------


def running(name, folder):
    """The processes that have `name` among their arguments and work in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            here = (process / "cwd").readlink()
        except OSError:
            continue
        if name.encode() in words and here == folder.resolve():
            found.append(int(process.name))
    return found


@pytest.mark.requires_real("namespaces")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_we_are_ended_so_is_the_command(number, folder):
    begun = folder / "out" / "begun"
    (folder / "command.py").write_text("import time; open('out/begun', 'w'); time.sleep(600)")
    ours = subprocess.Popen(
        [sys.executable, "-c", JUDGE, sys.executable, "command.py"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    wait_until(begun.exists)
    assert running("command.py", folder) != []
    ours.send_signal(number)
    ours.wait()
    wait_until(lambda: running("command.py", folder) == [])


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.02)


def test_nothing_of_ours_is_left_open_or_lying_about(folder, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    open_files = Path("/proc/self/fd")
    before = len(list(open_files.glob("*")))
    assert isinstance(shut_in("print(1)", folder), Ended)
    assert len(list(open_files.glob("*"))) == before
    assert sorted(path.name for path in folder.iterdir()) == ["command.py", "out"]
