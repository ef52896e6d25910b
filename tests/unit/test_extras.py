"""Which extras a configuration needs."""

import tomllib
from pathlib import Path

import pytest
import yaml

from gates.builtin.registry import GATES
from gates.canary.targets.registry import TARGETS
from gates.config import load
from gates.extras import GATE_EXTRAS, needed

ROOT = Path(__file__).parents[2]
BLOCKS = {
    "data-schema": {"columns": {"age": {"type": "integer"}}},
    "performance": {"metrics": {"recall": {"min": 0.5}}},
    "fairness": {"sensitive": ["sex"], "metrics": {"recall_difference": {"max": 0.1}}},
}


def configured(folder, *models):
    """Return a configuration with a model for each tuple of gates."""
    found = {
        f"m{number}": {
            "task": "binary",
            "data": {"id": "id", "label": "label"},
            "candidate": {"predictions": "p.csv"},
            "gates": {gate: BLOCKS[gate] for gate in gates},
        }
        for number, gates in enumerate(models)
    }
    path = folder / "model-gates.yml"
    path.write_text(yaml.safe_dump({"version": 1, "models": found}), "utf-8")
    return load(path)[0]


@pytest.mark.parametrize(
    ("models", "extras"),
    [
        ([("performance",)], ("core",)),
        ([("fairness",)], ("fairness",)),
        ([("data-schema", "performance")], ("data-schema",)),
        ([("fairness", "data-schema")], ("data-schema", "fairness")),
        ([("performance",), ("fairness",)], ("fairness",)),
    ],
)
def test_a_gate_that_brings_a_library_has_an_extra(tmp_path, models, extras):
    assert needed(configured(tmp_path, *models)) == extras


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = set(project["optional-dependencies"]) - {"all", "dev"}
    assert set(GATE_EXTRAS) == extras & set(GATES)
    # What no gate needs is for a target of a canary, or for a reporter.
    assert extras - set(GATES) == {"html", *TARGETS}
