"""Who descends from a process: what the cage counts, and ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gates.cage.family import descendants, processes, together

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")

GRANDCHILD = """
import os, sys, time
if os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
os.wait()
"""


def test_children_and_theirs_are_found_while_they_live():
    command = [sys.executable, "-c", GRANDCHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        grandchild = int(child.stdout.readline())
        found = descendants()
        assert {child.pid, grandchild} <= set(found) <= set(processes())
        assert os.getpid() not in found
        assert os.getppid() not in found
        assert min(found[child.pid], found[grandchild]) > 2**20
        # The two are copies, and share most of what they have.
        both = {pid: found[pid] for pid in (child.pid, grandchild)}
        assert 2**20 < together(both) < sum(both.values())
        os.kill(grandchild, 9)
        child.wait()
    assert not {child.pid, grandchild} & set(descendants())


def test_one_that_ended_meanwhile_counts_as_it_was_seen():
    assert together({2**22 + 1: 4096}) == 4096
    assert together({}) == 0
