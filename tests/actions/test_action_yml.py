"""The actions and the command line say the same: every input is used, every flag is there."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from gates.cli import app
from gates.extras import CORE
from reporters.publish.registry import PUBLISHERS

ROOT = Path(__file__).parents[2]
ACTIONS = sorted([ROOT / "action.yml", *ROOT.glob("actions/*/action.yml")])
SCRIPTS = ROOT / "actions"
# Variables that are no input's name in capitals: what the runner sets, and what a step hands on.
OTHERS = {"GATES_PYTHON", "WANTED"}
# What no script reads, but the command line itself.
READ_BY_GATES = {"GITHUB_TOKEN", "MODEL_GATES_ENVIRONMENT"}
GATE_ACTIONS = {"data-schema", "performance", "fairness", "drift"}


def name(path):
    return path.parent.name if path.parent != ROOT else "action"


@pytest.fixture(params=ACTIONS, ids=name)
def path(request):
    return request.param


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


def script_of(step):
    """Return what a step runs, the script that judges for every gate's action written out."""
    script = step["run"]
    if "/run.sh" in script:
        script = (SCRIPTS / "run.sh").read_text("utf-8")
    return re.sub(r"^\s*#.*$", "", script, flags=re.MULTILINE)


def command_of(script):
    """Return the command that a script hands over to, and the flags it is called with."""
    called = re.search(r'/(?:fence|install)\.sh" ((?:[a-z-]+ )+)', script)
    words = called[1].split()
    # The installer hands its flags on.
    words = ["extras"] if "/install.sh" in script else words
    command = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    return command, set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", script))


def options_of(command):
    """Return a command's options by flag; of a group those of its commands."""
    below = getattr(command, "commands", {}).values()
    found = {flag: option for option in command.params for flag in option.opts}
    return found | {flag: option for one in below for flag, option in options_of(one).items()}


def test_every_input_is_used_and_every_one_used_is_declared(path):
    used = set(re.findall(r"inputs\.([\w-]+)", path.read_text("utf-8")))
    assert used == set(load(path)["inputs"])


def test_a_variable_has_the_name_of_its_input(path):
    for step in load(path)["runs"]["steps"]:
        for variable, value in step["env"].items():
            found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)
            if found and variable not in OTHERS:
                plain = (
                    variable.removeprefix("MODEL_GATES_") if variable in READ_BY_GATES else variable
                )
                assert plain == found[1].replace("-", "_").upper()


def test_what_the_command_line_is_to_read_by_itself_it_reads():
    sources = [path.read_text("utf-8") for path in (ROOT / "gates").rglob("*.py")]
    for variable in READ_BY_GATES:
        assert any(f'"{variable}"' in source for source in sources)


def test_a_script_reads_what_it_is_given_and_nothing_else(path):
    for step in load(path)["runs"]["steps"]:
        script = script_of(step)
        read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script)) - {
            "BASH_SOURCE",
            "GITHUB_ACTION_PATH",
        }
        given = set(step["env"])
        # fence.sh reads the one, the command line the others; a gate's own action has no such input.
        assert given - {"GATES_PYTHON", *READ_BY_GATES} <= read
        assert read - given <= {"GITHUB_OUTPUT", "GITHUB_EVENT_NAME", "CHANGED_SINCE"}


def test_every_flag_is_one_of_the_command_line(path):
    for step in load(path)["runs"]["steps"]:
        script = script_of(step)
        if "/install.sh" in script and "--" not in script:
            continue
        command, flags = command_of(
            script.replace('install.sh" "$REQUIREMENTS"', 'install.sh" auto ')
        )
        assert flags
        assert flags <= set(options_of(command))


def test_an_input_and_its_flag_have_one_default(path):
    inputs = load(path)["inputs"]
    for step in load(path)["runs"]["steps"]:
        script = script_of(step)
        if "/install.sh" in script:
            continue
        command, _ = command_of(script)
        for flag, option in options_of(command).items():
            default = inputs.get(flag.removeprefix("--"), {}).get("default")
            plain = option.default is not None and not getattr(option, "is_flag", False)
            if default and plain and name(path) not in GATE_ACTIONS:
                assert default == str(getattr(option.default, "value", option.default))


def test_the_places_that_the_report_action_names_are_there():
    described = load(ROOT / "actions/report/action.yml")["inputs"]["to"]["description"]
    on_github = {to for to in PUBLISHERS if to.startswith("github-")}
    assert set(re.findall(r"github-\w+", described)) == {*on_github, "github-summary"}


def test_the_gates_actions_differ_in_their_gate_alone():
    texts = set()
    for gate in GATE_ACTIONS:
        text = (ROOT / f"actions/{gate}/action.yml").read_text("utf-8")
        body = text.partition("inputs:")[2].replace(gate, "GATE")
        texts.add(body)
    assert len(texts) == 1


def test_the_locks_are_those_the_action_names():
    locks = {lock.stem for lock in (ROOT / "actions/requirements").glob("*.txt")}
    inputs = [load(path)["inputs"] for path in ACTIONS]
    described = [one["requirements"]["description"] for one in inputs if "requirements" in one]
    assert CORE in locks
    assert len(described) >= 2
    for text in described:
        assert {lock for lock in locks if re.search(rf"(?<![\w-]){lock}(?![\w-])", text)} == locks


