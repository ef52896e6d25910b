"""The actions and the command line say the same: every input is used, every flag is there."""

import re
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
GATE_ACTIONS = {"data-schema", "performance", "fairness"}


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
    return {flag: option for option in command.params for flag in option.opts}


def test_every_input_is_used_and_every_one_used_is_declared(path):
    used = set(re.findall(r"inputs\.([\w-]+)", path.read_text("utf-8")))
    assert used == set(load(path)["inputs"])


def test_a_variable_has_the_name_of_its_input(path):
    for step in load(path)["runs"]["steps"]:
        for variable, value in step["env"].items():
            found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)
            if found and variable not in OTHERS:
                assert variable == found[1].replace("-", "_").upper()


def test_a_script_reads_what_it_is_given_and_nothing_else(path):
    for step in load(path)["runs"]["steps"]:
        script = script_of(step)
        read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script)) - {
            "BASH_SOURCE",
            "GITHUB_ACTION_PATH",
        }
        given = set(step["env"])
        # fence.sh reads the one, the command line the other; a gate's own action has no such input.
        silent = {"GATES_PYTHON", "GITHUB_TOKEN"}
        assert given - silent <= read
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
    described = load(ROOT / "action.yml")["inputs"]["requirements"]["description"]
    assert CORE in locks
    assert {lock for lock in locks if lock in described} == locks


@pytest.mark.parametrize("script", ["fence.sh", "run.sh"])
def test_the_shared_scripts_end_in_exec(script):
    lines = (SCRIPTS / script).read_text("utf-8").splitlines()
    assert lines[-1].startswith("exec ")
    assert (SCRIPTS / script).stat().st_mode & 0o111
