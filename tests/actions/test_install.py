"""The installer: what it refuses, that it installs what is locked, and that nothing else runs."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gates import __version__

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "actions/install.sh"
BASH = shutil.which("bash")
NO_PYTHON = "No Python of 3.11 or newer is on PATH. Put actions/setup-python before this step."

CONFIG = """
version: 1
models:
  churn:
    task: binary
    data: {evaluation: holdout.csv, id: id, label: label}
    candidate: {predictions: predictions.csv}
    baseline: {store: .model-gates/baselines, alias: champion}
    gates:
      performance: {metrics: {accuracy: {max_drop: 0.02}}}
"""


def install(*arguments, cwd, script=INSTALL, without=(), **environment):
    """Run the installer, by default as outside of GitHub; `without` are variables to leave out."""
    left_out = {"GITHUB_ACTIONS", *without}
    ours = {name: value for name, value in os.environ.items() if name not in left_out}
    return subprocess.run(
        [BASH, script, *arguments],
        cwd=cwd,
        env=ours | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(done):
    """Return the message of an installer that refused, and printed no path."""
    assert (done.returncode, done.stdout) == (4, "")
    return done.stderr.splitlines()[-1]


def write_program(path, script):
    path.write_text(f"#!{BASH}\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path


def old_python(path):
    """Write a stand-in for an old Python: it answers what `-I -c` asks as if it were 3.10."""
    old = "import sys; sys.version_info = (3, 10, 14); exec(sys.argv[1])"
    return write_program(path, f"exec '{sys.executable}' -I -c '{old}' \"$3\"")


@pytest.mark.parametrize("system", ["MINGW64_NT-10.0-26100", "MSYS_NT-10.0", "CYGWIN_NT-10.0"])
def test_on_windows_it_says_so_at_once(tmp_path, system):
    write_program(tmp_path / "uname", f"echo {system}")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = install("core", cwd=tmp_path, PATH=path, RUNNER_TEMP=tmp_path / "temp")
    said = "Model Gates does not run on Windows: use a job with 'runs-on: ubuntu-latest'."
    assert refusal(done) == f"model-gates: {said}"
    assert not (tmp_path / "temp").exists()


@pytest.mark.parametrize(
    "requirements",
    ["nonsense", "../../pyproject", "--help", "$(touch pwned)", "co re", "core all\nx"],
)
def test_unknown_requirements_are_refused(tmp_path, requirements):
    done = install(requirements, cwd=tmp_path, RUNNER_TEMP=tmp_path / "temp")
    assert (done.returncode, done.stdout) == (4, "")
    text = f"model-gates: There is no lock for the requirements '{requirements}'.\n"
    assert done.stderr == text
    assert list(tmp_path.iterdir()) == []


def test_on_github_a_message_is_one_escaped_annotation(tmp_path):
    done = install("core\r\n::error::100%", cwd=tmp_path, GITHUB_ACTIONS="true")
    text = "There is no lock for the requirements 'core%0D%0A::error::100%25'."
    assert done.returncode == 4
    assert done.stderr == f"::error title=Model Gates::{text}\n"


def test_without_the_runners_folder_nothing_is_installed(tmp_path):
    for done in (
        install("core", cwd=tmp_path, without=["RUNNER_TEMP"]),
        install("core", cwd=tmp_path, RUNNER_TEMP=""),
    ):
        assert "RUNNER_TEMP is not set" in refusal(done)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    blocked = tmp_path / "a file"
    blocked.touch()
    done = install("core", sys.executable, cwd=tmp_path, RUNNER_TEMP=blocked)
    assert refusal(done) == "model-gates: RUNNER_TEMP cannot be written to."


@pytest.mark.parametrize("old", [(), ("python3",), ("python3", "python", "python3.11")])
def test_a_path_without_a_new_enough_python_is_refused(tmp_path, old):
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    for name in old:
        old_python(tmp_path / name)
    done = install("core", cwd=tmp_path, RUNNER_TEMP=tmp_path / "temp", PATH=tmp_path)
    assert refusal(done) == f"model-gates: {NO_PYTHON}"
    assert not (tmp_path / "temp").exists()


@pytest.mark.parametrize("wanted", ["./old", "no-such-python", "$(touch pwned)", "--version"])
def test_a_named_python_that_will_not_do_is_refused(tmp_path, wanted):
    old_python(tmp_path / "old")
    done = install("core", wanted, cwd=tmp_path, RUNNER_TEMP=tmp_path / "temp")
    assert refusal(done) == f"model-gates: {wanted} is not a Python of 3.11 or newer."
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def make_wheel(path):
    """Write the smallest wheel that pip installs."""
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("probe.py", "")
        wheel.writestr(
            "probe-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1\n"
        )
        wheel.writestr("probe-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("probe-1.dist-info/RECORD", "probe.py,,\n")


def make_source(path):
    """Write a source distribution that brings all its build needs; building leaves a trace."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n',
        "b.py": f"open({str(path.with_name('built'))!r}, 'w').close()\n",
    }
    with tarfile.open(path, "w:gz") as source:
        for name, text in files.items():
            member = tarfile.TarInfo(f"probe-1/{name}")
            member.size = len(text)
            source.addfile(member, io.BytesIO(text.encode()))