CANARY = ROOT / "actions/canary-deploy/action.yml"
# What an input is given, and hostile text that must arrive as it is, or not at all.
GIVEN = {
    "DEPLOYMENT": "-rf $(touch pwned)",
    "IMAGE": '"; touch pwned; "',
    "RECORD": "a record.json",
    "STEPS": "5,25",
    "BAKE": "60",
    "ON_INCONCLUSIVE": "hold",
    "REASON": "--help\n::error::pwned",
    "DRY_RUN": "true",
    "BUDGET": "330m",
    "CONFIG": "canary.yml",
    "POLICY": "gates.yml",
    "OUT": "out",
}
STUB = """#!/usr/bin/env bash
printf '%s\\0' "$@" > "$STUB_CALLED"
echo /python
"""


def called(tmp_path, step, script, given):
    """Run a step of the canary's action with a stand-in for a script; return the words it got."""
    stub = tmp_path / script
    stub.write_text(STUB, "utf-8")
    stub.chmod(0o755)
    (tmp_path / "canary-deploy").mkdir(exist_ok=True)
    (found,) = (one for one in load(CANARY)["runs"]["steps"] if one["id"] == step)
    assert set(given) <= set(found["env"]) | set(GIVEN)
    environ = {
        **{name: given.get(name, "") for name in found["env"]},
        "PATH": os.environ["PATH"],
        "GITHUB_ACTION_PATH": str(tmp_path / "canary-deploy"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "STUB_CALLED": str(tmp_path / "called"),
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", found["run"]],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "pwned").exists()
    words = tmp_path / "called"
    return done, words.read_text("utf-8").split("\0")[:-1] if words.exists() else None


def actions_of_canary():
    described = load(CANARY)["inputs"]["action"]["description"]
    return re.findall(r"[a-z]+", described.removesuffix(".").replace(" or ", ", "))


@pytest.mark.parametrize("action", actions_of_canary())
@pytest.mark.parametrize("given", [{}, GIVEN], ids=["the least", "everything"])
def test_the_canarys_action_calls_a_command_with_options_that_it_has(tmp_path, action, given):
    least = {"DEPLOYMENT": "scores", "CONFIG": "canary.yml", "POLICY": "p", "OUT": "o"}
    given = least | {"IMAGE": "i", "RECORD": "r", "DRY_RUN": "false"} | given | {"ACTION": action}
    done, words = called(tmp_path, "canary", "fence.sh", given)
    assert done.returncode == 0, done.stderr
    assert words[:2] == ["canary", action]
    command = typer.main.get_command(app).commands["canary"].commands[action]
    # Parsed as the command line does it: what is unknown there, or lacks its value, is an error.
    got = command.make_context(action, words[2:]).params
    assert (got["deployment"], str(got["config"])) == (given["DEPLOYMENT"], given["CONFIG"])
    if action == "start":
        assert (got["image"], got["dry_run"]) == (given["IMAGE"], given["DRY_RUN"] == "true")
        assert str(got["record"]) == given["RECORD"]
    if action not in ("status", "history"):
        assert (got["reason"], got["github"]) == (
            given.get("REASON", "asked for by hand" if action == "abort" else ""), True,
        )  # fmt: skip


@pytest.mark.parametrize("action", ["", "guard", "start; touch pwned", "--help", "start\nabort"])
def test_the_canarys_action_does_nothing_else(tmp_path, action):
    done, words = called(tmp_path, "canary", "fence.sh", GIVEN | {"ACTION": action})
    assert (done.returncode, words) == (2, None)
    (line,) = done.stdout.splitlines()
    assert line.startswith("::error title=Model Gates::The action is ")


@pytest.mark.parametrize("action", actions_of_canary())
def test_to_look_and_to_go_back_takes_the_target_alone(tmp_path, action):
    given = {"ACTION": action, "REQUIREMENTS": "auto", "CONFIG": "c.yml", "POLICY": "p.yml"}
    done, words = called(tmp_path, "install", "install.sh", given)
    assert done.returncode == 0, done.stderr
    looks = action in ("abort", "status", "history")
    assert words == ["auto", "", "--canary=c.yml", "--targets-only" if looks else "--config=p.yml"]
    assert (tmp_path / "output").read_text() == "python=/python\n"


@pytest.mark.parametrize("script", ["fence.sh", "run.sh"])
def test_the_shared_scripts_end_in_exec(script):
    lines = (SCRIPTS / script).read_text("utf-8").splitlines()
    assert lines[-1].startswith("exec ")
    assert (SCRIPTS / script).stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("command", "speaks"),
    [("report", True), ("canary", True), ("run", False), ("verify-evidence", False), ("x", False)],
)
def test_who_holds_the_token_may_speak_to_the_runner_and_nobody_else(tmp_path, command, speaks):
    """Whatever is printed in between is none of the runner's business: it has stopped listening."""
    python = tmp_path / "python"
    python.write_text('#!/usr/bin/env bash\necho "[${MODEL_GATES_FENCE:-}] $*"\n', "utf-8")
    python.chmod(0o755)
    done = subprocess.run(
        [SCRIPTS / "fence.sh", command, "--flag"],
        env={"PATH": os.environ["PATH"], "GATES_PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=True,
    )
    stopped, said = done.stdout.splitlines()
    token = stopped.removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", token)
    assert said == f"[{token if speaks else ''}] -I -m gates {command} --flag"
