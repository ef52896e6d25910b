"""The rules that every action and workflow of ours keeps, held against whatever files there are."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTIONS = sorted([*ROOT.glob("action.yml"), *ROOT.glob("actions/*/action.yml")])
EXAMPLES = ROOT / "workflows-examples"
GITLAB = EXAMPLES / "gitlab-ci.yml"
QUICKSTART = EXAMPLES / "quickstart.yml"
WORKFLOWS = sorted({*ROOT.glob(".github/workflows/*.yml"), *EXAMPLES.glob("*.yml")} - {GITLAB})
# The required check's job, in every example that has one.
REQUIRED = "required"
LOCKS = sorted(ROOT.glob("actions/requirements/*.txt"))

# Where a command can begin on a line of shell: at the start, after an operator or a keyword, and
# after `NAME=value` in front of it.
COMMAND = r"(?:^|[;&|(`]|\b(?:if|then|else|do|exec)\s|!\s)\s*(?:\w+=\S*\s+)*"
PYTHON = re.compile(
    COMMAND
    + r"""["']?(?:\$\{?\w*python\w*\}?|(?:[^\s"']*/)?(?:python[\d.]*|model-gates))["']?(?=\s|$)""",
    re.IGNORECASE | re.MULTILINE,
)
PINNED = re.compile(r"(?:\./.*|docker://.+@sha256:[0-9a-f]{64}|[\w.-]+/[\w./-]+@[0-9a-f]{40})")


def name(path):
    return str(path.relative_to(ROOT))


def steps_of(document):
    """Return every step of an action or a workflow."""
    holders = [document.get("runs", {}), *document.get("jobs", {}).values()]
    return [step for holder in holders for step in holder.get("steps", [])]


def uses_of(document):
    """Return every reference to someone's action or reusable workflow."""
    holders = [*steps_of(document), *document.get("jobs", {}).values()]
    return [holder["uses"] for holder in holders if "uses" in holder]


def lines_of(script):
    """Return a script's commands, continuation lines joined and comments left out."""
    joined = script.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.strip().startswith("#")]


def lacks_exec(script):
    """Return whether a script starts Python and does not hand the process over to it at its end.

    Without `exec` the shell stays in between: a cancelled job kills it, and Python lives on.
    """
    lines = lines_of(script)
    return bool(PYTHON.search("\n".join(lines))) and not lines[-1].startswith("exec ")


@pytest.fixture(params=[*ACTIONS, *WORKFLOWS], ids=name)
def document(request):
    return yaml.safe_load(request.param.read_text("utf-8"))


@pytest.fixture(params=WORKFLOWS, ids=name)
def workflow(request):
    return yaml.safe_load(request.param.read_text("utf-8"))


def test_no_expression_becomes_shell(document):
    assert [s["run"] for s in steps_of(document) if "${{" in s.get("run", "")] == []


def test_what_starts_python_ends_in_exec(document):
    assert [s["run"] for s in steps_of(document) if lacks_exec(s.get("run", ""))] == []


def test_everything_used_is_pinned_by_commit(document):
    assert [uses for uses in uses_of(document) if not PINNED.fullmatch(uses)] == []


@pytest.mark.parametrize("path", [*ACTIONS, *WORKFLOWS], ids=name)
def test_a_pin_says_which_version_it_is(path):
    pins = [
        line for line in path.read_text("utf-8").splitlines() if re.search(r"@[0-9a-f]{40}", line)
    ]
    assert [line for line in pins if not re.search(r"# v\d", line)] == []


