"""What every test gets: reproducible property tests, and a policy for components that are missing."""

import os
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a machine that is busy is not a defect. No luck: CI fails twice on the same commit.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
# `make fuzz`: luck is what it is about, in as many rounds as there is time for.
settings.register_profile("fuzz", parent=settings.get_profile("default"), derandomize=False)
_LONG = "fuzz" if os.environ.get("MODEL_GATES_FUZZ_SECONDS") else None
settings.load_profile(_LONG or ("ci" if os.environ.get("CI") else "default"))

# The names under which a component may be installed, the best first.
REAL_COMPONENTS = {
    "act": ("act",),
    "check-jsonschema": ("check-jsonschema",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "cmark-gfm": ("cmark-gfm",),
    "dockerd": ("dockerd",),
    "faketime": ("faketime",),
    "haproxy": ("haproxy",),
    "prometheus": ("prometheus",),
    "unshare": ("unshare",),
    "zizmor": ("zizmor",),
}
# No program, but what the system lets a program have: asked for by having it.
NAMESPACES = "namespaces"


def find_real(component):
    """Return the path of a component's program, or None; our own environment comes first."""
    if component == NAMESPACES:
        return _namespaces()
    # What only an administrator starts is not on everybody's path.
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
    path = os.pathsep.join(folders)
    found = (shutil.which(name, path=path) for name in REAL_COMPONENTS[component])
    return next((name for name in found if name), None)


@cache
def _namespaces():
    """Return the program that was shut in wholly, or None."""
    from gates.cage.caged import Cage, Limits, caged

    here = Path(__file__).parent
    ended = caged([sys.executable, "-c", ""], cwd=here, writes=[], limits=Limits())
    whole = Cage(network=True, processes=True, files=True, memory=True)
    return sys.executable if ended.cage == whole else None


def require_real(component):
    """Return the path of a component's program, or skip; where all must be there, fail."""
    if program := find_real(component):
        return program
    reason = f"{component}: there is no such thing here"
    if os.environ.get("MODEL_GATES_REQUIRE_REAL") == "1":
        pytest.fail(f"{reason}, and MODEL_GATES_REQUIRE_REAL=1", pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item):
    """Hold a test marked `requires_real("chromium")` to the policy before its fixtures run."""
    for mark in item.iter_markers("requires_real"):
        for component in mark.args:
            require_real(component)


@pytest.fixture(scope="session")
def real():
    """Return a function from a component's name to the path of its program, by the same policy."""
    return require_real
