"""The `artifact` gate: its options, what it decides on, and what it refuses outright."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gates.artifacts.manifest import manifest_of
from gates.builtin import scanners
from gates.builtin.artifact import Artifact, inspected
from gates.config import Config, validate
from gates.decide import settle
from gates.errors import ConfigError, EnvironmentFault, InputError, Refused
from gates.evidence import Policy
from gates.report import Effect, Mode, Task, Verdict
from gates.yaml_source import parse
from tests.model_files import EVIL, entry, external, npy, onnx, operator, skops
from tests.pickled import dtype, named, whole, wrapper

POLICY = Policy()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """As much of an evidence as this gate looks at."""

    root: Path
    artifact: object
    policy: Policy = POLICY


@pytest.fixture
def judge(tmp_path):
    """Return a function that writes files, and judges them by a gate with some options."""

    def judged(files, **options):
        for name, content in files.items():
            path = tmp_path / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        evidence = Evidence(root=tmp_path, artifact=manifest_of(tmp_path / "model"))
        return settle(Artifact(**options).judge(evidence))

    return judged


WEIGHTS = {"model.onnx": onnx(operator(), entry(5, external("w/a.bin"))), "w/a.bin": b"\xff\0" * 50}
MINE = whole(named("ours.scaling", "Scaler"))


# --- what passes -------------------------------------------------------------------------------


def test_what_is_sound_passes_and_says_what_it_is(judge):
    result = judge({"model.pkl": MINE, "notes.txt": b"hello\n"}, allow=["ours.scaling.Scaler"])
    assert result.verdict is Verdict.PASS
    assert [(c.id, c.candidate, c.bound, c.n) for c in result.checks] == [
        ("artifact/untrusted_globals:max", 0, 0, 1),
        ("artifact/unlisted_formats:max", 0, 0, 2),
        ("artifact/size_mib:max", pytest.approx((len(MINE) + 6) / 2**20), 2048, 2),
    ]
    assert result.notes == ("model.pkl: pickle, names 1 global", "notes.txt: text")
    assert result.summary == "2 files, 0.0 MiB; 1 global named, each of them on the list"


def test_an_onnx_models_own_data_may_be_any_bytes(judge):
    result = judge(WEIGHTS)
    assert result.verdict is Verdict.PASS
    assert result.notes == ("model.onnx: onnx", "w/a.bin: data of an ONNX model")


# --- what fails: a limit like any other --------------------------------------------------------


def test_more_than_the_limit_fails(judge):
    result = judge({"a.npy": npy([0.0] * 200_000)}, max_size_mib=1.5)
    assert result.verdict is Verdict.FAIL
    assert [c.verdict for c in result.checks] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert result.checks[2].candidate == pytest.approx(200_016 * 8 / 2**20, rel=1e-3)


def test_a_format_that_is_not_listed_fails(judge):
    result = judge({"a.npy": npy([0.0]), "b.txt": b""}, formats=["skops", "text"])
    assert result.verdict is Verdict.FAIL
    assert result.checks[1].candidate == 1
    assert result.checks[1].effect is Effect.BLOCK
    assert judge({}, formats=["skops", "text"], mode=Mode.WARN).checks[1].effect is Effect.WARN


# --- what is refused, whatever the mode --------------------------------------------------------

REFUSED = {
    "a pickle": ({"model.pkl": EVIL}, "model.pkl: names os.system"),
    "one of many": ({"a.txt": b"", "b/model.onnx": EVIL}, "b/model.onnx: names os.system"),
    "a class of skops": (
        {"m": skops({"__class__": "x", "__module__": "os", "__loader__": "TypeNode"})},
        "m: names os.x",
    ),
    "an operator": ({"m": onnx(operator("Run", "ours"))}, "m: names ours.Run"),
    "nothing that is known": ({"m.bin": b"\xff\0" * 50}, "m.bin: not in a format"),
    "data outside": ({"m": WEIGHTS["model.onnx"]}, "m: its data are in no file of the artifact"),
    "data by another name": (
        {"m": WEIGHTS["model.onnx"], "w/b.bin": b"\xff\0" * 50},
        "m: its data are in no file of the artifact: w/a.bin",
    ),
    "data that are a pickle": ({**WEIGHTS, "w/a.bin": EVIL}, "w/a.bin: names os.system"),
    "a pickle cut off": ({"m": EVIL[:-1]}, "m: a pickle that can not be inspected: it ends in"),
}


@pytest.mark.parametrize(("files", "line"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("mode", Mode)
def test_what_is_not_safe_to_load_is_refused(judge, files, line, mode):
    with pytest.raises(Refused) as caught:
        judge(files, mode=mode, formats=["text"], max_size_mib=0.000001)
    error = caught.value
    assert error.exit_code == 5
    assert error.where == "model"
    assert "gates.artifact.allow" in error.hint
    assert any(
        one.startswith(line) for one in (error.message.partition("load: ")[2], *error.details)
    )


def test_every_file_that_is_refused_is_named(judge):
    with pytest.raises(Refused, match="not safe to load: 2 files of the artifact") as caught:
        judge({"a.pkl": EVIL, "b.pkl": MINE, "c.txt": b""})
    assert caught.value.details == ("a.pkl: names os.system", "b.pkl: names ours.scaling.Scaler")


def test_names_from_a_file_are_bounded(judge):
    many = whole(*(named("m" * 250, f"n{i}") for i in range(30)))
    with pytest.raises(Refused) as caught:
        judge({"a.pkl": many})
    assert caught.value.details[-1] == "a.pkl: names 18 more"
    assert len(caught.value.details) == 13
    assert all(len(line) < 300 for line in caught.value.details)


def test_a_name_is_allowed_whole_or_not(judge):
    with pytest.raises(Refused):
        judge({"a.pkl": MINE}, allow=["ours.scaling.Scal", "ours.scaling", "scaling.Scaler"])
    assert judge({"a.pkl": MINE}, allow=["ours.scaling.Scaler"]).verdict is Verdict.PASS


def test_what_is_too_large_to_read_is_no_refusal(judge):
    with pytest.raises(InputError, match="too large to judge") as caught:
        judge({"a.txt": b"\x80\x04Nr\xff\xff\xff\xff."})
    assert (caught.value.exit_code, caught.value.where) == (3, "model: a.txt")
    with pytest.raises(Refused) as refused:
        judge({"b.pkl": EVIL})
    assert refused.value.details == ("b.pkl: names os.system",)


def test_what_changed_meanwhile_is_refused(judge, tmp_path):
    judge({"a.txt": b"one"})
    before = manifest_of(tmp_path / "model")
    (tmp_path / "model" / "a.txt").write_bytes(b"two")
    with pytest.raises(Refused, match="changed while it was judged"):
        Artifact().judge(Evidence(root=tmp_path, artifact=before))
    assert inspected(before).contents


def test_without_an_artifact_there_is_nothing_to_judge(tmp_path):
    with pytest.raises(InputError, match="no artifact"):
        Artifact().judge(Evidence(root=tmp_path, artifact=None))


# --- options -----------------------------------------------------------------------------------

CONFIG = """
version: 1
models:
  credit:
    task: binary
    data: {{id: id, label: label}}
    candidate: {{predictions: a.csv{artifact}}}
    gates: {{artifact: {options}}}
