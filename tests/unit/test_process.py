"""`gates.process` with real programs: what they may see, and that nothing of them stays."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gates import process
from gates.errors import EnvironmentFault
from gates.process import MAX_OUTPUT, environment, run

# What a program may see although nobody passed it on: the C library and the test's own start.
OWN = {"LC_CTYPE", "PWD", "SHLVL", "_", "__CF_USER_TEXT_ENCODING"}


def python(code, tmp_path, *arguments, timeout=20.0, **options):
    argv = [sys.executable, "-I", "-c", code, *arguments]
    return run(argv, cwd=tmp_path, timeout=timeout, **options)


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come true in time"
        time.sleep(0.02)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Killed and not yet reaped by whoever inherited it: it runs no more.
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_exit_code_and_both_outputs_come_back(tmp_path):
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    finished = python(code, tmp_path)
    assert finished.returncode == 3
    assert finished.output == "out\nerr\n"


def test_it_runs_in_the_folder_that_was_named(tmp_path):
    finished = python("import os; print(os.getcwd())", tmp_path)
    assert Path(finished.output.strip()) == tmp_path.resolve()


def test_a_program_that_a_signal_ended_says_so(tmp_path):
    finished = python("import os; os.kill(os.getpid(), 9)", tmp_path)
    assert finished.returncode == -signal.SIGKILL


def test_there_is_nobody_to_ask(tmp_path):
    assert python("import sys; print(repr(sys.stdin.read()))", tmp_path).output == "''\n"


@pytest.mark.parametrize("text", ["$HOME", "; echo leaked", "`id`", "a b", "*", "--flag", ""])
def test_no_shell_reads_the_arguments(text, tmp_path):
    finished = python("import sys; print(sys.argv[1:])", tmp_path, text)
    assert finished.output == f"{[text]}\n"


SECRETS = (
    "GITHUB_TOKEN",
    "GITHUB_ENV",
    "GITHUB_OUTPUT",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "AWS_SECRET_ACCESS_KEY",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HTTPS_PROXY",
    "PYTHONSTARTUP",
    "SECRET_OF_TOMORROW",
)


def test_no_secret_leaks(tmp_path, monkeypatch):
    for name in SECRETS:
        monkeypatch.setenv(name, "/hunter2")
    finished = python("import os; print(dict(os.environ))", tmp_path)
    assert finished.returncode == 0
    assert "PATH" in finished.output
    assert [name for name in SECRETS if name in finished.output] == []
    assert "hunter2" not in finished.output


def test_a_program_sees_what_is_listed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    finished = python("import os; print('\\n'.join(os.environ))", tmp_path)
    seen = set(finished.output.split())
    assert {"PATH", "TMPDIR"} <= seen
    assert seen <= {*process.PASSED_ON, *OWN}


def test_what_is_kept_or_given_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("WANTED", "kept")
    monkeypatch.setenv("UNWANTED", "dropped")
    code = "import os; print(os.environ['WANTED'], os.environ['GIVEN'], 'UNWANTED' in os.environ)"
    finished = python(code, tmp_path, env={"GIVEN": "given"}, keep=("WANTED", "NOT_SET"))
    assert finished.output == "kept given False\n"


def test_environment_is_pure():
    ours = {"PATH": "/bin", "GITHUB_TOKEN": "t", "MODEL": "m"}
    assert environment(ours) == {"PATH": "/bin"}
    assert environment(ours, keep=("MODEL", "MISSING")) == {"PATH": "/bin", "MODEL": "m"}


def test_a_program_that_hangs_is_stopped(tmp_path):
    started = time.monotonic()
    with pytest.raises(EnvironmentFault, match=r"did not end within 0\.5 s") as caught:
        python("import time; time.sleep(60)", tmp_path, timeout=0.5)
    assert time.monotonic() - started < 10
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_closing_its_output_does_not_stop_the_clock(tmp_path):
    code = "import os, time; os.close(1); os.close(2); time.sleep(60)"
    with pytest.raises(EnvironmentFault, match="did not end within"):
        python(code, tmp_path, timeout=0.5)


def test_a_program_may_close_its_output_and_work_on(tmp_path):
    code = "import os, time; print('x', flush=True); os.close(1); os.close(2); time.sleep(0.2)"
    finished = python(code, tmp_path)
    assert (finished.returncode, finished.output) == (0, "x\n")


GRANDCHILD = """
import pathlib, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("pid.new").write_text(str(grandchild.pid))
pathlib.Path("pid.new").rename("pid")
print("begun", flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_a_grandchild_is_stopped_with_a_program_that_hangs(tmp_path):
    with pytest.raises(EnvironmentFault):
        python(GRANDCHILD, tmp_path, "60", timeout=3)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


def test_a_grandchild_does_not_outlive_a_program_that_ends(tmp_path):
    started = time.monotonic()
    finished = python(GRANDCHILD, tmp_path, "0")
    assert time.monotonic() - started < 15, "waited for the grandchild, which holds the pipe"
    assert (finished.returncode, finished.output) == (0, "begun\n")
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


def test_one_that_fled_its_group_and_floods_the_pipe_delays_nobody(tmp_path):
    code = """
import os, pathlib, sys, time
if os.fork() == 0:
    os.setsid()
    pathlib.Path("pid").write_text(str(os.getpid()))
    while True:
        os.write(1, b"x" * 65536)
while not pathlib.Path("pid").exists():
    time.sleep(0.01)
"""
    started = time.monotonic()
    finished = python(code, tmp_path)
    assert finished.returncode == 0
    assert time.monotonic() - started < 10
    # Nobody reads the pipe any more, and so its next write ends it.
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_running(pid))


