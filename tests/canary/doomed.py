"""Commands that are killed at a line of their journal, each in a process of its own.

They are forked from a server that has everything imported, so that dozens of them take no minute.
"""

import multiprocessing
import os
import signal
import sys

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["gates.cli", "tests.canary.doomed", "docker", "numpy"])
_PATIENCE = 120


def command(words, at, do, log=os.devnull):
    """Run a command of `canary`, and `do` something when its n-th line has been written.

    `at` is None for every line. Returns the exit code, -9 for a process that was killed; what it
    said is in `log`.
    """
    process = _SERVER.Process(target=_run, args=(words, at, do, log))
    process.start()
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        raise AssertionError(f"`canary {' '.join(words)}` did not end within {_PATIENCE} s")
    return process.exitcode


def kill_self():
    """Be gone, as when a machine is switched off."""
    os.kill(os.getpid(), signal.SIGKILL)


class KillGuard:
    """Kills the process of the guard, which its engine will start again; then ourselves, if asked."""

    def __init__(self, engine, name, *, ourselves=False):
        self.engine, self.name, self.ourselves = engine, name, ourselves

    def __call__(self):
        import docker

        client = docker.APIClient(base_url=self.engine, version="auto", timeout=20)
        for one in client.containers():
            if any(self.name in name and "guard" in name for name in one["Names"]):
                pid = client.inspect_container(one["Id"])["State"]["Pid"]
                if pid:
                    os.kill(pid, signal.SIGKILL)
        if self.ourselves:
            kill_self()


def _run(words, at, do, log):
    from gates.canary.stores.files import FileStore

    written = [0]
    append = FileStore.append

    def watched(self, line, token):
        done = append(self, line, token)
        written[0] += done
        if done and at in (None, written[0]):
            do()
        return done

    FileStore.append = watched
    sys.argv = ["model-gates", f"--debug={log}.trace", "canary", *words]
    sys.stdout = sys.stderr = open(log, "a", encoding="utf-8")  # noqa: SIM115, PTH123
    from gates.__main__ import main

    main()
