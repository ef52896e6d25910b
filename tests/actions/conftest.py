"""What the runs of workflows share: our actions as a checkout has them, and one installation.

The installer is tested by itself, and in the quickstart that passes. Every other job gets a Python
whose `venv` is an environment that was installed once: its packages are links to that one's.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.actions.test_quickstart_act import make_repository
from tests.once import once

ROOT = Path(__file__).parents[2]
# Makes an environment of one that is there, as `python -I -m venv FOLDER` makes an empty one. Its
# packages are links, but for the line that names our checkout: the installer writes that anew.
WRAPPER = """#!/usr/bin/env bash
set -eu
if [[ "$*" != "-I -m venv "* ]]; then
  exec '{python}' "$@"
fi
mkdir -p -- "$4/bin" "$4/{packages}"
cp -P -- '{prepared}/bin/'python* "$4/bin"
cp -- '{prepared}/pyvenv.cfg' "$4"
shopt -s nullglob
for has in '{prepared}/'.has-*; do cp -- "$has" "$4"; done
ln -s -- lib "$4/lib64"
ln -s -- '{prepared}/{packages}/'* "$4/{packages}"
rm -f -- "$4/{packages}/model_gates.pth"
"""


def write_wrapper(folder, venv):
    """Write a `python3` whose environments are as `venv` is; return the folder that it is in."""
    packages = next((venv / "lib").glob("python*/site-packages")).relative_to(venv)
    wrapper = folder / "bin/python3"
    wrapper.parent.mkdir()
    script = WRAPPER.format(prepared=venv, packages=packages, python=sys.executable)
    wrapper.write_text(script, "utf-8")
    wrapper.chmod(0o755)
    return wrapper.parent


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """Our actions without a developer's .venv and caches, which act would copy for every step."""
    return once(tmp_path_factory, "suite", make_suite)


def make_suite(folder):
    for name in ("actions", "gates", "reporters"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "action.yml", folder)
    # act gives its copies new times, for which bytecode that looks at them would be out of date.
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run([*command, folder / "gates", folder / "reporters"], check=True)


@pytest.fixture(scope="session")
def prepared(suite, tmp_path_factory):
    """Install `core` once; return the folder of a Python that makes its copies."""

    def make(place):
        # What a run imports is compiled once, here, and not in every job.
        environment = os.environ | {"RUNNER_TEMP": str(place), "PYTHONDONTWRITEBYTECODE": ""}
        command = [suite / "actions/install.sh", "core", sys.executable]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        venv = Path(done.stdout.strip()).parents[1]
        make_repository(place / "repository", "", wrong=40)
        for command in (["./predict.sh"], [venv / "bin/python", "-I", "-m", "gates", "run"]):
            subprocess.run(
                command, cwd=place / "repository", env=environment, check=True, capture_output=True
            )
        write_wrapper(place, venv)

    return once(tmp_path_factory, "prepared", make) / "bin"


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """Make an environment with pip and nothing else once; return a Python that makes its copies."""

    def make(place):
        command = [sys.executable, "-I", "-m", "venv", place / "venv"]
        subprocess.run(command, check=True, capture_output=True)
        write_wrapper(place, place / "venv")

    return once(tmp_path_factory, "bare", make) / "bin/python3"
