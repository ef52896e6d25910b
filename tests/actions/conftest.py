"""What the runs of workflows share: our actions as a checkout has them, and one installation.

The installer is tested by itself and in the quickstart. Every other job gets a Python whose `venv`
is an environment that was installed once, file for file: pip finds in it all that is locked.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.actions.test_quickstart_act import make_repository

ROOT = Path(__file__).parents[2]
WRAPPER = """#!/usr/bin/env bash
if [[ "$*" == "-I -m venv "* ]]; then
  exec cp -al -- '{prepared}' "$4"
fi
exec '{python}' "$@"
"""


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """Our actions without a developer's .venv and caches, which act would copy for every step."""
    folder = tmp_path_factory.mktemp("suite")
    for name in ("actions", "gates", "reporters"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "action.yml", folder)
    return folder


@pytest.fixture(scope="session")
def prepared(suite, tmp_path_factory):
    """Install `core` once; return the folder of a Python that makes its copies."""
    place = tmp_path_factory.mktemp("prepared")
    environment = os.environ | {"RUNNER_TEMP": str(place)}
    command = [suite / "actions/install.sh", "core", sys.executable]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    venv = Path(done.stdout.strip()).parents[1]
    # What a run imports is compiled once, here, and not in every copy.
    make_repository(place / "repository", "", wrong=40)
    for command in (["./predict.sh"], [venv / "bin/python", "-I", "-m", "gates", "run"]):
        subprocess.run(command, cwd=place / "repository", check=True, capture_output=True)
    # The copies are links: what the installer writes anew may not be there already.
    for path in (*venv.glob(".has-*"), *venv.rglob("model_gates.pth")):
        path.unlink()
    (place / "bin").mkdir()
    wrapper = place / "bin/python3"
    wrapper.write_text(WRAPPER.format(prepared=venv, python=sys.executable), "utf-8")
    wrapper.chmod(0o755)
    return wrapper.parent
