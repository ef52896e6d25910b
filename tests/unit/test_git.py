"""Which commit a folder stands at."""

import subprocess

from gates.git import head


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
