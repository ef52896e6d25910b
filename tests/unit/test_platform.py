"""Where Model Gates runs, and what it says where it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gates.__main__ import unfit_platform


@pytest.mark.parametrize(
    ("platform", "fit"),
    [("linux", True), ("darwin", True), ("freebsd14", True), ("win32", False), ("cygwin", False)],
)
def test_a_platform_that_will_not_do_is_told(platform, fit):
    said = unfit_platform(platform)
    assert (said is None) is fit
    assert fit or "WSL" in said


def test_on_windows_nothing_is_begun(tmp_path):
    """Told before anything is read, whatever was asked."""
    code = "import sys; from gates.__main__ import main; sys.platform = 'win32'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: Model Gates does not run on Windows.")
    assert list(tmp_path.iterdir()) == []