WHEEL, SOURCE = "probe-1-py3-none-any.whl", "probe-1.tar.gz"
RIGHT, WRONG, NONE = "--hash=sha256:{}", "--hash=sha256:0{:.63}", ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "name", "locked", "because", "message"),
    [
        (make_wheel, WHEEL, WRONG, "DO NOT MATCH THE HASHES", "not be installed"),
        (make_wheel, WHEEL, NONE, "Hashes are required", "not be installed"),
        (
            make_source,
            SOURCE,
            RIGHT,
            "No matching distribution found for probe==1",
            "not be installed",
        ),
        # The wheel is what was locked; but nothing that the command line imports came with it.
        (make_wheel, WHEEL, RIGHT, "No module named", "does not start"),
    ],
    ids=["another hash", "no hash", "it has to be built", "it does not start"],
)
def test_what_is_not_as_locked_is_refused(tmp_path, bare, make, name, locked, because, message):
    script, files = tmp_path / "checkout/actions/install.sh", tmp_path / "files"
    lock = script.parent / "requirements/core.txt"
    for folder in (files, lock.parent):
        folder.mkdir(parents=True)
    shutil.copy(INSTALL, script)
    make(files / name)
    digest = hashlib.sha256((files / name).read_bytes()).hexdigest()
    lock.write_text(f"probe==1 {locked.format(digest)}\n", "utf-8")
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": files, "RUNNER_TEMP": tmp_path / "temp"}
    done = install("core", str(bare), cwd=tmp_path, script=script, **local)
    assert message in refusal(done)
    assert because in done.stderr
    assert list((tmp_path / "temp").rglob(".has-*")) == []
    assert [path.name for path in files.iterdir()] == [name]


FORGE = """
import json, pathlib, sys, zipfile
from pip._internal.cache import SimpleWheelCache
from pip._internal.models.link import Link

cache, wheel, digest = sys.argv[1:]
link = Link(pathlib.Path(wheel).as_uri())
folder = pathlib.Path(SimpleWheelCache(cache).get_path_for_link(link))
folder.mkdir(parents=True)
origin = {"url": link.url, "archive_info": {"hashes": {"sha256": digest}}}
(folder / "origin.json").write_text(json.dumps(origin))
with zipfile.ZipFile(wheel) as true, zipfile.ZipFile(folder / "probe-1-py3-none-any.whl", "w") as bad:
    for name in true.namelist():
        bad.writestr(name, "FORGED = True" if name == "probe.py" else true.read(name))
"""


@pytest.mark.slow
def test_a_wheel_that_lies_in_a_cache_is_not_believed(tmp_path, bare):
    """What pip built, it said, and kept for the next job: its hash is what its neighbour claims."""
    script, files, cache = (
        tmp_path / "checkout/actions/install.sh",
        tmp_path / "files",
        tmp_path / "c",
    )
    lock = script.parent / "requirements/core.txt"
    for folder in (files, lock.parent):
        folder.mkdir(parents=True)
    shutil.copy(INSTALL, script)
    make_wheel(files / WHEEL)
    digest = hashlib.sha256((files / WHEEL).read_bytes()).hexdigest()
    lock.write_text(f"probe==1 {RIGHT.format(digest)}\n", "utf-8")
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": files, "PIP_CACHE_DIR": cache}
    job = {**local, "RUNNER_TEMP": tmp_path / "temp"}
    install("core", str(bare), cwd=tmp_path, script=script, **job)
    (python,) = (tmp_path / "temp/model-gates").glob("*/bin/python")

    forge = [python, "-I", "-c", FORGE, cache, files / WHEEL, digest]
    subprocess.run(forge, check=True)
    pip = [python, "-I", "-m", "pip", "install", "--quiet", "--require-hashes", "--target", "x"]
    given = os.environ | {name: str(value) for name, value in local.items()}
    subprocess.run([*pip, "--requirement", lock], cwd=tmp_path, env=given, check=True)
    assert (tmp_path / "x/probe.py").read_text("utf-8") == "FORGED = True", "pip believes it"

    install("core", str(bare), cwd=tmp_path, script=script, **job)
    (probe,) = python.parents[1].rglob("site-packages/probe.py")
    assert probe.read_text("utf-8") == ""


@dataclass(frozen=True)
class Installed:
    """An environment that the installer made in a hostile workspace, and how it was called."""

    python: Path
    temp: Path
    workspace: Path
    environment: dict

    def again(self, *arguments):
        return install(*(arguments or ["core"]), cwd=self.workspace, **self.environment)

    def has(self):
        """Return the locks that are installed."""
        return {path.name.removeprefix(".has-") for path in self.python.parents[1].glob(".has-*")}

    def gates(self, *arguments):
        command = [self.python, "-I", "-m", "gates", *arguments]
        return subprocess.run(
            command,
            cwd=self.workspace,
            env=self.hostile(),
            capture_output=True,
            text=True,
            check=False,
        )

    def hostile(self):
        return os.environ | {name: str(value) for name, value in self.environment.items()}

    def executed(self):
        """Return which of the workspace's modules have been run."""
        return {path.name for path in (self.workspace / "executed").iterdir()}


