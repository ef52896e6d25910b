"""The digest of an artifact: what it covers, and what it refuses to cover."""

import hashlib
import os
import shutil
import subprocess

import pytest

from gates.artifacts import manifest
from gates.artifacts.manifest import digest_of, manifest_of
from gates.errors import InputError, Refused


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    (made / "deep").mkdir(parents=True)
    (made / "model.onnx").write_bytes(b"weights")
    (made / "deep" / "a.txt").write_bytes(b"a")
    (made / "deep.txt").write_bytes(b"")
    return made


def test_a_file_has_the_digest_that_sha256sum_prints(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 500_000)
    done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
    assert digest_of(path) == "sha256:" + done.stdout.split()[0]


def test_a_folder_has_the_digest_of_its_list(folder):
    found = manifest_of(folder)
    assert [(file.name, file.size) for file in found.files] == [
        ("deep.txt", 0),
        ("deep/a.txt", 1),
        ("model.onnx", 7),
    ]
    assert found.size == 8
    hashes = [hashlib.sha256(text).hexdigest() for text in (b"", b"a", b"weights")]
    listed = (
        '[["deep.txt",0,"sha256:{}"],["deep/a.txt",1,"sha256:{}"],["model.onnx",7,"sha256:{}"]]'
    )
    expected = hashlib.sha256(listed.format(*hashes).encode()).hexdigest()
    assert found.digest == digest_of(folder) == "sha256:" + expected


def test_where_a_folder_stands_is_no_part_of_it(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "elsewhere")
    (other / "empty").mkdir()
    assert digest_of(other) == digest_of(folder)


CHANGES = {
    "a byte": lambda f: (f / "model.onnx").write_bytes(b"weightz"),
    "a name": lambda f: (f / "model.onnx").rename(f / "model.bin"),
    "a place": lambda f: (f / "deep" / "a.txt").rename(f / "a.txt"),
    "one more": lambda f: (f / "more").write_bytes(b""),
    "one less": lambda f: (f / "deep.txt").unlink(),
    "bytes moved": lambda f: (
        (f / "model.onnx").write_bytes(b"weight"),
        (f / "deep.txt").write_bytes(b"s"),
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_another_digest(folder, change):
    before = digest_of(folder)
    change(folder)
    assert digest_of(folder) != before


@pytest.mark.parametrize("target", ["model.onnx", "/etc/passwd", "nowhere", "deep"])
def test_a_link_in_it_is_refused(folder, target):
    (folder / "link").symlink_to(target)
    with pytest.raises(Refused, match="a link in the artifact") as caught:
        digest_of(folder)
    assert caught.value.where.endswith("model/link")


def test_a_link_to_it_is_refused(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(Refused, match="a link on the way"):
        digest_of(tmp_path / "link")
    with pytest.raises(Refused, match="a link on the way"):
        manifest_of(tmp_path / "link" / "deep", start=tmp_path)
    # Above the start nobody but the machine's owner makes links.
    assert manifest_of(tmp_path / "link" / "deep", start=tmp_path / "link").files
    assert manifest_of(tmp_path / "link" / "deep").files


def test_a_link_put_there_between_looking_and_opening_is_not_followed(folder):
    (folder / "link").symlink_to("model.onnx")
    with pytest.raises(Refused, match="a link in the artifact"):
        manifest.opened(folder / "link")


@pytest.mark.parametrize("where", ["pipe", "model/pipe"])
def test_what_is_no_file_is_refused_and_not_waited_for(folder, where):
    path = folder.parent / where
    os.mkfifo(path)
    with pytest.raises(Refused, match="neither a file nor a folder"):
        digest_of(path if where == "pipe" else folder)


def test_what_can_not_be_read_says_so(folder, tmp_path):
    with pytest.raises(InputError, match="No such file") as caught:
        digest_of(tmp_path / "nowhere")
    assert "candidate.artifact" in caught.value.hint
    (tmp_path / "empty" / "too").mkdir(parents=True)
    with pytest.raises(InputError, match="without a file"):
        digest_of(tmp_path / "empty")


def test_a_name_that_is_no_text_is_refused(folder):
    (folder / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(Refused, match="not UTF-8"):
        digest_of(folder)


def test_there_is_an_end_to_files_and_folders(folder, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_FILES", 3)
    assert digest_of(folder)
    (folder / "more").write_bytes(b"")
    with pytest.raises(InputError, match="more than 3 files"):
        digest_of(folder)
    deep = folder.joinpath("deep", *["d"] * 51)
    deep.mkdir(parents=True)
    with pytest.raises(InputError, match="deep"):
        digest_of(folder / "deep")
