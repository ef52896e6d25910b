"""The C library is asked to keep memory, and left alone where it cannot."""

import gc
import platform
import subprocess
import sys

import pytest

from gates.allocator import collect_seldom, keeps

FAULTS = """
import resource
from gates.allocator import keep_freed_memory
import numpy as np
assert keep_freed_memory()
def work():
    for _ in range(20):
        np.ones(2_000_000) + np.ones(2_000_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_arrays_are_used_again():
    found = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, check=True)
    # Without the setting each of the 60 arrays of 16 MB would bring 3,900 pages of its own.
    assert int(found.stdout) < 4000


@pytest.mark.parametrize(("answer", "kept"), [(1, True), (0, False)])
def test_it_is_told_whether_the_library_agreed(answer, kept):
    asked = []

    class Library:
        def mallopt(self, name, value):
            asked.append(name)
            return answer

    assert keeps(Library()) is kept
    assert len(asked) == 3


def test_a_library_without_the_setting_is_left_alone():
    assert keeps(object()) is False


def test_cycles_are_looked_for_seldom_and_still():
    usual = gc.get_threshold()
    try:
        collect_seldom()
        assert gc.isenabled()
        assert gc.get_threshold()[0] > 10 * usual[0]
    finally:
        gc.set_threshold(*usual)
