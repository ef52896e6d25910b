"""Which models a change is about; in doubt, one is judged."""

import json

import pytest

from gates.config import load
from gates.errors import ConfigError
from gates.touched import matches, touched

MODEL = {
    "task": "binary",
    "data": {"evaluation": "data/holdout.csv", "id": "id", "label": "label"},
    "candidate": {"predictions": "out/credit.csv"},
    "gates": {"data-schema": {"suite": "expectations/holdout.json"}},
}


def config(folder, **paths):
    """Write a configuration with a model for each list of patterns; return it, read."""
    models = {name: {**MODEL, "paths": patterns} for name, patterns in paths.items()}
    path = folder / "model-gates.yml"
    path.write_text(json.dumps({"version": 1, "models": models}), "utf-8")
    return load(path)[0]


@pytest.mark.parametrize(
    ("pattern", "file", "matched"),
    [
        ("models/credit/**", "models/credit/train.py", True),
        ("models/credit/**", "models/credit/a/b/train.py", True),
        ("models/credit/**", "models/credit", False),
        ("models/credit/**", "models/credit-2/train.py", False),
        ("models/credit/**", "other/models/credit/train.py", False),
        ("models/credit", "models/credit/a/b.py", True),
        ("models/credit/", "models/credit/a/b.py", True),
        ("models/credit", "models/credit-2/b.py", False),
        ("./models/credit", "models/credit/b.py", True),
        ("models/*/train.py", "models/a/train.py", True),
        ("models/*/train.py", "models/a/b/train.py", False),
        ("models/**/train.py", "models/train.py", True),
        ("models/**/train.py", "models/a/b/train.py", True),
        ("**/*.py", "a.py", True),
        ("**/*.py", "a/b.py", True),
        ("**/*.py", "a/b.pyc", False),
        ("**", "anything/at/all", True),
        ("**/**/**/**/**/**/**/**/**/x", "a/" * 60 + "y", False),
        ("a?.py", "ab.py", True),
        ("a?.py", "a/.py", False),
        ("a[b].py", "a[b].py", True),
        ("a[b].py", "ab.py", False),
        ("a.py", "abpy", False),
        ("../shared/**", "../shared/x.py", True),
        ("Models/**", "models/x.py", False),
    ],
)
def test_a_pattern(pattern, file, matched):
    assert matches(pattern, file) is matched


@pytest.mark.parametrize(
    ("files", "about"),
    [
        ([], ("always",)),
        (["README.md"], ("always",)),
        (["models/credit/train.py"], ("always", "credit")),
        (["models/churn/train.py", "models/credit/x"], ("always", "credit", "churn")),
        # The policy is everyone's.
        (["model-gates.yml"], ("always", "credit", "churn")),
        (["model-gates.waivers.yml"], ("always", "credit", "churn")),
        (["sub/model-gates.yml"], ("always",)),
        # So is what a configuration names as its own.
        (["data/holdout.csv"], ("always", "credit", "churn")),
        (["expectations/holdout.json"], ("always", "credit", "churn")),
        (["out/credit.csv"], ("always", "credit", "churn")),
        # But in the store each has its own folder.
        ([".model-gates/baselines/credit/aliases.json"], ("always", "credit")),
        ([".model-gates/baselines/other/aliases.json"], ("always",)),
        # A link or a submodule in a folder's place, which git lists as one path.
        (["models/credit"], ("always", "credit")),
        (["models"], ("always", "credit", "churn")),
        (["data"], ("always", "credit", "churn")),
        ([".model-gates"], ("always", "credit", "churn")),
        (["models/other"], ("always",)),
    ],
)
def test_what_a_change_is_about(tmp_path, files, about):
    found = config(tmp_path, always=[], credit=["models/credit/**"], churn=["models/churn/**"])
    assert touched(found, "model-gates.yml", files) == about


@pytest.mark.parametrize("pattern", ["/models/**", "!models/**", "models\\credit", "", " "])
def test_a_pattern_that_could_match_nothing_is_refused(tmp_path, pattern):
    with pytest.raises(ConfigError, match=r"excludes nothing"):
        config(tmp_path, credit=[pattern])