def test_a_workflow_states_its_permissions(workflow):
    assert "permissions" in workflow
    assert workflow["permissions"] != "write-all"


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        ("vendor.github-actions", ACTIONS),
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.gitlab-ci", [GITLAB]),
    ],
)
def test_the_files_are_what_the_platform_reads(schema, paths, real):
    command = [real("check-jsonschema"), "--builtin-schema", schema, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def zizmor(program, *paths):
    options = ["--offline", "--no-progress", "--persona", "auditor", "--min-severity", "medium"]
    command = [program, *options, "--format", "plain", "--color", "never", *paths]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_attacker_finds_nothing(real):
    done = zizmor(real("zizmor"), *ACTIONS, *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_attacker_finds_what_is_there(real, tmp_path):
    bad = tmp_path / "action.yml"
    bad.write_text(
        "name: x\ndescription: x\ninputs: {title: {description: x}}\nruns:\n  using: composite\n"
        '  steps:\n    - run: echo "${{ inputs.title }}"\n      shell: bash\n'
    )
    done = zizmor(real("zizmor"), bad)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


def with_required():
    """Return the examples that have a job for the required check."""
    return [path for path in WORKFLOWS if REQUIRED in load(path)["jobs"]]


def load(path):
    return yaml.safe_load(path.read_text("utf-8"))


def test_what_judges_a_change_has_a_check_to_require():
    triggered = {path: load(path)[True] for path in WORKFLOWS if path.parent == EXAMPLES}
    judging = {
        path
        for path, on in triggered.items()
        if {"pull_request", "merge_group"} & (set(on) if isinstance(on, dict | list) else {on})
    }
    assert {path.name for path in judging} >= {"quickstart.yml", "pull-request.yml"}
    assert judging == {path for path in with_required() if path.parent == EXAMPLES}


def test_the_step_of_the_readme_is_that_of_the_quickstart():
    """One step, and the pin is left to the reader: all else stands in the whole workflow."""
    text = (ROOT / "README.md").read_text("utf-8")
    (block,) = re.findall(r"\n```yaml\n( +- uses: model-gates/model-gates@.*?)```", text, re.DOTALL)
    (step,) = yaml.safe_load(block)
    (whole,) = (
        step
        for step in load(QUICKSTART)["jobs"]["gates"]["steps"]
        if step.get("uses", "").startswith("model-gates/model-gates@")
    )
    assert step == {"uses": re.sub(r"@.*", "@<full commit sha>", whole["uses"])}
    assert whole.keys() <= {"name", "id", "uses"}, "it needs no input"
    version = re.search(r"model-gates@0{40} (# v\S+)", QUICKSTART.read_text("utf-8"))[1]
    assert len(block.splitlines()) == 1
    assert block.rstrip().endswith(version)
    assert "[whole workflow](workflows-examples/quickstart.yml)" in text
    assert "`model-gates-required`" in text


def test_one_name_is_required_everywhere():
    jobs = [load(path)["jobs"][REQUIRED] for path in with_required()]
    assert len(jobs) >= 2
    assert {job["name"] for job in jobs} == {"model-gates-required"}
    assert {job["if"] for job in jobs} == {"always()"}


@pytest.mark.parametrize("path", with_required(), ids=name)
@pytest.mark.parametrize(
    ("result", "blocked", "green"),
    [
        ("success", "false", True),
        ("success", "true", False),
        ("success", "", False),  # the step did not run, or the output has another name
        ("failure", "true", False),
        ("failure", "false", False),
        ("cancelled", "", False),
        ("skipped", "", False),
        ("", "", False),
    ],
)
def test_the_required_job_is_green_for_a_verdict_alone(path, result, blocked, green):
    job = load(path)["jobs"][REQUIRED]
    (step,) = job["steps"]
    (needed,) = job["needs"]
    assert step["env"] == {
        "RESULT": f"${{{{ needs.{needed}.result }}}}",
        "BLOCKED": f"${{{{ needs.{needed}.outputs.blocked }}}}",
    }
    assert load(path)["jobs"][needed]["outputs"]["blocked"] == "${{ steps.gates.outputs.blocked }}"
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env={"RESULT": result, "BLOCKED": blocked}, check=False
    )
    assert (done.returncode == 0) is green


def test_no_example_hands_a_token_to_what_runs_the_model():
    """Where the model's own step runs, nothing in the job may be written, and no token is at hand."""
    for path in sorted(EXAMPLES.glob("*.yml")):
        if path in (GITLAB, QUICKSTART):
            continue
        for job in load(path)["jobs"].values():
            steps = [step.get("run", "") for step in job["steps"]]
            if any("predict.sh" in run for run in steps):
                assert set(job["permissions"].values()) <= {"read"}


def test_jenkins_publishes_whatever_the_verdict():
    text = (EXAMPLES / "Jenkinsfile").read_text("utf-8")
    assert text.count("{") == text.count("}")
    _, _, always = text.partition("always {")
    assert "--to junit" in always
    assert "junit testResults: 'model-gates-report/junit.xml'" in always
    assert "|| true" not in text


@pytest.mark.parametrize(
    ("script", "bad"),
    [
        ("python train.py", True),
        ("exec python train.py", False),
        ("cd model\nexec python train.py", False),
        ("exec python a.py\npython b.py", True),
        ("python a.py\nexec echo done", False),
        ('"$python" -I -m gates run', True),
        ('python="$(actions/install.sh)"\nexec "$python" -I -m gates run', False),
        ('python="$(actions/install.sh)"\n"${python}" -I -m gates run', True),
        ("model-gates run --config model-gates.yml", True),
        ("test -f model-gates.yml\necho python3", False),
        ("exec model-gates run \\\n  --out out", False),
        ("model-gates run \\\n  --out out", True),
        ("if ! python3.12 x.py; then exit 1; fi", True),
        ("SEED=1 /usr/bin/python3 x.py", True),
        ("true && python3 x.py", True),
        ("version=$(python -V)", True),
        ("# python x.py\nexec make demo", False),
        ("", False),
    ],
)
def test_the_rule_about_exec_bites(script, bad):
    assert lacks_exec(script) is bad


@pytest.mark.parametrize(
    ("uses", "pinned"),
    [
        ("actions/checkout@" + "a" * 40, True),
        ("octo-org/suite/actions/report@" + "0" * 40, True),
        ("./actions/report", True),
        ("docker://alpine@sha256:" + "0" * 64, True),
        ("actions/checkout@v4", False),
        ("actions/checkout@" + "a" * 39, False),
        ("docker://alpine:3", False),
    ],
)
def test_the_rule_about_pins_bites(uses, pinned):
    assert bool(PINNED.fullmatch(uses)) is pinned


def requirements_of(lock):
    """Return a lock's requirements, one string each, hashes and markers included."""
    return lines_of(lock.read_text("utf-8"))


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_a_lock_pins_every_requirement_by_hash(lock):
    line = re.compile(r"[a-z0-9-]+==[^\s;]+(?: ; [^-]+?)?(?:\s+--hash=sha256:[0-9a-f]{64})+")
    requirements = requirements_of(lock)
    assert requirements
    assert [text for text in requirements if not line.fullmatch(text)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=name)
def test_a_lock_names_no_place_to_fetch_from(lock):
    assert not re.search(r"://|--(?:extra-)?index|--find-links", lock.read_text("utf-8"))


def test_the_locks_hold_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    one_each = {name: extras[name] for name in extras if name not in ("all", "dev")}
    assert extras["all"] == [f"model-gates[{','.join(one_each)}]"]
    listed = one_each | {"core": [], "all": [text for one in one_each.values() for text in one]}
    asked = {name: project["dependencies"] + more for name, more in listed.items()}
    locked = {lock.stem: {text.split("==")[0] for text in requirements_of(lock)} for lock in LOCKS}
    assert locked.keys() == asked.keys()
    for extra, wanted in asked.items():
        assert {re.match(r"[\w-]+", text)[0].lower() for text in wanted} <= locked[extra]
