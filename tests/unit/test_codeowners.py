"""Who owns a path, as GitHub reads CODEOWNERS."""

import pytest

from gates.protection.codeowners import matches, owners

FILE = """
# Everyone's, unless said otherwise.
*                     @acme/all
/models/              @acme/ml   # of the models
/model-gates.yml      @lead lead@example.org
docs/*                @acme/docs
/docs/free/
with\\ space.txt      @spacy
"""


@pytest.mark.parametrize(
    ("pattern", "path", "matched"),
    [
        ("*", "a/b.py", True),
        ("*.yml", "deep/down/a.yml", True),
        ("*.yml", "a.yaml", False),
        ("/model-gates.yml", "model-gates.yml", True),
        ("/model-gates.yml", "sub/model-gates.yml", False),
        ("model-gates.yml", "sub/model-gates.yml", True),
        ("/.github/", ".github/workflows/a.yml", True),
        ("/.github/", "x/.github/workflows/a.yml", False),
        (".github/", "x/.github/workflows/a.yml", True),
        ("/.github", ".github/workflows/a.yml", True),
        ("/.github/", ".github", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/a/b.md", False),
        ("docs/*", "x/docs/a.md", False),
        ("docs/**", "docs/a/b.md", True),
        ("**/logs", "a/b/logs/c", True),
        ("/a/**/z", "a/z", True),
        ("/a/**/z", "a/b/c/z", True),
        ("/a?", "ab", True),
        ("/a?", "a/", False),
        ("/a+b", "aab", False),
    ],
)
def test_a_pattern(pattern, path, matched):
    assert matches(pattern, path) is matched


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("README.md", ("@acme/all",)),
        ("models/credit/train.py", ("@acme/ml",)),
        ("model-gates.yml", ("@lead", "lead@example.org")),
        ("docs/index.md", ("@acme/docs",)),
        # The last line that matches counts, and this one names nobody.
        ("docs/free/a.md", ()),
        ("with space.txt", ("@spacy",)),
    ],
)
def test_the_last_line_that_matches_counts(path, who):
    assert owners(FILE, path) == who


def test_what_no_line_matches_has_no_owner():
    assert owners("/a @x\n\n#/b @y\n", "b") == ()
