"""Which commit a folder stands at."""

import subprocess

import pytest

from gates.errors import EnvironmentFault
from gates.git import changed_since, head


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


@pytest.fixture
def repository(tmp_path):
    """A repository with a folder `ml`, a base commit tagged `base`, and a change on top."""
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("ml/a.py", "ml/b.py", "top.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    commit(tmp_path, "first")
    git(tmp_path, "tag", "base")
    (tmp_path / "ml/a.py").write_text("2\n")
    (tmp_path / "top.py").write_text("2\n")
    commit(tmp_path, "second")
    return tmp_path


def commit(folder, message):
    names = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    git(folder, "add", "--all")
    git(folder, *names, "commit", "-q", "-m", message)


def test_what_changed_is_told_as_seen_from_the_folder(repository):
    base = git(repository, "rev-parse", "base")
    assert changed_since(repository, "base") == (base, ("ml/a.py", "top.py"))
    assert changed_since(repository / "ml", base) == (base, ("a.py", "../top.py"))
    assert changed_since(repository, "HEAD") == (git(repository, "rev-parse", "HEAD"), ())


def test_what_others_merged_meanwhile_is_not_our_change(repository):
    git(repository, "checkout", "-q", "-b", "theirs", "base")
    (repository / "ml/b.py").write_text("3\n")
    commit(repository, "theirs")
    git(repository, "checkout", "-q", "main")
    assert changed_since(repository, "theirs")[1] == ("ml/a.py", "top.py")


def test_a_moved_file_changed_in_both_places_and_so_did_what_is_not_committed(repository):
    git(repository, "mv", "ml/b.py", "moved é\n.py")
    assert changed_since(repository, "HEAD")[1] == ("ml/b.py", "moved é\n.py")


def test_what_a_repository_configures_has_no_say(repository):
    (repository / ".gitattributes").write_text("*.py -diff diff=evil filter=x\n")
    for key in ("diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(repository, "config", key, f"touch {repository}/pwned; cat")
    assert changed_since(repository, "base")[1] == ("ml/a.py", "top.py")
    assert not (repository / "pwned").exists()


@pytest.mark.parametrize("revision", ["nonsense", "--output=pwned", "", "base:top.py", "HEAD~9"])
def test_a_revision_that_is_none_is_the_surroundings_fault(repository, revision):
    with pytest.raises(EnvironmentFault, match="fetch-depth: 0"):
        changed_since(repository, revision)
    assert not (repository / "pwned").exists()


def test_history_that_is_cut_off_is_the_surroundings_fault(repository, tmp_path_factory):
    clone = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "-q", "--depth=1", repository.as_uri(), clone], check=True)
    with pytest.raises(EnvironmentFault, match="cannot tell what changed since `HEAD~1`"):
        changed_since(clone, "HEAD~1")


def test_more_than_can_be_told_is_said(repository):
    deep = repository.joinpath(*["x" * 250] * 14)
    deep.mkdir(parents=True)
    for number in range(300):
        (deep / f"{number}").touch()
    git(repository, "add", "--all")
    assert changed_since(repository, "base")[1] is None
