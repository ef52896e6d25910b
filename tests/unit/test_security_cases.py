"""docs/security.md lists what may be tried, and the tests that hold it: those must be there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
ROW = re.compile(r"\| (\d+) \| (.+) \| (.+) \| (.+) \|")
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)(?:\[([^\]`]+)\])?`")


def listed(text):
    """Return the cases of a page: number, what is tried, what comes of it, and who holds it."""
    _, _, cases = text.partition("\n## Cases\n")
    cases = re.split(r"\n## ", cases)[0]
    return [found.groups() for line in cases.splitlines() if (found := ROW.fullmatch(line))]


CASES = listed((ROOT / "docs/security.md").read_text("utf-8"))


def unheld(held_by):
    """Return why a case is not held: who is named and is not there, or that nobody is."""
    named = NAMED.findall(held_by)
    if not named or NAMED.sub("", held_by).strip(", "):
        return [f"it names no test: {held_by}"]
    return [f"there is no {'::'.join(one)}" for one in named if not is_there(*one)]


def is_there(file, function, example):
    """Return whether a file has a test that can run, and the example that is named of it."""
    path = TESTS / file
    if not path.is_file():
        return False
    text = path.read_text("utf-8")
    found = [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    marks = [ast.unparse(mark) for node in found for mark in node.decorator_list]
    never = any(re.match(r"pytest\.mark\.(skip|xfail)\b", mark) for mark in marks)
    return len(found) == 1 and not never and (not example or f'"{example}"' in text)


def test_the_cases_are_counted():
    assert [int(number) for number, *_ in CASES] == list(range(1, len(CASES) + 1))
    assert len(CASES) > 50
    assert len({what for _, what, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=[f"{number}: {what}" for number, what, *_ in CASES])
def test_a_case_is_held_by_tests_that_there_are(case):
    assert unheld(case[-1]) == []


HERE = "unit/test_security_cases.py"


@pytest.mark.parametrize(
    "held_by",
    [
        "",
        "the reviewers",
        "`unit/test_none.py::test_x`",
        f"`{HERE}::test_that_there_is_not`",
        f"`{HERE}::test_the_cases_are_counted`, and the reviewers",
        f"`{HERE}::test_the_cases_are_counted[no such example {1}]`",
        f"`{HERE}::is_there`",
    ],
)
def test_a_case_that_nothing_holds_is_noticed(held_by):
    assert unheld(held_by)
    assert not unheld(f"`{HERE}::test_the_cases_are_counted`")


def test_a_list_without_its_heading_has_no_cases():
    assert listed("| 1 | a | b | `c.py::test_d` |") == []
    assert listed("\n## Cases\n| 1 | a | b | c |\n## Else\n| 2 | a | b | c |\n") == [
        ("1", "a", "b", "c")
    ]