def test_of_a_flood_the_end_is_kept_and_the_rest_counted(tmp_path):
    code = """
import sys
for _ in range(300):
    sys.stdout.write("x" * 65536)
print("the last words")
"""
    finished = python(code, tmp_path)
    first, _, rest = finished.output.partition("\n")
    left_out = 300 * 65536 + len("the last words\n") - MAX_OUTPUT
    assert first == f"[the first {left_out:,} bytes of output were left out]"
    assert rest.endswith("xthe last words\n")
    assert len(rest.encode()) == MAX_OUTPUT


def test_output_that_fits_is_whole(tmp_path):
    finished = python(f"print('x' * {MAX_OUTPUT - 1})", tmp_path)
    assert finished.output == "x" * (MAX_OUTPUT - 1) + "\n"


def test_output_that_is_no_text_is_shown_as_well_as_can_be(tmp_path):
    code = r"import os; os.write(1, b'caf\xc3\xa9 \xff')"
    assert python(code, tmp_path).output == "café \N{REPLACEMENT CHARACTER}"


def make_script(folder, text, mode):
    script = folder / "script"
    script.write_text(text)
    script.chmod(mode)
    return str(script)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (lambda _: "no-such-program-here", "cannot start `no-such-program-here`: No such file"),
        (lambda _: "./none", "cannot start `./none`: No such file"),
        (lambda folder: make_script(folder, "#!/bin/sh\n", 0o600), "Permission denied"),
        (lambda folder: make_script(folder, "no program", 0o700), "Exec format error"),
        (lambda _: "x" * 500, "`: File name too long"),
    ],
    ids=["missing", "missing path", "not executable", "no program", "long name"],
)
def test_a_program_that_cannot_be_started(program, message, tmp_path):
    with pytest.raises(EnvironmentFault) as caught:
        run([program(tmp_path)], cwd=tmp_path, timeout=5)
    assert message in caught.value.message
    assert caught.value.exit_code == 4
    assert "PATH" in caught.value.hint


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path):
    gone = tmp_path / "gone"
    with pytest.raises(EnvironmentFault, match="no such folder") as caught:
        run([sys.executable, "-c", ""], cwd=gone, timeout=5)
    assert caught.value.where == str(gone)


def test_a_timeout_does_not_repeat_what_the_program_printed(tmp_path):
    code = "import time; print('a value of a row', flush=True); time.sleep(60)"
    with pytest.raises(EnvironmentFault) as caught:
        python(code, tmp_path, timeout=1)
    assert "a value of a row" not in str(caught.value)


def test_no_open_file_is_left_behind(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    python("", tmp_path)
    before = len(list(folder.iterdir()))
    for _ in range(3):
        python("print('x')", tmp_path)
    assert len(list(folder.iterdir())) == before
