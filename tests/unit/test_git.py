"""Which commit a folder stands at."""

import stat
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from gates.errors import EnvironmentFault
from gates.git import head, repository


def git(folder, *words):
    done = subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_repository_has_a_commit(tmp_path):
    git(tmp_path, "init", "-q")
    assert head(tmp_path) is None
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(tmp_path, *names, "commit", "-q", "--allow-empty", "-m", "first")
    assert head(tmp_path) == git(tmp_path, "rev-parse", "HEAD")


def test_a_folder_outside_of_one_has_none(tmp_path):
    assert head(tmp_path) is None
    assert head(tmp_path / "nowhere") is None


# --- what a commit holds -----------------------------------------------------------------------------


@pytest.fixture
def committed(tmp_path):
    """A repository with a plain file, a folder, a link and odd names; and its commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "zürich\n.bin").write_bytes(b"\0\xff\r\n" * 1000)
    (tmp_path / "*").write_text("star")
    (tmp_path / "x.txt").write_text("x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=A", "-c", "user.email=a@x", "commit", "-qm", "first")
    return repository(tmp_path), git(tmp_path, "rev-parse", "HEAD")


def found(repo, sha, *paths, deep=True):
    return repo.entries(sha, [PurePosixPath(path) for path in paths], deep=deep)


def test_a_path_is_taken_to_the_letter(committed):
    repo, sha = committed
    assert [str(entry.path) for entry in found(repo, sha, "*")] == ["*"]
    assert found(repo, sha, "nowhere", ":(top)x.txt", "-r") == ()
    assert found(repo, sha) == ()


def test_bytes_come_out_as_they_went_in(committed, tmp_path):
    repo, sha = committed
    (entry,) = found(repo, sha, "a b")
    target = tmp_path / "out" / "deep" / "file"
    repo.unpack(entry, target)
    assert entry.size == 4000
    assert target.read_bytes() == b"\0\xff\r\n" * 1000
    assert not target.stat().st_mode & stat.S_IWUSR
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_a_link_is_no_plain_file_and_a_folder_is_one(committed):
    repo, sha = committed
    kinds = {str(e.path): (e.plain, e.folder) for e in found(repo, sha, "link", "a b", deep=False)}
    assert kinds == {"link": (False, False), "a b": (False, True)}


def test_a_commit_that_is_not_here_is_none(committed):
    repo, sha = committed
    assert repo.commit(sha) == repo.commit("HEAD") == sha
    assert [repo.commit(name) for name in ("f" * 40, "nothing", "--help", f"{sha}:x.txt")] == [
        None
    ] * 4
    assert repo.parents(sha) == repo.parents("f" * 40) == ()
    with pytest.raises(EnvironmentFault, match="cannot list the files"):
        found(repo, "f" * 40, "x.txt")


def test_a_blob_that_is_not_here_is_told(committed, tmp_path):
    repo, sha = committed
    (entry,) = found(repo, sha, "x.txt")
    with pytest.raises(EnvironmentFault, match=r"git cannot read `x\.txt`"):
        repo.unpack(replace(entry, oid="f" * 40), tmp_path / "out" / "x")


def test_a_folder_in_a_repository_knows_its_top(committed, tmp_path):
    assert repository(tmp_path / "a b").top.resolve() == tmp_path.resolve()
    with pytest.raises(EnvironmentFault, match="git knows of no work tree here"):
        repository(tmp_path.parent)
