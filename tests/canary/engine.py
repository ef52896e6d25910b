"""A Docker engine of the tests' own: its data in a folder, its socket a file, no network."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

_PATIENCE = 30
# The best first; the second works where the folder is itself on an overlay.
_DRIVERS = ("overlay2", "vfs")


@contextlib.contextmanager
def running(program):
    """Yield the address of an engine that runs until the end."""
    # Short, because the names of sockets are.
    folder = Path(tempfile.mkdtemp(prefix="mg-", dir="/tmp"))
    try:
        yield f"unix://{_started(program, folder)}"
    finally:
        _stop(folder)
        _as_root("umount", folder / "exec" / "netns" / "default", check=False)
        _as_root("rm", "-rf", "--one-file-system", folder, check=False)


def allowed():
    """Return whether we may start an engine, ourselves or with sudo."""
    try:
        _as_root("true")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _started(program, folder):
    for driver in _DRIVERS:
        if _try(program, folder, driver):
            return folder / "docker.sock"
        _stop(folder)
    raise RuntimeError((folder / "log").read_text()[-3000:])


def _try(program, folder, driver):
    argv = [
        *_root(), program, "--data-root", folder / driver, "--exec-root", folder / "exec",
        "--pidfile", folder / "pid", "--host", f"unix://{folder}/docker.sock",
        "--group", str(os.getgid()), "--storage-driver", driver, "--iptables=false",
        "--ip6tables=false", "--ip-forward=false", "--bridge=none",
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    _PROCESSES[folder] = process
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(folder / "docker.sock"):
            return True
        time.sleep(0.1)
    return False


_PROCESSES = {}


def _answers(path):
    import docker

    if not path.exists():
        return False
    client = None
    try:
        client = docker.APIClient(base_url=f"unix://{path}", version="1.41", timeout=5)
        return client.ping()
    except Exception:  # noqa: BLE001  (whatever it says, it is not ready yet)
        return False
    finally:
        if client is not None:
            client.close()


def _stop(folder):
    """End the engine, and no process but this one; its containers end with it."""
    process = _PROCESSES.pop(folder, None)
    if process is None or process.poll() is not None:
        return
    with contextlib.suppress(OSError, ValueError):
        _as_root("kill", "-TERM", (folder / "pid").read_text().strip(), check=False)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _as_root(*argv, check=True):
    subprocess.run([*_root(), *map(str, argv)], check=check, capture_output=True)


def _root():
    return [] if os.geteuid() == 0 else [shutil.which("sudo") or "sudo", "--non-interactive"]
