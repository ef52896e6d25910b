"""The commands around a rollout's configuration: what it needs, and whether it is right."""

import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from gates.canary.settings import json_schema

GATES = """
version: 1
models:
  scores:
    task: binary
    data: {id: id, label: label}
    candidate: {predictions: p.csv}
    gates: {performance: {metrics: {recall: {min: 0.5}}}}
  fair:
    task: binary
    data: {id: id, label: label}
    candidate: {predictions: p.csv}
    gates: {fairness: {sensitive: [sex], metrics: {recall_difference: {max: 0.1}}}}
"""
DOCKER = {"docker": {"router": {"socket": "/run/haproxy.sock", "backend": "scores"}}}
SAGEMAKER = {"sagemaker": {"endpoint": "scores", "bucket": "rollouts"}}
KUBERNETES = {
    "kubernetes": {
        "namespace": "prod",
        "route": {"argo": {"rollout": "scores"}},
    }
}


@pytest.fixture
def call(tmp_path):
    """Return a function that runs the command line in a folder of its own."""
    (tmp_path / "model-gates.yml").write_text(GATES)

    def run(*words):
        command = [sys.executable, "-m", "gates", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def write(folder, **targets):
    """Write a file with a deployment on each target."""
    deployments = {
        name: {"model": "scores", "target": target, "steps": [5, 50]}
        for name, target in targets.items()
    }
    path = folder / "model-gates.canary.yml"
    # By way of JSON: what is there twice would be written as an alias, which nobody takes.
    plain = json.loads(json.dumps({"version": 1, "deployments": deployments}))
    path.write_text(yaml.safe_dump(plain))
    return path


@pytest.mark.parametrize(
    ("targets", "extras"),
    [
        ([DOCKER], ["docker"]),
        ([DOCKER, DOCKER], ["docker"]),
        ([SAGEMAKER, DOCKER], ["docker", "sagemaker"]),
        ([KUBERNETES], ["kubernetes"]),
    ],
)
def test_each_target_has_an_extra_beside_those_of_the_gates(tmp_path, call, targets, extras):
    write(tmp_path, **{f"d{number}": target for number, target in enumerate(targets)})
    canary = "--canary=model-gates.canary.yml"
    assert call("extras", canary).stdout.split() == [*extras, "fairness"]
    assert call("extras", canary, "--model=scores").stdout.split() == extras
    assert call("extras", canary, "--targets-only").stdout.split() == extras
    assert call("extras").stdout.split() == ["fairness"]


def test_what_goes_back_is_named_although_the_policy_is_broken(tmp_path, call):
    write(tmp_path, scores=DOCKER)
    (tmp_path / "model-gates.yml").write_text("version: 2\n")
    told = call("extras", "--canary=model-gates.canary.yml")
    assert (told.returncode, told.stdout) == (2, "docker\n")
    told = call("extras", "--canary=model-gates.canary.yml", "--targets-only")
    assert (told.returncode, told.stdout) == (0, "docker\n")


def test_deployments_are_checked_without_touching_a_target(tmp_path, call):
    write(tmp_path, scores=DOCKER, other=SAGEMAKER)
    told = call("validate", "--canary=model-gates.canary.yml")
    assert told.returncode == 0, told.stderr
    assert told.stdout == (
        "model-gates.canary.yml: valid, 2 deployment(s)\n"
        "  other: scores on sagemaker; steps: 5, 50 %\n"
        "  scores: scores on docker; steps: 5, 50 %\n"
    )


def test_a_mistake_in_a_deployment_has_a_line_and_a_suggestion(tmp_path, call):
    path = write(tmp_path, scores=DOCKER)
    path.write_text(path.read_text().replace("steps:", "stepz:"))
    told = call("validate", "--canary=model-gates.canary.yml")
    assert told.returncode == 2
    assert "model-gates.canary.yml:" in told.stderr
    assert "`steps`" in told.stderr


def test_a_model_that_the_gates_do_not_know_is_found(tmp_path, call):
    path = write(tmp_path, scores=DOCKER)
    path.write_text(path.read_text().replace("model: scores", "model: socres"))
    told = call("validate", "--canary=model-gates.canary.yml")
    assert told.returncode == 2
    assert "the model `socres` is not configured" in told.stderr
    # Where the policy is somewhere else, it is not looked for.
    (tmp_path / "model-gates.yml").unlink()
    assert call("validate", "--canary=model-gates.canary.yml").returncode == 0
    named = call("validate", "--canary=model-gates.canary.yml", "--config=elsewhere.yml")
    assert named.returncode == 2


def test_the_schema_takes_what_is_valid_and_refuses_what_is_not(tmp_path, call):
    told = call("schema", "canary")
    assert json.loads(told.stdout) == json_schema()
    found = yaml.safe_load(write(tmp_path, scores=DOCKER).read_text())
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    validator.validate(found)
    found["deployments"]["scores"]["stepz"] = [5]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(found)