def make_workspace(folder):
    """Make a workspace as a pull request could leave it: its modules stand in for ours."""
    (folder / "executed").mkdir(parents=True)
    for module in (
        *("gates/__init__.py", "gates/__main__.py", "pip/__init__.py", "pip/__main__.py"),
        *("sitecustomize.py", "usercustomize.py", "venv.py", "ensurepip.py", "hashlib.py"),
        *("typer.py", "yaml.py", "pydantic.py", "numpy.py", "duckdb.py"),
    ):
        trace = folder / "executed" / module.split("/")[0]
        (folder / module).parent.mkdir(exist_ok=True)
        (folder / module).write_text(f"open({str(trace)!r}, 'w').close()\n", "utf-8")
    (folder / "pip.conf").write_text("[global]\nno-index = true\n", "utf-8")
    (folder / "model-gates.yml").write_text(CONFIG, "utf-8")
    (folder / "holdout.csv").write_text("id,label\n" + "0,0\n1,1\n" + "2,0\n3,1\n", "utf-8")
    (folder / "predictions.csv").write_text("id,prediction\n0,0\n1,1\n2,0\n3,1\n", "utf-8")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install `core` once, where the workspace is hostile and the first Python on PATH is old."""
    place = tmp_path_factory.mktemp("job")
    make_workspace(place / "workspace")
    (place / "bin").mkdir()
    old_python(place / "bin/python3")
    write_program(place / "bin/python", f'exec "{sys.executable}" "$@"')
    environment = {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": place / "workspace",
        "RUNNER_TEMP": place / "temp",
    }
    done = install("core", cwd=place / "workspace", **environment)
    assert done.returncode == 0, done.stderr
    (python,) = done.stdout.splitlines()
    return Installed(Path(python), place / "temp", place / "workspace", environment)


@pytest.mark.slow
def test_it_prints_the_python_of_an_environment_of_its_own(installed):
    assert installed.python.is_relative_to(installed.temp / "model-gates")
    asked = "import sys; print(sys.prefix, sys.version_info >= (3, 11))"
    command = [installed.python, "-I", "-c", asked]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == f"{installed.python.parents[1]} True\n"


@pytest.mark.slow
def test_what_is_installed_is_what_is_locked(installed):
    command = [installed.python, "-I", "-m", "pip", "freeze"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    lock = (ROOT / "actions/requirements/core.txt").read_text("utf-8")
    locked = {line.split()[0].lower() for line in lock.splitlines() if "==" in line}
    names = {line.lower().replace("_", "-") for line in found if line}
    assert {name.split("==")[0] for name in names} >= {"duckdb", "pydantic", "scikit-learn"}
    assert names <= locked


@pytest.mark.slow
def test_a_second_call_takes_what_is_there(installed):
    there = installed.python.parents[1] / ".has-core"
    before = there.stat().st_mtime_ns
    done = installed.again()
    assert (done.returncode, done.stdout) == (0, f"{installed.python}\n")
    assert there.stat().st_mtime_ns == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "has"),
    [
        (("auto",), {"core"}),
        (("auto", "", "--config=no-such-file.yml"), {"core"}),
        (("auto", "", "--config=fair.yml", "--gate=performance"), {"core"}),
        (("auto", "", "--config=fair.yml"), {"core", "fairness"}),
    ],
)
def test_auto_is_what_the_configuration_needs(installed, asked, has):
    fair = {"sensitive": ["label"], "metrics": {"recall_difference": {"max": 0.5}}}
    config = yaml.safe_load(CONFIG)
    config["models"]["churn"]["gates"]["fairness"] = fair
    (installed.workspace / "fair.yml").write_text(yaml.safe_dump(config), "utf-8")
    done = installed.again(*asked)
    assert (done.returncode, done.stdout) == (0, f"{installed.python}\n"), done.stderr
    assert installed.has() == has
    command = [installed.python, "-I", "-c", "import fairlearn"]
    found = subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert found is ("fairness" in has)


@pytest.mark.slow
def test_nothing_of_the_workspace_is_run(installed):
    assert installed.gates("--version").stdout == f"model-gates {__version__}\n"
    assert installed.gates("validate").stdout.startswith("model-gates.yml: valid, 1 model(s)")
    assert installed.executed() == set()


@pytest.mark.slow
def test_core_is_enough_to_judge_performance(installed):
    register = ("register", "--predictions=predictions.csv", "--alias=champion")
    assert installed.gates("baseline", *register).returncode == 0
    done = installed.gates("run")
    assert (done.returncode, installed.executed()) == (0, set()), done.stdout


def test_the_workspace_is_hostile_indeed(tmp_path):
    make_workspace(tmp_path)
    command = [sys.executable, "-c", "import gates, yaml"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    executed = {path.name for path in (tmp_path / "executed").iterdir()}
    assert executed >= {"sitecustomize.py", "gates", "yaml.py"}
