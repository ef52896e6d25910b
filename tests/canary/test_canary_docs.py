"""The runbook says what the code does: commands, words on the screen, exit codes, keys, examples."""

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from gates import errors
from gates.canary import faults
from gates.canary.haproxy.config import config
from gates.canary.settings import CanaryFile
from gates.canary.state import Phase
from gates.cli import app
from tests.canary.bench import free_port

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs/canary.md"
TEXT = RUNBOOK.read_text("utf-8")
DOCUMENTS = sorted([*ROOT.glob("docs/canary*.md"), ROOT / "README.md"])
COMMANDS = typer.main.get_command(app).commands["canary"].commands


def blocks(language, text=TEXT):
    """Return the blocks of code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title):
    """Return the text below a heading, up to the next one of its level or above."""
    level, after = re.search(
        rf"^(#+) {re.escape(title)}\n(.*)", TEXT, re.MULTILINE | re.DOTALL
    ).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text):
    """Return the cells of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [
        cells for cells in found if cells[0] not in ("phase", "what you see", "command", "exit")
    ]


def commands(path):
    """Return every command of ours that a document tells to type, without comments and pipes."""
    text = path.read_text("utf-8")
    lines = [
        line for block in blocks("sh", text) for line in block.replace("\\\n", " ").splitlines()
    ]
    spans = re.findall(r"`(model-gates canary [^`]+)`", " ".join(text.split()))
    found = [re.split(r"\s(?:#|\||>|&&)", line)[0] for line in (*lines, *spans)]
    lines = {line.strip() for line in found if line.startswith("model-gates canary ")}
    return sorted(line for line in lines if not line.endswith("…"))


TYPED = [(path, line) for path in DOCUMENTS for line in commands(path)]


@pytest.mark.parametrize(
    ("path", "line"), TYPED, ids=[f"{path.stem}: {line}" for path, line in TYPED]
)
def test_what_is_to_be_typed_can_be(path, line):
    name, *words = shlex.split(line)[2:]
    assert name in COMMANDS
    if words:
        # What is unknown, or lacks its value, is an error here as it is on the command line.
        COMMANDS[name].make_context(name, words)


def test_every_command_is_explained():
    explained = [
        re.search(r"canary ([a-z-]+)", cells[0])[1]
        for cells in rows(TEXT)
        if "model-gates canary " in cells[0]
    ]
    assert sorted(explained) == sorted(COMMANDS)


def test_the_exit_codes_are_those_of_the_code():
    told = {cells[0] for cells in rows(section("Exit codes"))}
    known = {one.exit_code for one in (*subclasses(errors.GatesError), errors.GatesError)}
    known |= {errors.EXIT_OK, errors.EXIT_BLOCKED, faults.EXIT_HELD, faults.EXIT_ABORTED}
    assert told == {*map(str, known), "130, 143"}
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("## Verdicts and exit codes")[2].partition("\n## ")[0]
    assert {code for row in rows(table) for code in [row[0]]} == told
    assert len(rows(table)) == len(told), "each of them once"


def subclasses(error):
    # Only what this project raises; a test may define more.
    below = [one for one in error.__subclasses__() if one.__module__.startswith("gates.")]
    return [*below, *(one for child in below for one in subclasses(child))]


def literals():
    """Return every piece of text that the code has, whatever lines it is written on."""
    folders = ("gates/canary", "gates/cli")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text("utf-8")) for path in paths]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def test_what_is_seen_is_what_is_said():
    table = rows(section("What you see, what it means, what to type"))
    seen = [cells[0] for cells in table if "model-gates canary " not in cells[0]]
    seen = [cell for cell in seen if not cell.isdigit() and "130" not in cell]
    known = literals()
    phrases = [phrase for cell in seen for phrase in re.findall(r"`([^`]+)`", cell)]
    assert len(phrases) > 20
    for phrase in phrases:
        assert any(phrase in text for text in known), phrase


def test_every_phase_is_drawn_and_explained():
    (drawn,) = blocks("mermaid")
    phases = {phase.value for phase in Phase}
    ends = {
        end.replace("_", "-")
        for end in re.findall(r"(\w+) --> |--> (\w+)", drawn)
        for end in end
        if end
    }
    assert ends == phases
    assert {cells[0].strip("`") for cells in rows(section("Where a rollout is"))} == phases


EXAMPLES = [
    block
    for path in DOCUMENTS
    for block in blocks("yaml", path.read_text("utf-8"))
    if "deployments:" in block
]


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_a_file_that_is_taken(text):
    found = yaml.safe_load(text)
    CanaryFile.model_validate({"version": 1, **found})


def example():
    """Return the deployment of the set-up, the first example of the runbook."""
    return CanaryFile.model_validate(yaml.safe_load(blocks("yaml")[0])).deployments["credit"]


def test_the_commands_by_hand_are_those_that_an_error_prints():
    by_hand = example().site("credit").by_hand()
    shown = "\n".join(blocks("sh", section("Everything back by hand")))
    (valve,) = (line for line in by_hand if "socat" in line)
    assert valve in shown.splitlines()
    assert "docker ps --all --filter label=model-gates.deployment=credit" in shown


@pytest.mark.requires_real("haproxy")
def test_the_examples_proxy_is_one_that_haproxy_takes(real, tmp_path):
    from dataclasses import replace

    layout = replace(
        example().chosen.layout(),
        socket=str(tmp_path / "s"),
        bind=f"127.0.0.1:{free_port()}",
    )
    path = tmp_path / "haproxy.cfg"
    path.write_text(config(layout))
    done = subprocess.run(
        [real("haproxy"), "-c", "-f", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_generated_tables_are_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / ".ci/readme.py"), "--check"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_ours_leads_somewhere(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, target
