"""Digests of files: what an artifact is known by, and what is none."""

import hashlib
import os
import sys

import pytest

from gates.digest import of_artifact, sha256
from gates.errors import InputError


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_is_known_by_all_its_bytes(tmp_path, size):
    path, content = tmp_path / "model.onnx", os.urandom(size)
    path.write_bytes(content)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert (sha256(path), of_artifact(path)) == (digest, digest)
    path.write_bytes(content + b"\0")
    assert of_artifact(path) != digest


@pytest.mark.parametrize("name", ["none.onnx", "model.onnx/inside"])
def test_what_cannot_be_read_has_no_digest(tmp_path, name):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="cannot read the file: No") as raised:
        of_artifact(tmp_path / name)
    assert raised.value.where == str(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="not a regular file"):
        of_artifact(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among the files")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="not a regular file"):
        of_artifact(tmp_path / "model.onnx")