"""


def configured(options="{}", artifact=", artifact: models/credit") -> Config:
    text = CONFIG.format(options=options, artifact=artifact)
    return validate(parse(text.encode(), "model-gates.yml"))


def test_a_configuration_of_the_gate_alone_is_whole():
    gate = configured("{allow: [a.b.C], scanners: [picklescan]}").models["credit"].gates.artifact
    assert gate.allow == ("a.b.C",)
    assert not list(gate.problems(Task.BINARY))
    assert gate.needs_baseline is False


WRONG = {
    "a package": ("{allow: [sklearn]}", "whole name of one global"),
    "a pattern": ("{allow: ['sklearn.*']}", "whole name of one global"),
    "a shell": ("{allow: [os.system]}", "`os.system` runs whatever it is given"),
    "an evaluator": ("{allow: [a.B, builtins.eval]}", "`builtins.eval` runs whatever"),
    "no format": ("{formats: []}", "give it at least 1"),
    "a format there is not": ("{formats: [keras]}", "expected 'pickle'"),
    "no size": ("{max_size_mib: 0}", "greater than 0"),
    "a scanner there is not": (
        "{scanners: [clam]}",
        "expected 'fickling', 'modelscan' or 'picklescan'",
    ),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_an_option_that_makes_no_sense_is_an_error(options, said):
    with pytest.raises(ConfigError, match=said):
        configured(options)


@pytest.mark.parametrize(
    "path", ["../model", "a/../../b", "/model", "C:/model", "..\\model", "' '"]
)
def test_an_artifact_is_below_the_configuration(path):
    with pytest.raises(ConfigError, match="below the configuration's folder"):
        configured(artifact=f", artifact: {path}")


def test_the_gate_needs_an_artifact():
    with pytest.raises(ConfigError, match="it needs `candidate"):
        configured(artifact="")


# --- scanners ----------------------------------------------------------------------------------

BROWSER = whole(named("webbrowser", "open"))
ARRAY = whole(wrapper(dtype("f8"), 2), b"\x01\xff", bytes(16))
CLEAN = "found nothing; it decides nothing here."
DANGEROUS = "found something dangerous; it decides nothing here."
SAID = {
    "clean": (whole(b"N"), dict.fromkeys(("picklescan", "modelscan", "fickling"), CLEAN)),
    "dangerous": (BROWSER, dict.fromkeys(("picklescan", "modelscan", "fickling"), DANGEROUS)),
    "an error": (ARRAY, {"picklescan": "has no opinion: it ended with exit code 2."}),
}
SAID_BY = [
    pytest.param(data, scanner, words, id=f"{scanner}, {what}")
    for what, (data, said) in SAID.items()
    for scanner, words in said.items()
]


@pytest.mark.parametrize(("data", "scanner", "said"), SAID_BY)
def test_an_opinion_is_shown_and_an_error_is_none(judge, data, scanner, said):
    """The real scanner says so, of what is accepted here."""
    result = judge({"a.pkl": data}, scanners=[scanner], allow=["webbrowser.open"])
    assert result.notes[-1] == f"{scanner} {said}"
    assert result.verdict is Verdict.PASS


def test_a_scanner_that_reads_no_such_file_has_no_opinion(judge):
    result = judge({"a.txt": b"words\n"}, scanners=["modelscan", "fickling"])
    assert result.notes[-2:] == (
        "modelscan has no opinion: it ended with exit code 3.",
        "fickling has no opinion: it ended with exit code 2.",
    )


def test_a_scanner_is_not_told_what_to_look_for_by_the_files(judge, tmp_path, monkeypatch):
    """modelscan reads settings from the working folder; here they would switch everything off."""
    settings = "modelscan_version = '0'\n[scanners]\n"
    monkeypatch.chdir(tmp_path)
    for folder in {tmp_path, *(path.parent for path in tmp_path.rglob("*"))}:
        (folder / "modelscan-settings.toml").write_text(settings, "utf-8")
    result = judge({"a.pkl": BROWSER}, scanners=["modelscan"], allow=["webbrowser.open"])
    assert result.notes[-1] == f"modelscan {DANGEROUS}"


def test_a_scanner_leaves_nothing_behind(judge, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    judge({"a.pkl": BROWSER}, scanners=["fickling", "modelscan"], allow=["webbrowser.open"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.pkl"]


@pytest.mark.parametrize("program", ["raise RuntimeError", "import sys; sys.exit('no')"])
def test_a_scanner_that_crashes_has_no_opinion(judge, tmp_path, monkeypatch, program):
    """Python ends with 1 then, as a scanner does that has found something."""
    package = tmp_path / "crashing" / "picklescan"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(f"def main():\n    {program}\n", "utf-8")
    first = f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
    monkeypatch.setattr(scanners, "_PROGRAM", first + scanners._PROGRAM)
    result = judge({"a.pkl": whole(b"N")}, scanners=["picklescan"])
    assert result.notes[-1].startswith("picklescan has no opinion: it ended with exit code ")


def test_a_scanner_that_is_killed_has_no_opinion(judge, fake_scanner):
    fake_scanner("import os; os.kill(os.getpid(), 9)")
    result = judge({"a.pkl": whole(b"N")}, scanners=["picklescan"])
    assert result.notes[-1] == "picklescan has no opinion: it ended with exit code -9."


def test_a_scanner_that_does_not_end_has_no_opinion(judge, fake_scanner, monkeypatch):
    monkeypatch.setattr(scanners, "_TIMEOUT", 0.2)
    fake_scanner("import time; time.sleep(60)")
    result = judge({"a.pkl": whole(b"N")}, scanners=["picklescan"])
    assert result.notes[-1].startswith("picklescan has no opinion: ")
    assert "did not end within" in result.notes[-1]


def test_a_scanner_that_is_not_there_is_not_left_out_silently(judge, monkeypatch):
    monkeypatch.setattr(scanners, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault, match="picklescan is not installed"):
        judge({"a.pkl": whole(b"N")}, scanners=["picklescan"])


@pytest.fixture
def fake_scanner(tmp_path, monkeypatch):
    """Return a function that installs a program in place of the scanner."""

    def install(program):
        code = tmp_path / "scanner.py"
        code.write_text(program)
        python = tmp_path / "python"
        # It drops `-I -c PROGRAM`, as the real one would have been started.
        python.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{code}" "$@"\n')
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        monkeypatch.setattr(scanners, "find_spec", lambda name: name)

    return install
