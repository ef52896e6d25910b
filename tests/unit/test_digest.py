"""Digests of files: what a run notes down of a file."""

import hashlib
import os

import pytest

from gates.digest import sha256
from gates.errors import InputError


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_a_file_is_known_by_all_its_bytes(tmp_path, size):
    path, content = tmp_path / "model.onnx", os.urandom(size)
    path.write_bytes(content)
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    assert sha256(path) == digest
    path.write_bytes(content + b"\0")
    assert sha256(path) != digest


@pytest.mark.parametrize("name", ["none.onnx", "model.onnx/inside"])
def test_what_cannot_be_read_has_no_digest(tmp_path, name):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="cannot read the file: No") as raised:
        sha256(tmp_path / name)
    assert raised.value.where == str(tmp_path / name)
