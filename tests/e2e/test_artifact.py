"""A run with the artifact gate: a sound model passes, a hostile one is refused and never runs."""

import hashlib
import os
import re
from html import unescape

import pytest

from tests.model_files import npy, onnx, operator, safetensors, tensors
from tests.page import html, tags
from tests.pickled import ATTACKS, named, whole

MODEL = "models/credit"


@pytest.fixture
def judged(project):
    """The good project, with a model's folder and the gate."""
    folder = project.path(MODEL)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(onnx(operator()))
    (folder / "weights.safetensors").write_bytes(safetensors(tensors((0, 8), (8, 16))))
    project.set("candidate.artifact", MODEL)
    project.set("gates.artifact", {"max_size_mib": 10})
    return project


def test_a_sound_model_passes_and_its_digest_stands_in_the_report(judged):
    outcome = judged.run()
    assert outcome.code == 0, outcome.stderr
    assert outcome.gate("artifact")["verdict"] == "pass"
    candidate = outcome.report["models"][0]["candidate"]
    assert candidate["artifact"].startswith("sha256:")
    short = candidate["artifact"].removeprefix("sha256:")[:12]
    assert f"artifact `{short}`" in outcome.markdown
    assert "size MiB" in outcome.markdown


def test_one_file_has_the_digest_of_its_bytes(judged):
    judged.set("candidate.artifact", f"{MODEL}/model.onnx")
    data = judged.path(f"{MODEL}/model.onnx").read_bytes()
    outcome = judged.run()
    expected = "sha256:" + hashlib.sha256(data).hexdigest()
    assert outcome.report["models"][0]["candidate"]["artifact"] == expected


NAMES = ("model.pkl", "model.onnx", "notes.txt", "model", "a/deep.json")


def shown(outcome):
    """The text of the page that GitHub makes of the report, without its soft breaks."""
    return re.sub(r"<[^>]*>|[\u200b-\u200d\u2060]", "", unescape(html(outcome.markdown)))


@pytest.mark.parametrize(("attack", "name"), list(zip(ATTACKS, NAMES, strict=True)))
def test_an_attack_is_refused_and_the_other_gates_still_run(judged, attack, name, tmp_path):
    marker = tmp_path / "marker"
    path = judged.path(f"{MODEL}/{name}")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(ATTACKS[attack](marker))
    outcome = judged.run()
    assert outcome.code == 5
    assert not marker.exists()
    gate = outcome.gate("artifact")
    assert (gate["verdict"], gate["error"]["kind"]) == ("error", "refused")
    assert f"{name}: names {attack}" in gate["error"]["details"]
    assert gate["error"]["where"] == MODEL
    assert outcome.report["blocked"] is True
    assert outcome.gate("performance")["verdict"] == "pass"
    assert outcome.gate("fairness")["verdict"] == "pass"
    assert attack in shown(outcome)
    assert attack in outcome.stdout


def test_neither_a_mode_nor_a_waiver_lets_it_in(judged, tmp_path):
    judged.path(f"{MODEL}/model.pkl").write_bytes(ATTACKS["os.system"](tmp_path / "marker"))
    judged.set("gates.artifact.mode", "report")
    judged.path("model-gates.waivers.yml").write_text(
        "version: 1\nwaivers:\n"
        "  - {rule: 'artifact/untrusted_globals:max', reason: we know it, owner: ana, "
        "expires: 2999-01-01}\n"
    )
    assert judged.run().code in (2, 5)
    judged.path("model-gates.waivers.yml").unlink()
    outcome = judged.run()
    assert outcome.code == 5
    assert outcome.report["blocked"] is True


def test_a_limit_that_is_broken_is_a_verdict(judged):
    judged.path(f"{MODEL}/large.npy").write_bytes(npy([0.0] * 10_000))
    judged.set("gates.artifact.max_size_mib", 0.05)
    outcome = judged.run()
    assert outcome.code == 1
    assert outcome.checks["artifact/size_mib:max"]["verdict"] == "fail"
    assert outcome.checks["artifact/untrusted_globals:max"]["verdict"] == "pass"


def test_the_gate_alone_needs_no_baseline(judged):
    judged.model["gates"] = {"artifact": {}}
    judged.store.rename(judged.path("elsewhere"))
    assert judged.run().code == 0


def test_a_link_in_the_artifact_is_refused(judged):
    (judged.path(MODEL) / "link").symlink_to("/etc/passwd")
    outcome = judged.run()
    assert outcome.code == 5
    assert outcome.report["models"][0]["error"]["kind"] == "refused"


def test_an_artifact_that_is_not_there_says_so(judged):
    judged.set("candidate.artifact", "models/credti")
    outcome = judged.run()
    assert outcome.code == 3
    assert "candidate.artifact" in outcome.stderr + outcome.stdout


def test_a_name_from_a_file_writes_nothing_into_the_report(judged):
    name = named("[os](http://evil.example) | 0.99", "<img src=x>\n`@team`\x1b[2J")
    judged.path(f"{MODEL}/model.pkl").write_bytes(whole(named("collections", "deque"), name))
    outcome = judged.run()
    assert outcome.code == 5
    page = html(outcome.markdown)
    assert "evil.example" in shown(outcome)
    assert not any(tag.startswith(("img", "a [")) for tag in tags(page))
    assert "\x1b" not in outcome.markdown + outcome.stdout + outcome.stderr


def test_a_registered_baseline_keeps_the_digest_of_its_folder(judged):
    outcome = judged.call(
        "baseline", "register", "--config", str(judged.path("model-gates.yml")),
        "--predictions", str(judged.path("candidate.parquet")),
        "--artifact", os.fspath(judged.path(MODEL)),
    )  # fmt: skip
    assert outcome.code == 0, outcome.stderr
    kept = next(judged.store.glob("v0002-*/record.json")).read_text()
    assert judged.run().report["models"][0]["candidate"]["artifact"] in kept
